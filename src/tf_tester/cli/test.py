"""`tf-tester test`."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace
from packaging.utils import canonicalize_name

from tf_tester.cli.baseline import Comparison
from tf_tester.cli.options import EPILOG, options, settings_from
from tf_tester.cli.say import say
from tf_tester.cli.selecting import (
    FETCHING,
    RESOLVING,
    SELECTING,
    hashes_remark,
    listener,
    requirements_of,
    selection_of,
)
from tf_tester.core.settings import BY_NAME, Settings
from tf_tester.errors import UsageError
from tf_tester.model.events import Event
from tf_tester.model.request import Trial

if TYPE_CHECKING:
    from tf_tester.flow.blame import Suspects, Tried
    from tf_tester.flow.prepare import Preparer
    from tf_tester.flow.services import Services
    from tf_tester.flow.test import After
    from tf_tester.model.cell import PlannedCell
    from tf_tester.model.outcome import CellResult
    from tf_tester.model.request import Selection
    from tf_tester.ports.tell import Tell

RUNNING = (
    "jobs",
    "timeout",
    "memory",
    "runner",
    "with",
    "requirements",
    "project",
    "env",
    "pythonpath",
    "isolation",
    "network",
    "gpu",
    "writable",
    "scratch",
    "limit",
    "keep",
    "ephemeral",
    "cache",
)

_NOT_WITH_LOCKS = ("versions", "last", "python", "resolve", "with", "requirements", "install-python")
"""What a lock says already."""
_FILE_COLUMNS = 120
"""Where the report goes into a file or a log."""


class Splitting(click.Command):
    """What follows `--` is not ours: a command, or arguments for the test."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            cut = args.index("--")
            ctx.meta["rest"] = tuple(args[cut + 1 :])
            args = args[:cut]
        return super().parse_args(ctx, args)


