"""Capture what a test prints to ``sys.stdout`` and ``sys.stderr``; of too much, the head and the tail are kept."""

import io
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Capture:
    """Replaces both streams between ``start`` and ``stop``.

    The streams stay the same objects from test to test, because logging handlers keep the one they were made with.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._streams = [self._stream(), self._stream()]

    def start(self) -> None:
        """Replace the streams; a stream that the last test has closed is made anew."""
        self._originals = sys.stdout, sys.stderr
        self._streams = [self._stream() if stream.closed else stream for stream in self._streams]
        self._kept = [stream.buffer for stream in self._streams]
        sys.stdout, sys.stderr = self._streams

    def stop(self) -> "list[str]":
        """Restore the streams and return what was written to stdout and to stderr."""
        sys.stdout, sys.stderr = self._originals
        return [kept.take() for kept in self._kept]  # type: ignore[attr-defined]

    def _stream(self) -> io.TextIOWrapper:
        kept = HeadAndTail(self._limit)  # type: Any
        return io.TextIOWrapper(kept, encoding="utf-8", errors="backslashreplace", write_through=True)


class HeadAndTail(io.BufferedIOBase):
    """A binary stream that keeps the first and the last ``limit`` bytes written to it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._clear()

    def writable(self) -> bool:
        return True

    def write(self, written: "Any") -> int:
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        more = bytes(written)
        left = self._limit - len(self._head)
        self._head += more[:left]
        self._tail += more[left:]
        if len(self._tail) > 2 * self._limit:
            self._left_out += len(self._tail) - self._limit
            del self._tail[: -self._limit]
        return len(more)

    def take(self) -> str:
        """Return the text and forget it; what is not UTF-8 is escaped."""
        marker = f"\n[... {self._left_out} bytes left out ...]\n".encode("ascii") if self._left_out else b""
        text = bytes(self._head) + marker + bytes(self._tail)
        self._clear()
        return text.decode("utf-8", "backslashreplace")

    def _clear(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._left_out = 0
