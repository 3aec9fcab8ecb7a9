"""`tf-tester cache`: what the store holds, and what is to become of it."""

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from tf_tester.cli.common.help import CommandGroup
from tf_tester.cli.common.options import EPILOG, GivenPath, json_option, options, settings_from
from tf_tester.core.text.printable import printable
from tf_tester.core.text.sizes import count_text, size_text
from tf_tester.errors import OurFailure, UsageError

if TYPE_CHECKING:
    from datetime import timedelta

    from tf_tester.flow.host.cache import StoredVersion
    from tf_tester.ports.store import StoreContents

_SMALL = 10_000_000
"""Bytes below which versions are only summed up."""


@click.group(
    "cache",
    cls=CommandGroup,
    invoke_without_command=True,
    epilog=EPILOG,
    short_help="See, limit, check and carry the store.",
)
@options("store")
@click.option("--all", "everything", is_flag=True, help="Show small versions, too.")
@json_option
@click.pass_context
def command(ctx: click.Context, /, everything: bool, as_json: bool, **_: Any) -> int:
    """Show what the store holds, by version, and when it was last used."""
    if ctx.invoked_subcommand is not None:
        return 0
    from tf_tester.flow.host.cache import rows
    from tf_tester.wiring.store import store_maintenance

    settings = settings_from(ctx.params).settings
    if not _is_there(settings.store):
        return 0
    with store_maintenance(settings) as store:
        contents = store.contents()
    found = rows(contents)
    if as_json:
        import msgspec

        for row in found:
            print(msgspec.json.encode(row).decode())
        return 0
    shown = [row for row in found if everything or row.size >= _SMALL]
    _table(shown)
    rest = [row for row in found if row not in shown]
    if rest:
        small = count_text(len(rest), "smaller version")
        print(f"{small}: {size_text(sum(row.size for row in rest))} (--all shows {'it' if len(rest) == 1 else 'them'})")
    print(printable(_summary(contents, settings.store)))
    return 0


@command.command("gc", epilog=EPILOG, short_help="Delete what has not been used for long.")
@options("store", "package")
@click.option("--max-size", metavar="SIZE", help="How large it may be, such as 20GB.  [default: store-size]")
@click.option(
    "--keep", "kept", multiple=True, metavar="VERSIONS|LOCK", help="Never delete these, nor those of store-keep."
)
@click.option("--unused-for", metavar="DURATION", help="Delete everything unused for this long, such as 90d.")
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@click.pass_context
def gc(
    ctx: click.Context,
    /,
    max_size: str | None,
    kept: tuple[str, ...],
    unused_for: str | None,
    dry_run: bool,
    **_: Any,
) -> int:
    """Delete the least recently used files and layers until the store is small enough.

    What a running job needs stays, and so do the versions to keep with all that their locks need. Without a size only
    rubbish is deleted: what has arrived of files that nobody came back for in a week.

    \b
    Examples:
      tf-tester cache gc --max-size 20GB --keep lts
      tf-tester cache gc --unused-for 90d --keep '2.8.*' --keep pylock.toml
    """
    from packaging.utils import canonicalize_name

    from tf_tester.flow.host.cache import collect
    from tf_tester.wiring.store import store_maintenance

    settings = settings_from(ctx.params).settings
    most = settings.store_size if max_size is None else _size(max_size)
    if not _is_there(settings.store):
        return 0
    with store_maintenance(settings) as store:
        done = collect(
            store,
            most=most,
            keep=[*settings.store_keep, *kept],
            package=str(canonicalize_name(settings.package)),
            unused_for=_duration(unused_for),
            dry_run=dry_run,
        )
    for entry in done.gone if dry_run else ():
        name = entry.filename or f"{entry.project} {entry.version}".strip() or entry.digest[:16]
        print(printable(f"{entry.kind:7}  {size_text(entry.size):>7}  last used {entry.used:%Y-%m-%d}  {name}"))
    count = count_text(len(done.gone), "item")
    head = f"{count} would be deleted" if dry_run else f"deleted: {count}"
    print(f"{head}, {size_text(done.freed)}; {size_text(done.left)} left.")
    if done.needed:
        needed = len(done.needed)
        print(f"{needed} stayed because a running job needs {'it' if needed == 1 else 'them'}.")
    if most is not None and done.left > most:
        print(f"That is more than {size_text(most)}: the rest is kept, in use, or not ours to delete (runs, kept).")
    return 0


@command.command("verify", epilog=EPILOG, short_help="Check every file against its hash.")
@options("store")
@click.pass_context
def verify(ctx: click.Context, /, **_: Any) -> int:
    """Check every file against its SHA-256, every layer against its wheel's RECORD, and the ledger.

    What is damaged is taken away: it is fetched or made again when it is needed; of a file only the pieces that are
    wrong, where it was fetched by a version that kept sums of them. A layer that a running job needs stays:
    check again when that has ended. The exit code is 1 where something is damaged.
    """
    from tf_tester.flow.host.cache import verify as check
    from tf_tester.wiring.store import store_maintenance

    settings = settings_from(ctx.params).settings
    if not _is_there(settings.store):
        return 0
    with store_maintenance(settings) as store:
        found = check(
            store,
            lambda one: print(
                printable(f"damaged {one.entry.kind} {one.entry.filename or one.entry.digest}: {one.trouble}"),
                flush=True,
            ),
        )
    count, stayed = len(found.damaged), len(found.needed)
    gone = " and taken away" if count else ""
    if stayed:
        gone += f", {stayed} of them stayed because a running job needs {'it' if stayed == 1 else 'them'}"
    if found.ledger:
        print(printable(f"damaged ledger, mended: {found.ledger}"))
    print(f"{found.count} looked at, {count} damaged{gone}.")
    return int(bool(found.damaged or found.ledger))


