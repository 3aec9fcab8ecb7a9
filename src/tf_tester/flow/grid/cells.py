"""One cell of a grid: as a producer it saves all products, as a consumer it loads each product of each producer."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.grid.fields import PRODUCT_NAME, FieldState, state_of, why_no_product
from tf_tester.core.outcome.harness_events import ProductBegun, ValuesRecorded
from tf_tester.flow.grid.products import ProductRefused, Products
from tf_tester.flow.grid.request import GridRequest, made_by
from tf_tester.flow.grid.values import RecordedPart, TakenValues, take_values
from tf_tester.flow.prepare.prepare import Preparation
from tf_tester.flow.prepare.services import Services
from tf_tester.flow.run.cell_world import ScratchFolders
from tf_tester.flow.run.cells import attempt_cell, folder_name
from tf_tester.flow.run.frame import Run
from tf_tester.flow.run.jobs import ProductTask
from tf_tester.flow.run.trial import TrialResult, run_trial, together
from tf_tester.model.cell import Cell, PlannedCell
from tf_tester.model.field import Product, RecordedNumbers
from tf_tester.model.outcome import CellResult, Outcome, TestRow
from tf_tester.ports.environment import Environment

_MOST_PRODUCTS = 1_000
"""Of one producer: the process tells of them, and each is a field for each consumer."""


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
    values: tuple[RecordedNumbers, ...] = ()
    """What was recorded while products were saved."""

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


class Consumed(Struct, frozen=True):
    """What one consumer came to."""

    result: CellResult
    states: tuple[FieldState, ...] = ()
    """What became of each product; none where the cell could not run."""
    values: tuple[tuple[RecordedNumbers, ...], ...] = ()
    """What was recorded while each was loaded."""


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
        values: list[RecordedNumbers] = []

        def work(preparation: Preparation, environment: Environment, evidence: Path) -> TrialResult:
            left.clear()
            saved_by.clear()
            values.clear()
            with self._scratch(run) as scratch:
                root = ScratchFolders(scratch, in_memory=False).cwd
                place = root / "products"
                jobs = (self._request.saving(place, planned.cell, root / "values"),)
                services = run.services
                ran = run_trial(run.files, jobs, preparation, environment, services, evidence=evidence, scratch=scratch)
                saved_by.update(itertools.islice(self._names(ran), _MOST_PRODUCTS))
                taken = self._values(ran, root / "values", services)
                values.extend(taken.values)
                ran = replace(ran, remarks=(*ran.remarks, *taken.remarks))
                names: dict[str, list[str]] = {}
                for name, row_id in saved_by.items():
                    names.setdefault(row_id, []).append(name)
                rows = tuple(self._taken(row, names.get(row.id, ()), place, left) for row in ran.rows)
                return replace(ran, rows=rows)

        result, _ = attempt_cell(run, planned, replay=None, work=work, part="save")
        if not result.outcome.ran:
            left.clear()
        return Produced(planned.cell, label, _of_whole_cell(result), left, saved_by, tuple(values))

    def consume(self, run: Run, planned: PlannedCell, servings: Sequence[Serving], part: str = "load") -> Consumed:
        """Return what a cell came to, and what became of each product. `part`: the folder of its evidence."""
        states: list[FieldState] = []
        values: list[tuple[RecordedNumbers, ...]] = []

        def work(preparation: Preparation, environment: Environment, evidence: Path) -> TrialResult:
            states.clear()
            values.clear()
            parts = []
            for serving in servings:
                if run.gate.closed:
                    raise InterruptedError
                place = evidence / folder_name(serving.producer.name) / serving.product.name
                place.mkdir(parents=True)
                ran, taken = self._load(run, serving, preparation, environment, place)
                values.append(taken)
                states.append(state_of(ran.rows))
                parts.append(ran)
            ran = together(parts)
            return replace(ran, rows=tuple(row for part in parts for row in part.rows))

        result, _ = attempt_cell(run, planned, replay=None, work=work, part=part)
        if not result.outcome.ran:
            return Consumed(_of_whole_cell(result))
        return Consumed(_of_whole_cell(result), tuple(states), tuple(values))

    def _load(
        self, run: Run, serving: Serving, preparation: Preparation, environment: Environment, evidence: Path
    ) -> tuple[TrialResult, tuple[RecordedNumbers, ...]]:
        product = serving.product
        with self._scratch(run) as scratch:
            root = ScratchFolders(scratch, in_memory=False).cwd
            if run.services.execution.sandbox.copies:
                folder = self._products.folder_of(product)
                shown: tuple[Path, ...] = (folder,)
            else:
                # One of its own: what a consumer changes there, no other one sees.
                folder, shown = root / "product", ()
                self._products.unpack(product, folder)
            label = f"[{product.name} from {serving.label}]"
            task = ProductTask(
                "consumer", folder, product.name, made_by(serving.producer), label, shown, root / "values"
            )
            jobs = (self._request.loading(task),)
            services = run.services
            ran = run_trial(run.files, jobs, preparation, environment, services, evidence=evidence, scratch=scratch)
            # What no function was reached for has the file's name, which all products share.
            rows = tuple(row if label in row.id else replace(row, id=f"{row.id}{label}") for row in ran.rows)
            taken = self._values(ran, root / "values", services)
            labelled = (
                value if label in value.test else replace(value, test=f"{value.test}{label}") for value in taken.values
            )
            return replace(ran, rows=rows, remarks=(*ran.remarks, *taken.remarks)), tuple(labelled)

    def _values(self, ran: TrialResult, folder: Path, services: Services) -> TakenValues:
        """Take what was recorded: of a file's functions each its own part, of a command all."""
        noted = [one for one in ran.of_products if isinstance(one, ValuesRecorded)]
        parts = [RecordedPart(one.id, one.start, one.end) for one in noted]
        if self._request.file is None:
            parts = [RecordedPart(row.id) for row in ran.rows[:1]]
        return take_values(folder, parts, services.storage.blobs, services.run.workplace)

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
