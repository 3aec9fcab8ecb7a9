"""Laws of the folded matrix, and of the text that shows it."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tf_tester.core.outcome.failures import kinds_of_failure, obstacles
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.overview.cause_rows import cause_matrix
from tf_tester.core.overview.folding import Matrix, by_python, matrix
from tf_tester.core.overview.reasons import reasons
from tf_tester.model.cell import Cell
from tf_tester.model.lock import Resolution
from tf_tester.model.outcome import CellResult, ExceptionFact, Outcome, TestRow, worst
from tf_tester.report.grid import results
from tf_tester.report.lines import TextLayout, as_text, columns
from tf_tester.report.matrix import report_lines
from tf_tester.report.words import Detail, MatrixRows

outcomes = st.sampled_from([Outcome.PASS, Outcome.PASS, Outcome.FAIL, Outcome.SKIP, Outcome.CRASH])
words = st.text("ab_", min_size=1, max_size=12)


@st.composite
def reports(draw: st.DrawFn) -> RunReport:
    """Runs of up to 36 cells and 20 tests, in stretches of equal cells as versions have them."""
    names = [f"tests/test_{number % 2}.py::test_{draw(words)}{number}" for number in range(draw(st.integers(1, 20)))]
    pythons = draw(st.lists(st.sampled_from(["3.8", "3.11", "-"]), min_size=1, max_size=2, unique=True))
    found: dict[Cell, CellResult] = {}
    for stretch in range(draw(st.integers(1, 6))):
        told = draw(st.dictionaries(st.sampled_from(names), outcomes, max_size=len(names)))
        refused = draw(st.sampled_from([Outcome.NO_WHEEL, Outcome.DOWNLOAD_FAILED]))
        failure = ExceptionFact("ValueError", " ".join(draw(st.lists(words, max_size=20))), "/a/t.py", 3)
        for number in range(draw(st.integers(1, 3))):
            for python in pythons:
                cell = Cell.of("toy", f"{stretch}.{number}.0", python, Resolution.ERA)
                rows = [
                    TestRow(name, told[name], exception=failure if told[name] is Outcome.FAIL else None)
                    for name in names
                    if name in told
                ]
                outcome = worst(list(told.values())) if rows else refused
                found[cell] = CellResult(cell.name, outcome, "it is so" * 20, tests=tuple(rows))
    told_of = {cell.name: result for cell, result in found.items()}
    return RunReport("20261122-1", cells=tuple(found), results=told_of, interrupted=False, folder="/r", wall_s=3.0)


def unfolded(folded: Matrix) -> dict[tuple[str, str], Outcome]:
    """Each test in each cell, as the folded matrix has it."""
    return {
        (cell.name, test): outcome
        for row in folded.rows
        for test in row.tests
        for column, outcome in zip(folded.columns, row.outcomes, strict=True)
        for cell in column.cells
        if outcome is not None
    }


@given(reports())
def test_folding_loses_no_cell_and_unfolds_to_what_it_was(report: RunReport) -> None:
    for one in (report, by_python(report)):
        folded = matrix(one)
        assert [cell for column in folded.columns for cell in column.cells] == list(one.cells)
        assert set(one.cells) == set(report.cells)
        tests = {row.id for result in one.results.values() for row in result.tests}
        was = {(cell.name, row.id): row.outcome for cell in one.cells for row in one.result(cell).tests}
        # A cell without tests has its own outcome in each row.
        was |= {
            (cell.name, test): one.result(cell).outcome
            for cell in one.cells
            for test in tests
            if not one.result(cell).tests
        }
        assert unfolded(folded) == was


@given(reports())
def test_no_two_neighbours_are_equal_once_folded(report: RunReport) -> None:
    folded = matrix(report)
    fates = list(zip(*(row.outcomes for row in folded.rows), strict=True))
    kinds = [(column.cells[0].python == "-", fate) for column, fate in zip(folded.columns, fates, strict=True)]
    assert all(one != other for one, other in pairwise(kinds))


@given(reports())
def test_whatever_is_wrong_in_a_cell_has_its_row_and_nothing_else(report: RunReport) -> None:
    why, stuck = reasons(report), obstacles(report)
    found = cause_matrix(report, why, stuck)
    assert [cell for column in found.columns for cell in column.cells] == list(report.cells)
    for number, column in enumerate(found.columns):
        for cell in column.cells:
            result = report.result(cell)
            kinds = set(kinds_of_failure(result)) if result.outcome.is_failure_of_the_test else set()
            for reason, row in zip(why, found.rows, strict=False):
                outcome = row.outcomes[number]
                fails = outcome is not None and outcome.is_failure_of_the_test
                assert fails is (reason.failure.signature in kinds)
            stands = [row.outcomes[number] for row in found.rows[len(why) :]]
            assert stands.count(result.outcome) == (not result.outcome.ran)


@given(reports(), st.integers(40, 200), st.sampled_from(Detail), st.sampled_from(MatrixRows))
def test_no_line_is_wider_than_the_place(report: RunReport, width: int, detail: Detail, rows: MatrixRows) -> None:
    lines = report_lines(report, TextLayout(width), detail=detail, timings=True, rows=rows)
    for line in as_text(lines).splitlines():
        is_one_word = " " not in line.strip()
        is_to_be_copied = line.startswith(("Next: tf-tester", "Evidence: "))
        assert columns(line) <= width or is_one_word or is_to_be_copied, line


@given(reports(), st.integers(40, 200))
def test_told_in_whole_each_test_has_a_mark_in_each_cell(report: RunReport, width: int) -> None:
    """In blocks of columns, as many as it takes: each cell is in one, and each of them has all rows."""
    tests = {row.id for result in report.results.values() for row in result.tests}
    lines = as_text(results(report, TextLayout(width), whole=True)).splitlines()
    heads = Counter(word for line in lines for word in line.split())
    assert all(heads[one] == times for one, times in Counter(cell.version for cell in report.cells).items())
    if len(tests) > 1:
        blocks = sum(line.split()[-1].count(".") == 2 for line in lines if line)
        marks = {str(outcome) for outcome in Outcome} | {"FAIL"}
        rows = [line for line in lines if line.split()[-1:] and line.split()[-1] in {*marks, "-"}]
        assert len(rows) >= blocks * len(tests)
