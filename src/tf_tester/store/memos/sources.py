"""What is remembered of the sources of bytes and of an index's projects."""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from tf_tester.core.fetch.source_history import after, as_of
from tf_tester.errors import StoreFull
from tf_tester.model.source import SourceHistory, SourceUse
from tf_tester.store.ledger import Ledger
from tf_tester.store.memos.table import SERIAL, SOURCE


class SourceHistories:
    """The histories of sources, by their names; callable from any thread."""

    def __init__(self, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._now = now
        self._lock = threading.Lock()

    def of(self, source: str) -> SourceHistory:
        """Return what counts now; of a source that was never used, nothing."""
        return as_of(self._ledger.recall(SOURCE, source) or SourceHistory(source), self._now())

    def learn(self, use: SourceUse) -> None:
        """Remember how a source did with one file."""
        with self._lock, suppress(StoreFull):
            self._ledger.remember(SOURCE, use.source, after(self.of(use.source), use, self._now()))


class ProjectSerials:
    """`ports.index.Serials` of one authority and its copies."""

    def __init__(self, ledger: Ledger, authority: str) -> None:
        """Take the `authority`, its address without credentials."""
        self._ledger = ledger
        self._authority = authority

    def latest(self, project: str) -> int | None:
        return self._ledger.recall(SERIAL, f"{project} {self._authority}")

    def seen(self, project: str, serial: int) -> None:
        if serial > (self.latest(project) or 0):
            with suppress(StoreFull):
                self._ledger.remember(SERIAL, f"{project} {self._authority}", serial)
