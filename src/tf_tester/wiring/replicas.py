"""Replicas, wired."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

from tf_tester.core.config.settings import Settings
from tf_tester.core.index.links import without_credentials
from tf_tester.flow.prepare.services import Services
from tf_tester.flow.supply.received import ReceivedFiles
from tf_tester.index.configured import configured_indexes
from tf_tester.index.mirror_files import known_mirrors
from tf_tester.model.events import Event
from tf_tester.ports.replica import ReplicaHead
from tf_tester.ports.tell import Tell
from tf_tester.store.folder import StoreFolder
from tf_tester.store.replicas import StoredReplica, forget_replica, replica_heads, replica_named, syncing
from tf_tester.wiring import services
from tf_tester.wiring.store import open_ledger


@contextmanager
def filling(
    settings: Settings, name: str, tell: Tell, environ: Mapping[str, str], *, dry_run: bool = False
) -> Iterator[tuple[StoredReplica, Services, ReceivedFiles]]:
    """Yield a replica, what fills it and what has come; nobody else fills it meanwhile. `dry_run`: see `services`.

    Raises `StoreError`, and as `services` does.
    """
    came = ReceivedFiles()

    def hear(event: Event) -> None:
        came.hear(event)
        tell(event)

    folder = StoreFolder(settings.store)
    folder.open()
    with (
        syncing(folder, name),
        closing(open_ledger(folder)) as ledger,
        services(settings, lambda _: hear, environ=environ, fresh=True, dry_run=dry_run) as world,
    ):
        yield StoredReplica(ledger, name), world, came


def upstream_of(settings: Settings, environ: Mapping[str, str]) -> str:
    """Return the index whose word counts, without credentials; empty where others speak before it."""
    who = configured_indexes(settings, environ, known_mirrors())
    return "" if who.extra or who.folders else without_credentials(who.authority)


def all_replicas(settings: Settings) -> dict[str, ReplicaHead]:
    """Return how the last sync of each replica in the store ended, by name."""
    folder = StoreFolder(settings.store)
    folder.open()
    with closing(open_ledger(folder)) as ledger:
        return replica_heads(ledger)


def forget(settings: Settings, name: str) -> None:
    """Forget a replica. Raises `UsageError` where there is none of that name."""
    folder = StoreFolder(settings.store)
    folder.open()
    with syncing(folder, name), closing(open_ledger(folder)) as ledger:
        forget_replica(ledger, replica_named(ledger, name))
