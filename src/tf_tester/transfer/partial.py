"""The growing file of one blob, and the notes of who brought which of its bytes.

Bytes come to wherever they belong, so the file may have holes: what is there is in the notes beside it, a line
`START END SOURCE` after each write, the last line about a byte being the true one. A file without notes is one that
grew from its beginning. After a kill both are as the system had them; a line that was cut off is left out.
"""

import contextlib
import errno
import os
import re
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from tf_tester.core.fetch.segments import EARLIER, Segment
from tf_tester.core.text.sizes import size_text
from tf_tester.errors import StoreError, StoreFull

_CHUNK = 1 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_NOTE = re.compile(r"(\d{1,15}) (\d{1,15}) (.+)", re.ASCII)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


class PartialFile:
    """A context manager: open while in use.

    Every failure of the disk is a `StoreError`, so that it can't be mistaken for one of the network.
    """

    def __init__(self, path: Path, expected: int | None) -> None:
        self.path = path
        self.notes = path.with_name(f"{path.name}.notes")
        self.expected = expected
        """Bytes of the whole file, where the index tells."""
        self.received = 0
        """Bytes that came in this run, those thrown away included."""
        self._file = self._notes = -1
        self._noting = threading.Lock()
        """The notes may be written anew while others are still writing."""

    def __enter__(self) -> "PartialFile":
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | _NOFOLLOW, 0o600)
            self._notes = os.open(self.notes, os.O_RDWR | os.O_CREAT | os.O_APPEND | _NOFOLLOW, 0o600)
        except OSError as error:
            self.__exit__()
            raise self._store_error(error) from error
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in (self._file, self._notes):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._notes = -1

    def held(self) -> tuple[Segment, ...]:
        """Return what earlier runs left, in the order in which it came.

        Who brought it is told apart, but is nobody's name any more: a power cut may have taken what was noted.
        """
        size = os.fstat(self._file).st_size
        if not size:
            os.ftruncate(self._notes, 0)  # notes of a file that has become a blob
        lines = os.pread(self._notes, os.fstat(self._notes).st_size, 0).split(b"\n")[:-1]
        found = []
        for line in lines:
            match = _NOTE.fullmatch(line.decode("utf-8", "replace"))
            if match and int(match[1]) < int(match[2]) <= size:
                found.append(Segment(int(match[1]), int(match[2]), _earlier(match[3])))
        if not lines and size:
            return (Segment(0, size, EARLIER),)
        return tuple(found)

    def write(self, position: int, chunks: Sequence[bytes], source: str, *, compare: bool = False) -> tuple[int, bool]:
        """Return how many bytes were written, and with `compare` whether others had been there.

        What can't be written is lost, what was written stays. Callable from several threads for spans apart.
        """
        written, differs = 0, False
        try:
            try:
                # One piece: for each small one the threads would hand the interpreter to and fro.
                whole = chunks[0] if len(chunks) == 1 else b"".join(chunks)
                if compare:
                    differs = os.pread(self._file, len(whole), position) != whole
                rest = memoryview(whole)
                while rest:
                    count = os.pwrite(self._file, rest, position + written)
                    written += count
                    rest = rest[count:]
            finally:
                self.received += written
                if written:
                    self._note(position, position + written, source)
        except OSError as error:
            raise self._store_error(error) from error
        return written, differs

    def sum(self, start: int, end: int) -> int:
        """Return the CRC-32 of a piece."""
        from zlib_ng.zlib_ng import crc32

        value = 0
        try:
            while start < end and (chunk := os.pread(self._file, min(_CHUNK, end - start), start)):
                value = crc32(chunk, value)
                start += len(chunk)
        except OSError as error:
            raise self._store_error(error) from error
        return value

    def sync(self) -> None:
        """Bring what was written to the disk, so that little is left to wait for at the end; a hint."""
        with contextlib.suppress(OSError):  # what can't be written is told by the sync that counts
            (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(self._file)

    def truncate(self, size: int | None) -> None:
        """Cut off what an earlier run left behind the end of the file."""
        if size is not None and os.fstat(self._file).st_size > size:
            os.ftruncate(self._file, size)

    def renote(self, segments: Iterable[Segment]) -> None:
        """Write the notes anew: something of what was there doesn't count any more."""
        fresh = self.notes.with_name(f"{self.notes.name}.new")
        try:
            # An empty file of notes would say that nothing was ever noted.
            lines = [f"{one.start} {one.end} {one.source}\n" for one in segments] or ["-\n"]
            with self._noting:
                fresh.write_text("".join(lines), encoding="utf-8")
                fresh.replace(self.notes)
                os.close(self._notes)
                self._notes = os.open(self.notes, os.O_RDWR | os.O_APPEND | _NOFOLLOW)
        except OSError as error:
            raise self._store_error(error) from error

    def forget_notes(self) -> None:
        """Forget the notes: the file has become a blob."""
        self.notes.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the file: there is nothing in it that could be of use."""
        self.path.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)

    def _note(self, start: int, end: int, source: str) -> None:
        with self._noting:
            os.write(self._notes, f"{start} {end} {source}\n".encode())

    def _store_error(self, error: OSError) -> StoreError:
        folder = self.path.parent
        if error.errno in _FULL:
            missing = "" if self.expected is None else f" at least {size_text(self._missing())}"
            return StoreFull(
                f"the disk of the store is full ({error.strerror})",
                hint=f"Free{missing or ' space'} in {folder} and run again: what has arrived is kept.",
            )
        if error.errno in _FORBIDDEN:
            return StoreError(
                f"the store can't be written: {error.strerror}",
                hint=f"Make {folder} writable for this user, or choose another store with --store.",
            )
        return StoreError(f"the store can't be written: {error.strerror or error}", hint=f"Look at {folder}.")

    def _missing(self) -> int:
        """Return the bytes missing at the most: of a file with holes it is not counted what is in them."""
        assert self.expected is not None
        return max(0, self.expected - (os.fstat(self._file).st_size if self._file >= 0 else 0))


def bytes_held(path: Path, expected: int | None) -> int:
    """Return how much of a partial file that exists is there. Raises `StoreError`."""
    with PartialFile(path, expected) as partial:
        held = sorted(partial.held(), key=lambda one: one.start)
    count = position = 0
    for one in held:
        count += max(0, one.end - max(one.start, position))
        position = max(position, one.end)
    return count


def _earlier(source: str) -> str:
    return source if source.startswith(EARLIER) else f"{EARLIER} ({source})"
