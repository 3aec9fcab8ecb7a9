"""Verified files by their SHA-256. Keeps the promise that a wrong byte is never kept."""

import hashlib
import os
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from pathlib import Path

from zlib_ng.zlib_ng import crc32

from tf_tester.errors import WrongBytes
from tf_tester.ports.store import Follower, Pieces
from tf_tester.store.folder import StoreFolder, store_errors, sync_folder, used_now
from tf_tester.store.leases import Leases
from tf_tester.store.ledger import Ledger
from tf_tester.store.memos.table import PIECES

_CHUNK = 1 << 20
_PIECE = 4 << 20


class BlobStore:
    """`ports.Blobs` on a folder."""

    def __init__(self, folder: StoreFolder, ledger: Ledger, leases: Leases | None = None) -> None:
        """Open the blobs of a folder. Without `leases` nobody is told what is in use."""
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
        """Return the digests of all that are there."""
        return [path.name for path in sorted(self._folder.blobs.glob("??/*")) if len(path.name) == 64]

    def partial(self, sha256: str) -> Path:
        return self._folder.incoming / f"{_checked(sha256)}.part"

    def exclusive(self, sha256: str) -> AbstractContextManager[None]:
        return self._folder.exclusive(_checked(sha256))

    def pieces(self, sha256: str) -> Pieces | None:
        return self._ledger.recall(PIECES, sha256)

    def set_aside(self, sha256: str) -> None:
        """Set aside a damaged blob, as what has arrived of a file: what of it is right needn't be fetched again."""
        with store_errors(self._folder.root), self.exclusive(sha256):
            path = self._path(sha256)
            if path.is_file():
                path.chmod(0o600)
                path.replace(self.partial(sha256))
                self.partial(sha256).with_name(f"{sha256}.part.notes").unlink(missing_ok=True)

    def follow(self, sha256: str) -> "Following":
        return Following(self.partial(sha256))

    def adopt(self, sha256: str, filename: str, source: str, follower: Follower | None = None) -> Path:
        partial = self.partial(sha256)
        with store_errors(self._folder.root):
            # The one place where a file becomes a blob. What is on the disk was read, not what went over the
            # wire, so that resumed pieces, other processes and bad memory are all covered by the same check.
            follower = follower or self.follow(sha256)
            actual = follower.digest()
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
        sums = follower.sums()
        if len(sums) > 1:
            self._ledger.remember(PIECES, sha256, Pieces(_PIECE, tuple(sums)))
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
        self._sums: list[int] = []

    def grown(self, end: int) -> None:
        self._end = end

    def restart(self) -> None:
        # In this order: whoever has just begun anew, and with that has forgotten that he was to, finds nothing to read.
        self._end = 0
        self._restarted = True

    def catch_up(self) -> None:
        with suppress(OSError):  # told by `digest`
            self._read(to_the_end=False)

    def sums(self) -> list[int]:
        """Return the CRC-32 of each piece of what was read."""
        return self._sums

    def digest(self) -> str:
        self._read(to_the_end=True)
        return self._hash.hexdigest()

    def _read(self, *, to_the_end: bool) -> None:
        if self._restarted:
            self._restarted = False
            self._hash = hashlib.sha256()
            self._position = 0
            self._sums = []
        with self._path.open("rb", buffering=0) as stream:
            stream.seek(self._position)
            # One buffer, not a new MiB each time, which the system would have to clear.
            buffer = memoryview(bytearray(_CHUNK))
            while to_the_end or self._position < self._end:
                # Not beyond a piece, so that its sum is of it alone.
                available = _CHUNK - self._position % _CHUNK
                wanted = available if to_the_end else min(available, max(0, self._end - self._position))
                chunk = buffer[: stream.readinto(buffer[:wanted])]
                if not chunk or self._restarted:
                    break
                self._hash.update(chunk)
                # 0.1 of the time that SHA-256 takes.
                if self._position % _PIECE == 0:
                    self._sums.append(0)
                self._sums[-1] = crc32(chunk, self._sums[-1])
                self._position += len(chunk)


def _checked(sha256: str) -> str:
    """Return a digest that may be used as a file name: nothing else may come through here."""
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise ValueError(f"not a SHA-256 in lower-case hex: {sha256!r}")
    return sha256
