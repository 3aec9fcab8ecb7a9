"""What a cell came to that could not run: the outcome for each kind of refusal. Pure."""

from tf_tester.errors import (
    BuildEnded,
    BuildFailed,
    CellRefused,
    DownloadFailed,
    InstallFailed,
    InterruptedTransfer,
    NoPython,
    NoWheel,
    Unresolvable,
)
from tf_tester.model.outcome import Outcome

OUTCOMES: dict[type[CellRefused], Outcome] = {
    CellRefused: Outcome.INSTALL_FAILED,
    NoPython: Outcome.NO_PYTHON,
    NoWheel: Outcome.NO_WHEEL,
    Unresolvable: Outcome.UNRESOLVABLE,
    DownloadFailed: Outcome.DOWNLOAD_FAILED,
    InterruptedTransfer: Outcome.INTERRUPTED,
    BuildFailed: Outcome.BUILD_FAILED,
    BuildEnded: Outcome.BUILD_FAILED,
    InstallFailed: Outcome.INSTALL_FAILED,
}


def outcome_of(error: CellRefused) -> Outcome:
    """Return the outcome that the matrix shows for a cell that was refused.

    >>> outcome_of(InterruptedTransfer("It was closed.")).value
    'interrupted'
    """
    return next(OUTCOMES[kind] for kind in type(error).__mro__ if kind in OUTCOMES)
