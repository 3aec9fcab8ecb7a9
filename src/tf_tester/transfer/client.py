"""Index pages, small files and parts of files from the network, each asked for once.

Nothing here is verified: whole files come in by `transfer.fetch`.
"""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from tf_tester.core.fetch.retries import Retries, TroubleKind
from tf_tester.core.index.links import Origin, credentials, display_url, local_path, origin, without_credentials
from tf_tester.errors import DownloadFailed, IndexUnreachable
from tf_tester.ports.fetch import Sample
from tf_tester.ports.index import PageResponse
from tf_tester.transfer.loop_thread import LoopThread
from tf_tester.transfer.settings import MAX_METADATA, MAX_PAGE, ClientSettings, Timeouts
from tf_tester.transfer.trouble import Trouble, status_trouble

if TYPE_CHECKING:
    from aiohttp import ClientResponse

    from tf_tester.transfer.session import HttpSession

T = TypeVar("T")


class Client:
    """Implements `ports.index.GetPage` and `ports.fetch.Sampler`; a context manager, callable from many threads."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._identities: dict[Origin, tuple[str, str]] = {}
        for url in settings.identities:
            self._remember_identity(url)

        def make_session() -> "HttpSession":
            from tf_tester.transfer.session import HttpSession

            return HttpSession(settings, self._identities)

        self.thread = LoopThread(make_session)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop what runs; whoever waits gets `InterruptedTransfer`. What arrived of a file stays."""
        self.thread.close()

    @property
    def offline(self) -> bool:
        return self._settings.offline

    @property
    def timeouts(self) -> Timeouts:
        return self._settings.timeouts

    # -- parts of files

    def read_range(self, url: str, start: int, end: int) -> bytes:
        """Return bytes [start, end) of a file, unverified; a negative `start` counts from the end.

        With a negative start, `end` counts from the end too; 0 is the end itself. Raises `Trouble`.
        """
        from_end = start < 0
        wanted = end - start
        header = f"bytes={start}" if from_end else f"bytes={start}-{end - 1}"

        async def ask(session: "HttpSession") -> bytes:
            from tf_tester.transfer.session import read_body

            headers = {"Range": header, "Accept-Encoding": "identity"}
            async with session.open(url, headers) as response:
                if response.status != 206:
                    if response.status == 200:
                        raise Trouble(TroubleKind.RANGES, "doesn't do ranges")
                    raise status_trouble(response.status, response.reason)
                given = response.headers.get("Content-Range", "")
                if not from_end and not given.startswith(f"bytes {start}-"):
                    raise Trouble(TroubleKind.RANGES, "answered with another range than asked for")
                return await read_body(response, -start if from_end else wanted)

        return self._timed(ask)[:wanted]

    def sample(self, url: str, start: int, end: int, *, within: float) -> Sample:
        """See `ports.Sampler`."""
        if url.startswith("file:"):
            return Sample(read_part(local_path(url), start, end - start), 0.0, 0.0)

        async def ask(session: "HttpSession") -> Sample:
            import asyncio

            now = asyncio.get_running_loop().time
            began = now()
            body = bytearray()
            first = began
            try:
                async with asyncio.timeout(within):
                    headers = {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
                    async with session.open(url, headers) as response:
                        if response.status == 200 and start:
                            raise Trouble(TroubleKind.RANGES, "doesn't do ranges")
                        if response.status not in (200, 206):
                            raise status_trouble(response.status, response.reason, response.headers.get("Retry-After"))
                        given = response.headers.get("Content-Range", "")
                        if response.status == 206 and not given.startswith(f"bytes {start}-"):
                            raise Trouble(TroubleKind.RANGES, "answered with another range than asked for")
                        while len(body) < end - start and (chunk := await response.content.readany()):
                            first = first if body else now()
                            body += chunk
            except TimeoutError as error:
                if not body:
                    raise Trouble(TroubleKind.STALLED, f"did not answer within {within:g} s") from error
            return Sample(bytes(body[: end - start]), first - began, now() - first)

        try:
            return self.thread.run(ask)
        except Trouble as trouble:
            raise DownloadFailed(trouble.reason) from trouble

    def small_file(self, url: str) -> bytes:
        """Return a file of a few megabytes at the most, by its address. Raises `DownloadFailed`."""
        try:
            return self.read_small(url)
        except (Trouble, OSError) as error:
            raise DownloadFailed(f"{display_url(url)}: {error}") from error

    def read_small(self, url: str) -> bytes:
        """Return the same. Raises `Trouble`, `OSError`."""
        if url.startswith("file:"):
            return local_path(url).read_bytes()

        async def ask(session: "HttpSession") -> bytes:
            from tf_tester.transfer.session import read_body

            async with session.open(url, {"Accept-Encoding": "gzip"}) as response:
                if response.status != 200:
                    raise status_trouble(response.status, response.reason)
                return await read_body(response, MAX_METADATA)

        return self._timed(ask)

    def download(self, url: str, target: Path) -> None:
        """Put what an address has into a file, however large, unverified. Raises `DownloadFailed`."""
        if self._settings.offline:
            raise DownloadFailed(
                f"{display_url(url)} isn't in the store, and --offline forbids to fetch it",
                hint="Run the same command once without --offline.",
            )
        self._remember_identity(url)

        async def ask(session: "HttpSession") -> None:
            async with session.open(without_credentials(url), {"Accept-Encoding": "identity"}) as response:
                if response.status != 200:
                    raise status_trouble(response.status, response.reason)
                with target.open("wb") as file:
                    while chunk := await response.content.readany():
                        file.write(chunk)

        try:
            self.thread.run(ask)
        except Trouble as trouble:
            raise DownloadFailed(
                f"{display_url(url)} can't be had: {trouble.reason}", hint="Check the address, and try again."
            ) from trouble

    # -- pages

    def get_page(
        self, url: str, *, accept: str, etag: str | None, fresh: bool = False, most: int | None = None
    ) -> PageResponse:
        """Return one index page; see `ports.index.GetPage`."""
        if self._settings.offline:
            raise IndexUnreachable(f"{_host(url)} is not asked, because of --offline")
        self._remember_identity(url)
        address = without_credentials(url)
        headers = {"Accept": accept, "Accept-Encoding": "gzip"}
        if etag:
            headers["If-None-Match"] = etag
        if fresh:
            headers["Cache-Control"] = "no-cache"

        async def ask(session: "HttpSession") -> PageResponse:
            from tf_tester.transfer.session import check_length, read_body

            if most is not None:
                # What is too long fills buffers on the way before it can be refused.
                async with session.open(address, headers, method="HEAD") as response:
                    check_length(response, most)
                    if response.status == 304 and etag:
                        return _page_response(response, b"")
            async with session.open(address, headers) as response:
                status = 404 if response.status == 410 else response.status
                if status not in (200, 404) and not (status == 304 and etag):
                    raise status_trouble(status, response.reason, response.headers.get("Retry-After"))
                return _page_response(response, await read_body(response, most or MAX_PAGE) if status == 200 else b"")

        retries = Retries(self.timeouts.retry_delay, self.timeouts.retry_after_cap)
        while True:
            try:
                return self._timed(ask)
            except Trouble as trouble:
                retries, pause = retries.after(trouble.kind, progressed=False, retry_after=trouble.retry_after)
                if pause is None:
                    raise IndexUnreachable(f"{_host(url)} {trouble.reason}", detail=display_url(url)) from trouble
            self.thread.pause(pause)

    def _timed(self, ask: "Callable[[HttpSession], Coroutine[Any, Any, T]]") -> T:
        """Return the answer to something small, within the time for a page. Raises `Trouble`."""
        import asyncio

        async def within(session: "HttpSession") -> T:
            try:
                async with asyncio.timeout(self.timeouts.page):
                    return await ask(session)
            except TimeoutError as error:
                raise Trouble(TroubleKind.STALLED, f"did not answer within {self.timeouts.page:g} s") from error

        return self.thread.run(within)

    def _remember_identity(self, url: str) -> None:
        secret = credentials(url)
        if secret:
            self._identities[origin(url)] = secret


def _page_response(response: "ClientResponse", body: bytes) -> PageResponse:
    return PageResponse(
        status=404 if response.status == 410 else response.status,
        body=body,
        content_type=response.headers.get("Content-Type", ""),
        etag=response.headers.get("ETag"),
        url_after_redirects=str(response.url),
        serial=_serial(response.headers.get("X-PyPI-Last-Serial")),
    )


def _serial(header: str | None) -> int | None:
    return int(header) if header and header.isascii() and header.isdigit() and len(header) < 19 else None


def _host(url: str) -> str:
    return urlsplit(url).hostname or display_url(url)


def read_part(path: Path, start: int, count: int) -> bytes:
    """Return a part of a file of this machine; a negative `start` counts from the end. Raises `DownloadFailed`."""
    try:
        with path.open("rb") as file:
            file.seek(start if start >= 0 else max(start, -path.stat().st_size), 0 if start >= 0 else 2)
            return file.read(count)
    except OSError as error:
        raise DownloadFailed(f"a part of {path.name} can't be read: {error.strerror}") from error
