"""Notice that a Python imports one of some packages: this text is a line of a ``.pth`` file in an environment.

So it runs at the start of each Python that sees the environment's packages, whoever has started it.
"""

import atexit
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class NoticedImports:
    """A finder that finds nothing; with the first import of one of the names it makes a file."""

    _open, _close = staticmethod(os.open), staticmethod(os.close)  # the user's code may replace anything later

    def __init__(self, names: "list[str]", file: str) -> None:
        self._names = frozenset(names)
        self._file = file
        if not self._names.isdisjoint(sys.modules):
            self._note()
            return
        sys.meta_path.insert(0, self)  # type: ignore[arg-type]
        atexit.register(self._look)  # a finder before this one may have found them

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> None:
        """Leave everything to the other finders."""
        if name in self._names and _is_import(sys._getframe(1)):
            self._note()

    def _look(self) -> None:
        if not self._names.isdisjoint(sys.modules):
            self._note()

    def _note(self) -> None:
        try:
            self._close(self._open(self._file, os.O_WRONLY | os.O_CREAT, 0o644))
        except OSError:  # no descriptor is left, or whoever it is runs as somebody else by now
            return
        self._names = frozenset()
        if self in sys.meta_path:
            sys.meta_path.remove(self)  # type: ignore[arg-type]


def _is_import(frame: "Any") -> bool:
    """Return whether somebody imports a module, and doesn't only ask whether it is there."""
    while frame is not None:
        if frame.f_code.co_name == "_find_and_load_unlocked":
            return True
        if frame.f_globals.get("__name__") == "importlib.util":
            return False
        frame = frame.f_back
    return True
