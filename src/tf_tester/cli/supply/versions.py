"""`tf-tester versions`."""

import os
from typing import Any

import click

from tf_tester.cli.common.help import GroupedCommand
from tf_tester.cli.common.options import EPILOG, options, settings_from
from tf_tester.cli.common.selection import FETCHING, SELECTING, listener, selection_of


@click.command(
    "versions", cls=GroupedCommand, epilog=EPILOG, short_help="List what exists: versions, dates, Pythons, sizes."
)
@click.argument("project", required=False, metavar="[PACKAGE]")
@options(*SELECTING, *FETCHING, "color")
@click.option("--json", "as_json", is_flag=True, help="As JSON, one object a line.")
@click.pass_context
def command(ctx: click.Context, /, project: str | None, as_json: bool, **_: Any) -> int:
    """List the versions of a package: when they came out, for which Pythons they have wheels here, how large.

    Pythons that are installed are marked with *. Without --versions all ordinary releases are listed.
    """
    import msgspec

    from tf_tester.core.text.printable import printable
    from tf_tester.core.text.sizes import size_text
    from tf_tester.flow.supply.versions import VersionRow, list_versions
    from tf_tester.wiring import services

    settings = settings_from({**ctx.params, "package": project or ctx.params["package"]}).settings
    selection = selection_of(settings, versions=settings.versions or "all")
    with (
        listener(settings) as show,
        services(settings, lambda _folder: show, environ=os.environ) as world,
    ):
        rows = list_versions(selection, world.packages, world.provisioning.interpreters)
    if as_json:
        for row in rows:
            print(msgspec.json.encode(row).decode())
        return 0

    def cells(row: VersionRow) -> tuple[str, ...]:
        pythons = " ".join(f"{label}{'*' if label in row.installed else ''}" for label in row.pythons)
        yanked = "" if row.yanked is None else f"yanked: {row.yanked}" if row.yanked else "yanked"
        released = f"{row.released:%Y-%m-%d}" if row.released else "-"
        return (
            row.version,
            released,
            size_text(row.size) if row.size else "-",
            pythons or "no wheel here",
            yanked,
        )

    table = [("version", "released", "size", "Pythons (* installed)", ""), *(cells(row) for row in rows)]
    widths = [max(len(words[column]) for words in table) for column in range(4)]
    for words in table:
        print(printable("  ".join(text.ljust(width) for text, width in zip(words, [*widths, 0], strict=True)).rstrip()))
    return 0
