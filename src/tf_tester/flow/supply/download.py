"""Bring wheels into a flat folder that pip understands (`--find-links`)."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.index.left_out import without_hash
from tf_tester.core.locks.lockfile import LockFormat, pylock_text, requirements_text
from tf_tester.errors import DownloadFailed, NoPython, NoWheel, TfTesterError, UsageError
from tf_tester.flow.prepare.handing_on import handed_on
from tf_tester.flow.prepare.pools import interruptible
from tf_tester.flow.prepare.prepare import Preparation, Preparer
from tf_tester.flow.prepare.select import select_cells
from tf_tester.flow.prepare.services import Services
from tf_tester.flow.prepare.wheel_folder import (
    SUMS,
    add_sums,
    check_replaceable,
    copy_into,
    folder_errors,
    holds,
    is_broken,
    sums_of,
    sweep,
    write_file,
)
from tf_tester.flow.supply.telling import ASKING, RESOLVING, at_work, brought, expect
from tf_tester.model.artifact import Artifact
from tf_tester.model.cell import PlannedCell
from tf_tester.model.host.platform import Platform
from tf_tester.model.lock import Pin
from tf_tester.model.outcome import Outcome
from tf_tester.model.request import Selection, Trial
from tf_tester.ports.fetch import Fetcher
from tf_tester.ports.store import Blobs
from tf_tester.ports.tell import Tell

_AT_ONCE = 6
_T = TypeVar("_T")
_R = TypeVar("_R")


class DownloadRequest(Struct, frozen=True):
    """What is wanted, and in which shape."""

    folder: Path
    with_dependencies: bool
    platforms: tuple[Platform | None, ...] = (None,)
    """None: this machine's."""
    lock_format: LockFormat = LockFormat.REQUIREMENTS
    tool: str = "tf-tester"
    """What calls itself the author of locks."""
    force: bool = False
    """Whether what somebody else has put into the folder is replaced."""


class Delivered(Struct, frozen=True):
    """One file that is now in the folder."""

    filename: str
    size: int
    was_there: bool


class Undelivered(Struct, frozen=True):
    """What could not be brought, and why."""

    what: str
    error: TfTesterError


class Delivery(Struct, frozen=True):
    """Sorted by file name."""

    files: tuple[Delivered, ...]
    failures: tuple[Undelivered, ...]
    locks: tuple[str, ...] = ()
    """Names of the lock files that were written."""


class FilePlace(StrEnum):
    """From where a file would come."""

    FOLDER = "folder"
    """It is there already."""
    STORE = "store"
    SOURCES = "sources"
    """The authority and mirrors."""


class ExpectedFile(Struct, frozen=True):
    """One file that would be delivered."""

    filename: str
    size: int | None
    where: FilePlace
    missing: int | None
    """Bytes that would come over the network; None where the index tells no size."""
    sources: tuple[str, ...]
    """Who would be asked, the first choice first."""


class DownloadForecast(Struct, frozen=True):
    """What a download would do; sorted by file name."""

    files: tuple[ExpectedFile, ...]
    failures: tuple[Undelivered, ...]


class _CellFiles(Struct, frozen=True):
    """What has to be had for one cell."""

    planned: PlannedCell
    platform: Platform | None
    pins: tuple[Pin, ...]


def download(selection: Selection, trial: Trial, services: Services, order: DownloadRequest) -> Delivery:
    """Put the wheels of every cell into a folder; files that are there and right are left alone.

    Beside them `SHA256SUMS` and a lock for each cell. Raises `UsageError`, `IndexUnreachable`; what fails for one
    version is in the delivery.
    """
    folder = order.folder
    with interruptible(_AT_ONCE, "download", services.run.stop) as pool:
        lists, failures = _shopping(selection, trial, services, order, pool)
        names = [_lock_name(one, order, alone=len(lists) == 1) for one in lists]
        if not order.force:
            check_replaceable(folder, [SUMS, *(names if order.lock_format is not LockFormat.NONE else ())])
        files = _delivered(_artifacts(lists), failures, services, order, pool)
    there = {file.filename for file in files}
    locks = []
    with folder_errors(folder):
        complete = [one for one in lists if all(pin.filename in there for pin in one.pins)]
        for one in complete if order.lock_format is not LockFormat.NONE else ():
            name = _lock_name(one, order, alone=len(lists) == 1)
            write_file(folder / name, _lock_text(one, order, name))
            locks.append(name)
    if None in order.platforms:
        cells = [one.planned for one in lists if one.platform is None]
        brought_versions = [one.cell.version for one in cells if one.artifact and one.artifact.filename in there]
        services.history.downloads.add(selection.package, brought_versions)
    return Delivery(tuple(sorted(files, key=lambda file: file.filename)), tuple(failures), tuple(sorted(locks)))


