"""What a lock has in an older version because a newer one requires what is there only as source. Pure."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from msgspec import Struct
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from tf_tester.core.wheel.requirements import requirements_of
from tf_tester.model.lock import Pin


class HeldBack(Struct, frozen=True):
    """A distribution of which a newer version was looked at and couldn't be taken."""

    name: str
    version: str
    """Of the lock."""
    uploaded: datetime | None
    newer: str
    """The newest that was looked at."""
    requires: tuple[str, ...]
    """What that requires, and what is there only as source; canonical, sorted."""

    @property
    def told(self) -> str:
        year = f" of {self.uploaded:%Y}" if self.uploaded is not None else ""
        return f"{self.name} is {self.version}{year}, because {self.newer} requires {' and '.join(self.requires)}"


def held_back(
    pins: Sequence[Pin],
    seen: Mapping[tuple[str, str], bytes],
    only_sdists: Collection[str],
    markers: Mapping[str, str],
) -> tuple[HeldBack, ...]:
    """Return what is older than the newest version that was looked at, where that requires one of `only_sdists`.

    `seen`: METADATA by canonical name and version, of all that a resolver has read.
    """
    found: dict[str, HeldBack] = {}
    for pin in pins:
        name = str(canonicalize_name(pin.name))
        newer = [version for project, version in seen if project == name and _is_newer(version, pin.version)]
        if not newer:
            continue
        newest = max(newer, key=Version)
        requires = sorted(_required(seen[(name, newest)], markers) & frozenset(only_sdists))
        if requires:
            found[name] = HeldBack(name, pin.version, pin.upload_time, newest, tuple(requires))
    return tuple(found.values())


def only_as_source(projects: Collection[str], placeholders: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return what to do about projects that are there only as source: all of them at once.

    `placeholders`: who is meant by those that bring nothing.

    >>> only_as_source(["b", "a"])
    'only as source for this Python: a, b; allow building them with --allow-build a --allow-build b'
    >>> only_as_source(["sklearn"], {"sklearn": "scikit-learn"})
    'sklearn is a placeholder that brings nothing: scikit-learn is meant'
    """
    told = [
        f"{one} is a placeholder that brings nothing: {placeholders[one]} is meant"
        for one in sorted(projects)
        if one in placeholders
    ]
    names = sorted(one for one in projects if one not in placeholders)
    if names:
        them = "it" if len(names) == 1 else "them"
        options = " ".join(f"--allow-build {one}" for one in names)
        told.append(f"only as source for this Python: {', '.join(names)}; allow building {them} with {options}")
    return "; ".join(told)


def _is_newer(version: str, than: str) -> bool:
    try:
        return Version(version) > Version(than)
    except InvalidVersion:
        return False


def _required(metadata: bytes, markers: Mapping[str, str]) -> frozenset[str]:
    def counts(requirement: Requirement) -> bool:
        return requirement.marker is None or requirement.marker.evaluate({**markers, "extra": ""})

    return frozenset(str(canonicalize_name(one.name)) for one in requirements_of(metadata) if counts(one))
