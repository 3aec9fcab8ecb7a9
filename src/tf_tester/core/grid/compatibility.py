"""How far versions load what their neighbours have saved: backward and forward compatibility of a grid. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

from msgspec import Struct
from packaging.version import Version

from tf_tester.core.outcome.report import RunReport
from tf_tester.model.events import FieldFinished
from tf_tester.model.field import FieldOutcome

_LOADED = (FieldOutcome.OK, FieldOutcome.FLAKY)
_FAILED = (FieldOutcome.ERROR, FieldOutcome.WRONG_NUMBERS)


class LoadDirection(StrEnum):
    """Which of two versions loads."""

    BACKWARD = "backward"
    """The newer one loads what the older one has saved."""
    FORWARD = "forward"
    """The older one loads what the newer one has saved."""


class ReachKind(StrEnum):
    """How far that goes."""

    ALL = "all"
    STEPS = "steps"
    """From each version to the next one, but not over all distances."""
    PARTLY = "partly"
    """From some versions to the next one."""
    NONE = "none"
    UNKNOWN = "unknown"
    """There are no two versions of which it was tried."""


class VersionPair(Struct, frozen=True):
    """What becomes of all that one version has saved and another one loads."""

    saved: str
    loaded: str
    outcome: FieldOutcome

    @property
    def works(self) -> bool:
        return self.outcome in _LOADED


class Reach(Struct, frozen=True):
    """How far the versions of a grid load what others have saved, in one direction."""

    direction: LoadDirection
    kind: ReachKind
    stretches: tuple[tuple[str, str], ...] = ()
    """The first and the last version of each stretch in which it goes from each to the next, oldest first."""
    from_the_first: bool = False
    """The first stretch begins with the oldest version."""
    broken: VersionPair | None = None
    """Two versions between which it doesn't, the nearest ones."""


class GridReach(Struct, frozen=True):
    """What a grid says of compatibility, all its products together or one of them."""

    savers: str
    """Names of packages."""
    loaders: str
    backward: Reach
    forward: Reach
    works: int
    """Fields that are ok."""
    tried: int
    """Fields that are known: those that were run."""
    products: int


def grid_reach(report: RunReport, product: str | None = None) -> GridReach:
    """Return how far versions load what others have saved. `product`: only this one; all count, where none is named."""
    fields = [field for field in report.fields if product in (None, field.product)]
    cells = {cell.name: cell for cell in report.cells}
    savers, loaders = (
        ", ".join(dict.fromkeys(cells[name].package for name in names if name in cells))
        for names in ([field.producer for field in fields], [field.consumer for field in fields])
    )
    versions = {name: cell.version for name, cell in cells.items()} if savers == loaders else {}
    pairs = version_pairs(fields, versions)
    return GridReach(
        savers,
        loaders,
        reach(pairs, LoadDirection.BACKWARD),
        reach(pairs, LoadDirection.FORWARD),
        sum(field.outcome in _LOADED for field in fields),
        sum(field.outcome is not FieldOutcome.NOT_RUN for field in fields),
        len({field.product for field in fields}),
    )


def version_pairs(fields: Iterable[FieldFinished], versions: Mapping[str, str]) -> tuple[VersionPair, ...]:
    """Return what fields come to by versions: a pair works if all its fields do. `versions`: by names of cells."""
    found: dict[tuple[str, str], FieldOutcome] = {}
    for field in fields:
        pair = versions.get(field.producer), versions.get(field.consumer)
        if pair[0] is None or pair[1] is None or field.outcome is FieldOutcome.NOT_RUN:
            continue
        before = found.get((pair[0], pair[1]), field.outcome)
        found[pair[0], pair[1]] = before if before in _FAILED else field.outcome
    return tuple(VersionPair(saved, loaded, outcome) for (saved, loaded), outcome in found.items())


