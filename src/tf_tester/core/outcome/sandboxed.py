"""How a sandbox kept a test from passing, as far as what made it fail says so. Pure.

What a system says is the evidence: that a name can't be resolved, that a file isn't there, that a call isn't permitted.
Whether a file that isn't there in a sandbox is there outside of it, the caller has to see.
"""

import re
from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from tf_tester.model.host.abilities import IsolationKind
from tf_tester.model.host.limits import Limit, Limits

_NO_NETWORK = re.compile(
    "Network is unreachable|Temporary failure in name resolution|Name or service not known"
    "|Address family not supported by protocol"
)
"""What a system says where a sandbox has no network."""
_NO_SERVICE = re.compile(
    f"{_NO_NETWORK.pattern}|Connection refused|No address associated|[Cc]ould not resolve host|unable to resolve host"
    "|EAI_AGAIN|dial tcp: lookup"
)
"""Likewise, and what curl, git, wget, Node.js and Go say, of the network or of a service on this machine."""
_READ_ONLY = "Read-only file system"
_NO_CALL = re.compile(r"\[Errno (?:1|38)\] (Operation not permitted|Function not implemented)|(SIGSYS)")
"""What it says where a filter refuses a call."""
_BEYOND = {
    Limit.FILE_SIZE: "File too large|SIGXFSZ",
    Limit.OPEN_FILES: "Too many open files",
    Limit.PROCESSES: "can't start new thread|fork: (?:retry: )?Resource temporarily unavailable",
}
"""What it says where a limit makes a call fail."""
_FULL = re.compile(r"No space left on device|\bENOSPC\b|\[Errno 28\]")
_SHARED_OBJECTS = re.compile(r"(?i)shmget|semget|msgget|system v\b|sysv|\bsemaphores?\b|\bmessage queues?\b")
"""Who speaks of System V objects, by their calls or their names."""
_WATCHES = re.compile(r"(?i)inotify|watch limit reached")
_USED_UP = re.compile(rf"(?i){_FULL.pattern}|Too many open files|\[Errno 24\]|limit reached")
_NO_TERMINAL = "out of pty devices"
_MISSING, _DENIED = "No such file or directory", f"Permission denied|{_READ_ONLY}"
"""What it says where a path is refused; "not permitted" is what is to be done with it."""
_NOT_FOUND = (
    r"(?i)does(?:n't| not) exist|(?:not|n't) (?:be )?found|(?:is|are) missing|no such|nothing at"
    r"|\bno (?:data|files?|folder|directory)\b|not an? (?:file|directory|(?:local )?folder)"
    r"|(?:can ?not|can't|could(?: not|n't)|unable to|failed to) (?:find|open|load|locate|read)"
)
"""What a program says of its own; it counts where it names a path."""
_PATH = re.compile(r"(?<![\w.~/:-])/[^\s'\":,;()<>\[\]]*[^\s'\":,;()<>\[\].]")
_QUOTED = re.compile(r"'([^'\n]+)'|\"([^\"\n]+)\"")
_OF_PYTHON = "[Errno "
_MOST, _LONGEST = 20, 4096
"""Paths that are looked at, and bytes of one."""
_GPUS = ("/dev/nvidia", "/dev/dri", "/dev/kfd", "/dev/dxg")
_OF_THE_SYSTEM = ("/dev/", "/proc/", "/sys/")


class PathRefusal(StrEnum):
    """How a path was refused."""

    MISSING = "missing"
    DENIED = "denied"


class AskedPath(Struct, frozen=True):
    """A path that a test asked the system for in vain."""

    path: str
    """Absolute, or relative to where the test works."""
    refusal: PathRefusal


class KeptPath(Struct, frozen=True):
    """A path that is there for the user, and that a sandbox keeps from a test."""

    path: str
    is_shown: bool
    """Whether they may see it, and not change it; else they don't see it."""


class Walls(Struct, frozen=True):
    """What a run's tests were kept from."""

    isolation: str
    network: bool
    """Whether they may use the network."""
    limits: Limits = Limits()
    in_memory: bool = False
    """Whether what they write goes to memory."""


