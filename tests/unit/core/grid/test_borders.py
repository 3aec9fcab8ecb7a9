"""Where neighbours of a grid differ."""

from msgspec.structs import replace

from tests.unit.core.grid.test_heat_map import ERROR, NOT_RUN, OK, cell, report_of
from tf_tester.core.grid.borders import Border, borders, lines_of
from tf_tester.model.cell import Cell
from tf_tester.model.field import FieldOutcome
from tf_tester.model.lock import Resolution

CELLS = [cell(version) for version in ("1.0", "1.1", "2.0", "2.1")]
NAMES = {one.name: one for one in CELLS}


def found(came: dict[tuple[str, str], FieldOutcome]) -> list[tuple[str, str, str, str, bool, int]]:
    told = {pair: (one, "old format" if one is ERROR else "") for pair, one in came.items()}
    report = report_of(CELLS, told)

    def version(name: str) -> str:
        return NAMES[name].version

    def row(one: Border) -> tuple[str, str, str, str, bool, int]:
        return (one.side, version(one.held), version(one.before), version(one.after), one.breaks, one.count)

    return [row(one) for one in borders(report.fields, tuple(NAMES), tuple(NAMES), NAMES)]


def test_the_same_border_is_told_once_with_how_many_there_are() -> None:
    came = {(a, b): OK if a[0] <= b[0] else ERROR for a in ("1.0", "1.1", "2.0", "2.1") for b in ("1.0", "1.1", "2.0")}
    assert found(came) == [
        ("saved", "1.0", "1.1", "2.0", True, 2),
        ("loaded", "2.0", "1.1", "2.0", False, 2),
    ]


def test_what_was_not_run_or_varies_is_passed_over() -> None:
    came = {("1.0", "1.0"): OK, ("1.0", "1.1"): NOT_RUN, ("1.0", "2.0"): FieldOutcome.FLAKY, ("1.0", "2.1"): ERROR}
    assert found(came) == [("loaded", "1.0", "1.0", "2.1", True, 1)]


def test_another_kind_of_failure_is_another_border() -> None:
    came = {("1.0", "1.0"): OK, ("1.0", "1.1"): ERROR, ("2.0", "1.0"): OK, ("2.0", "1.1"): FieldOutcome.WRONG_NUMBERS}
    assert [row[:4] for row in found(came)] == [
        ("loaded", "1.0", "1.0", "1.1"),
        ("loaded", "2.0", "1.0", "1.1"),
    ]


def test_of_two_products_each_has_its_own() -> None:
    report = report_of(CELLS, {("1.0", "1.0"): (OK, ""), ("1.0", "1.1"): (ERROR, "")})
    fields = (*report.fields, *(replace(one, product="n") for one in report.fields))
    assert [one.product for one in borders(fields, tuple(NAMES), tuple(NAMES), NAMES)] == ["m", "n"]


def test_neighbours_are_of_one_package_and_of_one_python_where_a_version_has_several() -> None:
    several = [cell("1.0", "3.8"), cell("1.1", "3.11"), Cell.of("other", "1.0", "3.8", Resolution.ERA)]
    names = {one.name: one for one in several}
    assert [len(line) for line in lines_of(names, names)] == [2, 1]
    doubled = {one.name: one for one in (*several, cell("1.0", "3.11"))}
    lines = lines_of(doubled, doubled)
    assert [[doubled[name].version for name in line] for line in lines] == [["1.0"], ["1.1", "1.0"], ["1.0"]]
