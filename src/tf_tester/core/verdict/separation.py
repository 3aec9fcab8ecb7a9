"""Which distributions differ between all cells that pass and all that fail, with one border between the two. Pure."""

from collections.abc import Collection, Sequence

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from tf_tester.core.verdict.drift import DistributionChange
from tf_tester.model.lock import Lock

_Versions = set[str | None]
"""None: in some cell it isn't there at all."""


def separating(passing: Sequence[Lock], failing: Sequence[Lock]) -> tuple[DistributionChange, ...]:
    """Return the distributions of which all cells that pass have older versions than all that fail, or all newer, or
    that only those of one side have; by name. Each with the versions on both sides of the border.
    """
    if not passing or not failing:
        return ()
    good, bad = [_versions(lock) for lock in passing], [_versions(lock) for lock in failing]
    names = sorted({name for lock in (*good, *bad) for name in lock})
    found = (_change(name, {lock.get(name) for lock in good}, {lock.get(name) for lock in bad}) for name in names)
    return tuple(change for change in found if change is not None)


def _versions(lock: Lock) -> dict[str, str]:
    return {str(canonicalize_name(pin.name)): pin.version for pin in lock.pins}


def _change(name: str, good: _Versions, bad: _Versions) -> DistributionChange | None:
    if None in good and None in bad:
        return None
    try:
        old, new = _ordered(good), _ordered(bad)
    except InvalidVersion:
        return None
    if not old or not new:
        if len(old) + len(new) == 0 or None in (good if old else bad):
            return None
        return DistributionChange(name, old[-1] if old else None, new[0] if new else None)
    if Version(old[-1]) < Version(new[0]):
        return DistributionChange(name, old[-1], new[0])
    if Version(new[-1]) < Version(old[0]):
        return DistributionChange(name, old[0], new[-1])
    return None


def _ordered(versions: Collection[str | None]) -> list[str]:
    return sorted((one for one in versions if one is not None), key=Version)
