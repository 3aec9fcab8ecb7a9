"""The table of all memos: what the ledger keeps from run to run besides index pages and names of files.

A row says what a kind is called in the ledger, what its keys are, which type its values have and how they are written,
how long they count, and whether a bundle carries them to other machines. What isn't in the table is neither written
nor read. A value that can't be read counts as none: whoever asks makes it anew.
"""

import re
import struct
import zlib
from datetime import timedelta
from typing import Annotated, Any, Generic, Protocol, TypeVar

import msgspec
from msgspec import Meta, Struct

from tf_tester.core.index.feeds import FeedReport
from tf_tester.core.index.simple import JSON_TYPE, parse_page, render_json
from tf_tester.core.wheel.surface import PublicName, Surface
from tf_tester.errors import NotAPage
from tf_tester.model.decoding import decoder_of
from tf_tester.model.lock import Lock
from tf_tester.model.outcome import CellResult
from tf_tester.model.source import SourceHistory
from tf_tester.ports.replica import HeldProject, ReplicaHead
from tf_tester.ports.resolve import BuiltWheel
from tf_tester.ports.store import CheckedFile, CheckedLayer, FileStatus, KnownDigests, Pieces

V = TypeVar("V")

_SHA256 = re.compile(r"[0-9a-f]{64}")
_URL = "file:///"
"""Links in pages that are kept are absolute; this is never seen."""
_UNREADABLE = (ValueError, ArithmeticError, RecursionError, msgspec.DecodeError, zlib.error, struct.error)


class Codec(Protocol[V]):
    """How values of one type are written."""

    def encode(self, value: V) -> bytes: ...

    def decode(self, content: bytes) -> V:
        """Raise one of `_UNREADABLE` where it is no such value."""
        ...


class MemoKind(Struct, Generic[V], frozen=True):
    """A row of the table."""

    name: str
    """In the ledger."""
    key: str
    """What its keys are."""
    codec: Codec[V]
    lifetime: timedelta | None = None
    """How long a value counts after it was remembered; None: until another one takes its place."""
    largest: int | None = None
    """Bytes; a larger value isn't kept."""
    is_portable: bool = False
    """Another machine can use it: nothing of this one's interpreters, mirrors and disk."""

    def read(self, content: object) -> V | None:
        """Return the value; None where the ledger holds something else."""
        try:
            return self.codec.decode(content) if isinstance(content, bytes) else None
        except _UNREADABLE:
            return None

    def write(self, value: V) -> bytes | None:
        """Return what the ledger is to hold; None: the value is too large, or has text that can't be written."""
        try:
            content = self.codec.encode(value)
        except UnicodeEncodeError:
            return None
        return content if self.largest is None or len(content) <= self.largest else None


# -- codecs


class _Json(Struct, Generic[V], frozen=True):
    type: Any

    def encode(self, value: V) -> bytes:
        return msgspec.json.encode(value)

    def decode(self, content: bytes) -> V:
        value: V = decoder_of(self.type).decode(content)
        return value


class _Compressed(Struct, Generic[V], frozen=True):
    inner: Codec[V]
    level: int

    def encode(self, value: V) -> bytes:
        return zlib.compress(self.inner.encode(value), self.level)

    def decode(self, content: bytes) -> V:
        return self.inner.decode(zlib.decompress(content))


class _Text(Struct, frozen=True):
    """UTF-8 that matches a pattern."""

    pattern: str

    def encode(self, value: str) -> bytes:
        return value.encode()

    def decode(self, content: bytes) -> str:
        text = content.decode()
        if not re.fullmatch(self.pattern, text, re.DOTALL):
            raise ValueError(f"it doesn't match {self.pattern}")
        return text


class _Bytes(Struct, frozen=True):
    """Bytes in which a pattern is found."""

    pattern: bytes

    def encode(self, value: bytes) -> bytes:
        return value

    def decode(self, content: bytes) -> bytes:
        if not re.search(self.pattern, content):
            raise ValueError(f"it doesn't match {self.pattern!r}")
        return content


class _Locks(_Json[Lock], frozen=True):
    """Digests become file names: nothing else may stand in their place."""

    def decode(self, content: bytes) -> Lock:
        lock = super().decode(content)
        for pin in lock.pins:
            if not _SHA256.fullmatch(pin.sha256):
                raise ValueError(f"{pin.filename} has no SHA-256")
        return lock


class _Pieces(Struct, frozen=True):
    """Little-endian numbers of 32 bits: the size, then the sums."""

    def encode(self, value: Pieces) -> bytes:
        return struct.pack(f"<{len(value.sums) + 1}I", value.size, *value.sums)

    def decode(self, content: bytes) -> Pieces:
        size, *sums = struct.unpack(f"<{len(content) // 4}I", content)
        if not size or not sums:
            raise ValueError("no pieces")
        return Pieces(size, tuple(sums))


class _KeptProject(Struct):
    mark: str
    page: msgspec.Raw


class _Name(Struct):
    name: str


class _Projects(Struct, frozen=True):
    """The page as an index would serve it, and beside it the mark."""

    def encode(self, value: HeldProject) -> bytes:
        page = msgspec.Raw(render_json(value.page, lambda artifact: artifact.url))
        return msgspec.json.encode(_KeptProject(value.mark, page))

    def decode(self, content: bytes) -> HeldProject:
        kept = decoder_of(_KeptProject).decode(content)
        page = bytes(kept.page)
        project = decoder_of(_Name).decode(page).name
        try:
            return HeldProject(parse_page(page, JSON_TYPE, _URL, project), kept.mark)
        except NotAPage as error:
            raise ValueError(str(error)) from error


