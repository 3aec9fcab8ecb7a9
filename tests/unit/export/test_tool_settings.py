"""Mirrors in the files of other tools: set, shown, put back."""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from tf_tester.errors import ConfigError, OurFailure, UsageError
from tf_tester.export.configure import WantedIndex, reset, show, use
from tf_tester.export.editing import BlockEditor, Editor, IndexEditor, IniEditor, SourceEditor, TomlEditor
from tf_tester.export.lines import Form, lines_for
from tf_tester.export.places import ConfigContext, ConfigScope, Tool, target
from tf_tester.export.undo import UndoFolder

MIRROR = WantedIndex("https://mirror.example/simple", 60, channels="https://mirror.example/anaconda")
PIP = IniEditor("global", ("index-url", "timeout"))


@pytest.fixture
def around(tmp_path: Path) -> ConfigContext:
    home, project = tmp_path / "home", tmp_path / "project"
    home.mkdir()
    project.mkdir()
    return ConfigContext({"HOME": str(home)}, project, "linux")


@pytest.fixture
def undo(tmp_path: Path) -> UndoFolder:
    return UndoFolder(tmp_path / "undo")


def in_home(around: ConfigContext, name: str, text: str = "") -> Path:
    file = around.home / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode())
    return file


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "[global]\nindex-url = U\n"),
        (
            "# mine\n[global]\n; why\nINDEX_URL: old\n   tail\nx = 1\n",
            "# mine\n[global]\n; why\nindex-url = U\nx = 1\n",
        ),
        ("[install]\nindex-url = p\n", "[install]\nindex-url = p\n\n[global]\nindex-url = U\n"),
        ("[global]\nx = 1\n\n\n[freeze]\ny = 2\n", "[global]\nx = 1\nindex-url = U\n\n\n[freeze]\ny = 2\n"),
        ("[global]\r\nx = 100%\r\n", "[global]\r\nx = 100%\r\nindex-url = U\r\n"),
        ("[global]", "[global]\nindex-url = U\n"),
    ],
)
def test_pip_keeps_everything_else(before: str, after: str) -> None:
    assert PIP.write(before, {"index-url": "U"}) == after
    assert PIP.read(after)["index-url"] == "U"


@pytest.mark.parametrize(
    "text", ["[global]\nindex-url = a\nindex_url = b\n", "x = 1\n", "[global]\n[global]\n", "[global]\njunk\n"]
)
def test_a_file_that_pip_itself_refuses_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        PIP.write(text, {"index-url": "U"})


UV = """# uv
keyring-provider = "subprocess"

[pip]
annotate = true  # yes

[[index]]
name = "private"
url = "https://private.example/simple"  # ours
"""
PYPROJECT = """[project]
name = "x"  # the name
[tool.poetry]
# nothing
[[tool.poetry.source]]
name = "private"
url = "https://private.example/simple"
[tool.ruff]
line-length = 88
"""


@pytest.mark.parametrize(
    ("editor", "text", "key"),
    [
        (IndexEditor(), UV, "index"),
        (IndexEditor(), UV.replace('name = "private"\n', "").replace("# ours", "# ours\ndefault = true"), "index"),
        (IndexEditor(), 'index = [{ url = "https://x/simple" }]\n', "index"),
        (IndexEditor(("tool", "uv")), PYPROJECT, "index"),
        (IndexEditor(("tool", "uv")), "[tool.uv]\nmanaged = true # x\n\n[tool.uv.pip]\nannotate = true\n", "index"),
        (SourceEditor("mirror"), PYPROJECT, "source"),
        (TomlEditor(("pypi.url",)), "[theme]\nreq = 'bold'  # dark\n", "pypi.url"),
        (TomlEditor(("plugins.pypi_mirror.url",)), "[plugins.other]\na = 1\n", "plugins.pypi_mirror.url"),
        (TomlEditor(("timeout",), numbers=("timeout",)), "# a\n[pypi]\nurl = 'x'\n", "timeout"),
        (BlockEditor(("channels: {0}/a",)), "ssl_verify: true  # yes\n", "channels"),
    ],
)
def test_comments_and_other_settings_stay(editor: Editor, text: str, key: str) -> None:
    old, value = editor.read(text).get(key), "60" if key == "timeout" else "https://mirror.example/simple"
    changed = editor.write(text, {key: value})
    assert editor.read(changed)[key] == value
    kept = [line for line in text.splitlines() if line.strip() and not (old and old in line)]
    assert [line for line in kept if line not in changed] == [] or "index = [" in text
    back = editor.write(changed, {key: old})
    assert back.split() == text.split()


