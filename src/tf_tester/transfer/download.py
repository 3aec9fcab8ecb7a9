"""One file, from all sources together: carries out what `core.fetch.race` decides."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from msgspec import Struct, field

from tf_tester.core.fetch.claims import (
    Arrived,
    Ask,
    Claim,
    Disproved,
    Drop,
    Ended,
    Failed,
    Finished,
    GaveUp,
    Instruction,
    Judge,
    Judged,
    Opened,
    RaceEvent,
    RaceTerms,
    Refuse,
    Shorten,
    Stored,
    Take,
    Tick,
    Wait,
)
from tf_tester.core.fetch.race import Race
from tf_tester.core.fetch.retries import CONTRADICTING, LASTING, Retries, TroubleKind
from tf_tester.core.fetch.segments import EARLIER
from tf_tester.core.index.links import display_url
from tf_tester.core.text.sizes import duration_text
from tf_tester.errors import DownloadFailed, TfTesterError, WrongBytes
from tf_tester.model.artifact import Artifact
from tf_tester.model.events import TransferFinished, TransferProgress, TransferTrouble
from tf_tester.model.source import AUTHORITY, Source, SourceUse
from tf_tester.ports.fetch import Arrival, Learn
from tf_tester.ports.store import Blobs
from tf_tester.ports.tell import Tell
from tf_tester.transfer.loop_thread import LoopThread
from tf_tester.transfer.partial import PartialFile
from tf_tester.transfer.settings import Timeouts
from tf_tester.transfer.stream import ClaimFetch, Validators
from tf_tester.transfer.trouble import Trouble

if TYPE_CHECKING:
    from tf_tester.transfer.session import HttpSession

_PROGRESS_EVERY = 0.1
"""Seconds between two events of one file."""
_TICK = 0.5
"""Seconds between two looks at who is slow."""
_SYNC_EVERY = 8 << 20
"""Bytes after which the disk is to have what came. Left to the end it cost 0.13 s for 100 MB, a twentieth of the time
in which four mirrors of 10 MB/s bring them."""
_WRONG = "gave other bytes than the index promises"
_HINTS = {
    TroubleKind.WRONG: "Nothing of it was kept. Ask whoever runs that source, or choose another one with --mirror.",
    TroubleKind.CONNECT: "Check the network and the proxy settings, or choose another source with --mirror.",
    TroubleKind.REFUSED: "Choose another source with --mirror, or ask whoever runs it why it refuses.",
    TroubleKind.FORBIDDEN: "Let `tf-tester serve` ask it, or with '*.NAME' every host below a name.",
    TroubleKind.BUSY: "Wait a while, or choose another source with --mirror.",
}
_HINT = "Run again: what has arrived is kept, and the transfer goes on from there; or try another --mirror."


class Download(Struct, frozen=True):
    """Brings one blob while its caller holds it exclusively."""

    artifact: Artifact
    sha256: str
    blobs: Blobs
    thread: LoopThread
    tell: Tell
    timeouts: Timeouts
    terms: RaceTerms | None = None
    learn: Learn = lambda _use: None
    attested_by: str = ""
    arrival: Arrival = field(default_factory=lambda: Arrival(Path()))

    def run(self, sources: Sequence[Source]) -> Path:
        """Return the verified file. Raises `DownloadFailed` (also when interrupted) and `StoreError`."""
        with PartialFile(self.blobs.partial(self.sha256), self.artifact.size) as partial:
            return self.thread.run(lambda session: _RunningDownload(self, partial, sources, session).run())


class _RunningDownload:
    """One download while it runs; all of it in the event loop, but for the disk."""

    def __init__(
        self, download: Download, partial: PartialFile, sources: Sequence[Source], session: "HttpSession"
    ) -> None:
        self._download = download
        self._artifact = download.artifact
        self._partial = partial
        self._session = session
        self._sources = {source.name: source for source in sources}
        self._validators = {source.name: Validators() for source in sources}
        timeouts = download.timeouts
        self._race = Race(
            self._artifact.size,
            sources,
            held=partial.held(),
            terms=download.terms,
            retries=Retries(retry_delay=timeouts.retry_delay, retry_after_cap=timeouts.retry_after_cap),
        )
        self._follower = download.blobs.follow(download.sha256)
        self._fetches: dict[int, ClaimFetch] = {}
        """What is being brought, by the claims' numbers."""
        self._tasks: dict[int, asyncio.Task[None]] = {}
        """The same, as it runs."""
        self._ends: asyncio.Queue[tuple[Claim, Trouble | TfTesterError | None]] = asyncio.Queue()
        self._following: asyncio.Future[None] | None = None
        self._syncing: asyncio.Future[None] | None = None
        self._unsynced = 0
        self._failures: list[tuple[str, Trouble]] = []
        self._began = time.monotonic()
        self._reported = 0.0
        self._wait_until: float | None = None
        self._losses = 0
        self._pieces = download.blobs.pieces(download.sha256)
        """Sums of an earlier day, when the file was right."""
        self._checked: set[int] = set()
        """Pieces that are as they were then."""
        self._earlier_in_doubt = False
        """The file was wrong with what an earlier run had left of it."""
        self._spent: dict[str, int] = {}
        """Bytes by source, those for nothing included."""
        self._asked: dict[str, int] = {}
        """Requests by source."""
        self._path: Path | None = None
        self._over: Finished | GaveUp | None = None

    async def run(self) -> Path:
        async with self._session.places:
            try:
                async with asyncio.timeout(self._download.timeouts.whole):
                    await self._check_pieces()
                    if self._over is None:
                        await self._decide(Tick())
                    while self._over is None:
                        await self._next()
            except TimeoutError as error:
                raise DownloadFailed(
                    f"{self._artifact.filename} did not come within {duration_text(self._download.timeouts.whole)}",
                    hint=_HINT,
                ) from error
            finally:
                await self._stop(list(self._fetches))
                await self._followed()
                for name, asked in self._asked.items():
                    spent = self._spent.get(name, 0)
                    self._download.learn(SourceUse(name, right=None, speed=None, bytes=spent, requests=asked))
        match self._over:
            case Finished(sources):
                return self._finished(sources)
            case GaveUp():
                raise self._failed()
            case _:
                assert_never(self._over)

    async def _next(self) -> None:
        """Wait for something to happen, and let the race decide what follows."""
        now = self._now()
        until = self._wait_until if self._wait_until is not None else now + _TICK
        try:
            async with asyncio.timeout(max(0.0, until - now)):
                claim, trouble = await self._ends.get()
        except TimeoutError:
            self._wait_until = None
            await self._decide(Tick())
            return
        self._fetches.pop(claim.number, None)
        self._tasks.pop(claim.number, None)
        if isinstance(trouble, TfTesterError):
            raise trouble
        if trouble is None:
            await self._check_pieces()
            if self._over is None:
                await self._decide(Ended(claim))
            return
        self._fail(claim.source, trouble)
        await self._decide(Failed(claim, trouble.kind, trouble.retry_after))

    async def _check_pieces(self) -> None:
        """Compare what is there with the sums of an earlier day: what is wrong comes again at once."""
        size = self._race.size
        if self._pieces is None or size is None:
            return
        loop = asyncio.get_running_loop()
        for number, promised in enumerate(self._pieces.sums):
            start, end = self._pieces.span(number, size)
            if number in self._checked or start >= end or not self._race.whole(start, end):
                continue
            if await loop.run_in_executor(None, self._partial.sum, start, end) == promised:
                self._checked.add(number)
                continue
            liars = len(self._race.liars)
            instructions = self._told(Disproved(start, end))
            for liar in self._race.liars[liars:]:
                self._fail(
                    liar, Trouble(TroubleKind.WRONG, f"{_WRONG}: one of its pieces was another when all was right")
                )
            await self._obey(instructions)

    async def _decide(self, event: RaceEvent) -> None:
        """Tell the race what has happened, and do what it says."""
        await self._obey(self._told(event))

    def _told(self, event: RaceEvent) -> list[Instruction]:
        """Return what the race says to an event, when it knows how far everybody is."""
        now = self._now()
        for fetch in self._fetches.values():
            self._race.handle(Arrived(fetch.claim, fetch.position), now)
        return self._race.handle(event, now)

    async def _obey(self, instructions: Sequence[Instruction]) -> None:
        self._keep_up()
        # Before anything is waited for: meanwhile bytes would come that others are asked for.
        for instruction in instructions:
            match instruction:
                case Ask(claim):
                    self._fetches[claim.number] = self._fetch_of(claim)
                case Shorten(claim, end):
                    self._fetches[claim.number].shorten(end)
                case _:
                    pass
        for instruction in instructions:
            match instruction:
                case Ask(claim):
                    self._tasks[claim.number] = asyncio.create_task(self._bring(self._fetches[claim.number]))
                case Drop(claim):
                    # Its last write is over before another begins at the same place.
                    await self._stop([claim.number])
                case Judge():
                    await self._judge()
                case Wait(until):
                    self._wait_until = until
                case Finished() | GaveUp():
                    self._over = instruction
                case Shorten() | Take() | Refuse():
                    pass  # done above; the others answer `Opened` alone
                case _:
                    assert_never(instruction)

    def _fetch_of(self, claim: Claim) -> ClaimFetch:
        source, validators = self._sources[claim.source], self._validators[claim.source]
        return ClaimFetch(self._session, source, validators, claim, self._partial, self._hear)

    async def _bring(self, fetch: ClaimFetch) -> None:
        claim = fetch.claim
        trouble: Trouble | TfTesterError | None = None
        try:
            self._asked[claim.source] = self._asked.get(claim.source, 0) + 1
            await fetch.run(self._race.size)
        except (Trouble, TfTesterError) as error:
            trouble = error
        self._ends.put_nowait((claim, trouble))

    def _hear(self, event: Opened | Stored) -> Sequence[Instruction]:
        """Hear what happens to a claim while its bytes come."""
        match event:
            case Opened():
                answer = self._race.handle(event, self._now())
                self._keep_up()
                return answer
            case Stored():
                self._stored(event)
                return ()
            case _:
                assert_never(event)

    def _keep_up(self) -> None:
        """Keep notes and hash up with what is held: what is no longer held is in neither."""
        if self._race.losses != self._losses:
            self._losses = self._race.losses
            self._partial.renote(self._race.segments)
            self._restart()

    def _stored(self, event: Stored) -> None:
        claim = event.claim
        self._spent[claim.source] = self._spent.get(claim.source, 0) + event.count
        if claim.number not in self._fetches:
            return  # it was dropped: others bring these bytes
        self._race.handle(event, self._now())
        if claim.heals:
            self._losses = self._race.losses  # the notes say who brought them last
            self._restart()  # and all is hashed when it has been brought
        else:
            self._follower.grown(self._race.frontier)
            self._download.arrival.frontier = self._race.frontier
        self._report(claim.source)
        if self._following is None or self._following.done():
            loop = asyncio.get_running_loop()
            self._following = loop.run_in_executor(None, self._follower.catch_up)
        self._unsynced += event.count
        if self._unsynced >= _SYNC_EVERY and (self._syncing is None or self._syncing.done()):
            self._unsynced = 0
            self._syncing = asyncio.get_running_loop().run_in_executor(None, self._partial.sync)

    def _restart(self) -> None:
        """Start again: what was there is brought anew."""
        self._follower.restart()
        self._download.arrival.frontier = 0
        self._download.arrival.generation += 1

    async def _followed(self) -> None:
        for work in (self._following, self._syncing):
            if work is not None:
                await asyncio.shield(work)

    async def _judge(self) -> None:
        """Let the store compare the hash; and tell what comes out."""
        await self._followed()
        self._partial.truncate(self._race.size)
        contributors = list(dict.fromkeys(segment.source for segment in self._race.segments))
        names = " and ".join(contributors)
        suspects = len(self._race.liars)
        loop = asyncio.get_running_loop()
        blobs, sha256 = self._download.blobs, self._download.sha256
        name = _named(contributors)
        try:
            self._path = await loop.run_in_executor(
                None, blobs.adopt, sha256, self._artifact.filename, name, self._follower
            )
        except WrongBytes:
            following = self._told(Judged(right=False))
            for validators in self._validators.values():
                validators.fresh, validators.etag = True, None
            if any(one.startswith(EARLIER) for one in contributors):
                self._earlier_in_doubt = True  # it is brought again first: nobody is named before that is over
            elif len(contributors) == 1:
                self._fail(names, Trouble(TroubleKind.WRONG, _WRONG))
            else:
                self._say(names, f"together {_WRONG}")
        else:
            following = self._told(Judged(right=True))
            for liar in self._race.liars[suspects:]:
                self._fail(liar, Trouble(TroubleKind.WRONG, f"{_WRONG}: with its part from others the file is right"))
            if self._earlier_in_doubt and not self._race.liars:
                self._say("store", "what had been fetched of it earlier was damaged: that was fetched again")
        await self._obey(following)

    async def _stop(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._fetches.pop(number, None)
        tasks = [self._tasks.pop(number) for number in numbers if number in self._tasks]
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    def _fail(self, source: str, trouble: Trouble) -> None:
        self._failures.append((source, trouble))
        self._say(source, trouble.reason)

    def _say(self, source: str, reason: str) -> None:
        self._download.tell(TransferTrouble(self._artifact.filename, source, reason))

    def _report(self, source: str) -> None:
        """Report how far it is, ten times a second at most."""
        now = time.monotonic()
        if now - self._reported >= _PROGRESS_EVERY:
            self._reported = now
            self._download.tell(
                TransferProgress(
                    self._download.sha256, self._artifact.filename, self._race.done, self._race.size, source
                )
            )

    def _finished(self, sources: Sequence[str]) -> Path:
        assert self._path is not None
        self._partial.forget_notes()
        size = self._race.size
        assert size is not None
        seconds = time.monotonic() - self._began
        self._learn_of(sources)
        self._download.tell(
            TransferFinished(
                sha256=self._download.sha256,
                filename=self._artifact.filename,
                size=size,
                received=self._partial.received,
                source=_named(sources),
                seconds=seconds,
                promised_by=self._artifact.promise.name,
                attested_by=self._download.attested_by,
            )
        )
        return self._path

    def _learn_of(self, sources: Sequence[str]) -> None:
        for name in self._race.liars:
            self._download.learn(SourceUse(name, right=False, speed=None))
        for name in sources:
            if name in self._sources:
                self._download.learn(SourceUse(name, right=True, speed=self._race.speed(name)))

    def _failed(self) -> DownloadFailed:
        if not self._race.segments:
            self._partial.remove()
        for name in self._race.liars:
            self._download.learn(SourceUse(name, right=False, speed=None))
        name, last = self._failures[-1]
        failed = DownloadFailed(
            f"{self._artifact.filename} can't be had: {name} {last.reason}",
            hint=_HINTS.get(last.kind, _HINT),
            detail="\n".join(
                f"{name}: {trouble.reason} ({display_url(self._sources[name].url)})"
                for name, trouble in _last_of_each(self._failures)
            ),
        )
        failed.lasting = all(trouble.kind in LASTING for _, trouble in _last_of_each(self._failures))
        failed.contradicts_index = any(
            name == AUTHORITY and trouble.kind in CONTRADICTING for name, trouble in self._failures
        )
        return failed

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _named(sources: Sequence[str]) -> str:
    """Name who brought a file, as one word for records; of earlier runs only where there is nobody else."""
    return "+".join(name for name in sources if not name.startswith(EARLIER)) or EARLIER


def _last_of_each(failures: Sequence[tuple[str, Trouble]]) -> list[tuple[str, Trouble]]:
    """Return troubles in the order in which the sources were left."""
    last: dict[str, Trouble] = {}
    for name, trouble in failures:
        last.pop(name, None)
        last[name] = trouble
    return list(last.items())
