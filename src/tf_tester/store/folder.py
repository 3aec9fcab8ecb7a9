"""The store's folder itself: made on first use, swept of what dead processes left."""

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from tf_tester.errors import StoreError

_CACHEDIR_TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder is tf-tester's store; it can be deleted, everything in it can be fetched or made again.\n"
    "# See https://bford.info/cachedir/\n"
)


class StoreFolder:
    """Where everything lies; `open` makes it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = root / "blobs"
        self.incoming = root / "incoming"
        self.claims = root / "claims"
        self.layers = root / "layers"
        self.tmp = root / "tmp"
        self.kept = root / "kept"
        self.runs = root / "runs"
        self.ledger = root / "ledger.sqlite"

    def open(self) -> None:
        """Make what is missing. Raises `StoreError`."""
        with store_errors(self.root):
            for folder in (
                self.blobs,
                self.incoming,
                self.claims,
                self.layers,
                self.tmp,
                self.kept,
                self.runs,
            ):
                folder.mkdir(parents=True, exist_ok=True)
            tag = self.root / "CACHEDIR.TAG"
            if not tag.exists():
                tag.write_text(_CACHEDIR_TAG, encoding="ascii")
            if not os.access(self.tmp, os.W_OK):
                raise PermissionError(errno.EACCES, "not writable", str(self.tmp))

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """One holder among all threads and processes; freed by the kernel when the holder dies."""
        # A lock object of its own for each holder: filelock's objects are re-entrant within a thread.
        with store_errors(self.root):
            lock = filelock.FileLock(self.claims / f"{name}.lock", thread_local=False)
            lock.acquire(poll_interval=0.02)
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def workplace(self) -> Iterator[Path]:
        """A temporary folder of this process on the store's file system; others' leftovers are swept first."""
        self._sweep()
        name = f"{os.getpid()}-{secrets.token_hex(4)}"
        with store_errors(self.root):
            # The lock comes before the folder: a folder without a held lock is a dead process's.
            lock = filelock.FileLock(self.tmp / f"{name}.lock", thread_local=False)
            lock.acquire()
            folder = self.tmp / name
            folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            remove_tree(folder)
            lock.release()
            with contextlib.suppress(OSError):
                (self.tmp / f"{name}.lock").unlink()

    def _sweep(self) -> None:
        for lock_path in self.tmp.glob("*.lock"):
            lock = filelock.FileLock(lock_path, thread_local=False)
            try:
                lock.acquire(blocking=False)
            except (filelock.Timeout, OSError):
                continue
            remove_tree(lock_path.with_suffix(""))
            with contextlib.suppress(OSError):
                lock_path.unlink()
            lock.release()


def remove_tree(folder: Path) -> None:
    """Delete a folder of ours, read-only sub-folders included; what can't go stays for the next sweep."""

    def writable_then_again(function: object, path: str, _error: BaseException) -> None:
        parent = Path(path).parent
        with contextlib.suppress(OSError):
            parent.chmod(0o700)
            if Path(path).is_dir() and not Path(path).is_symlink():
                Path(path).chmod(0o700)
                shutil.rmtree(path, ignore_errors=True)
            else:
                Path(path).unlink()

    if folder.exists():
        _rmtree(folder, writable_then_again)


def _rmtree(folder: Path, on_error: object) -> None:
    import sys

    if sys.version_info >= (3, 12):
        shutil.rmtree(folder, onexc=on_error)  # type: ignore[arg-type]
    else:
        shutil.rmtree(folder, onerror=lambda function, path, info: on_error(function, path, info[1]))  # type: ignore[operator]


def sync_folder(folder: Path) -> None:
    """Make a new or renamed entry of a folder survive a power cut (POSIX; elsewhere nothing to do)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def store_errors(root: Path) -> Iterator[None]:
    """Translate what the file system refuses into a `StoreError` that a person can act on."""
    try:
        yield
    except OSError as error:
        raise translate(error, root) from error


def translate(error: OSError, root: Path) -> StoreError:
    """The sentence for one refusal of the file system."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            f"The disk of the store {root} is full.",
            hint="Free some space, or choose another folder with --store or TF_TESTER_STORE; "
            "what was verified is kept and is not fetched again.",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
        return StoreError(
            f"The store {root} can't be written: {error.strerror}.",
            hint="Choose another folder with --store or TF_TESTER_STORE, or correct its permissions.",
        )
    return StoreError(
        f"The store {root} can't be used: {error.strerror or error}.",
        hint="Run `tf-tester doctor` to see what is wrong with it.",
    )
