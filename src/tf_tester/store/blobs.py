"""Verified files by their SHA-256. Keeps the promise that a wrong byte is neither kept nor handed on."""

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from zlib_ng.zlib_ng import crc32

from tf_tester.errors import StoreError, WrongBytes
from tf_tester.model.events import TransferTrouble
from tf_tester.ports.store import CheckedFile, Follower, Pieces
from tf_tester.ports.tell import Tell
from tf_tester.store.digests import status_of
from tf_tester.store.folder import StoreFolder, make_way, store_errors, sync_folder, used_now
from tf_tester.store.leases import Leases
from tf_tester.store.ledger import Ledger
from tf_tester.store.memos.table import CHECKED, PIECES
from tf_tester.store.verifying import blob_trouble

_CHUNK = 1 << 20
_PIECE = 4 << 20
_ANEW = 30 * 86_400
"""Seconds after which a file is read again, whatever its status: a disk can rot without a word."""
_NOTED = 3_600
"""Seconds for which the time of last use is good enough: noting it changes the status."""


class BlobStore:
    """`ports.Blobs` on a folder."""

    def __init__(
        self,
        folder: StoreFolder,
        ledger: Ledger,
        leases: Leases | None = None,
        *,
        tell: Tell = lambda _event: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Open the blobs of a folder. Without `leases` nobody is told what is in use.

        `tell` hears of files that are wrong; `now`: seconds since 1970.
        """
        self._folder = folder
        self._ledger = ledger
        self._leases = leases or Leases(folder, None)
        self._tell = tell
        self._now = now
        self._known: dict[str, CheckedFile] = {}

    def find(self, sha256: str) -> Path | None:
        found = self.find_unchanged(sha256)
        if found is not None or not self.holds(sha256):
            return found
        return self._path(sha256) if self.is_sound(sha256) else None

    def find_unchanged(self, sha256: str) -> Path | None:
        path = self._path(sha256)
        if not path.is_file():
            return None
        self._leases.hold(sha256)
        status = _status(path)
        known = self._known.get(sha256) or self._ledger.recall(CHECKED, sha256)
        if status is None or known is None or not 0 <= self._now() - known.checked < _ANEW:
            return None
        if not _is_same(known, status):
            return None
        if not 0 <= self._now() - status.st_mtime < _NOTED:
            used_now(path)
            status = path.stat()
        self._note(sha256, status, known.checked)
        return path

    def holds(self, sha256: str) -> bool:
        return os.path.lexists(self._path(sha256))

    def is_sound(self, sha256: str) -> bool:
        return not self.check(sha256)

    def check(self, sha256: str) -> str:
        """Read a file again, and return why it isn't what its name promises; empty: it is.

        One that is wrong is set aside as what has arrived of a file, unless somebody is just bringing it.
        """
        path = self._path(sha256)
        self._leases.hold(sha256)
        before = _status(path)
        if before is not None and not os.access(path, os.R_OK):
            with suppress(OSError):  # told by what follows
                path.chmod(0o444)
        trouble = blob_trouble(path)
        if not trouble and before is not None:
            used_now(path)
            after = path.stat()
            # What was written meanwhile shows in the size or in the next look.
            if (after.st_ino, after.st_size) == (before.st_ino, before.st_size):
                self._note(sha256, after, self._now())
                return ""
            trouble = "is being changed"
        with store_errors(self._folder.root):
            if before is not None and self._put_away(sha256, before):
                name = self._ledger.blob_names().get(sha256) or sha256
                self._tell(TransferTrouble(name, "store", f"it was damaged on the disk: {trouble}"))
        return trouble

    def _note(self, sha256: str, status: os.stat_result, checked: float) -> None:
        known = CheckedFile(status_of(status), status.st_nlink, checked)
        if self._known.get(sha256) != known:
            with suppress(StoreError):  # of a full disk things are still read
                if sha256 in self._known or self._ledger.recall(CHECKED, sha256) != known:
                    self._ledger.remember(CHECKED, sha256, known)
            self._known[sha256] = known

    def every(self) -> list[str]:
        """Return the digests of all that are there."""
        return [path.name for path in sorted(self._folder.blobs.glob("??/*")) if len(path.name) == 64]

    def partial(self, sha256: str) -> Path:
        return self._folder.incoming / f"{_checked(sha256)}.part"

    def exclusive(self, sha256: str) -> AbstractContextManager[None]:
        return self._exclusive(_checked(sha256))

    @contextmanager
    def _exclusive(self, sha256: str) -> Iterator[None]:
        with self._folder.exclusive(sha256):
            with store_errors(self._folder.root):
                make_way(self.partial(sha256))
                make_way(self.partial(sha256).with_name(f"{sha256}.part.notes"))
            yield

    def pieces(self, sha256: str) -> Pieces | None:
        return self._ledger.recall(PIECES, sha256)

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
            self._ledger.open()  # before there is a file: without it, it would be taken for lost
            path.parent.mkdir(exist_ok=True)
            self._leases.hold(sha256)
            make_way(path)
            partial.replace(path)
            # Not before: a partial file that stayed here read-only could not be gone on with.
            path.chmod(0o444)
            sync_folder(path.parent)
        self._ledger.remember_blob(sha256, filename, size, source, datetime.now(UTC))
        if (status := _status(path)) is not None:
            self._note(sha256, status, self._now())
        sums = follower.sums()
        if len(sums) > 1:
            self._ledger.remember(PIECES, sha256, Pieces(_PIECE, tuple(sums)))
        return path

    def _put_away(self, sha256: str, found: os.stat_result) -> bool:
        """Make a damaged file into what has arrived of it; False: it isn't there any more, or is just being brought.

        One of which no pieces are known goes: nobody could tell what of it is right.
        """
        path = self._path(sha256)
        with self._folder.exclusive_at_once(sha256) as is_held:
            status = _status(path)
            if not is_held or status is None or (status.st_ino, status.st_dev) != (found.st_ino, found.st_dev):
                return False
            if stat.S_ISREG(status.st_mode) and os.access(path, os.R_OK) and self.pieces(sha256) is not None:
                path.chmod(0o600)
                path.replace(self.partial(sha256))
                self.partial(sha256).with_name(f"{sha256}.part.notes").unlink(missing_ok=True)
            elif stat.S_ISREG(status.st_mode):
                path.unlink()
            else:
                make_way(path)
        return True

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


def _status(path: Path) -> os.stat_result | None:
    """Return what the file system tells of a file, of a link itself; None where there is nothing."""
    try:
        return path.lstat()
    except OSError:
        return None


def _is_same(known: CheckedFile, status: os.stat_result) -> bool:
    """Tell whether a file has not been changed. One that got or lost a name has another time of change for that."""
    now = status_of(status)
    if status.st_nlink != known.links:
        now = now._replace(changed=known.status.changed)
    return now == known.status
