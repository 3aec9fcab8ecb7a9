"""`tf-tester ci-matrix`."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tf_tester.cli.common.help import GroupedCommand
from tf_tester.cli.common.options import EPILOG, GivenPath, options, settings_from
from tf_tester.cli.common.output import say
from tf_tester.cli.common.records import record_meant
from tf_tester.cli.common.reports import STDOUT, WantedReport, check
from tf_tester.cli.common.selection import FETCHING, RESOLVING, SELECTING, selection_of, supply_alone
from tf_tester.core.text.sizes import count_text, duration_text

if TYPE_CHECKING:
    from tf_tester.flow.supply.job_matrix import PlannedJobs

_MOST = {"github": 256, "gitlab": 200}
"""Jobs that each CI system makes of one matrix."""


@click.command(
    "ci-matrix",
    cls=GroupedCommand,
    epilog=EPILOG,
    short_help="Pack the cells of a matrix into the jobs of a CI system.",
)
@options(*SELECTING, *RESOLVING, *FETCHING, "color")
@click.option(
    "--shards",
    type=click.IntRange(min=1),
    metavar="N",
    help="Jobs at most.  [default: one for each cell that can run, as many as the CI system takes]",
)
@click.option(
    "--durations",
    multiple=True,
    metavar="RUN|RECORD",
    help="Pack by how long cells took in this run; `last` is the last one. Repeatable.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(_MOST)),
    default="github",
    show_default=True,
    help="A matrix for `fromJSON`, or a hidden job with `parallel:matrix` to be included.",
)
@click.option(
    "-o",
    "--output",
    type=GivenPath(dir_okay=False, allow_dash=True),
    default="-",
    metavar="FILE",
    help="Where to write it.  [default: -, standard output]",
)
@click.pass_context
def command(
    ctx: click.Context, /, shards: int | None, durations: tuple[str, ...], form: str, output: Path, **_: Any
) -> int:
    """Pack the cells of a matrix into the jobs of a CI system.

    Each job is told with a name and the options of `test` that mean just its cells; what else there is to be known
    goes to standard error. Pages of the index are all that it asks for. `tf-tester merge` makes one record of what the
    jobs came to, and tells which are missing.

    \b
    Examples:
      tf-tester ci-matrix --versions minors --last 12
      tf-tester ci-matrix --versions '>=2.4' --python 3.9,3.10 --shards 8 --durations main.jsonl
      tf-tester ci-matrix --versions minors --format gitlab -o .gitlab/tf-tester-matrix.yml
    """
    from tf_tester.core.outcome.report import cell_seconds
    from tf_tester.core.select.sharding import github_matrix, gitlab_matrix
    from tf_tester.flow.prepare.wheel_folder import write_file
    from tf_tester.flow.supply.job_matrix import plan_jobs
    from tf_tester.report.record import report_of
    from tf_tester.wiring import services

    settings = settings_from(ctx.params).settings
    check(WantedReport("json", output))
    seconds: dict[str, float] = {}
    for run in durations:
        seconds |= cell_seconds(report_of(record_meant(run, settings.store / "runs")))
    most = min(shards or _MOST[form], _MOST[form])
    tell = supply_alone(settings.color)
    with services(settings, lambda _: tell, environ=os.environ) as world:
        planned = plan_jobs(selection_of(settings, versions=settings.versions or ""), world, seconds, most)
    say(_told(planned), sys.stderr)
    text = github_matrix(planned.jobs) if form == "github" else gitlab_matrix(planned.jobs)
    if output == STDOUT:
        print(text)
    else:
        write_file(output, f"{text}\n")
    return 0


def _told(planned: "PlannedJobs") -> list[str]:
    """Return what a person should know of the matrix."""
    longest = planned.jobs[0].seconds
    if planned.known:
        known = "" if planned.known == planned.cells else f", of {planned.known} cells known"
        times = f"; the longest takes about {duration_text(longest)}{known}"
    else:
        times = "; no times are known, so each cell counts the same (--durations)"
    count = f"{count_text(planned.cells, 'cell')} in {count_text(len(planned.jobs), 'job')}"
    return [f"tf-tester: {remark}" for remark in planned.remarks] + [f"tf-tester: {count}{times}"]
