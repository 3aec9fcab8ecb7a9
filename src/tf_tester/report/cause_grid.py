"""What works where by what is wrong: a row for each kind of failure, and for each reason why cells could not run."""

from collections.abc import Iterator, Sequence

from tf_tester.core.outcome.failures import obstacles
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.overview.cause_rows import CauseMatrix, CauseRow, cause_matrix
from tf_tester.core.overview.folding import Column, by_python
from tf_tester.core.overview.reasons import reasons
from tf_tester.core.text.printable import printable
from tf_tester.core.text.sizes import count_text
from tf_tester.model.outcome import Outcome
from tf_tester.report.blocks import BlockRows, blocks
from tf_tester.report.lines import Line, Span, Style, TextLayout, line, pad
from tf_tester.report.words import EXPLAINED, mark, meaning, style

_MOST_ROWS = 40


def results_by_cause(report: RunReport, layout: TextLayout, *, whole: bool = False) -> list[Line]:
    """Return the matrix, those that most cells have first; empty where nothing is wrong, or where it takes a list.

    `whole`: nothing is folded, no row left out.
    """
    why, stuck = reasons(report), obstacles(report)
    kinds = len(why) + len(stuck)
    most = kinds if whole else _MOST_ROWS
    shown = why[:most], stuck[: max(0, most - len(why))]
    folded = min((cause_matrix(one, *shown) for one in (report, by_python(report))), key=lambda one: len(one.columns))
    if not folded.rows:
        return []
    names, marks = [printable(row.headline) for row in folded.rows], _Marks(folded)
    lines = blocks(report, folded.columns, _named(names, folded.rows), marks.of, layout, whole=whole)
    told: list[Line] = []
    if not all(any(spans and spans[0].text.startswith(name) for spans in lines) for name in names):
        numbers = [f"{number}." for number in range(1, len(names) + 1)]
        lines = blocks(report, folded.columns, _named(numbers, folded.rows), marks.of, layout, whole=whole)
        told = [(), *_listed(numbers, names, layout)]
    if not lines:
        return []
    notes = [count_text(kinds - most, "more row") + f": tf-tester show {report.run_id} --rows causes -v"] * (
        kinds > most
    )
    notes += _fail_nowhere(report)
    lines += [line(Span(text, Style.FAINT)) for note in notes for text in layout.wrap(note, first=0, indent=2)]
    return lines + told + _legend(folded, layout)


def _named(names: Sequence[str], rows: Sequence[CauseRow]) -> BlockRows:
    behind = [f" ({count_text(len(row.tests), 'test')})" if len(row.tests) > 1 else "" for row in rows]
    return BlockRows(names, behind, from_the_left=False)


def _listed(numbers: Sequence[str], names: Sequence[str], layout: TextLayout) -> Iterator[Line]:
    """Yield what is wrong where the place is too narrow to say it beside its marks."""
    indent = max(map(len, numbers)) + 1
    for number, name in zip(numbers, names, strict=True):
        first, *rest = layout.wrap(name, first=indent, indent=indent)
        yield line(pad(number, indent), first)
        yield from (line(text) for text in rest)


class _Marks:
    """The marks of a column, of one cell or of several that came to the same."""

    def __init__(self, folded: CauseMatrix) -> None:
        self._rows = folded.rows
        self._places = {cell.name: place for place, column in enumerate(folded.columns) for cell in column.cells}

    def of(self, column: Column) -> list[Span]:
        place = self._places[column.cells[0].name]
        return [_mark(row.outcomes[place]) for row in self._rows]


def _mark(outcome: Outcome | None) -> Span:
    return Span("-", Style.FAINT) if outcome is None else Span(mark(outcome), style(outcome))


def _fail_nowhere(report: RunReport) -> list[str]:
    """Return how many tests no row is about."""
    tests: dict[str, bool] = {}
    for cell in report.cells:
        for row in report.result(cell).tests:
            tests[row.id] = tests.get(row.id, False) or row.outcome.is_failure_of_the_test
    number = sum(not fails for fails in tests.values())
    verb = "fails" if number == 1 else "fail"
    return [f"{count_text(number, 'test')} {verb} nowhere"] if number else []


def _legend(folded: CauseMatrix, layout: TextLayout) -> list[Line]:
    seen = {outcome for row in folded.rows for outcome in row.outcomes}
    told = [f"{mark(outcome)}: {meaning(outcome)}" for outcome in Outcome if outcome in seen & EXPLAINED]
    if None in seen:
        told.append("-: not so in that cell (its tests failed otherwise, or were not run)")
    wrapped = layout.wrap("; ".join(told), first=0, indent=0, most=6) if told else []
    return [(), *(line(Span(text, Style.FAINT)) for text in wrapped)] if wrapped else []
