"""`tf-tester serve`."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tf_tester.cli.options import EPILOG, options, settings_from
from tf_tester.cli.say import say
from tf_tester.cli.selecting import FETCHING, downloads_alone
from tf_tester.errors import UsageError

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from tf_tester.serve.app import App

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@click.command("serve", epilog=EPILOG, short_help="Serve the store, and what is behind it, as an index.")
@options(*FETCHING, "color")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Listen here.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="And on this port; 0: a free one."
)
@click.option("--public-read", is_flag=True, help="Let everybody read who can reach an address that isn't loopback.")
@click.option(
    "--tls-cert",
    "certificate",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Speak https with this certificate (PEM).",
)
@click.option(
    "--tls-key",
    "key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="The key that goes with it (PEM).",
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    host: str,
    port: int,
    public_read: bool,
    certificate: Path | None,
    key: Path | None,
    **_: Any,
) -> int:
    """Serve the store, and what is behind it, as an index for pip, uv and others.

    What is asked for is fetched once, through the mirrors, checked, kept and handed on while it comes. Where the
    upstream is down, what is here goes on being served.

    \b
    Examples:
      tf-tester serve --mirror tuna
      pip install --index-url http://127.0.0.1:8080/simple/ tensorflow
      uv pip install --default-index http://127.0.0.1:8080/simple/ tensorflow
    """
    from tf_tester.serve.app import App
    from tf_tester.serve.server import Place, free_port, run
    from tf_tester.wiring import new_run_id, services

    if host not in _LOOPBACK and not public_read:
        raise UsageError(
            f"Whoever can reach {host} could read this index.", hint="Say that this is meant with --public-read."
        )
    if (certificate is None) != (key is None):
        raise UsageError("A certificate needs its key.", hint="Give both --tls-cert and --tls-key.")
    settings = settings_from(ctx.params).settings
    place = Place(host, port, certificate, key)
    place = replace(place, port=free_port(place))
    tell = downloads_alone(settings.color)
    with services(settings, lambda _: tell, environ=os.environ, run_id=new_run_id()) as world:

        def make(executor: "ThreadPoolExecutor") -> "App":
            return App(world.index, world.fetcher, world.blobs, world.metadata, executor)

        def ready() -> None:
            say([f"Serving {place.url}/simple/ (Ctrl-C ends it)"], sys.stderr)

        try:
            run(make, place, ready)
        finally:
            world.stop()
    return 0
