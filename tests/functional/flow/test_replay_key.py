"""What of a run gets into the key of a cell: one thing is changed at a time."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.fake_world import FakeWorld
from tf_tester.core.select.runner import Runner
from tf_tester.flow.prepare.services import Services
from tf_tester.flow.run.jobs import TrialJob
from tf_tester.flow.run.replay import Replay
from tf_tester.flow.run.user_files import UserFiles
from tf_tester.model.cell import Cell, CellRequirement, PlannedCell
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.limits import Limits
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.model.request import ScratchPlace, Trial
from tf_tester.sandbox.namespace import NamespaceSandbox
from tf_tester.store.digests import StatusDigests

PYTHON = Interpreter(Path("/opt/bin/python"), "3.11.4", "cpython", "cp311", 64, "cpython-311", build="ab")
PINS = (Pin("gear", "1.0", "gear.whl", "cd", 1, "https://host/gear.whl"), Pin("toy", "1.0", "toy.whl", "ef", 1, ""))


class Case:
    """A run of one cell; a test changes a part of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        for name in ("project/test.py", "project/lib/m.py", "harness/run.py", "harness/rows.py"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)
        services = FakeWorld(folder, lambda _toy, _gear: 0, lambda _event: None).services()
        sandbox: Any = NamespaceSandbox(folder, limits=Limits())
        results: Any = object()
        self.services = replace(
            services,
            execution=replace(services.execution, sandbox=sandbox, harness=folder / "harness/run.py"),
            storage=replace(services.storage, file_digests=StatusDigests(_Nothing(), lambda: 0)),
            history=replace(services.history, results=results),
        )
        self.trial = Trial(cwd=self.folder, pythonpath=(self.folder / "lib",), timeout=9.0)
        self.jobs: tuple[TrialJob, ...] = (TrialJob(Runner.PYTEST, (self.folder / "test.py",)),)
        self.planned = PlannedCell(Cell.of("toy", "1.0", "3.11", Resolution.ERA), PYTHON)
        self.lock = Lock("3.11.4", Resolution.ERA, None, PINS)

    def key(self) -> str:
        store = self.services.storage
        files = UserFiles(self.trial, self.services.run.environ, store.file_digests, (store.root,), is_sandboxed=True)
        return Replay(files, self.jobs, self.services)._key(self.planned, self.lock)

    def change(self, part: str, **fields: Any) -> None:
        """Change fields of a part of the services, or of a value of this case."""
        if part in Services.__struct_fields__:
            self.services = replace(self.services, **{part: replace(getattr(self.services, part), **fields)})
        else:
            setattr(self, part, replace(getattr(self, part), **fields))


class _Nothing:
    def recall(self, key: str) -> None: ...

    def remember(self, key: str, value: object) -> None: ...


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def machine(**fields: str) -> Callable[[Case], None]:
    def change(case: Case) -> None:
        changed = replace(case.services.execution.machine(), **fields)
        case.change("execution", machine=lambda: changed)

    return change


def sandbox(category: str) -> Callable[[Case], None]:
    return lambda case: case.change("execution", sandbox=type("Other", (), {"category": category, "name": "other"})())


def cell(**fields: Any) -> Callable[[Case], None]:
    return lambda case: case.change("planned", cell=replace(case.planned.cell, **fields))


def python(**fields: Any) -> Callable[[Case], None]:
    return lambda case: case.change("planned", interpreter=replace(PYTHON, **fields))


def pins(*changed: Pin) -> Callable[[Case], None]:
    return lambda case: case.change("lock", pins=changed)


def trial(**fields: Any) -> Callable[[Case], None]:
    return lambda case: case.change("trial", **fields)


def environ(**variables: str) -> Callable[[Case], None]:
    return lambda case: case.change("run", environ=variables)


def wrote(name: str, text: str = "another") -> Callable[[Case], object]:
    return lambda case: (case.folder / name).write_text(text)


def jobs(*changed: tuple[Runner, str]) -> Callable[[Case], None]:
    return lambda case: setattr(
        case, "jobs", tuple(TrialJob(runner, (case.folder / target,)) for runner, target in changed)
    )


