"""Everything a use case may ask of the world, handed over by `wiring`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from tf_tester.core.ranking import Comparison
from tf_tester.model.artifact import Artifact
from tf_tester.model.framework import Framework
from tf_tester.model.limits import Limits
from tf_tester.ports.environment import Environments, Interpreters
from tf_tester.ports.execute import Executor, Memory, Sandbox
from tf_tester.ports.fetch import Fetcher, Reputation
from tf_tester.ports.index import Index
from tf_tester.ports.memory import Downloads, Durations, Peaks, Results, Surfaces
from tf_tester.ports.resolve import ProjectBuilder, Resolver
from tf_tester.ports.store import Blobs, Layers, Shelves
from tf_tester.ports.tell import Tell


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
