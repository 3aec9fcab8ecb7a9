"""The blocks of data in the page that its script reads: JSON, which no browser runs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from tf_tester.core.outcome.failures import Obstacle
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.overview.cause_rows import CauseMatrix
from tf_tester.core.overview.folding import Matrix
from tf_tester.core.overview.reasons import Reason
from tf_tester.core.text.printable import printable
from tf_tester.model.cell import Cell
from tf_tester.model.outcome import Outcome
from tf_tester.report.causes import verdict_lines
from tf_tester.report.formats.page.evidence import Evidence
from tf_tester.report.formats.page.heat.data import grid_data
from tf_tester.report.formats.page.heat.words import CHINESE_OF_GRIDS
from tf_tester.report.formats.page.markup import Markup
from tf_tester.report.formats.page.parts import colour, sign_and_word
from tf_tester.report.formats.page.words import CHINESE

_OUTCOMES = tuple(Outcome)


def data_blocks(
    report: RunReport,
    folded: Matrix,
    causes: CauseMatrix,
    articles_on: tuple[Sequence[Reason], Sequence[Obstacle]],
    labels: Mapping[str, str],
) -> list[Markup]:
    """Return the matrix as the type `Index` of script/page.js has it, the evidence, what each test took, and a grid.

    `articles_on`: what has an article in the page, in that order.
    """
    why, stuck = articles_on
    reasons = {one.failure.signature: number for number, one in enumerate(why)}
    evidence = Evidence(report, folded, reasons)
    numbers = {cell.name: number for number, cell in enumerate(report.cells)}
    articles = [
        {
            "cells": ranges(numbers[cell.name] for cell in one.cells),
            "tests": ranges(evidence.tests_of_reasons.get(number, ())),
            "outcome": _OUTCOMES.index(_outcome(report, one)),
            "verdict": printable(next(verdict_lines(one.found)).removeprefix("verdict: ")),
        }
        for number, one in enumerate(why)
    ]
    articles += [
        {
            "cells": ranges(numbers[cell.name] for cell in (one.cell, *one.also)),
            "tests": (),
            "outcome": _OUTCOMES.index(one.result.outcome),
            "verdict": "",
        }
        for one in stuck
    ]
    index = {
        "run": report.run_id if report.folder else "",
        "cells": [_cell(cell, labels[cell.name]) for cell in report.cells],
        "columns": [len(column.cells) for column in folded.columns],
        "tests": [printable(test) for row in folded.rows for test in row.tests],
        "rows": [len(row.tests) for row in folded.rows],
        "outcomes": [{"name": one, "shown": sign_and_word(one), "kind": colour(one)} for one in _OUTCOMES],
        "grid": [[_OUTCOMES.index(one) if one else -1 for one in row.outcomes] for row in folded.rows],
        "articles": articles,
        "causes": [ranges(numbers[cell.name] for cell in column.cells) for column in causes.columns],
        "words": CHINESE | CHINESE_OF_GRIDS if report.fields else CHINESE,
    }
    blocks = [
        _block("index", index),
        _block("evidence", evidence.as_data()),
        _block("measures", evidence.measures()),
    ]
    return [*blocks, _block("grid", grid_data(report, folded))] if report.fields else blocks


def ranges(numbers: Iterable[int]) -> list[int]:
    """Return numbers as first and count of each stretch, one behind the other.

    >>> ranges([7, 0, 1, 2, 8])
    [0, 3, 7, 2]
    """
    found: list[int] = []
    for number in sorted(numbers):
        if found and found[-2] + found[-1] == number:
            found[-1] += 1
        else:
            found += (number, 1)
    return found


def _cell(cell: Cell, label: str) -> dict[str, Any]:
    return {
        "name": printable(cell.name),
        "label": printable(label),
        "version": printable(cell.version),
        "python": printable(cell.python),
        "resolution": str(cell.resolution),
    }


def _outcome(report: RunReport, one: Reason) -> Outcome:
    row = one.failure.row
    return row.outcome if row is not None else report.result(one.failure.cell).outcome


def _block(name: str, value: Any) -> Markup:
    """Return the block; `<` is written so that nothing in it can end it."""
    told = msgspec.json.encode(value).decode().replace("<", "\\u003c")
    return Markup(f'<script type="application/json" id="{name}">{told}</script>')
