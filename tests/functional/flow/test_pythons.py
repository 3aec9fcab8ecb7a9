"""The Python of a cell is chosen for all that it installs."""

from pathlib import Path

import pytest

from tests.fake_world import FakeWorld
from tf_tester.core.select.matrix import hypothetical
from tf_tester.errors import IndexUnreachable, Unresolvable
from tf_tester.flow.run.test import test as run_matrix
from tf_tester.model.events import CellFinished, Event, RunStarted
from tf_tester.model.host.platform import Platform
from tf_tester.model.lock import Lock
from tf_tester.model.outcome import Outcome
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
