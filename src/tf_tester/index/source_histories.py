"""The histories of sources, kept from run to run."""

import re
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import msgspec

from tf_tester.core.source_history import after, as_of
from tf_tester.model.source import SourceHistory, SourceUse

_SPENT = re.compile(rb"(\d{4}-\d\d-\d\d) (\d{1,18}) (\d{1,18})")
"""A day, bytes and requests."""


class Memory(Protocol):
    """Answers by kind and key, for good."""

    def recall(self, kind: str, key: str) -> bytes | None: ...

    def remember(self, kind: str, key: str, value: bytes) -> None: ...


class _Kept(msgspec.Struct, frozen=True):
    """A history as it is kept; what a source sent on a day is kept apart, under `spent`."""

    right: int = 0
    speed: float | None = None
    measured: datetime | None = None
    left_out_until: datetime | None = None


class SourceHistories:
    """By the sources' names; callable from any thread."""

    def __init__(self, memory: Memory, now: Callable[[], datetime]) -> None:
        self._memory = memory
        self._now = now
        self._lock = threading.Lock()

    def of(self, source: str) -> SourceHistory:
        """Return what counts now; of a source that was never used, or whose memory is damaged, nothing."""
        kept = self._memory.recall("mirror", source)
        try:
            known = msgspec.json.decode(kept, type=_Kept) if kept else _Kept()
        except (msgspec.DecodeError, msgspec.ValidationError):
            known = _Kept()
        history = SourceHistory(source, known.right, known.speed, known.measured, known.left_out_until)
        spent = _SPENT.fullmatch(self._memory.recall("spent", source) or b"")
        if spent is not None:
            history = msgspec.structs.replace(
                history, day=spent[1].decode(), bytes_today=int(spent[2]), requests_today=int(spent[3])
            )
        return as_of(history, self._now())

    def learn(self, use: SourceUse) -> None:
        """Remember how a source did with one file."""
        with self._lock:
            fresh = after(self.of(use.source), use, self._now())
            if use.bytes or use.requests:
                today = f"{fresh.day} {fresh.bytes_today} {fresh.requests_today}"
                self._memory.remember("spent", use.source, today.encode())
            if use.right is not None or use.speed is not None:
                kept = _Kept(fresh.right, fresh.speed, fresh.measured, fresh.cooldown_until)
                self._memory.remember("mirror", use.source, msgspec.json.encode(kept))
