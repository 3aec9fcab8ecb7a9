"""Fakes of our own ports, for tests of one folder without the others."""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Generic, TypeVar

from tf_tester.errors import WrongBytes
from tf_tester.model.events import Event
from tf_tester.ports.index import CachedPage
from tf_tester.ports.store import Follower, Pieces
from tf_tester.store.blobs import Following

E = TypeVar("E")
V = TypeVar("V")


class KeptMemos(Generic[V]):
    """`ports.memory.Memos` in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, V] = {}

    def recall(self, key: str) -> V | None:
        return self.kept.get(key)

    def remember(self, key: str, value: V) -> None:
        self.kept[key] = value


class MemoryishBlobs:
    """`ports.Blobs` in a folder: verified like the real store, without its care for crashes.

    `adopted` lists `(sha256, filename, source)` in order.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.adopted: list[tuple[str, str, str]] = []
        folder.mkdir(parents=True, exist_ok=True)

    def find(self, sha256: str) -> Path | None:
        path = self.folder / sha256
        return path if path.exists() else None

    def find_unchanged(self, sha256: str) -> Path | None:
        return self.find(sha256)

    def holds(self, sha256: str) -> bool:
        return self.find(sha256) is not None

    def is_sound(self, sha256: str) -> bool:
        return self.holds(sha256)

    def partial(self, sha256: str) -> Path:
        return self.folder / f"{sha256}.partial"

    @contextmanager
    def exclusive(self, sha256: str) -> Iterator[None]:
        file = os.open(self.folder / f"{sha256}.lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)

    def pieces(self, sha256: str) -> Pieces | None:
        return None

    def follow(self, sha256: str) -> Following:
        return Following(self.partial(sha256))

    def adopt(self, sha256: str, filename: str, source: str, follower: Follower | None = None) -> Path:
        partial = self.partial(sha256)
        followed = _hash_of(partial) if follower is None else follower.digest()
        if not partial.exists() or followed != _hash_of(partial) or followed != sha256:
            raise WrongBytes(f"{filename} from {source} isn't what was promised")
        self.adopted.append((sha256, filename, source))
        return partial.rename(self.folder / sha256)


def _hash_of(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


class MemoryPages:
    """`ports.PageCache` in a dictionary."""

    def __init__(self) -> None:
        self.pages: dict[str, CachedPage] = {}

    def get(self, url: str) -> CachedPage | None:
        return self.pages.get(url)

    def fetched(self, url: str) -> datetime | None:
        return self.pages[url].fetched if url in self.pages else None

    def put(self, url: str, page: CachedPage) -> None:
        self.pages[url] = page


class Told:
    """A `ports.Tell` that remembers: `told.of(TransferTrouble)` are all events of that kind."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            self.events.append(event)

    def of(self, kind: type[E]) -> list[E]:
        with self._lock:
            return [event for event in self.events if isinstance(event, kind)]
