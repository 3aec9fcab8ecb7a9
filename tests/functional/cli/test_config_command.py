"""`tf-tester config`, and flags made from the table."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from tf_tester.cli.common import running
from tf_tester.cli.common import selection as selection_module
from tf_tester.cli.common.options import options, settings_from
from tf_tester.cli.common.packages import with_indexes
from tf_tester.cli.common.settings import project_file, read_settings
from tf_tester.cli.explain.bisect import command as bisect
from tf_tester.cli.explain.blame import command as blame
from tf_tester.cli.explain.diff import command as diff
from tf_tester.cli.host import config
from tf_tester.cli.run import test as test_module
from tf_tester.cli.run.shell import command as shell
from tf_tester.cli.supply.download import command as download
from tf_tester.cli.supply.lock import command as lock
from tf_tester.core.config.settings import BY_NAME, TABLE, ResolvedSettings
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.verdict.advice import shell_command
from tf_tester.errors import ConfigError, UsageError
from tf_tester.flow.run.started import asked
from tf_tester.model.cell import Cell
from tf_tester.model.request import Selection, Trial


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with nothing of this machine's configuration."""
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for setting in TABLE:
        monkeypatch.delenv(setting.variable, raising=False)
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def read(cwd: Path, environ: Mapping[str, str] | None = None) -> ResolvedSettings:
    return read_settings({}, cwd=cwd, environ=environ or {}, user_file=cwd / "no-such-file")


def test_the_nearest_file_with_settings_is_found(project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.tf-tester]\nlast = 1\nstore = "s"\n')
    inner = project / "a/b"
    inner.mkdir(parents=True)
    (inner / "pyproject.toml").write_text("[project]\nname = 'x'\n[tool.other]\n")
    assert project_file(inner) == project / "pyproject.toml"
    found = read(inner)
    assert (found.settings.last, found.settings.store) == (1, project / "s")
    assert found.origins["last"] == str(project / "pyproject.toml")


def test_our_own_file_comes_before_pyproject(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.tf-tester]\nlast = 1\n")
    (project / "tf-tester.toml").write_text("last = 2\n")
    assert read(project).settings.last == 2


def test_the_search_ends_at_the_repository(project: Path) -> None:
    (project.parent / "tf-tester.toml").write_text("last = 2\n")
    assert project_file(project) is None


def test_the_users_file_comes_before_the_projects(project: Path) -> None:
    user = project / "config.toml"
    user.write_text("last = 1\njobs = 1\nstore = '~/s'\n")
    (project / "tf-tester.toml").write_text("last = 2\n")
    found = read_settings({}, cwd=project, environ={"HOME": "/home/me"}, user_file=user)
    assert (found.settings.last, found.settings.jobs, found.settings.store) == (2, 1, Path("/home/me/s"))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("tf-tester.toml", "last = 1\njobs = \n", "tf-tester.toml:2: Invalid value"),
        ("tf-tester.toml", "last = 1\nmirror = [", "tf-tester.toml:2: "),
        ("pyproject.toml", "[tool.tf-tester\n", "pyproject.toml:1: "),
        ("tf-tester.toml", "a = 1\nb = '\udcff'\n", "tf-tester.toml:2: not UTF-8"),
        ("pyproject.toml", "[tool]\ntf-tester = 1\n", r"pyproject.toml: \[tool.tf-tester\] must be a table"),
        ("tf-tester.toml", "[tool.tf-tester]\nlast=1\n", "tf-tester.toml: there is no setting 'tool'"),
        (
            "pyproject.toml",
            "[tool.tf-tester]\ntime-out = '1h'\n",
            "pyproject.toml: there is no setting 'time-out'",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_and_line(project: Path, name: str, text: str, message: str) -> None:
    (project / name).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError, match=message):
        read(project)


def test_a_broken_pyproject_without_our_table_is_no_trouble(project: Path) -> None:
    (project / "pyproject.toml").write_text("[project\n")
    assert read(project).origins["last"] == "default"


