"""What a program tells its parent while it runs: through a socket, so that what was said can't be taken back.

A file could be emptied, written anew, or written by anything else that finds it. A socket has no name: what has been
sent is the parent's, and only who holds the descriptor can send.
"""

import contextlib
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from tf_tester.ports.execute import Dialogue

_PIECE = 1 << 18
_LAST_BYTES = 1 << 24
"""Taken after the program's end at the most: what a socket holds is far less, but a process that got away may go on."""


class Told:
    """A socket for one program to write into, and the file to which that is added. POSIX only."""

    def __init__(self, told: Path | Dialogue) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._answer = told.answer if isinstance(told, Dialogue) else None
        self.file = told.file if isinstance(told, Dialogue) else told
        self._stream = self.file.open("ab")
        self.is_shut = False
        """The program has ended the connection: nothing more will be told."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for part in (self._ours, self._theirs, self._stream):
            part.close()

    @property
    def theirs(self) -> int:
        """The end that is the program's standard input; it stays open here, too, so that ours never ends."""
        return self._theirs.fileno()

    def fileno(self) -> int:
        """Return the descriptor on which there is something to read when the program has told something."""
        return self._ours.fileno()

    def take(self) -> bool:
        """Add to the file what has been told by now, and answer it; return whether there was anything."""
        said = b""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            said = self._ours.recv(_PIECE)
            self.is_shut = not said
        self._stream.write(said)
        self._stream.flush()
        if said and self._answer is not None and (answer := self._answer(said)):
            with contextlib.suppress(BlockingIOError, ConnectionError):  # it has gone, or doesn't read
                self._ours.send(answer)
        return bool(said)

    def take_last(self) -> None:
        """Add what is left behind a program that has ended."""
        taken = 0
        while taken < _LAST_BYTES and self.take():
            taken += _PIECE
