"""A wheel becomes files: judged name by name before anything is made, then written, each against its RECORD.

The files of a big wheel are shared out among all cores: inflating, hashing and writing let other threads run.
"""

import hashlib
import os
import struct
import threading
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from msgspec import Struct
from packaging.utils import canonicalize_name
from zlib_ng import zlib_ng as zlib

from tf_tester.core.wheel.archive_layout import check_layout
from tf_tester.core.wheel.wheel_rules import (
    BROKEN_ARCHIVE,
    check_data_folder,
    check_folders,
    check_members,
    check_metadata,
    check_script,
    check_wheel_file,
    find_dist_info,
    import_names,
    read_entry_points,
    read_record,
    refuse,
)
from tf_tester.errors import BadWheel, InstallFailed
from tf_tester.model.host.layer import FILE_TIME, EntryPoint, Layer, Listing
from tf_tester.store.folder import start_writing
from tf_tester.store.layer_lists import is_cached_bytecode

_UNREADABLE = (BadWheel, *BROKEN_ARCHIVE, cast("type[Exception]", zlib.error))
_CHUNK = 1024 * 1024
_A_THREAD_FOR = 8 * 1024 * 1024
"""So many bytes are worth a thread of their own: 30 ms of work."""
_MAKING_A_FILE = 64 * 1024
"""What it costs to make a file, in bytes that could be inflated meanwhile: 0.3 ms."""
_LOCAL_HEADER = 30
_FILE, _PROGRAM = 0o644, 0o755
"""Modes, whatever the archive and the umask say: those that pip gives with the usual umask. A test finds them in its
environment, and may copy a file with its mode and write it on. To keep it from the store's files is the sandbox's part.
"""


class Wheel(Struct, frozen=True):
    """A wheel on this machine."""

    filename: str
    sha256: str
    """Of its bytes, which are those that the index promised."""
    path: Path


class Destination(Struct, frozen=True):
    """Where a wheel's files go."""

    layer: Path
    """The folder of the layer, with `bin/` and `data/`."""
    tree: Path
    """The folder within it that one kind of interpreter has."""
    site: str
    """Site-packages, relative to `tree`."""


class File(Struct, frozen=True):
    """A file that will be written."""

    path: str
    member: zipfile.ZipInfo
    promised: str
    """`sha256:` and the hex digest; empty where RECORD promises nothing, as for itself."""
    executable: bool

    @property
    def is_source(self) -> bool:
        return self.path.endswith(".py")


