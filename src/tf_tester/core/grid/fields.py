"""What becomes of a field: from the rows of its consumer, or from why there was nothing to consume."""

import re
from collections.abc import Sequence

from msgspec import Struct

from tf_tester.core.outcome.failures import headline
from tf_tester.model.field import FieldOutcome, ValueDifference
from tf_tester.model.outcome import CellResult, ExceptionFact, Outcome, TestRow

PRODUCT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}")
"""What a product may be called: a part of a path on every system, and safe to print."""


class FieldState(Struct, frozen=True):
    """What became of one field."""

    outcome: FieldOutcome
    tests: tuple[str, ...] = ()
    summary: str = ""
    exception: ExceptionFact | None = None
    differences: tuple[ValueDifference, ...] = ()


def state_of(rows: Sequence[TestRow]) -> FieldState:
    """Return what the rows of one consumer's process come to.

    >>> state_of([TestRow("a", Outcome.PASS), TestRow("b", Outcome.FAIL, reason="exit status 2")]).summary
    'exit status 2'
    """
    tests = tuple(row.id for row in rows)
    failed = next((row for row in rows if row.outcome.is_failure_of_the_test), None)
    if failed is not None:
        return FieldState(FieldOutcome.ERROR, tests, words_of(failed), failed.exception)
    if any(row.outcome is Outcome.PASS for row in rows):
        return FieldState(FieldOutcome.OK, tests)
    return FieldState(FieldOutcome.NOT_RUN, tests, next((words_of(row) for row in rows), "nothing was run"))


def words_of(row: TestRow) -> str:
    """Return in one line why a test did not pass."""
    if row.exception is not None:
        return headline(row.exception)
    exited = f"exit status {row.exit_code}" if row.exit_code else ""
    return row.reason or exited or str(row.outcome)


def why_no_product(label: str, result: CellResult, row: TestRow | None) -> str:
    """Return why a producer has no product of a name. `row`: of the function that was to save it, where that is known.

    >>> why_no_product("1.0", CellResult("toy", Outcome.NO_WHEEL, "No wheel for Python 3.13."), None)
    '1.0 could not run: No wheel for Python 3.13.'
    """
    if not result.outcome.ran:
        return f"{label} could not run: {result.summary or result.outcome}"
    if row is None:
        failed = next((one for one in result.tests if one.outcome.is_failure_of_the_test), None)
        if failed is not None:
            return f"{label} saved nothing: {words_of(failed)}"
        empty = next((f": {one.reason}" for one in result.tests if one.outcome is Outcome.EMPTY), "")
        return f"{label} saves no such product{empty}"
    did = "skipped it" if row.outcome is Outcome.SKIP else "saved nothing"
    return f"{label} {did}: {words_of(row)}"
