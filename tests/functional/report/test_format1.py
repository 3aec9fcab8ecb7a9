"""Records and baselines that were written in format 1 are read as today's.

`tests/records/format1` has what commit 2607be9 wrote, with neutral paths and times.
"""

from pathlib import Path

import pytest
from msgspec.structs import replace

from tf_tester.core.outcome.baseline import moves, read_baseline
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.verdict.record_diff import record_diff
from tf_tester.core.verdict.supports import support
from tf_tester.model.cell import Cell, CellRequirement
from tf_tester.model.events import CellFinished
from tf_tester.model.lock import Resolution
from tf_tester.model.outcome import Outcome
from tf_tester.report.lines import TextLayout, as_text
from tf_tester.report.matrix import report_lines
from tf_tester.report.record import read_record, report_of

OLD = Path(__file__).parents[2] / "records" / "format1"
ERA, LATEST, LOCK = Resolution.ERA, Resolution.LATEST, Resolution.LOCK


def old(name: str) -> RunReport:
    return report_of(OLD / f"{name}.jsonl")


@pytest.mark.parametrize("name", sorted(path.stem for path in OLD.glob("*.jsonl")))
def test_every_event_of_a_cell_is_of_a_cell_that_is_known(name: str) -> None:
    lines = (OLD / f"{name}.jsonl").read_text("utf-8").splitlines()
    assert len(list(read_record(OLD / f"{name}.jsonl"))) == len(lines), "no event is lost"
    report = old(name)
    assert not report.interrupted
    assert report.cells
    if name not in ("blame", "locks"):  # there the cells of the matrix are run under other names, or not at all
        assert {cell.name for cell in report.cells} <= set(report.results)


def test_a_matrix() -> None:
    report = old("test")
    assert report.cells == tuple(
        Cell.of("toy", version, "3.11", ERA) for version in ("1.0", "1.1", "2.0", "2.1", "2.2")
    )
    assert [report.result(cell).outcome for cell in report.cells] == [
        Outcome.PASS,
        Outcome.FAIL,
        Outcome.PASS,
        Outcome.UNRESOLVABLE,
        Outcome.CRASH,
    ]
    assert report.locks["toy==1.0@py3.11@era"].pins


def test_a_dependency_that_was_bisected() -> None:
    assert old("bisect").cells == tuple(
        Cell.of("toy", "2.0", "3.11", ERA, besides=[CellRequirement("gear", f"5.{number}")]) for number in range(4)
    )


def test_what_found_no_tests_is_empty() -> None:
    report = old("nothing")
    [result] = report.results.values()
    assert result.outcome is Outcome.EMPTY
    assert [row.outcome for row in result.tests] == [Outcome.EMPTY]


def test_explanations() -> None:
    [explained] = old("blame").explanations
    assert (explained.cell, explained.against) == (
        Cell.of("toy", "1.0", "3.11", LATEST),
        Cell.of("toy", "1.0", "3.11", ERA),
    )
    [by_locks] = old("locks").explanations
    assert by_locks.cell == Cell.of("toy", "1.0", "3.11", LOCK, lock_name="bad.txt")


@pytest.mark.parametrize(
    ("also", "resolution", "cell"),
    [
        (
            '["gear<3","again"]',
            LATEST,
            Cell.of("toy", "1.0", "3.11", LATEST, besides=[CellRequirement.parse("gear<3")]),
        ),
        ('["frozen.txt","again"]', LOCK, Cell.of("toy", "1.0", "3.11", LOCK, lock_name="frozen.txt")),
        ('["again"]', ERA, Cell.of("toy", "1.0", "3.11", ERA)),
    ],
)
def test_a_repeated_run_keeps_its_key(tmp_path: Path, also: str, resolution: Resolution, cell: Cell) -> None:
    words = f'"package":"toy","version":"1.0","python":"3.11","resolution":"{resolution}","also":{also}'
    (tmp_path / "record.jsonl").write_text(
        '{"format":1,"event":"run-started","run_id":"1","started":"","tool":"","request":{},"folder":"",'
        f'"cells":[{{{words}}}]}}\n'
    )
    [read] = report_of(tmp_path / "record.jsonl").cells
    assert read == replace(cell, attempt="again")
    assert read.name == f"{cell.name}+again"


@pytest.mark.parametrize("cells", ["7", "[7]", "[[]]", '[{"package":"toy"}]', "null"])
def test_a_damaged_event_is_skipped(tmp_path: Path, cells: str) -> None:
    (tmp_path / "record.jsonl").write_text(f'{{"format":1,"event":"run-started","cells":{cells}}}\n')
    assert list(read_record(tmp_path / "record.jsonl")) == []


def test_what_is_made_of_a_record_is_made_of_an_old_one() -> None:
    report = old("test")
    assert "What fails" in as_text(report_lines(report, TextLayout(100), timings=False), colour=False)
    assert support(report)[0].specifier == ">=2.0,<2.2"
    assert record_diff(report, report).cells == ()


@pytest.mark.parametrize(("baseline", "record"), [("baseline", "test"), ("baseline-nothing", "nothing")])
def test_an_old_baseline_compares_with_a_record(baseline: str, record: str) -> None:
    known = read_baseline((OLD / f"{baseline}.json").read_text("utf-8"), shown="baseline.json")
    assert known
    assert moves(known, old(record)) == ()


def test_lines_of_both_formats_in_one_file(tmp_path: Path) -> None:
    """A run that was killed may have been continued by a later version."""
    both = tmp_path / "record.jsonl"
    first = (OLD / "test.jsonl").read_text("utf-8").splitlines()[0]
    both.write_text(
        first + '\n{"format":2,"event":"cell-finished","result":{"cell":"toy==1.0@py3.11@era","outcome":"pass"}}\n'
    )
    events = list(read_record(both))
    assert len(events) == 2
    assert isinstance(events[1], CellFinished)