def test_config_shows_value_and_origin(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "tf-tester.toml").write_text('mirror = ["tuna", "ustc"]\n[env]\nA = "\\u001b[31m"\n')
    monkeypatch.setenv("TF_TESTER_OFFLINE", "1")
    result = CliRunner().invoke(config.command, [], catch_exceptions=False)
    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.output.splitlines()}
    assert list(lines) == [setting.name for setting in TABLE]
    assert lines["mirror"].split(maxsplit=1)[1].split("  ")[0] == "tuna, ustc"
    assert lines["mirror"].endswith(str(project / "tf-tester.toml"))
    assert lines["offline"].split() == ["offline", "yes", "TF_TESTER_OFFLINE"]
    assert "\x1b" not in result.output
    assert "A=\\x1b[31m" in lines["env"]


def test_config_as_json_can_be_read_by_programs(project: Path) -> None:
    (project / "tf-tester.toml").write_text('index-url = "https://me:secret@host/simple"\ngrace = "2w"\n')
    result = CliRunner().invoke(config.command, ["--json"], catch_exceptions=False)
    shown = json.loads(result.output)
    assert shown["grace"] == {"value": "14d", "origin": str(project / "tf-tester.toml")}
    assert shown["index-url"]["value"] == "https://***@host/simple"
    assert shown["jobs"]["origin"] == "default"


def test_config_shows_the_limits_that_hold(project: Path) -> None:
    (project / "tf-tester.toml").write_text('limit = {processes = 100, memory = "4G"}\n')
    text = CliRunner().invoke(config.command, [], catch_exceptions=False).output
    [line] = [line for line in text.splitlines() if line.startswith("limit ")]
    amounts, origin = line.removeprefix("limit ").strip().split("  ")
    assert amounts == "processes=100, scratch=16G, output=256M, open-files=4096, memory=4G"
    assert origin == str(project / "tf-tester.toml")
    shown = json.loads(CliRunner().invoke(config.command, ["--json"], catch_exceptions=False).output)
    assert shown["limit"]["value"] == dict(part.split("=") for part in amounts.split(", "))


@click.command()
@options(*(setting.name for setting in TABLE))
@click.option("--other")
@click.pass_context
def everything(context: click.Context, /, **_: object) -> None:
    context.obj = settings_from(context.params)


def settings_of(*arguments: str) -> ResolvedSettings:
    context = everything.make_context("everything", list(arguments))
    with context:
        everything.invoke(context)
    assert isinstance(context.obj, ResolvedSettings)
    return context.obj


def test_flags_that_are_not_given_leave_the_file_its_say(project: Path) -> None:
    (project / "tf-tester.toml").write_text('keep = true\nmirror = ["tuna"]\njobs = 7\n')
    resolved = settings_of("--other", "x", "-j", "3")
    found = resolved.settings
    assert (found.keep, found.mirror, found.jobs) == (True, ("tuna",), 3)
    assert resolved.origins["jobs"] == "flag --jobs"


def test_every_setting_has_its_flag(project: Path) -> None:
    resolved = settings_of(
        *("--package", "torch", "--versions", "minors", "--last", "3", "--no-pre", "--yanked"),
        *("-p", "3.8,3.9", "--install-python", "--resolve", "latest", "--grace", "1d", "--with", "six"),
        *(
            "-r",
            "r.txt",
            "--group",
            "dev",
            "--project",
            ".",
            "--allow-build",
            "absl-py",
            "--build-network",
            "--mirror",
            "tuna",
            "--mirror",
            "ustc",
        ),
        *("--trust", "tuna", "--store-size", "20GB", "--store-keep", "lts", "--ephemeral"),
        *(
            "--index-url",
            "file:///i",
            "--extra-index-url",
            "file:///e",
            "-f",
            "wheels",
            "--attestations",
            "off",
            "--offline",
            "--refresh",
            "--store",
            "s",
            "-j",
            "auto",
            "--memory",
            "1G",
        ),
        *("--timeout", "1m", "--runner", "pytest", "--env", "A=1", "--pythonpath", "lib", "--keep"),
        *("--isolation", "none", "--network", "--gpu", "--writable", "out", "--visible", ".git"),
        *("--data", "~/.keras"),
        *("--scratch", "memory", "--limit", "memory=4G", "--limit", "processes=100"),
        *("--no-cache", "--timings", "--color", "never"),
    )
    assert {origin.split()[0] for origin in resolved.origins.values()} == {"flag"}
    assert resolved.settings.mirror == ("tuna", "ustc")
    assert resolved.settings.python == ("3.8", "3.9")
    assert resolved.settings.store == project / "s"
    assert resolved.settings.find_links == (str(project / "wheels"),)
    assert (resolved.settings.limit["memory"], resolved.settings.limit["processes"]) == ("4G", "100")


