"""The application behind a port."""

import asyncio
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tf_tester.errors import UsageError
from tf_tester.serve.app import App

_THREADS = 32
"""Pages that are asked for and files that are fetched at once."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where it listens."""

    host: str = "127.0.0.1"
    port: int = 8080
    """0: one that is free."""
    certificate: Path | None = None
    """PEM, with its chain; with it https is spoken."""
    key: Path | None = None

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certificate else 'http'}://{host}:{self.port}"


def free_port(place: Place) -> int:
    """The port of a place, or one that is free. Raises `UsageError` where it is taken or not ours to take."""
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((place.host, place.port))
        except OSError as error:
            raise UsageError(
                f"{place.host} port {place.port} can't be listened on: {error.strerror or error}.",
                hint="Choose another one with --port, or end what has it.",
            ) from error
        port: int = probe.getsockname()[1]
        return port


def run(make: Callable[[ThreadPoolExecutor], App], place: Place, ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM; answers that are under way are ended first."""
    with ThreadPoolExecutor(_THREADS, "serve") as executor:
        asyncio.run(_serve(make(executor), place, ready))


async def _serve(app: App, place: Place, ready: Callable[[], None]) -> None:
    from granian.constants import HTTPModes, Interfaces
    from granian.server.embed import Server

    server = Server(
        app,
        address=place.host,
        port=place.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
        ssl_cert=place.certificate,
        ssl_key=place.key,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C is an exception there
            loop.add_signal_handler(number, server.stop)
    serving = loop.create_task(server.serve())
    await _until_it_listens(place, serving)
    ready()
    await serving


async def _until_it_listens(place: Place, serving: "asyncio.Task[None]") -> None:
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(place.host, place.port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
