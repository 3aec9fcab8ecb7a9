"""Who brings which bytes of one file: decisions only, no I/O, no clock.

Sources that have the same file run for it together. Each gets a span; whoever is ready first takes a part of what the
slowest still has to bring. A source that fails leaves what it brought, and the rest of its span goes to others. When
all bytes are there the whole file is judged by its hash. If that is wrong, the spans of one source after the other
are brought again by others and compared: the source whose replacement makes the file right has lied, and it cost no
more than its share. Nobody is named without that proof. In a large file sources that nobody knows are tried by one
piece first, which comes from another one, too.

Events come in as calls, instructions go out as their results; times are seconds of any steady clock. A file that is
too small to be shared out is brought by one source at a time, in the order given.

    ended/failed/received ─► claims, segments ─► Ask, Shorten, Drop ─► … ─► Judge ─► judged ─► Finished
                                                                             ▲                    │ wrong
                                                                             └── spans of one ◄───┘
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, auto

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.claims import Ask, Claim, Drop, Finished, GaveUp, Instruction, Judge, Runner, Terms, Wait
from tf_tester.core.retries import Retries, TroubleKind
from tf_tester.core.segments import Segment, Segments

_REST = 1.0
"""Seconds that a slow source is left alone after its span was given to another one."""


class _State(Enum):
    RUNNING = auto()
    JUDGING = auto()
    OVER = auto()


class _Entrant(Struct):
    """What the race knows of a source."""

    runner: Runner
    retries: Retries
    speed: float | None
    latency: float | None = None
    """Seconds from a question to the beginning of the answer."""
    out: bool = False
    """For this file."""
    vouched: bool = False
    """It was right before, or another one has sent the same."""
    doubted: bool = False
    """Others agree on something else than it has sent: not asked while one is left that isn't doubted."""
    first: tuple[int, int] | None = None
    """Its first piece, as long as it can be tried by it."""
    rests_until: float = 0.0
    ranges: bool = True


