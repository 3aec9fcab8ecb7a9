"""Whether what the store holds still is what it was: blobs by their names, layers by the wheels' own RECORDs."""

import base64
import csv
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import zip_longest
from operator import attrgetter
from pathlib import Path

from tf_tester.core.wheel.wheel_rules import together
from tf_tester.given_files import open_at_once
from tf_tester.model.host.layer import Layer
from tf_tester.ports.store import CheckedLayer
from tf_tester.store.layer_lists import (
    MANIFESTS,
    NAMES,
    TREES,
    LayerManifest,
    crc_of,
    is_cached_bytecode,
    read_summed,
    record_among,
)
from tf_tester.store.ledger import Ledger
from tf_tester.store.memos.table import CHECKED_LAYER, READ_LAYER

_ANEW = 30 * 86_400
"""Seconds after which a layer is read again, whatever its status: a disk can rot without a word."""


def blob_trouble(path: Path) -> str:
    """Return why a blob is not the file that its name promises; empty where it is."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return "it is no file"  # a pipe would be waited for
        with path.open("rb") as stream:
            actual = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return f"it can't be read: {error.strerror}"
    return "" if actual == path.name else f"it has SHA-256 {actual}"


def layer_trouble(folder: Path) -> str:
    """Return what is wrong with a layer, its first ten damaged files; empty where nothing is."""
    names = read_summed(f"{folder}/files.json", NAMES)
    manifest = read_summed(f"{folder}/layer.json", MANIFESTS)
    if names is None or manifest is None:
        return "its lists can't be read"
    owns = sorted(folder.glob("*/bytecode.json"))
    if not owns:
        return "it serves no Python"
    seen: set[tuple[int, int]] = set()
    faults = [fault for own in owns for fault in _tree_faults(folder, own.parent, (manifest, names), seen, _no_end)]
    return together(list(dict.fromkeys(faults)))


def tree_trouble(layer: Layer, go_on: Callable[[], None]) -> str:
    """Return what is wrong with a layer as one Python has it; empty where nothing is. `go_on`: raises to end it."""
    names = read_summed(f"{layer.folder}/files.json", NAMES)
    manifest = read_summed(f"{layer.folder}/layer.json", MANIFESTS)
    if names is None or manifest is None:
        return "its lists can't be read"
    return together(list(_tree_faults(layer.folder, layer.tree.parent, (manifest, names), set(), go_on)))


def _no_end() -> None:
    pass


def _tree_faults(
    folder: Path,
    own: Path,
    lists: tuple[LayerManifest, tuple[str, ...]],
    seen: set[tuple[int, int]],
    go_on: Callable[[], None],
) -> Iterator[str]:
    """Yield what is wrong with the files of one Python; those in `seen` were read for another."""
    manifest, names = lists
    tree = read_summed(f"{own}/bytecode.json", TREES)
    record = record_among(names)
    if tree is None:
        yield f"the list of its bytecode for {own.name} can't be read"
        return
    if record is None:
        yield "it has no RECORD"
        return
    site = own / "tree" / tree.site
    try:
        if manifest.record and crc_of(f"{site}/{record}") != manifest.record:
            yield f"{record} was changed"
    except OSError:
        pass  # told below
    for fault in _differing(folder, site, record, seen):
        go_on()
        yield fault
    for name, wanted in zip_longest(tree.bytecode, tree.sums):
        go_on()
        if trouble := _bytecode_trouble(site / name, wanted):
            yield f"{name} {trouble}"
    known = {name.removeprefix("site/") for name in names if name.startswith("site/")} | set(tree.bytecode)
    for place, _, files in os.walk(site):
        for file in files:
            name = os.path.relpath(f"{place}/{file}", site)
            if name not in known:
                yield f"{name} is none of its files"


def _differing(folder: Path, site: Path, record: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    """Yield what is wrong with the files of one tree by its RECORD; those in `seen` were read for another."""
    try:
        rows = list(_rows(site / record))
    except (OSError, ValueError, csv.Error) as error:
        yield f"its RECORD can't be read: {error}"
        return
    for name, digest in rows:
        path = _place(folder, site, name)
        if path is not None and digest and (trouble := _file_trouble(path, digest, seen)):
            yield f"{name} {trouble}"


def _rows(record: Path) -> Iterator[tuple[str, str]]:
    """Yield names and SHA-256 (hex; empty where none is given)."""
    with open(record, encoding="utf-8", newline="", opener=open_at_once) as stream:
        for row in csv.reader(stream):
            if len(row) < 2:
                continue
            algorithm, _, value = row[1].partition("=")
            digest = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).hex() if algorithm == "sha256" else ""
            yield row[0], digest


def _place(folder: Path, site: Path, name: str) -> Path | None:
    """Return where a file of the wheel lies in its layer; None for what is put elsewhere, or isn't unpacked."""
    if is_cached_bytecode(name):
        return None
    first, _, rest = name.partition("/")
    if not first.endswith(".data"):
        return site / name
    scheme, _, rest = rest.partition("/")
    match scheme:
        case "purelib" | "platlib":
            return site / rest
        case "data":
            return folder / "data" / rest
        case _:
            return None  # scripts and headers are written anew for each environment


def _file_trouble(path: Path, digest: str, seen: set[tuple[int, int]]) -> str:
    """Return what is wrong with a file; those that several Pythons share are read once."""
    try:
        with open(path, "rb", opener=open_at_once) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                return "is no file"
            key = (status.st_dev, status.st_ino)
            if key in seen:
                return ""
            seen.add(key)
            actual = hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"can't be read: {error.strerror}"
    return "" if actual == digest else "was changed"


