"""Who is to blame for a kind of failure, as far as the cells of a run show it, and where it is seen. Pure.

Nothing is guessed: a verdict needs two cells that differ in one thing only, an explanation by experiment, or an error
that names who lacks what. Otherwise it is `unknown`, with what is known.
"""

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from tf_tester.core.outcome.failures import SharedFailure, rows_of
from tf_tester.core.outcome.report import RunReport, cell_labels
from tf_tester.core.outcome.sandboxed import Walls, kept_from
from tf_tester.core.outcome.tracebacks import what_ended
from tf_tester.core.text.sizes import count_text
from tf_tester.core.verdict.abi import abi_break
from tf_tester.core.verdict.drift import DistributionChange, changes
from tf_tester.core.verdict.missing import lacked_by
from tf_tester.core.verdict.separation import separating
from tf_tester.core.verdict.traces import pointed_at
from tf_tester.model.cause import Explanation, Verdict
from tf_tester.model.cell import Cell
from tf_tester.model.host.abilities import IsolationKind
from tf_tester.model.host.limits import Limit
from tf_tester.model.lock import Lock, Resolution
from tf_tester.model.outcome import Outcome, TestRow

_MACHINE = re.compile(
    r"cannot open shared object file|version `?(?:GLIBC|GLIBCXX|CXXABI)_[\d.]+'? not found|No space left on device"
    r"|Illegal instruction|SIGILL"
)
"""What a system says of itself: a library, disk space or an instruction that it doesn't have."""


class FailureFinding(Struct, frozen=True):
    """What is known of one kind of failure."""

    verdict: Verdict
    evidence: str
    """In half a sentence, which cells say so."""
    span: str = ""
    """Among the versions that ran: `from 2.9.0 on (2.8.0 passes)`; empty where one version ran."""
    explanation: Explanation | None = None
    enough: bool = True
    """False: more cells would tell more."""
    note: str = ""
    """What is told besides, where experiments have the word: a module that was built against another library."""


class _Seen(Struct, frozen=True):
    """One kind of failure, and the cells that tell of it."""

    row: TestRow | None
    told: str
    """What made it fail."""
    failing: tuple[Cell, ...]
    passing: tuple[Cell, ...]
    report: RunReport
    explained: bool
    """`--why` has run more cells; what else would tell is said with what came of them."""

    @property
    def owners(self) -> Mapping[str, str]:
        return self.report.result(self.failing[0]).owners


def finding(difference: SharedFailure, report: RunReport) -> FailureFinding:
    """Return what is known of one kind of failure."""
    cells = (difference.cell, *difference.also)
    row = difference.row
    test = row.id if row is not None else ""
    passing = tuple(cell for cell in report.cells if _passes(cell, test, report))
    span = _span(cells, passing, report, test)
    explained = next((one for one in report.explanations if one.cell in cells and one.test in ("", test)), None)
    ended = what_ended(row) if row is not None else difference.headline
    seen = _Seen(row, ended, cells, passing, report, explained is not None)
    told_by_cells = next(found for found in _findings(seen) if found is not None)
    if explained is None:
        return replace(told_by_cells, span=span)
    if explained.verdict is Verdict.UNKNOWN:
        return replace(told_by_cells, span=span, explanation=explained, enough=True)
    broken = abi_break(row, seen.owners, report.locks.get(cells[0].name))
    evidence = told_by_cells.evidence if told_by_cells.verdict is explained.verdict is Verdict.SANDBOX else ""
    return FailureFinding(explained.verdict, evidence, span, explained, note=broken.told if broken is not None else "")


def _findings(seen: _Seen) -> Iterator[FailureFinding | None]:
    """Yield what each kind of evidence says, the strongest first; the last one says something in any case."""
    row, report = seen.row, seen.report
    if row is not None and row.could_not_begin:
        yield FailureFinding(Verdict.UNKNOWN, "pytest refused what it was given")
    if {report.result(cell).outcome for cell in seen.failing} == {Outcome.OOM}:
        yield FailureFinding(Verdict.ENVIRONMENT, "there was not enough memory")
    if (sandboxed := _sandboxed(row, seen.told, report)) is not None:
        yield FailureFinding(Verdict.SANDBOX, sandboxed)
    if (broken := abi_break(row, seen.owners, report.locks.get(seen.failing[0].name))) is not None:
        yield FailureFinding(Verdict.ABI, broken.told)
    if (said := _MACHINE.search(seen.told)) is not None:
        yield FailureFinding(Verdict.ENVIRONMENT, f"the system says {said[0]!r}")
    yield _differing_in_one_thing(seen)
    yield _by_the_traceback(seen)
    yield _unknown(seen)


