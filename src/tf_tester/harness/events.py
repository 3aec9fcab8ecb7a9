"""Write events so that a crash in the next instruction loses none of them.

Each event is one line of ASCII JSON, given to the system at once. Functions of the standard library are bound here,
early, because tests replace them (freezegun, pyfakefs, ``mock.patch``).
"""

import _thread
import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MARKER_LENGTH = 50
LOST = 120
"""Exit status where nothing can be told any more."""
_SPARE = 500
"""The least number of the descriptor that is kept beside the one in use."""


class Events:
    """What the parent process hears: through a socket, or a file; only the process that made this writes to it.

    The socket is standard input, which then is the null device, as for any program without a terminal.
    """

    _write = staticmethod(os.write)
    _fstat = staticmethod(os.fstat)
    _getpid = staticmethod(os.getpid)
    _leave = staticmethod(os._exit)
    _read = staticmethod(os.read)
    _encode = json.JSONEncoder(ensure_ascii=True, check_circular=False).encode

    def __init__(self, path: "str | None") -> None:
        self._pid = self._getpid()
        self._lock = _thread.RLock()
        if path is None:
            first = os.dup(0)
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            os.close(nothing)
        else:
            first = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._descriptors = [first, *_spare(first)]
        self._identity = self._identify(first)

    def write(self, event: str, **fields: "Any") -> None:
        """Tell one event; a forked child of the test tells none."""
        if self._getpid() == self._pid:
            record = {"event": event}
            record.update(fields)
            line = self._line(record)
            with self._lock:  # a line is one piece, whoever else tells something now
                while line:
                    line = line[self._write(self._descriptor(), line) :]

    def hear(self) -> bytes:
        """Wait for a byte from the parent process, which has a socket for us; nothing: it has gone."""
        return self._read(self._descriptor(), 1)

    def close(self) -> None:
        """Let go of the descriptors: in a fork that is to say nothing there."""
        for descriptor in self._descriptors:
            if self._identify(descriptor) == self._identity:
                os.close(descriptor)
        self._descriptors = []

    def _identify(self, descriptor: int) -> "tuple[int, int] | None":
        try:
            status = self._fstat(descriptor)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _descriptor(self) -> int:
        """Return one that is still ours: a test may have closed it, and its number may be a file of the user's by now.

        Without any the process ends: what it goes on to do could not be told.
        """
        for descriptor in self._descriptors:
            if self._identify(descriptor) == self._identity:
                return descriptor
        self._write(2, b"tf-tester: the test has closed file descriptors that it had not opened, among them ours\n")
        return self._leave(LOST)

    def _line(self, record: "dict[str, Any]") -> bytes:
        line = self._encode(record)
        if "\\ud" in line:  # perhaps a lone surrogate, which strict JSON readers refuse
            line = self._encode(_without_surrogates(record))
        return line.encode("ascii") + b"\n"


def _spare(descriptor: int) -> "list[int]":
    """Return a second descriptor of the same, where tests that count or close the lowest ones don't meet it."""
    try:
        import fcntl

        return [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _SPARE)]
    except (ImportError, OSError, ValueError):  # Windows; a lower limit on open files
        return [os.dup(descriptor)]


def clip(text: str, limit: int) -> str:
    """Return at most ``limit`` characters of a text: its head and its tail, and between them how much is missing."""
    if len(text) <= limit:
        return text
    kept = max(0, limit - MARKER_LENGTH)
    marker = f"\n[... {len(text) - kept} characters left out ...]\n"
    head = kept // 2
    return (text[:head] + marker + text[len(text) - (kept - head) :])[:limit]


def _without_surrogates(value: "Any") -> "Any":
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {key: _without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    return value
