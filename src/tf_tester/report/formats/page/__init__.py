"""One HTML file that tells all: no request to anywhere, opens from disk, light and dark, in English and Chinese.

It can be read, printed and searched without its script, which chooses the language of the reader, narrows the page and
opens the evidence of cells. A policy in it (CSP) allows that script and its style sheet alone, by their hashes.
"""

import hashlib
from base64 import b64encode
from functools import cache
from importlib.resources import files

from tf_tester.core.grid.compatibility import grid_reach
from tf_tester.core.outcome.failures import obstacles
from tf_tester.core.outcome.report import RunReport, cell_labels
from tf_tester.core.overview.cause_rows import cause_matrix
from tf_tester.core.overview.folding import matrix
from tf_tester.core.overview.reasons import reasons
from tf_tester.core.text.sizes import duration_text, size_text
from tf_tester.core.verdict.supports import support
from tf_tester.report.formats import Rendering
from tf_tester.report.formats.page.besides import dependencies_table, figures
from tf_tester.report.formats.page.causes import causes_table
from tf_tester.report.formats.page.data import data_blocks
from tf_tester.report.formats.page.filters import filters_form
from tf_tester.report.formats.page.heat.section import grid_sections
from tf_tester.report.formats.page.heat.words import sentence_told
from tf_tester.report.formats.page.markup import Markup, element
from tf_tester.report.formats.page.parts import section
from tf_tester.report.formats.page.table import table_and_legend
from tf_tester.report.formats.page.transfers import transfers_table
from tf_tester.report.formats.page.why import MOST_REASONS, deprecation_articles, obstacle_articles, reason_articles
from tf_tester.report.formats.page.words import told
from tf_tester.report.words import how_it_ended, told_builds, told_cells

_LANGUAGES = '[data-lang="zh"] [lang="en"], html:not([data-lang="zh"]) [lang="zh"] { display: none; }\n'


def render(report: RunReport, rendering: Rendering) -> str:
    """Return the page."""
    language = rendering.language or "auto"
    page = element("html", _head(report), _body(report), lang=rendering.language or "en", data_lang=language)
    return f"<!doctype html>\n{page}\n"


def _head(report: RunReport) -> Markup:
    style, script = _style(is_grid=bool(report.fields)), _script(is_grid=bool(report.fields))
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; base-uri 'none'; "
        "form-action 'none'"
    )
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"tf-tester: {', '.join(report.packages)}"),
        Markup(f"<style>{style}</style>"),
        Markup(f"<script>{script}</script>"),
    )


def _body(report: RunReport) -> Markup:
    why, folded, labels = reasons(report), matrix(report), cell_labels(report.cells)
    stuck = obstacles(report)
    told_of = why[:MOST_REASONS]
    causes = cause_matrix(report, told_of, stuck)
    interactive = [filters_form(report, folded)] if report.cells else []
    data = data_blocks(report, folded, causes, (told_of, stuck), labels) if report.cells else []
    remarks = [element("ul", [element("li", one) for one in report.remarks])] if report.remarks else []
    return element(
        "body",
        element(
            "main",
            element("h1", f"tf-tester · {', '.join(report.packages)}"),
            element("p", _sentence(report), class_="sentence"),
            element("p", _facts(report), class_="meta"),
            grid_sections(report) if report.fields else None,
            section("What works where", [*interactive, *table_and_legend(report, folded)] if report.cells else []),
            section("What is wrong where", causes_table(report, causes)),
            section("Why it fails", reason_articles(report, why, labels)),
            section("Could not run", obstacle_articles(stuck, labels, len(told_of))),
            section("Will break", list(deprecation_articles(report, labels))),
            section("Dependencies that differ", dependencies_table(report, folded)),
            section("Time and memory", figures(report, labels)),
            section("Where the bytes came from", transfers_table(report.transfers)),
            section("Remarks", remarks),
        ),
        data,
    )


def _sentence(report: RunReport) -> Markup:
    if report.fields:
        return sentence_told(grid_reach(report))
    return told(support(report), len(reasons(report)))


@cache
def _style(*, is_grid: bool) -> str:
    return _LANGUAGES + _file("page.css") + (_file("grid.css") if is_grid else "")


@cache
def _script(*, is_grid: bool) -> str:
    """Return the parts of the script that a page needs: that of a grid begins otherwise."""
    names = ("page", "matrix", "filters", "evidence", "address", "grid" if is_grid else "start")
    return "\n".join(_file(f"script/{name}.js") for name in names)


@cache
def _file(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def _facts(report: RunReport) -> str:
    facts = [report.started.replace("T", " ").partition(".")[0].removesuffix("Z") + " UTC" if report.started else ""]
    facts.append(told_cells(report.result(cell) for cell in report.cells))
    facts.append(duration_text(report.wall_s) if report.wall_s else "")
    facts.append(f"{size_text(report.transfers.received)} downloaded" if report.transfers.received else "")
    facts.append(told_builds(report))
    facts.append(how_it_ended(report))
    return " · ".join(filter(None, [*facts, report.platform, report.tool, report.run_id]))