def download_locked(artifacts: Sequence[Artifact], services: Services, order: DownloadRequest) -> Delivery:
    """Put just these files into a folder. Raises `OurFailure` where it can't be written, `UsageError`."""
    failures: list[Undelivered] = []
    if not order.force:
        check_replaceable(order.folder, [SUMS])
    with interruptible(_AT_ONCE, "download", services.run.stop) as pool:
        files = _delivered(artifacts, failures, services, order, pool)
    return Delivery(tuple(sorted(files, key=lambda file: file.filename)), tuple(failures))


def forecast(selection: Selection, trial: Trial, services: Services, order: DownloadRequest) -> DownloadForecast:
    """Return what `download` would bring and from where; nothing is written into the folder, and no Python installed.

    Raises as it does.
    """
    selection = replace(selection, install_python=False)
    with interruptible(_AT_ONCE, "download", services.run.stop) as pool:
        lists, failures = _shopping(selection, trial, services, order, pool)
        return _foreseen(_artifacts(lists), failures, services.packages.fetcher, order.folder, pool)


def forecast_locked(artifacts: Sequence[Artifact], services: Services, order: DownloadRequest) -> DownloadForecast:
    """Return what `download_locked` would bring and from where."""
    with interruptible(_AT_ONCE, "download", services.run.stop) as pool:
        return _foreseen(artifacts, [], services.packages.fetcher, order.folder, pool)


def _delivered(
    artifacts: Sequence[Artifact],
    failures: list[Undelivered],
    services: Services,
    order: DownloadRequest,
    pool: ThreadPoolExecutor,
) -> list[Delivered]:
    """Return the files that are in the folder now; the others become failures."""
    folder, blobs, tell = order.folder, services.storage.blobs, services.run.tell
    with folder_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    known = sums_of(folder)
    expect(
        tell,
        (
            one
            for one in artifacts
            if not (folder / one.filename).exists() and not (one.sha256 and blobs.holds(one.sha256))
        ),
    )

    def bring(artifact: Artifact) -> Delivered:
        # One that was listed so was ours, and has rotted.
        may_replace = order.force or known.get(artifact.filename) == artifact.sha256
        with brought(tell, artifact, len(artifacts)):
            return _bring(artifact, folder, services.packages.fetcher, blobs, may_replace=may_replace)

    files: list[Delivered] = []
    sums: dict[str, str] = {}
    for artifact, found in zip(artifacts, _each(pool, bring, artifacts), strict=True):
        if isinstance(found, TfTesterError):
            failures.append(Undelivered(artifact.filename, found))
        else:
            files.append(found)
            sums[artifact.filename] = artifact.sha256 or ""
    add_sums(folder, sums)
    return files


def _foreseen(
    artifacts: Sequence[Artifact],
    failures: list[Undelivered],
    fetcher: Fetcher,
    folder: Path,
    pool: ThreadPoolExecutor,
) -> DownloadForecast:
    def expect(artifact: Artifact) -> ExpectedFile:
        return _expect(artifact, folder, fetcher)

    files: list[ExpectedFile] = []
    for artifact, expected in zip(artifacts, _each(pool, expect, artifacts), strict=True):
        if isinstance(expected, TfTesterError):
            failures.append(Undelivered(artifact.filename, expected))
        else:
            files.append(expected)
    return DownloadForecast(tuple(sorted(files, key=lambda file: file.filename)), tuple(failures))


def _shopping(
    selection: Selection, trial: Trial, services: Services, order: DownloadRequest, pool: ThreadPoolExecutor
) -> tuple[list[_CellFiles], list[Undelivered]]:
    """Return the files wanted of all versions: one failing version must not cost the others."""
    lists: list[_CellFiles] = []
    failures: list[Undelivered] = []
    for platform in order.platforms:
        with at_work(services.run.tell, ASKING, selection.package):
            selected = select_cells(selection, services, installed_only=False, platform=platform)
        preparer = Preparer(selection, trial, selected.page, services, pool)
        pins_of = partial(_told_pins_of, preparer, platform, order, len(selected.cells), services.run.tell)
        for planned, found in zip(selected.cells, _each(pool, pins_of, selected.cells), strict=True):
            if isinstance(found, TfTesterError):
                failures.append(Undelivered(_name(planned, platform), found))
            else:
                lists.append(_CellFiles(planned, platform, found))
    return lists, failures


