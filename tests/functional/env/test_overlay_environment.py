"""An environment of mounts behaves as one that an installer made, costs nothing the second time, spoils no store."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.pythons import edges, find_uv, running
from tests.wheels import make_wheel
from tf_tester.env import overlay_plans
from tf_tester.env.disk import DiskEnvironments, Placement
from tf_tester.env.overlay import OverlayEnvironments
from tf_tester.env.overlay_plans import PLACE, Plans
from tf_tester.errors import IsolationUnavailable, StoreError
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.layer import Layer
from tf_tester.model.host.limits import Limits
from tf_tester.model.host.scheme import InstallScheme, layout_of
from tf_tester.model.host.world import World
from tf_tester.ports.environment import Environment, Environments
from tf_tester.ports.execute import Command
from tf_tester.sandbox.namespace import NamespaceSandbox
from tf_tester.sandbox.server import LaunchServer
from tf_tester.store.folder import StoreFolder, translate
from tf_tester.store.layers import LayerStore
from tf_tester.store.removal import remove_tree

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="overlays are Linux's")

COMPILER = Path(__file__).parents[3] / "src/tf_tester/harness/compile_layer.py"
Wheel = tuple[str, bytes]
Done = subprocess.CompletedProcess[str]
SITE = layout_of(running()).site


class Shop:
    """A store, environments over it, and a sandbox to run things in them."""

    def __init__(self, root: Path, workplace: Path) -> None:
        folder = StoreFolder(root / "store")
        self.root = root
        self.workplace = workplace
        self.plans = folder.root / "plans"
        self._folder = folder
        self._layers = LayerStore(folder, workplace, cpus=2, compiler=COMPILER)
        self.environments = self.another()
        self.sandbox = NamespaceSandbox(root / "worlds", limits=Limits())
        self.scratch = root / "scratch"
        for place in (root / "worlds", self.scratch):
            place.mkdir()

    def another(self) -> OverlayEnvironments:
        """As another process has it."""
        return OverlayEnvironments(
            Plans(self.plans, self.workplace, exclusive=self._folder.exclusive),
            self.on_disk(Placement.LINK),
            translate=lambda error: translate(error, self._folder.root),
        )

    def on_disk(self, placement: Placement) -> DiskEnvironments:
        return DiskEnvironments(
            self.workplace,
            self._folder.kept,
            placement=placement,
            uv=find_uv,
            uv_cache=self.workplace / "uv-interpreters",
            remove_tree=remove_tree,
            translate=lambda error: translate(error, self._folder.root),
        )

    def layer(self, wheel: Wheel, python: Interpreter | None = None) -> Layer:
        path = self.root / wheel[0]
        path.write_bytes(wheel[1])
        return self._layers.layer(wheel[0], sha256(wheel[1]).hexdigest(), path, python or running())

    @contextmanager
    def environment(self, *wheels: Wheel, keep: str | None = None) -> Iterator[Environment]:
        layers = [self.layer(wheel) for wheel in wheels]
        with self.environments.make(running(), layers, keep=keep) as environment:
            yield environment

    def run(self, environment: Environment, *words: object) -> Done:
        """Run a program in the environment, in a world where nothing else can be written but the scratch."""
        needed_sandbox()
        prefixes = {one.path.resolve().parent.parent for one in (running(), *edges())} - {Path("/usr")}
        world = World((self.root, *prefixes), (self.scratch,), environment.overlays)
        command = Command(tuple(map(str, words)), variables(environment, self.scratch), self.scratch)
        return run_to_its_end(self.sandbox.wrap(command, world))

    @property
    def left(self) -> list[str]:
        return sorted(entry.name for entry in self.workplace.iterdir() if entry.name != "uv-interpreters")

    def contents(self, *, plans: bool = True) -> dict[str, tuple[int, bytes]]:
        """Mode and content of every file of the store's layers, and of its plans."""
        return {
            str(path): (path.stat().st_mode, path.read_bytes())
            for folder in (self._folder.layers, *((self.plans,) if plans else ()))
            for path in folder.rglob("*")
            if path.is_file() and not path.is_symlink()
        }


def variables(environment: Environment, scratch: Path) -> dict[str, str]:
    return {"PATH": f"{environment.scripts}:{os.defpath}", "HOME": str(scratch), "TMPDIR": str(scratch)}


def run_to_its_end(command: Command) -> Done:
    """With a standard input that stays open: a launcher takes its end for the order to stop."""
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        with subprocess.Popen(
            command.argv,
            env=dict(command.env),
            cwd=command.cwd,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
        ) as process:
            status = process.wait(120)
        stdout.seek(0)
        stderr.seek(0)
        return Done(command.argv, status, stdout.read(), stderr.read())


