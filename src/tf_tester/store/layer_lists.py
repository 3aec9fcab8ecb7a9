"""What a layer tells of itself: small JSON files with a sum behind them, so that a damaged one is known as such."""

import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from tf_tester.given_files import open_at_once
from tf_tester.model.host.layer import EntryPoint

T = TypeVar("T")
FORMAT = 3
"""Layers of another are made anew."""
_DIGITS = 8
_CHUNK = 1 << 20


class LayerManifest(msgspec.Struct, rename={"parts": "rooms"}):
    """`layer.json`: what every environment wants to know."""

    format: int
    name: str
    parts: frozenset[str]
    """Which of `bin` and `data` it has."""
    entry_points: tuple[EntryPoint, ...]
    import_names: tuple[str, ...]
    metadata_sha256: str
    record: int = 0
    """CRC-32 of RECORD, which has no line of its own in it; 0 in layers of earlier versions."""


class TreeManifest(msgspec.Struct):
    """`bytecode.json`: what one interpreter has."""

    site: str
    """Below `tree`."""
    bytecode: tuple[str, ...]
    """Below that."""
    sums: tuple[int, ...] = ()
    """CRC-32 of each; layers of earlier versions have none."""


MANIFESTS = msgspec.json.Decoder(LayerManifest)
NAMES = msgspec.json.Decoder(tuple[str, ...])
"""`files.json`."""
TREES = msgspec.json.Decoder(TreeManifest)


def write_summed(path: Path, content: object) -> None:
    """Write a value as one line of JSON, and below it its CRC-32 in eight hexadecimal digits."""
    line = msgspec.json.encode(content)
    path.write_bytes(b"%s\n%08x" % (line, zlib.crc32(line)))


def read_summed(path: str, decoder: "msgspec.json.Decoder[T]") -> T | None:
    """Return the value; None where the file is not there, can't be read or isn't what was written.

    Files of earlier versions have no sum.
    """
    try:
        with open(path, "rb", buffering=0, opener=open_at_once) as stream:
            line, end, digits = stream.read().partition(b"\n")
        if end and (len(digits) != _DIGITS or int(digits, 16) != zlib.crc32(line)):
            return None
        return decoder.decode(line)
    except (OSError, msgspec.DecodeError, ValueError):
        return None


def record_among(files: Iterable[str]) -> str | None:
    """Return RECORD's name below site-packages, of a layer's files; None where it has none."""
    names = (name for name in files if name.count("/") == 2 and name.endswith(".dist-info/RECORD"))
    return next((name.removeprefix("site/") for name in names), None)


def is_cached_bytecode(name: str) -> bool:
    """Tell whether a file of a wheel is bytecode beside its source.

    Such files aren't unpacked: what the Python of an environment compiles lies there.
    """
    return name.endswith(".pyc") and "__pycache__/" in name


def crc_of(path: str) -> int:
    """Return a file's CRC-32. Raises `OSError`."""
    total = 0
    with open(path, "rb", buffering=0, opener=open_at_once) as stream:
        while chunk := stream.read(_CHUNK):
            total = zlib.crc32(chunk, total)
    return total
