"""Which distributions differ between all cells that pass and all that fail, with one border between the two. Pure."""

from collections.abc import Iterable, Sequence

from msgspec import Struct
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from tf_tester.core.verdict.drift import DistributionChange
from tf_tester.model.lock import Lock

LockSet = int
"""Some of the locks: the bits of their places are set (the first lock's is 1). Many are compared at once so."""


class LockedVersions:
    """Which versions the locks of a run have, read once for all questions."""

    def __init__(self, locks: Iterable[Lock | None]) -> None:
        """Read them. None: of what has that place no lock is known."""
        having: dict[str, dict[str, LockSet]] = {}
        self._all = 0
        for place, lock in enumerate(locks):
            self._all |= 1 << place
            for pin in lock.pins if lock is not None else ():
                versions = having.setdefault(str(canonicalize_name(pin.name)), {})
                versions[pin.version] = versions.get(pin.version, 0) | 1 << place
        self._projects = {name: _Project.of(versions, self._all) for name, versions in sorted(having.items())}

    def separating(self, passing: LockSet, failing: LockSet) -> tuple[DistributionChange, ...]:
        """Return the distributions of which all that pass have older versions than all that fail, or all newer, or
        that only those of one side have; by name. Each with the versions on both sides of the border.
        """
        if not passing or not failing:
            return ()
        found = (_change(name, project, passing, failing) for name, project in self._projects.items())
        return tuple(change for change in found if change is not None)

    def has(self, name: str, some: LockSet) -> bool:
        """Return whether any of them has a distribution. `name`: canonical."""
        project = self._projects.get(name)
        return project is not None and bool(some & ~project.without)


_Known = tuple[Version, str, LockSet]
"""A version, its text, and which locks have it."""


class _Project(Struct, frozen=True):
    """One distribution in all locks."""

    without: LockSet
    unordered: LockSet
    """Those that have a version which is none of PEP 440."""
    versions: tuple[_Known, ...]
    """The others, oldest first."""

    @classmethod
    def of(cls, having: dict[str, LockSet], everywhere: LockSet) -> "_Project":
        without, unordered = everywhere, 0
        versions: list[_Known] = []
        for text, some in having.items():
            without &= ~some
            try:
                versions.append((Version(text), text, some))
            except InvalidVersion:
                unordered |= some
        return cls(without, unordered, tuple(sorted(versions)))


def _change(name: str, project: _Project, good: LockSet, bad: LockSet) -> DistributionChange | None:
    if (good & project.without and bad & project.without) or (good | bad) & project.unordered:
        return None
    old, new = _ends(project.versions, good), _ends(project.versions, bad)
    if old is None or new is None:
        if old is new or project.without & (bad if old is None else good):
            return None
        return DistributionChange(name, old[1][1] if old else None, new[0][1] if new else None)
    if old[1][0] < new[0][0]:
        return DistributionChange(name, old[1][1], new[0][1])
    if new[1][0] < old[0][0]:
        return DistributionChange(name, old[0][1], new[1][1])
    return None


def _ends(versions: Sequence[_Known], some: LockSet) -> tuple[_Known, _Known] | None:
    """Return the oldest and the newest version that some locks have; None: they have none."""
    first = next((one for one in versions if one[2] & some), None)
    last = next((one for one in reversed(versions) if one[2] & some), None)
    return (first, last) if first is not None and last is not None else None
