"""Answers by the bytes of requests, beside aiohttp's own on the same connections."""

import asyncio
import socket
from collections.abc import Callable

from aiohttp import web

from tf_tester.serve.response_cache import CachingServer, ResponseCache
from tf_tester.serve.responses import Response, send

ASK = b"GET /page HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n"
OTHER = b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n"
"""Comes first on each connection: before Python 3.12 aiohttp is not ready for a quick answer at once."""


class World:
    """A server of one page, whose handler counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.told: list[tuple[int, int]] = []
        self.body: bytes | None = b"first"
        self.quick = ResponseCache(lambda status, sent, _seconds: self.told.append((status, sent)))

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked += 1
        posted = await request.read()
        answer = Response(200, {"content-type": "text/x", "server": "s"}, posted or self.body or b"gone")
        if "If-None-Match" in request.headers:
            answer = Response(304, {"etag": '"x"', "server": "s"})
        if request.path == "/page":
            body = self.body
            self.quick.keep(request, answer, lambda: (self.body if answer.body else b"") if self.body is body else None)
        return (await send(answer, request))[0]

    def run(self, visit: Callable[[int], None]) -> None:
        """Let somebody visit its port, from a thread."""

        async def serve() -> None:
            runner = web.ServerRunner(CachingServer(self.handle, self.quick, access_log=None))
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            try:
                await asyncio.to_thread(visit, runner.addresses[0][1])
            finally:
                await runner.cleanup()

        asyncio.run(serve())


class Client:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._stream = self._socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> tuple[bytes, dict[str, str], bytes]:
        """Status line, headers and body."""
        status = self._stream.readline().strip()
        told = {}
        while line := self._stream.readline().strip().decode():
            name, _, value = line.partition(": ")
            told[name.lower()] = value
        return status, told, self._stream.read(int(told.get("content-length", "0")))

    def ask(self, data: bytes = ASK) -> tuple[bytes, dict[str, str], bytes]:
        self.send(data)
        return self.receive()

    def close(self) -> None:
        self._stream.close()
        self._socket.close()


def test_the_second_answer_is_the_first_without_the_way_to_it() -> None:
    world = World()

    def visit(port: int) -> None:
        client, other = Client(port), Client(port)
        for one in (client, other):
            one.ask(OTHER)
        status, told, body = client.ask()
        assert world.asked == 3
        for one in (client, other, client):
            again = one.ask()
            assert again == (status, told | {"date": again[1]["date"]}, body)
        other.close()
        client.close()

    world.run(visit)
    assert world.asked == 3
    assert world.told == [(200, 5)] * 3


def test_what_changed_is_asked_for_again() -> None:
    world = World()

    def visit(port: int) -> None:
        client = Client(port)
        client.ask(OTHER)
        assert [client.ask()[2], client.ask()[2]] == [b"first", b"first"]
        world.body = b"another"
        assert [client.ask()[2], client.ask()[2]] == [b"another", b"another"]
        client.close()

    world.run(visit)
    assert (world.asked, len(world.told)) == (3, 2)


def test_what_has_not_changed_needs_no_body() -> None:
    world = World()

    def visit(port: int) -> None:
        client = Client(port)
        client.ask(OTHER)
        ask = b'GET /page HTTP/1.1\r\nHost: x\r\nIf-None-Match: "x"\r\n\r\n'
        first, second = client.ask(ask), client.ask(ask)
        assert first[0] == second[0] == b"HTTP/1.1 304 Not Modified"
        assert second[1].keys() == first[1].keys()
        assert client.ask()[2] == b"first", "and the next request is understood"
        client.close()

    world.run(visit)
    assert world.told == [(304, 0)]


def test_old_clients_that_stay_are_told_that_they_may() -> None:
    world = World()

    def visit(port: int) -> None:
        client = Client(port)
        ask = b"GET /page HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        client.ask(b"GET /other HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        for _ in range(3):
            status, told, body = client.ask(ask)
            assert (status, told["connection"].lower(), body) == (b"HTTP/1.0 200 OK", "keep-alive", b"first")
        client.close()

    world.run(visit)
    assert len(world.told) == 2


def test_what_is_unusual_takes_the_whole_way() -> None:
    world = World()

    def visit(port: int) -> None:
        client = Client(port)
        client.ask(OTHER)
        client.ask()
        client.send(ASK + ASK)
        assert [client.receive()[2], client.receive()[2]] == [b"first", b"first"], "two at once"
        assert client.ask()[2] == b"first"
        split = Client(port)
        split.ask(OTHER)
        split.send(ASK[:20])
        assert split.ask(ASK[20:])[2] == b"first", "one in two parts"
        posting = Client(port)
        posting.ask(OTHER)
        posting.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(ASK))
        assert posting.ask(ASK)[2] == ASK, "a body that looks like a request"
        ending = Client(port)
        ending.ask(OTHER)
        status, told, _ = ending.ask(b"GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (status, told["connection"]) == (b"HTTP/1.1 200 OK", "close")
        for one in (client, split, posting, ending):
            one.close()

    world.run(visit)
    assert not world.told
