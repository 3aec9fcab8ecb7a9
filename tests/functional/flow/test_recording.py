"""The record of one run, as it is written."""

import json
import os
from pathlib import Path

import pytest

from tf_tester.model.events import (
    CellState,
    CellStep,
    Delay,
    DelayKind,
    Event,
    FilesMissing,
    MirrorsChosen,
    MissingFile,
    RunFinished,
    RunStarted,
    TaskState,
    TransferProgress,
)
from tf_tester.report.record import read_record
from tf_tester.report.recording import Recording

STARTED = RunStarted("20260101T000000-0001", "2026-01-01T00:00:00+00:00", "tf-tester 0", {}, (), "/run")
CHOSEN = MirrorsChosen(("near",), "the fastest of 3")
STATE = CellState("toy==1.0@py3.11@era", CellStep.RUNNING)


def recorded(folder: Path, *events: Event) -> tuple[list[str], list[Event]]:
    """What was written and what was shown."""
    shown: list[Event] = []
    with Recording(shown.append) as recording:
        tell = recording.of(folder / "run")
        for event in events:
            tell(event)
    file = folder / "run" / "record.jsonl"
    return [json.loads(line)["event"] for line in file.read_text().splitlines()] if file.exists() else [], shown


def test_it_begins_with_the_run_even_if_something_was_told_before(tmp_path: Path) -> None:
    events = (CHOSEN, STARTED, STATE, RunFinished(0, interrupted=False, wall_s=1.0))
    written, shown = recorded(tmp_path, *events)
    assert written == ["run-started", "mirrors-chosen", "cell-state", "run-finished"]
    assert shown == list(events), "who watches sees things when they happen"


def test_without_a_run_there_is_no_record(tmp_path: Path) -> None:
    written, shown = recorded(tmp_path, CHOSEN)
    assert (written, shown) == ([], [CHOSEN])
    assert not (tmp_path / "run").exists()


def test_nothing_comes_after_the_end_but_another_end(tmp_path: Path) -> None:
    ends = [RunFinished(code, interrupted=code == 130, wall_s=1.0) for code in (0, 130)]
    written, _ = recorded(tmp_path, STARTED, ends[0], STATE, ends[1])
    assert written == ["run-started", "run-finished", "run-finished"]


def test_progress_is_only_shown(tmp_path: Path) -> None:
    fleeting = (
        TransferProgress("ab" * 32, "toy.whl", 1, 2, "authority"),
        FilesMissing("toy", (MissingFile("ab" * 32, "toy.whl", 2),)),
        Delay(DelayKind.BUILD, "toy"),
        TaskState("resolving", "toy", 1),
    )
    assert recorded(tmp_path, STARTED, *fleeting) == (["run-started"], [STARTED, *fleeting])


@pytest.mark.parametrize("fits", [0, 1, 30])
def test_an_event_for_which_the_disk_was_full_is_written_with_the_next_and_half_of_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fits: int
) -> None:
    write = os.write
    fitting = iter([fits, 0])

    def full_once(descriptor: int, content: bytes) -> int:
        if not os.path.samestat(os.fstat(descriptor), (tmp_path / "run" / "record.jsonl").stat()):
            return write(descriptor, content)
        match next(fitting, None):
            case None:
                return write(descriptor, content)
            case 0:
                next(fitting, None)
                raise OSError(28, "No space left on device")
            case some:
                return write(descriptor, content[:some])

    monkeypatch.setattr(os, "write", full_once)
    with Recording(lambda _event: None) as recording:
        tell = recording.of(tmp_path / "run")
        with pytest.raises(Exception, match="No space left"):
            tell(STARTED)
        tell(STATE)
    lines = (tmp_path / "run" / "record.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["run-started", "cell-state"]
    assert [type(event) for event in read_record(tmp_path / "run" / "record.jsonl")] == [RunStarted, CellState]
