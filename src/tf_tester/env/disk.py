"""An environment that is a folder on disk, bytecode included.

What a test writes into it must not reach the store: files are hard links only where the caller knows that a sandbox
shows the folder read-only. Whoever owns a file may change its mode and write it, through any of its names.
"""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from enum import Enum
from functools import partial
from pathlib import Path
from typing import BinaryIO, assert_never

from tf_tester.env.arrangement import PlacedFile, arrange, placed_files
from tf_tester.env.scripts import write_new
from tf_tester.errors import InstallFailed, OurFailure, TfTesterError
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.layer import Layer
from tf_tester.model.host.scheme import layout_of
from tf_tester.ports.environment import Environment

_FICLONE = 0x40049409
_COPIERS = 4


class Placement(Enum):
    """How a layer's file gets into an environment."""

    LINK = "link"
    """A second name of the store's file: only under a sandbox that makes the environment read-only."""
    COPY = "copy"
    """A file of its own, sharing blocks with the store's where the file system can."""


class DiskEnvironments:
    """`ports.Environments`; works on every system that uv works on. What is kept is always copied."""

    def __init__(
        self,
        workplace: Path,
        kept: Path,
        *,
        placement: Placement,
        uv: Callable[[], Path],
        uv_cache: Path,
        remove_tree: Callable[[Path], None],
        translate: Callable[[OSError], TfTesterError],
    ) -> None:
        self._workplace = workplace
        self._kept = kept
        self._placement = placement
        self._uv = uv
        self._uv_cache = uv_cache
        self._remove_tree = remove_tree
        self._translate = translate

    @contextmanager
    def make(self, interpreter: Interpreter, layers: Sequence[Layer], *, keep: str | None) -> Iterator[Environment]:
        folder = self._place(keep)
        placement = self._placement if keep is None else Placement.COPY
        finished = False
        try:
            try:
                environment = self._fill(folder, interpreter, layers, placement)
            except OSError as error:
                raise self._translate(error) from error
            finished = True
            yield environment
        finally:
            if keep is None or not finished:
                self._remove_tree(folder)

    def _place(self, keep: str | None) -> Path:
        if keep is None:
            return self._workplace / f"env-{os.urandom(4).hex()}"
        place = self._kept / keep
        self._remove_tree(place)
        return place

    def _fill(
        self, folder: Path, interpreter: Interpreter, layers: Sequence[Layer], placement: Placement
    ) -> Environment:
        self._skeleton(folder, interpreter)
        layout = layout_of(interpreter)
        scripts = folder / layout.scripts
        python = scripts / ("python.exe" if sys.platform == "win32" else "python")
        arrangement = arrange(layers, layout, python, _files_and_links(folder))
        hidden = _bring(list(placed_files(arrangement, layers, layout, interpreter)), folder, placement)
        return Environment(folder=folder, python=python, scripts=scripts, clashes=(*arrangement.clashes, *hidden))

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
            str(self._uv_cache),
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


def _files_and_links(folder: Path) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        for name in (*names, *(name for name in folders if Path(place, name).is_symlink())):
            yield Path(place, name).relative_to(folder).as_posix()


def _bring(files: Sequence[PlacedFile], folder: Path, placement: Placement) -> list[str]:
    """Put every file at its place; what could not stand beside a file that is there is told."""
    for parent in sorted({file.place.rpartition("/")[0] for file in files}):
        (folder / parent).mkdir(parents=True, exist_ok=True)
    match placement:
        case Placement.LINK:
            found = [_put(_link, file, folder) for file in files]
        case Placement.COPY:
            first = next((file.source for file in files if isinstance(file.source, str)), None)
            copy = partial(_copy, reflink=first is not None and _can_reflink(first, folder))
            with ThreadPoolExecutor(_COPIERS, "copy") as pool:
                found = list(pool.map(lambda file: _put(copy, file, folder), files))
        case _:
            assert_never(placement)
    return [remark for remark in found if remark]


def _put(bring: Callable[[str, str], None], file: PlacedFile, folder: Path) -> str:
    try:
        if isinstance(file.source, str):
            bring(file.source, f"{folder}/{file.place}")
        else:
            write_new(folder / file.place, file.source.read(), executable=file.source.is_program)
    except FileExistsError:
        # The file system takes two spellings for one name.
        return f"{file.layer.name} brings {file.place}, which is there in another spelling; that is used"
    return ""


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        # Another file system, too many links (65,000 on ext4), or links forbidden: a copy is always right.
        _copy(source, target, reflink=False)


def _copy(source: str, target: str, *, reflink: bool) -> None:
    """Copy to a file of its own with the source's mode and times (the bytecode of Python 3.6 depends on them)."""
    with Path(source).open("rb") as reading, Path(target).open("xb") as writing:
        if not (reflink and _share_blocks(reading, writing)):
            _pour(reading, writing)
        status = os.fstat(reading.fileno())
    Path(target).chmod(status.st_mode & 0o777)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _pour(reading: BinaryIO, writing: BinaryIO) -> None:
    if sys.platform == "linux":
        try:
            while os.copy_file_range(reading.fileno(), writing.fileno(), 1 << 30):
                pass
            return
        except OSError as error:
            # Kernels before 5.19 refuse between file systems of different kinds, seccomp profiles altogether.
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
                raise
    shutil.copyfileobj(reading, writing)


def _can_reflink(source: str, folder: Path) -> bool:
    """Return whether the file system shares blocks between files: Btrfs, XFS, bcachefs, ZFS; not ext4."""
    trial = folder / f".reflink-{os.urandom(4).hex()}"
    try:
        with Path(source).open("rb") as reading, trial.open("xb") as writing:
            return _share_blocks(reading, writing)
    finally:
        trial.unlink(missing_ok=True)


def _share_blocks(reading: BinaryIO, writing: BinaryIO) -> bool:
    if sys.platform == "linux":
        from fcntl import ioctl

        with suppress(OSError):
            ioctl(writing.fileno(), _FICLONE, reading.fileno())
            return True
    return False
