"""Bring wheels into a flat folder that pip understands (`--find-links`)."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tf_tester.errors import NoPython, NoWheel, OurFailure, TfTesterError
from tf_tester.flow.prepare import Preparation, Preparer, artifact_of
from tf_tester.flow.select import select_cells
from tf_tester.flow.services import Services
from tf_tester.model.artifact import Artifact
from tf_tester.model.cell import PlannedCell
from tf_tester.model.outcome import Outcome
from tf_tester.model.request import Selection, Trial

_AT_ONCE = 6
_FICLONE = 0x40049409
"""Linux: let one file share all blocks of another."""
_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Delivered:
    """One file that is now in the folder."""

    filename: str
    size: int
    was_there: bool


@dataclass(frozen=True, slots=True)
class Undelivered:
    """What could not be brought, and why."""

    what: str
    error: TfTesterError


@dataclass(frozen=True, slots=True)
class Delivery:
    """Sorted by file name."""

    files: tuple[Delivered, ...]
    failures: tuple[Undelivered, ...]


def download(
    selection: Selection, trial: Trial, services: Services, *, folder: Path, with_dependencies: bool
) -> Delivery:
    """Put the wheels of every cell into `folder`; files that are there and right are left alone.

    Raises `UsageError`, `IndexUnreachable`; what fails for one version is in the delivery.
    """
    # A wheel by itself can be chosen for a Python that isn't installed; resolving what it needs takes one that is.
    selected = select_cells(selection, services, installed_only=with_dependencies)
    page, cells = selected.page, selected.cells
    failures: list[Undelivered] = []
    wanted: dict[str, Artifact] = {}
    with ThreadPoolExecutor(_AT_ONCE, "download") as pool:
        try:
            preparer = Preparer(selection, trial, page, services, pool, tools=())

            def files_of(planned: PlannedCell) -> list[tuple[str, Artifact]]:
                return _files_of(planned, preparer if with_dependencies else None)

            # One failing version must not cost the others.
            for planned, found in zip(cells, _each(pool, files_of, cells), strict=True):
                if isinstance(found, TfTesterError):
                    failures.append(Undelivered(_name(planned), found))
                else:
                    wanted.update(found)
            with _folder_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
            artifacts = list(wanted.values())

            def bring(artifact: Artifact) -> Delivered:
                return _bring(artifact, folder, services)

            files: list[Delivered] = []
            for artifact, brought in zip(artifacts, _each(pool, bring, artifacts), strict=True):
                if isinstance(brought, TfTesterError):
                    failures.append(Undelivered(artifact.filename, brought))
                else:
                    files.append(brought)
        except KeyboardInterrupt:
            services.stop()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    there = {file.filename for file in files}
    services.downloads.add(
        selection.package,
        [planned.cell.version for planned in cells if planned.artifact and planned.artifact.filename in there],
    )
    return Delivery(tuple(sorted(files, key=lambda file: file.filename)), tuple(failures))


def _files_of(planned: PlannedCell, preparer: Preparer | None) -> list[tuple[str, Artifact]]:
    if planned.refusal is not None or planned.interpreter is None or planned.artifact is None:
        refusal = planned.refusal
        kind = NoWheel if refusal is not None and refusal.outcome is Outcome.NO_WHEEL else NoPython
        raise kind(refusal.summary if refusal else "It can't run here.", hint=refusal.hint if refusal else "")
    if preparer is None:
        return [(planned.artifact.filename, planned.artifact)]
    lock, _ = preparer.locked(Preparation(planned, planned.interpreter))
    return [(pin.filename, artifact_of(pin)) for pin in lock.pins]


def _bring(artifact: Artifact, folder: Path, services: Services) -> Delivered:
    blob = services.fetcher.fetch(artifact)
    target = folder / artifact.filename
    size = blob.stat().st_size
    # Under a name of its own until it is whole: somebody may be reading the folder.
    temporary = folder / f".{artifact.filename}.{os.getpid()}.part"
    try:
        with _folder_errors(target):
            if target.is_file() and _sha256(target) == artifact.sha256:
                return Delivered(artifact.filename, size, was_there=True)
            _copy(blob, temporary)
            temporary.replace(target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return Delivered(artifact.filename, size, was_there=False)


@contextlib.contextmanager
def _folder_errors(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OurFailure(
            f"{place} can't be written: {error.strerror}.", hint="Choose another folder with -d, or free some space."
        ) from error


def _copy(source: Path, target: Path) -> None:
    """A file of the user's own, sharing its blocks with the store's where the file system can (reflink).

    Not a hard link: whoever edits that edits the store.
    """
    with source.open("rb") as blob, target.open("wb") as copy:
        try:
            import fcntl

            fcntl.ioctl(copy.fileno(), _FICLONE, blob.fileno())
        except (ImportError, OSError):
            shutil.copyfileobj(blob, copy, 1024 * 1024)
        copy.flush()
        os.fsync(copy.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _each(pool: ThreadPoolExecutor, work: Callable[[_T], _R], items: Sequence[_T]) -> list[_R | TfTesterError]:
    """The results in order, an error of ours in the place of a result."""

    def guarded(item: _T) -> _R | TfTesterError:
        try:
            return work(item)
        except TfTesterError as error:
            return error

    return [future.result() for future in [pool.submit(guarded, item) for item in items]]


def _name(planned: PlannedCell) -> str:
    return f"{planned.cell.package} {planned.cell.version}"
