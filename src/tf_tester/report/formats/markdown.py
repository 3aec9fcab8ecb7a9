"""Markdown as GitHub and GitLab show it: a step summary, or a comment under a pull request.

What doesn't fit is left out as a whole, the least important first, and counted: nothing is cut in its middle. Text of
others stands in code, where it is no markup and mentions nobody.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from msgspec import Struct

from tf_tester.core.grid.compatibility import grid_reach, reach_sentence
from tf_tester.core.grid.heat_map import BREACH, FLAKY, NOT_RUN, OK, WRONG, field_kinds, grid_labels, heat_maps
from tf_tester.core.outcome.deprecations import fulfilled_deprecations
from tf_tester.core.outcome.failures import obstacles
from tf_tester.core.outcome.report import RunReport, cell_labels
from tf_tester.core.overview.reasons import Reason, reasons
from tf_tester.core.overview.sentence import sentence
from tf_tester.core.text.places import seen_from
from tf_tester.core.text.printable import printable
from tf_tester.core.text.sizes import count_text, duration_text, size_text
from tf_tester.core.verdict.supports import SupportedVersions, support
from tf_tester.model.cell import Cell
from tf_tester.model.events import BorderFound, FieldFinished
from tf_tester.model.outcome import Outcome
from tf_tester.report.causes import verdict_lines
from tf_tester.report.formats import Rendering
from tf_tester.report.heat.words import (
    border_extent,
    border_words,
    guarantee_words,
    release_of,
    route_title,
    route_words,
)
from tf_tester.report.supports import python_order
from tf_tester.report.words import how_it_ended, told_builds, told_cells

MOST_OF_A_SUMMARY = 2**20
"""Bytes that GitHub takes of a step's summary; of a comment 65,536 characters."""
_MOST_TRACEBACK = 40
"""Lines of one, the last ones."""
_MOST_NAMED = 12
_LONGEST = 500
"""Characters of a line of others."""
_SIGNS = {Outcome.PASS: "✅", Outcome.SKIP: "⏭️", Outcome.EMPTY: "⚠️"}


class _Block(Struct, frozen=True):
    """A part that is shown whole, without its evidence, or not at all."""

    text: str
    evidence: str = ""
    """What stands within it where there is space; `text` has a place for it, `\\0`."""

    def shown(self, *, whole: bool) -> str:
        return self.text.replace("\0", self.evidence if whole else "")


def render(report: RunReport, rendering: Rendering) -> str:
    """Return the Markdown, of at most `rendering.most_bytes`, unless its first sentence alone has more."""
    most = rendering.most_bytes or MOST_OF_A_SUMMARY
    supported, why = support(report), reasons(report)
    told = reach_sentence(grid_reach(report)) if report.fields else sentence(supported, len(why))
    head = f"### {_plain(told)}\n"
    foot = f"\n<sub>{_plain(_ending(report))}</sub>\n"
    labels = cell_labels(report.cells)
    parts = [
        *_grid(report),
        _Block(f"\n{_table(supported)}") if any(one.versions for one in supported) else _Block(""),
        *(_reason(one, report, labels) for one in why),
        *_obstacles(report, labels),
        *_deprecations(report, labels),
    ]
    return head + _fitting(parts, most - _size(head) - _size(foot) - _size(_left_out(len(parts), report))) + foot


def _fitting(parts: Sequence[_Block], most: int) -> str:
    """Return as many parts as there is space for, then as much of their evidence."""
    kept: list[_Block] = []
    left = most
    for part in parts:
        if _size(part.shown(whole=False)) > left:
            break
        kept.append(part)
        left -= _size(part.shown(whole=False))
    told = []
    for part in kept:
        whole = 0 < _size(part.evidence) <= left
        left -= _size(part.evidence) if whole else 0
        told.append(part.shown(whole=whole))
    return "".join(told) + (_left_out(len(parts) - len(kept), None) if len(kept) < len(parts) else "")


