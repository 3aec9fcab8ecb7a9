"""A tree in a folder, for a web server on this machine or one that mounts it.

current -> generations/ID                       what is shown, switched by one rename (ID: see `core.text.timed_names`)
generations/ID/simple, pypi, manifest.json      pages; those that didn't change are links to earlier ones
generations/ID/packages -> ../../packages       so that any server that follows links can serve `current` alone
packages/                                       files, shared by generations
.rolled-back                                    there while later generations than what is shown were gone back from

Everybody may read all of it, whatever the umask of who publishes: a web server runs as another user.
"""

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from tf_tester.core.index.replica_tree import MANIFEST, SIGNATURE, Manifest
from tf_tester.core.text.timed_names import is_timed_name
from tf_tester.errors import OurFailure, UsageError, WrongBytes

_CURRENT = "current"
_FILES = "packages"
_FILE = re.compile(r"packages/[0-9a-f]{2}/[0-9a-f]{64}/[^/]+")
_READ, _ENTERED = 0o444, 0o555
"""What everybody may do with a file, and with a folder."""
_LEFT = ".rolled-back"
"""There while generations after `current` were gone back from."""
_OURS = (".lock", _CURRENT, _LEFT)
_WRITTEN = 946_684_800 * 10**9
"""When all copies were changed last, as they say (2000-01-01): whoever edits one gives it another time."""


