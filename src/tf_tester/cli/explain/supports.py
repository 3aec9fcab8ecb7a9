"""`tf-tester supports`."""

from pathlib import Path
from typing import Any

import click

from tf_tester.cli.common.options import EPILOG, GivenPath, options, settings_from
from tf_tester.cli.common.output import say, say_json
from tf_tester.cli.common.records import record_meant
from tf_tester.report.supports import FORMATS, badge_svg


@click.command(
    "supports", epilog=EPILOG, short_help="Tell from a record which versions work, as a range for pyproject.toml."
)
@click.argument("record", default="last", metavar="[RUN|RECORD]")
@options("store")
@click.option(
    "--format",
    "form",
    type=click.Choice([*FORMATS, "json"]),
    default="text",
    show_default=True,
    help="All of it, the requirement alone, a table for a README, or for programs.",
)
@click.option(
    "--badge",
    type=GivenPath(dir_okay=False),
    metavar="FILE",
    help="Write a badge (SVG) for a README, too.",
)
def command(record: str, form: str, badge: Path | None, **_: Any) -> int:
    """Tell from a record which versions work, as a range for pyproject.toml.

    RECORD is what `tf-tester test --json FILE` wrote, RUN a run of this store by its name, or `last`. A version works
    if it passes wherever it ran; the range is the newest stretch of such versions. Exits with 1 where none works, with
    3 where nothing is known.

    \b
    Examples:
      tf-tester supports
      tf-tester supports run.jsonl
      tf-tester supports run.jsonl --format markdown --badge tensorflow.svg
    """
    from tf_tester.core.outcome.exits import FAILED, INCOMPLETE, gravest
    from tf_tester.core.verdict.supports import support
    from tf_tester.errors import UsageError
    from tf_tester.flow.prepare.wheel_folder import folder_errors, write_file
    from tf_tester.report.record import report_of

    settings = settings_from(click.get_current_context().params).settings
    found = support(report_of(record_meant(record, settings.store / "runs")))
    if not found:
        raise UsageError(f"{record} has no cells.", hint="Give the record of a `tf-tester test`.")
    if badge is not None:
        if len(found) > 1:
            raise UsageError("The record is of several packages.", hint="A badge shows one; give the record of one.")
        with folder_errors(badge.absolute().parent):
            write_file(badge, badge_svg(found[0]))
    for one in found:
        if form == "json":
            say_json(one)
        else:
            say(FORMATS[form](one))
    return gravest(0 if one.specifier else INCOMPLETE if one.is_unknown else FAILED for one in found)
