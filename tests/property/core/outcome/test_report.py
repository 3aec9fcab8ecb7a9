"""Laws of the record, of the fold over it and of the exit status."""

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.record_schema import check_record
from tf_tester.core.outcome.exits import exit_code
from tf_tester.core.outcome.failures import differences, obstacles, without_varying
from tf_tester.core.outcome.report import cell_labels, fold
from tf_tester.core.text.sizes import duration_text, size_text
from tf_tester.model.cell import Cell
from tf_tester.model.events import (
    CellFinished,
    CellLocked,
    CellState,
    CellStep,
    Delay,
    DelayKind,
    Event,
    FilesMissing,
    Fleeting,
    MissingFile,
    RunFinished,
    RunStarted,
    TaskState,
    TransferFinished,
    TransferProgress,
    TransferTrouble,
)
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.model.outcome import CellResult, ExceptionFact, Outcome, TestRow, WarningFact
from tf_tester.report.lines import TextLayout, as_text, columns
from tf_tester.report.matrix import report_lines
from tf_tester.report.record import RecordWriter, read_record

text = st.text(st.characters(), max_size=12)
"""Lone surrogates included: output and file names can hold them."""
seconds = st.floats(0, 1e6)
count = st.integers(0, 2**53)
moments = st.datetimes(min_value=datetime(1990, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001

cells = st.builds(Cell.of, text, text, text, st.sampled_from(Resolution))
exceptions = st.builds(ExceptionFact, text, text, text, count, text)
warnings = st.builds(WarningFact, text, text, text, count, count)
rows = st.builds(
    TestRow,
    id=text,
    outcome=st.sampled_from(Outcome),
    exception=st.none() | exceptions,
    traceback=text,
    stdout=text,
    reason=text,
    warnings=st.lists(warnings, max_size=1).map(tuple),
    wall_s=st.none() | seconds,
    peak_rss_kib=st.none() | count,
    exit_code=st.none() | st.integers(-255, 255),
    remarks=st.lists(text, max_size=2).map(tuple),
)


def results(keys: st.SearchStrategy[str]) -> st.SearchStrategy[CellResult]:
    return st.builds(
        CellResult,
        cell=keys,
        outcome=st.sampled_from(Outcome),
        summary=text,
        hint=text,
        detail=text,
        tests=st.lists(rows, max_size=4).map(tuple),
        phases=st.dictionaries(text, seconds, max_size=3),
        import_s=st.none() | seconds,
        peak_rss_kib=st.none() | count,
        remarks=st.lists(text, max_size=2).map(tuple),
        evidence=text,
        own_failure=st.booleans(),
    )


pins = st.builds(
    Pin, text, text, text, text, st.none() | count, text, st.none() | text, upload_time=st.none() | moments
)
locks = st.builds(
    Lock,
    text,
    st.sampled_from(Resolution),
    st.none() | moments,
    st.lists(pins, max_size=2).map(tuple),
    st.lists(text, max_size=1).map(tuple),
)
requests = st.dictionaries(text, st.none() | st.booleans() | text | st.lists(text, max_size=2), max_size=3)
starts = st.builds(RunStarted, text, text, text, requests, st.lists(cells, max_size=3).map(tuple), text)
events: st.SearchStrategy[Event] = st.one_of(
    starts,
    st.builds(CellState, text, st.sampled_from(CellStep)),
    st.builds(CellLocked, text, locks, st.booleans()),
    st.builds(TransferProgress, text, text, count, st.none() | count, text),
    st.builds(FilesMissing, text, st.tuples(st.builds(MissingFile, text, text, st.none() | count))),
    st.builds(Delay, st.sampled_from(DelayKind), text, st.booleans()),
    st.builds(TaskState, text, text, count, st.booleans()),
    st.builds(TransferFinished, text, text, count, count, text, seconds),
    st.builds(TransferTrouble, text, text, text),
    st.builds(CellFinished, results(text)),
    st.builds(RunFinished, st.integers(0, 255), st.booleans(), seconds),
)


@st.composite
def runs(draw: Callable[[st.SearchStrategy[Event]], Event]) -> list[Event]:
    """A whole run whose results belong to its cells."""
    start = draw(starts)
    assert isinstance(start, RunStarted)
    keys = st.sampled_from([cell.name for cell in start.cells] or [""])
    middle: st.SearchStrategy[Event] = st.one_of(
        st.builds(CellFinished, results(keys)),
        st.builds(CellLocked, keys, locks, st.booleans()),
        st.builds(TransferFinished, text, text, count, count, text, seconds),
    )
    chosen = [draw(middle) for _ in start.cells]
    return [start, *chosen, RunFinished(0, False, 1.0)]


def now() -> datetime:
    return datetime(2026, 11, 22, 10, 0, 0, 123456, UTC)


def write(path: Path, told: list[Event]) -> None:
    with RecordWriter(path, now) as writer:
        for event in told:
            writer.tell(event)


def kept(told: list[Event]) -> list[Event]:
    return [event for event in told if not isinstance(event, Fleeting)]


@given(st.lists(events, max_size=4))
def test_a_record_reads_back_what_was_told_but_progress(told: list[Event]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "record.jsonl")
        write(path, told)
        check_record(path)
        assert read(path) == kept(told)
        assert path.read_bytes().count(b"\n") == len(kept(told))


def read(path: Path) -> list[Event]:
    """The events of a record, without what its writer adds to them."""
    return [replace(one, sum=None) if isinstance(one, RunFinished) else one for one in read_record(path)]


@given(st.lists(events, min_size=1, max_size=3), st.data())
def test_a_record_cut_anywhere_keeps_its_whole_lines_and_can_be_gone_on_with(
    told: list[Event], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "record.jsonl")
        write(path, told)
        whole = path.read_bytes()
        cut = whole[: data.draw(st.integers(0, len(whole)))]
        path.write_bytes(cut)
        remaining = read(path)
        assert remaining == kept(told)[: len(remaining)]
        assert len(remaining) >= cut.count(b"\n")
        after = CellState("cell", CellStep.RUNNING)
        write(path, [after])
        assert read(path) == [*remaining, after]


def result_of(outcome: Outcome, own_failure: bool) -> CellResult:
    return CellResult("cell", outcome, own_failure=own_failure and not outcome.ran)


finished = st.lists(st.builds(result_of, st.sampled_from(Outcome), st.booleans()), max_size=5)


@given(finished, st.booleans())
def test_exit_status_says_the_gravest_truth(seen: list[CellResult], interrupted: bool) -> None:
    code = exit_code(seen, interrupted=interrupted)
    failed = any(one.outcome.is_failure_of_the_test for one in seen)
    ours = any(one.own_failure for one in seen)
    assert code in {0, 1, 3, 4, 130}
    assert (code == 130) == interrupted
    assert (code == 1) == (failed and not interrupted)
    assert (code == 4) == (ours and not failed and not interrupted)
    if code == 0:
        assert seen and {one.outcome for one in seen} <= {Outcome.PASS, Outcome.SKIP}


@given(finished)
def test_exit_status_does_not_depend_on_the_order(seen: list[CellResult]) -> None:
    assert exit_code(seen, interrupted=False) == exit_code(reversed(seen), interrupted=False)


def test_what_pytest_refuses_in_every_cell_is_a_mistake_of_the_users() -> None:
    refused = CellResult("a", Outcome.ERROR, tests=(TestRow("t", Outcome.ERROR, could_not_begin=True),))
    failed = CellResult("b", Outcome.FAIL, tests=(TestRow("t", Outcome.FAIL),))
    assert exit_code([refused, replace(refused, cell="c")], interrupted=False) == 2
    assert exit_code([refused, failed], interrupted=False) == 1


@given(runs())
def test_every_cell_has_a_result_and_totals_are_sums(told: list[Event]) -> None:
    report = fold(told)
    assert all(report.result(cell).cell == cell.name for cell in report.cells)
    transfers = [event for event in told if isinstance(event, TransferFinished)]
    assert report.transfers.files == len(transfers)
    assert report.transfers.received == sum(event.received for event in transfers)
    troubles = [event for event in told if isinstance(event, TransferTrouble)]
    assert sum(len(one.troubles) for one in report.transfers.sources) == len(troubles)
    names = [one.name for one in report.transfers.sources]
    assert set(names) == {event.source for event in transfers} | {event.source for event in troubles}
    assert len(names) == len(set(names))
    assert fold(told[:-1]).interrupted
    assert fold(told[:-1]).exit_code == 130


@given(runs())
def test_each_failing_cell_and_each_refused_cell_is_told_of(told: list[Event]) -> None:
    report = fold(told)
    found, hidden = differences(report)
    named = {cell.name for each in found for cell in (each.cell, *each.also)}
    failing = {c.name for c in report.cells if report.result(c).outcome.is_failure_of_the_test}
    assert named == failing
    assert hidden >= 0
    refused = {cell.name for each in obstacles(report) for cell in (each.cell, *each.also)}
    results = [report.result(cell) for cell in report.cells]
    # Of what was interrupted there is something to be told only where somebody knows what to do.
    told_of = {
        one.cell for one in results if not one.outcome.ran and (one.outcome is not Outcome.INTERRUPTED or one.hint)
    }
    assert refused == told_of


@given(runs(), st.integers(40, 120))
def test_the_text_is_safe_to_print_whatever_the_run_says(told: list[Event], width: int) -> None:
    shown = as_text(report_lines(fold(told), TextLayout(width), timings=True))
    assert all(character.isprintable() or character.isspace() for character in shown.replace("\n", ""))
    assert not set(shown) & set("\x1b\r\x85\u2028\u2029\u202e")


@given(st.lists(cells, max_size=6, unique_by=lambda cell: cell.name))
def test_every_cell_has_a_label(chosen: list[Cell]) -> None:
    assert set(cell_labels(chosen)) == {cell.name for cell in chosen}


@given(text, st.integers(0, 10**9), st.integers(0, 10**9))
def test_messages_that_differ_in_numbers_are_one(message: str, one: int, other: int) -> None:
    assert without_varying(f"{message} {one} at {one:#x}") == without_varying(f"{message} {other} at {other:#x}")


@given(st.integers(0, 10**15))
def test_sizes_and_durations_stay_short(number: int) -> None:
    assert len(size_text(number)) <= 7
    assert len(duration_text(number % 10**7)) <= 13


@given(st.text(), st.integers(4, 40))
def test_a_shortened_text_fits(long: str, width: int) -> None:
    for layout in (TextLayout(), TextLayout(80, "...")):
        assert columns(layout.shorten(long, width)) <= width
        assert columns(layout.shorten_left(long, width)) <= width


@given(st.text("ab 模\u0301", max_size=300), st.integers(0, 60), st.integers(0, 8))
def test_a_wrapped_text_loses_nothing_but_spaces(long: str, first: int, indent: int) -> None:
    lines = TextLayout(60).wrap(long, first=first, indent=indent, most=1000)
    assert "".join(lines).replace(" ", "") == long.replace(" ", "")
    told = [" " * first + lines[0], *lines[1:]]
    assert all(columns(line) <= 60 or " " not in line.strip(" ") for line in told)


@given(st.lists(st.text("ab-/", min_size=1, max_size=90), max_size=30), st.integers(40, 200), st.integers(1, 5))
def test_a_word_is_never_broken(words: list[str], width: int, most: int) -> None:
    lines = TextLayout(width).wrap(" ".join(words), first=12, indent=4, most=most)
    told = " ".join(lines).removesuffix("…").split()
    assert told == words[: len(told)]
    assert len(lines) <= most or lines[0] == ""
