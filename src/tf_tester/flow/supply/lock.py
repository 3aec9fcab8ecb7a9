"""The exact locks of a matrix as files, and whether they are still what would be resolved today."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace
from packaging.utils import canonicalize_name

from tf_tester.core.locks.lockfile import (
    LockFormat,
    LockOrigin,
    constraints_text,
    origin_of,
    pylock_text,
    requirements_text,
)
from tf_tester.core.outcome.exits import FAILED, gravest
from tf_tester.core.outcome.report import RunReport, cell_labels
from tf_tester.core.verdict.drift import DistributionChange, changes
from tf_tester.core.wheel.direct import direct_reference, is_direct
from tf_tester.errors import IndexUnreachable, NoPython, NoWheel, TfTesterError, UsageError
from tf_tester.flow.prepare.locked import lock_files, read_lock
from tf_tester.flow.prepare.pools import interruptible
from tf_tester.flow.prepare.prepare import LockPolicy, Preparation, Preparer
from tf_tester.flow.prepare.pythons import with_pythons_for_all
from tf_tester.flow.prepare.select import select_cells
from tf_tester.flow.prepare.services import Services
from tf_tester.flow.prepare.wheel_folder import check_replaceable, folder_errors, write_file
from tf_tester.flow.run.jobs import jobs_of, tools_of
from tf_tester.flow.run.user_files import pytest_of_project
from tf_tester.flow.supply.telling import ASKING, RESOLVING, at_work
from tf_tester.given_files import read_given
from tf_tester.model.cell import Cell, PlannedCell
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.model.outcome import Outcome
from tf_tester.model.request import DirectReference, Selection, Trial

_AT_ONCE = 4


class MadeLock(Struct, frozen=True):
    """One lock, and what it answers."""

    origin: LockOrigin
    lock: Lock
    repeatable: bool = True
    """Whether the same question could be asked again."""
    remarks: tuple[str, ...] = ()
    """What a person should know of how it was made."""

    @property
    def local(self) -> tuple[str, ...]:
        """Return the names of what was built here from folders, and is nowhere to be had."""
        return tuple(pin.name for pin in self.lock.pins if not pin.url)


class UnmadeLock(Struct, frozen=True):
    """A cell without a lock, and why."""

    name: str
    error: TfTesterError


class CheckedLock(Struct, frozen=True):
    """One file, and what would be another today."""

    file: str
    changes: tuple[DistributionChange, ...] = ()
    error: TfTesterError | None = None


def make_locks(
    selection: Selection, trial: Trial, services: Services, remarked: Callable[[str], None]
) -> tuple[list[MadeLock], list[UnmadeLock]]:
    """Make one for each cell, its test runner's distributions included where the trial has tests.

    `remarked` is called with what a person should know of how cells were chosen, and of each lock. Raises `UsageError`,
    `IndexUnreachable`; what fails for one version doesn't cost the others.
    """
    tools = tools_of(jobs_of(trial)) if trial.targets else ()
    policy = LockPolicy(tools, preferred=pytest_of_project(trial))
    tell = services.run.tell
    with at_work(tell, ASKING, selection.package):
        selected = with_pythons_for_all(select_cells(selection, services), selection, trial, services)
    labels = cell_labels(planned.cell for planned in selected.cells)
    with interruptible(_AT_ONCE, "lock", services.run.stop) as pool:
        preparer = Preparer(selection, trial, selected.page, services, pool, policy)

        def made(planned: PlannedCell) -> MadeLock | UnmadeLock:
            cell = planned.cell
            try:
                with at_work(tell, RESOLVING, labels[cell.name], len(selected.cells)):
                    lock, remarks = _resolved(planned, preparer)
            except TfTesterError as error:
                return UnmadeLock(f"{cell.package} {cell.version}", error)
            assert planned.interpreter is not None
            needs = preparer.requirements(Preparation(planned, planned.interpreter))
            origin = LockOrigin(
                cell,
                selection.grace,
                needs,
                tuple(dict.fromkeys((*policy.wanted, *preparer.test_tools(planned.interpreter)))),
                tuple(sorted(selection.allow_build)),
                trial.constraints,
                trial.pre,
            )
            return MadeLock(origin, lock, remarks=remarks)

        found = list(pool.map(made, selected.cells))
    for remark in selected.remarks:
        remarked(remark)
    for one in (one for one in found if isinstance(one, MadeLock)):
        for remark in one.remarks:
            remarked(f"{one.origin.cell.package} {one.origin.cell.version} py{one.origin.cell.python}: {remark}")
    return [one for one in found if isinstance(one, MadeLock)], [one for one in found if isinstance(one, UnmadeLock)]


def known_good(report: RunReport) -> list[MadeLock]:
    """Return locks of the cells of a record that pass. Raises `UsageError` where there are none."""
    found = [
        # Without what it answers: a record doesn't tell all of that.
        MadeLock(LockOrigin(cell), report.locks[cell.name], repeatable=False)
        for cell in report.cells
        if report.result(cell).outcome is Outcome.PASS and cell.name in report.locks
    ]
    if not found:
        raise UsageError("No cell of that record passes.", hint="Only what was seen to work is a known-good set.")
    return found


def write_locks(
    made: Sequence[MadeLock], folder: Path, formats: Sequence[LockFormat], tool: str, *, force: bool = False
) -> list[str]:
    """Write a file for each lock and format; return their names.

    Raises `OurFailure` where that can't be done, `UsageError` where it would replace what isn't ours; `force`: it may.
    """
    names = []
    if not force:
        check_replaceable(folder, [_name(one.origin.cell, form) for one in made for form in formats])
    with folder_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for one in made:
        cell = one.origin.cell
        pins = _to_be_had(one.lock)
        header = (f"{cell.package} {cell.version} for Python {cell.python}, {cell.resolution}; made by {tool}.",)
        for form in formats:
            name = _name(cell, form)
            match form:
                case LockFormat.PYLOCK:
                    python = ".".join(one.lock.python.split(".")[:2])
                    origin = one.origin if one.repeatable and cell.resolution is not Resolution.LOCK else None
                    text = pylock_text(pins, python=python, created_by=tool, origin=origin)
                case LockFormat.CONSTRAINTS:
                    text = constraints_text(pins, header=header)
                case _:
                    text = requirements_text(pins, header=header, sources=True)
            write_file(folder / name, text)
            names.append(name)
    return names


def write_reasons(failures: Sequence[UnmadeLock], folder: Path) -> dict[str, Path]:
    """Write why locks could not be made, in the words of the resolver or the build; return the files by cell."""
    found = {}
    for number, failure in enumerate(failures, 1):
        if failure.error.detail.strip():
            with folder_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
            found[failure.name] = folder / f"lock-{number}.txt"
            write_file(found[failure.name], f"{failure.name}: {failure.error}\n\n{failure.error.detail.strip()}\n")
    return found


def check_locks(places: Sequence[Path], trial: Trial, services: Services, told: Callable[[CheckedLock], None]) -> int:
    """Return the exit code: 1 where a lock isn't what would be resolved today, where that can't be told the error's.

    `told` is called with each. Raises `UsageError`.
    """
    codes = []
    files = [file for place in places for file in lock_files(place)]
    for file in files:
        try:
            with at_work(services.run.tell, RESOLVING, file.name, len(files)):
                checked = CheckedLock(file.name, _drift(file, trial, services))
        except TfTesterError as error:
            checked = CheckedLock(file.name, error=error)
        codes.append(checked.error.exit_code if checked.error is not None else FAILED if checked.changes else 0)
        told(checked)
    return gravest(codes)


def _drift(file: Path, trial: Trial, services: Services) -> tuple[DistributionChange, ...]:
    try:
        content = read_given(file)
    except OSError as error:
        raise UsageError(f"The lock {file} can't be read: {error.strerror}.", hint="Check its name.") from error
    origin = origin_of(content)
    if origin is None:
        raise UsageError(
            f"{file.name} doesn't say what it answers.", hint="Only locks that `tf-tester lock` made can be checked."
        )
    cell = origin.cell
    selection = Selection(
        package=cell.package,
        versions=cell.version,
        pre=True,
        yanked=True,
        pythons=(cell.python,),
        resolution=cell.resolution,
        grace=origin.grace,
        allow_build=frozenset(origin.allow_build),
    )
    selected = select_cells(selection, services)
    [planned] = selected.cells
    planned = replace(planned, cell=planned.cell.beside(cell.besides))
    direct = [direct_reference(text, Path("/")) for text in origin.requirements if is_direct(text)]
    named = tuple(text for text in origin.requirements if not is_direct(text))
    trial = replace(
        trial,
        requirements=named,
        direct=tuple(direct),
        project=None,
        constraints=origin.constraints,
        pre=origin.pre,
    )
    with interruptible(1, "lock", services.run.stop) as pool:
        policy = LockPolicy(origin.tools, anew=True)
        preparer = Preparer(selection, trial, selected.page, services, pool, policy)
        fresh, _ = _resolved(planned, preparer)
    assert planned.interpreter is not None
    for page in (
        selected.page,
        *(services.packages.index.page(name) for name in _of_index(fresh, direct)),
    ):
        if page.stale:
            raise IndexUnreachable(
                f"the index does not answer, and what is known of {page.project} is of an earlier day",
                hint="Check again when it does.",
            )
    return changes(read_lock(file, planned.interpreter, services), replace(fresh, pins=_to_be_had(fresh)))


def _to_be_had(lock: Lock) -> tuple[Pin, ...]:
    """Return what is written into a lock: what is built here from a folder of the user's own is nowhere to be had."""
    return tuple(pin for pin in lock.pins if pin.url)


