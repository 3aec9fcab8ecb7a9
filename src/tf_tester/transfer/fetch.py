"""Verified files from the network; nothing else lets them in.

Promise: what `fetch` returns is what the authority promised, whoever sent it; one transfer per file however
many threads and processes want it; whatever arrives of a file is kept for the next attempt.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from tf_tester.core.fetch.claims import RaceTerms
from tf_tester.core.index.left_out import without_hash
from tf_tester.core.index.links import local_path
from tf_tester.errors import DownloadFailed, InterruptedTransfer, TfTesterError
from tf_tester.model.artifact import Artifact
from tf_tester.model.source import AUTHORITY, Source
from tf_tester.ports.fetch import Arrival, FetchForecast, Learn
from tf_tester.ports.store import Blobs
from tf_tester.ports.tell import Tell
from tf_tester.transfer.client import Client, read_part
from tf_tester.transfer.loop_thread import interrupted
from tf_tester.transfer.trouble import Trouble

Sources = Callable[[Artifact], Sequence[Source]]
"""Returns where a file may be had, the best source first."""


def from_authority(artifact: Artifact) -> Sequence[Source]:
    """Return the simplest answer to where a file may be had."""
    return (Source(AUTHORITY, artifact.url, proven=True),)


class Promises(Struct, frozen=True):
    """What is done about what an index promises of a file, besides its hash."""

    approve: Callable[[Artifact], str] = lambda _artifact: ""
    """Says who has signed a file, before it is brought; raises `DownloadFailed` where it isn't to be."""
    check: Callable[[Artifact, Path], None] = lambda _artifact, _file: None
    """Compares a file that has come with what its index says of it; raises `CellRefused`."""
    doubt: Callable[[Artifact], None] = lambda _artifact: None
    """Is told of a file of which its own index has other bytes than it promises, or none."""


_BELIEVED = Promises()


class Transfer:
    """Implements `ports.fetch.Fetcher`; callable from many threads."""

    def __init__(
        self,
        client: Client,
        blobs: Blobs,
        tell: Tell,
        *,
        sources: Sources = from_authority,
        learn: Learn = lambda _use: None,
        promises: Promises = _BELIEVED,
        terms: RaceTerms | None = None,
    ) -> None:
        """Tell `learn` how sources did. `terms`: how files are shared out among them."""
        self.client = client
        self._blobs = blobs
        self._tell = tell
        self._sources = sources
        self._learn = learn
        self._promises = promises
        self._terms = terms
        self._lock = threading.Lock()
        self._underway: dict[str, Future[Path]] = {}
        self._arrivals: dict[str, Arrival] = {}

    def fetch(self, artifact: Artifact) -> Path:
        """Return the verified file, from the store or from its sources together.

        Raises `DownloadFailed` (its `detail` has a line a source) and `StoreError`.
        """
        sha256 = artifact.sha256
        if sha256 is None:
            raise DownloadFailed(
                f"{artifact.filename} can't be verified: {without_hash(artifact)}",
                hint="Name an index that gives hashes with --index-url.",
            )
        found = self._blobs.find(sha256)
        if found:
            return found
        if self.client.offline:
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
        """See `ports.fetch.Fetcher`; the mirrors' pages are asked for, nothing else."""
        sha256 = artifact.sha256
        if sha256 is not None and self._blobs.find(sha256):
            return FetchForecast(0)
        missing = artifact.size
        if sha256 is not None and missing is not None and (partial := self._blobs.partial(sha256)).exists():
            from tf_tester.transfer.partial import bytes_held

            missing = max(0, missing - bytes_held(partial, artifact.size))
        if self.client.offline:
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
                self.client.thread,
                self._tell,
                self.client.timeouts,
                terms=self._terms,
                learn=self._learn,
                attested_by=self._promises.approve(artifact),
                arrival=Arrival(self._blobs.partial(sha256)),
            )
            self._arrivals[sha256] = download.arrival
            try:
                path = download.run(self.sources(artifact))
            except DownloadFailed as error:
                if error.contradicts_index:
                    self._promises.doubt(artifact)
                raise
            finally:
                del self._arrivals[sha256]
            self._promises.check(artifact, path)
            return path

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
            self.client.thread.wait_for(taken)
            if failure:
                raise failure[0]
            yield
        finally:
            over.set()
            if taken.is_set():
                holder.join()

    def read_range(self, artifact: Artifact, start: int, end: int) -> bytes:
        """See `ports.fetch.Fetcher`."""
        stored = self._blobs.find(artifact.sha256) if artifact.sha256 else None
        if stored or artifact.url.startswith("file:"):
            return read_part(stored or local_path(artifact.url), start, end - start)
        if self.client.offline:
            raise DownloadFailed(
                f"{artifact.filename} isn't in the store, and --offline forbids to look into it",
                hint="Run the same command once without --offline.",
            )
        try:
            return self.client.read_range(artifact.url, start, end)
        except Trouble as trouble:
            raise DownloadFailed(f"a part of {artifact.filename} can't be had: {trouble.reason}") from trouble

    def metadata(self, artifact: Artifact) -> bytes | None:
        """Return the advertised core metadata; None where there is none, it can't be had or its hash is wrong."""
        if artifact.metadata_sha256 is None or self.client.offline:
            return None
        try:
            body = self.client.read_small(f"{artifact.url}.metadata")
        except (Trouble, InterruptedTransfer, OSError):
            return None
        if artifact.metadata_sha256:
            from hashlib import sha256

            if sha256(body).hexdigest() != artifact.metadata_sha256:
                return None
        return body
