"""Source archives that a requirement names, unpacked by rules as strict as those for wheels.

Python's own ways out are not relied on: filters of `tarfile` were passed by chains of links, and not every Python 3.11
has them.
"""

import io
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
_LENGTHS_AT = 26
"""Where the head of a member in a zip has the lengths of its name and of its extra field."""


def unpack(archive: Path, name: str, place: Path) -> Path:
    """Return the one folder in an archive, or the new folder `place`, in which its files are then.

    Files, folders and links that lead nowhere but within that folder are made, nothing else. Raises `BuildFailed`.
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
            for member in members:
                _check_content(member, stream)
    except BadWheel as error:
        raise BuildFailed(
            f"What a build requires, {name}, is refused: {error}.", hint="Ask whoever made it."
        ) from error
    except _BROKEN as error:
        raise BuildFailed(f"What a build requires, {name}, can't be read: {error}.", hint="Ask its maker.") from error


def _check_content(member: zipfile.ZipInfo, wheel: IO[bytes]) -> None:
    """Refuse a member that unpacks to more than its size says, which whoever unpacks it learns when it has done so."""
    if member.compress_type != zipfile.ZIP_DEFLATED:
        return
    wheel.seek(member.header_offset + _LENGTHS_AT)
    lengths = wheel.read(4)
    wheel.seek(int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little"), io.SEEK_CUR)
    inflating, packed, unpacked = zlib.decompressobj(-zlib.MAX_WBITS), member.compress_size, 0
    while not inflating.eof and (piece := inflating.unconsumed_tail or wheel.read(min(_CHUNK, packed))):
        packed -= 0 if inflating.unconsumed_tail else len(piece)
        unpacked += len(inflating.decompress(piece, _CHUNK))
        if unpacked > member.file_size:
            raise BadWheel(f"{member.filename!r} unpacks to more than it says")


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
            elif member.issym():
                _link(member.linkname, target, place)
            elif member.islnk():
                _name_again(member.linkname, target, place)
            else:
                raise BadWheel(f"{member.name!r} is no file, no folder and no link")
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


def _link(link: str, target: Path, place: Path) -> None:
    """Make a link that leads nowhere but within the archive's own folder. Raises `BadWheel`.

    Upwards it may go at its beginning alone, and by no more than the folders that it lies in, all real ones: behind
    another link `..` is another place than it says.
    """
    name, path = target.relative_to(place), PurePosixPath(link)
    up = next((number for number, part in enumerate(path.parts) if part != ".."), len(path.parts))
    leaves = up > max(0, len(name.parts) - 2) or ".." in path.parts[up:]
    if not link or path.is_absolute() or "\\" in link or leaves:
        raise BadWheel(f"the link {str(name)!r} leads to {link!r}, out of the archive's own folder")
    _make_folder(target.parent)
    if up and _is_behind_a_link(target, place):
        raise BadWheel(f"the link {str(name)!r} lies behind another one, and leads to {link!r}")
    target.symlink_to(link)


def _name_again(other: str, target: Path, place: Path) -> None:
    """Give a file of the archive that is there by now a second name. Raises `BadWheel`."""
    file = _target(place, other)
    if file is None or file.is_symlink() or not file.is_file() or _is_behind_a_link(file, place):
        raise BadWheel(f"{str(target.relative_to(place))!r} is a second name of {other!r}, which is no file before it")
    _make_folder(target.parent)
    target.hardlink_to(file)


def _is_behind_a_link(path: Path, place: Path) -> bool:
    return path.parent.resolve() != place.resolve() / path.parent.relative_to(place)


def _make_folder(folder: Path | None) -> None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)


def _write(stream: IO[bytes], target: Path, *, program: bool) -> None:
    _make_folder(target.parent)
    with target.open("xb") as copy:  # a second member of one name, or a link in its place, is none
        shutil.copyfileobj(stream, copy)
    if program:
        target.chmod(0o755)
