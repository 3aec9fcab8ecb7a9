"""Tell whether a process has used the package under test: a pass without it says nothing of it."""

import os
import sys


class Traces:
    """What a package leaves in this process, and in those in which pytest-xdist runs tests.

    Other processes that tests start are noticed by ``notice.py``, as these are where they can't tell it themselves.
    """

    def __init__(self, names: "list[str]") -> None:
        # `toy-stubs` and the like are read, not imported.
        self._names = [name for name in names if name.isidentifier()]
        self._workers = []  # type: list[bool]

    def begin_worker(self) -> int:
        """Return the number of a process that tells itself whether the package has left a trace in it."""
        self._workers.append(False)
        return len(self._workers) - 1

    def end_worker(self, number: int, without_trace: object) -> None:
        """Take from a worker that ends that it has no trace; one that was killed tells nothing."""
        self._workers[number] = without_trace is True

    def none(self, imported: "frozenset[str]") -> bool:
        """Return whether none of the names was imported or loaded, here or in a worker.

        ``imported`` are those of which the import system has run the code. Where it can't be told the answer is no.
        """
        if not self._names or imported or any(name in sys.modules for name in self._names):
            return False
        try:
            return all(self._workers) and not self._loaded()
        except Exception:  # a test may have replaced anything
            return False

    def _loaded(self) -> bool:
        """Return whether a library of theirs is mapped, which a program can load without an import."""
        folders = [os.sep + os.path.join("site-packages", name) for name in self._names]
        maps = _read("/proc/self/maps") if os.path.exists("/proc/self/maps") else ""
        return any(folder + after in maps for folder in folders for after in (os.sep, "."))


def _read(file: str) -> str:
    with open(file, encoding="utf-8", errors="replace") as stream:
        return stream.read()
