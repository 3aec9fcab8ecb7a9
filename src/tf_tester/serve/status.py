"""A page that shows how it goes: the store, the mirrors, what is being fetched. It keeps itself up to date."""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from importlib.resources import files
from typing import Any

import msgspec
from msgspec import Struct, field

from tf_tester import __version__
from tf_tester.core.text.printable import printable
from tf_tester.model.source import SourceHistory
from tf_tester.ports.replica import ReplicaHead
from tf_tester.serve.metrics import Metrics
from tf_tester.serve.responses import Response

_LASTS = 30.0
"""Seconds for which the store isn't counted again."""


class StatusFacts(Struct, frozen=True):
    """What takes time to find out."""

    files: int
    bytes: int
    """Of these files."""
    free: int
    """Bytes on its disk."""
    mirrors: tuple[SourceHistory, ...] = ()
    synced: Mapping[str, ReplicaHead] = field(default_factory=dict)
    """Replicas, by name."""


class Status:
    """Used inside the event loop."""

    def __init__(self, metrics: Metrics, facts: Callable[[], StatusFacts], executor: Executor) -> None:
        self._metrics = metrics
        self._facts = facts
        self._executor = executor
        self._known: tuple[float, StatusFacts] | None = None

    def page(self) -> Response:
        body = files("tf_tester.serve").joinpath("status.html").read_bytes()
        told = {
            "content-type": "text/html; charset=utf-8",
            "cache-control": "no-store",
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; "
            "script-src 'unsafe-inline'; connect-src 'self'",
            "x-content-type-options": "nosniff",
        }
        return Response(200, told, body)

    async def now(self) -> Response:
        loop = asyncio.get_running_loop()
        if self._known is None or loop.time() - self._known[0] > _LASTS:
            self._known = loop.time(), await loop.run_in_executor(self._executor, self._facts)
        work, facts = self._metrics.work(), self._known[1]
        told: dict[str, Any] = {
            "version": __version__,
            "up": time.time() - work.began,
            "store": {"files": facts.files, "bytes": facts.bytes, "free": facts.free, "mirrors": facts.mirrors},
            "synced": [
                {"name": name, "at": head.synced, "complete": head.complete} for name, head in facts.synced.items()
            ],
            "underway": [
                {"file": printable(one.filename), "done": one.done, "total": one.total, "source": one.source}
                for one in work.underway.values()
            ],
            "recent": [
                {key: printable(value) if isinstance(value, str) else value for key, value in one.items()}
                for one in work.recent[::-1]
            ],
        }
        headers = {"content-type": "application/json", "cache-control": "no-store"}
        return Response(200, headers, msgspec.json.encode(told))
