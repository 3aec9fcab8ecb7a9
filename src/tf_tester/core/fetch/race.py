"""Who brings which bytes of one file: decisions only, no I/O, no clock.

Sources that have the same file run for it together. Each gets a span; whoever is ready first takes a part of what the
slowest still has to bring. A source that fails leaves what it brought, and the rest of its span goes to others. When
all bytes are there the whole file is judged by its hash. If that is wrong, the spans of one source after the other
are brought again by others and compared: the source whose replacement makes the file right has lied, and it cost no
more than its share. Nobody is named without that proof. In a large file sources that nobody knows are tried by one
piece first, which comes from another one, too.

Events go in, instructions come out (`core.fetch.claims`), both as values: nothing is shared with whoever performs them,
and the same events bring the same instructions. Times are seconds of any steady clock. A file that is too small to be
shared out is brought by one source at a time, in the order given.

    Tick, Ended, Failed ─► lanes, segments ─► Ask, Shorten, Drop, Wait ─► … ─► Judge ─► Judged ─► Finished, GaveUp
    Opened ─► Take, Refuse                                                       ▲         │ wrong
    Arrived, Stored ─► (noted)                                                   └─────────┘ spans of one again
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, auto
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

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
from tf_tester.core.fetch.retries import Retries, TroubleKind
from tf_tester.core.fetch.segments import Segment, Segments
from tf_tester.model.source import Source

_REST = 1.0
"""Seconds that a slow source is left alone after its span was given to another one."""
_PACE_OVER = 1.0
"""Seconds over which the pace of a claim is measured."""


class _Phase(Enum):
    RUNNING = auto()
    JUDGING = auto()
    OVER = auto()


class _Lane(Struct, eq=False):
    """The part of the race that one source runs."""

    source: Source
    retries: Retries
    speed: float | None
    """Bytes per second: remembered, then measured."""
    vouched: bool
    """It was right before, or another one has sent the same."""
    latency: float | None = None
    """Seconds from a question to the beginning of the answer."""
    out: bool = False
    """For this file."""
    doubted: bool = False
    """Others agree on something else than it has sent: not asked while one is left that isn't doubted."""
    first: tuple[int, int] | None = None
    """Its first piece, as long as it can be tried by it."""
    rests_until: float = 0.0
    ranges: bool = True


class _Progress(Struct, eq=False):
    """How far a claim has come."""

    claim: Claim
    start: int
    end: int | None
    """None: to the end of the file, wherever that is."""
    position: int
    """Where its next byte belongs; those before are on the disk."""
    begun: float
    """When it was asked for."""
    asked: float
    """The same; later, from when on its pace is measured."""
    measured: int
    """Where it was then."""
    tries: str = ""
    """Whose first piece it is, brought again to see what it is worth."""
    reached: int = 0
    """Bytes before it have come, and are on their way to the disk: nobody else need bring them."""
    differs: bool = False
    """Others were there before."""
    pace: float | None = None
    """Bytes per second, of the last seconds."""

    @property
    def left(self) -> int:
        assert self.end is not None
        return self.end - max(self.position, self.reached)

    def measure(self, now: float) -> float | None:
        """Return its pace; None where it is too early to tell."""
        passed, here = now - self.asked, max(self.position, self.reached)
        if passed >= _PACE_OVER:
            fresh = (here - self.measured) / passed
            self.pace = fresh if self.pace is None else (self.pace + fresh) / 2
            self.asked, self.measured = now, here
        elif self.pace is None and here > self.start and passed >= _PACE_OVER / 10:
            return (here - self.start) / passed
        return self.pace


