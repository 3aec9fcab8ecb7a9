"""Programs that are run, sandboxed and limited, and the machine's memory."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from tf_tester.model.host.abilities import IsolationKind
from tf_tester.model.host.exit import Exit, ProcessEnd
from tf_tester.model.host.limits import Limits
from tf_tester.model.host.world import World


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
    umask: int = -1
    """-1: the caller's own."""
    waited: Callable[[], float] | None = None
    """Gives the seconds for which it has waited for us so far: they don't count for its time-out."""


class Dialogue(Struct, frozen=True):
    """A program tells something, and is answered."""

    file: Path
    """All that it tells is added to it."""
    answer: Callable[[bytes], bytes]
    """Gives the answer to the next piece of what it tells, which may end within a line; mostly none."""


class Streams(Struct, frozen=True):
    """A program's standard streams, as open descriptors."""

    stdout: int
    stderr: int
    stdin: int | None = None
    """None: it reads nothing."""


class Started(Protocol):
    """A process that was started."""

    pid: int

    def ended(self, pause: float | None, heard: int | None = None) -> bool:
        """Wait for the end, so many seconds at the most (None: however long it takes); tell whether it came.

        `heard`: a descriptor; the wait is over, too, when there is something to read on it.
        """
        ...

    def end(self, grace: float) -> None:
        """Ask the program to end, wait so many seconds, then end all that it started; return when that is dead.

        From any thread. Without a `grace` nobody is asked.
        """
        ...

    def end_strays(self) -> int:
        """End what the program, which has ended, left behind; return how many processes these were."""
        ...

    def reap(self) -> ProcessEnd:
        """Wait for the end and return how it ended."""
        ...

    def begun(self) -> bool:
        """Return whether the command was taken at all; to be asked when it has ended."""
        ...


class ReadyLauncher(Protocol):
    """A launcher that has gone as far as it can without knowing what it is for."""

    def start(self, command: Command, streams: Streams) -> Started:
        """Start a command of the same sandbox. Raises `OSError` where it has died meanwhile."""
        ...

    def close(self) -> None:
        """Have it end soon: it isn't wanted."""
        ...


class Starter(Protocol):
    """Starts programs through launchers, which are forked ahead of time."""

    def ready(self, ahead: bytes, groups: Sequence[Path]) -> ReadyLauncher:
        """Have a launcher made in these control groups, without waiting for it. Raises `OSError`."""
        ...

    def start(self, command: Command, groups: Sequence[Path], streams: Streams) -> Started:
        """Start a supervised command in these control groups. Raises `OSError`."""
        ...


class Sandbox(Protocol):
    """Keeps a program from everything but its world."""

    @property
    def name(self) -> IsolationKind:
        """Of which kind it is, as the record has it."""
        ...

    @property
    def gaps(self) -> tuple[str, ...]:
        """What it can't keep a test from on this machine, a sentence each."""
        ...

    @property
    def ahead(self) -> bytes | None:
        """What a launcher can do for any of its programs before that is known; None where there are no launchers."""
        ...

    @property
    def category(self) -> str:
        """What a test can tell of it, for a key: in two sandboxes of one category it comes to the same."""
        ...

    @property
    def moves(self) -> bool:
        """Whether it can show folders at other places than their own."""
        ...

    @property
    def copies(self) -> bool:
        """Whether it can let a program change folders for itself alone: `World.private`."""
        ...

    def wrap(self, command: Command, world: World) -> Command:
        """Return the command that starts `command` where it sees nothing but `world`."""
        ...


class Executor(Protocol):
    """Runs a program under limits, and ends all that it has started."""

    def expect(self, ahead: bytes, limits: Limits) -> None:
        """Begin, in another process, what can be done for a program of a sandbox before it is known.

        If none is run, that was in vain, and does no harm.
        """
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
        told: Path | Dialogue | None = None,
    ) -> Exit:
        """Run a program with nothing but its `env`, both streams into files; its whole tree is dead afterwards.

        It is ended, too, where it goes beyond a limit: `scratch` are the folders that count as such. Where the program
        tells something, its standard input is a socket to write into, and what comes there is added to the file `told`
        as it comes: nobody can take it back. It counts as output. What an answer raises ends the program.
        """
        ...


class MachineMemory(Protocol):
    def available(self) -> int:
        """Return the bytes that the system could give now."""
        ...

    def resident(self) -> int:
        """Return the bytes that running cells hold now."""
        ...
