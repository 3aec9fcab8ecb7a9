"""Why cells of a finished matrix fail: each kind of failure is looked into once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tf_tester.core.bisect import Verdict
from tf_tester.core.differences import Signature, kinds_of_failure
from tf_tester.errors import TfTesterError
from tf_tester.flow.blame import Blaming, NotAsSaid, Told, Tried, called
from tf_tester.flow.looking import Looking
from tf_tester.flow.prepare import Preparer
from tf_tester.flow.services import Services
from tf_tester.model.cause import Blame, Explanation
from tf_tester.model.cell import PlannedCell
from tf_tester.model.events import CellExplained
from tf_tester.model.lock import Resolution
from tf_tester.model.outcome import CellResult
from tf_tester.model.request import Selection, Trial

_BUDGET = 60
"""Cells for one kind of failure."""


def explain_failures(
    selection: Selection,
    trial: Trial,
    services: Services,
    preparer: Preparer,
    cells: Sequence[PlannedCell],
    results: Mapping[str, CellResult],
    told: Told,
) -> None:
    """Tell a `CellExplained` for one cell of each kind of failure, the first that shows it.

    It is compared with the same cell with other dependencies, where that passes; else with the nearest version that
    passes on the same Python; else it is only run again.
    """
    looking = Looking(trial, preparer, services, selection.package)
    blaming = Blaming(selection.package, preparer, looking, services, at_once=trial.jobs, budget=_BUDGET, told=told)
    for planned in _first_of_each_kind(cells, results):
        try:
            explanation = _explain(planned, cells, results, blaming, looking, told)
        except NotAsSaid:
            # It was seen to pass and to fail.
            explanation = Explanation(planned.cell, planned.cell, Blame.FLAKY, 0, (), verified=True, cells=2)
        except TfTesterError as error:
            remarks = (f"why it fails could not be found out: {error}",)
            explanation = Explanation(planned.cell, planned.cell, Blame.UNKNOWN, 0, (), False, 0, remarks=remarks)
        services.tell(CellExplained(explanation))


def _explain(
    planned: PlannedCell,
    cells: Sequence[PlannedCell],
    results: Mapping[str, CellResult],
    blaming: Blaming,
    looking: Looking,
    told: Told,
) -> Explanation:
    cell = planned.cell
    other = replace(
        cell, resolution=Resolution.LATEST if cell.resolution is Resolution.ERA else Resolution.ERA, also=()
    )
    counterpart = replace(planned, cell=other, lock=None)
    look = looking.at(counterpart, str(other.resolution))
    told(Tried(f"{cell.version} with {other.resolution} dependencies", look))
    if look.verdict is Verdict.GOOD:
        return blaming.explain(counterpart, planned, again=True)
    fails_too = f"{look.outcome} with {other.resolution} dependencies, too" if look.verdict is Verdict.BAD else ""
    neighbour = _nearest_that_passes(planned, cells, results)
    if neighbour is not None:
        explanation = blaming.explain(neighbour, planned, again=True)
        return replace(explanation, remarks=(*explanation.remarks, fails_too) if fails_too else explanation.remarks)
    again = looking.at(called(blaming.with_lock(planned), "again"), str(cell.resolution))
    told(Tried(f"{cell.version} again", again))
    verdict = Blame.FLAKY if again.verdict is Verdict.GOOD else Blame.UNKNOWN
    remarks = (fails_too,) if fails_too and verdict is Blame.UNKNOWN else ()
    return Explanation(cell, cell, verdict, 0, (), verified=verdict is Blame.FLAKY, cells=2, remarks=remarks)


def _first_of_each_kind(cells: Sequence[PlannedCell], results: Mapping[str, CellResult]) -> Iterator[PlannedCell]:
    seen: set[Signature] = set()
    for planned in cells:
        result = results.get(planned.cell.key)
        if result is None or not result.outcome.is_failure_of_the_test:
            continue
        kinds = set(kinds_of_failure(result))
        if kinds - seen:
            yield planned
        seen |= kinds


def _nearest_that_passes(
    planned: PlannedCell, cells: Sequence[PlannedCell], results: Mapping[str, CellResult]
) -> PlannedCell | None:
    """Of the same Python and resolution; of two as near, the older one."""
    line = [
        one
        for one in cells
        if (one.cell.python, one.cell.resolution, one.cell.package)
        == (planned.cell.python, planned.cell.resolution, planned.cell.package)
    ]
    place = line.index(planned)
    passing = [
        (abs(index - place), index)
        for index, one in enumerate(line)
        if one.cell.key in results and str(results[one.cell.key].outcome) == "pass"
    ]
    return line[min(passing)[1]] if passing else None