class FolderTarget:
    """`ports.publish.TreeTarget`."""

    packed = True

    def __init__(self, root: Path, sync: Callable[[Path], None]) -> None:
        """Take a folder. `sync`: make all below it survive a power cut."""
        self._root = root
        self._sync = sync

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._errors():
            self._root.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self._root / ".lock", thread_local=False)
            try:
                self._check()
                (self._root / "generations").mkdir(exist_ok=True)  # with it the place is ours
                lock.acquire(blocking=False)
            except filelock.Timeout:
                raise OurFailure(f"Somebody else is publishing to {self._root}.", hint="Wait for it.") from None
        try:
            with self._errors():
                self._sweep()
                self._open()
            yield
        finally:
            lock.release()

    def current(self) -> str | None:
        with self._errors():
            try:
                return (self._root / _CURRENT).readlink().name
            except FileNotFoundError:
                return None

    def generations(self) -> list[str]:
        with self._errors():
            folder = self._root / "generations"
            return sorted(one.name for one in folder.iterdir() if is_timed_name(one.name)) if folder.is_dir() else []

    def manifest(self, generation: str) -> tuple[bytes, bytes | None]:
        with self._errors():
            folder = self._generation(generation)
            signature = folder / SIGNATURE
            return (folder / MANIFEST).read_bytes(), signature.read_bytes() if signature.is_file() else None

    def sizes(self) -> dict[str, int]:
        found = {}
        with self._errors():
            for place, folders, names in os.walk(self._root / _FILES):
                folders.sort()
                for name in names:
                    path = Path(place, name)
                    shown = path.relative_to(self._root).as_posix()
                    if _FILE.fullmatch(shown) and not name.endswith(".part"):
                        found[shown] = path.stat().st_size
        return found

    def is_damaged(self, shown: Manifest) -> bool:
        for path, entry in shown.pages.items():
            content = self.read(path)
            if content is None or len(content) != entry.size or hashlib.sha256(content).hexdigest() != entry.sha256:
                return True
        return False

    def is_doubtful(self, path: str, source: Path | None) -> bool:
        with self._errors():
            status = (self._root / path).lstat()
            if status.st_mtime_ns == _WRITTEN:
                return False
            return source is None or not os.path.samestat(status, source.stat())

    def confirm(self, path: str) -> None:
        with self._errors():
            os.utime(self._root / path, ns=(_WRITTEN, _WRITTEN))

    def put_file(self, path: str, content: Path | bytes, sha256: str) -> None:
        target = self._root / path
        with self._errors(), _growing(target) as temporary:
            if isinstance(content, bytes):
                temporary.write_bytes(content)
            elif _linked(content, temporary):
                return  # the store's own: a replica of a terabyte is there once
            else:
                shutil.copyfile(content, temporary)
                with temporary.open("rb") as stream:
                    if hashlib.file_digest(stream, "sha256").hexdigest() != sha256:
                        raise WrongBytes(f"{target.name} was damaged on the disk.")
                temporary.chmod(_READ)
            os.utime(temporary, ns=(_WRITTEN, _WRITTEN))

    def add(
        self, manifest: Manifest, pages: Mapping[str, bytes], told: Mapping[str, bytes], before: Manifest | None
    ) -> None:
        target = self._generation(manifest.generation)
        folder = target.with_name(f"{manifest.generation}.part")
        known = {} if before is None else {entry: path for path, entry in before.pages.items()}
        with self._errors():
            for path, content in pages.items():
                page = folder / path
                page.parent.mkdir(parents=True, exist_ok=True)
                same = known.get(manifest.pages[path])
                if before is None or same is None or not _linked(self._generation(before.generation) / same, page):
                    page.write_bytes(content)
            for name, content in told.items():
                (folder / name).write_bytes(content)
            (folder / _FILES).symlink_to(Path("..", "..", _FILES))
            (self._root / _FILES).mkdir(exist_ok=True)
            self._open()
            self._sync(self._root)
            folder.rename(target)

    def show(self, manifest: Manifest) -> None:
        with self._errors():
            link = self._root / f".{_CURRENT}.part"
            link.unlink(missing_ok=True)
            link.symlink_to(Path("generations", manifest.generation))
            link.replace(self._root / _CURRENT)
            self._sync(self._root)

    def note_left(self, *, is_left: bool) -> None:
        with self._errors():
            if is_left:
                (self._root / _LEFT).touch()
            else:
                (self._root / _LEFT).unlink(missing_ok=True)

    def is_left(self) -> bool:
        return (self._root / _LEFT).exists()

    def read(self, path: str) -> bytes | None:
        with self._errors():
            try:
                return (self._root / _CURRENT / path).read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None

    def closed(self) -> list[str]:
        with self._errors():
            return [path.relative_to(self._root).as_posix() for path, _ in self._closed()]

    def _open(self) -> None:
        for path, mode in self._closed():
            path.chmod(mode)

    def _closed(self) -> Iterator[tuple[Path, int]]:
        """Yield what not everybody can read, with the modes that it should have; a folder before what is in it."""
        todo = [self._root]
        while todo:
            folder = todo.pop()
            yield from _with_mode(folder, folder.stat().st_mode, _ENTERED)
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(Path(entry.path))
                    elif entry.is_file(follow_symlinks=False) and entry.name not in _OURS:
                        yield from _with_mode(Path(entry.path), entry.stat().st_mode, _READ)

    def digest(self, path: str) -> str | None:
        with self._errors():
            try:
                with (self._root / path).open("rb") as stream:
                    return hashlib.file_digest(stream, "sha256").hexdigest()
            except FileNotFoundError:
                return None

    def remove(self, generations: Iterable[str], files: Iterable[str], unused: Iterable[str]) -> None:
        with self._errors():
            for one in generations:
                # First its name: what is half removed is no generation.
                going = self._generation(f"{one}.part")
                self._generation(one).rename(going)
                shutil.rmtree(going)
            for path in files:
                gone = self._root / path
                gone.unlink(missing_ok=True)
                for folder in (gone.parent, gone.parent.parent):
                    with suppress(OSError):  # others are in it
                        folder.rmdir()

    def _check(self) -> None:
        """Raise `UsageError` where other things are: what no generation needs is deleted here."""
        others = sorted(one.name for one in self._root.iterdir() if one.name not in _OURS)
        if others and not (self._root / "generations").is_dir():
            raise UsageError(
                f"{self._root} holds other things, such as {others[0]}.", hint="Name an empty folder, or a new one."
            )

    def _generation(self, name: str) -> Path:
        return self._root / "generations" / name

    def _sweep(self) -> None:
        """Delete what a publisher that died has left."""
        for folder in (self._root / "generations").glob("*.part"):
            shutil.rmtree(folder)
        for file in (self._root / _FILES).glob("??/*/.*.part"):
            file.unlink()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except InterruptedError:
            raise
        except OSError as error:
            place = error.filename if error.filename is not None else self._root
            raise OurFailure(
                f"{place} can't be used: {error.strerror or error}.",
                hint="Free some space, or choose another place; what is shown there is as it was.",
            ) from error


def _with_mode(path: Path, mode: int, wanted: int) -> Iterator[tuple[Path, int]]:
    if mode & wanted != wanted:
        yield path, stat.S_IMODE(mode) | wanted


@contextmanager
def _growing(target: Path) -> Iterator[Path]:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.part")
    try:
        temporary.unlink(missing_ok=True)
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:
        return False
    return True
