"""The index as an ASGI application: pages, files, nothing else.

Promise: what is asked for is looked up, never joined into a path or an address; a file goes out as its index promised
it or the connection is cut before its end; an upstream that is gone costs nothing of what is here.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from tf_tester.core.negotiate import HTML, JSON, TEXT_HTML, byte_range, content_type, matches, takes_gzip
from tf_tester.core.printable import printable
from tf_tester.core.simple import canonical, render_names_html, render_names_json
from tf_tester.core.wheel_rules import BadWheel
from tf_tester.errors import IndexUnreachable, TfTesterError, UnknownProject
from tf_tester.model.artifact import Artifact
from tf_tester.ports import Blobs, Fetcher, Index
from tf_tester.serve.files import Coming, Files, parts_of
from tf_tester.serve.pages import Body, Pages, body_of

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

_LONGEST_NAME = 200
_FOR_EVER = "public, max-age=31536000, immutable"
_FOR_A_MINUTE = "public, max-age=60"
log = logging.getLogger("tf_tester.serve")


@dataclass(slots=True)
class Answer:
    """One response."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    path: str = ""
    """A file that is sent as a whole in place of the body."""
    parts: AsyncIterator[bytes] | None = None
    """What is sent in place of the body, as it comes."""


def _said(status: int, text: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"content-type": "text/plain; charset=utf-8"} | named, f"{printable(text)}\n".encode())


class App:
    """One store's; used inside one event loop."""

    def __init__(
        self,
        index: Index,
        fetcher: Fetcher,
        blobs: Blobs,
        metadata: Callable[[Artifact], bytes],
        executor: Executor,
    ) -> None:
        self._pages = Pages(index, executor)
        self._files = Files(blobs, fetcher, executor)
        self._metadata = metadata
        self._executor = executor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await _send(await self._answer(scope), scope, send)

    async def _answer(self, scope: Scope) -> Answer:
        if scope["method"] not in ("GET", "HEAD"):
            return _said(405, "This index is read only.", allow="GET, HEAD")
        try:
            return await self._route(scope, _headers(scope))
        except UnknownProject as error:
            return _said(404, str(error))
        except IndexUnreachable as error:
            return _said(502, f"{error}. {error.hint}", retry_after="30")
        except TfTesterError as error:
            log.warning("%s", printable(f"{scope['path']}: {error}"))
            return _said(502, f"{error}. {error.hint}")

    async def _route(self, scope: Scope, headers: Mapping[str, str]) -> Answer:
        raw = scope.get("raw_path") or scope["path"].encode()
        parts = [unquote(part, errors="replace") for part in raw.split(b"?")[0].decode("latin-1").split("/")[1:]]
        match parts:
            case [""]:
                return Answer(302, {"location": "simple/"})
            case ["healthz"]:
                return _said(200, "ok", cache_control="no-store")
            case ["simple"]:
                return Answer(301, {"location": "simple/"})
            case ["simple", ""]:
                return self._names(scope, headers)
            case ["simple", name] | ["simple", name, ""] if 0 < len(name) <= _LONGEST_NAME:
                project = canonical(name)
                if name != project or len(parts) == 2:
                    return _moved(scope, project, len(parts))
                return await self._page(project, scope, headers)
            case ["files", name, sha256, filename] if len(name) <= _LONGEST_NAME:
                return await self._file(name, sha256, filename, headers, look=scope["method"] == "HEAD")
            case _:
                return _said(404, "There is nothing here; the index is at /simple/.")

    # -- pages

    def _names(self, scope: Scope, headers: Mapping[str, str]) -> Answer:
        """Those that were asked for: what the upstream has is not listed."""
        kind = _kind(scope, headers)
        if kind is None:
            return _not_acceptable()
        names = self._pages.names
        body = body_of(render_names_json(names) if kind == JSON else render_names_html(names))
        return _in_form(body, kind, headers)

    async def _page(self, project: str, scope: Scope, headers: Mapping[str, str]) -> Answer:
        kind = _kind(scope, headers)
        if kind is None:
            return _not_acceptable()
        rendered = await self._pages.get(project)
        answer = _in_form(rendered.json if kind == JSON else rendered.html, kind, headers)
        if rendered.page.serial is not None:
            answer.headers["x-pypi-last-serial"] = str(rendered.page.serial)
        if rendered.page.stale:
            answer.headers["warning"] = '110 - "the upstream does not answer: this is of an earlier time"'
        return answer

    # -- files

    async def _file(
        self, project: str, sha256: str, filename: str, headers: Mapping[str, str], *, look: bool
    ) -> Answer:
        rendered = await self._pages.get(canonical(project))
        artifact = rendered.artifacts.get(filename)
        if artifact is not None and artifact.sha256 == sha256:
            return await self._wheel(artifact, headers, look=look)
        artifact = rendered.artifacts.get(filename.removesuffix(".metadata"))
        if artifact is not None and artifact.sha256 == sha256 and artifact.metadata_sha256 is not None:
            loop = asyncio.get_running_loop()
            try:
                content = await loop.run_in_executor(self._executor, self._metadata, artifact)
            except BadWheel as error:
                return _said(404, str(error))
            return Answer(200, {"content-type": "application/octet-stream", "cache-control": _FOR_EVER}, content)
        return _said(404, f"{project} has no such file.")

    async def _wheel(self, artifact: Artifact, headers: Mapping[str, str], *, look: bool) -> Answer:
        """`look`: nobody wants the bytes, so that nothing need be fetched."""
        etag = f'"{artifact.sha256}"'
        told = {
            "content-type": "application/octet-stream",
            "accept-ranges": "bytes",
            "etag": etag,
            "cache-control": _FOR_EVER,
        }
        if matches(headers.get("if-none-match", ""), etag) and "if-none-match" in headers:
            return Answer(304, told)
        if look and artifact.size is not None:
            return Answer(200, told | {"content-length": str(artifact.size)})
        found = await self._files.get(artifact)
        size = found.size if isinstance(found, Coming) else found.path.stat().st_size
        wanted: tuple[int, int] | None = None
        if "range" in headers and headers.get("if-range", etag) == etag:
            try:
                wanted = byte_range(headers["range"], size)
            except ValueError:
                return Answer(416, told | {"content-range": f"bytes */{size}"})
        start, end = wanted or (0, size)
        if isinstance(found, Coming):
            # What fails before the first byte is told by the status.
            found = await found.begun(start)
        told["content-length"] = str(end - start)
        if wanted is not None:
            told["content-range"] = f"bytes {start}-{end - 1}/{size}"
        status = 206 if wanted is not None else 200
        if isinstance(found, Coming):
            return Answer(status, told, parts=found.parts(start, end))
        if wanted is None:
            return Answer(status, told, path=str(found.path))
        return Answer(status, told, parts=parts_of(found.path, start, end))


