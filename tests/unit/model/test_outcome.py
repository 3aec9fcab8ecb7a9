"""Outcomes: which is the graver one, and that reports know each."""

from itertools import permutations

import pytest

from tf_tester.model.outcome import CellResult, Outcome, TestRow, worst
from tf_tester.report.words import EXPLAINED, count_cells, count_tests, mark, meaning

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


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_mark_is_short_or_says_what_it_means(outcome: Outcome) -> None:
    assert mark(outcome)
    assert outcome in EXPLAINED or not outcome.is_failure_of_the_test
    if outcome in EXPLAINED:
        assert meaning(outcome)
