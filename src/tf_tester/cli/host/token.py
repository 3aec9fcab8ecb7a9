"""`tf-tester token`: who may read from a server, and who may upload to it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
from packaging.utils import canonicalize_name

from tf_tester.cli.common.help import CommandGroup
from tf_tester.cli.common.options import EPILOG, GivenPath
from tf_tester.cli.common.output import say
from tf_tester.core.text.printable import printable
from tf_tester.core.text.units import duration
from tf_tester.errors import UsageError

if TYPE_CHECKING:
    from tf_tester.core.access.tokens import Token

_FILE = click.option(
    "--tokens",
    type=GivenPath(dir_okay=False),
    metavar="FILE",
    help="Where they are kept.  [default: beside tf-tester's configuration]",
)


@click.group("token", cls=CommandGroup, epilog=EPILOG, short_help="Make and revoke tokens for a server.")
def command() -> None:
    """Make and revoke tokens for `tf-tester serve`.

    Only the SHA-256 of a token is kept, so that it is shown once.

    \b
    Examples:
      tf-tester token create ci
      tf-tester token create prometheus --metrics
      tf-tester token create release --upload --project my-model --lasts 90d
      pip install --index-url http://__token__:TOKEN@index.example:8080/simple/ my-model
    """


@command.command("create", short_help="Make a token.")
@click.argument("name")
@_FILE
@click.option("--upload", is_flag=True, help="Let it upload, too.")
@click.option("--metrics", is_flag=True, help="Let it see /metrics and /status/, and nothing else.")
@click.option(
    "--project", "projects", multiple=True, metavar="NAME", help="Only to these (uploads); * stands for anything."
)
@click.option(
    "--reads",
    multiple=True,
    metavar="NAME",
    help="Of private projects only these, and those it uploads to; * stands for anything.",
)
@click.option("--no-private", is_flag=True, help="Let it read no private project, but those it uploads to.")
@click.option("--lasts", metavar="DURATION", help="How long it is valid, such as 90d.  [default: until it is revoked]")
def create(
    name: str,
    tokens: Path | None,
    upload: bool,
    metrics: bool,
    lasts: str | None,
    no_private: bool,
    **names: tuple[str, ...],
) -> int:
    """Make a token and print it."""
    from tf_tester.core.access.tokens import TokenScope
    from tf_tester.serve.clients.tokens import TokenWish
    from tf_tester.wiring.serving import token_file

    projects, reads = (tuple(str(canonicalize_name(one)) for one in names[which]) for which in ("projects", "reads"))
    if projects and not upload:
        raise UsageError("--project says where may be uploaded to.", hint="Give --upload, too, or --reads.")
    if metrics and (upload or reads or no_private):
        raise UsageError("--metrics is for whoever sees nothing else.", hint="Make two tokens.")
    if reads and no_private:
        raise UsageError("--reads and --no-private exclude one another.")
    own = (TokenScope.READ, TokenScope.UPLOAD) if upload else (TokenScope.READ,)
    scopes = (TokenScope.METRICS,) if metrics else own
    wish = TokenWish(name, scopes, projects, reads if reads or no_private else None, _length(lasts))
    print(token_file(tokens).make(wish, datetime.now(UTC)))
    return 0


@command.command("list", short_help="List the tokens.")
@_FILE
def show(tokens: Path | None) -> int:
    """Show which there are; never the tokens themselves."""
    from tf_tester.wiring.serving import token_file

    file = token_file(tokens)
    found = file.all()
    for token in found:
        print(printable(f"{token.id}  {_told(token, file.used(token), datetime.now(UTC))}"))
    if not found:
        say(["There are none."])
    return 0


def _told(token: "Token", used: datetime | None, now: datetime) -> str:
    until = ""
    if token.expires is not None:
        until = f", {'expired' if token.expires <= now else 'until'} {token.expires:%Y-%m-%d}"
    where = f" of {', '.join(token.projects)}" if token.projects else ""
    reads = "" if token.reads is None else f", of private projects {', '.join(token.reads) or 'none'}"
    last = "never used" if used is None else f"last used {used:%Y-%m-%d %H:%M} UTC"
    return f"{token.name}: {', '.join(token.scopes)}{where}{reads}, made {token.created:%Y-%m-%d}{until}, {last}"


@command.command("revoke", short_help="Revoke a token.")
@click.argument("name")
@_FILE
def revoke(name: str, tokens: Path | None) -> int:
    """Revoke a token by its name or the eight letters that `list` shows; servers that run notice it at once."""
    from tf_tester.wiring.serving import token_file

    count = token_file(tokens).revoke(name)
    print(f"{count} revoked.")
    return 0


def _length(text: str | None) -> timedelta | None:
    try:
        return None if text is None else duration(text)
    except ValueError as error:
        raise UsageError(f"--lasts {text!r} is not a duration.", hint="Write it as 90d or 12h.") from error
