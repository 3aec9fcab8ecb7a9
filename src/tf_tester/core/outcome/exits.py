"""The process's exit code, of whatever it did: decided here for every command. Pure."""

from collections.abc import Iterable

from tf_tester.errors import INTERRUPTED, OWN_FAILURE, TfTesterError, UsageError
from tf_tester.model.outcome import CellResult, Outcome

FAILED = 1
"""A test failed, or something is not as it should be."""
INCOMPLETE = 3
"""Nothing failed, but not all was seen."""
_ORDER = (INTERRUPTED, 2, FAILED, OWN_FAILURE, INCOMPLETE)
"""What tells most comes first; 0 where there is none of them."""


def gravest(codes: Iterable[int]) -> int:
    """Return the exit code for several things, each of which alone would end the process with one.

    >>> gravest([0, 3, 4]), gravest([4, 1]), gravest([])
    (4, 1, 0)
    """
    found = set(codes)
    return next((code for code in _ORDER if code in found), 0)


def code_of_errors(errors: Iterable[TfTesterError]) -> int:
    """Return the exit code of a command that went on past these errors."""
    return gravest(error.exit_code for error in errors)


def code_of_cell(result: CellResult) -> int:
    """Return the exit code for what a cell came to.

    1: a test failed. 4: it could not run, because of the network, the disk or tf-tester. 3: it could not run for
    another reason, or had no tests. 0: it was run; where it skipped all its tests the text report says that nothing was
    tested.
    """
    outcome = result.outcome
    if outcome.is_failure_of_the_test:
        return FAILED
    if not outcome.ran:
        return OWN_FAILURE if result.own_failure else INCOMPLETE
    return INCOMPLETE if outcome is Outcome.EMPTY else 0


def exit_code(results: Iterable[CellResult], *, interrupted: bool) -> int:
    """Return the process's exit code for what the cells came to, the gravest of theirs.

    2: pytest refused in every cell what it was given. Where none of them passed it is not 0, which would claim
    something that nobody has seen.
    """
    results = tuple(results)
    codes = [code_of_cell(result) for result in results]
    if interrupted:
        codes.append(INTERRUPTED)
    rows = [row for result in results for row in result.tests]
    if rows and all(row.could_not_begin for row in rows):
        codes.append(UsageError.exit_code)
    if not any(result.outcome is Outcome.PASS for result in results):
        codes.append(INCOMPLETE)
    return gravest(codes)
