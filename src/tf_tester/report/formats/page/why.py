"""Why it fails, what could not run, what will break: an article for each."""

from collections.abc import Iterator, Mapping, Sequence

from tf_tester.core.outcome.deprecations import fulfilled_deprecations
from tf_tester.core.outcome.failures import Obstacle
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.overview.reasons import Reason
from tf_tester.core.verdict.advice import shell_command
from tf_tester.model.outcome import TestRow
from tf_tester.report.causes import verdict_lines
from tf_tester.report.formats.page.markup import Markup, element, text
from tf_tester.report.formats.page.parts import article_name, facts_list, named, to_open
from tf_tester.report.formats.page.texts import last_lines, traceback_lines
from tf_tester.report.formats.page.words import both, counted

MOST_REASONS = 100


def reason_articles(report: RunReport, why: Sequence[Reason], labels: Mapping[str, str]) -> list[Markup]:
    """Return an article for each kind of failure, and how many there are besides."""
    shown = [_reason(report, one, labels, number) for number, one in enumerate(why[:MOST_REASONS])]
    if len(why) > MOST_REASONS:
        more = len(why) - MOST_REASONS
        shown.append(
            element("p", counted(more, "more reason", "其他原因"), ": tf-tester show --failures", class_="note")
        )
    return shown


def _reason(report: RunReport, one: Reason, labels: Mapping[str, str], number: int) -> Markup:
    row = one.failure.row
    where = [counted(one.failure.tests, "test", "测试"), " · ", counted(len(one.cells), "cell", "单元"), ": "]
    facts: list[tuple[Markup, Markup]] = [(both("where"), text([*where, named(labels, one.cells)]))]
    if row is not None:
        facts.append((both("first"), element("code", row.id)))
    if one.place is not None:
        line = f":{one.place.line}" if one.place.line else ""
        facts.append(
            (both("your line"), text([element("code", f"{one.place.file}{line}"), f"  {one.place.text}".rstrip()]))
        )
    for line_number, said in enumerate(verdict_lines(one.found)):
        facts.append((both("verdict") if not line_number else Markup(""), text(said.removeprefix("verdict: "))))
    if command := shell_command(one.cells[0], report):
        facts.append((both("enter it"), element("code", command)))
    evidence = []
    if row is not None and row.traceback:
        evidence.append(to_open("Traceback", _traceback(row, report)))
    for title, said in (("Output", row.stdout), ("Standard error", row.stderr)) if row is not None else ():
        if said.strip():
            evidence.append(to_open(title, _text(said)))
    name = article_name(number)
    return element("article", element("h3", one.headline), facts_list(facts), evidence, id=name, data_article=True)


def _traceback(row: TestRow, report: RunReport) -> Markup:
    lines = traceback_lines(row.traceback, report.here)
    return element("pre", [(element("mark", line) if own else text(line), Markup("\n")) for line, own in lines])


def _text(said: str) -> Markup:
    return element("pre", "\n".join(last_lines(said)))


def obstacle_articles(found: Sequence[Obstacle], labels: Mapping[str, str], first: int) -> list[Markup]:
    """Return an article for each reason why cells could not run. `first`: the number of the first of them."""
    return [_obstacle(one, labels, number) for number, one in enumerate(found, first)]


def _obstacle(one: Obstacle, labels: Mapping[str, str], number: int) -> Markup:
    facts = [(both("where"), named(labels, (one.cell, *one.also)))]
    facts += [(both("hint"), text(hint)) for hint in one.hints]
    detail = [to_open("Details", _text(one.result.detail))] if one.result.detail.strip() else []
    name = f"{one.result.outcome}: {one.result.summary}" if one.result.summary else str(one.result.outcome)
    words = {"class_": "odd-edge", "id": article_name(number)}
    return element("article", element("h3", name), facts_list(facts), detail, **words, data_article=True)


def deprecation_articles(report: RunReport, labels: Mapping[str, str]) -> Iterator[Markup]:
    """Yield an article for each warning that came true."""
    for one in fulfilled_deprecations(report):
        facts = [
            (both("warned with"), text([named(labels, one.warning_cells), f": {one.warning}"])),
            (both("gone with"), text(f"{labels[one.breaks.name]}: {one.failure}")),
        ]
        yield element("article", element("h3", one.name), facts_list(facts), class_="odd-edge")
