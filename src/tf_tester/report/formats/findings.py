"""What shows at a line of the user's own files: what annotations, SARIF and code quality reports are made of."""

import hashlib
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.outcome.deprecations import fulfilled_deprecations
from tf_tester.core.outcome.report import RunReport, cell_labels
from tf_tester.core.overview.own_code import OwnPlace, below
from tf_tester.core.overview.reasons import reasons
from tf_tester.core.text.printable import printable
from tf_tester.core.text.sizes import count_text
from tf_tester.report.causes import verdict_lines

_MOST_NAMED = 6
"""Cells that one is told for by their labels; of more, their number."""


class Shown(Struct, frozen=True):
    """A failure or a deprecation, as one line of a file has it."""

    rule: str
    """Of what kind it is, in a word or two: `fail`, `crash`, `deprecation`."""
    is_failure: bool
    title: str
    text: str
    """Whole: what happened, in which cells, why, what repairs it. Some lines."""
    place: OwnPlace | None
    """None: no line of the user's is known."""

    @property
    def fingerprint(self) -> str:
        """Return what stays the same in the next run, wherever the line has moved to."""
        file = self.place.file if self.place is not None else ""
        return hashlib.sha256(f"{self.rule}\0{self.title}\0{file}".encode("utf-8", "replace")).hexdigest()


def findings(report: RunReport, checkout: str) -> Iterator[Shown]:
    """Yield failures, the most harmful first, then deprecations that came true.

    `checkout`: the folder from which files are named, where that in which the run was asked for lies in it.
    """
    inside = below(report.here, checkout)
    labels = cell_labels(report.cells)
    for one in reasons(report):
        named = ", ".join(labels[cell.name] for cell in one.cells[:_MOST_NAMED])
        more = f" and {len(one.cells) - _MOST_NAMED} more" if len(one.cells) > _MOST_NAMED else ""
        where = f"{count_text(one.failure.tests, 'test')} in {count_text(len(one.cells), 'cell')}: {named}{more}"
        told = [one.headline, where, *verdict_lines(one.found)]
        rule = str(one.failure.row.outcome if one.failure.row is not None else report.result(one.failure.cell).outcome)
        text = "\n".join(printable(line) for line in told)
        yield Shown(rule, is_failure=True, title=printable(one.headline), text=text, place=_visible(one.place, inside))
    for gone in fulfilled_deprecations(report):
        warn = ", ".join(labels[cell.name] for cell in gone.warning_cells[:_MOST_NAMED])
        told = [gone.warning, f"Warned of with {warn}; with {labels[gone.breaks.name]} it is gone: {gone.failure}"]
        text = "\n".join(printable(line) for line in told)
        yield Shown(
            "deprecation",
            is_failure=False,
            title=printable(f"{gone.name} is gone later"),
            text=text,
            place=_visible(_warned(gone.warning, report), inside),
        )


def _visible(place: OwnPlace | None, inside: str) -> OwnPlace | None:
    if place is None:
        return None
    file = f"{inside}/{place.file}" if inside else place.file
    return replace(place, file=printable(file), text=printable(place.text))


def _warned(message: str, report: RunReport) -> OwnPlace | None:
    """Return the user's own line that a warning was given for."""
    for cell in report.cells:
        for row in report.result(cell).tests:
            for one in row.warnings:
                if one.message.strip().startswith(message) and (file := below(one.file, report.here)):
                    return OwnPlace(file, one.line)
    return None
