"""Notebooks, run by their cells."""

import json
import sys
from typing import Any

import pytest

from tests.functional.harness.bench import Bench, Ran


def code(source: str, *tags: str) -> dict[str, Any]:
    lines = source.splitlines(keepends=True)
    return {"cell_type": "code", "metadata": {"tags": list(tags)}, "outputs": [], "source": lines}


TEXT = {"cell_type": "markdown", "source": ["raise ValueError"]}


def ran(bench: Bench, python: str, *cells: dict[str, Any], language: str = "python") -> Ran:
    notebook = {"cells": list(cells), "metadata": {"language_info": {"name": language}}, "nbformat": 4}
    (bench.folder / "it.ipynb").write_text(json.dumps(notebook))
    return bench.run(python, "script", "it.ipynb")


def test_cells_run_in_their_order_in_one_namespace(bench: Bench, python: str) -> None:
    cells = [code("x = 3\nx"), TEXT, code("x += 1\nprint('x is', x)"), code("x * 2;"), code("x * 2")]
    found = ran(bench, python, *cells)
    assert (found.row["id"], found.row["status"], found.exit_code) == ("it.ipynb", "pass", 0)
    assert found.out == "3\nx is 4\n8\n"


def test_an_error_is_a_failure_with_its_cell(bench: Bench, edge: str) -> None:
    found = ran(bench, edge, code("x = 3"), TEXT, code("def f():\n    return x / 0\nf()"), code("print('never')"))
    row = found.row
    assert (row["status"], found.exit_code, found.out) == ("fail", 1, "")
    assert row["remarks"] == ["it failed in code cell 2 of 3"]
    exception = row["exception"]
    assert (exception["type"], exception["line"], exception["text"]) == ("ZeroDivisionError", 2, "return x / 0")
    assert exception["file"].endswith("it.ipynb[cell 2]")
    assert "ZeroDivisionError" in found.err


@pytest.mark.parametrize(
    "source", ["def broken(:", "import absent_module", "raise SystemExit(3)", "raise SystemExit", "!ls", "%pip list"]
)
def test_whatever_a_cell_cannot_do_is_a_failure(bench: Bench, edge: str, source: str) -> None:
    found = ran(bench, edge, code("x = 1"), code(source))
    assert (found.row["status"], found.row["remarks"]) == ("fail", ["it failed in code cell 2 of 2"])


def test_what_needs_ipython_says_so(bench: Bench, edge: str) -> None:
    row = ran(bench, edge, code("%timeit 1")).row
    assert row["exception"] is None
    assert row["reason"] == "%timeit needs IPython: add it with --with ipython"


def test_magics_that_only_change_what_is_shown_are_passed_over(bench: Bench, edge: str) -> None:
    source = "%matplotlib inline\nif True:\n    %config X = 1\nx = (7\n% 4)\nassert x == 3"
    assert ran(bench, edge, code(source), code("display(x)")).out == "3\n"


def test_tags_are_heard(bench: Bench, edge: str) -> None:
    cells = [code("raise ValueError", "raises-exception"), code("raise ValueError", "skip-execution"), code("print(1)")]
    found = ran(bench, edge, *cells)
    assert (found.row["status"], found.out) == ("pass", "1\n")


def test_await_may_stand_outside(bench: Bench) -> None:
    cells = [code("import asyncio\nawait asyncio.sleep(0)\nx = 1"), code("await asyncio.sleep(0, x + 1)")]
    assert ran(bench, sys.executable, *cells).out == "2\n"


@pytest.mark.parametrize("cells", [(), (TEXT,), (code(" \n"),)])
def test_one_without_code_has_tested_nothing(bench: Bench, edge: str, cells: tuple[dict[str, Any], ...]) -> None:
    row = ran(bench, edge, *cells).row
    assert (row["status"], row["reason"]) == ("empty", "it has no cells of code")


@pytest.mark.parametrize(
    ("content", "told"),
    [("", "it is no notebook"), ("[]", "it is no notebook"), ('{"worksheets": 3}', "it is no notebook")],
)
def test_what_is_no_notebook_is_an_error(bench: Bench, edge: str, content: str, told: str) -> None:
    (bench.folder / "it.ipynb").write_text(content)
    row = bench.run(edge, "script", "it.ipynb").row
    assert row["status"] == "error"
    assert row["reason"].startswith(told)


def test_another_language_is_refused(bench: Bench, edge: str) -> None:
    row = ran(bench, edge, code("x <- 1"), language="R").row
    assert (row["status"], row["exception"]) == ("error", None)
    assert row["reason"] == "it is written in R: only notebooks in Python are run"


def test_format_3_is_read_too(bench: Bench, edge: str) -> None:
    cell = {"cell_type": "code", "input": ["print(7)"], "language": "python"}
    (bench.folder / "it.ipynb").write_text(json.dumps({"worksheets": [{"cells": [cell]}], "nbformat": 3}))
    assert bench.run(edge, "script", "it.ipynb").out == "7\n"
