"""`tf-tester test`."""

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click
from msgspec import Struct
from msgspec.structs import replace

from tf_tester.cli.common.baseline import BaselineCheck, baseline_option
from tf_tester.cli.common.detail import detail_of, detail_options, environ_with
from tf_tester.cli.common.options import EPILOG, GivenPath, options, settings_from
from tf_tester.cli.common.output import say
from tf_tester.cli.common.packages import with_indexes
from tf_tester.cli.common.run_outputs import RunOutputs, output_options, outputs_of, recorded_run
from tf_tester.cli.common.running import RUNNING, Splitting, probe_of, tell_progress, tests_of
from tf_tester.cli.common.selection import FETCHING, RESOLVING, SELECTING, selection_of, settings_with_locks
from tf_tester.core.config.settings import BY_NAME, Settings
from tf_tester.errors import UsageError
from tf_tester.model.request import Trial

if TYPE_CHECKING:
    from tf_tester.core.grid.budgets import Budget
    from tf_tester.core.outcome.report import RunReport
    from tf_tester.flow.run.frame import Run
    from tf_tester.model.outcome import CellResult
    from tf_tester.report.words import Detail

_NOT_WITH_LOCKS = ("versions", "last", "python", "resolve", "with", "requirements", "install-python")
"""What a lock says already."""


@click.command(
    "test",
    cls=Splitting,
    epilog=EPILOG,
    options_metavar="[OPTIONS]",
    short_help="Run tests against many versions of a package.",
)
@click.argument("targets", nargs=-1, metavar="[FILE|FOLDER]... [-- COMMAND|ARGUMENTS...]", type=GivenPath())
@options(*SELECTING, *RESOLVING, *RUNNING, "ephemeral", *FETCHING, "timings", "color")
@output_options
@click.option(
    "--locked",
    "locks",
    multiple=True,
    type=GivenPath(),
    metavar="PATH",
    help="Run what this lock, or each lock in this folder, has, and ask no index. Repeatable.",
)
@baseline_option
@click.option("--update-baseline", is_flag=True, help="Write what this run came to into the file of --baseline.")
@click.option(
    "--lf",
    "--last-failed",
    "last_failed",
    is_flag=True,
    help="Run only what failed in each cell when it last ran, of this folder's tests; all where nothing is known.",
)
@click.option(
    "-x",
    "--exitfirst",
    "exit_first",
    is_flag=True,
    help="End the run at the first cell that fails; `-- -x` ends only the cell's own tests.",
)
@click.option(
    "--collect",
    multiple=True,
    metavar="PATTERN",
    help="Copy files that tests wrote in your folders, such as coverage.xml, to each cell's evidence. Repeatable.",
)
@click.option(
    "--probe",
    is_flag=True,
    help="Run tests that come with tf-tester: what any version of the framework does; of an unknown package, imports.",
)
@click.option(
    "--budget",
    "budgets",
    multiple=True,
    metavar="CHECK",
    help="Fail each cell of which a figure is beyond a bound: 'import_s<5', 'peak_rss<1G', or of values that tests "
    "record 'accuracy>0.9', 'logits.max_abs<1e-6'. Repeatable.",
)
@click.option(
    "--reference",
    metavar="VERSION",
    help="Compare what tests record with what they record with this version.  [default: the version before each]",
)
@click.option("--why", is_flag=True, help="Run more cells to find out why some fail: each kind of failure once.")
@detail_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    targets: tuple[Path, ...],
    probe: bool,
    why: bool,
    locks: tuple[Path, ...],
    baseline_file: Path | None,
    update_baseline: bool,
    last_failed: bool,
    exit_first: bool,
    collect: tuple[str, ...],
    budgets: tuple[str, ...],
    reference: str | None,
    verbose: int,
    quiet: bool,
    **_: Any,
) -> int:
    """Run a script, tests, or any command against many versions of a package.

    FILE is a script (judged by its exit code) or has tests for pytest or unittest; FOLDER has test files. What
    follows `--` is a command to run instead, or, after a FILE, its arguments. Without --versions the downloaded
    versions are tested, or the newest three minors where none were.

    \b
    Examples:
      tf-tester test my_model_test.py --versions 2.4.0,2.8.0,2.12.0
      tf-tester test tests/ --package numpy --versions '>=1.22,<2.1' --python 3.10
      tf-tester test --versions minors --last 3 -- python train.py --epochs 1
      tf-tester test --probe --package jax --versions minors --last 5
    """
    from tf_tester.core.grid.budgets import parse_budget
    from tf_tester.flow.run.jobs import picks_some, with_last_failed

    settings = with_indexes(settings_with_locks(ctx.params, locks))
    outputs, detail = outputs_of(ctx.params), detail_of(verbose, quiet)
    _refuse_contradictions(ctx.params)
    trial = (probe_of if probe else tests_of)(settings, targets, ctx.meta.get("rest", ()))
    trial = with_last_failed(trial, asked=last_failed)
    files = (*outputs.files, *([baseline_file] if baseline_file is not None else []))
    own = tuple(Path(os.path.abspath(file)) for file in files)  # noqa: PTH100
    comparison = None
    if baseline_file is not None:
        comparison = BaselineCheck(baseline_file, update=update_baseline, picked=picks_some(trial))
    trial = replace(trial, written=own, collect=collect)
    asked = _Asked(
        outputs,
        detail,
        locks,
        comparison,
        tuple(map(parse_budget, budgets)),
        reference or "",
        why=why,
        exit_first=exit_first,
    )
    return _run(settings, trial, asked)