class Unpacker:
    """Unpacks many wheels at once with as many threads at work as there are cores."""

    def __init__(self, cpus: int, go_on: Callable[[], None]) -> None:
        self._cpus = cpus
        self._go_on = go_on
        """Raises where the work is to end."""
        # In the order in which they came: the first cell is ready first.
        self._at_work = threading.BoundedSemaphore(cpus)

    def begin(self, wheel: Wheel, destination: Destination) -> "Unpacking":
        """Judge a wheel by its names, sizes and metadata before anything is made. Raises `InstallFailed`."""
        with self._at_work, _refusals(wheel.filename):
            layer, files = _judged(wheel, destination)
        return Unpacking(self, wheel, layer, files)

    def write(self, wheel: Path, files: Iterable[File]) -> list[str]:
        """Write these files of a wheel and return what is wrong with those that RECORD doesn't promise so.

        Raises `BadWheel` where a file can't be read, `OSError`.
        """
        for folder in sorted({os.path.dirname(file.path) for file in files}):  # noqa: PTH120
            Path(folder).mkdir(parents=True, exist_ok=True)
        # The biggest first, so that no thread begins one when the others are ready; small ones as they lie.
        left = deque(sorted(files, key=lambda file: (-(file.member.file_size // _CHUNK), file.path)))
        work = sum(_MAKING_A_FILE + file.member.file_size for file in left)
        faults: list[str] = []

        def some() -> None:
            try:
                with self._at_work, wheel.open("rb") as stream:
                    for file in _taken(left):
                        if not _write_file(stream, file, self._go_on):
                            faults.append(f"{file.member.filename!r} is not what its RECORD promises")
            except BaseException:
                left.clear()  # the other threads need not go on
                raise

        threads = min(self._cpus, work // _A_THREAD_FOR + 1)
        with ThreadPoolExecutor(threads, "unpack") as pool:
            for share in [pool.submit(some) for _ in range(threads)]:
                share.result()
        return faults


class Unpacking:
    """A wheel that has broken no rule so far, on its way to being files."""

    def __init__(self, unpacker: Unpacker, wheel: Wheel, layer: Layer, files: Sequence[File]) -> None:
        self._unpacker = unpacker
        self._wheel = wheel
        self._files = files
        self._faults: list[str] = []
        self.layer = layer
        """What there will be."""

    def write(self, *, sources: bool) -> None:
        """Write the Python sources, or all else. Raises `InstallFailed` where a file can't be read, `OSError`."""
        with _refusals(self._wheel.filename):
            chosen = [file for file in self._files if file.is_source is sources]
            self._faults += self._unpacker.write(self._wheel.path, chosen)

    @property
    def is_as_promised(self) -> bool:
        """Whether all that is written so far is what RECORD promises."""
        return not self._faults

    def conclude(self) -> None:
        """Raise `InstallFailed` with all files that are not what RECORD promises."""
        with _refusals(self._wheel.filename):
            refuse(sorted(self._faults))


def _taken(left: deque[File]) -> Iterator[File]:
    """Yield one after the other, each to one thread only."""
    while True:
        try:
            file = left.popleft()
        except IndexError:
            return
        yield file


class _Description(Struct, frozen=True):
    """What a wheel says that it has."""

    project: str
    """Canonical."""
    version: str
    members: list[zipfile.ZipInfo]
    """Files alone."""
    promised: dict[str, str]
    """`sha256:` and the hex digest of each but RECORD."""
    scripts: tuple[EntryPoint, ...]
    metadata_sha256: str


def _judged(wheel: Wheel, destination: Destination) -> tuple[Layer, list[File]]:
    """Return what there will be, and the files to be written, if the wheel breaks no rule. Raises `BadWheel`."""
    described = _description(wheel)
    placed = _placed(described)
    places = tuple(sorted(placed))
    listing = Listing(places)
    layer = Layer(
        sha256=wheel.sha256,
        name=described.project,
        folder=destination.layer,
        tree=destination.tree,
        place=destination.site,
        listed=lambda: listing,
        entry_points=described.scripts,
        import_names=import_names(place.removeprefix("site/") for place in places if place.startswith("site/")),
        metadata_sha256=described.metadata_sha256,
    )
    files = [
        File(
            path=str(layer.path(place)),
            member=member,
            promised=described.promised.get(member.filename, ""),
            executable=bool((member.external_attr >> 16) & 0o111) or place.startswith("bin/"),
        )
        for place, member in placed.items()
    ]
    return layer, files


def _description(wheel: Wheel) -> _Description:
    """Read what a wheel says of itself. Raises `BadWheel` where that contradicts itself or its file name."""
    project, version = wheel.filename.split("-")[:2]
    project = str(canonicalize_name(project))
    with zipfile.ZipFile(wheel.path) as archive:
        members = archive.infolist()
        size = wheel.path.stat().st_size
        check_members(members, size)
        with wheel.path.open("rb") as stream:
            check_layout(members, archive.start_dir, size, lambda start, length: _read(stream, start, length))
        wanted = [member for member in members if not member.is_dir()]
        sizes = {member.filename: member.file_size for member in wanted}
        dist_info = find_dist_info(sizes, project, version)
        metadata_name, record_name = f"{dist_info}/METADATA", f"{dist_info}/RECORD"
        for needed in ("METADATA", "WHEEL", "RECORD"):
            if f"{dist_info}/{needed}" not in sizes:
                raise BadWheel(f"it has no {needed}")
        check_wheel_file(archive.read(f"{dist_info}/WHEEL"))
        metadata = archive.read(metadata_name)
        check_metadata(metadata, project, version)
        promised = read_record(archive.read(record_name), record_name, sizes, sizes)
        scripts: tuple[EntryPoint, ...] = ()
        if f"{dist_info}/entry_points.txt" in sizes:
            scripts = read_entry_points(archive.read(f"{dist_info}/entry_points.txt").decode("utf-8"))
    return _Description(project, version, wanted, promised, scripts, hashlib.sha256(metadata).hexdigest())


def _placed(described: _Description) -> dict[str, zipfile.ZipInfo]:
    """Return the files that are unpacked by their place in the layer (see `Layer.files`). Raises `BadWheel`."""
    placed: dict[str, zipfile.ZipInfo] = {}
    for member in described.members:
        place = _place(member.filename, described.project, described.version)
        if place in placed:
            raise BadWheel(f"two of its files would be {place!r}")
        if place is not None:
            placed[place] = member
    check_folders(placed)
    return placed


def _read(stream: BinaryIO, start: int, length: int) -> bytes:
    stream.seek(start)
    return stream.read(max(0, length))


def _place(name: str, project: str, version: str) -> str | None:
    """Return where a file of the archive goes below the layer (binary distribution format, «spread»)."""
    if is_cached_bytecode(name):
        return None  # ours are compiled by the interpreter that runs them
    first, _, rest = name.partition("/")
    if not first.endswith(".data") or first == name:
        return f"site/{name}"
    check_data_folder(first, project, version)
    scheme, _, path = rest.partition("/")
    if not path:
        raise BadWheel(f"{name!r} is a file where a folder belongs")
    match scheme:
        case "purelib" | "platlib":
            return f"site/{path}"
        case "scripts":
            if "/" in path:
                raise BadWheel(f"the script {path!r} is in a sub-folder")
            check_script(path, project)
            return f"bin/{path}"
        case "data":
            return f"data/{path}"
        case "headers":
            return f"data/include/{path}"
        case _:
            raise BadWheel(f"{name!r} is for the unknown scheme {scheme!r}")


def _write_file(stream: BinaryIO, file: File, go_on: Callable[[], None]) -> bool:
    """Write one file; return whether it is what RECORD promises. Raises `BadWheel`, `OSError`."""
    member = file.member
    algorithm, _, wanted = (file.promised or "sha256:").partition(":")
    digest, size, crc = hashlib.new(algorithm), 0, 0
    # Buffered: a bare write on a disk that is nearly full takes a part and says so in its result only.
    with open(file.path, "xb") as sink:  # noqa: PTH123
        for piece in _contents(stream, member):
            go_on()
            size += len(piece)
            # The sum of what the directory says was judged before; nothing is written beyond it.
            if size > member.file_size:
                raise BadWheel(f"{member.filename!r} has more bytes than its directory says")
            crc = zlib.crc32(piece, crc)
            digest.update(piece)
            sink.write(piece)
        if size >= _CHUNK:
            sink.flush()
            start_writing(sink.fileno())
    if (size, crc) != (member.file_size, member.CRC):
        raise BadWheel(f"{member.filename!r} is not what its directory says")
    os.utime(file.path, (FILE_TIME, FILE_TIME))
    os.chmod(file.path, _PROGRAM if file.executable else _FILE)  # noqa: PTH101
    return not file.promised or digest.hexdigest() == wanted


def _contents(stream: BinaryIO, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield what a member holds, at most a chunk at a time, whatever its bytes claim.

    Not by `zipfile`, whose handles share one lock and whose own work for each of 8,000 small files is as much as
    inflating them. That the headers agree and the members lie close together was checked for the whole archive.
    """
    stream.seek(member.header_offset)
    name_length, extra_length = struct.unpack_from("<2H", stream.read(_LOCAL_HEADER), 26)
    stream.seek(name_length + extra_length, os.SEEK_CUR)
    packed = _packed(stream, member.compress_size)
    if member.compress_type == zipfile.ZIP_STORED:
        yield from packed
        return
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    while not inflater.eof:
        waiting = inflater.unconsumed_tail or next(packed, b"")
        piece = inflater.decompress(waiting, _CHUNK)
        if not (piece or waiting):
            raise BadWheel(f"{member.filename!r} is cut short")
        yield piece
    if inflater.unused_data or inflater.unconsumed_tail or next(packed, b""):
        raise BadWheel(f"{member.filename!r} has something behind its contents")


def _packed(stream: BinaryIO, left: int) -> Iterator[bytes]:
    while left:
        piece = stream.read(min(left, _CHUNK // 4))
        if not piece:
            raise EOFError("the archive is cut short")
        left -= len(piece)
        yield piece


@contextmanager
def _refusals(filename: str) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        raise InstallFailed(
            f"{filename} is not a correct wheel: {error}.",
            hint="Its bytes are those that the index promised: the mistake is its publisher's. Try another version.",
        ) from error
