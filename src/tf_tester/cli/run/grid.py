"""`tf-tester grid`."""

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click
from msgspec.structs import replace
from packaging.utils import canonicalize_name

from tf_tester.cli.common.detail import environ_with
from tf_tester.cli.common.help import GroupedCommand
from tf_tester.cli.common.options import EPILOG, GivenPath, options
from tf_tester.cli.common.packages import with_indexes
from tf_tester.cli.common.reports import STDOUT, TESTS, wanted_reports, write_reports
from tf_tester.cli.common.running import RUNNING, recorded, trial_of
from tf_tester.cli.common.selection import FETCHING, RESOLVING, SELECTING, listener, selection_of, settings_with_locks
from tf_tester.core.text.units import memory_size
from tf_tester.errors import UsageError

if TYPE_CHECKING:
    from tf_tester.core.config.settings import Settings
    from tf_tester.flow.grid.request import GridRequest

_RUNNING = tuple(name for name in RUNNING if name not in ("runner", "keep", "cache"))
_LARGEST = "1G"


def _size(_context: click.Context, _parameter: click.Parameter, text: str) -> int:
    try:
        return memory_size(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not {error}.") from None


@click.command(
    "grid",
    cls=GroupedCommand,
    epilog=EPILOG,
    options_metavar="[OPTIONS]",
    short_help="Load under each version what each version has saved.",
)
@click.argument("file", required=False, metavar="[FILE]", type=GivenPath())
@click.option("--save", metavar="COMMAND", help="What saves, instead of a FILE; {product} stands for the path.")
@click.option("--load", metavar="COMMAND", help="What loads; {product} is the path, {producer} who saved: toy==1.0.")
@click.option(
    "--product",
    default="product",
    metavar="NAME",
    help="The last part of {product}, for libraries that ask for a suffix: model.keras.  [default: product]",
)
@click.option("--consumers", metavar="VERSIONS", help="The versions that load.  [default: those that save]")
@click.option("--consumer-package", metavar="NAME", help="Another package that loads, such as tf-keras.")
@click.option(
    "--largest-product",
    callback=_size,
    default=_LARGEST,
    metavar="SIZE",
    help=f"Refuse a product whose files have more.  [default: {_LARGEST}]",
)
@click.option("--fresh", is_flag=True, help="Start an interpreter for each product, also where a fork of one would do.")
@options(*SELECTING, *RESOLVING, *_RUNNING, *FETCHING, "color")
@click.option(
    "--json",
    "json_file",
    type=GivenPath(dir_okay=False, allow_dash=True),
    is_flag=False,
    flag_value="-",
    metavar="[FILE]",
    help="Print JSON, a line for each event, and the report on standard error; with FILE write it there.",
)
@click.option("--report", "reports", multiple=True, metavar="FORMAT=FILE", help="Write a report, too. Repeatable.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    file: Path | None,
    save: str | None,
    load: str | None,
    product: str,
    consumers: str | None,
    consumer_package: str | None,
    largest_product: int,
    fresh: bool,
    json_file: Path | None,
    reports: tuple[str, ...],
    **_: Any,
) -> int:
    """Have each version save something, and load it under each other.

    FILE has functions marked with @producer and @consumer of tf_tester_helper; --save and --load are commands that do
    the same. Each product is loaded under each version in a process of its own, sandboxed as tests are. Where it is
    known of a framework that this works, it is a fork of one that has imported it, unless anything goes wrong in it.

    \b
    Examples:
      tf-tester grid model_grid.py --package scikit-learn --versions minors --last 5
      tf-tester grid model_grid.py --versions 2.4.0,2.8.0 --consumers 2.12.0,2.15.1
      tf-tester grid --save 'python train.py {product}' --load 'python predict.py {product}' --versions minors
    """
    from tf_tester.flow.grid.request import GridRequest

    settings = with_indexes(settings_with_locks(ctx.params, ()))
    request = GridRequest(
        file=Path(os.path.abspath(file)) if file is not None else None,  # noqa: PTH100 - links keep their names
        save=_words("--save", save),
        load=_words("--load", load),
        product=product,
        largest=largest_product,
        fresh=fresh,
    )
    if file is not None and (save or load):
        raise UsageError("A FILE and commands both say what is saved and loaded.", hint="Give one of them.")
    if json_file is not None and json_file != STDOUT and json_file.suffix in TESTS and json_file.exists():
        raise UsageError(f"--json would write the record over {json_file}.", hint="Name another file.")
    wanted = wanted_reports(reports)
    if [json_file == STDOUT, *(one.file == STDOUT for one in wanted)].count(True) > 1:
        raise UsageError("Two things are to be written to standard output.", hint="Give one of them a file.")
    record, code = _run(settings, request, consumers, consumer_package)
    return _tell(record, code, settings, json_file, wanted)


def _words(option: str, text: str | None) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text or ""))
    except ValueError as error:
        raise UsageError(f"{option} is no command: {error}.", hint="Quote it as for a shell.") from error


def _run(
    settings: "Settings", request: "GridRequest", consumers: str | None, consumer_package: str | None
) -> tuple[Path, int]:
    """Run the grid, and return its record and the exit code."""
    from tf_tester.flow.grid.grid import Side, grid
    from tf_tester.wiring import for_package

    trial = trial_of(settings, (request.file,) if request.file is not None else (), request.save)
    selection = selection_of(settings, versions=settings.versions or "")
    loading = selection
    if consumers is not None or consumer_package is not None:
        package = str(canonicalize_name(consumer_package or settings.package))
        loading = replace(selection, package=package, versions=consumers or "", last=None)
    with listener(settings) as show, recorded(settings, show) as world:
        producing = Side(selection, world)
        consuming = producing
        if loading != selection:
            same = loading.package == selection.package
            consuming = Side(loading, world if same else for_package(world, loading.package))
        code = grid(request, producing, consuming, trial)
        return world.run.folder / "record.jsonl", code


def _tell(record: Path, code: int, settings: "Settings", json_file: Path | None, wanted: Any) -> int:
    """Print the report, write what else is wanted, and return the exit code."""
    from tf_tester.core.outcome.exits import gravest
    from tf_tester.flow.prepare.wheel_folder import folder_errors
    from tf_tester.report.heat.text import print_grid
    from tf_tester.report.record import report_of

    report = report_of(record)
    stream: TextIO = sys.stderr if STDOUT in (json_file, *(one.file for one in wanted)) else sys.stdout
    print_grid(report, stream, environ=environ_with(settings.color))
    if json_file == STDOUT:
        with record.open(encoding="utf-8") as lines:
            shutil.copyfileobj(lines, sys.stdout)
    elif json_file is not None:
        with folder_errors(json_file):
            shutil.copyfile(record, json_file)
    return gravest([code, write_reports(report, wanted)])
