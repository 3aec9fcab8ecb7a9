"""What differs besides outcomes: dependencies, time and memory."""

from collections.abc import Mapping

from tf_tester.core.outcome.report import RunReport
from tf_tester.core.overview.folding import Matrix, drift
from tf_tester.report.formats.page.markup import Markup, element
from tf_tester.report.formats.page.parts import scrolled
from tf_tester.report.formats.page.plots import bars
from tf_tester.report.formats.page.words import both
from tf_tester.report.words import run_seconds


def dependencies_table(report: RunReport, folded: Matrix) -> list[Markup]:
    """Return the versions of what isn't the same in all cells."""
    found = drift(report, folded.columns)
    if not found:
        return []
    heads = [element("th", column.version, scope="col") for column in folded.columns]
    rows = [
        element("tr", element("th", name, scope="row"), [element("td", version or "–") for version in versions])
        for name, versions in found.items()
    ]
    head = element("tr", element("th", both("Distribution"), scope="col"), heads)
    return [scrolled(element("table", element("thead", head), element("tbody", rows)), "later")]


def figures(report: RunReport, labels: Mapping[str, str]) -> list[Markup]:
    """Return what is known of each cell's time and memory, where more than one has it."""
    cells = [cell for cell in report.cells if report.result(cell).outcome.ran]
    results = [report.result(cell) for cell in cells]
    found = []
    for caption, values in (
        ("of the tests, in seconds", [run_seconds(one) for one in results]),
        ("of the import, in seconds", [one.import_s for one in results]),
        (
            "peak of memory, in MB",
            [one.peak_rss_kib * 1024 / 1e6 if one.peak_rss_kib is not None else None for one in results],
        ),
    ):
        if sum(value is not None for value in values) > 1:
            found.append(bars(both(caption), [labels[cell.name] for cell in cells], values))
    return [element("div", found, class_="plots")] if found else []
