"""What replicas hold, in the ledger: a page for each project, as the replica shows it."""

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

import filelock
import msgspec

from tf_tester.core.simple import JSON_TYPE, NotAPage, parse_page, render_json
from tf_tester.errors import StoreError, UnknownProject, UsageError
from tf_tester.model.artifact import ProjectPage
from tf_tester.ports.replica import HeldProject, ReplicaHead
from tf_tester.store.folder import StoreFolder, store_errors
from tf_tester.store.ledger import Ledger

_HEAD = "mirror"
_URL = "file:///"
"""Links in pages that are kept are absolute; this is never seen."""


class _Kept(msgspec.Struct):
    mark: str
    page: msgspec.Raw


class _Hashes(msgspec.Struct):
    sha256: str = ""


class _File(msgspec.Struct):
    hashes: _Hashes


class _Files(msgspec.Struct):
    files: list[_File]


class _Meta(msgspec.Struct):
    serial: int = msgspec.field(default=0, name="_last-serial")


class _Told(msgspec.Struct):
    meta: _Meta


class _Serial(msgspec.Struct):
    page: _Told


class _Digests(msgspec.Struct):
    page: _Files


class StoredReplica:
    """`ports.Replica`, and `ports.Index` of what it holds."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        self._ledger = ledger
        self._name = name
        self._kind = _kind(name)
        self._serials: tuple[datetime | None, dict[str, int]] | None = None

    def head(self) -> ReplicaHead | None:
        kept = self._ledger.recall(_HEAD, self._name)
        try:
            return None if kept is None else msgspec.json.decode(kept, type=ReplicaHead)
        except msgspec.DecodeError:
            return None

    def put_head(self, head: ReplicaHead) -> None:
        self._ledger.remember(_HEAD, self._name, msgspec.json.encode(head))

    def projects(self) -> dict[str, HeldProject]:
        found = ((name, _read(name, value)) for name, value in self._ledger.all_of(self._kind))
        return {name: held for name, held in found if held is not None}

    def project(self, name: str) -> HeldProject | None:
        value = self._ledger.recall(self._kind, name)
        return None if value is None else _read(name, value)

    def serials(self) -> dict[str, int]:
        """Each project's, as its page has it; read anew when the replica was synced."""
        synced = self._ledger.recalled_at(_HEAD, self._name)
        if self._serials is None or self._serials[0] != synced:
            found = {}
            for name, value in self._ledger.all_of(self._kind):
                with suppress(zlib.error, msgspec.DecodeError):
                    found[name] = msgspec.json.decode(zlib.decompress(value), type=_Serial).page.meta.serial
            self._serials = synced, dict(sorted(found.items()))
        return self._serials[1]

    def put(self, held: HeldProject) -> None:
        body = msgspec.Raw(render_json(held.page, lambda artifact: artifact.url))
        # Level 1, as pages of others.
        value = zlib.compress(msgspec.json.encode(_Kept(held.mark, body)), 1)
        self._ledger.remember(self._kind, held.page.project, value)

    def drop(self, project: str) -> None:
        held = self.project(project)
        if held is not None:
            self._ledger.remember(f"dropped from {self._kind}", project, str(held.page.serial or 0).encode())
        self._ledger.forget(self._kind, project)

    def last_serial(self, project: str) -> int:
        kept = self._ledger.recall(f"dropped from {self._kind}", project)
        return int(kept) if kept and kept.isdigit() else 0

    def page(self, project: str) -> ProjectPage:
        """Raises `UnknownProject`."""
        held = self.project(project)
        if held is None:
            raise UnknownProject(
                f"the replica {self._name} has no project named {project}",
                hint="Add it to the replica's file, and sync it again.",
            )
        return held.page


def replica_heads(ledger: Ledger) -> dict[str, ReplicaHead]:
    """Of all replicas, by name."""
    heads = ((name, StoredReplica(ledger, name).head()) for name in sorted(ledger.keys_of(_HEAD)))
    return {name: head for name, head in heads if head is not None}


def replica_named(ledger: Ledger, name: str | None) -> str:
    """The name of a replica that there is; None: of the only one. Raises `UsageError`."""
    known = list(replica_heads(ledger))
    if name is None and len(known) == 1:
        return known[0]
    if name in known:
        return name
    if not known:
        raise UsageError("This store holds no replica.", hint="Make one with `tf-tester sync FILE`.")
    raise UsageError(
        f"This store holds no replica named {name}." if name else "It is not said which replica.",
        hint=f"There are: {', '.join(known)}.",
    )


def replica_digests(ledger: Ledger) -> frozenset[str]:
    """SHA-256 of every file that some replica lists."""
    found: set[str] = set()
    for name in ledger.keys_of(_HEAD):
        for _, value in ledger.all_of(_kind(name)):
            try:
                page = msgspec.json.decode(zlib.decompress(value), type=_Digests).page
            except (zlib.error, msgspec.DecodeError):
                continue
            found.update(file.hashes.sha256 for file in page.files)
    return frozenset(found)


def forget_replica(ledger: Ledger, name: str) -> None:
    """Its files stay in the store until they are let go of."""
    ledger.forget(_HEAD, name)  # first: without it nothing of the rest counts
    for project in ledger.keys_of(_kind(name)):
        ledger.forget(_kind(name), project)


@contextmanager
def syncing(folder: StoreFolder, name: str) -> Iterator[None]:
    """Alone with a replica. Raises `StoreError` where somebody else syncs it now."""
    with store_errors(folder.root):
        lock = filelock.FileLock(folder.claims / f"replica-{name}.lock", thread_local=False)
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


def _kind(name: str) -> str:
    return f"mirror {re.sub('[^a-z0-9._-]', '-', name)}"


def _read(project: str, value: bytes) -> HeldProject | None:
    """None where it can't be read: then it is made anew."""
    try:
        kept = msgspec.json.decode(zlib.decompress(value), type=_Kept)
        return HeldProject(parse_page(bytes(kept.page), JSON_TYPE, _URL, project), kept.mark)
    except (zlib.error, msgspec.DecodeError, NotAPage):
        return None
