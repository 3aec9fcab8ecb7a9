"""What works where: tests as rows and cells as columns, or one line a cell where that tells more.

Folded only where the place is too narrow for all: equal neighbours are one column then. Of many tests those that pass
everywhere are counted.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from msgspec import Struct

from tf_tester.core.outcome.failures import gravest_first
from tf_tester.core.outcome.output_differences import OutputDifference
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.overview.folding import Column, Matrix, Row, by_python, matrix
from tf_tester.core.text.printable import printable
from tf_tester.core.text.sizes import count_text
from tf_tester.model.outcome import Outcome, TestRow
from tf_tester.report.cells import DIFFERS, cell_list
from tf_tester.report.lines import Line, Span, Style, TextLayout, columns, line, pad
from tf_tester.report.words import EXPLAINED, mark, meaning, style

_GAP = 2
_FEW_TESTS = 12
"""Tests that have a row each; of more, those that came to the same everywhere are counted."""
_MOST_ROWS = 40
"""Of more tests, those of one fate share a row."""
_MOST_BLOCKS = 4
"""Of columns; where more are needed, one line a cell is read more easily."""
_SHORTEST_NAME = 20


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
    blocks = _blocks(report, folded, tests, shown, layout, differs, whole=whole) if shown else []
    if not blocks:
        return cell_list(report, layout, differing, of_one_test=False, whole=whole)
    lines = [spans for number, block in enumerate(blocks) for spans in ([()] if number else []) + block]
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


def _shorter_names(names: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Return what all names begin with (a file, for pytest), and each name without it."""
    safe = {name: printable(name) for name in names}
    files = {name.partition("::")[0] for name in safe.values() if "::" in name}
    if len(files) == 1 and all("::" in name for name in safe.values()):
        return files.pop(), {name: text.partition("::")[2] for name, text in safe.items()}
    return "", safe


def _fitted(names: Mapping[str, str], width: int, layout: TextLayout) -> dict[str, str]:
    """Return names cut to a width, at the left where that keeps them apart, in the middle otherwise."""
    cut = {name: layout.shorten_left(text, width) for name, text in names.items()}
    if len(set(cut.values())) == len(set(names.values())):
        return cut
    left = width // 2
    return {
        name: text
        if columns(text) <= width
        else layout.shorten(text, left) + layout.shorten_left(text, width - left).removeprefix(layout.ellipsis)
        for name, text in names.items()
    }


# Columns


class _Heads(Struct, frozen=True):
    """What stands above columns."""

    report: RunReport
    layout: TextLayout
    stacked: bool
    """The first and the last of what is folded stand one above the other."""
    folded: bool

    def of(self, column: Column) -> list[list[str]]:
        """Return the lines above a column, those of one kind together."""
        first, cells = column.cells[0], self.report.cells
        pythons = [cell.python for cell in column.cells if cell.python != "-"]
        heads = [self._span([cell.version for cell in column.cells])]
        heads.append(self._span(pythons, "py") if pythons else ["-"])
        if len({cell.resolution for cell in cells}) > 1:
            heads.append([str(first.resolution)])
        if len({cell.platform for cell in cells}) > 1:
            heads.append([first.platform])
        if any(cell.details for cell in cells):
            heads.append(list(first.details))
        if len(self.report.packages) > 1:
            heads.insert(0, [first.package])
        if self.folded:
            heads.append([count_text(len(column.cells), "cell")])
        return [[printable(text) for text in kind] for kind in heads]

    def _span(self, words: Sequence[str], begun: str = "") -> list[str]:
        """Return `2.8.0–2.15.1`, or both in a line of their own; of equal words the one."""
        distinct = list(dict.fromkeys(words))
        last = [self.layout.dash + distinct[-1]] if len(distinct) > 1 else []
        both = [begun + distinct[0], *last]
        return both if self.stacked else ["".join(both)]


