"""One HTML file that tells all: no request to anywhere, opens from disk, light and dark, in English and Chinese.

It can be read, printed and searched without its script, which only chooses the language of the reader. A policy in it
(CSP) allows that script and its style sheet alone, by their hashes.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files

from tf_tester.core.outcome.deprecations import fulfilled_deprecations
from tf_tester.core.outcome.failures import is_library, obstacles
from tf_tester.core.outcome.report import RunReport, cell_labels
from tf_tester.core.outcome.tracebacks import FRAME
from tf_tester.core.overview.folding import Matrix, Row, drift, matrix
from tf_tester.core.overview.own_code import below
from tf_tester.core.overview.reasons import Reason, reasons
from tf_tester.core.text.places import seen_from
from tf_tester.core.text.sizes import duration_text, size_text
from tf_tester.core.verdict.advice import shell_command
from tf_tester.core.verdict.supports import support
from tf_tester.model.cell import Cell
from tf_tester.model.outcome import Outcome, TestRow
from tf_tester.report.causes import verdict_lines
from tf_tester.report.formats import Rendering
from tf_tester.report.formats.page.markup import Markup, element, text
from tf_tester.report.formats.page.plots import bars
from tf_tester.report.formats.page.words import both, counted, told
from tf_tester.report.words import count_cells, how_it_ended, run_seconds

_SIGNS = {
    Outcome.PASS: "✓",
    Outcome.FAIL: "✗",
    Outcome.ERROR: "!",
    Outcome.CRASH: "‼",
    Outcome.TIMEOUT: "⏱",
    Outcome.OOM: "▲",
    Outcome.SKIP: "↷",
    Outcome.EMPTY: "∅",
}
_MOST_NAMES = 200
"""Tests of one fate, or cells, that are named; of more, their number."""
_MOST_REASONS = 100
_MOST_LINES = 400
"""Lines of a traceback or of output, the last ones."""
_MOST_LETTERS = 2_000
"""Characters of one of them."""
_SCRIPT = (
    "const page = document.documentElement;\n"
    'if (page.dataset.lang === "auto") page.dataset.lang = navigator.language.startsWith("zh") ? "zh" : "en";\n'
    "page.lang = page.dataset.lang;\n"
)
_LANGUAGES = '[data-lang="zh"] [lang="en"], html:not([data-lang="zh"]) [lang="zh"] { display: none; }\n'


def render(report: RunReport, rendering: Rendering) -> str:
    """Return the page."""
    supported, why = support(report), reasons(report)
    folded = matrix(report)
    body = element(
        "body",
        element(
            "main",
            element("h1", f"tf-tester · {', '.join(report.packages)}"),
            element("p", told(supported, len(why)), class_="sentence"),
            element("p", _facts(report), class_="meta"),
            _section("What works where", [_table(report, folded)] if report.cells else []),
            _section("Why it fails", _reasons(report, why)),
            _section("Could not run", list(_obstacles(report))),
            _section("Will break", list(_deprecations(report))),
            _section("Dependencies that differ", _drift(report, folded)),
            _section("Time and memory", _plots(report)),
            _section(
                "Remarks", [element("ul", [element("li", one) for one in report.remarks])] if report.remarks else []
            ),
        ),
    )
    style = _LANGUAGES + _style()
    policy = f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(_SCRIPT)}'; base-uri 'none'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"tf-tester: {', '.join(report.packages)}"),
        Markup(f"<style>{style}</style>"),
        Markup(f"<script>{_SCRIPT}</script>"),
    )
    language = rendering.language or "auto"
    return "<!doctype html>\n" + element("html", head, body, lang=rendering.language or "en", data_lang=language) + "\n"


@cache
def _style() -> str:
    return files(__name__).joinpath("page.css").read_text(encoding="utf-8")


def _digest(content: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def _section(title: str, parts: Sequence[Markup]) -> Markup:
    return element("section", element("h2", both(title)), list(parts)) if parts else Markup("")


def _facts(report: RunReport) -> str:
    facts = [report.started.replace("T", " ").partition(".")[0].removesuffix("Z") + " UTC" if report.started else ""]
    facts.append(count_cells(report.result(cell) for cell in report.cells))
    facts.append(duration_text(report.wall_s) if report.wall_s else "")
    facts.append(f"{size_text(report.transfers.received)} downloaded" if report.transfers.received else "")
    facts.append(how_it_ended(report))
    return " · ".join(filter(None, [*facts, report.platform, report.tool, report.run_id]))


# The matrix


def _table(report: RunReport, folded: Matrix) -> Markup:
    packages, resolutions = len(report.packages) > 1, len({cell.resolution for cell in report.cells}) > 1
    heads = []
    for column in folded.columns:
        first = column.cells[0]
        besides = [column.python, *([str(first.resolution)] if resolutions else []), first.platform, *first.details]
        name = f"{first.package} {column.version}" if packages else column.version
        heads.append(element("th", name, [element("small", one) for one in besides if one], scope="col"))
    rows = [
        element("tr", element("th", _names(row), scope="row"), [_outcome(one) for one in row.outcomes])
        for row in folded.rows
    ]
    table = element(
        "table",
        element("thead", element("tr", element("th", both("Tests"), scope="col"), heads)),
        element("tbody", rows),
    )
    legend = [
        (element("span", f" {sign} ", class_=_class(outcome)), f" {outcome}   ")
        for outcome, sign in _SIGNS.items()
        if any(outcome in row.outcomes for row in folded.rows)
    ]
    return Markup(element("div", table, class_="wide", tabindex=0) + element("p", legend, class_="note"))


def _names(row: Row) -> Markup:
    if not row.tests:
        return both("every test")
    if len(row.tests) == 1:
        return text(row.tests[0])
    more = [f"… {len(row.tests) - _MOST_NAMES}"] if len(row.tests) > _MOST_NAMES else []
    named = [element("div", name) for name in (*row.tests[:_MOST_NAMES], *more)]
    return element("details", element("summary", counted(len(row.tests), "test", "测试")), named)


def _outcome(outcome: Outcome | None) -> Markup:
    if outcome is None:
        return element("td", "–", class_="none", title="not run")
    sign = _SIGNS.get(outcome)
    shown = f"{sign} {outcome}" if sign else str(outcome)
    return element("td", shown, class_=_class(outcome))


def _class(outcome: Outcome) -> str:
    if outcome is Outcome.PASS:
        return "good"
    if outcome.is_failure_of_the_test:
        return "bad"
    return "odd" if outcome.ran else "none"


# Why


def _reasons(report: RunReport, why: Sequence[Reason]) -> list[Markup]:
    shown = [_reason(report, one) for one in why[:_MOST_REASONS]]
    if len(why) > _MOST_REASONS:
        more = len(why) - _MOST_REASONS
        shown.append(
            element("p", counted(more, "more reason", "其他原因"), ": tf-tester show --failures", class_="note")
        )
    return shown


def _reason(report: RunReport, one: Reason) -> Markup:
    row = one.failure.row
    where = [counted(one.failure.tests, "test", "测试"), " · ", counted(len(one.cells), "cell", "单元"), ": "]
    facts: list[tuple[Markup, Markup]] = [(both("where"), text([*where, _named(report, one.cells)]))]
    if row is not None:
        facts.append((both("first"), element("code", row.id)))
    if one.place is not None:
        line = f":{one.place.line}" if one.place.line else ""
        facts.append(
            (both("your line"), text([element("code", f"{one.place.file}{line}"), f"  {one.place.text}".rstrip()]))
        )
    for number, said in enumerate(verdict_lines(one.found)):
        facts.append((both("verdict") if not number else Markup(""), text(said.removeprefix("verdict: "))))
    if command := shell_command(one.cells[0], report):
        facts.append((both("enter it"), element("code", command)))
    evidence = []
    if row is not None and row.traceback:
        evidence.append(_opened("Traceback", _traceback(row, report)))
    for said in (row.stdout, row.stderr) if row is not None else ():
        if said.strip():
            evidence.append(_opened("Output", element("pre", _last(said))))
    return element("article", element("h3", one.headline), _list(facts), evidence)


def _traceback(row: TestRow, report: RunReport) -> Markup:
    """Return a traceback in which the frames in the user's own files are marked."""
    parts: list[Markup] = []
    own = False
    for line in seen_from(_last(row.traceback), report.here).splitlines():
        if frame := re.match(FRAME, line):
            own = not is_library(frame[1]) and (not frame[1].startswith("/") or bool(below(frame[1], report.here)))
        elif not line.startswith(" "):
            own = False
        parts += [element("mark", line) if own else text(line), Markup("\n")]
    return element("pre", parts)


