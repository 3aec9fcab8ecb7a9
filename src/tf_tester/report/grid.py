"""What works where: tests as rows and cells as columns, or one line a cell where that tells more.

Folded only where the place is too narrow for all: equal neighbours are one column then. Of many tests those that pass
everywhere are counted.
"""

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from tf_tester.core.outcome.failures import gravest_first
from tf_tester.core.outcome.output_differences import OutputDifference
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.overview.folding import Column, Matrix, Row, by_python, matrix
from tf_tester.core.text.printable import printable
from tf_tester.core.text.sizes import count_text
from tf_tester.model.cell import Cell
from tf_tester.model.outcome import Outcome, TestRow
from tf_tester.report.blocks import BlockRows, blocks
from tf_tester.report.cells import DIFFERS, cell_list
from tf_tester.report.lines import Line, Span, Style, TextLayout, line
from tf_tester.report.words import EXPLAINED, mark, meaning, style

_FEW_TESTS = 12
"""Tests that have a row each; of more, those that came to the same everywhere are counted."""
_MOST_ROWS = 40
"""Of more tests, those of one fate share a row."""


class _Shown(Struct, frozen=True):
    """A row: a test, and those that share its fate."""

    test: str
    more: int = 0


def results(
    report: RunReport, layout: TextLayout, differing: Sequence[OutputDifference] = (), *, whole: bool = False
) -> list[Line]:
    """Return the matrix, or a list of cells; empty where there are none.

    `differing`: marked though they pass. `whole`: nothing is folded, no test left out.
    """
    if not report.cells:
        return []
    tests = {cell.name: gravest_first(report.result(cell).tests) for cell in report.cells}
    names = list(dict.fromkeys(name for rows in tests.values() for name in rows))
    if len(names) <= 1:
        # Of a script or a command the name is what was typed.
        named = [line(layout.shorten_left(printable(name), layout.width)) for name in names if "::" in name]
        return named + cell_list(report, layout, differing, of_one_test=True, whole=whole)
    differs = frozenset((cell.name, one.test) for one in differing for cell in one.cells)
    either = (matrix(one, differing=differs) for one in (report, by_python(report)))
    folded = min(either, key=lambda one: len(one.columns))
    shown, notes = _rows_worth_showing(report, folded, names, whole=whole)
    marks = _Marks(report, tests, differs, shown)
    lines = blocks(report, folded.columns, _names(shown), marks.of, layout, whole=whole) if shown else []
    if not lines:
        return cell_list(report, layout, differing, of_one_test=False, whole=whole)
    lines += [line(Span(text, Style.FAINT)) for note in notes for text in layout.wrap(note, first=0, indent=2)]
    return lines + _legend(report, tests, shown, layout, differs=bool(differing))


# Rows


def _rows_worth_showing(
    report: RunReport, folded: Matrix, names: Sequence[str], *, whole: bool
) -> tuple[Sequence[_Shown], list[str]]:
    """Return all tests, or of many those that don't just pass; and what was left out, in words."""
    if whole or len(names) <= _FEW_TESTS:
        return [_Shown(name) for name in names], []
    ran = [number for number, column in enumerate(folded.columns) if report.result(column.cells[0]).tests]
    quiet: dict[Outcome, list[Row]] = {Outcome.PASS: [], Outcome.SKIP: []}
    loud: list[Row] = []
    for row in folded.rows:
        fate = {row.outcomes[number] for number in ran} - {None}
        kind = next(iter(fate)) if len(fate) == 1 and not row.differs else None
        rows = loud if kind is None else quiet.get(kind, loud)
        rows.append(row)
    notes = [
        _counted(rows, verb, everywhere=len(ran) == len(folded.columns))
        for rows, verb in zip(quiet.values(), (("passes", "pass"), ("is skipped", "are skipped")), strict=True)
        if rows
    ]
    if sum(len(row.tests) for row in loud) <= _MOST_ROWS:
        wanted = {test for row in loud for test in row.tests}
        return [_Shown(name) for name in names if name in wanted], notes
    if left_out := sum(len(row.tests) for row in loud[_MOST_ROWS:]):
        notes.append(f"{count_text(left_out, 'other test')} that did not: `tf-tester show {report.run_id} -v` has all")
    return [_Shown(row.tests[0], len(row.tests) - 1) for row in loud[:_MOST_ROWS]], notes


def _counted(rows: Sequence[Row], verbs: tuple[str, str], *, everywhere: bool) -> str:
    """Return `41 tests pass everywhere`."""
    number = sum(len(row.tests) for row in rows)
    where = "everywhere" if everywhere and all(None not in row.outcomes for row in rows) else "wherever they ran"
    if number == 1:
        return f"1 more test {verbs[0]} {where.replace('they', 'it')}"
    return f"{count_text(number, 'more test')} {verbs[1]} {where}"


def _names(shown: Sequence[_Shown]) -> BlockRows:
    """Return the names without what all begin with (a file, for pytest), and how many others share their fate."""
    safe = [printable(row.test) for row in shown]
    behind = [f" and {row.more} more" if row.more else "" for row in shown]
    files = {name.partition("::")[0] for name in safe}
    if len(files) == 1 and all("::" in name for name in safe):
        return BlockRows([name.partition("::")[2] for name in safe], behind, files.pop())
    return BlockRows(safe, behind)


# Marks


class _Marks:
    """The marks of tests in a cell, or in neighbours that came to the same."""

    def __init__(
        self,
        report: RunReport,
        tests: Mapping[str, Mapping[str, TestRow]],
        differs: Collection[tuple[str, str]],
        shown: Sequence[_Shown],
    ) -> None:
        self._report = report
        self._tests = tests
        self._differs = differs
        self._shown = shown

    def of(self, column: Column) -> list[Span]:
        return [self._mark(column.cells[0], row.test) for row in self._shown]

    def _mark(self, cell: Cell, test: str) -> Span:
        outcome = self._outcome(cell, test)
        if outcome is None:
            return Span("-", Style.FAINT)
        if outcome is Outcome.PASS and (cell.name, test) in self._differs:
            return Span(DIFFERS, Style.ODD)
        return Span(mark(outcome), style(outcome))

    def _outcome(self, cell: Cell, test: str) -> Outcome | None:
        """Return the outcome of one test; a cell that has no tests at all shows its own outcome across."""
        rows = self._tests[cell.name]
        if not rows:
            return self._report.result(cell).outcome
        return rows[test].outcome if test in rows else None


def _legend(
    report: RunReport,
    tests: Mapping[str, Mapping[str, TestRow]],
    shown: Sequence[_Shown],
    layout: TextLayout,
    *,
    differs: bool,
) -> list[Line]:
    """Return what the marks mean, those that occur."""
    names = {row.test for row in shown}
    seen = {rows[name].outcome for rows in tests.values() for name in names & rows.keys()}
    seen |= {report.result(cell).outcome for cell in report.cells if not tests[cell.name]}
    told = [f"{mark(outcome)}: {meaning(outcome)}" for outcome in Outcome if outcome in seen & EXPLAINED]
    if differs:
        told.append(f"{DIFFERS}: it passes, but prints something else")
    if any(rows and not names <= rows.keys() for rows in tests.values()):
        told.append("-: not run in that cell (not there, not picked, or not reached)")
    if not told:
        return []
    wrapped = layout.wrap("; ".join(told), first=0, indent=0, most=6)
    return [(), *(line(Span(text, Style.FAINT)) for text in wrapped)]
