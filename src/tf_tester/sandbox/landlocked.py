"""Programs that see the machine as it is and may touch little of it: where namespaces are refused."""

import contextlib
import os
from pathlib import Path

from msgspec.structs import replace

from tf_tester.errors import IsolationUnavailable
from tf_tester.model.host.abilities import IsolationKind
from tf_tester.model.host.limits import Limits
from tf_tester.model.host.world import World
from tf_tester.ports.execute import Command, Starter
from tf_tester.sandbox.calls import can_supervise
from tf_tester.sandbox.landlock import SCOPES, version
from tf_tester.sandbox.order import AS_ROOT, MERGED, NETWORK, SYSTEM, gpu_devices, in_short, program, start, try_out

_READABLE = ("/proc", *SYSTEM, *MERGED)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/shm")
NEWEST = 1_000
"""Every ABI that there will be."""


class LandlockSandbox:
    """`ports.Sandbox`; what it needs on disk is made in `workplace`."""

    name = IsolationKind.LANDLOCK
    moves = False
    copies = False

    def __init__(
        self,
        workplace: Path,
        *,
        limits: Limits,
        network: bool = False,
        gpu: bool = False,
        abi: int = NEWEST,
        supervised: bool = True,
    ) -> None:
        self._workplace = workplace
        self._limits = limits
        self._network = network
        self._gpu = gpu
        self._abi = abi
        """No more than this ABI of Landlock is used."""
        self._supervised = supervised and can_supervise()
        """Whether calls that reach others, or change files, can be made for a program on what was looked at."""
        self._count = 0

    @property
    def category(self) -> str:
        supervised = " supervised" if self._supervised else ""
        return f"{self.name} {min(version(), self._abi)}{supervised}{AS_ROOT if not os.getuid() else ''}"

    @property
    def gaps(self) -> tuple[str, ...]:
        """What a test can still do, a sentence each."""
        abi = min(version(), self._abi)
        found = [
            "it sees which files and processes there are, not what is in them: names, sizes, times, command "
            "lines, where links lead",
            "it sees the machine's network interfaces, addresses and connections (/proc/net)",
            "it shares /dev/shm with your other programs and other cells: what they have there it can change, and what "
            "it leaves there stays, and counts as memory only in control groups or while it is open",
            "it can slow down other programs of yours: priorities and processors",
        ]
        if abi < SCOPES:
            found.append("it can end other programs of yours; tf-tester itself only on purpose")
        if self._network:
            found.append("with --network it can talk to all local services, those behind sockets in files included")
        if not os.getuid():
            found.append("its processes are root's, though without root's privileges")
            found.append("as root, and without control groups, its processes are counted several times a second only")
        if not self._supervised:
            found.append("modes and times of files stay as they are, though it is told otherwise")
            if not self._network:
                found.append("it has no loopback, nor UNIX sockets but pairs (multiprocessing's managers need them)")
        elif not self._network:
            found.append("your other programs can reach what it serves on the loopback or by an abstract name")
        return tuple(found)

    @property
    def _ahead(self) -> dict[str, object]:
        return {"mode": str(self.name)}

    @property
    def ahead(self) -> bytes:
        return in_short(self._ahead)

    def wrap(self, command: Command, world: World) -> Command:
        # Git finds that there is a file of the system's, and dies because it can't read it.
        command = replace(command, env={"GIT_CONFIG_NOSYSTEM": "1", **command.env})
        self._count += 1
        self._workplace.mkdir(parents=True, exist_ok=True)
        file = self._workplace / f"world-{self._count}-{os.urandom(3).hex()}"
        processes = self._limits.processes
        if processes is not None:
            # The kernel counts all that the user has, but for root.
            processes = processes + _own_tasks() if os.getuid() else None
        readable, listed = readable_around(world)
        order = {
            "network": self._network,
            "readable": [*_READABLE, *(NETWORK if self._network else ()), *readable],
            "listed": listed,
            "writable": [
                *_DEVICES,
                *(str(path) for path in world.writable if path not in world.own),
                *(gpu_devices() if self._gpu else ()),
            ],
            "own": [os.path.realpath(path) for path in world.own],
            "abi": self._abi,
            "supervised": self._supervised,
            **program(command, self._limits, processes=processes),
        }
        return start(self._ahead, order, file)

    def check(self, starter: Starter) -> None:
        """Run a program that would see if nothing held it. Raises `IsolationUnavailable` with the system's reason."""
        self._workplace.mkdir(parents=True, exist_ok=True)
        secret = self._workplace / "not-to-be-read"
        secret.write_text("x", encoding="ascii")
        command = Command(("/bin/sh", "-c", '! cat "$0"', str(secret)), {"PATH": os.defpath}, Path("/"))
        try:
            try:
                try_out(self.wrap(command, World((), ())), starter)
            except IsolationUnavailable:
                if not self._supervised:
                    raise
                self._supervised = False
                try_out(self.wrap(command, World((), ())), starter)
        except OSError as error:
            raise IsolationUnavailable(
                f"Tests can't be sandboxed here: {error.strerror}.", hint="Use --isolation none."
            ) from error


def readable_around(world: World) -> tuple[list[str], list[str]]:
    """Return what can be read without what is hidden, and the folders that are listed for it.

    Rights of a folder are those of all below it: where something is hidden, what lies beside it is named instead. A
    link needs no rights, and would give them to what it leads to.
    """
    hidden = set(map(str, world.hidden))
    opened = {str(parent) for path in world.hidden for parent in path.parents}
    readable, listed = [], []
    for place in map(str, world.readable):
        if place not in opened:
            readable.append(place)
            continue
        listed.append(place)
        todo = [place]
        while todo:
            for entry in _entries(todo.pop()):
                if entry.path in hidden or entry.is_symlink():
                    continue
                (todo if entry.path in opened else readable).append(entry.path)
    return readable, listed


def _entries(folder: str) -> "list[os.DirEntry[str]]":
    """Return what is in a folder; nothing where it is closed or gone."""
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []


def _own_tasks() -> int:
    """Count the threads of this user's processes."""
    count = 0
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == os.getuid():
                count += os.stat(f"/proc/{name}/task").st_nlink - 2
    return count
