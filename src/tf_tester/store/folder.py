"""The store's folder itself: made on first use, swept of what dead processes left."""

import contextlib
import errno
import os
import re
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from tf_tester.errors import StoreError, StoreFull
from tf_tester.model.events import Delay, DelayKind
from tf_tester.ports.tell import Tell
from tf_tester.store.removal import remove_tree

_CACHEDIR_TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder is tf-tester's store; it can be deleted, everything in it can be fetched or made again.\n"
    "# See https://bford.info/cachedir/\n"
)
_WORKPLACE = re.compile(r"[0-9]+-[0-9a-f]{8}")
"""How workplaces are called: nothing else in their folder is ever removed."""
_PATIENCE = 1.0
"""Seconds for which nobody is told that something is waited for."""
_SYNC_FILE_RANGE_WRITE = 2
"""Of <linux/fs.h>: begin, wait for nothing."""


_OWN_NAMES = {
    *("blobs", "incoming", "claims", "layers", "tmp", "kept", "plans", "interpreters", "runs", "lost+found"),
    *(
        "ledger.sqlite",
        "ledger.sqlite.lock",
        "ledger.sqlite-wal",
        "ledger.sqlite-shm",
        "ledger.sqlite-journal",
        "private-names",
    ),
    "CACHEDIR.TAG",
}
"""What may lie in a store that has no tag yet: one of an earlier time, or a file system's own root."""


class StoreFolder:
    """Where everything lies; `open` makes it."""

    def __init__(self, root: Path, *, tell: Tell = lambda _event: None) -> None:
        """Use that folder. `tell`: hears of a `Delay` where somebody else is at the same thing for long."""
        self._tell = tell
        self.root = root
        self.blobs = root / "blobs"
        self.incoming = root / "incoming"
        self.claims = root / "claims"
        self.layers = root / "layers"
        self.tmp = root / "tmp"
        self.kept = root / "kept"
        self.plans = root / "plans"
        self.interpreters = root / "interpreters"
        self.runs = root / "runs"
        self.ledger = root / "ledger.sqlite"
        self._folders = (
            self.blobs,
            self.incoming,
            self.claims,
            self.layers,
            self.tmp,
            self.kept,
            self.plans,
            self.runs,
        )

    def open(self) -> None:
        """Make what is missing. Raises `StoreError`, also for a folder that is somebody else's."""
        with store_errors(self.root):
            self._refuse_others()
            for place in self.misplaced():
                place.rename(place.with_name(f"{place.name}.damaged"))
            for folder in self._folders:
                if folder != self.plans:
                    folder.mkdir(parents=True, exist_ok=True)
                    self._refuse_above(folder)
            tag = self.root / "CACHEDIR.TAG"
            make_way(tag)
            if not tag.exists() or "tf-tester" not in tag.read_text("ascii", "replace"):
                tag.write_text(_CACHEDIR_TAG, encoding="ascii")
            if not os.access(self.tmp, os.W_OK):
                raise PermissionError(errno.EACCES, "not writable", str(self.tmp))

    def misplaced(self) -> list[Path]:
        """Return what has the place of a folder and is none; `open` gives it another name. Raises `OSError`."""
        found = [one for one in self._folders if os.path.lexists(one) and not one.is_symlink() and not one.is_dir()]
        if self.blobs.is_dir():
            with os.scandir(self.blobs) as groups:
                found += [Path(one.path) for one in groups if len(one.name) == 2 and not one.is_dir()]
        return found

    def lost_links(self) -> list[Path]:
        """Return what is a link in the place of a folder and leads nowhere; `open` refuses it."""
        return [one for one in self._folders if one.is_symlink() and not one.exists()]

    def _refuse_above(self, folder: Path) -> None:
        """Refuse a link to a folder in which the store lies, such as `/`: what is made in ours would lie beside it."""
        real = folder.resolve()
        if real in (self.root.resolve(), *self.root.resolve().parents):
            raise StoreError(
                f"{folder} is a link to {real}, in which the store itself lies.",
                hint="Delete the link: what the store needs there is made anew.",
            )

    def _refuse_others(self) -> None:
        """Refuse a folder with others' things that no store was made in: what is called as ours isn't ours there."""
        tag = self.root / "CACHEDIR.TAG"
        if not self.root.is_dir() or (tag.is_file() and "tf-tester" in tag.read_text("ascii", "replace")):
            return
        names = (entry.name for entry in self.root.iterdir())
        others = sorted(name for name in names if name.partition(".damaged")[0] not in _OWN_NAMES)
        if others:
            raise StoreError(
                f"The folder {self.root} is no store: there is {others[0]!r} in it.",
                hint="Name a new or empty folder with --store or TF_TESTER_STORE.",
            )

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Hold what one among all threads and processes may hold; freed by the kernel when the holder dies."""
        with store_errors(self.root):
            lock = lock_of(self.claims / f"{name}.lock")
            try:
                lock.acquire(timeout=_PATIENCE, poll_interval=0.02)
            except filelock.Timeout:
                self._tell(Delay(DelayKind.LOCK, name))
                try:
                    lock.acquire(poll_interval=0.02)
                finally:
                    self._tell(Delay(DelayKind.LOCK, name, is_over=True))
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def exclusive_at_once(self, name: str) -> Iterator[bool]:
        """Hold the same where nobody does, and yield whether that is so."""
        with store_errors(self.root):
            lock = lock_of(self.claims / f"{name}.lock")
            try:
                lock.acquire(blocking=False)
            except filelock.Timeout:
                yield False
                return
        try:
            yield True
        finally:
            lock.release()

    @contextmanager
    def workplace(self) -> Iterator[Path]:
        """Make a temporary folder of this process on the store's file system; others' leftovers are swept first."""
        name = f"{os.getpid()}-{os.urandom(4).hex()}"
        lock = filelock.FileLock(self.tmp / f"{name}.lock", thread_local=False)
        folder = self.tmp / name
        # Nobody sweeps between the making of the lock file and its being held.
        with self.exclusive("workplaces"), store_errors(self.root):
            self._sweep()
            lock.acquire()
            folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            remove_tree(folder)
            lock.release()
            with contextlib.suppress(OSError):
                (self.tmp / f"{name}.lock").unlink()

    def _sweep(self) -> None:
        """Remove the folders whose lock nobody holds: their processes are dead."""
        names = {entry.name.removesuffix(".lock") for entry in self.tmp.iterdir()}
        for name in filter(_WORKPLACE.fullmatch, names):
            lock_path = self.tmp / f"{name}.lock"
            lock = filelock.FileLock(lock_path, thread_local=False)
            try:
                lock.acquire(blocking=False)
            except (filelock.Timeout, OSError):
                continue
            remove_tree(self.tmp / name)
            lock.release()
            if not (self.tmp / name).exists():
                with contextlib.suppress(OSError):
                    lock_path.unlink()


def lock_of(path: Path) -> filelock.BaseFileLock:
    """Return a lock on a file, not yet held; what has that name and is no file goes. Raises `OSError`."""
    # An object of its own for each holder: filelock's objects are re-entrant within a thread.
    make_way(path)
    return filelock.FileLock(path, thread_local=False)


def make_way(path: Path) -> None:
    """Remove what has a file's name and is none: a folder, a link, a pipe. Raises `OSError`."""
    with contextlib.suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            remove_tree(path)
        elif not stat.S_ISREG(mode):
            path.unlink()


