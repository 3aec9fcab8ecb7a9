"""A heat map as text: within 80 columns, whatever there is, and nothing hostile gets through."""

import io

import msgspec
from msgspec.structs import replace

from tests.unit.core.grid.test_guarantees import CAME, CELLS, MAJORS, NOTHING, with_guarantees
from tests.unit.core.grid.test_heat_map import ERROR, NOT_RUN, OK, cell, report_of
from tf_tester.core.outcome.report import RunReport
from tf_tester.model.events import BorderFound, ProductLeft, RouteFound
from tf_tester.model.field import FieldOutcome, GridSide, RouteHop
from tf_tester.report.heat.text import grid_lines, print_grid
from tf_tester.report.lines import TextLayout, as_text


def text_of(report: RunReport, width: int = 80) -> list[str]:
    return as_text(grid_lines(report, TextLayout(width))).splitlines()


def picture_of(report: RunReport) -> list[str]:
    """Return what stands below the sentence that comes first."""
    lines = text_of(report)
    return lines[lines.index("") + 1 :]


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
    assert max(map(len, text_of(triangle(12)))) <= 80
    lines = picture_of(triangle(12))
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
        "toy: newer versions don't rightly load what older ones saved (2.0 fails on what",
        "  1.0 saved).",
        "",
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
    assert lines[0].startswith("toy, all 2 products together: newer versions don't rightly load")
    below = "newer versions don't rightly load what older ones saved (2.0 fails on what 1.0"
    assert [line.partition(" saved")[0] for line in lines].count(below.partition(" saved")[0]) == 2
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


def test_a_broken_promise_is_marked_and_told_with_its_source() -> None:
    lines = text_of(with_guarantees(report_of(CELLS, CAME), [MAJORS], "m/model.txt"))
    assert [line.split() for line in lines if line.startswith(("1.0 ", "1.1 ", "2.0 "))] == [
        ["1.0", "ok", "A*", "ok"],
        ["1.1", "ok", "A*", "ok"],
        ["2.0", "ok", "A", "ok"],
    ]
    told = " ".join(" ".join(lines).split())
    assert (
        "file is promised nothing (https://toy.example, 2026-12-01): kept in 2 of 4 fields, broken in 2 "
        "ok works; A, B … fail, see below; * though it is promised"
    ) in told
    nothing = text_of(with_guarantees(report_of(CELLS, CAME), [msgspec.to_builtins(NOTHING)], "m.txt"))
    assert "file is promised nothing (https://toy.example, 2026-12-01)" in nothing
    assert not any("promised;" in line or "*" in line for line in nothing)


def test_marked_fields_keep_their_distance_in_narrow_columns() -> None:
    report = triangle(25)
    wrong = tuple(
        replace(field, outcome=FieldOutcome.WRONG_NUMBERS, exception=None, summary="p is 1, not 2")
        if field.outcome is ERROR
        else field
        for field in report.fields
    )
    backwards = {**MAJORS, "majors": None, "older_days": 9}
    lines = text_of(replace(with_guarantees(replace(report, fields=wrong), [backwards], "m.txt")))
    assert max(map(len, lines)) <= 80
    days = {one.name: "2024-01-01" for one in report.cells}
    grid = {**report.request["grid"], "guarantees": [backwards], "released": days}
    marked = with_guarantees(replace(report, fields=wrong), [backwards], "m.txt")
    lines = text_of(replace(marked, request={**marked.request, "grid": grid}))
    assert max(map(len, lines)) <= 80
    assert any("!=* !=*" in line for line in lines)


BORDER = BorderFound(
    "m",
    GridSide.SAVED,
    CELLS[0].name,
    before="1.1",
    after="1.2",
    neighbours=("1.0", "2.0"),
    outcome=ERROR,
    breaks=True,
    summary="KeyError: 'kind'",
    tried=3,
    fields=2,
)


def test_borders_are_told_with_the_release() -> None:
    others = (
        replace(
            BORDER, side=GridSide.LOADED, breaks=False, outcome=FieldOutcome.WRONG_NUMBERS, summary="p is 1, not 2"
        ),
        replace(BORDER, between=("1.2rc1",), tried=0, fields=1),
        replace(BORDER, trouble="there is no index"),
    )
    lines = text_of(replace(report_of(CELLS, CAME), borders=(BORDER, *others)))
    at = lines.index("Since when")
    assert lines[at + 1 : at + 3] == [
        "  1.2  1.0 fails on what 1.2 and later versions save: KeyError: 'kind'",
        "     between 1.0 and 2.0, 3 releases tried; the same for 2 pairs of neighbours",
    ]
    assert lines[at + 3] == "  1.2  1.1 and earlier versions get other numbers from what 1.0 saved, 1.2"
    told = " ".join(" ".join(lines[at:]).split())
    assert "1.1 to 1.2 1.0 fails on what 1.2 and later versions save: KeyError: 'kind'; 1.2rc1 could not be" in told
    assert "1.0 to 2.0 1.0 fails on what 1.2 and later versions save: KeyError: 'kind'; which release it is" in told


def test_a_way_is_told_step_by_step_and_that_there_is_none_with_the_nearest() -> None:
    start, middle, goal = (one.name for one in CELLS)
    hops = (RouteHop(middle, "m", "m.keras", "d" * 64), RouteHop(goal, "m.keras"))
    way = RouteFound("m", start, goal, hops, True, ("p",))
    none = RouteFound("n", start, goal, hops[:1], summary="nothing loads it", failed=("2.0 takes n not as expected",))
    lines = text_of(replace(report_of(CELLS, CAME), routes=(way, none, replace(none, hops=(), failed=()))))
    at = lines.index("The way from 1.0 to 2.0")
    told = " ".join(" ".join(lines[at + 1 :]).split())
    assert told.startswith(
        "m: load in 1.1, save as m.keras, load in 2.0 (run from end to end; p as it was saved) "
        "n: there is no way: nothing loads it; the nearest that it comes to is 1.1: load in 1.1, save as m.keras "
        "tried in vain: 2.0 takes n not as expected "
        "n: there is no way: nothing loads it; nor is there one to a version nearer to it"
    )
