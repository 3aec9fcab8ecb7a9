"""A tree in S3-compatible storage (or Google's or Azure's), for a CDN in front of it.

    simple/, pypi/, manifest.json       what is shown
    packages/                           files, shared by generations
    pages/SHA256                        pages of all generations that are kept
    generations/ID/manifest.json        what each consists of
    rolled-back                         there while later generations than what is shown were gone back from
    publishing                          there while somebody publishes, with the time when he last said so
    switching                           there while pages are copied over: where it stays, somebody has died at that

A bucket has no switch. Pages that differ are copied over one by one inside the storage, lists after the projects and
the manifest last; each page is one object and leads to files that are there, so that a reader in between is served.
"""

import hashlib
import os
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tf_tester.core.index.links import display_url
from tf_tester.core.index.replica_tree import MANIFEST, SIGNATURE, Manifest, content_type, decode
from tf_tester.core.text.timed_names import is_timed_name
from tf_tester.errors import NotAManifest, OurFailure, UsageError, WrongBytes

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES = ("s3://", "gs://", "az://")
_FILE = re.compile(r"packages/[0-9a-f]{2}/[0-9a-f]{64}/[^/]+")
_BUSY = "publishing"
_TORN = "switching"
_LEFT = "rolled-back"
_GIVEN_UP = timedelta(hours=1)
_RENEWED = 300.0
"""Seconds after which a publisher says that it is still there."""
_AT_ONCE = 8
_CHUNK = 1 << 20
_FOR_EVER = "public, max-age=31536000, immutable"
_FOR_A_MINUTE = "public, max-age=60"


