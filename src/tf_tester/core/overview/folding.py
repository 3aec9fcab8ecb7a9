"""The matrix as a person takes it in: equal neighbours are one column, tests of one fate one row. Pure."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from msgspec import Struct
from msgspec.structs import replace

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
        return span([cell.version for cell in self.cells])

    @property
    def python(self) -> str:
        """`py3.12`, or `py3.8 – py3.11`; empty where none fitted."""
        return span([f"py{cell.python}" for cell in self.cells if cell.python != "-"])


class Row(Struct, frozen=True):
    """Tests that came to the same in every cell."""

    tests: tuple[str, ...]
    """In the order in which they were seen; none: the cells had no tests to tell of."""
    outcomes: tuple[Outcome | None, ...]
    """A column each; None: it wasn't run there."""
    differs: AbstractSet[int] = frozenset()
    """Columns, by their number, in which it passes and prints something else than elsewhere."""


class Matrix(Struct, frozen=True):
    """All of it, folded."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    """Those with the most failures first, those that pass everywhere last."""


def matrix(report: RunReport, *, differing: AbstractSet[tuple[str, str]] = frozenset()) -> Matrix:
    """Return the matrix of a run; of a package, a resolution and a platform the neighbours are folded.

    `differing`: names of cells with tests that print something else there; they are told apart from others.
    """
    outcomes = {cell.name: _outcomes(report, cell) for cell in report.cells}
    unlike: dict[str, set[str]] = {cell.name: set() for cell in report.cells}
    for name, test in differing:
        unlike.setdefault(name, set()).add(test)
    tests = list(dict.fromkeys(test for told in outcomes.values() for test in told))
    columns = neighbours(report.cells, lambda cell: (_whole(report, outcomes, cell), frozenset(unlike[cell.name])))
    firsts = [column.cells[0] for column in columns]
    rows: dict[tuple[tuple[Outcome | None, ...], AbstractSet[int]], list[str]] = {}
    for test in tests:
        told = tuple(_at(report, outcomes, cell, test) for cell in firsts)
        marked = frozenset(number for number, cell in enumerate(firsts) if test in unlike[cell.name])
        rows.setdefault((told, marked), []).append(test)
    if not tests:
        rows[tuple(report.result(cell).outcome for cell in firsts), frozenset()] = []
    ordered = sorted(rows.items(), key=lambda one: -sum(o is not None and o.is_failure_of_the_test for o in one[0][0]))
    return Matrix(columns, tuple(Row(tuple(names), *fate) for fate, names in ordered))


def neighbours(cells: Iterable[Cell], value: Callable[[Cell], Hashable]) -> tuple[Column, ...]:
    """Return the cells as columns, in their order: neighbours of one kind with the same value are one.

    Of one kind are those of a package, a resolution and a platform that have the same besides.
    """
    columns: list[list[Cell]] = []
    last: Hashable = None
    for cell in cells:
        known = value(cell)
        if columns and known == last and _alike(columns[-1][-1], cell):
            columns[-1].append(cell)
        else:
            columns.append([cell])
        last = known
    return tuple(Column(tuple(folded)) for folded in columns)


def by_python(report: RunReport) -> RunReport:
    """Return the report with the cells of one Python beside each other, where each version has several Pythons.

    Where one of these fails with every version, neighbours would never be equal otherwise.
    """
    kinds = list(dict.fromkeys((cell.package, cell.resolution, cell.platform, cell.details) for cell in report.cells))
    pythons = list(dict.fromkeys(cell.python for cell in report.cells))

    def place(cell: Cell) -> tuple[int, int]:
        kind = cell.package, cell.resolution, cell.platform, cell.details
        return kinds.index(kind), pythons.index(cell.python)

    return replace(report, cells=tuple(sorted(report.cells, key=place)))


def _outcomes(report: RunReport, cell: Cell) -> dict[str, Outcome]:
    return {test: row.outcome for test, row in gravest_first(report.result(cell).tests).items()}


def _alike(one: Cell, other: Cell) -> bool:
    def of(cell: Cell) -> object:
        return cell.package, cell.resolution, cell.platform, cell.details, cell.python == "-"

    return of(one) == of(other)


def _whole(report: RunReport, outcomes: Mapping[str, Mapping[str, Outcome]], cell: Cell) -> Hashable:
    return frozenset(outcomes[cell.name].items()) or report.result(cell).outcome


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
    with_lock = [any(cell.name in locked for cell in column.cells) for column in columns]
    found = {}
    for name in names:
        told = tuple(span(_versions(column.cells, locked, name)) for column in columns)
        if len({one for one, has_lock in zip(told, with_lock, strict=True) if has_lock}) > 1:
            found[name] = told
    return found


def _versions(cells: Iterable[Cell], locked: Mapping[str, Mapping[str, str]], name: str) -> list[str]:
    known = (locked[cell.name].get(name, "") for cell in cells if cell.name in locked)
    return [version for version in known if version]


def span(words: Sequence[str], dash: str = " – ") -> str:
    """Return the first and the last of some words, or the one that they all are; of none nothing.

    >>> span(["2.8.0", "2.9.0", "2.10.1"]), span(["3.8", "3.8"]), span([])
    ('2.8.0 – 2.10.1', '3.8', '')
    """
    distinct = list(dict.fromkeys(words))
    return dash.join((distinct[0], distinct[-1])) if len(distinct) > 1 else "".join(distinct)
