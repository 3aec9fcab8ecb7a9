"""The pictures of a grid as tables, and below them what they say. Whatever a click shows besides is in the data."""

from collections.abc import Iterator, Mapping, Sequence

from tf_tester.core.grid.compatibility import grid_reach
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
)
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.text.places import seen_from
from tf_tester.model.events import FieldFinished
from tf_tester.model.field import FieldOutcome, ValueDifference
from tf_tester.report.formats.page.heat.words import (
    border_told,
    both_of_grids,
    clauses_told,
    guarantee_told,
    release_told,
    route_title_told,
    route_told,
)
from tf_tester.report.formats.page.markup import Markup, element
from tf_tester.report.formats.page.parts import scrolled
from tf_tester.report.formats.page.words import counted
from tf_tester.report.heat.words import border_extent

MOST_PLACES = 3_000
"""Of one picture; of more, neighbours that came to the same are one row or column."""
_MOST_ROWS = 200
"""Wrong numbers, or releases, that have a row; of more, their number."""
_COLOURS = {
    FieldOutcome.OK: "good",
    FieldOutcome.ERROR: "bad",
    FieldOutcome.WRONG_NUMBERS: "bad",
    FieldOutcome.FLAKY: "odd",
    FieldOutcome.NOT_RUN: "none",
}
_WORDS = {
    FieldOutcome.OK: "works",
    FieldOutcome.WRONG_NUMBERS: "other numbers",
    FieldOutcome.ERROR: "fails, a letter for each kind",
    FieldOutcome.FLAKY: "numbers vary from run to run",
    FieldOutcome.NOT_RUN: "not run",
}


class Picture:
    """One picture: which cells its rows and columns are, and how each of its fields looks."""

    def __init__(self, drawn: HeatMap) -> None:
        self.drawn = drawn
        alone = len(drawn.producers) * len(drawn.consumers) <= MOST_PLACES
        self.rows = [(one,) for one in drawn.producers] if alone else drawn.bands(drawn.producers, of_consumers=False)
        self.columns = [(one,) for one in drawn.consumers] if alone else drawn.bands(drawn.consumers, of_consumers=True)

    def label(self, band: Sequence[str], labels: Mapping[str, str]) -> str:
        """Return what stands beside a row, or above a column."""
        first, last = labels[band[0]], labels[band[-1]]
        return first if len(band) == 1 else f"{first} – {last}"


def pictures(report: RunReport) -> list[Picture]:
    """Return the pictures of a report, in their order in the page."""
    return [Picture(one) for one in heat_maps(report, field_kinds(report))]


def look(outcome: FieldOutcome | None, sign: str) -> tuple[str, str]:
    """Return what stands in a field, and its class (CSS). `sign`: that of the terminal.

    >>> look(FieldOutcome.ERROR, "A*"), look(None, " ")
    (('✗ A*', 'bad'), ('·', 'none'))
    """
    if outcome is None:
        return "·", "none"
    shown = {OK: "✓ ok", WRONG: "≠", FLAKY: "~", NOT_RUN: "–"}
    bare = sign.removesuffix(BREACH)
    told = shown.get(bare, f"✗ {bare}")
    return (told + BREACH if sign != bare else told), _COLOURS[outcome]


def grid_sections(report: RunReport) -> list[Markup]:
    """Return the sections of a grid: the pictures, ways, numbers, kinds of failure, releases; those with content."""
    labels = grid_labels(report)
    kinds = field_kinds(report)
    drawn = pictures(report)
    tables = element("div", [_picture(one, report, labels, many=len(drawn) > 1) for one in drawn], class_="pictures")
    below = [_legend(drawn, kinds), *_promised_nothing(drawn)]
    return [
        _section("Saved by one version, loaded by another", [tables, *below]),
        *_routes(report, labels),
        _section("Wrong numbers", _numbers(report, kinds, labels)),
        _section("Kinds of failure", _kinds(report, kinds, labels)),
        _section("Since when", _borders(report, labels)),
    ]


def _section(title: str, parts: Sequence[Markup]) -> Markup:
    return element("section", element("h2", both_of_grids(title)), list(parts)) if parts else Markup("")


# The picture


