"""The page of a grid: its pictures, what they say, and the data from which a click on a field is shown."""

import json
import re

import pytest
from msgspec.structs import replace

from tests.functional.report.page.blocks import block
from tests.functional.report.test_formats import HOSTILE, REPORT, outside_of_code, rendered
from tests.functional.report.test_grid_text import BORDER
from tests.unit.core.grid.test_guarantees import CAME, CELLS, MAJORS, with_guarantees
from tests.unit.core.grid.test_heat_map import ERROR, NOT_RUN, OK, cell, report_of
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.text.printable import printable
from tf_tester.model.events import ProductLeft, RouteFound
from tf_tester.model.field import FieldOutcome, RouteHop, ValueDifference
from tf_tester.report.formats.page.heat import section
from tf_tester.report.formats.page.heat.data import field_command

DIFFERENCE = ValueDifference("p", CELLS[0].name, "0.35", "0.5", (1,), 2, 8, 0.15, 0.4286, 99, rtol=1e-6)


def grid() -> RunReport:
    """A grid with all that there can be in one."""
    report = with_guarantees(report_of(CELLS, CAME), [MAJORS], "m.txt")
    first, *fields = report.fields
    start, middle, goal = (one.name for one in CELLS)
    wrong = replace(
        first, outcome=FieldOutcome.WRONG_NUMBERS, tests=(), differences=(DIFFERENCE,), summary="p[1] is 0.5, not 0.35"
    )
    hops = (RouteHop(middle, "m", "m"), RouteHop(goal, "m"))
    request = {**report.request, "selection": {"package": "toy"}}
    request["grid"] = {**request["grid"], "file": "/home/me/grid.py"}
    return replace(
        report,
        request=request,
        run_id="20261201-1",
        folder="/store/runs/20261201-1",
        interrupted=False,
        fields=(wrong, *fields),
        borders=(BORDER,),
        routes=(RouteFound("m", start, goal, hops, True, ("p",)),),
    )


PAGE = rendered("html", grid())


def texts(page: str, tag: str) -> list[str]:
    return [re.sub(r"<[^>]*>", "", one) for one in re.findall(rf"<{tag}[ >].*?</{tag}>", page, re.DOTALL)]


def test_each_field_has_a_sign_a_colour_and_what_is_promised() -> None:
    [table] = re.findall(r'<table class="heat">.*?</table>', PAGE, re.DOTALL)
    fields = re.findall(r'<td class="([^"]*)">([^<]*)</td>', table)
    assert fields[:3] == [("bad promised breach", "≠*"), ("bad promised breach", "✗ A*"), ("good", "✓ ok")]
    assert fields[6:] == [("good", "✓ ok"), ("bad", "✗ A"), ("good promised", "✓ ok")]


def test_what_a_grid_says_stands_in_the_page_without_its_script() -> None:
    told = re.sub(r"<[^>]*>", " ", PAGE[: PAGE.index('<script type="application/json"')])
    assert "toy: newer versions load what older ones saved" in told
    assert "新版本能加载旧版本保存的内容" in told
    for words in ("p[1]", "0.35", "0.5", "0.15", "0.429", "2 / 8", "rtol 1e-06, atol 0"):
        assert words in told
    assert "load in 1.1, save it again, load in 2.0 (run from end to end; p as it was saved)" in told
    assert "用 1.1 加载，重新保存，用 2.0 加载（已从头到尾运行；p 与保存时一致）" in told
    assert "1.0 fails on what 1.2 and later versions save: KeyError: &#x27;kind&#x27;" in told
    assert "1.0 加载 1.2 及以后的版本 保存的内容时失败" in told
    assert "file is promised nothing (https://toy.example, 2026-12-01): kept in 1 of 4 fields, broken in 3" in told
    assert texts(PAGE, "h2")[:5] == [
        "Saved by one version, loaded by another由一个版本保存，由另一个版本加载",
        "The way from 1.0 to 2.0从 1.0 到 2.0 的路径",
        "Wrong numbers数值不同",
        "Kinds of failure失败的种类",
        "Since when从哪个版本开始",
    ]


def test_the_data_has_what_a_click_shows() -> None:
    told = block(PAGE, "grid")
    assert told["labels"] == ["1.0", "1.1", "2.0"]
    assert told["maps"] == [{"product": "m", "rows": [0, 1, 2], "columns": [0, 1, 2]}]
    by_pair = {tuple(field["pair"]): field for field in told["fields"]}
    assert len(by_pair) == 9
    wrong, failed, fine = by_pair[0, 0, 0], by_pair[0, 0, 1], by_pair[0, 0, 2]
    assert told["lines"][wrong["said"]] == "p[1] is 0.5, not 0.35"
    assert wrong["numbers"] == [["p[1]", "0.35", "0.5", "0.15", "0.429", "99", "2 / 8", "rtol 1e-06, atol 0"]]
    assert (failed["outcome"], failed["shown"], failed["promised"]) == ("error", "✗ A*", True)
    tests = block(PAGE, "index")["tests"]
    assert [tests[one] for one in failed["tests"]] == ["grid.py::load[m from 1.0]"]
    assert fine == {
        "pair": [0, 0, 2],
        "outcome": "ok",
        "shown": "✓ ok",
        "kind": "good",
        "tests": fine["tests"],
        "promised": False,
    }
    [product] = told["products"]
    assert (product["cell"], product["size"], product["paths"]) == (0, "1 B", ["m.txt"])
    assert told["command"] == "tf-tester grid grid.py --package toy --versions {saved} --consumers {loaded}"


