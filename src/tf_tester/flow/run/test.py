"""Run a trial in every cell of a matrix."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from tf_tester.core.outcome.exits import exit_code
from tf_tester.errors import INTERRUPTED
from tf_tester.flow.prepare.locked import select_locked
from tf_tester.flow.prepare.pythons import with_pythons_for_all
from tf_tester.flow.prepare.select import select_cells
from tf_tester.flow.prepare.services import Services
from tf_tester.flow.run.cells import run_cell
from tf_tester.flow.run.ephemeral import Ephemeral
from tf_tester.flow.run.frame import Run, carry_out
from tf_tester.flow.run.jobs import jobs_of
from tf_tester.flow.run.plan import RunPlan
from tf_tester.model.cell import Cell, PlannedCell
from tf_tester.model.events import CellFinished
from tf_tester.model.outcome import CellResult, Outcome
from tf_tester.model.request import Selection, Trial

_AHEAD = 4
"""Cells that are prepared while `jobs` others run."""


After = Callable[[Run, Mapping[str, CellResult]], Iterable[CellResult]]
"""What is done when all cells are finished, with their results by the cell's name; it gives anew those it changes."""


_T = TypeVar("_T")
JudgeRun = Callable[[Sequence[Cell], Mapping[str, CellResult]], int]


class Tested(Struct, frozen=True):
    """What a matrix came to."""

    exit_code: int


def test(
    selection: Selection,
    trial: Trial,
    services: Services,
    *,
    after: After | None = None,
    locks: Sequence[Path] = (),
    judged: JudgeRun | None = None,
    ends_at_failure: bool = False,
) -> int:
    """Run the matrix, telling events as they happen, and return the exit code.

    `locks`: these are the cells, and nothing else. `judged` gives another exit code where the run wasn't interrupted.
    `ends_at_failure`: with the first cell that fails the others end, of which nothing is told then.
    Raises `UsageError` and `IndexUnreachable` before the first event; after it everything is an event.
    """
    jobs = jobs_of(trial)
    if locks:
        selected = select_locked(locks, services, selection.package)
    else:
        selected = with_pythons_for_all(select_cells(selection, services), selection, trial, services)
    plan = RunPlan(selection, trial, jobs, selected.page, selected.cells, selected.remarks, tuple(locks))
    work = partial(_matrix, after=after, judged=judged, ends_at_failure=ends_at_failure)
    return carry_out(plan, services, work).exit_code


def _matrix(run: Run, *, after: After | None, judged: JudgeRun | None, ends_at_failure: bool) -> Tested:
    """Run all cells, then what comes after them. Interrupted, it tells of each cell all the same."""
    results: dict[str, CellResult] = {}
    try:
        try:
            _run_all(run, results, ends_at_failure=ends_at_failure)
        finally:
            run.replay.settle()
        if after is not None and not run.gate.closed:
            for result in after(run, dict(results)):
                results[result.cell] = result
                run.services.run.tell(CellFinished(result))
    except KeyboardInterrupt:
        run.stop()
        return Tested(INTERRUPTED)
    if judged is not None:
        return Tested(judged([planned.cell for planned in run.plan.cells], results))
    return Tested(exit_code(results.values(), interrupted=False))


def _run_all(run: Run, results: dict[str, CellResult], *, ends_at_failure: bool) -> None:
    """Run the cells, as many at once as are allowed, and put what they come to into `results`."""

    def finished(result: CellResult) -> None:
        results[result.cell] = result
        for value in run.values.get(result.cell, ()):
            run.services.run.tell(value)
        run.services.run.tell(CellFinished(result))

    def one(planned: PlannedCell) -> CellResult:
        result = run_cell(run, planned, replay=run.replay)
        if ephemeral is not None:
            ephemeral.tested(planned.cell.name)
        return result

    with _left_clean(run) as ephemeral:
        # One version after another, where the disk has no space for two.
        at_once = 1 if ephemeral is not None else run.plan.trial.jobs + _AHEAD
        with run.threads(at_once, "cell") as workers:
            futures = {workers.submit(one, planned): planned for planned in run.plan.cells}
            try:
                for future in as_they_end(futures):
                    finished(future.result())
                    if ends_at_failure and future.result().outcome.is_failure_of_the_test:
                        for result in _ended(run, workers, futures, results):
                            if result.outcome is not Outcome.INTERRUPTED:  # it had come to its end, too
                                finished(result)
                        break
            except KeyboardInterrupt:
                for result in _ended(run, workers, futures, results):
                    finished(result)
                raise


def _ended(
    run: Run,
    workers: ThreadPoolExecutor,
    futures: Mapping[Future[CellResult], PlannedCell],
    results: Mapping[str, CellResult],
) -> list[CellResult]:
    """End everything at once, and return what the cells came to that have no result yet."""
    run.stop()
    workers.shutdown(wait=True, cancel_futures=True)
    left = [(future, planned) for future, planned in futures.items() if planned.cell.name not in results]
    return [_result_after_interrupt(future, planned) for future, planned in left]


@contextmanager
def _left_clean(run: Run) -> Iterator[Ephemeral | None]:
    """Yield what cleans up behind each cell where that is wanted; and clean up at the end."""
    if not run.plan.trial.ephemeral:
        yield None
        return
    ephemeral = Ephemeral(run)
    try:
        yield ephemeral
    finally:
        ephemeral.finish()


def as_they_end(futures: Iterable[Future[_T]]) -> Iterator[Future[_T]]:
    """Yield futures as they end; waiting for them can be interrupted."""
    pending = set(futures)
    while pending:
        # A timeout, because a wait without one can't be interrupted by Ctrl-C on Windows.
        done, pending = wait(pending, timeout=0.5, return_when="FIRST_COMPLETED")
        yield from done


def _result_after_interrupt(future: Future[CellResult], planned: PlannedCell) -> CellResult:
    if future.done() and not future.cancelled() and future.exception() is None:
        return future.result()
    return CellResult(planned.cell.name, Outcome.INTERRUPTED, "interrupted")
