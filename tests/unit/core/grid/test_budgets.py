"""Budgets: what is written, and when a cell keeps within it."""

import math

import pytest

from tf_tester.core.grid.budgets import Budget, Figure, check_budget, parse_budget
from tf_tester.errors import UsageError
from tf_tester.model.outcome import Outcome


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("import_s<5", Budget("import_s", "", "<", 5.0, "5")),
        (" peak_rss <= 1G ", Budget("peak_rss", "", "<=", 2.0**30, "1G")),
        ("peak_rss<1000000", Budget("peak_rss", "", "<", 1e6, "1000000")),
        ("accuracy>=0.9", Budget("accuracy", "", ">=", 0.9, "0.9")),
        ("the loss>-1e-3", Budget("the loss", "", ">", -1e-3, "-1e-3")),
        ("logits.max_abs<1e-6", Budget("logits", "max_abs", "<", 1e-6, "1e-6")),
        ("a.b.ulps<4", Budget("a.b", "ulps", "<", 4.0, "4")),
        ("layer.mean<4", Budget("layer.mean", "", "<", 4.0, "4")),
        (".max_abs<4", Budget(".max_abs", "", "<", 4.0, "4")),
    ],
)
def test_what_is_written_is_understood(text: str, budget: Budget) -> None:
    assert parse_budget(text) == budget


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "compares no figure with a bound"),
        ("import_s", "compares no figure with a bound"),
        ("import_s=5", "compares no figure with a bound"),
        ("<5", "compares no figure with a bound"),
        ("import_s<", "compares no figure with a bound"),
        ("import_s<fast", "'fast' is not a number"),
        ("import_s<5s", "'5s' is not a number"),
        ("peak_rss<much", "'much' is not a size such as 512M or 2G"),
        ("loss<1G", "'1G' is not a number"),
        ("loss<nan", "the bound must be finite"),
        ("loss<inf", "the bound must be finite"),
    ],
)
def test_what_is_no_check_is_told_in_a_sentence_with_examples(text: str, told: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_budget(text)
    assert told in str(raised.value)
    assert "import_s<5" in raised.value.hint


def outcome(text: str, *figures: Figure) -> tuple[str, str]:
    row = check_budget(parse_budget(text), figures)
    assert row.id == f"budget: {text}"
    return str(row.outcome), row.reason


def test_a_figure_beyond_the_bound_fails_with_both() -> None:
    assert outcome("import_s<5", Figure(4.999)) == ("pass", "")
    assert outcome("import_s<5", Figure(5.0)) == ("fail", "import_s is 5; the budget is < 5")
    assert outcome("import_s<=5", Figure(5.0)) == ("pass", "")
    assert outcome("peak_rss<1G", Figure(1.5 * 2**30)) == ("fail", "peak_rss is 1,536M; the budget is < 1G")
    told = "accuracy is 0.5 in test.py::b; the budget is > 0.9"
    assert outcome("accuracy>0.9", Figure(0.95, "test.py::a"), Figure(0.5, "test.py::b")) == ("fail", told)
    assert outcome("loss<1", Figure(math.nan, "t", "NaN")) == ("fail", "loss is NaN in t; the budget is < 1")
    assert outcome("loss>-1", Figure(math.nan))[0] == Outcome.FAIL


def test_a_figure_that_nothing_has_is_an_error_and_one_that_cannot_be_is_skipped() -> None:
    assert outcome("los<1") == ("error", "nothing in this cell has the figure los")
    assert outcome("p.ulps<1", Figure(None, "t", "nothing to compare with")) == ("skip", "nothing to compare with")
    assert outcome("p.ulps<1", Figure(None, "t", "none"), Figure(3.0, "u"))[0] == "fail"
