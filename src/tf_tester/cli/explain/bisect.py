"""`tf-tester bisect`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tf_tester.cli.common.options import EPILOG, GivenPath, json_option, options, settings_from
from tf_tester.cli.common.output import say, say_json
from tf_tester.cli.common.packages import with_indexes
from tf_tester.cli.common.running import RUNNING, Splitting, evidence_named, recorded, tests_of
from tf_tester.cli.common.selection import FETCHING, RESOLVING, search_listener, selection_of
from tf_tester.core.text.sizes import count_text
from tf_tester.errors import UsageError

if TYPE_CHECKING:
    from tf_tester.flow.explain.bisect import Bisection
    from tf_tester.flow.explain.probes import Probe


@click.command(
    "bisect",
    cls=Splitting,
    epilog=EPILOG,
    options_metavar="[OPTIONS]",
    short_help="Find the version with which a test begins to fail.",
)
@click.argument("targets", nargs=-1, metavar="[FILE|FOLDER]... [-- COMMAND|ARGUMENTS...]", type=GivenPath())
@click.option("--good", required=True, metavar="VERSION", help="One with which the test passes.")
@click.option(
    "--bad", required=True, metavar="VERSION", help="One with which it fails; older than the other: what repaired it."
)
@click.option(
    "--over",
    metavar="NAME",
    help="Search the versions of this dependency, with the package held at --versions.",
)
@click.option(
    "--repeat",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Run each version this many times; one whose result varies is skipped.",
)
@click.option(
    "--failure",
    "failures",
    multiple=True,
    metavar="TEXT",
    help="Count only failures with these words, of any test; a version with others alone is skipped. Repeatable.",
)
@click.option("--all-transitions", "everywhere", is_flag=True, help="Test every version, and report every change.")
@options("package", "versions", "pre", "yanked", *RESOLVING, *RUNNING, *FETCHING, "color")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    targets: tuple[Path, ...],
    good: str,
    bad: str,
    over: str | None,
    repeat: int,
    failures: tuple[str, ...],
    everywhere: bool,
    as_json: bool,
    **_: Any,
) -> int:
    """Find the version of a package, or of a dependency, with which a test begins to fail.

    What lies between is halved, each version with the dependencies of its own time, so that a dependency isn't taken
    for the package. A version that can't be tested is skipped.

    \b
    Examples:
      tf-tester bisect my_test.py --good 2.4.0 --bad 2.16.1
      tf-tester bisect my_test.py --over numpy --good 1.21.0 --bad 1.26.4 --package tensorflow --versions 2.8.0
    """
    from tf_tester.flow.explain.bisect import BisectRequest, bisect

    settings = with_indexes(settings_from(ctx.params).settings)
    if over is not None and not over.strip():
        raise UsageError("--over is empty.", hint="Name a dependency, such as numpy.")
    selection = selection_of(settings, versions=(settings.versions or "") if over else "latest")
    trial = tests_of(settings, targets, ctx.meta.get("rest", ()))

    def told(probe: "Probe", left: int) -> None:
        left_words = f"  (at most {left} more)" if left else ""
        reason = f"  {probe.summary.splitlines()[0]}" if probe.summary else ""
        text = f"{probe.version} py{probe.python}  {probe.outcome}{reason}{left_words}"
        say([text], sys.stderr)

    request = BisectRequest(good, bad, over, repeat, failures, everywhere)
    with (
        search_listener(settings.color) as show,
        recorded(settings, show) as world,
        evidence_named(world.run.folder),
    ):
        found = bisect(selection, trial, world, request, told)
        folder = world.run.folder
    if as_json:
        say_json(found)
    else:
        say([*_answer(found), f"Evidence: {folder}"])
    return found.exit_code


def _answer(found: "Bisection") -> list[str]:
    from tf_tester.core.verdict.bisect import Mark

    probes = {probe.version: probe for probe in found.probes}
    lines = []
    for change in found.changes:
        before, after = found.versions[change.before], found.versions[change.after]
        fails_now = change.becomes is Mark.BAD
        was, now = ("passes", "fails") if fails_now else ("fails", "passes")
        if change.is_exact:
            lines.append(f"{found.project} {after} is the first that {now}; {before} {was}.")
        else:
            between = found.versions[change.before + 1 : change.after]
            lines.append(
                f"{found.project} {now} from one of {', '.join((*between, after))} on; {before} {was}, "
                f"and what lies between can't be tested here."
            )
        failing = probes.get(after if fails_now else before)
        if failing is not None and failing.summary:
            lines.append(f"  {failing.summary.splitlines()[0]}")
    if not found.changes:
        lines.append("Nothing changes between them, as far as they can be tested here.")
    lines += [f"  {remark}" for remark in found.remarks]
    lines.append(f"{count_text(found.cells, 'cell')} for {count_text(len(found.versions), 'version')}.")
    return lines
