"""Modes, times and attributes of files: changed in a program's own folders, elsewhere as ever; standard library only.

For these Landlock has no word. Elsewhere they are answered as if they had been changed, because a refusal would end
every `shutil.copy`; attributes are not supported there.
"""

import os
import stat
import struct

from tf_tester.sandbox.kernel import AT_EMPTY_PATH, AT_FDCWD, check, libc
from tf_tester.sandbox.supervise.notices import Notice
from tf_tester.sandbox.supervise.places import ScratchPlaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

EPERM, ERANGE, ENOTSUP = 1, 34, 95
_AT_SYMLINK_NOFOLLOW = 0x100
_TIMES = struct.Struct("=4q")
"""Seconds and nanoseconds of the last access, and of the last change."""
_LONGEST_NAME, _LONGEST_VALUE = 256, 65536


class FileChanges:
    """What is done for a program that changes more of files than what is in them."""

    def __init__(self, own: ScratchPlaces) -> None:
        self._own = own

    @property
    def calls(self) -> "dict[str, Callable[[Notice], int]]":
        """Return what makes which call."""
        return {
            "chmod": lambda asked: self._mode(asked, asked.number_at(1), path=0),
            "fchmod": lambda asked: self._mode(asked, asked.number_at(1), folder=0),
            "fchmodat": lambda asked: self._mode(asked, asked.number_at(2), folder=0, path=1),
            "fchmodat2": lambda asked: self._mode(asked, asked.number_at(2), folder=0, path=1, flags=3),
            "utimensat": lambda asked: self._times(asked, _exact, words=2, folder=0, path=1, flags=3),
            "futimesat": lambda asked: self._times(asked, _from_microseconds, words=2, folder=0, path=1),
            "utimes": lambda asked: self._times(asked, _from_microseconds, words=1, path=0),
            "utime": lambda asked: self._times(asked, _from_seconds, words=1, path=0),
            "setxattr": lambda asked: self._set_attribute(asked, path=0),
            "lsetxattr": lambda asked: self._set_attribute(asked, path=0, follow=False),
            "fsetxattr": lambda asked: self._set_attribute(asked, folder=0),
            "getxattr": lambda asked: self._attribute_of(asked, path=0),
            "lgetxattr": lambda asked: self._attribute_of(asked, path=0, follow=False),
            "listxattr": lambda asked: self._attributes(asked, path=0),
            "llistxattr": lambda asked: self._attributes(asked, path=0, follow=False),
            "removexattr": lambda asked: self._remove_attribute(asked, path=0),
            "lremovexattr": lambda asked: self._remove_attribute(asked, path=0, follow=False),
            "fremovexattr": lambda asked: self._remove_attribute(asked, folder=0),
        }

    def _mode(self, asked: Notice, mode: int, **places: int) -> int:
        if mode & stat.S_ISUID:
            raise OSError(EPERM, "none gets the rights of its owner")

        def change(place: int) -> None:
            if stat.S_ISLNK(os.fstat(place).st_mode):
                raise OSError(ENOTSUP, "a link has no mode")
            os.chmod(f"/proc/self/fd/{place}", mode & 0o7777)

        return self._change(asked, change, places)

    def _times(self, asked: Notice, times_of: "Callable[[Notice, int], bytes]", *, words: int, **places: int) -> int:
        address = asked.words[words]
        times = times_of(asked, address) if address else None

        def change(place: int) -> None:
            check(libc.utimensat(place, b"", times, AT_EMPTY_PATH), "times")

        return self._change(asked, change, places)

    def _set_attribute(self, asked: Notice, *, follow: bool = True, **places: int) -> int:
        name, size = _attribute(asked), asked.words[3]
        if size > _LONGEST_VALUE:
            raise OSError(7, "the value is too long")
        value = asked.memory(asked.words[2], size) if size else b""
        flags = asked.number_at(4)

        def change(place: int) -> None:
            os.setxattr(f"/proc/self/fd/{place}", name, value, flags)

        return self._change(asked, change, places, otherwise=ENOTSUP, follow=follow)

    def _remove_attribute(self, asked: Notice, *, follow: bool = True, **places: int) -> int:
        name = _attribute(asked)

        def change(place: int) -> None:
            os.removexattr(f"/proc/self/fd/{place}", name)

        return self._change(asked, change, places, otherwise=ENOTSUP, follow=follow)

    def _attribute_of(self, asked: Notice, *, follow: bool = True, **places: int) -> int:
        name = _attribute(asked)

        def read(place: int) -> int:
            return _handed_over(asked, 2, os.getxattr(f"/proc/self/fd/{place}", name))

        return self._change(asked, read, places, otherwise=ENOTSUP, follow=follow)

    def _attributes(self, asked: Notice, *, follow: bool = True, **places: int) -> int:
        def read(place: int) -> int:
            names = [name for name in os.listxattr(f"/proc/self/fd/{place}") if name.startswith("user.")]
            return _handed_over(asked, 1, b"".join(os.fsencode(name) + b"\0" for name in names))

        return self._change(asked, read, places, otherwise=ENOTSUP, follow=follow)

    def _change(
        self,
        asked: Notice,
        change: "Callable[[int], int | None]",
        places: "dict[str, int]",
        *,
        otherwise: int = 0,
        follow: bool = True,
    ) -> int:
        """Change or read what is meant if it is the program's own; `otherwise` is the error for what isn't.

        `places`: which arguments are a path, the folder in which it begins, or the file itself, and flags.
        """
        place = _meant(asked, follow=follow, **places)
        try:
            if self._own.hold(place):
                return change(place) or 0
            if otherwise:
                raise OSError(otherwise, "not one of its own")
        finally:
            os.close(place)
        return 0


