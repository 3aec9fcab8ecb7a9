"""What works where: tests as rows and cells as columns, or one line a cell where that tells more."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from tf_tester.core.outcome.failures import gravest_first
from tf_tester.core.outcome.output_differences import OutputDifference
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.text.printable import printable
from tf_tester.core.text.sizes import count_text, duration_text, size_text
from tf_tester.model.cell import Cell
from tf_tester.model.outcome import CellResult, Outcome, TestRow
from tf_tester.report.lines import Line, Span, Style, TextLayout, columns, line, pad
from tf_tester.report.words import EXPLAINED, REPLAYED, count_tests, mark, meaning, run_seconds, style, word

_GAP = 2
_MOST_BLOCKS = 3
_MOST_ROWS = 40
_SHORTEST_NAME = 20
DIFFERS = "differs"
"""The mark of what passes, but prints something else than the others."""


def results(report: RunReport, layout: TextLayout, differing: Sequence[OutputDifference] = ()) -> list[Line]:
    """Return the matrix, or a list of cells; empty where there are none. `differing`: marked though they pass."""
    if not report.cells:
        return []
    tests = {cell.name: gravest_first(report.result(cell).tests) for cell in report.cells}
    names = list(dict.fromkeys(name for rows in tests.values() for name in rows))
    if len(names) <= 1:
        # Of a script or a command the name is what was typed.
        named = [line(layout.shorten_left(printable(name), layout.width)) for name in names if "::" in name]
        return named + _cell_list(report, _facts_of_one_test, differing)
    differs = {(cell.name, one.test) for one in differing for cell in one.cells}
    blocks = _blocks(report, tests, names, layout, differs)
    if len(blocks) > _MOST_BLOCKS:
        return _cell_list(report, _facts_of_many_tests, differing)
    lines = [spans for number, block in enumerate(blocks) for spans in ([()] if number else []) + block]
    return lines + _legend(report, tests, names, layout, differs=bool(differing))


def _cell_list(
    report: RunReport, facts: Callable[[CellResult], Mapping[str, str]], differing: Sequence[OutputDifference]
) -> list[Line]:
    """Return one line a cell."""
    differs = {cell.name for one in differing for cell in one.cells}
    packages = len(report.packages) > 1
    resolutions = len({cell.resolution for cell in report.cells}) > 1
    rows: list[dict[str, Span]] = []
    for cell in report.cells:
        result = report.result(cell)
        row = {"package": Span(cell.package)} if packages else {}
        row |= {"version": Span(cell.version), "python": Span(cell.python)}
        if resolutions:
            row["resolution"] = Span(str(cell.resolution))
        row["besides"] = Span(" ".join(cell.details))
        row["outcome"] = Span(word(result.outcome), style(result.outcome))
        if result.replayed:
            row["outcome"] = Span(f"{word(result.outcome)}, {REPLAYED}", style(result.outcome))
        if cell.name in differs and result.outcome is Outcome.PASS:
            row["outcome"] = Span(f"{row['outcome'].text}, {DIFFERS}", Style.ODD)
        rows.append(row | {name: Span(fact) for name, fact in facts(result).items()})
    return table(rows)


def _facts_of_one_test(result: CellResult) -> dict[str, str]:
    seconds = run_seconds(result)
    return {
        "time": "" if seconds is None else duration_text(seconds),
        "import": "" if result.import_s is None else duration_text(result.import_s),
        "memory": "" if result.peak_rss_kib is None else size_text(result.peak_rss_kib * 1024),
    }


def _facts_of_many_tests(result: CellResult) -> dict[str, str]:
    return {"time": _facts_of_one_test(result)["time"], "tests": count_tests(result.tests)}


def table(rows: Sequence[Mapping[str, Span]]) -> list[Line]:
    """Return columns as wide as their content; those that are empty everywhere are left out."""
    names = [name for name in rows[0] if any(row[name].text for row in rows)] if rows else []
    widths = {name: max(columns(name), *(columns(row[name].text) for row in rows)) + _GAP for name in names}
    head = line(*(Span(pad(name, widths[name]), Style.FAINT) for name in names))
    body = [line(*(Span(pad(row[name].text, widths[name]), row[name].style) for name in names)) for row in rows]
    return [head, *body]


def _blocks(
    report: RunReport,
    tests: Mapping[str, Mapping[str, TestRow]],
    names: Sequence[str],
    layout: TextLayout,
    differs: Collection[tuple[str, str]],
) -> list[list[Line]]:
    """Return the matrix, cut into as many blocks of columns as the width demands."""
    shown, note = _rows_worth_showing(report, tests, names)
    corner, shortened = _shorter_names(shown, layout)
    cells = [_Column(report.result(cell), cell, tests[cell.name], report, differs) for cell in report.cells]
    needed = sum(column.width for column in cells)
    longest = max((columns(name) for name in (*shortened.values(), corner)), default=0)
    available = layout.width - needed
    # One block with short names is read more easily than two with long ones.
    name_width = min(longest, available if available >= _SHORTEST_NAME else max(_SHORTEST_NAME, layout.width // 3))
    fitted = _fitted(shortened, name_width, layout)
    blocks = []
    for part in _packed(cells, layout.width - name_width):
        heads = max(len(column.heads) for column in part)
        block = [
            line(
                Span(
                    pad(layout.shorten_left(corner, name_width) if not number else "", name_width),
                    Style.FAINT,
                ),
                *(Span("  " + pad(column.heads[number], column.width - _GAP), Style.FAINT) for column in part),
            )
            for number in range(heads)
        ]
        block += [line(pad(fitted[name], name_width), *(column.span(name) for column in part)) for name in shown]
        blocks.append(block + ([line(Span(note, Style.FAINT))] if note else []))
    return blocks


class _Column:
    """One cell's column of marks."""

    def __init__(
        self,
        result: CellResult,
        cell: Cell,
        rows: Mapping[str, TestRow],
        report: RunReport,
        differs: Collection[tuple[str, str]],
    ) -> None:
        self.result = result
        self.rows = rows
        self.differs = {test for name, test in differs if name == cell.name}
        self.heads = [printable(cell.version), "-" if cell.python == "-" else f"py{printable(cell.python)}"]
        if len({other.resolution for other in report.cells}) > 1:
            self.heads.append(str(cell.resolution))
        if len(report.packages) > 1:
            self.heads.insert(0, printable(cell.package))
        marks = [self._mark(name).text for name in rows] or [mark(result.outcome)]
        self.width = max(map(columns, [*self.heads, *marks])) + _GAP

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


