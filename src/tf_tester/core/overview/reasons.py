"""Why cells fail: each kind of failure once, the most harmful first, with the user's own line. Pure."""

from msgspec import Struct

from tf_tester.core.outcome.failures import SharedFailure, differences
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.overview.own_code import OwnPlace, own_place
from tf_tester.core.text.places import seen_from
from tf_tester.core.verdict.verdicts import FailureFinding, findings
from tf_tester.model.cell import Cell


class Reason(Struct, frozen=True):
    """One kind of failure, with all that is known of it."""

    headline: str
    """In one line, paths as from where the run was asked for."""
    failure: SharedFailure
    found: FailureFinding
    place: OwnPlace | None
    """The user's own line that it shows at, in the first cell."""

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Return the cells that fail so, in the order of the report."""
        return (self.failure.cell, *self.failure.also)


def reasons(report: RunReport) -> tuple[Reason, ...]:
    """Return one for each kind of failure: first what most cells have, of these what most tests have."""
    found, _ = differences(report)
    told = [
        Reason(
            " ".join(seen_from(one.headline, report.here).split()),
            one,
            known,
            own_place(one.row, report.here) if one.row is not None else None,
        )
        for one, known in zip(found, findings(found, report), strict=True)
    ]
    return tuple(sorted(told, key=lambda one: (-len(one.cells), -one.failure.tests)))
