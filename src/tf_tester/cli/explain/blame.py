"""`tf-tester blame`."""

from pathlib import Path
from typing import Any

import click

from tf_tester.cli.common.options import EPILOG, GivenPath, json_option, options, settings_from
from tf_tester.cli.common.output import say, say_json
from tf_tester.cli.common.packages import with_indexes
from tf_tester.cli.common.running import RUNNING, Splitting, evidence_named, recorded, tell_progress, tests_of
from tf_tester.cli.common.selection import FETCHING, RESOLVING, search_listener, selection_of


@click.command(
    "blame",
    cls=Splitting,
    epilog=EPILOG,
    options_metavar="[OPTIONS]",
    short_help="Find the dependencies that make a test fail.",
)
@click.argument("targets", nargs=-1, metavar="[FILE|FOLDER]... [-- COMMAND|ARGUMENTS...]", type=GivenPath())
@click.option(
    "--good",
    default="era",
    show_default=True,
    metavar="era|latest|lowest|FILE",
    help="Dependencies with which the test passes; FILE: a pylock.toml, or what `pip freeze` wrote.",
)
@click.option(
    "--bad", default="latest", show_default=True, metavar="era|latest|lowest|FILE", help="With which it fails."
)
@click.option(
    "--budget",
    type=click.IntRange(min=3),
    default=100,
    show_default=True,
    metavar="CELLS",
    help="Run no more cells than this.",
)
@click.option(
    "--repeat",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Run each cell this many times; one whose result varies is ignored.",
)
@options(
    "package",
    "versions",
    "pre",
    "yanked",
    *(name for name in RESOLVING if name != "resolve"),
    *RUNNING,
    *FETCHING,
    "color",
)
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    targets: tuple[Path, ...],
    good: str,
    bad: str,
    budget: int,
    repeat: int,
    as_json: bool,
    **_: Any,
) -> int:
    """Find the dependencies that make a test fail which passes with others.

    Of what differs between the two, cells with some of it are run until it is known which changes are to blame, each
    set of them no larger than it must be, and with which version of each it begins. The pins that repair it are tried.

    \b
    Examples:
      tf-tester blame my_test.py --versions 2.8.0 --python 3.10
      tf-tester blame tests/ --versions 2.8.0 --bad frozen.txt
    """
    from tf_tester.flow.explain.blame import BlameRequest, blame
    from tf_tester.report.causes import explanation_lines

    settings = with_indexes(settings_from(ctx.params).settings)
    selection = selection_of(settings)
    trial = tests_of(settings, targets, ctx.meta.get("rest", ()))
    with (
        search_listener(settings.color) as show,
        recorded(settings, show) as world,
        evidence_named(world.run.folder),
    ):
        found = blame(selection, trial, world, BlameRequest(good, bad, budget, repeat), tell_progress)
        folder = world.run.folder
    if as_json:
        say_json(found.explanation)
    else:
        say([*explanation_lines(found.explanation), f"Evidence: {folder}"])
    return found.exit_code
