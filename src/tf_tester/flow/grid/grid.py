"""Run a grid: producers first, then in each consumer a fresh process for each product that there is."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.grid.fields import FieldState
from tf_tester.core.outcome.exits import exit_code
from tf_tester.core.outcome.report import cell_labels
from tf_tester.errors import INTERRUPTED
from tf_tester.flow.grid.cells import GridCells, Produced, Serving
from tf_tester.flow.grid.products import Products
from tf_tester.flow.grid.request import GridRequest
from tf_tester.flow.prepare.pythons import with_pythons_for_all
from tf_tester.flow.prepare.select import Selected, select_cells
from tf_tester.flow.prepare.services import Services
from tf_tester.flow.run.frame import Run, carry_out, preparer_of
from tf_tester.flow.run.plan import GridPlan, RunPlan
from tf_tester.flow.run.test import as_they_end
from tf_tester.model.cell import Cell, PlannedCell
from tf_tester.model.events import CellFinished, FieldFinished, ProductLeft
from tf_tester.model.field import FieldOutcome
from tf_tester.model.outcome import CellResult, Outcome, worst
from tf_tester.model.request import Selection, Trial

_AHEAD = 2
"""Cells that are prepared while `jobs` others run."""
_T = TypeVar("_T")


class Side(Struct, frozen=True):
    """Who produces, or who consumes."""

    selection: Selection
    services: Services
    """Of that package."""


class Graded(Struct, frozen=True):
    """What a grid came to."""

    exit_code: int


def grid(request: GridRequest, producers: Side, consumers: Side, trial: Trial) -> int:
    """Run the grid, telling events as they happen, and return the exit code.

    Raises `UsageError` and `IndexUnreachable` before the first event; after it everything is an event.
    """
    request.check(trial)
    made = _selected(producers, trial)
    used = made if consumers == producers else _selected(consumers, trial)
    jobs = (request.saving(trial.cwd, made.cells[0].cell),) if made.cells else ()
    cells = {planned.cell.name: planned for planned in (*made.cells, *used.cells)}
    plan = RunPlan(
        producers.selection,
        trial,
        jobs,
        made.page,
        tuple(cells.values()),
        tuple(dict.fromkeys((*made.remarks, *used.remarks))),
        command="grid",
        grid=GridPlan(
            tuple(planned.cell.name for planned in made.cells),
            tuple(planned.cell.name for planned in used.cells),
            request.file,
            request.save,
            request.load,
        ),
    )
    work = partial(_fields, request=request, made=made, used=used, consumers=consumers)
    return carry_out(plan, producers.services, work).exit_code


def _selected(side: Side, trial: Trial) -> Selected:
    selected = select_cells(side.selection, side.services)
    return with_pythons_for_all(selected, side.selection, trial, side.services)


def _fields(run: Run, *, request: GridRequest, made: Selected, used: Selected, consumers: Side) -> Graded:
    """Run all cells. Interrupted, it tells of each cell all the same."""
    results: dict[str, CellResult] = {}

    def finished(result: CellResult) -> None:
        results[result.cell] = result
        run.services.run.tell(CellFinished(result))

    other = run
    if consumers.selection.package != run.plan.selection.package:
        plan = replace(run.plan, selection=consumers.selection, page=used.page)
        preparer = preparer_of(plan, consumers.services, run.pool)
        other = replace(run, plan=plan, services=consumers.services, preparer=preparer)
    services = run.services
    cells = GridCells(request, Products(services.storage.blobs, services.run.workplace, request.largest))
    try:
        produced = _produce(run, cells, made)
        names = list(dict.fromkeys(name for one in produced.values() for name in one.saved_by)) or [""]
        eaten = {planned.cell.name for planned in used.cells}
        for one in produced.values():
            if one.cell.name not in eaten:
                finished(one.result)
        _consume(other, cells, used, _Table(tuple(produced.values()), tuple(names), produced), finished)
    except KeyboardInterrupt:
        run.stop()
        for planned in run.plan.cells:
            if planned.cell.name not in results:
                finished(CellResult(planned.cell.name, Outcome.INTERRUPTED, "interrupted"))
        return Graded(INTERRUPTED)
    return Graded(exit_code(results.values(), interrupted=False))


class _Table(Struct, frozen=True):
    """What there is to be loaded."""

    producers: tuple[Produced, ...]
    names: tuple[str, ...]
    """Of products."""
    by_cell: Mapping[str, Produced]

    def servings(self) -> list[Serving]:
        """Return what there is, in the order of the fields."""
        return [
            Serving(one.cell, one.label, one.products[name])
            for name in self.names
            for one in self.producers
            if name in one.products
        ]


def _produce(run: Run, cells: GridCells, made: Selected) -> dict[str, Produced]:
    """Return what the producers came to, by cell, in their order."""
    labels = cell_labels(planned.cell for planned in run.plan.cells)
    found: dict[str, Produced] = {}

    def one(planned: PlannedCell) -> Produced:
        return cells.produce(run, planned, labels[planned.cell.name])

    def finished(planned: PlannedCell, produced: Produced) -> None:
        found[planned.cell.name] = produced
        for name, product in produced.products.items():
            saved_by = produced.saved_by[name]
            left = ProductLeft(planned.cell.name, saved_by, name, product.digest, product.size, product.files)
            run.services.run.tell(left)

    _each(run, made.cells, one, finished)
    return {planned.cell.name: found[planned.cell.name] for planned in made.cells}


def _consume(run: Run, cells: GridCells, used: Selected, table: _Table, told: Callable[[CellResult], None]) -> None:
    """Have every consumer load all that there is, and tell of each field and each cell."""
    servings = table.servings()

    def one(planned: PlannedCell) -> tuple[CellResult, tuple[FieldState, ...]]:
        own = table.by_cell.get(planned.cell.name)
        if own is not None and not own.result.outcome.ran:
            return own.result, ()  # it could not run, and needn't be tried twice
        if not servings:
            nothing = CellResult(planned.cell.name, Outcome.SKIP, "there was no product to load")
            return (own.result if own is not None else nothing), ()
        result, states = cells.consume(run, planned, servings)
        return (_both(own.result, result) if own is not None else result), states

    def finished(planned: PlannedCell, came: tuple[CellResult, tuple[FieldState, ...]]) -> None:
        result, states = came
        known = {(one.producer.name, one.product.name): state for one, state in zip(servings, states, strict=False)}
        for name in table.names:
            for producer in table.producers:
                state = known.get((producer.cell.name, name)) or _not_run(producer, name, planned.cell, result)
                field = FieldFinished(producer.cell.name, planned.cell.name, name, state.outcome)
                told_field = replace(field, tests=state.tests, summary=state.summary, exception=state.exception)
                run.services.run.tell(told_field)
        told(result)

    _each(run, used.cells, one, finished)


def _not_run(producer: Produced, name: str, consumer: Cell, result: CellResult) -> FieldState:
    if name in producer.products:
        return FieldState(FieldOutcome.NOT_RUN, summary=f"{consumer.version} could not run: {result.summary}")
    return FieldState(FieldOutcome.NOT_RUN, summary=producer.why_not(name))


def _both(saved: CellResult, loaded: CellResult) -> CellResult:
    """Return what a cell came to that has produced and consumed."""
    if not loaded.outcome.ran:
        return replace(loaded, tests=saved.tests, remarks=(*saved.remarks, *loaded.remarks))
    first = saved if saved.outcome.is_failure_of_the_test else loaded
    phases = {name: saved.phases.get(name, 0.0) + loaded.phases.get(name, 0.0) for name in saved.phases}
    imports = [one.import_s for one in (saved, loaded) if one.import_s is not None]
    peaks = [one.peak_rss_kib for one in (saved, loaded) if one.peak_rss_kib is not None]
    return replace(
        loaded,
        outcome=worst({saved.outcome, loaded.outcome}),
        summary=first.summary,
        tests=(*saved.tests, *loaded.tests),
        phases={**loaded.phases, **phases},
        import_s=max(imports, default=None),
        peak_rss_kib=max(peaks, default=None),
        remarks=tuple(dict.fromkeys((*saved.remarks, *loaded.remarks))),
        owners={**saved.owners, **loaded.owners},
        unused=saved.unused and loaded.unused,
    )


def _each(
    run: Run,
    cells: Sequence[PlannedCell],
    one: Callable[[PlannedCell], _T],
    finished: Callable[[PlannedCell, _T], None],
) -> None:
    """Run something for each cell, as many at once as are allowed, and hand on what it gives as it comes."""
    with run.threads(run.plan.trial.jobs + _AHEAD, "cell") as workers:
        futures = {workers.submit(one, planned): planned for planned in cells}
        for future in as_they_end(futures):
            finished(futures[future], future.result())
