"""A wheel is unpacked once, checked file by file against its own RECORD, and compiled once for each Python.

Layers are made from verified blobs and can be made again at any time. A layer that has its name is whole, also after
a power cut: all its bytes are on the disk before it is renamed. That the rename itself is on the disk is not waited
for: without it there is no layer, and the next run makes one.
"""

import os
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from tf_tester.model.interpreter import Interpreter
from tf_tester.model.layer import EntryPoint, Layer
from tf_tester.store.compiling import Compilers
from tf_tester.store.folder import StoreFolder, remove_tree, store_errors, sync_tree
from tf_tester.store.unpacking import Unpacker


class LayerStore:
    """`ports.Layers` on a folder."""

    def __init__(self, folder: StoreFolder, workplace: Path, *, cpus: int, compiler: Path) -> None:
        self._folder = folder
        self._workplace = workplace
        self._unpacker = Unpacker(cpus, self._go_on)
        self._compilers = Compilers(compiler, cpus, self._go_on)
        self._stopped = False
        self._known: dict[tuple[str, str], Layer] = {}

    def find(self, sha256: str, interpreter: Interpreter) -> Layer | None:
        key = (sha256, interpreter.cache_tag)
        layer = self._known.get(key)
        if layer is None:
            with store_errors(self._folder.root):
                layer = self._load(*key)
            if layer is None or _lacks_bytecode(layer):
                return None
            self._known[key] = layer
        return layer

    def layer(self, filename: str, sha256: str, wheel: Path, interpreter: Interpreter) -> Layer:
        layer = self.find(sha256, interpreter)
        if layer is None:
            with store_errors(self._folder.root):
                layer = self._made(filename, sha256, wheel, interpreter)
            self._known[sha256, interpreter.cache_tag] = layer
        return layer

    def stop(self) -> None:
        """End what unpacks and compiles and start no other; whoever waits for a layer gets `InterruptedError`."""
        self._stopped = True
        self._compilers.stop()

    def _go_on(self) -> None:
        if self._stopped:
            raise InterruptedError

    def _load(self, sha256: str, cache_tag: str) -> Layer | None:
        """What is there, with its bytecode where that is there too."""
        folder = self._folder.layers / sha256
        # By strings: pathlib was half of the 9 milliseconds that 40 known layers cost.
        manifest = _read(f"{folder}/layer.json", _MANIFESTS)
        if manifest is None or not all(os.path.isdir(f"{folder}/{room}") for room in manifest.rooms):  # noqa: PTH112
            return None
        compiled = _read(f"{folder}/pyc-{cache_tag}/files.json", _LISTS)
        return Layer(
            sha256=sha256,
            name=manifest.name,
            folder=folder,
            files=manifest.files,
            rooms=manifest.rooms,
            entry_points=manifest.entry_points,
            import_names=manifest.import_names,
            metadata_sha256=manifest.metadata_sha256,
            bytecode=None if compiled is None else folder / f"pyc-{cache_tag}",
            bytecode_files=compiled or (),
        )

    def _made(self, filename: str, sha256: str, wheel: Path, interpreter: Interpreter) -> Layer:
        """Whatever of it is missing is made, by one among all threads and processes."""
        tag = interpreter.cache_tag
        with self._folder.exclusive(f"layer-{sha256}"):
            layer = self._load(sha256, tag)
            if layer is None:
                with self._place(f"layer-{sha256}") as target:
                    self._make(filename, sha256, wheel, target, interpreter)
                    self._publish(target, self._folder.layers / sha256)
            elif _lacks_bytecode(layer):
                with self._place(f"pyc-{sha256}-{tag}") as target:
                    self._compile(layer, target, interpreter)
                    self._publish(target, layer.folder / f"pyc-{tag}")
            layer = self._load(sha256, tag)
        if layer is None:
            raise FileNotFoundError(f"layer {sha256} is gone")
        return layer

    def _make(self, filename: str, sha256: str, wheel: Path, target: Path, interpreter: Interpreter) -> None:
        """Sources first: they are compiled while the rest, which may be one library of 900 MB, is written.

        That is one wait for the disk, too, for the layer and its first bytecode.
        """
        layer, files = self._unpacker.judge(filename, sha256, wheel, target)
        self._unpacker.write(filename, wheel, [file for file in files if file.is_source])
        with ThreadPoolExecutor(1, "unpack") as pool:
            rest = pool.submit(self._unpacker.write, filename, wheel, [file for file in files if not file.is_source])
            self._compile(layer, target / f"pyc-{interpreter.cache_tag}", interpreter)
            rest.result()
        _write(target / "layer.json", _manifest_of(layer))

    def _compile(self, layer: Layer, target: Path, interpreter: Interpreter) -> None:
        sources = [name.removeprefix("site/") for name in _sources(layer)]
        if not sources:
            return
        target.mkdir(exist_ok=True)
        self._compilers.compile(layer.folder / "site", sources, target, interpreter)
        made = sorted(_files_below(str(target)))
        for name in made:
            target.joinpath(name).chmod(0o444)
        _write(target / "files.json", made)

    def _publish(self, target: Path, final: Path) -> None:
        """Give it its name, with all its bytes on the disk. What is there already is damaged: it goes."""
        sync_tree(target)
        if final.exists():
            # In one step: half of it must not be found under its name.
            damaged = self._workplace / f"damaged-{secrets.token_hex(4)}"
            final.rename(damaged)
            remove_tree(damaged)
        target.rename(final)

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


class _Manifest(msgspec.Struct):
    """`layer.json`. One without `rooms` is of a time when layers were not made to survive a power cut."""

    name: str
    files: tuple[str, ...]
    rooms: frozenset[str]
    entry_points: tuple[EntryPoint, ...]
    import_names: tuple[str, ...]
    metadata_sha256: str


_T = TypeVar("_T")
_MANIFESTS = msgspec.json.Decoder(_Manifest)
_LISTS = msgspec.json.Decoder(tuple[str, ...])


def _manifest_of(layer: Layer) -> _Manifest:
    return _Manifest(
        name=layer.name,
        files=layer.files,
        rooms=layer.rooms,
        entry_points=layer.entry_points,
        import_names=layer.import_names,
        metadata_sha256=layer.metadata_sha256,
    )


def _read(path: str, decoder: "msgspec.json.Decoder[_T]") -> _T | None:
    """None where it is not there or not whole."""
    try:
        with open(path, "rb") as stream:  # noqa: PTH123
            return decoder.decode(stream.read())
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError, ValueError):
        return None


def _write(path: Path, content: object) -> None:
    path.write_bytes(msgspec.json.encode(content))


def _lacks_bytecode(layer: Layer) -> bool:
    return layer.bytecode is None and next(_sources(layer), None) is not None


def _sources(layer: Layer) -> Iterator[str]:
    return (name for name in layer.files if name.startswith("site/") and name.endswith(".py"))


def _files_below(folder: str) -> Iterator[str]:
    """The bytecode; what a killed compiler began is removed."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)  # noqa: PTH118
            if name.endswith(".pyc"):
                yield path[len(folder) + 1 :].replace(os.sep, "/")
            else:
                os.unlink(path)  # noqa: PTH108
