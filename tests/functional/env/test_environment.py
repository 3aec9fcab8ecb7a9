"""An environment on disk is what an installed one would be, it is gone afterwards, and the store stays as it was."""

import errno
import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from msgspec.structs import replace

from tests.pythons import edges, find_uv, running
from tests.wheels import make_wheel
from tf_tester.env.disk import DiskEnvironments, Placement
from tf_tester.errors import InstallFailed, StoreError
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.layer import Layer
from tf_tester.ports.environment import Environment
from tf_tester.store.folder import StoreFolder, translate
from tf_tester.store.layers import LayerStore
from tf_tester.store.removal import remove_tree

pytestmark = pytest.mark.skipif(os.name != "posix", reason="starts scripts by their first line")

COMPILER = Path(__file__).parents[3] / "src/tf_tester/harness/compile_layer.py"
Wheel = tuple[str, bytes]

TOY = make_wheel(
    "toy",
    "1.0",
    files={
        "toy/__init__.py": "def main():\n    import sys\n    print('toy', sys.prefix)\n",
        "toy/data.txt": "words",
        "toy-1.0.data/scripts/toy-script": "#!python\nimport sys, toy\nprint('script', sys.prefix)\n",
        "toy-1.0.data/scripts/toy-shell": "#!/bin/sh\necho shell\n",
        "toy-1.0.data/data/share/toy.cfg": "shared",
        "toy-1.0.data/headers/toy.h": "int toy;",
    },
    entry_points="[console_scripts]\ntoy = toy:main\n[gui_scripts]\ntoy-window = toy:main\n",
)


class World:
    """A store, and environments over it."""

    def __init__(self, root: Path, workplace: Path, placement: Placement) -> None:
        folder = StoreFolder(root)
        self.root = root
        self.workplace = workplace
        self.kept = folder.kept
        self._layers = LayerStore(folder, workplace, cpus=2, compiler=COMPILER)
        self.environments = DiskEnvironments(
            workplace,
            folder.kept,
            placement=placement,
            uv=find_uv,
            uv_cache=self.workplace / "uv-interpreters",
            remove_tree=remove_tree,
            translate=lambda error: translate(error, root),
        )

    def layer(self, wheel: Wheel, python: Interpreter | None = None) -> Layer:
        path = self.root / wheel[0]
        path.write_bytes(wheel[1])
        return self._layers.layer(wheel[0], sha256(wheel[1]).hexdigest(), path, python or running())

    @contextmanager
    def environment(
        self, *wheels: Wheel, python: Interpreter | None = None, keep: str | None = None
    ) -> Iterator[Environment]:
        python = python or running()
        layers = [self.layer(wheel, python) for wheel in wheels]
        with self.environments.make(python, layers, keep=keep) as environment:
            yield environment

    @property
    def left(self) -> list[str]:
        """What is in the workplace besides what uv remembers."""
        return sorted(entry.name for entry in self.workplace.iterdir() if entry.name != "uv-interpreters")


@pytest.fixture(scope="module")
def known_to_uv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What uv remembers of interpreters, for all tests: asking them takes longer than all the rest."""
    return tmp_path_factory.mktemp("uv")


@pytest.fixture
def world(tmp_path: Path, known_to_uv: Path) -> Iterator[World]:
    with world_in(tmp_path / "store", known_to_uv) as made:
        yield made


@pytest.fixture
def copying(tmp_path: Path, known_to_uv: Path) -> Iterator[World]:
    """One in which nothing keeps a test from writing."""
    with world_in(tmp_path / "copying", known_to_uv, Placement.COPY) as made:
        yield made


@contextmanager
def world_in(root: Path, known_to_uv: Path, placement: Placement = Placement.LINK) -> Iterator[World]:
    folder = StoreFolder(root)
    folder.open()
    with folder.workplace() as workplace:
        (workplace / "uv-interpreters").symlink_to(known_to_uv)
        yield World(root, workplace, placement)


def said(*words: object) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, env={"PATH": os.defpath})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def asked(environment: Environment, question: str) -> Any:
    """What the environment's Python answers."""
    return json.loads(said(environment.python, "-c", f"import json\n{question}"))


def site(environment: Environment) -> Path:
    [found] = environment.folder.glob("lib/python*/site-packages")
    return found


def site_of(environment: Environment) -> Path:
    """Also of one that is gone."""
    major, minor = running().release
    return environment.folder / f"lib/python{major}.{minor}/site-packages"


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


# -- what an installed one would be


def test_every_file_is_where_it_belongs(world: World) -> None:
    with world.environment(TOY) as environment:
        assert environment.clashes == ()
        assert (environment.folder / "share/toy.cfg").read_text() == "shared"
        assert (environment.folder / "include/toy.h").read_text() == "int toy;"
        assert (
            asked(environment, "import toy; print(json.dumps(toy.__file__))") == f"{site(environment)}/toy/__init__.py"
        )