@cache
def why_no_sandbox() -> str:
    with tempfile.TemporaryDirectory() as folder:
        try:
            with closing(LaunchServer()) as launchers:
                NamespaceSandbox(Path(folder), limits=Limits()).check(launchers)
        except IsolationUnavailable as error:
            return str(error)
    return ""


def needed_sandbox() -> None:
    if why_no_sandbox():
        pytest.skip(why_no_sandbox())


@pytest.fixture(scope="module")
def known_to_uv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uv")


@contextmanager
def shop_in(root: Path, known_to_uv: Path) -> Iterator[Shop]:
    folder = StoreFolder(root / "store")
    folder.open()
    with folder.workplace() as workplace:
        (workplace / "uv-interpreters").symlink_to(known_to_uv)
        yield Shop(root, workplace)


@pytest.fixture
def shop(tmp_path: Path, known_to_uv: Path) -> Iterator[Shop]:
    with shop_in(tmp_path, known_to_uv) as made:
        yield made


def succeeded(done: Done) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# -- as an installer would have made it

TOY = make_wheel(
    "toy",
    "1.0",
    files={
        "toy/__init__.py": "import sys\ndef main():\n    print('toy', sys.prefix)\ndef fails():\n    return 7\n",
        "toy/part.py": "PART = 1\n",
        "toy/data.txt": "words",
        "toy-1.0.data/scripts/toy-script": "#!python\nimport sys, toy\nprint('script', sys.prefix)\n",
        "toy-1.0.data/scripts/toy-shell": "#!/bin/sh\necho shell\n",
        "toy-1.0.data/data/share/toy.cfg": "shared",
        f"toy-1.0.data/data/{SITE}/toy_beside.py": "BESIDE = 1\n",
    },
    entry_points="[console_scripts]\ntoy = toy:main\ntoy-fails = toy:fails\n[toy.plugins]\npart = toy.part:PART\n",
)
STYLED = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"
ONE = make_wheel(
    "part-one", "1", files={"space/one.py": "NAME = 1\n", "styled/__init__.py": STYLED, "styled/one.py": "NAME = 1\n"}
)
TWO = make_wheel(
    "part-two",
    "2",
    files={"space/two/__init__.py": "NAME = 2\n", "styled/__init__.py": STYLED, "styled/two.py": "NAME = 2\n"},
    requires=["part-one>=1"],
)
HOOK = make_wheel(
    "hook",
    "1",
    files={
        "hook.pth": "import sys; sys.hooked = True\nhook_folder\n",
        "hook_folder/hooked_in.py": "VALUE = 'by path'\n",
    },
)
WHEELS = (TOY, ONE, TWO, HOOK)


@dataclass(frozen=True)
class Subject:
    """One environment of all those wheels, and how programs run in it."""

    kind: str
    environment: Environment
    run: Callable[..., Done]
    layers: Sequence[Layer]
    shop: Shop

    @property
    def site(self) -> str:
        return f"{self.environment.folder}/{SITE}"

    def says(self, code: str) -> Any:
        """What the code hands to `say`."""
        return json.loads(
            succeeded(self.run(self.environment.python, "-c", f"import json\ndef say(x): print(json.dumps(x))\n{code}"))
        )


KINDS = (
    "overlay",
    "folder shown by an overlay",
    pytest.param("linked", marks=pytest.mark.whole),
    pytest.param("copied", marks=pytest.mark.whole),
    pytest.param("venv", marks=pytest.mark.whole),
)


@pytest.fixture(scope="module")
def showroom(tmp_path_factory: pytest.TempPathFactory, known_to_uv: Path) -> Iterator[Shop]:
    """One for all kinds: wheels are unpacked once."""
    with shop_in(tmp_path_factory.mktemp("showroom"), known_to_uv) as made:
        yield made


