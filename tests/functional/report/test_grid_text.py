"""A heat map as text: within 80 columns, whatever there is, and nothing hostile gets through."""

import io

from msgspec.structs import replace

from tests.unit.core.grid.test_heat_map import ERROR, NOT_RUN, OK, cell, report_of
from tf_tester.core.outcome.report import RunReport
from tf_tester.model.events import ProductLeft
from tf_tester.model.field import FieldOutcome
from tf_tester.report.heat.text import grid_lines, print_grid
from tf_tester.report.lines import TextLayout, as_text


def text_of(report: RunReport, width: int = 80) -> list[str]:
    return as_text(grid_lines(report, TextLayout(width))).splitlines()


def triangle(count: int) -> RunReport:
    """Each version loads what earlier ones have saved, with a change at every third."""
    cells = [cell(f"1.{number}.0") for number in range(count)]
    came = {
        (a.version, b.version): (OK, "") if i // 3 <= j // 3 else (ERROR, "format too new")
        for i, a in enumerate(cells)
        for j, b in enumerate(cells)
    }
    return report_of(cells, came)


def test_twelve_versions_fit_in_eighty_columns_each_with_its_own_column() -> None:
    lines = text_of(triangle(12))
    assert max(map(len, lines)) <= 80
    assert [line[8:] for line in lines[1:7]] == [
        "                                1  1",
        "  1  1  1  1  1  1  1  1  1  1  .  .",
        "  .  .  .  .  .  .  .  .  .  .  1  1",
        "  0  1  2  3  4  5  6  7  8  9  0  1",
        "  .  .  .  .  .  .  .  .  .  .  .  .",
        "  0  0  0  0  0  0  0  0  0  0  0  0",
    ]
    assert lines[7] == "1.0.0    ok ok ok ok ok ok ok ok ok ok ok ok"
    assert "1.11.0    A  A  A  A  A  A  A  A  A ok ok ok" in lines


def test_more_versions_than_fit_are_folded_where_neighbours_are_equal() -> None:
    lines = text_of(triangle(40))
    assert max(map(len, lines)) <= 80
    folded = [line for line in lines if line.startswith("1.0.0…1.2.0")]
    assert len(folded) == 1
    assert folded[0].split()[1:] == ["ok"] * 14


def test_what_can_neither_fit_nor_be_folded_goes_on_below() -> None:
    cells = [cell(f"1.{number}") for number in range(40)]
    names = {
        (a.version, b.version): (OK if (i + j) % 2 else ERROR, "odd")
        for i, a in enumerate(cells)
        for j, b in enumerate(cells)
    }
    lines = text_of(report_of(cells, names))
    assert max(map(len, lines)) <= 80
    assert len([line for line in lines if line.startswith("1.39 ")]) == 2


def test_reasons_stand_below_with_the_users_line_and_who_is_concerned() -> None:
    one, two = cell("1.0"), cell("2.0")
    came = {
        ("1.0", "1.0"): (OK, ""),
        ("1.0", "2.0"): (ERROR, "format 1 was given up"),
        ("2.0", "1.0"): (NOT_RUN, "2.0 saved nothing: OSError: full"),
    }
    assert text_of(report_of([one, two], came)) == [
        "toy: saved by (rows), loaded by (columns)",
        "       1.0  2.0",
        "1.0     ok    A",
        "2.0      -",
        "",
        "ok works; A, B … fail, see below; - not run",
        "",
        "What fails",
        "  A  format 1 was given up",
        "     at grid.py:7  toy.load(path)",
        "     1 field: saved by 1.0, loaded by 2.0",
        "",
        "Not run",
        "  -  2.0 saved nothing: OSError: full",
        "     1 field: saved by 2.0, loaded by 1.0",
        "",
        "3 fields: 1 ok, 1 failed, 1 not run",
        "The run was interrupted.",
    ]


def test_of_several_products_each_is_named() -> None:
    one, two = cell("1.0"), cell("2.0")
    came = {("1.0", "1.0"): (OK, ""), ("1.0", "2.0"): (ERROR, "format 1 was given up")}
    report = report_of([one, two], came)
    more = tuple(replace(field, product="n") for field in report.fields)
    wrong = replace(more[0], outcome=FieldOutcome.WRONG_NUMBERS, summary="p is 0.5, not 0.35")
    lines = text_of(replace(report, fields=(*report.fields, wrong, *more[1:])))
    assert [line for line in lines if line.endswith("(columns)")] == [
        "m: toy: saved by (rows), loaded by (columns)",
        "n: toy: saved by (rows), loaded by (columns)",
    ]
    assert "     2 fields: m saved by 1.0, loaded by 2.0; n saved by 1.0, loaded by 2.0" in lines
    assert "  n saved by 1.0, loaded by 1.0: p is 0.5, not 0.35" in lines
    assert "1.0     !=    A" in lines


def test_nothing_hostile_gets_through_and_ascii_will_do() -> None:
    one = cell("1.0")
    report = report_of([one], {("1.0", "1.0"): (ERROR, "\x1b[2J::error::\u202e" + "x" * 300)})
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    print_grid(report, stream, environ={"COLUMNS": "10"})
    stream.seek(0)
    text = stream.read()
    assert "\x1b" not in text
    assert not any(line.startswith("::") for line in text.splitlines())


def test_the_products_of_a_run_are_counted_once_each_by_content() -> None:
    one = cell("1.0")
    report = report_of([one], {("1.0", "1.0"): (OK, "")})
    left = tuple(ProductLeft(one.name, "t", "m", digest, 1_000, 1) for digest in ("a", "a", "b"))
    lines = text_of(replace(report, products=left, interrupted=False, folder="/runs/1"))
    assert lines[-2:] == ["1 field: 1 ok; 3 products (2.0 kB)", "Evidence: /runs/1"]
