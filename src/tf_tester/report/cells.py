"""One line a cell: what it came to, how long it took, what it needed. Of very many cells one line for neighbours."""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence

from tf_tester.core.outcome.failures import kinds_of_failure, without_varying
from tf_tester.core.outcome.output_differences import OutputDifference
from tf_tester.core.outcome.report import RunReport, build_seconds
from tf_tester.core.overview.folding import Column, by_python, neighbours, span
from tf_tester.core.text.places import seen_from
from tf_tester.core.text.sizes import duration_text, size_text
from tf_tester.model.cell import Cell
from tf_tester.model.outcome import CellResult, Outcome
from tf_tester.report.lines import Line, Span, Style, TextLayout, columns, line, pad
from tf_tester.report.words import NOT_IMPORTED, REPLAYED, count_tests, run_seconds, style, word

_MOST = 24
"""Cells that have a line each: a screen. Of more, neighbours that came to the same for the same reason share one."""
_GAP = 2
_INDENT = 4
_SHORTEST_REASON = 20
DIFFERS = "differs"
"""The mark of what passes, but prints something else than the others."""


def cell_list(
    report: RunReport,
    layout: TextLayout,
    differing: Sequence[OutputDifference],
    *,
    of_one_test: bool,
    whole: bool = False,
) -> list[Line]:
    """Return the list. `of_one_test`: of several, their number is told and not what they needed; `whole`: unfolded."""
    differs = {cell.name for one in differing for cell in one.cells}
    alone = tuple(Column((cell,)) for cell in report.cells)
    shown = alone if whole or len(alone) <= _MOST else _folded(report, differs)
    packages, resolutions = len(report.packages) > 1, len({cell.resolution for cell in report.cells}) > 1
    platforms = len({cell.platform for cell in report.cells}) > 1
    builds = build_seconds(report)
    rows: list[dict[str, Span]] = []
    for column in shown:
        first = column.cells[0]
        results = [report.result(cell) for cell in column.cells]
        row = {"package": Span(first.package)} if packages else {}
        row["version"] = Span(span([cell.version for cell in column.cells], layout.dash))
        row["cells"] = Span("" if len(shown) == len(alone) else str(len(column.cells)))
        row["python"] = Span(span([cell.python for cell in column.cells], layout.dash))
        if resolutions:
            row["resolution"] = Span(str(first.resolution))
        if platforms:
            row["platform"] = Span(first.platform)
        row["besides"] = Span(" ".join(first.details))
        row["outcome"] = _outcome(results[0], differs=first.name in differs)
        facts = _facts_of_one_test(results, layout) if of_one_test else _facts_of_many_tests(results, layout)
        built = sum(builds.get(cell.name, 0.0) for cell in column.cells)
        facts["build"] = duration_text(built) if built else ""
        row |= {name: Span(fact) for name, fact in facts.items()}
        row["why"] = Span(_why(results[0], report.here) if len(shown) < len(alone) else "", Style.FAINT)
        rows.append(row)
    return table(rows, layout, cut="why")


def table(rows: Sequence[Mapping[str, Span]], layout: TextLayout, *, cut: str = "") -> list[Line]:
    """Return columns as wide as their content; those that are empty everywhere are left out.

    What doesn't fit beside the others goes into a second line of each row. Of the column `cut` as much is shown as
    there is space for.
    """
    names = [name for name in rows[0] if any(row[name].text for row in rows)] if rows else []
    told = [{name: Span(_whole_or_cut(row[name].text, layout), row[name].style) for name in names} for row in rows]
    widths = {name: max(columns(name), *(columns(row[name].text) for row in told)) + _GAP for name in names}
    if cut in widths:
        left = layout.width - sum(width for name, width in widths.items() if name != cut)
        if left < _SHORTEST_REASON:
            names.remove(cut)
        else:
            told = [{**row, cut: Span(layout.shorten(row[cut].text, left), row[cut].style)} for row in told]
            widths[cut] = left + _GAP
    parts: list[list[str]] = []
    used = 0
    for name in names:
        if not parts or used + widths[name] - _GAP > layout.width:
            used = _INDENT * bool(parts)
            parts.append([])
        parts[-1].append(name)
        used += widths[name]
    heads = {name: Span(name, Style.FAINT) for name in names}
    return [
        line(" " * _INDENT * bool(number), *(Span(pad(row[name].text, widths[name]), row[name].style) for name in part))
        for row in (heads, *told)
        for number, part in enumerate(parts)
        if not number or any(row[name].text for name in part)
    ]


def _whole_or_cut(text: str, layout: TextLayout) -> str:
    return layout.shorten(text, layout.width - _INDENT) if " " in text else text


# What a line tells


def _folded(report: RunReport, differs: Collection[str]) -> tuple[Column, ...]:
    def came_to(cell: Cell) -> Hashable:
        result = report.result(cell)
        tests = frozenset((row.id, row.outcome) for row in result.tests)
        return result.outcome, _reason(result), bool(result.replayed), cell.name in differs, result.unused, tests

    return min((neighbours(one.cells, came_to) for one in (report, by_python(report))), key=len)


def _reason(result: CellResult) -> Hashable:
    if result.outcome.is_failure_of_the_test:
        return frozenset(kinds_of_failure(result))
    return "" if result.outcome.ran else without_varying(result.summary)


def _why(result: CellResult, here: str) -> str:
    if result.outcome.is_failure_of_the_test:
        return next(seen_from(told, here) for _, told in kinds_of_failure(result).values())
    return "" if result.outcome.ran else result.summary


def _outcome(result: CellResult, *, differs: bool) -> Span:
    odd = (DIFFERS,) * differs + (NOT_IMPORTED,) * result.unused if result.outcome is Outcome.PASS else ()
    told = ", ".join((word(result.outcome), *(REPLAYED,) * bool(result.replayed), *odd))
    return Span(told, Style.ODD if odd else style(result.outcome))


def _facts_of_one_test(results: Sequence[CellResult], layout: TextLayout) -> dict[str, str]:
    sizes = [None if one.peak_rss_kib is None else one.peak_rss_kib * 1024 for one in results]
    return {
        "time": _range([run_seconds(one) for one in results], duration_text, layout),
        "import": _range([one.import_s for one in results], duration_text, layout),
        "memory": _range(sizes, size_text, layout),
    }


def _facts_of_many_tests(results: Sequence[CellResult], layout: TextLayout) -> dict[str, str]:
    return {"time": _facts_of_one_test(results, layout)["time"], "tests": count_tests(results[0].tests)}


def _range(values: Sequence[float | None], told: Callable[[float], str], layout: TextLayout) -> str:
    """Return `2.7 s`, or `2.7–6.2 s` of several cells; empty where none of them has any."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    least, most = told(min(known)), told(max(known))
    unit = most[most.rindex(" ") :]
    in_one_unit = least.count(" ") == most.count(" ") == 1 and least.endswith(unit)
    return span([least.removesuffix(unit) if in_one_unit and least != most else least, most], layout.dash)
