"""`tf-tester private`: what was uploaded to a server, yanked, removed and taken back."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from packaging.utils import canonicalize_name

from tf_tester.cli.common.help import CommandGroup
from tf_tester.cli.common.options import EPILOG, options, settings_from
from tf_tester.cli.common.output import say
from tf_tester.core.text.sizes import size_text

if TYPE_CHECKING:
    from tf_tester.serve.private import PrivateFolder

_FOLDER = click.option(
    "--private",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    metavar="FOLDER",
    help="The folder that `tf-tester serve --private` has.",
)
_PROJECT = click.argument("project")
_WHICH = click.argument("which", metavar="VERSION|FILE")


@click.group(
    "private", cls=CommandGroup, epilog=EPILOG, short_help="Yank, remove and restore what was uploaded to a server."
)
def command() -> None:
    """Look after the private projects of `tf-tester serve`; servers that run show a change at once.

    A file name that was taken stays taken: only the same bytes come back under it.

    \b
    Examples:
      tf-tester private list my-model --private ./packages
      tf-tester private yank my-model 1.2 --reason "wrong weights" --private ./packages
      tf-tester private remove my-model 1.1 --private ./packages
      tf-tester private restore my-model 1.1 --private ./packages
    """


@command.command("list", short_help="List projects, or the files of one.")
@click.argument("project", required=False)
@_FOLDER
def show(project: str | None, folder: Path) -> int:
    """Show the projects, or what there is of one."""
    from tf_tester.serve.private_changes import private_files

    private = _opened(folder)
    if project is None:
        say(private.names or ["There are none."])
        return 0
    for one in private_files(private, str(canonicalize_name(project))):
        artifact = one.artifact
        size = "" if artifact.size is None else f"  {size_text(artifact.size)}"
        when = "" if artifact.upload_time is None else f"  {artifact.upload_time:%Y-%m-%d}"
        why = f": {artifact.yanked}" if artifact.yanked else ""
        say([f"{artifact.filename}{size}{when}  {one.state}{why}"])
    return 0


@command.command("yank", short_help="Let nobody take a version who doesn't ask for just that one.")
@_PROJECT
@_WHICH
@_FOLDER
@click.option("--reason", default="", metavar="TEXT", help="What is wrong with it; clients show it.")
def yank(project: str, which: str, folder: Path, reason: str) -> int:
    """Yank a version or a file (PEP 592): locks that have it go on working."""
    from tf_tester.serve.private_changes import yank as change

    return _done("yanked", project, folder, lambda private, name: change(private, name, which, reason))


@command.command("remove", short_help="Take a version off its page.")
@_PROJECT
@_WHICH
@_FOLDER
@click.option("--for-good", is_flag=True, help="Delete its bytes, too: it can't be restored.")
def remove(project: str, which: str, folder: Path, for_good: bool) -> int:
    """Remove a version or a file: nobody gets it any more, and it can be restored."""
    from tf_tester.serve.private_changes import remove as change

    return _done("removed", project, folder, lambda private, name: change(private, name, which, for_good=for_good))


@command.command("restore", short_help="Take back that a version was yanked or removed.")
@_PROJECT
@_WHICH
@_FOLDER
def restore(project: str, which: str, folder: Path) -> int:
    """Restore a version or a file that was yanked or removed."""
    from tf_tester.serve.private_changes import restore as change

    return _done("restored", project, folder, lambda private, name: change(private, name, which))


@command.command("verify", short_help="Read all that was uploaded.")
@_FOLDER
def verify(folder: Path) -> int:
    """Check every file against the SHA-256 that it was uploaded with, and every page against its sum.

    Nothing is taken away: restore from a backup what is damaged. The exit code is 1 where something is.
    """
    from tf_tester.serve.private_changes import damaged

    found: list[str] = []
    count = damaged(_opened(folder), found.append)
    say([*found, f"{count} looked at, {len(found)} damaged."])
    return int(bool(found))


@command.command("forget", short_help="Let go of a name whose project is gone.")
@_PROJECT
@_FOLDER
@options("store")
@click.pass_context
def forget(ctx: click.Context, /, project: str, folder: Path, **_: Any) -> int:
    """Let the public project of a name be served again: nothing is left of what was uploaded under it.

    Its folder is to be moved away before. Give the store of the server (--store), which remembers the name, too.
    """
    from tf_tester.serve.private_changes import forget as change

    change(_opened(folder, settings_from(ctx.params).settings.store), name := str(canonicalize_name(project)))
    say([f"{name} is not private any more."])
    return 0


def _done(what: str, project: str, folder: Path, change: "Callable[[PrivateFolder, str], list[str]]") -> int:
    say(f"{name} is {what}." for name in change(_opened(folder), str(canonicalize_name(project))))
    return 0


def _opened(folder: Path, store: Path | None = None) -> "PrivateFolder":
    from tf_tester.serve.private import PrivateFolder

    return PrivateFolder(folder, store)
