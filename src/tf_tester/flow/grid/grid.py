"""Run a grid: producers first, then each consumer loads each product that there is."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.grid.fields import FieldState
from tf_tester.core.outcome.exits import exit_code, gravest
from tf_tester.core.outcome.report import cell_labels
from tf_tester.errors import INTERRUPTED
from tf_tester.flow.grid.behind import FinishedGrid, RouteEnds, look_behind, route_ends
from tf_tester.flow.grid.cells import Consumed, GridCells, Produced, Serving
from tf_tester.flow.grid.numbers import Loaded, NumberCheck
from tf_tester.flow.grid.products import Products
from tf_tester.flow.grid.promises import guarantees_of, released
from tf_tester.flow.grid.request import GridRequest
from tf_tester.flow.grid.single import GridCandidates
from tf_tester.flow.numbers.compare import Candidate
from tf_tester.flow.prepare.pythons import with_pythons_for_all
from tf_tester.flow.prepare.select import Selected, select_cells
from tf_tester.flow.prepare.services import Services
from tf_tester.flow.run.frame import Run, carry_out, preparer_of
from tf_tester.flow.run.plan import GridPlan, RunPlan
from tf_tester.flow.run.test import as_they_end
from tf_tester.model.cell import Cell, PlannedCell
from tf_tester.model.events import CellFinished, FieldFinished, ProductLeft, ValueRecorded
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
    ends = route_ends(request, made, used)
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
            request.resave,
            guarantees_of([side.services.packages.framework for side in (producers, consumers)]),
            released(made) | released(used),
        ),
    )
    work = partial(_fields, request=request, made=made, used=used, consumers=consumers, ends=ends)
    return carry_out(plan, producers.services, work).exit_code


def _selected(side: Side, trial: Trial) -> Selected:
    selected = select_cells(side.selection, side.services)
    return with_pythons_for_all(selected, side.selection, trial, side.services)


def _fields(
    run: Run, *, request: GridRequest, made: Selected, used: Selected, consumers: Side, ends: RouteEnds | None
) -> Graded:
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
    products = Products(services.storage.blobs, services.run.workplace, request.largest)
    cells = GridCells(request, products)
    fields: list[FieldFinished] = []
    try:
        produced = _produce(run, cells, made)
        loading = {planned.cell.name for planned in used.cells}
        for one in produced.values():
            if one.cell.name not in loading:
                finished(one.result)
        table = _Table.of(produced)

        def settled(consumer: Cell, came: Consumed) -> None:
            for values in came.values:
                _tell_all(run, values)
            fields.extend(_tell_fields(run, consumer, table, came))
            own = produced.get(consumer.name)
            finished(came.result if own is None else _both(own.result, came))

        consumed = _consume(other, cells, used, table, produced, settled)
        candidates = [Candidate(run, one) for one in made.cells if produced[one.cell.name].result.outcome.ran]
        candidates += [Candidate(other, one) for one in used.cells if consumed[one.cell.name].result.outcome.ran]
        check = NumberCheck(Loaded(table.servings, produced, consumed), candidates)
        planned = {one.cell.name: one for one in used.cells}
        consumed = check.run(partial(_again, other, cells, planned))
        for name, came in consumed.items():
            if name not in results:
                settled(planned[name].cell, came)
        whole = FinishedGrid(request, cells, products, _candidates(run, other, made, used), produced, fields)
        behind = look_behind(whole, ends, services.run.tell)
    except KeyboardInterrupt:
        run.stop()
        for unfinished in run.plan.cells:
            if unfinished.cell.name not in results:
                finished(CellResult(unfinished.cell.name, Outcome.INTERRUPTED, "interrupted"))
        return Graded(INTERRUPTED)
    return Graded(gravest([exit_code(results.values(), interrupted=False), behind]))


def _candidates(run: Run, other: Run, made: Selected, used: Selected) -> GridCandidates:
    cells = [planned.cell for planned in run.plan.cells]
    versions = Counter(cell.version for cell in cells)
    long = cell_labels(cells)
    return GridCandidates(
        {one.cell.name: Candidate(run, one) for one in made.cells},
        {one.cell.name: Candidate(other, one) for one in used.cells},
        {cell.name: cell.version if versions[cell.version] == 1 else long[cell.name] for cell in cells},
    )


class _Table(Struct, frozen=True):
    """What there is to be loaded."""

    producers: tuple[Produced, ...]
    names: tuple[str, ...]
    """Of products."""
    servings: tuple[Serving, ...]
    """What there is, in the order of the fields."""

    @classmethod
    def of(cls, produced: Mapping[str, Produced]) -> "_Table":
        producers = tuple(produced.values())
        names = tuple(dict.fromkeys(name for one in producers for name in one.saved_by)) or ("",)
        there = [(name, one) for name in names for one in producers if name in one.products]
        return cls(producers, names, tuple(Serving(one.cell, one.label, one.products[name]) for name, one in there))


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
            left = ProductLeft(
                planned.cell.name, saved_by, name, product.digest, product.size, product.files, product.paths
            )
            run.services.run.tell(left)
        _tell_all(run, produced.values)

    _each(run, made.cells, one, finished)
    return {planned.cell.name: found[planned.cell.name] for planned in made.cells}


def _consume(
    run: Run,
    cells: GridCells,
    used: Selected,
    table: _Table,
    produced: Mapping[str, Produced],
    settled: Callable[[Cell, Consumed], None],
) -> dict[str, Consumed]:
    """Have every consumer load all that there is, and return what they came to, by cell, in their order.

    `settled` is called at once with those that have no numbers to be compared.
    """
    found: dict[str, Consumed] = {}

    def one(planned: PlannedCell) -> Consumed:
        own = produced.get(planned.cell.name)
        if own is not None and not own.result.outcome.ran:
            return Consumed(own.result)  # it could not run, and needn't be tried twice
        if not table.servings:
            return Consumed(CellResult(planned.cell.name, Outcome.SKIP, "there was no product to load"))
        return cells.consume(run, planned, table.servings, before_forks=cells.before_forks(run, planned.cell))

    def finished(planned: PlannedCell, consumed: Consumed) -> None:
        found[planned.cell.name] = consumed
        if not any(consumed.values):
            settled(planned.cell, consumed)

    _each(run, used.cells, one, finished)
    return {planned.cell.name: found[planned.cell.name] for planned in used.cells}


def _again(
    run: Run, cells: GridCells, planned: Mapping[str, PlannedCell], servings: Mapping[str, Sequence[Serving]]
) -> dict[str, Consumed]:
    """Have consumers load some products a second time."""
    found: dict[str, Consumed] = {}

    def one(consumer: PlannedCell) -> Consumed:
        return cells.consume(run, consumer, servings[consumer.cell.name], "load-again")

    def finished(consumer: PlannedCell, consumed: Consumed) -> None:
        found[consumer.cell.name] = consumed

    _each(run, [planned[name] for name in servings], one, finished)
    return found


def _tell_all(run: Run, values: Sequence[ValueRecorded]) -> None:
    for value in values:
        run.services.run.tell(value)


def _tell_fields(run: Run, consumer: Cell, table: _Table, consumed: Consumed) -> list[FieldFinished]:
    """Tell of each field of a consumer, also of those that were not run, and return them."""
    states = zip(table.servings, consumed.states, consumed.forked, strict=False)
    known = {(one.producer.name, one.product.name): (state, forked) for one, state, forked in states}
    told = []
    for name in table.names:
        for producer in table.producers:
            not_run = _not_run(producer, name, consumer, consumed.result), False
            state, forked = known.get((producer.cell.name, name), not_run)
            field = FieldFinished(
                producer.cell.name,
                consumer.name,
                name,
                state.outcome,
                state.tests,
                state.summary,
                state.exception,
                state.differences,
                forked,
            )
            told.append(field)
            run.services.run.tell(field)
    return told


def _not_run(producer: Produced, name: str, consumer: Cell, result: CellResult) -> FieldState:
    if name in producer.products:
        return FieldState(FieldOutcome.NOT_RUN, summary=f"{consumer.version} could not run: {result.summary}")
    return FieldState(FieldOutcome.NOT_RUN, summary=producer.why_not(name))


def _both(saved: CellResult, consumed: Consumed) -> CellResult:
    """Return what a cell came to that has produced and consumed."""
    loaded = consumed.result
    if loaded == saved or not consumed.states:
        return saved if loaded == saved or loaded.outcome is Outcome.SKIP else _unable(saved, loaded)
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


def _unable(saved: CellResult, loaded: CellResult) -> CellResult:
    """Return what a cell came to that has produced, and then could not be run."""
    return replace(loaded, tests=saved.tests, remarks=(*saved.remarks, *loaded.remarks))


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
