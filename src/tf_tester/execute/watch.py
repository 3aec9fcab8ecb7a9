"""What a running process tree takes, looked at now and then: memory, processes, disk.

Sums of resident memory count what processes share once for each; where such a sum is too high, the proportional one is
asked for, which costs more. What nobody has mapped, or has no name, is asked for by `held`. Looking costs a twentieth
of the time at the most, and nearly always far less.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tf_tester.execute.disk_use import disk_use
from tf_tester.execute.held import Held, held
from tf_tester.model.host.limits import Exceeded, Limit, Limits

if TYPE_CHECKING:
    import psutil

_SHORTEST, _LONGEST = 0.1, 0.5
"""Seconds between two looks."""
_SUMS = 1.0
"""Seconds between two sums of sizes, at the least, where the disk tells of nothing."""
_SHARE = 20
_BLOCK = 512
"""Bytes of what `st_blocks` counts."""
_AHEAD = 64 * 1024**2
"""Bytes that a file system may give to a file that has not so many yet."""
_ENTRIES = 512
"""A page of a table is enough for so many pages of memory."""
_MANY_TABLES = 32 * 1024**2
"""Bytes of page tables that are too few to be asked for."""
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class Watch:
    """One tree's; `look` is called again and again. Made before it begins: what there is by then isn't its."""

    def __init__(
        self,
        limits: Limits,
        scratch: Sequence[Path],
        written: Sequence[Path],
        *,
        grouped: frozenset[Limit],
        ours: int = 0,
        ran_out: Callable[[], bool] = lambda: False,
    ) -> None:
        self._limits = limits
        self._scratch = scratch
        self._written = written
        self._grouped = grouped
        """Limits that the kernel sees to."""
        self._ours = ours
        """Processes of the tree that aren't the program's."""
        self._ran_out = ran_out
        """Tells whether the kernel has killed one of it for want of memory: the others may wait for that one."""
        self._before = {path: _size(path) for path in written}
        self._free = self._free_before = _free(scratch)
        self._sum_at = time.monotonic() + _SUMS
        self.pause = _SHORTEST
        """Seconds until the next look."""

    def look(self, pid: int) -> Exceeded | None:
        """Return the first limit that is exceeded now. `pid`: the root of the tree."""
        started = time.perf_counter()
        try:
            if self._ran_out():
                return Exceeded(Limit.MEMORY, self._limits.memory)
            return self._output() or self._tree(pid) or self._disk(pid)
        finally:
            self.pause = min(max(_SHORTEST, _SHARE * (time.perf_counter() - started)), _LONGEST)

    def last(self) -> Exceeded | None:
        """Return what a program that has ended exceeded since the last look: its pace mustn't decide what is seen."""
        return self._output() or self._disk(None)

    def cut(self) -> None:
        """Leave of what a program has written what it was allowed to: a file that was ended for it may have terabytes.

        When all that could go on writing has ended.
        """
        allowed = self._limits.output
        for path in self._written:
            _cut(path, self._before[path] + allowed if allowed is not None else sys.maxsize)

    def _output(self) -> Exceeded | None:
        allowed = self._limits.output
        if allowed is not None and sum(_size(path) - self._before[path] for path in self._written) > allowed:
            return Exceeded(Limit.OUTPUT, allowed)
        return None

    def _tree(self, pid: int) -> Exceeded | None:
        memory = None if Limit.MEMORY in self._grouped else self._limits.memory
        processes = None if Limit.PROCESSES in self._grouped else self._limits.processes
        if processes is not None and _all_tasks() - self._ours <= processes:
            processes = None
        if memory is None and processes is None:
            return None
        members = list(tree(pid))
        if processes is not None and _tasks(members) - self._ours > processes:
            return Exceeded(Limit.PROCESSES, processes)
        if memory is None:
            return None
        in_files = _held(members).memory
        if _resident(members) + in_files > memory and _proportional(members, in_files) > memory:
            return Exceeded(Limit.MEMORY, memory)
        return None

    def _disk(self, pid: int | None) -> Exceeded | None:
        """Add sizes up when the disk has lost enough for it, and now and then: others may have freed as much.

        Of a tree that has ended (None), in any case.
        """
        allowed = self._limits.scratch
        if allowed is None or not self._scratch:
            return None
        free = _free(self._scratch)
        lost = self._free_before - free
        started = time.monotonic()
        if pid is not None and self._free - free <= allowed // 4 and started < self._sum_at:
            self._free = max(self._free, free)
            return None
        # Whoever has closed a folder of his own finds it closed, unless there may be too much in it.
        taken = disk_use(self._scratch, opens=pid is None or lost > allowed)
        if pid is not None:
            taken += _held(tree(pid), lost=lost).disk
        self._sum_at = time.monotonic() + max(_SUMS, _SHARE * (time.monotonic() - started))
        if taken > allowed:
            return Exceeded(Limit.SCRATCH, allowed)
        return None


