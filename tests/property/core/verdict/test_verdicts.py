"""What is known of all kinds of failure is found in one go; each alone, by going through all cells, it is the same."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from hypothesis import given
from hypothesis import strategies as st
from packaging.version import InvalidVersion, Version

from tf_tester.core.outcome.failures import SharedFailure, differences, rows_of
from tf_tester.core.outcome.report import RunReport, cell_labels
from tf_tester.core.verdict.drift import DistributionChange, changes
from tf_tester.core.verdict.run_cells import version_order
from tf_tester.core.verdict.separation import LockedVersions
from tf_tester.core.verdict.traces import pointed_at
from tf_tester.core.verdict.verdicts import findings
from tf_tester.model.cause import Verdict
from tf_tester.model.cell import Cell
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.model.outcome import CellResult, ExceptionFact, Outcome, TestRow, worst

SITE = "/env/lib/python3.10/site-packages"
OWNERS = {"toy": "toy", "gear": "gear", "axle": "axle"}
TESTS = ("a.py::x", "a.py::C::y", "b.py", "b.py::z")
MESSAGES = (
    "no",
    "other",
    "module 'gear' has no attribute 'spin'",
    "No module named 'toy.old'",
    "No module named 'imp'",
)
FILES = ("/home/me/a.py", f"{SITE}/toy/x.py", f"{SITE}/gear/y.py", f"{SITE}/axle.py")

versions = st.sampled_from(["1.0", "1.1", "2.0", "10.0", "odd version"])
outcomes = st.sampled_from([Outcome.PASS, Outcome.PASS, Outcome.FAIL, Outcome.FAIL, Outcome.SKIP])


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    pins = draw(st.dictionaries(st.sampled_from(["axle", "gear", "keras"]), versions))
    return Lock("3.10.1", Resolution.ERA, None, tuple(Pin(n, v, "", f"{n}{v}", 1, "") for n, v in sorted(pins.items())))


@st.composite
def failures(draw: st.DrawFn) -> ExceptionFact:
    return ExceptionFact("TypeError", draw(st.sampled_from(MESSAGES)), draw(st.sampled_from(FILES)), 3, "f")


@st.composite
def reports(draw: st.DrawFn) -> RunReport:
    """Runs of two packages, in which each cell has some of the tests, a lock or none, and of the rest a refusal."""
    cells = draw(
        st.lists(
            st.builds(
                Cell.of,
                st.sampled_from(["toy", "toy", "toy", "other"]),
                versions,
                st.sampled_from(["3.9", "3.12"]),
                st.sampled_from([Resolution.ERA, Resolution.LATEST]),
            ),
            min_size=1,
            max_size=9,
            unique_by=lambda cell: cell.name,
        )
    )
    kinds = draw(st.lists(failures(), min_size=1, max_size=3))
    results, locked = {}, {}
    for cell in cells:
        rows = tuple(
            TestRow(test, outcome, exception=kind, traceback=traceback(kind) if kind is not None else "")
            for test, outcome in draw(st.dictionaries(st.sampled_from(TESTS), outcomes)).items()
            for kind in [draw(st.sampled_from(kinds)) if outcome is Outcome.FAIL else None]
        )
        refused = draw(st.sampled_from([Outcome.NO_WHEEL, Outcome.FAIL, Outcome.PASS]))
        outcome = worst([row.outcome for row in rows]) if rows else refused
        results[cell.name] = CellResult(cell.name, outcome, "it is so", tests=rows, owners=OWNERS)
        if draw(st.integers(0, 5)):
            locked[cell.name] = draw(locks())
    return RunReport(cells=tuple(cells), results=results, locks=locked)


def traceback(kind: ExceptionFact) -> str:
    frames = "".join(f'  File "{file}", line 1, in f\n    work()\n' for file in dict.fromkeys((FILES[0], kind.file)))
    return f"Traceback (most recent call last):\n{frames}{kind.type}: {kind.message}\n"


@given(reports())
def test_together_they_are_what_each_is_alone(report: RunReport) -> None:
    found, _ = differences(report)
    for failure, known in zip(found, findings(found, report), strict=True):
        assert known.span == span(failure, report)
        assert (known.verdict, known.evidence) == next(alone(failure, report))


@given(st.lists(locks(), max_size=6), st.lists(locks(), max_size=6))
def test_borders_are_those_that_all_locks_beside_each_other_show(good: list[Lock], bad: list[Lock]) -> None:
    passing, everything = (1 << len(good)) - 1, (1 << len(good) + len(bad)) - 1
    found = LockedVersions([*good, *bad]).separating(passing, everything & ~passing)
    assert list(found) == list(separating(good, bad))


class CountedResults(dict[str, CellResult]):
    """Results that count how often one is looked up."""

    looks = 0

    def get(self, name: str, default: object = None) -> CellResult | None:  # type: ignore[override]
        self.looks += 1
        return super().get(name)


def test_many_kinds_of_failure_take_few_looks_at_each_cell() -> None:
    """Going through all cells for each kind takes 60 × 60 looks and more."""
    cells = [Cell.of("toy", f"1.{number}", "3.11", Resolution.ERA) for number in range(60)]
    fails = [ExceptionFact(f"Error{chr(97 + number // 26)}{chr(97 + number % 26)}", "no") for number in range(60)]
    rows = [TestRow("t.py", Outcome.FAIL, exception=kind) for kind in fails]
    told = {cell.name: CellResult(cell.name, row.outcome, tests=(row,)) for cell, row in zip(cells, rows, strict=True)}
    report = RunReport(cells=tuple(cells), results=CountedResults(told))
    found, _ = differences(report)
    before = report.results.looks  # type: ignore[attr-defined]
    assert len(findings(found, report)) == 60
    assert report.results.looks - before < 60 * 20  # type: ignore[attr-defined]


# Each alone: the definition


def alone(failure: SharedFailure, report: RunReport) -> Iterator[tuple[Verdict, str]]:
    """Yield the verdict and its evidence."""
    failing = (failure.cell, *failure.also)
    test = failure.row.id if failure.row is not None else ""
    passing = [cell for cell in report.cells if passes(cell, test, report)]
    yield from witnesses(failing, passing, failure, report)
    package = failing[0].package
    good, bad = ([one for one in side if one.package == package] for side in (passing, failing))
    if good and bad and all(one.name in report.locks for one in (*good, *bad)):
        yield from by_the_traceback(good, bad, failure, report)
    known = findings([failure], report)[0]  # what is said where no cell tells it
    assert known.verdict is Verdict.UNKNOWN
    near = any(one.package == other.package for one in passing for other in failing)
    assert ("it passes nowhere in this run" in known.evidence) is not near
    yield known.verdict, known.evidence


def witnesses(
    failing: Sequence[Cell], passing: Sequence[Cell], failure: SharedFailure, report: RunReport
) -> Iterator[tuple[Verdict, str]]:
    order = sorted({one.version for one in report.cells}, key=version_order)
    for verdict, differs_alone in (
        (Verdict.DEPENDENCY, by_dependencies_alone),
        (Verdict.FRAMEWORK, by_the_version_alone),
        (Verdict.PYTHON, by_the_python_alone),
    ):
        for bad in failing:
            same = [good for good in passing if good.package == bad.package and differs_alone(good, bad, report)]
            if same:
                away = [abs(order.index(one.version) - order.index(bad.version)) for one in same]
                good = same[away.index(min(away))]
                into = changed_into(good, bad, failure, report) if verdict is Verdict.DEPENDENCY else ""
                yield verdict, f"{cell_labels(report.cells)[good.name]} passes and differs in nothing else{into}"
                break


def changed_into(good: Cell, bad: Cell, failure: SharedFailure, report: RunReport) -> str:
    pointed = pointed_at(failure.row, OWNERS)
    if pointed is None or not {good.name, bad.name} <= report.locks.keys():
        return ""
    changed = [one for one in changes(report.locks[good.name], report.locks[bad.name]) if one.name == pointed.name]
    return f"; {pointed.told()}: {changed[0].text}" if changed else ""


def by_dependencies_alone(good: Cell, bad: Cell, report: RunReport) -> bool:
    return (good.version, good.python) == (bad.version, bad.python)


def by_the_version_alone(good: Cell, bad: Cell, report: RunReport) -> bool:
    return good.python == bad.python and beside(good, report) == beside(bad, report) is not None


def by_the_python_alone(good: Cell, bad: Cell, report: RunReport) -> bool:
    return good.version == bad.version and beside(good, report) == beside(bad, report) is not None


def beside(cell: Cell, report: RunReport) -> AbstractSet[tuple[str, str]] | None:
    lock = report.locks.get(cell.name)
    return None if lock is None else {(pin.name, pin.sha256) for pin in lock.pins if pin.name != cell.package}


def by_the_traceback(
    good: Sequence[Cell], bad: Sequence[Cell], failure: SharedFailure, report: RunReport
) -> Iterator[tuple[Verdict, str]]:
    pointed = pointed_at(failure.row, OWNERS)
    if pointed is None:
        return
    good_locks, bad_locks = ([report.locks[cell.name] for cell in side] for side in (good, bad))
    borders = list(separating(good_locks, bad_locks))
    python_too = {cell.python for cell in good}.isdisjoint({cell.python for cell in bad})
    change = next((one for one in borders if one.name == pointed.name), None)
    same_way = any(
        pointed.through.isdisjoint(one.name for one in changes(before, after))
        for before in good_locks
        for after in bad_locks
    )
    if pointed.is_python and python_too and same_way and change is None:
        pythons = sorted({cell.python for cell in (failure.cell, *failure.also)}, key=version_order)
        yield Verdict.PYTHON, f"the error says that Python {' and '.join(pythons)} lacks it"
    names = {pin.name for lock in (*good_locks, *bad_locks) for pin in lock.pins}
    if change is None or python_too or names & set(pointed.module.split(".")[1:]):
        return
    is_package = pointed.name == failure.cell.package
    verdict = Verdict.FRAMEWORK if is_package else Verdict.DEPENDENCY
    if pointed.lacks and same_way:
        asked = "which the test itself asks for" if not pointed.through else "asked for by what hasn't changed"
        yield verdict, f"{change.text}: {pointed.told()}, {asked}"
    elif len(borders) == 1 and not is_package:
        separates = "and of all that changed it alone separates the cells that pass from these"
        yield verdict, f"{change.text}: {pointed.told()}, {separates}"


def separating(passing: Sequence[Lock], failing: Sequence[Lock]) -> Iterator[DistributionChange]:
    good, bad = ([{pin.name: pin.version for pin in lock.pins} for lock in side] for side in (passing, failing))
    for name in sorted({name for lock in (*good, *bad) for name in lock}) if good and bad else ():
        try:
            old, new = in_order(good, name), in_order(bad, name)
        except InvalidVersion:
            continue
        all_have = [all(name in lock for lock in side) for side in (good, bad)]
        if old and new and any(all_have):
            if Version(old[-1]) < Version(new[0]):
                yield DistributionChange(name, old[-1], new[0])
            elif Version(new[-1]) < Version(old[0]):
                yield DistributionChange(name, old[0], new[-1])
        elif old and not new and all_have[0]:
            yield DistributionChange(name, old[-1], None)
        elif new and not old and all_have[1]:
            yield DistributionChange(name, None, new[0])


def in_order(locks: Sequence[Mapping[str, str]], name: str) -> list[str]:
    return sorted({lock[name] for lock in locks if name in lock}, key=Version)


def passes(cell: Cell, test: str, report: RunReport) -> bool:
    result = report.result(cell)
    told = {row.outcome for row in rows_of(result, test)} if test else {result.outcome}
    return Outcome.PASS in told and told <= {Outcome.PASS, Outcome.SKIP}


def span(failure: SharedFailure, report: RunReport) -> str:
    test = failure.row.id if failure.row is not None else ""
    of_it = [cell for cell in report.cells if cell.package == failure.cell.package and report.result(cell).outcome.ran]
    line = sorted({cell.version for cell in of_it}, key=version_order)
    failing = [cell.version for cell in (failure.cell, *failure.also) if cell.package == failure.cell.package]
    places = sorted({line.index(version) for version in failing})
    first, last = places[0], places[-1]
    if len(line) < 2 or len(places) != last - first + 1:
        return ""
    if len(places) == len(line):
        return "with every version that ran"
    told: dict[str, list[str]] = {"not with": [], "otherwise with": [], "not run with": []}
    for version in (line[place] for place in (first - 1, last + 1) if 0 <= place < len(line)):
        cells = [cell for cell in report.cells if (cell.package, cell.version) == (failure.cell.package, version)]
        ran = [cell for cell in cells if report.result(cell).outcome.ran]
        if any(passes(cell, test, report) for cell in cells):
            told["not with"].append(version)
        elif test and all(left_out(report.result(cell), test) for cell in ran):
            told["not run with"].append(version)
        elif any(report.result(cell).outcome.is_failure_of_the_test for cell in ran):
            told["otherwise with"].append(version)
    at_end = f"from {line[first]} on" if last == len(line) - 1 else f"{line[first]} to {line[last]}"
    where = f"up to {line[last]}" if first == 0 else at_end
    if 0 < first == last < len(line) - 1:
        where = f"{line[first]} only"
    return "; ".join([where, *(f"{how} {' and '.join(which)}" for how, which in told.items() if which)])


def left_out(result: CellResult, test: str) -> bool:
    return bool(result.tests) and result.outcome is Outcome.FAIL and not rows_of(result, test)
