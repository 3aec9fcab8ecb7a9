"""What a field comes to."""

import pytest

from tf_tester.core.grid.fields import PRODUCT_NAME, state_of, why_no_product
from tf_tester.model.field import FieldOutcome
from tf_tester.model.outcome import CellResult, ExceptionFact, Outcome, TestRow

RAISED = TestRow("a", Outcome.FAIL, exception=ExceptionFact("ValueError", "unknown format"))


@pytest.mark.parametrize(
    ("rows", "outcome", "summary"),
    [
        ([TestRow("a", Outcome.PASS)], FieldOutcome.OK, ""),
        ([TestRow("a", Outcome.PASS), TestRow("b", Outcome.SKIP, reason="later")], FieldOutcome.OK, ""),
        ([TestRow("b", Outcome.PASS), RAISED], FieldOutcome.ERROR, "ValueError: unknown format"),
        ([TestRow("a", Outcome.TIMEOUT, reason="over 15 s")], FieldOutcome.ERROR, "over 15 s"),
        ([TestRow("a", Outcome.CRASH)], FieldOutcome.ERROR, "crash"),
        ([TestRow("a", Outcome.SKIP, reason="later")], FieldOutcome.NOT_RUN, "later"),
        ([TestRow("a", Outcome.EMPTY, reason="nothing loads it")], FieldOutcome.NOT_RUN, "nothing loads it"),
        ([], FieldOutcome.NOT_RUN, "nothing was run"),
    ],
)
def test_a_field_is_what_its_consumer_came_to(rows: list[TestRow], outcome: FieldOutcome, summary: str) -> None:
    state = state_of(rows)
    assert (state.outcome, state.summary) == (outcome, summary)
    assert state.tests == tuple(row.id for row in rows)
    assert (state.exception is not None) == (RAISED in rows)


def test_why_there_is_no_product() -> None:
    cell = CellResult("toy", Outcome.FAIL, tests=(RAISED,))
    assert why_no_product("1.0", cell, RAISED) == "1.0 saved nothing: ValueError: unknown format"
    assert why_no_product("1.0", cell, None) == "1.0 saved nothing: ValueError: unknown format"
    skipped = TestRow("a", Outcome.SKIP, reason="not before 2.0")
    assert why_no_product("1.0", CellResult("toy", Outcome.SKIP), skipped) == "1.0 skipped it: not before 2.0"
    passed = CellResult("toy", Outcome.PASS, tests=(TestRow("other", Outcome.PASS),))
    assert why_no_product("1.0", passed, None) == "1.0 saves no such product"
    empty = CellResult("toy", Outcome.EMPTY, tests=(TestRow("grid.py", Outcome.EMPTY, reason="nothing in it saves"),))
    assert why_no_product("1.0", empty, None) == "1.0 saves no such product: nothing in it saves"
    assert why_no_product("1.0", CellResult("toy", Outcome.NO_WHEEL), None) == "1.0 could not run: no-wheel"


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a\n", "a b", "-x", "ä", "x" * 101])
def test_a_products_name_is_safe_in_a_path(name: str) -> None:
    assert not PRODUCT_NAME.fullmatch(name)
    assert PRODUCT_NAME.fullmatch("model.keras")
