"""What all sections of the page are made of."""

from collections.abc import Mapping, Sequence

from tf_tester.model.cell import Cell
from tf_tester.model.outcome import Outcome
from tf_tester.report.formats.page.markup import Markup, element, text
from tf_tester.report.formats.page.words import both

MOST_NAMES = 200
"""Tests of one fate, or cells, that are named; of more, their number."""

SIGNS = {
    Outcome.PASS: "✓",
    Outcome.FAIL: "✗",
    Outcome.ERROR: "!",
    Outcome.CRASH: "‼",
    Outcome.TIMEOUT: "⏱",
    Outcome.OOM: "▲",
    Outcome.SKIP: "↷",
    Outcome.EMPTY: "∅",
}
"""Beside an outcome's colour, for who can't tell colours apart; of what never ran the word is enough."""


def section(title: str, parts: Sequence[Markup]) -> Markup:
    """Return a section with its heading; nothing where it has no parts."""
    return element("section", element("h2", both(title)), list(parts)) if parts else Markup("")


def article_name(number: int) -> str:
    """Return by what links mean an article on why it fails, or could not run."""
    return f"why-{number}"


def facts_list(facts: Sequence[tuple[Markup, Markup]]) -> Markup:
    """Return names and values under one another."""
    return element("dl", [(element("dt", name), element("dd", value)) for name, value in facts])


def to_open(title: str, content: Markup) -> Markup:
    """Return what is shown when its title is clicked."""
    return element("details", element("summary", both(title)), content)


def scrolled(table: Markup, *kinds: str) -> Markup:
    """Return a table that may be wider than the page. `later`: a browser need not lay it out before it is seen."""
    return element("div", table, class_=" ".join(("wide", *kinds)), tabindex=0)


def named(labels: Mapping[str, str], cells: Sequence[Cell]) -> Markup:
    """Return the labels of cells; `labels`: by cell name."""
    more = f" … {len(cells) - MOST_NAMES}" if len(cells) > MOST_NAMES else ""
    return text(", ".join(labels[cell.name] for cell in cells[:MOST_NAMES]) + more)


def sign_and_word(outcome: Outcome) -> str:
    """Return `✓ pass`, `no-wheel`."""
    sign = SIGNS.get(outcome)
    return f"{sign} {outcome}" if sign else str(outcome)


def colour(outcome: Outcome) -> str:
    """Return the class (CSS) of an outcome."""
    if outcome is Outcome.PASS:
        return "good"
    if outcome.is_failure_of_the_test:
        return "bad"
    return "odd" if outcome.ran else "none"
