"""`tf-tester serve`."""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from tf_tester.cli.common.help import GroupedCommand
from tf_tester.cli.common.options import EPILOG, GivenPath, options, settings_from
from tf_tester.cli.common.output import say
from tf_tester.cli.common.selection import FETCHING, supply_alone
from tf_tester.core.config.settings import Settings
from tf_tester.core.text.units import store_size
from tf_tester.errors import UsageError

if TYPE_CHECKING:
    import socket
    import ssl

    from tf_tester.core.access.proxies import Network
    from tf_tester.wiring.serving import ServeOptions

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder in which the library for metrics adds up those of several processes."""
_FILE = GivenPath(dir_okay=False)


@click.command(
    "serve", cls=GroupedCommand, epilog=EPILOG, short_help="Serve the store, and what is behind it, as an index."
)
@options(*FETCHING, "color")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Listen here.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Listen on this port; 0 takes a free one.",
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="How many processes answer.")
@click.option(
    "--public-read",
    is_flag=True,
    help="Let everybody read without a token, whatever the address, and with --tokens.",
)
@click.option(
    "--private-tokens", is_flag=True, help="Let nobody read private projects without a token, whoever reads the rest."
)
@click.option(
    "--tokens",
    type=GivenPath(dir_okay=False),
    metavar="FILE",
    help="Tokens, as `tf-tester token` makes them: whoever reads needs one, on loopback, too.  [default: beside "
    "tf-tester's configuration]",
)
@click.option("--tls-cert", "certificate", type=_FILE, metavar="FILE", help="Speak https with this certificate (PEM).")
@click.option("--tls-key", "key", type=_FILE, metavar="FILE", help="The key that goes with it (PEM).")
@click.option(
    "--client-ca",
    "client_authority",
    type=_FILE,
    metavar="FILE",
    help="Whoever shows a certificate issued by this one (PEM) may read without a token; others need one.",
)
@click.option(
    "--private",
    type=GivenPath(file_okay=False),
    metavar="FOLDER",
    help="Projects of your own; what is named in it is never asked for elsewhere.",
)
@click.option("--uploads", is_flag=True, help="Let twine upload to /private/, with a token that may.")
@click.option("--largest-upload", default="2GB", show_default=True, metavar="SIZE", help="How large a file may be.")
@click.option(
    "--locks",
    type=GivenPath(file_okay=False),
    metavar="FOLDER",
    help="Locks; /only/NAME/simple/ shows what the one of that name has.",
)
@click.option(
    "--policy",
    type=_FILE,
    metavar="FILE",
    help="Which projects and versions are shown, and from which age on (TOML: allow, block, min-age, no-min-age).",
)
@click.option("--list-all", is_flag=True, help="List all projects of the upstream, for who mirrors this index in turn.")
@click.option("--synced", metavar="NAME", help="Only what a replica holds, which `tf-tester sync` has filled.")
@click.option("--redirect", is_flag=True, help="Send clients to the best mirror for files, keep none here.")
@click.option(
    "--region-header",
    metavar="NAME",
    help="With --redirect: the header in which a proxy in front tells a client's country; its mirrors come first.",
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="HOST",
    help="Files may come from here, besides indexes and mirrors; '*.NAME' is every host below a name.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="Requests per second and client, of all workers together.",
)
@click.option(
    "--trusted-proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="A proxy in front, or a network of them: whom it names in X-Forwarded-For is who asks (--rate, --log).",
)
@click.option(
    "--log",
    type=click.Choice(["none", "text", "json"]),
    default="none",
    show_default=True,
    help="A line for each request, on standard error.",
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    host: str,
    port: int,
    workers: int,
    certificate: Path | None,
    key: Path | None,
    client_authority: Path | None,
    **_: Any,
) -> int:
    """Serve the store, and what is behind it, as an index for pip, uv and others.

    What is asked for is fetched once, through the mirrors, checked, kept and handed on while it comes. Where the
    upstream is down, what is here goes on being served. /as-of/2021-03-01/simple/ is the index as it was that day,
    /status/ shows how it goes, /metrics is for Prometheus.

    \b
    Examples:
      tf-tester serve --mirror tuna
      pip install --index-url http://127.0.0.1:8080/simple/ tensorflow
      pip install --index-url http://127.0.0.1:8080/as-of/2021-03-01/simple/ tensorflow
      tf-tester serve --private ./packages --uploads
    """
    shared = None
    if workers > 1:
        # Before the library for metrics is imported: it looks once.
        shared = os.environ[_SHARED] = ctx.with_resource(TemporaryDirectory(prefix="tf-tester-"))
    from tf_tester.serve.server import ListenAddress, listen, work
    from tf_tester.wiring.serving import check, open_private

    settings = settings_from(ctx.params).settings
    serve_options = _serve_options(ctx.params, None if shared is None else Path(shared))
    check(serve_options, host)
    if workers > 1 and sys.platform == "win32":
        raise UsageError("Several workers need a POSIX system.", hint="Leave --workers away.")
    _check_certificates(certificate, key, client_authority)
    place = ListenAddress(host, port, certificate, key, client_authority)
    tls, listener = place.tls(), listen(place)
    news = open_private(settings, serve_options)
    url = place.url(listener.getsockname()[1])

    def one(ready: Callable[[], None] = lambda: None) -> None:
        _serve(settings, serve_options, listener, tls, ready)

    def told() -> None:
        say([f"Serving {url}/simple/ (Ctrl-C ends it)", *news], sys.stderr)

    _go_on_at_hangups()
    if workers == 1:
        one(told)
    else:
        told()
        from tf_tester.serve.metrics import forget_worker

        work(workers, one, lambda process: forget_worker(Path(shared or ""), process), listener.close)
    return 0


def _check_certificates(certificate: Path | None, key: Path | None, client_authority: Path | None) -> None:
    """Raise `UsageError` where one is given without what it needs."""
    if (certificate is None) != (key is None):
        raise UsageError("A certificate needs its key.", hint="Give both --tls-cert and --tls-key.")
    if client_authority is not None and certificate is None:
        raise UsageError("--client-ca goes with --tls-cert.")


def _go_on_at_hangups() -> None:
    """Ignore what administrators send where a file has changed, which is noticed anyway; a closed terminal ends it."""
    if hasattr(signal, "SIGHUP") and not sys.stdin.isatty():
        signal.signal(signal.SIGHUP, lambda *_: None)


def _serve_options(given: Mapping[str, Any], shared: Path | None) -> "ServeOptions":
    """Return what the options say of how it is to be served. Raises `UsageError` for a size that is none."""
    from tf_tester.serve.clients.access import LogForm
    from tf_tester.wiring.serving import ServeOptions

    try:
        largest = store_size(given["largest_upload"])
    except ValueError as error:
        raise UsageError(
            f"--largest-upload {given['largest_upload']!r} is not a size.", hint="Write it as 500MB or 2GB."
        ) from error
    asked = given["tokens"] is not None or given["client_authority"] is not None
    return ServeOptions(
        everybody_reads=given["public_read"] or (given["host"] in _LOOPBACK and not asked),
        certificates=given["client_authority"] is not None,
        private_tokens=given["private_tokens"],
        tokens=given["tokens"],
        rate=given["rate"],
        proxies=tuple(map(_proxy, given["proxies"])),
        log=LogForm(given["log"]),
        locks=given["locks"],
        policy=given["policy"],
        private=given["private"],
        uploads=given["uploads"],
        largest_upload=largest,
        redirect=given["redirect"],
        region_header=given["region_header"] or "",
        list_all=given["list_all"],
        synced=given["synced"],
        hosts=given["hosts"],
        shared=shared,
    )


def _proxy(text: str) -> "Network":
    from tf_tester.core.access.proxies import network_of

    try:
        return network_of(text)
    except ValueError as error:
        raise UsageError(
            f"--trusted-proxy {text!r} is no address.", hint="Write it as 127.0.0.1, or 10.0.0.0/8 for a network."
        ) from error


def _serve(
    settings: Settings,
    serve_options: "ServeOptions",
    listener: "socket.socket",
    tls: "ssl.SSLContext | None",
    ready: Callable[[], None],
) -> None:
    from tf_tester.serve.server import run
    from tf_tester.wiring.serving import offering

    with offering(settings, serve_options, supply_alone(settings.color), os.environ) as offer:
        run(offer, listener, tls, ready)
