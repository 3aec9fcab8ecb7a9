"""The block of data from which the page's script shows a field of a grid: JSON, which no browser runs."""

import shlex
from collections.abc import Mapping
from typing import Any

from tf_tester.core.grid.heat_map import grid_labels
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.overview.folding import Matrix
from tf_tester.core.text.places import seen_from
from tf_tester.core.text.printable import printable
from tf_tester.core.text.sizes import size_text
from tf_tester.model.events import FieldFinished, ProductLeft
from tf_tester.model.field import FieldOutcome
from tf_tester.report.formats.page.heat.section import Picture, look, number_cells, pictures

MOST_BYTES = 2_000_000
"""Of the lines that fields say, together; of more, none."""
SAVED, LOADED = "{saved}", "{loaded}"
"""What stands for the versions in the command that repeats a field."""


def grid_data(report: RunReport, folded: Matrix) -> dict[str, Any]:
    """Return what is known of each field, as the type `Grid` of script/grid.js has it."""
    numbers = {cell.name: number for number, cell in enumerate(report.cells)}
    drawn, labels = pictures(report), grid_labels(report)
    places = {one.drawn.product: number for number, one in enumerate(drawn)}
    lines = _Lines(report.here)
    tests = {test: number for number, test in enumerate(test for row in folded.rows for test in row.tests)}
    fields = []
    for field in report.fields:
        if field.producer in numbers and field.consumer in numbers:
            picture = drawn[places[field.product]]
            told = _field(field, picture, lines)
            told["pair"] = (places[field.product], numbers[field.producer], numbers[field.consumer])
            told["tests"] = [tests[one] for one in field.tests if one in tests]
            if picture.drawn.guarantee is not None:
                told["promised"] = picture.drawn.is_promised(field.producer, field.consumer)
            fields.append(told)
    return {
        "labels": [printable(labels[cell.name]) for cell in report.cells],
        "maps": [_map(one, numbers) for one in drawn],
        "fields": fields,
        "lines": lines.told,
        "products": [_product(left, numbers, tests) for left in report.products if left.cell in numbers],
        "command": printable(field_command(report)),
    }


def field_command(report: RunReport) -> str:
    """Return the command that tries one field again, with `{saved}` and `{loaded}` for the versions; empty: none."""
    grid, selection = report.request.get("grid"), report.request.get("selection")
    if not isinstance(grid, Mapping) or not isinstance(selection, Mapping):
        return ""
    words = ["tf-tester", "grid"]
    if grid.get("file"):
        words.append(seen_from(str(grid["file"]), report.here))
    else:
        for option in ("save", "load"):
            words += [f"--{option}", shlex.join(map(str, grid.get(option) or ()))]
    savers = {cell.package for cell in report.cells if cell.name in (grid.get("producers") or ())}
    loaders = {cell.package for cell in report.cells if cell.name in (grid.get("consumers") or ())}
    words += ["--package", str(selection.get("package") or "")]
    for python in selection.get("pythons") or ():
        words += ["--python", str(python)]
    told = f"{shlex.join(words)} --versions {SAVED} --consumers {LOADED}"
    if len(loaders) == 1 and loaders != savers:
        told += f" --consumer-package {shlex.quote(next(iter(loaders)))}"
    return told


class _Lines:
    """Texts by number, each once, of no more bytes together than are allowed."""

    def __init__(self, here: str) -> None:
        self._here = here
        self._numbers: dict[str, int] = {}
        self._left = MOST_BYTES

    @property
    def told(self) -> list[str]:
        return list(self._numbers)

    def number_of(self, said: str) -> int | None:
        """Return the number of a text; None: it is empty, or there is no room for it."""
        shown = printable(seen_from(said, self._here))
        if shown and shown not in self._numbers:
            self._left -= len(shown.encode())
            if self._left < 0:
                return None
            self._numbers[shown] = len(self._numbers)
        return self._numbers.get(shown)


def _field(field: FieldFinished, picture: Picture, lines: _Lines) -> dict[str, Any]:
    sign = picture.drawn.sign(field.producer, field.consumer)
    shown, colour = look(field.outcome, sign)
    told: dict[str, Any] = {"outcome": str(field.outcome), "shown": shown, "kind": colour}
    if field.outcome is not FieldOutcome.OK and (said := lines.number_of(field.summary)) is not None:
        told["said"] = said
    if field.differences:
        told["numbers"] = [[printable(one) for one in number_cells(difference)] for difference in field.differences]
    return told


def _map(one: Picture, numbers: Mapping[str, int]) -> dict[str, Any]:
    """Return which cells the rows and columns of a picture are; -1: the record doesn't have it."""
    return {
        "product": printable(one.drawn.product),
        "rows": [numbers.get(band[0], -1) for band in one.rows],
        "columns": [numbers.get(band[0], -1) for band in one.columns],
    }


def _product(left: ProductLeft, numbers: Mapping[str, int], tests: Mapping[str, int]) -> dict[str, Any]:
    return {
        "cell": numbers[left.cell],
        "test": tests.get(left.test),
        "name": printable(left.name),
        "size": size_text(left.size),
        "files": left.files,
        "digest": printable(left.digest),
        "paths": [printable(path) for path in left.paths],
    }