def _differing_in_one_thing(seen: _Seen) -> FailureFinding | None:
    """Look for a cell that passes and differs from one that fails in nothing but one thing."""
    report = seen.report
    labels = cell_labels(report.cells)
    places = {version: place for place, version in enumerate(sorted({one.version for one in report.cells}, key=_order))}
    for verdict, alike in (
        (Verdict.DEPENDENCY, _but_for_dependencies),
        (Verdict.FRAMEWORK, _but_for_the_version),
        (Verdict.PYTHON, _but_for_the_python),
    ):
        witnesses: dict[Hashable, list[Cell]] = {}
        for good in seen.passing:
            witnesses.setdefault(alike(good, report), []).append(good)
        for bad in seen.failing:
            same = witnesses.get(key, []) if (key := alike(bad, report)) is not None else []
            if same:
                good = min(same, key=lambda one: abs(places[one.version] - places[bad.version]))
                into = _changed_where_it_points(seen, good, bad) if verdict is Verdict.DEPENDENCY else ""
                return FailureFinding(verdict, f"{labels[good.name]} passes and differs in nothing else{into}")
    return None


def _changed_where_it_points(seen: _Seen, good: Cell, bad: Cell) -> str:
    """Return which of the changes between two cells the failure points into; empty: none."""
    pointed, locks = pointed_at(seen.row, seen.owners), seen.report.locks
    before, after = locks.get(good.name), locks.get(bad.name)
    if pointed is None or before is None or after is None:
        return ""
    changed = next((one for one in changes(before, after) if one.name == pointed.name), None)
    return f"; {pointed.told()}: {changed.text}" if changed is not None else ""


def _by_the_traceback(seen: _Seen) -> FailureFinding | None:
    """Blame the distribution that a failure points into, where it changed and nothing else can have done it.

    Either the user's own code, which is the same in all cells, asks it for a name that it doesn't have, or what asks
    for it is the same; then every cell that passes has other versions of it than every cell that fails. Or it is the
    only distribution with one border between the two.
    """
    pointed = pointed_at(seen.row, seen.owners)
    compared = _compared(seen)
    if pointed is None or compared is None:
        return None
    good_locks, bad_locks, borders, python_too = compared
    change = next((one for one in borders if one.name == pointed.name), None)
    # `tensorflow.keras` may be the distribution keras, however Python calls it.
    beside = {str(canonicalize_name(pin.name)) for lock in (*good_locks, *bad_locks) for pin in lock.pins}
    same_way = any(
        not pointed.through & {one.name for one in changes(good, bad)} for good in good_locks for bad in bad_locks
    )
    if pointed.is_python and python_too and same_way and change is None:  # setuptools may bring distutils
        pythons = sorted({cell.python for cell in seen.failing}, key=_order)
        return FailureFinding(Verdict.PYTHON, f"the error says that Python {' and '.join(pythons)} lacks it")
    if change is None or python_too or beside & set(pointed.module.split(".")[1:]):
        return None
    alone = len(borders) == 1
    is_package = pointed.name == seen.failing[0].package
    if pointed.lacks and same_way:
        asked = "which the test itself asks for" if not pointed.through else "asked for by what hasn't changed"
        evidence = f"{pointed.told()}, {asked}"
    elif alone and not is_package:
        evidence = f"{pointed.told()}, and of all that changed it alone separates the cells that pass from these"
    else:
        return None
    verdict = Verdict.FRAMEWORK if is_package else Verdict.DEPENDENCY
    return FailureFinding(verdict, f"{change.text}: {evidence}")


def _unknown(seen: _Seen) -> FailureFinding:
    report = seen.report
    near = [cell for cell in seen.passing if any(cell.package == bad.package for bad in seen.failing)]
    pointed = pointed_at(seen.row, seen.owners)
    if not near:
        nowhere = "it passes nowhere in this run"
        lock = report.locks.get(seen.failing[0].name)
        pins = lock.pins if lock is not None and pointed is not None else ()
        its = [pin.version for pin in pins if pointed and canonicalize_name(pin.name) == pointed.name]
        if pointed is not None and its and pointed.name != seen.failing[0].package:
            nowhere += f"; {pointed.told(its[0])}"
        lacked = lacked_by(seen.row, report, seen.failing[0]) if seen.row is not None else ""
        if lacked and not seen.explained:
            # Other dependencies may have a module; none has a variable or a fixture of the user's.
            is_own = lacked in report.result(seen.failing[0]).remarks
            return FailureFinding(
                Verdict.UNKNOWN, f"{nowhere}: {lacked}", enough=is_own or "No module named" not in seen.told
            )
        nowhere += "" if seen.explained else _would_tell(seen)
        return FailureFinding(Verdict.UNKNOWN, nowhere, enough=False)
    asked = {"test": ": --why tells", "bisect": ": `tf-tester test --why` tells"}.get(report.command, "")
    told = "those that pass differ in dependencies, too" + ("" if seen.explained else asked)
    if (compared := _compared(seen)) is not None:
        _, _, borders, python_too = compared
        hit = next((one for one in borders if pointed is not None and one.name == pointed.name), None)
        if len(borders) == 1 and not python_too:
            told = f"likely {borders[0].text}: of all that changed it alone separates the cells that pass from these"
        elif hit is not None and pointed is not None:
            others = count_text(len(borders) - 1 + python_too, "other")
            told = f"perhaps {hit.text}: {pointed.told()}; {others} changed with it"
    return FailureFinding(Verdict.UNKNOWN, told, enough=False)


