"""How the loopback index speaks HTTP."""

import shutil
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Respond = Callable[[str], tuple[int, str, bytes | Path]]
"""Status, content type and body for a path."""


class Server(ThreadingHTTPServer):
    """On loopback, on a port that is free."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, respond: Respond) -> None:
        super().__init__(("127.0.0.1", 0), type("Handler", (_Handler,), {"respond": staticmethod(respond)}))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore the error: uv was stopped, or asked for two things at once and gave up the other."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    """Head and body in one packet: as two, the second waits 40 ms for the first one to be acknowledged (Nagle)."""
    respond: Respond

    def do_GET(self) -> None:
        status, kind, body = self.respond(self.path)
        length = body.stat().st_size if isinstance(body, Path) else len(body)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command == "HEAD":
            return
        if isinstance(body, Path):
            with body.open("rb") as stream:
                shutil.copyfileobj(stream, self.wfile)
        else:
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Keep silent: what matters is in the view."""
