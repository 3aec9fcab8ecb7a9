"""A package index on loopback that can lie, stall, cut off and serve yesterday's page. The one for all tests.

    with Simulator() as index:
        artifact = index.add_wheel(*make_wheel("toy", "1.0"), upload_time="2021-05-04T03:02:01.000007Z")
        index.fault(artifact.filename, Cut(after=100), times=1)
        ...                                     # use index.simple_url, artifact.url
        assert index.requests[artifact.filename] == 2
        assert index.bytes_sent[artifact.filename] == artifact.size

Pages are at `/simple/<project>/` (JSON or HTML as the client prefers, with ETag and 304), files at
`/files/<filename>` (Range, If-Range, HEAD), their metadata beside them. Faults and counts go by file name or
project name; `.metadata` files go by `<filename>.metadata`. Faults of one name add up; each counts its own
`times`.
"""

import contextlib
import html
import io
import json
import re
import socket
import ssl
import struct
import threading
import weakref
import zipfile
import zlib
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.waiting import until
from tf_tester.model.artifact import Artifact

_JSON = "application/vnd.pypi.simple.v1+json"
_HTML = "application/vnd.pypi.simple.v1+html"
LOGIN_PAGE = b"<!DOCTYPE html><html><body>Welcome to the airport. <a href='/login'>Log in</a></body></html>"


# -- what can go wrong


@dataclass(frozen=True)
class Lie:
    """One byte is flipped; length and headers are right."""

    at: int = 0


@dataclass(frozen=True)
class Cut:
    """The connection is closed after so many bytes of the body."""

    after: int
    reset: bool = False
    """With a TCP reset."""


@dataclass(frozen=True)
class Stall:
    """Nothing more comes after so many bytes of the body; the connection stays open."""

    after: int = 0


@dataclass(frozen=True)
class Slow:
    """The body comes at this speed; with `piece=1` it drips byte by byte."""

    bytes_per_second: float
    piece: int = 1


@dataclass(frozen=True)
class After:
    """Of the body nothing more than a first part comes before something has happened elsewhere."""

    happened: Callable[[], object]
    first: int = 0
    """Bytes that come in any case."""


@dataclass(frozen=True)
class Status:
    """An error status, with `Retry-After` if given."""

    code: int
    retry_after: str | None = None


@dataclass(frozen=True)
class Portal:
    """A login page, status 200: what a captive portal puts in place of pages and files."""


@dataclass(frozen=True)
class NoRanges:
    """The whole file whatever range is asked for."""


@dataclass(frozen=True)
class WrongRange:
    """Another range than asked for, honestly labelled: `shift` bytes later."""

    shift: int = 1


@dataclass(frozen=True)
class LyingRange:
    """The start of the file, labelled as the range asked for."""


@dataclass(frozen=True)
class Redirect:
    """To another address (absolute or relative)."""

    to: str
    status: int = 302


@dataclass(frozen=True)
class Longer:
    """More bytes than the file has; without a length, so that nothing gives it away."""

    extra: bytes = b"more"


@dataclass(frozen=True)
class Headers:
    """These headers besides."""

    headers: Mapping[str, str]


@dataclass(frozen=True)
class Bomb:
    """Zeros, packed by gzip to a thousandth of what they become."""

    size: int = 1 << 30
    """Bytes when unpacked."""


@dataclass(frozen=True)
class Raw:
    """Just these bytes in place of an answer: whatever HTTP forbids."""

    answer: bytes


@dataclass(frozen=True)
class Silent:
    """The connection is closed without any answer."""


Fault = (
    Lie
    | Cut
    | Stall
    | Slow
    | After
    | Status
    | Portal
    | NoRanges
    | WrongRange
    | LyingRange
    | Redirect
    | Longer
    | Headers
    | Bomb
    | Raw
    | Silent
)


@dataclass
class _Active:
    fault: Fault
    times: int | None


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""


@dataclass
class _File:
    content: bytes
    artifact: Artifact
    metadata: bytes | None