def test_console_scripts_run_in_it(world: World) -> None:
    with world.environment(TOY) as environment:
        for name in ("toy", "toy-window"):
            assert said(environment.scripts / name) == f"toy {environment.folder}"


def test_scripts_of_the_wheel_run_in_it(world: World) -> None:
    with world.environment(TOY) as environment:
        assert said(environment.scripts / "toy-script") == f"script {environment.folder}"
        assert said(environment.scripts / "toy-shell") == "shell"


@pytest.mark.parametrize("name", ["a store with spaces", "long" * 40])
def test_scripts_run_wherever_the_store_is(tmp_path: Path, name: str, known_to_uv: Path) -> None:
    with world_in(tmp_path / name, known_to_uv) as world, world.environment(TOY) as environment:
        assert said(environment.scripts / "toy") == f"toy {environment.folder}"
        assert said(environment.scripts / "toy-script") == f"script {environment.folder}"


def test_importlib_metadata_sees_just_its_distributions(world: World) -> None:
    other = make_wheel("other-thing", "2.5", requires=["toy>=1"])
    with world.environment(TOY, other) as environment:
        question = """
            from importlib.metadata import distributions, entry_points, files, requires
            print(json.dumps([
                sorted((d.metadata["Name"], d.version) for d in distributions()),
                requires("other-thing"),
                [str(f) for f in files("toy") if f.name == "data.txt"],
            ]))
        """
        assert asked(environment, "\n".join(line.strip() for line in question.splitlines())) == [
            [["other-thing", "2.5"], ["toy", "1.0"]],
            ["toy>=1"],
            ["toy/data.txt"],
        ]


def test_an_installer_lists_just_its_distributions(world: World) -> None:
    with world.environment(TOY) as environment:
        listed = said(find_uv(), "pip", "list", "--no-cache", "--python", environment.python, "--format=json")
        assert json.loads(listed) == [{"name": "toy", "version": "1.0"}]


def test_imports_use_the_bytecode_of_the_store_and_write_none(world: World) -> None:
    for python in {one.path: one for one in (*edges(), running())}.values():
        with world.environment(TOY, python=python) as environment:
            before = files_below(site(environment) / "toy")
            done = subprocess.run(
                [environment.python, "-v", "-c", "import toy; print(toy.main.__code__.co_filename)"],
                capture_output=True,
                text=True,
                env={},
            )
            cached = site(environment) / f"toy/__pycache__/__init__.{python.cache_tag}.pyc"
            assert f"code object from '{cached}'" in done.stderr
            assert done.stdout.strip() == f"{site(environment)}/toy/__init__.py"
            assert files_below(site(environment) / "toy") == before


def test_it_costs_no_copy_where_a_sandbox_protects_it(world: World) -> None:
    layer = world.layer(TOY)
    with world.environment(TOY) as environment:
        assert (site(environment) / "toy/data.txt").samefile(layer.site / "toy/data.txt")


def test_many_at_once_do_not_disturb_one_another(world: World) -> None:
    layers = [world.layer(TOY)]

    def work(_: int) -> str:
        with world.environments.make(running(), layers, keep=None) as environment:
            return said(environment.scripts / "toy").removesuffix(str(environment.folder))

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(work, range(4))) == {"toy "}
    assert world.left == []


# -- two that bring one thing


def first_and_second(world: World, first: Wheel, second: Wheel) -> tuple[Environment, dict[str, str]]:
    """The environment (gone), and the texts of its files."""
    with world.environment(first, second) as environment:
        texts = {
            path.relative_to(folder).as_posix(): path.read_text()
            for folder in (site(environment), environment.scripts)
            for path in folder.rglob("*")
            if path.is_file() and path.suffix != ".pyc" and path.stat().st_size < 10_000
        }
    return environment, texts


def test_of_two_that_bring_a_file_the_first_wins_and_it_is_told(world: World) -> None:
    one = make_wheel("one", "1", files={"shared/x.py": "X = 'one'\n", "shared/one.py": ""})
    two = make_wheel("two", "1", files={"shared/x.py": "X = 'two'\n", "shared/two.py": ""})
    environment, texts = first_and_second(world, one, two)
    assert environment.clashes == ("one and two both bring shared/x.py; one's is used",)
    assert texts["shared/x.py"] == "X = 'one'\n"
    assert {"shared/one.py", "shared/two.py"} <= texts.keys()


def test_equal_files_are_no_clash(world: World) -> None:
    one, two = (make_wheel(name, "1", files={"shared/__init__.py": "# namespace\n"}) for name in ("one", "two"))
    assert first_and_second(world, one, two)[0].clashes == ()


