"""How bytes of artifacts enter, from which sources, and what those are known for."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from tf_tester.model.artifact import Artifact
from tf_tester.model.source import Source, SourceUse


class Fetcher(Protocol):
    """The only place where bytes enter."""

    def fetch(self, artifact: Artifact) -> Path:
        """Return the verified blob of an artifact, from the store or from the fastest source that tells the truth.

        Blocks; callable from many threads, one transfer per blob. Raises `DownloadFailed`, `StoreError`.
        """
        ...

    def arrival(self, sha256: str) -> "Arrival | None":
        """Return how much has come of a file that this process is fetching; None: it isn't."""
        ...

    def foresee(self, artifact: Artifact) -> "FetchForecast":
        """Tell what `fetch` would have to bring and from where, without bringing it."""
        ...

    def sources(self, artifact: Artifact) -> Sequence[Source]:
        """Return where it may be had, the first choice first; mirrors' pages may be asked for that."""
        ...

    def read_range(self, artifact: Artifact, start: int, end: int) -> bytes:
        """Return bytes [start, end) of an artifact at the authority, unverified; negative start counts from the end.

        Raises `DownloadFailed`, also where the server doesn't do ranges.
        """
        ...

    def metadata(self, artifact: Artifact) -> bytes | None:
        """Return the file's advertised core metadata (PEP 658), or None where there is none or its hash is wrong."""
        ...


class Arrival(Struct):
    """How much of a file has come without a gap; changes while it comes."""

    path: Path
    """Where it grows; the name changes when it has been verified, the file doesn't."""
    frontier: int = 0
    """Bytes from the front on, unverified."""
    generation: int = 0
    """Raised when bytes that were there before are brought anew: what was read of them counts no more."""


class FetchForecast(Struct, frozen=True):
    """What bringing one file would take."""

    missing: int | None
    """Bytes that are not here yet; None where the index tells no size."""
    sources: tuple[str, ...] = ()
    """Who would be asked, the first choice first; empty where nothing is missing."""


class Sample(Struct, frozen=True):
    """A part of a file, taken to see how fast it comes."""

    content: bytes
    first_byte: float
    """Seconds from the question to the beginning of the answer."""
    seconds: float
    """From the first byte to the last."""

    @property
    def rate(self) -> float:
        """Bytes per second."""
        return len(self.content) / max(self.seconds, 1e-3)


class Sampler(Protocol):
    """Fetches a part of a file to see how fast its source is."""

    def sample(self, url: str, start: int, end: int, *, within: float) -> Sample:
        """Return bytes [start, end) of a file; what has come after `within` seconds is enough.

        Raises `DownloadFailed` where nothing has.
        """
        ...


Learn = Callable[[SourceUse], None]
"""Takes how a source did with one file."""
