"""What is known of each cell and of each test in it, for the page's script: each thing once, and bounded. Pure.

What fails comes first, cell by cell in turn, so that no cell is without evidence because another one has said much.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, zip_longest
from typing import Any

from tf_tester.core.outcome.failures import Signature, gravest_first, headline, signature_of
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.overview.folding import Matrix
from tf_tester.core.text.places import seen_from
from tf_tester.core.text.printable import printable
from tf_tester.core.verdict.advice import shell_command
from tf_tester.core.verdict.nearest import PassingCells
from tf_tester.model.cell import Cell
from tf_tester.model.lock import Pin
from tf_tester.model.outcome import Outcome, TestRow, WarningFact
from tf_tester.report.formats.page.pool import TextPool
from tf_tester.report.formats.page.texts import MOST_LINES, lines_of, traceback_lines

MOST_BYTES = 2_000_000
"""Of all texts and facts together."""
_OF_A_FACT = 100
_OF_AN_ENTRY = 14
_MOST_MEASURES = 1_500_000
"""Tests, all cells together, of which the time and memory are told; of more, of none."""

Seen = list[tuple[Cell, dict[str, TestRow]]]
"""Each cell with its tests, by id."""


class Evidence:
    """Everything that a click on a cell shows."""

    def __init__(self, report: RunReport, folded: Matrix, reasons: Mapping[Signature, int]) -> None:
        """Look at all tests. `reasons`: the numbers of the articles that tell of a kind of failure."""
        self._report = report
        self._reasons = reasons
        self._pool = TextPool(MOST_BYTES)
        self._said: dict[str, int] = {}
        self._tracebacks: dict[str, int] = {}
        self._facts: dict[tuple[tuple[str, Any], ...], int] = {}
        self._pins: dict[tuple[str, str, str], int] = {}
        self._numbers = {test: number for number, test in enumerate(test for row in folded.rows for test in row.tests)}
        self.tests_of_reasons: dict[int, set[int]] = {}
        """Numbers of the tests that fail for a reason, by its number."""
        seen: Seen = [(cell, gravest_first(report.result(cell).tests)) for cell in report.cells]
        self._cells = {cell.name: self._cell(cell) for cell in report.cells}
        self._entries: dict[str, list[int]] = {cell.name: [] for cell in report.cells}
        self._left: dict[str, int] = {}
        for cell, row in _failing_first(seen):
            self._add(cell, row)
        self._compared = _compared(report, folded)
        self._measures = self._measured(seen)

    def as_data(self) -> dict[str, Any]:
        """Return what the script reads of it: the type `Evidence` in script/page.js."""
        return {
            "lines": self._pool.lines,
            "texts": self._pool.texts,
            "facts": [dict(fact) for fact in self._facts],
            "pins": [(printable(name), printable(version)) for name, version, _ in self._pins],
            "cells": [
                {
                    **told,
                    "entries": self._entries[name],
                    "left": self._left.get(name, 0),
                    "compared": self._compared.get(name, ()),
                }
                for name, told in self._cells.items()
            ],
        }

    def measures(self) -> list[dict[str, str]]:
        """Return for each cell milliseconds of each test, processor time likewise, and MB, separated by commas.

        The type `Measures` in script/page.js; empty where nothing is known.
        """
        return self._measures

    def _cell(self, cell: Cell) -> dict[str, Any]:
        report, result = self._report, self._report.result(cell)
        lock = report.locks.get(cell.name)
        remarks = (*(lock.remarks if lock is not None else ()), *result.remarks)
        told = {
            "outcome": str(result.outcome),
            "lock": tuple(self._pin(pin) for pin in lock.pins) if lock is not None else (),
            "interpreter": printable(lock.python) if lock is not None else "",
            "command": printable(shell_command(cell, report)),
            "replayed": printable(result.replayed),
            "folder": printable(result.evidence),
            "phases": {printable(name): seconds for name, seconds in result.phases.items()},
            "import": result.import_s,
            "memory": result.peak_rss_kib,
            "summary": self._text(result.summary),
            "hint": self._text(result.hint),
            "detail": self._text(result.detail),
            "remarks": _without_none(self._texts(remarks)),
        }
        return {name: value for name, value in told.items() if value not in (None, "", (), {})}

    def _pin(self, pin: Pin) -> int:
        return self._pins.setdefault((pin.name, pin.version, pin.sha256), len(self._pins))

    def _add(self, cell: Cell, row: TestRow) -> None:
        """Note what is known of a test in a cell, where there is anything and still room for it."""
        reason = self._reason(cell, row)
        number = self._numbers[row.id]
        if reason is not None:
            self.tests_of_reasons.setdefault(reason, set()).add(number)
        if not _says_something(row):
            return
        fact = tuple(self._fact(row, reason))
        known = fact in self._facts
        if self._pool.has_room_for(_OF_AN_ENTRY + (0 if known else _OF_A_FACT)):
            self._entries[cell.name] += (number, self._facts.setdefault(fact, len(self._facts)))
        else:
            self._left[cell.name] = self._left.get(cell.name, 0) + 1

    def _reason(self, cell: Cell, row: TestRow) -> int | None:
        if not row.outcome.is_failure_of_the_test:
            return None
        return self._reasons.get(signature_of(row, self._report.result(cell)))

    def _fact(self, row: TestRow, reason: int | None) -> Iterator[tuple[str, Any]]:
        """Yield what is told of a test; the same in many cells and tests is one fact."""
        if reason is not None:
            yield "reason", reason
        wanted = {
            "said": headline(row.exception) if row.exception is not None else row.reason,
            "besides": row.reason if row.exception is not None else "",
            "output": row.stdout,
            "errors": row.stderr,
        }
        numbers = {name: self._text(said) for name, said in wanted.items() if said.strip()}
        if row.traceback:
            numbers["traceback"] = self._traceback(row.traceback)
        several = {
            "warnings": self._texts(map(_warning, row.warnings)),
            "remarks": self._texts(filter(None, (*row.remarks, row.sandboxed, row.unshown))),
        }
        yield from ((name, number) for name, number in numbers.items() if number is not None)
        yield from ((name, known) for name, told in several.items() if (known := _without_none(told)))
        if None in chain(numbers.values(), *several.values()):
            yield "cut", 1
        if row.exit_code is not None:
            yield "exit", row.exit_code
        if row.limit is not None:
            yield "limit", str(row.limit)

    def _traceback(self, said: str) -> int | None:
        if said not in self._tracebacks:
            left_out = max(len(lines_of(said)) - MOST_LINES, 0)
            number = self._pool.number_of_lines(traceback_lines(said, self._report.here), left_out)
            if number is None:
                return None
            self._tracebacks[said] = number
        return self._tracebacks[said]

    def _text(self, said: str) -> int | None:
        if said not in self._said:
            number = self._pool.number_of(seen_from(said, self._report.here)) if said.strip() else None
            if number is None:
                return None
            self._said[said] = number
        return self._said[said]

    def _texts(self, said: Iterable[str]) -> tuple[int | None, ...]:
        return tuple(self._text(one) for one in said if one.strip())

    def _measured(self, seen: Seen) -> list[dict[str, str]]:
        if sum(len(rows) for _, rows in seen) > _MOST_MEASURES:
            return [{} for _ in seen]
        return [_measures(rows, self._numbers) for _, rows in seen]


def _failing_first(seen: Seen) -> Iterator[tuple[Cell, TestRow]]:
    failing = [[(cell, row) for row in rows.values() if row.outcome.is_failure_of_the_test] for cell, rows in seen]
    for together in zip_longest(*failing):
        yield from filter(None, together)
    for cell, rows in seen:
        yield from ((cell, row) for row in rows.values() if not row.outcome.is_failure_of_the_test)


def _without_none(numbers: Iterable[int | None]) -> tuple[int, ...]:
    return tuple(number for number in numbers if number is not None)


def _says_something(row: TestRow) -> bool:
    return bool(
        row.exception is not None
        or row.traceback
        or row.stdout
        or row.stderr
        or row.reason
        or row.warnings
        or row.remarks
        or row.sandboxed
        or row.unshown
        or row.exit_code
        or row.limit is not None
    )


def _warning(one: WarningFact) -> str:
    where = f" ({one.file}:{one.line})" if one.file else ""
    often = f" × {one.count}" if one.count > 1 else ""
    return f"{one.category}: {one.message}{where}{often}"


def _measures(rows: Mapping[str, TestRow], numbers: Mapping[str, int]) -> dict[str, str]:
    """Return what tests of a cell took, in the order of their numbers."""
    columns: dict[str, list[str]] = {name: [""] * len(numbers) for name in ("wall", "cpu", "memory")}
    for test, row in rows.items():
        number = numbers[test]
        if row.wall_s is not None:
            columns["wall"][number] = str(round(row.wall_s * 1000))
        if row.cpu_s is not None:
            columns["cpu"][number] = str(round(row.cpu_s * 1000))
        if row.peak_rss_kib is not None:
            columns["memory"][number] = str(round(row.peak_rss_kib * 1024 / 1e6))
    return {name: ",".join(told) for name, told in columns.items() if any(told)}


def _compared(report: RunReport, folded: Matrix) -> dict[str, list[int]]:
    """Return for cells by name pairs of a row in which they fail, and the cell that passes to compare them with."""
    numbers = {cell.name: number for number, cell in enumerate(report.cells)}
    found: dict[str, list[int]] = {}
    for number, row in enumerate(folded.rows):
        columns = list(zip(folded.columns, row.outcomes, strict=True))
        passing = PassingCells((cell for one, told in columns if told is Outcome.PASS for cell in one.cells), report)
        failing = (cell for one, told in columns if told and told.is_failure_of_the_test for cell in one.cells)
        for cell in failing:
            if (near := passing.nearest(cell)) is not None:
                found.setdefault(cell.name, []).extend((number, numbers[near.name]))
    return found