def tree(pid: int) -> Iterator[int]:
    """Yield a process and all that descends from it; fast where the kernel keeps lists of children."""
    if not sys.platform.startswith("linux") or not os.path.exists(f"/proc/{os.getpid()}/task/{os.getpid()}/children"):
        import psutil

        with contextlib.suppress(psutil.Error):
            yield pid
            yield from (child.pid for child in psutil.Process(pid).children(recursive=True))
        return
    waiting = [pid]
    while waiting:
        member = waiting.pop()
        yield member
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{member}/task"):
                with contextlib.suppress(OSError), open(f"/proc/{member}/task/{task}/children", "rb") as stream:
                    waiting += map(int, stream.read().split())


def resident(pid: int) -> int:
    """Return the bytes that a process and its descendants hold now; what they share counts for each."""
    return _resident(tree(pid))


def _all_tasks() -> int:
    """Return the processes and threads of the machine: no tree has more, and the kernel has counted them already."""
    try:
        with open("/proc/loadavg", "rb") as stream:
            return int(stream.read().split()[3].partition(b"/")[2])
    except (OSError, ValueError, IndexError):
        return sys.maxsize


def _tasks(members: Iterable[int]) -> int:
    """Count processes and their threads."""
    if not sys.platform.startswith("linux"):
        return _by_psutil(members, lambda process: process.num_threads())
    count = 0
    for pid in members:
        with contextlib.suppress(OSError):
            count += os.stat(f"/proc/{pid}/task").st_nlink - 2
    return count


def _resident(members: Iterable[int]) -> int:
    if not sys.platform.startswith("linux"):
        return _by_psutil(members, lambda process: process.memory_info().rss)
    held = 0
    for pid in members:
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/statm", "rb") as stream:
                mapped, resident = (int(word) * _PAGE for word in stream.read().split()[:2])
            held += resident + _page_tables(pid, mapped)
    return held


def _page_tables(pid: int, mapped: int) -> int:
    """Return the bytes of a process's page tables, where these may be many.

    Memory that was only read is one page of zeros, which doesn't count, and its tables are a five-hundredth of it.
    """
    if mapped // _ENTRIES < _MANY_TABLES:
        return 0
    with contextlib.suppress(OSError, ValueError), open(f"/proc/{pid}/status", "rb") as stream:
        words = stream.read().split()
        return int(words[words.index(b"VmPTE:") + 1]) * 1024
    return 0


def _by_psutil(members: Iterable[int], ask: "Callable[[psutil.Process], int]") -> int:
    import psutil  # it would cost each start on Linux 20 ms

    total = 0
    for pid in members:
        with contextlib.suppress(OSError, psutil.Error):
            total += ask(psutil.Process(pid))
    return total


def _held(members: Iterable[int], *, lost: int | None = None) -> Held:
    if not sys.platform.startswith("linux"):
        return Held(0, 0)
    return held(members, lost=lost)


def _proportional(members: Iterable[int], in_files: int) -> int:
    """Return the bytes of memory, what processes share divided among them. `in_files`: mapped or not."""
    mapped = mapped_files = 0
    for pid in members:
        try:
            with open(f"/proc/{pid}/smaps_rollup", "rb") as stream:
                said = {line.split()[0]: int(line.split()[1]) * 1024 for line in stream if line.startswith(b"Pss")}
            own = said[b"Pss:"]
            with open(f"/proc/{pid}/statm", "rb") as stream:
                own += _page_tables(pid, int(stream.read().split()[0]) * _PAGE)
            mapped += own
            mapped_files += said.get(b"Pss_Shmem:", said[b"Pss:"])
        except (OSError, KeyError):
            mapped += _resident([pid])
    return max(mapped, mapped - mapped_files + in_files)


def _size(path: Path) -> int:
    try:
        status = os.lstat(path)
    except OSError:
        return 0
    # A file may have more blocks than it is long (fallocate), and some file systems give more ahead to one that grows.
    taken = getattr(status, "st_blocks", 0) * _BLOCK
    return taken if taken > 2 * status.st_size + _AHEAD else status.st_size


def _cut(path: Path, size: int) -> None:
    """Leave no more of a file than that, and on the disk no more than it is long."""
    with contextlib.suppress(OSError):
        length = os.lstat(path).st_size
        if length > size or _size(path) > length:
            os.truncate(path, min(size, length))


def _free(folders: Sequence[Path]) -> int:
    for folder in folders:
        with contextlib.suppress(OSError):
            return os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize if hasattr(os, "statvfs") else 0
    return 0
