"""Verified files by their SHA-256. Keeps the promise that a wrong byte is never kept."""

import hashlib
import os
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from pathlib import Path

from tf_tester.errors import WrongBytes
from tf_tester.ports import Follower
from tf_tester.store.folder import StoreFolder, start_writing, store_errors, sync_folder
from tf_tester.store.inventory import used_now
from tf_tester.store.leases import Leases
from tf_tester.store.ledger import Ledger

_CHUNK = 1 << 20


class BlobStore:
    """`ports.Blobs` on a folder."""

    def __init__(self, folder: StoreFolder, ledger: Ledger, leases: Leases | None = None) -> None:
        """Without `leases` nobody is told what is in use."""
        self._folder = folder
        self._ledger = ledger
        self._leases = leases or Leases(folder, None)

    def find(self, sha256: str) -> Path | None:
        path = self._path(sha256)
        if not path.is_file():
            return None
        self._leases.hold(sha256)
        if not path.is_file():
            return None
        used_now(path)
        return path

    def every(self) -> list[str]:
        """The digests of all that are there."""
        return [path.name for path in sorted(self._folder.blobs.glob("??/*")) if len(path.name) == 64]

    def partial(self, sha256: str) -> Path:
        return self._folder.incoming / f"{_checked(sha256)}.part"

    def exclusive(self, sha256: str) -> AbstractContextManager[None]:
        return self._folder.exclusive(_checked(sha256))

    def follow(self, sha256: str) -> "Following":
        return Following(self.partial(sha256))

    def adopt(self, sha256: str, filename: str, source: str, follower: Follower | None = None) -> Path:
        partial = self.partial(sha256)
        with store_errors(self._folder.root):
            # The one place where a file becomes a blob. What is on the disk was read, not what went over the
            # wire, so that resumed pieces, other processes and bad memory are all covered by the same check.
            actual = (follower or self.follow(sha256)).digest()
            if actual != sha256:
                raise WrongBytes(f"{filename} from {source} has SHA-256 {actual}, promised was {sha256}.")
            with partial.open("rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                os.fsync(stream.fileno())
            path = self._path(sha256)
            path.parent.mkdir(exist_ok=True)
            self._leases.hold(sha256)
            partial.replace(path)
            # Not before: a partial file that stayed here read-only could not be gone on with.
            path.chmod(0o444)
            sync_folder(path.parent)
        self._ledger.remember_blob(sha256, filename, size, source, datetime.now(UTC))
        return path

    def _path(self, sha256: str) -> Path:
        return self._folder.blobs / _checked(sha256)[:2] / sha256


class Following:
    """`ports.Follower` that reads what the system has of the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._end = 0
        self._restarted = True
        self._hash = hashlib.sha256()
        self._position = 0

    def grown(self, end: int) -> None:
        self._end = end

    def restart(self) -> None:
        # In this order: whoever has just begun anew, and with that has forgotten that he was to, finds nothing to read.
        self._end = 0
        self._restarted = True

    def catch_up(self) -> None:
        with suppress(OSError):  # told by `digest`
            self._read(to_the_end=False)

    def digest(self) -> str:
        self._read(to_the_end=True)
        return self._hash.hexdigest()

    def _read(self, *, to_the_end: bool) -> None:
        if self._restarted:
            self._restarted = False
            self._hash = hashlib.sha256()
            self._position = 0
        with self._path.open("rb") as stream:
            stream.seek(self._position)
            while to_the_end or self._position < self._end:
                chunk = stream.read(_CHUNK if to_the_end else min(_CHUNK, max(0, self._end - self._position)))
                if not chunk or self._restarted:
                    break
                self._hash.update(chunk)
                self._position += len(chunk)
            if not to_the_end:
                start_writing(stream.fileno())  # the sync at the end finds little left to do


def _checked(sha256: str) -> str:
    """The digest is used as a file name: nothing else may come through here."""
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise ValueError(f"not a SHA-256 in lower-case hex: {sha256!r}")
    return sha256
