"""Locks from files."""

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace
from packaging.utils import canonicalize_name
from packaging.version import Version

from tf_tester.core.locks.lockfile import (
    ExactRequirement,
    artifacts_of,
    direct_of,
    exact_requirements,
    origin_of,
    python_of,
    version_in,
)
from tf_tester.core.outcome.refused import outcome_of
from tf_tester.core.select.tags import best_wheel
from tf_tester.core.wheel.wheel_rules import same_version
from tf_tester.errors import CellRefused, ConfigError, UsageError
from tf_tester.flow.prepare.select import Selected
from tf_tester.flow.prepare.services import Services
from tf_tester.given_files import read_given
from tf_tester.model.artifact import Artifact, ProjectPage
from tf_tester.model.cell import Cell, PlannedCell, Refusal
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.model.outcome import Outcome
from tf_tester.ports.index import Index


def is_file_of_lock(text: str) -> bool:
    """Tell whether it is a file's name rather than a word.

    >>> is_file_of_lock("pylock.toml"), is_file_of_lock("./frozen"), is_file_of_lock("latest")
    (True, True, False)
    """
    return text.endswith((".toml", ".txt")) or "/" in text or "\\" in text


def read_lock(file: Path, interpreter: Interpreter, services: Services) -> Lock:
    """Read a `pylock.toml` (PEP 751), or requirements of which each is exact (as `pip freeze` writes them).

    A source distribution is built. Raises `UsageError` where the file can't be read, `ConfigError` where it is no
    lock or has nothing for the interpreter, what the index and the builder raise.
    """
    try:
        content = read_given(file)
    except OSError as error:
        raise UsageError(f"The lock {file} can't be read: {error.strerror}.", hint="Check its name.") from error
    remarks: tuple[str, ...] = ()
    direct: list[Pin] = []
    if file.suffix == ".toml":
        artifacts = artifacts_of(content, interpreter, shown=file.name)
        builder = services.provisioning.direct
        direct = [
            builder.direct_wheel(one, interpreter).pin for one in direct_of(content, interpreter, shown=file.name)
        ]
    else:
        wanted, remarks = exact_requirements(content.decode("utf-8-sig", "replace"), interpreter, shown=file.name)
        artifacts = [_artifact(one, interpreter, services.packages.index, file.name) for one in wanted]
    pins = (*services.provisioning.resolver.pins(artifacts, interpreter), *direct)
    return Lock(interpreter.version, Resolution.LOCK, None, tuple(sorted(pins, key=lambda pin: pin.name)), remarks)


def select_locked(places: Sequence[Path], services: Services, package: str) -> Selected:
    """Return a cell for each lock, which is all that is asked; a folder means the `pylock.*.toml` in it.

    `package`: what is tested with locks that aren't ours. A lock whose Python isn't installed is a refusal. Raises
    `UsageError` where there is no lock, what `read_lock` raises.
    """
    files = [file for place in places for file in lock_files(place)]
    interpreters, broken = services.provisioning.interpreters.find()
    cells: dict[str, PlannedCell] = {}
    for file in files:
        planned = _cell_of(file, package, interpreters, services)
        if planned.cell.name in cells:
            raise UsageError(f"Two locks are for {planned.cell.name}, {file} among them.", hint="Give one of them.")
        cells[planned.cell.name] = planned
    remarks = tuple(f"{one.path} is skipped: {one.reason}" for one in broken)
    packages = {planned.cell.package for planned in cells.values()}
    if packages != {package}:
        raise UsageError(
            f"The locks are of {', '.join(sorted(packages))}, and {package} is to be tested.",
            hint=f"Add --package {min(packages)}.",
        )
    ordered = sorted(cells.values(), key=lambda one: (Version(one.cell.version), one.cell.python, one.cell.name))
    return Selected(ProjectPage(package, ()), tuple(ordered), remarks)