def _obstacles(report: RunReport) -> Iterator[Markup]:
    for one in obstacles(report):
        facts = [(both("where"), _named(report, (one.cell, *one.also)))]
        facts += [(both("hint"), text(hint)) for hint in one.hints]
        detail = [_opened("Details", element("pre", _last(one.result.detail)))] if one.result.detail.strip() else []
        name = f"{one.result.outcome}: {one.result.summary}" if one.result.summary else str(one.result.outcome)
        yield element("article", element("h3", name), _list(facts), detail, class_="odd-edge")


def _deprecations(report: RunReport) -> Iterator[Markup]:
    labels = cell_labels(report.cells)
    for one in fulfilled_deprecations(report):
        facts = [
            (both("warned with"), text([_named(report, one.warning_cells), f": {one.warning}"])),
            (both("gone with"), text(f"{labels[one.breaks.name]}: {one.failure}")),
        ]
        yield element("article", element("h3", one.name), _list(facts), class_="odd-edge")


def _named(report: RunReport, cells: Sequence[Cell]) -> Markup:
    labels = cell_labels(report.cells)
    more = f" … {len(cells) - _MOST_NAMES}" if len(cells) > _MOST_NAMES else ""
    return text(", ".join(labels[cell.name] for cell in cells[:_MOST_NAMES]) + more)


