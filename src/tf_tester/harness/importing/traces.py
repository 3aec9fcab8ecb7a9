"""Tell whether the package under test can have been used: a pass without it says nothing of it."""

import glob
import os
import resource
import sys


class Traces:
    """What a package leaves in a process, and whether there were other processes in which it may have been."""

    _getrusage = staticmethod(resource.getrusage)

    def __init__(self, names: "list[str]") -> None:
        # `toy-stubs` and the like are read, not imported.
        self._names = [name for name in names if name.isidentifier()]
        self._children = self._getrusage(resource.RUSAGE_CHILDREN)
        self._had_others = False
        self._workers = []  # type: list[object]

    def begin_worker(self) -> int:
        """Return the number of a process that tells itself whether the package has left a trace in it."""
        self._workers.append(None)
        return len(self._workers) - 1

    def end_worker(self, number: int, without_trace: object) -> None:
        """Take its process id from a worker that has no trace, and None from any other."""
        self._workers[number] = without_trace

    def before_workers_leave(self) -> None:
        """Look for other processes while the workers are still there to be told from them."""
        try:
            self._had_others = self._had_children()
        except Exception:  # a test may have replaced anything
            self._had_others = True

    def begin_anew(self) -> None:
        """Count no process that has ended until now."""
        self._children = self._getrusage(resource.RUSAGE_CHILDREN)

    def none(self, found: "list[str]") -> bool:
        """Return whether none of the names was imported or loaded, and no other process could have done it.

        ``found`` are those that the import system has found. Where it can't be told the answer is no.
        """
        if not self._names or found or any(name in sys.modules for name in self._names):
            return False
        if self._had_others or None in self._workers:
            return False
        try:
            return not self._had_children() and not self._loaded()
        except Exception:  # a test may have replaced anything
            return False

    def _had_children(self) -> bool:
        # A server that forks is waited for by nobody.
        if "multiprocessing.forkserver" in sys.modules or self._getrusage(resource.RUSAGE_CHILDREN) != self._children:
            return True
        for _ in range(100):
            try:
                children = [child for file in glob.glob("/proc/self/task/*/children") for child in _read(file).split()]
                return not set(children).issubset(map(str, self._workers))
            except (FileNotFoundError, ProcessLookupError):
                pass  # a thread has ended, and its children are another thread's now
        return True

    def _loaded(self) -> bool:
        """Return whether a library of theirs is mapped, which a program can load without an import."""
        folders = [os.sep + os.path.join("site-packages", name) for name in self._names]
        maps = _read("/proc/self/maps") if os.path.exists("/proc/self/maps") else ""
        return any(folder + after in maps for folder in folders for after in (os.sep, "."))


def _read(file: str) -> str:
    with open(file, encoding="utf-8", errors="replace") as stream:
        return stream.read()
