"""A source distribution becomes a wheel once for each Python, with build requirements of today."""

import hashlib
import os
import shutil
import stat
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from msgspec.structs import replace
from packaging.utils import canonicalize_name

from tf_tester.core.wheel.wheel_rules import check_metadata
from tf_tester.errors import BadWheel, BuildEnded, BuildFailed, DownloadFailed
from tf_tester.model.artifact import Artifact
from tf_tester.model.events import Delay, DelayKind, WheelBuilt
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.lock import Pin
from tf_tester.ports.fetch import Fetcher
from tf_tester.ports.memory import Memos
from tf_tester.ports.resolve import BuiltWheel
from tf_tester.ports.store import Blobs
from tf_tester.resolve.backend import SOURCE_DATE, BackEnd, BuildTask
from tf_tester.resolve.confinement import Confinement
from tf_tester.resolve.indexed_uv import IndexedUv
from tf_tester.resolve.loopback import QuestionView
from tf_tester.resolve.metadata import from_wheel

_NOT_SOURCE = (".venv", "venv", ".tox", ".nox", "node_modules", "__pycache__", "build", "dist", "*.egg-info")
_SEEN_AT = Path("/tf-tester/source")
"""Compilers write the place of what they compile into what comes of it."""
_ATTEMPTS = (
    "",
    # setuptools 58 dropped `use_2to3`, 72 the `test` command: what older setup.py files may still need.
    "setuptools<58\n",
)


