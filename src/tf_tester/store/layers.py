"""A wheel is unpacked once, checked file by file against its own RECORD, and compiled once for each Python.

Layers are made from verified blobs and can be made again at any time.
"""

import hashlib
import json
import os
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import BinaryIO

from packaging.utils import canonicalize_name

from tf_tester.core.archive_layout import check_layout
from tf_tester.core.wheel_rules import (
    BROKEN_ARCHIVE,
    BadWheel,
    check_folders,
    check_members,
    check_metadata,
    check_script,
    find_dist_info,
    import_names,
    read_entry_points,
    read_record,
    same_version,
)
from tf_tester.errors import InstallFailed
from tf_tester.model.interpreter import Interpreter
from tf_tester.model.layer import EntryPoint, Layer
from tf_tester.store.folder import StoreFolder, remove_tree, store_errors

_SOURCE_TIME = 1_577_836_800
"""One fixed time for all files: the bytecode of Python 3.6 is only valid for the source's exact time."""
_CHUNK = 1024 * 1024


class LayerStore:
    """`ports.Layers` on a folder."""

    def __init__(self, folder: StoreFolder, workplace: Path, *, cpus: int, compiler: Path) -> None:
        self._folder = folder
        self._workplace = workplace
        self._cpus = cpus
        self._compiler = compiler
        """The script that compiles, run by the tested interpreter."""
        # As many at once as there are cores, in the order in which they came: the first cell is ready first.
        self._unpackers = threading.BoundedSemaphore(cpus)
        self._compilers = threading.BoundedSemaphore(cpus)
        self._compiling: set[subprocess.Popen[bytes]] = set()
        self._stopped = False
        self._known: dict[str, Layer] = {}

    def layer(self, filename: str, sha256: str, wheel: Path, interpreter: Interpreter) -> Layer:
        layer = self._known.get(sha256) or self._load(sha256)
        if layer is None:
            with self._folder.exclusive(f"layer-{sha256}"):
                layer = self._load(sha256)
                if layer is None:
                    with self._unpackers:
                        layer = self._unpacked(filename, sha256, wheel)
        self._known[sha256] = layer
        return self._with_bytecode(layer, interpreter)

    def stop(self) -> None:
        """End what compiles and start no other; whoever waits for a layer gets `InterruptedError`."""
        self._stopped = True
        for compiler in list(self._compiling):
            compiler.kill()

    def _go_on(self) -> None:
        if self._stopped:
            raise InterruptedError

    def _load(self, sha256: str) -> Layer | None:
        folder = self._folder.layers / sha256
        with store_errors(self._folder.root):
            try:
                manifest = json.loads((folder / "layer.json").read_bytes())
            except (FileNotFoundError, ValueError):
                return None  # not there, or a power cut came before its bytes were on the disk
        return Layer(
            sha256=sha256,
            name=manifest["name"],
            folder=folder,
            files=tuple(manifest["files"]),
            entry_points=tuple(EntryPoint(**entry) for entry in manifest["entry_points"]),
            import_names=tuple(manifest["import_names"]),
            metadata_sha256=manifest["metadata_sha256"],
        )

    def _unpacked(self, filename: str, sha256: str, wheel: Path) -> Layer:
        with store_errors(self._folder.root), self._place(f"layer-{sha256}") as target:
            with _refusals(filename):
                layer = _unpack(filename, sha256, wheel, target, self._go_on)
            manifest = {
                "name": layer.name,
                "files": layer.files,
                "entry_points": [asdict(entry) for entry in layer.entry_points],
                "import_names": layer.import_names,
                "metadata_sha256": layer.metadata_sha256,
            }
            (target / "layer.json").write_text(json.dumps(manifest), encoding="utf-8")
            final = self._folder.layers / sha256
            remove_tree(final)
            target.rename(final)
        return replace(layer, folder=final)

    @contextmanager
    def _place(self, name: str) -> Iterator[Path]:
        """A new folder to fill, gone again where that fails."""
        place = self._workplace / name
        place.mkdir()
        try:
            yield place
        except BaseException:
            remove_tree(place)
            raise

    def _with_bytecode(self, layer: Layer, interpreter: Interpreter) -> Layer:
        sources = [name for name in layer.files if name.startswith("site/") and name.endswith(".py")]
        if not sources:
            return layer
        final = layer.folder / f"pyc-{interpreter.cache_tag}"
        if not final.exists():
            with self._folder.exclusive(f"layer-{layer.sha256}"):
                if not final.exists():
                    name = f"pyc-{layer.sha256}-{interpreter.cache_tag}"
                    with store_errors(self._folder.root), self._place(name) as target:
                        self._compile(layer.folder, sources, target, interpreter)
                        compiled = sorted(target.rglob("*.pyc"))
                        for path in compiled:
                            path.chmod(0o444)
                        made = [path.relative_to(target).as_posix() for path in compiled]
                        (target / "files.json").write_text(json.dumps(made), encoding="utf-8")
                        target.rename(final)
        with store_errors(self._folder.root):
            made = json.loads((final / "files.json").read_bytes())
        return replace(layer, bytecode=final, bytecode_files=tuple(made))

    def _compile(self, folder: Path, sources: list[str], target: Path, interpreter: Interpreter) -> None:
        """Compile with the interpreter itself, on all cores where there is enough to do."""
        workers = min(self._cpus, len(sources) // 100 + 1)

        def run(share: list[str]) -> None:
            job = {"folder": str(folder / "site"), "target": str(target), "sources": share}
            with self._compilers:
                self._go_on()
                compiler = self._start_compiler(interpreter)
                self._compiling.add(compiler)
                # A source that kills the compiler costs its neighbours their bytecode, nothing else.
                compiler.communicate(json.dumps(job).encode())
                self._compiling.discard(compiler)
            self._go_on()

        relative = [name.removeprefix("site/") for name in sources]
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(run, [relative[start::workers] for start in range(workers)]))

    def _start_compiler(self, interpreter: Interpreter) -> "subprocess.Popen[bytes]":
        try:
            return subprocess.Popen(
                [str(interpreter.path), "-I", "-S", "-B", str(self._compiler)],
                stdin=subprocess.PIPE,
                env={"PATH": os.defpath},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Ctrl-C is for us: a half compiled layer must not look like a whole one.
                start_new_session=True,
            )
        except OSError as error:
            raise InstallFailed(
                f"{interpreter.path} can't be run: {error.strerror}.",
                hint="Run `tf-tester doctor` to see which Pythons work.",
            ) from error


