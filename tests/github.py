"""GitHub's REST API on loopback, as far as comments of an issue go."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class GitHub:
    """The server; a context manager."""

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        """Seen so far."""
        self.is_read_only = False
        """What a token may do: that of a pull request from a fork writes nothing."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"github": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def add(self, body: str, kind: str = "User") -> dict[str, Any]:
        """Have a comment that somebody has written."""
        self.comments.append({"id": len(self.comments) + 1, "body": body, "user": {"type": kind}})
        return self.comments[-1]

    def __enter__(self) -> "GitHub":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    github: GitHub

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        wanted = dict(part.split("=") for part in query.split("&"))
        size, page = int(wanted["per_page"]), int(wanted["page"])
        assert path == "/repos/team/project/issues/7/comments"
        self._answer(200, self.github.comments[(page - 1) * size : page * size])

    def do_POST(self) -> None:
        self._write(lambda body: (201, self.github.add(body, "Bot")))

    def do_PATCH(self) -> None:
        number = int(self.path.removeprefix("/repos/team/project/issues/comments/"))
        [known] = [one for one in self.github.comments if one["id"] == number]

        def replaced(body: str) -> tuple[int, dict[str, Any]]:
            known["body"] = body
            return 200, known

        self._write(replaced)

    def _write(self, write: Any) -> None:
        self.github.tokens.add(self.headers["Authorization"])
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]
        assert len(body) <= 65_536, "GitHub refuses it"
        if self.github.is_read_only:
            self._answer(403, {"message": "Resource not accessible by integration"})
        else:
            self._answer(*write(body))

    def _answer(self, status: int, value: Any) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
