"""Which version of a package, or of one of its dependencies, a test begins to fail with."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct
from msgspec.structs import replace
from packaging.utils import canonicalize_name
from packaging.version import Version

from tf_tester.core.bisect import Change, Mark, Search, transitions
from tf_tester.core.choose import Choice, choose
from tf_tester.errors import UsageError
from tf_tester.flow.cells import PREPARING, run_started
from tf_tester.flow.looking import Look, Looking
from tf_tester.flow.prepare import Preparer
from tf_tester.flow.select import Selected, select_cells
from tf_tester.flow.services import Services
from tf_tester.flow.trial import jobs_of, tools_of
from tf_tester.model.artifact import ProjectPage
from tf_tester.model.cell import CellRequirement, PlannedCell
from tf_tester.model.events import RunFinished
from tf_tester.model.request import Selection, Trial


class Quest(Struct, frozen=True):
    """What is asked."""

    good: str
    bad: str
    over: str | None = None
    """A dependency whose versions these are; the package under test is held then."""
    repeat: int = 1
    """How often each version is looked at: one that isn't the same each time can't be relied on."""
    failures: tuple[str, ...] = ()
    """Words of the failures that are meant; another failure makes a version untestable. None: every failure is."""
    everywhere: bool = False
    """Look at every version, and tell every change."""


class Found(Struct, frozen=True):
    """The answer."""

    project: str
    """Whose versions they are."""
    versions: tuple[str, ...]
    """All between the ends, oldest first."""
    changes: tuple[Change, ...]
    """By number of version."""
    looks: tuple[Look, ...]
    """In the order in which they were taken."""
    cells: int
    """That ran for it, repetitions included."""
    remarks: tuple[str, ...] = ()


def bisect(
    selection: Selection,
    trial: Trial,
    services: Services,
    quest: Quest,
    *,
    run_id: str,
    started: str,
    tool: str,
    told: Callable[[Look, int], None],
) -> Found:
    """Look at the two ends, then halve what is between; `told` hears of each look, and how many more there may be.

    Raises `UsageError` where the ends are not what they are said to be, or can't be tested.
    """
    selected, line, versions, remarks, good_is_older = _line(selection, services, quest)
    clock = services.run.monotonic
    begun = clock()
    services.run.tell(
        run_started(
            selection,
            trial,
            line,
            services,
            run_id=run_id,
            started=started,
            tool=tool,
            remarks=(*remarks, *trial.remarks),
        )
    )
    with ThreadPoolExecutor(PREPARING, "layers") as pool:
        jobs = jobs_of(trial)
        preparer = Preparer(selection, trial, selected.page, services, pool, tools=tools_of(jobs))
        looking = Looking(trial, preparer, services, selection.package, repeat=quest.repeat, failures=quest.failures)
        try:
            found = _found(quest, selection, services, looking, line, versions, told, good_is_older=good_is_older)
        except KeyboardInterrupt:
            services.run.stop()
            pool.shutdown(wait=True, cancel_futures=True)
            services.run.tell(RunFinished(130, True, clock() - begun))
            raise
    services.run.tell(RunFinished(0, False, clock() - begun))
    return replace(found, remarks=(*remarks, *found.remarks))


def _found(
    quest: Quest,
    selection: Selection,
    services: Services,
    looking: Looking,
    line: Sequence[PlannedCell],
    versions: Sequence[str],
    told: Callable[[Look, int], None],
    *,
    good_is_older: bool,
) -> Found:
    looks: list[Look] = []

    def look(index: int, left: int) -> Mark:
        looks.append(looking.at(line[index], versions[index]))
        told(looks[-1], left)
        return looks[-1].mark

    project = quest.over or selection.package
    if quest.everywhere:
        marks = [look(index, len(line) - index - 1) for index in range(len(line))]
        changes = tuple(transitions(marks))
        return Found(project, tuple(versions), changes, tuple(looks), looking.cells)
    last = len(line) - 1
    ends = look(0, 1 + last.bit_length()), look(last, last.bit_length())
    wanted = (Mark.GOOD, Mark.BAD) if good_is_older else (Mark.BAD, Mark.GOOD)
    for taken, mark, expected in zip(looks, ends, wanted, strict=True):
        if mark is not expected:
            raise UsageError(
                f"{project} {taken.version} is {_words(mark)}, not {expected}: "
                f"{(taken.summary or taken.outcome).rstrip('.')}.",
                hint="Name ends that differ; --all-transitions looks at every version between them.",
            )
    search = Search(len(line), ends[0])
    while (index := search.next()) is not None:
        search.tell(index, look(index, max(0, search.most - 1)))
    change = search.change
    remarks = _about_failures(looks, versions, change, ends_bad=ends[0] is Mark.BAD)
    if not quest.over:
        remarks += _about_python(selection, services, looking, versions, line, change)
    return Found(project, tuple(versions), (change,), tuple(looks), looking.cells, remarks)


def _about_failures(
    looks: Sequence[Look], versions: Sequence[str], change: Change, *, ends_bad: bool
) -> tuple[str, ...]:
    """A word where the failure at the change is another one than at the end: it may have another cause."""
    by_version = {look.version: look for look in looks}
    end = by_version[versions[0 if ends_bad else -1]]
    at = by_version[versions[change.before if ends_bad else change.after]]
    if _kind(end.summary) == _kind(at.summary):
        return ()
    return (
        f"{end.version} fails with something else: {_first(end.summary)}",
        f"to follow that alone, add --failure {_kind(end.summary)!r}; other failures are passed over then",
    )


def _kind(summary: str) -> str:
    """The exception's name."""
    return _first(summary).partition(":")[0]