def _unpack(filename: str, sha256: str, wheel: Path, target: Path, go_on: Callable[[], None]) -> Layer:
    project, version = filename.split("-")[:2]
    project = str(canonicalize_name(project))
    with zipfile.ZipFile(wheel) as archive:
        members = archive.infolist()
        size = wheel.stat().st_size
        check_members(members, size)
        with wheel.open("rb") as stream:
            check_layout(members, archive.start_dir, size, lambda start, length: _read(stream, start, length))
        wanted = [member for member in members if not member.is_dir()]
        names = [member.filename for member in wanted]
        dist_info = find_dist_info(names, project, version)
        if f"{dist_info}/METADATA" not in names or f"{dist_info}/RECORD" not in names:
            raise BadWheel("it has no METADATA or no RECORD")
        metadata = archive.read(f"{dist_info}/METADATA")
        check_metadata(metadata, project, version)
        record_name = f"{dist_info}/RECORD"
        sizes = {member.filename: member.file_size for member in wanted}
        promised = read_record(archive.read(record_name), record_name, names, sizes)
        scripts: tuple[EntryPoint, ...] = ()
        if f"{dist_info}/entry_points.txt" in names:
            scripts = read_entry_points(archive.read(f"{dist_info}/entry_points.txt").decode("utf-8"))
        placed: dict[str, zipfile.ZipInfo] = {}
        for member in wanted:
            place = _place(member.filename, project, version)
            if place in placed:
                raise BadWheel(f"two of its files would be {place!r}")
            if place is not None:
                placed[place] = member
        check_folders(placed)
        folders: set[Path] = set()
        for place, member in sorted(placed.items()):
            path = target / place
            if path.parent not in folders:
                path.parent.mkdir(parents=True, exist_ok=True)
                folders.add(path.parent)
            _extract(
                archive, member, path, promised.get(member.filename), is_script=place.startswith("bin/"), go_on=go_on
            )
    places = tuple(sorted(placed))
    return Layer(
        sha256=sha256,
        name=project,
        folder=target,
        files=places,
        entry_points=scripts,
        import_names=import_names(place.removeprefix("site/") for place in places if place.startswith("site/")),
        metadata_sha256=hashlib.sha256(metadata).hexdigest(),
    )


def _read(stream: BinaryIO, start: int, length: int) -> bytes:
    stream.seek(start)
    return stream.read(max(0, length))


def _place(name: str, project: str, version: str) -> str | None:
    """Where a file of the archive goes below the layer (binary distribution format, «spread»)."""
    if name.endswith(".pyc") and "__pycache__/" in name:
        return None  # ours are compiled by the interpreter that runs them
    first, _, rest = name.partition("/")
    if not _is_data_folder(first, project, version):
        return f"site/{name}"
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


def _is_data_folder(folder: str, project: str, version: str) -> bool:
    """`{name}-{version}.data`, in any spelling that the `.dist-info` folder may have too."""
    name, _, its_version = folder.removesuffix(".data").rpartition("-")
    return folder.endswith(".data") and canonicalize_name(name) == project and same_version(its_version, version)


def _extract(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    path: Path,
    promised: str | None,
    *,
    is_script: bool,
    go_on: Callable[[], None],
) -> None:
    algorithm, _, wanted = (promised or "sha256:").partition(":")
    digest = hashlib.new(algorithm)
    executable = bool((member.external_attr >> 16) & 0o111) or is_script
    # Buffered: a bare write on a disk that is nearly full takes a part and says so in its result only.
    with archive.open(member) as source, path.open("xb", buffering=_CHUNK) as sink:
        # Never more than the central directory says, by zipfile's own count; the sum of that was judged before.
        while chunk := source.read(_CHUNK):
            go_on()
            digest.update(chunk)
            sink.write(chunk)
    if promised is not None and digest.hexdigest() != wanted:
        raise BadWheel(f"{member.filename!r} is not what its RECORD promises")
    os.utime(path, (_SOURCE_TIME, _SOURCE_TIME))
    path.chmod(0o555 if executable else 0o444)


@contextmanager
def _refusals(filename: str) -> Iterator[None]:
    try:
        yield
    except (BadWheel, *BROKEN_ARCHIVE) as error:
        raise InstallFailed(
            f"{filename} is not a correct wheel: {error}.",
            hint="Its bytes are those that the index promised: the mistake is its publisher's. Try another version.",
        ) from error