def test_a_private_index_beside_the_default_one_is_not_touched() -> None:
    changed = IndexEditor().write(UV, {"index": "https://mirror.example/simple"})
    assert 'url = "https://private.example/simple"  # ours' in changed
    again = IndexEditor().write(changed, {"index": "https://other.example/simple"})
    assert again.count("[[index]]") == 2
    assert "mirror.example" not in again


def test_conda_files_that_name_channels_themselves_are_left_to_their_owner() -> None:
    editor = BlockEditor(("default_channels:", "  - {0}/pkgs/main"))
    with pytest.raises(ConfigError, match="default_channels"):
        editor.write("default_channels:\n  - https://x\n", {"channels": "https://m"})


def test_what_was_there_comes_back_byte_for_byte(around: ConfigContext, undo: UndoFolder) -> None:
    text = "# mine\r\n[global]\r\nindex-url = https://old.example/simple\r\n"
    file = in_home(around, ".config/pip/pip.conf", text)
    file.chmod(0o600)
    tools = [Tool.PIP, Tool.UV, Tool.PDM, Tool.POETRY, Tool.CONDA]
    changes = use(tools, ConfigScope.USER, MIRROR, around, undo)
    assert [change.tool for change in changes] == tools
    assert all(b"https://mirror.example" in change.file.read_bytes() for change in changes)
    use([Tool.PIP], ConfigScope.USER, WantedIndex("https://second.example/simple", 30), around, undo)
    assert len(reset(tools, ConfigScope.USER, around, undo)) == 5
    assert file.read_bytes() == text.encode()
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path for path in around.home.rglob("*") if path.is_file()] == [file]
    assert reset(tools, ConfigScope.USER, around, undo) == []


def test_what_was_there_comes_back_though_the_file_is_gone(around: ConfigContext, undo: UndoFolder) -> None:
    """Also where it was set again meanwhile."""
    (place,) = (one.file for one in use([Tool.PIP], ConfigScope.USER, MIRROR, around, undo))
    reset([Tool.PIP], ConfigScope.USER, around, undo)
    for again in (False, True):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("[global]\nretries = 9\n")
        use([Tool.PIP], ConfigScope.USER, MIRROR, around, undo)
        place.unlink()
        if again:
            use([Tool.PIP], ConfigScope.USER, MIRROR, around, undo)
        reset([Tool.PIP], ConfigScope.USER, around, undo)
        assert place.read_text() == "[global]\nretries = 9\n"
    place.unlink()
    use([Tool.PIP], ConfigScope.USER, MIRROR, around, undo)
    place.unlink()
    (change,) = reset([Tool.PIP], ConfigScope.USER, around, undo)
    assert "none before" in change.told
    assert not place.exists()


def test_what_somebody_has_changed_since_stays_and_ours_goes(around: ConfigContext, undo: UndoFolder) -> None:
    file = in_home(around, ".config/pip/pip.conf", "[global]\nindex-url = https://old.example/simple\n")
    use([Tool.PIP], ConfigScope.USER, MIRROR, around, undo)
    file.write_text(file.read_text() + "no-color = true\n")
    (change,) = reset([Tool.PIP], ConfigScope.USER, around, undo)
    assert "changed since" in change.told
    assert file.read_text() == "[global]\nindex-url = https://old.example/simple\nno-color = true\n"


def test_a_value_of_somebody_else_is_never_taken_back(around: ConfigContext, undo: UndoFolder) -> None:
    file = in_home(around, ".config/uv/uv.toml")
    use([Tool.UV], ConfigScope.USER, MIRROR, around, undo)
    file.write_text('[[index]]\nurl = "https://mine.example/simple"\ndefault = true\n')
    use([Tool.UV], ConfigScope.USER, MIRROR, around, undo)
    reset([Tool.UV], ConfigScope.USER, around, undo)
    assert "mine.example" in file.read_text()


def test_one_file_that_cannot_be_used_leaves_all_as_they_are(around: ConfigContext, undo: UndoFolder) -> None:
    in_home(around, ".config/uv/uv.toml", "[[index]\n")
    with pytest.raises(ConfigError, match=r"uv\.toml"):
        use([Tool.PIP, Tool.UV], ConfigScope.USER, MIRROR, around, undo)
    assert not (around.home / ".config/pip/pip.conf").exists()
    assert not list(undo.folder.glob("*"))