def _first(summary: str) -> str:
    return next(iter(summary.strip().splitlines()), "")


def _words(mark: Mark) -> str:
    return {Mark.GOOD: "good", Mark.BAD: "bad"}.get(mark, "not to be tested here")


def _about_python(
    selection: Selection,
    services: Services,
    looking: Looking,
    versions: Sequence[str],
    line: Sequence[PlannedCell],
    change: Change,
) -> tuple[str, ...]:
    """Two neighbours that ran on different Pythons: whether they differ on one, too."""
    before, after = line[change.before], line[change.after]
    pythons = (after.cell.python, before.cell.python)
    if pythons[0] == pythons[1]:
        return ()
    names = (versions[change.before], versions[change.after])
    for python in pythons:
        on_one = replace(selection, versions=",".join(names), pythons=(python,), last=None)
        cells = select_cells(on_one, services).cells
        if len(cells) != 2 or any(planned.interpreter is None for planned in cells):
            continue
        same = [looking.at(planned, name).mark for planned, name in zip(cells, names, strict=True)]
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
        raise UsageError(f"{text!r} means {len(found)} versions.", hint="Give one with --good, and one with --bad.")
    return found[0]


def _line(
    selection: Selection, services: Services, quest: Quest
) -> tuple[Selected, list[PlannedCell], list[str], tuple[str, ...], bool]:
    """A cell for each version between the ends, oldest first; and whether the good end is the older one."""
    over = None if quest.over is None else str(canonicalize_name(quest.over))
    page = services.packages.index.page(over or selection.package)
    ends = [_one_version(page, text) for text in (quest.good, quest.bad)]
    if ends[0] == ends[1]:
        raise UsageError("--good and --bad are the same version.", hint="Name two that differ.")
    low, high = min(ends), max(ends)
    ordinary = choose(page, Choice("all", pre=selection.pre, yanked=selection.yanked))
    between = [version for version in ordinary if low < version < high]
    versions = [str(one) for one in sorted({low, high, *between})]
    if over is None:
        selected = select_cells(replace(selection, versions=",".join(versions), last=None), services)
        if len(selected.cells) != len(versions):
            raise UsageError("A version can only be looked at with one Python here.", hint="Give one --python.")
        return selected, list(selected.cells), versions, selected.remarks, ends[0] == low
    selected = select_cells(selection, services)
    if len(selected.cells) != 1 or selected.cells[0].interpreter is None:
        raise UsageError(
            f"{len(selected.cells)} cells are meant, and while {over} changes one is held.",
            hint=f"Give one version of {selection.package} with --versions, and one --python.",
        )
    held = selected.cells[0]
    cells = [replace(held, cell=held.cell.beside((CellRequirement(over, version),))) for version in versions]
    return selected, cells, versions, selected.remarks, ends[0] == low