class Race:
    """One file's."""

    def __init__(
        self,
        size: int | None,
        sources: Sequence[Source],
        *,
        held: Iterable[Segment] = (),
        terms: RaceTerms | None = None,
        retries: Retries | None = None,
    ) -> None:
        """Prepare a race. `sources`: the most wanted first. `held`: what earlier runs brought.

        `retries`: of each source.
        """
        self.size = size or None  # nobody would publish an empty file
        self._terms = terms or RaceTerms()
        retries = retries or Retries()
        self._lanes = {one.name: _Lane(one, retries, one.speed, one.proven) for one in sources}
        self._quarrel: tuple[str, str, int, int] | None = None
        """Two that have sent different bytes for a piece, of which the second one's are there: a third is to decide."""
        self._asked_again = False
        self._undisturbed = True
        """Nothing has shown yet that what others agree on may be wrong, too."""
        self._segments = Segments(held)
        if size is not None and self._segments.end > size:
            self._segments.clear()
        self._running: dict[int, _Progress] = {}
        """By the claims' numbers."""
        self._asked = 0
        """Claims so far."""
        self._phase = _Phase.RUNNING
        self._suspect: str | None = None
        """Whose spans are being brought again."""
        self._confirmed = True
        """Nothing that was brought again has differed."""
        self._tried: set[str] = set()
        """Who has been a suspect since the last change of another kind."""
        self.liars: list[str] = []
        """Sources that gave wrong bytes, proven."""

    def handle(self, event: RaceEvent, now: float) -> list[Instruction]:
        """Return what is to be done now; what is told of a claim that is no longer running changes nothing."""
        match event:
            case Tick():
                return self._go_on(now)
            case Opened(claim) | Arrived(claim) | Stored(claim) | Ended(claim) | Failed(claim):
                progress = self._running.get(claim.number)
                return [] if progress is None else self._told(progress, event, now)
            case Judged(right):
                return self._judged(now, right=right)
            case Disproved(start, end):
                return self._disproved(start, end, now)
            case _:
                assert_never(event)

    # -- events

    def _told(
        self, progress: _Progress, event: Opened | Arrived | Stored | Ended | Failed, now: float
    ) -> list[Instruction]:
        match event:
            case Opened():
                return [self._opened(progress, event, now)]
            case Arrived():
                progress.reached = event.position
                return []
            case Stored():
                self._stored(progress, event, now)
                return []
            case Ended():
                return self._ended(progress, now)
            case Failed():
                return self._failed(progress, event, now)
            case _:
                assert_never(event)

    def _opened(self, progress: _Progress, event: Opened, now: float) -> Take | Refuse:
        claim = progress.claim
        lane = self._lanes[claim.source]
        lane.latency = now - progress.begun
        if self.size is None and event.size is not None:
            self.size = event.size
            if self._segments.end > event.size:
                self._segments.clear()
                progress.start = progress.position = 0
            if progress.end is None:
                progress.end = event.size
        if not event.ranged:
            lane.ranges = False
            # It sends everything: worth it where it is the only one, or it was asked from the beginning.
            if not (claim.whole or progress.start == 0 or not self._others(claim.source)):
                return Refuse(claim)
        return Take(claim, progress.position, progress.end)

    def _stored(self, progress: _Progress, event: Stored, now: float) -> None:
        span = Segment(progress.position, progress.position + event.count, progress.claim.source)
        if progress.claim.heals:
            self._segments.remove(span.start, span.end)
        self._segments.add(span)
        progress.position = span.end
        progress.differs = progress.differs or event.differs
        self._measure(progress, now)

    def _ended(self, progress: _Progress, now: float) -> list[Instruction]:
        claim = progress.claim
        del self._running[claim.number]
        if self.size is None:
            if not progress.position:
                self._caught(claim.source)  # nobody would publish an empty file
                return self._go_on(now)
            self.size = progress.position
        if progress.tries:
            return self._tried_piece(progress) + self._go_on(now)
        lane = self._lanes[claim.source]
        if lane.first is None and not lane.vouched and self._suspect is None:
            lane.first = (progress.start, min(progress.position, progress.start + self._terms.share))
        self._confirmed = self._confirmed and not progress.differs
        return self._go_on(now)

    def _failed(self, progress: _Progress, event: Failed, now: float) -> list[Instruction]:
        claim = progress.claim
        del self._running[claim.number]
        lane = self._lanes[claim.source]
        if progress.tries:
            # The piece is of two sources now: nothing can be learnt from it any more.
            self._lanes[progress.tries].first, self._quarrel = None, None
        else:
            self._confirmed = self._confirmed and not progress.differs
        if event.kind is TroubleKind.RANGES and not claim.whole:
            lane.ranges = False  # it is asked for everything when nobody else is left
            return self._go_on(now)
        lane.retries, pause = lane.retries.after(
            event.kind, progressed=progress.position > progress.start, retry_after=event.retry_after
        )
        if pause is None:
            lane.out = True
        else:
            lane.rests_until = now + pause
        return self._go_on(now)

    def _judged(self, now: float, *, right: bool) -> list[Instruction]:
        if right:
            self._phase = _Phase.OVER
            if self._suspect is not None:
                self._caught(self._suspect)
            for lane in self._lanes.values() if self._undisturbed else ():
                if lane.doubted and lane.source.name not in self.liars:
                    self._caught(lane.source.name)  # the file is right, and that wasn't what it has sent
            return [Finished(self._by_share())]
        self._phase = _Phase.RUNNING
        self._undisturbed, self._quarrel = False, None
        for lane in self._lanes.values():
            lane.doubted, lane.first = False, None
        contributors = self._by_share()
        if len(contributors) == 1:
            self._segments.clear()
            self._tried.clear()
            self._suspect = None
            if self._others(contributors[0]) or self._asked_again:
                self._caught(contributors[0])
            self._asked_again = True  # the only one there is: a cache on the way may have been wrong, not it
        else:
            self._suspect_next()
        return self._go_on(now)

    def _disproved(self, start: int, end: int, now: float) -> list[Instruction]:
        names = {segment.source for segment in self._segments.within(start, end)}
        self._segments.remove(start, end)
        self._undisturbed = False
        dropped: list[Instruction] = []
        if len(names) == 1 and (name := names.pop()) in self._lanes and name not in self.liars:
            self._caught(name)
            dropped = self._dropped(name)
        return dropped + self._go_on(now)

    # -- what is known

    def whole(self, start: int, end: int) -> bool:
        """Return whether all bytes of a piece are there, and nobody is bringing any of them anew."""
        there = sum(min(one.end, end) - max(one.start, start) for one in self._segments.within(start, end))
        return there == end - start and not any(
            one.start < end and (one.end is None or one.end > start) and one.position < end
            for one in self._running.values()
        )

    @property
    def done(self) -> int:
        """Bytes on the disk."""
        return self._segments.total

    @property
    def frontier(self) -> int:
        """All bytes before it are on the disk."""
        return self._segments.frontier

    @property
    def losses(self) -> int:
        """How often bytes that were there have been given up: notes of them, and what was hashed, are void."""
        return self._segments.losses

    @property
    def segments(self) -> tuple[Segment, ...]:
        return tuple(self._segments)

    def speed(self, source: str) -> float | None:
        return self._lanes[source].speed

    def _by_share(self) -> tuple[str, ...]:
        shares: dict[str, int] = {}
        for segment in self._segments:
            shares[segment.source] = shares.get(segment.source, 0) + segment.size
        return tuple(sorted(shares, key=lambda name: -shares[name]))

    # -- decisions

    def _go_on(self, now: float) -> list[Instruction]:
        instructions: list[Instruction] = []
        while self._phase is _Phase.RUNNING and len(self._running) < self._places():
            order = self._next(now)
            if order is None:
                break
            instructions += order
        if self._phase is not _Phase.RUNNING or self._running:
            return instructions
        if self.size is not None and next(self._gaps(), None) is None:
            return instructions + self._complete(now)
        resting = [one.rests_until for one in self._lanes.values() if not one.out and one.rests_until > now]
        if resting:
            return [*instructions, Wait(min(resting))]
        if self._suspect is not None:
            self._suspect_next()  # nobody is left who could replace what it brought
            return instructions + self._go_on(now)
        self._phase = _Phase.OVER
        return [*instructions, GaveUp()]

    def _complete(self, now: float) -> list[Instruction]:
        """Return what is to be done when all bytes are there."""
        if self._suspect is not None and self._confirmed:
            # Others say the same: the file is what it was, and it was wrong.
            self._suspect_next()
            return self._go_on(now)
        self._phase = _Phase.JUDGING
        return [Judge()]

    def _next(self, now: float) -> list[Instruction] | None:
        """Return one more claim, if anybody is free and there is something for him."""
        free = self._free(now)
        for lane in free:
            if order := self._trial(lane, now):
                return order
            if order := self._work_for(lane, now, self._allowance(lane)):
                return order
        if free and not self._running:
            return self._work_for(free[0], now, 1 << 62) or None  # better an unproven one than none
        return None

    def _free(self, now: float) -> list[_Lane]:
        """Return the sources that may be asked now, the most wanted first."""
        usable = [one for one in self._lanes.values() if not one.out and one.source.name != self._suspect]
        if any(not one.doubted for one in usable):
            usable = [one for one in usable if not one.doubted]
        if any(not one.source.reserve for one in usable):
            usable = [one for one in usable if not one.source.reserve]
        busy = {one.claim.source for one in self._running.values()}
        free = [one for one in usable if one.source.name not in busy and one.rests_until <= now]
        return sorted(free, key=lambda one: not one.ranges)

    def _others(self, name: str) -> bool:
        return any(one.source.name not in (name, self._suspect) and not one.out for one in self._lanes.values())

    def _places(self) -> int:
        return 1 if self.size is None else max(1, self.size // self._terms.share)

    def _work_for(self, lane: _Lane, now: float, allowed: int) -> list[Instruction]:
        gap = next(self._gaps(), None)
        if gap is None:
            return self._stolen(lane, now, allowed) if lane.ranges else []
        start, end = gap
        if not lane.ranges and start > 0 and self._running:
            return []
        if end is not None:
            part = min(self._part(lane, end - start, now), allowed)
            if part <= 0:
                return []
            # What is left over must be worth a request.
            end = end if end - start - part < self._terms.steal else start + part
        return [self._ask(lane, start, end, now)]

    def _part(self, lane: _Lane, gap: int, now: float) -> int:
        """Return what a source gets of a gap, as it would be shared out among all that are free; a piece at the most.

        Pieces from the front on, not one long span for each: a hash goes from the front, too, and would have most of
        the file left to read when the last byte has come.
        """
        if gap <= self._terms.share:
            return gap
        places = self._places() - len(self._running)
        together = self._free(now)[: max(1, places)]
        if lane not in together or len(together) == 1:
            return min(gap, self._piece(lane)) if self._running else gap
        known = [one.speed for one in together if one.speed]
        usual = sum(known) / len(known) if known else 1.0
        speeds = {one.source.name: one.speed or usual for one in together}
        part = int(gap * speeds[lane.source.name] / sum(speeds.values()))
        return min(gap, max(part, self._terms.steal), self._piece(lane))

    def _piece(self, lane: _Lane) -> int:
        """Return what is asked of a source at once while others run, too."""
        least = max(self._terms.share, (self.size or 0) // self._terms.pieces)
        if lane.latency is None or lane.speed is None:
            return least
        return max(least, int(lane.speed * lane.latency * self._terms.latencies))

    def _stolen(self, lane: _Lane, now: float, allowed: int) -> list[Instruction]:
        """Return a part of what the slowest has still to bring."""
        paces = [(one, self._measure(one, now)) for one in self._running.values()]
        # Who has not said anything yet is taken to be as fast as others until his time is over.
        usual = lane.speed or max((pace for _, pace in paces if pace), default=1.0)
        victims = [
            (one, usual if pace is None else pace)
            for one, pace in paces
            if one.end is not None and not one.claim.whole and not one.tries and one.left > 0
        ]
        if not victims:
            return []
        victim, slow = max(victims, key=lambda pair: pair[0].left / pair[1])
        assert victim.end is not None
        end, claim = victim.end, victim.claim
        keeps = int(victim.left * slow / (slow + usual))
        # What is brought again is compared with what was there: not with what a dropped one left on its way out.
        if keeps < self._terms.steal and slow < usual / 2 and allowed >= victim.left and not claim.heals:
            del self._running[claim.number]
            self._lanes[claim.source].rests_until = now + _REST  # not to take it back at once
            return [Drop(claim), self._ask(lane, victim.position, end, now)]
        takes = min(victim.left - keeps, allowed)
        if takes < self._terms.steal:
            return []
        victim.end = end - takes
        return [Shorten(claim, victim.end), self._ask(lane, victim.end, end, now)]

    def _measure(self, progress: _Progress, now: float) -> float | None:
        lane = self._lanes[progress.claim.source]
        pace = progress.measure(now)
        if pace is None:
            return lane.speed
        lane.speed = max(pace, 1.0)
        return lane.speed

    def _ask(self, lane: _Lane, start: int, end: int | None, now: float, *, tries: str = "") -> Ask:
        """Make a claim of a span. `tries`: whose piece it is, brought again."""
        again = self._suspect is not None and bool(self._segments.within(start, start + 1))
        self._asked += 1
        claim = Claim(self._asked, lane.source.name, start, end, whole=not lane.ranges, heals=again or bool(tries))
        self._running[claim.number] = _Progress(
            claim, start, end, position=start, begun=now, asked=now, measured=start, tries=tries
        )
        return Ask(claim)

    def _allowance(self, lane: _Lane) -> int:
        """Return bytes that it may still bring: what one that lies has brought has to be brought again."""
        if self.size is None or self._places() == 1 or lane.vouched:
            return 1 << 62
        proven = [
            one.speed
            for one in self._lanes.values()
            if one.vouched and not (one.out or one.doubted or one.source.reserve or one.source.name == self._suspect)
        ]
        known = [speed for speed in proven if speed is not None]
        if not proven or (lane.speed and len(known) == len(proven) and sum(known) < lane.speed / 2):
            return 1 << 62
        has = sum(segment.size for segment in self._segments if segment.source == lane.source.name)
        return max(0, int(self.size * self._terms.unproven) - has)

    # -- trials of sources that nobody knows

    def _trial(self, lane: _Lane, now: float) -> list[Instruction] | None:
        """Return a piece to be brought again by this one, if that can tell something; one at a time."""
        busy = self._suspect is not None or any(one.tries for one in self._running.values())
        if busy or self._places() < self._terms.trial or not lane.ranges:
            return None
        name = lane.source.name
        if self._quarrel is not None:
            first, second, start, end = self._quarrel
            return None if name in (first, second) else [self._ask(lane, start, end, now, tries=second)]
        for other in self._lanes.values():
            if other is lane or other.vouched or other.doubted or other.first is None:
                continue
            start, end = other.first
            own = [one for one in self._segments.within(start, end) if one.source == other.source.name]
            if sum(min(one.end, end) - max(one.start, start) for one in own) != end - start:
                other.first = None
            elif not self._is_worth_it(other) or (lane.vouched and self._unknown(other)):
                continue  # with two that nobody knows, one piece tells of both
            elif lane.vouched or self._third(lane, other):
                return [self._ask(lane, start, end, now, tries=other.source.name)]
        return None

    def _is_worth_it(self, other: _Lane) -> bool:
        """Return whether it is worth a trial: a slow one brings little, and what it may spoil must be less than what
        trying costs.
        """
        fastest = max((one.speed or 0.0 for one in self._lanes.values()), default=0.0)
        return (other.speed or 0.0) >= fastest / 4

    def _unknown(self, besides: _Lane) -> bool:
        """Return whether another one is there that nobody knows."""
        return any(
            not (one is besides or one.vouched or one.out or one.doubted or one.source.reserve)
            and one.ranges
            and self._is_worth_it(one)
            for one in self._lanes.values()
        )

    def _third(self, one: _Lane, other: _Lane) -> bool:
        """Return whether somebody is there who could decide between two."""
        return any(
            third not in (one, other) and not third.out and not third.doubted and third.ranges
            for third in self._lanes.values()
        )

    def _tried_piece(self, progress: _Progress) -> list[Instruction]:
        """Return what a piece that came twice tells."""
        source = progress.claim.source
        tried, other = self._lanes[progress.tries], self._lanes[source]
        tried.first = None
        if self._quarrel is not None:
            first, second, _, _ = self._quarrel
            self._quarrel = None
            if progress.differs:
                return self._doubt(second)
            tried.vouched = other.vouched = True
            return self._doubt(first)
        if not progress.differs:
            tried.vouched = other.vouched = True
        elif other.vouched:
            return self._doubt(progress.tries)
        else:
            self._quarrel = (progress.tries, source, progress.start, progress.position)
        return []

    def _doubt(self, name: str) -> list[Instruction]:
        """Do without a source, and without what it has brought, as long as that is possible."""
        self._lanes[name].doubted = True
        for segment in [one for one in self._segments if one.source == name]:
            self._segments.remove(segment.start, segment.end)
        return self._dropped(name)

    def _dropped(self, name: str) -> list[Instruction]:
        """Drop what a source is bringing."""
        claims = [one.claim for one in self._running.values() if one.claim.source == name]
        for claim in claims:
            del self._running[claim.number]
        return [Drop(claim) for claim in claims]

    def _gaps(self) -> Iterator[tuple[int, int | None]]:
        """Yield spans that nobody has brought or is bringing, in order; the last may have no end yet."""
        if self.size is None:
            if not self._running:
                yield self._segments.end, None
            return
        claimed = [Segment(one.position, one.end or self.size, one.claim.source) for one in self._running.values()]
        there = [s for s in self._segments if s.source != self._suspect]
        taken = sorted([*there, *claimed], key=lambda span: span.start)
        position = 0
        for span in taken:
            if span.start > position:
                yield position, span.start
            position = max(position, span.end)
        if position < self.size:
            yield position, self.size

    def _suspect_next(self) -> None:
        """Have another source's spans brought again; when all had their turn, begin anew."""
        if self._suspect is not None:
            self._tried.add(self._suspect)
        self._suspect, self._confirmed = None, True
        shares = self._by_share()
        candidates = [name for name in shares if name not in self._tried and self._others(name)]
        if not candidates:
            # Several lie, and each other's lies were compared: everything from one source, then from the next.
            self._segments.clear()
            self._tried.clear()
            self._terms = replace(self._terms, share=1 << 62)
            return

        def suspicion(name: str) -> tuple[bool, bool, int]:
            lane = self._lanes.get(name)
            known = lane is not None
            return known, lane is not None and lane.source.proven, -shares.index(name)

        self._suspect = min(candidates, key=suspicion)

    def _caught(self, name: str) -> None:
        lane = self._lanes.get(name)
        if lane is not None:
            lane.out = True
            self.liars.append(name)
