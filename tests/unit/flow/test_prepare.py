"""From a planned cell to its lock: what is asked of the resolver, and what its answers are made into."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec.structs
import pytest

from tf_tester.errors import BuildFailed, DownloadFailed, Unresolvable
from tf_tester.flow.prepare.prepare import LockPolicy, Preparation, Preparer
from tf_tester.flow.prepare.services import Services
from tf_tester.model.artifact import Artifact, ProjectPage
from tf_tester.model.cell import Cell, PlannedCell
from tf_tester.model.framework import Placeholder
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.model.request import Selection, Trial
from tf_tester.ports.resolve import Question
from tf_tester.sandbox.none import NoSandbox

PYTHON = Interpreter(Path("/p"), "3.8.18", "cpython", "cp38", 64, "cpython-38")
OUT = datetime(2021, 6, 1, tzinfo=UTC)
WHEEL = Artifact("toy-1.0-py3-none-any.whl", "toy", "1.0", "https://host/toy", "ab" * 32, 10, OUT)


def pin(name: str, version: str = "1.0") -> Pin:
    return Pin(name, version, f"{name}-{version}-py3-none-any.whl", "ab" * 32, 10, f"https://host/{name}")


class FakeResolver:
    """Answers with what it is told, and remembers the questions."""

    def __init__(self, answer: Callable[[Question], list[Pin]]) -> None:
        self.questions: list[Question] = []
        self.known = True
        self._answer = answer

    def lock(self, question: Question) -> tuple[Lock, bool]:
        self.questions.append(question)
        pins = tuple(self._answer(question))
        return Lock("3.8.18", question.resolution, question.cutoff, pins, ("said by the resolver",)), self.known


def toy_and_tools(question: Question) -> list[Pin]:
    return [pin("pytest", "8.0")] if question.requirements == ("pytest",) else [pin("gear"), pin("toy")]


def prepared(
    resolver: FakeResolver,
    *,
    resolution: Resolution = Resolution.ERA,
    trial: Trial | None = None,
    tools: tuple[str, ...] = (),
    preferred: tuple[str, ...] = (),
    page: tuple[Artifact, ...] = (WHEEL,),
    project: tuple[Pin, bytes] | None = None,
) -> tuple[Lock, bool, Preparation]:
    projects = SimpleNamespace(project_wheel=lambda _folder, _python: project)
    provisioning = SimpleNamespace(resolver=resolver, projects=projects)
    packages = SimpleNamespace(
        same_modules=(frozenset({"toy", "toy-gpu"}), frozenset({"axle", "axle-lite"})),
        placeholders=(Placeholder("empty", "full"),),
    )
    services = cast(Services, SimpleNamespace(provisioning=provisioning, packages=packages))
    selection = Selection("toy", "1.0", grace=timedelta(days=14), allow_build=frozenset({"gear"}))
    preparation = Preparation(PlannedCell(Cell.of("toy", "1.0", "3.8", resolution), PYTHON, WHEEL), PYTHON)
    with ThreadPoolExecutor(1) as pool:
        policy = LockPolicy(tools, preferred=preferred)
        preparer = Preparer(selection, trial or Trial(), ProjectPage("toy", page), services, pool, policy)
        lock, known = preparer.locked(preparation)
    assert preparation.lock == lock
    return lock, known, preparation


def names(lock: Lock) -> list[str]:
    return [f"{one.name} {one.version}" for one in lock.pins]


# -- the question


def test_the_era_ends_after_the_versions_date_and_grace() -> None:
    resolver = FakeResolver(toy_and_tools)
    lock, known, preparation = prepared(resolver, trial=Trial(requirements=("scipy>1",)))
    [question] = resolver.questions
    assert question.requirements == ("toy==1.0", "scipy>1")
    assert question.cutoff == OUT + timedelta(days=14)
    assert (question.good_for, question.interpreter, question.allow_build) == (None, PYTHON, frozenset({"gear"}))
    assert (names(lock), known) == (["gear 1.0", "toy 1.0"], True)
    assert preparation.remarks == ["said by the resolver"]


@pytest.mark.parametrize("resolution", [Resolution.LATEST, Resolution.LOWEST])
def test_other_resolutions_know_no_era_and_are_good_for_today(resolution: Resolution) -> None:
    resolver = FakeResolver(toy_and_tools)
    prepared(resolver, resolution=resolution)
    assert (resolver.questions[0].cutoff, resolver.questions[0].resolution) == (None, resolution)
    assert resolver.questions[0].good_for is not None


def test_a_version_without_a_date_gets_todays_dependencies_and_a_remark() -> None:
    resolver = FakeResolver(toy_and_tools)
    untimed = Artifact("toy-1.0-py3-none-any.whl", "toy", "1.0.0", "https://host/toy")
    _, _, preparation = prepared(resolver, page=(untimed,))
    assert resolver.questions[0].cutoff is None
    assert preparation.remarks[0] == "the index tells no upload time for toy 1.0: dependencies are today's"


# -- the test runner


def test_the_test_runner_is_fitted_beside_the_lock() -> None:
    resolver = FakeResolver(toy_and_tools)
    lock, known, _ = prepared(resolver, tools=("pytest",))
    question = resolver.questions[1]
    assert (question.requirements, question.constraints) == (("pytest",), ("gear==1.0", "toy==1.0"))
    assert (question.resolution, question.cutoff) == (Resolution.LATEST, None)
    assert names(lock) == ["gear 1.0", "pytest 8.0", "toy 1.0"]
    assert known is True


def test_the_runner_is_the_one_that_the_project_asks_for_where_it_can_be_had() -> None:
    def answer(question: Question) -> list[Pin]:
        if "pytest<9" in question.requirements:
            return [pin("pytest", "8.4")]
        if "pytest<3" in question.requirements:
            raise Unresolvable("not for this Python")
        return toy_and_tools(question)

    lock, _, preparation = prepared(FakeResolver(answer), tools=("pytest",), preferred=("pytest<9",))
    assert names(lock) == ["gear 1.0", "pytest 8.4", "toy 1.0"]
    lock, _, preparation = prepared(FakeResolver(answer), tools=("pytest",), preferred=("pytest<3",))
    assert names(lock) == ["gear 1.0", "pytest 8.0", "toy 1.0"]
    assert preparation.remarks[-1] == "the project asks for pytest<3: that can't be had here, any pytest is taken"
    assert names(prepared(FakeResolver(answer), preferred=("pytest<9",))[0]) == ["gear 1.0", "toy 1.0"]


def test_a_runner_that_fits_in_no_way_may_change_the_lock_and_that_is_told() -> None:
    def answer(question: Question) -> list[Pin]:
        if "gear==1.0" in question.constraints:
            raise Unresolvable("nothing fits")
        return (
            [pin("gear", "2.0"), pin("pytest", "8.0")] if "pytest" in question.requirements else toy_and_tools(question)
        )

    lock, _, preparation = prepared(FakeResolver(answer), tools=("pytest",))
    assert names(lock) == ["gear 2.0", "pytest 8.0", "toy 1.0"]
    assert preparation.remarks[-1] == "the test runner needs gear 2.0: 1.0 was replaced"


def test_a_pytest_of_the_locks_own_is_not_called_a_change() -> None:
    def answer(question: Question) -> list[Pin]:
        return [pin("pytest", "8.0")] if question.requirements == ("pytest",) else [pin("pytest", "8"), pin("toy")]

    lock, _, preparation = prepared(FakeResolver(answer), tools=("pytest",))
    assert names(lock) == ["pytest 8.0", "toy 1.0"]
    assert not any("replaced" in remark for remark in preparation.remarks)


# -- the user's own project


def metadata(*requires: str) -> bytes:
    lines = ["Metadata-Version: 2.1", "Name: mine", "Version: 0.1", *(f"Requires-Dist: {line}" for line in requires)]
    return "\n".join(lines).encode() + b"\n\ntext"


def test_a_projects_needs_are_asked_for_but_its_wish_for_the_version_under_test_is_not() -> None:
    resolver = FakeResolver(toy_and_tools)
    needs = metadata("scipy>=1", "Toy<0.5", 'old; python_version < "3"', 'docs; extra == "docs"')
    prepared(resolver, trial=Trial(project=Path("/mine")), project=(pin("mine", "0.1"), needs))
    [question] = resolver.questions
    assert question.requirements == ("toy==1.0", "mine==0.1")
    assert question.local[0].metadata == needs.replace(b"Requires-Dist: Toy<0.5\n", b"")


def test_a_project_is_that_distribution_whoever_requires_it() -> None:
    resolver = FakeResolver(lambda _question: [pin("mine", "0.1"), pin("toy")])
    needs = metadata("gear>=2").replace(b"\n\n", b"\nProvides-Extra: fast\n\n")
    trial = Trial(project=Path("/mine"), extras=("fast",))
    prepared(resolver, trial=trial, project=(pin("mine", "0.1"), needs), tools=("pytest",))
    question, tools = resolver.questions
    assert question.requirements == ("toy==1.0", "mine[fast]==0.1")
    assert [(one.pin.name, one.metadata) for one in question.local] == [("mine", needs)]
    assert tools.local == question.local, "the test runner, too, may require it"


def test_a_project_that_is_the_package_under_test_is_told() -> None:
    with pytest.raises(Unresolvable, match="toy itself"):
        prepared(FakeResolver(toy_and_tools), trial=Trial(project=Path("/toy")), project=(pin("toy", "2.0"), b""))


# -- what stands for one another


def test_the_package_under_test_stands_for_what_brings_the_same_modules() -> None:
    resolver = FakeResolver(toy_and_tools)
    _, _, preparation = prepared(resolver, trial=Trial(requirements=("Toy_GPU>=0.5", "axle", "gear")))
    [question] = resolver.questions
    assert question.requirements == ("toy==1.0", "axle", "gear")
    assert question.alike == {"toy-gpu"}
    assert "toy, which is under test, stands for Toy_GPU>=0.5" in preparation.remarks


def test_distributions_that_overwrite_one_another_are_remarked_on_once() -> None:
    resolver = FakeResolver(lambda _question: [pin("axle"), pin("axle-lite"), pin("toy")])
    _, _, preparation = prepared(resolver)
    told = [remark for remark in preparation.remarks if "axle" in remark]
    assert told == ["axle and axle-lite bring the same modules: which are imported is chance"]


# -- hashes and constraints


def test_constraints_are_a_part_of_the_question() -> None:
    resolver = FakeResolver(toy_and_tools)
    prepared(resolver, trial=Trial(constraints=("gear<2",)))
    assert resolver.questions[0].constraints == ("gear<2",)


def test_a_hash_binds() -> None:
    right = pin("gear").sha256
    trial = Trial(hashes=(("gear", ("0" * 64, right)), ("absent", ("1" * 64,))))
    assert names(prepared(FakeResolver(toy_and_tools), trial=trial)[0]) == ["gear 1.0", "toy 1.0"]
    with pytest.raises(Unresolvable, match="none of the hashes"):
        prepared(FakeResolver(toy_and_tools), trial=Trial(hashes=(("gear", ("0" * 64,)),)))


def test_the_hash_of_a_source_distribution_is_its_own() -> None:
    built = msgspec.structs.replace(pin("gear"), built_from="5" * 64)
    resolver = FakeResolver(lambda _question: [built, pin("toy")])
    assert prepared(resolver, trial=Trial(hashes=(("gear", ("5" * 64,)),)))
    with pytest.raises(Unresolvable):
        prepared(resolver, trial=Trial(hashes=(("gear", (built.sha256,)),)))


def test_a_project_whose_needs_cannot_be_read_is_told() -> None:
    with pytest.raises(BuildFailed, match="mine requires 'a b c'"):
        prepared(
            FakeResolver(toy_and_tools),
            trial=Trial(project=Path("/mine")),
            project=(pin("mine"), metadata("a b c")),
        )


# -- pins


def test_a_pin_names_its_file() -> None:
    wheel = pin("gear").artifact
    assert (wheel.filename, wheel.project, wheel.version) == ("gear-1.0-py3-none-any.whl", "gear", "1.0")
    assert (wheel.url, wheel.sha256, wheel.size) == ("https://host/gear", "ab" * 32, 10)


def test_a_built_wheel_that_is_gone_is_not_looked_for_elsewhere() -> None:
    nowhere = SimpleNamespace(find=lambda *_: None)
    services = SimpleNamespace(
        storage=SimpleNamespace(blobs=nowhere, layers=nowhere),
        run=SimpleNamespace(monotonic=lambda: 0.0),
        execution=SimpleNamespace(sandbox=NoSandbox()),
    )
    preparation = Preparation(PlannedCell(Cell.of("mine", "0.1", "3.8", Resolution.ERA), PYTHON), PYTHON)
    lock = Lock(
        "3.8.18", Resolution.ERA, None, (Pin("mine", "0.1", "mine-0.1-py3-none-any.whl", "ab" * 32, 3, url=""),)
    )
    entered: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        page = ProjectPage("toy", (WHEEL,))
        preparer = Preparer(Selection("toy", "1.0"), Trial(), page, cast(Services, services), pool)
        refused = pytest.raises(DownloadFailed, match="was built here and is no longer in the store")
        with refused as caught, preparer.environment(preparation, lock, entered.append, keep=None):
            pass
    assert caught.value.hint
    assert entered == ["downloading"]


def test_a_placeholder_is_not_asked_for() -> None:
    resolver = FakeResolver(toy_and_tools)
    with pytest.raises(Unresolvable, match="Empty>0 is a placeholder") as caught:
        prepared(resolver, trial=Trial(requirements=("Empty>0",)))
    assert "full" in caught.value.hint
    assert resolver.questions == []


def test_the_era_of_a_version_has_a_shorter_one_for_new_major_releases() -> None:
    resolver = FakeResolver(toy_and_tools)
    prepared(resolver)
    [question] = resolver.questions
    assert (question.released, question.cutoff) == (OUT, OUT + timedelta(days=14))
    assert question.majors_until == OUT + timedelta(days=2)
