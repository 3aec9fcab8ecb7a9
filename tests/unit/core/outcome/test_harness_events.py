"""What is read of the file that the harness and the tests can write into."""

import json
import tracemalloc
from io import BytesIO
from typing import Any

import msgspec
import pytest

from tf_tester.core.outcome import harness_events
from tf_tester.core.outcome.harness_events import (
    MOST_LINES,
    HarnessLog,
    PackageImported,
    RowFinished,
    RowStarted,
    SessionCollected,
    SessionEnded,
    SessionStarted,
    read_log,
)
from tf_tester.core.outcome.judge import judge_harness
from tf_tester.model.host.exit import Exit
from tf_tester.model.outcome import Outcome

ROW = {"event": "test", "id": "x", "status": "pass"}
HUGE = int("9" * 400)


def dropped(line: bytes) -> bool:
    """Tell whether a line is left out, and nothing but it."""
    log = read_log(BytesIO(b'{"event": "test-start", "id": "a"}\n' + line + b'\n{"event": "end", "exit_code": 0}\n'))
    around = (RowStarted("a"), SessionEnded(0))
    assert (log.events[0], log.events[-1]) == around
    return log == HarnessLog(around, 1)


def test_an_empty_file_has_no_events() -> None:
    assert read_log(BytesIO(b"")) == read_log(BytesIO(b"\n\n \n")) == HarnessLog()


@pytest.mark.parametrize(
    "line",
    [
        b"[1]",
        b"3",
        b"hello",
        b"\xff\xfe",
        b"{}",
        b"[" * 100_000,
        b'{"event": "start", "more": ' + b"[" * 100_000 + b"}",
        b'{"e": "te',
        b'{"event": "test-start", "id": "a"}{"event": "test-start", "id": "b"}',
        b'{"event": "test-start", "id": "\\ud800"}',
        b'{"event": "test-start", "id": "\xed\xa0\x80"}',
    ],
)
def test_a_line_that_is_no_event_is_left_out_and_counted(line: bytes) -> None:
    assert dropped(line)


@pytest.mark.parametrize(
    "forged",
    [
        {"event": ["test"]},
        {"event": "surprise"},
        {"event": "test"},
        {"event": "test", "id": "x"},
        {"event": "test-start", "id": 3},
        {"event": "collected", "ids": 5},
        {"event": "collected", "ids": [5]},
        {"event": "import", "name": "x"},
        {"event": "import", "wall_s": HUGE},
        {"event": "end", "exit_code": HUGE},
        {"event": "end", "exit_code": "0"},
        {"event": "start", "distribution": "toy"},
        ROW | {"status": "perfect"},
        ROW | {"status": "no-python"},
        ROW | {"status": "timeout"},
        ROW | {"status": ["pass"]},
        ROW | {"exception": "text"},
        ROW | {"exception": {"line": "many"}},
        ROW | {"exception": {"line": HUGE}},
        ROW | {"exception": {"in_package": {"line": HUGE}}},
        ROW | {"wall_s": "long"},
        ROW | {"wall_s": HUGE},
        ROW | {"peak_rss_kib": float("inf")},
        ROW | {"peak_rss_kib": HUGE},
        ROW | {"peak_rss_kib": -1},
        ROW | {"warnings": [3]},
        ROW | {"warnings": [{"category": "W", "message": "m", "line": HUGE}]},
        ROW | {"remarks": 3},
        ROW | {"remarks": [""] * 1_001},
        ROW | {"remarks": ["x" * 200_000]},
        ROW | {"warnings": [{"category": "W", "message": "m"}] * 1_001},
        ROW | {"traceback": "x" * 200_000},
        ROW | {"exception": {"message": "x" * 200_000}},
        ROW | {"id": "x" * 2_000_000},
    ],
)
def test_an_event_that_the_harness_would_not_write_is_left_out_and_counted(forged: dict[str, Any]) -> None:
    assert dropped(json.dumps(forged).encode())


def test_fields_of_other_harnesses_are_no_fault() -> None:
    log = read_log(
        BytesIO(b'{"event": "start", "python": "3.8.18", "colour": "blue"}\n{"event": "import", "wall_s": 1}')
    )
    assert log == HarnessLog((SessionStarted("3.8.18"), PackageImported(1.0)))


def test_every_number_that_is_let_in_can_be_recorded() -> None:
    largest = {"exit_code": 2**63 - 1, "peak_rss_kib": 2**40, "wall_s": 1e308, "cpu_s": -1e308}
    warning = {"category": "W", "message": "m", "line": 2**63 - 1, "count": 2**63 - 1}
    log = read_log(BytesIO(json.dumps({**ROW, **largest, "warnings": [warning]}).encode()))
    [row] = judge_harness(log.events, Exit(0, None, False, 0.0, 0.0, 0), target="x", stdout="", stderr="")[:1]
    assert msgspec.json.decode(msgspec.json.encode(row), type=type(row)) == row


def test_of_a_million_events_no_more_are_kept_than_an_honest_run_has() -> None:
    log = read_log(BytesIO(b'{"event":"end"}\n' * 1_000_000))
    assert (len(log.events), log.dropped) == (MOST_LINES, 1_000_000 - MOST_LINES)


@pytest.mark.parametrize("line", [b'{"event": "test", "id": "test_%06d", "status": "pass"}\n', b"%06d\n"])
def test_memory_does_not_grow_with_the_lines_beyond(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness_events, "MOST_LINES", 1_000)

    def peak(lines: int) -> int:
        written = b"".join(line % number for number in range(lines))
        tracemalloc.start()
        try:
            log = read_log(BytesIO(written))
            assert len(log.events) + log.dropped == lines
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1_000)  # the decoder is made
    assert peak(50_000) < peak(1_000) + 200_000


def test_a_row_is_one_that_the_harness_judges_itself() -> None:
    read = read_log(
        BytesIO("\n".join(json.dumps(ROW | {"status": str(outcome)}) for outcome in Outcome).encode())
    ).events
    statuses = [event.status for event in read if isinstance(event, RowFinished)]
    assert set(statuses) == {Outcome.PASS, Outcome.SKIP, Outcome.FAIL, Outcome.ERROR, Outcome.EMPTY, Outcome.CRASH}


def test_what_was_collected_is_in_order() -> None:
    assert read_log(BytesIO(b'{"event": "collected", "ids": ["b", "a"]}')).events == (SessionCollected(("b", "a")),)