def test_scripts_clash_too(world: World) -> None:
    one = make_wheel(
        "one", "1", files={"one.py": "", "one-1.data/scripts/run": "#!python\n1"}, entry_points={"go": "one:go"}
    )
    two = make_wheel(
        "two", "1", files={"two.py": "", "two-1.data/scripts/run": "#!python\n2"}, entry_points={"go": "two:go"}
    )
    environment, texts = first_and_second(world, one, two)
    assert environment.clashes == ("one and two both bring bin/run and 1 other file; one's are used",)
    assert texts["run"].endswith("\n1")
    assert "from one import go" in texts["go"]


def test_the_same_entry_point_of_two_is_no_clash(world: World) -> None:
    # tensorflow and tensorboard both bring `tensorboard`.
    wheels = (make_wheel(name, "1", entry_points={"board": "board.main:run"}) for name in ("one", "two"))
    assert first_and_second(world, *wheels)[0].clashes == ()


def test_a_file_and_a_folder_of_one_name_clash(world: World) -> None:
    file = make_wheel("one", "1", files={"thing": "a file"})
    folder = make_wheel("two", "1", files={"thing/x.py": "", "thing/deep/y.py": ""})
    environment, texts = first_and_second(world, file, folder)
    assert environment.clashes == ("one and two both bring thing/deep/y.py and 1 other file; one's are used",)
    assert texts["thing"] == "a file"
    environment, texts = first_and_second(world, folder, file)
    assert environment.clashes == ("two and one both bring thing; two's is used",)
    assert "thing/x.py" in texts


def test_bytecode_is_that_of_the_source_that_won(world: World) -> None:
    one = make_wheel("one", "1", files={"x.py": "print 'no Python 3'\n"})
    two = make_wheel("two", "1", files={"x.py": "X = 'two'\n", "y.py": ""})
    with world.environment(one, two) as environment:
        assert {path.name for path in site(environment).glob("__pycache__/*")} == {f"y.{running().cache_tag}.pyc"}


def test_what_belongs_to_the_environment_itself_cannot_be_replaced(world: World) -> None:
    evil = make_wheel("evil", "1", files={"evil-1.data/data/bin/python": "evil", "evil-1.data/data/pyvenv.cfg": "evil"})
    with world.environment(evil) as environment:
        assert environment.clashes == (
            "evil brings bin/python, which is the environment's own; that is used",
            "evil brings pyvenv.cfg, which is the environment's own; that is used",
        )
        assert asked(environment, "import sys; print(json.dumps(sys.prefix))") == str(environment.folder)


def test_an_entry_point_replaces_the_same_wheels_script_and_never_the_stores_file(world: World) -> None:
    wheel = make_wheel(
        "toy",
        "1.0",
        files={
            "toy.py": "def main(): print('new')",
            "toy-1.0.data/scripts/one": "#!python\nprint('old')",
            "toy-1.0.data/data/bin/two": "#!/bin/sh\necho old",
        },
        entry_points={"one": "toy:main", "two": "toy:main"},
    )
    layer = world.layer(wheel)
    with world.environment(wheel) as environment:
        assert [said(environment.scripts / name) for name in ("one", "two")] == ["new", "new"]
        assert environment.clashes == ()
    assert (layer.folder / "data/bin/two").read_text() == "#!/bin/sh\necho old"


def test_programs_of_the_wheel_that_are_not_scripts_are_taken_as_they_are(world: World) -> None:
    wheel = make_wheel("tool", "1", files={"tool-1.data/scripts/tool": b"\x7fELF"})
    layer = world.layer(wheel)
    with world.environment(wheel) as environment:
        assert (environment.scripts / "tool").samefile(layer.folder / "bin/tool")


# -- nothing reaches the store


def contents(layer: Layer) -> dict[str, tuple[int, bytes]]:
    """Mode and content of every file of a layer, its bytecode included."""
    return {
        path.relative_to(layer.folder).as_posix(): (path.stat().st_mode, path.read_bytes())
        for path in layer.folder.rglob("*")
        if path.is_file()
    }


SPOIL = """
import os, sys
from pathlib import Path
for path in Path(sys.prefix).rglob("*"):
    if path.is_file() and not path.is_symlink():
        path.chmod(0o666)
        path.write_bytes(b"spoilt")
"""


def test_a_test_that_writes_into_a_copied_environment_leaves_the_store_as_it_was(copying: World) -> None:
    layer = copying.layer(TOY)
    before = contents(layer)
    with copying.environment(TOY) as environment:
        assert {(site(environment) / name).stat().st_nlink for name in files_below(site(environment))} == {1}
        said(environment.python, "-c", SPOIL)
        assert (site(environment) / "toy/data.txt").read_bytes() == b"spoilt"
        assert next((site(environment) / "toy").glob("__pycache__/*.pyc")).read_bytes() == b"spoilt"
    assert contents(layer) == before


