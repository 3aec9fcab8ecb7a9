"""The growing file of one blob."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tf_tester.core.sizes import size_text
from tf_tester.errors import StoreError

EARLIER = "an earlier run"

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


class PartialFile:
    """Knows how long the file is and who wrote into it; only ever grows at its end, or starts anew.

    Every failure of the disk is a `StoreError`, so that it can't be mistaken for one of the network.
    """

    def __init__(self, path: Path, expected: int | None) -> None:
        self.path = path
        self.expected = expected
        """Bytes of the whole file, where the index tells."""
        self.received = 0
        """Bytes that came in this run, those thrown away included."""
        self.size = self._size_on_disk()
        self.writers: set[str] = {EARLIER} if self.size else set()
        self._file = -1

    @property
    def is_complete(self) -> bool:
        return 0 < self.size == self.expected

    def is_by(self, writer: str) -> bool:
        """True where nobody else has a part in it."""
        return self.writers <= {writer}

    @contextmanager
    def writing(self, writer: str) -> Iterator[None]:
        """Hold the file open; nobody writes outside of this."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        try:
            self._file = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise self._store_error(error) from error
        self._writer = writer
        try:
            yield
        finally:
            os.close(self._file)
            self._file = -1

    def append(self, chunks: Sequence[bytes]) -> None:
        """Write at the end. What can't be written is lost, what was written stays."""
        self.writers.add(self._writer)
        try:
            for chunk in chunks:
                rest = memoryview(chunk)
                while rest:
                    written = os.write(self._file, rest)
                    self.size += written
                    self.received += written
                    rest = rest[written:]
        except OSError as error:
            raise self._store_error(error) from error

    def restart(self) -> None:
        """Throw away what is there."""
        try:
            with self.path.open("wb"):
                pass
        except OSError as error:
            raise self._store_error(error) from error
        self.vanished()

    def vanished(self) -> None:
        """Note that the file is gone or empty."""
        self.size = 0
        self.writers.clear()

    def _size_on_disk(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise self._store_error(error) from error

    def _store_error(self, error: OSError) -> StoreError:
        folder = self.path.parent
        if error.errno in _FULL:
            missing = "" if self.expected is None else f" at least {size_text(self.expected - self.size)}"
            return StoreError(
                f"the disk of the store is full ({error.strerror})",
                hint=f"Free{missing or ' space'} in {folder} and run again: what has arrived is kept.",
            )
        if error.errno in _FORBIDDEN:
            return StoreError(
                f"the store can't be written: {error.strerror}",
                hint=f"Make {folder} writable for this user, or choose another store with --store.",
            )
        return StoreError(f"the store can't be written: {error.strerror or error}", hint=f"Look at {folder}.")
