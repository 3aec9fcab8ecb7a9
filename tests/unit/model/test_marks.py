"""What one cell shows of its version."""

import pytest

from tf_tester.core.verdict.bisect import Mark, mark_of, meant_row
from tf_tester.model.outcome import CellResult, ExceptionFact, Outcome, TestRow

PASS, FAIL, SKIP, EMPTY = Outcome.PASS, Outcome.FAIL, Outcome.SKIP, Outcome.EMPTY
GOOD, BAD, UNTESTABLE = Mark.GOOD, Mark.BAD, Mark.UNTESTABLE


@pytest.mark.parametrize(
    ("outcome", "mark"),
    [
        (PASS, GOOD),
        (FAIL, BAD),
        (Outcome.CRASH, BAD),
        (Outcome.ERROR, BAD),
        (SKIP, UNTESTABLE),
        (EMPTY, UNTESTABLE),
        (Outcome.NO_WHEEL, UNTESTABLE),
    ],
)
def test_a_cell(outcome: Outcome, mark: Mark) -> None:
    assert mark_of(CellResult("c", outcome), (), "") is mark


@pytest.mark.parametrize(("summary", "mark"), [("TypeError: no", BAD), ("OSError: no", UNTESTABLE)])
def test_of_failures_only_those_that_are_meant_are_bad(summary: str, mark: Mark) -> None:
    assert mark_of(CellResult("c", FAIL, summary), ("TypeError", "ValueError"), "") is mark


def test_every_failure_of_a_cell_counts_and_not_the_gravest_alone() -> None:
    told = {"a": ExceptionFact("OSError", "no disk"), "b": ExceptionFact("x.TypeError", "no\nsuch thing")}
    rows = tuple(TestRow(name, FAIL, exception) for name, exception in told.items())
    result = CellResult("c", FAIL, "OSError: no disk", tests=(*rows, TestRow("c", Outcome.CRASH, reason="SIGSEGV")))
    for words in ("TypeError", "such thing", "SIGSEGV", "OSError"):
        assert mark_of(result, (words,), "") is BAD
    assert mark_of(result, ("KeyError",), "") is UNTESTABLE
    assert meant_row(result, ("KeyError", "such")) == rows[1]


@pytest.mark.parametrize(
    ("rows", "mark"),
    [
        ({"a": PASS, "b": FAIL}, GOOD),
        ({"a": FAIL, "b": PASS}, BAD),
        ({"a": SKIP, "b": PASS}, UNTESTABLE),
        ({"a": EMPTY, "b": FAIL}, UNTESTABLE),
        ({"b": PASS}, UNTESTABLE),
        ({"b": FAIL}, BAD),
        # A file that couldn't be collected elsewhere.
        ({"a::one": PASS, "a::two": PASS}, GOOD),
        ({"a::one": PASS, "a::two": FAIL}, BAD),
    ],
)
def test_where_one_test_counts_the_others_dont(rows: dict[str, Outcome], mark: Mark) -> None:
    worst = FAIL if FAIL in rows.values() else PASS
    result = CellResult("c", worst, tests=tuple(TestRow(name, outcome) for name, outcome in rows.items()))
    assert mark_of(result, (), "a") is mark
