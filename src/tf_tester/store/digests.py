"""What the user's files hold, found out once: their SHA-256 by their status, as git's index has it.

A file that was changed in the same moment in which it was read may have the same status and another content later
(https://git-scm.com/docs/racy-git): what is younger than the coarsest clock of a file system is read again next time.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from tf_tester.ports.memory import Memos
from tf_tester.ports.store import FileStatus, KnownDigests

_YOUNG = 3 * 10**9
"""Nanoseconds. FAT tells two seconds from one another."""


class StatusDigests:
    """`ports.store.FileDigests`. `now`: nanoseconds since 1970."""

    def __init__(self, memos: Memos[KnownDigests], now: Callable[[], int]) -> None:
        self._memos = memos
        self._now = now

    def of(self, folder: Path, files: Sequence[tuple[str, FileStatus]]) -> list[str]:
        """Return the digests of files. Raises `OSError`."""
        known = self._memos.recall(str(folder)) or {}
        digests = []
        sure: dict[str, tuple[FileStatus, str]] = {}
        for path, status in files:
            kept = known.get(path)
            if kept is not None and kept[0] == status:
                digest, is_sure = kept[1], True
            else:
                digest, is_sure = self._read(path, status)
            digests.append(digest)
            if is_sure:
                sure[path] = status, digest
        if sure != known:
            self._memos.remember(str(folder), sure)
        return digests

    def _read(self, path: str, status: FileStatus) -> tuple[str, bool]:
        """Return a file's digest, and whether a file of that status will have it later, too."""
        begun = self._now()
        with open(path, "rb", opener=_open) as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            after = status_of(os.fstat(stream.fileno()))
        return digest, after == status and max(status.modified, status.changed) < begun - _YOUNG


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))


def status_of(status: os.stat_result) -> FileStatus:
    return FileStatus(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
