"""Which versions work, as a range that packaging tools understand. Pure."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

from msgspec import Struct
from packaging.version import Version

from tf_tester.core.outcome.report import RunReport
from tf_tester.core.outcome.runner_output import ran_no_test
from tf_tester.core.verdict.drift import upper_bound
from tf_tester.model.cell import Cell
from tf_tester.model.outcome import CellResult, Outcome, worst


class Compatibility(StrEnum):
    """What is known of one version, all Pythons and resolutions together."""

    YES = "yes"
    """It passes wherever it ran."""
    NO = "no"
    PARTLY = "partly"
    """It passes with some Pythons or dependencies and fails with others."""
    UNKNOWN = "unknown"
    """It never ran, or tested nothing, or without ever importing it."""


class SupportedVersions(Struct, frozen=True):
    """What a record says of one package."""

    package: str
    versions: Mapping[str, Compatibility]
    """Oldest first."""
    outcomes: Mapping[str, Mapping[str, Outcome]]
    """By version and column (`py3.10`, or `py3.10 latest` where there are several resolutions): the gravest outcome."""
    specifier: str
    """PEP 440, such as `>=2.4.0,<2.12`; empty where no version works."""
    remarks: tuple[str, ...]
    """Where the range says more than was tested."""

    @property
    def is_unknown(self) -> bool:
        """Return whether nothing is known of any version."""
        return set(self.versions.values()) <= {Compatibility.UNKNOWN}


def support(report: RunReport) -> tuple[SupportedVersions, ...]:
    """Return one for each package of a record."""
    return tuple(_support(report, package) for package in report.packages)


def _support(report: RunReport, package: str) -> SupportedVersions:
    cells = [cell for cell in report.cells if cell.package == package]
    several = len({cell.resolution for cell in cells}) > 1
    outcomes: dict[str, dict[str, Outcome]] = {}
    seen: dict[str, list[Outcome]] = {}
    for cell in sorted(cells, key=lambda one: Version(one.version)):
        column = f"py{cell.python}" + (f" {cell.resolution}" if several else "")
        row, outcome = outcomes.setdefault(cell.version, {}), _outcome(report.result(cell))
        seen.setdefault(cell.version, []).append(outcome)
        # Several cells may be told in one place: the worst that ran is shown, what didn't run tells nothing beside it.
        before = row.get(column, outcome)
        ran = [one for one in (before, outcome) if one.ran]
        row[column] = worst(ran) if ran else before
    versions = {version: _works(found) for version, found in seen.items()}
    specifier, remarks = _range(versions)
    return SupportedVersions(package, versions, outcomes, specifier, remarks + tuple(_what_passes_say(report, cells)))


def _outcome(result: CellResult) -> Outcome:
    """Return what a cell came to, as far as that says something of the package."""
    says_nothing = result.outcome is Outcome.PASS and (result.unused or _ran_no_test(result))
    return Outcome.EMPTY if says_nothing else result.outcome


def _ran_no_test(result: CellResult) -> bool:
    """Return whether all that ran has told that it ran no tests: a command is judged by its exit status alone."""
    return bool(result.tests) and all(ran_no_test(f"{row.stdout}\n{row.stderr}") for row in result.tests)


def _what_passes_say(report: RunReport, cells: Sequence[Cell]) -> Iterator[str]:
    """Yield what passes don't prove."""
    passed = [(cell.version, report.result(cell)) for cell in cells if report.result(cell).outcome is Outcome.PASS]
    if unused := list(dict.fromkeys(version for version, result in passed if result.unused)):
        yield f"nothing has imported it in {', '.join(unused)}: a pass there says nothing of it"
    trial = report.request.get("trial")
    command = trial.get("command") if isinstance(trial, Mapping) else None
    if not command or not passed:
        return
    if nothing := list(dict.fromkeys(version for version, result in passed if _ran_no_test(result))):
        yield f"the command ran no tests with {', '.join(nothing)}: that it left with 0 says nothing of it"
    if not all(result.unused or _ran_no_test(result) for _, result in passed):
        yield f"a command was judged, by its exit status alone: {shlex.join(map(str, command))}"


def _series(version: str) -> tuple[int, ...]:
    return Version(version).release[:2]


def _works(outcomes: Iterable[Outcome]) -> Compatibility:
    found = set(outcomes)
    bad = any(one.is_failure_of_the_test for one in found)
    if Outcome.PASS in found:
        return Compatibility.PARTLY if bad else Compatibility.YES
    return Compatibility.NO if bad else Compatibility.UNKNOWN


def _range(versions: Mapping[str, Compatibility]) -> tuple[str, tuple[str, ...]]:
    """Return the newest stretch of versions that work; one that fails alone within its series (`2.10`) is excluded."""
    known = [
        (version, works is Compatibility.YES)
        for version, works in versions.items()
        if works is not Compatibility.UNKNOWN
    ]
    good = [place for place, (_, works) in enumerate(known) if works]
    if not good:
        return "", ()
    last = first = good[-1]
    excluded: list[str] = []
    while first > 0:
        if known[first - 1][1]:
            first -= 1
        elif first > 1 and known[first - 2][1] and len({_series(known[first - back][0]) for back in (0, 1, 2)}) == 1:
            excluded.append(known[first - 1][0])
            first -= 2
        else:
            break
    oldest, newest = known[first][0], known[last][0]
    # A local version (`1.13.0+cpu`) can't be a bound.
    parts = [f">={Version(oldest).public}"]
    remarks = []
    if last + 1 < len(known):
        bound = Version(upper_bound(newest, known[last + 1][0])).public
        parts.append(f"<{bound}")
        remarks.append(f"{newest} works and {known[last + 1][0]} doesn't; what lies between was not tested")
    else:
        remarks.append(f"{newest} is the newest that was tested")
    if first == 0:
        remarks.append(f"{oldest} is the oldest that was tested")
    parts += [f"!={version}" for version in reversed(excluded)]
    older = [version for version, works in known[:first] if works]
    if older:
        remarks.append(f"{', '.join(older)} work, too, but not those after them")
    untested = [version for version, works in versions.items() if works is Compatibility.UNKNOWN]
    if untested:
        remarks.append(f"nothing is known of {', '.join(untested)}")
    return ",".join(parts), tuple(remarks)
