"""Each kind of failure once, the most harmful first, with the user's own line."""

from tf_tester.core.outcome.report import RunReport
from tf_tester.core.overview.own_code import OwnPlace, own_place
from tf_tester.core.overview.reasons import reasons
from tf_tester.model.cell import Cell
from tf_tester.model.lock import Resolution
from tf_tester.model.outcome import CellResult, ExceptionFact, Outcome, TestRow

HERE = "/home/me/lib"
LIBRARY = "/store/env/lib/python3.11/site-packages/toy/__init__.py"
TRACEBACK = f"""Traceback (most recent call last):
  File "{HERE}/tests/test_a.py", line 7, in test_a
    spin(3)
  File "{HERE}/src/mine.py", line 3, in spin
    toy.spin(n)
  File "{LIBRARY}", line 90, in spin
    raise TypeError("no")
TypeError: no
"""


def failing(test: str, message: str, traceback: str = "", file: str = LIBRARY) -> TestRow:
    return TestRow(
        test, Outcome.FAIL, exception=ExceptionFact("TypeError", message, file, 90, "spin"), traceback=traceback
    )


def report(rows: dict[str, list[TestRow]]) -> RunReport:
    cells = {version: Cell.of("toy", version, "3.11", Resolution.ERA) for version in rows}
    results = {cell.name: CellResult(cell.name, Outcome.FAIL, tests=tuple(rows[v])) for v, cell in cells.items()}
    return RunReport(request={"trial": {"cwd": HERE}}, cells=tuple(cells.values()), results=results)


def test_what_most_cells_have_comes_before_what_most_tests_have() -> None:
    many = [failing(f"tests/test_a.py::test_{number}", "alone") for number in range(9)]
    both = failing("tests/test_a.py::test_both", "everywhere")
    found = reasons(report({"1.0": [*many, both], "2.0": [both]}))
    assert [(one.headline, len(one.cells), one.failure.tests) for one in found] == [
        ("TypeError: everywhere", 2, 2),
        ("TypeError: alone", 1, 9),
    ]


def test_the_own_line_is_the_innermost_that_is_no_library() -> None:
    row = failing("tests/test_a.py::test_a", "no", TRACEBACK)
    assert own_place(row, HERE) == OwnPlace("src/mine.py", 3, "toy.spin(n)")
    assert reasons(report({"1.0": [row]}))[0].place == OwnPlace("src/mine.py", 3, "toy.spin(n)")


def test_a_virtual_environment_in_the_project_is_nothing_of_ones_own() -> None:
    traceback = TRACEBACK.replace(LIBRARY, f"{HERE}/.venv/lib/python3.11/site-packages/toy.py")
    assert own_place(failing("t.py", "no", traceback), HERE) == OwnPlace("src/mine.py", 3, "toy.spin(n)")


def test_without_a_traceback_it_is_where_the_exception_was_raised_or_the_file_of_the_test() -> None:
    assert own_place(failing("t.py", "no", file=f"{HERE}/src/mine.py"), HERE) == OwnPlace("src/mine.py", 90)
    assert own_place(failing("tests/test_a.py::test_a", "no"), HERE) == OwnPlace("tests/test_a.py")
    for elsewhere in ("python train.py", "make check", "/elsewhere/a.py"):
        assert own_place(TestRow(elsewhere, Outcome.CRASH), HERE) is None


def test_paths_are_as_from_where_the_run_was_asked_for() -> None:
    row = failing("t.py::test", f"no file {HERE}/data/x.bin\nsecond line")
    assert reasons(report({"1.0": [row]}))[0].headline == "TypeError: no file data/x.bin"