def test_a_link_is_followed(around: ConfigContext, undo: UndoFolder) -> None:
    real = in_home(around, "dotfiles/pip.conf", "[global]\n")
    link = around.home / ".config/pip/pip.conf"
    link.parent.mkdir(parents=True)
    link.symlink_to(real)
    use([Tool.PIP], ConfigScope.USER, MIRROR, around, undo)
    assert link.is_symlink()
    assert "mirror.example" in real.read_text()
    reset([Tool.PIP], ConfigScope.USER, around, undo)
    assert real.read_text() == "[global]\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(around: ConfigContext, undo: UndoFolder) -> None:
    around.home.chmod(0o500)
    with pytest.raises(OurFailure, match="can't be written"):
        use([Tool.PIP], ConfigScope.USER, MIRROR, around, undo)


def test_trust_without_tls_is_written_only_when_asked_for_and_then_explained(
    around: ConfigContext, undo: UndoFolder
) -> None:
    plain = WantedIndex("http://mirror.example:8080/simple", 60)
    (change,) = use([Tool.PIP], ConfigScope.USER, plain, around, undo)
    assert "trusted-host" not in change.file.read_text()
    assert any("--trusted-host" in remark for remark in change.remarks)
    (change,) = use([Tool.PIP], ConfigScope.USER, WantedIndex(plain.url, 60, trusted_host=True), around, undo)
    assert "trusted-host = mirror.example:8080" in change.file.read_text()
    assert any("doesn't check" in remark for remark in change.remarks)


def test_what_is_stronger_is_named(around: ConfigContext, undo: UndoFolder) -> None:
    in_home(around, ".pip/pip.conf", "[install]\nindex-url = https://u:secret@old.example/simple\n")
    stronger = ConfigContext({**around.environ, "UV_DEFAULT_INDEX": "https://env.example/simple"}, around.cwd, "linux")
    (around.cwd / "uv.toml").write_text('[[index]]\nurl = "https://project.example"\ndefault = true\n')
    pip, uv = use([Tool.PIP, Tool.UV], ConfigScope.USER, MIRROR, stronger, undo)
    assert [remark for remark in pip.remarks if "[install]" in remark]
    assert "secret" not in str(pip.remarks)
    assert any(remark.startswith("UV_DEFAULT_INDEX is set") for remark in uv.remarks)
    assert any("uv.toml overrules it: https://project.example" in remark for remark in uv.remarks)
    found = show(stronger, undo)
    assert [(one.tool, one.scope, one.overruled, one.ours) for one in found] == [
        ("pip", "user [install]", False, False),
        ("pip", "user", True, True),
        ("uv", "UV_DEFAULT_INDEX", False, False),
        ("uv", "project", True, False),
        ("uv", "user", True, True),
    ]


def test_whatever_a_tool_reads_is_shown(around: ConfigContext, undo: UndoFolder) -> None:
    old = in_home(around, ".pip/pip.conf", "[global]\nindex-url = https://old.example/simple\n")
    extra = "extra-index-url =\n    https://one.example\n    https://two.example\n"
    text = f"[global]\nindex-url = https://new.example/simple\n{extra}"
    new = in_home(around, ".config/pip/pip.conf", text)
    environ = {"UV_INDEX_URL": "https://env.example/simple", "UV_INDEX": "https://u:secret@more.example/simple"}
    found = show(ConfigContext({**around.environ, **environ}, around.cwd, "linux"), undo)
    assert [(one.scope, one.file, one.url, one.overruled, one.further) for one in found] == [
        ("user", new, "https://new.example/simple", False, False),
        ("user", old, "https://old.example/simple", True, False),
        ("user", new, "https://one.example", False, True),
        ("user", new, "https://two.example", False, True),
        ("UV_INDEX_URL", None, "https://env.example/simple", False, False),
        ("UV_INDEX", None, "https://***@more.example/simple", False, True),
    ]
    (change,) = use([Tool.PIP], ConfigScope.USER, MIRROR, around, undo)
    assert f"https://one.example is asked, too ({new}): what it has newer comes from there" in change.remarks


SHARED = '[project]\nname = "x"\nversion = "0"\n[tool.uv]\npackage = false\n[tool.poetry]\npackage-mode = false\n'


