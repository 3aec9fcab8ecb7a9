"""Fork once for each field, right after the import of the framework, and tell what each of the forks says and comes to.

A fork speaks to this process, which adds whose words these are: it holds nothing by which it could speak for another
one. Its own parent it can't look into either (`prctl`, or the filter of system calls). Between two forks the caller is
asked: it takes what the last one has recorded, and looks whether that left anything where others would find it.
"""

import ctypes
import gc
import glob
import os
import select
import shutil
import signal
import socket
import stat
import sys
import time
import warnings

from ..events import Events
from ..failures import message_of, type_name
from .head import Head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..session import HarnessSession

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_TICK = 0.05
"""Seconds between two looks at a fork that says nothing."""
_PIECE = 1 << 16
_LONGEST_LINE = 64 << 20
_SWEEPS = 2_000
"""How often what a fork has left behind is killed before it is given up."""
GO_ON = b"+"


class Forks:
    """The forks of one process."""

    def __init__(self, session: "HarnessSession") -> None:
        self._session = session
        order = session.order["forks"]
        self._names = order["names"]  # type: list[str]
        self._folder = order["folder"]  # type: str
        self._timeout = order["timeout"]  # type: float
        self._output = order["output"]  # type: int | None

    def begin(self) -> bool:
        """Fork for each field; return True in every fork, whose session then is that of its field, and False here.

        That is when there is nothing left to do, or none may be forked: then it is told why.
        """
        why = self._import() or _protect()
        if why:
            self._session.events.write("unforked", reason=why)
            return False
        if hasattr(gc, "freeze"):  # Python 3.7
            # What is there already no fork collects: it would copy all the pages on its way out, 0.3 s of scikit-learn.
            gc.freeze()
        self._session.events.write("forking")
        for number, field in enumerate(self._session.order["fields"]):
            if self._session.events.hear() != GO_ON:
                return False
            if self._fork(number, field):
                return True
        return False

    def _import(self) -> str:
        """Do what the file does first; return why no fork would be what its own process is, or nothing."""
        wanted = self._session.order.get("watch") or []
        try:
            Head(self._session.targets[0], self._names).run()
        except Exception as error:
            return "its first imports fail: {}: {}".format(type_name(type(error)), message_of(error))
        if not any(name in sys.modules for name in wanted):
            return "it does other things before it imports {}".format(wanted[0] if wanted else "the package")
        return ""

    def _fork(self, number: int, field: "dict[str, Any]") -> bool:
        place = os.path.join(self._folder, str(number))
        for folder in ("values", "t"):
            os.makedirs(os.path.join(place, folder))
        shutil.copytree(field["from"], os.path.join(place, "product"), symlinks=True)
        ours, theirs = socket.socketpair()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()  # or each fork prints it once more
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there are threads, which is known (Python 3.12)
            pid = os.fork()
        if pid == 0:
            ours.close()
            self._become(field, theirs.detach(), place)
            return True
        theirs.close()
        with ours:
            told = _Fork(pid, ours, number, self._session.events).attend(self._timeout, self._output)
        self._session.events.write("field-ended", field=number, **told)
        return False

    def _become(self, field: "dict[str, Any]", channel: int, place: str) -> None:
        """Make of this fork what a process of its own would be."""
        os.setsid()
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
        os.dup2(channel, 0)
        os.close(channel)
        os.environ["TF_TESTER_VALUES"] = os.path.join(place, "values")
        os.environ.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), os.path.join(place, "t")))
        if "tempfile" in sys.modules:
            sys.modules["tempfile"].tempdir = None
        for name in ("random", "numpy.random"):
            if name in sys.modules:
                sys.modules[name].seed()
        order = {name: field[name] for name in ("product", "producer", "label")}
        self._session.take_over(dict(order, place=os.path.join(place, "product")), Events(None))


class _Fork:
    """One fork, as its parent sees it."""

    def __init__(self, pid: int, channel: "socket.socket", number: int, events: Events) -> None:
        self._pid = pid
        self._channel = channel
        self._number = number
        self._events = events
        self._rest = b""
        self._is_open = True

    def attend(self, timeout: float, output: "int | None") -> "dict[str, Any]":
        """Hand on what it says until it is over, or over a limit; return how it ended."""
        started = time.monotonic()
        printed = _printed()
        timed_out = over_output = False
        while True:
            if self._is_open:
                self._hear(_TICK)
            else:
                time.sleep(0.001)
            pid, status, usage = os.wait4(self._pid, os.WNOHANG)
            if pid:
                break
            timed_out = timed_out or time.monotonic() - started > timeout
            over_output = over_output or (output is not None and _printed() - printed > output)
            if timed_out or over_output or len(self._rest) > _LONGEST_LINE:
                _kill(self._pid)
        leftovers = _end_leftovers()  # first: they could go on saying something
        while self._is_open and self._hear(0):
            pass
        return {
            "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
            "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
            "timed_out": timed_out,
            "over_output": over_output,
            "wall_s": round(time.monotonic() - started, 6),
            "cpu_s": round(usage.ru_utime + usage.ru_stime, 6),
            "peak_rss_kib": usage.ru_maxrss,
            "leftovers": leftovers,
        }

    def _hear(self, seconds: float) -> bool:
        """Hand on what is said within some time; return whether there was anything."""
        if not select.select([self._channel], [], [], seconds)[0]:
            return False
        try:
            piece = self._channel.recv(_PIECE)
        except ConnectionError:
            piece = b""
        self._is_open = bool(piece)
        [*lines, self._rest] = (self._rest + piece).split(b"\n")
        for line in lines:
            self._events.write("field-said", field=self._number, line=line.decode("ascii", "replace"))
        return bool(piece)


def _protect() -> str:
    """See to it that forks can't look into this process, and that it gets what they leave; return why it can't."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        pass
    else:
        return "its first imports start other processes"
    try:
        prctl = ctypes.CDLL(None).prctl
        failed = prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) or prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    except (AttributeError, OSError):
        failed = True
    return "this system can't keep forks from their parent" if failed else ""


def _printed() -> int:
    """Return the bytes that this process and its forks have printed so far."""
    sizes = []
    for stream in (1, 2):
        try:
            status = os.fstat(stream)
        except OSError:
            continue
        sizes.append(status.st_size if stat.S_ISREG(status.st_mode) else 0)
    return sum(sizes)


def _kill(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except OSError:  # it hasn't a group of its own yet
            pass


def _end_leftovers() -> int:
    """Kill whatever a fork has left behind; return how many processes that were. Raises RuntimeError."""
    count = 0
    for _ in range(_SWEEPS):
        try:
            pid = os.waitpid(-1, os.WNOHANG)[0]
        except ChildProcessError:
            return count
        if pid:
            count += 1
            continue
        for file in glob.glob("/proc/self/task/*/children"):
            try:
                with open(file, encoding="ascii") as stream:
                    children = stream.read().split()
            except OSError:  # a thread that has ended
                continue
            for child in children:
                _kill(int(child))
        time.sleep(0.001)
    raise RuntimeError("what a fork has left behind can't be ended")