def _picture(one: Picture, report: RunReport, labels: Mapping[str, str], *, many: bool) -> Markup:
    outcomes = {(field.producer, field.consumer): field.outcome for field in _fields(report, one.drawn.product)}
    heads = [element("th", one.label(band, labels), scope="col") for band in one.columns]
    rows = [
        element(
            "tr",
            element("th", one.label(row, labels), scope="row"),
            [_place(one.drawn, outcomes, row[0], column[0]) for column in one.columns],
        )
        for row in one.rows
    ]
    reach = grid_reach(report, one.drawn.product)
    packages = reach.savers if reach.savers == reach.loaders else f"{reach.savers} → {reach.loaders}"
    caption = [element("strong", one.drawn.product or packages), "  ", packages if one.drawn.product else ""]
    corner = element("th", both_of_grids("saved by"), " ↓ ", both_of_grids("loaded by"), " →", scope="col")
    table = element(
        "table",
        element("caption", caption, " · ", both_of_grids("saved by (rows), loaded by (columns)")),
        element("thead", element("tr", corner, heads)),
        element("tbody", rows),
        class_="heat",
    )
    promised = one.drawn.guarantee
    below = [element("p", clauses_told(reach), class_="note")] if many else []
    if promised is not None and promised.across_versions:
        below.append(element("p", guarantee_told(promised), class_="note"))
    return element("div", scrolled(table), below, class_="picture")


def _promised_nothing(drawn: Sequence[Picture]) -> list[Markup]:
    """Return of which kinds of products nothing is promised, each once."""
    known = [one.drawn.guarantee for one in drawn if one.drawn.guarantee is not None]
    told = dict.fromkeys(guarantee_told(one) for one in known if not one.across_versions)
    return [element("p", one, class_="note") for one in told]


def _place(drawn: HeatMap, outcomes: Mapping[tuple[str, str], FieldOutcome], saver: str, loader: str) -> Markup:
    shown, colour = look(outcomes.get((saver, loader)), drawn.sign(saver, loader))
    marks = [colour, *(["promised"] if drawn.is_promised(saver, loader) else [])]
    marks += ["breach"] if (saver, loader) in drawn.breaches else []
    return element("td", shown, class_=" ".join(marks))


def _fields(report: RunReport, product: str) -> list[FieldFinished]:
    return [field for field in report.fields if field.product == product]


def _legend(drawn: Sequence[Picture], kinds: Sequence[FieldKind]) -> Markup:
    """Return what the signs mean, those that occur."""
    seen = {kind.fields[0].outcome for kind in kinds}
    told: list[Markup] = []
    for outcome, words in _WORDS.items():
        if outcome in seen:
            sign = next(kind.sign for kind in kinds if kind.fields[0].outcome is outcome)
            shown, colour = look(outcome, sign)
            told += [element("span", f" {shown} ", class_=colour), Markup(" "), both_of_grids(words), Markup("   ")]
    if any(one.drawn.guarantee is not None and one.drawn.guarantee.promised for one in drawn):
        words = both_of_grids("promised by the documentation")
        told += [element("span", "   ", class_="promised sample"), Markup(" "), words, Markup("   ")]
    if any(one.drawn.breaches for one in drawn):
        words = both_of_grids("promised, and broken")
        told += [element("span", f" {BREACH} ", class_="bad breach sample"), Markup(" "), words]
    return element("p", told, class_="note legend")


# What it says


def _routes(report: RunReport, labels: Mapping[str, str]) -> Iterator[Markup]:
    if not report.routes:
        return
    articles = []
    for one in report.routes:
        title = both_of_grids("There is a way" if one.arrived else "There is no way")
        vain = [element("p", both_of_grids("tried in vain"), f": {failed}", class_="note") for failed in one.failed]
        told = element("p", route_told(one, labels))
        edge = "good-edge" if one.arrived else None
        articles.append(element("article", element("h3", one.product, " · ", title), told, vain, class_=edge))
    yield element("section", element("h2", route_title_told(report.routes[0], labels)), articles)