def _left_out(count: int, report: RunReport | None) -> str:
    return f"\n{count_text(count, 'more part')} of this report didn't fit: `tf-tester show` has all of them.\n"


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _table(supported: Sequence[SupportedVersions]) -> str:
    """Return a table of versions by Pythons for each package, the newest first, equal neighbours in one row."""
    return "\n".join("".join(f"{line}\n" for line in _rows(one)) for one in supported if one.versions)


def _rows(one: SupportedVersions) -> Iterator[str]:
    columns = sorted(dict.fromkeys(column for row in one.outcomes.values() for column in row), key=python_order)
    yield f"| {_cell(one.package)} | " + " | ".join(map(_cell, columns)) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    folded: list[tuple[list[str], list[str]]] = []
    for version, row in reversed(list(one.outcomes.items())):
        told = [_outcome(row[column]) if column in row else "" for column in columns]
        if folded and folded[-1][1] == told:
            folded[-1][0].append(version)
        else:
            folded.append(([version], told))
    for versions, told in folded:
        name = versions[0] if len(versions) == 1 else f"{versions[-1]} to {versions[0]}"
        yield f"| {_cell(name)} | " + " | ".join(told) + " |"


def _outcome(outcome: Outcome) -> str:
    return f"{_SIGNS.get(outcome, '❌' if outcome.is_failure_of_the_test else '➖')} {outcome}"