def reach(pairs: Collection[VersionPair], direction: LoadDirection) -> Reach:
    """Return how far versions load in one direction.

    >>> pairs = [VersionPair("1.0", "1.1", FieldOutcome.OK), VersionPair("1.1", "2.0", FieldOutcome.ERROR)]
    >>> found = reach(pairs, LoadDirection.BACKWARD)
    >>> found.kind, found.stretches, found.broken.loaded
    (<ReachKind.PARTLY: 'partly'>, (('1.0', '1.1'),), '2.0')
    """
    backward = direction is LoadDirection.BACKWARD
    meant = {_ends(one): one for one in pairs if one.saved != one.loaded and _is_backward(one) is backward}
    steps = list(_steps(meant))
    if not steps:
        return Reach(direction, ReachKind.UNKNOWN)
    stretches = tuple(_stretches(steps))
    broken = next((meant[step] for step in steps if not meant[step].works), None)
    if broken is None and (far := [pair for pair in meant if not meant[pair].works]):
        line = sorted({version for pair in meant for version in pair}, key=Version)
        broken = meant[min(far, key=lambda pair: (line.index(pair[1]) - line.index(pair[0]), line.index(pair[0])))]
        return Reach(direction, ReachKind.STEPS, stretches, from_the_first=True, broken=broken)
    if broken is None:
        return Reach(direction, ReachKind.ALL, stretches, from_the_first=True)
    kept = tuple(_stretches([step for step in steps if meant[step].works]))
    kind = ReachKind.PARTLY if kept else ReachKind.NONE
    return Reach(direction, kind, kept, from_the_first=bool(kept) and kept[0][0] == steps[0][0], broken=broken)


def _ends(pair: VersionPair) -> tuple[str, str]:
    """Return both versions, the older one first."""
    return (pair.saved, pair.loaded) if _is_backward(pair) else (pair.loaded, pair.saved)


def _is_backward(pair: VersionPair) -> bool:
    return Version(pair.saved) < Version(pair.loaded)


def _steps(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield for each version the pair with the nearest newer one, oldest first."""
    nearest: dict[str, str] = {}
    for old, new in pairs:
        if old not in nearest or Version(new) < Version(nearest[old]):
            nearest[old] = new
    yield from ((old, nearest[old]) for old in sorted(nearest, key=Version))


def _stretches(steps: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the ends of what steps make together.

    >>> list(_stretches([("1.0", "1.1"), ("1.1", "1.2"), ("2.0", "2.1")]))
    [('1.0', '1.2'), ('2.0', '2.1')]
    """
    first = last = ""
    for old, new in steps:
        if last and Version(old) <= Version(last):
            last = max(last, new, key=Version)
            continue
        if last:
            yield first, last
        first, last = old, new
    if last:
        yield first, last


# In words


def reach_sentence(found: GridReach) -> str:
    """Return in one sentence which versions load what which others have saved.

    >>> unknown = [Reach(one, ReachKind.UNKNOWN) for one in LoadDirection]
    >>> reach_sentence(GridReach("keras", "tf-keras", *unknown, 5, 6, 1))
    'tf-keras loads what keras saved in 5 of 6 fields.'
    """
    if not found.tried:
        return "It isn't known which versions load what others saved: nothing could be loaded."
    clauses = [reach_clause(one) for one in (found.backward, found.forward)]
    if not any(clauses):
        return f"{found.loaders} loads what {found.savers} saved in {found.works} of {found.tried} fields."
    many = f", all {found.products} products together" if found.products > 1 else ""
    return f"{found.loaders}{many}: {'; '.join(filter(None, clauses))}."


def reach_clause(found: Reach) -> str:
    """Return one direction in words; empty where nothing is known of it."""
    backward = found.direction is LoadDirection.BACKWARD
    loaders, savers = ("newer", "older") if backward else ("older", "newer")
    because = f" ({_broken(found.broken)})" if found.broken is not None else ""
    match found.kind:
        case ReachKind.UNKNOWN:
            return ""
        case ReachKind.ALL:
            return f"{loaders} versions load all that {savers} ones saved"
        case ReachKind.STEPS:
            next_to = "one before them" if backward else "one after them"
            return f"{loaders} versions load what the {next_to} saved, but not all that {savers} ones did{because}"
        case ReachKind.PARTLY:
            return f"{loaders} versions load what {savers} ones saved {_ranges(found)}{because}"
        case ReachKind.NONE:
            return f"{loaders} versions don't rightly load what {savers} ones saved{because}"


def _ranges(found: Reach) -> str:
    if found.from_the_first and len(found.stretches) == 1:
        return f"up to {found.stretches[0][1]}"
    return " and ".join(f"from {first} to {last}" for first, last in found.stretches)


def _broken(pair: VersionPair) -> str:
    does = "gets other numbers from" if pair.outcome is FieldOutcome.WRONG_NUMBERS else "fails on"
    return f"{pair.loaded} {does} what {pair.saved} saved"
