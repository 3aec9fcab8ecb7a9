"""The matrix by what is wrong: kinds of failure, and reasons why cells could not run, as rows. Pure."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from msgspec import Struct

from tf_tester.core.outcome.failures import (
    Obstacle,
    SharedFailure,
    Signature,
    gravest_first,
    kinds_of_failure,
    signature_of,
)
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.overview.folding import Column, neighbours
from tf_tester.core.overview.reasons import Reason
from tf_tester.model.cell import Cell
from tf_tester.model.outcome import Outcome, TestRow, worst

_HARMLESS = {Outcome.PASS, Outcome.SKIP, Outcome.EMPTY}


class CauseRow(Struct, frozen=True):
    """One of them."""

    headline: str
    """In one line."""
    tests: tuple[str, ...]
    """Ids of those that fail so in some cell, in the order in which they were seen; none: the whole cell."""
    outcomes: tuple[Outcome | None, ...]
    """A column each: what came to fail so there; where nothing did, that the tests pass, or are skipped. A cell that
    could not run has its own outcome. None: they fail otherwise, or weren't run."""


class CauseMatrix(Struct, frozen=True):
    """All of it, folded."""

    columns: tuple[Column, ...]
    """Neighbours in which everything shown came to the same are one."""
    rows: tuple[CauseRow, ...]


def cause_matrix(report: RunReport, why: Sequence[Reason], stuck: Sequence[Obstacle]) -> CauseMatrix:
    """Return rows for kinds of failure, then for what could not run, in the order in which they are given."""
    tests = _Tests(report)
    places = [{cell.name: tests.outcome(one.failure, cell) for cell in report.cells} for one in why]
    places += [{cell.name: one.result.outcome for cell in (one.cell, *one.also)} for one in stuck]
    columns = neighbours(report.cells, lambda cell: tuple(told.get(cell.name) for told in places))
    firsts = [column.cells[0].name for column in columns]
    heads = [(one.headline, tests.failing_so(one.failure)) for one in why]
    heads += [(f"{one.result.outcome}: {one.result.summary}".removesuffix(": "), ()) for one in stuck]
    rows = [
        CauseRow(headline, names, tuple(told.get(name) for name in firsts))
        for (headline, names), told in zip(heads, places, strict=True)
    ]
    return CauseMatrix(columns, tuple(rows))


class _Tests:
    """Which tests fail in which way, in all cells."""

    def __init__(self, report: RunReport) -> None:
        self._report = report
        self._rows = {cell.name: gravest_first(report.result(cell).tests) for cell in report.cells}
        self._ways: dict[Signature, dict[str, None]] = {}
        """The tests that fail in a way."""
        self._here: dict[str, dict[Signature, set[Outcome]]] = {}
        """What the tests of a cell came to that fail in a way, or the cell itself."""
        for cell in report.cells:
            result = report.result(cell)
            here = self._here[cell.name] = {}
            for row in result.tests:
                if row.outcome.is_failure_of_the_test:
                    way = signature_of(row, result)
                    self._ways.setdefault(way, {})[row.id] = None
                    here.setdefault(way, set()).add(row.outcome)
            if not here and result.outcome.is_failure_of_the_test:
                here.update({way: {result.outcome} for way in kinds_of_failure(result)})

    def failing_so(self, failure: SharedFailure) -> tuple[str, ...]:
        return tuple(self._ways.get(failure.signature, ()))

    def outcome(self, failure: SharedFailure, cell: Cell) -> Outcome | None:
        if here := self._here[cell.name].get(failure.signature):
            return worst(here)
        rows, result = self._rows[cell.name], self._report.result(cell)
        if not rows or failure.row is None:
            return None if result.outcome.is_failure_of_the_test else result.outcome
        return _without_it(rows, self._ways[failure.signature].keys())


def _without_it(rows: Mapping[str, TestRow], tests: AbstractSet[str]) -> Outcome | None:
    """Return that the tests pass, or are skipped, in a cell in which none of them fails in that way; else None."""
    outcomes = {rows[test].outcome for test in tests if test in rows}
    if not outcomes or not outcomes <= _HARMLESS:
        return None
    return Outcome.PASS if Outcome.PASS in outcomes else worst(outcomes)
