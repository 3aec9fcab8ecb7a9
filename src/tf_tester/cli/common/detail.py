"""How much a command tells, and in which colours: `-v`, `-q`, `--color`."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tf_tester.errors import UsageError

if TYPE_CHECKING:
    from tf_tester.report.words import Detail

Command = TypeVar("Command", bound=Callable[..., Any])


def detail_options(command: Command) -> Command:
    """Decorate a click command with `-v` and `-q`; `detail_of` makes sense of them."""
    command = click.option(
        "-q",
        "--quiet",
        is_flag=True,
        help="Tell only which versions work, and what failed; nothing while it runs.",
    )(command)
    return click.option(
        "-v",
        "--verbose",
        count=True,
        help="Tell what every test came to in every cell, all kinds of failure and all lines of a build.",
    )(command)


def detail_of(verbose: int, quiet: bool) -> "Detail":
    """Return how much is told. Raises `UsageError` where both more and less is asked for."""
    from tf_tester.report.words import Detail

    if verbose and quiet:
        raise UsageError("-v asks for more, and -q for less.", hint="Give one of them.")
    return Detail.WHOLE if verbose else Detail.QUIET if quiet else Detail.USUAL


def environ_with(color: str) -> dict[str, str]:
    """Return the variables as reports read them, what `--color` says first."""
    environ = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    match color:
        case "always":
            return {**environ, "FORCE_COLOR": "1"}
        case "never":
            return {**environ, "NO_COLOR": "1"}
        case _:
            return dict(os.environ)