def package_of(places: Sequence[Path]) -> str:
    """Return the package that all locks of ours in some places are of; empty: there is no such one.

    Raises `UsageError` where there is no lock.
    """
    names = set()
    for file in (file for place in places for file in lock_files(place)):
        try:
            origin = origin_of(read_given(file))
        except OSError:  # told when it is read as a lock
            origin = None
        names.add(origin.cell.package if origin is not None else "")
    return names.pop() if len(names) == 1 else ""


def lock_files(place: Path) -> list[Path]:
    """Return a file itself, of a folder the locks in it. Raises `UsageError` where there is none."""
    if not place.is_dir():
        if not place.exists():
            raise UsageError(f"There is no lock {place}.", hint="`tf-tester lock` makes them.")
        return [place]
    found = sorted(place.glob("pylock*.toml"))
    if not found:
        raise UsageError(f"There is no pylock.toml in {place}.", hint="`tf-tester lock` makes them.")
    return found


def _cell_of(file: Path, package: str, interpreters: Sequence[Interpreter], services: Services) -> PlannedCell:
    try:
        content = read_given(file)
    except OSError as error:
        raise UsageError(f"The lock {file} can't be read: {error.strerror}.", hint="Check its name.") from error
    origin = origin_of(content)
    python = origin.cell.python if origin is not None else python_of(content, shown=file.name)
    interpreter = next((one for one in interpreters if one.label == python), None)
    if origin is not None:
        cell = origin.cell
    else:
        version = version_in(content, package, shown=file.name)
        cell = Cell.of(package, version, python, Resolution.LOCK, lock_name=file.name)
    if interpreter is not None:
        try:
            lock = read_lock(file, interpreter, services)
        except (CellRefused, ConfigError) as error:
            # One bad lock doesn't cost the others.
            outcome = outcome_of(error) if isinstance(error, CellRefused) else Outcome.UNRESOLVABLE
            return PlannedCell(cell, refusal=Refusal(outcome, str(error), error.hint))
        if origin is None:
            # Of several versions that one which is for this Python.
            version = next((pin.version for pin in lock.pins if canonicalize_name(pin.name) == package), version)
            cell = Cell.of(package, version, python, Resolution.LOCK, lock_name=file.name)
        return PlannedCell(cell, interpreter, lock=lock)
    refusal = Refusal(
        Outcome.NO_PYTHON,
        f"{file.name} is for Python {python}, which is not installed.",
        f"Install it with `uv python install {python}`.",
    )
    return PlannedCell(replace(cell, python=python), refusal=refusal)


def locked_cell(planned: PlannedCell, file: Path, services: Services) -> PlannedCell:
    """Return the cell with what a file names.

    Raises as `read_lock` does, and where it has another version of the package.
    """
    cell = replace(planned.cell.beside(()), resolution=Resolution.LOCK, lock_name=file.name)
    if planned.interpreter is None:
        return replace(planned, cell=cell)
    lock = read_lock(file, planned.interpreter, services)
    version = next((pin.version for pin in lock.pins if canonicalize_name(pin.name) == cell.package), None)
    if version is None or not same_version(version, cell.version):
        raise UsageError(
            f"{file} has {cell.package} {version}, not {cell.version}."
            if version
            else f"{file} doesn't have {cell.package}.",
            hint="Name the version that the lock has with --versions, and the package with --package.",
        )
    return replace(planned, cell=cell, lock=lock)


def _artifact(exactly: ExactRequirement, interpreter: Interpreter, index: Index, shown: str) -> Artifact:
    files = [
        one
        for one in index.page(exactly.name).artifacts
        if same_version(one.version, exactly.version)
        and one.sha256
        and (not exactly.hashes or one.sha256 in exactly.hashes)
    ]
    found = best_wheel((one for one in files if one.is_wheel), interpreter)
    found = found or next((one for one in files if one.is_sdist), None)
    if found is None:
        raise ConfigError(
            f"The index has no file of {exactly.name} {exactly.version} that {shown} allows and Python "
            f"{interpreter.label} takes.",
            hint="Take the lock of the Python that is tested, and versions that the index has.",
        )
    return found
