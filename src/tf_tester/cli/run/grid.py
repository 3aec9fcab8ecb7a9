"""`tf-tester grid`."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace
from packaging.utils import canonicalize_name

from tf_tester.cli.common.detail import environ_with
from tf_tester.cli.common.help import GroupedCommand
from tf_tester.cli.common.options import EPILOG, GivenPath, options
from tf_tester.cli.common.packages import with_indexes
from tf_tester.cli.common.run_outputs import RunOutputs, output_options, outputs_of, recorded_run
from tf_tester.cli.common.running import RUNNING, trial_of
from tf_tester.cli.common.selection import FETCHING, RESOLVING, SELECTING, selection_of, settings_with_locks
from tf_tester.core.text.units import memory_size
from tf_tester.errors import UsageError

if TYPE_CHECKING:
    from tf_tester.core.config.settings import Settings
    from tf_tester.flow.grid.request import GridRequest
    from tf_tester.flow.prepare.services import Services

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
@click.option("--resave", metavar="COMMAND", help="What loads {product} and saves it anew at {target}, for --route.")
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
@click.option(
    "--route",
    metavar="FROM:TO",
    help="Find the way from one version to another, saving anew on the way where that is needed, and go it.",
)
@click.option("--why", is_flag=True, help="Find the release with which neighbours begin to differ.")
@options(*SELECTING, *RESOLVING, *_RUNNING, *FETCHING, "color")
@output_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    file: Path | None,
    save: str | None,
    load: str | None,
    resave: str | None,
    product: str,
    consumers: str | None,
    consumer_package: str | None,
    largest_product: int,
    fresh: bool,
    route: str | None,
    why: bool,
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
      tf-tester grid model_grid.py --versions minors --last 6 --why --route 2.12.0:2.16.1
      tf-tester grid --save 'python train.py {product}' --load 'python predict.py {product}' --versions minors
    """
    from tf_tester.flow.grid.request import GridRequest

    settings = with_indexes(settings_with_locks(ctx.params, ()))
    request = GridRequest(
        file=Path(os.path.abspath(file)) if file is not None else None,  # noqa: PTH100 - links keep their names
        save=_words("--save", save),
        load=_words("--load", load),
        resave=_words("--resave", resave),
        product=product,
        largest=largest_product,
        fresh=fresh,
        why=why,
        route=_ends(route),
    )
    if file is not None and (save or load):
        raise UsageError("A FILE and commands both say what is saved and loaded.", hint="Give one of them.")
    outputs = outputs_of(ctx.params)
    code, record = recorded_run(settings, outputs, _work(settings, request, consumers, consumer_package))
    return _tell(record, code, settings, outputs)


def _words(option: str, text: str | None) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text or ""))
    except ValueError as error:
        raise UsageError(f"{option} is no command: {error}.", hint="Quote it as for a shell.") from error


def _ends(text: str | None) -> tuple[str, str] | None:
    """Return the two versions of `1.2:1.7`."""
    if text is None:
        return None
    start, _, goal = (part.strip() for part in text.partition(":"))
    if not start or not goal or ":" in goal:
        raise UsageError(f"--route {text!r} isn't two versions.", hint="Give them as FROM:TO, such as 1.2:1.7.")
    return start, goal


def _work(
    settings: "Settings", request: "GridRequest", consumers: str | None, consumer_package: str | None
) -> "Callable[[Services], int]":
    """Return what runs the grid, and gives the exit code."""
    from tf_tester.flow.grid.grid import Side, grid
    from tf_tester.wiring import for_package

    trial = trial_of(settings, (request.file,) if request.file is not None else (), request.save)
    selection = selection_of(settings, versions=settings.versions or "")
    loading = selection
    if consumers is not None or consumer_package is not None:
        package = str(canonicalize_name(consumer_package or settings.package))
        loading = replace(selection, package=package, versions=consumers or "", last=None)

    def work(world: "Services") -> int:
        producing = Side(selection, world)
        consuming = producing
        if loading != selection:
            same = loading.package == selection.package
            consuming = Side(loading, world if same else for_package(world, loading.package))
        return grid(request, producing, consuming, trial)

    return work


def _tell(record: Path, code: int, settings: "Settings", outputs: RunOutputs) -> int:
    """Print the report, write what else is wanted, and return the exit code."""
    from tf_tester.core.outcome.exits import gravest
    from tf_tester.report.heat.text import print_grid
    from tf_tester.report.record import report_of

    report = report_of(record)
    print_grid(report, outputs.stream, environ=environ_with(settings.color))
    return gravest([code, outputs.write(record, report)])