@pytest.mark.parametrize(
    "change",
    [
        wrote("test.py"),
        wrote("new.py"),
        wrote("lib/m.py"),
        wrote("../harness/rows.py"),
        lambda case: (case.folder / "test.py").chmod(0o755),
        trial(arguments=("-k", "one")),
        trial(command=("python", "test.py")),
        trial(env=(("A", "1"),)),
        trial(pythonpath=()),
        trial(timeout=10.0),
        trial(scratch=ScratchPlace.MEMORY),
        environ(LANG="de_DE.UTF-8"),
        environ(TZ="UTC"),
        environ(LD_LIBRARY_PATH="/opt/lib"),
        jobs((Runner.UNITTEST, "test.py")),
        jobs((Runner.PYTEST, "lib")),
        jobs((Runner.PYTEST, "test.py"), (Runner.SCRIPT, "lib/m.py")),
        cell(requirements=(CellRequirement("toy", "1.1", under_test=True),)),
        cell(requirements=(CellRequirement("toy", "1.0", ("fast",), under_test=True),)),
        cell(requirements=(CellRequirement("toy", "1.0", origin="nightly", under_test=True),)),
        cell(
            requirements=(CellRequirement("toy", "1.0", under_test=True), CellRequirement("gear", specifier="<2"))
        ),
        python(build="cd"),
        pins(*PINS[:1]),
        pins(replace(PINS[0], version="1.1"), PINS[1]),
        pins(replace(PINS[0], sha256="00"), PINS[1]),
        pins(*PINS[::-1]),
        machine(cpu="x86-64-v4"),
        machine(architecture="aarch64"),
        machine(libc="glibc 2.39"),
        machine(distribution="ubuntu 24.04"),
        sandbox("landlock 6"),
        lambda case: case.change("execution", limits_asked=Limits(processes=7)),
        lambda case: case.change("run", tool="tf-tester 9"),
    ],
)  # fmt: skip
def test_what_decides_a_result_is_in_its_key(case: Case, change: Callable[[Case], object]) -> None:
    before = case.key()
    assert before == case.key() != ""
    change(case)
    assert case.key() not in (before, "")


@pytest.mark.parametrize(
    "change",
    [
        wrote("project.json"),
        environ(LANG="C.UTF-8"),
        environ(HOME="/home/other", USER="other", PATH="/other"),
        trial(jobs=7, memory=1 << 30, remarks=("something",), ephemeral=True),
        cell(python="3.11t", attempt="again", lock_name="mine", resolution=Resolution.LATEST),
        python(path=Path("/usr/bin/python3"), provider="path"),
        pins(*(replace(pin, url="https://mirror/x", filename="x.whl") for pin in PINS)),
        lambda case: case.change("execution", limits=Limits(memory=1 << 40)),
        lambda case: case.change("run", id="another", started="later", folder=Path("/elsewhere")),
    ],
)  # fmt: skip
def test_nothing_else_is(case: Case, change: Callable[[Case], object]) -> None:
    case.trial = replace(case.trial, written=(case.folder / "project.json",))
    before = case.key()
    change(case)
    assert case.key() == before


def test_a_run_elsewhere_has_the_same_key(tmp_path: Path) -> None:
    assert Case(tmp_path / "one").key() == Case(tmp_path / "another/and/deeper").key() != ""


def test_a_python_that_does_not_tell_its_build_has_no_key(case: Case) -> None:
    case.planned = PlannedCell(case.planned.cell, replace(PYTHON, build=""))
    assert case.key() == ""


@pytest.mark.skipif(sys.platform != "linux", reason="there are no sandboxes")
def test_sandboxes_in_which_a_test_may_do_different_things_are_of_different_categories(tmp_path: Path) -> None:
    from tf_tester.sandbox.landlock import version
    from tf_tester.sandbox.landlocked import LandlockSandbox

    try:
        version()
    except OSError:
        pytest.skip("there is no Landlock")
    made: list[Any] = [
        NamespaceSandbox(tmp_path, limits=Limits()),
        *(LandlockSandbox(tmp_path, limits=Limits(), abi=n) for n in (1, 2)),
    ]
    assert len({one.category for one in made}) == len(made)
    assert made[0].category == NamespaceSandbox(tmp_path / "other", limits=Limits(memory=7), ways=()).category