def _told_pins_of(
    preparer: Preparer,
    platform: Platform | None,
    order: DownloadRequest,
    of: int,
    tell: Tell,
    planned: PlannedCell,
) -> tuple[Pin, ...]:
    if not order.with_dependencies:
        return _pins_of(planned, None)
    with at_work(tell, RESOLVING, _name(planned, platform), of):
        return _pins_of(planned, preparer)


def _name(planned: PlannedCell, platform: Platform | None) -> str:
    cell = planned.cell
    python = "" if cell.python == "-" else f" on Python {cell.python}"
    return f"{cell.package} {cell.version}{python}{f' for {platform.name}' if platform else ''}"


def _artifacts(lists: Sequence[_CellFiles]) -> list[Artifact]:
    """Return each once; the largest first, so that what takes longest is not alone at the end."""
    wanted = {pin.filename: pin.artifact for one in lists for pin in one.pins}
    return sorted(wanted.values(), key=lambda artifact: -(artifact.size or 0))


def _pins_of(planned: PlannedCell, preparer: Preparer | None) -> tuple[Pin, ...]:
    if planned.refusal is not None or planned.interpreter is None or planned.artifact is None:
        refusal = planned.refusal
        kind = NoWheel if refusal is not None and refusal.outcome is Outcome.NO_WHEEL else NoPython
        raise kind(refusal.summary if refusal else "It can't run here.", hint=refusal.hint if refusal else "")
    if preparer is None:
        one = planned.artifact
        if one.sha256 is None:
            raise DownloadFailed(
                f"{one.filename} can't be verified: {without_hash(one)}",
                hint="Name an index that gives hashes with --index-url.",
            )
        return (Pin.of(one, one.sha256),)
    lock, _ = preparer.locked(Preparation(planned, planned.interpreter))
    return lock.pins


def _lock_name(one: _CellFiles, order: DownloadRequest, *, alone: bool) -> str:
    """Return `requirements.txt` or `pylock.toml`; with several cells each has its own.

    PEP 751 takes no dots in the middle of a name.
    """
    words = "" if alone else f"-{one.planned.cell.version}-py{one.planned.cell.python}"
    if one.platform is not None and not alone:
        words += f"-{one.platform.name}"
    if order.lock_format is LockFormat.REQUIREMENTS:
        return f"requirements{words}.txt"
    return f"pylock{'.' if words else ''}{words[1:].replace('.', '-')}.toml"


def _lock_text(one: _CellFiles, order: DownloadRequest, name: str) -> str:
    """Return the content of the lock whose file has that name: its head tells how pip is to be given it."""
    cell = one.planned.cell
    if order.lock_format is LockFormat.PYLOCK:
        return pylock_text(one.pins, python=cell.python.rstrip("td"), created_by=order.tool)
    where = f" on {one.platform.name}" if one.platform else ""
    what = f"{cell.package} {cell.version} for Python {cell.python}{where}"
    command = "pip install --no-index --find-links . --require-hashes --no-deps -r"
    return requirements_text(one.pins, header=(f"{what}, made by {order.tool}.", f"{command} {name}"))


def _expect(artifact: Artifact, folder: Path, fetcher: Fetcher) -> ExpectedFile:
    target = folder / artifact.filename
    if holds(target, artifact.sha256):
        return ExpectedFile(artifact.filename, artifact.size, FilePlace.FOLDER, 0, ())
    foreseen = fetcher.foresee(artifact)
    where = FilePlace.STORE if foreseen.missing == 0 and not foreseen.sources else FilePlace.SOURCES
    return ExpectedFile(artifact.filename, artifact.size, where, foreseen.missing, foreseen.sources)


def _bring(artifact: Artifact, folder: Path, fetcher: Fetcher, blobs: Blobs, *, may_replace: bool) -> Delivered:
    target = folder / artifact.filename
    if holds(target, artifact.sha256):
        return Delivered(artifact.filename, target.stat().st_size, was_there=True)
    if os.path.lexists(target) and not may_replace and not is_broken(target):
        raise UsageError(
            f"{target} is another file of that name, with other contents.",
            hint="Move it away, name another folder with -d, or replace it with --force.",
        )
    blob = handed_on(artifact, fetcher.fetch, blobs, lambda file, sha256: copy_into(file, target, sha256))
    return Delivered(artifact.filename, blob.stat().st_size, was_there=False)


def _each(pool: ThreadPoolExecutor, work: Callable[[_T], _R], items: Sequence[_T]) -> list[_R | TfTesterError]:
    """Return the results in order, an error of ours in the place of a result."""

    def guarded(item: _T) -> _R | TfTesterError:
        try:
            return work(item)
        except TfTesterError as error:
            return error

    return [future.result() for future in [pool.submit(guarded, item) for item in items]]
