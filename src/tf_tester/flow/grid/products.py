"""What producers leave: taken out of a cell into the store by content, and shown to consumers.

A stranger's code made it. Nothing in it is opened for what it means: folders, regular files and links that stay inside
are copied, and how much is bounded. Two folders with the same names, the same bytes and the same files that can be
executed are one blob.
"""

import os
import shutil
import stat
import tarfile
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tf_tester.core.text.sizes import count_text, size_text
from tf_tester.errors import StoreError
from tf_tester.flow.taken.keeping import keep
from tf_tester.flow.taken.reading import lies_there, opened_safely
from tf_tester.model.field import Product
from tf_tester.ports.store import Blobs

MOST_FILES = 100_000
"""Files, folders and links of one product."""
_LONGEST_NAME = 200
_MOST_PATHS = 50
"""Paths of files that are told of a product."""
_PIECE = 1 << 20


class ProductRefused(Exception):
    """What was left isn't taken; the text is a clause that says why."""


class Products:
    """The products of one run; callable from several threads."""

    def __init__(self, blobs: Blobs, workplace: Path, largest: int) -> None:
        """Take products of at most `largest` bytes; `workplace`: where all cells' folders are, gone with the run."""
        self._blobs = blobs
        self._workplace = workplace
        self._folder = workplace / "products"
        self._largest = largest
        self._lock = threading.Lock()
        self._shown: dict[str, Path] = {}

    def take(self, folder: Path, name: str) -> Product:
        """Put what was left in a folder of the workplace into the store. Raises `ProductRefused`, `StoreError`."""
        if not lies_there(folder, self._workplace):
            raise ProductRefused("its folder is gone, or a link to another one")
        entries = list(_entries(folder))
        if not entries:
            raise ProductRefused("it left nothing at the path that it was given")
        sizes = [status.st_size for _, status in entries if stat.S_ISREG(status.st_mode)]
        if sum(sizes) > self._largest:
            most = f"{size_text(self._largest)} are taken at most (--largest-product)"
            raise ProductRefused(f"it left {count_text(len(sizes), 'file')} of {size_text(sum(sizes))}: {most}")
        self._folder.mkdir(exist_ok=True)
        packed = self._folder / f"{os.urandom(8).hex()}.part"
        try:
            with tarfile.open(packed, "w", format=tarfile.GNU_FORMAT, encoding="utf-8") as archive:
                for path, status in entries:
                    _add(archive, folder, path, status)
            digest = keep(self._blobs, packed, f"{name}.product", "a producer")
        finally:
            packed.unlink(missing_ok=True)
        paths = (_shown(folder, path) for path, status in entries if stat.S_ISREG(status.st_mode))
        return Product(name, digest, sum(sizes), len(sizes), tuple(islice(paths, _MOST_PATHS)))

    def folder_of(self, product: Product) -> Path:
        """Return a folder with the product, the same each time, which nobody may change. Raises `StoreError`."""
        with self._lock:
            if product.digest not in self._shown:
                target = self._folder / product.digest
                try:
                    self.unpack(product, target)
                except BaseException:
                    shutil.rmtree(target, ignore_errors=True)  # half of it would be in the next one's way
                    raise
                self._shown[product.digest] = target
            return self._shown[product.digest]

    def unpack(self, product: Product, target: Path) -> None:
        """Put the product into a new folder. Raises `StoreError` where the store has lost it."""
        blob = self._blobs.find(product.digest)
        if blob is None:
            raise StoreError(f"The product {product.name} is no longer in the store.", hint="Repeat the command.")
        target.mkdir(parents=True)
        with tarfile.open(blob, "r:", encoding="utf-8") as archive:
            for member in archive:
                path = target / member.name
                if member.isdir():
                    path.mkdir(exist_ok=True)
                elif member.issym():
                    path.symlink_to(member.linkname)
                elif (content := archive.extractfile(member)) is not None:
                    with path.open("xb") as copy:
                        shutil.copyfileobj(content, copy, _PIECE)
                    path.chmod(member.mode)


def _entries(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield what is in a folder and below, in the order of the names. Raises `ProductRefused`."""
    count = 0
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(place) as found:
                names = [entry.name for entry in islice(found, MOST_FILES + 1 - count)]
        except OSError as error:
            raise ProductRefused(f"its folder {_shown(folder, place)} can't be read: {error.strerror}") from None
        for path in (place / name for name in sorted(names, key=os.fsencode)):
            count += 1
            if count > MOST_FILES:
                raise ProductRefused(f"it left more than {MOST_FILES:,} files")
            try:
                status = path.lstat()
            except OSError as error:
                told = _shown(folder, path)[:_LONGEST_NAME]
                raise ProductRefused(f"{told} can't be looked at: {error.strerror}") from None
            if stat.S_ISDIR(status.st_mode):
                waiting.append(path)
            elif stat.S_ISLNK(status.st_mode):
                _check_link(folder, path)
            elif not stat.S_ISREG(status.st_mode):
                raise ProductRefused(f"{_shown(folder, path)} is a {_kind(status.st_mode)}: only files are taken")
            yield path, status


def _check_link(folder: Path, path: Path) -> None:
    target = path.readlink()
    # Not by its text alone: on the way there may be other links, behind which `..` is elsewhere.
    inside = Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
    if target.is_absolute() or not inside:
        raise ProductRefused(f"{_shown(folder, path)} is a link that leads out of the product, to {target}")


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISSOCK, "socket"), (stat.S_ISFIFO, "pipe"), (stat.S_ISBLK, "device"), (stat.S_ISCHR, "device"))
    return next((name for is_one, name in kinds if is_one(mode)), "special file")


def _add(archive: tarfile.TarFile, folder: Path, path: Path, status: os.stat_result) -> None:
    """Add one entry, of which nothing but name, kind, content and whether it can be executed counts."""
    member = tarfile.TarInfo(path.relative_to(folder).as_posix())
    member.mode = 0o755 if status.st_mode & stat.S_IXUSR or stat.S_ISDIR(status.st_mode) else 0o644
    if stat.S_ISDIR(status.st_mode):
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
        return
    if stat.S_ISLNK(status.st_mode):
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, os.fspath(path.readlink()), 0o777
        archive.addfile(member)
        return
    with opened_safely(path) as stream:
        if stream is None:
            raise ProductRefused(f"{_shown(folder, path)} can't be read, or has a second name (a hard link)")
        member.size = status.st_size
        try:
            archive.addfile(member, stream)
        except OSError as error:
            if error.errno is not None:
                raise  # of the disk, ours: tarfile has no number for a file that has become shorter
            raise ProductRefused(f"{_shown(folder, path)} can't be read: {error}") from None


def _shown(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()
