"""Answers, and how they go out: bytes from memory, files by the kernel, what comes as it comes."""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from pathlib import Path

from aiohttp import web
from msgspec import Struct, field

from tf_tester.core.text.printable import printable
from tf_tester.errors import TfTesterError

CHUNK = 256 * 1024
_WITH_HEADERS = 64 * 1024
"""Bytes of a file that go out together with the headers; a smaller file is done with that."""
_REFUSED = 400
_LONGEST_REASON = 300
GONE = 499
"""nginx's number for a client that went away."""
log = logging.getLogger("tf_tester.serve")


class Response(Struct):
    """One response."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    file: Path | None = None
    """What is sent in place of the body: the part `span` of it."""
    span: tuple[int, int] = (0, 0)
    parts: AsyncGenerator[bytes, None] | None = None
    """What is sent in place of the body as it comes: as many bytes as `span` has."""
    reason: str | None = None
    """What stands behind the status in place of its usual phrase: pip and twine show it, and nothing of the body."""


def text_response(status: int, text: str, **headers: str) -> Response:
    """Return a sentence for a person; where it says why something is refused it is the status's phrase, too."""
    told = {"content-type": "text/plain; charset=utf-8"}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    sentence = printable(text)
    reason = sentence.encode("ascii", "replace").decode()[:_LONGEST_REASON] if status >= _REFUSED else None
    return Response(status, told, f"{sentence}\n".encode(), reason=reason)


async def send(answer: Response, request: web.BaseRequest) -> tuple[web.StreamResponse, int]:
    """Return the response, begun at least, and how many bytes of its body were sent here.

    Where the bytes can't be had to their end the connection is cut, so that nobody takes a part for the whole.
    """
    if answer.file is None and answer.parts is None:
        whole = web.Response(
            status=answer.status, reason=answer.reason, headers=answer.headers, body=answer.body or None
        )
        return whole, 0 if request.method == "HEAD" else len(answer.body)
    start, end = answer.span
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_length = end - start
    sent = 0
    try:
        await response.prepare(request)
        if request.method != "HEAD":
            if answer.parts is not None:
                async for chunk in answer.parts:
                    if request.transport is None or request.transport.is_closing():
                        raise ConnectionResetError
                    if chunk:
                        await response.write(chunk)
                        sent += len(chunk)
            elif answer.file is not None:
                sent = await _send_file(response, request, answer.file, start, end)
    except (TfTesterError, OSError) as error:
        if not isinstance(error, ConnectionError):
            log.warning("%s", printable(f"{request.path}: cut after {sent} bytes: {error}"))
        if request.transport is not None:
            request.transport.abort()
    finally:
        if answer.parts is not None:
            await answer.parts.aclose()
    return response, sent


async def _send_file(response: web.StreamResponse, request: web.BaseRequest, file: Path, start: int, end: int) -> int:
    transport = request.transport
    with file.open("rb", buffering=0) as stream:
        first = os.pread(stream.fileno(), min(_WITH_HEADERS, end - start), start)
        await response.write(first)
        position = start + len(first)
        if position == end or transport is None:
            return position - start
        if transport.get_extra_info("sslcontext") is None:
            # By the kernel, from its own pages: a third of the CPU that reading and writing takes.
            await asyncio.get_running_loop().sendfile(transport, stream, position, end - position)
            return end - start
        while position < end and (chunk := os.pread(stream.fileno(), min(CHUNK, end - position), position)):
            await response.write(chunk)
            position += len(chunk)
        return position - start
