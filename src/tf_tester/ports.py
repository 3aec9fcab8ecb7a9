"""What the flow needs from the world, in our words; `wiring` says who provides it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from msgspec import Struct, field

from tf_tester.model.artifact import Artifact, ProjectPage
from tf_tester.model.events import Event
from tf_tester.model.exit import Exit
from tf_tester.model.interpreter import BrokenInterpreter, Interpreter
from tf_tester.model.layer import Layer
from tf_tester.model.limits import Limits
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.model.world import Overlay, World

Tell = Callable[[Event], None]
"""Takes an event as it happens; must return at once and be callable from any thread."""


class Index(Protocol):
    """Something that serves project pages."""

    def page(self, project: str) -> ProjectPage:
        """The page of a project (canonical name), links absolute.

        Raises `UnknownProject` where the index says that there is none, `IndexUnreachable` where it doesn't
        answer and the store has no earlier copy (with one, the page comes back marked `stale`).
        """
        ...


class Blobs(Protocol):
    """Verified files by their SHA-256 (lower-case hex)."""

    def find(self, sha256: str) -> Path | None:
        """The file, if it is there."""
        ...

    def partial(self, sha256: str) -> Path:
        """Where the bytes of a transfer grow; what an earlier one left is still there."""
        ...

    def exclusive(self, sha256: str) -> AbstractContextManager[None]:
        """Hold this while bringing a blob: one process and thread at a time; blocks. Freed by death."""
        ...

    def pieces(self, sha256: str) -> "Pieces | None":
        """Sums of the pieces of a file that was right before, whether it still is there or not."""
        ...

    def follow(self, sha256: str) -> "Follower":
        """Something that hashes `partial(sha256)` while it grows."""
        ...

    def adopt(self, sha256: str, filename: str, source: str, follower: "Follower | None" = None) -> Path:
        """Verify `partial(sha256)` against its name and give it that name.

        Hashes the bytes that are on the disk (those that the follower has not read), syncs, renames: the blob is
        right or absent. Raises `WrongBytes` (the partial file stays: what is wrong may be a part of it), `StoreError`.
        """
        ...


class Pieces(Struct, frozen=True):
    """Sums of a file's pieces, from when all of it was right: they tell at once which piece is wrong.

    CRC-32, not a proof: that all is right is for the SHA-256 to say.
    """

    size: int
    """Bytes of each but the last."""
    sums: tuple[int, ...]

    def span(self, number: int, end: int) -> tuple[int, int]:
        """Where a piece lies in a file that ends there."""
        return number * self.size, min((number + 1) * self.size, end)


class Follower(Protocol):
    """The hash of a file that grows, as far as it has grown without a hole."""

    def grown(self, end: int) -> None:
        """All bytes before `end` are there now."""
        ...

    def restart(self) -> None:
        """Something that was read has changed, or will: nothing is there until `grown` says so again."""
        ...

    def catch_up(self) -> None:
        """Read what has grown. In one thread at a time, whatever others call meanwhile."""
        ...

    def digest(self) -> str:
        """SHA-256 of the whole file, in lower-case hex; reads what is left of it."""
        ...

    def sums(self) -> Sequence[int]:
        """CRC-32 of each piece of what was read; see `Pieces`."""
        ...


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


class GetPage(Protocol):
    """One conditional request for an index page."""

    def get_page(
        self, url: str, *, accept: str, etag: str | None, fresh: bool = False, most: int | None = None
    ) -> "PageResponse":
        """The answer with status 200, 304 (only where an `etag` was given) or 404.

        User name and password in `url` go to just that scheme, host and port. Raises `IndexUnreachable` for
        every other answer, where none comes and where it has more than `most` bytes. `fresh`: caches on the way are to
        ask the index itself.
        """
        ...


class PageResponse(Struct, frozen=True):
    """What an index answered."""

    status: int
    body: bytes
    """Decoded, complete; empty for 304 and 404."""
    content_type: str
    etag: str | None
    url_after_redirects: str
    """What relative links of the page are relative to; without credentials."""
    serial: int | None = None
    """`X-PyPI-Last-Serial`: grows with each change of the project."""


class Serials(Protocol):
    """The newest state of each project that anybody has shown us."""

    def latest(self, project: str) -> int | None: ...

    def seen(self, project: str, serial: int) -> None: ...


class PageCache(Protocol):
    """Index pages as they came, for revalidation and for working offline."""

    def get(self, url: str) -> "CachedPage | None": ...

    def put(self, url: str, page: "CachedPage") -> None: ...


class CachedPage(Struct, frozen=True):
    """The body of one index response."""

    body: bytes
    content_type: str
    etag: str | None
    fetched: datetime
    """Aware, UTC."""
    missing: bool = False
    """The index said 404."""


class Mirror(Protocol):
    """What one mirror of ours holds; every change is whole or absent."""

    def head(self) -> "MirrorHead | None":
        """None: it was never synced."""
        ...

    def put_head(self, head: "MirrorHead") -> None: ...

    def projects(self) -> "dict[str, HeldProject]":
        """By canonical name."""
        ...

    def put(self, held: "HeldProject") -> None: ...

    def drop(self, project: str) -> None: ...

    def last_serial(self, project: str) -> int:
        """Of one that was dropped, what it had then: it must never come back with that. 0: it never was here."""
        ...


class MirrorHead(Struct, frozen=True):
    """How the last sync of a mirror ended."""

    synced: datetime
    """Aware, UTC."""
    wanted: str
    """Digest of all that said what it is to hold."""
    complete: bool
    """Nothing was missing, held back or left for a next time."""
    watched: Mapping[str, str] = field(default_factory=dict)
    """Projects of which nothing is held though something is required, with the digest of the upstream's page of each;
    empty: it has none."""
    held: str = ""
    """Digest of the names of the projects that it holds."""


class HeldProject(Struct, frozen=True):
    """One project of a mirror: its page lists what is in the store, and nothing else."""

    page: ProjectPage
    """Its serial is the mirror's own: it grows with each change, as the upstream's does where it has one."""
    mark: str
    """Digest of the upstream's page that it was made from."""


