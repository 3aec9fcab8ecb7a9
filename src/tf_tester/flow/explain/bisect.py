"""Which version of a package, or of one of its dependencies, a test begins to fail with."""

from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace
from packaging.utils import canonicalize_name
from packaging.version import Version

from tf_tester.core.outcome.exits import INCOMPLETE, gravest
from tf_tester.core.select.choose import Choice, choose
from tf_tester.core.text.sizes import count_text
from tf_tester.core.verdict.bisect import BisectSearch, Mark, Transition, transitions
from tf_tester.errors import OWN_FAILURE, UsageError
from tf_tester.flow.explain.probes import Probe, Prober, could_not_run
from tf_tester.flow.prepare.pythons import PythonChoice, is_to_be_chosen, moved, with_pythons_for_all
from tf_tester.flow.prepare.select import select_cells
from tf_tester.flow.prepare.services import Services
from tf_tester.flow.run.frame import Run, carry_out
from tf_tester.flow.run.jobs import jobs_of
from tf_tester.flow.run.plan import RunPlan
from tf_tester.model.artifact import ProjectPage
from tf_tester.model.cell import CellRequirement, PlannedCell
from tf_tester.model.request import Selection, Trial


class BisectRequest(Struct, frozen=True):
    """What is asked."""

    good: str
    bad: str
    over: str | None = None
    """A dependency whose versions these are; the package under test is held then."""
    repeat: int = 1
    """How often each version is run: one that isn't the same each time can't be relied on."""
    failures: tuple[str, ...] = ()
    """Words of the failures that are meant; another failure makes a version untestable. None: every failure is."""
    everywhere: bool = False
    """Run every version, and tell every change."""


class Bisection(Struct, frozen=True):
    """The answer."""

    project: str
    """Whose versions they are."""
    versions: tuple[str, ...]
    """All between the ends, oldest first."""
    changes: tuple[Transition, ...]
    """By number of version."""
    probes: tuple[Probe, ...]
    """In the order in which they were run."""
    cells: int
    """That ran for it, repetitions included."""
    remarks: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """Return 0 where something changes between the ends, else 3; 4 where a version failed by our side."""
        codes = [OWN_FAILURE for probe in self.probes if probe.own_failure]
        return gravest([*codes, 0 if self.changes else INCOMPLETE])


class VersionLine(Struct, frozen=True):
    """A cell for each version between the ends."""

    page: ProjectPage
    """Of the package under test."""
    cells: tuple[PlannedCell, ...]
    """Oldest first."""
    versions: tuple[str, ...]
    """Theirs."""
    remarks: tuple[str, ...]
    good_is_older: bool


TellProbe = Callable[[Probe, int], None]
"""Is called with each probe, and how many more there may be."""


def bisect(
    selection: Selection, trial: Trial, services: Services, request: BisectRequest, told: TellProbe
) -> Bisection:
    """Return where the mark of a version changes: run the two ends, then halve what is between.

    Raises `UsageError` where the ends are not what they are said to be, or can't be tested; where one could not run,
    the error that `could_not_run` returns.
    """
    jobs = jobs_of(trial)
    line = _line(selection, trial, services, request)
    plan = RunPlan(selection, trial, jobs, line.page, line.cells, line.remarks, command="bisect")
    return carry_out(plan, services, lambda run: _found(run, request, line, told))


def _found(run: Run, request: BisectRequest, line: VersionLine, told: TellProbe) -> Bisection:
    prober = Prober(run, repeat=request.repeat, failures=request.failures)
    choice = PythonChoice(run.plan.selection, line.page, run.preparer, run.services)
    chooses = request.over is None and is_to_be_chosen(run.plan.selection, run.plan.trial)
    cells = list(line.cells)
    probes: list[Probe] = []

    def probe(index: int, left: int) -> Mark:
        # Not for all at once: of a hundred versions eight are run.
        cells[index] = choice.settled(cells[index]) if chooses else cells[index]
        probes.append(prober.probe(cells[index], line.versions[index]))
        told(probes[-1], left)
        _check_taken(probes[0])
        return probes[-1].mark

    remarks = line.remarks
    project = request.over or run.plan.selection.package
    if request.everywhere:
        last = len(line.cells) - 1
        changes = tuple(transitions([probe(index, last - index) for index in range(last + 1)]))
    else:
        last = len(line.cells) - 1
        oldest, _ = probe(0, 1 + last.bit_length()), probe(last, last.bit_length())
        _check_ends(project, probes, prober, good_is_older=line.good_is_older)
        change = _halved(len(line.cells), oldest, probe)
        changes = (change,)
        remarks += _about_failures(probes, line, change)
        if not request.over:
            remarks += _about_python(run, prober, replace(line, cells=tuple(cells)), change)
    remarks += tuple(moved(line.cells, cells))
    return Bisection(project, line.versions, changes, tuple(probes), prober.cells, remarks)


def _check_taken(first: Probe) -> None:
    """Raise `UsageError` where pytest refused what it was given: it will with every version."""
    if first.row is not None and first.row.could_not_begin:
        raise UsageError(f"{first.row.reason.rstrip('.')}.", hint="Check what stands behind :: and --.")


def _check_ends(project: str, ends: Sequence[Probe], prober: Prober, *, good_is_older: bool) -> None:
    """Raise the error of the first of two ends, the older one first, that isn't what it is said to be.

    That is `UsageError`, and of one that could not run an error with the exit code of the reason.
    """
    wanted = (Mark.GOOD, Mark.BAD) if good_is_older else (Mark.BAD, Mark.GOOD)
    swapped = tuple(end.mark for end in ends) == wanted[::-1]
    for end, expected in zip(ends, wanted, strict=True):
        name, why = f"{project} {end.version}", (end.summary or end.outcome).rstrip(".")
        if end.mark is expected:
            continue
        if (error := prober.errors.get(end.version)) is not None:
            raise could_not_run(name, error)
        if end.mark is Mark.UNTESTABLE:
            raise UsageError(
                f"{name} can't be tested here: {why}.",
                hint=f"Name another version with --{expected}: one that shows it each time.",
            )
        raise UsageError(
            f"{name} is {end.mark}, not {expected}: {why}.",
            hint="Swap --good and --bad: the other end is the one that passes, or fails, as this one was to."
            if swapped
            else "Name ends that differ; --all-transitions looks at every version between them.",
        )


