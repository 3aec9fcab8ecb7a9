"""Removal of what a test or a build has left: deep, unreadable, immutable, with something mounted in it."""

import contextlib
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

_OPEN_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602
"""FS_IOC_GETFLAGS and FS_IOC_SETFLAGS of Linux."""
_IMMUTABLE_OR_APPEND = 0x10 | 0x20
_IN_DEPTH = {os.open, os.stat, os.unlink, os.rmdir, os.rename} <= os.supports_dir_fd and os.listdir in os.supports_fd


def remove_tree(folder: Path) -> None:
    """Delete a folder of ours with all that is in it; what can't go stays for the next sweep.

    No link is followed, and what lies in a file system that is mounted there is not ours to delete. Neither depth nor
    modes nor flags nor names that make a path too long keep anything alive.
    """
    with contextlib.suppress(OSError):
        if folder.is_symlink():
            folder.unlink()
            return
        if not folder.exists():
            return
    on_it, below_it = _mounted(folder)
    if on_it:
        return
    if not below_it:
        with contextlib.suppress(OSError, RecursionError):
            shutil.rmtree(folder)
            return
    if not _IN_DEPTH:
        with contextlib.suppress(RecursionError):
            shutil.rmtree(folder, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        with _opened(str(folder), None) as root:
            _empty(root)
        folder.rmdir()


def _mounted(folder: Path) -> tuple[bool, bool]:
    """Return whether anything is mounted on a folder, and below it, as far as the system tells."""
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
        place = os.fsencode(folder.resolve())
    except OSError:
        return False, False
    for character in b"\\ \t\n":
        place = place.replace(bytes([character]), b"\\%03o" % character)
    points = [line.split(b" ", 5)[4] for line in lines]
    return place in points, any(point.startswith(place + b"/") for point in points)


def _empty(root: int) -> None:
    """Remove all that is in an open folder.

    What lies deeper is moved to the top, a level at a time: no path becomes long, and two descriptors do for any depth.
    """
    stuck: set[str] = set()
    while found := [name for name in os.listdir(root) if name not in stuck]:
        for name in found:
            if not _removed(root, name):
                stuck.add(name)


def _removed(root: int, name: str) -> bool:
    """Remove an entry of the root, and move to the root what folders are in it; return whether it is gone."""
    try:
        if not _is_folder(root, name):
            _unlink(root, name)
            return True
        with contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=root)
            return True
        with _opened(name, root) as folder:
            if _mount(folder) != _mount(root):
                return False
            for child in os.listdir(folder):  # noqa: PTH208 - an open one
                with contextlib.suppress(OSError):
                    if _is_folder(folder, child):
                        _move(folder, child, root)
                    else:
                        _unlink(folder, child)
        os.rmdir(name, dir_fd=root)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _is_folder(place: int, name: str) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=place, follow_symlinks=False).st_mode)


def _unlink(place: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=place)
    except PermissionError:
        # Opening a FIFO or a device could wait for ever; flags are of files only.
        if stat.S_ISREG(os.stat(name, dir_fd=place, follow_symlinks=False).st_mode):
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place)
            try:
                _clear_flags(descriptor)
            finally:
                os.close(descriptor)
        os.unlink(name, dir_fd=place)


def _move(source: int, child: str, root: int) -> None:
    """Move a folder to the root, under a name that nothing has there."""
    name = f"deeper-{os.urandom(8).hex()}"
    try:
        os.rename(child, name, src_dir_fd=source, dst_dir_fd=root)
    except PermissionError:
        with _opened(child, source):
            pass  # which makes it one that can be moved
        os.rename(child, name, src_dir_fd=source, dst_dir_fd=root)


@contextlib.contextmanager
def _opened(name: str, place: int | None) -> Iterator[int]:
    """Open a folder of ours, made readable and writable for us, without flags that keep it as it is."""
    try:
        descriptor = os.open(name, _OPEN_FOLDER, dir_fd=place)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=place)
        descriptor = os.open(name, _OPEN_FOLDER, dir_fd=place)
    try:
        _clear_flags(descriptor)
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, 0o700)
        yield descriptor
    finally:
        os.close(descriptor)


def _mount(descriptor: int) -> bytes | int:
    """Return what is the same for two open folders of one mount, and for no folder of another."""
    try:
        lines = Path(f"/proc/self/fdinfo/{descriptor}").read_bytes().splitlines()
    except OSError:
        return os.fstat(descriptor).st_dev
    return next((line for line in lines if line.startswith(b"mnt_id:")), b"")


def _clear_flags(descriptor: int) -> None:
    """Let a file or folder be changed that was marked immutable or append-only; where nobody may, nothing happens."""
    if sys.platform != "linux":
        return
    import fcntl

    with contextlib.suppress(OSError):
        flags = int.from_bytes(fcntl.ioctl(descriptor, _GET_FLAGS, bytes(8))[:4], sys.byteorder)
        if flags & _IMMUTABLE_OR_APPEND:
            fcntl.ioctl(descriptor, _SET_FLAGS, (flags & ~_IMMUTABLE_OR_APPEND).to_bytes(8, sys.byteorder))
