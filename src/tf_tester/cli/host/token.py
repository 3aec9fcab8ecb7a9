"""`tf-tester token`: who may read from a server, and who may upload to it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from packaging.utils import canonicalize_name

from tf_tester.cli.common.options import EPILOG
from tf_tester.cli.common.output import say
from tf_tester.core.text.printable import printable
from tf_tester.core.text.units import duration
from tf_tester.errors import UsageError

_FILE = click.option(
    "--tokens",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where they are kept.  [default: beside tf-tester's configuration]",
)


@click.group("token", epilog=EPILOG, short_help="Make and revoke tokens for a server.")
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
@click.option("--project", "projects", multiple=True, metavar="NAME", help="Only to these (uploads).")
@click.option("--lasts", metavar="DURATION", help="How long it is valid, such as 90d.  [default: until it is revoked]")
def create(
    name: str, tokens: Path | None, upload: bool, metrics: bool, projects: tuple[str, ...], lasts: str | None
) -> int:
    """Make a token and print it."""
    from tf_tester.core.access.tokens import TokenScope
    from tf_tester.wiring.serving import token_file

    if projects and not upload:
        raise UsageError("--project says where may be uploaded to.", hint="Give --upload, too.")
    if metrics and upload:
        raise UsageError("--metrics is for whoever sees nothing else.", hint="Make two tokens.")
    reads = (TokenScope.READ, TokenScope.UPLOAD) if upload else (TokenScope.READ,)
    scopes = (TokenScope.METRICS,) if metrics else reads
    names = tuple(str(canonicalize_name(project)) for project in projects)
    text = token_file(tokens).make(name, scopes, names, _length(lasts), datetime.now(UTC))
    print(text)
    return 0


@command.command("list", short_help="List the tokens.")
@_FILE
def show(tokens: Path | None) -> int:
    """Show which there are; never the tokens themselves."""
    from tf_tester.wiring.serving import token_file

    found = token_file(tokens).all()
    for token in found:
        until = f", until {token.expires:%Y-%m-%d}" if token.expires else ""
        where = f" of {', '.join(token.projects)}" if token.projects else ""
        print(
            printable(
                f"{token.id}  {token.name}: {', '.join(token.scopes)}{where}, made {token.created:%Y-%m-%d}{until}"
            )
        )
    if not found:
        say(["There are none."])
    return 0


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
