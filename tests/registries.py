"""A registry of images on loopback (OCI distribution specification 1.1) that refuses, forgets, throttles and lies.

    with Registry() as registry:
        registry.refuse_next(429, times=2, headers={"Retry-After": "7"})
        push to f"{registry.host}/team/toy:1.0"; then look at registry.blobs, registry.tags, registry.log

Standard library alone. What it takes it checks as a registry must: each blob against its digest, each manifest against
the blobs that it names.
"""

import base64
import hashlib
import json
import re
import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

_BLOB = re.compile(r"/v2/(.+)/blobs/(sha256:[0-9a-f]{64})")
_START = re.compile(r"/v2/(.+)/blobs/uploads/")
_UPLOAD = re.compile(r"/v2/(.+)/blobs/uploads/(\d+)")
_MANIFEST = re.compile(r"/v2/(.+)/manifests/([^/]+)")


class Asked(NamedTuple):
    """One request."""

    method: str
    path: str
    authorization: str


@dataclass
class Refusal:
    """What the next requests get that fit."""

    status: int
    times: int = 1
    method: str = ""
    """Empty: any."""
    part: str = ""
    """Of the path."""
    headers: Mapping[str, str] = field(default_factory=dict)
    code: str = "DENIED"
    message: str = "not today"
    closes: bool = False
    """Break the connection instead of an answer."""


class Registry:
    """The simulator; its attributes may be read and set at any time."""

    def __init__(self, *, password: str = "", tokens: bool = False, keeps: bool = True) -> None:
        """Make one. `password`: what everybody needs; `tokens`: it is shown to a token server, not to the registry.

        `keeps`: whether what is in blobs is kept; else their digests alone.
        """
        self._keeps = keeps
        self.blobs: dict[str, bytes] = {}
        self.holders: dict[str, set[str]] = {}
        """Names of repositories by digest."""
        self.tags: dict[tuple[str, str], bytes] = {}
        self.log: list[Asked] = []
        self.received: Counter[str] = Counter()
        """Bytes of blobs by digest."""
        self.password = password
        self.tokens = tokens
        self.mounts = True
        self.forgets: set[str] = set()
        """Digests that it says it has when asked, and hasn't."""
        self.digest_told = ""
        """What it says that it has kept, whatever it was."""
        self.uploads_elsewhere = ""
        """Where uploads go: another host."""
        self.most = 1 << 40
        """Bytes of a blob."""
        self._refusals: deque[Refusal] = deque()
        self._uploads = 0
        self._lock = threading.Lock()
        self._server = _Server(self)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def refuse_next(self, status: int, **words: Any) -> None:
        self._refusals.append(Refusal(status, **words))

    def asked(self, method: str, part: str = "") -> list[str]:
        return [one.path for one in self.log if one.method == method and part in one.path]

    def manifest(self, name: str, tag: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.tags[name, tag])
        return found

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def refusal(self, method: str, path: str) -> Refusal | None:
        with self._lock:
            for one in self._refusals:
                if one.method in ("", method) and one.part in path and one.times:
                    one.times -= 1
                    return one
        return None

    def new_upload(self) -> int:
        with self._lock:
            self._uploads += 1
            return self._uploads

    def keep(self, name: str, digest: str, content: bytes) -> None:
        with self._lock:
            self.blobs[digest] = content if self._keeps else b""
            self.holders.setdefault(digest, set()).add(name)
            self.forgets.discard(digest)
            self.received[digest] += len(content)

    def has(self, name: str, digest: str) -> bool:
        return name in self.holders.get(digest, ())


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that has gone


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        if path.path == "/token":
            self._log()
            self._token(parse_qs(path.query))
        elif self._begun():
            if match := _MANIFEST.fullmatch(path.path):
                content = self._registry.tags.get((match[1], match[2]))
                if content is None:
                    self._error(404, "MANIFEST_UNKNOWN", "manifest unknown")
                else:
                    self._answer(200, content)
            else:
                self._answer(200, b"{}")

    def do_HEAD(self) -> None:
        if self._begun():
            match = _BLOB.fullmatch(self.path)
            there = match is not None and (self._registry.has(match[1], match[2]) or match[2] in self._registry.forgets)
            self._answer(200 if there else 404)

    def do_POST(self) -> None:
        self._body()
        if not self._begun():
            return
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        match = _START.fullmatch(path)
        assert match is not None, self.path
        if "mount" in query and self._registry.mounts:
            [digest], [source] = query["mount"], query["from"]
            if self._registry.has(source, digest):
                self._registry.holders[digest].add(match[1])
                self._answer(201, headers={"Docker-Content-Digest": digest})
                return
        root = self._registry.uploads_elsewhere
        self._answer(
            202, headers={"Location": f"{root}/v2/{match[1]}/blobs/uploads/{self._registry.new_upload()}?state=x"}
        )

    def do_PUT(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        if int(self.headers.get("Content-Length", -1)) > self._registry.most:
            self.close_connection = True
            self._error(413, "SIZE_INVALID", "too large")
            return
        content = self._body()
        if not self._begun():
            return
        if match := _UPLOAD.fullmatch(path):
            [digest] = query["digest"]
            if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
                self._error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
                return
            self._registry.keep(match[1], digest, content)
            self._answer(201, headers={"Docker-Content-Digest": self._registry.digest_told or digest})
        elif match := _MANIFEST.fullmatch(path):
            self._manifest(match[1], match[2], content)
        else:
            self._error(404, "NAME_UNKNOWN", "no such place")

    @property
    def _registry(self) -> Registry:
        return self.server.registry

    def _manifest(self, name: str, tag: str, content: bytes) -> None:
        manifest = json.loads(content)
        needed = [manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])]
        missing = [one for one in needed if not self._registry.has(name, one) or one in self._registry.forgets]
        if missing:
            self._error(404, "MANIFEST_BLOB_UNKNOWN", f"blob unknown to registry: {missing[0]}")
            return
        self._registry.tags[name, tag] = content
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self._answer(201, headers={"Docker-Content-Digest": digest})

    def _token(self, query: dict[str, list[str]]) -> None:
        wanted = "Basic " + base64.b64encode(f"me:{self._registry.password}".encode()).decode()
        if self.headers.get("Authorization") != wanted:
            self._error(401, "UNAUTHORIZED", "wrong password")
        else:
            self._answer(200, json.dumps({"token": f"for {query['scope'][0]}".replace(" ", "+")}).encode())

    def _begun(self) -> bool:
        """Note the request; False: it has been refused."""
        self._log()
        refusal = self._registry.refusal(self.command, self.path)
        if refusal is not None and refusal.closes:
            self.close_connection = True
            return False
        if refusal is not None:
            self._error(refusal.status, refusal.code, refusal.message, refusal.headers)
            return False
        if self._registry.password and not self._is_known():
            realm = f'Bearer realm="http://{self._registry.host}/token",service="simulator"'
            how = realm if self._registry.tokens else 'Basic realm="simulator"'
            self._error(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": how})
            return False
        return True

    def _is_known(self) -> bool:
        told = self.headers.get("Authorization", "")
        if self._registry.tokens:
            return told.startswith("Bearer for+repository:") and "pull,push" in told
        return told == "Basic " + base64.b64encode(f"me:{self._registry.password}".encode()).decode()

    def _log(self) -> None:
        self._registry.log.append(Asked(self.command, self.path, self.headers.get("Authorization", "")))

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _error(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        self._answer(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode(), headers)

    def _answer(self, status: int, content: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
