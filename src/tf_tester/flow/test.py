"""Run a trial in every cell of a matrix."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from tf_tester.core.report import exit_code
from tf_tester.flow.cells import PREPARING, Gate, run_cell, run_started
from tf_tester.flow.leavings import Leavings
from tf_tester.flow.locked import select_locked
from tf_tester.flow.prepare import Preparer
from tf_tester.flow.replay import Replay
from tf_tester.flow.select import select_cells
from tf_tester.flow.services import Services
from tf_tester.flow.trial import jobs_of, tools_of
from tf_tester.model.cell import Cell, PlannedCell
from tf_tester.model.events import CellFinished, RunFinished
from tf_tester.model.outcome import CellResult, Outcome
from tf_tester.model.request import Selection, Trial

_AHEAD = 4
"""Cells that are prepared while `jobs` others run."""


After = Callable[[Preparer, Sequence[PlannedCell], Mapping[str, CellResult]], None]
"""What is done when all cells are finished, with their results by key."""


Judged = Callable[[Sequence[Cell], Mapping[str, CellResult]], int]


def test(
    selection: Selection,
    trial: Trial,
    services: Services,
    *,
    run_id: str,
    started: str,
    tool: str,
    after: After | None = None,
    locks: Sequence[Path] = (),
    judged: Judged | None = None,
) -> int:
    """Run the matrix, telling events as they happen; the exit code.

    `locks`: these are the cells, and nothing else. `judged` gives another exit code where the run wasn't interrupted.
    Raises `UsageError` and `IndexUnreachable` before the first event; after it everything is an event.
    """
    jobs = jobs_of(trial)
    selected = select_locked(locks, services, selection.package) if locks else select_cells(selection, services)
    page, cells = selected.page, selected.cells
    tell, clock = services.run.tell, services.run.monotonic
    begun = clock()
    remarks = (*selected.remarks, *trial.remarks)
    tell(
        run_started(
            selection,
            trial,
            cells,
            services,
            run_id=run_id,
            started=started,
            tool=tool,
            remarks=remarks,
            locks=locks,
        )
    )
    results: dict[str, CellResult] = {}
    interrupted = False
    gate = Gate(trial, selection.package, services)
    replay = Replay(trial, jobs, services)
    with ThreadPoolExecutor(PREPARING, "layers") as pool:
        preparer = Preparer(selection, trial, page, services, pool, tools=tools_of(jobs), only_given=bool(locks))
        leavings = Leavings(cells, preparer, services, pool) if trial.ephemeral else None
        # One version after another, where the disk has no room for two.
        at_once = 1 if trial.ephemeral else trial.jobs + _AHEAD
        with ThreadPoolExecutor(at_once, "cell") as workers, _left_clean(leavings):
            futures = {
                workers.submit(
                    run_cell, planned, preparer, trial, jobs, gate, services, leavings, replay=replay
                ): planned
                for planned in cells
            }
            try:
                for future in _as_they_end(futures):
                    result = future.result()
                    results[result.cell] = result
                    tell(CellFinished(result))
            except KeyboardInterrupt:
                interrupted = True
                gate.close()
                services.run.stop()
                workers.shutdown(wait=True, cancel_futures=True)
                for future, planned in futures.items():
                    if planned.cell.key not in results:
                        result = _result_after_interrupt(future, planned)
                        results[result.cell] = result
                        tell(CellFinished(result))
            except BaseException:
                # A mistake of ours in one cell: don't let the user wait for the others.
                gate.close()
                services.run.stop()
                workers.shutdown(wait=True, cancel_futures=True)
                raise
        replay.settle()
        if after is not None and not interrupted:
            try:
                after(preparer, cells, results)
            except KeyboardInterrupt:
                interrupted = True
                services.run.stop()
    code = exit_code(tuple(results.values()), interrupted=interrupted)
    if judged is not None and not interrupted:
        code = judged([planned.cell for planned in cells], results)
    tell(RunFinished(code, interrupted, clock() - begun))
    return code


@contextmanager
def _left_clean(leavings: Leavings | None) -> Iterator[None]:
    try:
        yield
    finally:
        if leavings is not None:
            leavings.rest()


def _as_they_end(futures: dict[Future[CellResult], PlannedCell]) -> Iterator[Future[CellResult]]:
    pending = set(futures)
    while pending:
        # A timeout, because a wait without one can't be interrupted by Ctrl-C on Windows.
        done, pending = wait(pending, timeout=0.5, return_when="FIRST_COMPLETED")
        yield from done


def _result_after_interrupt(future: Future[CellResult], planned: PlannedCell) -> CellResult:
    if future.done() and not future.cancelled() and future.exception() is None:
        return future.result()
    return CellResult(planned.cell.key, Outcome.INTERRUPTED, "interrupted")
