"""Who may do what, and what is written down of it."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import TextIO

import msgspec
from aiohttp import web
from msgspec import Struct

from tf_tester.core.access.proxies import Network, client_of
from tf_tester.core.access.tokens import Token, TokenScope
from tf_tester.core.text.printable import printable


class Access(Struct, frozen=True):
    """The rules."""

    everybody_reads: bool = True
    """Without a token."""
    private_needs_token: bool = False
    """Whoever reads what is private has one all the same."""
    holder: Callable[[str], Token | None] = lambda _text: None
    """Whose secret that is."""
    wait: Callable[[str, float], float] | None = None
    """Takes a client and the time, and returns seconds for which it has to wait; None: nobody ever has to."""
    proxies: tuple[Network, ...] = ()
    """Who may say for whom it asks."""

    def client(self, request: web.BaseRequest) -> str:
        """Return the address of who asks."""
        remote = request.remote or ""
        if not self.proxies:
            return remote
        return client_of(remote, request.headers.getall("X-Forwarded-For", ()), self.proxies)


def certificate_holder(request: web.BaseRequest) -> Token | None:
    """Return what a certificate lets its holder do, which is to read; None: no verified one was shown."""
    transport = request.transport
    shown = None if transport is None else transport.get_extra_info("peercert")
    if not shown:
        return None
    return Token("", "certificate", "", (TokenScope.READ,), datetime.min.replace(tzinfo=UTC))


class LogForm(StrEnum):
    """How a request is written down; the words of `serve --log`."""

    NONE = "none"
    TEXT = "text"
    JSON = "json"


class Log(Struct, frozen=True):
    """One line for each request."""

    form: LogForm = LogForm.NONE
    stream: TextIO = sys.stderr

    def request(self, request: web.BaseRequest, client: str, status: int, sent: int, seconds: float) -> None:
        if self.form is LogForm.NONE:
            return
        facts = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "client": client,
            "method": request.method,
            "path": printable(request.rel_url.raw_path),
            "status": status,
            "sent": sent,
            "seconds": round(seconds, 4),
            "agent": printable(request.headers.get("User-Agent", "")[:200]),
        }
        if self.form is LogForm.JSON:
            line = msgspec.json.encode(facts).decode()
        else:
            line = "{at} {client} {method} {path} {status} {sent} {seconds}".format(**facts)
        self.stream.write(f"{line}\n")  # in one piece: other workers write to the same file
        self.stream.flush()
