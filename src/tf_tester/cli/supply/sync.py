"""`tf-tester sync`."""

import hashlib
import os
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from tf_tester.cli.common.options import EPILOG, GivenPath, options, settings_from
from tf_tester.cli.common.output import say
from tf_tester.cli.common.packages import requested
from tf_tester.cli.common.selection import FETCHING, brought, listener
from tf_tester.core.text.sizes import count_text, duration_text, size_text
from tf_tester.errors import ConfigError, TfTesterError, UsageError
from tf_tester.given_files import read_given

if TYPE_CHECKING:
    from tf_tester.core.config.settings import Settings
    from tf_tester.flow.supply.sync import SyncReport, SyncRequest

_SHOWN = 5
"""Names that stand in a line; --report has them all."""


@click.command("sync", epilog=EPILOG, short_help="Fill a replica of chosen projects, and keep it as its upstream is.")
@click.argument("config", type=GivenPath(dir_okay=False), metavar="FILE")
@options(*FETCHING, "color")
@click.option(
    "--report",
    type=GivenPath(dir_okay=False),
    metavar="FILE",
    help="Also write the report to this file, as JSON.",
)
@click.option("--every", metavar="DURATION", help="Repeat, this long after the previous start, such as 1h.")
@click.option("--allow-deletions", is_flag=True, help="Delete what the upstream no longer has.")
@click.option("--dry-run", is_flag=True, help="Only say what would be fetched and deleted.")
@click.option(
    "--print",
    "printed",
    type=click.Choice(["systemd", "cronjob"]),
    help="Print what runs this on a schedule (--every, else each hour), for systemd or Kubernetes; do nothing else.",
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    config: Path,
    report: Path | None,
    every: str | None,
    allow_deletions: bool,
    dry_run: bool,
    printed: str | None,
    **_: Any,
) -> int:
    """Fill a replica of chosen projects and what they require, and keep it as its upstream is.

    FILE says which projects, Pythons and platforms. What is new is fetched through the mirrors and verified against the
    index; what was there is not looked at again. A file that can't be had costs no other one: it is told, and the exit
    code is 4. `tf-tester serve --synced NAME` serves the replica, `tf-tester publish` writes it for nginx or a CDN.

    \b
    Examples:
      tf-tester sync team.toml --dry-run
      tf-tester sync team.toml --mirror tuna --report sync.json
      tf-tester sync team.toml --every 1h
      tf-tester sync team.toml --print systemd
    """
    settings = settings_from(ctx.params).settings
    pause = _seconds(every)
    request = _request(config, allow_deletions=allow_deletions, dry_run=dry_run)
    if printed is not None:
        from tf_tester.export.schedule import cronjob, systemd

        words = [*_repeated(ctx), str(config.resolve())]
        seconds = pause or 3600.0
        if printed == "systemd":
            print(systemd(request.replica, words, seconds, settings.store.absolute()), end="")
        else:
            print(cronjob(request.replica, words, seconds), end="")
        return 0
    if pause is None:
        return _once(settings, request, report)
    while True:
        began = time.monotonic()
        try:
            _once(settings, request, report)
            # The file may have changed; where it is broken now, what it said before goes on.
            request = _request(config, allow_deletions=allow_deletions, dry_run=dry_run)
        except TfTesterError as error:
            say([f"tf-tester: {error}", *([error.hint] if error.hint else [])], sys.stderr)
        # Not at the same moment as everybody else's.
        time.sleep(max(0.0, began + pause - time.monotonic()) + random.uniform(0, pause / 20))


def _once(settings: "Settings", request: "SyncRequest", file: Path | None) -> int:
    from tf_tester.flow.prepare.wheel_folder import write_file
    from tf_tester.flow.supply.sync import sync
    from tf_tester.wiring.network import now
    from tf_tester.wiring.replicas import filling, upstream_of

    request = replace(request, upstream=upstream_of(settings, os.environ))
    dry_run = request.dry_run
    with (
        listener(settings) as show,
        filling(settings, request.replica, show, os.environ, dry_run=dry_run) as (replica, world, came),
    ):
        done = sync(request, replica, world, now, came)
    if file is not None:
        import msgspec

        said = msgspec.to_builtins(done) | {"exit_code": done.exit_code}
        write_file(file, msgspec.json.format(msgspec.json.encode(said), indent=2).decode() + "\n")
    say([*_told(done, dry_run=dry_run), *((brought(came),) if dry_run else ())])
    say(_missing(done), sys.stderr)
    say(_kept(done), sys.stderr)
    return done.exit_code


