"""Outcomes: which is the graver one, and that reports know each."""

from itertools import permutations

import pytest

from tf_tester.core.outcome.report import RunReport
from tf_tester.model.events import WheelBuilt
from tf_tester.model.outcome import CellResult, Outcome, TestRow, worst
from tf_tester.report.words import EXPLAINED, count_cells, count_tests, mark, meaning, told_builds, told_cells

GRAVEST_FIRST = ["oom", "crash", "timeout", "error", "fail", "pass", "empty", "skip"]
NEVER_RAN = [
    "no-python",
    "no-wheel",
    "unresolvable",
    "download-failed",
    "build-failed",
    "install-failed",
    "interrupted",
]


def test_every_outcome_has_its_place() -> None:
    assert [str(outcome) for outcome in Outcome] == GRAVEST_FIRST + NEVER_RAN
    assert [str(outcome) for outcome in Outcome if not outcome.ran] == NEVER_RAN


def test_a_cell_is_as_bad_as_its_worst_test() -> None:
    assert [str(outcome) for outcome in Outcome if outcome.ran] == GRAVEST_FIRST
    for pair in permutations(map(Outcome, GRAVEST_FIRST), 2):
        assert worst(pair) is min(pair, key=lambda one: GRAVEST_FIRST.index(str(one)))


def test_only_skipped_tests_are_a_skip_and_none_at_all_is_empty() -> None:
    assert worst([Outcome.SKIP]) is Outcome.SKIP
    assert worst([]) is Outcome.EMPTY


@pytest.mark.parametrize("outcome", [one for one in Outcome if one.ran])
def test_reports_count_every_outcome_of_what_ran(outcome: Outcome) -> None:
    assert count_tests([TestRow("t", outcome)]).startswith("1 ")
    assert count_cells([CellResult("c", outcome)]).startswith("1 ")


def test_errors_are_counted_in_singular_and_plural() -> None:
    rows = [TestRow("a", Outcome.PASS), TestRow("b", Outcome.PASS), TestRow("c", Outcome.ERROR)]
    assert count_tests(rows) == "2 passed, 1 error"
    assert count_cells([CellResult("a", Outcome.ERROR), CellResult("b", Outcome.ERROR)]) == "2 errors"


A, STATUS = TestRow("t.py::a", Outcome.PASS), TestRow("t.py::(exit status)", Outcome.ERROR)


def of_tests(number: int, outcome: Outcome = Outcome.PASS) -> CellResult:
    return CellResult("c", outcome, tests=(TestRow("t", Outcome.PASS),) * number)


@pytest.mark.parametrize(
    ("results", "told"),
    [
        ([], "no cells"),
        ([of_tests(1)], "1 cell: 1 passed"),
        ([of_tests(12)], "1 cell: 1 passed; 12 tests in it"),
        ([of_tests(40), of_tests(40, Outcome.FAIL)], "2 cells: 1 passed, 1 failed; 40 tests in each"),
        ([of_tests(40), of_tests(0, Outcome.NO_WHEEL)], "2 cells: 1 passed, 1 could not run; 40 tests in each"),
        ([of_tests(2), of_tests(1), of_tests(40)], "3 cells: 3 passed; 1 to 40 tests in each"),
        ([CellResult("c", Outcome.ERROR, tests=(A, A, STATUS))], "1 cell: 1 error; 2 tests in it"),
        (
            [of_tests(1), CellResult("c", Outcome.PASS, unused=True), of_tests(1, Outcome.FAIL)],
            "3 cells: 2 passed (1 not imported), 1 failed",
        ),
    ],
)
def test_cells_and_their_tests_are_counted_apart(results: list[CellResult], told: str) -> None:
    assert told_cells(results) == told


def test_builds_are_counted_with_their_seconds() -> None:
    built, failed = WheelBuilt("a", "3.10", 61.0, "a.whl", "00"), WheelBuilt("b", "3.10", 4.0)
    assert told_builds(RunReport()) == ""
    assert told_builds(RunReport(builds=(built,))) == "1 wheel built from source in 1 min 01 s"
    assert told_builds(RunReport(builds=(built, built, failed))) == (
        "2 wheels built from source and 1 build failed in 2 min 06 s"
    )


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_mark_is_short_or_says_what_it_means(outcome: Outcome) -> None:
    assert mark(outcome)
    assert outcome in EXPLAINED or not outcome.is_failure_of_the_test
    if outcome in EXPLAINED:
        assert meaning(outcome)