@pytest.mark.parametrize(
    "order", [[Tool.UV, Tool.POETRY], [Tool.POETRY, Tool.UV]], ids=lambda tools: "-".join(map(str, tools))
)
def test_two_tools_share_a_file(around: ConfigContext, undo: UndoFolder, order: list[Tool]) -> None:
    file = around.cwd / "pyproject.toml"
    file.write_text(SHARED)
    first, second = order
    use([Tool.UV, Tool.POETRY], ConfigScope.PROJECT, MIRROR, around, undo)
    both = file.read_text()
    assert both.count("https://mirror.example") == 2
    assert [one.tool for one in show(around, undo) if one.ours] == [Tool.UV, Tool.POETRY]
    reset([first], ConfigScope.PROJECT, around, undo)
    assert [one.tool for one in show(around, undo) if one.ours] == [second], "each is taken back alone"
    assert file.read_text().count("https://mirror.example") == 1
    reset([second], ConfigScope.PROJECT, around, undo)
    assert tomllib.loads(file.read_text()) == tomllib.loads(SHARED)
    file.write_text(SHARED)
    for tool in order:
        use([tool], ConfigScope.PROJECT, MIRROR, around, undo)
    assert {change.told for change in reset(list(Tool), ConfigScope.PROJECT, around, undo)} == {"as it was before"}
    assert file.read_text() == SHARED, "both are taken back to the byte"


@pytest.mark.parametrize(
    ("tool", "name", "text"),
    [
        (
            Tool.UV,
            ".config/uv/uv.toml",
            '[[index]]\nname = "corp"\nurl = "https://corp.example/simple"\ndefault = true\n',
        ),
        (Tool.PDM, ".config/pdm/config.toml", '[pypi]\nurl = "https://corp.example/simple"\nusername = "me"\n'),
    ],
)
def test_no_mirror_takes_a_place_for_which_a_password_is_kept(
    around: ConfigContext, undo: UndoFolder, tool: Tool, name: str, text: str
) -> None:
    file = in_home(around, name, text)
    with pytest.raises(ConfigError, match=r"name|username"):
        use([tool], ConfigScope.USER, MIRROR, around, undo)
    assert file.read_text() == text


def test_what_was_ours_before_somebodys_change_does_not_come_back(around: ConfigContext, undo: UndoFolder) -> None:
    file = in_home(around, ".config/pip/pip.conf", "[global]\nindex-url = https://old.example/simple\n")
    use([Tool.PIP], ConfigScope.USER, MIRROR, around, undo)
    file.write_text(file.read_text() + "no-color = true\n")
    use([Tool.PIP], ConfigScope.USER, WantedIndex("https://second.example/simple", 30), around, undo)
    reset([Tool.PIP], ConfigScope.USER, around, undo)
    assert file.read_text() == "[global]\nindex-url = https://old.example/simple\nno-color = true\n"


def test_what_an_earlier_version_kept_is_found(around: ConfigContext, undo: UndoFolder) -> None:
    file = in_home(around, ".config/pip/pip.conf", "[global]\nindex-url = https://old.example/simple\n")
    use([Tool.PIP], ConfigScope.USER, MIRROR, around, undo)
    [kept] = undo.folder.iterdir()
    kept.rename(kept.with_name(kept.name.replace("-pip", "")))
    assert len(reset([Tool.PIP], ConfigScope.USER, around, undo)) == 1
    assert "old.example" in file.read_text()
    assert not list(undo.folder.iterdir())