@pytest.fixture(scope="module", params=KINDS)
def subject(request: pytest.FixtureRequest, showroom: Shop) -> Iterator[Subject]:
    kind: str = request.param
    shop = showroom
    with ExitStack() as stack:
        wheels = (*WHEELS, *native_wheels(), *pip_wheel())
        layers = [shop.layer(wheel) for wheel in wheels]
        if kind == "venv":
            environment = installed(shop, wheels)
        else:
            makers: dict[str, tuple[Environments, str | None]] = {
                "overlay": (shop.environments, None),
                "folder shown by an overlay": (shop.environments, "kept"),
                "linked": (shop.on_disk(Placement.LINK), None),
                "copied": (shop.on_disk(Placement.COPY), None),
            }
            maker, keep = makers[kind]
            environment = stack.enter_context(maker.make(running(), layers, keep=keep))
        assert environment.clashes == ()

        def run(*words: object) -> Done:
            if environment.overlays:
                return shop.run(environment, *words)
            return run_to_its_end(Command(tuple(map(str, words)), variables(environment, shop.scratch), shop.scratch))

        yield Subject(kind, environment, run, layers, shop)


def installed(shop: Shop, wheels: Sequence[Wheel]) -> Environment:
    """An ordinary virtual environment, and an ordinary installer."""
    folder = shop.root / "venv"
    python = folder / "bin/python"
    for words in (
        (running().path, "-m", "venv", "--without-pip", folder),
        (
            *(find_uv(), "pip", "install", "--python", python, "--no-index", "--no-deps", "--offline", "--no-cache"),
            *("--quiet", "--compile-bytecode", *(shop.root / name for name, _ in wheels)),
        ),
    ):
        subprocess.run([str(word) for word in words], check=True, env={"PATH": os.defpath}, capture_output=True)
    return Environment(folder=folder, python=python, scripts=folder / "bin")


@cache
def native_wheels() -> tuple[Wheel, ...]:
    """A library, and one that finds it in another wheel's folder; none where there is no compiler."""
    gcc = shutil.which("gcc")
    if gcc is None:
        return ()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name in ("base_libs/lib", "user_ext/lib"):
            (place / name).mkdir(parents=True)
        (place / "base.c").write_text("int base(void) { return 41; }\n")
        (place / "user.c").write_text("int base(void); int user(void) { return base() + 1; }\n")
        base, user = place / "base_libs/lib/libbase.so", place / "user_ext/lib/libuser.so"
        path = "-Wl,--enable-new-dtags,-rpath,$ORIGIN/../../base_libs/lib"
        for words in (
            (gcc, "-shared", "-fPIC", "-o", base, place / "base.c"),
            (gcc, "-shared", "-fPIC", "-o", user, place / "user.c", f"-L{base.parent}", "-lbase", path),
        ):
            subprocess.run([str(word) for word in words], check=True, capture_output=True)
        libraries = {f"base_libs/lib/{base.name}": base.read_bytes()}
        extension = {f"user_ext/lib/{user.name}": user.read_bytes()}
    return make_wheel("base-libs", "1", files=libraries), make_wheel("user-ext", "1", files=extension)


