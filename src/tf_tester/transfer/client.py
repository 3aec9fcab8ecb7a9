"""Verified files and index pages from the network; nothing else lets bytes in.

Promise: what `fetch` returns is what the authority promised, whoever sent it; one transfer per file however
many threads and processes want it; whatever arrives of a file is kept for the next attempt.
"""

import os
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from tf_tester.core.fetch.claims import RaceTerms
from tf_tester.core.fetch.retries import Retries, TroubleKind
from tf_tester.core.index.links import Origin, credentials, display_url, local_path, origin, without_credentials
from tf_tester.errors import DownloadFailed, IndexUnreachable, InterruptedTransfer, TfTesterError
from tf_tester.model.artifact import Artifact
from tf_tester.model.source import AUTHORITY, Source
from tf_tester.ports.fetch import Arrival, FetchForecast, Learn, Sample
from tf_tester.ports.index import PageResponse
from tf_tester.ports.store import Blobs
from tf_tester.ports.tell import Tell
from tf_tester.transfer.network import LoopThread, interrupted
from tf_tester.transfer.settings import MAX_METADATA, MAX_PAGE, Timeouts
from tf_tester.transfer.trouble import Trouble, status_trouble

if TYPE_CHECKING:
    from aiohttp import ClientResponse

    from tf_tester.transfer.session import HttpSession

T = TypeVar("T")
Sources = Callable[[Artifact], Sequence[Source]]


def from_authority(artifact: Artifact) -> Sequence[Source]:
    """Return the simplest answer to where a file may be had."""
    return (Source(AUTHORITY, artifact.url, proven=True),)


