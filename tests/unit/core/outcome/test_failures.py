"""Kinds of failure, counted."""

import pytest

from tf_tester.core.outcome.failures import differences, headline, still_failing
from tf_tester.core.outcome.report import RunReport
from tf_tester.model.cause import Explanation, Verdict
from tf_tester.model.cell import Cell
from tf_tester.model.lock import Resolution
from tf_tester.model.outcome import CellResult, ExceptionFact, Outcome, TestRow

CELLS = tuple(Cell.of("toy", version, "3.11", Resolution.ERA) for version in ("1.0", "2.0"))


def report(*cells: str) -> RunReport:
    """Return a report of cells whose tests fail with the exceptions named by letters; `.` passes."""
    results = {}
    for cell, letters in zip(CELLS, cells, strict=False):
        rows = tuple(
            TestRow(f"t{number}", Outcome.PASS)
            if letter == "."
            else TestRow(f"t{number}", Outcome.FAIL, ExceptionFact(letter, "told"))
            for number, letter in enumerate(letters)
        )
        outcome = Outcome.PASS if set(letters) == {"."} else Outcome.FAIL
        results[cell.name] = CellResult(cell.name, outcome, tests=rows)
    return RunReport(cells=CELLS[: len(cells)], results=results)


def told(found: RunReport, most: int | None = None) -> tuple[list[tuple[str, int, int]], int]:
    kinds, hidden = differences(found, most=most)
    return [(one.headline[0], one.tests, 1 + len(one.also)) for one in kinds], hidden


@pytest.mark.parametrize(
    ("cells", "kinds"),
    [
        (("ABB.",), [("B", 2, 1), ("A", 1, 1)]),
        (("AB", "CB"), [("B", 2, 2), ("A", 1, 1), ("C", 1, 1)]),
        (("AAA", "BBBB"), [("B", 4, 1), ("A", 3, 1)]),
        (("...", "..."), []),
    ],
)
def test_every_kind_is_told_the_most_frequent_first(cells: tuple[str, ...], kinds: list[tuple[str, int, int]]) -> None:
    assert told(report(*cells)) == (kinds, 0)


def test_what_is_beyond_the_bound_is_counted() -> None:
    assert told(report("ABCDDEE"), most=2) == ([("D", 2, 1), ("E", 2, 1)], 3)


def test_what_was_looked_into_is_told_in_any_case() -> None:
    found = report("AABBC")
    one = Explanation(CELLS[0], CELLS[1], Verdict.FRAMEWORK, 1, (), False, 2, test="t4")
    explained = RunReport(cells=found.cells, results=found.results, explanations=(one,))
    assert told(explained, most=1) == ([("A", 2, 1), ("C", 1, 1)], 1)


def test_a_sentence_that_breaks_off_is_told_to_its_end() -> None:
    message = "Unable to convert function return value to a Python type! The signature was\n\t() -> handle"
    assert headline(ExceptionFact("TypeError", message)).endswith("The signature was () -> handle")


def test_what_the_standard_library_raises_is_one_kind_frozen_or_not() -> None:
    places = {"3.10": "/usr/lib/python3.10/os.py", "3.11": "<frozen os>"}
    cells = {python: Cell.of("toy", "1.0", python, Resolution.ERA) for python in places}
    results = {}
    for python, file in places.items():
        raised = ExceptionFact("KeyError", "'HOME'", file, 680, "__getitem__")
        rows = (TestRow("t.py::test_a", Outcome.FAIL, raised),)
        results[cells[python].name] = CellResult(cells[python].name, Outcome.FAIL, tests=rows)
    found, _ = differences(RunReport(cells=tuple(cells.values()), results=results))
    assert [len(one.also) for one in found] == [1]


def test_names_of_failing_tests_are_remembered_up_to_a_number_that_no_suite_has() -> None:
    rows = [TestRow(f"t::{number}", Outcome.FAIL) for number in range(20_001)]
    assert len(still_failing((), rows[1:])) == 20_000
    assert still_failing((), rows) == ()
    assert still_failing([row.id for row in rows[1:]], [TestRow("u", Outcome.FAIL)]) == ()
