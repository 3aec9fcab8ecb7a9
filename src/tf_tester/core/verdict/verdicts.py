"""Who is to blame for a kind of failure, as far as the cells of a run show it, and where it is seen. Pure.

Nothing is guessed: a verdict needs two cells that differ in one thing only, or an explanation by experiment. Otherwise
it is `unknown`, with what is known.
"""

import re
from collections.abc import Hashable, Sequence

from msgspec import Struct
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from tf_tester.core.outcome.failures import SharedFailure
from tf_tester.core.outcome.report import RunReport, cell_labels
from tf_tester.core.outcome.tracebacks import what_ended
from tf_tester.model.cause import Explanation, Verdict
from tf_tester.model.cell import Cell
from tf_tester.model.host.abilities import IsolationKind
from tf_tester.model.host.limits import Limit
from tf_tester.model.outcome import Outcome, TestRow

_MACHINE = re.compile(
    r"cannot open shared object file|version `?(?:GLIBC|GLIBCXX|CXXABI)_[\d.]+'? not found|No space left on device"
    r"|Illegal instruction|SIGILL"
)
"""What a system says of itself: a library, disk space or an instruction that it doesn't have."""
_NO_NETWORK = re.compile(
    "Network is unreachable|Temporary failure in name resolution|Name or service not known"
    "|Address family not supported by protocol"
)
"""What it says where a sandbox has no network."""
_READ_ONLY = "Read-only file system"


class FailureFinding(Struct, frozen=True):
    """What is known of one kind of failure."""

    verdict: Verdict
    evidence: str
    """In half a sentence, which cells say so."""
    span: str
    """Among the versions that ran: `from 2.9.0 on (2.8.0 passes)`; empty where one version ran."""
    explanation: Explanation | None = None
    enough: bool = True
    """False: more cells would tell more."""


def finding(difference: SharedFailure, report: RunReport) -> FailureFinding:
    """Return what is known of one kind of failure."""
    cells = (difference.cell, *difference.also)
    test = difference.row.id if difference.row is not None else ""
    passing = [cell for cell in report.cells if _passes(cell, test, report)]
    span = _span(cells, passing, report)
    explained = next((one for one in report.explanations if one.cell in cells and one.test in ("", test)), None)
    if explained is not None:
        return FailureFinding(explained.verdict, "", span, explained)
    outcomes = {report.result(cell).outcome for cell in cells}
    told = what_ended(difference.row) if difference.row is not None else difference.headline
    if outcomes == {Outcome.OOM}:
        return FailureFinding(Verdict.ENVIRONMENT, "there was not enough memory", span)
    if (sandboxed := _sandboxed(difference.row, told, report)) is not None:
        return FailureFinding(Verdict.SANDBOX, sandboxed, span)
    if (said := _MACHINE.search(told)) is not None:
        return FailureFinding(Verdict.ENVIRONMENT, f"the system says {said[0]!r}", span)
    labels = cell_labels(report.cells)
    places = {version: place for place, version in enumerate(sorted({one.version for one in report.cells}, key=_order))}
    for verdict, alike in (
        (Verdict.DEPENDENCY, _but_for_dependencies),
        (Verdict.FRAMEWORK, _but_for_the_version),
        (Verdict.PYTHON, _but_for_the_python),
    ):
        witnesses: dict[Hashable, list[Cell]] = {}
        for good in passing:
            witnesses.setdefault(alike(good, report), []).append(good)
        for bad in cells:
            same = witnesses.get(key, []) if (key := alike(bad, report)) is not None else []
            if same:
                good = min(same, key=lambda one: abs(places[one.version] - places[bad.version]))
                return FailureFinding(verdict, f"{labels[good.name]} passes and differs in nothing else", span)
    near = [cell for cell in passing if any(cell.package == bad.package for bad in cells)]
    if not near:
        return FailureFinding(Verdict.UNKNOWN, "it passes nowhere in this run", span, enough=False)
    return FailureFinding(Verdict.UNKNOWN, "the cells that pass also have other dependencies", span, enough=False)


def _sandboxed(row: TestRow | None, told: str, report: RunReport) -> str | None:
    """Return how the sandbox kept a test from passing; None where nothing shows that it did.

    Of the limits that of memory is left out: where nobody has set it, it is the machine's.
    """
    if row is not None and row.limit not in (None, Limit.MEMORY):
        return f"it went beyond a limit (--limit {row.limit}=…)"
    if report.request.get("network") is False and (said := _NO_NETWORK.search(told)) is not None:
        return f"the system says {said[0]!r}: there is no network (--network)"
    if report.request.get("isolation") == IsolationKind.NAMESPACE and _READ_ONLY in told:
        return f"the system says {_READ_ONLY!r}: only its own folders can be written (--writable)"
    return None


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
    """Return whether a test does, whatever else the cell came to; without one, the cell."""
    result = report.result(cell)
    outcomes = {row.outcome for row in result.tests if row.id == test} if test else {result.outcome}
    return outcomes == {Outcome.PASS}


def _span(cells: Sequence[Cell], passing: Sequence[Cell], report: RunReport) -> str:
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
    told = [f"not with {' and '.join(without)}"] if without else []
    told += [f"otherwise with {' and '.join(otherwise)}"] if otherwise else []
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
