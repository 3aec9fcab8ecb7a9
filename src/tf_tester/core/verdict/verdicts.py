"""Who is to blame for a kind of failure, as far as the cells of a run show it, and where it is seen. Pure.

Nothing is guessed: a verdict needs two cells that differ in one thing only, an explanation by experiment, or an error
that names who lacks what. Otherwise it is `unknown`, with what is known.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace
from packaging.utils import canonicalize_name

from tf_tester.core.outcome.failures import SharedFailure
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.outcome.sandboxed import Walls, kept_from
from tf_tester.core.outcome.tracebacks import what_ended
from tf_tester.core.text.sizes import count_text
from tf_tester.core.verdict.abi import abi_break
from tf_tester.core.verdict.drift import DistributionChange, changes
from tf_tester.core.verdict.missing import lacked_by
from tf_tester.core.verdict.run_cells import CellSet, RunCells, version_order
from tf_tester.core.verdict.traces import PointedAt, pointed_at
from tf_tester.model.cause import Explanation, Verdict
from tf_tester.model.cell import Cell
from tf_tester.model.host.abilities import IsolationKind
from tf_tester.model.host.limits import Limit
from tf_tester.model.lock import Resolution
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


class _Compared(Struct, frozen=True):
    """The cells of one package that pass and that fail, all of which have locks."""

    passing: CellSet
    failing: CellSet
    borders: tuple[DistributionChange, ...]
    """What has one border between them."""
    python_too: bool
    """No Python has cells on both sides."""


class _Seen(Struct, frozen=True, dict=True):  # `dict` is where cached properties are kept
    """One kind of failure, and the cells that tell of it."""

    row: TestRow | None
    told: str
    """What made it fail."""
    failing: tuple[Cell, ...]
    run: RunCells
    explained: bool
    """`--why` has run more cells; what else would tell is said with what came of them."""

    @property
    def report(self) -> RunReport:
        return self.run.report

    @property
    def test(self) -> str:
        """Return the id of the test; empty: the whole cell."""
        return _test(self.row)

    @property
    def owners(self) -> Mapping[str, str]:
        return self.report.result(self.failing[0]).owners

    @cached_property
    def failing_cells(self) -> CellSet:
        return self.run.set_of(self.failing)

    @cached_property
    def passing_cells(self) -> CellSet:
        return self.run.test(self.test).passing

    @cached_property
    def pointed(self) -> PointedAt | None:
        """Return the distribution that it points into."""
        return pointed_at(self.row, self.owners)

    @cached_property
    def compared(self) -> _Compared | None:
        """Return what tells the cells that pass from these.

        Cells without a lock can't be compared: nothing is said of the others then.
        """
        run = self.run
        package = run.by_package[self.failing[0].package]
        good, bad = self.passing_cells & package, self.failing_cells & package
        if not good or not bad or (good | bad) & ~run.locked:
            return None
        on_both_sides = any(good & some and bad & some for some in run.by_python.values())
        return _Compared(good, bad, run.locks.separating(good, bad), not on_both_sides)


def findings(failures: Sequence[SharedFailure], report: RunReport) -> tuple[FailureFinding, ...]:
    """Return what is known of each of some kinds of failure of a run, in their order."""
    run = RunCells(report, {_test(one.row) for one in failures})
    return tuple(_finding(one, run) for one in failures)


def _test(row: TestRow | None) -> str:
    return row.id if row is not None else ""


def _finding(difference: SharedFailure, run: RunCells) -> FailureFinding:
    report, row, cells = run.report, difference.row, (difference.cell, *difference.also)
    names = {cell.name for cell in cells}
    of_it = (one for one in report.explanations if one.test in ("", _test(row)) and one.cell.name in names)
    explained = next(of_it, None)
    ended = what_ended(row) if row is not None else difference.headline
    seen = _Seen(row, ended, cells, run, explained is not None)
    span = _span(seen)
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
    if not seen.failing_cells & ~seen.run.by_outcome.get(Outcome.OOM, 0):
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
    for verdict in (Verdict.DEPENDENCY, Verdict.FRAMEWORK, Verdict.PYTHON):
        if (pair := seen.run.witness(verdict, seen.failing, seen.passing_cells)) is not None:
            good, bad = pair
            into = _changed_where_it_points(seen, good, bad) if verdict is Verdict.DEPENDENCY else ""
            return FailureFinding(verdict, f"{seen.run.labels[good.name]} passes and differs in nothing else{into}")
    return None


def _changed_where_it_points(seen: _Seen, good: Cell, bad: Cell) -> str:
    """Return which of the changes between two cells the failure points into; empty: none."""
    pointed, locks = seen.pointed, seen.report.locks
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
    pointed = seen.pointed
    if pointed is None or (compared := seen.compared) is None:
        return None
    change = next((one for one in compared.borders if one.name == pointed.name), None)
    same_way = _way_is_the_same(seen, pointed, compared)
    if pointed.is_python and compared.python_too and same_way and change is None:  # setuptools may bring distutils
        pythons = sorted({cell.python for cell in seen.failing}, key=version_order)
        return FailureFinding(Verdict.PYTHON, f"the error says that Python {' and '.join(pythons)} lacks it")
    # `tensorflow.keras` may be the distribution keras, however Python calls it.
    both = compared.passing | compared.failing
    is_beside = any(seen.run.locks.has(name, both) for name in pointed.module.split(".")[1:])
    if change is None or compared.python_too or is_beside:
        return None
    alone = len(compared.borders) == 1
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


def _way_is_the_same(seen: _Seen, pointed: PointedAt, compared: _Compared) -> bool:
    """Return whether a cell that passes and one that fails have the same files of all that the failure went through."""

    def ways(some: CellSet) -> set[frozenset[tuple[str, str]]]:
        locks = (seen.report.locks[cell.name] for cell in seen.run.cells(some))
        pins = ([(str(canonicalize_name(pin.name)), pin.sha256) for pin in lock.pins] for lock in locks)
        return {frozenset(pin for pin in one if pin[0] in pointed.through) for one in pins}

    return not pointed.through or not ways(compared.passing).isdisjoint(ways(compared.failing))


def _unknown(seen: _Seen) -> FailureFinding:
    report, pointed = seen.report, seen.pointed
    packages = {cell.package for cell in seen.failing}
    if not any(seen.passing_cells & seen.run.by_package[package] for package in packages):
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
    if (compared := seen.compared) is not None:
        borders, python_too = compared.borders, compared.python_too
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


def _span(seen: _Seen) -> str:
    """Return where among the versions that ran the failure begins and ends, if it is in one stretch."""
    package = seen.failing[0].package
    line = seen.run.versions(package)
    places = sorted({line.places.get(cell.version, -1) for cell in seen.failing if cell.package == package})
    if len(line.ran) < 2 or places[0] < 0:
        return ""
    first, last = places[0], places[-1]
    if len(places) != last - first + 1:
        return ""
    if len(places) == len(line.ran):
        return "with every version that ran"
    told = _beside_it(seen, [line.ran[place] for place in (first - 1, last + 1) if 0 <= place < len(line.ran)])
    begins, ends = line.ran[first], line.ran[last]
    if first == 0:
        where = f"up to {ends}"
    elif last == len(line.ran) - 1:
        where = f"from {begins} on"
    else:
        where = f"{begins} to {ends}" if first != last else f"{begins} only"
    return "; ".join([where, *told])


def _beside_it(seen: _Seen, versions: Sequence[str]) -> list[str]:
    """Return what the versions before and behind a stretch came to: it passes, fails otherwise, or was not run there,
    as with --lf, where others failed."""
    run, cells = seen.run, seen.run.versions(seen.failing[0].package).cells
    failed = sum(some for outcome, some in run.by_outcome.items() if outcome.is_failure_of_the_test)
    ran = sum(some for outcome, some in run.by_outcome.items() if outcome.ran)
    left_out = run.failed_with_tests & ~run.test(seen.test).there if seen.test else 0
    without = [one for one in versions if cells[one] & seen.passing_cells]
    bad = [one for one in versions if one not in without and cells[one] & failed]
    unrun = [one for one in bad if not cells[one] & ran & ~left_out]
    otherwise = [one for one in bad if one not in unrun]
    told = (("not with", without), ("otherwise with", otherwise), ("not run with", unrun))
    return [f"{how} {' and '.join(which)}" for how, which in told if which]
