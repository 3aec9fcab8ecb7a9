"""What earlier runs left for later ones."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol, TypeVar

from msgspec import Struct

from tf_tester.model.lock import Lock
from tf_tester.model.outcome import CellResult
from tf_tester.model.source import SourceHistory, SourceUse

V = TypeVar("V")


class Memos(Protocol[V]):
    """Answers of one kind, by key."""

    def recall(self, key: str) -> V | None: ...

    def remember(self, key: str, value: V) -> None: ...


class SourceMemory(Protocol):
    """The histories of sources, by their names."""

    def of(self, source: str) -> SourceHistory:
        """Return what counts now."""
        ...

    def learn(self, use: SourceUse) -> None:
        """Remember how a source did with one file."""
        ...


class WheelMemos(Struct, frozen=True):
    """What was read out of wheels, by SHA-256, or by address where nobody promises one."""

    metadata: Memos[bytes]
    digests: Memos[str]
    """SHA-256 of METADATA; empty: there is none that is right."""
    entry_points: Memos[bytes]


class Locks(Protocol):
    """Locks by the digest of what was asked."""

    def recall(self, key: str) -> tuple[Lock, datetime] | None:
        """Return it, and when it was made (UTC)."""
        ...

    def remember(self, key: str, lock: Lock) -> None: ...


class Needed(Struct, frozen=True):
    """What of all answers some versions need on another machine."""

    locks: frozenset[str]
    """Keys."""
    digests: frozenset[str]
    """SHA-256 of their files."""
    projects: frozenset[str]
    """Canonical names."""


class Peaks(Protocol):
    """What cells of a package needed so far, so that not too many start at once."""

    def peak(self, package: str) -> int | None:
        """Return the most that one of its cells held, in bytes."""
        ...

    def learn(self, package: str, peak: int) -> None: ...


class Durations(Protocol):
    """How long cells ran last time, whatever was tested: so that the longest don't come last."""

    def seconds(self, cell: str) -> float | None: ...

    def learn(self, cell: str, seconds: float) -> None: ...


class Results(Protocol):
    """Results by what they depend on."""

    def recall(self, key: str) -> CellResult | None: ...

    def remember(self, key: str, result: CellResult) -> None:
        """Keep it, unless it is distrusted."""
        ...

    def distrust(self, key: str) -> None:
        """Note that a cell has failed with this key: what passes with it is not the same every time."""
        ...


class Downloads(Protocol):
    """Which versions of a package somebody brought here on purpose."""

    def versions(self, package: str) -> tuple[str, ...]: ...

    def add(self, package: str, versions: Iterable[str]) -> None: ...
