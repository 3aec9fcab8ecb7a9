"""What is remembered of sources, and for how long."""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from tf_tester.core.source_history import COOLDOWN
from tf_tester.index.source_histories import SourceHistories
from tf_tester.model.source import SourceHistory, SourceUse

START = datetime(2026, 11, 1, tzinfo=UTC)
TODAY = SourceHistory("tuna", day="2026-11-01")


class World:
    """A memory and a clock."""

    def __init__(self) -> None:
        self.time = START
        self.kept: dict[tuple[str, str], bytes] = {}
        self.histories = SourceHistories(self, lambda: self.time)

    def recall(self, kind: str, key: str) -> bytes | None:
        return self.kept.get((kind, key))

    def remember(self, kind: str, key: str, value: bytes) -> None:
        self.kept[kind, key] = value


def test_nothing_is_known_of_a_stranger() -> None:
    assert World().histories.of("tuna") == TODAY


def test_speeds_are_averaged_and_grow_old() -> None:
    world = World()
    world.histories.learn(SourceUse("tuna", right=True, speed=1000.0))
    world.histories.learn(SourceUse("tuna", right=True, speed=3000.0))
    world.histories.learn(SourceUse("tuna", right=True, speed=None))
    assert world.histories.of("tuna") == replace(TODAY, right=3, speed=2000.0, measured=START)
    world.time += timedelta(days=1)
    assert world.histories.of("tuna").speed is None
    assert world.histories.of("tuna").right == 3


def test_who_gave_wrong_bytes_has_a_cooldown_of_a_week_and_is_unproven_afterwards() -> None:
    world = World()
    world.histories.learn(SourceUse("tuna", right=True, speed=1000.0))
    world.histories.learn(SourceUse("tuna", right=False, speed=None))
    assert world.histories.of("tuna") == replace(TODAY, cooldown_until=START + COOLDOWN)
    world.time += COOLDOWN
    assert world.histories.of("tuna") == replace(TODAY, day="2026-11-08")


def test_what_a_source_sent_counts_for_one_day() -> None:
    world = World()
    world.histories.learn(SourceUse("tuna", right=None, speed=None, bytes=100, requests=2))
    world.histories.learn(SourceUse("tuna", right=False, speed=None, bytes=50, requests=1))
    known = world.histories.of("tuna")
    assert (known.bytes_today, known.requests_today) == (150, 3)
    world.time += timedelta(days=1)
    known = world.histories.of("tuna")
    assert (known.bytes_today, known.requests_today) == (0, 0)
    assert known.cooldown_until == START + COOLDOWN


def test_a_memory_that_is_damaged_is_none() -> None:
    world = World()
    world.kept["mirror", "tuna"] = b'{"right": "many"}'
    world.kept["spent", "tuna"] = b"2026-11-01 many 3"
    assert world.histories.of("tuna") == TODAY


def test_what_earlier_versions_kept_is_read() -> None:
    world = World()
    world.kept["mirror", "tuna"] = b'{"right":0,"speed":null,"measured":null,"left_out_until":"2026-11-03T00:00:00Z"}'
    world.kept["spent", "tuna"] = b"2026-11-01 5000 7"
    known = world.histories.of("tuna")
    assert known.cooldown_until == START + timedelta(days=2)
    assert (known.bytes_today, known.requests_today) == (5000, 7)
