"""What documentations promise of the fields of a grid, and which fields break that. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from fnmatch import fnmatchcase
from typing import Any

import msgspec
from msgspec import Struct
from packaging.version import Version

from tf_tester.core.outcome.report import RunReport
from tf_tester.model.cell import Cell
from tf_tester.model.events import FieldFinished
from tf_tester.model.field import FieldOutcome
from tf_tester.model.framework import Guarantee

_BROKEN = (FieldOutcome.ERROR, FieldOutcome.WRONG_NUMBERS)


class ProductGuarantee(Struct, frozen=True):
    """A guarantee that a product of a grid has, and what became of it."""

    product: str
    guarantee: Guarantee
    promised: frozenset[tuple[str, str]] = frozenset()
    """Names of producers and consumers for which it promises that the product is loaded."""
    kept: int = 0
    """Fields that it promises, and that are ok."""
    breaches: tuple[FieldFinished, ...] = ()
    """Fields that it promises, and that failed or came to other numbers."""

    @property
    def across_versions(self) -> bool:
        """Return whether it promises anything at all of other versions."""
        return _promises_anything(self.guarantee)


def is_promised(guarantee: Guarantee, saver: Cell, loader: Cell, released: Mapping[str, date]) -> bool | None:
    """Return whether a guarantee says that a cell loads what another one has saved; None where that isn't known.

    `released`: days by names of cells. Where anything is promised, a version loads what it has saved itself.
    """
    if saver.package not in guarantee.savers or loader.package not in guarantee.loaders:
        return None
    if not _promises_anything(guarantee):
        return False
    if (saver.package, saver.version) == (loader.package, loader.version):
        return True
    if guarantee.levels:
        saved, read = (_level(guarantee.levels.get(cell.package, {}), cell.version) for cell in (saver, loader))
        return None if saved is None or read is None else saved <= read
    if guarantee.majors is not None:
        old, new = Version(saver.version), Version(loader.version)
        return old <= new and new.major - old.major <= guarantee.majors
    first, second = (released.get(cell.name) for cell in (saver, loader))
    if first is None or second is None:
        return None
    return -(guarantee.older_days or 0) <= (second - first).days <= (guarantee.newer_days or 0)


def _promises_anything(one: Guarantee) -> bool:
    return bool(one.levels) or any(rule is not None for rule in (one.majors, one.newer_days, one.older_days))


def guarantees(report: RunReport) -> tuple[ProductGuarantee, ...]:
    """Return for each product that is of a known kind what its documentation promises, in the order of the fields."""
    grid = report.request.get("grid")
    known = known_guarantees(grid.get("guarantees")) if isinstance(grid, Mapping) else ()
    if not known:
        return ()
    released = _days(grid.get("released")) if isinstance(grid, Mapping) else {}
    cells = {cell.name: cell for cell in report.cells}
    paths: dict[str, set[str]] = {}
    for left in report.products:
        paths.setdefault(left.name, set()).update(left.paths)
    found = []
    for product in dict.fromkeys(field.product for field in report.fields):
        own = [field for field in report.fields if field.product == product]
        pairs = [(cells.get(field.producer), cells.get(field.consumer)) for field in own]
        guarantee = _guarantee_of(known, paths.get(product, set()), [pair for pair in pairs if None not in pair])
        if guarantee is not None:
            found.append(_judged(product, guarantee, own, cells, released))
    return tuple(found)


def known_guarantees(told: Any) -> tuple[Guarantee, ...]:
    """Return guarantees as a record tells them; what a later version has added to them is passed over."""
    found = []
    for one in told if isinstance(told, list | tuple) else ():
        if isinstance(one, Mapping):
            fields = {name: value for name, value in one.items() if name in Guarantee.__struct_fields__}
            try:
                found.append(msgspec.convert(fields, Guarantee))
            except msgspec.ValidationError:
                continue
    return tuple(found)


def _judged(
    product: str,
    guarantee: Guarantee,
    fields: Iterable[FieldFinished],
    cells: Mapping[str, Cell],
    released: Mapping[str, date],
) -> ProductGuarantee:
    promised = []
    for field in fields:
        saver, loader = cells.get(field.producer), cells.get(field.consumer)
        if saver is not None and loader is not None and is_promised(guarantee, saver, loader, released):
            promised.append(field)
    return ProductGuarantee(
        product,
        guarantee,
        frozenset((field.producer, field.consumer) for field in promised),
        sum(field.outcome is FieldOutcome.OK for field in promised),
        tuple(field for field in promised if field.outcome in _BROKEN),
    )


def _guarantee_of(
    known: Sequence[Guarantee], paths: Iterable[str], pairs: Sequence[tuple[Cell | None, Cell | None]]
) -> Guarantee | None:
    """Return the first one that is for files of these paths, and for the packages of these pairs."""
    packages = {(saver.package, loader.package) for saver, loader in pairs if saver is not None and loader is not None}
    paths = list(paths)
    for one in known:
        fits = any(fnmatchcase(path, pattern) for path in paths for pattern in one.files)
        if fits and any(saver in one.savers and loader in one.loaders for saver, loader in packages):
            return one
    return None


def _level(levels: Mapping[str, int], version: str) -> int | None:
    """Return the level of a version's series: of `1.16.2` that of `1.16`.

    >>> _level({"1.16": 21}, "1.16.2"), _level({"1.16": 21}, "1.17.0")
    (21, None)
    """
    major, minor = (*Version(version).release, 0)[:2]
    return levels.get(f"{major}.{minor}")


def _days(told: Any) -> dict[str, date]:
    found = {}
    for name, day in told.items() if isinstance(told, Mapping) else ():
        try:
            found[name] = date.fromisoformat(str(day))
        except ValueError:
            continue
    return found
