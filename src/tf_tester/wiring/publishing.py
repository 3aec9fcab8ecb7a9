"""Where replicas are published, wired."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from msgspec import Struct

from tf_tester.core.config.settings import Settings
from tf_tester.errors import OurFailure
from tf_tester.flow.supply.publish import PublishRequest
from tf_tester.model.artifact import Artifact
from tf_tester.ports.publish import TreeTarget
from tf_tester.ports.replica import names_digest
from tf_tester.ports.store import Blobs
from tf_tester.store.folder import StoreFolder, sync_tree
from tf_tester.store.replicas import StoredReplica, replica_named
from tf_tester.wiring import TOOL, new_name, services
from tf_tester.wiring.network import now
from tf_tester.wiring.store import open_ledger


class Publication(Struct, frozen=True):
    """What is published, and from what."""

    request: PublishRequest
    blobs: Blobs
    metadata: Callable[[Artifact], bytes]
    fetch: Callable[[Artifact], Path]


def target_of(place: str) -> TreeTarget:
    """Return a folder, or the address of a bucket. Raises `UsageError`."""
    from tf_tester.export.tree_bucket import SCHEMES, BucketTarget
    from tf_tester.export.tree_folder import FolderTarget

    if place.startswith(SCHEMES):
        return BucketTarget(place)
    return FolderTarget(Path(place).absolute(), sync_tree)


@contextmanager
def publishing(
    settings: Settings, name: str | None, environ: Mapping[str, str], *, url: str | None, keep: int
) -> Iterator[Publication]:
    """Yield a replica of the store, as it is now. None: the only one. Raises `UsageError`, `StoreError`."""
    folder = StoreFolder(settings.store)
    folder.open()
    with (
        closing(open_ledger(folder)) as ledger,
        services(settings, lambda _: lambda _event: None, environ=environ) as world,
    ):
        replica = replica_named(ledger, name)
        stored = StoredReplica(ledger, replica)
        projects, head = stored.projects(), stored.head()
        if head is not None and head.held and head.held != names_digest(projects):
            raise OurFailure(
                f"The replica {replica} isn't as its last sync has left it: that was interrupted, or what is "
                "remembered of it was damaged.",
                hint="Sync it, and publish then; what is shown stays as it is.",
            )
        pages = [held.page for held in projects.values()]
        created = now().isoformat(timespec="seconds")
        request = PublishRequest(replica, pages, created, TOOL, new_name, url, keep)
        yield Publication(request, world.storage.blobs, world.packages.metadata, world.packages.fetcher.fetch)
