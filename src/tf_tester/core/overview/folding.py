"""The matrix as a person takes it in: equal neighbours are one column, tests of one fate one row. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from tf_tester.core.outcome.failures import gravest_first
from tf_tester.core.outcome.report import RunReport
from tf_tester.model.cell import Cell
from tf_tester.model.outcome import Outcome


class Column(Struct, frozen=True):
    """Cells beside each other in which everything came to the same."""

    cells: tuple[Cell, ...]

    @property
    def version(self) -> str:
        """`2.16.1`, or `2.8.0 – 2.15.1`."""
        return _span([cell.version for cell in self.cells])

    @property
    def python(self) -> str:
        """`py3.12`, or `py3.8 – py3.11`; empty where none fitted."""
        return _span(list(dict.fromkeys(f"py{cell.python}" for cell in self.cells if cell.python != "-")))


class Row(Struct, frozen=True):
    """Tests that came to the same in every cell."""

    tests: tuple[str, ...]
    """In the order in which they were seen; none: the cells had no tests to tell of."""
    outcomes: tuple[Outcome | None, ...]
    """A column each; None: it wasn't run there."""


class Matrix(Struct, frozen=True):
    """All of it, folded."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    """Those with the most failures first, those that pass everywhere last."""


def matrix(report: RunReport) -> Matrix:
    """Return the matrix of a run; of a package, a resolution and a platform the neighbours are folded."""
    outcomes = {cell.name: _outcomes(report, cell) for cell in report.cells}
    tests = list(dict.fromkeys(test for told in outcomes.values() for test in told))
    columns: list[list[Cell]] = []
    for cell in report.cells:
        if columns and _alike(columns[-1][-1], cell) and _same(report, outcomes, columns[-1][-1], cell):
            columns[-1].append(cell)
        else:
            columns.append([cell])
    firsts = [column[0] for column in columns]
    rows: dict[tuple[Outcome | None, ...], list[str]] = {}
    for test in tests:
        rows.setdefault(tuple(_at(report, outcomes, cell, test) for cell in firsts), []).append(test)
    if not tests:
        rows[tuple(report.result(cell).outcome for cell in firsts)] = []
    ordered = sorted(rows.items(), key=lambda one: -sum(o is not None and o.is_failure_of_the_test for o in one[0]))
    return Matrix(
        tuple(Column(tuple(cells)) for cells in columns),
        tuple(Row(tuple(names), told) for told, names in ordered),
    )


def _outcomes(report: RunReport, cell: Cell) -> dict[str, Outcome]:
    return {test: row.outcome for test, row in gravest_first(report.result(cell).tests).items()}


def _alike(one: Cell, other: Cell) -> bool:
    def of(cell: Cell) -> object:
        return cell.package, cell.resolution, cell.platform, cell.details, cell.python == "-"

    return of(one) == of(other)


def _same(report: RunReport, outcomes: Mapping[str, Mapping[str, Outcome]], one: Cell, other: Cell) -> bool:
    if outcomes[one.name] != outcomes[other.name]:
        return False
    return bool(outcomes[one.name]) or report.result(one).outcome is report.result(other).outcome


def _at(report: RunReport, outcomes: Mapping[str, Mapping[str, Outcome]], cell: Cell, test: str) -> Outcome | None:
    """Return what a test came to; a cell without any tests has its own outcome in all rows."""
    return outcomes[cell.name].get(test) if outcomes[cell.name] else report.result(cell).outcome


def drift(report: RunReport, columns: Sequence[Column]) -> dict[str, tuple[str, ...]]:
    """Return the versions of each distribution that isn't the same everywhere, a column each; empty: not installed.

    Of folded cells the first and the last: `3.19.6 – 3.20.3`.
    """
    locked = {name: {pin.name: pin.version for pin in lock.pins} for name, lock in report.locks.items()}
    tested = {cell.package for cell in report.cells}
    names = sorted({name for pins in locked.values() for name in pins} - tested)
    with_lock = [column for column in columns if any(cell.name in locked for cell in column.cells)]
    found = {}
    for name in names:
        told = tuple(_span(_versions(column.cells, locked, name)) for column in columns)
        if len({one for one, column in zip(told, columns, strict=True) if column in with_lock}) > 1:
            found[name] = told
    return found


def _versions(cells: Iterable[Cell], locked: Mapping[str, Mapping[str, str]], name: str) -> list[str]:
    known = (locked[cell.name].get(name, "") for cell in cells if cell.name in locked)
    return list(dict.fromkeys(version for version in known if version))


def _span(words: Sequence[str]) -> str:
    if not words:
        return ""
    return words[0] if words[0] == words[-1] else f"{words[0]} – {words[-1]}"