def asked_paths(told: str) -> tuple[AskedPath, ...]:
    """Return the paths that the system's refusals name, in what made a test fail.

    >>> asked_paths("FileNotFoundError: [Errno 2] No such file or directory: '/data/x y'")
    (AskedPath(path='/data/x y', refusal=<PathRefusal.MISSING: 'missing'>),)
    """
    found: dict[str, AskedPath] = {}
    for line in told.splitlines():
        said = re.search(_DENIED, line) is not None
        is_missing = _MISSING in line or (not said and re.search(_NOT_FOUND, line) is not None)
        refusal = PathRefusal.MISSING if is_missing else PathRefusal.DENIED if said else None
        if refusal is not None:
            quoted = [one or other for one, other in _QUOTED.findall(line)]
            quoted = [one for one in quoted if _OF_PYTHON in line or one.startswith("/")]
            for path in quoted or _PATH.findall(line):
                if path != "/" and len(path) <= _LONGEST and "\0" not in path:
                    found.setdefault(path, AskedPath(path, refusal))
    return tuple(found.values())[:_MOST]


def kept_from(told: str, walls: Walls, kept: Sequence[KeptPath] = ()) -> str:
    """Return how a sandbox kept a test from passing and which option lets it, in half a sentence; empty: it didn't.

    `told`: what made it fail.
    """
    if walls.isolation == IsolationKind.NONE:
        return ""
    if not walls.network and (said := _NO_NETWORK.search(told)) is not None:
        return f"the system says {said[0]!r}: there is no network (--network)"
    if kept:
        return _about(kept[0])
    if walls.isolation == IsolationKind.NAMESPACE and _READ_ONLY in told:
        return f"the system says {_READ_ONLY!r}: only its own folders can be written (--writable)"
    if walls.isolation == IsolationKind.NAMESPACE and (full := _full(told, walls)):
        return f"the system says 'No space left on device': {full}"
    if walls.isolation == IsolationKind.LANDLOCK and _NO_TERMINAL in told:
        return f"the test says {_NO_TERMINAL!r}: under Landlock none can be made (--isolation namespace has its own)"
    if _of_the_machine(told):
        return ""
    for limit, pattern in _BEYOND.items():
        allowed = getattr(walls.limits, limit.replace("-", "_"))
        if allowed is not None and (said := re.search(pattern, told)) is not None:
            return f"the system says {said[0]!r}: it went beyond a limit (--limit {limit}=…)"
    if (said := _NO_CALL.search(told)) is not None:
        return f"the system says {said[1] or said[2]!r}, as its filter of system calls does (--isolation none has none)"
    return ""


def about_what_is_full(told: str, walls: Walls) -> str:
    """Return a remark on what is used up and has no option, or of which nothing says what it is; empty: nothing is.

    `told`: what made a test fail.
    """
    if walls.isolation == IsolationKind.NONE:
        return ""
    if numbers := _of_the_machine(told):
        return f"a number of the machine's is used up ({numbers}): no option of a run raises it"
    if walls.isolation != IsolationKind.NAMESPACE or _full(told, walls):
        return ""
    if _FULL.search(told) is not None:
        return (
            "nothing says what is full: the disk; of the cell /dev/shm and System V segments, which have half of "
            "--limit memory each, or System V queues and semaphores, which no option raises; of the machine its "
            "inotify watches (fs.inotify.max_user_watches)"
        )
    if "SIGBUS" in told:
        return "SIGBUS comes where /dev/shm is full, too: it has half of --limit memory"
    return ""


def _full(told: str, walls: Walls) -> str:
    """Return which bound of a namespace a test has met, with its option; empty: that isn't clear, or none."""
    if _FULL.search(told) is None or _of_the_machine(told):
        return ""
    if "/dev/shm" in told:
        return "/dev/shm has half of the memory that is allowed (--limit memory=…)"
    if _SHARED_OBJECTS.search(told) is not None:
        return (
            "System V segments have half of the memory that is allowed (--limit memory=…), queues and semaphores "
            "numbers that no option raises (--isolation none has the machine's)"
        )
    return "the scratch is in memory, and full (--limit scratch=…)" if walls.in_memory else ""


def _of_the_machine(told: str) -> str:
    """Return which of the machine's numbers, that all its programs share, is used up; empty: none."""
    if _WATCHES.search(told) is not None and _USED_UP.search(told) is not None:
        return "fs.inotify.max_user_watches, fs.inotify.max_user_instances"
    return "kernel.pty.max" if _NO_TERMINAL in told else ""


def no_network(told: str) -> str:
    """Return by which words a build that was kept from the network says so; empty: it doesn't."""
    said = _NO_SERVICE.search(told)
    return said[0] if said is not None else ""


def _about(kept: KeptPath) -> str:
    path = kept.path
    if path.startswith(_GPUS):
        return f"{path} is there, and not shown to tests (--gpu)"
    if path.startswith(_OF_THE_SYSTEM):
        return f"{path} is there, and kept from tests (--isolation none doesn't)"
    if kept.is_shown:
        return f"tests can't change {path} (--writable {path})"
    return f"{path} is there, and not shown to tests (--data {path})"
