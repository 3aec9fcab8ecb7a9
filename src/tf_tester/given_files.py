"""Files and folders that a user names: read whole, whatever they turn out to be, and never waited for in vain."""

import errno
import os
import select
import stat
from pathlib import Path

MOST = 64 << 20
"""Bytes: no lock, record of settings or list of requirements is as long."""
_PIECE = 1 << 20


def read_given(file: Path, *, most: int = MOST) -> bytes:
    """Return what is in a file, or comes out of a pipe that somebody writes into (`<(pip freeze)`).

    Raises `OSError` as reading does, and where it is longer than `most` bytes, such as a device without an end, or a
    pipe into which nobody writes.
    """
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        content = bytearray()
        while piece := _piece(descriptor):
            content += piece
            if len(content) > most:
                raise OSError(errno.EFBIG, f"it is longer than {most >> 20} MB", str(file))
        if is_pipe and not content:
            raise OSError(errno.EPIPE, "nobody writes into this pipe", str(file))
        return bytes(content)
    finally:
        os.close(descriptor)


def open_at_once(path: str, flags: int) -> int:
    """Return a descriptor as `os.open` does; a pipe isn't waited for."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def is_whole_system(place: Path) -> bool:
    """Return whether a path, links followed, is the top of all others: `/`, a drive."""
    real = Path(os.path.realpath(place))
    return real == real.parent


def _piece(descriptor: int) -> bytes:
    while True:
        try:
            return os.read(descriptor, _PIECE)
        except BlockingIOError:  # there is a writer, who takes his time
            select.select([descriptor], [], [])
