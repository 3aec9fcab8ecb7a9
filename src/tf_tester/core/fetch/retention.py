"""What leaves a store that has become too large. Pure."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

PACKED_EARLIER = timedelta(days=30)
"""A file whose unpacked layer is there is only needed to be handed on, or for another kind of Python: it leaves before
layers that were used not much longer ago."""


class ItemKind(StrEnum):
    BLOB = "blob"
    """A file as it came."""
    LAYER = "layer"
    """A wheel unpacked."""
    PARTIAL = "partial"
    """What has arrived of a file."""


class StoredItem(Struct, frozen=True):
    """One thing in the store that can be fetched or made again."""

    kind: ItemKind
    digest: str
    """SHA-256 of the file that it is, was made from, or will be."""
    size: int
    """Bytes on the disk."""
    used: datetime
    project: str = ""
    """Canonical name, where it is known."""
    version: str = ""
    filename: str = ""


def victims(
    entries: Iterable[StoredItem],
    *,
    most: int,
    others: int = 0,
    keep: Collection[str] = (),
    before: datetime | None = None,
) -> list[StoredItem]:
    """Return what has to go so that no more than `most` bytes stay: the least recently used first, nothing that is
    kept.

    `others`: bytes in the store that are not among the entries. `keep`: digests. With `before`, whatever was last used
    earlier goes, too, however much space there is.
    """
    entries = list(entries)
    unpacked = {entry.digest for entry in entries if entry.kind is ItemKind.LAYER}

    def due(entry: StoredItem) -> tuple[datetime, str]:
        packed = entry.kind is ItemKind.BLOB and entry.digest in unpacked
        return entry.used - PACKED_EARLIER if packed else entry.used, entry.digest

    total = others + sum(entry.size for entry in entries)
    chosen = []
    for entry in sorted((one for one in entries if one.digest not in keep), key=due):
        if total > most or (before is not None and entry.used < before):
            chosen.append(entry)
            total -= entry.size
    return chosen