def _halved(count: int, first: Mark, probe: Callable[[int, int], Mark]) -> Transition:
    """Return the one change among so many versions, the ends of which differ."""
    search = BisectSearch(count, first)
    while (index := search.next()) is not None:
        search.tell(index, probe(index, max(0, search.most - 1)))
    return search.change


def _about_failures(probes: Sequence[Probe], line: VersionLine, change: Transition) -> tuple[str, ...]:
    """Tell where the failure at the change is another one than at the end: it may have another cause."""
    by_version = {probe.version: probe for probe in probes}
    end = by_version[line.versions[-1 if line.good_is_older else 0]]
    at = by_version[line.versions[change.after if line.good_is_older else change.before]]
    if _kind(end.summary) == _kind(at.summary):
        return ()
    return (
        f"{end.version} fails with something else: {_first(end.summary)}",
        f"to follow that alone, add --failure {_kind(end.summary)!r}; other failures are skipped then",
    )


def _kind(summary: str) -> str:
    """Return the exception's name."""
    return _first(summary).partition(":")[0]


def _first(summary: str) -> str:
    return next(iter(summary.strip().splitlines()), "")


def _about_python(run: Run, prober: Prober, line: VersionLine, change: Transition) -> tuple[str, ...]:
    """Run two neighbours that had different Pythons on one, and tell whether they differ there, too."""
    before, after = line.cells[change.before], line.cells[change.after]
    pythons = (after.cell.python, before.cell.python)
    if pythons[0] == pythons[1]:
        return ()
    names = (line.versions[change.before], line.versions[change.after])
    for python in pythons:
        on_one = replace(run.plan.selection, versions=",".join(names), pythons=(python,), last=None)
        cells = select_cells(on_one, run.services).cells
        if len(cells) != 2 or any(planned.interpreter is None for planned in cells):
            continue
        same = [prober.probe(planned, name).mark for planned, name in zip(cells, names, strict=True)]
        if Mark.UNTESTABLE in same:
            continue
        if same[0] is same[1]:
            return (
                f"on Python {python} both are {same[0]}: it is the Python that makes the difference "
                f"({pythons[1]} and {pythons[0]} were used)",
            )
        return (f"the same on Python {python} for both",)
    return (f"{names[0]} ran on Python {pythons[1]}, {names[1]} on {pythons[0]}: no installed Python has both",)


def _one_version(page: ProjectPage, text: str) -> Version:
    found = choose(page, Choice(text))
    if len(found) != 1:
        raise UsageError(
            f"{text!r} means {count_text(len(found), 'version', none='no')}.",
            hint="Give one with --good, and one with --bad.",
        )
    return found[0]


def _about_yanked(
    page: ProjectPage, selection: Selection, variant: str, ends: tuple[Version, Version]
) -> tuple[str, ...]:
    """Return the remark on versions between the ends that are left out because they are yanked."""
    if selection.yanked:
        return ()
    every = choose(page, Choice("all", pre=selection.pre, yanked=True, variant=variant))
    ordinary = choose(page, Choice("all", pre=selection.pre, variant=variant))
    left = [str(one) for one in every if ends[0] < one < ends[1] and one not in ordinary]
    return (f"left out, since they are yanked: {', '.join(left)}; --yanked runs them, too",) * bool(left)


def _line(selection: Selection, trial: Trial, services: Services, request: BisectRequest) -> VersionLine:
    """Return the versions from end to end, each with its cell.

    Raises `UsageError` where the ends are not two versions, or one of those between them is not one cell.
    """
    over = None if request.over is None else str(canonicalize_name(request.over))
    page = services.packages.index.page(over or selection.package)
    ends = [_one_version(page, text) for text in (request.good, request.bad)]
    if ends[0] == ends[1]:
        raise UsageError("--good and --bad are the same version.", hint="Name two that differ.")
    low, high = min(ends), max(ends)
    variant = next((one.local for one in ends if one.local), Choice.variant)
    ordinary = choose(page, Choice("all", pre=selection.pre, yanked=selection.yanked, variant=variant))
    between = [version for version in ordinary if low < version < high]
    versions = tuple(str(one) for one in sorted({low, high, *between}))
    good_is_older = ends[0] == low
    remarks = _about_yanked(page, selection, variant, (low, high))
    if over is None:
        selected = select_cells(replace(selection, versions=",".join(versions), last=None), services)
        if len(selected.cells) != len(versions):
            raise UsageError("A version can only be looked at with one Python here.", hint="Give one --python.")
        return VersionLine(selected.page, selected.cells, versions, (*selected.remarks, *remarks), good_is_older)
    selected = with_pythons_for_all(select_cells(selection, services), selection, trial, services)
    if len(selected.cells) != 1:
        number = count_text(len(selected.cells), "cell", none="no")
        raise UsageError(
            f"The selection means {number}; with --over {over} it must mean one.",
            hint=f"Give one version of {selection.package} with --versions, and one --python.",
        )
    held = selected.cells[0]
    cells = tuple(replace(held, cell=held.cell.beside((CellRequirement(over, version),))) for version in versions)
    return VersionLine(selected.page, cells, versions, (*selected.remarks, *remarks), good_is_older)
