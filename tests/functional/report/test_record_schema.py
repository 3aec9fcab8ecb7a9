"""The schema of a record allows what is written and what later versions may write, and nothing else of ours.

Every record that any test's commands write is held against it, too (`tests/conftest.py`).
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest

from tests.functional.report.test_reports import hostile_run, script_run, suite_run
from tests.record_schema import check_record, checker, records_below
from tf_tester.model.events import CellState, CellStep, Event, ProductLeft, ValueRecorded
from tf_tester.report.record import RecordWriter, read_record

AT = {"at": "2026-11-01T12:00:00.000Z"}
STATE = AT | {"event": "cell-state", "cell": "toy==1.0@py3.10@era", "state": "running"}


@pytest.mark.parametrize("events", [script_run(), suite_run(), hostile_run()], ids=["script", "suite", "hostile"])
def test_what_is_written_is_allowed(tmp_path: Path, events: list[Any]) -> None:
    path = tmp_path / "record.jsonl"
    with RecordWriter(path, lambda: datetime(2026, 11, 1, tzinfo=UTC)) as writer:
        for event in events:
            writer.tell(event)
    check_record(path)


@pytest.mark.parametrize("line", [STATE | {"mood": "good"}, AT | {"event": "cell-blessed"}], ids=str)
def test_what_later_versions_may_write_is_allowed_and_skipped(tmp_path: Path, line: dict[str, Any]) -> None:
    checker()(AT | line)
    path = tmp_path / "record.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in (STATE | {"format": 2}, AT | line, STATE)))
    known = CellState(STATE["cell"], CellStep(STATE["state"]))
    assert list(read_record(path)) == [known] * (3 if line["event"] == "cell-state" else 2)


AGREED: list[tuple[dict[str, Any], Event]] = [
    (
        {
            "event": "product",
            "cell": "toy==1.0@py3.10@era",
            "test": "check.py",
            "name": "model.h5",
            "digest": "cd" * 32,
        },
        ProductLeft("toy==1.0@py3.10@era", "check.py", "model.h5", "cd" * 32),
    ),
    (
        {
            "event": "value",
            "cell": "toy==1.0@py3.10@era",
            "test": "check.py",
            "name": "loss",
            "dtype": "<f4",
            "shape": [2, 3],
            "digest": "ab" * 32,
        },
        ValueRecorded("toy==1.0@py3.10@era", "check.py", "loss", "<f4", (2, 3), "ab" * 32),
    ),
]


@pytest.mark.parametrize(("line", "event"), AGREED, ids=["product", "value"])
def test_what_was_agreed_before_it_was_written_is_enough(tmp_path: Path, line: dict[str, Any], event: Event) -> None:
    checker()(AT | line)
    path = tmp_path / "record.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in (STATE | {"format": 2}, AT | line)))
    assert list(read_record(path))[1] == event


@pytest.mark.parametrize(
    "line",
    [
        {"event": "cell-state"},
        AT | {"event": 7},
        STATE | {"cell": 7},
        STATE | {"format": 1},
        AT | {"event": "run-finished", "exit_code": "1", "interrupted": False, "wall_s": 1.0},
        AT | {"event": "cell-finished", "result": {"cell": "a", "outcome": "green"}},
        AT | {"event": "cell-finished", "result": {"cell": "a", "outcome": "pass", "tests": [{"id": "t"}]}},
    ],
    ids=str,
)
def test_what_is_not_a_line_of_a_record_is_refused(line: dict[str, Any]) -> None:
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        checker()(line)


def test_records_of_all_stores_of_a_test_are_found(tmp_path: Path) -> None:
    places = [tmp_path / "runs" / "1", tmp_path / "store" / "runs" / "2", tmp_path / "a" / "b" / "runs" / "3"]
    for place in places:
        place.mkdir(parents=True)
        (place / "record.jsonl").write_text(json.dumps(STATE) + "\n")
    assert [record.parent for record in records_below(tmp_path)] == places
