"""One answer of one source into one growing file."""

import asyncio
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from tf_tester.core.sizes import size_text
from tf_tester.ports import Source
from tf_tester.transfer.partial import PartialFile
from tf_tester.transfer.settings import MIB, Timeouts
from tf_tester.transfer.trouble import Kind, Trouble, status_trouble, translate

if TYPE_CHECKING:
    import aiohttp

    from tf_tester.transfer.session import Session

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_MAX_CHUNKS = 256
Report = Callable[[int | None], None]
"""Told the whole file's size, where known, whenever the file has grown."""


class Asking:
    """What is known of one source while one file is fetched from it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.etag: str | None = None
        """Strong, of an earlier answer of this source: the rest must be of the same file."""
        self.ranges = True
        """False once it has answered a range with something else."""


async def stream(session: "Session", asking: Asking, partial: PartialFile, report: Report) -> None:
    """Bring the rest of the file. Raises `Trouble`, `StoreError`; what came is kept."""
    headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
    start = partial.size if asking.ranges else 0
    if start:
        headers["Range"] = f"bytes={start}-"
        if asking.etag:
            headers["If-Range"] = asking.etag
    async with session.places, session.open(asking.source.url, headers) as response:
        total = _check(response, asking, start, partial.expected)
        if response.status == 200 and partial.size:
            partial.restart()
        await _copy(response, asking.source.name, partial, total, session.timeouts, report)
    if total is not None and partial.size < total:
        raise Trouble(Kind.CUT, _cut_at(partial))


def _check(response: "aiohttp.ClientResponse", asking: Asking, start: int, expected: int | None) -> int | None:
    """The whole file's size where it is known, if this answer can be used. Raises `Trouble`."""
    status, headers = response.status, response.headers
    if status == 416 and start:
        asking.ranges = False
        raise Trouble(Kind.RANGES, "has no bytes after those we have")
    if status not in (200, 206) or (status == 206 and not start):
        raise status_trouble(status, response.reason, headers.get("Retry-After"))
    if response.content_type in ("text/html", "application/xhtml+xml"):
        raise Trouble(Kind.CONTENT, "sent an HTML page instead of the file (a login page or a block?)")
    etag = headers.get("ETag")
    asking.etag = etag if etag and not etag.startswith("W/") else None
    if status == 206:
        total = _range_total(headers.get("Content-Range", ""), start, expected)
        if total == -1:
            asking.ranges = False
            raise Trouble(Kind.RANGES, "answered with another range than asked for")
    else:
        total = response.content_length
    if expected is not None and total is not None and total != expected:
        raise Trouble(Kind.CONTENT, f"has a file of {total} bytes under this name, the index promises {expected}")
    return expected if expected is not None else total


def _range_total(header: str, start: int, expected: int | None) -> int | None:
    """The whole file's size (None: not told), or -1 where the range isn't the rest from `start`."""
    match = _CONTENT_RANGE.fullmatch(header.strip())
    if match is None or int(match[1]) != start:
        return -1
    if match[3] == "*":
        return expected
    total = int(match[3])
    return total if int(match[2]) == total - 1 else -1


async def _copy(
    response: "aiohttp.ClientResponse",
    writer: str,
    partial: PartialFile,
    total: int | None,
    timeouts: Timeouts,
    report: Report,
) -> None:
    """Until the answer ends, with at most one MiB read ahead of the disk."""
    room = None if total is None else total - partial.size
    rate = _Rate(timeouts)
    with partial.writing(writer):
        sink = _Sink(partial, total, report)
        try:
            while chunk := await _next_chunk(response, timeouts):
                if room is not None:
                    room -= len(chunk)
                    if room < 0:
                        raise Trouble(Kind.CONTENT, "sent more bytes than the index promises")
                await sink.put(chunk)
                rate.saw(len(chunk))
        except Trouble as trouble:
            if trouble.kind is Kind.CUT:
                await sink.put(_left_over(response, room))
                await sink.flush()
                raise Trouble(Kind.CUT, _cut_at(partial)) from trouble
            raise
        finally:
            await sink.flush()


async def _next_chunk(response: "aiohttp.ClientResponse", timeouts: Timeouts) -> bytes:
    import aiohttp

    try:
        return await response.content.readany()
    except TimeoutError as error:
        raise Trouble(Kind.STALLED, f"sent nothing for {timeouts.stall:g} s") from error
    except (aiohttp.ClientError, OSError) as error:
        raise translate(error) from error


def _left_over(response: "aiohttp.ClientResponse", room: int | None) -> bytes:
    """What had come before the connection broke and was not read yet.

    aiohttp hands out the error first and the bytes never; without them a link that is cut every 100 kB would
    never get anywhere. No public way leads to them.
    """
    read = getattr(response.content, "_read_nowait", None)
    rest = bytes(read(-1)) if read is not None else b""
    return rest if room is None else rest[:room]


def _cut_at(partial: PartialFile) -> str:
    return f"cut the connection at {size_text(partial.size)}"


class _Rate:
    """Notices a source that drips."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._now = asyncio.get_running_loop().time
        self._since = self._now()
        self._bytes = 0

    def saw(self, count: int) -> None:
        self._bytes += count
        elapsed = self._now() - self._since
        if elapsed < self._timeouts.slow_window:
            return
        if self._bytes < elapsed * self._timeouts.slow_rate:
            speed = size_text(self._bytes / elapsed)
            raise Trouble(Kind.SLOW, f"sent only {speed} a second over {elapsed:.0f} s")
        self._since, self._bytes = self._now(), 0


class _Sink:
    """Collects chunks and writes them by the MiB in a thread, while the next ones come in."""

    def __init__(self, partial: PartialFile, total: int | None, report: Report) -> None:
        self._partial = partial
        self._total = total
        self._report = report
        self._chunks: list[bytes] = []
        self._held = 0
        self._writing: asyncio.Future[None] | None = None

    async def put(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._held += len(chunk)
        if self._held >= MIB or len(self._chunks) >= _MAX_CHUNKS:
            await self._written()
            self._write()

    async def flush(self) -> None:
        """Everything on its way to the disk; afterwards no thread touches the file any more."""
        await self._written()
        if self._chunks:
            self._write()
            await self._written()

    def _write(self) -> None:
        loop = asyncio.get_running_loop()
        self._writing = loop.run_in_executor(None, self._partial.append, self._chunks)
        self._chunks, self._held = [], 0

    async def _written(self) -> None:
        if self._writing is not None:
            # Shielded: a cancelled download must not leave a thread behind that writes.
            await asyncio.shield(self._writing)
            self._writing = None
            self._report(self._total)
