"""Write events so that a crash in the next instruction loses none of them.

Each event is one line of ASCII JSON, written by a single ``os.write`` to a descriptor in append mode. Functions of the
standard library are bound here, early, because tests replace them (freezegun, pyfakefs, ``mock.patch``).
"""

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MARKER_LENGTH = 50


class Events:
    """The file that the parent process reads; only the process that opened it writes to it."""

    _open = staticmethod(os.open)
    _write = staticmethod(os.write)
    _fstat = staticmethod(os.fstat)
    _getpid = staticmethod(os.getpid)
    _encode = json.JSONEncoder(ensure_ascii=True, check_circular=False).encode

    def __init__(self, path: str) -> None:
        self._path = path
        self._pid = self._getpid()
        self._open_file()

    def write(self, event: str, **fields: "Any") -> None:
        """Append one event; a forked child of the test writes none."""
        if self._getpid() == self._pid:
            record = {"event": event}
            record.update(fields)
            self._write(self._descriptor(), self._line(record))

    def _open_file(self) -> None:
        self._file = self._open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._identity = self._identify()

    def _identify(self) -> "tuple[int, int] | None":
        try:
            status = self._fstat(self._file)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _descriptor(self) -> int:
        """Return our descriptor, opened anew if the test has closed it: its number may be a file of the user by now."""
        if self._identify() != self._identity:
            self._open_file()
        return self._file

    def _line(self, record: "dict[str, Any]") -> bytes:
        line = self._encode(record)
        if "\\ud" in line:  # perhaps a lone surrogate, which strict JSON readers refuse
            line = self._encode(_without_surrogates(record))
        return line.encode("ascii") + b"\n"


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
