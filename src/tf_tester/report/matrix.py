"""The final report as text: what works, what differs, why some did not run, and what to do next."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TextIO

from tf_tester.core.grid.numbers import words_of_differences
from tf_tester.core.outcome.deprecations import fulfilled_deprecations
from tf_tester.core.outcome.failures import Obstacle, SharedFailure, differences, obstacles, place
from tf_tester.core.outcome.output_differences import OutputDifference, differing_output
from tf_tester.core.outcome.report import RunReport, cell_labels
from tf_tester.core.outcome.tracebacks import last_words
from tf_tester.core.overview.folding import neighbours, span
from tf_tester.core.overview.sentence import sentence_of
from tf_tester.core.text.places import seen_from
from tf_tester.core.text.printable import printable
from tf_tester.core.text.sizes import count_text, duration_text, size_text
from tf_tester.core.verdict.advice import Advice, advice
from tf_tester.core.verdict.verdicts import FailureFinding, findings
from tf_tester.model.cell import Cell
from tf_tester.model.outcome import Outcome
from tf_tester.report.cause_grid import results_by_cause
from tf_tester.report.causes import verdict_lines
from tf_tester.report.cells import table
from tf_tester.report.grid import results
from tf_tester.report.lines import (
    Line,
    Span,
    Style,
    TextLayout,
    as_text,
    columns,
    line,
    wants_colour,
    width_of,
    write,
)
from tf_tester.report.live.progress import opening
from tf_tester.report.words import (
    REPLAYED,
    Detail,
    MatrixRows,
    how_it_ended,
    style,
    told_builds,
    told_cells,
)

_SHORTEST_NAME = 20
_MOST_KINDS = 12
"""Kinds of failure that a report shows, the most frequent first; `tf-tester show` has all."""
_MANY = 8
"""Cells that are named one by one."""
_MOST_DETAIL = 12
"""Lines of a resolver's or a build's own words; the rest is in the evidence."""
_PHASES = ("resolve", "download", "layers", "environment", "run", "cleanup")


def print_report(
    report: RunReport,
    stream: TextIO,
    *,
    environ: Mapping[str, str],
    detail: Detail = Detail.USUAL,
    timings: bool = False,
    default_package: str = "",
    rows: MatrixRows = MatrixRows.TESTS,
) -> None:
    """Write the report to a stream, as wide and in such signs as it takes, in colour where that is wanted."""
    layout = TextLayout.of(stream, width_of(stream, environ))
    lines = report_lines(report, layout, detail=detail, timings=timings, default_package=default_package, rows=rows)
    write(stream, as_text(lines, colour=wants_colour(stream, environ)))


def report_lines(
    report: RunReport,
    layout: TextLayout | None = None,
    *,
    detail: Detail = Detail.USUAL,
    timings: bool = False,
    default_package: str = "",
    rows: MatrixRows = MatrixRows.TESTS,
) -> list[Line]:
    """Return the report; sections without content are left out.

    `rows`: of the matrix; where there are no causes, or its place is too narrow for these, it has tests.
    """
    layout = layout or TextLayout()
    if detail is Detail.QUIET:
        return _joined([_sentence(report, layout), _differences(report, layout), _obstacles(report, layout)])
    differing = differing_output(report)
    whole = detail is Detail.WHOLE
    by_cause = results_by_cause(report, layout, whole=whole) if rows is MatrixRows.CAUSES else []
    sections = [
        _wrapped(opening(report.cells), layout, Style.STRONG),
        by_cause or results(report, layout, differing, whole=whole),
        _differences(report, layout, whole=whole),
        _odd_ones(differing, report, layout),
        _numbers(report, layout),
        _deprecations(report, layout),
        _obstacles(report, layout, whole=whole),
        _remarks(report, layout),
        _timings(report, layout) if timings else [],
        _ending(report, layout, advice(report, default_package=default_package)),
    ]
    return _joined(sections)


def _joined(sections: Sequence[list[Line]]) -> list[Line]:
    told = [section for section in sections if section]
    return [spans for number, section in enumerate(told) for spans in ([()] if number else []) + section]


def _wrapped(text: str, layout: TextLayout, style: Style = Style.PLAIN) -> list[Line]:
    """Return a text over as many lines as it needs."""
    told = layout.wrap(printable(text), first=0, indent=2, most=len(text) + 1)
    return [line(Span(one, style)) for one in told]


# What fails, and why some did not run


def _numbers(report: RunReport, layout: TextLayout) -> list[Line]:
    """Return which recorded numbers are others than with the version before, or with the reference."""
    lines = [line(Span("Numbers that differ", Style.STRONG))] if report.different_numbers else []
    labels = cell_labels(report.cells)
    for one in report.different_numbers[:_MOST_KINDS]:
        reference = labels.get(one.differences[0].reference, one.differences[0].reference)
        start = printable(f"  {labels.get(one.cell, one.cell)}  {one.test}  beside {reference}: ")
        if columns(start) > layout.width // 2:
            lines.append(line(start.rstrip()))
            start = "    "
        text = printable(words_of_differences(one.differences))
        first, *rest = layout.wrap(text, first=columns(start), indent=4, most=4)
        lines += [line(start, first), *(line(text) for text in rest)]
    if len(report.different_numbers) > _MOST_KINDS:
        more = count_text(len(report.different_numbers) - _MOST_KINDS, "more place")
        lines.append(line(Span(f"  {more}, which the record names", Style.FAINT)))
    return lines


def _differences(report: RunReport, layout: TextLayout, *, whole: bool = False) -> list[Line]:
    found, hidden = differences(report, most=None if whole else _MOST_KINDS)
    if not found:
        return []
    labels = cell_labels(report.cells)
    one_test = len({row.id for cell in report.cells for row in report.result(cell).tests}) <= 1
    lines = [line(Span("What fails", Style.STRONG))]
    for difference, known in zip(found, findings(found, report), strict=True):
        lines += _difference(difference, known, labels, report, layout, name_test=not one_test)
    if hidden > 0:
        kinds = count_text(hidden, "more kind")
        lines += _wrapped(f"  {kinds} of failure: tf-tester show {report.run_id} --failures", layout, Style.FAINT)
    return lines


def _difference(
    difference: SharedFailure,
    known: FailureFinding,
    labels: Mapping[str, str],
    report: RunReport,
    layout: TextLayout,
    *,
    name_test: bool,
) -> Iterator[Line]:
    label = printable(labels[difference.cell.name])
    row = difference.row
    test = ""
    if row is not None and name_test:
        test = layout.shorten_left(printable(row.id), max(layout.width // 2, _SHORTEST_NAME)) + "  "
    start = f"  {label}  {test}"
    headline = printable(seen_from(difference.headline, report.here))
    wrapped = layout.wrap(headline, first=min(columns(start), layout.width // 2), indent=4)
    if columns(start) > layout.width // 2:
        # The place is too narrow for both: the message gets lines of its own.
        yield from _named(label, test, layout)
        wrapped = layout.wrap(headline, first=4, indent=4)
        wrapped[0] = " " * 4 + wrapped[0]
        yield from (line(text) for text in wrapped)
    else:
        yield line("  ", Span(label, Style.STRONG), f"  {test}{wrapped[0]}")
        yield from (line(text) for text in wrapped[1:])
    if row is not None and row.exception is not None and row.exception.file:
        where = layout.shorten_left(printable(seen_from(place(row.exception), report.here)), layout.width - 7)
        yield line(Span(f"    at {where}", Style.FAINT))
    for said in last_words(row) if row is not None else ():
        yield line(Span(f"    | {layout.wrap(printable(said), first=6, indent=6, most=1)[0]}", Style.FAINT))
    if difference.tests > 1 + len(difference.also):
        yield line(Span(f"    {count_text(difference.tests, 'test')} fail like this", Style.FAINT))
    yield from _also(difference.also, labels, report, layout)
    if row is not None and row.could_not_begin:
        return
    for text in verdict_lines(known):
        first, *rest = layout.wrap(printable(text), first=4, indent=6, most=4)
        yield line(f"    {first}")
        yield from (line(text) for text in rest)


def _named(label: str, behind: str, layout: TextLayout) -> Iterator[Line]:
    """Yield a cell's label and what stands behind it, in one line where both fit."""
    if columns(label) + columns(behind) + 4 <= layout.width:
        yield line("  ", Span(label, Style.STRONG), f"  {behind}")
        return
    first, *rest = layout.wrap(label, first=2, indent=2)
    yield from (line(Span(text, Style.STRONG)) for text in (f"  {first}", *rest))
    if behind:
        yield line("    ", layout.shorten_left(behind.strip(), layout.width - 4))


