"""An environment whose files are hard links into the store's layers: no copy, bytecode included.

It does not keep a test that runs as root from writing into the layers; that is the sandbox's work.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tf_tester.errors import InstallFailed, OurFailure, TfTesterError
from tf_tester.model.interpreter import Interpreter
from tf_tester.model.layer import Layer
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
        try:
            try:
                environment = self._fill(folder, interpreter, layers)
            except OSError as error:
                raise self._translate(error) from error
            except BaseException:
                self._remove_tree(folder)
                raise
            yield environment
        finally:
            if keep is None:
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
        owners: dict[str, Layer] = {}
        clashes: list[str] = []
        made: set[str] = set()
        for layer in layers:
            for name in layer.files:
                room, _, rest = name.partition("/")
                match room:
                    case "site":
                        target = f"{site}/{rest}"
                    case "bin":
                        self._script(layer.folder / name, scripts / rest, python)
                        continue
                    case _:
                        target = f"{folder}/{rest}"
                self._link(f"{layer.folder}/{name}", target, layer, owners, clashes, made)
            for name in layer.bytecode_files:
                # A clash of the sources was reported; the bytecode follows the same first owner.
                self._link(f"{layer.bytecode}/{name}", f"{site}/{name}", layer, owners, None, made)
        for layer in layers:
            for entry in layer.entry_points:
                _entry_script(scripts, entry.name, entry.module, entry.attribute, entry.gui, python)
        return Environment(folder=folder, python=python, scripts=scripts, clashes=tuple(clashes))

    def _skeleton(self, folder: Path, interpreter: Interpreter) -> None:
        command = [
            str(self._uv()),
            "venv",
            "--quiet",
            "--no-project",
            "--no-config",
            "--offline",
            "--no-cache",
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

    def _link(
        self,
        source: str,
        target: str,
        layer: Layer,
        owners: dict[str, Layer],
        clashes: list[str] | None,
        made: set[str],
    ) -> None:
        parent = target.rpartition("/")[0]
        if parent not in made:
            os.makedirs(parent, exist_ok=True)  # noqa: PTH103 - a Path for each of 15,000 files doubles the cost
            made.add(parent)
        try:
            os.link(source, target)
        except FileExistsError:
            first = owners.get(target)
            if first is not None and first is not layer and clashes is not None and not _same(source, target):
                place = target.rpartition("site-packages/")[2]
                clashes.append(f"{first.name} and {layer.name} both bring {place}; {first.name}'s is used")
            return
        except OSError:
            # Another file system, too many links (65,000 on ext4), or links forbidden: a copy is always right.
            shutil.copy2(source, target)
        owners[target] = layer

    def _script(self, source: Path, target: Path, python: Path) -> None:
        from installer.utils import fix_shebang

        if target.exists():
            return
        with source.open("rb") as stream, fix_shebang(stream, str(python)) as fixed:
            target.write_bytes(fixed.read())
        target.chmod(0o755)


def _entry_script(scripts: Path, name: str, module: str, attribute: str, gui: bool, python: Path) -> None:
    from installer.scripts import Script

    script = Script(name, module, attribute, "gui" if gui else "console")
    kind = "posix" if sys.platform != "win32" else ("win-amd64" if sys.maxsize > 2**32 else "win-ia32")
    file_name, content = script.generate(str(python), kind)  # type: ignore[arg-type]
    target = scripts / file_name
    if not target.exists():
        target.write_bytes(content)
        target.chmod(0o755)


def _same(one: str, other: str) -> bool:
    first, second = Path(one), Path(other)
    return first.stat().st_size == second.stat().st_size and first.read_bytes() == second.read_bytes()
