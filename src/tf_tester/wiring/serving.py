"""The index server, wired."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from msgspec import Struct

from tf_tester.core.settings import Settings
from tf_tester.errors import UsageError
from tf_tester.flow.services import Services
from tf_tester.index.described import DescribedIndex
from tf_tester.index.first import FirstIndex
from tf_tester.model.artifact import Promise, Promiser
from tf_tester.model.events import Event
from tf_tester.ports.index import Index
from tf_tester.ports.tell import Tell
from tf_tester.serve.access import Access, Log
from tf_tester.serve.app import ServedIndex
from tf_tester.serve.locks import LockFolder
from tf_tester.serve.metrics import Metrics
from tf_tester.serve.private import PrivateFolder
from tf_tester.serve.status import StatusFacts
from tf_tester.serve.tokens import TokenFile
from tf_tester.store.folder import StoreFolder
from tf_tester.store.ledger import Ledger
from tf_tester.store.replicas import StoredReplica, replica_heads, replica_named
from tf_tester.wiring import services
from tf_tester.wiring.network import now
from tf_tester.wiring.store import open_ledger


class ServeOptions(Struct, frozen=True):
    """How it is to be served."""

    everybody_reads: bool = True
    tokens: Path | None = None
    """None: where `tf-tester token` puts them."""
    rate: float | None = None
    log: str = "none"
    locks: Path | None = None
    private: Path | None = None
    uploads: bool = False
    largest_upload: int = 2 << 30
    redirect: bool = False
    region_header: str = ""
    synced: str | None = None
    """Name of a replica: nothing else is served."""
    hosts: Sequence[str] = ()
    """To be asked besides those of indexes and mirrors."""
    shared: bool = False
    """With other workers."""


def token_file(file: Path | None) -> TokenFile:
    if file is None:
        import platformdirs

        file = platformdirs.user_config_path("tf-tester", appauthor=False) / "tokens.json"
    return TokenFile(file)


def check(wishes: ServeOptions, host: str) -> None:
    """Raise `UsageError` where the wishes contradict one another, or strangers on `host` could read without a token."""
    if not wishes.everybody_reads and not token_file(wishes.tokens).all():
        raise UsageError(
            f"Whoever can reach {host} could read this index.",
            hint="Say that this is meant with --public-read, or make a token with `tf-tester token create NAME`.",
        )
    if wishes.locks is not None and not wishes.locks.is_dir():
        raise UsageError(f"There is no folder {wishes.locks}.", hint="Name the folder with the locks.")
    if wishes.region_header and not wishes.redirect:
        raise UsageError("--region-header goes with --redirect.")
    if wishes.uploads and wishes.private is None:
        raise UsageError("Uploads need a place.", hint="Name a folder with --private.")


@contextmanager
def offering(settings: Settings, wishes: ServeOptions, tell: Tell, environ: Mapping[str, str]) -> Iterator[ServedIndex]:
    """Yield what is served; what is opened here is closed in the end. Raises as `services` does."""
    metrics = Metrics(shared=wishes.shared)

    def hear(event: Event) -> None:
        metrics.hear(event)
        tell(event)

    private = None
    if wishes.private is not None:
        private = PrivateFolder(wishes.private)
        private.open()
    with (
        services(settings, lambda _: hear, environ=environ, hosts=wishes.hosts) as world,
        ExitStack() as stack,
    ):
        synced = None
        ledger = stack.enter_context(closing(open_ledger(StoreFolder(settings.store))))
        if wishes.synced is not None:
            synced = StoredReplica(ledger, replica_named(ledger, wishes.synced))
        index: Index = synced or DescribedIndex(world.packages.index, world.packages.metadata_digest)
        if private is not None:
            index = FirstIndex([(Promise(Promiser.PRIVATE, "private"), private)], index, [])
        try:
            yield ServedIndex(
                stop=world.run.stop,
                index=index,
                fetcher=world.packages.fetcher,
                blobs=world.storage.blobs,
                metadata=world.packages.metadata,
                allowed=LockFolder(wishes.locks).allowed,
                now=now,
                facts=lambda: _facts(settings, world, ledger),
                metrics=metrics,
                access=Access(wishes.everybody_reads, token_file(wishes.tokens).holder, wishes.rate),
                log=Log(wishes.log),
                private=private,
                uploads=wishes.uploads,
                largest_upload=wishes.largest_upload,
                redirect=wishes.redirect,
                region_header=wishes.region_header,
                listed=synced.serials if synced is not None else dict,
            )
        finally:
            world.run.stop()


def _facts(settings: Settings, world: Services, ledger: Ledger) -> StatusFacts:
    """Count the files one by one: 10,000 take a tenth of a second."""
    folder = StoreFolder(settings.store)
    sizes = [entry.stat().st_size for place in folder.blobs.glob("??") for entry in os.scandir(place)]
    free = shutil.disk_usage(folder.root).free
    return StatusFacts(len(sizes), sum(sizes), free, tuple(world.packages.source_histories()), replica_heads(ledger))
