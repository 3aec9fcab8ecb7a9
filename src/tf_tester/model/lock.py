"""The exact distributions of one cell."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct, field

from tf_tester.model.artifact import Artifact, Promise, Promiser


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
    """Whose word the hash is, as people read it, where it isn't the authority's."""
    promiser: Promiser = Promiser.AUTHORITY
    """Who that is, for those who decide by it; see `promise`."""

    @classmethod
    def of(cls, artifact: Artifact, sha256: str) -> "Pin":
        """Return a file as it is; `sha256`: the artifact's own, which a pin must have."""
        return cls(
            name=artifact.project,
            version=artifact.version,
            filename=artifact.filename,
            sha256=sha256,
            size=artifact.size,
            url=artifact.url,
            upload_time=artifact.upload_time,
            provenance=artifact.provenance,
            promised_by=artifact.promise.name,
            promiser=artifact.promise.by,
        )

    @property
    def artifact(self) -> Artifact:
        """The file, as a fetcher takes it."""
        return Artifact(
            filename=self.filename,
            project=self.name,
            version=self.version,
            url=self.url,
            sha256=self.sha256,
            size=self.size,
            upload_time=self.upload_time,
            provenance=self.provenance,
            promise=self.promise,
        )

    @property
    def promise(self) -> Promise:
        """Whose word the hash is.

        What versions before `promiser` wrote has the text alone: it is taken for an index whose projects nobody else
        is to hear of, which is right for that and costs others a mirror.
        """
        told = self.promiser
        if self.promised_by and told is Promiser.AUTHORITY:
            told = Promiser.EXTRA_INDEX
        return Promise(told, self.promised_by)


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