def _packed(cells: Sequence[_Column], available: int) -> Iterator[Sequence[_Column]]:
    """Yield the columns, in groups that fit; at least one each."""
    part: list[_Column] = []
    for column in cells:
        if part and sum(other.width for other in part) + column.width > available:
            yield part
            part = []
        part.append(column)
    yield part


def _rows_worth_showing(
    report: RunReport, tests: Mapping[str, Mapping[str, TestRow]], names: Sequence[str]
) -> tuple[Sequence[str], str]:
    """Return all tests, or of very many those that did not just pass; and a line on what was left out."""
    if len(names) <= _MOST_ROWS:
        return names, ""
    passing = {
        name for name in names if all(name not in rows or rows[name].outcome is Outcome.PASS for rows in tests.values())
    }
    rest = [name for name in names if name not in passing]
    shown = rest[:_MOST_ROWS]
    ran = "it" if len(passing) == 1 else "them"
    notes = [f"{count_text(len(passing), 'more test')} passed in every cell that ran {ran}"] if passing else []
    if left_out := len(rest) - len(shown):
        notes.append(f"{count_text(left_out, 'other')} that did not {'is' if left_out == 1 else 'are'} in the record")
    return shown, "; ".join(notes)


def _shorter_names(names: Sequence[str], layout: TextLayout) -> tuple[str, dict[str, str]]:
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


def _legend(
    report: RunReport,
    tests: Mapping[str, Mapping[str, TestRow]],
    names: Sequence[str],
    layout: TextLayout,
    *,
    differs: bool,
) -> list[Line]:
    """Return what the marks mean, those that occur."""
    seen = {row.outcome for rows in tests.values() for row in rows.values()}
    seen |= {report.result(cell).outcome for cell in report.cells if not tests[cell.name]}
    told = [f"{mark(outcome)}: {meaning(outcome)}" for outcome in Outcome if outcome in seen & EXPLAINED]
    if differs:
        told.append(f"{DIFFERS}: it passes, but prints something else")
    if any(rows and len(rows) < len(names) for rows in tests.values()):
        told.append("-: not run in that cell (not there, not picked, or not reached)")
    if not told:
        return []
    wrapped = layout.wrap("; ".join(told), first=0, indent=0, most=6)
    return [(), *(line(Span(text, Style.FAINT)) for text in wrapped)]
