"""`tf-tester shell`."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from tf_tester.cli.common.help import GroupedCommand
from tf_tester.cli.common.options import EPILOG, GivenPath, options
from tf_tester.cli.common.packages import with_indexes, with_packages
from tf_tester.cli.common.selection import FETCHING, RESOLVING, selection_of, settings_with_locks, supply_alone
from tf_tester.model.request import Trial


@click.command("shell", cls=GroupedCommand, epilog=EPILOG, short_help="Open a shell in the environment of one version.")
@click.argument("version")
@click.argument("words", nargs=-1, metavar="[-- COMMAND...]")
@click.option(
    "--locked",
    "locks",
    multiple=True,
    type=GivenPath(),
    metavar="PATH",
    help="Take what this lock, or the lock of that version in this folder, has.",
)
@options("package", "pre", "yanked", *RESOLVING, "with", "requirements", "project", "group", "keep", *FETCHING, "color")
@click.pass_context
def command(ctx: click.Context, /, version: str, words: tuple[str, ...], locks: tuple[Path, ...], **_: Any) -> int:
    """Open a shell in the environment of one version, or run a command there.

    \b
    Examples:
      tf-tester shell 2.8.0
      tf-tester shell 2.8.0 -- python -c 'import tensorflow; print(tensorflow.__version__)'
      tf-tester shell 2.8.0 --locked locks/
    """
    from tf_tester.core.text.printable import printable
    from tf_tester.flow.host.shell import shell
    from tf_tester.wiring import Purpose, services

    settings = with_indexes(settings_with_locks(ctx.params, locks))
    selection = selection_of(settings, versions=version)
    trial = with_packages(Trial(keep=settings.keep), settings)

    def announce(sentence: str) -> None:
        print(f"tf-tester: {printable(sentence)}", file=sys.stderr)

    # A board would be in the way of the shell's own screen, and so would lines that come from time to time.
    show = supply_alone(settings.color)
    with services(settings, lambda _folder: show, environ=os.environ, purpose=Purpose.SHELL) as world:
        return shell(selection, trial, world, command=words, locks=locks, announce=announce)