class Builder:
    """Builds with requirements of the undated view of the loopback index; results are blobs like any other."""

    def __init__(
        self,
        uv: IndexedUv,
        *,
        memory: Memos[BuiltWheel],
        blobs: Blobs,
        fetcher: Fetcher,
        confinement: Confinement,
        exclusive: Callable[[str], AbstractContextManager[None]],
        remove_tree: Callable[[Path], None],
    ) -> None:
        self._loopback = uv.loopback
        self._metadata = uv.metadata
        self._workplace = uv.workplace
        self._memory = memory
        self._blobs = blobs
        self._fetcher = fetcher
        self._confinement = confinement
        self._backend = BackEnd(uv.uv, confinement, self.fresh)
        self._exclusive = exclusive
        """A lock by name over all processes that share the store."""
        self._remove_tree = remove_tree
        self._projects: dict[tuple[Path, str], tuple[Pin, bytes]] = {}

    def built(self, sdist: Artifact, interpreter: Interpreter) -> BuiltWheel:
        """Return the wheel of an sdist. Raises `BuildFailed` (the build's own words in `detail`), `DownloadFailed`."""
        if sdist.sha256 is None:
            raise DownloadFailed(f"The index promises no hash for {sdist.filename}.", hint="Use another index.")
        key = f"{sdist.sha256}@{interpreter.abi}"
        with self._exclusive(f"build-{sdist.sha256}"):
            known = self._memory.recall(key) or self._memory.recall(sdist.sha256)
            if known is not None and self._blobs.find(known.sha256) is not None:
                return known
            wheel = self._make(sdist, interpreter)
            # A pure wheel serves every Python; one with an extension serves the ABI it was built for.
            scope = sdist.sha256 if is_for_any_python(wheel.filename) else key
            self._memory.remember(scope, wheel)
            return wheel

    def project_wheel(self, folder: Path, interpreter: Interpreter) -> tuple[Pin, bytes]:
        """Return the user's own project as a wheel in the store, and its METADATA.

        Built once in this process for each Python, and only once if its wheel is for any Python.
        """
        known = self._projects.get((folder, "any")) or self._projects.get((folder, interpreter.abi))
        if known is not None:
            return known
        pin, metadata = self.source_wheel(folder, interpreter)
        scope = "any" if is_for_any_python(pin.filename) else interpreter.abi
        self._projects[(folder, scope)] = pin, metadata
        return pin, metadata

    def source_wheel(self, folder: Path, interpreter: Interpreter) -> tuple[Pin, bytes]:
        """Return the project in a folder as a wheel in the store, and its METADATA; built at each call."""
        with self.fresh("project") as out, self.fresh("source") as copies:
            # A copy: builds leave traces, and setuptools packs again what an earlier build left.
            source = copies / folder.name
            shutil.copytree(folder, source, symlinks=True, ignore=shutil.ignore_patterns(*_NOT_SOURCE))
            _make_plain(source)
            with self._told(folder.name, interpreter) as built_wheels:
                self._build(source, out, interpreter, folder.name)
                wheel = _only_wheel(out, folder.name)
                name, version = wheel.name.split("-")[:2]
                project = str(canonicalize_name(name))
                local = Artifact(filename=wheel.name, project=project, version=version, url=folder.as_uri())
                built, metadata = self._keep(wheel, local)
                built_wheels.append(built)
        return Pin(project, version, built.filename, built.sha256, built.size, url=""), metadata

    def _make(self, sdist: Artifact, interpreter: Interpreter) -> BuiltWheel:
        from tf_tester.resolve.archives import unpack  # and with it tarfile, for few runs

        archive = self._fetcher.fetch(sdist)
        with self.fresh("build") as out, self.fresh("source") as unpacked:
            source = unpack(archive, sdist.filename, unpacked / "sdist")
            _make_plain(source)
            with self._told(sdist.project, interpreter) as built_wheels:
                self._build(source, out, interpreter, sdist.project)
                built_wheels.append(self._keep(_only_wheel(out, sdist.project), sdist)[0])
                return built_wheels[0]

    def _keep(self, made: Path, sdist: Artifact) -> tuple[BuiltWheel, bytes]:
        artifact = replace(sdist, filename=made.name, sha256=None)
        try:
            metadata = from_wheel(lambda: zipfile.ZipFile(made), artifact)
            check_metadata(metadata, sdist.project, sdist.version)
        except BadWheel as error:
            raise BuildFailed(f"The wheel built from {sdist.filename} is wrong: {error}.") from error
        with made.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        size = made.stat().st_size
        with self._blobs.exclusive(digest):
            if self._blobs.find(digest) is None:
                shutil.copyfile(made, self._blobs.partial(digest))
                self._blobs.adopt(digest, made.name, "built here")
        return BuiltWheel(made.name, digest, size), metadata

    def _build(self, source: Path, out: Path, interpreter: Interpreter, name: str) -> None:
        view = QuestionView(interpreter, None, lambda _name: False, self._metadata.read, serves_files=True)
        task = BuildTask(source, _SEEN_AT / source.name, out, interpreter, self._loopback.url(view), view.waits.seconds)
        try:
            first_told = ""
            for constraint in _ATTEMPTS:
                built, told = self._backend.build(task, constraint)
                if built:
                    return
                first_told = first_told or told
            if view.errors:
                raise view.errors[0]
            raise BuildFailed(
                f"{name} could not be built from source for Python {interpreter.label}.",
                hint=self._confinement.hint(first_told)
                or "Its build's own words are in the evidence; a compiler or a system library may be missing.",
                detail=first_told,
            )
        except BuildEnded as ended:
            raise BuildFailed(
                f"{name} could not be built from source for Python {interpreter.label}: {ended}.",
                hint=ended.hint,
                detail=ended.detail,
            ) from ended
        finally:
            self._loopback.forget(view)

    @contextmanager
    def _told(self, name: str, interpreter: Interpreter) -> Iterator[list[BuiltWheel]]:
        """Tell that something is being built, and in the end how long that took and what came of it: what is put into
        the list.
        """
        tell, what = self._confinement.tell, f"{name} for Python {interpreter.label}"
        begun = time.monotonic()
        made: list[BuiltWheel] = []
        tell(Delay(DelayKind.BUILD, what))
        try:
            yield made
        finally:
            tell(Delay(DelayKind.BUILD, what, is_over=True))
            wheel = (made[0].filename, made[0].sha256) if made else ("", "")
            tell(WheelBuilt(name, interpreter.label, time.monotonic() - begun, *wheel))

    @contextmanager
    def fresh(self, word: str) -> Iterator[Path]:
        """Yield a new folder that goes when it is no longer used, however that ends."""
        folder = Path(tempfile.mkdtemp(prefix=f"{word}-", dir=self._workplace))
        try:
            yield folder
        finally:
            self._remove_tree(folder)


def _make_plain(tree: Path) -> None:
    """Take from files what a checkout decides and not the project: times, and modes but whether they are programs."""
    for folder, _, names in os.walk(tree):
        Path(folder).chmod(0o755)
        for path in (Path(folder, name) for name in names):
            if path.is_symlink():
                continue
            path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
            os.utime(path, (SOURCE_DATE, SOURCE_DATE))


def is_for_any_python(wheel: str) -> bool:
    """Return whether every Python 3 takes it: `py3-none-any` and `py2.py3-none-any`, but not `py38-none-any`."""
    python, abi, platform = wheel.removesuffix(".whl").split("-")[-3:]
    return "py3" in python.split(".") and abi == "none" and platform == "any"


def _only_wheel(folder: Path, name: str) -> Path:
    wheels = list(folder.glob("*.whl"))
    # A build is a stranger's code: what it calls a wheel may be a link to something else.
    wheels = [wheel for wheel in wheels if wheel.is_file() and not wheel.is_symlink()]
    if len(wheels) != 1:
        raise BuildFailed(f"Building {name} left {len(wheels)} wheels instead of one.")
    return wheels[0]
