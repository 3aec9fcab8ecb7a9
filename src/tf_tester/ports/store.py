"""Verified files and unpacked wheels by their digests, and what a store holds of them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from msgspec import Struct

from tf_tester.core.fetch.retention import StoredItem
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.layer import Layer


class Blobs(Protocol):
    """Verified files by their SHA-256 (lower-case hex)."""

    def find(self, sha256: str) -> Path | None:
        """Return the file, if it is there and right.

        It is read again where its status isn't what it was when it was last found right, or that is long ago; one that
        is wrong is set aside, so that what of it is right isn't fetched again.
        """
        ...

    def find_unchanged(self, sha256: str) -> Path | None:
        """Return what `find` does where that needs no reading; None says nothing."""
        ...

    def holds(self, sha256: str) -> bool:
        """Tell whether a file of that name is there, right or not."""
        ...

    def is_sound(self, sha256: str) -> bool:
        """Read a file again, and tell whether it is right; one that is wrong is set aside."""
        ...

    def partial(self, sha256: str) -> Path:
        """Return where the bytes of a transfer grow; what an earlier one left is still there."""
        ...

    def exclusive(self, sha256: str) -> AbstractContextManager[None]:
        """Hold this while bringing a blob: one process and thread at a time; blocks. Freed by death."""
        ...

    def pieces(self, sha256: str) -> "Pieces | None":
        """Return the sums of the pieces of a file that was right before, whether it still is there or not."""
        ...

    def follow(self, sha256: str) -> "Follower":
        """Return what hashes `partial(sha256)` while it grows."""
        ...

    def adopt(self, sha256: str, filename: str, source: str, follower: "Follower | None" = None) -> Path:
        """Verify `partial(sha256)` against its name and give it that name.

        Hashes the bytes that are on the disk (those that the follower has not read), syncs, renames: the blob is
        right or absent. Raises `WrongBytes` (the partial file stays: what is wrong may be a part of it), `StoreError`.
        """
        ...


class FileStatus(NamedTuple):
    """What a file system tells of a file; while it stays the same, the file hasn't changed."""

    size: int
    modified: int
    """Nanoseconds since 1970."""
    changed: int
    """Likewise; nobody but the system can set it."""
    inode: int


class CheckedFile(NamedTuple):
    """A file that was read and found right."""

    status: FileStatus
    links: int
    """How many names it had: a new one changes `changed`."""
    checked: float
    """Seconds since 1970."""


class CheckedLayer(NamedTuple):
    """A layer, with the bytecode of one Python, that was looked at and found right."""

    looks: str
    """SHA-256 of its files' names, modes, sizes, times and inodes."""
    changes: str
    """Likewise of the times when the system last noted something of them."""
    checked: float
    """Seconds since 1970."""


KnownDigests = Mapping[str, tuple[FileStatus, str]]
"""By path: the status of a file when it was read, and its SHA-256."""


class FileDigests(Protocol):
    """SHA-256 of files that aren't the store's; each is read again only when its status has changed."""

    def of(self, folder: Path, files: Sequence[tuple[str, FileStatus]]) -> list[str]:
        """Return the digests of files, in hexadecimal digits, in the same order.

        `folder`: what was found out is kept under this name. Raises `OSError` where one can't be read.
        """
        ...


class Pieces(Struct, frozen=True):
    """Sums of a file's pieces, from when all of it was right: they tell at once which piece is wrong.

    CRC-32, not a proof: that all is right is for the SHA-256 to say.
    """

    size: int
    """Bytes of each but the last."""
    sums: tuple[int, ...]

    def span(self, number: int, end: int) -> tuple[int, int]:
        """Return where a piece lies in a file that ends there."""
        return number * self.size, min((number + 1) * self.size, end)


class Follower(Protocol):
    """The hash of a file that grows, as far as it has grown without a hole."""

    def grown(self, end: int) -> None:
        """Note that all bytes before `end` are there now."""
        ...

    def restart(self) -> None:
        """Begin anew: what was read has changed, or will; nothing is there until `grown` says so again."""
        ...

    def catch_up(self) -> None:
        """Read what has grown. In one thread at a time, whatever others call meanwhile."""
        ...

    def digest(self) -> str:
        """Return the SHA-256 of the whole file, in lower-case hex; read what is left of it."""
        ...

    def sums(self) -> Sequence[int]:
        """Return the CRC-32 of each piece of what was read; see `Pieces`."""
        ...


class Layers(Protocol):
    """Wheels unpacked once, for every environment that has them."""

    def find(self, sha256: str, interpreter: Interpreter) -> Layer | None:
        """Return the wheel unpacked, with bytecode for the interpreter, if both are there. Raises `StoreError`."""
        ...

    def layer(self, filename: str, sha256: str, wheel: Path, interpreter: Interpreter) -> Layer:
        """Return the wheel unpacked, with bytecode for the interpreter; made once, whoever asks and however many.

        Raises `InstallFailed` where the wheel breaks the rules, `StoreError`.
        """
        ...

    def examine(self, layers: Sequence[Layer], *, unread_for: float | None = None) -> Callable[[], tuple[str, ...]]:
        """Begin to look whether layers still are what was unpacked.

        Returns what waits for that and gives the digests of those that are damaged. `unread_for`: each file is read of
        layers that nobody has read for so many seconds, whatever the file system tells; None: that decides.
        """
        ...

    def renew(self, sha256s: Sequence[str]) -> None:
        """Take damaged layers away: whoever asks for them next makes them anew. Raises `StoreError`."""
        ...


class EvictableStore(Protocol):
    """The store's files and layers by their digests."""

    def holds(self, digest: str) -> bool: ...

    def discard(self, digests: set[str]) -> None:
        """Delete these; what another job needs stays. Raises `StoreError`."""
        ...


class StoreContents(Protocol):
    """What a store holds; sizes are bytes on the disk."""

    @property
    def entries(self) -> tuple[StoredItem, ...]:
        """Return what can be fetched or made again."""
        ...

    @property
    def runs(self) -> int:
        """Return the size of records and evidence."""
        ...

    @property
    def kept(self) -> int:
        """Return the size of environments that a person asked to keep."""
        ...

    @property
    def others(self) -> int: ...

    @property
    def total(self) -> int: ...