@cache
def pip_wheel() -> tuple[Wheel, ...]:
    """The one that comes with Python; none where a distributor took it out."""
    import ensurepip

    [*found] = (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl")
    return tuple((path.name, path.read_bytes()) for path in found[:1])


def pip_in(subject: Subject) -> tuple[object, ...]:
    if not pip_wheel():
        pytest.skip("this Python brings no pip")
    words = (subject.environment.python, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir")
    return (*words, "--no-color")


def test_scripts_run_and_end_with_their_own_status(subject: Subject) -> None:
    assert succeeded(subject.run(subject.environment.scripts / "toy")) == f"toy {subject.environment.folder}"
    assert succeeded(subject.run("toy")) == f"toy {subject.environment.folder}"
    assert subject.run("toy-fails").returncode == 7
    assert succeeded(subject.run("toy-script")) == f"script {subject.environment.folder}"
    assert succeeded(subject.run("toy-shell")) == "shell"


def test_metadata_is_that_of_the_wheels(subject: Subject) -> None:
    names = subject.says(
        "from importlib.metadata import distributions\n"
        "say(sorted([d.metadata['Name'], d.version] for d in distributions() if d.metadata['Name'] != 'pip'))"
    )
    natives = [["base-libs", "1"], ["user-ext", "1"]] if native_wheels() else []
    assert names == sorted([["hook", "1"], ["part-one", "1"], ["part-two", "2"], ["toy", "1.0"], *natives])
    assert subject.says("from importlib.metadata import requires; say(requires('part-two'))") == ["part-one>=1"]
    assert subject.says(
        "from importlib.metadata import distribution\n"
        "say(sorted([e.group, e.name, e.value] for e in distribution('toy').entry_points))"
    ) == [
        ["console_scripts", "toy", "toy:main"],
        ["console_scripts", "toy-fails", "toy:fails"],
        ["toy.plugins", "part", "toy.part:PART"],
    ]


def test_the_files_of_a_distribution_are_where_its_metadata_says(subject: Subject) -> None:
    up = "../" * (SITE.count("/") + 1)
    listed = subject.says(
        "from importlib.metadata import files\n"
        "say(sorted([str(f), f.locate().exists()] for f in files('toy') "
        "if f.suffix != '.pyc' and f.name not in ('INSTALLER', 'REQUESTED', 'direct_url.json', 'uv_cache.json')))"
    )
    assert listed == [
        [name, True]
        for name in sorted(
            [
                *(f"{up}bin/{name}" for name in ("toy", "toy-fails", "toy-script", "toy-shell")),
                f"{up}share/toy.cfg",
                *(f"toy-1.0.dist-info/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt")),
                *("toy/__init__.py", "toy/part.py", "toy/data.txt", "toy_beside.py"),
            ]
        )
    ]
    digests = subject.says(
        "from importlib.metadata import files\nfrom base64 import urlsafe_b64encode as b\nfrom hashlib import sha256\n"
        "say([str(f) for f in files('toy') if f.hash and f.suffix != '.pyc' and "
        "b(sha256(f.locate().read_bytes()).digest()).rstrip(b'=').decode() != f.hash.value])"
    )
    assert digests == []


def test_it_is_a_virtual_environment_to_itself(subject: Subject) -> None:
    prefix, base, executable = subject.says("import sys; say([sys.prefix, sys.base_prefix, sys.executable])")
    assert prefix == str(subject.environment.folder) != base
    assert executable == str(subject.environment.python)
    paths = subject.says("import sysconfig; say(sysconfig.get_paths())")
    relative = {name: os.path.relpath(paths[name], prefix) for name in ("purelib", "platlib", "scripts", "data")}
    assert relative == {"purelib": SITE, "platlib": SITE, "scripts": "bin", "data": "."}
    assert subject.says("import site; say(site.getsitepackages())") == [subject.site]
    assert subject.says("import os, sys; say(os.path.realpath(sys.prefix + '/lib64'))") == f"{prefix}/lib"


def test_site_packages_holds_what_the_wheels_bring_and_nothing_else(subject: Subject) -> None:
    names = set(subject.says(f"import os; say(os.listdir({subject.site!r}))")) - {"__pycache__"}
    infos = {name for name in names if name.endswith(".dist-info")}
    natives = {"base_libs", "user_ext"} if native_wheels() else set()
    pip = {"pip"} if pip_wheel() else set()
    uvs = {"_virtualenv.py", "_virtualenv.pth", "_distutils_hack"}
    assert names - infos - uvs == {
        *("toy", "toy_beside.py", "space", "styled", "hook.pth", "hook_folder"),
        *natives,
        *pip,
    }
    assert len(infos) == len(subject.layers)


@pytest.mark.whole
def test_pip_lists_its_distributions(subject: Subject) -> None:
    listed = json.loads(succeeded(subject.run(*pip_in(subject), "list", "--format=json")))
    assert {"name": "toy", "version": "1.0"} in listed
    assert len(listed) == len(subject.layers)
    assert "No broken requirements" in succeeded(subject.run(*pip_in(subject), "check"))


def test_an_environment_can_be_made_in_it(subject: Subject) -> None:
    inner = subject.shop.scratch / f"inner {subject.kind}"
    succeeded(subject.run(subject.environment.python, "-m", "venv", "--without-pip", inner))
    said = succeeded(subject.run(inner / "bin/python", "-c", "import sys; print(sys.prefix)"))
    assert said == str(inner)
    assert subject.run(inner / "bin/python", "-c", "import toy").returncode == 1


def test_packages_that_several_wheels_share_are_whole(subject: Subject) -> None:
    code = "import space.one, space.two, styled.one, styled.two\n"
    code += "say([space.one.NAME, space.two.NAME, styled.one.NAME, styled.two.NAME, len(space.__path__)])"
    assert subject.says(code) == [1, 2, 1, 2, 1]


def test_a_library_finds_one_of_another_wheel_beside_it(subject: Subject) -> None:
    if not native_wheels():
        pytest.skip("there is no gcc to make one with")
    assert subject.says(f"import ctypes; say(ctypes.CDLL('{subject.site}/user_ext/lib/libuser.so').user())") == 42


def test_data_is_found_where_the_wheel_says(subject: Subject) -> None:
    code = "import sys, toy\nfrom importlib.resources import files\n"
    code += "say([files('toy').joinpath('data.txt').read_text(), open(sys.prefix + '/share/toy.cfg').read()])"
    assert subject.says(code) == ["words", "shared"]
    assert subject.says("import toy_beside; say(toy_beside.__file__)") == f"{subject.site}/toy_beside.py"


def test_path_configuration_files_work(subject: Subject) -> None:
    assert subject.says("import sys, hooked_in; say([sys.hooked, hooked_in.VALUE])") == [True, "by path"]


def test_imports_use_the_bytecode_that_is_there_and_write_none(subject: Subject) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "def compiled(): return sorted([str(p), p.stat().st_mtime_ns] for p in Path(sys.prefix).rglob('*.pyc'))\n"
        "before = compiled()\nimport toy.part, space.two, styled.one\n"
        "say([before == compiled(), os.path.exists(toy.part.__cached__), toy.part.__cached__, "
        "Path(toy.part.__cached__).read_bytes().hex(), toy.main.__code__.co_filename])"
    )
    same, exists, cached, content, source = subject.says(code)
    assert same
    assert exists
    assert cached == f"{subject.site}/toy/__pycache__/part.{running().cache_tag}.pyc"
    assert source == f"{subject.site}/toy/__init__.py"
    if subject.kind != "venv":
        [toy, *_] = subject.layers
        assert bytes.fromhex(content) == (toy.site / f"toy/__pycache__/part.{running().cache_tag}.pyc").read_bytes()