def _meant(asked: Notice, *, follow: bool, folder: int = -1, path: int = -1, flags: int = -1) -> int:
    """Open, as a place, the file that a call is about. Raises `OSError`."""
    how = asked.number_at(flags) if flags >= 0 else 0
    base = asked.number_at(folder) if folder >= 0 else AT_FDCWD
    address = asked.words[path] if path >= 0 else 0
    name = asked.text(address) if address else b""
    if not name:
        if address and not how & AT_EMPTY_PATH:
            raise OSError(2, "No such file or directory")
        return asked.folder(base)
    follow = follow and not how & _AT_SYMLINK_NOFOLLOW
    return asked.place(name, base, 0 if follow else os.O_NOFOLLOW)


def _handed_over(asked: Notice, place: int, content: bytes) -> int:
    """Write what a call returns where the caller wants it, and return its length. `place`: of the address and the size.

    Raises `OSError` where it is longer than what the caller has for it.
    """
    address, size = asked.words[place], asked.words[place + 1]
    if size:
        if len(content) > size:
            raise OSError(ERANGE, "there is no room for it")
        asked.write(address, content)
    return len(content)


def _attribute(asked: Notice) -> bytes:
    """Return the name of a user's attribute. Raises `OSError` for others, which mean something to the system."""
    name = asked.text(asked.words[1], _LONGEST_NAME)
    if not name.startswith(b"user."):
        raise OSError(ENOTSUP, "only users' attributes")
    return name


def _exact(asked: Notice, address: int) -> bytes:
    return _whole(asked.memory(address, _TIMES.size), _TIMES.size)


def _from_microseconds(asked: Notice, address: int) -> bytes:
    accessed, of_access, changed, of_change = _TIMES.unpack(_exact(asked, address))
    return _TIMES.pack(accessed, of_access * 1000, changed, of_change * 1000)


def _from_seconds(asked: Notice, address: int) -> bytes:
    accessed, changed = struct.unpack("=2q", _whole(asked.memory(address, 16), 16))
    return _TIMES.pack(accessed, 0, changed, 0)


def _whole(memory: bytes, size: int) -> bytes:
    if len(memory) < size:
        raise OSError(14, "no such address")
    return memory
