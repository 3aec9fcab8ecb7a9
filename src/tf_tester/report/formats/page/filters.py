"""What narrows the page: a form that the script shows, as it does nothing without it."""

from tf_tester.core.outcome.report import RunReport
from tf_tester.core.overview.folding import Matrix
from tf_tester.model.outcome import Outcome
from tf_tester.report.formats.page.markup import Markup, element
from tf_tester.report.formats.page.parts import sign_and_word
from tf_tester.report.formats.page.words import both


def filters_form(report: RunReport, folded: Matrix) -> Markup:
    """Return the form, and the place where the script says how much is shown."""
    seen = {outcome for row in folded.rows for outcome in row.outcomes}
    boxes = [
        element("label", element("input", type="checkbox", name="outcome", value=str(one)), f" {sign_and_word(one)}")
        for one in Outcome
        if one in seen
    ]
    pythons = dict.fromkeys(cell.python for cell in report.cells if cell.python != "-")
    resolutions = dict.fromkeys(str(cell.resolution) for cell in report.cells)
    form = element(
        "form",
        element("fieldset", element("legend", both("Outcome")), boxes),
        _choice("Python", "python", list(pythons)),
        _choice("Dependencies", "resolution", list(resolutions)),
        _words("Test", "test"),
        _words("Text", "text"),
        element("button", both("Show all"), type="reset"),
        id="filters",
        hidden=True,
    )
    return Markup(form + element("p", role="status", id="shown", class_="note", hidden=True))


def _choice(title: str, name: str, values: list[str]) -> Markup:
    """Return a choice of one of the values; none where there is no choice."""
    if len(values) < 2:
        return Markup("")
    options = [element("option", "*", value=""), *(element("option", one, value=one) for one in values)]
    return element("label", both(title), " ", element("select", options, name=name))


def _words(title: str, name: str) -> Markup:
    field = element("input", type="search", name=name, autocomplete="off", spellcheck="false")
    return element("label", both(title), " ", field)