CHANGES = """
import os, shutil, sys
from pathlib import Path
site = Path(SITE)
(site / "fresh.py").write_text("VALUE = 'fresh'")
(site / "toy/data.txt").unlink()
(site / "toy/data.txt").write_text("other words")
(site / "toy/part.py").chmod(0o644)
(site / "toy/part.py").write_text("PART = 2")
shutil.rmtree(site / "styled")
shutil.rmtree(site / "toy/__pycache__")
(Path(sys.prefix) / "share/toy.cfg").chmod(0o666)
(Path(sys.prefix) / "share/toy.cfg").write_text("changed")
(Path(sys.prefix) / "bin/toy").write_text("changed")
(Path(sys.prefix) / "pyvenv.cfg").write_text("changed")
import fresh, toy.part
say([fresh.VALUE, (site / "toy/data.txt").read_text(), toy.part.PART, os.path.exists(site / "styled")])
"""


def test_what_is_written_into_it_is_there_and_vanishes(subject: Subject) -> None:
    if not subject.environment.overlays:
        pytest.skip("nothing stands between the program and this folder")
    before = subject.shop.contents()
    assert subject.says(CHANGES.replace("SITE", repr(subject.site))) == ["fresh", "other words", 2, False]
    assert subject.shop.contents() == before
    assert subject.says("import toy.part, styled.one; say(toy.part.PART)") == 1
    assert subject.run(subject.environment.python, "-c", "import fresh").returncode == 1


@pytest.mark.whole
def test_a_test_can_install_and_remove_distributions(subject: Subject) -> None:
    if not subject.environment.overlays:
        pytest.skip("the others would see it")
    name, content = make_wheel("late", "1", files={"late.py": "VALUE = 'late'\n"}, entry_points={"late": "late:main"})
    (subject.shop.root / name).write_bytes(content)
    pip = " ".join(map(str, pip_in(subject)))
    steps = [
        f"{pip} install --quiet --no-index --no-deps '{subject.shop.root / name}'",
        "python -c 'import late; print(late.VALUE)'",
        f"test -x {subject.environment.scripts}/late",
        f"{pip} uninstall --quiet --yes toy",
        "! python -c 'import toy' 2>/dev/null",
        f"! test -e {subject.environment.scripts}/toy",
        f"! test -e {subject.environment.folder}/share/toy.cfg",
    ]
    assert succeeded(subject.run("/bin/sh", "-ec", "\n".join(steps))) == "late"
    assert succeeded(subject.run("toy")) == f"toy {subject.environment.folder}"


def test_the_oldest_and_the_newest_python_use_the_bytecode_of_the_store(shop: Shop) -> None:
    wheel = make_wheel("plain", "1", files={"plain.py": "VALUE = 1\n"})
    for python in edges():
        with shop.environments.make(python, [shop.layer(wheel, python)], keep=None) as environment:
            done = shop.run(environment, environment.python, "-v", "-c", "import plain, sys; print(sys.prefix)")
            assert succeeded(done) == str(PLACE)
            site = PLACE / layout_of(python).site
            assert f"code object from '{site}/__pycache__/plain.{python.cache_tag}.pyc'" in done.stderr


