"""What differs between two locks, which of the differences entail which, and the locks between the two. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from tf_tester.core.verdict.blame import EntailmentGraph
from tf_tester.core.wheel.requirements import requirements_of
from tf_tester.model.lock import Lock, Pin, Resolution


class LockChangeKind(StrEnum):
    """How a distribution differs between two locks."""

    ADDED = "added"
    REMOVED = "removed"
    UP = "up"
    DOWN = "down"
    OTHER = "other"
    """The same version, but another file."""


class DistributionChange(Struct, frozen=True):
    """One distribution that isn't the same in two locks."""

    name: str
    before: str | None
    """Its version in the one lock; None: it isn't in it."""
    after: str | None

    @property
    def text(self) -> str:
        """`numpy 1.22.3 → 2.2.6`."""
        match self.before, self.after:
            case None, after:
                return f"{self.name} {after} (added)"
            case before, None:
                return f"{self.name} {before} (gone)"
            case before, after if before == after:
                return f"{self.name} {before} (another file)"
            case before, after:
                return f"{self.name} {before} → {after}"

    @property
    def kind(self) -> LockChangeKind:
        """Return how it differs; `OTHER`, too, where a version is none of PEP 440."""
        if self.before is None:
            return LockChangeKind.ADDED
        if self.after is None:
            return LockChangeKind.REMOVED
        try:
            before, after = Version(self.before), Version(self.after)
        except InvalidVersion:
            return LockChangeKind.OTHER
        if before == after:
            return LockChangeKind.OTHER
        return LockChangeKind.UP if before < after else LockChangeKind.DOWN


def changes(before: Lock, after: Lock) -> tuple[DistributionChange, ...]:
    """Return the changes, by name."""
    old, new = _by_name(before), _by_name(after)
    names = sorted(old.keys() | new.keys())
    pairs = ((name, old.get(name), new.get(name)) for name in names)
    return tuple(
        DistributionChange(name, one.version if one else None, other.version if other else None)
        for name, one, other in pairs
        if one is None or other is None or one.sha256 != other.sha256
    )


def between(before: Lock, after: Lock, changed: Collection[str]) -> Lock:
    """Return the first lock with these distributions as they are in the second."""
    old, new = _by_name(before), _by_name(after)
    pins = [(new if name in changed else old).get(name) for name in sorted(old.keys() | new.keys())]
    return replace(
        before, resolution=Resolution.LOCK, cutoff=None, pins=tuple(filter(None, pins)), remarks=(), reason=""
    )


def entailing(
    before: Lock, after: Lock, needs: Callable[[Pin], bytes], environment: Mapping[str, str]
) -> EntailmentGraph:
    """Return which changes can only be made together with which others.

    One that requires what only the second lock has entails it; and where a distribution of the first lock does not
    put up with a change, that change entails the distribution's own. `needs` gives a pin's METADATA. Requirements that
    one of the locks itself breaks are passed over.
    """
    old, new = _by_name(before), _by_name(after)
    read = {pin.sha256: requirements_of(needs(pin)) for pin in (*before.pins, *after.pins)}
    extras = _extras(read.values())
    entails: dict[str, set[str]] = {change.name: set() for change in changes(before, after)}
    for name in entails:
        for pins, mine in ((new, True), (old, False)):
            pin = pins.get(name)
            if pin is None:
                continue
            for requirement in read[pin.sha256]:
                target = str(canonicalize_name(requirement.name))
                if target not in entails or target == name:
                    continue
                if not _counts(requirement, extras.get(name, frozenset()), environment):
                    continue
                here, there = (new, old) if mine else (old, new)
                if _meets(requirement, here.get(target)) and not _meets(requirement, there.get(target)):
                    # The new one needs the new target; the old one can't be beside the new target.
                    entails[name if mine else target].add(target if mine else name)
    return EntailmentGraph(entails)