class Simulator:
    """The index; a context manager. All members may be used from any thread."""

    def __init__(
        self,
        *,
        speaks_json: bool = True,
        etags: bool = True,
        user: tuple[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        """`speaks_json=False`: HTML only. `user`: name and password without which everything is 401.

        `tls`: with the certificate that this has, whatever that is worth. `port`: 0 is one that is free.
        """
        self.speaks_json = speaks_json
        self.etags = etags
        self.requests: Counter[str] = Counter()
        """Requests by file name, project name or path."""
        self.bytes_sent: Counter[str] = Counter()
        """Bytes of bodies, likewise."""
        self.log: list[Request] = []
        self.released = threading.Event()
        """Set when the simulator ends: whoever stalls goes on."""
        self._serial = 1
        self.lists = False
        """Whether there is a list of all projects, with their serials, at `/simple/`."""
        self.page_fields: dict[str, dict[str, Any]] = {}
        """What JSON pages say besides, by project."""
        self.file_fields: dict[str, dict[str, Any]] = {}
        """What JSON pages say of a file besides, or instead, by file name."""
        self._authorization = "Basic " + b64encode(":".join(user).encode()).decode() if user else None
        self._serials: dict[str, int] = {}
        self._files: dict[str, _File] = {}
        self._frozen: dict[str, list[_File]] = {}
        self._statuses: dict[str, str] = {}
        self._empty: set[str] = set()
        self._faults: dict[str, list[_Active]] = {}
        self._lock = threading.Lock()
        self._tls = tls
        self._server = _Server(self, tls, port)
        self._holder = socket.socket()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def serial(self) -> int:
        """Of the newest change; of each project's page that of its own last one. Set it, and all pages have it."""
        return self._serial

    @serial.setter
    def serial(self, value: int) -> None:
        self._serial = value
        self._serials.clear()

    def __enter__(self) -> "Simulator":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._holder.close()

    def stop(self) -> None:
        """From now on connections are refused; those that are open end."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()
        with contextlib.suppress(OSError):
            # Nobody else's server gets the port while somebody is to find that it is refused.
            self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._holder.bind(("127.0.0.1", self._server.server_address[1]))
            self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"

    @property
    def simple_url(self) -> str:
        """What an index URL setting takes."""
        return f"{self.url}/simple"

    # -- what is in it

    def add_wheel(
        self,
        filename: str,
        content: bytes,
        *,
        upload_time: str | datetime | None = None,
        yanked: str | bool = False,
        requires_python: str | None = None,
        metadata: bool | bytes = False,
        promised: bytes | None = None,
        hashes: bool = True,
    ) -> Artifact:
        """Put a file (a wheel or an sdist) on its project's page; gives back what the page promises.

        `metadata`: True advertises and serves the wheel's own METADATA, bytes serve these instead.
        `promised`: the page promises size and hash of these bytes instead of `content`'s.
        `hashes=False`: it promises no hash.
        """
        project, version = _split(filename)
        promise = content if promised is None else promised
        served = _metadata_of(content) if metadata is True else metadata or None
        moment = datetime.fromisoformat(upload_time) if isinstance(upload_time, str) else upload_time
        advertised = _metadata_of(content) if metadata is True else served
        artifact = Artifact(
            filename=filename,
            project=project,
            version=version,
            url=f"{self.url}/files/{filename}",
            sha256=sha256(promise).hexdigest() if hashes else None,
            size=len(promise),
            upload_time=moment.astimezone(UTC) if moment else None,
            requires_python=requires_python,
            yanked=None if yanked is False else "" if yanked is True else yanked,
            metadata_sha256=sha256(advertised).hexdigest() if advertised is not None else None,
        )
        with self._lock:
            self._files[filename] = _File(content, artifact, served)
            self._serial += 1
            self._serials[project] = self._serial
        return artifact

    add_sdist = add_wheel

    def add_project(self, project: str, *, status: str | None = None) -> None:
        """A project without files, or with a PEP 792 status."""
        self._empty.add(project)
        if status:
            self._statuses[project] = status

    def remove(self, filename: str) -> None:
        """Take a file away, from its page too."""
        with self._lock:
            gone = self._files.pop(filename)
            self._serial += 1
            self._serials[gone.artifact.project] = self._serial

    def replace(self, filename: str, content: bytes) -> None:
        """Serve other bytes under a name, the page unchanged."""
        self._files[filename].content = content

    def artifact(self, filename: str) -> Artifact:
        return self._files[filename].artifact

    def freeze(self, project: str) -> None:
        """Serve the project's page as it is now, whatever is added later: yesterday's page."""
        self._frozen[project] = self._of(project)

    # -- what goes wrong

    def fault(self, name: str, fault: Fault, *, times: int | None = None) -> None:
        """Let it go wrong for requests of a file, page or path; `times`: for the next so many only."""
        with self._lock:
            self._faults.setdefault(name, []).append(_Active(fault, times))

    def heal(self, name: str | None = None) -> None:
        """No faults any more, of one name or at all."""
        with self._lock:
            if name is None:
                self._faults.clear()
            else:
                self._faults.pop(name, None)

    def forget_counts(self) -> None:
        with self._lock:
            self.requests.clear()
            self.bytes_sent.clear()
            self.log.clear()

    # -- for the handler

    def _take_faults(self, name: str) -> list[Fault]:
        with self._lock:
            taken = []
            for active in self._faults.get(name, []):
                if active.times == 0:
                    continue
                if active.times is not None:
                    active.times -= 1
                taken.append(active.fault)
            return taken

    def _count(self, name: str, request: Request) -> None:
        with self._lock:
            self.requests[name] += 1
            self.log.append(request)

    def _sent(self, name: str, count: int) -> None:
        with self._lock:
            self.bytes_sent[name] += count

    def _of(self, project: str) -> list[_File]:
        with self._lock:
            return [file for file in self._files.values() if file.artifact.project == project]

    def _page(self, project: str, *, as_json: bool) -> bytes | None:
        files = self._frozen.get(project)
        if files is None:
            files = self._of(project)
        if not files and project not in self._empty:
            return None
        if as_json:
            return self._json_page(project, files)
        return self._html_page(project, files)

    def _list(self) -> bytes:
        with self._lock:
            projects = sorted({file.artifact.project for file in self._files.values()})
        listed = [{"name": name, "_last-serial": self._serials.get(name, self._serial)} for name in projects]
        return json.dumps({"meta": {"api-version": "1.4"}, "projects": listed}).encode()

    def _json_page(self, project: str, files: list[_File]) -> bytes:
        listed = []
        for file in files:
            artifact = file.artifact
            entry: dict[str, Any] = {
                "filename": artifact.filename,
                "url": artifact.url,
                "hashes": {"sha256": artifact.sha256} if artifact.sha256 else {},
                "size": artifact.size,
                "yanked": False if artifact.yanked is None else artifact.yanked or True,
            }
            if artifact.requires_python:
                entry["requires-python"] = artifact.requires_python
            if artifact.upload_time:
                entry["upload-time"] = artifact.upload_time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            if artifact.metadata_sha256:
                entry["core-metadata"] = {"sha256": artifact.metadata_sha256}
            listed.append(entry | self.file_fields.get(artifact.filename, {}))
        page: dict[str, Any] = {
            "meta": {"api-version": "1.4", "_last-serial": self._serials.get(project, self._serial)},
            "name": project,
            "versions": sorted({file.artifact.version for file in files}),
            "files": listed,
        }
        if project in self._statuses:
            page["project-status"] = {"status": self._statuses[project]}
        page |= self.page_fields.get(project, {})
        return json.dumps(page).encode()

    def _html_page(self, project: str, files: list[_File]) -> bytes:
        lines = ["<!DOCTYPE html><html><head>", '<meta name="pypi:repository-version" content="1.3">']
        if project in self._statuses:
            lines.append(f'<meta name="pypi:project-status" content="{self._statuses[project]}">')
        lines.append(f"<title>Links for {project}</title></head><body>")
        for file in files:
            artifact = file.artifact
            attributes = [f'href="../../files/{artifact.filename}']
            attributes[0] += f'#sha256={artifact.sha256}"' if artifact.sha256 else '"'
            if artifact.requires_python:
                attributes.append(f'data-requires-python="{html.escape(artifact.requires_python)}"')
            if artifact.yanked is not None:
                attributes.append(f'data-yanked="{html.escape(artifact.yanked)}"')
            if artifact.metadata_sha256:
                attributes.append(f'data-core-metadata="sha256={artifact.metadata_sha256}"')
            lines.append(f"<a {' '.join(attributes)}>{artifact.filename}</a><br>")
        lines.append(f"</body></html>\n<!--SERIAL {self._serials.get(project, self._serial)}-->")
        return "\n".join(lines).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, simulator: Simulator, tls: ssl.SSLContext | None, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.simulator = simulator
        self._connections: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def hang_up(self) -> None:
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is part of the game."""


class _Gone(Exception):
    """The connection is to be closed now."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        simulator = self.server.simulator
        path = self.path.partition("?")[0]
        name = _name_of(path)
        headers = {key.lower(): value for key, value in self.headers.items()}
        simulator._count(name, Request(self.command, self.path, headers))
        if simulator._authorization and headers.get("authorization") != simulator._authorization:
            self._answer(name, 401, {"WWW-Authenticate": "Basic"}, b"")
            return
        faults = simulator._take_faults(name)
        with contextlib.suppress(_Gone, OSError):
            if not self._early(name, faults):
                self._serve(path, name, headers, faults)
            return
        self.close_connection = True

    def _early(self, name: str, faults: list[Fault]) -> bool:
        """Faults that stand in place of any answer."""
        for fault in faults:
            match fault:
                case Silent():
                    raise _Gone
                case Status(code, retry_after):
                    headers = {"Retry-After": retry_after} if retry_after is not None else {}
                    self._answer(name, code, headers, b"sorry")
                    return True
                case Portal():
                    self._answer(name, 200, {"Content-Type": "text/html", "Cache-Control": "max-age=600"}, LOGIN_PAGE)
                    return True
                case Redirect(to, status):
                    self._answer(name, status, {"Location": to}, b"")
                    return True
                case Bomb(size):
                    packed = _packed_zeros(size)
                    kind = _JSON if name == self.path.split("/")[2] else "application/octet-stream"
                    self._answer(name, 200, {"Content-Type": kind, "Content-Encoding": "gzip"}, packed)
                    return True
                case Raw(answer):
                    self.wfile.write(answer)
                    raise _Gone
        return False

    def _serve(self, path: str, name: str, headers: Mapping[str, str], faults: list[Fault]) -> None:
        simulator = self.server.simulator
        if path == "/simple/" and simulator.lists:
            self._serve_page(name, simulator._list(), _JSON, headers, faults)
            return
        if path.startswith("/simple/") and path.endswith("/"):
            as_json = simulator.speaks_json and _prefers_json(headers.get("accept", ""))
            body = simulator._page(name, as_json=as_json)
            if body is not None:
                kind = _JSON if as_json else _HTML if _HTML in headers.get("accept", "") else "text/html"
                self._serve_page(name, body, kind, headers, faults)
                return
        if path.startswith("/files/"):
            file = simulator._files.get(name)
            if file is not None:
                self._serve_file(name, file.content, headers, faults)
                return
            file = simulator._files.get(name.removesuffix(".metadata"))
            if file is not None and file.metadata is not None:
                self._serve_file(name, file.metadata, headers, faults)
                return
        self._answer(name, 404, {}, b"there is no such thing")

    def _serve_page(self, name: str, body: bytes, kind: str, headers: Mapping[str, str], faults: list[Fault]) -> None:
        etag = f'"{sha256(body).hexdigest()[:16]}"'
        extra = {"Content-Type": kind, "Vary": "Accept"}
        if self.server.simulator.etags:
            extra["ETag"] = etag
            if headers.get("if-none-match") == etag:
                self._answer(name, 304, extra, b"")
                return
        self._answer(name, 200, extra, body, faults)

    def _serve_file(self, name: str, content: bytes, headers: Mapping[str, str], faults: list[Fault]) -> None:
        etag = f'"{sha256(content).hexdigest()[:16]}"'
        extra = {"Content-Type": "application/octet-stream", "ETag": etag, "Accept-Ranges": "bytes"}
        start, end = 0, len(content)
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", headers.get("range", ""))
        if asked and headers.get("if-range", etag) == etag and not any(isinstance(f, NoRanges) for f in faults):
            if asked[1]:
                start, end = int(asked[1]), min(end, int(asked[2] or end) + 1)
            else:
                start = max(0, end - int(asked[2]))
            if start >= len(content):
                self._answer(name, 416, {"Content-Range": f"bytes */{len(content)}"}, b"")
                return
            body = content[start:end]
            for fault in faults:
                match fault:
                    case WrongRange(shift):
                        start += shift
                        body = content[start:end]
                    case LyingRange():
                        body = content[: end - start]
            extra["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
            self._answer(name, 206, extra, body, faults)
            return
        self._answer(name, 200, extra, content, faults)

    # -- the wire

    def _answer(
        self,
        name: str,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
        faults: list[Fault] | None = None,
    ) -> None:
        faults = faults or []
        length: int | None = len(body)
        for fault in faults:
            match fault:
                case Lie(at) if at < len(body):
                    body = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
                case Longer(extra):
                    body, length = body + extra, None
                case Headers(more):
                    headers = {**headers, **more}
        self.send_response(status, HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Odd")
        for key, value in headers.items():
            self.send_header(key, value)
        if length is None:
            self.send_header("Connection", "close")
            self.close_connection = True
        elif status != 304:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD" and status != 304:
            self._send(name, body, faults)

    def _send(self, name: str, body: bytes, faults: list[Fault]) -> None:
        simulator = self.server.simulator
        end, slow = len(body), None
        held: After | None = None
        cut: Cut | Stall | None = None
        for fault in faults:
            match fault:
                case Cut(after) | Stall(after):
                    cut, end = fault, min(after, len(body))
                case Slow():
                    slow = fault
                case After():
                    held = fault
        view = memoryview(body)[:end]
        piece = slow.piece if slow else 1 << 18
        for offset in range(0, end, piece):
            part = view[offset : offset + piece]
            if held and offset >= held.first:
                until(lambda: held.happened() or simulator.released.is_set())
            simulator._sent(name, len(part))  # before they are sent: the client may be done before we are
            self.wfile.write(part)
            if slow and simulator.released.wait(len(part) / slow.bytes_per_second):
                raise _Gone
        match cut:
            case Stall():
                simulator.released.wait()
                raise _Gone
            case Cut(reset=reset):
                if reset:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                raise _Gone


@cache
def _packed_zeros(size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    parts = [packer.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join([*parts, packer.flush()])


def _name_of(path: str) -> str:
    if path.startswith(("/simple/", "/files/")):
        return path.rstrip("/").rpartition("/")[2]
    return path


def _prefers_json(accept: str) -> bool:
    """By the q-values, as a server should."""
    weights = {}
    for part in accept.split(","):
        kind, _, parameters = part.strip().partition(";")
        quality = re.search(r"q=([0-9.]+)", parameters)
        weights[kind.strip()] = float(quality[1]) if quality else 1.0
    as_html = max(weights.get(kind, 0.0) for kind in (_HTML, "text/html", "*/*"))
    return weights.get(_JSON, 0.0) > as_html


def _split(filename: str) -> tuple[str, str]:
    stem = re.sub(r"\.(tar\.gz|zip|whl)$", "", filename)
    name, version = stem.split("-")[:2] if filename.endswith(".whl") else stem.rsplit("-", 1)
    return re.sub(r"[-_.]+", "-", name).lower(), version


def _metadata_of(wheel: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        inside = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return archive.read(inside)