def test_a_wrong_flag_is_a_sentence_of_ours(project: Path) -> None:
    with pytest.raises(ConfigError, match="--runner must be auto, script, pytest or unittest, not 'nose'"):
        settings_of("--runner", "nose")


@pytest.mark.parametrize("command", [diff, download, lock], ids=["diff", "download", "lock"])
def test_what_builds_takes_the_limits_of_builds(command: click.Command) -> None:
    help_text = CliRunner().invoke(command, ["--help"]).output
    assert all(flag in help_text for flag in ("--timeout", "--limit", "--build-network"))


@pytest.mark.parametrize("command", [bisect, blame], ids=["bisect", "blame"])
def test_a_search_refuses_a_flag_that_it_does_not_keep(project: Path, command: click.Command) -> None:
    """It comes back to versions, so that nothing goes before it ends."""
    found = CliRunner().invoke(command, ["--ephemeral"])
    assert isinstance(found.exception, UsageError)
    assert "There is no option --ephemeral" in str(found.exception)


@pytest.mark.parametrize(
    ("words", "told", "goes"),
    [
        (["-k", "one"], "There is no option -k.", "-- -k …"),
        (["-s"], "There is no option -s.", "-- -s …"),
        (["--tb=short"], "There is no option --tb.", "-- --tb …"),
        (["--cov"], "There is no option --cov (did you mean --color?).", "-- --cov …"),
        (["-p", "no:cacheprovider"], "-pno:cacheprovider is no Python.", "-- -pno:cacheprovider …"),
        (["python", "-m", "mine", "--n"], "There is no option -m.", "-- python -m mine …"),
        (["--package", "pytest", "-k", "a"], "There is no option -k.", "-- -k …"),
        (["-ra"], "-ra is no requirements file.", "-- -ra …"),
        (["--verions", "1"], "There is no option --verions (did you mean --versions?).", "-- --verions …"),
    ],
)
def test_an_option_of_pytest_is_sent_behind_the_two_dashes(
    project: Path, words: list[str], told: str, goes: str
) -> None:
    error = CliRunner().invoke(test_module.command, ["test_x.py", *words]).exception
    assert isinstance(error, UsageError)
    assert str(error) == told
    assert error.hint.endswith(goes)


def test_a_requirements_file_may_have_a_name_like_options_of_pytest(project: Path) -> None:
    (project / "fx").touch()
    error = CliRunner().invoke(test_module.command, ["gone.py", "-rfx"]).exception
    assert "no requirements file" not in str(error)


@pytest.mark.parametrize(
    ("flag", "begun", "words"),
    [
        ("--resolve", "l", ["latest", "lowest"]),
        ("--runner", "", ["auto", "script", "pytest", "unittest"]),
        ("--mirror", "no", ["none"]),
    ],
)
def test_the_shell_completes_words(project: Path, flag: str, begun: str, words: list[str]) -> None:
    completer = ShellComplete(everything, {}, "everything", "_EVERYTHING_COMPLETE")
    assert [item.value for item in completer.get_completions([flag], begun)] == words


def test_help_names_the_default(project: Path) -> None:
    help_text = " ".join(CliRunner().invoke(everything, ["--help"]).output.split())
    assert "How long one cell, or one build, may run. [default: 15m]" in help_text
    assert "--keep / --no-keep" in help_text


