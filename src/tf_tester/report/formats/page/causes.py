"""The matrix by what is wrong: a row for each article on why it fails, or could not run."""

from tf_tester.core.outcome.report import RunReport
from tf_tester.core.overview.cause_rows import CauseMatrix, CauseRow
from tf_tester.report.formats.page.markup import Markup, element, text
from tf_tester.report.formats.page.parts import article_name, scrolled
from tf_tester.report.formats.page.table import most_rows, row_of_outcomes, table_of_columns
from tf_tester.report.formats.page.words import both, counted


def causes_table(report: RunReport, folded: CauseMatrix) -> list[Markup]:
    """Return the table; nothing where it would tell no more than the articles."""
    if len(folded.columns) < 2 or not folded.rows:
        return []
    shown = folded.rows[: most_rows(folded.columns)]
    rows = [row_of_outcomes(_head(number, row), row.outcomes) for number, row in enumerate(shown)]
    table = table_of_columns("causes", both("Cause"), report, folded.columns, rows)
    more = counted(len(folded.rows) - len(shown), "more row", "其他行")
    untold = [element("p", more, ": tf-tester show --rows causes -v", class_="note")]
    return [scrolled(table), *(untold if len(shown) < len(folded.rows) else [])]


def _head(number: int, row: CauseRow) -> Markup:
    many = element("small", counted(len(row.tests), "test", "测试")) if len(row.tests) > 1 else None
    return text([element("a", row.headline, href=f"#{article_name(number)}"), many])
