"""A grid as text: a heat map of signs for each product, and below it why fields failed or were not run."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TextIO

from tf_tester.core.grid.compatibility import grid_reach, reach_clause, reach_sentence
from tf_tester.core.grid.heat_map import (
    BREACH,
    FLAKY,
    NOT_RUN,
    OK,
    WRONG,
    FieldKind,
    HeatMap,
    field_kinds,
    grid_labels,
    heat_maps,
    served,
    short_labels,
)
from tf_tester.core.outcome.failures import obstacles
from tf_tester.core.outcome.report import RunReport, cell_labels
from tf_tester.core.text.places import seen_from
from tf_tester.core.text.printable import printable
from tf_tester.core.text.sizes import count_text, duration_text, size_text
from tf_tester.model.field import FieldOutcome
from tf_tester.report.heat.words import (
    border_extent,
    border_words,
    guarantee_words,
    release_of,
    route_title,
    route_words,
)
from tf_tester.report.lines import (
    Line,
    Span,
    Style,
    TextLayout,
    as_text,
    columns,
    line,
    pad,
    wants_colour,
    width_of,
    write,
)

_GAP = 2
_LONGEST_LABEL = 24
_MOST_KINDS = 12
_MOST_FIELDS = 12
"""Fields with wrong numbers that are told of one by one."""
_MOST_BORDERS = 20
_WORDS = {
    FieldOutcome.OK: "ok",
    FieldOutcome.WRONG_NUMBERS: "with wrong numbers",
    FieldOutcome.ERROR: "failed",
    FieldOutcome.FLAKY: "flaky",
    FieldOutcome.NOT_RUN: "not run",
}


def print_grid(report: RunReport, stream: TextIO, *, environ: Mapping[str, str]) -> None:
    """Write a grid to a stream, as wide and in such signs as it takes, in colour where that is wanted."""
    layout = TextLayout.of(stream, width_of(stream, environ))
    write(stream, as_text(grid_lines(report, layout), colour=wants_colour(stream, environ)))


def grid_lines(report: RunReport, layout: TextLayout | None = None) -> list[Line]:
    """Return the whole report of a grid; sections without content are left out."""
    layout = layout or TextLayout()
    kinds = field_kinds(report)
    maps = heat_maps(report, kinds)
    sections = [_sentence(report, layout)]
    sections += [_picture(one, report, layout, many=len(maps) > 1) for one in maps]
    sections += [
        _legend(kinds, maps, layout),
        _routes(report, layout),
        _numbers("Wrong numbers", [one for one in kinds if one.sign == WRONG], report, layout),
        _reasons("What fails", [one for one in kinds if one.sign not in (OK, NOT_RUN, WRONG, FLAKY)], report, layout),
        _borders(report, layout),
        _numbers("Numbers that vary within one version", [one for one in kinds if one.sign == FLAKY], report, layout),
        _reasons("Not run", [one for one in kinds if one.sign == NOT_RUN], report, layout),
        _obstacles(report, layout),
        _remarks(report, layout),
        _ending(report),
    ]
    told = [section for section in sections if section]
    return [spans for number, section in enumerate(told) for spans in ([()] if number else []) + section]


def _sentence(report: RunReport, layout: TextLayout) -> list[Line]:
    told = layout.wrap(printable(reach_sentence(grid_reach(report))), first=0, indent=2, most=6)
    return [line(Span(text, Style.STRONG)) for text in told]


# The picture


def _picture(one: HeatMap, report: RunReport, layout: TextLayout, *, many: bool) -> list[Line]:
    named = f"{one.product}: " if many and one.product else ""
    packages = [_package(names, report) for names in (one.producers, one.consumers)]
    both = packages[0] if packages[0] == packages[1] else f"{packages[0]}, loaded by {packages[1]}"
    lines = [line(Span(printable(f"{named}{both}"), Style.STRONG), ": saved by (rows), loaded by (columns)")]
    rows: list[tuple[str, ...]] = [(name,) for name in one.producers]
    users: list[tuple[str, ...]] = [(name,) for name in one.consumers]
    makers_labels = short_labels(one.producers, report)
    users_labels = short_labels(one.consumers, report)
    start = max(columns(_label(band, makers_labels, layout)) for band in rows) + _GAP
    narrow = max(len(sign) for sign in ("ok", *(one.sign(maker, user) for maker, user in one.signs))) + 1
    if start + len(users) * narrow > layout.width:
        users = one.bands(one.consumers, of_consumers=True)
        rows = one.bands(one.producers, of_consumers=False)
        start = max(columns(_label(band, makers_labels, layout)) for band in rows) + _GAP
    most = max(1, (layout.width - start) // narrow)
    for first in range(0, len(users), most):
        block = users[first : first + most]
        heads = [_label(band, users_labels, layout) for band in block]
        wide = max(map(columns, heads)) + _GAP
        width = wide if start + len(block) * wide <= layout.width else narrow
        across = [line(" " * start, *(_right(text, width) for text in heads))]
        lines += across if width == wide else _tall(heads, start, width)
        for band in rows:
            signs = (_right(one.sign(band[0], user[0]), width) for user in block)
            label = pad(_label(band, makers_labels, layout), start)
            lines.append(line(label, *(Span(text, _style(text.strip())) for text in signs)))
    return lines + _below(one, report, layout, many=many)


def _below(one: HeatMap, report: RunReport, layout: TextLayout, *, many: bool) -> list[Line]:
    """Return what a picture of several says alone, and what is promised of its product."""
    reach = grid_reach(report, one.product)
    clauses = "; ".join(filter(None, map(reach_clause, (reach.backward, reach.forward)))) if many else ""
    promised = one.guarantee is not None and one.guarantee.across_versions and guarantee_words(one.guarantee)
    return _faint((clauses, promised or ""), layout)


def _faint(texts: Iterable[str], layout: TextLayout) -> list[Line]:
    return [
        line(Span(text, Style.FAINT))
        for told in filter(None, texts)
        for text in layout.wrap(printable(told), first=0, indent=2, most=4)
    ]


def _package(names: Sequence[str], report: RunReport) -> str:
    wanted = set(names)
    return ", ".join(dict.fromkeys(cell.package for cell in report.cells if cell.name in wanted)) or "nothing"


def _label(band: tuple[str, ...], labels: Mapping[str, str], layout: TextLayout) -> str:
    first, last = printable(labels[band[0]]), printable(labels[band[-1]])
    return layout.shorten(first if len(band) == 1 else f"{first}{layout.ellipsis}{last}", _LONGEST_LABEL)


def _right(text: str, width: int) -> str:
    return " " * (width - columns(text)) + text


def _tall(heads: Sequence[str], start: int, width: int) -> list[Line]:
    """Return labels that are read from top to bottom, above narrow columns."""
    height = max(map(len, heads))
    letters = [" " * (height - len(text)) + text for text in heads]
    return [line(" " * start, *(_right(text[row], width) for text in letters)) for row in range(height)]


def _style(sign: str) -> Style:
    if sign == OK:
        return Style.GOOD
    return Style.FAINT if sign in (NOT_RUN, "") else Style.ODD if sign == FLAKY else Style.BAD


def _legend(kinds: Sequence[FieldKind], maps: Sequence[HeatMap], layout: TextLayout) -> list[Line]:
    """Return what the signs mean, those that occur, and of what nothing is promised."""
    signs = {one.sign for one in kinds}
    told = [f"{OK} works"] * (OK in signs) + [f"{WRONG} other numbers"] * (WRONG in signs)
    told += ["A, B … fail, see below"] * bool(signs - {OK, NOT_RUN, WRONG, FLAKY})
    told += [f"{FLAKY} numbers vary from run to run"] * (FLAKY in signs) + [f"{NOT_RUN} not run"] * (NOT_RUN in signs)
    told += [f"{BREACH} though it is promised"] * any(one.breaches for one in maps)
    nothing = [guarantee_words(one) for one in (drawn.guarantee for drawn in maps) if one and not one.across_versions]
    return _faint(("; ".join(told), *dict.fromkeys(nothing)), layout)


# Why


def _reasons(title: str, kinds: Sequence[FieldKind], report: RunReport, layout: TextLayout) -> list[Line]:
    if not kinds:
        return []
    lines = [line(Span(title, Style.STRONG))]
    for kind in kinds[:_MOST_KINDS]:
        lines += _reason(kind, report, layout)
    if len(kinds) > _MOST_KINDS:
        more = count_text(len(kinds) - _MOST_KINDS, "more kind")
        lines.append(line(Span(f"  {more}: tf-tester show {report.run_id} --failures", Style.FAINT)))
    return lines


def _reason(kind: FieldKind, report: RunReport, layout: TextLayout) -> Iterator[Line]:
    start = f"  {kind.sign}  "
    told = printable(seen_from(kind.headline, report.here)) or "no reason is known"
    first, *rest = layout.wrap(told, first=len(start), indent=5, most=4)
    yield line(start, Span(first, Style.STRONG))
    yield from (line(text) for text in rest)
    if kind.place is not None and kind.place.line:
        text = f"at {kind.place.file}:{kind.place.line}" + (f"  {kind.place.text}" if kind.place.text else "")
        yield line(Span(f"     {layout.shorten(printable(text), layout.width - 5)}", Style.FAINT))
    names = list(dict.fromkeys(name for one in kind.fields for name in (one.producer, one.consumer)))
    labels = short_labels(names, report)
    products = list(dict.fromkeys(one.product for one in kind.fields))
    pairs = "; ".join(
        f"{_named(product, report)}saved by {', '.join(labels[name] for name in makers)}, "
        f"loaded by {', '.join(labels[name] for name in users)}"
        for product in products
        for makers, users in served([one for one in kind.fields if one.product == product])
    )
    counted = f"{count_text(len(kind.fields), 'field')}: {printable(pairs)}"
    first, *rest = layout.wrap(counted, first=5, indent=5, most=6)
    yield line(f"     {first}")
    yield from (line(text) for text in rest)


def _named(product: str, report: RunReport) -> str:
    """Return the name of a product, where the grid has several."""
    return f"{product} " if len({field.product for field in report.fields}) > 1 else ""


def _numbers(title: str, kinds: Sequence[FieldKind], report: RunReport, layout: TextLayout) -> list[Line]:
    """Return which numbers differ, in each field, with both."""
    fields = [field for kind in kinds for field in kind.fields]
    lines = [line(Span(title, Style.STRONG))] if fields else []
    names = [name for field in fields for name in (field.producer, field.consumer)]
    labels = short_labels(list(dict.fromkeys(names)), report)
    for field in fields[:_MOST_FIELDS]:
        pair = f"saved by {labels[field.producer]}, loaded by {labels[field.consumer]}"
        start = printable(f"  {_named(field.product, report)}{pair}: ")
        first, *rest = layout.wrap(printable(field.summary), first=columns(start), indent=5, most=4)
        lines += [line(Span(start, Style.STRONG), first), *(line(text) for text in rest)]
    if len(fields) > _MOST_FIELDS:
        lines.append(line(Span(f"  {count_text(len(fields) - _MOST_FIELDS, 'more field')}", Style.FAINT)))
    return lines


def _borders(report: RunReport, layout: TextLayout) -> list[Line]:
    """Return which releases make the differences between neighbours."""
    lines = [line(Span("Since when", Style.STRONG))] if report.borders else []
    labels = grid_labels(report)
    for one in report.borders[:_MOST_BORDERS]:
        start = printable(f"  {release_of(one)}  ")
        told = printable(_named(one.product, report) + border_words(one, labels))
        first, *rest = layout.wrap(told, first=columns(start), indent=5, most=5)
        lines += [line(Span(start, Style.STRONG), first), *(line(text) for text in rest)]
        lines.append(line(Span(f"     {printable(border_extent(one))}", Style.FAINT)))
    if len(report.borders) > _MOST_BORDERS:
        more = count_text(len(report.borders) - _MOST_BORDERS, "other change")
        lines.append(line(Span(f"  {more}: tf-tester report {report.run_id} --format html", Style.FAINT)))
    return lines


def _routes(report: RunReport, layout: TextLayout) -> list[Line]:
    """Return the ways that were asked for."""
    labels = grid_labels(report)
    lines = [line(Span(f"The way from {route_title(report.routes[0], labels)}", Style.STRONG))] if report.routes else []
    for one in report.routes:
        start = printable(f"  {one.product}: ")
        first, *rest = layout.wrap(printable(route_words(one, labels)), first=columns(start), indent=4, most=8)
        lines += [line(Span(start, Style.STRONG), first), *(line(text) for text in rest)]
        for failed in one.failed:
            first, *rest = layout.wrap(printable(f"tried in vain: {failed}"), first=4, indent=6, most=4)
            lines += [line(Span(f"    {first}", Style.FAINT)), *(line(Span(text, Style.FAINT)) for text in rest)]
    return lines


def _obstacles(report: RunReport, layout: TextLayout) -> list[Line]:
    found = obstacles(report)
    lines = [line(Span("Could not run", Style.STRONG))] if found else []
    labels = cell_labels(report.cells)
    for one in found:
        names = ", ".join(labels[cell.name] for cell in (one.cell, *one.also))
        for number, told in enumerate((f"{names}  {one.result.outcome}  {one.result.summary}", *one.hints)):
            prefix = "    hint: " if number else "  "
            first, *rest = layout.wrap(printable(told), first=len(prefix), indent=4, most=6)
            lines += [line(f"{prefix}{first}"), *(line(text) for text in rest)]
    return lines


def _remarks(report: RunReport, layout: TextLayout) -> list[Line]:
    labels = cell_labels(report.cells)
    groups: dict[str, list[str]] = {}
    for cell in report.cells:
        result = report.result(cell)
        for remark in dict.fromkeys((*result.remarks, *(told for row in result.tests for told in row.remarks))):
            groups.setdefault(remark, []).append(labels[cell.name])
    told = [*report.remarks, *(f"{', '.join(names)}: {remark}" for remark, names in groups.items())]
    lines = [line(Span("Remarks", Style.STRONG))] if told else []
    for remark in told:
        first, *rest = layout.wrap(printable(remark), first=4, indent=4, most=8)
        lines += [line(f"  - {first}"), *(line(text) for text in rest)]
    return lines


def _ending(report: RunReport) -> list[Line]:
    outcomes = [field.outcome for field in report.fields]
    counts = [f"{outcomes.count(one)} {word}" for one, word in _WORDS.items() if one in outcomes]
    told = [f"{count_text(len(outcomes), 'field')}: {', '.join(counts)}" if counts else "no fields"]
    if report.products:
        size = sum({one.digest: one.size for one in report.products}.values())
        told.append(f"{count_text(len(report.products), 'product')} ({size_text(size)})")
    if report.transfers.received:
        told.append(f"{size_text(report.transfers.received)} downloaded")
    if report.wall_s:
        told.append(duration_text(report.wall_s))
    lines = [line(Span("; ".join(told), Style.STRONG))]
    if report.interrupted:
        lines.append(line(Span("The run was interrupted.", Style.ODD)))
    if report.folder:
        lines.append(line(f"Evidence: {report.folder}"))
    return lines