class BucketTarget:
    """`ports.publish.TreeTarget`."""

    packed = False

    def __init__(self, url: str) -> None:
        """Open a bucket; whose, and with which keys, is what the environment says. Raises `UsageError`."""
        try:
            from obstore.store import from_url
        except ImportError as error:
            raise UsageError(
                "Buckets need a library that is not installed.", hint="Install it with `pip install 'tf-tester[s3]'`."
            ) from error
        self._shown = display_url(url)
        plain = os.environ.get("AWS_ENDPOINT_URL", os.environ.get("AWS_ENDPOINT", "")).startswith("http://")
        with self._errors():
            self._store: ObjectStore = from_url(
                url,
                client_options={"allow_http": True} if plain else {},
                retry_config={"max_retries": 5, "retry_timeout": timedelta(minutes=3)},
            )
        self.is_torn = False
        self._stamp, self._stamped = b"", 0.0
        self._lock = threading.Lock()

    @contextmanager
    def alone(self) -> Iterator[None]:
        import obstore

        with self._errors():
            if self._get(MANIFEST) is None and (found := self._list("")):
                foreign = [path for path in found if path.split("/")[0] not in _OURS]
                if foreign:
                    raise UsageError(
                        f"{self._shown} holds other things, such as {foreign[0]}.", hint="Name another prefix."
                    )
            self._begin()
            self.is_torn = self._get(_TORN) is not None
        try:
            yield
        finally:
            with self._errors():
                if self._get(_BUSY) == self._stamp:
                    obstore.delete(self._store, _BUSY)

    def _begin(self) -> None:
        """Mark that somebody publishes. Raises `OurFailure` where somebody else does."""
        import obstore

        stamp = datetime.now(UTC).isoformat().encode()
        if not self._is_first(stamp):
            since = datetime.fromisoformat((self._get(_BUSY) or stamp).decode())
            if datetime.now(UTC) - since < _GIVEN_UP:
                raise OurFailure(
                    f"Somebody else has been publishing to {self._shown} since {since:%H:%M:%S} UTC.",
                    hint=f"Wait for it; where it has died, remove the object {_BUSY}, or wait for an hour.",
                )
            obstore.put(self._store, _BUSY, stamp)
        self._stamp, self._stamped = stamp, time.monotonic()

    def _go_on(self, *, now: bool = False) -> None:
        """Say that we are still here, every few minutes or at once. Raises `OurFailure` where somebody took over."""
        import obstore

        with self._lock:
            if not now and time.monotonic() - self._stamped < _RENEWED:
                return
            if self._get(_BUSY) != self._stamp:
                raise OurFailure(
                    f"Somebody else has begun to publish to {self._shown}.", hint="Repeat it when that is over."
                )
            self._stamp, self._stamped = datetime.now(UTC).isoformat().encode(), time.monotonic()
            obstore.put(self._store, _BUSY, self._stamp)

    def _is_first(self, stamp: bytes) -> bool:
        import obstore
        from obstore.exceptions import AlreadyExistsError, GenericError, NotSupportedError

        try:
            obstore.put(self._store, _BUSY, stamp, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return False
        except (GenericError, NotSupportedError) as error:
            if isinstance(error, GenericError) and "501" not in str(error):
                raise
            # A storage without conditional writes: two who begin in one moment don't see one another.
            if self._get(_BUSY) is not None:
                return False
            obstore.put(self._store, _BUSY, stamp)
        return True

    def current(self) -> str | None:
        manifest = self._live()
        return None if manifest is None else manifest.generation

    def generations(self) -> list[str]:
        with self._errors():
            found = self._list("generations")
        names = {path.split("/")[1] for path in found if path.endswith(f"/{MANIFEST}")}
        return sorted(filter(is_timed_name, names))

    def manifest(self, generation: str) -> tuple[bytes, bytes | None]:
        with self._errors():
            content = self._get(f"generations/{generation}/{MANIFEST}")
            if content is None:
                raise OurFailure(f"The generation {generation} has no manifest.", hint="Publish the replica again.")
            return content, self._get(f"generations/{generation}/{SIGNATURE}")

    def sizes(self) -> dict[str, int]:
        with self._errors():
            return {path: size for path, size in self._list("packages").items() if _FILE.fullmatch(path)}

    def is_damaged(self, shown: Manifest) -> bool:
        """See `ports.publish.TreeTarget`; pages are compared by their sizes."""
        if not self.is_torn:
            with self._errors():
                there = {**self._list("simple"), **self._list("pypi")}
            self.is_torn = any(there.get(path) != entry.size for path, entry in shown.pages.items())
        return self.is_torn

    def is_doubtful(self, path: str, source: Path | None) -> bool:
        return False  # an object can't be edited; `--verify --deep` reads what was put in its place

    def confirm(self, path: str) -> None:
        pass

    def put_file(self, path: str, content: Path | bytes, sha256: str) -> None:
        with self._errors():
            if isinstance(content, Path):
                with content.open("rb") as stream:
                    if hashlib.file_digest(stream, "sha256").hexdigest() != sha256:
                        raise WrongBytes(f"{content.name} was damaged on the disk.")
            self._go_on()
            self._put(path, content, _FOR_EVER)

    def add(
        self, manifest: Manifest, pages: Mapping[str, bytes], told: Mapping[str, bytes], before: Manifest | None
    ) -> None:
        with self._errors():
            self._go_on(now=True)
            there = {path.removeprefix("pages/") for path in self._list("pages")}
            new = {entry.sha256: path for path, entry in manifest.pages.items() if entry.sha256 not in there}
            _each(
                lambda digest: self._put(
                    f"pages/{digest}", pages[new[digest]], _FOR_A_MINUTE, content_type(new[digest])
                ),
                new,
            )
            # The manifest last: with it the generation is there.
            for name in sorted(told, reverse=True):
                self._put(f"generations/{manifest.generation}/{name}", told[name], _FOR_A_MINUTE, content_type(name))

    def show(self, manifest: Manifest) -> None:
        import obstore

        with self._errors():
            live = self._live()
            before = {} if live is None else live.pages
            self._go_on(now=True)
            changed = [path for path, entry in manifest.pages.items() if self.is_torn or before.get(path) != entry]
            self._put(_TORN, b"", _FOR_A_MINUTE)
            lists = [path for path in changed if path.startswith("simple/index.")]
            for paths in ([path for path in changed if path not in lists], lists):
                _each(lambda path: obstore.copy(self._store, f"pages/{manifest.pages[path].sha256}", path), paths)
            there = {*before, *self._list("simple"), *self._list("pypi")} if self.is_torn else {*before}
            obstore.delete(self._store, sorted(there - manifest.pages.keys()))
            content, signature = self.manifest(manifest.generation)
            if signature is None:
                obstore.delete(self._store, [SIGNATURE])
            else:
                self._put(SIGNATURE, signature, _FOR_A_MINUTE)
            self._put(MANIFEST, content, _FOR_A_MINUTE)
            obstore.delete(self._store, _TORN)
            self.is_torn = False

    def note_left(self, *, is_left: bool) -> None:
        import obstore

        with self._errors():
            if is_left:
                self._put(_LEFT, b"", _FOR_A_MINUTE)
            else:
                obstore.delete(self._store, [_LEFT])

    def is_left(self) -> bool:
        with self._errors():
            return self._get(_LEFT) is not None

    def read(self, path: str) -> bytes | None:
        with self._errors():
            return self._get(path)

    def closed(self) -> list[str]:
        return []  # who may read is the bucket's matter

    def digest(self, path: str) -> str | None:
        import obstore

        with self._errors():
            try:
                stream = obstore.get(self._store, path).stream(min_chunk_size=_CHUNK)
            except FileNotFoundError:
                return None
            digest = hashlib.sha256()
            for chunk in stream:
                digest.update(chunk)
            return digest.hexdigest()

    def remove(self, generations: Iterable[str], files: Iterable[str], unused: Iterable[str]) -> None:
        import obstore

        gone = [f"generations/{one}/{name}" for one in generations for name in (MANIFEST, SIGNATURE)]
        gone += [*(f"pages/{digest}" for digest in unused), *files]
        with self._errors():
            self._go_on(now=True)
            obstore.delete(self._store, gone)

    def _live(self) -> Manifest | None:
        with self._errors():
            content = self._get(MANIFEST)
        try:
            return None if content is None else decode(content)
        except NotAManifest as error:
            raise OurFailure(
                f"What is published at {self._shown} can't be read: {error}.", hint="Publish to another prefix."
            ) from error

    def _put(self, path: str, content: Path | bytes, cache: str, kind: str = "application/octet-stream") -> None:
        import obstore

        attributes: Any = {"Content-Type": kind, "Cache-Control": cache}
        obstore.put(self._store, path, content, attributes=attributes)

    def _get(self, path: str) -> bytes | None:
        import obstore

        try:
            return bytes(obstore.get(self._store, path).bytes())
        except FileNotFoundError:
            return None

    def _list(self, prefix: str) -> dict[str, int]:
        import obstore

        return {one["path"]: one["size"] for some in obstore.list(self._store, prefix or None) for one in some}

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            raise OurFailure(
                f"{self._shown} can't be used: {str(error).splitlines()[0]}",
                hint="Address, region and keys are what the variables AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID "
                "and AWS_SECRET_ACCESS_KEY say.",
                detail=str(error),
            ) from error


_OURS = ("simple", "pypi", "packages", "pages", "generations", _LEFT, _BUSY, _TORN, MANIFEST, SIGNATURE)


def _each(work: Any, items: Iterable[str]) -> None:
    with ThreadPoolExecutor(_AT_ONCE, "bucket") as pool:
        for _ in pool.map(work, items):
            pass