@command.command("export", epilog=EPILOG, short_help="Pack a part of the store into one file.")
@click.argument("file", type=GivenPath(dir_okay=False))
@options("package", "versions", "mirror", "trust", "index-url", "store", "offline")
@click.option("--fetch", is_flag=True, help="Fetch what is needed and is here only unpacked, or not any more.")
@click.pass_context
def export(ctx: click.Context, /, file: Path, fetch: bool, **_: Any) -> int:
    """Pack what versions need into one file, for a machine without a network.

    Without --versions everything goes. Nobody is asked for anything, unless --fetch is given. The other machine takes
    it in with `tf-tester cache import`.
    """
    from tf_tester.cli.common.selection import listener
    from tf_tester.flow.supply.bundle import pack
    from tf_tester.wiring import TOOL, services
    from tf_tester.wiring.store import packing

    settings = settings_from(ctx.params).settings
    settings = replace(settings, offline=settings.offline or not fetch)
    with (
        listener(settings) as show,
        services(settings, lambda _folder: show, environ=os.environ) as world,
        packing(settings) as packer,
    ):
        packed = pack(
            file,
            world.packages,
            world.storage.blobs,
            packer,
            wanted=(settings.package, settings.versions),
            fetch=fetch and not settings.offline,
            tool=TOOL,
        )
    files, answers = count_text(packed.files, "file"), count_text(packed.answers, "answer")
    print(printable(f"{files} and {answers} in {file}, {size_text(packed.size)}."))
    return 0


@command.command("import", epilog=EPILOG, short_help="Import what `cache export` has packed.")
@click.argument("file", type=GivenPath(dir_okay=False))
@options("store")
@click.option("--files-only", is_flag=True, help="Believe nothing but hashes: no pages, no locks.")
@click.pass_context
def import_(ctx: click.Context, /, file: Path, files_only: bool, **_: Any) -> int:
    """Take in what `tf-tester cache export` has packed on another machine.

    Every file is hashed on its way in. Pages and locks are believed as the store's own: take them only from people
    whom you trust, or use --files-only. Of a file that was cut off or damaged on the way all comes in that is whole;
    the exit code is 4 then.
    """
    from tf_tester.wiring.store import unpack

    settings = settings_from(ctx.params).settings
    carried = unpack(settings, file, files_only=files_only)
    there = f", {carried.were_there} already there" if carried.were_there else ""
    files, answers = count_text(carried.files, "file"), count_text(carried.answers, "answer")
    print(f"{files} came in, {size_text(carried.size)}{there}; {answers}.")
    if carried.trouble:
        raise OurFailure(
            carried.trouble,
            hint="What is whole has come in. Copy the file again, or pack it anew, and import that for the rest.",
        )
    return 0


@command.command("replicas", epilog=EPILOG, short_help="See the replicas that `tf-tester sync` keeps here.")
@options("store")
@click.option("--forget", metavar="NAME", help="Stop keeping this one; its files are deleted when they are due.")
@click.pass_context
def replicas_(ctx: click.Context, /, forget: str | None, **_: Any) -> int:
    """Show the replicas in the store, and when each was last synced. What they list is never deleted."""
    from tf_tester.wiring import replicas

    settings = settings_from(ctx.params).settings
    if not _is_there(settings.store):
        return 0
    if forget is not None:
        replicas.forget(settings, forget)
        print(printable(f"{forget} is kept no longer; its files are deleted when they are due."))
    for name, head in replicas.all_replicas(settings).items():
        rest = "" if head.complete else "; something is missing"
        print(printable(f"{name}  synced {head.synced:%Y-%m-%d %H:%M} UTC{rest}"))
    return 0


_by_its_old_name = copy.copy(replicas_)
_by_its_old_name.hidden = True
command.add_command(_by_its_old_name, "mirrors")


def _is_there(store: Path) -> bool:
    """Return whether there is a store; looking at it is no reason to make one."""
    if not store.is_dir():
        print(printable(f"There is no store yet at {store}."))
    return store.is_dir()


def _table(found: "Sequence[StoredVersion]") -> None:
    if not found:
        return
    lines = [("project", "version", "packed", "unpacked", "last used")]
    lines += [
        (row.project, row.version, _dash(row.packed), _dash(row.unpacked), f"{row.used:%Y-%m-%d}") for row in found
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    for line in lines:
        left = f"{line[0]:{widths[0]}}  {line[1]:{widths[1]}}"
        print(printable(f"{left}  {line[2]:>{widths[2]}}  {line[3]:>{widths[3]}}  {line[4]}"))


def _dash(size: int) -> str:
    return size_text(size) if size else "-"


def _summary(contents: "StoreContents", store: Path) -> str:
    parts = {"runs": contents.runs, "kept environments": contents.kept}
    more = "".join(f", {name} {size_text(size)}" for name, size in parts.items() if size > 1_000_000)
    return f"{size_text(contents.total)} in {store}{more}"


def _size(text: str) -> int:
    from tf_tester.core.text.units import store_size

    try:
        return store_size(text)
    except ValueError as error:
        raise UsageError(f"--max-size must be {error}, not '{text}'") from None


def _duration(text: str | None) -> "timedelta | None":
    from tf_tester.core.text.units import duration

    try:
        return None if text is None else duration(text)
    except ValueError as error:
        raise UsageError(f"--unused-for must be {error}, not '{text}'") from None
