"""Where in a grid neighbours differ: one field is ok, the next one fails or comes to other numbers. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.model.cell import Cell
from tf_tester.model.events import FieldFinished
from tf_tester.model.field import FieldOutcome, GridSide

_BAD = (FieldOutcome.ERROR, FieldOutcome.WRONG_NUMBERS)


class Border(Struct, frozen=True):
    """Between two neighbours of one side something changes, while product and cell of the other side stay the same."""

    product: str
    side: GridSide
    """Whose versions change."""
    held: str
    """The name of the cell on the other side."""
    before: str
    """The name of the older cell."""
    after: str
    breaks: bool
    """Whether the newer one is the bad one."""
    bad: FieldFinished
    count: int = 1
    """How many there are between these two cells in which the same comes of the same product."""


def borders(
    fields: Sequence[FieldFinished], savers: Sequence[str], loaders: Sequence[str], cells: Mapping[str, Cell]
) -> tuple[Border, ...]:
    """Return the borders of a grid: those between the same cells with the same kind of failure once, with their number.

    `savers`, `loaders`: names of cells in the order of their versions; what lies between two of which nothing is known
    is passed over, as are numbers that vary.
    """
    found: dict[tuple[object, ...], Border] = {}
    known = {
        (one.product, one.producer, one.consumer): one for one in fields if one.outcome in (FieldOutcome.OK, *_BAD)
    }
    products = dict.fromkeys(field.product for field in fields)
    for product in products:
        for side, line, others in ((GridSide.SAVED, savers, loaders), (GridSide.LOADED, loaders, savers)):
            for neighbours in lines_of(line, cells):
                for held in others:
                    along = (
                        known.get((product, name, held) if side is GridSide.SAVED else (product, held, name))
                        for name in neighbours
                    )
                    for one in _changes(product, side, held, neighbours, list(along)):
                        key = (product, side, one.before, one.after, one.breaks, *_kind(one.bad))
                        same = found.get(key)
                        found[key] = one if same is None else replace(same, count=same.count + 1)
    return tuple(found.values())


def lines_of(names: Iterable[str], cells: Mapping[str, Cell]) -> list[tuple[str, ...]]:
    """Return cells that can be neighbours together: of one package, one resolution and one platform.

    Where a version has several Pythons, those of one Python.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        cell = cells[name]
        groups.setdefault((cell.package, str(cell.resolution), cell.platform), []).append(name)
    found = []
    for together in groups.values():
        versions = [cells[name].version for name in together]
        if len(set(versions)) == len(versions):
            found.append(tuple(together))
            continue
        pythons = dict.fromkeys(cells[name].python for name in together)
        found += [tuple(name for name in together if cells[name].python == python) for python in pythons]
    return found


def _changes(
    product: str, side: GridSide, held: str, names: Sequence[str], along: Sequence[FieldFinished | None]
) -> Iterator[Border]:
    """Yield the borders along one line of fields."""
    known = [(name, field) for name, field in zip(names, along, strict=True) if field is not None]
    for (before, older), (after, newer) in pairwise(known):
        if (older.outcome in _BAD) != (newer.outcome in _BAD):
            breaks = newer.outcome in _BAD
            yield Border(product, side, held, before, after, breaks, newer if breaks else older)


def _kind(field: FieldFinished) -> tuple[str, ...]:
    """Return what a field came to, without what it says of itself alone: paths, versions, numbers."""
    raised = field.exception.type if field.exception is not None else ""
    return (str(field.outcome), raised, *(one.name for one in field.differences))
