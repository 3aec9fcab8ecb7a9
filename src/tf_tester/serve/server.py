"""The application behind a port: one process, or several workers that share it."""

import asyncio
import errno
import logging
import math
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError
from msgspec import Struct
from prometheus_client.multiprocess import mark_process_dead

from tf_tester.errors import ConfigError, UsageError
from tf_tester.given_files import read_given
from tf_tester.serve.app import App, ServedIndex
from tf_tester.serve.response_cache import CachingServer
from tf_tester.serve.responses import log

_THREADS = 16
"""Pages that are read, rendered and packed at once."""
_ASKS = 64
"""Pages that are asked for elsewhere at once."""
_FETCHES = 64
"""Files that are waited for at once."""
_WAITING = 4096
"""Connections that the system holds until they are taken."""
_ENDING = () if os.name == "nt" else (signal.SIGINT, signal.SIGTERM)
"""Signals that end it in good order; on Windows Ctrl-C is an exception."""
_IDLE = 75.0
"""Seconds after which a connection is closed that has asked nothing, or not to the end; proxies wait for a minute."""
_TAKEN_AT_ONCE = 64
"""Connections that are taken before anybody is answered; where there are no descriptors it tries as often in vain."""
_ASKED_BY = 0.1
"""Seconds in which who has just come asks, before idle connections make room."""
_TELLS_EVERY = 60.0
"""Seconds for which it isn't told again that no connection can be taken."""
_NO_MORE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_LAST_ANSWERS = 25.0
"""Seconds that answers under way have when it is told to end."""
_CUT_OFF = 1.0
"""Seconds, twice, that answers have after that, and when it is to end at once: to say so, and to be cancelled."""
_GONE_BY = 29.0
"""Seconds after which it is gone, whatever a thread still waits for: an upstream may answer nothing for long."""


class ListenAddress(Struct, frozen=True):
    """Where it listens."""

    host: str = "127.0.0.1"
    port: int = 8080
    """0: one that is free."""
    certificate: Path | None = None
    """PEM, with its chain; with it https is spoken."""
    key: Path | None = None
    client_authority: Path | None = None
    """PEM: who issues the certificates that clients may show."""

    def url(self, port: int) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certificate else 'http'}://{host}:{port}"

    def tls(self) -> ssl.SSLContext | None:
        """Return the TLS context. Raises `ConfigError` where the certificate or its key can't be used."""
        if self.certificate is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            for file in filter(None, (self.certificate, self.key)):
                read_given(file)  # OpenSSL would wait for a pipe for ever
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"{self.certificate} and {self.key} can't be used: {error.strerror or error}.",
                hint="Give a certificate and the key that goes with it, both as PEM.",
            ) from error
        if self.client_authority is not None:
            # Not required: who has none may have a token, and load balancers ask for `/healthz`.
            context.verify_mode = ssl.CERT_OPTIONAL
            try:
                context.load_verify_locations(self.client_authority)
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(
                    f"{self.client_authority} can't be used: {error.strerror or error}.",
                    hint="Give the certificate of who issues those of clients, as PEM.",
                ) from error
        return context


def listen(place: ListenAddress) -> socket.socket:
    """Return a socket that listens there. Raises `UsageError` where the place is taken or not ours to take."""
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((place.host, place.port))
        listener.listen(_WAITING)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"{place.host} port {place.port} can't be listened on: {error.strerror or error}.",
            hint="Choose another one with --port, or end what has it.",
        ) from error
    listener.setblocking(False)
    return listener


def run(offer: ServedIndex, listener: socket.socket, tls: ssl.SSLContext | None, ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM; answers that are under way are ended first, unless it is told twice.

    `ready` is called when it answers and can be told to end. Half a minute after it was told to, the process is gone.
    """
    _allow_many_files()
    gone = threading.Timer(_GONE_BY, os._exit, (0,))
    gone.daemon = True
    with (
        ThreadPoolExecutor(_THREADS, "pages") as executor,
        ThreadPoolExecutor(_ASKS, "asks") as asks,
        ThreadPoolExecutor(_FETCHES, "files") as fetches,
    ):
        try:
            with _noted() as told:
                app = App(offer, executor, asks, fetches)
                asyncio.run(_serve(app, listener, tls, offer.stop, told, ready, gone))
        finally:
            offer.stop()  # before their threads are waited for: a fetch may take hours
    gone.cancel()


async def _serve(
    app: App,
    listener: socket.socket,
    tls: ssl.SSLContext | None,
    stop: Callable[[], None],
    told: list[int],
    ready: Callable[[], None],
    gone: threading.Timer,
) -> None:
    """Serve. `told`: the signals that came before there was somebody to hear them; `gone` is started by the first."""
    over, at_once = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        if not over.is_set():
            gone.start()
        elif not at_once.is_set():
            loop.run_in_executor(None, stop)  # whoever waits for a file gets no more of it
            at_once.set()
        over.set()

    for number in _ENDING:
        loop.add_signal_handler(number, end)
    for _ in told:
        end()
    logger = logging.getLogger("tf_tester.serve.http")
    logger.addFilter(_is_ours)
    server = CachingServer(
        app, app.quick, access_log=None, logger=logger, auto_decompress=False, keepalive_timeout=_IDLE
    )
    loop.set_exception_handler(_Exhaustion(server, listener).heard)
    runner = web.ServerRunner(server, shutdown_timeout=_CUT_OFF)
    await runner.setup()
    site = web.SockSite(runner, listener, ssl_context=tls, backlog=_TAKEN_AT_ONCE)
    try:
        await site.start()
        listener.listen(_WAITING)  # asyncio has but one number for both
        ready()
        await over.wait()
        await site.stop()
        await _end_answers(server, at_once)
    finally:
        await runner.cleanup()


class _Exhaustion:
    """What is done where no connection can be taken any more: idle ones make room, and that is told now and then."""

    def __init__(self, server: CachingServer, listener: socket.socket) -> None:
        self._server = server
        self._listener = listener
        self._told = -math.inf
        self._room: asyncio.TimerHandle | None = None

    def heard(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Hear of what the loop has to tell; asyncio tries to take connections again a second later."""
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in _NO_MORE and "accept" in context["message"]:
            if self._room is None:  # those that were taken just now are to ask first
                self._room = loop.call_later(_ASKED_BY, self._make_room, loop, error)
        elif not isinstance(error, ValueError) or self._listener.fileno() >= 0:  # else it tries though that is closed
            loop.default_exception_handler(context)

    def _make_room(self, loop: asyncio.AbstractEventLoop, error: OSError) -> None:
        self._room = None
        closed = self._server.close_idle(0.5)
        if loop.time() - self._told >= _TELLS_EVERY:
            self._told = loop.time()
            log.warning(
                "no connection can be taken (%s): %d that were idle are closed. Let it have more files "
                "(LimitNOFILE=, ulimit -n); this is told once a minute",
                error.strerror,
                closed,
            )


async def _end_answers(server: CachingServer, at_once: asyncio.Event) -> None:
    """Let answers under way end, for so long and until it is to end at once."""
    await asyncio.sleep(0)  # requests that have just come are begun
    server.close_idle(1.0)
    server.pre_shutdown()
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_ANSWERS):
            while server.connections and not at_once.is_set():
                server.close_idle(1.0)  # aiohttp would leave them open
                with suppress(TimeoutError):
                    await asyncio.wait_for(at_once.wait(), 0.05)


