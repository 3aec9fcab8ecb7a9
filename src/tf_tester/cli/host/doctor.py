"""`tf-tester doctor`: see what works on this machine, and what to do about the rest."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tf_tester.cli.common.detail import environ_with
from tf_tester.cli.common.options import EPILOG, GivenPath, json_option, options, settings_from

if TYPE_CHECKING:
    from tf_tester.flow.host.doctor import Check
    from tf_tester.report.lines import Line


@click.command("doctor", epilog=EPILOG, short_help="See what works on this machine.")
@options("mirror", "index-url", "store", "offline", "jobs", "color")
@click.option(
    "--private",
    type=GivenPath(file_okay=False),
    metavar="FOLDER",
    help="Look at this folder of private projects, too; those that this store knows of are looked at anyway.",
)
@json_option
@click.pass_context
def command(ctx: click.Context, /, private: Path | None, as_json: bool, **_: Any) -> int:
    """See what works on this machine, and what to do about the rest.

    The exit code is 0 where tests can be run, 4 where uv, a Python or a place for the store is missing.
    What is damaged in the store, or of private projects, is named with what mends it. Nothing is changed, and nothing
    but one page of the index is fetched.
    """
    from tf_tester.flow.host.doctor import can_run, diagnose
    from tf_tester.report.lines import as_text, wants_colour, write
    from tf_tester.wiring import machine

    settings = settings_from(ctx.params).settings
    with machine(settings, environ=os.environ, private=private) as seen:
        checks = diagnose(seen)
    if as_json:
        write(sys.stdout, _as_json(checks, can_run(checks)) + "\n")
    else:
        write(sys.stdout, as_text(_lines(checks), colour=wants_colour(sys.stdout, environ_with(settings.color))))
    return 0 if can_run(checks) else 4


def _as_json(checks: "list[Check]", can_run: bool) -> str:
    import json

    from msgspec.structs import asdict

    return json.dumps({"can_run": can_run, "checks": [asdict(check) for check in checks]}, indent=2)


def _lines(checks: "list[Check]") -> "list[Line]":
    from tf_tester.flow.host.doctor import CheckState
    from tf_tester.report.lines import Span, Style, line

    styles = {CheckState.OK: Style.GOOD, CheckState.WARN: Style.ODD, CheckState.BAD: Style.BAD}
    width = max(len(check.name) for check in checks)
    indent = " " * (6 + width + 2)
    lines = []
    for check in checks:
        state = Span(f"{check.state:<4}", styles[check.state])
        lines.append(line(state, f"  {check.name:{width}}  {check.finding}"))
        lines += [line(Span(indent + detail, Style.FAINT)) for detail in check.details]
        if check.advice:
            lines.append(line(indent, Span(check.advice, Style.STRONG)))
    return lines
