"""Whatever the sources do, in whatever order: the file that comes out is right, and nobody is wronged."""

import functools
import heapq
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tf_tester.core.fetch.claims import (
    Arrived,
    Ask,
    Claim,
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
from tf_tester.core.fetch.retries import Retries, TroubleKind
from tf_tester.core.fetch.segments import EARLIER, Segment
from tf_tester.model.source import Source

TERMS = RaceTerms(share=100, steal=20)
LARGEST = 30_100
RIGHT = bytes((position * 7 + 3) % 251 for position in range(LARGEST))
"""The file of every play: its beginning, as long as that play says."""


@dataclass(frozen=True)
class Mirror:
    """A source of a play."""

    name: str
    pace: float = 100.0
    """Bytes per second."""
    latency: float = 0.05
    lies_at: frozenset[int] = frozenset()
    """Where its file is another one."""
    refuses: bool = False
    cuts_after: int = 0
    """Each of its answers; 0: never."""
    stalls_after: int = 0
    ignores_ranges: bool = False
    proven: bool = False
    reserve: bool = False

    @property
    def lies(self) -> bool:
        return bool(self.lies_at)

    @property
    def is_able(self) -> bool:
        """Whether it brings a right file all by itself."""
        return not (self.lies or self.refuses or self.cuts_after or self.stalls_after)

    @functools.cached_property
    def content(self) -> bytes:
        content = bytearray(RIGHT)
        for position in self.lies_at:
            content[position] += 1
        return bytes(content)


class _Failure(Exception):
    def __init__(self, kind: TroubleKind) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass
class Fetch:
    """What the adapter knows of a claim: what it was told, and how far it is."""

    claim: Claim
    position: int
    end: int | None


@dataclass
class Play:
    """A race in a world of its own, with its own time."""

    size: int
    mirrors: Sequence[Mirror]
    held: Sequence[Segment] = ()
    told_size: bool = True
    terms: RaceTerms = TERMS
    time: float = 0.0
    moved: dict[str, int] = field(default_factory=dict)
    """Bytes that came from each."""
    end: Finished | GaveUp | None = None
    judgements: int = 0
    told: list[tuple[float, RaceEvent, list[Instruction]]] = field(default_factory=list)
    """All events, and what the race said to each."""

    def __post_init__(self) -> None:
        self.race = self.fresh_race()
        self.disk = bytearray(4 * self.size + 10)
        self.by_name = {mirror.name: mirror for mirror in self.mirrors}
        for segment in self.held:
            writer = self.by_name.get(segment.source, Mirror(EARLIER))
            self.disk[segment.start : segment.end] = writer.content[segment.start : segment.end]
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._fetches: dict[int, Fetch] = {}
        self._steps: dict[int, Iterator[float]] = {}

    def fresh_race(self) -> Race:
        sources = [Source(m.name, "", proven=m.proven, reserve=m.reserve) for m in self.mirrors]
        size = self.size if self.told_size else None
        return Race(size, sources, held=self.held, terms=self.terms, retries=Retries())

    def run(self) -> "Play":
        self._decide(Tick())
        self._at(0.5, self._tick)
        for _ in range(200_000):
            if self.end is not None:
                return self
            self.time, _, happen = heapq.heappop(self._queue)
            happen()
        raise AssertionError("it goes on for ever")

    @property
    def is_right(self) -> bool:
        return self.disk[: self.size] == RIGHT[: self.size]

    def tell(self, event: RaceEvent) -> list[Instruction]:
        instructions = self.race.handle(event, self.time)
        self.told.append((self.time, event, instructions))
        return instructions

    def _at(self, time: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (time, next(self._order), happen))

    def _tick(self) -> None:
        self._decide(Tick())
        if self.end is None:
            self._at(self.time + 0.5, self._tick)

    def _decide(self, event: RaceEvent) -> None:
        for fetch in self._fetches.values():
            self.tell(Arrived(fetch.claim, fetch.position))
        for instruction in self.tell(event):
            match instruction:
                case Ask(claim):
                    assert claim.source not in {one.claim.source for one in self._fetches.values()}, "one at a time"
                    fetch = self._fetches[claim.number] = Fetch(claim, claim.start, claim.end)
                    self._steps[claim.number] = self._bring(fetch, self.by_name[claim.source])
                    self._at(self.time, lambda fetch=fetch: self._step(fetch))  # type: ignore[misc]
                case Shorten(claim, end):
                    fetch = self._fetches[claim.number]
                    assert fetch.position <= end < (fetch.end or self.size + 1), "what has come is never cut off"
                    fetch.end = end
                case Drop(claim):
                    del self._fetches[claim.number]
                case Judge():
                    self.judgements += 1
                    assert not self._fetches
                    self._at(self.time, lambda: self._decide(Judged(self.is_right)))
                case Wait(until):
                    assert until > self.time
                    self._at(until, lambda: self._decide(Tick()))
                case Finished() | GaveUp():
                    assert self.end is None
                    self.end = instruction
                case Take() | Refuse():
                    raise AssertionError("these answer `Opened` alone")

    def _step(self, fetch: Fetch) -> None:
        number = fetch.claim.number
        if number not in self._fetches:
            return
        try:
            self._at(self.time + next(self._steps[number]), lambda: self._step(fetch))
        except StopIteration:
            del self._fetches[number]
            self._decide(Ended(fetch.claim))
        except _Failure as failure:
            del self._fetches[number]
            self._decide(Failed(fetch.claim, failure.kind))

    def _bring(self, fetch: Fetch, mirror: Mirror) -> Iterator[float]:
        """What the adapter does, with pauses in place of waiting."""
        claim = fetch.claim
        yield mirror.latency
        if mirror.refuses:
            raise _Failure(TroubleKind.REFUSED)
        ranged = not (claim.whole or mirror.ignores_ranges)
        [answer] = self.tell(Opened(claim, self.size, ranged))
        if not isinstance(answer, Take):
            raise _Failure(TroubleKind.RANGES)
        fetch.position, fetch.end = answer.start, answer.end
        sent = 0
        reading = fetch.position if ranged else 0
        while fetch.end is None or fetch.position < fetch.end:
            step = 10 if fetch.end is None else min(10, fetch.end - fetch.position)
            if reading < fetch.position:
                step = min(10, fetch.position - reading)
            for limit, kind in ((mirror.cuts_after, TroubleKind.CUT), (mirror.stalls_after, TroubleKind.STALLED)):
                if limit and sent >= limit:
                    yield 5.0 if kind is TroubleKind.STALLED else 0.0
                    raise _Failure(kind)
            yield step / mirror.pace
            sent += step
            self.moved[mirror.name] = self.moved.get(mirror.name, 0) + step
            if reading >= fetch.position:
                if fetch.end is not None:
                    step = min(step, fetch.end - fetch.position)  # it may have been shortened
                if step <= 0:
                    break
                self._store(fetch, mirror, step)
            reading += step

    def _store(self, fetch: Fetch, mirror: Mirror, step: int) -> None:
        place = slice(fetch.position, fetch.position + step)
        differs = fetch.claim.heals and self.disk[place] != mirror.content[place]
        self.disk[place] = mirror.content[place]
        fetch.position += step
        self.tell(Stored(fetch.claim, step, differs))


def mirrors_of(size: int) -> st.SearchStrategy[list[Mirror]]:
    def one(number: int) -> st.SearchStrategy[Mirror]:
        return st.builds(
            Mirror,
            st.just(f"m{number}"),
            pace=st.sampled_from([5.0, 20.0, 100.0, 1000.0]),
            latency=st.sampled_from([0.0, 0.05, 3.0]),
            lies_at=st.one_of(
                st.just(frozenset()),
                st.frozensets(st.integers(0, size - 1), max_size=3),
                st.just(frozenset(range(size))),
            ),
            refuses=st.sampled_from([False, False, False, True]),
            cuts_after=st.sampled_from([0, 0, 0, 40, 200]),
            stalls_after=st.sampled_from([0, 0, 0, 60]),
            ignores_ranges=st.sampled_from([False, False, True]),
            proven=st.booleans(),
            reserve=st.booleans(),
        )

    return st.integers(1, 5).flatmap(lambda number: st.tuples(*(one(n) for n in range(number))).map(list))


@st.composite
def plays(draw: st.DrawFn) -> Play:
    size = draw(st.integers(1, 1500))
    held = []
    for start in draw(st.lists(st.integers(0, size - 1), max_size=3)):
        end = draw(st.integers(start + 1, size))
        held.append(Segment(start, end, draw(st.sampled_from([EARLIER, "m0", "gone"]))))
    return Play(size, draw(mirrors_of(size)), held, told_size=draw(st.booleans()))


@settings(deadline=None, max_examples=4 * settings().max_examples, suppress_health_check=[HealthCheck.too_slow])
@given(plays())
def test_the_file_is_right_or_nobody_could_have_brought_it(play: Play) -> None:
    play.run()
    event(type(play.end).__name__)
    if isinstance(play.end, Finished):
        assert play.is_right
    else:
        assert not any(mirror.is_able for mirror in play.mirrors)
    # Proven means proven: who is named has given a wrong byte.
    assert all(play.by_name[name].lies for name in play.race.liars)
    assert play.race.done <= play.size or isinstance(play.end, GaveUp)


@settings(deadline=None, max_examples=2 * settings().max_examples, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(400, 3000), st.integers(2, 4), st.data())
def test_one_liar_costs_no_more_than_its_share_and_a_little(size: int, honest: int, data: st.DataObject) -> None:
    """Honest ones that were proven before; a liar of any pace, lying anywhere."""
    lies_at = frozenset([data.draw(st.integers(0, size - 1))])
    liar = Mirror("liar", pace=data.draw(st.sampled_from([10.0, 100.0])), lies_at=lies_at)
    others = [Mirror(f"m{number}", proven=True) for number in range(honest)]
    mirrors = [*others, liar]
    data.draw(st.randoms(use_true_random=False)).shuffle(mirrors)
    play = Play(size, mirrors).run()
    assert isinstance(play.end, Finished)
    assert play.is_right
    caught = play.race.liars == ["liar"]
    event(f"caught: {caught}")
    assert all(play.disk[position] == RIGHT[position] for position in lies_at)
    # Its third, and what was under way when work was moved from one to another.
    assert sum(play.moved.values()) <= size * (1 + TERMS.unproven) + 120


@settings(deadline=None)
@given(st.integers(1, 3000), st.integers(0, 4), st.booleans())
def test_honest_sources_bring_each_byte_once(size: int, number: int, proven: bool) -> None:
    play = Play(size, [Mirror(f"m{n}", pace=100.0, proven=proven) for n in range(number + 1)]).run()
    assert isinstance(play.end, Finished)
    # Two that nobody knows vouch for one another with one piece.
    twice = 0 if proven or number < 2 else TERMS.share * (number // 2 + 1)
    # A step that was under way when its claim was shortened.
    assert sum(play.moved.values()) <= size + twice + 10 * number
    assert play.judgements == 1
    assert play.race.liars == []


@settings(deadline=None, max_examples=2 * settings().max_examples, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(TERMS.trial * 100, 6000), st.integers(2, 4), st.data())
def test_one_that_lies_everywhere_is_found_at_its_first_piece(size: int, honest: int, data: st.DataObject) -> None:
    """Nobody was proven before."""
    paces = st.sampled_from([70.0, 100.0, 140.0])
    liar = Mirror("liar", pace=data.draw(paces), lies_at=frozenset(range(0, size, 50)))
    mirrors = [liar, *(Mirror(f"m{number}", pace=data.draw(paces)) for number in range(honest))]
    data.draw(st.randoms(use_true_random=False)).shuffle(mirrors)
    play = Play(size, mirrors).run()
    assert isinstance(play.end, Finished)
    assert play.is_right
    if "liar" in play.moved:
        assert play.race.liars == ["liar"]
        assert play.judgements == 1
    # What was tried, and what the liar brought until it was found: some pieces, however large the file.
    assert sum(play.moved.values()) <= size + 12 * max(TERMS.share, size // TERMS.pieces)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plays(), st.integers(0, 1000))
def test_the_same_events_bring_the_same_instructions(play: Play, seed: int) -> None:
    """Claims are values: the race knows what it is told, and what a claim that is over still tells is nothing to it."""
    play.run()
    dice = random.Random(seed)
    again = play.fresh_race()
    over: list[Claim] = []
    for time, event_, instructions in play.told:
        if over and dice.random() < 0.1:
            claim = dice.choice(over)
            late: list[RaceEvent] = [Stored(claim, 1, differs=True), Failed(claim, TroubleKind.CUT), Ended(claim)]
            assert again.handle(dice.choice(late), time) == []
        assert again.handle(event_, time) == instructions
        over += [event_.claim] if isinstance(event_, Ended | Failed) else []
        over += [one.claim for one in instructions if isinstance(one, Drop)]


def test_two_that_lie_alike_do_not_keep_out_an_honest_one() -> None:
    lies = frozenset(range(0, 4000, 50))
    mirrors = [Mirror("honest"), Mirror("a", lies_at=lies), Mirror("b", lies_at=lies), Mirror("c", lies_at=lies)]
    play = Play(4000, mirrors).run()
    assert isinstance(play.end, Finished)
    assert play.is_right
    assert "honest" not in play.race.liars


def test_four_of_one_pace_are_nearly_four_times_as_fast() -> None:
    size = 20_000
    alone = Play(size, [Mirror("m0")]).run()
    for proven in (True, False):
        together = Play(size, [Mirror(f"m{n}", proven=proven) for n in range(4)]).run()
        assert alone.time / together.time > 3.8
        assert len(together.moved) == 4


def test_work_moves_from_a_slow_one_to_a_fast_one() -> None:
    size = 20_000
    fast = Play(size, [Mirror("fast")]).run()
    both = Play(size, [Mirror("slow", pace=5.0), Mirror("fast")]).run()
    assert both.time < fast.time * 1.05
    assert both.moved["slow"] < size / 10


def test_a_small_file_is_one_sources_in_the_order_given() -> None:
    play = Play(TERMS.share * 2 - 1, [Mirror("first"), Mirror("second")]).run()
    assert set(play.moved) == {"first"}


def test_the_reserve_is_asked_when_all_others_are_out() -> None:
    play = Play(1000, [Mirror("reserve", reserve=True), Mirror("m0", cuts_after=50)]).run()
    assert play.moved["m0"] == 300  # an answer, and five more
    assert play.moved["reserve"] == 700


def test_what_an_earlier_run_left_is_not_brought_again() -> None:
    held = [Segment(0, 300, EARLIER), Segment(600, 800, "gone")]
    play = Play(1000, [Mirror("m0"), Mirror("m1")], held).run()
    assert sum(play.moved.values()) == 500


@pytest.mark.parametrize("proven", [True, False])
def test_dead_slow_and_lying_beside_a_good_one(proven: bool) -> None:
    """The liar is found; who was right before is not doubted first."""
    size = 30_000
    good, slow = Mirror("good", proven=proven), Mirror("slow", pace=20.0, proven=proven)
    alone = Play(size, [good, slow]).run()
    liar = Mirror("liar", lies_at=frozenset([size - 1, size // 2, 5]))
    play = Play(size, [liar, Mirror("dead", refuses=True), slow, good]).run()
    assert play.race.liars == ["liar"]
    if proven:
        assert play.time <= alone.time * 1.15
        assert sum(play.moved.values()) <= size * 1.34
