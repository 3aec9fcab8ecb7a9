"""The exact distributions of one cell."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct, field

from tf_tester.model.artifact import Artifact


class Resolution(StrEnum):
    """Which dependencies a cell gets."""

    ERA = "era"
    """As of the version's release date plus a grace period."""
    LATEST = "latest"
    LOWEST = "lowest"
    LOCK = "lock"
    """Those of a given lock."""


class Pin(Struct, frozen=True):
    """One distribution of a lock."""

    name: str
    version: str
    filename: str
    """Of the wheel that is installed."""
    sha256: str
    """Of that wheel."""
    size: int | None
    url: str
    """The authority's own URL; empty for a wheel built here."""
    built_from: str | None = None
    """SHA-256 of the source distribution, where the wheel was built here."""
    upload_time: datetime | None = None
    provenance: str | None = None
    """Address of its attestations (PEP 740)."""
    promised_by: str = ""
    """Whose word the hash is, where it isn't the authority's."""


def pin_of(artifact: Artifact, sha256: str) -> Pin:
    """A file as it is; `sha256`: the artifact's own, which a pin must have."""
    return Pin(
        artifact.project,
        artifact.version,
        artifact.filename,
        sha256,
        artifact.size,
        artifact.url,
        upload_time=artifact.upload_time,
        provenance=artifact.provenance,
        promised_by=artifact.promised_by,
    )


class Lock(Struct, frozen=True):
    """What one cell installs; the same lock always makes the same environment."""

    python: str
    """The interpreter's full version."""
    resolution: Resolution
    cutoff: datetime | None
    """Nothing of a version first uploaded after this is in the lock; None: no limit."""
    pins: tuple[Pin, ...]
    """Sorted by name."""
    remarks: tuple[str, ...] = field(default=())
    """What a person should know: a fallback taken, a missing upload time."""
    reason: str = ""
    """The resolver's own words on why nothing of the era fitted, where a later day had to be taken."""