class _Column:
    """A column of marks: of one cell, or of neighbours in which all came to the same."""

    def __init__(
        self,
        column: Column,
        heads: _Heads,
        rows: Mapping[str, TestRow],
        shown: Sequence[_Shown],
        differs: Collection[tuple[str, str]],
    ) -> None:
        first = column.cells[0]
        self.result = heads.report.result(first)
        self.rows = rows
        self.differs = {test for name, test in differs if name == first.name}
        self.heads = heads.of(column)
        marks = [self._mark(row.test).text for row in shown]
        self.width = max(map(columns, [*(text for kind in self.heads for text in kind), *marks]), default=0) + _GAP

    def span(self, name: str) -> Span:
        marked = self._mark(name)
        return Span("  " + pad(marked.text, self.width - _GAP), marked.style)

    def _mark(self, name: str) -> Span:
        outcome = self.outcome(name)
        if outcome is None:
            return Span("-", Style.FAINT)
        if name in self.differs and outcome is Outcome.PASS:
            return Span(DIFFERS, Style.ODD)
        return Span(mark(outcome), style(outcome))

    def outcome(self, name: str) -> Outcome | None:
        """Return the outcome of one test; a cell that has no tests at all shows its own outcome across."""
        if not self.rows:
            return self.result.outcome
        row = self.rows.get(name)
        return row.outcome if row is not None else None


def _blocks(
    report: RunReport,
    folded: Matrix,
    tests: Mapping[str, Mapping[str, TestRow]],
    shown: Sequence[_Shown],
    layout: TextLayout,
    differs: Collection[tuple[str, str]],
    *,
    whole: bool,
) -> list[list[Line]]:
    """Return the matrix, cut into as many blocks of columns as the width demands, folded where that is more than one.

    Empty where it would be too many.
    """
    alone = tuple(Column((cell,)) for cell in report.cells)
    are_folded = len(folded.columns) < len(alone)
    ways = [(alone, _Heads(report, layout, stacked=False, folded=False))]
    if not whole:
        either = (_Heads(report, layout, stacked=stacked, folded=are_folded) for stacked in (False, True))
        ways += [(folded.columns, heads) for heads in either]
    blocks: list[list[Line]] = []
    for chosen, heads in ways:
        cells = [_Column(column, heads, tests[column.cells[0].name], shown, differs) for column in chosen]
        blocks = list(_laid_out(cells, shown, layout))
        if len(blocks) == 1:
            break
    return blocks if whole or len(blocks) <= _MOST_BLOCKS else []


def _laid_out(cells: Sequence[_Column], shown: Sequence[_Shown], layout: TextLayout) -> Iterator[list[Line]]:
    """Yield the blocks."""
    corner, shortened = _shorter_names([row.test for row in shown])
    behind = {row.test: f" and {row.more} more" if row.more else "" for row in shown}
    longest = max(columns(corner), *(columns(name) + len(behind[test]) for test, name in shortened.items()))
    available = layout.width - sum(column.width for column in cells)
    # One block with short names is read more easily than two with long ones.
    width = min(longest, available if available >= _SHORTEST_NAME else max(_SHORTEST_NAME, layout.width // 3))
    fitted = _fitted({test: name for test, name in shortened.items() if not behind[test]}, width, layout)
    least = width - max(map(len, behind.values()))
    fitted |= _fitted({test: name for test, name in shortened.items() if behind[test]}, least, layout)
    for part in _packed(cells, layout.width - width):
        block: list[Line] = []
        for kind in range(len(part[0].heads)):
            for number in range(max(len(column.heads[kind]) for column in part)):
                name = "" if block else layout.shorten_left(corner, width)
                told = [column.heads[kind][number : number + 1] or [""] for column in part]
                texts = ("  " + pad(text[0], column.width - _GAP) for text, column in zip(told, part, strict=True))
                block.append(line(Span(pad(name, width) + "".join(texts), Style.FAINT)))
        for row in shown:
            name = pad(fitted[row.test] + behind[row.test], width)
            block.append(line(name, *(column.span(row.test) for column in part)))
        yield block


def _packed(cells: Sequence[_Column], available: int) -> Iterator[Sequence[_Column]]:
    """Yield the columns, in groups that fit; at least one each."""
    part: list[_Column] = []
    for column in cells:
        if part and sum(other.width for other in part) + column.width > available:
            yield part
            part = []
        part.append(column)
    yield part


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