@pytest.mark.parametrize("place", ["/", "/usr/..", "//", "top"])
@pytest.mark.parametrize("option", ["writable", "data", ""])
def test_nobody_gives_tests_the_whole_system(project: Path, place: str, option: str) -> None:
    """What else they are shown was made in it: a folder /tf-tester was left there. Nothing runs here."""
    (project / "top").symlink_to("/")
    (project / "check.py").write_text("")
    settings = read_settings(
        {option: (place,)} if option else {}, cwd=project, environ={}, user_file=project / "none"
    ).settings
    targets = (project / "check.py",) if option else (Path(place),)
    with pytest.raises(UsageError, match="is the whole system") as caught:
        running.tests_of(settings, targets, ())
    assert str(caught.value).startswith(f"--{option} " if option else ("/", str(project)))


# What decides a cell's environment, as somebody may give it. Of `test`, too, the shell has all of these.
ENVIRONMENT = {
    "pre": ["--pre"],
    "yanked": ["--yanked"],
    "install-python": ["--install-python"],
    "grace": ["--grace", "2d"],
    "allow-build": ["--allow-build", "wrapt", "--allow-build", "absl-py"],
    "build-network": ["--build-network"],
    "with": ["--with", "numpy<2", "--with", "six @ https://host/six-1.16.0-py2.py3-none-any.whl"],
    "requirements": ["-r", "r.txt"],
    "project": ["--project", "own[test]"],
    "group": ["--group", "dev"],
    "mirror": ["--mirror", "tuna", "--mirror", "ustc"],
    "trust": ["--trust", "tuna"],
    "index-url": ["--index-url", "https://host/simple"],
    "extra-index-url": ["--extra-index-url", "https://host/own", "--extra-index-url", "https://host/other"],
    "find-links": ["-f", "wheels"],
    "attestations": ["--attestations", "off"],
    "store": ["--store", "s"],
    "offline": ["--offline"],
    "package": ["--package", "toy"],
    "python": ["--python", "3.10"],
    "resolve": ["--resolve", "latest"],
}
OF_NO_ENVIRONMENT = {"keep", "color", "refresh"}


def test_each_option_of_the_shell_is_repeated_by_what_is_advised_or_decides_nothing() -> None:
    names = {param.name for param in shell.params} & {setting.field for setting in TABLE}
    assert names == {BY_NAME[name].field for name in (*ENVIRONMENT, *OF_NO_ENVIRONMENT)}


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_the_shell_that_is_advised_makes_the_environment_of_the_run(project: Path, name: str) -> None:
    """The command is read by the shell's own parser, and selects and requires the same, from the same places."""
    (project / "r.txt").write_text("h5py==3.1.0\n")
    (project / "wheels").mkdir()
    (project / "own").mkdir()
    table = "[project]\nname = 'own'\nversion = '1'\n[dependency-groups]\ndev = ['attrs']\n"
    for folder in (project, project / "own"):
        (folder / "pyproject.toml").write_text(table)
    (project / "check.py").write_text("import toy\n")
    plain = request_of(test_module.command, ["check.py", "--versions", "1.0"])
    wanted = request_of(test_module.command, ["check.py", "--versions", "1.0", *ENVIRONMENT[name]])
    assert wanted != plain
    selection, trial, _ = wanted
    cell = Cell.of(selection.package, "1.0", "3.10", selection.resolution)
    record = RunReport(cells=(cell,), request=asked(selection, trial))
    words = shlex.split(shell_command(cell, record, "tensorflow"))
    assert words[:3] == ["tf-tester", "shell", "1.0"]
    assert request_of(shell, words[2:]) == wanted


def request_of(command: click.Command, words: list[str]) -> tuple[Selection, Trial, dict[str, object]]:
    """What a command line selects, requires and takes its files from."""
    with command.make_context(command.name, words) as context:
        settings = with_indexes(settings_from(context.params).settings)
        trial = running.trial_of(settings, (), ())
        sources = {name: getattr(settings, BY_NAME[name].field) for name in selection_module.FETCHING}
        sources["build-network"] = settings.build_network
        return selection_module.selection_of(settings, versions="1.0"), trial, sources
