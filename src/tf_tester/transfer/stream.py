"""One answer of one source, into its claim of the growing file."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from tf_tester.core.fetch.claims import Claim, Instruction, Opened, Stored, Take
from tf_tester.core.fetch.retries import TroubleKind
from tf_tester.core.index.links import local_path
from tf_tester.core.text.sizes import size_text
from tf_tester.model.source import Source
from tf_tester.transfer.partial import PartialFile
from tf_tester.transfer.settings import MIB, Timeouts
from tf_tester.transfer.trouble import Trouble, status_trouble, translate

if TYPE_CHECKING:
    import aiohttp

    from tf_tester.transfer.session import HttpSession

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_MAX_CHUNKS = 256
_EMPTY = "sent an empty file"
_LONGEST_HELD = 0.2
"""Seconds that bytes are held back from the disk at the most: whoever is killed loses no more of a slow transfer."""
Hear = Callable[[Opened | Stored], Sequence[Instruction]]
"""Told what happens to a claim; returns what the race says to it."""


class Validators(Struct):
    """What the next request to one source says of the file, besides the range (RFC 9110, section 8.8)."""

    etag: str | None = None
    """Strong, of an earlier answer of this source: the rest must be of the same file."""
    fresh: bool = False
    """Whether caches on the way are to ask the source itself: what they gave was wrong."""


class ClaimFetch:
    """Brings one claim's bytes from its source, once."""

    def __init__(
        self,
        session: "HttpSession",
        source: Source,
        validators: Validators,
        claim: Claim,
        partial: PartialFile,
        hear: Hear,
    ) -> None:
        self.claim = claim
        self._session = session
        self._source = source
        self._validators = validators
        self._partial = partial
        self._hear = hear
        self._end = claim.end
        self._sink = _Sink(partial, claim, hear)

    @property
    def position(self) -> int:
        """All bytes of the claim before it have come, to the disk or on their way to it."""
        return self._sink.reached

    def shorten(self, end: int) -> None:
        """Bring no more than this; what has come already is never cut off."""
        self._end = end

    async def run(self, size: int | None) -> None:
        """Bring them. Raises `Trouble`, `StoreError`; what came is kept. `size`: of the file, as far as it is known."""
        if self._source.url.startswith("file:"):
            await self._copy()
            return
        claim, headers = self.claim, {"Accept": "*/*", "Accept-Encoding": "identity"}
        if self._validators.fresh:
            headers["Cache-Control"] = "no-cache"
        start = 0 if claim.whole else claim.start
        to_the_end = self._end is None or self._end == size
        if not claim.whole and (start or not to_the_end):
            headers["Range"] = f"bytes={start}-" if to_the_end else f"bytes={start}-{(self._end or 0) - 1}"
            if self._validators.etag:
                headers["If-Range"] = self._validators.etag
        async with self._session.open(self._source.url, headers) as response:
            total = _check(response, self._validators, headers.get("Range"), start, self._partial.expected)
            self._open(total, ranged=response.status == 206 or ("Range" not in headers and not claim.whole))
            sent_from = start if response.status == 206 else 0
            chunks = _chunks(response, self._session.timeouts, self._sink)
            await self._take(chunks, skip=self._sink.position - sent_from)
        if self._end is not None and self._sink.position < self._end:
            raise Trouble(TroubleKind.CUT, self._cut())
        if self._end is None and self._sink.position == 0:
            raise Trouble(TroubleKind.CONTENT, _EMPTY)

    def _open(self, size: int | None, *, ranged: bool) -> None:
        """Tell that an answer begins. Raises `Trouble` where it is of no use."""
        for instruction in self._hear(Opened(self.claim, size, ranged)):
            if isinstance(instruction, Take):
                self._sink.position, self._end = instruction.start, instruction.end
                return
        raise Trouble(TroubleKind.RANGES, "sends the whole file for a part of it")

    async def _take(self, chunks: AsyncIterator[bytes], *, skip: int) -> None:
        """Take bytes until the claim is full or the answer ends, with at most one MiB read ahead of the disk."""
        sink, rate = self._sink, _Rate(self._session.timeouts)
        try:
            async for chunk in chunks:
                if not chunk:
                    await sink.flush()
                    continue
                rate.saw(len(chunk))
                if skip >= len(chunk):
                    skip -= len(chunk)
                    continue
                chunk, skip = chunk[skip:], 0
                left = None if self._end is None else self._end - sink.reached
                if left is not None and len(chunk) > left and self._end == sink.size:
                    raise Trouble(TroubleKind.CONTENT, "sent more bytes than the index promises")
                await sink.put(chunk if left is None else chunk[: max(0, left)])
                # It may have been shortened meanwhile; at the end of the file a little more is waited for.
                if self._end is not None and sink.reached >= self._end and self._end != sink.size:
                    break
        except Trouble as trouble:
            await sink.flush()
            if trouble.kind is TroubleKind.CUT:
                raise Trouble(TroubleKind.CUT, self._cut()) from trouble
            raise
        except asyncio.CancelledError:
            await sink.settle()
            raise
        await sink.flush()

    async def _copy(self) -> None:
        """Copy from a file of this machine: an index may be a folder."""
        sink = self._sink
        try:
            with local_path(self._source.url).open("rb") as origin:
                size = origin.seek(0, 2)
                if not size:
                    raise Trouble(TroubleKind.CONTENT, "has an empty file under this name")
                self._open(None if sink.size is not None else size, ranged=True)
                origin.seek(sink.position)
                while chunk := origin.read(MIB if self._end is None else min(MIB, self._end - sink.reached)):
                    await sink.put(chunk)
        except OSError as error:
            raise Trouble(TroubleKind.REFUSED, f"can't be read: {error.strerror}") from error
        await sink.flush()
        if self._end is not None and sink.position < self._end:
            raise Trouble(TroubleKind.CONTENT, f"has a file of {sink.position} bytes under this name, not {self._end}")

    def _cut(self) -> str:
        return f"cut the connection at {size_text(self._sink.position)}"


