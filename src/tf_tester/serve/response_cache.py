"""Pages for those who ask as somebody did before: without parsing the request, or making the answer, again.

The clients of a CI farm send the same bytes for the same page. What was answered to just these bytes is kept, as long
as the page is current; all else, and all that is unusual about a connection, is aiohttp's (bench/serve.py measures it).

This knows something of how aiohttp's handler of a connection works: that it waits for requests in `_waiter`, that
`_close` and `_force_close` tell of its end, and `_next_keepalive_close_time` of how long it waits.
"""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from msgspec import Struct

from tf_tester.serve.responses import Response

_MOST = 4096
"""Requests that are known."""
_CACHE_SIZE = 4 << 20
"""Bytes of answers that are kept in one piece."""
_LONGEST = 4096
"""Bytes of a request that is worth it."""


class _Known(Struct, eq=False):
    """An answer."""

    head: bytes
    """Without its date and end."""
    body: Callable[[], bytes | None]
    """None: what was answered is not current any more. It holds nothing by itself: pages are let go of elsewhere."""
    whole: bytes = b""
    """All of it, as of `second`; empty where there is no space."""
    second: int = 0


class ResponseCache:
    """Answers by the bytes of requests; used inside one event loop."""

    def __init__(self, tell: Callable[[int, int, float], None]) -> None:
        """Make an empty cache.

        `tell`: hears of each answer its status, the bytes of its body and the seconds it took.
        """
        self._tell = tell
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._whole: OrderedDict[int, _Known] = OrderedDict()
        """Those in one piece, by identity, the least recently composed first."""
        self._size = 0
        self._second = 0
        self._date = b""

    def keep(self, request: web.BaseRequest, answer: Response, body: Callable[[], bytes | None]) -> None:
        """Keep what such a request gets while there is a `body`; who sent it may have made no difference."""
        raw = getattr(request.protocol, "raw", None)
        if raw is None or request.method != "GET" or not request.keep_alive:
            return
        major, minor = request.version
        lines = [f"HTTP/{major}.{minor} {answer.status} {HTTPStatus(answer.status).phrase}"]
        if (major, minor) < (1, 1):
            lines.append("connection: keep-alive")
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        if answer.status != HTTPStatus.NOT_MODIFIED:
            lines.append(f"content-length: {len(answer.body)}")
        self._forget(raw)
        self._known[raw] = _Known("\r\n".join(lines).encode(), body)
        if len(self._known) > _MOST:
            self._forget(next(iter(self._known)))

    def answer(self, raw: bytes, send: Callable[[bytes], None]) -> bool:
        """Return whether it has been answered; else it takes the whole way."""
        known = self._known.get(raw)
        if known is None:
            return False
        began = time.monotonic()
        body = known.body()
        if body is None:
            self._forget(raw)
            return False
        second = int(time.time())
        if second != self._second:
            self._second, self._date = second, formatdate(second, usegmt=True).encode()
        whole = known.whole
        if known.second != second or not whole:
            whole = b"".join((known.head, b"\r\ndate: ", self._date, b"\r\n\r\n", body))
            self._store(known, whole)
        send(whole)
        self._tell(int(known.head[9:12]), len(body), time.monotonic() - began)
        return True

    def _store(self, known: _Known, whole: bytes) -> None:
        self._drop(known)
        if len(whole) > _CACHE_SIZE:
            return
        known.whole, known.second = whole, self._second
        self._whole[id(known)] = known
        self._size += len(whole)
        while self._size > _CACHE_SIZE:
            self._drop(next(iter(self._whole.values())))

    def _forget(self, raw: bytes) -> None:
        known = self._known.pop(raw, None)
        if known is not None:
            self._drop(known)

    def _drop(self, known: _Known) -> None:
        if self._whole.pop(id(known), None) is not None:
            self._size -= len(known.whole)
            known.whole = b""


class CachingServer(web.Server):
    """aiohttp's, with a look at each request's bytes first."""

    def __init__(self, handler: Any, quick: ResponseCache, **more: Any) -> None:
        super().__init__(handler, **more)
        self._quick = quick
        self._more = more

    def __call__(self) -> RequestHandler:
        return _Connection(self, self._quick, loop=asyncio.get_running_loop(), **self._more)

    def close_idle(self, share: float) -> int:
        """Close this part of the idle connections, those that have been idle for longest; return how many."""
        idle = [one for one in self.connections if isinstance(one, _Connection) and one.idle_until is not None]
        idle.sort(key=lambda one: one.idle_until or 0.0)
        longest = idle[: math.ceil(len(idle) * share)]
        for one in longest:
            one.force_close()
        return len(longest)


class _Connection(RequestHandler):
    """One connection. Once something came on it that isn't whole requests without bodies, it is aiohttp's for good."""

    def __init__(self, server: CachingServer, quick: ResponseCache, **more: Any) -> None:
        super().__init__(server, **more)
        self._quick = quick
        self._plain = True
        self.raw: bytes | None = None
        """Of the request that is being answered, where nothing else has come."""

    @property
    def idle_until(self) -> float | None:
        """When it is closed, by the loop's clock, unless a whole request comes; None: one is being answered."""
        idle = self._waiter is not None and not self._waiter.done()
        return self._next_keepalive_close_time if idle else None

    def data_received(self, data: bytes) -> None:
        self._plain = self._plain and _is_plain(data)
        self.raw = None
        if self._plain and self._waiter is not None and not self._waiter.done():
            transport = self.transport
            # Not to somebody who hasn't taken all of what he got before: that is waited for elsewhere.
            if (
                transport is not None
                and not (self._close or self._force_close or transport.is_closing())
                and not transport.get_write_buffer_size()
                and self._quick.answer(data, transport.write)
            ):
                self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
                return
            self.raw = data
        super().data_received(data)


def _is_plain(data: bytes) -> bool:
    """Return whether that is one whole request, without a body."""
    return (
        len(data) <= _LONGEST
        and data.startswith(b"GET /")
        and data.endswith(b"\r\n\r\n")
        and data.find(b"\r\n\r\n") == len(data) - 4
        and b"\r\ncontent-length:" not in (low := data.lower())
        and b"\r\ntransfer-encoding:" not in low
        and b"\r\nupgrade:" not in low
        and b"\r\nexpect:" not in low
    )