class Race:
    """One file's; every method returns what is to be done now."""

    def __init__(
        self,
        size: int | None,
        runners: Sequence[Runner],
        *,
        held: Iterable[Segment] = (),
        terms: Terms | None = None,
        retries: Retries | None = None,
    ) -> None:
        """`runners`: the most wanted first. `held`: what earlier runs brought. `retries`: of each source."""
        self.size = size or None  # nobody would publish an empty file
        self._terms = terms or Terms()
        retries = retries or Retries()
        self._entrants = {one.name: _Entrant(one, retries, one.speed, vouched=one.proven) for one in runners}
        self._quarrel: tuple[str, str, int, int] | None = None
        """Two that have sent different bytes for a piece, of which the second one's are there: a third is to decide."""
        self._asked_again = False
        self._undisturbed = True
        """Nothing has shown yet that what others agree on may be wrong, too."""
        self._segments = Segments(held)
        if size is not None and self._segments.end > size:
            self._segments.clear()
        self._claims: list[Claim] = []
        self._state = _State.RUNNING
        self._suspect: str | None = None
        """Whose spans are being brought again."""
        self._confirmed = True
        """Nothing that was brought again has differed."""
        self._tried: set[str] = set()
        """Who has been a suspect since the last change of another kind."""
        self.liars: list[str] = []
        """Sources that gave wrong bytes, proven."""

    # -- events

    def begin(self, now: float) -> list[Instruction]:
        """The first instructions."""
        return self._go_on(now)

    def tick(self, now: float) -> list[Instruction]:
        """Time has passed: a source may be asked again, a slow one relieved."""
        return self._go_on(now) if self._state is _State.RUNNING else []

    def opened(self, claim: Claim, size: int | None, now: float, *, ranged: bool) -> bool:
        """An answer begins: the file's size as its sender says, and whether it keeps to the range asked for.

        False: it is of no use here; the claim is to be given up as `failed` with `TroubleKind.RANGES`.
        """
        self._entrants[claim.source].latency = now - claim.begun
        if self.size is None and size is not None:
            self.size = size
            if self._segments.end > size:
                self._segments.clear()
                claim.start = claim.position = 0
            if claim.end is None:
                claim.end = size
        if not ranged:
            self._entrants[claim.source].ranges = False
            # It sends everything: worth it where it is the only one, or it was asked from the beginning.
            return claim.whole or claim.start == 0 or not self._others(claim.source)
        return True

    def received(self, claim: Claim, count: int, now: float) -> None:
        """So many more bytes of a claim are on the disk."""
        if claim.heals:
            self._segments.remove(claim.position, claim.position + count)
        self._segments.add(Segment(claim.position, claim.position + count, claim.source))
        claim.position += count
        self._measure(claim, now)

    def ended(self, claim: Claim, now: float) -> list[Instruction]:
        """A claim is complete; one whose end was not known ends where its source says that the file ends."""
        if claim not in self._claims:
            return []
        self._claims.remove(claim)
        if self.size is None:
            self.size = claim.position
        if claim.tries:
            return self._tried_piece(claim) + self._go_on(now)
        entrant = self._entrants[claim.source]
        if entrant.first is None and not entrant.vouched and self._suspect is None:
            entrant.first = (claim.start, min(claim.position, claim.start + self._terms.share))
        self._confirmed = self._confirmed and not claim.differs
        return self._go_on(now)

    def failed(
        self, claim: Claim, kind: TroubleKind, now: float, *, retry_after: float | None = None
    ) -> list[Instruction]:
        """A source has failed; what it brought stays."""
        if claim not in self._claims:
            return []
        self._claims.remove(claim)
        entrant = self._entrants[claim.source]
        if claim.tries:
            # The piece is of two sources now: nothing can be learnt from it any more.
            self._entrants[claim.tries].first, self._quarrel = None, None
        else:
            self._confirmed = self._confirmed and not claim.differs
        if kind is TroubleKind.RANGES and not claim.whole:
            entrant.ranges = False  # it is asked for everything when nobody else is left
            return self._go_on(now)
        entrant.retries, pause = entrant.retries.after(
            kind, progressed=claim.position > claim.start, retry_after=retry_after
        )
        if pause is None:
            entrant.out = True
        else:
            entrant.rests_until = now + pause
        return self._go_on(now)

    def judged(self, right: bool, now: float) -> list[Instruction]:
        """The whole file's hash was compared."""
        if right:
            self._state = _State.OVER
            if self._suspect is not None:
                self._caught(self._suspect)
            for entrant in self._entrants.values() if self._undisturbed else ():
                if entrant.doubted and entrant.runner.name not in self.liars:
                    self._caught(entrant.runner.name)  # the file is right, and that wasn't what it has sent
            return [Finished(self._by_share())]
        self._state = _State.RUNNING
        self._undisturbed, self._quarrel = False, None
        for entrant in self._entrants.values():
            entrant.doubted, entrant.first = False, None
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

    def disproved(self, start: int, end: int, now: float) -> list[Instruction]:
        """A piece is not what it was when the file was right: it has to come again, and whoever brought it has lied."""
        names = {segment.source for segment in self._segments.within(start, end)}
        self._segments.remove(start, end)
        self._undisturbed = False
        dropped: list[Instruction] = []
        if len(names) == 1 and (name := names.pop()) in self._entrants and name not in self.liars:
            self._caught(name)
            for claim in [claim for claim in self._claims if claim.source == name]:
                self._claims.remove(claim)
                dropped.append(Drop(claim))
        return dropped + self._go_on(now)

    # -- what is known

    def whole(self, start: int, end: int) -> bool:
        """Whether all bytes of a piece are there, and nobody is bringing any of them anew."""
        there = sum(min(one.end, end) - max(one.start, start) for one in self._segments.within(start, end))
        return there == end - start and not any(
            claim.start < end and (claim.end is None or claim.end > start) and claim.position < end
            for claim in self._claims
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
        return self._entrants[source].speed

    def _by_share(self) -> tuple[str, ...]:
        shares: dict[str, int] = {}
        for segment in self._segments:
            shares[segment.source] = shares.get(segment.source, 0) + segment.size
        return tuple(sorted(shares, key=lambda name: -shares[name]))

    # -- decisions

    def _go_on(self, now: float) -> list[Instruction]:
        instructions: list[Instruction] = []
        while self._state is _State.RUNNING and len(self._claims) < self._places():
            order = self._next(now)
            if order is None:
                break
            instructions += order
        if self._state is not _State.RUNNING or self._claims:
            return instructions
        if self.size is not None and next(self._gaps(), None) is None:
            return instructions + self._complete(now)
        resting = [one.rests_until for one in self._entrants.values() if not one.out and one.rests_until > now]
        if resting:
            return [*instructions, Wait(min(resting))]
        if self._suspect is not None:
            self._suspect_next()  # nobody is left who could replace what it brought
            return instructions + self._go_on(now)
        self._state = _State.OVER
        return [*instructions, GaveUp()]

    def _complete(self, now: float) -> list[Instruction]:
        """All bytes are there."""
        if self._suspect is not None and self._confirmed:
            # Others say the same: the file is what it was, and it was wrong.
            self._suspect_next()
            return self._go_on(now)
        self._state = _State.JUDGING
        return [Judge()]

    def _next(self, now: float) -> list[Instruction] | None:
        """One more claim, if anybody is free and there is something for him."""
        free = self._free(now)
        for entrant in free:
            if order := self._trial(entrant, now):
                return order
            if order := self._work_for(entrant, now, self._allowance(entrant)):
                return order
        if free and not self._claims:
            return self._work_for(free[0], now, 1 << 62) or None  # better an unproven one than none
        return None

    def _free(self, now: float) -> list[_Entrant]:
        """The sources that may be asked now, the most wanted first."""
        usable = [one for one in self._entrants.values() if not one.out and one.runner.name != self._suspect]
        if any(not one.doubted for one in usable):
            usable = [one for one in usable if not one.doubted]
        if any(not one.runner.reserve for one in usable):
            usable = [one for one in usable if not one.runner.reserve]
        busy = {claim.source for claim in self._claims}
        free = [one for one in usable if one.runner.name not in busy and one.rests_until <= now]
        return sorted(free, key=lambda one: not one.ranges)

    def _others(self, name: str) -> bool:
        return any(one.runner.name not in (name, self._suspect) and not one.out for one in self._entrants.values())

    def _places(self) -> int:
        return 1 if self.size is None else max(1, self.size // self._terms.share)

    def _work_for(self, entrant: _Entrant, now: float, allowed: int) -> list[Instruction]:
        gap = next(self._gaps(), None)
        if gap is None:
            return self._stolen(entrant, now, allowed) if entrant.ranges else []
        start, end = gap
        if not entrant.ranges and start > 0 and self._claims:
            return []
        if end is not None:
            part = min(self._part(entrant, end - start, now), allowed)
            if part <= 0:
                return []
            # What is left over must be worth a request.
            end = end if end - start - part < self._terms.steal else start + part
        return [self._claim(entrant, start, end, now)]

    def _part(self, entrant: _Entrant, gap: int, now: float) -> int:
        """What a source gets of a gap, as it would be shared out among all that are free; a piece at the most.

        Pieces from the front on, not one long span for each: a hash goes from the front, too, and would have most of
        the file left to read when the last byte has come.
        """
        if gap <= self._terms.share:
            return gap
        places = self._places() - len(self._claims)
        together = self._free(now)[: max(1, places)]
        if entrant not in together or len(together) == 1:
            return min(gap, self._piece(entrant)) if self._claims else gap
        known = [one.speed for one in together if one.speed]
        usual = sum(known) / len(known) if known else 1.0
        speeds = {one.runner.name: one.speed or usual for one in together}
        part = int(gap * speeds[entrant.runner.name] / sum(speeds.values()))
        return min(gap, max(part, self._terms.steal), self._piece(entrant))

    def _piece(self, entrant: _Entrant) -> int:
        """What is asked of a source at once while others run, too."""
        least = max(self._terms.share, (self.size or 0) // self._terms.pieces)
        if entrant.latency is None or entrant.speed is None:
            return least
        return max(least, int(entrant.speed * entrant.latency * self._terms.latencies))

    def _stolen(self, entrant: _Entrant, now: float, allowed: int) -> list[Instruction]:
        """A part of what the slowest has still to bring."""
        paces = {claim: self._measure(claim, now) for claim in self._claims}
        victims = [claim for claim in paces if claim.end is not None and not claim.whole and not claim.tries]
        victims = [claim for claim in victims if claim.left > 0]
        if not victims:
            return []
        # Who has not said anything yet is taken to be as fast as others until his time is over.
        usual = entrant.speed or max((pace for pace in paces.values() if pace), default=1.0)
        its = {claim: usual if pace is None else pace for claim, pace in paces.items()}
        victim = max(victims, key=lambda claim: claim.left / its[claim])
        assert victim.end is not None
        end, slow = victim.end, its[victim]
        keeps = int(victim.left * slow / (slow + usual))
        # What is brought again is compared with what was there: not with what a dropped one left on its way out.
        if keeps < self._terms.steal and slow < usual / 2 and allowed >= victim.left and not victim.heals:
            self._claims.remove(victim)
            self._entrants[victim.source].rests_until = now + _REST  # not to take it back at once
            return [Drop(victim), self._claim(entrant, victim.position, end, now)]
        takes = min(victim.left - keeps, allowed)
        if takes < self._terms.steal:
            return []
        victim.end = end - takes
        return [self._claim(entrant, end - takes, end, now)]

    def _measure(self, claim: Claim, now: float) -> float | None:
        pace = claim.measure(now)
        if pace is None:
            return self._entrants[claim.source].speed
        self._entrants[claim.source].speed = max(pace, 1.0)
        return max(pace, 1.0)

    def _claim(self, entrant: _Entrant, start: int, end: int | None, now: float, *, tries: str = "") -> Ask:
        """`tries`: whose piece it is, brought again."""
        again = self._suspect is not None and bool(self._segments.within(start, start + 1))
        claim = Claim(
            entrant.runner.name,
            start,
            end,
            whole=not entrant.ranges,
            heals=again or bool(tries),
            tries=tries,
            position=start,
            begun=now,
            asked=now,
            measured=start,
        )
        self._claims.append(claim)
        return Ask(claim)

    def _allowance(self, entrant: _Entrant) -> int:
        """Bytes that it may still bring: what one that lies has brought has to be brought again."""
        if self.size is None or self._places() == 1 or entrant.vouched:
            return 1 << 62
        proven = [
            one.speed
            for one in self._entrants.values()
            if one.vouched and not (one.out or one.doubted or one.runner.reserve or one.runner.name == self._suspect)
        ]
        known = [speed for speed in proven if speed is not None]
        if not proven or (entrant.speed and len(known) == len(proven) and sum(known) < entrant.speed / 2):
            return 1 << 62
        has = sum(segment.size for segment in self._segments if segment.source == entrant.runner.name)
        return max(0, int(self.size * self._terms.unproven) - has)

    # -- trials of sources that nobody knows

    def _trial(self, entrant: _Entrant, now: float) -> list[Instruction] | None:
        """A piece to be brought again by this one, if that can tell something; one at a time."""
        busy = self._suspect is not None or any(claim.tries for claim in self._claims)
        if busy or self._places() < self._terms.trial or not entrant.ranges:
            return None
        name = entrant.runner.name
        if self._quarrel is not None:
            first, second, start, end = self._quarrel
            return None if name in (first, second) else [self._claim(entrant, start, end, now, tries=second)]
        for other in self._entrants.values():
            if other is entrant or other.vouched or other.doubted or other.first is None:
                continue
            start, end = other.first
            own = [one for one in self._segments.within(start, end) if one.source == other.runner.name]
            if sum(min(one.end, end) - max(one.start, start) for one in own) != end - start:
                other.first = None
            elif not self._is_worth_it(other) or (entrant.vouched and self._unknown(other)):
                continue  # with two that nobody knows, one piece tells of both
            elif entrant.vouched or self._third(entrant, other):
                return [self._claim(entrant, start, end, now, tries=other.runner.name)]
        return None

    def _is_worth_it(self, other: _Entrant) -> bool:
        """A slow one brings little: what it may spoil is less than what trying it costs."""
        fastest = max((one.speed or 0.0 for one in self._entrants.values()), default=0.0)
        return (other.speed or 0.0) >= fastest / 4

    def _unknown(self, besides: _Entrant) -> bool:
        """Whether another one is there that nobody knows."""
        return any(
            not (one is besides or one.vouched or one.out or one.doubted or one.runner.reserve)
            and one.ranges
            and self._is_worth_it(one)
            for one in self._entrants.values()
        )

    def _third(self, one: _Entrant, other: _Entrant) -> bool:
        """Whether somebody is there who could decide between two."""
        return any(
            third not in (one, other) and not third.out and not third.doubted and third.ranges
            for third in self._entrants.values()
        )

    def _tried_piece(self, claim: Claim) -> list[Instruction]:
        """What a piece that came twice tells."""
        tried, other = self._entrants[claim.tries], self._entrants[claim.source]
        tried.first = None
        if self._quarrel is not None:
            first, second, _, _ = self._quarrel
            self._quarrel = None
            if claim.differs:
                return self._doubt(second)
            tried.vouched = other.vouched = True
            return self._doubt(first)
        if not claim.differs:
            tried.vouched = other.vouched = True
        elif other.vouched:
            return self._doubt(claim.tries)
        else:
            self._quarrel = (claim.tries, claim.source, claim.start, claim.position)
        return []

    def _doubt(self, name: str) -> list[Instruction]:
        """Do without a source, and without what it has brought, as long as that is possible."""
        self._entrants[name].doubted = True
        for segment in [one for one in self._segments if one.source == name]:
            self._segments.remove(segment.start, segment.end)
        dropped = [claim for claim in self._claims if claim.source == name]
        self._claims = [claim for claim in self._claims if claim.source != name]
        return [Drop(claim) for claim in dropped]

    def _gaps(self) -> Iterator[tuple[int, int | None]]:
        """Spans that nobody has brought or is bringing, in order; the last may have no end yet."""
        if self.size is None:
            if not self._claims:
                yield self._segments.end, None
            return
        claimed = [Segment(c.position, c.end or self.size, c.source) for c in self._claims]
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
            entrant = self._entrants.get(name)
            known = entrant is not None
            return known, entrant is not None and entrant.runner.proven, -shares.index(name)

        self._suspect = min(candidates, key=suspicion)

    def _caught(self, name: str) -> None:
        entrant = self._entrants.get(name)
        if entrant is not None:
            entrant.out = True
            self.liars.append(name)
