"""What a cell came to that something of ours went wrong with: the step says it in which that happened."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fake_world import FakeWorld
from tf_tester.errors import DownloadFailed, IndexUnreachable, InstallFailed, StoreError, Unresolvable
from tf_tester.flow.run.test import test as run_matrix
from tf_tester.model.events import CellFinished, Event, FilesMissing
from tf_tester.model.outcome import CellResult, Outcome
from tf_tester.model.request import Selection, Trial


def outcome(folder: Path, **ports: Callable[..., Any]) -> tuple[Outcome, str]:
    """What the one cell of a run came to in which some ports do something else."""
    results: list[CellResult] = []

    def tell(event: Event) -> None:
        if isinstance(event, CellFinished):
            results.append(event.result)

    world = FakeWorld(folder, lambda toy, gear: 0, tell)
    for name, port in ports.items():
        assert hasattr(world, name)
        setattr(world, name, port)
    run_matrix(Selection("toy", "1.0"), Trial(command=("true",)), world.services())
    [result] = results
    return result.outcome, result.summary


def raising(error: Exception) -> Callable[..., Any]:
    def port(*_: Any) -> Any:
        raise error

    return port


def absent(_digest: str) -> bool:
    return False


FULL = StoreError("the disk is full")


def test_without_trouble_it_passes(tmp_path: Path) -> None:
    assert outcome(tmp_path, find_layer=absent) == (Outcome.PASS, "")


def test_what_has_to_be_brought_is_told_and_what_is_there_is_not(tmp_path: Path) -> None:
    def missing(*, is_there: bool) -> list[set[str]]:
        told: list[Event] = []
        world = FakeWorld(tmp_path, lambda toy, gear: 0, told.append)
        world.find_layer = lambda _digest: is_there
        run_matrix(Selection("toy", "1.0"), Trial(command=("true",)), world.services())
        return [{file.filename for file in event.files} for event in told if isinstance(event, FilesMissing)]

    assert missing(is_there=False) == [{"gear-1.0-py3-none-any.whl", "toy-1.0-py3-none-any.whl"}]
    assert missing(is_there=True) == []


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ("lock", Outcome.INSTALL_FAILED),
        ("fetch", Outcome.DOWNLOAD_FAILED),
        ("unpack", Outcome.INSTALL_FAILED),
        ("make", Outcome.INSTALL_FAILED),
        ("learn", Outcome.INSTALL_FAILED),
    ],
)
def test_trouble_with_the_disk_is_told_by_what_it_ended(tmp_path: Path, port: str, expected: Outcome) -> None:
    assert outcome(tmp_path, find_layer=absent, **{port: raising(FULL)}) == (expected, "the disk is full")


def test_of_two_wheels_the_one_counts_that_failed(tmp_path: Path) -> None:
    """The other one may be further on, or not so far."""

    def unpack(filename: str) -> None:
        if filename.startswith("toy"):
            raise FULL

    def fetch(artifact: Any) -> Path:
        if artifact.project == "gear":
            raise DownloadFailed("gear is nowhere to be had")
        return tmp_path

    assert outcome(tmp_path, find_layer=absent, unpack=unpack)[0] is Outcome.INSTALL_FAILED
    assert outcome(tmp_path, find_layer=absent, fetch=fetch)[0] is Outcome.DOWNLOAD_FAILED


def test_an_index_that_does_not_answer_is_a_download_that_failed(tmp_path: Path) -> None:
    silent = raising(IndexUnreachable("the index is silent"))
    assert outcome(tmp_path, lock=silent) == (Outcome.DOWNLOAD_FAILED, "the index is silent")


@pytest.mark.parametrize(
    ("port", "error", "expected"),
    [
        ("lock", Unresolvable("nothing fits"), Outcome.UNRESOLVABLE),
        ("lock", InstallFailed("whatever the step"), Outcome.INSTALL_FAILED),
        ("unpack", DownloadFailed("whatever the step"), Outcome.DOWNLOAD_FAILED),
    ],
)
def test_an_error_that_names_the_outcome_is_believed(
    tmp_path: Path, port: str, error: Exception, expected: Outcome
) -> None:
    assert outcome(tmp_path, find_layer=absent, **{port: raising(error)}) == (expected, str(error))
