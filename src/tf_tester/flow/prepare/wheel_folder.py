"""The user's folder of wheels: every file in it is whole or absent, and `SHA256SUMS` says what it must be."""

import contextlib
import glob
import hashlib
import os
import re
import shutil
import tarfile
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tf_tester.errors import OurFailure, UsageError, WrongBytes
from tf_tester.given_files import read_given

SUMS = "SHA256SUMS"
_FICLONE = 0x40049409
"""Linux: let one file share all blocks of another."""
_OURS = (b"made by tf-tester", b'created-by = "tf-tester')
"""What stands at the head of a lock of ours."""
_HEAD = 4096
_DISTRIBUTIONS = (".whl", ".tar.gz", ".tar.bz2", ".zip")
_PART = re.compile(r"\..+\.(\d{1,9})\.part")
_ABANDONED = 3600
"""Seconds: another machine that shares the folder may be at it."""
_SUM = re.compile(r"^([0-9a-f]{64}) [ *]([^/\\\n]+)$", re.MULTILINE)


def check_replaceable(folder: Path, names: Iterable[str]) -> None:
    """Look at what files of these names would replace: text that we have made, told by its content.

    Raises `UsageError` where there is something else: it is somebody's own.
    """
    for file in (folder / name for name in names):
        with folder_errors(file):
            if os.path.lexists(file) and not _is_ours(file):
                raise UsageError(
                    f"{file} is not a file of tf-tester's, and would be replaced.",
                    hint="Name another folder with -d, or replace it with --force.",
                )


def _is_ours(file: Path) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        head = stream.read(_HEAD)
    if file.name == SUMS:
        lines = [line for line in file.read_text("utf-8", "replace").splitlines() if line.strip()]
        return all((entry := _SUM.fullmatch(line)) and entry[2].endswith(_DISTRIBUTIONS) for line in lines)
    return any(mark in head for mark in _OURS)


def is_broken(file: Path) -> bool:
    """Tell whether a file is no archive: half a download, which nobody misses."""
    with folder_errors(file):
        if not file.is_file():
            return False
        return not (zipfile.is_zipfile if file.suffix in (".whl", ".zip") else tarfile.is_tarfile)(file)


def sums_of(folder: Path) -> dict[str, str]:
    """Return the digests in a folder's `SHA256SUMS` by file name."""
    try:
        return {name: digest for digest, name in _SUM.findall(read_given(folder / SUMS).decode("utf-8", "replace"))}
    except OSError:
        return {}


def sweep(folder: Path, name: str | None = None) -> None:
    """Delete what processes have left that were killed in the middle of a file: of that name, or of any."""
    for file in folder.glob(".*.part" if name is None else f".{glob.escape(name)}.*.part"):
        found = _PART.fullmatch(file.name)
        with contextlib.suppress(OSError):
            if found and time.time() - file.stat().st_mtime > _ABANDONED and not _lives(int(found[1])):
                file.unlink()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def holds(file: Path, sha256: str | None) -> bool:
    """Return whether a file is there and is that one."""
    with folder_errors(file):
        if not file.is_file():
            return False
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == sha256


def copy_into(blob: Path, target: Path, sha256: str) -> None:
    """Copy a file of the user's own under its name, sharing its blocks with the store's where it can (reflink).

    Not a hard link: whoever edits that edits the store. Raises `WrongBytes` where what was copied isn't what it should
    be; nothing has the name then.
    """
    with _growing(target) as temporary, blob.open("rb") as origin, temporary.open("wb") as copy:
        try:
            import fcntl

            fcntl.ioctl(copy.fileno(), _FICLONE, origin.fileno())
        except (ImportError, OSError):
            shutil.copyfileobj(origin, copy, 1024 * 1024)
        copy.flush()
        os.fsync(copy.fileno())
        with temporary.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != sha256:
                raise WrongBytes(f"{target.name} was damaged on the disk.")


def write_file(target: Path, text: str) -> None:
    sweep(target.parent, target.name)
    with _growing(target) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def add_sums(folder: Path, sums: Mapping[str, str]) -> None:
    """Enter digests by file name into `SHA256SUMS`, as `sha256sum --check` reads it; files that are gone leave it."""
    known = sums_of(folder)
    together = {name: digest for name, digest in known.items() if (folder / name).is_file()} | dict(sums)
    if together:
        write_file(folder / SUMS, "".join(f"{digest}  {name}\n" for name, digest in sorted(together.items())))


@contextlib.contextmanager
def folder_errors(place: Path) -> Iterator[None]:
    """Translate what the file system refuses."""
    try:
        yield
    except OSError as error:
        raise OurFailure(
            f"{place} can't be used: {error.strerror}.", hint="Choose another folder, or free some space."
        ) from error


@contextlib.contextmanager
def _growing(target: Path) -> Iterator[Path]:
    """Yield a temporary name until the file is whole: somebody may be reading the folder."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    if os.path.lexists(target) and not target.is_file():
        # A new file would take the place of a device, a pipe or a link into nowhere.
        raise UsageError(f"{target} is no ordinary file.", hint="Name another one, or a new one.")
    try:
        with folder_errors(target):
            yield temporary
            temporary.replace(target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