def test_a_kept_environment_is_copied_even_where_others_are_linked(world: World) -> None:
    layer = world.layer(TOY)
    before = contents(layer)
    with world.environment(TOY, keep="toy") as environment:
        pass
    said(environment.python, "-c", SPOIL)
    assert contents(layer) == before


def test_a_copy_has_the_times_and_the_bytecode_of_the_store_and_can_be_written(copying: World) -> None:
    for python in {one.path: one for one in (*edges(), running())}.values():
        layer = copying.layer(TOY, python)
        with copying.environment(TOY, python=python) as environment:
            copy, source = site(environment) / "toy/__init__.py", layer.site / "toy/__init__.py"
            assert copy.stat().st_mtime_ns == source.stat().st_mtime_ns
            assert (copy.stat().st_mode & 0o777, source.stat().st_mode & 0o777) == (0o644, 0o644)
            assert asked(environment, "import toy; print(json.dumps(toy.__cached__))").endswith(".pyc")
            done = subprocess.run(
                [environment.python, "-v", "-c", "import toy"], capture_output=True, text=True, env={}
            )
            assert f"code object from '{copy.parent}/__pycache__/" in done.stderr


def test_where_the_file_system_shares_blocks_no_byte_is_copied(copying: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_to_share = []

    def share(reading: BinaryIO, writing: BinaryIO) -> bool:
        asked_to_share.append(writing.name)
        writing.write(reading.read())
        return True

    monkeypatch.setattr("tf_tester.env.disk._share_blocks", share)
    monkeypatch.setattr("tf_tester.env.disk._pour", None)
    with copying.environment(TOY) as environment:
        assert said(environment.scripts / "toy") == f"toy {environment.folder}"
    assert f"{site_of(environment)}/toy/data.txt" in asked_to_share


def test_where_it_does_not_it_is_asked_once(copying: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_to_share = []

    def refuse(_: BinaryIO, writing: BinaryIO) -> bool:
        asked_to_share.append(writing.name)
        return False

    monkeypatch.setattr("tf_tester.env.disk._share_blocks", refuse)
    with copying.environment(TOY) as environment:
        assert said(environment.scripts / "toy") == f"toy {environment.folder}"
    assert len(asked_to_share) == 1


# -- the end


def test_it_is_gone_at_the_end(world: World) -> None:
    with world.environment(TOY) as environment:
        (site(environment) / "written by a test").write_text("")
        (site(environment) / "toy").chmod(0o555)
    assert not environment.folder.exists()
    assert world.left == []


def test_it_is_gone_after_an_error_too(world: World) -> None:
    with pytest.raises(KeyError), world.environment(TOY):
        raise KeyError
    assert world.left == []


def test_it_is_kept_when_asked_and_a_later_one_takes_its_place(world: World) -> None:
    with world.environment(TOY, keep="toy-1.0-py3") as environment:
        pass
    assert environment.folder == world.kept / "toy-1.0-py3"
    assert said(environment.scripts / "toy") == f"toy {environment.folder}"
    (environment.folder / "old").write_text("")
    with world.environment(TOY, keep="toy-1.0-py3") as again:
        pass
    assert again.folder == environment.folder
    assert not (again.folder / "old").exists()


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM])
def test_where_links_cannot_be_made_files_are_copied(
    world: World, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tf_tester.env.disk.os.link", refused)
    layer = world.layer(TOY)
    with world.environment(TOY) as environment:
        assert said(environment.scripts / "toy") == f"toy {environment.folder}"
        assert not (site(environment) / "toy/data.txt").samefile(layer.site / "toy/data.txt")
        source = (site(environment) / "toy/__init__.py").stat()
        assert source.st_mtime == (layer.site / "toy/__init__.py").stat().st_mtime


@pytest.mark.parametrize("keep", [None, "kept"])
def test_a_full_disk_is_told_and_leaves_no_half_environment(
    world: World, monkeypatch: pytest.MonkeyPatch, keep: str | None
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tf_tester.env.disk.os.link", full)
    monkeypatch.setattr("tf_tester.env.disk._pour", full)
    with pytest.raises(StoreError, match=r"The disk of the store .* is full"), world.environment(TOY, keep=keep):
        pass
    assert world.left == []
    assert list(world.kept.iterdir()) == []


def test_a_python_that_does_not_work_is_told_in_uvs_words(world: World) -> None:
    layer = world.layer(TOY)
    broken = replace(running(), path=Path("/bin/false"))
    refused = pytest.raises(InstallFailed, match=r"No environment could be made with /bin/false")
    with refused as caught, world.environments.make(broken, [layer], keep=None):
        pass
    assert "/bin/false" in caught.value.detail
    assert caught.value.hint
    assert world.left == []