class _Asked(Struct, frozen=True):
    """What is asked of one run, besides what is tested."""

    outputs: RunOutputs
    detail: "Detail"
    locks: tuple[Path, ...]
    comparison: BaselineCheck | None
    budgets: "tuple[Budget, ...]"
    reference: str
    """The version with whose numbers all are compared; empty: the one before each."""
    why: bool
    exit_first: bool


def _refuse_contradictions(parameters: Mapping[str, Any]) -> None:
    """Raise `UsageError` for options that can't be had together."""
    given = [name for name in _NOT_WITH_LOCKS if parameters.get(BY_NAME[name].field)]
    if parameters["locks"] and given:
        raise UsageError(f"--locked and --{given[0]} both say what is tested.", hint="Give one of them.")
    baseline = parameters["baseline_file"] is not None
    if parameters["update_baseline"] and not baseline:
        raise UsageError("--update-baseline has no file to write.", hint="Name it with --baseline FILE.")
    if parameters["exit_first"] and (parameters["why"] or baseline):
        needs_all = "--why" if parameters["why"] else "--baseline"
        raise UsageError(
            f"-x ends the run at the first failure, and {needs_all} needs all of it.", hint="Leave one of them out."
        )


def _run(settings: Settings, trial: Trial, asked: _Asked) -> int:
    """Run the matrix, print its report and return the exit code."""
    from tf_tester.core.outcome.exits import gravest
    from tf_tester.errors import INTERRUPTED
    from tf_tester.flow.run.test import test
    from tf_tester.report.record import report_of

    selection = selection_of(settings, versions=settings.versions or "")
    comparison, outputs = asked.comparison, asked.outputs
    work = partial(
        test,
        selection,
        trial,
        after=partial(_look_again, asked=asked),
        locks=asked.locks,
        judged=comparison.judge if comparison is not None else None,
        ends_at_failure=asked.exit_first,
    )
    code, record = recorded_run(settings, outputs, work, asked.detail)
    report = report_of(record)
    _print(report, settings, outputs.stream, asked.detail)
    written = outputs.write(record, report)
    if comparison is not None and code != INTERRUPTED:
        say(comparison.finish(report), outputs.stream)
    return gravest([code, written])


def _look_again(run: "Run", results: "Mapping[str, CellResult]", *, asked: _Asked) -> "Iterator[CellResult]":
    """Yield the results that budgets have changed, then find out why tests fail where that is wanted.

    Not why a budget isn't kept: no other cell would tell.
    """
    if asked.budgets or any(run.values.values()):
        from tf_tester.flow.numbers.check import check_numbers

        yield from check_numbers(run, results, budgets=asked.budgets, reference=asked.reference)
    if asked.why:
        from tf_tester.flow.explain.why import explain_failures
        from tf_tester.report.words import Detail

        quiet = asked.detail is Detail.QUIET
        explain_failures(run, results, (lambda _step: None) if quiet else tell_progress)


def _print(report: "RunReport", settings: Settings, stream: TextIO, detail: "Detail") -> None:
    from tf_tester.report.matrix import print_report

    print_report(
        report,
        stream,
        environ=environ_with(settings.color),
        detail=detail,
        timings=settings.timings,
        default_package=settings_from({}).settings.package,
    )