@click.command(
    "test",
    cls=Splitting,
    epilog=EPILOG,
    options_metavar="[OPTIONS]",
    short_help="Run tests against many versions of a package.",
)
@click.argument(
    "targets", nargs=-1, metavar="[FILE|FOLDER]... [-- COMMAND|ARGUMENTS...]", type=click.Path(path_type=Path)
)
@options(*SELECTING, *RESOLVING, *RUNNING, *FETCHING, "timings", "color")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the record of the run (JSON lines).",
)
@click.option(
    "--locked",
    "locks",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Run what this lock, or each lock in this folder, has, and ask no index. Repeatable.",
)
@click.option(
    "--baseline",
    "baseline_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Fail only for what has moved since this file was written: regressed, fixed, changed, new, gone.",
)
@click.option("--update-baseline", is_flag=True, help="Write what this run came to into the file of --baseline.")
@click.option("--why", is_flag=True, help="Run more cells to find out why some fail: each kind of failure once.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    targets: tuple[Path, ...],
    json_file: Path | None,
    why: bool,
    locks: tuple[Path, ...],
    baseline_file: Path | None,
    update_baseline: bool,
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
    """
    settings = settings_from(ctx.params).settings
    said = [name for name in _NOT_WITH_LOCKS if ctx.params.get(BY_NAME[name].field)]
    if locks and said:
        raise UsageError(f"--locked and --{said[0]} both say what is tested.", hint="Give one of them.")
    if update_baseline and baseline_file is None:
        raise UsageError("--update-baseline has no file to write.", hint="Name it with --baseline FILE.")
    own = tuple(Path(os.path.abspath(file)) for file in (json_file, baseline_file) if file is not None)  # noqa: PTH100
    return run_test(
        settings,
        replace(trial_of(settings, targets, ctx.meta.get("rest", ())), written=own),
        json_file,
        why=why,
        locks=locks,
        comparison=Comparison(baseline_file, update=update_baseline) if baseline_file is not None else None,
    )


@contextmanager
def recording(show: "Tell") -> "Iterator[Callable[[Path], Tell]]":
    """Gives the listener of a run's folder: it writes the record, from the first event on, and shows it."""
    from datetime import UTC, datetime

    from tf_tester.report.record import RecordWriter

    writers: list[RecordWriter] = []

    def listening(run_folder: Path) -> "Tell":
        def tell(event: Event) -> None:
            if not writers:
                run_folder.mkdir(parents=True, exist_ok=True)
                writers.append(RecordWriter(run_folder / "record.jsonl", lambda: datetime.now(UTC)))
            writers[0].tell(event)
            show(event)

        return tell

    try:
        yield listening
    finally:
        for writer in writers:
            writer.close()


def run_test(
    settings: Settings,
    trial: Trial,
    json_file: Path | None,
    *,
    why: bool = False,
    locks: tuple[Path, ...] = (),
    comparison: Comparison | None = None,
) -> int:
    """Run the matrix and print its report; the exit code."""
    from datetime import UTC, datetime

    from tf_tester.core.report import INTERRUPTED, fold
    from tf_tester.flow.test import test
    from tf_tester.report.matrix import print_report
    from tf_tester.report.record import read_record
    from tf_tester.wiring import TOOL, Purpose, new_run_id, services

    selection = selection_of(settings, versions=settings.versions or "")
    run_id = new_run_id(settings)
    if json_file is not None and not json_file.absolute().parent.is_dir():
        raise UsageError(f"There is no folder {json_file.absolute().parent} for --json.", hint="Make it first.")
    with (
        listener(settings) as show,
        recording(show) as hear,
        services(settings, hear, environ=os.environ, run_id=run_id, purpose=Purpose.TEST) as world,
    ):
        code = test(
            selection,
            trial,
            world,
            run_id=run_id,
            started=datetime.now(UTC).isoformat(),
            tool=TOOL,
            after=_explaining(selection, trial, world) if why else None,
            locks=locks,
            judged=comparison.judge if comparison is not None else None,
        )
        record = world.run.folder / "record.jsonl"
    report = fold(read_record(record))
    print_report(
        report,
        sys.stdout,
        environ=_colours(settings),
        width=shutil.get_terminal_size().columns if sys.stdout.isatty() else _FILE_COLUMNS,
        timings=settings.timings,
        default_package=settings_from({}).settings.package,
    )
    if json_file is not None:
        shutil.copyfile(record, json_file)
    if comparison is not None and code != INTERRUPTED:
        say(comparison.finish(report))
    return code


def _explaining(selection: "Selection", trial: Trial, world: "Services") -> "After":
    from tf_tester.flow.why import explain_failures

    def after(preparer: "Preparer", cells: "Sequence[PlannedCell]", results: "Mapping[str, CellResult]") -> None:
        explain_failures(selection, trial, world, preparer, cells, results, tell_progress)

    return after


def tell_progress(step: "Suspects | Tried") -> None:
    """A line on standard error for each cell."""
    from tf_tester.flow.blame import Suspects

    if isinstance(step, Suspects):
        groups = f" in {step.groups} groups" if step.groups != len(step.changes) else ""
        text = (
            f"{len(step.changes)} distributions differ{groups}: a culprit takes {step.one} cells at the most, "
            f"its border some more; {step.budget} may be run"
        )
    else:
        reason = f"  {step.look.first_line}" if step.look.first_line else ""
        text = f"{step.look.outcome}  {step.what}{reason}"
    say([text], sys.stderr)


def trial_of(settings: Settings, targets: tuple[Path, ...], rest: tuple[str, ...]) -> Trial:
    cwd = Path.cwd()
    package = str(canonicalize_name(settings.package))
    return Trial(
        targets=tuple(Path(os.path.abspath(target)) for target in targets),  # noqa: PTH100 - links keep their names
        command=() if targets else rest,
        arguments=rest if targets else (),
        runner=settings.runner,
        cwd=cwd,
        requirements=(*settings.with_, *requirements_of(settings.requirements, package)),
        remarks=hashes_remark(settings.requirements),
        project=settings.project,
        env=tuple(settings.env.items()),
        pythonpath=settings.pythonpath,
        writable=settings.writable,
        scratch=settings.scratch,
        timeout=settings.timeout.total_seconds(),
        keep=settings.keep,
        ephemeral=settings.ephemeral,
        jobs=settings.jobs,
        memory=settings.memory,
    )


def _colours(settings: Settings) -> dict[str, str]:
    match settings.color:
        case "always":
            return {**os.environ, "FORCE_COLOR": "1"}
        case "never":
            return {**os.environ, "NO_COLOR": "1"}
        case _:
            return dict(os.environ)