def requirers(lock: Lock, name: str, needs: Callable[[Pin], bytes], environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return distributions of a lock that require one, by name."""
    read = {pin.name: requirements_of(needs(pin)) for pin in lock.pins}
    extras = _extras(read.values())
    return tuple(
        str(canonicalize_name(owner))
        for owner, requirements in sorted(read.items())
        if any(
            canonicalize_name(one.name) == name
            and _counts(one, extras.get(str(canonicalize_name(owner)), frozenset()), environment)
            for one in requirements
        )
    )


def allowed_by(
    lock: Lock, name: str, needs: Callable[[Pin], bytes], environment: Mapping[str, str]
) -> tuple[SpecifierSet, ...]:
    """Return what the distributions of a lock require of the version of one."""
    read = {str(canonicalize_name(pin.name)): requirements_of(needs(pin)) for pin in lock.pins}
    extras = _extras(read.values())
    return tuple(
        one.specifier
        for owner, requirements in read.items()
        for one in requirements
        if canonicalize_name(one.name) == name and _counts(one, extras.get(owner, frozenset()), environment)
    )


def nearest_allowed(
    change: DistributionChange, versions: Iterable[Version], allowed: Collection[SpecifierSet]
) -> Version | None:
    """Return the version nearest to the first one that is allowed beside the rest of the second lock; None: there is
    none but the second one itself.

    >>> versions = [Version(text) for text in ("3.19.6", "3.20.2", "3.20.3", "4.21.1", "4.22.0")]
    >>> str(nearest_allowed(DistributionChange("protobuf", "3.19.6", "4.22.0"), versions, [SpecifierSet(">=3.20.3")]))
    '3.20.3'
    """
    if change.before is None or change.after is None:
        return None
    try:
        before, after = Version(change.before), Version(change.after)
    except InvalidVersion:
        return None
    low, high = min(before, after), max(before, after)
    line = sorted({one for one in versions if low <= one <= high} - {after}, reverse=before > after)
    return next((one for one in line if all(one in specifier for specifier in allowed)), None)


def series_bounds(version: str) -> tuple[str, ...]:
    """Return what earlier series of a version are below: of its minor one, and of three major ones.

    >>> series_bounds("4.22.1"), series_bounds("0.9.2"), series_bounds("2.0.1")
    (('4.22', '4', '3', '2'), ('0.9',), ('2', '1'))
    """
    try:
        major, minor = (*Version(version).release, 0)[:2]
    except InvalidVersion:
        return ()
    bounds = [f"{major}.{minor}"] if minor else []
    return (*bounds, *(str(one) for one in range(major, max(0, major - 3), -1)))


def upper_bound(good: str, bad: str) -> str:
    """Return the shortest version that the good one is below and the bad one isn't.

    >>> upper_bound("3.20.3", "4.21.1"), upper_bound("1.23.5", "1.24.0"), upper_bound("2.0.1", "2.0.2")
    ('4', '1.24', '2.0.2')
    """
    parts = Version(bad).release
    for count in range(1, len(parts) + 1):
        text = ".".join(map(str, parts[:count]))
        if Version(good) < Version(text) <= Version(bad):
            return text
    return bad


def _by_name(lock: Lock) -> dict[str, Pin]:
    return {str(canonicalize_name(pin.name)): pin for pin in lock.pins}


def _extras(all_requirements: Iterable[Iterable[Requirement]]) -> dict[str, frozenset[str]]:
    """Return by name the extras that anybody asks for; more than may be installed."""
    found: dict[str, frozenset[str]] = {}
    for requirements in all_requirements:
        for requirement in requirements:
            name = str(canonicalize_name(requirement.name))
            found[name] = found.get(name, frozenset()) | requirement.extras
    return found


def _counts(requirement: Requirement, extras: Iterable[str], environment: Mapping[str, str]) -> bool:
    if requirement.marker is None:
        return True
    return any(requirement.marker.evaluate({**environment, "extra": extra}) for extra in ("", *extras))


def _meets(requirement: Requirement, pin: Pin | None) -> bool:
    try:
        return pin is not None and requirement.specifier.contains(pin.version, prereleases=True)
    except InvalidVersion:
        return False
