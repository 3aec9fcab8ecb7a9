"""`tf-tester report`."""

from pathlib import Path
from typing import Any

import click

from tf_tester.cli.common.options import EPILOG, GivenPath, options, settings_from
from tf_tester.cli.common.records import record_meant
from tf_tester.cli.common.reports import STDOUT, WantedReport, check, write_reports
from tf_tester.report.formats import FORMATS

_UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1000, "kib": 2**10, "m": 10**6, "mb": 10**6, "mib": 2**20}


class _Size(click.ParamType):  # type: ignore[type-arg]
    """A number of bytes, such as 65000 or 64kB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value).strip().lower()
        number = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
        is_number = number.isascii() and number.isdigit() and len(number) < 20  # of more Python reads no number
        if not is_number or text[len(number) :].strip() not in _UNITS:
            self.fail(f"{str(value)[:80]} is no size: say 65000, 64kB or 1MiB.", param, ctx)
        return int(number) * _UNITS[text[len(number) :].strip()]


@click.command("report", epilog=EPILOG, short_help="Write what a run came to, for CI systems and for other people.")
@click.argument("runs", nargs=-1, metavar="[RUN|RECORD]...")
@options("store")
@click.option(
    "-f",
    "--format",
    "form",
    metavar="|".join(FORMATS),
    help="What to write; where it isn't said, what the name of the file means: .html, .xml, .md, .sarif.",
)
@click.option(
    "-o",
    "--output",
    "outputs",
    type=GivenPath(dir_okay=False, allow_dash=True),
    multiple=True,
    metavar="FILE",
    help="Where to write it; without --format repeatable.  [default: -, standard output]",
)
@click.option(
    "--most",
    type=_Size(),
    metavar="SIZE",
    help="For markdown: leave out what is least important where it has more, such as 65000 for a comment.",
)
@click.option("--lang", type=click.Choice(["en", "zh"]), help="Of a page, whatever its reader's browser says.")
def command(
    runs: tuple[str, ...], form: str | None, outputs: tuple[Path, ...], most: int | None, lang: str | None, **_: Any
) -> int:
    """Write what a run came to, for CI systems and for other people.

    RUN is `last`, a run's name or the beginning of one, a folder with a record, or a record; without one it is the last
    run. Several are told as one: the jobs of a CI matrix, or a run and its repetition. It exits with 0 where the report
    was written, whatever is in it.

    \b
    Examples:
      tf-tester report -o matrix.html -o junit.xml
      tf-tester report last --format markdown >> "$GITHUB_STEP_SUMMARY"
      tf-tester report jobs/*.jsonl --format sarif -o failures.sarif
    """
    from tf_tester.core.overview.merging import merged
    from tf_tester.errors import UsageError
    from tf_tester.report.formats import Rendering, format_of
    from tf_tester.report.record import report_of

    settings = settings_from(click.get_current_context().params).settings
    if form is None and STDOUT in (outputs or (STDOUT,)):
        raise UsageError("Which report to write isn't said.", hint=f"Name one with --format: {', '.join(FORMATS)}.")
    if form is not None and len(outputs) > 1:
        raise UsageError(f"One {form} report can't go to several files.", hint="Leave --format away, or give one -o.")
    wanted = [WantedReport(form or format_of(output), output) for output in outputs or (STDOUT,)]
    for one in wanted:
        check(one)
    reports = [report_of(record_meant(run, settings.store / "runs")) for run in runs or ("last",)]
    return write_reports(merged(reports), wanted, rendering=Rendering(lang or "", most))
