"""The cells of a run, gone through once for all kinds of failure: which pass, and what they have in common. Pure.

A run may have hundreds of cells and hundreds of kinds of failure. So several cells are the bits of one number here: one
operation finds what those that pass and those that fail share.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TypeVar

from msgspec import Struct
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from tf_tester.core.outcome.report import RunReport, cell_labels
from tf_tester.core.verdict.separation import LockedVersions
from tf_tester.model.cause import Verdict
from tf_tester.model.cell import Cell
from tf_tester.model.outcome import Outcome

CellSet = int
"""Some cells: the bits of their places in the report are set (the first cell's is 1)."""


class TestInCells(Struct, frozen=True):
    """Where one test is."""

    __test__ = False  # not a test class, whatever pytest thinks of the name

    passing: CellSet = 0
    """In which it passes, whatever else the cell came to. Of a file some tests may be skipped."""
    there: CellSet = 0
    """In which it, or a test of that file, has come to anything."""


class PackageVersions(Struct, frozen=True, dict=True):  # `dict` is where cached properties are kept
    """The versions of one package."""

    ran: tuple[str, ...]
    """Those of which a cell ran, oldest first."""
    cells: Mapping[str, CellSet]
    """By version, of all versions."""

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Return where in `ran` each of those stands."""
        return {version: place for place, version in enumerate(self.ran)}


class RunCells:
    """All cells of one run."""

    def __init__(self, report: RunReport, tests: Collection[str]) -> None:
        """Go through them. `tests`: ids of those that will be asked for; the empty one means the whole cell."""
        self.report = report
        self.labels = cell_labels(report.cells)
        self._places = {cell.name: place for place, cell in enumerate(report.cells)}
        self.by_package = _grouped(cell.package for cell in report.cells)
        self.by_python = _grouped(cell.python for cell in report.cells)
        self.by_outcome = _grouped(report.result(cell).outcome for cell in report.cells)
        self.locked = _set_of(place for place, cell in enumerate(report.cells) if cell.name in report.locks)
        self.locks = LockedVersions(report.locks.get(cell.name) for cell in report.cells)
        self.failed_with_tests = self.by_outcome.get(Outcome.FAIL, 0) & _set_of(
            place for place, cell in enumerate(report.cells) if report.result(cell).tests
        )
        self._tests = _tests_in_cells(report, tests)
        self._version_places = _version_places(report)
        self._alike = {verdict: _alike(report, key) for verdict, key in _BUT_FOR.items()}
        self._versions = {package: _versions(report, package) for package in report.packages}

    def set_of(self, cells: Iterable[Cell]) -> CellSet:
        return _set_of(self._places[cell.name] for cell in cells)

    def cells(self, some: CellSet) -> Iterator[Cell]:
        """Yield them in the order of the report."""
        while some:
            yield self.report.cells[(some & -some).bit_length() - 1]
            some &= some - 1

    def test(self, name: str) -> TestInCells:
        """Return where a test is, one of those that were named at first."""
        return self._tests[name]

    def versions(self, package: str) -> PackageVersions:
        return self._versions[package]

    def witness(self, verdict: Verdict, failing: Iterable[Cell], passing: CellSet) -> tuple[Cell, Cell] | None:
        """Return a cell that passes and one that fails which differ in nothing but what the verdict blames.

        The first one that fails of which there is such a cell, and of these the one with the nearest version.
        """
        alike, versions = self._alike[verdict], self._version_places
        for bad in failing:
            place = self._places[bad.name]
            if same := alike[place] & passing:
                good = min(self.cells(same), key=lambda one: abs(versions[self._places[one.name]] - versions[place]))
                return good, bad
        return None


def version_order(version: str) -> tuple[bool, Version, str]:
    """Return what sorts versions, those that are none of PEP 440 first."""
    try:
        return True, Version(version), version
    except InvalidVersion:
        return False, Version("0"), version


# What is found out about all cells


def _set_of(places: Iterable[int]) -> CellSet:
    found = 0
    for place in places:
        found |= 1 << place
    return found


_Value = TypeVar("_Value", bound=Hashable)


def _grouped(values: Iterable[_Value]) -> dict[_Value, CellSet]:
    """Return by value the places at which it stands."""
    found: dict[_Value, CellSet] = {}
    for place, value in enumerate(values):
        found[value] = found.get(value, 0) | 1 << place
    return found


def _tests_in_cells(report: RunReport, tests: Collection[str]) -> dict[str, TestInCells]:
    passing, there = dict.fromkeys(tests, 0), dict.fromkeys(tests, 0)
    meant: dict[str, tuple[str, ...]] = {}
    for place, cell in enumerate(report.cells):
        result = report.result(cell)
        own: dict[str, set[Outcome]] = {"": {result.outcome}}
        within: dict[str, set[Outcome]] = {}
        for row in result.tests:
            if (names := meant.get(row.id)) is None:
                names = meant[row.id] = tuple(name for name in _names(row.id) if name and name in passing)
            for name in names:
                (own if name == row.id else within).setdefault(name, set()).add(row.outcome)
        for name, outcomes in (within | own).items():
            if name in passing:
                there[name] |= 1 << place
                if Outcome.PASS in outcomes and outcomes <= {Outcome.PASS, Outcome.SKIP}:
                    passing[name] |= 1 << place
    return {test: TestInCells(passing[test], there[test]) for test in passing}


def _names(test: str) -> Iterator[str]:
    """Yield what may mean a test: its id, and the files and classes that it is in."""
    yield test
    place = test.find("::")
    while place > 0:
        yield test[:place]
        place = test.find("::", place + 1)


def _version_places(report: RunReport) -> list[int]:
    """Return for each cell which its version is among those of the run."""
    ordered = sorted({cell.version for cell in report.cells}, key=version_order)
    places = {version: place for place, version in enumerate(ordered)}
    return [places[cell.version] for cell in report.cells]


def _versions(report: RunReport, package: str) -> PackageVersions:
    cells: dict[str, CellSet] = {}
    ran: set[str] = set()
    for place, cell in enumerate(report.cells):
        if cell.package == package:
            cells[cell.version] = cells.get(cell.version, 0) | 1 << place
            if report.result(cell).outcome.ran:
                ran.add(cell.version)
    return PackageVersions(tuple(sorted(ran, key=version_order)), cells)


_Key = Callable[[Cell, RunReport], Hashable]
"""What is equal in two cells that differ in one thing only; None: that isn't known."""


def _alike(report: RunReport, key: _Key) -> list[CellSet]:
    """Return for each cell those with the same key."""
    keys = [key(cell, report) for cell in report.cells]
    groups = _grouped(keys)
    return [groups[known] if known is not None else 0 for known in keys]


def _but_for_dependencies(cell: Cell, report: RunReport) -> Hashable:
    return cell.package, cell.version, cell.python


def _but_for_the_version(cell: Cell, report: RunReport) -> Hashable:
    beside = _beside(cell, report, files=True)
    return None if beside is None else (cell.package, cell.python, beside)


def _but_for_the_python(cell: Cell, report: RunReport) -> Hashable:
    beside = _beside(cell, report, files=False)
    return None if beside is None else (cell.package, cell.version, beside)


def _beside(cell: Cell, report: RunReport, *, files: bool) -> frozenset[tuple[str, str]] | None:
    """Return what is installed besides the package: files, or only versions."""
    lock = report.locks.get(cell.name)
    if lock is None:
        return None
    return frozenset(
        (pin.name, pin.sha256 if files else pin.version)
        for pin in lock.pins
        if canonicalize_name(pin.name) != cell.package
    )


_BUT_FOR: Mapping[Verdict, _Key] = {
    Verdict.DEPENDENCY: _but_for_dependencies,
    Verdict.FRAMEWORK: _but_for_the_version,
    Verdict.PYTHON: _but_for_the_python,
}
