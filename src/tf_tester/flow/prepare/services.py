"""Everything a use case may ask of the world, by what it is for; handed over by `wiring`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from tf_tester.core.fetch.ranking import MirrorComparison
from tf_tester.core.replay.key import MachineClass
from tf_tester.core.wheel.surface import Surface
from tf_tester.model.artifact import Artifact
from tf_tester.model.framework import Framework, KnownFailure, Placeholder
from tf_tester.model.host.limits import Limits
from tf_tester.model.source import SourceHistory
from tf_tester.ports.environment import Environments, Interpreters
from tf_tester.ports.execute import Executor, MachineMemory, Sandbox
from tf_tester.ports.fetch import Fetcher
from tf_tester.ports.index import Index
from tf_tester.ports.memory import Downloads, Durations, Memos, Peaks, Results
from tf_tester.ports.resolve import DirectBuilder, ProjectBuilder, Resolver
from tf_tester.ports.store import Blobs, EvictableStore, FileDigests, Layers
from tf_tester.ports.tell import Tell


class Packages(Struct, frozen=True):
    """Where packages come from, and what is known of them."""

    index: Index
    list_pages: Callable[[int], None]
    """Ask the index for its list, if that has no more than so many bytes: what hasn't changed isn't asked for then."""
    doubt: Callable[[str], bool]
    """Have the page of a project asked for again by whoever wants it next: it was of no use. True: that may help this
    run, for the page was one that an earlier run kept."""
    fetcher: Fetcher
    metadata: Callable[[Artifact], bytes]
    """METADATA of a wheel. Raises `DownloadFailed`, `BadWheel`."""
    metadata_digest: Callable[[Artifact], str | None]
    """SHA-256 of a wheel's METADATA, where the wheel is or was in the store."""
    entry_points: Callable[[Artifact], bytes]
    """`entry_points.txt` of a wheel. Raises as `metadata` does."""
    compare: Callable[[Sequence[Artifact], Sequence[str]], MirrorComparison]
    """Mirrors ranked for files of one project: those named, else all that may be asked."""
    source_histories: Callable[[], Sequence[SourceHistory]]
    """Of the sources in use."""
    framework: Framework
    """The package under test."""
    same_modules: tuple[frozenset[str], ...]
    """Groups of distributions that bring the same modules; canonical names."""
    placeholders: tuple[Placeholder, ...] = ()
    """Distributions that bring nothing."""
    known_failures: Callable[[], tuple[KnownFailure, ...]] = tuple
    """Failures that many have met, and what to do."""
    project_list: Callable[[], Mapping[str, int | None]] = dict
    """All projects of the index (canonical names) with their serials. Raises `IndexUnreachable`."""


class Storage(Struct, frozen=True):
    """The store's files and unpacked wheels."""

    root: Path
    """Everything of the store lies in this folder."""
    blobs: Blobs
    layers: Layers
    evictable: EvictableStore
    file_digests: FileDigests
    """Of files that aren't the store's."""
    remove_tree: Callable[[Path], None]
    """Remove a folder of ours, whatever a test has made of it; what can't go stays for the next sweep."""


class Provisioning(Struct, frozen=True):
    """From requirements to environments."""

    interpreters: Interpreters
    resolver: Resolver
    projects: ProjectBuilder
    direct: DirectBuilder
    environments: Environments


class Execution(Struct, frozen=True):
    """How programs run."""

    executor: Executor
    sandbox: Sandbox
    sandbox_refusal: str
    """Why there is none, where one was wanted; empty otherwise."""
    network: bool
    """Whether programs may use the network."""
    limits: Limits
    """Of each cell."""
    limits_asked: Limits
    """Likewise, without what follows from the machine's size."""
    machine: Callable[[], MachineClass]
    memory: MachineMemory
    harness: Path
    """The script that runs inside the tested interpreter."""


class History(Struct, frozen=True):
    """What earlier runs left for later ones."""

    results: Results | None
    """Of earlier cells; None: none may be shown again, and none kept."""
    surfaces: Memos[Surface]
    peaks: Peaks
    durations: Durations
    failures: Memos[tuple[str, ...]]
    """Ids of the tests that failed last, by the folder of the request and the cell's name."""
    downloads: Downloads


class RunContext(Struct, frozen=True):
    """This run's own name, folders, caller and clock."""

    id: str
    """Sortable by time, unique in the store."""
    started: str
    """RFC 3339, UTC."""
    tool: str
    """`tf-tester 0.1.0`."""
    folder: Path
    """Record and evidence; made by whoever writes into it."""
    workplace: Path
    """Gone at the end."""
    environ: Mapping[str, str]
    """The caller's variables."""
    monotonic: Callable[[], float]
    """Seconds."""
    tell: Tell
    stop: Callable[[], None]
    """End every process and transfer at once, and start no other."""


class Services(Struct, frozen=True):
    """One run's world."""

    packages: Packages
    storage: Storage
    provisioning: Provisioning
    execution: Execution
    history: History
    run: RunContext
