"""Verified files by their SHA-256. Keeps the promise that a wrong byte is never kept."""

import hashlib
import os
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from tf_tester.errors import WrongBytes
from tf_tester.store.folder import StoreFolder, store_errors, sync_folder
from tf_tester.store.ledger import Ledger


class BlobStore:
    """`ports.Blobs` on a folder."""

    def __init__(self, folder: StoreFolder, ledger: Ledger) -> None:
        self._folder = folder
        self._ledger = ledger

    def find(self, sha256: str) -> Path | None:
        path = self._path(sha256)
        return path if path.is_file() else None

    def partial(self, sha256: str) -> Path:
        return self._folder.incoming / f"{_checked(sha256)}.part"

    def exclusive(self, sha256: str) -> AbstractContextManager[None]:
        return self._folder.exclusive(_checked(sha256))

    def adopt(self, sha256: str, filename: str, source: str) -> Path:
        partial = self.partial(sha256)
        with store_errors(self._folder.root):
            # The one place where a file becomes a blob. It reads what is on the disk, not what went over the
            # wire, so that resumed pieces, other processes and bad memory are all covered by the same check.
            with partial.open("rb") as stream:
                actual = hashlib.file_digest(stream, "sha256").hexdigest()
                size = stream.tell()
                if actual == sha256:
                    os.fsync(stream.fileno())
            if actual != sha256:
                partial.unlink()
                raise WrongBytes(f"{filename} from {source} has SHA-256 {actual}, promised was {sha256}.")
            path = self._path(sha256)
            path.parent.mkdir(exist_ok=True)
            partial.replace(path)
            # Not before: a partial file that stayed here read-only could not be gone on with.
            path.chmod(0o444)
            sync_folder(path.parent)
        self._ledger.remember_blob(sha256, filename, size, source, datetime.now(UTC))
        return path

    def _path(self, sha256: str) -> Path:
        return self._folder.blobs / _checked(sha256)[:2] / sha256


def _checked(sha256: str) -> str:
    """The digest is used as a file name: nothing else may come through here."""
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise ValueError(f"not a SHA-256 in lower-case hex: {sha256!r}")
    return sha256