@contextmanager
def _noted() -> Iterator[list[int]]:
    """Yield the signals that come meanwhile: as exceptions they would leave things half made, the loop above all."""
    told: list[int] = []
    before = [(number, signal.signal(number, lambda number, _: told.append(number))) for number in _ENDING]
    try:
        yield told
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _is_ours(record: logging.LogRecord) -> bool:
    """Return whether it is our mistake: what is no HTTP is answered with 400, and the client's."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | RequestPayloadError))


def work(
    count: int,
    one: Callable[[], None],
    ended: Callable[[int], None] = lambda _process: None,
    ending: Callable[[], None] = lambda: None,
) -> None:
    """Run `one` in each of several processes, until it is told to end; one that dies is replaced. POSIX.

    `ended`: hears of each process that has; `ending`: is called when it is told to end. Nothing may have been opened
    before that processes can't share.
    """
    running: set[int] = set()
    told: list[int] = []

    def end(number: int, _: object) -> None:
        told.append(number)
        ending()
        for worker in running:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGTERM)

    before = [(number, signal.signal(number, end)) for number in _ENDING]
    try:
        for process in _ended(count, running, told, before, one):
            ended(process)
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _ended(
    count: int, running: set[int], told: list[int], before: Sequence[tuple[int, object]], one: Callable[[], None]
) -> Iterator[int]:
    """Keep so many running, and yield each that has ended."""
    failures = 0
    readable, writable = os.pipe()
    while running or not told:
        while len(running) < count:
            # The parent must know a child to pass a signal on, and a child must not take one with its parent's handler.
            with _held(number for number, _ in before) as mask:
                if told:
                    break
                child = os.fork()
                if child == 0:
                    os.close(writable)
                    os._exit(_outcome(partial(_be_worker, readable, before, mask, one)))
                running.add(child)
        with suppress(ChildProcessError):
            gone, status = os.waitpid(-1, 0)
            running.discard(gone)
            mark_process_dead(gone)  # type: ignore[no-untyped-call]
            yield gone
            if status and not told:
                failures += 1
                if failures > 10 * count:
                    raise ConfigError("Workers keep dying.", hint="Look at what they said, or try --workers 1.")
                print(f"tf-tester: worker {gone} has died (status {status}); another takes its place", file=sys.stderr)


def _be_worker(readable: int, before: Sequence[tuple[int, object]], mask: set[int], one: Callable[[], None]) -> None:
    os.setpgrp()  # a terminal's Ctrl-C is for the parent, who passes it on
    for number, handler in before:
        signal.signal(number, handler)  # type: ignore[arg-type]
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    threading.Thread(target=_end_with, args=(readable,), daemon=True).start()
    one()


@contextmanager
def _held(signals: Iterable[int]) -> Iterator[set[int]]:
    """Hold signals back meanwhile; give the mask as it was."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield mask
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _end_with(readable: int) -> None:
    """End when the parent has, however that came: nobody else holds the other end of the pipe."""
    os.read(readable, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _outcome(one: Callable[[], None]) -> int:
    try:
        one()
    except KeyboardInterrupt:
        return 130
    except BaseException:  # noqa: BLE001 - the end of a process
        import traceback

        traceback.print_exc()
        return 1
    finally:
        sys.stderr.flush()
    return 0


def _allow_many_files() -> None:
    """Allow many files: each connection is one, and a thousand is the usual limit; ours is raised to what we are
    allowed.
    """
    with suppress(ImportError, OSError, ValueError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY and (hard == resource.RLIM_INFINITY or soft < hard):
            most = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
