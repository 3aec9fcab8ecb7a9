"""A layer's bytes: a tar of entries, packed, both hashed while they are written."""

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from msgspec import Struct
from zlib_ng import zlib_ng

from tf_tester.core.image.documents import Compression
from tf_tester.core.image.tar import END, TarEntry, header_of, padding_of

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_CHUNK = 1 << 20
_GZIP_LEVEL = 4
_ZSTD_LEVEL = 3
_GZIP_WRAPPED = 31
"""`wbits` of zlib for a gzip header, which has neither name nor time."""


class PackedLayer(Struct, frozen=True):
    """What was written."""

    digest: str
    """Hex, as for the other one."""
    size: int
    unpacked: str
    """Digest of the tar."""


def packing_of(compression: Compression) -> str:
    """Return what decides the bytes of a layer besides what is in it."""
    match compression:
        case Compression.GZIP:
            return f"gzip-{_GZIP_LEVEL} zlib-ng {zlib_ng.ZLIBNG_VERSION}"
        case Compression.ZSTD:
            return f"zstd-{_ZSTD_LEVEL} {zstd.zstd_version}"
        case Compression.NONE:
            return "none"


def tar_of(entries: Iterable[TarEntry]) -> Iterator[bytes]:
    """Yield the tar, piece by piece. Raises `OSError` where a file can't be read, or isn't as long as it was."""
    for entry in entries:
        yield header_of(entry)
        if entry.source and entry.size:
            yield from _contents(entry)
        elif entry.size:
            yield entry.content
        if padding := padding_of(entry.size):
            yield padding
    yield END


def pack(tar: Iterable[bytes], sink: "Sink", compression: Compression, go_on: Callable[[], None]) -> PackedLayer:
    """Write a tar, packed. `go_on`: raises where that is to end."""
    compressor = _compressor(compression)
    unpacked, packed, size = hashlib.sha256(), hashlib.sha256(), 0

    def out(piece: bytes) -> None:
        nonlocal size
        packed.update(piece)
        sink.write(piece)
        size += len(piece)

    for pieces in _joined(tar):
        go_on()
        unpacked.update(pieces)
        out(compressor.compress(pieces))
    out(compressor.flush())
    return PackedLayer(packed.hexdigest(), size, unpacked.hexdigest())


class Sink(Protocol):
    """What takes a layer's bytes."""

    def write(self, piece: bytes, /) -> object: ...


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _Plain:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def _compressor(compression: Compression) -> _Compressor:
    match compression:
        case Compression.GZIP:
            return zlib_ng.compressobj(_GZIP_LEVEL, zlib_ng.DEFLATED, _GZIP_WRAPPED)
        case Compression.ZSTD:
            return zstd.ZstdCompressor(_ZSTD_LEVEL)
        case Compression.NONE:
            return _Plain()


def _joined(tar: Iterable[bytes]) -> Iterator[bytes]:
    """Yield pieces of about a megabyte: a compressor's call costs as much as packing a small file."""
    waiting = bytearray()
    for piece in tar:
        waiting += piece
        if len(waiting) >= _CHUNK:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


def _contents(entry: TarEntry) -> Iterator[bytes]:
    left = entry.size
    with open(entry.source, "rb", buffering=0) as stream:  # noqa: PTH123 - for each of 15,000 files
        while piece := stream.read(min(_CHUNK, left + 1)):
            left -= len(piece)
            if left < 0:
                break
            yield piece
    if left:
        raise OSError(0, "it was changed while it was read", entry.source)
