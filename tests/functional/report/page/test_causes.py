"""The page's table of causes, which can be read without its script."""

import re

from msgspec.structs import replace

from tests.functional.report.page.blocks import block
from tests.functional.report.test_formats import cell, failure, rendered, report_of
from tf_tester.core.outcome.report import RunReport
from tf_tester.model.outcome import CellResult, Outcome, TestRow


def report() -> RunReport:
    fails = (failure("tests/test_a.py::test_a", "no"), failure("tests/test_a.py::test_b", "no"))
    good = tuple(TestRow(row.id, Outcome.PASS) for row in fails)
    refused = CellResult("", Outcome.NO_WHEEL, "No wheel <fits>.")
    return report_of(
        {
            cell("1.0"): CellResult("", Outcome.PASS, tests=good),
            cell("1.1"): CellResult("", Outcome.PASS, tests=good),
            cell("2.0"): CellResult("", Outcome.FAIL, tests=fails),
            cell("3.0"): refused,
        }
    )


def causes_in(page: str) -> list[list[str]]:
    """Each row as text."""
    [found] = re.findall(r'<table id="causes">(.*?)</table>', page, re.DOTALL)
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in re.findall(r"<tr>(.*?)</tr>", found)]
    return [[re.sub(r"<[^>]+>", " ", place).strip() for place in row] for row in rows]


def test_it_has_a_row_for_all_that_is_wrong() -> None:
    page = rendered("html", report())
    head, *rows = causes_in(page)
    assert [one.split("  ")[0].strip() for one in head[1:]] == ["1.0 – 1.1", "2.0", "3.0"]
    assert [row[1:] for row in rows] == [["✓ pass", "✗ fail", "no-wheel"], ["–", "–", "no-wheel"]]
    assert rows[0][0].startswith("TypeError: no ")
    assert "2 tests" in rows[0][0]
    assert rows[1][0] == "no-wheel: No wheel &lt;fits&gt;."


def test_each_row_leads_to_its_article() -> None:
    page = rendered("html", report())
    links = re.findall(r'<a href="#([\w-]+)">(.*?)</a>', page)
    articles = re.findall(r'<article[^>]*id="([\w-]+)"[^>]*><h3>(.*?)</h3>', page)
    assert links == articles
    assert len(links) == 2


def test_the_script_knows_which_cells_are_in_its_columns() -> None:
    assert block(rendered("html", report()), "index")["causes"] == [[0, 2], [2, 1], [3, 1]]


def test_one_column_tells_no_more_than_the_articles() -> None:
    one = report()
    assert 'id="causes"' not in rendered("html", replace(one, cells=one.cells[2:3]))


def test_of_very_many_the_rest_is_counted() -> None:
    kinds = [f"kind {chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(60)]
    fails = tuple(failure(f"tests/test_a.py::test_{number}", kind) for number, kind in enumerate(kinds))
    told = {}
    for number in range(200):
        rows = fails if number % 2 else tuple(TestRow(row.id, Outcome.PASS) for row in fails)
        told[cell(f"{number}.0")] = CellResult("", Outcome.FAIL if number % 2 else Outcome.PASS, tests=rows)
    page = rendered("html", report_of(told))
    assert len(causes_in(page)) == 1 + 3_000 // 200
    assert "45 more rows" in page
