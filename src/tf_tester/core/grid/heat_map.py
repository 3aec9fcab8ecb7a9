"""A grid as a picture of signs: producers by consumers, each kind of failure with a letter of its own. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from string import ascii_uppercase

from msgspec import Struct

from tf_tester.core.grid.guarantees import ProductGuarantee, guarantees
from tf_tester.core.outcome.failures import kinds_of_failure, without_varying
from tf_tester.core.outcome.report import RunReport, cell_labels
from tf_tester.core.overview.own_code import OwnPlace, own_place
from tf_tester.model.cell import Cell
from tf_tester.model.events import FieldFinished
from tf_tester.model.field import FieldOutcome
from tf_tester.model.outcome import CellResult, TestRow

OK, NOT_RUN, OTHER = "ok", "-", "?"
"""Signs: of what works, of what was not run, and of kinds for which there is no letter left."""
WRONG, FLAKY = "!=", "~"
"""Signs: of other numbers, and of numbers that vary within one version."""
BREACH = "*"
"""Stands behind the sign of a field that a documentation promises, and that isn't ok."""


class FieldKind(Struct, frozen=True):
    """Fields that came to the same, for the same reason."""

    sign: str
    headline: str
    """In one line; empty of those that are ok."""
    fields: tuple[FieldFinished, ...]
    place: OwnPlace | None = None
    """The user's own line that it shows at, in the first of them."""


class HeatMap(Struct, frozen=True):
    """The fields of one product."""

    product: str
    producers: tuple[str, ...]
    """Names of cells."""
    consumers: tuple[str, ...]
    signs: Mapping[tuple[str, str], str]
    """By producer and consumer; a field of which nothing is known has none."""
    guarantee: ProductGuarantee | None = None
    """What a documentation promises of this product; None: nothing is known."""

    def sign(self, producer: str, consumer: str) -> str:
        """Return the sign of a field, with a mark where it breaks a promise; of one that was never come to, a space."""
        sign = self.signs.get((producer, consumer), " ")
        return f"{sign}{BREACH}" if (producer, consumer) in self.breaches else sign

    @property
    def breaches(self) -> frozenset[tuple[str, str]]:
        """Return producers and consumers for which a promise is broken."""
        broken = self.guarantee.breaches if self.guarantee is not None else ()
        return frozenset((one.producer, one.consumer) for one in broken)

    def is_promised(self, producer: str, consumer: str) -> bool:
        """Return whether a documentation promises that the one loads what the other has saved."""
        return self.guarantee is not None and (producer, consumer) in self.guarantee.promised

    def bands(self, names: Sequence[str], *, of_consumers: bool) -> list[tuple[str, ...]]:
        """Return neighbours together whose columns, or rows, are equal."""
        others = self.producers if of_consumers else self.consumers

        def looks(name: str) -> tuple[str, ...]:
            return tuple(self.sign(one, name) if of_consumers else self.sign(name, one) for one in others)

        return folded(names, looks)


def folded(names: Sequence[str], looks: Callable[[str], object]) -> list[tuple[str, ...]]:
    """Return neighbours together that look the same.

    >>> folded(["1.0", "1.1", "2.0", "2.1"], lambda name: name[0])
    [('1.0', '1.1'), ('2.0', '2.1')]
    """
    found: list[tuple[str, ...]] = []
    for name in names:
        if found and looks(found[-1][0]) == looks(name):
            found[-1] = (*found[-1], name)
        else:
            found.append((name,))
    return found


def field_kinds(report: RunReport) -> tuple[FieldKind, ...]:
    """Return what fields came to, what most have first: wrong numbers, failures, flaky, not run, ok."""
    groups: dict[tuple[object, ...], list[FieldFinished]] = {}
    for field in _in_order(report):
        groups.setdefault((field.outcome, *_signature(field, report)), []).append(field)
    ordered = sorted(groups.values(), key=lambda fields: (_RANKS[fields[0].outcome], -len(fields)))
    letters = iter(ascii_uppercase)
    return tuple(_kind(tuple(fields), letters, report) for fields in ordered)


_RANKS = {
    outcome: rank
    for rank, outcome in enumerate(
        (FieldOutcome.WRONG_NUMBERS, FieldOutcome.ERROR, FieldOutcome.FLAKY, FieldOutcome.NOT_RUN, FieldOutcome.OK)
    )
}