def used_now(path: str | Path) -> None:
    """Note that something was used, on the thing itself, so that all machines of a shared store see it."""
    with contextlib.suppress(OSError):  # another user's: then it is he who keeps it in use
        os.utime(path)


def link_or_copy(source: str, target: str) -> None:
    """Make a second name for a file of the store; a copy with its mode and times where there can't be one."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        # Links forbidden, or too many of one file (65,000 on ext4).
        shutil.copy2(source, target)


def sync_folder(folder: Path) -> None:
    """Make a new or renamed entry of a folder survive a power cut (POSIX; elsewhere nothing to do)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Make all files below a folder survive a power cut, at the latest when this returns.

    On Linux by one `syncfs` of the whole file system, not by an `fsync` of each file: for the layers of TensorFlow 2.8
    (15,200 files, 1.4 GB) 2.1 seconds and no CPU against 4.7 to 6.7 seconds and 1.2 of CPU. It waits for what others
    have written there, too, and before Linux 5.8 it does not tell of a disk that failed meanwhile.
    """
    if (syncfs := _c_function("syncfs")) is None:
        for place, _, names in os.walk(folder):
            for name in names:
                _sync_file(os.path.join(place, name))  # noqa: PTH118
            sync_folder(Path(place))
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        syncfs(descriptor)
    finally:
        os.close(descriptor)


def start_writing(descriptor: int) -> None:
    """Let the disk begin with what was written to a file, so that `sync_tree` has less to wait for; a hint."""
    if (sync_file_range := _c_function("sync_file_range")) is not None:
        from ctypes import c_int64, c_uint

        with contextlib.suppress(OSError):
            sync_file_range(descriptor, c_int64(0), c_int64(0), c_uint(_SYNC_FILE_RANGE_WRITE))


def _c_function(name: str) -> Callable[..., int] | None:
    """Return a function of Linux's C library that raises `OSError`; None elsewhere."""
    if sys.platform != "linux":
        return None
    import ctypes

    function = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    if function is None:
        return None

    def checked(*words: object) -> int:
        if function(*words) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return 0

    return checked


def _sync_file(path: str) -> None:
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def store_errors(root: Path) -> Iterator[None]:
    """Translate what the file system refuses into a `StoreError` that a person can act on."""
    try:
        yield
    except InterruptedError:
        raise  # the user's Ctrl-C, not the disk
    except OSError as error:
        raise translate(error, root) from error


def lost_link(link: Path) -> StoreError:
    """Return the error that tells of a link into nowhere."""
    return StoreError(
        f"{link} is a link to {link.readlink()}, which isn't there.",
        hint="Mount what it leads to, or delete the link: what was there is fetched again.",
    )


def translate(error: OSError, root: Path) -> StoreError:
    """Return the error that tells of one refusal of the file system."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(
            f"The disk of the store {root} is full.",
            hint="Free some space, or choose another folder with --store or TF_TESTER_STORE; "
            "what was verified is kept and is not fetched again.",
        )
    if error.errno == errno.EEXIST and error.filename is not None and os.path.islink(error.filename):  # noqa: PTH114
        return lost_link(Path(error.filename))
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
        return StoreError(
            f"The store {root} can't be written: {error.strerror}.",
            hint="Choose another folder with --store or TF_TESTER_STORE, or correct its permissions.",
        )
    place = "" if error.filename in (None, str(root)) else f" ({error.filename})"
    return StoreError(
        f"The store {root} can't be used: {error.strerror or error}{place}.",
        hint="Run `tf-tester doctor` to see what is wrong with it.",
    )
