"""`tf-tester download`."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tf_tester.cli.common.help import GroupedCommand
from tf_tester.cli.common.options import EPILOG, GivenPath, options, settings_from
from tf_tester.cli.common.packages import index_requirements
from tf_tester.cli.common.selection import (
    FETCHING,
    HOLDING,
    RESOLVING,
    SELECTING,
    both,
    brought,
    listener,
    selection_of,
)
from tf_tester.core.locks.lockfile import LockFormat
from tf_tester.core.outcome.exits import code_of_errors
from tf_tester.core.outcome.refused import outcome_of
from tf_tester.core.text.printable import printable
from tf_tester.core.text.sizes import count_text, size_text
from tf_tester.errors import CellRefused, UsageError
from tf_tester.given_files import read_given
from tf_tester.model.request import Trial

if TYPE_CHECKING:
    from tf_tester.flow.supply.download import Delivery, DownloadForecast, ExpectedFile, Undelivered
    from tf_tester.flow.supply.received import ReceivedFiles
    from tf_tester.model.artifact import Artifact
    from tf_tester.model.host.platform import Platform
    from tf_tester.ports.environment import Interpreters


@click.command(
    "download", cls=GroupedCommand, epilog=EPILOG, short_help="Bring the wheels of many versions into a folder."
)
@options(*SELECTING, *RESOLVING, *HOLDING, "with", *FETCHING, "color")
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="NAME",
    help="For this kind of machine, such as linux_x86_64, macosx_arm64 or win_amd64. Repeatable.  [default: this one]",
)
@click.option(
    "--with-deps/--no-deps",
    "with_dependencies",
    default=False,
    show_default=True,
    help="Bring what each version needs, too.",
)
@click.option(
    "-d",
    "--dest",
    "folder",
    type=GivenPath(file_okay=False),
    default=Path("wheels"),
    show_default=True,
    metavar="FOLDER",
    help="Where the wheels go.",
)
@click.option(
    "--lock",
    "lock_format",
    type=click.Choice([str(one) for one in LockFormat if one is not LockFormat.CONSTRAINTS]),
    default=str(LockFormat.REQUIREMENTS),
    show_default=True,
    help="What to write beside them for each version: pip's requirements with hashes, or pylock.toml.",
)
@click.option(
    "--from-lock",
    "lock_files",
    multiple=True,
    type=GivenPath(dir_okay=False),
    metavar="FILE",
    help="Bring the files that this pylock.toml names, whose hashes count, instead of --versions. Repeatable.",
)
@click.option("--force", is_flag=True, help="Replace files in the folder that tf-tester has not made.")
@click.option("--dry-run", is_flag=True, help="Only say what would come, how much of it and from where.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    platforms: tuple[str, ...],
    with_dependencies: bool,
    folder: Path,
    lock_format: str,
    lock_files: tuple[Path, ...],
    force: bool,
    dry_run: bool,
    **_: Any,
) -> int:
    """Bring the wheels of many versions into a flat folder that pip understands.

    Every file is verified against the index's hash; one that is there already is left alone. SHA256SUMS lists them.

    \b
    Examples:
      tf-tester download --versions 2.4.0,2.8.0,2.12.0 --mirror tuna
      tf-tester download --versions 2.8.0 --with-deps -d wheels
      tf-tester download --versions 2.12.0 --platform win_amd64,macosx_arm64 --python 3.9,3.10
      pip install --no-index --find-links wheels tensorflow==2.8.0
    """
    from tf_tester.flow.supply.download import (
        Delivery,
        DownloadRequest,
        download,
        download_locked,
        forecast,
        forecast_locked,
    )
    from tf_tester.flow.supply.received import ReceivedFiles
    from tf_tester.wiring import TOOL, services

    settings = settings_from(ctx.params).settings
    where = _platforms(platforms)
    selection = selection_of(settings, versions="" if lock_files else None)
    trial = Trial(requirements=index_requirements(settings))
    order = DownloadRequest(folder, with_dependencies, where, LockFormat(lock_format), TOOL, force)
    outcome: Delivery | DownloadForecast
    came = ReceivedFiles()
    with (
        listener(settings) as show,
        services(settings, lambda _folder: both(came.hear, show), environ=os.environ, dry_run=dry_run) as world,
    ):
        if lock_files:
            locked = _locked(lock_files, settings.python, where, world.provisioning.interpreters)
            outcome = (forecast_locked if dry_run else download_locked)(locked, world, order)
        else:
            outcome = (forecast if dry_run else download)(selection, trial, world, order)
    lines = _delivered(outcome, folder) if isinstance(outcome, Delivery) else _foreseen(outcome, came)
    print("\n".join(map(printable, lines)))
    for failure in outcome.failures:
        _complain(failure)
    return code_of_errors(failure.error for failure in outcome.failures)


def _platforms(names: tuple[str, ...]) -> "tuple[Platform | None, ...]":
    from tf_tester.core.select.platforms import platform_named

    words = [word for name in names for word in name.split(",") if word.strip()]
    return tuple(dict.fromkeys(platform_named(word) for word in words)) or (None,)


def _locked(
    files: tuple[Path, ...],
    pythons: tuple[str, ...],
    platforms: "tuple[Platform | None, ...]",
    interpreters: "Interpreters",
) -> "list[Artifact]":
    """Return the files that locks name for the Pythons and platforms asked for. Raises `UsageError`, `ConfigError`."""
    from tf_tester.core.locks.lockfile import artifacts_of
    from tf_tester.core.select.matrix import hypothetical

    found: dict[str, Artifact] = {}
    for file in files:
        try:
            content = read_given(file)
        except OSError as error:
            raise UsageError(f"The lock {file} can't be read: {error.strerror}.") from error
        for python in pythons or (".".join(map(str, sys.version_info[:2])),):
            for platform in platforms:
                interpreter = (
                    interpreters.probe(Path(python))
                    if platform is None and os.sep in python
                    else hypothetical(_release(python), platform or interpreters.platform())
                )
                found |= {one.filename: one for one in artifacts_of(content, interpreter, shown=str(file))}
    return list(found.values())


def _release(python: str) -> tuple[int, int]:
    parts = python.split(".")
    if len(parts) not in (2, 3) or not all(part.isdigit() for part in parts):
        raise UsageError(f"--python {python!r} is not a version.", hint="With --from-lock give one such as 3.10.")
    return int(parts[0]), int(parts[1])


def _delivered(delivery: "Delivery", folder: Path) -> list[str]:
    lines = [
        f"{file.filename}  {size_text(file.size)}{'  (was there)' if file.was_there else ''}" for file in delivery.files
    ]
    new = [file for file in delivery.files if not file.was_there]
    size = size_text(sum(file.size for file in new))
    lines.append(f"{count_text(len(delivery.files), 'file')} in {folder}, {len(new)} of them new ({size}).")
    if delivery.locks:
        lines.append(f"Locks: {', '.join(delivery.locks)}.")
    return lines


def _foreseen(forecast: "DownloadForecast", came: "ReceivedFiles") -> list[str]:
    """Return lines on what is here already, and on what would come, summed up by who would be asked first."""
    from tf_tester.flow.supply.download import FilePlace

    lines = [f"{file.filename}  {_size(file.size)}  {_where(file)}" for file in forecast.files]
    coming = [file for file in forecast.files if file.where is FilePlace.SOURCES]
    unknown = sum(file.missing is None for file in coming)
    total = size_text(sum(file.missing or 0 for file in coming))
    more = f" and {count_text(unknown, 'file')} of unknown size" if unknown else ""
    files = count_text(len(forecast.files), "file")
    lines.append(f"{len(coming)} of {files} would come: {total}{more}. {brought(came)}")
    return lines


def _where(file: "ExpectedFile") -> str:
    from tf_tester.flow.supply.download import FilePlace

    match file.where:
        case FilePlace.FOLDER:
            return "is there"
        case FilePlace.STORE:
            return "from the store"
        case FilePlace.SOURCES:
            begun = file.size is not None and file.missing is not None and file.missing < file.size
            rest = f"the last {_size(file.missing)} " if begun else ""
            return f"{rest}from {', '.join(file.sources)}" if file.sources else "can't come: --offline"


def _size(size: int | None) -> str:
    return "size unknown" if size is None else size_text(size)


def _complain(failure: "Undelivered") -> None:
    """Print the failure on standard error, the evidence in full."""
    error = failure.error
    outcome = outcome_of(error) if isinstance(error, CellRefused) else "failed"
    print(f"{printable(failure.what)}: {outcome}: {printable(str(error))}", file=sys.stderr)
    for line in (error.hint, *error.detail.splitlines()):
        if line:
            print(f"  {printable(line)}", file=sys.stderr)
