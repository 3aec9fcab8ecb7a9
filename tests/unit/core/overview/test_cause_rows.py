"""The matrix by what is wrong: a row for each kind of failure, and for each reason why cells could not run."""

from tf_tester.core.outcome.failures import obstacles
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.overview.cause_rows import CauseMatrix, CauseRow, cause_matrix
from tf_tester.core.overview.reasons import reasons
from tf_tester.model.cell import Cell
from tf_tester.model.lock import Resolution
from tf_tester.model.outcome import CellResult, ExceptionFact, Outcome, TestRow, worst

PASS, FAIL, CRASH, SKIP, NO_WHEEL = Outcome.PASS, Outcome.FAIL, Outcome.CRASH, Outcome.SKIP, Outcome.NO_WHEEL


def row(name: str, told: str) -> TestRow:
    """`no`, `other`: it fails with that message; else an outcome."""
    if told in ("no", "other"):
        return TestRow(name, FAIL, exception=ExceptionFact("TypeError", told))
    return TestRow(name, Outcome(told))


def told_of(versions: dict[str, dict[str, str]], **whole: Outcome) -> CauseMatrix:
    """`versions`: what tests came to; `whole`: what cells without tests came to, by `v4`."""
    results = {}
    for version, tests in versions.items():
        rows = tuple(row(name, told) for name, told in tests.items())
        outcome = worst([one.outcome for one in rows]) if rows else whole[f"v{version}"]
        results[Cell.of("toy", version, "3.11", Resolution.ERA)] = CellResult("", outcome, "no wheel", tests=rows)
    report = RunReport(cells=tuple(results), results={cell.name: result for cell, result in results.items()})
    return cause_matrix(report, reasons(report), obstacles(report))


def test_a_row_tells_where_tests_fail_so_and_where_they_pass() -> None:
    found = told_of(
        {
            "1": {"a": "pass", "b": "pass", "c": "pass"},
            "2": {"a": "no", "b": "no", "c": "pass"},
            "3": {"a": "pass", "b": "no", "c": "other"},
            "4": {},
            "5": {"a": "other", "c": "skip"},
        },
        v4=NO_WHEEL,
    )
    assert [column.version for column in found.columns] == ["1", "2", "3", "4", "5"]
    assert found.rows == (
        CauseRow("TypeError: no", ("a", "b"), (PASS, FAIL, FAIL, NO_WHEEL, None)),
        CauseRow("TypeError: other", ("c", "a"), (PASS, None, FAIL, NO_WHEEL, FAIL)),
        CauseRow("no-wheel: no wheel", (), (None, None, None, NO_WHEEL, None)),
    )


def test_neighbours_with_the_same_causes_are_one_column_whichever_tests_fail() -> None:
    found = told_of({"1": {"a": "no", "b": "pass"}, "2": {"a": "pass", "b": "no"}, "3": {"a": "pass", "b": "pass"}})
    assert [column.version for column in found.columns] == ["1 – 2", "3"]
    assert found.rows == (CauseRow("TypeError: no", ("a", "b"), (FAIL, PASS)),)


def test_a_cell_that_died_without_a_test_has_a_cause_of_its_own() -> None:
    found = told_of({"1": {}, "2": {"a": "no"}, "3": {"a": "pass"}}, v1=CRASH)
    assert {one.headline: one.outcomes for one in found.rows} == {
        "no wheel": (CRASH, None, PASS),
        "TypeError: no": (None, FAIL, PASS),
    }


def test_where_nothing_is_wrong_there_is_no_row() -> None:
    assert told_of({"1": {"a": "pass"}}).rows == ()
