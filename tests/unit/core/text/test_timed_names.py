"""Names that sort by time."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tf_tester.cli.common.options import settings_from
from tf_tester.core.text.timed_names import RANDOM_BYTES, is_timed_name, name_after
from tf_tester.wiring import new_run_id

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


def test_a_hundred_of_one_moment_sort_as_they_were_made() -> None:
    made: list[str] = []
    for number in range(100):
        # The later, the lower by chance.
        made.append(name_after(made, NOON, (1000 - number).to_bytes(RANDOM_BYTES)))
    assert made == sorted(set(made))
    assert made[-1] < name_after([], NOON + timedelta(seconds=1), bytes(RANDOM_BYTES))


@given(st.lists(st.timedeltas(timedelta(days=-900), timedelta(days=900)).map(NOON.__add__), max_size=20))
def test_they_sort_as_they_were_made_whatever_the_clock_is_set_to(clock: list[datetime]) -> None:
    made: list[str] = []
    for moment in clock:
        made.append(name_after(made, moment, os.urandom(RANDOM_BYTES)))
        assert is_timed_name(made[-1])
    assert made == sorted(set(made))


def test_a_name_without_a_fraction_is_older_than_others_of_its_second() -> None:
    old = ["20261127T120000-ffff", "20261127T115959-0000"]
    new = name_after(old, NOON, bytes(RANDOM_BYTES))
    assert max([*old, new]) == new == "20261127T120000.000000-00000000"
    before = name_after([], NOON - timedelta(microseconds=1), b"\xff" * RANDOM_BYTES)
    assert sorted([*old, new, before]) == [old[1], before, old[0], new]


def test_an_old_name_of_the_future_is_still_older() -> None:
    assert name_after(["20271127T120000-ffff"], NOON, bytes(RANDOM_BYTES)) == "20271127T120000.000001-00000000"


def test_other_names_count_for_nothing() -> None:
    others = ["x", "30000101T000000-ffff", "20269931T000000-ffff", "20271127T120000-ffff.part", "20271127T120000-fffé"]
    assert not any(map(is_timed_name, others))
    assert name_after(others, NOON, bytes(RANDOM_BYTES)) == "20261127T120000.000000-00000000"


def _make(folder: Path) -> list[str]:
    """Return the names of forty folders, made in one folder by a clock that stands still."""
    made = []
    for _ in range(40):
        made.append(name_after(os.listdir(folder), NOON, os.urandom(RANDOM_BYTES)))  # noqa: PTH208
        (folder / made[-1]).mkdir()  # raises where another process has it
    return made


def test_several_processes_at_once_in_one_folder(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, multiprocessing.get_context("spawn")) as pool:
        of_each = list(pool.map(_make, [tmp_path] * 3))
    for made in of_each:
        assert made == sorted(made)
    together = [name for made in of_each for name in made]
    assert len(set(together)) == 120
    assert max(together) < name_after(together, NOON, bytes(RANDOM_BYTES))


def test_a_run_sorts_after_those_in_the_store(tmp_path: Path) -> None:
    settings = replace(settings_from({}).settings, store=tmp_path)
    first = new_run_id(settings)
    assert is_timed_name(first)
    future = "28261127T120000-ffff"
    (tmp_path / "runs" / future).mkdir(parents=True)
    assert first < future < new_run_id(settings)