def _check(
    response: "aiohttp.ClientResponse", validators: Validators, asked: str | None, start: int, expected: int | None
) -> int | None:
    """Return the whole file's size where it is known, if this answer can be used. Raises `Trouble`."""
    status, headers = response.status, response.headers
    if status == 416 and asked:
        raise Trouble(TroubleKind.RANGES, "has no bytes after those we have")
    if status not in (200, 206) or (status == 206 and asked is None):
        raise status_trouble(status, response.reason, headers.get("Retry-After"))
    if response.content_type in ("text/html", "application/xhtml+xml"):
        raise Trouble(TroubleKind.CONTENT, "sent an HTML page instead of the file (a login page or a block?)")
    etag = headers.get("ETag")
    validators.etag = etag if etag and not etag.startswith("W/") else None
    if status == 206:
        total = _range_total(headers.get("Content-Range", ""), start, asked or "", expected)
        if total == -1:
            raise Trouble(TroubleKind.RANGES, "answered with another range than asked for")
    else:
        total = response.content_length
    if total == 0 and expected is None:
        raise Trouble(TroubleKind.CONTENT, _EMPTY)
    if expected is not None and total is not None and total != expected:
        raise Trouble(
            TroubleKind.CONTENT, f"has a file of {total} bytes under this name, the index promises {expected}"
        )
    return expected if expected is not None else total


def _range_total(header: str, start: int, asked: str, expected: int | None) -> int | None:
    """Return the whole file's size (None: not told), or -1 where the range isn't the one that was asked for."""
    match = _CONTENT_RANGE.fullmatch(header.strip())
    if match is None or int(match[1]) != start:
        return -1
    wanted = asked.rpartition("-")[2]
    if match[3] == "*":
        return expected if not wanted or match[2] == wanted else -1
    total = int(match[3])
    last = min(int(wanted), total - 1) if wanted else total - 1
    return total if int(match[2]) == last else -1


async def _chunks(response: "aiohttp.ClientResponse", timeouts: Timeouts, sink: "_Sink") -> AsyncIterator[bytes]:
    """Yield what comes; an empty chunk where nothing came for a while and the sink holds bytes back."""
    import aiohttp

    while True:
        pause = asyncio.timeout(_LONGEST_HELD if sink.holds_back else None)
        try:
            async with pause:
                chunk = await response.content.readany()
        except TimeoutError as error:
            if pause.expired():
                yield b""
                continue
            raise Trouble(TroubleKind.STALLED, f"sent nothing for {timeouts.stall:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            if left := _left_over(response):
                yield left
            raise translate(error) from error
        if not chunk:
            return
        yield chunk


def _left_over(response: "aiohttp.ClientResponse") -> bytes:
    """Return what had come before the connection broke and was not read yet.

    aiohttp hands out the error first and the bytes never; without them a link that is cut every 100 kB would
    never get anywhere. No public way leads to them.
    """
    read = getattr(response.content, "_read_nowait", None)
    return bytes(read(-1)) if read is not None else b""


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
            raise Trouble(TroubleKind.SLOW, f"sent only {speed} a second over {elapsed:.0f} s")
        self._since, self._bytes = self._now(), 0


class _Sink:
    """Collects chunks and writes them, a MiB at a time if they come fast, in a thread while the next ones come in."""

    def __init__(self, partial: PartialFile, claim: Claim, hear: Hear) -> None:
        self._partial = partial
        self._claim = claim
        self._hear = hear
        self.position = claim.start
        """Where the next byte that is written belongs; those before are on the disk."""
        self._chunks: list[bytes] = []
        self._held = 0
        self._underway = 0
        self._now = asyncio.get_running_loop().time
        self._written = self._now()
        self._writing: asyncio.Future[tuple[int, bool]] | None = None

    @property
    def size(self) -> int | None:
        """Of the whole file, where the index tells."""
        return self._partial.expected

    @property
    def reached(self) -> int:
        """Where the next byte that comes belongs."""
        return self.position + self._underway + self._held

    @property
    def holds_back(self) -> bool:
        """Whether bytes have come that nobody was told of as stored."""
        return self.reached > self.position

    async def put(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._held += len(chunk)
        late = self._now() - self._written >= _LONGEST_HELD
        if self._held >= MIB or len(self._chunks) >= _MAX_CHUNKS or late:
            await self.settle()
            self._write()

    async def flush(self) -> None:
        """Flush everything on its way to the disk; afterwards no thread touches the file any more."""
        await self.settle()
        if self._chunks:
            self._write()
            await self.settle()

    async def settle(self) -> None:
        """Wait for what is being written; what was only collected is left."""
        if self._writing is not None:
            # Shielded: a cancelled download must not leave a thread behind that writes.
            writing, self._writing = self._writing, None
            written, differs = await asyncio.shield(writing)
            self._underway = 0
            self.position += written
            self._hear(Stored(self._claim, written, differs))

    def _write(self) -> None:
        loop = asyncio.get_running_loop()
        self._written = self._now()
        self._writing = loop.run_in_executor(None, self._to_disk, self.position, self._chunks)
        self._chunks, self._held, self._underway = [], 0, self._held

    def _to_disk(self, position: int, chunks: list[bytes]) -> tuple[int, bool]:
        return self._partial.write(position, chunks, self._claim.source, compare=self._claim.heals)
