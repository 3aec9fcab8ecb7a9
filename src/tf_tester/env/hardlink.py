"""An environment whose files are hard links into the store's layers: no copy, bytecode included.

It does not keep a test that runs as root from writing into the layers; that is the sandbox's work.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tf_tester.errors import InstallFailed, OurFailure, TfTesterError
from tf_tester.model.interpreter import Interpreter
from tf_tester.model.layer import EntryPoint, Layer
from tf_tester.ports import Environment


class HardlinkEnvironments:
    """`ports.Environments`; works on every system that uv works on."""

    def __init__(
        self,
        workplace: Path,
        kept: Path,
        *,
        uv: Callable[[], Path],
        remove_tree: Callable[[Path], None],
        translate: Callable[[OSError], TfTesterError],
    ) -> None:
        self._workplace = workplace
        self._kept = kept
        self._uv = uv
        self._remove_tree = remove_tree
        self._translate = translate
        self._count = 0

    @contextmanager
    def make(self, interpreter: Interpreter, layers: Sequence[Layer], *, keep: str | None) -> Iterator[Environment]:
        folder = self._place(keep)
        finished = False
        try:
            try:
                environment = self._fill(folder, interpreter, layers)
            except OSError as error:
                raise self._translate(error) from error
            finished = True
            yield environment
        finally:
            if keep is None or not finished:
                self._remove_tree(folder)

    def _place(self, keep: str | None) -> Path:
        if keep is None:
            self._count += 1
            return self._workplace / f"env-{self._count}-{os.urandom(3).hex()}"
        place = self._kept / keep
        self._remove_tree(place)
        return place

    def _fill(self, folder: Path, interpreter: Interpreter, layers: Sequence[Layer]) -> Environment:
        self._skeleton(folder, interpreter)
        windows = sys.platform == "win32"
        scripts = folder / ("Scripts" if windows else "bin")
        major, minor = interpreter.release
        site = (
            folder / "Lib" / "site-packages" if windows else folder / "lib" / f"python{major}.{minor}" / "site-packages"
        )
        python = scripts / ("python.exe" if windows else "python")
        clashes: list[str] = []
        place = _Place(folder, site, scripts, python, clashes)
        for layer in layers:
            for name in layer.files:
                room, _, rest = name.partition("/")
                match room:
                    case "site":
                        place.link(f"{layer.folder}/{name}", f"{site}/{rest}", layer)
                    case "bin":
                        place.script(rest, with_shebang((layer.folder / name).read_bytes(), python), layer)
                    case _:
                        place.link(f"{layer.folder}/{name}", f"{folder}/{rest}", layer)
            for name in layer.bytecode_files:
                place.bytecode(f"{layer.bytecode}/{name}", name, f".{interpreter.cache_tag}.pyc", layer)
            for entry in layer.entry_points:
                place.script(*entry_script(entry, python), layer)
        return Environment(folder=folder, python=python, scripts=scripts, clashes=tuple(clashes))

    def _skeleton(self, folder: Path, interpreter: Interpreter) -> None:
        command = [
            str(self._uv()),
            "venv",
            "--quiet",
            "--no-project",
            "--no-config",
            "--offline",
            # What uv learns of an interpreter: asking it anew for each environment is nine tenths of the time.
            "--cache-dir",
            str(self._workplace / "uv-interpreters"),
        ]
        done = subprocess.run(
            [*command, "--python", str(interpreter.path), "--", str(folder)],
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": str(self._workplace),
                "UV_PYTHON_DOWNLOADS": "never",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            if not os.access(self._workplace, os.W_OK):
                raise OurFailure(f"{self._workplace} can't be written.", hint="Choose another --store.")
            raise InstallFailed(
                f"No environment could be made with {interpreter.path}.",
                hint="Run `tf-tester doctor` to see whether that Python works.",
                detail=done.stderr,
            )


class _Place:
    """The files of one environment, and which layer each is from."""

    def __init__(self, folder: Path, site: Path, scripts: Path, python: Path, clashes: list[str]) -> None:
        self._folder = folder
        self._site = str(site)
        self._scripts = scripts
        self._clashes = clashes
        self._owners: dict[str, Layer] = {}
        self._made: set[str] = set()

    def link(self, source: str, target: str, layer: Layer) -> None:
        """Let `target` be the layer's file, if no other layer was first."""
        parent = target.rpartition("/")[0]
        if parent not in self._made:
            try:
                os.makedirs(parent, exist_ok=True)  # noqa: PTH103 - a Path for each of 15,000 files doubles the cost
            except (FileExistsError, NotADirectoryError):
                self._clash(target, layer, self._owner_above(target))
                return
            self._made.add(parent)
        try:
            os.link(source, target)
        except FileExistsError:
            first = self._owners.get(target)
            if first is not layer and (first is None or not same_content(source, target)):
                self._clash(target, layer, first or self._owner_below(target))
            return
        except OSError:
            # Another file system, too many links (65,000 on ext4), or links forbidden: a copy is always right.
            shutil.copy2(source, target)
        self._owners[target] = layer

    def bytecode(self, source: str, name: str, ending: str, layer: Layer) -> None:
        """Link the bytecode of a source, if the source is this layer's too: it is not checked at import."""
        folder, _, file = name.rpartition("__pycache__/")
        if self._owners.get(f"{self._site}/{folder}{file.removesuffix(ending)}.py") is layer:
            self.link(source, f"{self._site}/{name}", layer)

    def script(self, name: str, content: bytes, layer: Layer) -> None:
        """Write an executable, if no other layer was first; a layer's own entry point replaces its own script."""
        target = self._scripts / name
        first = self._owners.get(str(target))
        if target.exists() and first is not layer:
            if first is None or target.read_bytes() != content:
                self._clash(str(target), layer, first)
            return
        # What stands there may be a link into the store.
        target.unlink(missing_ok=True)
        target.write_bytes(content)
        target.chmod(0o755)
        self._owners[str(target)] = layer

    def _clash(self, target: str, layer: Layer, first: Layer | None) -> None:
        place = os.path.relpath(target, self._site)
        if place.startswith(".."):
            place = os.path.relpath(target, self._folder)
        if first is None:
            self._clashes.append(f"{layer.name} brings {place}, which is the environment's own; that is used")
        elif first is not layer:
            self._clashes.append(f"{first.name} and {layer.name} both bring {place}; {first.name}'s is used")

    def _owner_above(self, target: str) -> Layer | None:
        """Whose file stands where a folder is needed."""
        while target := target.rpartition("/")[0]:
            if target in self._owners:
                return self._owners[target]
        return None

    def _owner_below(self, target: str) -> Layer | None:
        """Whose folder stands where a file is to go."""
        return next((layer for path, layer in self._owners.items() if path.startswith(f"{target}/")), None)


def entry_script(entry: EntryPoint, python: Path) -> tuple[str, bytes]:
    from installer.scripts import Script

    script = Script(entry.name, entry.module, entry.attribute, "gui" if entry.gui else "console")
    kind = "posix" if sys.platform != "win32" else ("win-amd64" if sys.maxsize > 2**32 else "win-ia32")
    return script.generate(str(python), kind)  # type: ignore[arg-type]


def with_shebang(content: bytes, python: Path) -> bytes:
    """A script of the wheel whose `#!python` names the environment's (binary distribution format, «scripts»)."""
    line, end, rest = content.partition(b"\n")
    if not line.startswith(b"#!python"):
        return content
    path = str(python)
    if len(path) > 120 or any(character.isspace() for character in path):
        # The kernel splits and cuts that line; a shell doesn't. To Python the three lines are a text.
        return f"#!/bin/sh\n'''exec' {shlex.quote(path)} \"$0\" \"$@\"\n' '''".encode() + end + rest
    return b"#!" + os.fsencode(path) + end + rest


def same_content(one: str, other: str) -> bool:
    first, second = Path(one), Path(other)
    return (
        second.is_file() and first.stat().st_size == second.stat().st_size and first.read_bytes() == second.read_bytes()
    )
