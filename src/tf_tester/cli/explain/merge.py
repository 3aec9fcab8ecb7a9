"""`tf-tester merge`."""

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tf_tester.cli.common.baseline import BaselineCheck, baseline_option
from tf_tester.cli.common.detail import environ_with
from tf_tester.cli.common.options import EPILOG, GivenPath, options, settings_from
from tf_tester.cli.common.output import say
from tf_tester.cli.common.records import record_meant
from tf_tester.cli.common.reports import WantedReport, check

if TYPE_CHECKING:
    from tf_tester.core.outcome.report import RunReport
    from tf_tester.core.select.sharding import MatrixJob


@click.command(
    "merge", epilog=EPILOG, short_help="Make one record of those of several jobs, and tell which are missing."
)
@click.argument("runs", nargs=-1, required=True, metavar="RUN|RECORD...")
@options("store", "color")
@click.option(
    "-o",
    "--output",
    type=GivenPath(dir_okay=False),
    required=True,
    metavar="RECORD",
    help="Where to write it.",
)
@click.option(
    "--expect",
    type=GivenPath(dir_okay=False),
    metavar="MATRIX",
    help="A matrix of `tf-tester ci-matrix`: what its jobs were to run and no record has is told, and fails the run.",
)
@baseline_option
def command(runs: tuple[str, ...], output: Path, expect: Path | None, baseline_file: Path | None, **_: Any) -> int:
    """Make one record of those of several jobs, and tell which are missing.

    RUN is `last`, a run's name or the beginning of one, a folder with a record, or a record. A cell that several of
    them have counts once, as it came to last. It prints the report of all, and exits as one run of all cells would.

    \b
    Examples:
      tf-tester merge jobs/*.jsonl -o all.jsonl
      tf-tester merge jobs/*.jsonl -o all.jsonl --expect matrix.json --baseline main.jsonl
    """
    from msgspec.structs import replace

    from tf_tester.core.overview.merging import distinct, merged, with_missing
    from tf_tester.errors import UsageError
    from tf_tester.report.matrix import print_report
    from tf_tester.report.record import report_of

    settings = settings_from(click.get_current_context().params).settings
    check(WantedReport("json", output))
    jobs = _expected(expect)
    comparison = BaselineCheck(baseline_file) if baseline_file is not None else None
    files = [record_meant(run, settings.store / "runs") for run in runs]
    if output.exists() and any(file.exists() and file.samefile(output) for file in files):
        raise UsageError(f"{output} is one of the records, and would be replaced.", hint="Name another file with -o.")
    reports = [(report_of(file), file) for file in files]
    counted = distinct(report for report, _ in reports)
    whole = with_missing(merged(counted), jobs)
    if comparison is not None and not whole.interrupted:
        results = {cell.name: whole.result(cell) for cell in whole.cells}
        whole = replace(whole, exit_code=comparison.judge(whole.cells, results))
    _write(output, whole, [file for report, file in reports if any(report is one for one in counted)])
    print_report(
        whole,
        sys.stdout,
        environ=environ_with(settings.color),
        default_package=settings.package,
    )
    if comparison is not None:
        say(comparison.finish(whole))
    return whole.exit_code


def _expected(file: Path | None) -> "tuple[MatrixJob, ...]":
    """Return the jobs of a matrix. Raises `UsageError`."""
    from tf_tester.core.select.sharding import read_matrix
    from tf_tester.errors import UsageError
    from tf_tester.given_files import read_given

    if file is None:
        return ()
    try:
        return read_matrix(read_given(file), shown=str(file))
    except OSError as error:
        raise UsageError(f"The matrix {file} can't be read: {error.strerror}.", hint="Check its name.") from error


def _write(target: Path, whole: "RunReport", files: list[Path]) -> None:
    """Write the record under its name when it is whole. Raises `OurFailure`, `StoreError`."""
    from tf_tester.core.overview.merging import events_of
    from tf_tester.flow.prepare.wheel_folder import folder_errors
    from tf_tester.report.record import RecordWriter, read_record

    with (
        folder_errors(target),
        tempfile.TemporaryDirectory(prefix=".tf-tester-", dir=target.absolute().parent) as place,
    ):
        growing = Path(place) / target.name
        with RecordWriter(growing, lambda: datetime.now(UTC)) as writer:
            for event in events_of(whole, map(read_record, files)):
                writer.tell(event)
        growing.replace(target)
