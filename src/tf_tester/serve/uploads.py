"""One upload as twine sends it: a form with the file in it, straight to the disk, hashed as it comes.

Source: the public index's documentation of its upload API.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO, TypeVar

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError, PayloadEncodingError

from tf_tester.core.index.simple import canonical
from tf_tester.core.text.printable import printable
from tf_tester.errors import OurFailure, PrivateDamaged, UploadRefused
from tf_tester.serve.private import PrivateFolder, Upload
from tf_tester.serve.responses import GONE, Response, log, text_response

_LONGEST_FIELD = 1 << 20
"""Bytes: descriptions are long."""
_MOST_FIELDS = 1000
_SILENCE = 60.0
"""Seconds for which an upload may bring nothing."""
_T = TypeVar("_T")
_WANTED = (":action", "protocol_version", "name", "version", "sha256_digest")


async def receive(
    request: web.BaseRequest,
    private: PrivateFolder,
    refused: Callable[[str], Response | None],
    now: Callable[[], datetime],
    executor: Executor,
    *,
    largest: int,
) -> tuple[Response, str]:
    """Return the answer, and the project (canonical name) that has changed; empty where none has.

    `refused`: the answer to somebody who may not upload to a project.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        return text_response(415, "Uploads aren't taken in an encoding.", connection="close"), ""
    loop = asyncio.get_running_loop()
    place = private.incoming
    try:
        await loop.run_in_executor(executor, private.sweep)
        told, upload = await _read_form(request, place, largest)
        if told.get(":action") != "file_upload" or upload is None:
            return text_response(
                400, "This is not an upload: a form with :action=file_upload and a file named content."
            ), ""
        project = canonical(told.get("name", ""))
        no = refused(project)
        if no is not None:
            return no, ""
        promised = told.get("sha256_digest", "").lower()
        if promised and promised != upload.sha256:
            return text_response(400, f"{upload.filename} has SHA-256 {upload.sha256}, said was {promised[:64]}."), ""
        whole = Upload(place, upload.filename, project, upload.sha256, upload.size)
        await loop.run_in_executor(executor, private.add, whole, now())
    except UploadRefused as error:
        rest = {"connection": "close"} if error.status == 408 else {}
        return text_response(error.status, str(error), **rest), ""
    except PrivateDamaged as error:
        log.warning("%s", printable(f"an upload is refused: {error} {error.hint}"))
        return text_response(502, f"{error} {error.hint}", connection="close"), ""
    except OurFailure as error:
        return text_response(507, f"{error} {error.hint}", connection="close"), ""
    except OSError as error:
        return text_response(507, f"It can't be kept: {error.strerror}.", connection="close"), ""
    finally:
        with suppress(OSError):
            place.unlink(missing_ok=True)
    return text_response(200, "Uploaded."), project


async def _read_form(request: web.BaseRequest, place: Path, largest: int) -> tuple[dict[str, str], Upload | None]:
    """Return the fields that matter, and the file; raises `UploadRefused`."""
    told: dict[str, str] = {}
    upload: Upload | None = None
    try:
        reader = await request.multipart()
        count = 0
        while (part := await _brought(reader.next())) is not None:
            count += 1
            if not isinstance(part, BodyPartReader) or count > _MOST_FIELDS:
                raise UploadRefused("This form can't be read.")
            if part.name == "content" and upload is None:
                upload = await _read_file(part, place, largest)
                continue
            value = await _read_field(part)
            if part.name in _WANTED:
                told.setdefault(part.name or "", value.decode("utf-8", "replace"))
    except ConnectionError as error:
        raise UploadRefused("The client went away.", status=GONE) from error
    except (ValueError, AssertionError, LookupError, RuntimeError, HttpProcessingError, PayloadEncodingError) as error:
        # All that aiohttp's reader raises at what is no form.
        raise UploadRefused("This is not a form that can be read.") from error
    return told, upload


async def _brought(coming: Awaitable[_T]) -> _T:
    """Return what comes. Raises `UploadRefused` where nothing does."""
    try:
        async with asyncio.timeout(_SILENCE):
            return await coming
    except TimeoutError as error:
        raise UploadRefused(f"Nothing has come for {_SILENCE:.0f} seconds.", status=408) from error


async def _read_field(part: BodyPartReader) -> bytes:
    value = bytearray()
    while chunk := await _brought(part.read_chunk()):
        value += chunk
        if len(value) > _LONGEST_FIELD:
            raise UploadRefused(f"A field is longer than {_LONGEST_FIELD} bytes.", status=413)
    return bytes(value)


async def _read_file(part: BodyPartReader, place: Path, largest: int) -> Upload:
    digest, size = hashlib.sha256(), 0
    loop = asyncio.get_running_loop()
    with place.open("xb") as stream:
        while chunk := await _brought(part.read_chunk(1 << 18)):
            size += len(chunk)
            if size > largest:
                raise UploadRefused(f"Files may have {largest} bytes at the most.", status=413)
            digest.update(chunk)
            await loop.run_in_executor(None, _append, stream, chunk)
    return Upload(place, part.filename or "", "", digest.hexdigest(), size)


def _append(stream: IO[bytes], chunk: bytes) -> None:
    """Write at once: by its time others see that somebody is at the file."""
    stream.write(chunk)
    stream.flush()