def _numbers(report: RunReport, kinds: Sequence[FieldKind], labels: Mapping[str, str]) -> list[Markup]:
    """Return a row for each number that isn't what it was, with both."""
    fields = [field for kind in kinds if kind.sign in (WRONG, FLAKY) for field in kind.fields]
    pairs = [(field, one) for field in fields for one in field.differences]
    if not pairs:
        return []
    titles = ("Product", "saved by", "loaded by", "Value", "as it was saved", "as it was loaded")
    heads = [element("th", both_of_grids(title), scope="col") for title in (*titles, "numbers that differ", "allowed")]
    heads[6:6] = [element("th", title, scope="col") for title in ("max abs", "max rel", "ULPs")]
    rows = [
        element(
            "tr",
            element("th", field.product, scope="row"),
            [element("td", told) for told in (labels[field.producer], labels[field.consumer], *number_cells(one))],
        )
        for field, one in pairs[:_MOST_ROWS]
    ]
    table = element("table", element("thead", element("tr", heads)), element("tbody", rows), class_="numbers")
    return [scrolled(table), *_more(len(pairs))]


def number_cells(one: ValueDifference) -> list[str]:
    """Return what is told of a difference, in the order of the table's columns."""
    place = str(list(one.at)) if one.at else ""
    figures = [f"{value:.3g}" if value is not None else "–" for value in (one.max_abs, one.max_rel)]
    ulps = "–" if one.ulps is None else f"{one.ulps:,}" if one.ulps < 1_000_000 else f"{one.ulps:.3g}"
    counted = f"{one.outside} / {one.count}" if one.count else "–"
    return [
        f"{one.name}{place}",
        one.expected,
        one.got,
        *figures,
        ulps,
        counted,
        f"rtol {one.rtol:g}, atol {one.atol:g}",
    ]


def _kinds(report: RunReport, kinds: Sequence[FieldKind], labels: Mapping[str, str]) -> list[Markup]:
    """Return a row for each kind of failure, with the letter that it has in the pictures."""
    shown = [kind for kind in kinds if kind.fields[0].outcome in (FieldOutcome.ERROR, FieldOutcome.NOT_RUN)]
    if not shown:
        return []
    heads = [element("th", both_of_grids(title), scope="col") for title in ("Sign", "Fields", "Reason", "Your line")]
    rows = []
    for kind in shown[:_MOST_ROWS]:
        place = f"{kind.place.file}:{kind.place.line}" if kind.place is not None and kind.place.line else "–"
        sign, colour = look(kind.fields[0].outcome, kind.sign)
        headline = element("div", element("strong", seen_from(kind.headline, report.here)))
        rows.append(
            element(
                "tr",
                element("td", sign, class_=colour),
                element("td", str(len(kind.fields))),
                element("td", headline, _who(kind, labels), class_="prose"),
                element("td", place),
            )
        )
    table = element("table", element("thead", element("tr", heads)), element("tbody", rows), class_="kinds")
    return [scrolled(table), *_more(len(shown))]


def _who(kind: FieldKind, labels: Mapping[str, str]) -> list[Markup]:
    """Return who saved and who loaded, those with the same products and loaders together."""
    told = []
    for product in dict.fromkeys(field.product for field in kind.fields):
        for savers, loaders in served([field for field in kind.fields if field.product == product]):
            pair = f"{', '.join(labels[one] for one in savers)} → {', '.join(labels[one] for one in loaders)}"
            told.append(element("div", f"{product}: {pair}" if product else pair))
    return told


def _borders(report: RunReport, labels: Mapping[str, str]) -> list[Markup]:
    """Return a row for each release that makes a difference."""
    if not report.borders:
        return []
    heads = [
        element("th", both_of_grids(title), scope="col") for title in ("Release", "Product", "What changes", "Found")
    ]
    rows = [
        element(
            "tr",
            element("th", release_told(one), scope="row"),
            element("td", one.product),
            element("td", border_told(one, labels), class_="prose"),
            element("td", border_extent(one), class_="prose"),
        )
        for one in report.borders[:_MOST_ROWS]
    ]
    table = element("table", element("thead", element("tr", heads)), element("tbody", rows), class_="borders")
    return [scrolled(table), *_more(len(report.borders))]


def _more(count: int) -> list[Markup]:
    left = count - _MOST_ROWS
    return [element("p", counted(left, "more row", "其他行"), class_="note")] if left > 0 else []
