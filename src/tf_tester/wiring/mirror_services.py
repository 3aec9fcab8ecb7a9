"""Mirrors: those that are known, what is remembered of them, and the examination of one, wired."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

from tf_tester.core.config.settings import Settings
from tf_tester.core.index.feeds import reports_of
from tf_tester.index.configured import configured_indexes
from tf_tester.index.http import HttpIndex, PageAccess
from tf_tester.index.mirror_files import known_mirrors
from tf_tester.model.source import SourceHistory
from tf_tester.store.blobs import BlobStore
from tf_tester.store.folder import StoreFolder
from tf_tester.store.ledger import LedgerPages
from tf_tester.store.memos.sources import SourceHistories
from tf_tester.store.memos.table import FEED
from tf_tester.transfer.client import Client
from tf_tester.transfer.fetch import Transfer
from tf_tester.transfer.settings import ClientSettings
from tf_tester.wiring.network import USER_AGENT, now
from tf_tester.wiring.store import open_ledger

if TYPE_CHECKING:
    from tf_tester.flow.supply.examine_index import Examiner
    from tf_tester.flow.supply.list_mirrors import MirrorRow


def mirror_rows(settings: Settings) -> "list[MirrorRow]":
    """Return the mirrors that we know by name, with what the store remembers of them; the store isn't made for it."""
    from tf_tester.flow.supply.list_mirrors import MirrorRow

    ledger = open_ledger(StoreFolder(settings.store)) if settings.store.is_dir() else None
    try:
        histories = None if ledger is None else SourceHistories(ledger, now)
        rows = []
        for mirror in known_mirrors().mirrors.values():
            history = SourceHistory(mirror.name) if histories is None else histories.of(mirror.name)
            told = (mirror.name, mirror.operator or mirror.title, mirror.region, mirror.copies, mirror.notes)
            feed = None if ledger is None else ledger.recall(FEED, mirror.name)
            rows.append(MirrorRow(*told, history.right, history.speed, history.cooldown_until, feed))
        return rows
    finally:
        if ledger is not None:
            ledger.close()


def refresh_feeds(settings: Settings, *, environ: Mapping[str, str]) -> None:
    """Ask MirrorZ how up to date its members are. Raises `IndexUnreachable` where no feed answers."""
    from tf_tester.flow.supply.list_mirrors import read_feeds

    known = known_mirrors()
    folder = StoreFolder(settings.store)
    folder.open()
    with (
        closing(open_ledger(folder)) as ledger,
        Client(ClientSettings(environ=environ, user_agent=USER_AGENT)) as client,
    ):

        def learn(content: bytes) -> int:
            told = reports_of(content, known.mirrors.values())
            for name, report in told.items():
                ledger.remember(FEED, name, report)
            return len(told)

        read_feeds(known.feeds, client, learn)


@contextmanager
def examiner(settings: Settings, url: str, *, environ: Mapping[str, str]) -> "Iterator[Examiner]":
    """Yield what an examination of the index at `url` asks."""
    from tf_tester.flow.supply.examine_index import Examiner

    folder = StoreFolder(settings.store)
    folder.open()
    with ExitStack() as stack:
        ledger = open_ledger(folder)
        stack.callback(ledger.close)
        authority = configured_indexes(settings, environ, known_mirrors()).authority
        client = stack.enter_context(
            Client(ClientSettings(environ=environ, identities=(authority, url), user_agent=USER_AGENT))
        )
        index = HttpIndex(authority, PageAccess(client, LedgerPages(ledger), now))
        transfer = Transfer(client, BlobStore(folder, ledger), lambda _event: None)
        yield Examiner(index, client, transfer, time.monotonic)
