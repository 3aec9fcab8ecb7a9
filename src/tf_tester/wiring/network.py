"""Everything that may go out: the authority's pages, the mirrors' pages, files, and who is asked for what."""

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from tf_tester import __version__
from tf_tester.core.config.settings import Settings
from tf_tester.core.fetch.ranking import MirrorComparison, Observation
from tf_tester.core.index.links import display_url, local_path, origin, without_credentials
from tf_tester.core.index.mirror_list import AUTO, MirrorList
from tf_tester.errors import TfTesterError
from tf_tester.flow.supply.compare_mirrors import Bench, compare
from tf_tester.index.agreed import AgreedIndex
from tf_tester.index.attestations import Attestations
from tf_tester.index.authority import (
    authority_url,
    extra_index_urls,
    pip_index_url,
    pip_setting,
    public_files_host,
    public_index_url,
    uv_default_index,
)
from tf_tester.index.first import FirstIndex
from tf_tester.index.http import MAX_AGE, HttpIndex
from tf_tester.index.mirror_files import known_mirrors
from tf_tester.index.mirror_urls import mirror_source
from tf_tester.model.artifact import Artifact, Promise, Promiser
from tf_tester.model.events import MirrorsChosen, TransferTrouble
from tf_tester.model.mirror import Mirror
from tf_tester.model.source import AUTHORITY, Source, SourceHistory, SourceUse
from tf_tester.ports.index import Index, MirrorIndex
from tf_tester.ports.tell import Tell
from tf_tester.store.blobs import BlobStore
from tf_tester.store.ledger import Ledger, LedgerMemos, LedgerPages
from tf_tester.store.memos.sources import ProjectSerials, SourceHistories
from tf_tester.store.memos.table import FASTEST, FEED, PUBLISHER
from tf_tester.transfer.client import Transfer

USER_AGENT = f"tf-tester/{__version__}"
_WORTH_A_LOOK = 8 << 20
"""Bytes of a file for which `--mirror auto` looks around; smaller ones have come before it would be done."""


class ChosenSources(Struct, frozen=True):
    """Whom the settings, and what pip and uv are set to, let us ask."""

    authority: str
    """Address of the index whose word counts; may hold credentials."""
    extra: tuple[str, ...]
    """Addresses of indexes that are asked before it; may hold credentials."""
    folders: tuple[str, ...]
    """Addresses of folders that are asked after it, as far as they are there."""
    mirrors: tuple[Mirror, ...]
    auto: bool
    """Choose among all that we know."""
    trusted: frozenset[str]
    """Mirrors whose hashes count where the authority can't be reached."""


def choose_sources(settings: Settings, environ: Mapping[str, str], known: MirrorList) -> ChosenSources:
    """Choose the sources that the settings allow. Raises `UsageError` for a mirror that nobody knows."""
    names = [name for name in settings.mirror if name != AUTO]
    mirrors = [mirror for name in names if (mirror := known.named(name)) is not None]
    trusted = [mirror for name in settings.trust if (mirror := known.named(name)) is not None]
    url = settings.index_url or authority_url(environ, lambda: pip_index_url(environ) or uv_default_index(environ))
    extra = settings.extra_index_url
    folders: list[str] = []
    if not extra and settings.index_url is None:
        configured_ones = extra_index_urls(environ, lambda key: pip_setting(environ, key))
        extra = tuple(one for one in configured_ones if not one.startswith("file:"))
        folders = [one for one in configured_ones if one.startswith("file:") and local_path(one).is_dir()]
    if settings.index_url is None:
        # Whoever has set pip to a mirror wants its bytes, and trusts it as far as need be; its poorer pages he
        # doesn't want: without upload times there is no era.
        configured = known.at(url)
        if configured is not None:
            url = public_index_url()
            mirrors.append(configured)
            trusted.append(configured)
    return ChosenSources(
        authority=url,
        folders=tuple(folders),
        extra=tuple(one for one in dict.fromkeys(one.rstrip("/") for one in extra) if one != url),
        mirrors=tuple(dict.fromkeys([*mirrors, *trusted])),
        auto=AUTO in settings.mirror,
        trusted=frozenset(mirror.name for mirror in trusted),
    )