# -- the table

_Count = Annotated[int, Meta(ge=0)]

METADATA: MemoKind[bytes] = MemoKind(
    "metadata", "SHA-256 of a wheel, or its address", _Bytes(rb"(?i)(^|[\r\n])name:"), is_portable=True
)
METADATA_DIGEST: MemoKind[str] = MemoKind("metadata-digest", "SHA-256 of a wheel", _Text(r"([0-9a-f]{64})?"))
"""SHA-256 of its METADATA; empty: it has none that is right."""
ENTRY_POINTS: MemoKind[bytes] = MemoKind("entry-points", "SHA-256 of a wheel, or its address", _Bytes(b""))
LOCK: MemoKind[Lock] = MemoKind("lock", "digest of a question", _Locks(Lock), is_portable=True)
BUILT: MemoKind[BuiltWheel] = MemoKind(
    "built", "SHA-256 of an sdist, for one ABI `SHA256@ABI`", _Json(BuiltWheel), is_portable=True
)
DOWNLOADED: MemoKind[tuple[str, ...]] = MemoKind(
    "downloaded", "canonical name of a project", _Json(tuple[str, ...]), is_portable=True
)
"""Versions that somebody brought here on purpose."""

RESULT: MemoKind[CellResult] = MemoKind(
    "result", "a result's key (`core.replay.key`)", _Json(CellResult), largest=4 << 20, is_portable=True
)
UNSTEADY: MemoKind[bool] = MemoKind("unsteady", "a result's key", _Json(bool), is_portable=True)
"""With this key a cell has failed: what passes with it is not the same every time."""
PEAK: MemoKind[int] = MemoKind("peak", "canonical name of a project", _Json(_Count), is_portable=True)
"""Bytes that its cells needed at the most."""
DURATION: MemoKind[float] = MemoKind("took", "a cell's name", _Json(Annotated[float, Meta(ge=0)]))
"""Seconds that it ran last time."""
FAILED: MemoKind[tuple[str, ...]] = MemoKind(
    "failed", "a working folder and a cell's name", _Json(tuple[str, ...]), largest=1 << 20
)
"""Ids of tests."""
SURFACE: MemoKind[Surface] = MemoKind(
    "surface", "digest of wheels and rules", _Compressed(_Json(dict[str, PublicName]), 6)
)
"""Compressed: TensorFlow has a hundred thousand names."""

SOURCE: MemoKind[SourceHistory] = MemoKind("source", "name of a mirror, or `authority`", _Json(SourceHistory))
FEED: MemoKind[FeedReport] = MemoKind("feed", "name of a mirror", _Json(FeedReport))
"""What MirrorZ told of it."""
FASTEST: MemoKind[tuple[str, ...]] = MemoKind(
    "fastest", "address of an authority, without credentials", _Json(tuple[str, ...]), lifetime=timedelta(hours=6)
)
"""Names of the mirrors that `--mirror auto` takes."""
SERIAL: MemoKind[int] = MemoKind("serial", "`PROJECT AUTHORITY`, the authority's address", _Json(_Count))
"""The newest that anybody has shown."""
PUBLISHER: MemoKind[str] = MemoKind("publisher", "canonical name of a project", _Text(".+"))
"""Who signed its last file (PEP 740)."""

INTERPRETER: MemoKind[str] = MemoKind("interpreter", "an executable's path, time and size", _Text(".+"))
CHECKED: MemoKind[CheckedFile] = MemoKind("checked", "SHA-256 of a file", _Json(CheckedFile))
"""What the file system told of it when it was last read and found right."""
CHECKED_LAYER: MemoKind[CheckedLayer] = MemoKind("checked-layer", "`SHA256 PYTHON` of a layer", _Json(CheckedLayer))
"""Likewise of all the files of a layer."""
READ_LAYER: MemoKind[tuple[str, float]] = MemoKind("read-layer", "`SHA256 PYTHON` of a layer", _Json(tuple[str, float]))
"""What its files looked like when it was last read after a test had failed, and when that was, seconds since 1970."""
PIECES: MemoKind[Pieces] = MemoKind("pieces", "SHA-256 of a file", _Pieces())
FILE_DIGESTS: MemoKind[KnownDigests] = MemoKind(
    "file-digests", "absolute path of a folder", _Compressed(_Json(dict[str, tuple[FileStatus, str]]), 1)
)
"""Of files that aren't the store's, by path."""
LAYER_SIZE: MemoKind[int] = MemoKind("layer-size", "`SHA256 PYTHON,…` of a layer", _Json(_Count))
"""Bytes on the disk."""

REPLICA: MemoKind[ReplicaHead] = MemoKind("replica", "name of a replica", _Json(ReplicaHead))
HELD_PROJECT: MemoKind[HeldProject] = MemoKind("replica-project", "`REPLICA/PROJECT`", _Compressed(_Projects(), 1))
"""Level 1: a page of 780 kB becomes 140 kB in 6 ms."""
DROPPED_SERIAL: MemoKind[int] = MemoKind("replica-dropped", "`REPLICA/PROJECT`", _Json(_Count))
"""The serial that a project had when a replica dropped it."""

KINDS: dict[str, MemoKind[Any]] = {kind.name: kind for kind in list(globals().values()) if isinstance(kind, MemoKind)}
"""All rows, by name."""
