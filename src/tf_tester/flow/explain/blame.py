"""Which distributions make a cell fail that passes with others, found by running cells between the two."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import assert_never

from msgspec import Struct, field
from msgspec.structs import replace
from packaging.version import Version

from tf_tester.core.outcome.exits import INCOMPLETE, gravest
from tf_tester.core.outcome.failures import without_varying
from tf_tester.core.select.choose import Choice, choose
from tf_tester.core.select.markers import markers_of
from tf_tester.core.text.sizes import count_text
from tf_tester.core.verdict.bisect import Mark, Transition, halving
from tf_tester.core.verdict.blame import (
    Changes,
    Culprit,
    CulpritSearch,
    CulpritSearchResult,
    EntailmentGraph,
    most_trials,
)
from tf_tester.core.verdict.drift import (
    DistributionChange,
    LockChangeKind,
    allowed_by,
    between,
    changes,
    entailing,
    nearest_allowed,
    requirers,
    upper_bound,
)
from tf_tester.core.verdict.traces import pointed_at
from tf_tester.errors import OWN_FAILURE, EndsContradict, TfTesterError, UsageError
from tf_tester.flow.explain.probes import Probe, Prober, could_not_run
from tf_tester.flow.prepare.locked import is_file_of_lock, locked_cell
from tf_tester.flow.prepare.prepare import Preparation
from tf_tester.flow.prepare.pythons import with_pythons_for_all
from tf_tester.flow.prepare.select import select_cells
from tf_tester.flow.prepare.services import Services
from tf_tester.flow.run.frame import Run, carry_out
from tf_tester.flow.run.jobs import jobs_of
from tf_tester.flow.run.plan import RunPlan
from tf_tester.model.artifact import ProjectPage
from tf_tester.model.cause import Cause, Explanation, Verdict
from tf_tester.model.cell import CellRequirement, PlannedCell
from tf_tester.model.events import CellExplained
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.model.request import Selection, Trial

_BETWEEN = (LockChangeKind.UP, LockChangeKind.DOWN)
"""Changes with versions between the two."""
_ROUNDS = 3
"""How often what still fails with the pins is searched again."""


class SearchEstimate(Struct, frozen=True):
    """What is known before the search, and what it will take."""

    changes: tuple[DistributionChange, ...]
    groups: int
    """Of changes that can only be made together."""
    one: int
    """Cells that finding one cause takes at the most, without those that find the version where it begins."""
    budget: int


class SearchStep(Struct, frozen=True):
    """One probe, as it is told to somebody who waits."""

    what: str
    probe: Probe


TellStep = Callable[[SearchEstimate | SearchStep], None]


class _Pair(Struct, frozen=True):
    """Two cells that differ in what they install, the first of which passes."""

    good: PlannedCell
    bad: PlannedCell
    """Both with their locks."""
    era: PlannedCell
    """The passing one as it was planned."""
    differing: dict[str, DistributionChange]
    graph: EntailmentGraph
    """Of what differs."""


class _SoFar(Struct):
    """What an explanation has come to."""

    remarks: list[str]
    causes: list[Cause] = field(default_factory=list)
    complete: bool = True
    """All was tried that there was budget for."""
    verified: bool = False
    """The pins were seen to be enough."""


class CauseSearch:
    """What one explanation needs."""

    def __init__(self, run: Run, prober: Prober, *, budget: int, told: TellStep) -> None:
        """Take at most `budget` cells for one explanation, but for the last check."""
        self._run = run
        self._services = run.services
        self._prober = prober
        self._at_once = run.plan.trial.jobs
        self._budget = budget
        self._told = told
        self._package = run.plan.selection.package
        self._number = 0
        self._first = 0
        self._verdicts: dict[Cause, Verdict] = {}
        """Of causes that don't tell it by themselves."""

    def explain(self, good: PlannedCell, bad: PlannedCell, *, again: bool = False) -> Explanation:
        """Explain two cells of one Python, the first of which is to pass and the second to fail.

        Of two versions the package under test is one of the changes. `again`: the record has results of these cells
        already, which are to stand. Raises `EndsContradict` where they don't pass and fail, `UsageError` where they
        install the same; what a cell raises that can't be prepared.
        """
        self._first = self._prober.cells
        ends = (self.with_lock(good), self.with_lock(bad))
        if again:
            ends = (relabelled(ends[0], "again"), relabelled(ends[1], "again"))
        at_end = self._seen_to_fail(good, bad, ends)
        so_far = _SoFar([text for end in ends if end.cell.resolution is Resolution.LOCK for text in _lock(end).remarks])
        self._rounds(ends, good, bad, at_end, so_far)
        causes = so_far.causes
        if not so_far.verified and _pins(causes):
            so_far.remarks.append("the pins were not seen to be enough")
        return Explanation(
            bad.cell,
            good.cell,
            self._verdict(causes, good, bad),
            len(changes(_lock(ends[0]), _lock(ends[1]))),
            tuple(causes),
            so_far.verified,
            self._prober.cells - self._first,
            so_far.complete,
            tuple(dict.fromkeys(so_far.remarks)),
            self._prober.test,
        )

    def _seen_to_fail(self, good: PlannedCell, bad: PlannedCell, ends: tuple[PlannedCell, PlannedCell]) -> Probe:
        """Return how the second one fails.

        Raises `EndsContradict` where it doesn't, or the first one doesn't pass; where one could not run, the error that
        `could_not_run` returns.
        """
        names = [_name(good), _name(bad)]
        if good.cell.version != bad.cell.version:
            names = [f"{good.cell.version} with {names[0]}", f"{bad.cell.version} with {names[1]}"]
        probes = self._probe(list(zip(ends, names, strict=True)))
        for planned, probe, wanted in zip((good, bad), probes, (Mark.GOOD, Mark.BAD), strict=True):
            if probe.mark is not wanted:
                which, how = f"{planned.cell.package} {planned.cell.version}", f"with {_name(planned)} dependencies"
                if (reason := self._prober.errors.get(probe.version)) is not None:
                    raise could_not_run(f"{which} {how}", reason)
                expected = "pass" if wanted is Mark.GOOD else "fail"
                error = EndsContradict(
                    f"{which} does not {expected} {how}: {(probe.first_line or probe.outcome).rstrip('.')}.",
                    hint="Name two ways to choose dependencies, with --good one that passes and with --bad one that "
                    "fails.",
                )
                error.untestable = probe.mark is Mark.UNTESTABLE
                raise error
        return probes[1]

    def _rounds(
        self,
        ends: tuple[PlannedCell, PlannedCell],
        good: PlannedCell,
        bad: PlannedCell,
        at_end: Probe,
        so_far: _SoFar,
    ) -> None:
        """Search for causes until their pins are enough; what still fails with the pins is searched again."""
        passing, failing = ends
        for _ in range(_ROUNDS):
            pair = self._pair(passing, failing, good)
            answer, found = self._round(pair, at_end, so_far.remarks)
            so_far.complete = answer.complete
            so_far.causes += found
            pins = _pins(so_far.causes)
            if not found or not pins or len({cause.pin for cause in found} - {""}) < len(found):
                return
            if bad.lock is not None:
                so_far.verified = self._without(pair, found)
                return
            failing, probe = self._with_pins(bad, pins)
            so_far.verified = probe.mark is Mark.GOOD
            if so_far.verified:
                if len(so_far.causes) > 1:
                    so_far.causes = self._needed(bad, so_far.causes, so_far.remarks)
                return
            if probe.mark is Mark.UNTESTABLE or not self._left():
                so_far.remarks.append(f"with {' and '.join(pins)} alone it is {probe.outcome}: {probe.first_line}")
                return

    # -- the search among what differs

    def _pair(self, good: PlannedCell, bad: PlannedCell, era: PlannedCell) -> _Pair:
        """Compare what the two install. Raises `UsageError` where that is the same."""
        before, after = _lock(good), _lock(bad)
        differing = {change.name: change for change in changes(before, after)}
        if not differing:
            raise UsageError(
                "Both install the same distributions, and yet one passes and the other fails.",
                hint="The test may be flaky; --repeat tells.",
            )
        assert good.interpreter is not None
        graph = entailing(before, after, self._metadata, markers_of(good.interpreter))
        return _Pair(good, bad, era, differing, graph)

    def _round(self, pair: _Pair, at_end: Probe, remarks: list[str]) -> tuple[CulpritSearchResult, list[Cause]]:
        graph = pair.graph
        groups = len(graph.units)
        self._told(SearchEstimate(tuple(pair.differing.values()), groups, most_trials(groups), self._left()))
        seen: dict[Changes, Probe] = {graph.everything: at_end}
        search = CulpritSearch(graph, at_once=self._at_once, budget=self._left())
        steps = search.steps()
        try:
            batch = next(steps)
            while True:
                probes = self._probe([self._combination(pair, tried) for tried in batch])
                seen.update(zip(batch, probes, strict=True))
                batch = steps.send([probe.mark for probe in probes])
        except StopIteration as stop:
            answer: CulpritSearchResult = stop.value
        if not answer.complete:
            remarks.append(f"--budget {self._budget} was spent before all was tried: there may be other causes")
        found = [self._causes(culprit, pair, seen[culprit.all], remarks) for culprit in answer.culprits]
        return answer, list(dict.fromkeys(cause for causes in found for cause in causes))

    def _combination(self, pair: _Pair, tried: Changes) -> tuple[PlannedCell, str]:
        self._number += 1
        good, differing = pair.good, pair.differing
        name = f"combination {self._number}"
        cell = replace(good.cell.beside(()), resolution=Resolution.LOCK, lock_name=name, attempt="")
        planned = replace(good, cell=cell, lock=between(_lock(good), _lock(pair.bad), tried))
        texts = [differing[name].text for name in sorted(tried)]
        return planned, ", ".join(texts) if len(texts) <= 3 else f"{len(texts)} of {len(differing)} changes"

    # -- the package, and what can only be changed with it

    def _causes(self, culprit: Culprit, pair: _Pair, probe: Probe, remarks: list[str]) -> list[Cause]:
        """Return what a culprit comes to; where the package under test is a part of it, only what is to blame of it."""
        if self._package not in culprit.all or culprit.all == {self._package}:
            return [self._cause(self._one_of_unit(culprit, pair, probe), pair, probe)]
        beside = sorted(culprit.all - {self._package})
        if pair.era.lock is None:
            for requirements in self._as_near_as_allowed(beside, pair, probe):
                planned = replace(pair.bad, cell=pair.bad.cell.beside(requirements), lock=None)
                name = f"{planned.cell.version} with {_told(requirements)}"
                if self._left() and self._probe([(planned, name)])[0].mark is Mark.GOOD:
                    near = self._pair(self.with_lock(planned), pair.bad, planned)
                    return self._round(near, probe, remarks)[1]
        return self._by_force(culprit, pair, probe, remarks)

    def _one_of_unit(self, culprit: Culprit, pair: _Pair, probe: Probe) -> Culprit:
        """Return the one of changes that can only be made together which fails alike by force, where just one does."""
        unit = culprit.changes
        if len(unit) == 1 or unit not in pair.graph.units or len(unit) > self._left():
            return culprit
        names = sorted(unit)
        probes = self._probe([self._combination(pair, frozenset({name})) for name in names])
        alike = [name for name, one in zip(names, probes, strict=True) if _is_alike(one, probe)]
        if len(alike) != 1:
            return culprit
        return replace(culprit, changes=frozenset(alike), entailed=culprit.all - set(alike))

    def _as_near_as_allowed(
        self, names: Sequence[str], pair: _Pair, probe: Probe
    ) -> Iterator[tuple[CellRequirement, ...]]:
        """Yield requirements that bring what must be changed with the package as near to the passing cell as the
        failing one allows: of the distribution that the failure points into, then of all.
        """
        assert pair.bad.interpreter is not None
        markers = markers_of(pair.bad.interpreter)
        found: dict[str, CellRequirement] = {}
        for name in names:
            try:
                page = self._services.packages.index.page(name)
            except TfTesterError:
                continue
            allowed = allowed_by(_lock(pair.bad), name, self._metadata, markers)
            near = nearest_allowed(pair.differing[name], choose(page, Choice("all")), allowed)
            if near is not None:
                found[name] = CellRequirement(name, str(near))
        pointed = pointed_at(probe.row, probe.owners)
        if pointed is not None and pointed.name in found and len(found) > 1:
            yield (found[pointed.name],)
        if found:
            yield tuple(found.values())

    def _by_force(self, culprit: Culprit, pair: _Pair, probe: Probe, remarks: list[str]) -> list[Cause]:
        """Tell the package apart from what it requires, by cells that its requirements don't allow: with exactly the
        files of the passing cell beside it, and with all but the package itself.
        """
        differing = pair.differing
        own, others = frozenset({self._package}), culprit.all - {self._package}
        texts = {name: differing[name].text for name in sorted(culprit.all)}
        whole = Cause(tuple(texts.values()), self._package, summary=probe.first_line, exact=culprit.exact)
        if self._left() < 2:
            self._verdicts[whole] = Verdict.UNKNOWN
            return [whole]
        alone, without = self._probe([self._combination(pair, own), self._combination(pair, others)])
        if _is_alike(alone, probe) or without.mark is Mark.GOOD:
            both = alone.mark is Mark.GOOD
            cause = whole if both else replace(whole, changes=(texts[self._package],))
            self._verdicts[cause] = Verdict.FRAMEWORK
            return [cause]
        if alone.mark is Mark.GOOD or _is_alike(without, probe):
            leader = next((name for name in others if name in culprit.changes), min(others))
            cause = replace(whole, changes=tuple(texts[name] for name in sorted(others)), project=leader)
            remarks.append(f"{pair.bad.cell.package} {pair.bad.cell.version} allows no version of it that passes")
            return [cause]
        pointed = pointed_at(probe.row, probe.owners)
        if pointed is not None and pointed.name in others and self._left() >= 2:
            its = frozenset({pointed.name})
            alone, without = self._probe([self._combination(pair, its), self._combination(pair, culprit.all - its)])
            if _is_alike(alone, probe) or without.mark is Mark.GOOD:
                return [replace(whole, changes=(texts[pointed.name],), project=pointed.name)]
        remarks.append(
            f"{self._package} can't be told apart from what it requires: each fails in another way without the other"
        )
        self._verdicts[whole] = Verdict.UNKNOWN
        return [whole]

    # -- from a culprit to a pin

    def _cause(self, culprit: Culprit, pair: _Pair, probe: Probe) -> Cause:
        differing, era = pair.differing, pair.era
        changed = [differing[name] for name in sorted(culprit.changes)]
        # What is tested is held to its version, and so is what can't be changed without it; another one can give way.
        held: Changes = next((unit for unit in pair.graph.units if self._package in unit), frozenset())
        others = [change for change in changed if change.name not in held]
        others = others or [change for change in changed if change.name == self._package] or changed
        leader = next((change for change in others if change.kind in _BETWEEN), others[0])
        cause = Cause(
            tuple(change.text for change in changed),
            leader.name,
            summary=probe.first_line,
            pin=self._plain_pin(leader, pair),
            exact=culprit.exact,
        )
        if leader.name == era.cell.package:
            return replace(cause, pin="")  # it is what is tested
        if leader.kind not in _BETWEEN or era.lock is not None:
            return cause
        beside = tuple(f"{one.name}=={one.after}" for one in changed if one is not leader and one.after is not None)
        # Of what these entail, whatever version they need, of any day.
        beside += tuple(name for name in sorted(culprit.entailed) if differing[name].after is not None)
        if any(one.name == era.cell.package for one in changed):
            return cause  # the passing cell can't have it
        border = self._border(leader, beside, era, alone=len(changed) == 1)
        if border is None:
            return cause
        last_good, first_bad = border
        pin = (
            f"{leader.name}<{upper_bound(last_good, first_bad)}"
            if leader.kind is LockChangeKind.UP
            else f"{leader.name}>={last_good}"
        )
        return replace(cause, last_good=last_good, first_bad=first_bad, pin=pin)

    def _plain_pin(self, leader: DistributionChange, pair: _Pair) -> str:
        match leader.kind:
            case LockChangeKind.UP:
                return f"{leader.name}<={leader.before}"
            case LockChangeKind.DOWN:
                return f"{leader.name}>={leader.before}"
            case LockChangeKind.REMOVED:
                return f"{leader.name}=={leader.before}"
            case LockChangeKind.ADDED:
                # What nobody needs isn't installed: the one that needs it must be an older one.
                bad, differing = pair.bad, pair.differing
                assert bad.interpreter is not None
                bringing = requirers(_lock(bad), leader.name, self._metadata, markers_of(bad.interpreter))
                older = [differing[name] for name in bringing if name in differing and differing[name].before]
                return f"{older[0].name}=={older[0].before}" if older else ""
            case LockChangeKind.OTHER:
                return ""
            case kind:
                assert_never(kind)

    def _border(
        self, leader: DistributionChange, others: tuple[str, ...], era: PlannedCell, *, alone: bool
    ) -> tuple[str, str] | None:
        """Find the last version that passes and the first that fails in the passing cell; None: not found."""
        assert leader.before is not None and leader.after is not None
        low, high = sorted((Version(leader.before), Version(leader.after)))
        try:
            page = self._services.packages.index.page(leader.name)
            ordinary = choose(page, Choice("all", pre=low.is_prerelease or high.is_prerelease))
        except TfTesterError:
            return None
        line = [low, *(one for one in ordinary if low < one < high), high]
        if leader.kind is LockChangeKind.DOWN:
            line.reverse()

        def cells(indexes: Sequence[int]) -> list[tuple[PlannedCell, str]]:
            found = []
            for index in indexes:
                besides = (CellRequirement(leader.name, str(line[index])), *map(CellRequirement.parse, others))
                cell = replace(era, cell=era.cell.beside(besides), lock=None)
                found.append((cell, f"{leader.name} {line[index]}"))
            return found

        ends = [len(line) - 1] if alone else [0, len(line) - 1]
        if len(ends) > self._left():
            return None
        marks = [probe.mark for probe in self._probe(cells(ends))]
        # That the first one passes beside the others' new ones was seen, even if no resolver puts them together.
        if marks[-1] is not Mark.BAD or (not alone and marks[0] is Mark.BAD):
            return None
        steps = halving(len(line), at_once=self._at_once)
        try:
            indexes = next(steps)
            while len(indexes) <= self._left():
                indexes = steps.send([probe.mark for probe in self._probe(cells(indexes))])
        except StopIteration as stop:
            change: Transition = stop.value
            return str(line[change.before]), str(line[change.after])
        return None

    # -- whether the pins are enough, and each is needed

    def _with_pins(self, bad: PlannedCell, pins: tuple[str, ...]) -> tuple[PlannedCell, Probe]:
        planned = replace(bad, cell=bad.cell.beside(map(CellRequirement.parse, pins)), lock=None)
        [probe] = self._probe([(planned, f"{_name(bad)} with {' and '.join(pins)}")], anew=True)
        if probe.mark is Mark.BAD:
            planned = self.with_lock(planned)
        return planned, probe

    def _without(self, pair: _Pair, causes: Sequence[Cause]) -> bool:
        """Tell whether a given lock passes with just what is pinned as in the passing cell, and what that entails."""
        rest = pair.graph.without(pair.graph.everything, {cause.project for cause in causes})
        planned, _ = self._combination(pair, rest)
        [probe] = self._probe([(planned, f"{_name(pair.bad)} with {' and '.join(_pins(causes))}")], anew=True)
        return probe.mark is Mark.GOOD

    def _needed(self, bad: PlannedCell, causes: list[Cause], remarks: list[str]) -> list[Cause]:
        """Keep those without whose pin it fails; what only the passing cell's own dependencies can't bear isn't one."""
        kept = list(causes)
        for cause in causes:
            rest = _pins([one for one in kept if one is not cause])
            if not rest or cause.pin in rest:
                continue
            _, probe = self._with_pins(bad, rest)
            if probe.mark is Mark.GOOD:
                kept.remove(cause)
                remarks.append(
                    f"{' and '.join(cause.changes)} alone fails beside the passing cell's other dependencies, "
                    f"but with {' and '.join(rest)} the newer ones go together"
                )
        return kept

    # -- small things

    def _verdict(self, causes: Sequence[Cause], good: PlannedCell, bad: PlannedCell) -> Verdict:
        """Return who is to blame: a dependency if one is; the package only where exactly the same was beside it."""
        found = {self._verdicts.get(cause, self._verdict_of(cause)) for cause in causes}
        if not found:
            return Verdict.DEPENDENCY if good.cell.version == bad.cell.version else Verdict.UNKNOWN
        return next(one for one in (Verdict.DEPENDENCY, Verdict.UNKNOWN, Verdict.FRAMEWORK) if one in found)

    def _verdict_of(self, cause: Cause) -> Verdict:
        is_package = [text.split(" ")[0] for text in cause.changes] == [self._package]
        return Verdict.FRAMEWORK if is_package else Verdict.DEPENDENCY

    def _left(self) -> int:
        """Return how many probes the budget has left."""
        return max(0, self._budget - (self._prober.cells - self._first)) // self._prober.repeat

    def _probe(self, wanted: Sequence[tuple[PlannedCell, str]], *, anew: bool = False) -> list[Probe]:
        def one(item: tuple[PlannedCell, str]) -> Probe:
            planned, name = item
            probe = self._prober.probe(planned, name, anew=anew)
            self._told(SearchStep(name, probe))
            return probe

        if len(wanted) == 1:
            return [one(wanted[0])]
        with self._run.threads(self._at_once, "blame") as pool:
            return list(pool.map(one, wanted))

    def with_lock(self, planned: PlannedCell) -> PlannedCell:
        if planned.interpreter is None:
            assert planned.refusal is not None
            raise UsageError(planned.refusal.summary, hint=planned.refusal.hint)
        lock, _ = self._run.preparer.locked(Preparation(planned, planned.interpreter))
        return replace(planned, lock=lock)

    def _metadata(self, pin: Pin) -> bytes:
        try:
            return self._services.packages.metadata(pin.artifact)
        except TfTesterError:
            return b""  # no requirements are known then; a combination that doesn't fit together is tried at worst


