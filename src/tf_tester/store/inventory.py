"""What a store holds, how large it is and when it was last used; and how things leave it."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from tf_tester.core.fetch.retention import ItemKind, StoredItem
from tf_tester.model.artifact import split_filename
from tf_tester.store.folder import StoreFolder, store_errors
from tf_tester.store.layer_lists import NAMES, read_summed
from tf_tester.store.leases import eviction, needed
from tf_tester.store.ledger import Ledger
from tf_tester.store.memos.table import LAYER_SIZE
from tf_tester.store.removal import remove_tree

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PART = re.compile(r"([0-9a-f]{64})\.part")


class InventoryContents(Struct, frozen=True):
    """Everything, in bytes on the disk."""

    entries: tuple[StoredItem, ...]
    runs: int
    """Records and evidence."""
    kept: int
    """Environments that a person asked to keep."""
    others: int
    """The ledger, plans, what uv knows of interpreters, what living processes work on."""

    @property
    def total(self) -> int:
        return sum(entry.size for entry in self.entries) + self.runs + self.kept + self.others


class Inventory:
    """Looks at a store, and takes things out of it."""

    def __init__(self, folder: StoreFolder, ledger: Ledger) -> None:
        self._folder = folder
        self._ledger = ledger

    def contents(self) -> InventoryContents:
        """Return everything that the store holds. Raises `StoreError`."""
        folder = self._folder
        with store_errors(folder.root):
            names = self._ledger.blob_names()
            entries = [*self._blobs(names), *self._layers(names), *self._partials()]
            others = (folder.plans, folder.interpreters, folder.tmp, folder.claims)
            ledger = sum(_size(folder.root / f"ledger.sqlite{end}") for end in ("", "-wal", "-shm"))
            return InventoryContents(
                tuple(entries),
                runs=tree_size(folder.runs),
                kept=tree_size(folder.kept),
                others=ledger + sum(map(tree_size, others)),
            )

    def holds(self, digest: str) -> bool:
        """Return whether a file or its layer is there."""
        folder = self._folder
        return (folder.blobs / digest[:2] / digest).is_file() or (folder.layers / digest).is_dir()

    def evict(self, entries: Iterable[StoredItem], *, workplace: Path) -> tuple[list[StoredItem], list[StoredItem]]:
        """Take things out, but those that somebody needs now, and return what went and what stayed.

        Under the lock names are only taken away; the deleting, which takes long, comes after it.
        """
        gone, needed_now = [], []
        with store_errors(self._folder.root):
            with eviction(self._folder, exclusive=True):
                held = needed(self._folder)
                for entry in entries:
                    if entry.digest in held:
                        needed_now.append(entry)
                    elif self._take_away(entry, workplace):
                        gone.append(entry)
            for name in workplace.glob("evicted-*"):
                if name.is_dir():
                    remove_tree(name)
                else:
                    name.unlink(missing_ok=True)
        return gone, needed_now

    def _take_away(self, entry: StoredItem, workplace: Path) -> bool:
        folder = self._folder
        places = {
            ItemKind.BLOB: folder.blobs / entry.digest[:2] / entry.digest,
            ItemKind.LAYER: folder.layers / entry.digest,
            ItemKind.PARTIAL: folder.incoming / f"{entry.digest}.part",
        }
        try:
            places[entry.kind].rename(workplace / f"evicted-{entry.kind}-{entry.digest}")
        except FileNotFoundError:
            return False
        if entry.kind is ItemKind.PARTIAL:
            (folder.incoming / f"{entry.digest}.part.notes").unlink(missing_ok=True)
        return True

    def sweep_plans(self, before: datetime) -> None:
        """Delete plans that no environment has used since then; they are made again in a second."""
        for plan in _entries(self._folder.plans):
            with suppress(OSError):
                if plan.stat().st_mtime < before.timestamp():
                    remove_tree(Path(plan.path))

    def _blobs(self, names: dict[str, str]) -> Iterator[StoredItem]:
        for group in _entries(self._folder.blobs):
            for entry in _entries(Path(group.path)):
                if _DIGEST.fullmatch(entry.name):
                    with suppress(FileNotFoundError):
                        status = entry.stat()
                        yield _entry(
                            ItemKind.BLOB, entry.name, _on_disk(status), status.st_mtime, names.get(entry.name, "")
                        )

    def _layers(self, names: dict[str, str]) -> Iterator[StoredItem]:
        for entry in _entries(self._folder.layers):
            if _DIGEST.fullmatch(entry.name):
                with suppress(FileNotFoundError, NotADirectoryError):
                    name = names.get(entry.name, "") or _dist_info(Path(entry.path))
                    yield _entry(ItemKind.LAYER, entry.name, self._layer_size(entry), entry.stat().st_mtime, name)

    def _partials(self) -> Iterator[StoredItem]:
        for entry in _entries(self._folder.incoming):
            if match := _PART.fullmatch(entry.name):
                with suppress(FileNotFoundError):
                    status = entry.stat()
                    yield _entry(ItemKind.PARTIAL, match[1], _on_disk(status), status.st_mtime, "")

    def _layer_size(self, entry: "os.DirEntry[str]") -> int:
        """Count a layer's bytes once for each set of Pythons that it serves: there are 15,000 files in a
        TensorFlow's.
        """
        key = f"{entry.name} {','.join(sorted(one.name for one in _entries(Path(entry.path)) if one.is_dir()))}"
        size = self._ledger.recall(LAYER_SIZE, key)
        if size is None:
            size = tree_size(Path(entry.path))
            self._ledger.remember(LAYER_SIZE, key, size)
        return size


def tree_size(folder: Path) -> int:
    """Return bytes on the disk below a folder; of several names of one file one counts."""
    seen: set[int] = set()
    total = 0
    stack = [str(folder)]
    while stack:
        for entry in _entries(Path(stack.pop())):
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    stack.append(entry.path)
                status = entry.stat(follow_symlinks=False)
                if status.st_nlink > 1 and not entry.is_dir(follow_symlinks=False):
                    if status.st_ino in seen:
                        continue
                    seen.add(status.st_ino)
                total += _on_disk(status)
    return total


def _entry(kind: ItemKind, digest: str, size: int, used: float, filename: str) -> StoredItem:
    project, version = _of_name(filename)
    return StoredItem(kind, digest, size, datetime.fromtimestamp(used, UTC), project, version, filename)


def _of_name(filename: str) -> tuple[str, str]:
    """Return project and version of a wheel, an sdist or a `.dist-info` folder."""
    from packaging.utils import canonicalize_name

    if filename.endswith((".whl", ".dist-info")):
        name, _, rest = filename.removesuffix(".dist-info").partition("-")
        return str(canonicalize_name(name)), rest.split("-")[0]
    stem = filename.rpartition("-")[0]
    project = str(canonicalize_name(stem)) if stem else ""
    return project, split_filename(filename, project) or ""


def _dist_info(layer: Path) -> str:
    """Return a name to tell a layer by whose file is not known any more."""
    names = read_summed(f"{layer}/files.json", NAMES) or ()
    found = (part for name in names if (part := name.removeprefix("site/").split("/")[0]).endswith(".dist-info"))
    return next(found, "")


def _entries(folder: Path) -> "list[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def _size(file: Path) -> int:
    try:
        return _on_disk(file.stat())
    except OSError:
        return 0


def _on_disk(status: os.stat_result) -> int:
    blocks: int | None = getattr(status, "st_blocks", None)
    return status.st_size if blocks is None else blocks * 512