@pytest.mark.parametrize(
    ("version", "implementation", "abi", "site"),
    [
        ("3.6.15", "cpython", "cp36m", "lib/python3.6/site-packages"),
        ("3.13.0", "cpython", "cp313", "lib/python3.13/site-packages"),
        ("3.13.0", "cpython", "cp313t", "lib/python3.13t/site-packages"),
        ("3.7.9", "pypy", "pypy37_pp73", "site-packages"),
        ("3.10.14", "pypy", "pypy310_pp73", "lib/pypy3.10/site-packages"),
    ],
)
def test_each_kind_of_python_has_its_own_site_packages(version: str, implementation: str, abi: str, site: str) -> None:
    python = replace(running(), version=version, implementation=implementation, abi=abi)
    assert layout_of(python) == InstallScheme(site, "bin")


# -- worked out once


def forbidden(*_: object) -> Any:
    raise AssertionError("it was worked out again")


def test_the_second_environment_of_a_lock_works_nothing_out(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with shop.environment(TOY, ONE) as first:
        pass
    monkeypatch.setattr(overlay_plans, "arrange", forbidden)
    layers = [dataclasses.replace(shop.layer(wheel), listed=forbidden) for wheel in (TOY, ONE)]
    with shop.another().make(running(), layers, keep=None) as second:
        assert second == first
    assert shop.left == []


def test_an_environment_writes_nothing(shop: Shop) -> None:
    with shop.environment(TOY):
        pass
    before = shop.contents()
    with shop.environment(TOY):
        assert shop.left == []
        assert shop.contents() == before


def test_the_order_of_layers_and_the_interpreter_make_another_plan(shop: Shop) -> None:
    layers = [shop.layer(ONE), shop.layer(TWO)]
    for python, order in (
        (running(), layers),
        (running(), layers[::-1]),
        (replace(running(), path=Path("/usr/bin/python3")), layers),
    ):
        with shop.environments.make(python, order, keep=None) as environment:
            assert (environment.overlays[0].lowers[0] / "bin/python").readlink() == python.path
    assert len(list(shop.plans.iterdir())) == 3


def truncated(plan: Path) -> None:
    content = (plan / "plan.json").read_bytes()
    (plan / "plan.json").write_bytes(content[: len(content) // 2])


def without_program(plan: Path) -> None:
    (plan / "face/bin/toy").unlink()


def other_program(plan: Path) -> None:
    (plan / "face/bin/toy").write_bytes((plan / "face/bin/toy").read_bytes().replace(b"toy", b"yot"))


def other_link(plan: Path) -> None:
    (plan / "face/bin/python").unlink()
    (plan / "face/bin/python").symlink_to("/bin/false")


def a_file(plan: Path) -> None:
    shutil.rmtree(plan)
    plan.write_text("")


def no_program_any_more(plan: Path) -> None:
    (plan / "face/bin/toy").chmod(0o644)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut off": truncated,
    "empty": lambda plan: (plan / "plan.json").write_bytes(b""),
    "lying": lambda plan: (plan / "plan.json").write_bytes((plan / "plan.json").read_bytes().replace(b"site", b"sits")),
    "without its answer": lambda plan: (plan / "plan.json").unlink(),
    "without its face": lambda plan: shutil.rmtree(plan / "face"),
    "without a program": without_program,
    "with another program": other_program,
    "with one that can't be run": no_program_any_more,
    "with another Python": other_link,
    "with a module too many": lambda plan: (plan / "face" / SITE / "toy.py").write_text("evil"),
    "a file": a_file,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_plan_that_is_damaged_is_made_anew(shop: Shop, damage: str) -> None:
    with shop.environment(TOY) as first:
        right = shop.contents()
    [plan] = shop.plans.iterdir()
    DAMAGES[damage](plan)
    with shop.environment(TOY) as second:
        assert second == first
        assert shop.contents() == right
        assert (plan / "face/bin/python").readlink() == running().path


def test_many_at_once_work_it_out_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [shop.layer(TOY)]
    worked_out = []
    write = overlay_plans._write

    def counted(*words: Any) -> None:
        worked_out.append(1)
        write(*words)

    monkeypatch.setattr(overlay_plans, "_write", counted)

    def work(_: int) -> Environment:
        with shop.another().make(running(), layers, keep=None) as environment:
            return environment

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(work, range(8)))
    assert (len(worked_out), len(set(made))) == (1, 1)


def test_a_plan_that_cannot_be_written_is_the_stores_trouble(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(overlay_plans, "_write", full)
    with pytest.raises(StoreError, match=r"The disk of the store .* is full"), shop.environment(TOY):
        pass
    assert shop.left == []
    assert list(shop.plans.iterdir()) == []


# -- two that bring one thing


def imported(shop: Shop, environment: Environment, code: str) -> Done:
    return shop.run(environment, environment.python, "-c", code)


@pytest.mark.parametrize(("first", "second"), [("one", "two"), ("two", "one")])
def test_of_two_that_bring_a_file_the_first_wins_with_its_own_bytecode(shop: Shop, first: str, second: str) -> None:
    wheels = [
        make_wheel(name, "1", files={"shared/x.py": f"X = '{name}'\n", f"shared/{name}.py": "from .x import X\n"})
        for name in (first, second)
    ]
    with shop.environment(*wheels) as environment:
        assert environment.clashes == (f"{first} and {second} both bring shared/x.py; {first}'s is used",)
        code = "import os, shared.x, shared.one, shared.two; print(shared.one.X, shared.two.X, "
        code += "shared.x.X, os.stat(shared.x.__cached__).st_size > 0)"
        assert succeeded(imported(shop, environment, code)) == f"{first} {first} {first} True"


def test_a_source_without_bytecode_is_not_run_as_the_others(shop: Shop) -> None:
    one = make_wheel("one", "1", files={"x.py": "print 'no Python 3'\n"})
    two = make_wheel("two", "1", files={"x.py": "X = 'two'\n", "y.py": "Y = 1\n"})
    with shop.environment(one, two) as environment:
        assert environment.clashes == ("one and two both bring x.py; one's is used",)
        assert "SyntaxError" in imported(shop, environment, "import x").stderr
        assert succeeded(imported(shop, environment, "import y; print(y.Y)")) == "1"


def test_the_bytecode_of_a_data_file_is_no_other_wheels(shop: Shop) -> None:
    one = make_wheel("one", "1", files={f"one-1.data/data/{SITE}/x.py": "X = 'one'\n"})
    two = make_wheel("two", "1", files={"x.py": "X = 'two'\n"})
    for wheels, used in (((one, two), "one"), ((two, one), "two")):
        with shop.environment(*wheels) as environment:
            [clash] = environment.clashes
            assert clash.endswith(f"both bring x.py; {used}'s is used")
            assert succeeded(imported(shop, environment, "import x; print(x.X)")) == used


def test_equal_files_are_no_clash(shop: Shop) -> None:
    wheels = (make_wheel(name, "1", files={"shared/__init__.py": "# both\n"}) for name in ("one", "two"))
    with shop.environment(*wheels) as environment:
        assert environment.clashes == ()


def test_data_files_clash_too(shop: Shop) -> None:
    one, two = (make_wheel(name, "1", files={f"{name}-1.data/data/etc/x.cfg": name}) for name in ("one", "two"))
    for wheels, used, other in (((one, two), "one", "two"), ((two, one), "two", "one")):
        with shop.environment(*wheels) as environment:
            assert environment.clashes == (f"{used} and {other} both bring etc/x.cfg; {used}'s is used",)
            assert succeeded(shop.run(environment, "cat", PLACE / "etc/x.cfg")) == used


def test_scripts_of_every_kind_clash_in_every_order(shop: Shop) -> None:
    kinds = {
        "script": make_wheel("script", "1", files={"script-1.data/scripts/run": "#!python\nprint('script')"}),
        "shell": make_wheel("shell", "1", files={"shell-1.data/scripts/run": "#!/bin/sh\necho shell"}),
        "entry": make_wheel(
            "entry", "1", files={"entry.py": "def main(): print('entry')"}, entry_points={"run": "entry:main"}
        ),
        "plain": make_wheel("plain", "1", files={"plain-1.data/data/bin/run": "echo plain"}),
    }
    for first in kinds:
        for second in kinds.keys() - {first}:
            with shop.environment(kinds[first], kinds[second]) as environment:
                assert environment.clashes == (f"{first} and {second} both bring bin/run; {first}'s is used",)
                how = ("sh", PLACE / "bin/run") if first == "plain" else (PLACE / "bin/run",)
                assert succeeded(shop.run(environment, *how)) == first


def test_a_file_and_a_folder_of_one_name_are_told_and_nothing_is_hidden(shop: Shop) -> None:
    file = make_wheel("one", "1", files={"thing": "a file", "one.py": "ONE = 1\n"})
    folder = make_wheel("two", "1", files={"thing/x.py": "X = 1\n", "two.py": "TWO = 2\n"})
    for wheel in (file, folder):
        shop.layer(wheel)
    before = shop.contents(plans=False)
    for wheels, clash, code in (
        ((file, folder), "one and two both bring thing/x.py; one's is used", "open(P + '/thing')"),
        ((folder, file), "two and one both bring thing; two's is used", "import thing.x"),
    ):
        with shop.environment(*wheels) as environment:
            assert environment.clashes == (clash,)
            place = f"{environment.folder}/{SITE}"
            code = f"P = {place!r}; import one, two; {code}; open(P + '/new.py', 'w')"
            code += "; import os; os.chmod(P + '/one.py', 0o666); open(P + '/one.py', 'w').write('spoilt')"
            assert succeeded(imported(shop, environment, code)) == ""
            assert not Path(place, "new.py").exists()
            assert shop.contents(plans=False) == before
    assert shop.left == []


def test_what_belongs_to_the_environment_itself_cannot_be_replaced(shop: Shop) -> None:
    evil = make_wheel(
        "evil",
        "1",
        files={f"evil-1.data/data/{name}": "evil" for name in ("bin/python", "pyvenv.cfg", "lib64")},
    )
    with shop.environment(evil) as environment:
        assert environment.clashes == tuple(
            f"evil brings {name}, which is the environment's own; that is used"
            for name in ("bin/python", "lib64", "pyvenv.cfg")
        )
        code = "import sys; print(sys.prefix, open(sys.prefix + '/pyvenv.cfg').read().count('evil'))"
        assert succeeded(imported(shop, environment, code)) == f"{PLACE} 0"


def test_what_a_wheel_puts_into_lib64_is_seen(shop: Shop) -> None:
    wheel = make_wheel("wide", "1", files={"wide-1.data/data/lib64/wide.txt": "wide", "wide.py": ""})
    with shop.environment(wheel) as environment:
        assert environment.clashes == ()
        for folder in ("lib", "lib64"):
            assert succeeded(shop.run(environment, "cat", environment.folder / folder / "wide.txt")) == "wide"


def test_an_entry_point_stands_for_the_same_wheels_script(shop: Shop) -> None:
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
    with shop.environment(wheel) as environment:
        assert environment.clashes == ()
        assert [succeeded(shop.run(environment, PLACE / f"bin/{name}")) for name in ("one", "two")] == ["new", "new"]


def test_a_compiled_program_is_not_copied(shop: Shop) -> None:
    program = Path("/bin/true").resolve().read_bytes()
    wheel = make_wheel("tool", "1", files={"tool-1.data/scripts/tool": program + b"\0" * 100_000})
    layer = shop.layer(wheel)
    with shop.environment(wheel) as environment:
        assert (environment.overlays[0].lowers[0] / "bin/tool").samefile(layer.folder / "bin/tool")
        assert succeeded(shop.run(environment, "tool")) == ""


# -- more than the kernel takes, and what is kept


@pytest.mark.whole
def test_more_layers_than_the_kernel_takes_are_one_environment_that_can_be_written(shop: Shop) -> None:
    # Without modules: each of them would be compiled in a process of its own.
    wheels = [make_wheel(f"m{number}", "1", files={f"m{number}.txt": f"{number}"}) for number in range(260)]
    layers = [shop.layer(wheel) for wheel in wheels]
    before = shop.contents(plans=False)
    with shop.environments.make(running(), layers, keep=None) as environment:
        code = (
            f"import os\nos.chdir({str(environment.folder / SITE)!r})\n"
            "print(sum(int(open(f'm{n}.txt').read()) for n in range(260)))\n"
            "os.chmod('m7.txt', 0o666)\nopen('m7.txt', 'w').write('spoilt')\nprint(open('m7.txt').read())"
        )
        assert succeeded(imported(shop, environment, code)).split() == [str(sum(range(260))), "spoilt"]
        code = f"print(open({str(environment.folder / SITE / 'm7.txt')!r}).read())"
        assert succeeded(imported(shop, environment, code)) == "7"
        assert shop.contents(plans=False) == before
    assert shop.left == []


def test_what_a_test_writes_is_not_in_the_environment_that_is_kept(shop: Shop) -> None:
    with shop.environment(TOY, keep="toy") as environment:
        place = environment.folder / SITE
        code = f"open('{place}/new.py', 'w'); import new, sys; print(sys.prefix)"
        assert succeeded(imported(shop, environment, code)) == str(environment.folder)
        assert not (place / "new.py").exists()
    assert (place / "toy/data.txt").stat().st_nlink == 1