def relabelled(planned: PlannedCell, name: str) -> PlannedCell:
    """Return a cell that has its lock, under another name in the record."""
    return replace(planned, cell=replace(planned.cell, attempt=name))


def _lock(planned: PlannedCell) -> Lock:
    assert planned.lock is not None
    return planned.lock


def _name(planned: PlannedCell) -> str:
    """Return how its dependencies were chosen."""
    return planned.cell.lock_name if planned.cell.resolution is Resolution.LOCK else str(planned.cell.resolution)


def _is_alike(probe: Probe, other: Probe) -> bool:
    """Tell whether two cells fail in the same way, as far as their first lines say."""
    words = without_varying(probe.first_line)
    return probe.mark is Mark.BAD and words == without_varying(other.first_line)


def _told(requirements: Sequence[CellRequirement]) -> str:
    texts = [one.text for one in requirements]
    return ", ".join(texts) if len(texts) <= 3 else f"{len(texts)} older dependencies"


def _pins(causes: Sequence[Cause]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(cause.pin for cause in causes if cause.pin))


class BlameRequest(Struct, frozen=True):
    """What is asked."""

    good: str = "era"
    """How the dependencies are chosen with which the test passes: `era`, `latest`, `lowest`, or the file of a lock."""
    bad: str = "latest"
    """With which it fails."""
    budget: int = 100
    """Cells at the most, but for the last check."""
    repeat: int = 1


