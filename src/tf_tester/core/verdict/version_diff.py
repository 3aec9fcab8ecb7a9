"""What one version of a package has otherwise than another."""

from msgspec import Struct

from tf_tester.core.verdict.drift import DistributionChange
from tf_tester.core.wheel.api_changes import ApiChanges


class VersionSide(Struct, frozen=True):
    """One of the two."""

    name: str
    """As it was asked for: `2.8.0@era`."""
    version: str
    python: str
    resolution: str
    released: str
    """RFC 3339 date; empty: the index doesn't tell."""
    filename: str
    size: int | None
    """Bytes of the wheel."""
    with_dependencies: int | None
    """Bytes of all wheels; None: one is not known."""


class ComparedFact(Struct, frozen=True):
    """Something that has one value on each side; empty: none."""

    name: str
    before: str
    after: str


class VersionDiff(Struct, frozen=True):
    """What differs."""

    package: str
    sides: tuple[VersionSide, VersionSide]
    dependencies: tuple[DistributionChange, ...]
    requirements: tuple[tuple[str, ...], tuple[str, ...]]
    """What the package itself requires: gone, new."""
    metadata: tuple[ComparedFact, ...]
    """Fields of its METADATA, the licence among them."""
    licences: tuple[ComparedFact, ...]
    """Of dependencies that are on both sides."""
    scripts: tuple[ComparedFact, ...]
    """Console scripts by name, with what they call."""
    api: ApiChanges | None
    """None: it was not asked for."""
    remarks: tuple[str, ...] = ()
