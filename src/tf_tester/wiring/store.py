"""What maintains a store: its ledger, its size, its bundles."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from tf_tester.core.config.settings import Settings
from tf_tester.core.fetch.retention import ItemKind, StoredItem
from tf_tester.errors import TfTesterError
from tf_tester.execute.machine import usable_cores
from tf_tester.execute.probe import is_network_file_system
from tf_tester.ports.memory import Needed
from tf_tester.store.blobs import BlobStore
from tf_tester.store.folder import StoreFolder
from tf_tester.store.inventory import Inventory
from tf_tester.store.leases import Leases
from tf_tester.store.ledger import Ledger
from tf_tester.store.memos.packages import KeptLocks
from tf_tester.store.replicas import replica_digests
from tf_tester.wiring.frameworks import framework_of
from tf_tester.wiring.network import now

if TYPE_CHECKING:
    from tf_tester.flow.host.cache import StoreMaintenance
    from tf_tester.flow.supply.bundle import BundleSource
    from tf_tester.store.bundle import UnpackedBundle


def open_ledger(folder: StoreFolder) -> Ledger:
    def tell(text: str) -> None:
        sys.stderr.write(f"tf-tester: {text}\n")

    return Ledger(folder.ledger, shared=is_network_file_system(folder.root), tell=tell)


def keep_to_size(settings: Settings) -> None:
    """Let go of the least recently used, as the settings say. What a run has come to is not spoilt by it."""
    from tf_tester.flow.host.cache import collect

    with suppress(TfTesterError), store_maintenance(settings) as store:
        package = str(canonicalize_name(settings.package))
        collect(store, most=settings.store_size, keep=settings.store_keep, package=package)


@contextmanager
def store_maintenance(settings: Settings) -> "Iterator[StoreMaintenance]":
    """Yield what looks after the store. Raises `StoreError`."""
    from tf_tester.flow.host.cache import StoreMaintenance
    from tf_tester.store.verifying import layer_trouble

    folder = StoreFolder(settings.store)
    folder.open()
    with folder.workplace() as workplace, closing(open_ledger(folder)) as ledger:
        inventory, blobs = Inventory(folder, ledger), BlobStore(folder, ledger)

        def trouble(entry: StoredItem) -> str:
            if entry.kind is ItemKind.LAYER:
                return layer_trouble(folder.layers / entry.digest)
            return blobs.check(entry.digest)

        yield StoreMaintenance(
            contents=inventory.contents,
            evict=lambda entries: inventory.evict(entries, workplace=workplace),
            sweep_plans=inventory.sweep_plans,
            locks=lambda: [lock for _, lock in KeptLocks(ledger).every()],
            replicated=lambda: replica_digests(ledger),
            trouble=trouble,
            check_ledger=ledger.check,
            lts=framework_of(str(canonicalize_name(settings.package))).lts,
            now=now,
            cores=usable_cores(),
        )


@contextmanager
def packing(settings: Settings) -> "Iterator[BundleSource]":
    """Yield what a bundle is packed from. Raises `StoreError`."""
    from tf_tester.flow.supply.bundle import BundleSource
    from tf_tester.store.bundle import write_bundle

    folder = StoreFolder(settings.store)
    folder.open()
    with folder.workplace() as workplace, closing(open_ledger(folder)) as ledger:
        blobs = BlobStore(folder, ledger, Leases(folder, workplace))

        def write(file: Path, chosen: Iterable[tuple[str, Path]], needed: Needed | None, tool: str) -> tuple[int, int]:
            answers = list(ledger.answers(needed))
            return write_bundle(file, chosen, answers, tool=tool), len(answers)

        yield BundleSource(
            locks=KeptLocks(ledger).every,
            blobs=lambda: {digest: path for digest in blobs.every() if (path := blobs.find(digest))},
            write=write,
        )


def unpack(settings: Settings, file: Path, *, files_only: bool) -> "UnpackedBundle":
    """Take into the store what is whole of a bundle. Raises `UsageError`, `StoreError`."""
    from tf_tester.store.bundle import read_bundle

    folder = StoreFolder(settings.store)
    folder.open()
    with folder.workplace() as workplace, closing(open_ledger(folder)) as ledger:
        blobs = BlobStore(folder, ledger, Leases(folder, workplace))
        return read_bundle(file, blobs, ledger.learn, files_only=files_only)
