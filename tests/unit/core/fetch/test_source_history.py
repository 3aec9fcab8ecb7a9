"""What is remembered of sources, and for how long."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from tf_tester.core.fetch.source_history import COOLDOWN
from tf_tester.model.source import SourceHistory, SourceUse
from tf_tester.store.ledger import Ledger
from tf_tester.store.memos.sources import SourceHistories

START = datetime(2026, 11, 1, tzinfo=UTC)
TODAY = SourceHistory("tuna", day="2026-11-01")


class World:
    """A ledger and a clock."""

    def __init__(self, ledger: Ledger) -> None:
        self.time = START
        self.histories = SourceHistories(ledger, lambda: self.time)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        yield World(ledger)


def test_nothing_is_known_of_a_stranger(world: World) -> None:
    assert world.histories.of("tuna") == TODAY


def test_speeds_are_averaged_and_grow_old(world: World) -> None:
    world.histories.learn(SourceUse("tuna", right=True, speed=1000.0))
    world.histories.learn(SourceUse("tuna", right=True, speed=3000.0))
    world.histories.learn(SourceUse("tuna", right=True, speed=None))
    assert world.histories.of("tuna") == replace(TODAY, right=3, speed=2000.0, measured=START)
    world.time += timedelta(days=1)
    assert world.histories.of("tuna").speed is None
    assert world.histories.of("tuna").right == 3


def test_who_gave_wrong_bytes_has_a_cooldown_of_a_week_and_is_unproven_afterwards(world: World) -> None:
    world.histories.learn(SourceUse("tuna", right=True, speed=1000.0))
    world.histories.learn(SourceUse("tuna", right=False, speed=None))
    assert world.histories.of("tuna") == replace(TODAY, cooldown_until=START + COOLDOWN)
    world.time += COOLDOWN
    assert world.histories.of("tuna") == replace(TODAY, day="2026-11-08")


def test_what_a_source_sent_counts_for_one_day(world: World) -> None:
    world.histories.learn(SourceUse("tuna", right=None, speed=None, bytes=100, requests=2))
    world.histories.learn(SourceUse("tuna", right=False, speed=None, bytes=50, requests=1))
    known = world.histories.of("tuna")
    assert (known.bytes_today, known.requests_today) == (150, 3)
    world.time += timedelta(days=1)
    known = world.histories.of("tuna")
    assert (known.bytes_today, known.requests_today) == (0, 0)
    assert known.cooldown_until == START + COOLDOWN
