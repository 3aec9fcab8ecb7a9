"""What a process tree holds beside what it has mapped and what has a name: memory in files, deleted files. Linux only.

A file in memory (memfd, `/dev/shm`) is memory though nobody has it mapped, and a deleted file takes the disk until the
last descriptor or mapping of it has gone. What is held by neither, such as a descriptor that is on its way through a
socket, isn't seen.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress

from msgspec import Struct

_BLOCK = 512
"""Bytes of what `st_blocks` counts."""
_IN_MEMORY = ("tmpfs", "ramfs", "hugetlbfs")

Mounts = dict[int, tuple[str, str]]
"""By the number of its device a file system's kind, and a place where it is mounted."""


class Held(Struct, frozen=True):
    """Bytes."""

    memory: int
    """In files, mapped or not."""
    disk: int
    """In files that have no name any more."""


def held(members: Iterable[int], *, lost: int | None) -> Held:
    """Return what processes hold; a file that several of them have counts once.

    `lost`: bytes that the disk has lost since they began: files that are only mapped have no more, where only the
    lengths of mappings are to be known. None: such files aren't looked for, which takes the longest.
    """
    own = _mounts(os.getpid())
    by_namespace: dict[int, tuple[Mounts, dict[int, int]]] = {}
    memory: dict[tuple[int, int], int] = {}
    disk: dict[tuple[int, int], int] = {}
    guessed: dict[tuple[int, int], int] = {}
    for pid in members:
        with suppress(OSError):
            namespace = os.stat(f"/proc/{pid}/ns/mnt").st_ino
            if namespace not in by_namespace:
                mounts = _mounts(pid)
                by_namespace[namespace] = mounts, _private_memory(pid, mounts, own)
            mounts, private = by_namespace[namespace]
            for status in _open_files(pid):
                kind = mounts.get(status.st_dev, ("", ""))[0]
                file = status.st_dev, status.st_ino
                if status.st_dev in private:
                    continue  # it is in the sum of that file system
                if kind and kind not in _IN_MEMORY:
                    if status.st_nlink == 0:
                        disk[file] = status.st_blocks * _BLOCK
                elif kind or status.st_nlink == 0:  # a memfd is on no file system that is mounted
                    memory[file] = status.st_blocks * _BLOCK
            for file, length, size in _deleted_mappings(pid) if lost is not None else ():
                if mounts.get(file[0], ("tmpfs", ""))[0] in _IN_MEMORY:
                    continue
                if size is not None:
                    disk[file] = size
                else:
                    guessed[file] = max(length, guessed.get(file, 0))
    in_private = sum(sum(private.values()) for _, private in by_namespace.values())
    only_mapped = sum(length for file, length in guessed.items() if file not in disk)
    return Held(sum(memory.values()) + in_private, sum(disk.values()) + min(only_mapped, max(0, lost or 0)))


def _open_files(pid: int) -> Iterator[os.stat_result]:
    for name in os.listdir(f"/proc/{pid}/fd"):
        with suppress(OSError):
            status = os.stat(f"/proc/{pid}/fd/{name}")
            if stat.S_ISREG(status.st_mode):
                yield status


def _deleted_mappings(pid: int) -> Iterator[tuple[tuple[int, int], int, int | None]]:
    """Yield device and number of each deleted file that is mapped, the bytes up to the last that is, and its size.

    Only root is told of that, which is what it takes of the disk.
    """
    with open(f"/proc/{pid}/maps", "rb") as stream:
        for line in stream:
            if not line.endswith(b" (deleted)\n"):
                continue
            addresses, _, offset, device, number = line.split(maxsplit=5)[:5]
            start, end = (int(address, 16) for address in addresses.split(b"-"))
            major, minor = (int(part, 16) for part in device.split(b":"))
            size = None
            with suppress(OSError):
                size = os.stat(f"/proc/{pid}/map_files/{addresses.decode()}").st_blocks * _BLOCK
            yield (os.makedev(major, minor), int(number)), int(offset, 16) + end - start, size


def _private_memory(pid: int, mounts: Mounts, own: Mounts) -> dict[int, int]:
    """Return the bytes in each file system in memory that only the process and its like see."""
    found = {}
    for device, (kind, place) in mounts.items():
        if kind in _IN_MEMORY and device not in own:
            with suppress(OSError):
                space = os.statvfs(f"/proc/{pid}/root{place}")
                found[device] = (space.f_blocks - space.f_bfree) * space.f_frsize
    return found


def _mounts(pid: int) -> Mounts:
    found: Mounts = {}
    with open(f"/proc/{pid}/mountinfo", "rb") as stream:
        for line in stream:
            words, _, source = line.partition(b" - ")
            device, _, place = words.split(b" ")[2:5]
            major, minor = map(int, device.split(b":"))
            place = place.decode("unicode_escape").encode("latin-1")  # proc_pid_mountinfo(5) escapes spaces
            found.setdefault(os.makedev(major, minor), (source.split(b" ")[0].decode(), os.fsdecode(place)))
    return found