def _of_index(lock: Lock, direct: Sequence[DirectReference]) -> list[str]:
    """Return the projects of a lock whose files an index names."""
    elsewhere = {one.name for one in direct}
    elsewhere |= {str(canonicalize_name(pin.name)) for pin in lock.pins if pin.url.startswith(("git+", "file:"))}
    elsewhere |= {str(canonicalize_name(pin.name)) for pin in lock.pins if not pin.url}
    return [name for pin in lock.pins if (name := str(canonicalize_name(pin.name))) not in elsewhere]


def _resolved(planned: PlannedCell, preparer: Preparer) -> tuple[Lock, tuple[str, ...]]:
    if planned.interpreter is None:
        refusal = planned.refusal
        assert refusal is not None
        kind = NoWheel if refusal.outcome is Outcome.NO_WHEEL else NoPython
        raise kind(refusal.summary, hint=refusal.hint)
    preparation = Preparation(planned, planned.interpreter)
    lock, _ = preparer.locked(preparation)
    return lock, tuple(preparation.remarks)


def _name(cell: Cell, form: LockFormat) -> str:
    """Return the name of a file; PEP 751 takes no dots in the middle of it."""
    how = "" if cell.resolution is Resolution.ERA else f"-{cell.resolution}"
    if cell.details:
        how += f"-{hashlib.sha256(' '.join(cell.details).encode()).hexdigest()[:8]}"
    stem = f"{cell.package}-{cell.version}-py{cell.python}{how}"
    return f"pylock.{stem.replace('.', '-')}.toml" if form is LockFormat.PYLOCK else f"{form}-{stem}.txt"