class BlameResult(Struct, frozen=True):
    """The answer."""

    explanation: Explanation
    exit_code: int
    """0 where it is known what is to blame, else 3; 4 where a cell failed by the network, the disk or tf-tester."""


def blame(selection: Selection, trial: Trial, services: Services, request: BlameRequest, told: TellStep) -> BlameResult:
    """Explain one version on one Python. Raises `UsageError` where the ends are not what they are said to be."""
    jobs = jobs_of(trial)
    good, remarks, page = _end(selection, trial, services, request.good)
    if good.interpreter is None and good.refusal is not None:
        raise UsageError(good.refusal.summary, hint=good.refusal.hint)
    # With the same Python: else that would be what differs.
    here = selection if good.interpreter is None else replace(selection, pythons=(str(good.interpreter.path),))
    bad, _, _ = _end(here, trial, services, request.bad)
    plan = RunPlan(selection, trial, jobs, page, (good, bad), remarks, command="blame")

    def explained(run: Run) -> BlameResult:
        prober = Prober(run, repeat=request.repeat)
        explanation = CauseSearch(run, prober, budget=request.budget, told=told).explain(good, bad)
        services.run.tell(CellExplained(explanation))
        codes = [error.exit_code for error in prober.errors.values() if error.exit_code == OWN_FAILURE]
        return BlameResult(explanation, gravest([*codes, 0 if explanation.causes else INCOMPLETE]))

    return carry_out(plan, services, explained)


def _end(
    selection: Selection, trial: Trial, services: Services, how: str
) -> tuple[PlannedCell, tuple[str, ...], ProjectPage]:
    given = is_file_of_lock(how)
    if not given and how not in (Resolution.ERA, Resolution.LATEST, Resolution.LOWEST):
        raise UsageError(
            f"{how!r} is not a way to choose dependencies.", hint="Give era, latest, lowest, or the file of a lock."
        )
    selection = selection if given else replace(selection, resolution=Resolution(how))
    selected = select_cells(selection, services)
    selected = selected if given else with_pythons_for_all(selected, selection, trial, services)
    if len(selected.cells) != 1:
        raise UsageError(
            f"The selection means {count_text(len(selected.cells), 'cell', none='no')}; blame explains one.",
            hint=f"Give one version of {selection.package} with --versions, and one --python.",
        )
    [planned] = selected.cells
    if given:
        planned = locked_cell(planned, Path(how), services)
    return planned, selected.remarks, selected.page
