"""The matrix as a table."""

from collections.abc import Sequence

from tf_tester.core.outcome.report import RunReport
from tf_tester.core.overview.folding import Column, Matrix, Row
from tf_tester.model.outcome import Outcome
from tf_tester.report.formats.page.markup import Markup, element, text
from tf_tester.report.formats.page.parts import MOST_NAMES, SIGNS, colour, scrolled, sign_and_word
from tf_tester.report.formats.page.words import both, counted

_MOST_PLACES = 3_000
"""Of the table, in whole rows; the script makes others when they are asked for. More take a browser seconds."""
_FEWEST_ROWS = 10


def table_and_legend(report: RunReport, folded: Matrix) -> list[Markup]:
    """Return the matrix, and what its signs mean."""
    shown = folded.rows[: most_rows(folded.columns)]
    rows = [row_of_outcomes(_names(row), row.outcomes) for row in shown]
    table = table_of_columns("matrix", both("Tests"), report, folded.columns, rows)
    legend = [
        (element("span", f" {sign} ", class_=colour(outcome)), f" {outcome}   ")
        for outcome, sign in SIGNS.items()
        if any(outcome in row.outcomes for row in folded.rows)
    ]
    more = counted(len(folded.rows) - len(shown), "more row", "其他行")
    untold = [element("p", more, ": tf-tester show", id="more", class_="note")] if len(shown) < len(folded.rows) else []
    return [scrolled(table), *untold, element("p", legend, class_="note")]


def most_rows(columns: Sequence[Column]) -> int:
    """Return how many rows with so many columns the page has."""
    return max(_MOST_PLACES // len(columns), _FEWEST_ROWS)


def table_of_columns(
    name: str, corner: Markup, report: RunReport, columns: Sequence[Column], rows: Sequence[Markup]
) -> Markup:
    """Return a table with the cells of a run as its columns. `name`: by which script and style sheet know it."""
    packages = len(report.packages) > 1
    resolutions = len({cell.resolution for cell in report.cells}) > 1
    heads = [_head(column, with_package=packages, with_resolution=resolutions) for column in columns]
    head = element("thead", element("tr", element("th", corner, scope="col"), heads))
    return element("table", head, element("tbody", rows), id=name)


def row_of_outcomes(head: Markup, outcomes: Sequence[Outcome | None]) -> Markup:
    """Return a row of such a table."""
    return element("tr", element("th", head, scope="row"), [_outcome(one) for one in outcomes])


def _head(column: Column, *, with_package: bool, with_resolution: bool) -> Markup:
    first = column.cells[0]
    besides = [*([str(first.resolution)] if with_resolution else []), first.platform, *first.details]
    return element(
        "th",
        f"{first.package} " if with_package else None,
        element("span", column.version, class_="version"),
        element("small", column.python, class_="python") if column.python else None,
        [element("small", one) for one in besides if one],
        scope="col",
    )


def _names(row: Row) -> Markup:
    if not row.tests:
        return both("every test")
    if len(row.tests) == 1:
        return text(row.tests[0])
    more = [f"… {len(row.tests) - MOST_NAMES}"] if len(row.tests) > MOST_NAMES else []
    names = [element("div", name) for name in (*row.tests[:MOST_NAMES], *more)]
    return element("details", element("summary", counted(len(row.tests), "test", "测试")), names)


def _outcome(outcome: Outcome | None) -> Markup:
    if outcome is None:
        return element("td", "–", class_="none", title="not run")
    return element("td", sign_and_word(outcome), class_=colour(outcome))