def _would_tell(seen: _Seen) -> str:
    """Return what would find out more where nothing passes: what it could be compared with."""
    match seen.report.command:
        case "bisect":
            return ": a version with which it passes, or `tf-tester test --why`, would tell"
        case "blame":
            return ": other dependencies with which it passes, or a lock (--good), would tell"
    cells = seen.failing
    if any(cell.resolution is Resolution.LOCK for cell in cells):
        return ": another lock beside it (--locked), with which it passes, would tell"
    return ": a version beside it (--versions) with which it passes, or --why, would tell"


def _compared(seen: _Seen) -> tuple[list[Lock], list[Lock], tuple[DistributionChange, ...], bool] | None:
    """Return the locks of cells that pass and of these, what has one border between them, and whether Python has.

    Cells without a lock can't be compared: nothing is said of the others then.
    """
    package, locks = seen.failing[0].package, seen.report.locks
    sides = [[cell for cell in side if cell.package == package] for side in (seen.passing, seen.failing)]
    if not all(sides) or any(cell.name not in locks for side in sides for cell in side):
        return None
    good, bad = ([locks[cell.name] for cell in side] for side in sides)
    pythons = [{cell.python for cell in side} for side in sides]
    return good, bad, separating(good, bad), not pythons[0] & pythons[1]


def _sandboxed(row: TestRow | None, told: str, report: RunReport) -> str | None:
    """Return how the sandbox kept a test from passing; None where nothing shows that it did.

    Of the limits that of memory is left out: where nobody has set it, it is the machine's.
    """
    if row is not None and row.limit not in (None, Limit.MEMORY):
        return f"it went beyond a limit (--limit {row.limit}=…)"
    if row is not None and row.sandboxed:
        return row.sandboxed
    isolation = report.request.get("isolation", IsolationKind.NONE)
    return kept_from(told, Walls(isolation, report.request.get("network") is not False)) or None


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


def _passes(cell: Cell, test: str, report: RunReport) -> bool:
    """Return whether a test does, whatever else the cell came to; without one, the cell.

    Of a file some tests may be skipped.
    """
    result = report.result(cell)
    outcomes = {row.outcome for row in rows_of(result, test)} if test else {result.outcome}
    return Outcome.PASS in outcomes and outcomes <= {Outcome.PASS, Outcome.SKIP}


def _left_out(cell: Cell, test: str, report: RunReport) -> bool:
    """Return whether a cell ended by itself without having run a test, as with --lf, where others failed."""
    result = report.result(cell)
    return bool(test and result.tests) and result.outcome is Outcome.FAIL and not rows_of(result, test)


def _span(cells: Sequence[Cell], passing: Sequence[Cell], report: RunReport, test: str) -> str:
    """Return where among the versions that ran the failure begins and ends, if it is in one stretch."""
    package = cells[0].package
    ran = [cell for cell in report.cells if cell.package == package and report.result(cell).outcome.ran]
    line = sorted({cell.version for cell in ran}, key=_order)
    failing = {cell.version for cell in cells if cell.package == package}
    if len(line) < 2 or not failing <= set(line):
        return ""
    places = sorted(line.index(version) for version in failing)
    first, last = places[0], places[-1]
    if len(places) != last - first + 1:
        return ""
    if len(places) == len(line):
        return "with every version that ran"
    begins, ends = line[first], line[last]
    good = {cell.version for cell in passing if cell.package == package}
    beside = [line[place] for place in (first - 1, last + 1) if 0 <= place < len(line)]
    bad = {cell.version for cell in ran if report.result(cell).outcome.is_failure_of_the_test}
    without = [one for one in beside if one in good]
    otherwise = [one for one in beside if one in bad - good]
    unrun = [one for one in otherwise if all(_left_out(cell, test, report) for cell in ran if cell.version == one)]
    otherwise = [one for one in otherwise if one not in unrun]
    told = [f"not with {' and '.join(without)}"] if without else []
    told += [f"otherwise with {' and '.join(otherwise)}"] if otherwise else []
    told += [f"not run with {' and '.join(unrun)}"] if unrun else []
    if first == 0:
        where = f"up to {ends}"
    elif last == len(line) - 1:
        where = f"from {begins} on"
    else:
        where = f"{begins} to {ends}" if first != last else f"{begins} only"
    return "; ".join([where, *told])


def _order(version: str) -> tuple[bool, Version, str]:
    try:
        return True, Version(version), version
    except InvalidVersion:
        return False, Version("0"), version
