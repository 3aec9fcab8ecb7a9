"""Files as they come: one fetch for all who want one, streamed before it is over, never wrong bytes to the end."""

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from tf_tester.errors import DownloadFailed
from tf_tester.model.artifact import Artifact
from tf_tester.ports import Arrival, Blobs, Fetcher

_CHUNK = 256 * 1024
_HELD_BACK = 64 * 1024
"""Bytes at the end that nobody gets before the whole file is verified: whoever has all bytes has the right ones."""
_TICK = 0.02
"""Seconds between two looks at what has come."""
_AT_ONCE = 0.05
"""Seconds within which what comes at once needn't be streamed."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A verified file."""

    path: Path


class Coming:
    """A file on its way; `parts` gives the bytes as they come."""

    def __init__(self, task: "asyncio.Task[Path]", fetcher: Fetcher, artifact: Artifact, size: int) -> None:
        self._task = task
        self._fetcher = fetcher
        self._sha256 = artifact.sha256 or ""
        self.size = size

    async def begun(self, start: int) -> "Ready | Coming":
        """Itself when there is a byte to send from `start` on, or the file if that comes first; raises as the fetch."""
        while not self._task.done():
            arrival = self._fetcher.arrival(self._sha256)
            if arrival is not None and start < min(arrival.frontier, self.size - _HELD_BACK):
                return self
            await asyncio.wait([self._task], timeout=_TICK)
        return Ready(self._task.result())

    async def parts(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Bytes [start, end). Raises what the fetch raises, and `DownloadFailed` where bytes sent were wrong ones."""
        position = start
        arrival: Arrival | None = None
        generation = 0
        descriptor = -1
        try:
            while not self._task.done():
                arrival = arrival or self._fetcher.arrival(self._sha256)
                if arrival is not None and descriptor < 0:
                    descriptor, generation = _opened(arrival), arrival.generation
                if arrival is not None and arrival.generation != generation:
                    if position > start:
                        raise DownloadFailed("bytes that were sent turned out to be wrong")
                    generation = arrival.generation
                limit = min(arrival.frontier, end, self.size - _HELD_BACK) if arrival is not None else 0
                if descriptor >= 0 and position < limit:
                    chunk = os.pread(descriptor, min(_CHUNK, limit - position), position)
                    if chunk and arrival is not None and arrival.generation == generation:
                        position += len(chunk)
                        yield chunk
                        continue
                await asyncio.wait([self._task], timeout=_TICK)
            path = self._task.result()
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        if arrival is not None and arrival.generation != generation and position > start:
            raise DownloadFailed("bytes that were sent turned out to be wrong")
        async for chunk in parts_of(path, position, end):
            yield chunk


class Files:
    """Used inside the event loop."""

    def __init__(self, blobs: Blobs, fetcher: Fetcher, executor: Executor) -> None:
        self._blobs = blobs
        self._fetcher = fetcher
        self._executor = executor
        self._underway: dict[str, asyncio.Task[Path]] = {}

    async def get(self, artifact: Artifact) -> Ready | Coming:
        """The file, or one that is on its way. Raises `DownloadFailed`, `StoreError`."""
        sha256 = artifact.sha256
        assert sha256 is not None
        found = self._blobs.find(sha256)
        if found is not None:
            return Ready(found)
        loop = asyncio.get_running_loop()
        task = self._underway.get(sha256)
        if task is None:
            task = self._underway[sha256] = loop.create_task(self._fetch(artifact))
            task.add_done_callback(lambda done: self._over(sha256, done))
        if artifact.size is None:
            return Ready(await asyncio.shield(task))
        await asyncio.wait([task], timeout=_AT_ONCE)
        return Ready(task.result()) if task.done() else Coming(task, self._fetcher, artifact, artifact.size)

    async def _fetch(self, artifact: Artifact) -> Path:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._fetcher.fetch, artifact)

    def _over(self, sha256: str, task: "asyncio.Task[Path]") -> None:
        del self._underway[sha256]
        if not task.cancelled():
            task.exception()  # whoever waits has it; if nobody does any more, nobody is to be told


async def parts_of(path: Path, start: int, end: int) -> AsyncIterator[bytes]:
    """Bytes [start, end) of a file that doesn't change."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        while start < end and (chunk := os.pread(descriptor, min(_CHUNK, end - start), start)):
            start += len(chunk)
            yield chunk
            await asyncio.sleep(0)
    finally:
        os.close(descriptor)


def _opened(arrival: Arrival) -> int:
    try:
        return os.open(arrival.path, os.O_RDONLY)
    except OSError:
        return -1
