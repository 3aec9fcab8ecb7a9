"""Files of ours that go into the store by their content."""

import hashlib
import shutil
from pathlib import Path

from tf_tester.ports.store import Blobs


def keep(blobs: Blobs, file: Path, name: str, source: str) -> str:
    """Move a file of ours into the store, and return its SHA-256. Raises `StoreError`."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if blobs.find(digest) is None:
        with blobs.exclusive(digest):
            if blobs.find(digest) is None:
                shutil.move(file, blobs.partial(digest))
                blobs.adopt(digest, name, source)
    return digest
