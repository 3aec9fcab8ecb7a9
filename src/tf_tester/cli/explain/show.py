"""`tf-tester show`."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from tf_tester.cli.common.detail import detail_of, detail_options, environ_with
from tf_tester.cli.common.options import EPILOG, options, settings_from
from tf_tester.cli.common.records import record_meant

if TYPE_CHECKING:
    from tf_tester.errors import UsageError


@click.command("show", epilog=EPILOG, short_help="Print a run again, or any part of it.")
@click.argument("run", default="last", metavar="[RUN|RECORD]")
@options("store", "color", "timings")
@click.option("--failures", is_flag=True, help="Every kind of failure, with a traceback of each.")
@click.option("--test", "tests", multiple=True, metavar="ID", help="All that is known of tests with this in their id.")
@click.option("--cell", "cells", multiple=True, metavar="CELL", help="Only this cell: its name, or a version.")
@click.option(
    "--rows",
    type=click.Choice(["tests", "causes"]),
    help="Of the matrix: tests, or what is wrong, a row for each kind of failure and each reason why cells could not "
    "run.  [default: tests]",
)
@detail_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    run: str,
    rows: str | None,
    failures: bool,
    tests: tuple[str, ...],
    cells: tuple[str, ...],
    verbose: int,
    quiet: bool,
    **_: Any,
) -> int:
    """Print a run again, or any part of it.

    RUN is `last`, a run's name or the beginning of one, a folder with a record, or a record.

    \b
    Examples:
      tf-tester show
      tf-tester show last --rows causes
      tf-tester show last --failures
      tf-tester show run.jsonl --test test_saves --cell 2.16.1
    """
    from tf_tester.report.heat.text import print_grid
    from tf_tester.report.lines import as_text, wants_colour, write
    from tf_tester.report.matrix import print_report
    from tf_tester.report.record import report_of
    from tf_tester.report.show import failure_lines, lines_of_tests, of_cells
    from tf_tester.report.words import MatrixRows

    settings = settings_from(ctx.params).settings
    environ, detail = environ_with(settings.color), detail_of(verbose, quiet)
    report = report_of(record_meant(run, settings.store / "runs"))
    if rows and (quiet or failures or tests or report.fields):
        raise _without_matrix()
    if cells:
        report = of_cells(report, cells)
        if not report.cells:
            raise _without_cell(cells)
    if report.fields and not (failures or tests or cells):
        print_grid(report, sys.stdout, environ=environ)
        return 0
    if not failures and not tests:
        print_report(
            report,
            sys.stdout,
            environ=environ,
            detail=detail,
            timings=settings.timings,
            default_package=settings.package,
            rows=MatrixRows(rows or "tests"),
        )
        if not cells:
            return 0
    lines = failure_lines(report) if failures else []
    lines += lines_of_tests(report, tests) if tests or (cells and not failures) else []
    if tests and not lines:
        raise _without_test(tests)
    write(sys.stdout, as_text(lines, colour=wants_colour(sys.stdout, environ)))
    return 0


def _without_cell(cells: Sequence[str]) -> "UsageError":
    from tf_tester.errors import UsageError

    return UsageError(f"The run has no cell {' and no '.join(cells)}.", hint="`tf-tester show` lists its cells.")


def _without_test(tests: Sequence[str]) -> "UsageError":
    from tf_tester.errors import UsageError

    return UsageError(f"The run has no test with {' or '.join(tests)} in its id.", hint="`tf-tester show` lists them.")


def _without_matrix() -> "UsageError":
    from tf_tester.errors import UsageError

    hint = "Leave it out, or -q, --failures and --test; what is shown of a grid are its fields."
    return UsageError("Without a matrix there is nothing that --rows could choose.", hint=hint)
