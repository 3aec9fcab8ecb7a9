"""The index server with everything that it serves."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from msgspec import Struct

from tf_tester.core.access.proxies import Network
from tf_tester.core.access.rate_limit import Rate
from tf_tester.core.config.settings import Settings
from tf_tester.core.index.policy import NO_POLICY
from tf_tester.errors import UsageError
from tf_tester.flow.prepare.services import Services
from tf_tester.index.described import DescribedIndex
from tf_tester.index.first import FirstIndex
from tf_tester.model.artifact import Promise, Promiser
from tf_tester.model.events import Event
from tf_tester.ports.index import Index
from tf_tester.ports.tell import Tell
from tf_tester.serve.app import ServedIndex
from tf_tester.serve.clients.access import Access, Log, LogForm
from tf_tester.serve.clients.shared_rate import SharedRate
from tf_tester.serve.clients.tokens import TokenFile
from tf_tester.serve.locks import LockFolder
from tf_tester.serve.metrics import Metrics
from tf_tester.serve.pages import PageRules
from tf_tester.serve.policy_file import PolicyFile
from tf_tester.serve.private import PrivateFolder
from tf_tester.serve.status import StatusFacts
from tf_tester.store.folder import StoreFolder
from tf_tester.store.ledger import Ledger
from tf_tester.store.replicas import StoredReplica, replica_heads, replica_named
from tf_tester.wiring import services
from tf_tester.wiring.network import now
from tf_tester.wiring.store import open_ledger


class ServeOptions(Struct, frozen=True):
    """How it is to be served."""

    everybody_reads: bool = True
    private_tokens: bool = False
    """Whoever reads what is private needs a token all the same."""
    tokens: Path | None = None
    """None: where `tf-tester token` puts them."""
    certificates: bool = False
    """Clients may show one in place of a token."""
    rate: float | None = None
    proxies: tuple[Network, ...] = ()
    """Whose word counts for whom they ask."""
    log: LogForm = LogForm.NONE
    locks: Path | None = None
    policy: Path | None = None
    private: Path | None = None
    uploads: bool = False
    largest_upload: int = 2 << 30
    redirect: bool = False
    region_header: str = ""
    list_all: bool = False
    """Of the upstream's projects."""
    synced: str | None = None
    """Name of a replica: nothing else is served."""
    hosts: Sequence[str] = ()
    """To be asked besides those of indexes and mirrors."""
    shared: Path | None = None
    """A folder for what workers share, where there are several."""


def token_file(file: Path | None) -> TokenFile:
    if file is None:
        import platformdirs

        file = platformdirs.user_config_path("tf-tester", appauthor=False) / "tokens.json"
    return TokenFile(file)


def check(serve_options: ServeOptions, host: str) -> None:
    """Raise `UsageError` where options contradict one another, or strangers on `host` could read without a token.

    Raises `ConfigError` where a policy can't be read.
    """
    by_token = not serve_options.everybody_reads and not serve_options.certificates
    if by_token and not token_file(serve_options.tokens).all():
        file = f" --tokens {serve_options.tokens}" if serve_options.tokens is not None else ""
        raise UsageError(
            f"{serve_options.tokens} has no token: nobody could read this index."
            if file
            else f"Whoever can reach {host} could read this index.",
            hint=f"Make a token with `tf-tester token create NAME{file}`, or let everybody read with --public-read.",
        )
    if serve_options.locks is not None and not serve_options.locks.is_dir():
        raise UsageError(f"There is no folder {serve_options.locks}.", hint="Name the folder with the locks.")
    if serve_options.policy is not None:
        PolicyFile(serve_options.policy)
    if serve_options.region_header and not serve_options.redirect:
        raise UsageError("--region-header goes with --redirect.")
    if serve_options.private_tokens and serve_options.private is None:
        raise UsageError("--private-tokens goes with --private.")
    if serve_options.uploads and serve_options.private is None:
        raise UsageError("Uploads need a place.", hint="Name a folder with --private.")


def open_private(settings: Settings, serve_options: ServeOptions) -> list[str]:
    """Open the private folder, if there is to be one, and return what an administrator is to know.

    Raises `UsageError`, `OurFailure`.
    """
    if serve_options.private is None:
        return []
    return PrivateFolder(serve_options.private, settings.store).open(uploads=serve_options.uploads)


@contextmanager
def offering(
    settings: Settings, serve_options: ServeOptions, tell: Tell, environ: Mapping[str, str]
) -> Iterator[ServedIndex]:
    """Yield what is served; what is opened here is closed in the end. Raises as `services` does."""
    metrics = Metrics(shared=serve_options.shared, free=lambda: shutil.disk_usage(settings.store).free)

    def hear(event: Event) -> None:
        metrics.hear(event)
        tell(event)

    policy = PolicyFile(serve_options.policy).policy if serve_options.policy is not None else lambda: NO_POLICY
    private = None
    if serve_options.private is not None:
        private = PrivateFolder(serve_options.private, settings.store)
        private.open(uploads=serve_options.uploads)
    with (
        services(settings, lambda _: hear, environ=environ, hosts=serve_options.hosts) as world,
        ExitStack() as stack,
    ):
        synced = None
        ledger = stack.enter_context(closing(open_ledger(StoreFolder(settings.store))))
        if serve_options.synced is not None:
            synced = StoredReplica(ledger, replica_named(ledger, serve_options.synced))
        described = DescribedIndex(world.packages.index, world.packages.metadata_digest)
        index: Index = synced or described
        if private is not None:
            index = FirstIndex([(Promise(Promiser.PRIVATE, "private"), private)], index, [])
        try:
            yield ServedIndex(
                stop=world.run.stop,
                index=index,
                fetcher=world.packages.fetcher,
                blobs=world.storage.blobs,
                metadata=world.packages.metadata,
                doubt=described.doubt,
                rules=PageRules(LockFolder(serve_options.locks).allowed, policy, now),
                now=now,
                facts=lambda: _facts(settings, world, ledger),
                metrics=metrics,
                access=Access(
                    serve_options.everybody_reads,
                    serve_options.private_tokens,
                    token_file(serve_options.tokens).holder,
                    _limit(serve_options),
                    serve_options.proxies,
                ),
                log=Log(serve_options.log),
                private=private,
                uploads=serve_options.uploads,
                largest_upload=serve_options.largest_upload,
                redirect=serve_options.redirect,
                region_header=serve_options.region_header,
                listed=_listed(serve_options, synced, world),
            )
        finally:
            world.run.stop()


def _listed(
    serve_options: ServeOptions, synced: StoredReplica | None, world: Services
) -> Callable[[], Mapping[str, int | None]]:
    """Return what gives the projects that are listed though nobody has asked for them."""
    if synced is not None:
        return synced.serials
    return world.packages.project_list if serve_options.list_all else dict


def _limit(serve_options: ServeOptions) -> Callable[[str, float], float] | None:
    """Return what says how long a client has to wait; None where there is no limit."""
    if not serve_options.rate:
        return None
    if serve_options.shared is None:
        return Rate(serve_options.rate).wait
    return SharedRate(serve_options.shared / "rate", serve_options.rate).wait


def _facts(settings: Settings, world: Services, ledger: Ledger) -> StatusFacts:
    """Count the files one by one: 10,000 take a tenth of a second."""
    folder = StoreFolder(settings.store)
    sizes = [entry.stat().st_size for place in folder.blobs.glob("??") for entry in os.scandir(place)]
    free = shutil.disk_usage(folder.root).free
    return StatusFacts(len(sizes), sum(sizes), free, tuple(world.packages.source_histories()), replica_heads(ledger))