def test_the_command_that_repeats_a_field_is_that_of_the_grid() -> None:
    report = grid()
    request = {**report.request, "selection": {"package": "toy", "pythons": ["3.11"]}}
    request["grid"] = {**report.request["grid"], "file": None, "save": ["python", "a b.py"], "load": ["x", "{product}"]}
    assert field_command(replace(report, request=request)) == (
        "tf-tester grid --save 'python '\"'\"'a b.py'\"'\"'' --load 'x '\"'\"'{product}'\"'\"'' --package toy "
        "--python 3.11 --versions {saved} --consumers {loaded}"
    )
    assert field_command(replace(report, request={})) == ""


def test_a_page_without_a_grid_has_nothing_of_it() -> None:
    page = rendered("html", REPORT)
    assert "heat" not in page
    assert "GridReader" not in page
    assert "由一个版本保存" not in page
    assert 'id="grid"' not in page


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_hostile_gets_out_of_its_place(text: str) -> None:
    report = grid()
    hostile = replace(
        report,
        fields=tuple(replace(one, summary=text, product="m") for one in report.fields),
        products=tuple(replace(one, paths=(text,), digest=text) for one in report.products),
        borders=(replace(BORDER, summary=text, product=text, before=text, after=text, trouble=text),),
        routes=(RouteFound(text, text, text, (RouteHop(text, text, text),), False, (text,), text, (text,)),),
    )
    page = rendered("html", hostile)
    assert page.count("<script") == 5
    assert not re.search(r"<(iframe|img|a|object)\b", page)
    shown = printable(text, newlines=True)
    assert text == shown or text not in page
    plain = outside_of_code(rendered("markdown", hostile))
    assert not re.search(r"script|alert|@everyone|javascript|heading|forged|\]\(|!\[", plain), plain


def test_of_too_many_places_neighbours_that_are_the_same_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(section, "MOST_PLACES", 30)
    cells = [cell(f"1.{number}") for number in range(6)]
    came = {(a.version, b.version): (OK if a.version < "1.3" else ERROR, "old") for a in cells for b in cells}
    page = rendered("html", replace(report_of(cells, came), interrupted=False))
    assert block(page, "grid")["maps"] == [{"product": "m", "rows": [0, 3], "columns": [0]}]
    assert len(block(page, "grid")["fields"]) == 36
    assert "1.0 – 1.5" in page


def test_a_field_that_the_run_never_came_to_has_a_place() -> None:
    report = report_of(CELLS, {("1.0", "1.0"): (OK, ""), ("1.0", "1.1"): (NOT_RUN, "1.1 could not run: no wheel")})
    page = rendered("html", report)
    [table] = re.findall(r'<table class="heat">.*?</table>', page, re.DOTALL)
    assert re.findall(r'<td class="([^"]*)">([^<]*)</td>', table)[:3] == [
        ("good", "✓ ok"),
        ("none", "–"),
        ("none", "·"),
    ]
    assert "1.1 could not run: no wheel" in page


def test_a_record_that_names_cells_that_it_lacks_is_shown_as_far_as_it_goes() -> None:
    report = grid()
    gone = replace(report.fields[0], producer="gone")
    left = ProductLeft("gone", "t", "m", "d" * 64)
    page = rendered("html", replace(report, fields=(gone, *report.fields), products=(left,)))
    assert block(page, "grid")["products"] == []
    assert len(block(page, "grid")["fields"]) == 9


def test_markdown_has_the_picture_and_what_it_says() -> None:
    told = rendered("markdown", grid())
    assert told.startswith("### toy: newer versions load what older ones saved")
    assert "| `m` ↓ → | `1.0` | `1.1` | `2.0` |\n|---|---|---|---|\n| `1.0` | ❌ ≠ \\* | ❌ A \\* | ✅ |" in told
    assert "- ❌ A `old`" in told
    assert "✅ `m: 1.0 to 2.0`: load in 1.1, save it again, load in 2.0" in told.replace("`load", "load")
    assert "- `m` saved by `1.0`, loaded by `1.0`: `p[1] is 0.5, not 0.35`" in told
    assert "- `1.2` `m`: `1.0 fails on what 1.2 and later versions save: KeyError: 'kind'`" in told


def test_json_has_all_of_it() -> None:
    told = json.loads(rendered("json", grid()))["grid"]
    assert told["sentence"].startswith("toy: newer versions load what older ones saved")
    assert (told["backward"]["kind"], told["forward"]["kind"]) == ("partly", "partly")
    assert (len(told["fields"]), len(told["borders"]), len(told["routes"])) == (9, 1, 1)
    [promise] = told["guarantees"]
    assert (promise["product"], promise["kept"], len(promise["breaches"])) == ("m", 1, 3)
    assert "grid" not in json.loads(rendered("json", REPORT))
