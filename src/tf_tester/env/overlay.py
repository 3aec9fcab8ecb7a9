"""An environment that is one mount: the layers seen as one folder, made by the launcher, gone with the program.

Nothing is copied or linked, and nothing has to be deleted but the small face: `pyvenv.cfg`, the interpreter's link
and the scripts, whose first lines name the one place at which every environment is mounted.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tf_tester.env.hardlink import entry_script, same_content, with_shebang
from tf_tester.errors import TfTesterError
from tf_tester.model.interpreter import Interpreter
from tf_tester.model.layer import Layer
from tf_tester.model.world import Overlay
from tf_tester.ports import Environment, Environments

PLACE = Path("/tf-tester/env")
"""Where every environment is seen, in a world of its own."""
_MOST_LOWERS = 480
"""overlayfs takes 500."""


class OverlayEnvironments:
    """`ports.Environments` for a sandbox that mounts.

    `on_disk` makes the environments that are to be kept, and those in which two projects bring one file with
    different contents: there each file has to be chosen by itself, its bytecode with it.
    """

    def __init__(
        self, workplace: Path, on_disk: Environments, *, translate: Callable[[OSError], TfTesterError]
    ) -> None:
        self._workplace = workplace
        self._on_disk = on_disk
        self._translate = translate

    def make(
        self, interpreter: Interpreter, layers: Sequence[Layer], *, keep: str | None
    ) -> AbstractContextManager[Environment]:
        scripts = _scripts(layers)
        if keep is not None or scripts is None or 2 * len(layers) > _MOST_LOWERS or _clash(layers):
            return self._on_disk.make(interpreter, layers, keep=keep)
        return self._make(interpreter, layers, scripts)

    @contextmanager
    def _make(
        self, interpreter: Interpreter, layers: Sequence[Layer], scripts: dict[str, bytes]
    ) -> Iterator[Environment]:
        face = self._workplace / f"face-{os.urandom(4).hex()}"
        major, minor = interpreter.release
        site = Path("lib", f"python{major}.{minor}", "site-packages")
        try:
            try:
                _write_face(face, site, interpreter, scripts)
            except OSError as error:
                raise self._translate(error) from error
            modules = [layer.folder / "site" for layer in layers if any(f.startswith("site/") for f in layer.files)]
            modules += [layer.bytecode for layer in layers if layer.bytecode is not None]
            data = [layer.folder / "data" for layer in layers if any(f.startswith("data/") for f in layer.files)]
            yield Environment(
                folder=PLACE,
                python=PLACE / "bin" / "python",
                scripts=PLACE / "bin",
                overlays=(Overlay(PLACE, (face, *data)), Overlay(PLACE / site, (face / site, *modules))),
            )
        finally:
            shutil.rmtree(face, ignore_errors=True)


def _write_face(face: Path, site: Path, interpreter: Interpreter, scripts: dict[str, bytes]) -> None:
    folder = face / "bin"
    (face / site).mkdir(parents=True)
    folder.mkdir()
    (face / "pyvenv.cfg").write_text(
        f"home = {interpreter.path.parent}\ninclude-system-site-packages = false\nversion = {interpreter.version}\n",
        encoding="utf-8",
    )
    folder.joinpath("python").symlink_to(interpreter.path)
    major, minor = interpreter.release
    for name in (f"python{major}", f"python{major}.{minor}"):
        folder.joinpath(name).symlink_to("python")
    for name, content in scripts.items():
        path = folder / name
        path.write_bytes(content)
        path.chmod(0o755)


def _scripts(layers: Sequence[Layer]) -> dict[str, bytes] | None:
    """All scripts by name, or None where two layers mean different things by one name."""
    python = PLACE / "bin" / "python"
    found: dict[str, bytes] = {}
    for layer in layers:
        own = {
            name.removeprefix("bin/"): with_shebang((layer.folder / name).read_bytes(), python)
            for name in layer.files
            if name.startswith("bin/")
        }
        # A wheel's entry point stands for its script of the same name.
        own |= dict(entry_script(entry, python) for entry in layer.entry_points)
        for name, content in own.items():
            if found.setdefault(name, content) != content or name.startswith("python"):
                return None
    return found


def _clash(layers: Sequence[Layer]) -> bool:
    """Whether two layers bring one path with different contents, or a file where the other has a folder."""
    owners: dict[str, Layer] = {}
    for layer in layers:
        for name in layer.files:
            if name.startswith("bin/"):
                continue
            first = owners.setdefault(name, layer)
            if first is not layer and not same_content(f"{first.folder}/{name}", f"{layer.folder}/{name}"):
                return True
    folders = {name.rpartition("/")[0] for name in owners}
    for folder in list(folders):
        while folder := folder.rpartition("/")[0]:
            if folder in folders:
                break
            folders.add(folder)
    return not folders.isdisjoint(owners)
