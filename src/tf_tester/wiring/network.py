"""Everything that may go out: the authority's pages, the mirrors' pages, files, and who is asked for what."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec import Struct

from tf_tester import __version__
from tf_tester.core.access.hosts import HostList
from tf_tester.core.config.settings import AttestationPolicy, Settings
from tf_tester.core.fetch.ranking import MirrorComparison
from tf_tester.core.fetch.sourcing import known_of
from tf_tester.core.index.feeds import FeedReport
from tf_tester.core.index.links import display_url, without_credentials
from tf_tester.errors import InstallFailed, UsageError
from tf_tester.flow.supply.compare_mirrors import Bench, compare
from tf_tester.index.agreed import AgreedIndex
from tf_tester.index.attestations import Attestations
from tf_tester.index.authority import as_pip_reaches_it
from tf_tester.index.configured import ConfiguredIndexes, configured_indexes
from tf_tester.index.copies import MirrorCopies
from tf_tester.index.fastest import ChoiceMemory, FastestMirrors
from tf_tester.index.file_sources import FileSources
from tf_tester.index.find_links import LinkedFiles
from tf_tester.index.first import FirstIndex
from tf_tester.index.http import MAX_AGE, HttpIndex, PageAccess
from tf_tester.index.mirror_files import known_mirrors
from tf_tester.index.project_list import ProjectList
from tf_tester.model.artifact import Artifact, Promise, Promiser
from tf_tester.model.mirror import Mirror
from tf_tester.model.source import AUTHORITY, SourceHistory, SourceUse
from tf_tester.ports.index import Index, MirrorIndex
from tf_tester.ports.memory import Memos
from tf_tester.ports.tell import Tell
from tf_tester.resolve.metadata import check_shown
from tf_tester.store.blobs import BlobStore
from tf_tester.store.ledger import Ledger, LedgerMemos, LedgerPages
from tf_tester.store.memos.packages import KeptLocks, wheel_memos
from tf_tester.store.memos.sources import ProjectSerials, SourceHistories
from tf_tester.store.memos.table import FASTEST, FEED, PUBLISHER
from tf_tester.transfer.client import Client
from tf_tester.transfer.fetch import Promises, Transfer
from tf_tester.transfer.settings import ClientSettings

USER_AGENT = f"tf-tester/{__version__}"


class NetworkAccess(Struct, frozen=True):
    """What one run has of the world outside."""

    client: Client
    transfer: Transfer
    index: Index
    identity: str
    """Which indexes answer, without credentials."""
    list_pages: Callable[[int], None]
    doubt: Callable[[str], bool]
    """See `flow.prepare.services.Packages`, as for the three that follow."""
    compare: Callable[[Sequence[Artifact], Sequence[str]], MirrorComparison]
    source_histories: Callable[[], list[SourceHistory]]
    project_list: Callable[[], Mapping[str, int | None]]


def network(
    settings: Settings,
    ledger: Ledger,
    blobs: BlobStore,
    tell: Tell,
    environ: Mapping[str, str],
    *,
    hosts: Sequence[str] | None = None,
    fresh: bool = False,
) -> NetworkAccess:
    """Return what one run has of the world outside; its client is to be closed.

    `hosts`: the only ones that are asked besides those of indexes and mirrors; None: all that pages name. `fresh`:
    indexes are asked for every page, each time; mirrors are not. Raises `UsageError` for a mirror that nobody knows,
    and for a refresh that is to ask nobody.
    """
    if settings.offline and settings.refresh:
        raise UsageError("--refresh asks the index, and --offline forbids it.", hint="Leave one of them out.")
    known = known_mirrors()
    ours = configured_indexes(settings, environ, known)
    histories = SourceHistories(ledger, now)
    client = _client(settings, environ, ours, hosts)
    access = PageAccess(client, LedgerPages(ledger), now, offline=settings.offline, refresh=settings.refresh)
    max_age = timedelta(0) if fresh else MAX_AGE
    serials = ProjectSerials(ledger, without_credentials(ours.authority))
    authority = HttpIndex(ours.authority, access, max_age=max_age, serials=serials, leads=True)
    copies = MirrorCopies(ours.authority, known, lambda url: HttpIndex(url, access, serials=serials))
    agreed = AgreedIndex(authority, _agreeing(ours, copies, settings), tell, now, trusted=ours.trusted)
    before, after = (
        [(_promise(url), HttpIndex(url, access, max_age=max_age)) for url in urls]
        for urls in (ours.extra, ours.folders)
    )
    index = _with_others(agreed, ours, access, before, after)

    bench = _bench(index, client, histories, LedgerMemos(ledger, FEED))

    def compared(artifacts: Sequence[Artifact], names: Sequence[str] = ()) -> MirrorComparison:
        mirrors = [mirror for name in names if (mirror := known.named(name)) is not None] or ours.copies()
        return compare(artifacts, copies.of_all(mirrors), bench)

    memory = ChoiceMemory(LedgerMemos(ledger, FASTEST), without_credentials(ours.authority))
    fastest = FastestMirrors(ours.copies, compared, memory, tell)

    def wanted(artifact: Artifact) -> list[Mirror]:
        return list(dict.fromkeys([*ours.mirrors, *(fastest(artifact) if ours.auto else ())]))

    sources = FileSources(wanted, copies, histories, tell)
    asked = [authority, *(one for _, one in (*before, *after))]

    def doubt(project: str) -> bool:
        return bool([one for one in asked if one.doubt(project)])

    promises = _promises(_approval(settings, client, ledger, tell), doubt, ledger)
    transfer = Transfer(client, blobs, tell, sources=sources, learn=sources.learn, promises=promises)

    def list_pages(most: int) -> None:
        # Where several indexes speak for a project, the list of one says nothing.
        if index is agreed:
            authority.ask_for_list(most)

    listed = ProjectList(ours.authority, access)

    def project_list() -> Mapping[str, int | None]:
        serials = listed.serials()
        authority.announce(serials)
        return serials

    def source_histories() -> list[SourceHistory]:
        return [histories.of(name) for name in (AUTHORITY, *(mirror.name for mirror in ours.mirrors))]

    return NetworkAccess(
        client, transfer, index, ours.shown, list_pages, doubt, compared, source_histories, project_list
    )


def _client(
    settings: Settings, environ: Mapping[str, str], ours: ConfiguredIndexes, hosts: Sequence[str] | None
) -> Client:
    return Client(
        ClientSettings(
            # An index that was given here is reached by our own settings, one of pip's as pip reaches it.
            environ=environ if settings.index_url is not None else as_pip_reaches_it(environ),
            identities=ours.identities,
            may_ask=None if hosts is None else HostList((*hosts, *ours.hosts())).has,
            offline=settings.offline,
            user_agent=USER_AGENT,
        )
    )


def _bench(index: Index, client: Client, histories: SourceHistories, feeds: Memos[FeedReport]) -> Bench:
    return Bench(
        authority=index,
        known=lambda copy: known_of(copy.mirror, copy.root, histories.of(copy.name), feeds.recall(copy.name)),
        sampler=client,
        now=now,
        learn=lambda name, rate: histories.learn(SourceUse(name, right=None, speed=rate)),
    )


def _agreeing(ours: ConfiguredIndexes, copies: MirrorCopies, settings: Settings) -> list[MirrorIndex]:
    """Return who may be asked for hashes where the authority is silent."""
    if settings.offline:
        return []
    return copies.of_all(ours.copies() if ours.auto else ours.mirrors)


def _with_others(
    agreed: Index,
    ours: ConfiguredIndexes,
    access: PageAccess,
    before: Sequence[tuple[Promise, HttpIndex]],
    after: Sequence[tuple[Promise, HttpIndex]],
) -> Index:
    """Return the index with those that are asked before it and after it."""
    links = [(_promise(place), LinkedFiles(place, access)) for place in ours.links]
    if not (links or before or after):
        return agreed
    return FirstIndex([*links, *before], agreed, after, url=without_credentials(ours.authority))


def _promise(place: str) -> Promise:
    return Promise(Promiser.EXTRA_INDEX, display_url(place))


def _promises(approve: Callable[[Artifact], str], doubt: Callable[[str], bool], ledger: Ledger) -> Promises:
    """Return what is done where a file and its index's page contradict one another: neither page nor lock sticks."""
    memos, locks = wheel_memos(ledger), KeptLocks(ledger)

    def doubt_file(artifact: Artifact) -> None:
        doubt(artifact.project)
        if artifact.sha256 is not None:
            locks.forget_file(artifact.sha256)

    def check(artifact: Artifact, wheel: Path) -> None:
        try:
            check_shown(memos, artifact, wheel)
        except InstallFailed:
            doubt_file(artifact)
            raise

    return Promises(approve, check, doubt_file)


def _approval(settings: Settings, client: Client, ledger: Ledger, tell: Tell) -> Callable[[Artifact], str]:
    """Return what says who has signed a file. Raises `ConfigError` where nothing is there that could verify it."""
    if settings.attestations is AttestationPolicy.OFF:
        return lambda _artifact: ""
    required = settings.attestations is AttestationPolicy.REQUIRE
    publishers = LedgerMemos(ledger, PUBLISHER)
    return Attestations(client.small_file, publishers, tell, required=required).check


def now() -> datetime:
    return datetime.now(UTC)
