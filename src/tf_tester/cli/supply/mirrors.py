"""`tf-tester mirrors`: what mirrors there are, and what an index is good for."""

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from tf_tester.cli.common.detail import environ_with
from tf_tester.cli.common.help import CommandGroup
from tf_tester.cli.common.options import EPILOG, json_option, options, settings_from
from tf_tester.cli.common.selection import selection_of
from tf_tester.cli.supply.mirror_settings import reset, show, use

if TYPE_CHECKING:
    from tf_tester.core.fetch.ranking import MirrorComparison
    from tf_tester.core.index.conformance import ConformanceFinding
    from tf_tester.flow.supply.list_mirrors import MirrorRow
    from tf_tester.report.lines import Line


@click.group(
    "mirrors", cls=CommandGroup, invoke_without_command=True, epilog=EPILOG, short_help="See and examine mirrors."
)
@options("store", "color")
@click.option("--refresh", is_flag=True, help="Ask MirrorZ first how up to date its members are.")
@json_option
@click.pass_context
def command(ctx: click.Context, /, refresh: bool, as_json: bool, **_: Any) -> int:
    """List the mirrors that --mirror knows by name, with what is remembered of them.

    A file mirrors.toml in the user's configuration folder adds others, or replaces them by name.
    """
    if ctx.invoked_subcommand is not None:
        return 0
    from tf_tester.wiring.mirror_services import mirror_rows, refresh_feeds

    settings = settings_from(ctx.params).settings
    if refresh:
        refresh_feeds(settings, environ=os.environ)
    rows = mirror_rows(settings)
    if as_json:
        _print_json(rows)
    else:
        _show(_rows_as_lines(rows), settings.color)
    return 0


@command.command("bench", epilog=EPILOG, short_help="Find the fastest mirrors for what you want.")
@click.argument("names", nargs=-1, metavar="[NAME|URL]...")
@options("package", "versions", "last", "pre", "yanked", "python", "index-url", "store", "color")
@json_option
@click.pass_context
def bench(ctx: click.Context, /, names: tuple[str, ...], as_json: bool, **_: Any) -> int:
    """Compare mirrors for the wheels that you want: who has them, how fast they come, and whether they are right.

    Without names all known mirrors are compared, as --mirror auto does; without --versions for the latest one. Some
    2 MB come from each.
    """
    from tf_tester.flow.supply.compare_mirrors import wheels_of
    from tf_tester.wiring import services

    settings = settings_from(ctx.params).settings
    selection = selection_of(settings, versions=settings.versions or "latest")
    with services(settings, lambda _folder: lambda _event: None, environ=os.environ) as world:
        comparison = world.packages.compare(wheels_of(selection, world), names)
    if as_json:
        _print_json([comparison])
    else:
        _show(_comparison_as_lines(comparison), settings.color)
    return 0 if any(one.seconds is not None for one in comparison.ranked) else 4


@command.command("check", epilog=EPILOG, short_help="Examine an index against the authority.")
@click.argument("mirror", metavar="NAME|URL")
@options("package", "index-url", "store", "color")
@json_option
@click.pass_context
def check(ctx: click.Context, /, mirror: str, as_json: bool, **_: Any) -> int:
    """Examine how an index serves one project: what it lacks, what it loses, what it says wrongly.

    The exit code is 1 where it says something else than the authority.
    """
    from tf_tester.core.index.conformance import Grade
    from tf_tester.core.index.simple import canonical
    from tf_tester.errors import UsageError
    from tf_tester.flow.supply.examine_index import examine
    from tf_tester.index.mirror_files import known_mirrors
    from tf_tester.wiring.mirror_services import examiner

    known = known_mirrors().named(mirror)
    if known is None:
        raise UsageError("none is not a mirror.", hint="Give a name that `tf-tester mirrors` lists, or an address.")
    settings = settings_from(ctx.params).settings
    with examiner(settings, known.url, environ=os.environ) as world:
        findings = examine(known.url, canonical(settings.package), world)
    if as_json:
        _print_json(findings)
    else:
        _show(_findings_as_lines(findings), settings.color)
    return int(any(finding.grade is Grade.WRONG for finding in findings))