class NetworkAccess:
    """One run's."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        blobs: BlobStore,
        tell: Tell,
        environ: Mapping[str, str],
        *,
        hosts: Sequence[str] | None = None,
        fresh: bool = False,
    ) -> None:
        """Prepare the network.

        `hosts`: the only ones that are asked besides those of indexes and mirrors; None: all that pages name.

        `fresh`: indexes are asked for every page, each time; mirrors are not.
        """
        self._ledger = ledger
        self._tell = tell
        self._known = known_mirrors()
        self._chosen = choose_sources(settings, environ, self._known)
        url = self._chosen.authority
        self._histories = SourceHistories(ledger, now)
        self._offline = settings.offline
        self._said: set[str] = set()
        """Mirrors of which it was told that they aren't asked."""
        self._lock = threading.Lock()
        self._automatic: tuple[str, ...] | None = None
        self.transfer = Transfer(
            blobs,
            tell,
            sources=self._sources,
            learn=self._learn,
            approve=self._approve,
            offline=settings.offline,
            user_agent=USER_AGENT,
            environ=environ,
            identities=[url, *self._chosen.extra, *(mirror.url for mirror in self._chosen.mirrors)],
            may_ask=None if hosts is None else frozenset((*hosts, *self._hosts())).__contains__,
        )
        self._attestations = None
        if settings.attestations != "off":
            self._attestations = Attestations(
                self.transfer.small_file,
                LedgerMemos(ledger, PUBLISHER),
                tell,
                required=settings.attestations == "require",
            )
        self._pages = LedgerPages(ledger)
        self._max_age = timedelta(0) if fresh else MAX_AGE
        self._indexes: dict[str, Index] = {}
        self._serials = ProjectSerials(ledger, without_credentials(url))
        self._authority = self._at(url, leads=True)
        before, after = (
            [(Promise(Promiser.EXTRA_INDEX, display_url(one)), self._at(one, private=True)) for one in urls]
            for urls in (self._chosen.extra, self._chosen.folders)
        )
        self._last = last = AgreedIndex(self._authority, self._agreeing(), tell, now, trusted=self._chosen.trusted)
        self.index: Index = last
        if before or after:
            self.index = FirstIndex(before, last, after, url=without_credentials(url))

    @property
    def identity(self) -> str:
        """Which indexes answer, without credentials: others may give another answer to the same question."""
        urls = (*self._chosen.extra, self._chosen.authority, *self._chosen.folders)
        return " ".join(without_credentials(url) for url in urls)

    def list_pages(self, most: int) -> None:
        """See `flow.prepare.services.Packages`. The list of one of several indexes says nothing."""
        if self.index is self._last:
            self._authority.ask_for_list(most)

    def source_histories(self) -> list[SourceHistory]:
        """Return the histories of the sources in use."""
        return [self._histories.of(name) for name in (AUTHORITY, *(mirror.name for mirror in self._chosen.mirrors))]

    def _hosts(self) -> set[str]:
        """Return the hosts of indexes, of all mirrors that are known, and of the public index's files."""
        mirrors = {*self._chosen.mirrors, *self._known.mirrors.values()}
        indexes = (self._chosen.authority, *self._chosen.extra, *(mirror.url for mirror in mirrors))
        more = {public_files_host()} if self._chosen.authority == public_index_url() else set()
        return {origin(url).host for url in indexes if not url.startswith("file:")} | more

    def _approve(self, artifact: Artifact) -> str:
        return "" if self._attestations is None else self._attestations.check(artifact)

    def close(self) -> None:
        self.transfer.close()

    def compare(self, artifacts: Sequence[Artifact], names: Sequence[str] = ()) -> MirrorComparison:
        """Return mirrors ranked for files of one project: those named, else all that may be asked."""
        mirrors = [mirror for name in names if (mirror := self._known.named(name)) is not None] or self._all()
        by_name = {mirror.name: mirror for mirror in mirrors}
        bench = Bench(
            authority=self.index,
            mirrors=tuple(self._copies(mirrors)),
            known=lambda copy: self._observed(by_name[copy.name], copy),
            sampler=self.transfer,
            now=now,
            learn=lambda name, rate: self._histories.learn(SourceUse(name, right=None, speed=rate)),
        )
        return compare(artifacts, bench)

    # -- where files may be had

    def _sources(self, artifact: Artifact) -> list[Source]:
        """Return the chosen mirrors in their order; the authority itself where these fail."""
        if artifact.promise.by in (Promiser.EXTRA_INDEX, Promiser.PRIVATE):
            return [Source(AUTHORITY, artifact.url, proven=True)]
        found: list[Source] = []
        mirrors = list(self._chosen.mirrors)
        if self._chosen.auto:
            automatic = [self._known.named(name) for name in self._chosen_for(artifact)]
            mirrors += [mirror for mirror in automatic if mirror is not None and mirror not in mirrors]
        for mirror in mirrors:
            index = self._index_of(mirror)
            if index is None or self._is_not_asked(mirror, artifact):
                continue
            source = mirror_source(mirror.name, index, artifact, self._tell)
            if source is not None:
                history = self._histories.of(mirror.name)
                found.append(replace(source, proven=history.right > 0, speed=history.speed, region=mirror.region))
        speed = self._histories.of(AUTHORITY).speed
        # Beside mirrors of which nobody knows whether they are right it runs, too: a lie costs a smaller part then.
        known_good = any(source.proven for source in found)
        own = Source(AUTHORITY, artifact.url, proven=True, reserve=known_good, speed=speed)
        if artifact.promise.by is not Promiser.AUTHORITY and any(source.url == artifact.url for source in found):
            return found  # without an authority there is no address of its own
        return [*found, own]

    def _is_not_asked(self, mirror: Mirror, artifact: Artifact) -> bool:
        """Return whether a mirror isn't asked now; told once."""
        reason = ""
        until = self._histories.of(mirror.name).cooldown_until
        if until is not None:
            reason = f"has a cooldown until {until:%Y-%m-%d}: it has given wrong bytes"
        elif self._is_spent(mirror):
            reason = "isn't asked until tomorrow: what it may be asked for in a day is used up"
        if reason and mirror.name not in self._said:
            self._said.add(mirror.name)
            self._tell(TransferTrouble(artifact.filename, mirror.name, reason))
        return bool(reason)

    def _is_spent(self, mirror: Mirror) -> bool:
        left = self._budget_left(mirror)
        requests = self._histories.of(mirror.name).requests_today
        return (left is not None and left <= 0) or (
            mirror.daily_requests is not None and requests >= mirror.daily_requests
        )

    def _budget_left(self, mirror: Mirror) -> int | None:
        if mirror.daily_gb is None:
            return None
        return max(0, int(mirror.daily_gb * 1e9) - self._histories.of(mirror.name).bytes_today)

    def _learn(self, use: SourceUse) -> None:
        # The authority gets no cooldown: what it promises and what it gives may differ for a while after an upload.
        if use.right is not False or use.source != AUTHORITY:
            self._histories.learn(use)

    # -- --mirror auto

    def _chosen_for(self, artifact: Artifact) -> tuple[str, ...]:
        """Return the fastest mirrors for a file: looked for once, then remembered for some hours."""
        with self._lock:
            if self._automatic is None:
                self._automatic = self._remembered_choice()
            if self._automatic is None and (artifact.size or 0) >= _WORTH_A_LOOK:
                self._automatic = self._fresh_choice(artifact)
            return self._automatic or ()

    def _remembered_choice(self) -> tuple[str, ...] | None:
        names = self._ledger.recall(FASTEST, without_credentials(self._chosen.authority))
        if names is None:
            return None
        known_now = {mirror.name for mirror in self._all()}
        return tuple(name for name in names if name in known_now)

    def _fresh_choice(self, artifact: Artifact) -> tuple[str, ...]:
        if not self._all():
            reason = "none of those that are known is a copy of this index"
            self._tell(MirrorsChosen((), reason))
            return ()
        try:
            comparison = self.compare([artifact])
        except TfTesterError as error:
            self._tell(MirrorsChosen((), str(error)))
            return ()
        names = comparison.chosen
        told = "the authority itself is the fastest"
        if names:
            first = {one.observation.name: one for one in comparison.ranked}[names[0]]
            told = f"the fastest of {len(comparison.ranked)}: {', '.join(first.reasons[:2])}"
        elif all(one.seconds is None for one in comparison.ranked):
            told = f"none of {len(comparison.ranked)} can be used"
        self._tell(MirrorsChosen(names, told))
        self._ledger.remember(FASTEST, without_credentials(self._chosen.authority), names)
        return names

    # -- who may be asked

    def _all(self) -> list[Mirror]:
        """Return those chosen by name, and all known copies of this authority.

        Ours copy the public index: of another one they would only learn what private projects are called.
        """
        public = self._chosen.authority == public_index_url()
        others = [
            mirror
            for mirror in self._known.mirrors.values()
            if mirror.name in self._known.own
            or public
            or (mirror.beside(self._chosen.authority) not in (None, mirror.url))
        ]
        return list(dict.fromkeys([*self._chosen.mirrors, *others]))

    def _index_of(self, mirror: Mirror) -> Index | None:
        """Return the mirror's copy of the authority; None where it has none."""
        url = mirror.beside(self._chosen.authority)
        if url is None:
            return None
        with_index = self._indexes.get(url)
        if with_index is None:
            with_index = self._at(url)
            self._indexes[url] = with_index
        return with_index

    def _at(self, url: str, *, leads: bool = False, private: bool = False) -> HttpIndex:
        serials = None if private else self._serials
        return HttpIndex(
            url,
            self.transfer,
            self._pages,
            now,
            offline=self._offline,
            max_age=self._max_age if leads or private else MAX_AGE,
            serials=serials,
            leads=leads,
        )

    def _copies(self, mirrors: Sequence[Mirror]) -> list[MirrorIndex]:
        """Those of them that have a copy of the authority."""
        return [
            MirrorIndex(mirror.name, self._known.root_of(mirror.name), index)
            for mirror in mirrors
            if (index := self._index_of(mirror)) is not None
        ]

    def _observed(self, mirror: Mirror, copy: MirrorIndex) -> Observation:
        """What is known of a mirror before it is asked."""
        history = self._histories.of(copy.name)
        return Observation(
            copy.name,
            copy.root,
            cooldown_until=history.cooldown_until,
            budget_left=self._budget_left(mirror),
            right=history.right,
            feed=self._ledger.recall(FEED, copy.name),
        )

    def _agreeing(self) -> list[MirrorIndex]:
        """Who may be asked for hashes where the authority is silent."""
        if self._offline:
            return []
        return self._copies(self._all() if self._chosen.auto else self._chosen.mirrors)


def now() -> datetime:
    return datetime.now(UTC)
