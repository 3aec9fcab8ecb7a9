"""What replicas hold, in the ledger: a page for each project, as the replica shows it."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

import filelock
import msgspec
from msgspec import Struct, field

from tf_tester.errors import StoreError, UnknownProject, UsageError
from tf_tester.model.artifact import ProjectPage
from tf_tester.ports.replica import HeldProject, ReplicaHead
from tf_tester.store.folder import StoreFolder, lock_of, store_errors
from tf_tester.store.ledger import Ledger
from tf_tester.store.memos.table import DROPPED_SERIAL, HELD_PROJECT, REPLICA


class _Hashes(Struct):
    sha256: str = ""


class _File(Struct):
    hashes: _Hashes


class _Meta(Struct):
    serial: int = field(default=0, name="_last-serial")


class _Page(Struct):
    files: list[_File]
    meta: _Meta


class _Part(Struct):
    """What of a `HELD_PROJECT` is wanted of many at once."""

    page: _Page


class StoredReplica:
    """`ports.Replica`, and `ports.Index` of what it holds."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        self._ledger = ledger
        self._name = name
        self._serials: tuple[datetime | None, dict[str, int]] | None = None

    def head(self) -> ReplicaHead | None:
        return self._ledger.recall(REPLICA, self._name)

    def put_head(self, head: ReplicaHead) -> None:
        self._ledger.remember(REPLICA, self._name, head)

    def projects(self) -> dict[str, HeldProject]:
        return {held.page.project: held for _, held in self._ledger.every(HELD_PROJECT, under=self._name)}

    def project(self, name: str) -> HeldProject | None:
        return self._ledger.recall(HELD_PROJECT, self._key(name))

    def serials(self) -> dict[str, int]:
        """Return each project's, as its page has it; read anew when the replica was synced."""
        head = self._ledger.recall_dated(REPLICA, self._name)
        synced = None if head is None else head[1]
        if self._serials is None or self._serials[0] != synced:
            parts = _parts(self._ledger, self._name)
            self._serials = synced, {name: part.page.meta.serial for name, part in parts}
        return self._serials[1]

    def put(self, held: HeldProject) -> None:
        self._ledger.remember(HELD_PROJECT, self._key(held.page.project), held)

    def drop(self, project: str) -> None:
        held = self.project(project)
        if held is not None:
            self._ledger.remember(DROPPED_SERIAL, self._key(project), held.page.serial or 0)
        self._ledger.forget(HELD_PROJECT, self._key(project))

    def last_serial(self, project: str) -> int:
        return self._ledger.recall(DROPPED_SERIAL, self._key(project)) or 0

    def _key(self, project: str) -> str:
        return f"{self._name}/{project}"

    def page(self, project: str) -> ProjectPage:
        """Return a project's page. Raises `UnknownProject`."""
        held = self.project(project)
        if held is None:
            raise UnknownProject(
                f"the replica {self._name} has no project named {project}",
                hint="Add it to the replica's file, and sync it again.",
            )
        return held.page


def replica_heads(ledger: Ledger) -> dict[str, ReplicaHead]:
    """Return how the last sync of each replica ended, by name."""
    return dict(sorted(ledger.every(REPLICA)))


def replica_named(ledger: Ledger, name: str | None) -> str:
    """Return the name of a replica that there is; None: of the only one. Raises `UsageError`."""
    known = list(replica_heads(ledger))
    if name is None and len(known) == 1:
        return known[0]
    if name in known:
        return name
    if not known:
        raise UsageError("This store holds no replica.", hint="Make one with `tf-tester sync FILE`.")
    raise UsageError(
        f"This store holds no replica named {name}." if name else "The store holds several replicas.",
        hint=f"There are: {', '.join(known)}.",
    )


def replica_digests(ledger: Ledger) -> frozenset[str]:
    """Return the SHA-256 of every file that some replica lists."""
    return frozenset(
        file.hashes.sha256
        for name in ledger.keys(REPLICA)
        for _, part in _parts(ledger, name)
        for file in part.page.files
    )


def forget_replica(ledger: Ledger, name: str) -> None:
    """Forget what it holds; its files stay in the store until they are evicted."""
    ledger.forget(REPLICA, name)  # first: without it nothing of the rest counts
    ledger.forget_all(HELD_PROJECT, under=name)


@contextmanager
def syncing(folder: StoreFolder, name: str) -> Iterator[None]:
    """Hold a replica alone. Raises `StoreError` where somebody else syncs it now."""
    with store_errors(folder.root):
        lock = lock_of(folder.claims / f"replica-{name}.lock")
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            raise StoreError(
                f"Another sync of {name} is running.", hint="Wait for it; what it brings need not be brought again."
            ) from None
    try:
        yield
    finally:
        lock.release()


def _parts(ledger: Ledger, name: str) -> Iterator[tuple[str, _Part]]:
    """Yield a part of what each project of a replica has, by the project's name, sorted."""
    for key, content in ledger.contents(HELD_PROJECT, under=name):
        with suppress(zlib.error, msgspec.DecodeError):
            yield key.removeprefix(f"{name}/"), msgspec.json.decode(zlib.decompress(content), type=_Part)
