"""How bytes of artifacts enter, from which sources, and what those are known for."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from tf_tester.model.artifact import Artifact


class Fetcher(Protocol):
    """The only place where bytes enter."""

    def fetch(self, artifact: Artifact) -> Path:
        """The verified blob of an artifact, from the store or from the fastest source that tells the truth.

        Blocks; callable from many threads, one transfer per blob. Raises `DownloadFailed`, `StoreError`.
        """
        ...

    def arrival(self, sha256: str) -> "Arrival | None":
        """Of a file that is being fetched by this process; None: it isn't."""
        ...

    def foresee(self, artifact: Artifact) -> "Foreseen":
        """What `fetch` would have to bring and from where, without bringing it."""
        ...

    def sources(self, artifact: Artifact) -> "Sequence[Source]":
        """Where it may be had, the first choice first; mirrors' pages may be asked for that."""
        ...

    def read_range(self, artifact: Artifact, start: int, end: int) -> bytes:
        """Bytes [start, end) of an artifact at the authority, unverified; negative start counts from the end.

        Raises `DownloadFailed`, also where the server doesn't do ranges.
        """
        ...

    def metadata(self, artifact: Artifact) -> bytes | None:
        """The file's advertised core metadata (PEP 658), or None where there is none or its hash is wrong."""
        ...


class Arrival(Struct):
    """How much of a file has come without a gap; changes while it comes."""

    path: Path
    """Where it grows; the name changes when it has been verified, the file doesn't."""
    frontier: int = 0
    """Bytes from the front on, unverified."""
    generation: int = 0
    """Raised when bytes that were there before are brought anew: what was read of them counts no more."""


class Foreseen(Struct, frozen=True):
    """What bringing one file would take."""

    missing: int | None
    """Bytes that are not here yet; None where the index tells no size."""
    sources: tuple[str, ...] = ()
    """Who would be asked, the first choice first; empty where nothing is missing."""


AUTHORITY = "authority"
"""Name of the source whose address the index itself gives."""


class Source(Struct, frozen=True):
    """One place to get a file from; whose word counts for what is in it is another matter."""

    name: str
    """Name of a mirror, or `AUTHORITY`: what events and reports call it."""
    url: str
    """Absolute, without credentials."""
    proven: bool = False
    """A file to which it contributed was right before."""
    reserve: bool = False
    """Not asked while another is left."""
    speed: float | None = None
    """Bytes per second, as far as it is remembered."""
    region: str = ""
    """Where it is: ISO 3166 code of the country, as far as it is known."""


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
    def sample(self, url: str, start: int, end: int, *, within: float) -> Sample:
        """Bytes [start, end) of a file; what has come after `within` seconds is enough.

        Raises `DownloadFailed` where nothing has.
        """
        ...


class Lesson(Struct, frozen=True):
    """What one file taught about a source."""

    source: str
    right: bool | None
    """False: it gave wrong bytes, and that is proven. None: nobody knows."""
    speed: float | None
    """Bytes per second."""
    spent: int = 0
    """Bytes that it sent."""
    requests: int = 0
    """That it got."""


Learn = Callable[[Lesson], None]


class Reputation(Struct, frozen=True):
    """How one source has done."""

    name: str
    right: int
    """Files that it helped to bring since it was last wrong."""
    speed: float | None
    """Bytes per second, of late."""
    left_out_until: datetime | None
    """Where it has given wrong bytes."""
    spent: int
    """Bytes that it sent today."""
