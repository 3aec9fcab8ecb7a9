"""Why cells of a finished matrix fail: each kind of failure is looked into once."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path

from msgspec.structs import replace

from tf_tester.core.outcome.failures import Signature, kinds_of_failure, rows_of
from tf_tester.core.verdict.bisect import Mark, was_refused
from tf_tester.core.verdict.drift import series_bounds
from tf_tester.core.verdict.traces import pointed_at
from tf_tester.errors import CellRefused, EndsContradict, TfTesterError
from tf_tester.flow.explain.blame import CauseSearch, SearchStep, TellStep, relabelled
from tf_tester.flow.explain.probes import Prober
from tf_tester.flow.prepare.prepare import Preparation
from tf_tester.flow.prepare.pythons import PythonChoice
from tf_tester.flow.run.frame import Run
from tf_tester.model.cause import Explanation, Verdict
from tf_tester.model.cell import Cell, CellRequirement, PlannedCell
from tf_tester.model.events import CellExplained
from tf_tester.model.lock import Resolution
from tf_tester.model.outcome import CellResult, Outcome, TestRow

_SUSPECTS = 8
"""Cells with an older series of a dependency, where nothing else passes."""
_BUDGET = 60
"""Cells for one kind of failure."""
_OTHER_GRACES = (timedelta(), timedelta(days=90))
"""How long after the release dependencies may have come out where it passes neither with those of the usual time nor
with today's: what breaks it may have come soon, what repairs it late.
"""


def explain_failures(run: Run, results: Mapping[str, CellResult], told: TellStep) -> None:
    """Tell a `CellExplained` for one test of each kind of failure, the first that shows it.

    Its cell is compared with the same cell with other dependencies (today's, the era's, those of a shorter or a longer
    era), where the test passes with those; else with the nearest version with which it passes on the same Python; else
    it is only run again. Nothing is taken from an earlier
    run. Of given locks none is made anew: only with what is in the matrix they are compared.
    """
    cells = run.plan.cells
    prober = Prober(run, replay=False)
    search = CauseSearch(run, prober, budget=_BUDGET, told=told)
    explainer = _Explainer(run, results, search, prober, told)
    for planned, test in _one_of_each_kind(cells, results):
        prober.test = test
        try:
            explanation = explainer.explain(planned)
        except EndsContradict as error:
            # It was seen to pass and to fail; or it could not be seen.
            verdict = Verdict.UNKNOWN if error.untestable else Verdict.FLAKY
            remarks = (f"why it fails could not be found out: {error}",) if error.untestable else ()
            explanation = _without_causes(planned.cell, verdict, remarks, test)
        except TfTesterError as error:
            remarks = (f"why it fails could not be found out: {error}",)
            explanation = _without_causes(planned.cell, Verdict.UNKNOWN, remarks, test)
        run.services.run.tell(CellExplained(explanation))


def _without_causes(cell: Cell, verdict: Verdict, remarks: tuple[str, ...], test: str) -> Explanation:
    flaky = verdict is Verdict.FLAKY
    return Explanation(cell, cell, verdict, 0, (), verified=flaky, cells=2, remarks=remarks, test=test)


class _Explainer:
    """What all explanations of a run share."""

    def __init__(
        self,
        run: Run,
        results: Mapping[str, CellResult],
        search: CauseSearch,
        prober: Prober,
        told: TellStep,
    ) -> None:
        self._run = run
        self._cells = run.plan.cells
        self._results = results
        self._search = search
        self._prober = prober
        self._told = told

    def explain(self, planned: PlannedCell) -> Explanation:
        cell = planned.cell
        row = next(iter(rows_of(self._results[cell.name], self._prober.test)), None)
        if row is not None and row.sandboxed and (explanation := self._in_the_sandbox(planned, row)) is not None:
            return explanation
        remarks: tuple[str, ...] = ()
        other = self._with_other_dependencies(planned)
        if other is not None:
            name = f"{cell.version} with {other.cell.resolution} dependencies"
            probe = self._probe(other, "other", name)
            if probe is Mark.GOOD:
                return self._search.explain(other, planned, again=True)
            if probe is Mark.BAD:
                remarks = (f"fails with {other.cell.resolution} dependencies, too",)
        for other, name in self._with_other_graces(planned):
            if self._probe(other, other.cell.attempt, f"{cell.version} with {name}") is Mark.GOOD:
                known = relabelled(other, f"{other.cell.attempt}-again")
                explanation = self._search.explain(known, relabelled(planned, "again"))
                passes = f"passes with {name}: dependencies of an era of another length"
                return replace(explanation, cell=cell, against=other.cell, remarks=(*explanation.remarks, passes))
        neighbour = self._nearest_that_passes(planned, python=cell.python)
        if neighbour is not None:
            explanation = self._search.explain(neighbour, planned, again=True)
            return replace(explanation, remarks=(*explanation.remarks, *remarks))
        if (explained := self._on_the_python_of_one_that_passes(planned)) is not None:
            return replace(explained, remarks=(*explained.remarks, *remarks))
        for older in islice(self._with_older_suspects(planned), _SUSPECTS):
            if self._probe(older, "other", f"{cell.version} with {older.cell.besides[0].text}") is Mark.GOOD:
                explanation = self._search.explain(older, planned, again=True)
                return replace(explanation, remarks=(*explanation.remarks, *remarks))
        again = self._probe(planned, "again", f"{cell.version} again")
        verdict = Verdict.FLAKY if again is Mark.GOOD else Verdict.UNKNOWN
        return _without_causes(cell, verdict, () if verdict is Verdict.FLAKY else remarks, self._prober.test)

    def _in_the_sandbox(self, planned: PlannedCell, row: TestRow) -> Explanation | None:
        """Return that it is the sandbox; None where the test fails in the same way without what keeps it.

        Only what lets nothing out is tried: a path is shown to one more run, for itself, of which nothing is kept but
        what it came to. Neither the network nor a call to the system is given to a test that nobody has given it to.
        """
        cell, path = planned.cell, row.unshown
        found = _without_causes(cell, Verdict.SANDBOX, (), self._prober.test)
        execution = self._run.services.execution
        lets_out = self._run.plan.trial.writable or execution.network or execution.sandbox.gaps
        if lets_out or not path or f"--data {path}" not in row.sandboxed:
            return replace(found, cells=1)
        name = f"{cell.version} with --data {path}"
        probe = self._prober.try_with_data(relabelled(planned, "data"), Path(path), name)
        self._told(SearchStep(name, probe))
        if probe.mark is Mark.GOOD:
            return replace(found, verified=True, remarks=(f"passes with --data {path}",))
        same = probe.row is not None and probe.row.unshown == path
        return None if same else replace(found, remarks=(f"fails in another way with --data {path}",))

    def _probe(self, planned: PlannedCell, called_so: str, name: str) -> Mark:
        """Run a cell of one's own; what can't be resolved shows nothing."""
        try:
            locked = self._search.with_lock(planned)
        except CellRefused:
            return Mark.UNTESTABLE
        probe = self._prober.probe(relabelled(locked, called_so), name)
        self._told(SearchStep(name, probe))
        return probe.mark

    def _with_other_dependencies(self, planned: PlannedCell) -> PlannedCell | None:
        cell = planned.cell
        if planned.lock is None:
            resolution = Resolution.LATEST if cell.resolution is Resolution.ERA else Resolution.ERA
            return replace(planned, cell=replace(cell.beside(()), resolution=resolution))
        same = [
            one
            for one in self._cells
            if one is not planned and (one.cell.version, one.cell.python) == (cell.version, cell.python)
        ]
        return next((one for one in same if self._passes(one)), None)

    def _with_older_suspects(self, planned: PlannedCell) -> Iterator[PlannedCell]:
        """Yield the cell with an older series of one dependency: of what the failure points into or went through, then
        of what was asked for beside the package. What is allowed may pass although no cell of the run does.
        """
        result = self._results[planned.cell.name]
        pointed = pointed_at(next(iter(rows_of(result, self._prober.test)), None), result.owners)
        suspects = [pointed.name, *sorted(pointed.through)] if pointed is not None else []
        suspects += [CellRequirement.parse(text).name for text in self._run.plan.trial.requirements]
        if planned.lock is not None or (lock := self._search.with_lock(planned).lock) is None:
            return
        versions = {pin.name: pin.version for pin in lock.pins if pin.name != planned.cell.package}
        for name in dict.fromkeys(suspects):
            for bound in series_bounds(versions[name]) if name in versions else ():
                older = planned.cell.beside((CellRequirement.parse(f"{name}<{bound}"),))
                yield replace(planned, cell=older)

    def _with_other_graces(self, planned: PlannedCell) -> Iterator[tuple[PlannedCell, str]]:
        """Yield the cell with the locks of other eras, as far as they are others, and what these are called."""
        if planned.lock is not None or planned.interpreter is None or planned.cell.resolution is not Resolution.ERA:
            return
        seen = [self._search.with_lock(planned).lock]
        for grace in _OTHER_GRACES:
            try:
                lock, _ = self._run.preparer.locked(Preparation(planned, planned.interpreter, grace=grace))
            except CellRefused:
                continue
            if any(one is not None and one.pins == lock.pins for one in seen):
                continue
            seen.append(lock)
            name = f"--grace {grace.days}d"
            yield replace(planned, cell=replace(planned.cell, attempt=f"grace-{grace.days}d"), lock=lock), name

    def _on_the_python_of_one_that_passes(self, planned: PlannedCell) -> Explanation | None:
        """Compare with the nearest cell that passes on another Python, both on that one; None: there is none."""
        good = self._nearest_that_passes(planned)
        if good is None or planned.lock is not None:
            return None
        plan = self._run.plan
        choice = PythonChoice(plan.selection, plan.page, self._run.preparer, self._run.services)
        [here] = choice.on(planned, [good.cell.python])
        if here.interpreter is None or here.cell.version == good.cell.version:
            return None
        name = f"{here.cell.version} on Python {here.cell.python}"
        mark = self._probe(here, "other", name)
        if mark is Mark.GOOD:
            told = (f"passes on Python {here.cell.python}, with the dependencies that it has there",)
            return replace(_without_causes(planned.cell, Verdict.PYTHON, told, self._prober.test), against=here.cell)
        if mark is not Mark.BAD:
            return None
        explanation = self._search.explain(good, here, again=True)
        both = f"both on Python {here.cell.python}, where it fails, too"
        return replace(explanation, cell=planned.cell, remarks=(*explanation.remarks, both))

    def _nearest_that_passes(self, planned: PlannedCell, python: str = "") -> PlannedCell | None:
        """Return the nearest cell of the same resolution that passes; of two as near, the older one.

        `python`: only cells of this one.
        """
        line = [
            one
            for one in self._cells
            if (one.cell.resolution, one.cell.package) == (planned.cell.resolution, planned.cell.package)
            and (one is planned or one.cell.python == (python or one.cell.python))
        ]
        place = line.index(planned)
        passing = [(abs(index - place), index) for index, one in enumerate(line) if self._passes(one)]
        return line[min(passing)[1]] if passing else None

    def _passes(self, planned: PlannedCell) -> bool:
        """Tell whether the test that counts passes, whatever else the cell came to."""
        result = self._results.get(planned.cell.name)
        outcomes = {row.outcome for row in rows_of(result, self._prober.test)} if result else set()
        return outcomes == {Outcome.PASS}


def _one_of_each_kind(
    cells: Sequence[PlannedCell], results: Mapping[str, CellResult]
) -> Iterator[tuple[PlannedCell, str]]:
    """Yield a cell and the test in it that shows a kind of failure first; empty: no test to name."""
    seen: set[Signature] = set()
    for planned in cells:
        result = results.get(planned.cell.name)
        if result is None or not result.outcome.is_failure_of_the_test or was_refused(result):
            continue
        for signature, (row, _) in kinds_of_failure(result).items():
            if signature not in seen:
                seen.add(signature)
                yield planned, row.id if row is not None else ""
