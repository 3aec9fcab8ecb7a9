"""What a folder takes of the disk, however a program has filled it."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

_BLOCK = 512
"""Bytes of what `st_blocks` counts."""
_LEAST = 4096
"""Bytes that an entry takes at the least: a file without content takes an inode and a place in its folder."""
_LOOKED_INTO = stat.S_IRUSR | stat.S_IXUSR
_OPEN_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


def disk_use(folders: Sequence[Path], *, opens: bool = False) -> int:
    """Return the bytes on the disk of all that lies below some folders; nothing is followed.

    `opens`: folders that their owner, we, may not look into are opened to us for good.
    """
    return sum(max(_LEAST, status.st_blocks * _BLOCK) for folder in folders for status in _entries(folder, opens=opens))


def _entries(folder: Path, *, opens: bool) -> Iterator[os.stat_result]:
    """Yield the status of each entry below a folder: in any depth, by one open descriptor, whatever its path's length.

    What is moved while it is looked at may be left out.
    """
    if os.open not in os.supports_dir_fd or os.scandir not in os.supports_fd:
        for place, names, files in os.walk(folder):
            for name in (*names, *files):
                with suppress(OSError):
                    yield os.lstat(os.path.join(place, name))  # noqa: PTH118
        return
    try:
        here = _open(str(folder), None, opens=opens)
    except OSError:
        return
    try:
        levels: list[tuple[int, list[str]]] = []
        """From the top: number of a folder, and names of those in it that were not looked into yet."""
        statuses, inner = _of(here)
        yield from statuses
        levels.append((os.fstat(here).st_ino, inner))
        while levels:
            number, inner = levels[-1]
            if os.fstat(here).st_ino != number:
                return
            name = inner.pop() if inner else ".."
            if name == "..":
                levels.pop()
                if not levels:
                    return
            with suppress(OSError):
                there = _open(name, here, opens=opens and name != "..")
                os.close(here)
                here = there
                if name != "..":
                    statuses, inner = _of(here)
                    yield from statuses
                    levels.append((os.fstat(here).st_ino, inner))
    finally:
        os.close(here)


def _open(name: str, folder: int | None, *, opens: bool) -> int:
    if opens and hasattr(os, "O_PATH"):
        with suppress(OSError):
            # As a place, which stays what it is: a program may put a link there at any time.
            place = os.open(name, os.O_PATH | _OPEN_FOLDER, dir_fd=folder)
            try:
                mode = os.fstat(place).st_mode
                if mode & _LOOKED_INTO != _LOOKED_INTO:
                    os.chmod(f"/proc/self/fd/{place}", stat.S_IMODE(mode) | _LOOKED_INTO)  # noqa: PTH101
            finally:
                os.close(place)
    return os.open(name, _OPEN_FOLDER, dir_fd=folder)


def _of(folder: int) -> tuple[list[os.stat_result], list[str]]:
    """Return the status of each entry of an open folder, and the names of the folders among them."""
    statuses, folders = [], []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                statuses.append(entry.stat(follow_symlinks=False))
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
    return statuses, folders
