"""What the kernel asks of a call, and what it is answered; standard library only, Linux 5.14 or later.

The caller waits meanwhile, but its other threads don't: they may write over every word that it gave by address and put
another descriptor in the place of each. So a call is never let through once it has been looked at. It is made here, on
our copy of its words and on descriptors of our own.
"""

import ctypes
import os
import select
import struct

from tf_tester.sandbox.kernel import AT_FDCWD, libc

_NOTICE = struct.Struct("=QIIiIQ6Q")
_ANSWER = struct.Struct("=QqiI")
_DESCRIPTOR = struct.Struct("=QIIII")
_RECEIVE, _SEND, _IS_VALID, _ADD_DESCRIPTOR = 0xC0502100, 0xC0182101, 0x40082102, 0x40182103
_AND_SEND = 2
_LONGEST_PATH = 4096
ENOENT, EINTR, EBADF, EFAULT, ENAMETOOLONG = 2, 4, 9, 14, 36
_ITS_OWN = (
    (b"/proc/self/", b"/proc/%d/"),
    (b"/proc/thread-self/", b"/proc/%d/"),
    (b"/dev/fd/", b"/proc/%d/fd/"),
    (b"/dev/stdin", b"/proc/%d/fd/0"),
    (b"/dev/stdout", b"/proc/%d/fd/1"),
    (b"/dev/stderr", b"/proc/%d/fd/2"),
)
"""How paths begin that mean something else for each process, and where that is for one of a number."""


class Notice:
    """One call that waits for its answer."""

    def __init__(self, listener: "Listener", told: bytes) -> None:
        self._listener = listener
        self.id, self.thread, _, self.number, _, _, *self.words = _NOTICE.unpack(told)

    def number_at(self, place: int) -> int:
        """Return an argument that is an `int`."""
        number: int = self.words[place] & 0xFFFFFFFF
        return number - (1 << 32) if number >> 31 else number

    def memory(self, address: int, size: int) -> bytes:
        """Return what the caller has there: fewer bytes where it has no more. Raises `OSError`."""
        place = self._open("mem", os.O_RDONLY)
        try:
            return os.pread(place, size, address)
        except (OSError, OverflowError) as error:
            raise OSError(EFAULT, "no such address") from error
        finally:
            os.close(place)

    def write(self, address: int, content: bytes) -> None:
        """Put something there. Raises `OSError`."""
        place = self._open("mem", os.O_RDWR)
        try:
            if os.pwrite(place, content, address) < len(content):
                raise OSError(EFAULT, "no such address")
        except OverflowError as error:
            raise OSError(EFAULT, "no such address") from error
        finally:
            os.close(place)

    def text(self, address: int, longest: int = _LONGEST_PATH) -> bytes:
        """Return a text, of fewer bytes than `longest`, that ends with a NUL there. Raises `OSError`."""
        text, end, _ = self.memory(address, longest).partition(b"\0")
        if not end:
            raise OSError(ENAMETOOLONG, "no end")
        return text

    def link(self, descriptor: int) -> str:
        """Return what the kernel calls one of the caller's descriptors. Raises `OSError`."""
        link = os.readlink(f"/proc/{self.thread}/fd/{descriptor}")
        self._must_wait()
        return link

    def folder(self, descriptor: int = AT_FDCWD) -> int:
        """Open what the caller begins a relative path with, as a place. Raises `OSError`."""
        if descriptor == AT_FDCWD:
            return self._open("cwd", os.O_PATH)
        try:
            return self._open(f"fd/{descriptor}", os.O_PATH)
        except FileNotFoundError:
            raise OSError(EBADF, "no such descriptor") from None

    def place(self, path: bytes, folder: int = AT_FDCWD, flags: int = 0) -> int:
        """Open what the caller means by a path, as a place: it stays what it is. Raises `OSError`."""
        flags |= os.O_PATH | os.O_CLOEXEC
        if path.startswith(b"/"):
            return self._checked(os.open(self._as_its_own(path), flags))
        base = self.folder(folder)
        try:
            return os.open(path, flags, dir_fd=base)
        finally:
            os.close(base)

    def _as_its_own(self, path: bytes) -> bytes:
        """Return an absolute path as the caller means it: `self` would be this process."""
        for begins, place in _ITS_OWN:
            if path == begins or (begins.endswith(b"/") and path.startswith(begins)):
                there: bytes = place % self.thread
                return there + path.removeprefix(begins)
        return path

    def _open(self, name: str, flags: int) -> int:
        return self._checked(os.open(f"/proc/{self.thread}/{name}", flags | os.O_CLOEXEC))

    def _checked(self, descriptor: int) -> int:
        try:
            self._must_wait()
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _must_wait(self) -> None:
        """Raise `OSError` where the caller has gone, and its number may have become another's."""
        if not self._listener.is_waiting(self.id):
            raise OSError(ENOENT, "the caller has gone")


class Listener:
    """The kernel's end of it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def receive(self) -> "Notice | None":
        """Wait for a call; None where its caller has gone meanwhile. Raises `OSError` when there will be no more."""
        told = ctypes.create_string_buffer(_NOTICE.size)
        if self._control(_RECEIVE, told) < 0:
            error = ctypes.get_errno()
            if error in (ENOENT, EINTR) and not self._is_over():
                return None
            raise OSError(error, os.strerror(error))
        return Notice(self, told.raw)

    def _is_over(self) -> bool:
        """Tell whether the last program that could have made a call has ended: then nothing waits any more."""
        poll = select.poll()
        poll.register(self._descriptor, 0)
        return any(happened & select.POLLHUP for _, happened in poll.poll(0))

    def is_waiting(self, number: int) -> bool:
        return self._control(_IS_VALID, struct.pack("=Q", number)) == 0

    def answer(self, notice: Notice, value: int, error: int = 0) -> None:
        """Say what the call returns, or its error; nobody hears it where the caller has gone."""
        self._control(_SEND, _ANSWER.pack(notice.id, value, -error, 0))

    def give(self, notice: Notice, descriptor: int, flags: int) -> None:
        """Answer with a descriptor: the caller gets one for the same thing. Raises `OSError`."""
        given = self._control(_ADD_DESCRIPTOR, _DESCRIPTOR.pack(notice.id, _AND_SEND, descriptor, 0, flags))
        if given < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))

    def _control(self, request: int, words: object) -> int:
        result: int = libc.ioctl(self._descriptor, ctypes.c_ulong(request), words)
        return result
