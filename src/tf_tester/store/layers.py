"""A wheel is unpacked once, checked file by file against its own RECORD, and compiled once for each Python.

Layers are made from verified blobs and can be made again at any time. A layer that has its name is whole, also after
a power cut: all its bytes are on the disk before it is renamed. That the rename itself is on the disk is not waited
for: without it there is no layer, and the next run makes one.

    layers/<sha256>/
        layer.json, files.json          what every environment wants to know; the names of all files
        bin/, data/                     where the wheel has them
        cpython-310/                    for each interpreter that has used it
            bytecode.json               which of the files below are bytecode
            tree/lib/python3.10/site-packages/
                                        all but bytecode is hard links of the files of the first such tree
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from tf_tester.errors import StoreError
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.layer import Layer, Listing
from tf_tester.model.host.scheme import is_free_threaded, layout_of
from tf_tester.store.compiling import Compilers
from tf_tester.store.folder import StoreFolder, link_or_copy, store_errors, sync_tree, used_now
from tf_tester.store.layer_lists import (
    FORMAT,
    MANIFESTS,
    NAMES,
    TREES,
    LayerManifest,
    TreeManifest,
    crc_of,
    read_summed,
    record_among,
    write_summed,
)
from tf_tester.store.leases import Leases
from tf_tester.store.removal import remove_tree
from tf_tester.store.unpacking import Destination, Unpacker, Wheel
from tf_tester.store.verifying import LayerChecks


class LayerStore:
    """`ports.Layers` on a folder."""

    def __init__(
        self,
        folder: StoreFolder,
        workplace: Path,
        *,
        cpus: int,
        compiler: Path,
        leases: Leases | None = None,
        seen_at: Path = Path("/"),
        checks: Callable[[Callable[[], None]], LayerChecks] | None = None,
    ) -> None:
        """Use that folder; without `leases` nobody is told what is in use.

        `seen_at`: where most environments will be, so that their bytecode names its sources as they are there.
        `checks`: makes what looks whether layers still are what was unpacked; without it nobody looks.
        """
        self._folder = folder
        self._leases = leases or Leases(folder, None)
        self._layers = str(folder.layers)
        self._workplace = workplace
        self._seen_at = seen_at
        self._unpacker = Unpacker(cpus, self._go_on)
        self._compilers = Compilers(compiler, cpus, self._go_on)
        self._stopped = False
        self._checks = None if checks is None else checks(self._go_on)
        self._known: dict[tuple[str, _Place], Layer] = {}

    def find(self, sha256: str, interpreter: Interpreter) -> Layer | None:
        key = (sha256, _place(interpreter))
        layer = self._known.get(key)
        if layer is None:
            self._leases.hold(sha256)
            with store_errors(self._folder.root):
                layer = self._load(*key)
            if layer is None:
                return None
            used_now(layer.folder)
            self._known[key] = layer
        return layer

    def forget(self, sha256s: set[str]) -> None:
        """Forget layers that may be gone now: whoever asks for them looks again."""
        self._known = {key: layer for key, layer in self._known.items() if key[0] not in sha256s}

    def layer(self, filename: str, sha256: str, wheel: Path, interpreter: Interpreter) -> Layer:
        layer = self.find(sha256, interpreter)
        if layer is None:
            with store_errors(self._folder.root):
                layer = self._made(Wheel(filename, sha256, wheel), interpreter)
            self._known[sha256, _place(interpreter)] = layer
        return layer

    def examine(self, layers: Sequence[Layer], *, unread_for: float | None = None) -> Callable[[], tuple[str, ...]]:
        return tuple if self._checks is None else self._checks.begin(layers, unread_for=unread_for)

    def renew(self, sha256s: Sequence[str]) -> None:
        self.forget(set(sha256s))
        for sha256 in sha256s:
            with store_errors(self._folder.root), self._folder.exclusive(f"layer-{sha256}"):
                self._take_away(self._folder.layers / sha256)

    def stop(self) -> None:
        """End what unpacks and compiles and start no other; whoever waits for a layer gets `InterruptedError`."""
        self._stopped = True
        self._compilers.stop()

    def close(self) -> None:
        """End what looks at layers, too."""
        self._stopped = True
        if self._checks is not None:
            self._checks.close()

    def _go_on(self) -> None:
        if self._stopped:
            raise InterruptedError

    def _load(self, sha256: str, place: "_Place") -> Layer | None:
        """Return a layer, or None unless it is whole."""
        # By strings: pathlib was half of the 9 milliseconds that 40 known layers cost.
        folder = f"{self._layers}/{sha256}"
        manifest = _manifest(folder)
        if manifest is None:
            return None
        own = f"{folder}/{place.name}"
        if not (os.path.isdir(f"{own}/tree/{place.site}") and os.path.isfile(f"{own}/bytecode.json")):  # noqa: PTH112, PTH113
            return None
        return Layer(
            sha256=sha256,
            name=manifest.name,
            folder=Path(folder),
            tree=Path(f"{own}/tree"),
            place=place.site,
            listed=_Listed(folder, own),
            entry_points=manifest.entry_points,
            import_names=manifest.import_names,
            metadata_sha256=manifest.metadata_sha256,
        )

    def _made(self, wheel: Wheel, interpreter: Interpreter) -> Layer:
        """Make whatever of it is missing, one among all threads and processes at a time."""
        place, sha256 = _place(interpreter), wheel.sha256
        self._leases.hold(sha256)
        with self._folder.exclusive(f"layer-{sha256}"):
            layer = self._load(sha256, place)
            if layer is None:
                other = self._of_another_interpreter(sha256)
                with self._place(f"layer-{sha256}-{place.name}") as target:
                    if other is None:
                        self._make(wheel, target, interpreter)
                        self._publish(target, self._folder.layers / sha256)
                    else:
                        self._make_from(other, target, interpreter)
                        self._publish(target, other.folder / place.name)
                layer = self._load(sha256, place)
        if layer is None:
            raise FileNotFoundError(f"layer {sha256} is gone")
        if self._checks is not None:
            self._checks.made(layer)
        return layer

    def _of_another_interpreter(self, sha256: str) -> Layer | None:
        for listed in sorted((self._folder.layers / sha256).glob("*/bytecode.json")):
            own = read_summed(str(listed), TREES)
            layer = None if own is None else self._load(sha256, _Place(listed.parent.name, own.site))
            if layer is not None:
                return layer
        return None

    def _make(self, wheel: Wheel, target: Path, interpreter: Interpreter) -> None:
        """Write the sources first: they are compiled while the rest, which may be one library of 900 MB, is written.

        That is one wait for the disk, too, for the layer and its first bytecode.
        """
        place = _place(interpreter)
        unpacking = self._unpacker.begin(wheel, Destination(target, target / place.name / "tree", place.site))
        layer = unpacking.layer
        unpacking.write(sources=True)
        with ThreadPoolExecutor(1, "unpack") as pool:
            rest = pool.submit(unpacking.write, sources=False)
            compiled = self._compile(layer.files, layer.site, interpreter) if unpacking.is_as_promised else []
            rest.result()
        unpacking.conclude()
        write_summed(layer.tree.parent / "bytecode.json", _of_tree(layer.site, place, compiled))
        write_summed(target / "files.json", layer.files)
        write_summed(target / "layer.json", _manifest_of(layer))

    def _make_from(self, other: Layer, target: Path, interpreter: Interpreter) -> None:
        """Make the same files a second time, by hard links, with bytecode for another interpreter.

        Not a folder of bytecode alone, to be laid over the sources: Python lists the folders that it imports from,
        and a folder that is two made the import of TensorFlow 2.8 in an overlay 14 % slower; one tree makes it none.
        """
        place = _place(interpreter)
        site = target / "tree" / place.site
        names = [name.removeprefix("site/") for name in other.files if name.startswith("site/")]
        for folder in sorted({os.path.dirname(name) for name in names}):  # noqa: PTH120
            (site / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            self._go_on()
            link_or_copy(f"{other.site}/{name}", f"{site}/{name}")
        write_summed(target / "bytecode.json", _of_tree(site, place, self._compile(other.files, site, interpreter)))

    def _compile(self, files: Iterable[str], site: Path, interpreter: Interpreter) -> list[str]:
        """Compile sources and return what was made, relative to `site`."""
        sources = [name.removeprefix("site/") for name in files if _is_source(name)]
        if not sources:
            return []
        self._compilers.compile(site, sources, interpreter, seen_at=f"{self._seen_at}/{_place(interpreter).site}")
        return sorted(_compiled(str(site), sources, interpreter.cache_tag))

    def _publish(self, target: Path, final: Path) -> None:
        """Give it its name, with all its bytes on the disk. What is there already is damaged: it goes."""
        sync_tree(target)
        self._take_away(final)
        target.rename(final)

    def _take_away(self, damaged: Path) -> None:
        """Remove what has that name, if anything has, in one step: half of it must not be found under it."""
        if os.path.lexists(damaged):
            away = self._workplace / f"damaged-{os.urandom(4).hex()}"
            damaged.rename(away)
            remove_tree(away)

    @contextmanager
    def _place(self, name: str) -> Iterator[Path]:
        """Make a new folder to fill, gone again where that fails."""
        place = self._workplace / name
        place.mkdir()
        try:
            yield place
        except BaseException:
            remove_tree(place)
            raise


def _manifest_of(layer: Layer) -> LayerManifest:
    return LayerManifest(
        format=FORMAT,
        name=layer.name,
        parts=frozenset(name.partition("/")[0] for name in layer.files) - {"site"},
        entry_points=layer.entry_points,
        import_names=layer.import_names,
        metadata_sha256=layer.metadata_sha256,
        record=crc_of(f"{layer.site}/{record}") if (record := record_among(layer.files)) else 0,
    )


def _of_tree(site: Path, place: "_Place", compiled: Sequence[str]) -> TreeManifest:
    return TreeManifest(place.site, tuple(compiled), tuple(crc_of(f"{site}/{name}") for name in compiled))


def _manifest(folder: str) -> LayerManifest | None:
    """Return None where it or what it lists is missing."""
    manifest = read_summed(f"{folder}/layer.json", MANIFESTS)
    if manifest is None or manifest.format != FORMAT:
        return None
    if not os.path.isfile(f"{folder}/files.json"):  # noqa: PTH113
        return None
    return manifest if all(os.path.isdir(f"{folder}/{part}") for part in manifest.parts) else None  # noqa: PTH112


class _Place(NamedTuple):
    """Where a layer has what is for one interpreter."""

    name: str
    site: str
    """Below `tree`."""


@lru_cache
def _place(interpreter: Interpreter) -> _Place:
    return _Place(interpreter.cache_tag + "t" * is_free_threaded(interpreter), layout_of(interpreter).site)


class _Listed:
    """The names of a layer's files, read when they are wanted."""

    __slots__ = ("_folder", "_known", "_own")

    def __init__(self, folder: str, own: str) -> None:
        self._folder = folder
        self._own = own
        self._known: Listing | None = None

    def __call__(self) -> Listing:
        if self._known is None:
            self._known = _listing(self._folder, self._own)
        return self._known


