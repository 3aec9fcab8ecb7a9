"""`tf-tester diff`."""

import os
from pathlib import Path
from typing import Any

import click

from tf_tester.cli.common.help import GroupedCommand
from tf_tester.cli.common.options import EPILOG, options, settings_from
from tf_tester.cli.common.output import say, say_json
from tf_tester.cli.common.packages import index_requirements
from tf_tester.cli.common.records import is_record, record_meant
from tf_tester.cli.common.selection import FETCHING, HOLDING, RESOLVING, selection_of, supply_alone
from tf_tester.core.text.sizes import count_text


@click.command(
    "diff", cls=GroupedCommand, epilog=EPILOG, short_help="Tell what differs between two versions, or two records."
)
@click.argument("before", metavar="VERSION|RECORD")
@click.argument("after", metavar="VERSION|RECORD")
@options("package", "pre", "yanked", *RESOLVING, *HOLDING, "with", *FETCHING, "color")
@click.option(
    "--api/--no-api", default=True, show_default=True, help="Compare public names; that takes the whole wheels."
)
@click.option("--all", "everything", is_flag=True, help="Tell every name.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "html"]),
    default="text",
    show_default=True,
    help="What is printed.",
)
def command(before: str, after: str, api: bool, everything: bool, form: str, **_: Any) -> int:
    """Tell what differs between two versions, or two records.

    Versions may say with which dependencies: 2.8.0@era, 2.8.0@latest. Told are what is installed besides, sizes,
    metadata, licences, console scripts, and the public names of the package with their signatures, read from its
    sources without importing it. Of two records of `tf-tester test --json` (`last` is the last run's): which cells came
    to something else, and what they had.

    \b
    Examples:
      tf-tester diff 2.8.0 2.12.0
      tf-tester diff 2.8.0@era 2.8.0@latest --no-api
      tf-tester diff 1.23.5 1.24.0 --package numpy --format html > numpy.html
      tf-tester diff monday.jsonl tuesday.jsonl
      tf-tester diff monday.jsonl last
    """
    from tf_tester.errors import UsageError

    records = [is_record(name) for name in (before, after)]
    if any(records):
        if not all(records):
            raise UsageError("A record can only be compared with a record.", hint="Give two versions, or two records.")
        if form == "html":
            raise UsageError("--format html can't show records.", hint="Give --format text or json.")
        runs = settings_from(click.get_current_context().params).settings.store / "runs"
        return _records(record_meant(before, runs), record_meant(after, runs), form)
    from tf_tester.flow.explain.diff import diff
    from tf_tester.model.request import Trial
    from tf_tester.report.diff import diff_lines, diff_page
    from tf_tester.wiring import services

    settings = settings_from(click.get_current_context().params).settings
    selection = selection_of(settings, versions="latest")
    trial = Trial(cwd=Path.cwd(), requirements=index_requirements(settings))
    tell = supply_alone(settings.color)
    with services(settings, lambda _: tell, environ=os.environ) as world:
        difference = diff(selection, trial, world, (before, after), api=api)
    match form:
        case "json":
            say_json(difference)
        case "html":
            # As bytes: a page says itself in which encoding it is.
            click.echo(diff_page(difference).encode(), nl=False)
        case _:
            say(diff_lines(difference, everything=everything))
    return 0


def _records(before: Path, after: Path, form: str) -> int:
    from tf_tester.core.verdict.record_diff import record_diff
    from tf_tester.report.record import report_of

    found = record_diff(report_of(before), report_of(after))
    if form == "json":
        say_json(found)
        return 0
    if not found.cells:
        print(f"{count_text(found.same, 'cell')} came to the same, with the same distributions.")
        return 0
    lines = []
    for cell in found.cells:
        lines.append(cell.cell)
        for move in cell.moves:
            test = f"{move.test}: " if move.test else ""
            lines.append(f"  {move.kind}: {test}{' → '.join(filter(None, (move.before, move.after)))}")
        lines += [f"  {change.text}" for change in cell.changes]
    say([*lines, f"{count_text(found.same, 'other cell')} came to the same, with the same distributions."])
    return 0