class Interpreters(Protocol):
    def find(self) -> tuple[Sequence[Interpreter], Sequence[BrokenInterpreter]]:
        """All Pythons of this machine, newest first; of several with one version and ABI, the first found."""
        ...

    def probe(self, path: Path) -> Interpreter:
        """Learn about one executable. Raises `UsageError` where it is none or does not run."""
        ...

    def install(self, python: str) -> Interpreter:
        """Let uv fetch a Python such as `3.8`. Raises `NoPython`."""
        ...


class Resolver(Protocol):
    """Which distributions, exactly."""

    def lock(self, question: "Question") -> tuple[Lock, bool]:
        """The lock, and whether it came from the store. Raises `Unresolvable`, `BuildFailed`, `IndexUnreachable`."""
        ...

    def pins(self, artifacts: Sequence[Artifact], interpreter: Interpreter) -> tuple[Pin, ...]:
        """Pins of just these files; source distributions are built. Raises `BuildFailed`, `DownloadFailed`."""
        ...


class Question(Struct, frozen=True):
    """What a lock answers."""

    requirements: tuple[str, ...]
    """PEP 508, the package under test pinned first."""
    interpreter: Interpreter
    resolution: Resolution
    cutoff: datetime | None
    undated: frozenset[str] = frozenset()
    """Canonical names of projects for which the cutoff doesn't count."""
    constraints: tuple[str, ...] = ()
    good_for: timedelta | None = None
    """How long an answer stays good; None: for ever, as of a day in the past. Nothing: it is asked anew, or fails."""
    allow_build: frozenset[str] = frozenset()
    """Canonical names whose source distributions may be built, besides the known ones."""


class Environment(Struct, frozen=True):
    """A Python that sees one lock's distributions as its site-packages."""

    folder: Path
    python: Path
    scripts: Path
    overlays: tuple[Overlay, ...] = ()
    """What makes it; empty where it is a folder on disk."""
    clashes: tuple[str, ...] = ()
    """A sentence for each file that two projects bring with different contents."""