def _in_order(report: RunReport) -> list[FieldFinished]:
    """Return the fields as they are shown, whichever consumer has ended first."""
    places = [{name: at for at, name in enumerate(_order(report, side))} for side in ("producers", "consumers")]
    return sorted(report.fields, key=lambda one: (places[0][one.producer], places[1][one.consumer]))


def heat_maps(report: RunReport, kinds: Sequence[FieldKind]) -> tuple[HeatMap, ...]:
    """Return a picture of each product; `kinds` gives the signs."""
    signs = {(one.product, one.producer, one.consumer): kind.sign for kind in kinds for one in kind.fields}
    producers, consumers = _order(report, "producers"), _order(report, "consumers")
    promised = {one.product: one for one in guarantees(report)}
    return tuple(
        HeatMap(
            product,
            producers,
            consumers,
            {(maker, user): sign for (name, maker, user), sign in signs.items() if name == product},
            promised.get(product),
        )
        for product in dict.fromkeys(field.product for field in report.fields)
    )


def short_labels(names: Sequence[str], report: RunReport) -> dict[str, str]:
    """Return what cells are called beside one another: by version alone where that tells which one it is."""
    cells = {cell.name: cell for cell in report.cells}
    known = [cells[name] for name in names if name in cells]
    versions = [cell.version for cell in known]
    long = cell_labels(known)
    return {name: _short(cells[name], versions, long) if name in cells else name for name in names}


def grid_labels(report: RunReport) -> dict[str, str]:
    """Return what all cells of a grid are called beside one another, also those that its record only names."""
    names = [*(cell.name for cell in report.cells), *_order(report, "producers"), *_order(report, "consumers")]
    names += [name for one in report.routes for name in (one.start, one.goal, *(hop.consumer for hop in one.hops))]
    return short_labels(list(dict.fromkeys((*names, *(one.held for one in report.borders)))), report)


def served(fields: Sequence[FieldFinished]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return which producers' products are meant under which consumers: those with the same consumers together."""
    consumers: dict[str, dict[str, None]] = {}
    for field in fields:
        consumers.setdefault(field.producer, {})[field.consumer] = None
    together: dict[tuple[str, ...], list[str]] = {}
    for producer, own in consumers.items():
        together.setdefault(tuple(own), []).append(producer)
    return [(tuple(producers), own) for own, producers in together.items()]


def _short(cell: Cell, versions: Sequence[str], long: Mapping[str, str]) -> str:
    return cell.version if versions.count(cell.version) == 1 else long[cell.name]


def _order(report: RunReport, side: str) -> tuple[str, ...]:
    """Return the names of cells as they were asked for; those that only fields name behind them."""
    grid = report.request.get("grid")
    asked = grid.get(side) if isinstance(grid, dict) else None
    seen = (field.producer if side == "producers" else field.consumer for field in report.fields)
    return tuple(dict.fromkeys((*(asked if isinstance(asked, list) else ()), *seen)))


def _signature(field: FieldFinished, report: RunReport) -> tuple[str, ...]:
    if field.outcome is FieldOutcome.OK:
        return ()
    if field.differences:
        return tuple(one.name for one in field.differences)
    row = _failed_row(field, report)
    if row is not None:
        return next(iter(kinds_of_failure(CellResult(field.consumer, row.outcome, tests=(row,)))))
    return (without_varying(field.summary),)


def _failed_row(field: FieldFinished, report: RunReport) -> TestRow | None:
    result = report.results.get(field.consumer)
    rows = result.tests if result is not None and field.outcome is FieldOutcome.ERROR else ()
    return next((row for row in rows if row.id in field.tests and row.outcome.is_failure_of_the_test), None)


def _kind(fields: tuple[FieldFinished, ...], letters: Iterator[str], report: RunReport) -> FieldKind:
    first = fields[0]
    match first.outcome:
        case FieldOutcome.OK:
            return FieldKind(OK, "", fields)
        case FieldOutcome.NOT_RUN:
            return FieldKind(NOT_RUN, first.summary, fields)
        case FieldOutcome.WRONG_NUMBERS:
            return FieldKind(WRONG, first.summary, fields)
        case FieldOutcome.FLAKY:
            return FieldKind(FLAKY, first.summary, fields)
        case FieldOutcome.ERROR:
            row = _failed_row(first, report)
            where = own_place(row, report.here) if row is not None else None
            return FieldKind(next(letters, OTHER), first.summary, fields, where)