def _odd_ones(differing: Sequence[OutputDifference], report: RunReport, layout: TextLayout) -> list[Line]:
    if not differing:
        return []
    labels = cell_labels(report.cells)
    one_test = len({row.id for cell in report.cells for row in report.result(cell).tests}) <= 1
    lines = [line(Span("Passes, but prints something else", Style.STRONG))]
    for one in differing:
        test = "" if one_test else layout.shorten_left(printable(one.test), layout.width // 2)
        lines += _named(printable(labels[one.cells[0].name]), test, layout)
        usual = printable(labels[one.others[0].name])
        for name, said in (("prints", one.line), (f"{usual} prints", one.usual)):
            first, *rest = layout.wrap(printable(said) or "nothing", first=5 + len(name), indent=6, most=3)
            lines.append(line(Span(f"    {name} ", Style.FAINT), first))
            lines += [line(text) for text in rest]
        lines += _also(one.cells[1:], labels, report, layout)
    return lines


def _deprecations(report: RunReport, layout: TextLayout) -> list[Line]:
    found = fulfilled_deprecations(report)
    if not found:
        return []
    labels = cell_labels(report.cells)
    lines = [line(Span("Will break", Style.STRONG))]
    for one in found:
        warning_cells = ", ".join(labels[cell.name] for cell in one.warning_cells)
        warn = "warns" if len(one.warning_cells) == 1 else "warn"
        told = f"{one.name}: {warning_cells} {warn}, {labels[one.breaks.name]} breaks"
        first, *rest = layout.wrap(printable(told), first=2, indent=4, most=4)
        lines += [line(f"  {first}"), *(line(text) for text in rest)]
        for text in (one.warning, one.failure):
            first, *rest = layout.wrap(printable(text), first=4, indent=6, most=2)
            lines += [line(Span(f"    {first}", Style.FAINT)), *(line(Span(text, Style.FAINT)) for text in rest)]
    return lines


def _obstacles(report: RunReport, layout: TextLayout, *, whole: bool = False) -> list[Line]:
    found = obstacles(report)
    if not found:
        return []
    labels = cell_labels(report.cells)
    lines = [line(Span("Could not run", Style.STRONG))]
    for obstacle in found:
        lines += _obstacle(
            obstacle, labels, report, layout, most=len(obstacle.result.detail) if whole else _MOST_DETAIL
        )
    return lines


def _obstacle(
    obstacle: Obstacle, labels: Mapping[str, str], report: RunReport, layout: TextLayout, *, most: int
) -> Iterator[Line]:
    label = printable(labels[obstacle.cell.name])
    outcome = obstacle.result.outcome
    start = f"  {label}  {outcome}  "
    told = printable(obstacle.result.summary) or "no reason is known"
    if columns(start) > layout.width:
        yield from _named(label, str(outcome), layout)
        first, *rest = layout.wrap(told, first=4, indent=4, most=6)
        yield line(f"    {first}")
    else:
        first, *rest = layout.wrap(told, first=columns(start), indent=4, most=6)
        yield line("  ", Span(label, Style.STRONG), "  ", Span(str(outcome), style(outcome)), f"  {first}")
    yield from (line(text) for text in rest)
    for hint in obstacle.hints:
        first, *rest = layout.wrap(printable(hint), first=10, indent=10, most=4)
        yield line(Span("    hint: ", Style.FAINT), first)
        yield from (line(text) for text in rest)
    said = obstacle.result.detail.strip().splitlines()
    # A resolver says first what matters, a build last.
    shown = said[-most:] if outcome is Outcome.BUILD_FAILED else said[:most]
    for text in shown:
        for number, piece in enumerate(layout.wrap(printable(text), first=6, indent=8, most=8)):
            yield line("      " * (not number), Span(piece, Style.FAINT))
    if len(said) > most:
        yield line(f"      {layout.ellipsis} {count_text(len(said) - most, 'more line')} in the evidence")
    yield from _also(obstacle.also, labels, report, layout)


def _also(cells: Sequence[Cell], labels: Mapping[str, str], report: RunReport, layout: TextLayout) -> Iterator[Line]:
    """Yield `also 2.4.0, 2.8.0`: by version alone where that says which cell it is."""
    if not cells:
        return
    versions = Counter((cell.package, cell.version) for cell in report.cells)
    alone = len(report.packages) == 1
    short = {
        cell.name: cell.version if alone and versions[cell.package, cell.version] == 1 else labels[cell.name]
        for cell in cells
    }
    first, *rest = layout.wrap(printable(_listed(cells, short, report, layout)), first=9, indent=9, most=8)
    yield line(Span("    also ", Style.FAINT), first)
    yield from (line(text) for text in rest)


def _listed(cells: Sequence[Cell], names: Mapping[str, str], report: RunReport, layout: TextLayout) -> str:
    """Return the names of cells; of many those that stand beside each other in the run as `2.8.1–2.15.1`."""
    if len(cells) <= _MANY:
        return ", ".join(names[cell.name] for cell in cells)
    listed = {cell.name for cell in cells}
    columns_of = neighbours(report.cells, lambda cell: cell.name in listed)
    spans = [[names[cell.name] for cell in one.cells] for one in columns_of if one.cells[0].name in listed]
    return ", ".join(span(one, layout.dash) for one in spans)


# Remarks, times, the end


def _remarks(report: RunReport, layout: TextLayout) -> list[Line]:
    """Return what a person should know of cells, whatever their outcome; cells with the same remarks together."""
    labels = cell_labels(report.cells)
    groups: dict[tuple[str, ...], list[Cell]] = {}
    for cell in report.cells:
        remarks = tuple(dict.fromkeys(_remarks_of(report, cell)))
        if remarks:
            groups.setdefault(remarks, []).append(cell)
    if not groups and not report.remarks:
        return []
    lines = [line(Span("Remarks", Style.STRONG))]
    for remark in report.remarks:
        # Whole: what a sandbox leaves open stands here.
        first, *rest = layout.wrap(printable(remark), first=4, indent=4, most=len(remark))
        lines += [line(f"  - {first}"), *(line(text) for text in rest)]
    for remarks, cells in groups.items():
        told = layout.wrap(printable(_listed(cells, labels, report, layout)), first=2, indent=2, most=6)
        lines += [line(Span(("  " if not number else "") + text, Style.STRONG)) for number, text in enumerate(told)]
        for remark in remarks:
            first, *rest = layout.wrap(printable(remark), first=6, indent=6, most=4)
            lines += [line(f"    - {first}"), *(line(text) for text in rest)]
    return lines


def _remarks_of(report: RunReport, cell: Cell) -> Iterator[str]:
    result = report.result(cell)
    if result.outcome is Outcome.SKIP:
        reason = next((row.reason for row in result.tests if row.reason), "")
        yield "nothing was tested: every test was skipped" + (f" ({reason})" if reason else "")
    for row in result.tests:
        if row.outcome is Outcome.EMPTY:
            yield f"nothing was tested in {row.id}: {row.reason}"
    if cell.name in report.locks:
        yield from report.locks[cell.name].remarks
    yield from result.remarks
    for row in result.tests:
        for remark in row.remarks:
            yield remark if len(result.tests) == 1 else f"{row.id}: {remark}"


def _timings(report: RunReport, layout: TextLayout) -> list[Line]:
    """Return the wall time of each phase in each cell."""
    labels = cell_labels(report.cells)
    phases = {cell.name: report.result(cell).phases for cell in report.cells}
    seen = {name for times in phases.values() for name in times}
    names = [name for name in _PHASES if name in seen] + sorted(seen.difference(_PHASES))
    if not names:
        return []
    rows = [
        {"cell": Span(labels[cell])}
        | {printable(name): Span(duration_text(times[name]) if name in times else "") for name in names}
        | {"total": Span(duration_text(sum(times.values())) if times else "")}
        for cell, times in phases.items()
    ]
    return [line(Span("Where the time went", Style.STRONG)), *table(rows, layout)]


def _sentence(report: RunReport, layout: TextLayout) -> list[Line]:
    """Return which versions work, and what keeps the report from telling of all of them."""
    told = sentence_of(report) or told_cells(report.result(cell) for cell in report.cells)
    return [*_wrapped(told, layout, Style.STRONG), *_cut_short(report, layout)]


def _cut_short(report: RunReport, layout: TextLayout) -> list[Line]:
    if report.is_cut:
        told = "The record is cut off within a line: it was damaged, or the disk was full. What followed is lost."
    else:
        told = how_it_ended(report)
    return _wrapped(f"{told[0].upper()}{told[1:].rstrip('.')}.", layout, Style.ODD) if told else []


def _ending(report: RunReport, layout: TextLayout, advised: Sequence[Advice]) -> list[Line]:
    told = [told_cells(report.result(cell) for cell in report.cells)]
    replayed = [report.result(cell).replayed for cell in report.cells if report.result(cell).replayed]
    if replayed:
        since = min(replayed)[:10]
        told.append(
            f"{count_text(len(replayed), 'cell')} {REPLAYED}: nothing has changed since {since} (--no-cache runs all)"
        )
    if report.transfers.received:
        told.append(f"{size_text(report.transfers.received)} downloaded")
    told += [built] if (built := told_builds(report)) else []
    if report.wall_s:
        told.append(duration_text(report.wall_s))
    several = len({(cell.package, cell.version) for cell in report.cells}) > 1
    lines = _wrapped(sentence_of(report), layout, Style.STRONG) if several else []
    lines += _wrapped("; ".join(told), layout, Style.STRONG)
    lines += _cut_short(report, layout)
    if report.folder:
        lines.append(line(f"Evidence: {report.folder}"))
    for one in advised:
        lines += _advised(one, layout)
    return lines


def _advised(one: Advice, layout: TextLayout) -> list[Line]:
    """Return a command in one line, as it is copied, and what it is for; or what there is to do without one."""
    if not one.command:
        return _wrapped(f"Next: {one.purpose}", layout)
    command, purpose = f"Next: {printable(one.command)}", f"# {printable(one.purpose)}"
    if columns(command) + columns(purpose) + 2 <= layout.width:
        return [line("Next: ", Span(one.command, Style.STRONG), f"  {purpose}")]
    first, *rest = layout.wrap(purpose, first=6, indent=8)
    return [line("Next: ", Span(one.command, Style.STRONG)), line(f"      {first}"), *(line(text) for text in rest)]