def _listing(folder: str, own: str) -> Listing:
    """Read the names of a layer's files. Raises `StoreError` where that can't be done."""
    files, compiled = read_summed(f"{folder}/files.json", NAMES), read_summed(f"{own}/bytecode.json", TREES)
    if files is None or compiled is None:
        raise StoreError(
            f"The layer {folder} is damaged.", hint="Delete that folder: it is made anew when it is needed."
        )
    return Listing(files, compiled.bytecode, compiled.sums)


def _is_source(name: str) -> bool:
    return name.startswith("site/") and name.endswith(".py")


def _compiled(site: str, sources: Iterable[str], cache_tag: str) -> Iterator[str]:
    """Yield the bytecode that there is of these sources; what a killed compiler began is removed."""
    expected: dict[str, set[str]] = {}
    for source in sources:
        folder, name = os.path.split(source)
        expected.setdefault(os.path.join(folder, "__pycache__"), set()).add(f"{name[:-3]}.{cache_tag}.pyc")  # noqa: PTH118
    for folder, names in expected.items():
        try:
            found = os.listdir(f"{site}/{folder}")  # noqa: PTH208
        except FileNotFoundError:
            continue  # none of them compiles
        for name in found:
            if name in names:
                yield f"{folder}/{name}"
            elif name.rpartition(".")[0] in names:
                os.unlink(f"{site}/{folder}/{name}")  # noqa: PTH108