command.add_command(use)
command.add_command(reset)
command.add_command(show)


def _print_json(values: "list[MirrorRow] | list[ConformanceFinding] | list[MirrorComparison]") -> None:
    import msgspec

    for value in values:
        print(msgspec.json.encode(value).decode())


def _show(lines: "list[Line]", color: str) -> None:
    from tf_tester.report.lines import as_text, wants_colour, write

    write(sys.stdout, as_text(lines, colour=wants_colour(sys.stdout, environ_with(color))))


def _rows_as_lines(rows: "list[MirrorRow]") -> "list[Line]":
    from tf_tester.core.index.feeds import FeedState
    from tf_tester.core.text.sizes import count_text, size_text
    from tf_tester.report.lines import Span, Style, line

    width = max(len(row.name) for row in rows)
    lines = []
    for row in rows:
        seen = [f"{count_text(row.right, 'file')} right"] if row.right else []
        seen += [f"{size_text(row.speed)}/s"] if row.speed else []
        where = f"{row.operator}, {row.region}" if row.region else row.operator
        parts: list[str | Span] = [
            Span(f"{row.name:{width}}", Style.STRONG),
            f"  {where}",
            f"; {', '.join(seen)}" if seen else "",
        ]
        if row.cooldown_until is not None:
            parts.append(Span(f"  cooldown until {row.cooldown_until:%Y-%m-%d}: it gave wrong bytes", Style.BAD))
        if row.feed is not None:
            when = f" {row.feed.filled:%Y-%m-%d %H:%M} UTC" if row.feed.filled else ""
            bad = row.feed.state in (FeedState.FAILED, FeedState.PAUSED)
            parts.append(Span(f"  {row.feed.state}{', last' if bad else ''}{when}", Style.ODD if bad else Style.FAINT))
        lines.append(line(*parts))
        filled = f"Filled from {row.copies}: the two count as one. " if row.copies else ""
        if filled or row.notes:
            lines.append(line(Span(f"{'':{width}}  {filled}{row.notes}".rstrip(), Style.FAINT)))
    return lines


def _comparison_as_lines(comparison: "MirrorComparison") -> "list[Line]":
    from tf_tester.core.text.sizes import count_text, duration_text, size_text
    from tf_tester.model.source import AUTHORITY
    from tf_tester.report.lines import Span, Style, line

    wanted, authority = comparison.wanted, comparison.authority
    files = count_text(wanted.count, "file")
    lines = [line(f"For {files} of {size_text(wanted.size)}:")]
    width = max([len(AUTHORITY), *(len(one.observation.name) for one in comparison.ranked)])
    for one in comparison.ranked:
        usable = one.seconds is not None
        style = Style.GOOD if one.chosen else Style.PLAIN if usable else Style.FAINT
        words = [f"in {duration_text(one.seconds)}"] if one.seconds is not None else []
        mark = "*" if one.chosen else " " if usable else "-"
        lines.append(
            line(Span(f"{mark} {one.observation.name:{width}}", style), f"  {', '.join([*words, *one.reasons])}")
        )
    if authority.rate:
        alone = (authority.first_byte or 0.0) * wanted.count + wanted.size / authority.rate
        told = f"in {duration_text(alone)}, {size_text(authority.rate)}/s"
    else:
        told = authority.trouble
    lines.append(line(f"  {AUTHORITY:{width}}  {told}"))
    chosen = " and ".join(comparison.chosen)
    if not chosen and authority.trouble:
        lines.append(line("Neither a mirror nor the authority can be used."))
    else:
        lines.append(line(f"--mirror auto would take {chosen or 'the authority alone'}."))
    return lines


def _findings_as_lines(findings: "list[ConformanceFinding]") -> "list[Line]":
    from tf_tester.core.index.conformance import Grade
    from tf_tester.report.lines import Span, Style, line

    styles = {Grade.OK: Style.GOOD, Grade.LESS: Style.ODD, Grade.WRONG: Style.BAD}
    width = max(len(finding.what) for finding in findings)
    return [line(Span(f"{one.grade:<5}", styles[one.grade]), f"  {one.what:{width}}  {one.told}") for one in findings]
