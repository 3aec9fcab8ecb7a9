"""Who needs what: running jobs hold blobs and layers by their digests, and what is held is not evicted.

Each process notes what it uses in `needs` of its workplace, which is gone with it: first it notes, under a shared lock,
then it looks whether the thing is there. What is evicted is decided, and its name taken away, under an exclusive lock:
whoever has seen a file after noting it can go on using it.
"""

import errno
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tf_tester.errors import StoreFull
from tf_tester.store.folder import StoreFolder, lock_of, make_way, store_errors

NEEDS = "needs"


class Leases:
    """Of one process; without a workplace nothing is noted, as of programs that only look."""

    def __init__(self, folder: StoreFolder, workplace: Path | None) -> None:
        self._folder = folder
        self._note = None if workplace is None else workplace / NEEDS
        self._held: set[str] = set()
        self._lock = threading.Lock()

    def hold(self, digest: str) -> None:
        """Note that a blob or layer is needed: what is found afterwards stays for the life of the process.

        Where the disk is full nothing can be noted, and what is there can be read all the same.
        """
        with self._lock:
            if self._note is None or digest in self._held:
                return
            with suppress(StoreFull):
                self._add(self._note, digest)

    def _add(self, note: Path, digest: str) -> None:
        with store_errors(self._folder.root), eviction(self._folder, exclusive=False):
            descriptor = os.open(note, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                line = f"\n{digest}\n".encode()  # a line of its own: a full disk may have cut the one before
                if os.write(descriptor, line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(descriptor)
        self._held.add(digest)

    def let_go(self, digests: set[str]) -> None:
        """Release digests that are no longer needed by this process."""
        if self._note is None:
            return
        with store_errors(self._folder.root), eviction(self._folder, exclusive=True), self._lock:
            self._held -= digests
            self._note.write_text("".join(f"{digest}\n" for digest in sorted(self._held)), encoding="ascii")


def needed(folder: StoreFolder) -> set[str]:
    """Return the digests that living processes hold; call it under the exclusive lock."""
    found: set[str] = set()
    for note in folder.tmp.glob(f"*/{NEEDS}"):
        try:
            found.update(note.read_text("ascii").split())
        except OSError:
            continue  # its process has just ended
    return found


@contextmanager
def eviction(folder: StoreFolder, *, exclusive: bool) -> Iterator[None]:
    """Hold the lock between those who look and those who evict; freed by the kernel when its holder dies."""
    path = folder.claims / "eviction.lock"
    if sys.platform == "win32":
        with lock_of(path):
            yield
        return
    import fcntl

    make_way(path)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)
