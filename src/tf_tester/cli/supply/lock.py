"""`tf-tester lock`."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tf_tester.cli.common.help import GroupedCommand
from tf_tester.cli.common.options import EPILOG, GivenPath, options, settings_from
from tf_tester.cli.common.output import say
from tf_tester.cli.common.packages import with_indexes
from tf_tester.cli.common.running import trial_of
from tf_tester.cli.common.selection import FETCHING, HOLDING, RESOLVING, SELECTING, listener, selection_of
from tf_tester.core.locks.lockfile import LockFormat
from tf_tester.core.outcome.exits import code_of_errors

if TYPE_CHECKING:
    from tf_tester.core.config.settings import Settings
    from tf_tester.flow.supply.lock import CheckedLock, UnmadeLock
    from tf_tester.model.request import Trial

_FORMATS = [str(one) for one in LockFormat if one is not LockFormat.NONE]


@click.command(
    "lock",
    cls=GroupedCommand,
    epilog=EPILOG,
    options_metavar="[OPTIONS]",
    short_help="Write the exact distributions of each version to files, or check such files.",
)
@click.argument("targets", nargs=-1, metavar="[FILE|FOLDER]...", type=GivenPath())
@options(*SELECTING, *RESOLVING, *HOLDING, "runner", "with", "requirements", "project", "group", *FETCHING, "color")
@click.option(
    "-d",
    "--dest",
    "folder",
    type=GivenPath(file_okay=False),
    default=Path("locks"),
    show_default=True,
    metavar="FOLDER",
    help="Where the locks are.",
)
@click.option(
    "--format",
    "formats",
    type=click.Choice(_FORMATS),
    multiple=True,
    help="pylock.toml (PEP 751), pip's requirements with hashes, or constraints. Repeatable.  [default: pylock]",
)
@click.option(
    "--from-record",
    "record",
    type=GivenPath(dir_okay=False),
    metavar="FILE",
    help="Write what the cells of this run had that passed: a known-good set.",
)
@click.option("--force", is_flag=True, help="Replace files in the folder that tf-tester has not made.")
@click.option("--check", is_flag=True, help="Write nothing: tell what would differ today; exit with 1 then.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    targets: tuple[Path, ...],
    folder: Path,
    formats: tuple[str, ...],
    record: Path | None,
    force: bool,
    check: bool,
    **_: Any,
) -> int:
    """Write the exact distributions of each version to files, or check such files.

    `tf-tester test --locked FOLDER` runs from them alone. With FILE or FOLDER, tests, the locks have their runner, too.

    \b
    Examples:
      tf-tester lock tests/ --versions 2.8.0,2.12.0
      tf-tester lock --check
      tf-tester lock --from-record run.jsonl --format constraints
    """
    from tf_tester.errors import UsageError
    from tf_tester.flow.supply.lock import known_good, make_locks, write_locks, write_reasons
    from tf_tester.report.record import report_of
    from tf_tester.wiring import TOOL, services

    if check and (record is not None or formats):
        raise UsageError("--check writes nothing.", hint="Leave --from-record and --format away.")
    chosen = [LockFormat(one) for one in dict.fromkeys(formats or ("pylock",))]
    if record is not None:
        failures: list[UnmadeLock] = []
        reasons: Mapping[str, Path] = {}
        made = known_good(report_of(record))
        names = write_locks(made, folder, chosen, TOOL, force=force)
    else:
        settings = with_indexes(settings_from(ctx.params).settings)
        trial = trial_of(settings, targets, ())
        if check:
            return _checked(folder, trial, settings)
        remarks: list[str] = []
        with listener(settings) as show, services(settings, lambda _: show, environ=os.environ) as world:
            made, failures = make_locks(selection_of(settings), trial, world, remarks.append)
            names = write_locks(made, folder, chosen, TOOL, force=force)
            reasons = write_reasons(failures, world.run.folder)
        say((f"tf-tester: {remark}" for remark in remarks), sys.stderr)
    say(str(folder / name) for name in names)
    if local := sorted({pin for one in made for pin in one.local}):
        say([f"tf-tester: left out, as nobody else has it: {', '.join(local)}; --project adds a project."], sys.stderr)
    for failure in failures:
        lines = [f"tf-tester: {failure.name}: {failure.error}", failure.error.hint]
        if failure.name in reasons:
            lines.append(f"Evidence: {reasons[failure.name]}")
        say([text for text in lines if text], sys.stderr)
    return code_of_errors(failure.error for failure in failures)


def _checked(folder: Path, trial: "Trial", settings: "Settings") -> int:
    """Check the locks in a folder, tell of each once the board is gone, and return the exit code."""
    from tf_tester.flow.supply.lock import check_locks
    from tf_tester.wiring import services

    found: list[CheckedLock] = []
    try:
        with listener(settings) as show, services(settings, lambda _: show, environ=os.environ) as world:
            return check_locks([folder], trial, world, found.append)
    finally:
        for one in found:
            _tell_checked(one)


def _tell_checked(checked: "CheckedLock") -> None:
    if checked.error is not None:
        lines = [f"{checked.file}: can't be checked: {checked.error}", f"  {checked.error.hint}"]
    elif not checked.changes:
        lines = [f"{checked.file}: as it was"]
    else:
        lines = [f"{checked.file}: {len(checked.changes)} would differ today"]
        lines += [f"  {change.text}" for change in checked.changes]
    say([text for text in lines if text.strip()])
