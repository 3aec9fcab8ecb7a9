"""Connections on which nothing comes: what becomes of them, and of others where there are too many."""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp import web

from tf_tester.serve import uploads
from tf_tester.serve.responses import send

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits of files are POSIX's")

ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
_SERVER = """
import resource, sys
from types import SimpleNamespace
from aiohttp import web
from tf_tester.serve import server

server._LAST_ANSWERS = server._GONE_BY = 100_000
server._IDLE, most = float(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

class App:
    quick = SimpleNamespace(answer=lambda *_: False)

    async def __call__(self, request):
        return web.Response(text="ok")

server.App = lambda *_: App()
place = server.listen(server.ListenAddress(port=0))
port = place.getsockname()[1]
server.run(SimpleNamespace(stop=lambda: None), place, None, lambda: print(port, flush=True))
"""


@contextmanager
def serving(idle: float, files: int) -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """Serve with these limits, and give the port."""
    words = [sys.executable, "-c", _SERVER, str(idle), str(files)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()), process
        finally:
            process.send_signal(signal.SIGTERM)


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def received(client: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    found = b""
    while chunk := client.recv(4096):
        found += chunk
    return found


@pytest.mark.parametrize("sent", [b"", ASK[:-2], ASK])
def test_a_connection_on_which_nothing_more_comes_is_closed(sent: bytes) -> None:
    with serving(0.2, 1000) as (port, _), connected(port) as client:
        client.sendall(sent)
        assert received(client).startswith(b"HTTP/1.1 200") == (sent == ASK)


def test_idle_connections_are_not_waited_for_when_it_ends() -> None:
    with serving(1000, 1000) as (port, process), connected(port) as one, connected(port) as other:
        for sent in (one, other):
            sent.sendall(ASK)
            assert sent.recv(12) == b"HTTP/1.1 200"
        other.sendall(ASK[:-2])
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def test_where_descriptors_run_out_idle_connections_make_room_and_that_is_told_once() -> None:
    with serving(1000, 64) as (port, process), ExitStack() as stack:
        idle = [stack.enter_context(connected(port)) for _ in range(70)]
        with connected(port) as client:
            client.sendall(ASK)
            assert client.recv(12) == b"HTTP/1.1 200"
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        told = process.stderr.read()
        assert process.wait(timeout=60) == 0
        del idle
    assert told.startswith("no connection can be taken (Too many open files): ")
    assert told.count("\n") == 1


def test_an_upload_that_brings_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_SILENCE", 0.2)
    place = tmp_path / "incoming"
    private = SimpleNamespace(incoming=place, sweep=lambda: None)
    head = (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        b'--b\r\nContent-Disposition: form-data; name="content"; filename="x.whl"\r\n\r\n'
    )

    def visit(port: int) -> bytes:
        with connected(port) as client:
            client.sendall(head + b"x" * 300_000)
            return client.recv(12)

    async def serve() -> bytes:
        with ThreadPoolExecutor(1) as pool:

            async def answer(request: web.BaseRequest) -> web.StreamResponse:
                given = (request, private, lambda _project: None, lambda: datetime.now(UTC), pool)
                found, _ = await uploads.receive(*given, largest=1 << 30)  # type: ignore[arg-type]
                return (await send(found, request))[0]

            runner = web.ServerRunner(web.Server(answer))
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            try:
                return await asyncio.to_thread(visit, runner.addresses[0][1])
            finally:
                await runner.cleanup()

    assert asyncio.run(serve()) == b"HTTP/1.1 408"
    assert not place.exists()
