"""Everything a use case may ask of the world, handed over by `wiring`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from tf_tester.core.ranking import Comparison
from tf_tester.model.artifact import Artifact
from tf_tester.model.framework import Framework
from tf_tester.model.interpreter import Interpreter
from tf_tester.model.limits import Limits
from tf_tester.model.lock import Pin
from tf_tester.model.outcome import CellResult
from tf_tester.ports import (
    Blobs,
    Environments,
    Executor,
    Fetcher,
    Index,
    Interpreters,
    Layers,
    Reputation,
    Resolver,
    Sandbox,
    Tell,
)

if TYPE_CHECKING:
    from tf_tester.core.surface import Surface


class ProjectBuilder(Protocol):
    def project_wheel(self, folder: Path, interpreter: Interpreter) -> tuple[Pin, bytes]:
        """The user's own project as a wheel in the store, and its METADATA; built once for each Python.

        Raises `BuildFailed`.
        """
        ...


class Peaks(Protocol):
    """What cells of a package needed so far, so that not too many start at once."""

    def peak(self, package: str) -> int | None:
        """Bytes."""
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
        """Unless it is distrusted."""
        ...

    def distrust(self, key: str) -> None:
        """With this key a cell has failed: what passes with it is not the same every time."""
        ...


class Surfaces(Protocol):
    """Public names of packages, read once."""

    def recall(self, key: str) -> "Surface | None": ...

    def remember(self, key: str, surface: "Surface") -> None: ...


class Downloads(Protocol):
    """Which versions of a package somebody brought here on purpose."""

    def versions(self, package: str) -> tuple[str, ...]: ...

    def add(self, package: str, versions: Iterable[str]) -> None: ...


class Shelves(Protocol):
    """The store's files and layers by their digests."""

    def holds(self, digest: str) -> bool: ...

    def discard(self, digests: set[str]) -> None:
        """Delete these; what another job needs stays. Raises `StoreError`."""
        ...


class Memory(Protocol):
    def available(self) -> int:
        """Bytes that the system could give now."""
        ...

    def resident(self) -> int:
        """Bytes that running cells hold now."""
        ...


class Services(Struct, frozen=True):
    """One run's world."""

    index: Index
    list_pages: Callable[[int], None]
    """Ask the index for its list, if that has no more than so many bytes: what hasn't changed isn't asked for then."""
    fetcher: Fetcher
    blobs: Blobs
    metadata: Callable[[Artifact], bytes]
    """METADATA of a wheel. Raises `DownloadFailed`, `BadWheel`."""
    metadata_digest: Callable[[Artifact], str | None]
    """SHA-256 of a wheel's METADATA, where the wheel is or was in the store."""
    entry_points: Callable[[Artifact], bytes]
    """`entry_points.txt` of a wheel. Raises as `metadata` does."""
    interpreters: Interpreters
    resolver: Resolver
    layers: Layers
    environments: Environments
    executor: Executor
    sandbox: Sandbox
    limits: Limits
    """Of each cell."""
    sandbox_refusal: str
    """Why there is none, where one was wanted; empty otherwise."""
    reputations: Callable[[], Sequence[Reputation]]
    """Of the sources in use."""
    compare: Callable[[Sequence[Artifact], Sequence[str]], Comparison]
    """Mirrors ranked for files of one project: those named, else all that may be asked."""
    shelves: Shelves
    projects: ProjectBuilder
    results: Results | None
    """Of earlier cells; None: none may be shown again, and none kept."""
    surfaces: Surfaces
    peaks: Peaks
    durations: Durations
    downloads: Downloads
    memory: Memory
    framework: Framework
    tell: Tell
    run_folder: Path
    """Of this run: record and evidence."""
    workplace: Path
    """Gone at the end."""
    harness: Path
    """The script that runs inside the tested interpreter."""
    environ: Mapping[str, str]
    """The caller's variables."""
    monotonic: Callable[[], float]
    """Seconds."""
    stop: Callable[[], None]
    """End every process and transfer at once, and start no other."""
