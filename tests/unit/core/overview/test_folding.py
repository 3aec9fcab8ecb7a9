"""The matrix folded: which neighbours are one column, which tests one row."""

from tf_tester.core.outcome.report import RunReport
from tf_tester.core.overview.folding import Row, by_python, matrix
from tf_tester.model.cell import Cell
from tf_tester.model.lock import Resolution
from tf_tester.model.outcome import CellResult, Outcome, TestRow, worst

PASS, FAIL = Outcome.PASS, Outcome.FAIL


def report(told: dict[Cell, dict[str, Outcome]]) -> RunReport:
    results = {
        cell.name: CellResult(
            cell.name,
            worst(list(tests.values())) if tests else Outcome.NO_WHEEL,
            tests=tuple(TestRow(test, outcome) for test, outcome in tests.items()),
        )
        for cell, tests in told.items()
    }
    return RunReport(cells=tuple(told), results=results)


def cell(version: str, python: str = "3.11") -> Cell:
    return Cell.of("toy", version, python, Resolution.ERA)


def test_neighbours_in_which_all_came_to_the_same_are_one_column() -> None:
    told = matrix(
        report(
            {
                cell("1.0", "3.8"): {"a": PASS, "b": PASS},
                cell("1.1", "3.9"): {"a": PASS, "b": PASS},
                cell("2.0"): {"a": PASS, "b": FAIL},
                cell("3.0"): {},
                cell("4.0"): {"a": PASS, "b": PASS},
            }
        )
    )
    assert [column.version for column in told.columns] == ["1.0 – 1.1", "2.0", "3.0", "4.0"]
    assert told.columns[0].python == "py3.8 – py3.9"
    no_wheel = Outcome.NO_WHEEL
    assert told.rows == (Row(("b",), (PASS, FAIL, no_wheel, PASS)), Row(("a",), (PASS, PASS, no_wheel, PASS)))


def test_a_cell_that_prints_something_else_is_told_apart() -> None:
    cells = [cell(version) for version in ("1.0", "2.0", "3.0")]
    told = matrix(report({one: {"a": PASS} for one in cells}), differing=frozenset({(cells[1].name, "a")}))
    assert [column.version for column in told.columns] == ["1.0", "2.0", "3.0"]
    assert told.rows == (Row(("a",), (PASS, PASS, PASS), frozenset({1})),)


def test_cells_of_one_python_are_brought_together_in_their_order() -> None:
    cells = [cell(version, python) for version in ("1.0", "2.0") for python in ("3.9", "3.11")]
    ordered = by_python(report({one: {"a": PASS} for one in cells})).cells
    assert [(one.python, one.version) for one in ordered] == [
        ("3.9", "1.0"),
        ("3.9", "2.0"),
        ("3.11", "1.0"),
        ("3.11", "2.0"),
    ]