def _list(facts: Sequence[tuple[Markup, Markup]]) -> Markup:
    return element("dl", [(element("dt", name), element("dd", value)) for name, value in facts])


def _opened(title: str, content: Markup) -> Markup:
    return element("details", element("summary", both(title)), content)


def _last(said: str) -> str:
    lines = said.rstrip().splitlines()
    return "\n".join(line[:_MOST_LETTERS] for line in lines[-_MOST_LINES:])


# What differs besides


def _drift(report: RunReport, folded: Matrix) -> list[Markup]:
    found = drift(report, folded.columns)
    if not found:
        return []
    heads = [element("th", column.version, scope="col") for column in folded.columns]
    rows = [
        element("tr", element("th", name, scope="row"), [element("td", version or "–") for version in versions])
        for name, versions in found.items()
    ]
    head = element("tr", element("th", both("Distribution"), scope="col"), heads)
    table = element("table", element("thead", head), element("tbody", rows))
    return [element("div", table, class_="wide", tabindex=0)]


def _plots(report: RunReport) -> list[Markup]:
    """Return what is known of each cell's time and memory, where more than one has it."""
    cells = [cell for cell in report.cells if report.result(cell).outcome.ran]
    labels = [cell_labels(report.cells)[cell.name] for cell in cells]
    results = [report.result(cell) for cell in cells]
    figures = []
    for caption, values in (
        ("of the tests, in seconds", [run_seconds(one) for one in results]),
        ("of the import, in seconds", [one.import_s for one in results]),
        (
            "peak of memory, in MB",
            [one.peak_rss_kib * 1024 / 1e6 if one.peak_rss_kib is not None else None for one in results],
        ),
    ):
        if sum(value is not None for value in values) > 1:
            figures.append(bars(both(caption), labels, values))
    return [element("div", figures, class_="plots")] if figures else []