def _grid(report: RunReport) -> Iterator[_Block]:
    """Yield what a grid has besides: its pictures, ways, numbers that differ, releases."""
    labels, kinds = grid_labels(report), field_kinds(report)
    for one in heat_maps(report, kinds):
        heads = [_cell(labels[name]) for name in one.consumers]
        title = _cell(one.product or "saved by ↓")
        rows = [f"| {title} ↓ → | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
        for name in one.producers:
            signs = (_field(one.sign(name, other)) for other in one.consumers)
            rows.append(f"| {_cell(labels[name])} | {' | '.join(signs)} |")
        below = f"\n{_code(guarantee_words(one.guarantee))}\n" if one.guarantee is not None else ""
        yield _Block("\n" + "\n".join(rows) + f"\n{below}")
    if legend := [f"- {_field(one.sign)} {_code(one.headline)}" for one in kinds if one.headline]:
        yield _Block("\nSaved by (rows), loaded by (columns):\n\n" + "\n".join(legend[:_MOST_NAMED]) + "\n")
    for route in report.routes:
        title = f"{route.product}: {route_title(route, labels)}"
        yield _Block(f"\n{'✅' if route.arrived else '❌'} {_code(title)}: {_code(route_words(route, labels))}\n")
    if numbers := [_wrong(field, labels) for one in kinds if one.sign == WRONG for field in one.fields]:
        yield _Block("\nOther numbers:\n\n" + "\n".join(numbers) + "\n")
    if report.borders:
        told = ((release_of(one), one.product, border_words(one, labels), border_extent(one)) for one in report.borders)
        since = [
            f"- {_code(release)} {_code(product)}: {_code(words)} ({how})" for release, product, words, how in told
        ]
        yield _Block("\nSince when:\n\n" + "\n".join(since) + "\n")


def _border(one: BorderFound, labels: Mapping[str, str]) -> str:
    return f"{_code(one.product)}: {_code(border_words(one, labels))} ({_code(border_extent(one))})"


def _wrong(field: FieldFinished, labels: Mapping[str, str]) -> str:
    pair = f"saved by {_code(labels[field.producer])}, loaded by {_code(labels[field.consumer])}"
    return f"- {_code(field.product)} {pair}: {_code(field.summary)}"


def _field(sign: str) -> str:
    """Return the sign of a field with what its colour says."""
    bare = sign.removesuffix(BREACH)
    known = {OK: "✅", NOT_RUN: "➖", FLAKY: "⚠️ ~", WRONG: "❌ ≠", " ": ""}
    return known.get(bare, f"❌ {bare}") + (" \\*" if sign != bare else "")


def _reason(one: Reason, report: RunReport, labels: dict[str, str]) -> _Block:
    where = f"{count_text(one.failure.tests, 'test')} in {count_text(len(one.cells), 'cell')}"
    row = one.failure.row
    facts = [f"- {where}: {_named(one.cells, labels)}"]
    if row is not None:
        facts.append(f"- first: {_code(row.id)}")
    if one.place is not None:
        line = f":{one.place.line}" if one.place.line else ""
        facts.append(f"- at {_code(one.place.file + line)}" + (f": {_code(one.place.text)}" if one.place.text else ""))
    facts += [f"- {_code(text)}" for text in verdict_lines(one.found)]
    evidence = ""
    if row is not None and (row.traceback or row.reason):
        lines = seen_from(row.traceback or row.reason, report.here).splitlines()[-_MOST_TRACEBACK:]
        evidence = "\n" + _block([printable(text)[:_LONGEST] for text in lines])
    return _Block(_details(f"❌ {_html(one.headline)}", "\n".join(facts) + "\n\0"), evidence)


def _obstacles(report: RunReport, labels: dict[str, str]) -> Iterator[_Block]:
    for one in obstacles(report):
        facts = [f"- {_named((one.cell, *one.also), labels)}", *(f"- hint: {_code(hint)}" for hint in one.hints)]
        told = [printable(text)[:_LONGEST] for text in one.result.detail.strip().splitlines()[:_MOST_TRACEBACK]]
        summary = f"➖ {one.result.outcome}: {_html(one.result.summary or 'no reason is known')}"
        yield _Block(_details(summary, "\n".join(facts) + "\n\0"), "\n" + _block(told) if told else "")


def _deprecations(report: RunReport, labels: dict[str, str]) -> Iterator[_Block]:
    for one in fulfilled_deprecations(report):
        facts = [
            f"- warned of with {_named(one.warning_cells, labels)}: {_code(one.warning)}",
            f"- gone with {_code(labels[one.breaks.name])}: {_code(one.failure)}",
        ]
        yield _Block(_details(f"⚠️ will break: {_html(one.name)}", "\n".join(facts) + "\n"))


def _ending(report: RunReport) -> str:
    told = [told_cells(report.result(cell) for cell in report.cells)]
    if report.transfers.received:
        told.append(f"{size_text(report.transfers.received)} downloaded")
    told.append(told_builds(report))
    if report.wall_s:
        told.append(duration_text(report.wall_s))
    return "; ".join(filter(None, [*told, how_it_ended(report), report.run_id, report.tool]))


def _named(cells: Sequence[Cell], labels: dict[str, str]) -> str:
    more = f" and {len(cells) - _MOST_NAMED} more" if len(cells) > _MOST_NAMED else ""
    return ", ".join(_code(labels[cell.name]) for cell in cells[:_MOST_NAMED]) + more


def _details(summary: str, text: str) -> str:
    """Return what opens at a click; of its first line nothing is read as Markdown, as it is one block of HTML."""
    return f"\n<details><summary>{summary}</summary>\n\n{text}\n</details>\n"


def _html(text: str) -> str:
    return f"<code>{escape(printable(text)[:_LONGEST])}</code>"


def _code(text: str) -> str:
    """Return inline code, whatever backticks are in the text."""
    told = " ".join(printable(text)[:_LONGEST].split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", told)), default=0))
    space = " " if told.startswith("`") or told.endswith("`") or not told else ""
    return f"{fence}{space}{told}{space}{fence}"


def _cell(text: str) -> str:
    return _code(text).replace("|", "\\|")


def _block(lines: Sequence[str]) -> str:
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}text", *lines, fence]) + "\n"


def _plain(text: str) -> str:
    r"""Return a text of which nothing is markup.

    >>> print(_plain("a_b works <not> with #1 | @me"))
    a\_b works &lt;not&gt; with \#1 \| \@me
    """
    return re.sub(r"([\\`*_{}\[\]#|@~!])", r"\\\1", escape(printable(text), quote=False))
