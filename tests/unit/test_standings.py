"""What is remembered of mirrors, and for how long."""

from datetime import UTC, datetime, timedelta

from tf_tester.index.standings import QUARANTINE, Standing, Standings
from tf_tester.ports.fetch import Lesson

START = datetime(2026, 11, 1, tzinfo=UTC)


class World:
    """A memory and a clock."""

    def __init__(self) -> None:
        self.time = START
        self.kept: dict[tuple[str, str], bytes] = {}
        self.standings = Standings(self, lambda: self.time)

    def recall(self, kind: str, key: str) -> bytes | None:
        return self.kept.get((kind, key))

    def remember(self, kind: str, key: str, value: bytes) -> None:
        self.kept[kind, key] = value


def test_nothing_is_known_of_a_stranger() -> None:
    assert World().standings.of("tuna") == Standing()


def test_speeds_are_averaged_and_grow_old() -> None:
    world = World()
    world.standings.learn(Lesson("tuna", right=True, speed=1000.0))
    world.standings.learn(Lesson("tuna", right=True, speed=3000.0))
    world.standings.learn(Lesson("tuna", right=True, speed=None))
    assert world.standings.of("tuna") == Standing(3, 2000.0, START)
    world.time += timedelta(days=1)
    assert world.standings.of("tuna").speed is None
    assert world.standings.of("tuna").right == 3


def test_who_gave_wrong_bytes_is_left_out_for_a_week_and_unproven_afterwards() -> None:
    world = World()
    world.standings.learn(Lesson("tuna", right=True, speed=1000.0))
    world.standings.learn(Lesson("tuna", right=False, speed=None))
    assert world.standings.of("tuna") == Standing(left_out_until=START + QUARANTINE)
    world.time += QUARANTINE
    assert world.standings.of("tuna") == Standing()


def test_a_memory_that_is_damaged_is_none() -> None:
    world = World()
    world.kept["mirror", "tuna"] = b'{"right": "many"}'
    assert world.standings.of("tuna") == Standing()
