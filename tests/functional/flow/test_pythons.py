"""The Python of a cell is chosen for all that it installs."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from tests.fake_world import FakeWorld
from tf_tester.core.select.matrix import hypothetical
from tf_tester.errors import IndexUnreachable, Unresolvable
from tf_tester.flow.explain.bisect import Bisection, BisectRequest, bisect
from tf_tester.flow.explain.why import explain_failures
from tf_tester.flow.run.frame import Run
from tf_tester.flow.run.test import test as run_matrix
from tf_tester.model.cause import Verdict
from tf_tester.model.events import CellExplained, CellFinished, Event, RunStarted
from tf_tester.model.host.platform import Platform
from tf_tester.model.lock import Lock
from tf_tester.model.outcome import CellResult, Outcome
from tf_tester.model.request import Selection, Trial
from tf_tester.ports.resolve import Question


class Matrix:
    """A run of toy 1.0 and 1.1 on a machine with Python 3.12, 3.11 (which toy gets by itself), 3.10 and 3.9."""

    def __init__(self, folder: Path, resolves: dict[str, set[str]]) -> None:
        """`resolves`: the Pythons by version of toy on which everything goes together."""
        self.asked: list[tuple[str, str]] = []
        self.events: list[Event] = []
        self._world = FakeWorld(folder, lambda toy, gear: 0, self.events.append)
        self._world.pythons = [hypothetical((3, minor), Platform()) for minor in (12, 10, 9)]
        self._resolves = resolves
        self._own = self._world.lock
        self._world.lock = self._lock

    def _lock(self, question: Question) -> Lock:
        version = question.requirements[0].split("==")[1]
        self.asked.append((version, question.interpreter.label))
        if question.interpreter.label not in self._resolves[version]:
            raise Unresolvable("nothing fits")
        return self._own(question)

    def run(self, *requirements: str, pythons: tuple[str, ...] = ()) -> dict[str, Outcome]:
        selection = Selection("toy", "1.0,1.1", pythons=pythons)
        run_matrix(selection, Trial(command=("true",), requirements=requirements), self._world.services())
        return {event.result.cell: event.result.outcome for event in self.events if isinstance(event, CellFinished)}

    @property
    def remarks(self) -> tuple[str, ...]:
        [started] = [event for event in self.events if isinstance(event, RunStarted)]
        return started.remarks


def test_another_python_is_taken_where_all_goes_together_there_alone(tmp_path: Path) -> None:
    matrix = Matrix(tmp_path, {"1.0": {"3.9", "3.12"}, "1.1": {"3.11", "3.10"}})
    assert matrix.run("gear<2") == {"toy==1.0@py3.12@era": Outcome.PASS, "toy==1.1@py3.11@era": Outcome.PASS}
    assert [python for version, python in matrix.asked if version == "1.0"][:3] == ["3.11", "3.10", "3.12"]
    assert matrix.remarks == ("toy 1.0 on Python 3.12: on 3.11 what is required doesn't go together",)


def test_where_no_python_does_the_cell_keeps_its_own(tmp_path: Path) -> None:
    matrix = Matrix(tmp_path, {"1.0": set(), "1.1": {"3.11"}})
    outcomes = matrix.run("gear<2")
    assert outcomes == {"toy==1.0@py3.11@era": Outcome.UNRESOLVABLE, "toy==1.1@py3.11@era": Outcome.PASS}
    assert matrix.remarks == ()


@pytest.mark.parametrize(("requirements", "pythons"), [((), ()), (("gear<2",), ("3.11",))])
def test_a_python_that_was_asked_for_and_a_package_alone_keep_theirs(
    tmp_path: Path, requirements: tuple[str, ...], pythons: tuple[str, ...]
) -> None:
    matrix = Matrix(tmp_path, {"1.0": {"3.9"}, "1.1": {"3.9"}})
    assert set(matrix.run(*requirements, pythons=pythons).values()) == {Outcome.UNRESOLVABLE}
    assert {python for _, python in matrix.asked} == {"3.11"}


def test_an_index_that_does_not_answer_is_no_reason_for_another_python(tmp_path: Path) -> None:
    matrix = Matrix(tmp_path, {})

    def silent(question: Question) -> Lock:
        matrix.asked.append(("", question.interpreter.label))
        raise IndexUnreachable("the index is silent")

    matrix._world.lock = silent
    assert set(matrix.run("gear<2").values()) == {Outcome.DOWNLOAD_FAILED}
    assert {python for _, python in matrix.asked} == {"3.11"}


# -- searches


def bisected(matrix: Matrix, *requirements: str) -> Bisection:
    matrix._world.behaviour = lambda toy, _gear: int(toy == "1.2")
    trial = Trial(command=("true",), requirements=requirements)
    request = BisectRequest("1.0", "1.2")
    return bisect(Selection("toy", "1.0"), trial, matrix._world.services(), request, lambda _probe, _left: None)


def test_a_search_takes_another_python_for_a_version_that_needs_one(tmp_path: Path) -> None:
    matrix = Matrix(tmp_path, {"1.0": {"3.11"}, "1.1": {"3.9", "3.12"}, "1.2": {"3.11", "3.12"}})
    found = bisected(matrix, "gear<2")
    assert [(probe.version, probe.python) for probe in found.probes] == [
        ("1.0", "3.11"),
        ("1.2", "3.11"),
        ("1.1", "3.12"),
    ]
    assert (found.changes[0].before, found.changes[0].after) == (1, 2)
    assert found.remarks == (
        "the same on Python 3.12 for both",
        "toy 1.1 on Python 3.12: on 3.11 what is required doesn't go together",
    )


def test_a_search_asks_nothing_of_versions_that_it_does_not_run(tmp_path: Path) -> None:
    everywhere = {"3.12", "3.11", "3.10", "3.9"}
    matrix = Matrix(tmp_path, {"1.0": everywhere, "1.1": everywhere, "1.2": everywhere})
    assert {probe.python for probe in bisected(matrix, "gear<2").probes} == {"3.11"}
    assert {python for _, python in matrix.asked} == {"3.11"}


@pytest.mark.parametrize(
    ("breaks", "verdict", "told"),
    [
        ("toy", Verdict.FRAMEWORK, "both on Python 3.12, where it fails, too"),
        ("gear", Verdict.PYTHON, "passes on Python 3.12, with the dependencies that it has there"),
    ],
)
def test_where_nothing_passes_on_the_same_python_both_are_put_on_one(
    tmp_path: Path, breaks: str, verdict: Verdict, told: str
) -> None:
    """toy 1.0 runs on 3.12 alone; there gear is 1.0."""
    matrix = Matrix(tmp_path, {"1.0": {"3.12"}, "1.1": {"3.11", "3.12"}})
    own = matrix._own

    def lock(question: Question) -> Lock:
        gear = "2.0" if question.interpreter.label == "3.11" else "1.0"
        return own(msgspec.structs.replace(question, requirements=(*question.requirements, f"gear=={gear}")))

    matrix._own = lock
    matrix._world.behaviour = lambda toy, gear: int(toy == "1.1" if breaks == "toy" else gear == "2.0")
    trial = Trial(command=("true",), requirements=("gear",))

    def explain(run: Run, results: Mapping[str, CellResult]) -> tuple[CellResult, ...]:
        explain_failures(run, results, lambda _step: None)
        return ()

    run_matrix(Selection("toy", "1.0,1.1"), trial, matrix._world.services(), after=explain)
    [explained] = [event.explanation for event in matrix.events if isinstance(event, CellExplained)]
    assert (explained.cell.name, explained.verdict) == ("toy==1.1@py3.11@era", verdict)
    assert explained.against.python == "3.12"
    assert told in explained.remarks
