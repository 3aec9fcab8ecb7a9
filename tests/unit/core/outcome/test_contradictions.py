"""Of several results for one test the worst counts; what else contradicts is tested with `judge_harness`."""

import pytest

from tf_tester.core.outcome.contradictions import one_of_each
from tf_tester.model.outcome import Outcome, TestRow


@pytest.mark.parametrize(
    ("written", "counts"),
    [
        (["pass"], "pass"),
        (["pass", "pass"], "pass"),
        (["fail", "pass"], "fail"),
        (["pass", "crash", "fail"], "crash"),
        (["skip", "pass"], "error"),
        (["empty", "pass"], "error"),
    ],
)
def test_the_worst_result_of_a_test_counts_and_is_never_a_pass(written: list[str], counts: str) -> None:
    rows = [TestRow("a", Outcome(outcome)) for outcome in written] + [TestRow("b", Outcome.PASS)]
    assert [(row.id, row.outcome) for row in one_of_each(rows)] == [("a", Outcome(counts)), ("b", Outcome.PASS)]