def _kind(scope: Scope, headers: Mapping[str, str]) -> str | None:
    forced = parse_qs(bytes(scope.get("query_string") or b"").decode("latin-1")).get("format", [""])[0]
    return content_type(headers.get("accept", ""), forced=forced)


def _not_acceptable() -> Answer:
    return _said(406, f"There are {JSON}, {HTML} and {TEXT_HTML}.")


def _in_form(body: Body, kind: str, headers: Mapping[str, str]) -> Answer:
    packed = takes_gzip(headers.get("accept-encoding", ""))
    # Another encoding is another representation, and needs a tag of its own.
    etag = f'{body.etag[:-1]}-gzip"' if packed else body.etag
    told = {
        "content-type": f"{kind}; charset=utf-8" if kind == TEXT_HTML else kind,
        "etag": etag,
        "vary": "Accept, Accept-Encoding",
        "cache-control": _FOR_A_MINUTE,
    }
    if "if-none-match" in headers and matches(headers["if-none-match"], etag):
        return Answer(304, told)
    if packed:
        return Answer(200, told | {"content-encoding": "gzip"}, body.gzip)
    return Answer(200, told, body.plain)


def _moved(scope: Scope, project: str, parts: int) -> Answer:
    """To the canonical name with a slash, relative, so that it holds behind any prefix."""
    query = bytes(scope.get("query_string") or b"").decode("latin-1")
    target = f"{project}/" if parts == 2 else f"../{project}/"
    return Answer(301, {"location": target + (f"?{query}" if query.isprintable() and query else "")})


def _headers(scope: Scope) -> dict[str, str]:
    """By lower-case name; what is repeated is joined, as lists are."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


async def _send(answer: Answer, scope: Scope, send: Send) -> None:
    headers = dict(answer.headers)
    bodiless = answer.status == 304
    if not bodiless:
        headers.setdefault("content-length", str(len(answer.body)))
    encoded = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    if scope["method"] == "HEAD" or bodiless:
        if answer.parts is not None:
            await answer.parts.aclose()  # type: ignore[attr-defined] # an async generator
        await send({"type": "http.response.body", "body": b""})
    elif answer.path and "http.response.pathsend" in (scope.get("extensions") or {}):
        await send({"type": "http.response.pathsend", "path": answer.path})
    elif answer.path or answer.parts is not None:
        # A server that can't send files itself is given their bytes.
        parts = answer.parts or parts_of(Path(answer.path), 0, int(headers["content-length"]))
        async for chunk in parts:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.body", "body": answer.body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
