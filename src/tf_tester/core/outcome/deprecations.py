"""Warnings of passing cells that came true: they name what a later version no longer has. Pure."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from msgspec import Struct
from packaging.version import InvalidVersion, Version

from tf_tester.core.outcome.failures import headline
from tf_tester.core.outcome.report import RunReport
from tf_tester.model.cell import Cell
from tf_tester.model.outcome import ExceptionFact, Outcome

_LONGEST = 2_000
"""Characters of a warning that are looked at."""
_CATEGORIES = ("Deprecat", "FutureWarning", "Pending", "Removed")
_GONE = (
    r"has no attribute '(\w+)'|cannot import name '(\w+)'|No module named '([\w.]+)'"
    r"|unexpected keyword argument:? '?(\w+)|Argument\(s\) not recognized: \{'(\w+)'"
)
"""What an exception says is missing."""


class Deprecation(Struct, frozen=True):
    """A warning, and the version with which it came true."""

    name: str
    """What is gone."""
    warning: str
    """First line, as the newest of these cells gave it."""
    warning_cells: tuple[Cell, ...]
    """In which the test passes, and warns."""
    breaks: Cell
    """The first one in which it is gone."""
    failure: str


def fulfilled_deprecations(report: RunReport) -> tuple[Deprecation, ...]:
    """Return one for each name that is gone, in the order in which versions lost them."""
    found: dict[str, Deprecation | None] = {}
    warnings = list(dict.fromkeys(_warnings(report)))
    for cell, exception in _failures(report):
        for name in _missing(exception):
            if name not in found:
                found[name] = _deprecation(name, cell, exception, warnings)
    return tuple(deprecation for deprecation in found.values() if deprecation is not None)


def _deprecation(
    name: str, cell: Cell, exception: ExceptionFact, warnings: Sequence[tuple[Cell, str]]
) -> Deprecation | None:
    """Return the warning that came true in the first cell in which a name is gone; None: nothing warned of it."""
    word, version = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)"), _version(cell)
    warning_cells = [
        (other, message)
        for other, message in warnings
        if other.package == cell.package and _version(other) < version and word.search(message)
    ]
    if not warning_cells:
        return None
    cells = tuple(dict.fromkeys(other for other, _ in warning_cells))
    newest = max(warning_cells, key=lambda one: _version(one[0]))
    return Deprecation(name, newest[1].strip().splitlines()[0], cells, cell, headline(exception))


def _failures(report: RunReport) -> Iterator[tuple[Cell, ExceptionFact]]:
    """Yield failures, the oldest version first."""
    for cell in sorted(report.cells, key=_version):
        for row in report.result(cell).tests:
            if row.outcome.is_failure_of_the_test and row.exception is not None:
                yield cell, row.exception


def _warnings(report: RunReport) -> Iterator[tuple[Cell, str]]:
    for cell in report.cells:
        for row in report.result(cell).tests:
            if row.outcome is Outcome.PASS:
                for warning in row.warnings:
                    if any(word in warning.category for word in _CATEGORIES) and warning.message.strip():
                        yield cell, warning.message[:_LONGEST]


def _missing(exception: ExceptionFact) -> tuple[str, ...]:
    names = (next(filter(None, match.groups())) for match in re.finditer(_GONE, exception.message[:2_000]))
    return tuple(dict.fromkeys(name.rpartition(".")[2] for name in names))


def _version(cell: Cell) -> Version:
    return _parsed(cell.version)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")
