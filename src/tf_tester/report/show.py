"""Any part of a record as text: its failures in full, one test in every cell, one cell."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from tf_tester.core.outcome.failures import differences, place
from tf_tester.core.outcome.report import RunReport, cell_labels
from tf_tester.core.text.places import seen_from
from tf_tester.core.text.printable import printable
from tf_tester.core.text.sizes import count_text, duration_text
from tf_tester.model.cell import Cell
from tf_tester.model.outcome import TestRow
from tf_tester.report.lines import Line, Span, Style, line
from tf_tester.report.words import styled


def of_cells(report: RunReport, wanted: Sequence[str]) -> RunReport:
    """Return a report of those cells alone whose name, label or version is one of the wanted words."""
    labels = cell_labels(report.cells)
    cells = tuple(cell for cell in report.cells if {cell.name, labels[cell.name], cell.version} & set(wanted))
    names = {cell.name for cell in cells}
    results = {name: result for name, result in report.results.items() if name in names}
    locks = {name: lock for name, lock in report.locks.items() if name in names}
    explanations = tuple(one for one in report.explanations if one.cell in cells)
    return replace(report, cells=cells, results=results, locks=locks, explanations=explanations)


def failure_lines(report: RunReport) -> list[Line]:
    """Return every kind of failure, the most frequent first, each with its count, its cells and one traceback."""
    labels = cell_labels(report.cells)
    found, _ = differences(report)
    lines: list[Line] = []
    for number, one in enumerate(found, 1):
        cells = [one.cell, *one.also]
        lines.append(line(Span(f"{number}. {printable(seen_from(one.headline, report.here))}", Style.STRONG)))
        if one.row is not None and one.row.exception is not None and one.row.exception.file:
            lines.append(line(f"   at {printable(seen_from(place(one.row.exception), report.here))}"))
        named = ", ".join(labels[cell.name] for cell in cells)
        lines.append(
            line(f"   {count_text(one.tests, 'test')} in {count_text(len(cells), 'cell')}: {printable(named)}")
        )
        if one.row is not None:
            lines.append(line(f"   first: {printable(one.row.id)}"))
            traceback = seen_from(one.row.traceback, report.here)
            lines += [line(f"     {printable(text)}") for text in traceback.splitlines()]
        lines.append(line(""))
    return lines


def lines_of_tests(report: RunReport, wanted: Sequence[str]) -> list[Line]:
    """Return all that is known of some tests, cell by cell. `wanted`: ids, or parts of them; empty: every test."""
    labels = cell_labels(report.cells)
    return [
        text
        for cell in report.cells
        for row in report.result(cell).tests
        if not wanted or any(words in row.id for words in wanted)
        for text in _row(row, cell, labels[cell.name], report.here)
    ]


def _row(row: TestRow, cell: Cell, label: str, here: str) -> Iterator[Line]:
    took = f"  {duration_text(row.wall_s)}" if row.wall_s is not None else ""
    yield line(Span(printable(label), Style.STRONG), f"  {printable(row.id)}  ", styled(row.outcome), took)
    for text in (row.reason, *row.remarks):
        if text:
            yield line(f"  {printable(text)}")
    yield from _text("", seen_from(row.traceback, here))
    yield from _text("printed", row.stdout)
    yield from _text("printed on standard error", seen_from(row.stderr, here))
    for warning in row.warnings:
        yield line(f"  {printable(f'{warning.category}: {warning.message}')}")
    yield line("")


def _text(title: str, text: str) -> Iterator[Line]:
    if not text.strip():
        return
    if title:
        yield line(Span(f"  {title}:", Style.FAINT))
    for part in text.rstrip().splitlines():
        yield line(f"    {printable(part)}")