def _request(config: Path, *, allow_deletions: bool, dry_run: bool) -> "SyncRequest":
    """Return what a file asks for. Raises `UsageError`, `ConfigError`."""
    from packaging.requirements import Requirement

    from tf_tester.core.locks.lockfile import locked_requirements
    from tf_tester.core.locks.replica_config import read_config, roots_of
    from tf_tester.flow.supply.sync import SyncRequest

    content = _read(config)
    read = read_config(content, shown=str(config), stem=config.stem)
    asked = requested(tuple(config.parent / one for one in read.requirements), "")
    if asked.constraints:
        raise UsageError("A replica has no constraints.", hint="Write them as requirements.")
    if asked.direct or asked.find_links or asked.extra_indexes:
        raise UsageError(
            "A replica has what its upstream has: no addresses, -f or --extra-index-url in its requirements.",
            hint="Leave them out.",
        )
    requirements = asked.requirements
    locks = [(one, _read(config.parent / one)) for one in read.locks]
    locked = [entry for one, lock in locks for entry in locked_requirements(lock, shown=one)]
    digest = hashlib.sha256(content)
    for part in (*(one.encode() for one in requirements), *(lock for _, lock in locks)):
        digest.update(hashlib.sha256(part).digest())
    return SyncRequest(
        read.name,
        roots_of(read, map(Requirement, requirements), locked),
        read.rules,
        digest.hexdigest(),
        most=read.most,
        max_deletions=read.max_deletions,
        keep_deleted=read.keep_deleted,
        allow_deletions=allow_deletions,
        dry_run=dry_run,
    )


def _read(file: Path) -> bytes:
    try:
        return read_given(file)
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}.") from error


def _seconds(text: str | None) -> float | None:
    from tf_tester.core.text.units import duration

    if text is None:
        return None
    try:
        seconds = duration(text).total_seconds()
    except ValueError as error:
        raise UsageError(f"--every must be {error}, not {text!r}.") from None
    if seconds < 60:
        raise UsageError("--every is at least a minute.", hint="Indexes are asked for each project every time.")
    return seconds


def _repeated(ctx: click.Context) -> list[str]:
    """Return the options that were given and that count for a scheduled run, too."""
    words = []
    for parameter in ctx.command.params:
        value = ctx.params.get(parameter.name or "")
        given = ctx.get_parameter_source(parameter.name or "") == click.core.ParameterSource.COMMANDLINE
        if not given or parameter.name in ("config", "every", "printed", "dry_run", "allow_deletions"):
            continue
        flag = parameter.opts[-1] if value is not False else parameter.secondary_opts[-1]
        for one in value if isinstance(value, tuple | list) else [value]:
            words += [flag] if isinstance(one, bool) else [flag, str(one.resolve() if isinstance(one, Path) else one)]
    return words


def _told(done: "SyncReport", *, dry_run: bool) -> list[str]:
    lines = []
    for change in done.changes:
        lines += [f"{change.project}: {_files('+', change.added)}"] if change.added else []
        lines += [f"{change.project}: {_files('-', change.removed)}"] if change.removed else []
    lines += [f"unmet: {one}" for one in done.unmet[:_SHOWN]]
    if len(done.unmet) > _SHOWN:
        lines.append(f"unmet: {len(done.unmet) - _SHOWN} more (--report has them)")
    lines += done.remarks
    holds = f"{count_text(done.projects, 'project')}, {count_text(done.files, 'file')} ({size_text(done.size)})"
    coming = f"{count_text(done.fetched, 'file')} ({size_text(done.fetched_size)})"
    if dry_run:
        lines.append(f"{done.replica} holds {holds}; {coming} would come.")
    elif not done.changes and not done.fetched:
        lines.append(f"{done.replica}: nothing {'came' if done.missing else 'new'}; {holds}.")
    else:
        lines.append(f"{done.replica}: {holds}; {coming} came in {duration_text(done.seconds)}.")
    if done.left:
        lines.append(f"{count_text(done.left, 'file')} ({size_text(done.left_size)}) left for the next time.")
    return lines


def _missing(done: "SyncReport") -> list[str]:
    """Return lines on what is missing, one for each reason."""
    together: dict[tuple[str, str], list[str]] = {}
    for one in done.missing:
        together.setdefault((one.reason, one.hint), []).append(one.what)
    lines = []
    for (reason, hint), names in together.items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        lines += [f"missing: {', '.join(names[:_SHOWN])}{more}: {reason}", *([f"  {hint}"] if hint else [])]
    return lines


def _kept(done: "SyncReport") -> list[str]:
    """Return lines on what stays though the upstream has it no more, one for each reason."""
    together: dict[str, list[str]] = {}
    for one in done.kept:
        together.setdefault(one.reason, []).extend(one.files)
    lines = []
    for reason, files in together.items():
        gone = f"{count_text(len(files), 'file')} that the upstream has no more, such as {', '.join(files[:3])}"
        lines.append(f"kept: {gone}: {reason}")
    return [*lines, "  If that is right, sync once with --allow-deletions."] if lines else []


def _files(sign: str, names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{sign}{len(names)}  {shown}{', …' if len(names) > _SHOWN else ''}"
