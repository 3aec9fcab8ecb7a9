"""The user's folder of wheels: every file in it is whole or absent, and `SHA256SUMS` says what it must be."""

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from tf_tester.errors import OurFailure

SUMS = "SHA256SUMS"
_FICLONE = 0x40049409
"""Linux: let one file share all blocks of another."""
_SUM = re.compile(r"^([0-9a-f]{64}) [ *]([^/\\\n]+)$", re.MULTILINE)


def holds(file: Path, sha256: str | None) -> bool:
    """Return whether a file is there and is that one."""
    with folder_errors(file):
        if not file.is_file():
            return False
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == sha256


def copy_into(blob: Path, target: Path) -> None:
    """Copy a file of the user's own under its name, sharing its blocks with the store's where it can (reflink).

    Not a hard link: whoever edits that edits the store.
    """
    with _growing(target) as temporary, blob.open("rb") as origin, temporary.open("wb") as copy:
        try:
            import fcntl

            fcntl.ioctl(copy.fileno(), _FICLONE, origin.fileno())
        except (ImportError, OSError):
            shutil.copyfileobj(origin, copy, 1024 * 1024)
        copy.flush()
        os.fsync(copy.fileno())


def write_file(target: Path, text: str) -> None:
    with _growing(target) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def add_sums(folder: Path, sums: Mapping[str, str]) -> None:
    """Enter digests by file name into `SHA256SUMS`, as `sha256sum --check` reads it; files that are gone leave it."""
    file = folder / SUMS
    try:
        known = {name: digest for digest, name in _SUM.findall(file.read_text("utf-8", "replace"))}
    except FileNotFoundError:
        known = {}
    together = {name: digest for name, digest in known.items() if (folder / name).is_file()} | dict(sums)
    if together:
        write_file(file, "".join(f"{digest}  {name}\n" for name, digest in sorted(together.items())))


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
    try:
        with folder_errors(target):
            yield temporary
            temporary.replace(target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
