"""One cell of a grid: as a producer it saves all products, as a consumer it loads each product of each producer."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.grid.fields import PRODUCT_NAME, FieldState, state_of, why_no_product
from tf_tester.core.grid.forking import imported_before_forks
from tf_tester.core.grid.routes import Resaving
from tf_tester.core.outcome.harness_events import ProductBegun, ResaverMarked
from tf_tester.flow.grid.forks import Forked, ForkOrder, run_forks
from tf_tester.flow.grid.products import ProductRefused, Products
from tf_tester.flow.grid.request import GridRequest, made_by
from tf_tester.flow.prepare.prepare import Preparation
from tf_tester.flow.run.cell_world import ScratchFolders
from tf_tester.flow.run.cells import attempt_cell, folder_name
from tf_tester.flow.run.frame import Run
from tf_tester.flow.run.jobs import ProductTask
from tf_tester.flow.run.trial import TELLS, TrialResult, run_trial, together
from tf_tester.model.cell import Cell, PlannedCell
from tf_tester.model.events import ValueRecorded
from tf_tester.model.field import FieldOutcome, Product
from tf_tester.model.outcome import CellResult, Outcome, TestRow, worst
from tf_tester.ports.environment import Environment

_MOST_PRODUCTS = 1_000
"""Of one producer: the process tells of them, and each is a field for each consumer."""
_SAMPLE = 16
"""Of so many products that forks have loaded without a fault one is loaded by a process of its own, too."""
_FEWEST = 2
"""Of fewer products a fork spares nothing."""
_T = TypeVar("_T")


class Produced(Struct, frozen=True):
    """What one producer came to."""

    cell: Cell
    label: str
    """What the report calls it."""
    result: CellResult
    products: Mapping[str, Product] = {}
    """By their names."""
    saved_by: Mapping[str, str] = {}
    """Ids of the rows that were to save a product, by its name; also where nothing came of it."""
    values: tuple[ValueRecorded, ...] = ()
    """What was recorded while products were saved."""
    resavings: tuple[Resaving, ...] = ()
    """What functions of its file can save anew."""

    def why_not(self, name: str) -> str:
        """Return why there is no product of that name."""
        own = self.saved_by.get(name)
        row = next((one for one in self.result.tests if one.id == own), None)
        return why_no_product(self.label, self.result, row)


class Serving(Struct, frozen=True):
    """A product that a consumer is to load."""

    producer: Cell
    label: str
    """What the report calls the producer."""
    product: Product


def _of_whole_cell(result: CellResult) -> CellResult:
    """Return the result with the folder in which the evidence of both parts lies."""
    return replace(result, evidence=str(Path(result.evidence).parent)) if result.evidence else result


def _resavings(ran: TrialResult) -> Iterator[Resaving]:
    """Yield what a file can save anew, as the process has told it."""
    for one in ran.of_products:
        if isinstance(one, ResaverMarked) and PRODUCT_NAME.fullmatch(one.name) and PRODUCT_NAME.fullmatch(one.to):
            yield Resaving(one.name, one.to)


class Consumed(Struct, frozen=True):
    """What one consumer came to."""

    result: CellResult
    states: tuple[FieldState, ...] = ()
    """What became of each product; none where the cell could not run."""
    values: tuple[tuple[ValueRecorded, ...], ...] = ()
    """What was recorded while each was loaded."""
    forked: tuple[bool, ...] = ()
    """Whether it was by a fork of a process that had imported the framework."""

    def with_field(self, number: int, other: "Consumed", at: int) -> "Consumed":
        """Return it with what another attempt came to with one of its products; there it is the one at `at`."""
        old, new = self.states[number].tests, other.states[at].tests
        rows = {row.id: row for row in other.result.tests}
        tests = (
            *(row for row in self.result.tests if row.id not in old),
            *(rows[name] for name in new if name in rows),
        )
        failed = self.result.outcome.is_failure_of_the_test
        result = replace(
            self.result,
            tests=tests,
            outcome=worst({row.outcome for row in tests}),
            summary=self.result.summary if failed else other.result.summary,
        )
        return Consumed(
            result,
            _replaced(self.states, number, other.states[at]),
            _replaced(self.values, number, other.values[at]),
            _replaced(self.forked, number, other.forked[at]),
        )


def _replaced(values: tuple[_T, ...], number: int, value: _T) -> tuple[_T, ...]:
    return (*values[:number], value, *values[number + 1 :])


class _Consumer(Struct, frozen=True):
    """Where one consumer loads."""

    run: Run
    preparation: Preparation
    environment: Environment
    evidence: Path


class _Load(Struct, frozen=True):
    """One product that was loaded."""

    ran: TrialResult
    forked: bool = False


def _label(serving: Serving) -> str:
    """Return the end of the ids of the tests that load a product."""
    return f"[{serving.product.name} from {serving.label}]"


def _labelled(ran: TrialResult, label: str, *, forked: bool = False) -> _Load:
    """Return a load whose rows and values all name the product and who saved it.

    What no function was reached for has the file's name, which all products share.
    """
    rows = tuple(row if label in row.id else replace(row, id=f"{row.id}{label}") for row in ran.rows)
    values = tuple(one if label in one.test else replace(one, test=f"{one.test}{label}") for one in ran.values)
    return _Load(replace(ran, rows=rows, values=values), forked)


class GridCells:
    """Runs the cells of one grid; callable from several threads."""

    def __init__(self, request: GridRequest, products: Products) -> None:
        self._request = request
        self._products = products
        self._numbers = itertools.count(1)

    def produce(self, run: Run, planned: PlannedCell, label: str) -> Produced:
        """Have a cell save what it can, and take it into the store."""
        left: dict[str, Product] = {}
        saved_by: dict[str, str] = {}
        values: list[ValueRecorded] = []
        resavings: list[Resaving] = []

        def work(preparation: Preparation, environment: Environment, evidence: Path) -> TrialResult:
            left.clear()
            saved_by.clear()
            values.clear()
            resavings.clear()
            with self._scratch(run) as scratch:
                root = ScratchFolders(scratch, in_memory=False).cwd
                place = root / "products"
                jobs = (self._request.saving(place, planned.cell),)
                services = run.services
                ran = run_trial(run.files, jobs, preparation, environment, services, evidence=evidence, scratch=scratch)
                saved_by.update(itertools.islice(self._names(ran), _MOST_PRODUCTS))
                values.extend(ran.values)
                resavings.extend(itertools.islice(_resavings(ran), _MOST_PRODUCTS))
                names: dict[str, list[str]] = {}
                for name, row_id in saved_by.items():
                    names.setdefault(row_id, []).append(name)
                rows = tuple(self._taken(row, names.get(row.id, ()), place, left) for row in ran.rows)
                return replace(ran, rows=rows)

        result, _ = attempt_cell(run, planned, replay=None, work=work, part="save")
        if not result.outcome.ran:
            left.clear()
        whole = _of_whole_cell(result)
        return Produced(planned.cell, label, whole, left, saved_by, tuple(values), tuple(resavings))

    def before_forks(self, run: Run, cell: Cell) -> tuple[str, ...]:
        """Return what may be imported before a process of this consumer is forked; none: it may not be."""
        if self._request.file is None or self._request.fresh or not TELLS:
            return ()
        return imported_before_forks(run.services.packages.framework, cell.version)

    def consume(
        self,
        run: Run,
        planned: PlannedCell,
        servings: Sequence[Serving],
        part: str = "load",
        *,
        before_forks: Sequence[str] = (),
    ) -> Consumed:
        """Return what a cell came to, and what became of each product. `part`: the folder of its evidence.

        `before_forks`: what may be imported before the process is forked for each product; nothing: it may not be.
        """
        loads: list[_Load] = []

        def work(preparation: Preparation, environment: Environment, evidence: Path) -> TrialResult:
            loads.clear()
            one = _Consumer(run, preparation, environment, evidence)
            known, told = self._known_by_forks(one, servings, before_forks)
            for number, serving in enumerate(servings):
                loads.append(known.get(number) or self._load(one, serving))
            ran = together([load.ran for load in loads])
            return replace(ran, remarks=(*ran.remarks, *told))

        result, _ = attempt_cell(run, planned, replay=None, work=work, part=part)
        if not result.outcome.ran:
            return Consumed(_of_whole_cell(result))
        states = tuple(state_of(load.ran.rows) for load in loads)
        values = tuple(load.ran.values for load in loads)
        return Consumed(_of_whole_cell(result), states, values, tuple(load.forked for load in loads))

    def _known_by_forks(
        self, one: "_Consumer", servings: Sequence[Serving], names: Sequence[str]
    ) -> tuple[dict[int, "_Load"], tuple[str, ...]]:
        """Return what forks tell of products by their numbers, and what a person should know of it.

        A product that is loaded without a fault by a fork counts as loaded, for a fork is rather worse off than a
        process of its own. All else is to be told by such a process; of those without a fault some are tried, too.
        """
        found: dict[int, _Load] = {}
        left = list(range(len(servings))) if names else []
        refusal = ""
        for attempt in itertools.count(1):
            if len(left) < _FEWEST:
                break
            place = one.evidence / f"forks-{attempt}"
            forked = self._fork(one, {number: servings[number] for number in left}, names, place)
            refusal = forked.refusal
            for number, ran in forked.fields.items():
                load = _labelled(ran, _label(servings[number]), forked=True)
                if state_of(load.ran.rows).outcome is FieldOutcome.OK:
                    found[number] = load
            left = [number for number in left if number not in forked.fields]
            if not forked.may_go_on:
                break
        for number in [number for number in found if number % _SAMPLE == _SAMPLE - 1]:
            fresh = self._load(one, servings[number])
            if state_of(fresh.ran.rows).outcome is not FieldOutcome.OK:
                told = f"forks load the product of {servings[number].label}, and a process of its own does not"
                return {number: fresh}, (told,)
            found[number] = fresh
        return found, (f"each product was loaded by a process of its own: {refusal}",) if refusal else ()

    def _fork(self, one: "_Consumer", servings: Mapping[int, Serving], names: Sequence[str], place: Path) -> Forked:
        assert self._request.file is not None
        orders = {
            number: ForkOrder(
                serving.product.name,
                self._products.folder_of(serving.product),
                made_by(serving.producer),
                _label(serving),
            )
            for number, serving in servings.items()
        }
        with self._scratch(one.run) as scratch:
            return run_forks(
                one.run, self._request.file, orders, names, (one.preparation, one.environment), place, scratch
            )

    def _load(self, one: "_Consumer", serving: Serving) -> "_Load":
        """Have a process of its own load one product. Raises `InterruptedError` when the run has been interrupted."""
        run, product, label = one.run, serving.product, _label(serving)
        if run.gate.closed:
            raise InterruptedError
        evidence = one.evidence / folder_name(serving.producer.name) / product.name
        evidence.mkdir(parents=True)
        with self._scratch(run) as scratch:
            root = ScratchFolders(scratch, in_memory=False).cwd
            if run.services.execution.sandbox.copies:
                folder = self._products.folder_of(product)
                shown: tuple[Path, ...] = (folder,)
            else:
                # One of its own: what a consumer changes there, no other one sees.
                folder, shown = root / "product", ()
                self._products.unpack(product, folder)
            task = ProductTask("consumer", folder, product.name, made_by(serving.producer), label, shown)
            ran = run_trial(
                run.files,
                (self._request.loading(task),),
                one.preparation,
                one.environment,
                run.services,
                evidence=evidence,
                scratch=scratch,
            )
            return _labelled(ran, label)

    @contextmanager
    def _scratch(self, run: Run) -> Iterator[Path]:
        """Yield the name of a new folder, which is gone afterwards: a grid has many."""
        scratch = run.services.run.workplace / f"scratch-grid-{next(self._numbers)}"
        try:
            yield scratch
        finally:
            run.services.storage.remove_tree(scratch)

    def _names(self, ran: TrialResult) -> Iterator[tuple[str, str]]:
        """Yield the names of products, each with the row that saves it, as the process has told them."""
        if self._request.file is None:
            yield from ((self._request.product, row.id) for row in ran.rows)
            return
        begun = [one for one in ran.of_products if isinstance(one, ProductBegun)]
        told = {one.name: one.id for one in reversed(begun) if PRODUCT_NAME.fullmatch(one.name)}
        yield from reversed(told.items())

    def _taken(self, row: TestRow, names: Sequence[str], place: Path, left: dict[str, Product]) -> TestRow:
        """Take what a row has saved, by these names, and return the row; it has failed where that can't be taken."""
        if row.outcome is not Outcome.PASS:
            return row
        for name in names:
            try:
                left[name] = self._products.take(place / name, name)
            except ProductRefused as refused:
                return replace(row, outcome=Outcome.FAIL, reason=f"its product {name} is refused: {refused}")
        return row