class Transfer:
    """Implements `ports.Fetcher` and `ports.GetPage`; a context manager, callable from many threads."""

    def __init__(
        self,
        blobs: Blobs,
        tell: Tell,
        *,
        sources: Sources = from_authority,
        learn: Learn | None = None,
        approve: Callable[[Artifact], str] = lambda _artifact: "",
        terms: RaceTerms | None = None,
        offline: bool = False,
        connections: int = 6,
        user_agent: str = "tf-tester",
        timeouts: Timeouts | None = None,
        environ: Mapping[str, str] | None = None,
        identities: Sequence[str] = (),
        may_ask: Callable[[str], bool] | None = None,
    ) -> None:
        """Open the network. `sources`: where a file may be had, best first; `learn` hears how they did.

        `approve`: says who has signed a file, before it is brought; raises `DownloadFailed` where it isn't to be.

        `terms`: how files are shared out. `connections`: files on their way at once. `identities`: addresses whose
        user name and password are for every file of just that scheme, host and port. `environ`: proxies,
        certificates and netrc are taken from it. `may_ask`: whether a host may be asked at all, redirects included.
        """
        self._blobs = blobs
        self._tell = tell
        self._sources = sources
        self._learn = learn
        self._approve = approve
        self._terms = terms
        self._offline = offline
        self._timeouts = timeouts or Timeouts()
        self._identities: dict[Origin, tuple[str, str]] = {}
        for url in identities:
            self._remember_identity(url)
        environ = os.environ if environ is None else environ

        def make_session() -> "HttpSession":
            from tf_tester.transfer.session import HttpSession

            return HttpSession(
                user_agent=user_agent,
                timeouts=self._timeouts,
                connections=connections,
                environ=environ,
                identities=self._identities,
                may_ask=may_ask,
            )

        self._network = LoopThread(make_session)
        self._lock = threading.Lock()
        self._underway: dict[str, Future[Path]] = {}
        self._arrivals: dict[str, Arrival] = {}

    def __enter__(self) -> "Transfer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop what runs; whoever waits gets `InterruptedTransfer`. What arrived of a file stays."""
        self._network.close()

    # -- files

    def fetch(self, artifact: Artifact) -> Path:
        """Return the verified file, from the store or from its sources together.

        Raises `DownloadFailed` (its `detail` has a line a source) and `StoreError`.
        """
        sha256 = artifact.sha256
        if sha256 is None:
            raise DownloadFailed(
                f"{artifact.filename} can't be verified: the index promises no SHA-256 for it",
                hint="Name an index that gives hashes with --index-url.",
            )
        found = self._blobs.find(sha256)
        if found:
            return found
        if self._offline:
            raise DownloadFailed(
                f"{artifact.filename} isn't in the store, and --offline forbids to fetch it",
                hint="Run the same command once without --offline.",
            )
        with self._lock:
            future = self._underway.get(sha256)
            leads = future is None
            if future is None:
                future = self._underway[sha256] = Future()
        if leads:
            self._lead(artifact, sha256, future)
        return future.result()

    def arrival(self, sha256: str) -> Arrival | None:
        return self._arrivals.get(sha256)

    def sources(self, artifact: Artifact) -> Sequence[Source]:
        return self._sources(artifact) or from_authority(artifact)

    def foresee(self, artifact: Artifact) -> FetchForecast:
        """See `ports.Fetcher`; the mirrors' pages are asked for, nothing else."""
        sha256 = artifact.sha256
        if sha256 is not None and self._blobs.find(sha256):
            return FetchForecast(0)
        missing = artifact.size
        if sha256 is not None and missing is not None and (partial := self._blobs.partial(sha256)).exists():
            from tf_tester.transfer.partial import bytes_held

            missing = max(0, missing - bytes_held(partial, artifact.size))
        if self._offline:
            return FetchForecast(missing)
        return FetchForecast(missing, tuple(source.name for source in self._sources(artifact)))

    def _lead(self, artifact: Artifact, sha256: str, future: "Future[Path]") -> None:
        """Bring it for all threads that wait for it, failures too."""
        try:
            path = self._bring(artifact, sha256)
        except BaseException as error:
            with self._lock:
                del self._underway[sha256]
            future.set_exception(error if isinstance(error, TfTesterError) else interrupted())
            raise
        with self._lock:
            del self._underway[sha256]
        future.set_result(path)

    def _bring(self, artifact: Artifact, sha256: str) -> Path:
        from tf_tester.transfer.download import Download  # and with it asyncio

        with self._alone(sha256):
            found = self._blobs.find(sha256)  # another process may have been faster
            if found:
                return found
            download = Download(
                artifact,
                sha256,
                self._blobs,
                self._network,
                self._tell,
                self._timeouts,
                terms=self._terms,
                learn=self._learn or (lambda _use: None),
                attested_by=self._approve(artifact),
                arrival=Arrival(self._blobs.partial(sha256)),
            )
            self._arrivals[sha256] = download.arrival
            try:
                return download.run(self.sources(artifact))
            finally:
                del self._arrivals[sha256]

    @contextmanager
    def _alone(self, sha256: str) -> Iterator[None]:
        """Hold `Blobs.exclusive`, taken in a thread of its own: waiting for another process can be given up."""
        taken, over = threading.Event(), threading.Event()
        failure: list[BaseException] = []

        def hold() -> None:
            try:
                with self._blobs.exclusive(sha256):
                    taken.set()
                    over.wait()
            except TfTesterError as error:
                failure.append(error)
            finally:
                taken.set()

        holder = threading.Thread(target=hold, name=f"tf-tester-hold-{sha256[:8]}", daemon=True)
        holder.start()
        try:
            self._network.wait_for(taken)
            if failure:
                raise failure[0]
            yield
        finally:
            over.set()
            if taken.is_set():
                holder.join()

    # -- parts of files

    def read_range(self, artifact: Artifact, start: int, end: int) -> bytes:
        """Return bytes [start, end) at the authority, unverified; a negative `start` counts from the end.

        With a negative start, `end` counts from the end too; 0 is the end itself. Raises `DownloadFailed`.
        """
        from_end = start < 0
        wanted = end - start
        stored = self._blobs.find(artifact.sha256) if artifact.sha256 else None
        if stored or artifact.url.startswith("file:"):
            return _read_part(stored or local_path(artifact.url), start, wanted)
        if self._offline:
            raise DownloadFailed(
                f"{artifact.filename} isn't in the store, and --offline forbids to look into it",
                hint="Run the same command once without --offline.",
            )
        header = f"bytes={start}" if from_end else f"bytes={start}-{end - 1}"

        async def ask(session: "HttpSession") -> bytes:
            from tf_tester.transfer.session import read_body

            headers = {"Range": header, "Accept-Encoding": "identity"}
            async with session.open(artifact.url, headers) as response:
                if response.status != 206:
                    if response.status == 200:
                        raise Trouble(TroubleKind.RANGES, "doesn't do ranges")
                    raise status_trouble(response.status, response.reason)
                given = response.headers.get("Content-Range", "")
                if not from_end and not given.startswith(f"bytes {start}-"):
                    raise Trouble(TroubleKind.RANGES, "answered with another range than asked for")
                return await read_body(response, -start if from_end else wanted)

        try:
            body = self._timed(ask)
        except Trouble as trouble:
            raise DownloadFailed(f"a part of {artifact.filename} can't be had: {trouble.reason}") from trouble
        return body[:wanted]

    def sample(self, url: str, start: int, end: int, *, within: float) -> Sample:
        """See `ports.Sampler`."""
        if url.startswith("file:"):
            return Sample(_read_part(local_path(url), start, end - start), 0.0, 0.0)

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
            return self._network.run(ask)
        except Trouble as trouble:
            raise DownloadFailed(trouble.reason) from trouble

    def metadata(self, artifact: Artifact) -> bytes | None:
        """Return the advertised core metadata; None where there is none, it can't be had or its hash is wrong."""
        if artifact.metadata_sha256 is None or self._offline:
            return None
        try:
            body = self._small_file(f"{artifact.url}.metadata")
        except (Trouble, InterruptedTransfer, OSError):
            return None
        if artifact.metadata_sha256:
            from hashlib import sha256

            if sha256(body).hexdigest() != artifact.metadata_sha256:
                return None
        return body

    def small_file(self, url: str) -> bytes:
        """Return a file of a few megabytes at the most, by its address. Raises `DownloadFailed`."""
        try:
            return self._small_file(url)
        except (Trouble, OSError) as error:
            raise DownloadFailed(f"{display_url(url)}: {error}") from error

    def _small_file(self, url: str) -> bytes:
        if url.startswith("file:"):
            return local_path(url).read_bytes()

        async def ask(session: "HttpSession") -> bytes:
            from tf_tester.transfer.session import read_body

            async with session.open(url, {"Accept-Encoding": "gzip"}) as response:
                if response.status != 200:
                    raise status_trouble(response.status, response.reason)
                return await read_body(response, MAX_METADATA)

        return self._timed(ask)

    # -- pages

    def get_page(
        self, url: str, *, accept: str, etag: str | None, fresh: bool = False, most: int | None = None
    ) -> PageResponse:
        """Return one index page; see `ports.GetPage`."""
        if self._offline:
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

        retries = Retries(self._timeouts.retry_delay, self._timeouts.retry_after_cap)
        while True:
            try:
                return self._timed(ask)
            except Trouble as trouble:
                retries, pause = retries.after(trouble.kind, progressed=False, retry_after=trouble.retry_after)
                if pause is None:
                    raise IndexUnreachable(f"{_host(url)} {trouble.reason}", detail=display_url(url)) from trouble
            self._network.pause(pause)

    def _timed(self, ask: "Callable[[HttpSession], Coroutine[Any, Any, T]]") -> T:
        """Return the answer to something small, within the time for a page. Raises `Trouble`."""
        import asyncio

        async def within(session: "HttpSession") -> T:
            try:
                async with asyncio.timeout(self._timeouts.page):
                    return await ask(session)
            except TimeoutError as error:
                raise Trouble(TroubleKind.STALLED, f"did not answer within {self._timeouts.page:g} s") from error

        return self._network.run(within)

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


def _read_part(path: Path, start: int, count: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(start if start >= 0 else max(start, -path.stat().st_size), 0 if start >= 0 else 2)
            return file.read(count)
    except OSError as error:
        raise DownloadFailed(f"a part of {path.name} can't be read: {error.strerror}") from error
