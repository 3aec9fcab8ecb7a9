"""What is counted: for Prometheus, and for the page that shows how it goes."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

from tf_tester.model.events import Event, TransferFinished, TransferProgress, TransferTrouble

_RECENT = 60
_STATE = ".state"
_FREE = """# HELP tf_tester_store_free_bytes Bytes that the store's disk has left.
# TYPE tf_tester_store_free_bytes gauge
tf_tester_store_free_bytes {}
"""
_PAUSE = 0.5
"""Seconds for which others needn't hear of progress again."""


class WorkerState(Struct):
    """What one worker is at, or all of them."""

    began: float
    """Seconds since 1970."""
    underway: dict[str, TransferProgress]
    """By SHA-256."""
    recent: list[Mapping[str, Any]]
    """What was fetched and what failed of late, the newest last."""


_decode = msgspec.json.Decoder(WorkerState).decode


class Metrics:
    """Of one server; several workers add up where `PROMETHEUS_MULTIPROC_DIR` names a folder that they share."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, *, shared: Path | None = None, free: Callable[[], int] | None = None) -> None:
        """Make the counters. `shared`: the folder in which several workers tell one another of their work.

        `free`: gives the bytes that the store's disk has left.
        """
        self._shared = shared
        self._free = free
        self._told = 0.0
        self._lock = threading.Lock()
        self._registry = CollectorRegistry()
        for_all = self._registry
        self._requests = Counter("tf_tester_http_requests", "Requests answered.", ["kind", "status"], registry=for_all)
        self._sent = Counter("tf_tester_http_sent_bytes", "Bytes of bodies that were sent.", ["kind"], registry=for_all)
        self._seconds = Histogram(
            "tf_tester_http_request_seconds", "From the request to its answer's end.", ["kind"], registry=for_all
        )
        self._open = Gauge(
            "tf_tester_http_requests_open",
            "Requests that are being answered.",
            multiprocess_mode="livesum",
            registry=for_all,
        )
        self._fetched = Counter("tf_tester_upstream_files", "Files that were fetched.", ["source"], registry=for_all)
        self._received = Counter(
            "tf_tester_upstream_received_bytes", "Bytes that were fetched.", ["source"], registry=for_all
        )
        self._troubles = Counter(
            "tf_tester_upstream_troubles", "Times that a source failed.", ["source"], registry=for_all
        )
        self._children: dict[tuple[str, int], tuple[Counter, Counter, Histogram]] = {}
        self.began = time.time()
        self.underway: dict[str, TransferProgress] = {}
        """By SHA-256."""
        self.recent: deque[Mapping[str, Any]] = deque(maxlen=_RECENT)
        """What was fetched and what failed of late, the newest last."""

    def begun(self) -> None:
        self._open.inc()

    def ended(self, kind: str, status: int, sent: int, seconds: float) -> None:
        self._open.dec()
        known = self._children.get((kind, status))
        if known is None:
            # Looking them up takes longer than counting.
            known = self._requests.labels(kind, str(status)), self._sent.labels(kind), self._seconds.labels(kind)
            self._children[kind, status] = known
        known[0].inc()
        known[1].inc(sent)
        known[2].observe(seconds)

    def hear(self, event: Event) -> None:
        """Count what the transfer tells; from any thread."""
        match event:
            case TransferProgress():
                self.underway[event.sha256] = event
                self._tell_others(at_once=False)
            case TransferFinished():
                self.underway.pop(event.sha256, None)
                self._fetched.labels(event.source).inc()
                self._received.labels(event.source).inc(event.received)
                seconds = max(event.seconds, 1e-3)
                self._remember(event.source, event.filename, rate=event.received / seconds, size=event.size)
            case TransferTrouble():
                self._troubles.labels(event.source).inc()
                self._remember(event.source, event.filename, trouble=event.reason)

    def forget(self, sha256: str) -> None:
        """Forget a file that isn't underway any more."""
        self.underway.pop(sha256, None)
        self._tell_others()

    def work(self) -> WorkerState:
        """Return what all workers together are at."""
        mine = WorkerState(self.began, dict(self.underway), list(self.recent))
        if self._shared is None:
            return mine
        found = {os.getpid(): mine}
        for file in self._shared.glob(f"*{_STATE}"):
            with suppress(OSError, ValueError, msgspec.MsgspecError):  # one that has just ended
                found.setdefault(int(file.name.removesuffix(_STATE)), _decode(file.read_bytes()))
        return WorkerState(
            min(one.began for one in found.values()),
            {sha256: progress for one in found.values() for sha256, progress in one.underway.items()},
            sorted((done for one in found.values() for done in one.recent), key=lambda done: done["at"])[-_RECENT:],
        )

    def _tell_others(self, *, at_once: bool = True) -> None:
        if self._shared is None or (not at_once and time.monotonic() - self._told < _PAUSE):
            return
        with self._lock, suppress(OSError):  # a full disk
            self._told = time.monotonic()
            place = self._shared / f"{os.getpid()}{_STATE}"
            part = place.with_suffix(".part")
            part.write_bytes(msgspec.json.encode(WorkerState(self.began, dict(self.underway), list(self.recent))))
            part.replace(place)

    def text(self) -> bytes:
        """Return the counters as Prometheus reads them."""
        registry = self._registry
        if self._shared is not None:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        told = generate_latest(registry)
        if self._free is not None:
            with suppress(OSError):
                told += _FREE.format(self._free()).encode()
        return told

    def _remember(self, source: str, filename: str, **facts: object) -> None:
        self.recent.append({"at": time.time(), "source": source, "file": filename} | facts)
        self._tell_others()


def forget_worker(shared: Path, process: int) -> None:
    """Forget what a worker was at that has ended."""
    (shared / f"{process}{_STATE}").unlink(missing_ok=True)