PLACES: list[tuple[str, Tool, ConfigScope, Mapping[str, str], str]] = [
    ("linux", Tool.PIP, ConfigScope.USER, {}, "HOME/.config/pip/pip.conf"),
    ("linux", Tool.PIP, ConfigScope.USER, {"XDG_CONFIG_HOME": "/x"}, "/x/pip/pip.conf"),
    ("linux", Tool.PIP, ConfigScope.GLOBAL, {}, "/etc/pip.conf"),
    ("darwin", Tool.PIP, ConfigScope.USER, {"XDG_CONFIG_HOME": "/x"}, "HOME/.config/pip/pip.conf"),
    ("darwin", Tool.PIP, ConfigScope.GLOBAL, {}, "/Library/Application Support/pip/pip.conf"),
    ("win32", Tool.PIP, ConfigScope.USER, {"APPDATA": "/roaming"}, "/roaming/pip/pip.ini"),
    ("win32", Tool.PIP, ConfigScope.GLOBAL, {"PROGRAMDATA": "/pd"}, "/pd/pip/pip.ini"),
    ("darwin", Tool.UV, ConfigScope.USER, {}, "HOME/.config/uv/uv.toml"),
    ("win32", Tool.UV, ConfigScope.USER, {"APPDATA": "/roaming"}, "/roaming/uv/uv.toml"),
    ("linux", Tool.UV, ConfigScope.GLOBAL, {"XDG_CONFIG_DIRS": "/nowhere"}, "/etc/uv/uv.toml"),
    ("linux", Tool.UV, ConfigScope.USER, {"UV_CONFIG_FILE": "/c/uv.toml"}, "/c/uv.toml"),
    ("linux", Tool.PDM, ConfigScope.USER, {}, "HOME/.config/pdm/config.toml"),
    ("darwin", Tool.PDM, ConfigScope.USER, {}, "HOME/Library/Application Support/pdm/config.toml"),
    ("win32", Tool.PDM, ConfigScope.USER, {"LOCALAPPDATA": "/local"}, "/local/pdm/pdm/config.toml"),
    ("linux", Tool.PDM, ConfigScope.GLOBAL, {}, "/etc/xdg/pdm/config.toml"),
    ("linux", Tool.POETRY, ConfigScope.USER, {}, "HOME/.config/pypoetry/config.toml"),
    ("win32", Tool.POETRY, ConfigScope.USER, {"APPDATA": "/roaming"}, "/roaming/pypoetry/config.toml"),
    ("linux", Tool.CONDA, ConfigScope.USER, {}, "HOME/.condarc"),
]


@pytest.mark.parametrize(("platform", "tool", "scope", "variables", "place"), PLACES)
def test_each_tool_is_set_where_it_looks(
    around: ConfigContext, platform: str, tool: Tool, scope: ConfigScope, variables: Mapping[str, str], place: str
) -> None:
    home = str(around.home)
    here = ConfigContext({"HOME": home, "USERPROFILE": home, **variables}, around.cwd, platform)
    assert target(tool, scope, here).file.as_posix() == place.replace("HOME", home)


def test_a_project_is_set_where_its_tools_look(around: ConfigContext) -> None:
    project = around.cwd
    with pytest.raises(UsageError, match="virtual environment"):
        target(Tool.PIP, ConfigScope.PROJECT, around)
    with pytest.raises(UsageError, match=r"pyproject\.toml"):
        target(Tool.POETRY, ConfigScope.PROJECT, around)
    assert target(Tool.UV, ConfigScope.PROJECT, around).file == project / "uv.toml"
    (project / "pyproject.toml").write_text('[project]\nname = "x"\n')
    (project / ".venv").mkdir()
    (project / ".venv" / "pyvenv.cfg").touch()
    below = ConfigContext(around.environ, project / "src", "linux")
    assert target(Tool.PIP, ConfigScope.PROJECT, around).file == project / ".venv" / "pip.conf"
    # A uv.toml beside it would hide all that [tool.uv] says.
    assert target(Tool.UV, ConfigScope.PROJECT, below).file == project / "pyproject.toml"
    assert target(Tool.PDM, ConfigScope.PROJECT, below).file == project / "pdm.toml"
    (project / "uv.toml").touch()
    assert target(Tool.UV, ConfigScope.PROJECT, below).file == project / "uv.toml"


def test_macos_keeps_using_the_folder_that_is_there(around: ConfigContext) -> None:
    library = around.home / "Library" / "Application Support" / "pip"
    library.mkdir(parents=True)
    mac = ConfigContext(around.environ, around.cwd, "darwin")
    assert target(Tool.PIP, ConfigScope.USER, mac).file == library / "pip.conf"


def test_what_was_before_is_for_the_user_alone(around: ConfigContext, undo: UndoFolder) -> None:
    in_home(around, ".config/pip/pip.conf", "[global]\nindex-url = https://u:secret@old.example/simple\n")
    use([Tool.PIP], ConfigScope.USER, MIRROR, around, undo)
    (kept,) = undo.folder.iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    assert json.loads(kept.read_text())["scope"] == "user"


def test_an_address_with_a_password_is_not_printed_for_public_places() -> None:
    with pytest.raises(UsageError, match="password"):
        lines_for(Form.DOCKERFILE, "https://u:secret@mirror.example/simple", timeout=60, apt=None)