class Layers(Protocol):
    def find(self, sha256: str, interpreter: Interpreter) -> Layer | None:
        """The wheel unpacked, with bytecode for the interpreter, if both are there. Raises `StoreError`."""
        ...

    def layer(self, filename: str, sha256: str, wheel: Path, interpreter: Interpreter) -> Layer:
        """The wheel unpacked, with bytecode for the interpreter; made once, whoever asks and however many.

        Raises `InstallFailed` where the wheel breaks the rules, `StoreError`.
        """
        ...


class Environments(Protocol):
    def make(
        self, interpreter: Interpreter, layers: Sequence[Layer], *, keep: str | None
    ) -> AbstractContextManager[Environment]:
        """An environment of just these layers, gone at the end unless it is kept under a name.

        Where two layers bring one file, the first one's is used and the clash is in `Environment.clashes`.
        Raises `InstallFailed`, `StoreError`.
        """
        ...


class Command(Struct, frozen=True):
    """A program to start."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    supervised: bool = False
    """It is a launcher: it joins the control groups that are added to `argv`, a byte on its standard input asks the
    program to end, the input's closing ends everything at once, and where it has ended nothing is left."""
    ahead: bytes = b""
    """What a launcher can do before it is given this command: see `Sandbox.ahead`."""


class Started(Protocol):
    """A process that was started."""

    pid: int

    def ended(self, pause: float | None) -> bool:
        """Whether it ends within so many seconds (None: however long it takes)."""
        ...

    def reap(self) -> tuple[int, float, int]:
        """Status (negative: a signal), CPU seconds and peak KiB of it and all it waited for; waits for the end."""
        ...

    def begun(self) -> bool:
        """Whether the command was taken at all; to be asked when it has ended."""
        ...

    def ask(self) -> None:
        """Ask a launcher's program to end."""
        ...

    def let_go(self) -> None:
        """Let a launcher end everything at once."""
        ...

    def kill(self) -> None:
        """Kill it, as a last resort."""
        ...


class Ready(Protocol):
    """A launcher that has gone as far as it can without knowing what it is for."""

    def start(self, command: Command, stdout: int, stderr: int) -> Started:
        """With a command of the same sandbox. Raises `OSError` where it has died meanwhile."""
        ...

    def close(self) -> None:
        """It isn't wanted; it ends soon."""
        ...


class Starter(Protocol):
    def ready(self, ahead: bytes, groups: Sequence[Path]) -> Ready:
        """Have a launcher made in these control groups, without waiting for it. Raises `OSError`."""
        ...

    def start(self, command: Command, groups: Sequence[Path], stdout: int, stderr: int) -> Started:
        """A supervised command, as a process in these control groups. Raises `OSError`."""
        ...


class Sandbox(Protocol):
    @property
    def name(self) -> str:
        """`namespace`, `landlock` or `none`, as the record has it."""
        ...

    @property
    def gaps(self) -> tuple[str, ...]:
        """What it can't keep a test from on this machine, a sentence each."""
        ...

    @property
    def ahead(self) -> bytes | None:
        """What a launcher can do for any of its programs before that is known; None where there are no launchers."""
        ...

    def wrap(self, command: Command, world: World) -> Command:
        """The command that starts `command` where it sees nothing but `world`."""
        ...


class Executor(Protocol):
    def expect(self, ahead: bytes, limits: Limits) -> None:
        """A program of a sandbox will be run soon: what can be done for it before it is known is begun, in another
        process. If it is not, that was in vain, and does no harm."""
        ...

    def run(
        self,
        command: Command,
        *,
        stdout: Path,
        stderr: Path,
        timeout: float | None,
        limits: Limits,
        scratch: Sequence[Path] = (),
        written: Sequence[Path] = (),
    ) -> Exit:
        """Run a program with nothing but its `env`, both streams into files; its whole tree is dead afterwards.

        It is ended, too, where it goes beyond a limit: `scratch` are the folders that count as such, `written` are
        files that count as output besides the streams.
        """
        ...
