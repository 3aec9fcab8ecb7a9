"""Source archives that a requirement names, unpacked by rules as strict as those for wheels.

Python's own ways out are not relied on: filters of `tarfile` were passed by chains of links, and not every Python 3.11
has them.
"""

import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from tf_tester.core.wheel.archive_layout import check_layout
from tf_tester.core.wheel.wheel_rules import MAX_FILES, check_members, check_name, check_unpacked_size
from tf_tester.errors import BadWheel, BuildFailed

_PROGRAM = 0o100
_BROKEN = (
    *(tarfile.TarError, zipfile.BadZipFile, OSError, EOFError, ValueError, zlib.error, lzma.LZMAError),
    # Of `zipfile`, for a compression that it doesn't know, and where a password is wanted.
    *(NotImplementedError, RuntimeError),
)
_CHUNK = 1024 * 1024


def unpack(archive: Path, name: str, place: Path) -> Path:
    """Return the one folder in an archive, or the new folder `place`, in which its files are then.

    Files, folders and links that lead nowhere but below themselves are made, nothing else. Raises `BuildFailed`.
    """
    place.mkdir()
    try:
        if name.endswith(".zip"):
            _unzip(archive, place)
        else:
            _untar(archive, place)
    except BadWheel as error:
        raise BuildFailed(f"{name} is not unpacked: {error}.", hint="Ask whoever made it.") from error
    except _BROKEN as error:
        raise BuildFailed(f"{name} is not an archive that can be read: {error}.", hint="Make it anew.") from error
    entries = list(place.iterdir())
    return entries[0] if len(entries) == 1 and entries[0].is_dir() and not entries[0].is_symlink() else place


def check_wheel(wheel: Path, name: str) -> None:
    """Refuse a wheel that would unpack to far more than it has, or be read in two ways. Raises `BuildFailed`."""
    try:
        with zipfile.ZipFile(wheel) as packed, wheel.open("rb") as stream:
            members, size = packed.infolist(), wheel.stat().st_size
            check_members(members, size)

            def read(start: int, length: int) -> bytes:
                stream.seek(start)
                return stream.read(length)

            check_layout(members, packed.start_dir, size, read)
    except BadWheel as error:
        raise BuildFailed(
            f"What a build requires, {name}, is refused: {error}.", hint="Ask whoever made it."
        ) from error
    except _BROKEN as error:
        raise BuildFailed(f"What a build requires, {name}, can't be read: {error}.", hint="Ask its maker.") from error


def _unzip(archive: Path, place: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        members = packed.infolist()
        _check_size(sum(member.file_size for member in members), len(members), archive)
        for member in members:
            target = _target(place, member.filename)
            if target is None or member.is_dir():
                _make_folder(target)
                continue
            with packed.open(member) as stream:
                _write(stream, target, program=bool(member.external_attr >> 16 & _PROGRAM))


def _untar(archive: Path, place: Path) -> None:
    with tarfile.open(archive) as packed:
        for member in _within_bounds(packed, archive):
            target = _target(place, member.name)
            if target is None or member.isdir():
                _make_folder(target)
            elif member.isreg():
                stream = packed.extractfile(member)
                assert stream is not None
                _write(stream, target, program=bool(member.mode & _PROGRAM))
            elif member.issym() and _leads_down(member.linkname):
                _make_folder(target.parent)
                target.symlink_to(member.linkname)
            else:
                raise BadWheel(f"{member.name!r} is no file and no folder, or leads out of it")
        _read_to_end(packed, archive)


def _read_to_end(packed: tarfile.TarFile, archive: Path) -> None:
    """Read what is behind the last member: the sum of all that was packed is there, and nothing was checked before."""
    assert packed.fileobj is not None
    total = packed.offset
    while chunk := packed.fileobj.read(_CHUNK):
        total += len(chunk)
        check_unpacked_size(total, archive.stat().st_size)


def _within_bounds(packed: tarfile.TarFile, archive: Path) -> Iterator[tarfile.TarInfo]:
    total = 0
    for count, member in enumerate(packed, 1):
        total += member.size
        _check_size(total, count, archive)
        yield member


def _check_size(total: int, files: int, archive: Path) -> None:
    if files > MAX_FILES:
        raise BadWheel(f"it has more than {MAX_FILES} files")
    check_unpacked_size(total, archive.stat().st_size)


def _target(place: Path, name: str) -> Path | None:
    """Return where a member goes; None for the top itself, which `tar` writes as `.`."""
    parts = [part for part in name.rstrip("/").split("/") if part != "."]
    if not parts or parts == [""]:
        return None
    check_name("/".join(parts))
    return place.joinpath(*parts)


def _leads_down(link: str) -> bool:
    path = PurePosixPath(link)
    return bool(link) and not path.is_absolute() and ".." not in path.parts and "\\" not in link


def _make_folder(folder: Path | None) -> None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)


def _write(stream: IO[bytes], target: Path, *, program: bool) -> None:
    _make_folder(target.parent)
    with target.open("xb") as copy:  # a second member of one name, or a link in its place, is none
        shutil.copyfileobj(stream, copy)
    if program:
        target.chmod(0o755)