def _bytecode_trouble(path: Path, wanted: int | None) -> str:
    """Return what is wrong with bytecode by its CRC-32; without one (earlier versions) by how bytecode begins."""
    try:
        if wanted is not None:
            return "" if crc_of(str(path)) == wanted else "was changed"
        with open(path, "rb", opener=open_at_once) as stream:
            head = stream.read(16)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"can't be read: {error.strerror}"
    # PEP 552: a magic number that ends in \r\n, and flags of which only two are used.
    return "" if len(head) == 16 and head[2:4] == b"\r\n" and head[4] <= 3 and head[5:8] == b"\0\0\0" else "was changed"


class LayerChecks:
    """Whether layers still are what was unpacked; each is looked at once in a process.

    A layer is read, each file against the RECORD of its wheel, where its files' names, sizes, times or places on the
    disk aren't what they were when it was last found right; or where that is long ago.
    """

    def __init__(self, ledger: Ledger, go_on: Callable[[], None], now: Callable[[], float], *, linked: bool) -> None:
        """Remember in the ledger what was found right.

        `go_on`: raises where the work is to end. `now`: seconds since 1970. `linked`: environments are made of other
        names of the same files, which changes the times at which the system last noted something of them.
        """
        self._ledger = ledger
        self._go_on = go_on
        self._now = now
        self._linked = linked
        self._pool = ThreadPoolExecutor(2, "layer-check")
        self._looked: dict[int, tuple[Layer, Future[bool]]] = {}
        """By identity: one that is made anew meanwhile is another layer."""
        self._being_read: dict[int, tuple[Layer, Future[bool]]] = {}
        """Likewise, of those that were to be read."""

    def begin(self, layers: Sequence[Layer], *, unread_for: float | None = None) -> Callable[[], tuple[str, ...]]:
        """Begin to look at layers, and return what waits for it and gives the digests of those that are damaged.

        `unread_for`: read those that nobody has read for so many seconds, whatever the file system tells.
        """
        looks = [
            (layer.sha256, self._look(layer) if unread_for is None else self._read(layer, unread_for))
            for layer in layers
        ]
        return lambda: tuple(sha256 for sha256, look in looks if not look.result())

    def close(self) -> None:
        """Begin no other look, and wait for those that have begun."""
        self._pool.shutdown(cancel_futures=True)

    def made(self, layer: Layer) -> None:
        """Note what the file system tells of a layer that was just made."""
        looks, changes = _status(layer, self._go_on)
        self._ledger.remember(CHECKED_LAYER, _key(layer), CheckedLayer(looks, changes, self._now()))

    def _look(self, layer: Layer) -> "Future[bool]":
        known = self._looked.get(id(layer))
        if known is None:
            known = self._looked[id(layer)] = layer, self._pool.submit(self._is_sound, layer)
        return known[1]

    def _read(self, layer: Layer, unread_for: float) -> "Future[bool]":
        known = self._being_read.get(id(layer)) if unread_for else None
        if known is None:
            known = self._being_read[id(layer)] = layer, self._pool.submit(self._reads, layer, unread_for)
        return known[1]

    def _reads(self, layer: Layer, unread_for: float) -> bool:
        """Read a layer, unless it was read lately and has the same files since, and tell whether it is sound."""
        try:
            looks, _ = _status(layer, self._go_on)
        except OSError:
            return False
        known = self._ledger.recall(READ_LAYER, _key(layer))
        if known is not None and known[0] == looks and 0 <= self._now() - known[1] < unread_for:
            return True
        if tree_trouble(layer, self._go_on):
            return False
        self._ledger.remember(READ_LAYER, _key(layer), (looks, self._now()))
        return True

    def _is_sound(self, layer: Layer) -> bool:
        try:
            looks, changes = _status(layer, self._go_on)
        except OSError:
            return False
        known = self._ledger.recall(CHECKED_LAYER, _key(layer))
        if (
            known is not None
            and 0 <= self._now() - known.checked < _ANEW
            and known.looks == looks
            and (self._linked or known.changes == changes)
        ):
            return True
        if tree_trouble(layer, self._go_on):
            return False
        self._ledger.remember(CHECKED_LAYER, _key(layer), CheckedLayer(looks, changes, self._now()))
        return True


def _key(layer: Layer) -> str:
    return f"{layer.sha256} {layer.tree.parent.name}"


def _status(layer: Layer, go_on: Callable[[], None]) -> tuple[str, str]:
    """Return a digest of names, modes, sizes, times and inodes, and one of the times of change. Raises `OSError`."""
    looks, changes = hashlib.sha256(), hashlib.sha256()
    places = [str(layer.tree.parent), *(f"{layer.folder}/{part}" for part in ("bin", "data"))]
    for path in ("layer.json", "files.json"):
        status = os.lstat(f"{layer.folder}/{path}")
        looks.update(f"{status.st_mode} {status.st_size} {status.st_mtime_ns} {status.st_ino}".encode())
        changes.update(b"%d" % status.st_ctime_ns)
    for start in places:
        folders = [start] if start == places[0] or os.path.lexists(start) else []
        while folders:
            go_on()
            folder = folders.pop()
            with os.scandir(folder) as found:
                entries = sorted(found, key=_name)
            seen, noted = [folder[len(start) :]], []
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    folders.append(entry.path)
                else:
                    seen.append(f"{entry.name} {status.st_mode} {status.st_size} {status.st_mtime_ns} {status.st_ino}")
                    noted.append(status.st_ctime_ns)
            # A name may have any character but this one and the slash.
            looks.update("\0".join(seen).encode("utf-8", "surrogateescape"))
            changes.update(repr(noted).encode())
    return looks.hexdigest(), changes.hexdigest()


_name = attrgetter("name")
