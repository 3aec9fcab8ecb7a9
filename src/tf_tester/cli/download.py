"""`tf-tester download`."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from tf_tester.cli.options import EPILOG, options, settings_from
from tf_tester.cli.selecting import FETCHING, RESOLVING, SELECTING, listener, selection_of
from tf_tester.core.printable import printable
from tf_tester.errors import CellRefused
from tf_tester.flow.download import Undelivered
from tf_tester.model.request import Trial


@click.command("download", epilog=EPILOG, short_help="Bring the wheels of many versions into a folder.")
@options(*SELECTING, *RESOLVING, "with", *FETCHING, "color")
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
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("wheels"),
    show_default=True,
    metavar="FOLDER",
    help="Where the wheels go.",
)
@click.pass_context
def command(ctx: click.Context, /, with_dependencies: bool, folder: Path, **_: Any) -> int:
    """Bring the wheels of many versions into a flat folder that pip understands.

    Every file is verified against the index's hash; one that is there already is left alone.

    \b
    Examples:
      tf-tester download --versions 2.4.0,2.8.0,2.12.0 --mirror tuna
      tf-tester download --versions 2.8.0 --with-deps -d wheels
      pip install --no-index --find-links wheels tensorflow==2.8.0
    """
    from tf_tester.core.sizes import size_text
    from tf_tester.flow.download import download
    from tf_tester.wiring import new_run_id, services

    settings = settings_from(ctx.params).settings
    selection = selection_of(settings)
    trial = Trial(requirements=settings.with_)
    with (
        listener(settings) as show,
        services(settings, lambda _folder: show, environ=os.environ, run_id=new_run_id()) as world,
    ):
        delivery = download(selection, trial, world, folder=folder, with_dependencies=with_dependencies)
    for file in delivery.files:
        print(f"{printable(file.filename)}  {size_text(file.size)}{'  (was there)' if file.was_there else ''}")
    new = [file for file in delivery.files if not file.was_there]
    place = printable(str(folder))
    print(
        f"{len(delivery.files)} files in {place}, {len(new)} of them new ({size_text(sum(file.size for file in new))})."
    )
    for failure in delivery.failures:
        _complain(failure)
    return max((failure.error.exit_code for failure in delivery.failures), default=0)


def _complain(failure: Undelivered) -> None:
    """The failure on standard error, the evidence in full."""
    error = failure.error
    outcome = error.outcome if isinstance(error, CellRefused) else "failed"
    print(f"{printable(failure.what)}: {outcome}: {printable(str(error))}", file=sys.stderr)
    for line in (error.hint, *error.detail.splitlines()):
        if line:
            print(f"  {printable(line)}", file=sys.stderr)
