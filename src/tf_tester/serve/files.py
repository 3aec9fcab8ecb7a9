"""Files as they come: one fetch for all who want one, streamed before it is over, never wrong bytes to the end."""

import asyncio
import hashlib
import os
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from pathlib import Path

from tf_tester.core.text.printable import printable
from tf_tester.errors import DownloadFailed, StoreFull
from tf_tester.model.artifact import Artifact
from tf_tester.ports.fetch import Arrival, Fetcher
from tf_tester.ports.store import Blobs
from tf_tester.serve.responses import CHUNK, log

_HELD_BACK = 64 * 1024
"""Bytes at the end of an answer that nobody gets before the whole file is verified: whoever has all that was asked for,
a part of the file too, has the right ones."""
_SOON, _LONGEST = 10.0, 60.0
"""Seconds for which a failure is remembered: at the least, where it is one that lasts, and at the most."""
_MOST_FAILURES = 1000
_FULL = 30.0
"""Seconds for which a full disk isn't tried again."""
_PART = 4 << 20
"""Bytes that are read at once of what isn't kept."""
_TICK = 0.02
"""Seconds between two looks at what has come."""
_AT_ONCE = 0.05
"""Seconds within which what comes at once needn't be streamed."""


class IncomingFile:
    """A file on its way; `parts` gives the bytes as they come."""

    def __init__(self, task: "asyncio.Task[Path]", fetcher: Fetcher, artifact: Artifact, size: int) -> None:
        self._task = task
        self._fetcher = fetcher
        self._sha256 = artifact.sha256 or ""
        self.size = size

    async def begun(self, start: int, end: int) -> "Path | IncomingFile":
        """Return itself when there is a byte to send of [start, end), or the file if that comes first; raises as the
        fetch.
        """
        while not self._task.done():
            arrival = self._fetcher.arrival(self._sha256)
            if arrival is not None and start < min(arrival.frontier, end - _HELD_BACK):
                return self
            await asyncio.wait([self._task], timeout=_TICK)
        return self._task.result()

    async def parts(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """Yield bytes [start, end); no bytes at all while none come, so that who sends them sees whether anybody waits.

        Raises what the fetch raises, and `DownloadFailed` where bytes sent were wrong ones.
        """
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
                limit = min(arrival.frontier, end - _HELD_BACK) if arrival is not None else 0
                if descriptor >= 0 and position < limit:
                    chunk = os.pread(descriptor, min(CHUNK, limit - position), position)
                    if chunk and arrival is not None and arrival.generation == generation:
                        position += len(chunk)
                        yield chunk
                        continue
                yield b""
                await asyncio.wait([self._task], timeout=_TICK)
            path = self._task.result()
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        if arrival is not None and arrival.generation != generation and position > start:
            raise DownloadFailed("bytes that were sent turned out to be wrong")
        with path.open("rb", buffering=0) as stream:
            while position < end and (chunk := os.pread(stream.fileno(), min(CHUNK, end - position), position)):
                position += len(chunk)
                yield chunk


class PassedFile:
    """A file that is handed on and not kept, for the disk is full: read at the authority, part by part."""

    def __init__(self, fetcher: Fetcher, artifact: Artifact, size: int, executor: Executor) -> None:
        self._fetcher = fetcher
        self._artifact = artifact
        self._executor = executor
        self._first = b""
        self.size = size

    async def begun(self) -> "PassedFile":
        """Return itself when the first part is there. Raises `DownloadFailed`."""
        self._first = await self._part(0)
        return self

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """Yield all bytes, the last of them when the whole is verified. Raises `DownloadFailed`."""
        digest, held, position = hashlib.sha256(), b"", 0
        while position < self.size:
            part = await self._part(position) if position else self._first
            position += len(part)
            digest.update(part)
            held += part
            if position < self.size:
                yield held[:-_HELD_BACK]
                held = held[-_HELD_BACK:]
        if digest.hexdigest() != self._artifact.sha256:
            raise DownloadFailed(f"{self._artifact.filename} has another SHA-256 than its page promises")
        yield held

    async def _part(self, start: int) -> bytes:
        loop, end = asyncio.get_running_loop(), min(self.size, start + _PART)
        part = await loop.run_in_executor(self._executor, self._fetcher.read_range, self._artifact, start, end)
        if not part:
            raise DownloadFailed(f"{self._artifact.filename} ends after {start} of {self.size} bytes")
        return part


class Files:
    """Used inside the event loop."""

    def __init__(self, blobs: Blobs, fetcher: Fetcher, executor: Executor, *, over: Callable[[str], None]) -> None:
        """Fetch files. `over`: hears the digest of each file that isn't underway any more."""
        self._blobs = blobs
        self._fetcher = fetcher
        self._executor = executor
        self._told_over = over
        self._underway: dict[str, asyncio.Task[Path]] = {}
        self._failed: OrderedDict[str, tuple[DownloadFailed, float]] = OrderedDict()
        """Why files could not be had, and until when (loop time) that is the answer; the oldest first."""
        self._full_until = 0.0
        """Loop time until which nothing is brought into the store: there is no space in it."""

    async def get(self, artifact: Artifact) -> Path | IncomingFile | PassedFile:
        """Return the file, or one that is on its way.

        Raises `DownloadFailed`, `StoreError`; where the disk is full the file isn't kept, but there all the same.
        """
        found = await self._found(artifact.sha256 or "")
        if found is not None:
            return found
        if artifact.size is not None and asyncio.get_running_loop().time() < self._full_until:
            return await self._passed(artifact, artifact.size)
        try:
            return await self._coming(artifact)
        except StoreFull as error:
            return await self._instead(artifact, error)

    async def _found(self, sha256: str) -> Path | None:
        found = self._blobs.find_unchanged(sha256)
        if found is None and self._blobs.holds(sha256):
            # Reading 600 MB again takes a second: others are answered meanwhile.
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._executor, self._blobs.find, sha256)
        return found

    async def begun(
        self, coming: IncomingFile, artifact: Artifact, span: tuple[int, int]
    ) -> Path | IncomingFile | PassedFile:
        """Return what was on its way when the first byte of a span can be sent; raises as `get` does."""
        try:
            return await coming.begun(*span)
        except StoreFull as error:
            return await self._instead(artifact, error)

    async def _instead(self, artifact: Artifact, error: StoreFull) -> PassedFile:
        log.warning("%s", printable(f"{error} What isn't here is handed on and not kept. {error.hint}"))
        self._full_until = asyncio.get_running_loop().time() + _FULL
        if artifact.size is None:
            raise error
        return await self._passed(artifact, artifact.size)

    async def _passed(self, artifact: Artifact, size: int) -> PassedFile:
        return await PassedFile(self._fetcher, artifact, size, self._executor).begun()

    async def _coming(self, artifact: Artifact) -> Path | IncomingFile:
        loop, sha256 = asyncio.get_running_loop(), artifact.sha256
        assert sha256 is not None
        failed, until = self._failed.get(sha256, (None, 0.0))
        if failed is not None and loop.time() < until:
            raise failed.with_traceback(None)
        task = self._underway.get(sha256)
        if task is None:
            task = self._underway[sha256] = loop.create_task(self._fetch(artifact))
            task.add_done_callback(lambda done: self._over(sha256, done))
        if artifact.size is None:
            return await asyncio.shield(task)
        await asyncio.wait([task], timeout=_AT_ONCE)
        return task.result() if task.done() else IncomingFile(task, self._fetcher, artifact, artifact.size)

    async def _fetch(self, artifact: Artifact) -> Path:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            return await loop.run_in_executor(self._executor, self._fetcher.fetch, artifact)
        except DownloadFailed as error:
            self._remember(artifact.sha256 or "", error, loop.time(), loop.time() - began)
            raise

    def _remember(self, sha256: str, error: DownloadFailed, now: float, took: float) -> None:
        """Answer with it for as long as it took to find out: whoever asks again in vain costs no more than that."""
        self._failed.pop(sha256, None)
        self._failed[sha256] = error, now + min(max(took, _SOON if error.lasting else 0.0), _LONGEST)
        if len(self._failed) > _MOST_FAILURES:
            self._failed.popitem(last=False)

    def _over(self, sha256: str, task: "asyncio.Task[Path]") -> None:
        del self._underway[sha256]
        self._told_over(sha256)
        if not task.cancelled():
            task.exception()  # whoever waits has it; if nobody does any more, nobody is to be told


def _opened(arrival: Arrival) -> int:
    try:
        return os.open(arrival.path, os.O_RDONLY)
    except OSError:
        return -1
