"""Fields that are run one by one, behind the grid itself: to find out since when, or to go a way to its end."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from tf_tester.core.grid.fields import FieldState, state_of, words_of
from tf_tester.flow.grid.cells import Consumed, GridCells, Produced, Serving
from tf_tester.flow.grid.numbers import Loaded, NumberCheck
from tf_tester.flow.grid.products import ProductRefused, Products
from tf_tester.flow.grid.request import GridRequest, made_by
from tf_tester.flow.numbers.compare import Candidate
from tf_tester.flow.prepare.prepare import Preparation
from tf_tester.flow.run.cell_world import ScratchFolders
from tf_tester.flow.run.cells import attempt_cell
from tf_tester.flow.run.jobs import ProductTask
from tf_tester.flow.run.trial import TrialResult, run_trial
from tf_tester.model.events import ValueRecorded
from tf_tester.model.field import FieldOutcome, GridSide, Product
from tf_tester.ports.environment import Environment


class GridCandidates(Struct, frozen=True):
    """The cells of a grid, by name, each with the run that prepares it."""

    savers: Mapping[str, Candidate]
    loaders: Mapping[str, Candidate]
    """In the order of their versions, as the others."""
    labels: Mapping[str, str]

    def of(self, side: GridSide) -> Mapping[str, Candidate]:
        """Return those of one side."""
        return self.savers if side is GridSide.SAVED else self.loaders


class SingleField(Struct, frozen=True):
    """What came of one field, and which of its values are those of who saved."""

    state: FieldState
    compared: tuple[str, ...] = ()
    """Names of values that both have recorded."""


class Resaved(Struct, frozen=True):
    """What came of saving a product anew."""

    product: Product | None = None
    trouble: str = ""
    """Why there is none."""


class SingleFields:
    """Runs single fields of a grid, one after another."""

    def __init__(self, request: GridRequest, cells: GridCells, products: Products) -> None:
        self._request = request
        self._cells = cells
        self._products = products
        self._numbers = itertools.count(1)

    def load(self, saver: Candidate, produced: Produced, name: str, loader: Candidate, part: str) -> SingleField:
        """Have a cell load what another one has saved, and compare the numbers. `part`: the folder of its evidence."""
        serving = Serving(produced.cell, produced.label, produced.products[name])
        candidates = {one.planned.cell.name: one for one in (saver, loader)}

        def consume(cell: str, again: str = "") -> Consumed:
            one = candidates[cell]
            return self._cells.consume(one.run, one.planned, (serving,), f"{part}{again}")

        def run_again(asked: Mapping[str, Sequence[Serving]]) -> dict[str, Consumed]:
            return {cell: consume(cell, "-again") for cell in asked}

        own = loader.planned.cell.name
        came = {own: consume(own)}
        if any(came[own].values) and not _of(produced, name):
            came.setdefault(produced.cell.name, consume(produced.cell.name))
        loaded = Loaded((serving,), {produced.cell.name: produced}, came)
        consumed = NumberCheck(loaded, tuple(candidates.values())).run(run_again)[own]
        if not consumed.states:
            why = consumed.result.summary or str(consumed.result.outcome)
            return SingleField(FieldState(FieldOutcome.NOT_RUN, summary=why))
        compared = loaded.reference(0).keys() & loaded.values((own, 0)).keys()
        return SingleField(consumed.states[0], tuple(sorted(compared)))

    def reference(self, saver: Candidate, produced: Produced, name: str) -> tuple[ValueRecorded, ...]:
        """Return what is right for a product: what was recorded when it was saved, else when its version loads it."""
        if own := _of(produced, name):
            return own
        serving = Serving(produced.cell, produced.label, produced.products[name])
        consumed = self._cells.consume(saver.run, saver.planned, (serving,), "reference")
        return consumed.values[0] if consumed.values and consumed.states[0].outcome is FieldOutcome.OK else ()

    def resave(self, cell: Candidate, produced: Produced, name: str, saved_as: str) -> Resaved:
        """Have a cell load a product and save it anew, and take that into the store."""
        found: list[Resaved] = []
        product = produced.products[name]

        def work(preparation: Preparation, environment: Environment, evidence: Path) -> TrialResult:
            found.clear()
            services = cell.run.services
            scratch = services.run.workplace / f"scratch-resave-{next(self._numbers)}"
            try:
                root = ScratchFolders(scratch, in_memory=False).cwd
                target = root / "anew"
                shown: tuple[Path, ...] = ()
                if services.execution.sandbox.copies:
                    folder = self._products.folder_of(product)
                    shown = (folder,)
                else:
                    folder = root / "product"
                    self._products.unpack(product, folder)
                label = f"[{name} from {produced.label} as {saved_as}]"
                task = ProductTask(
                    "resaver",
                    folder,
                    name,
                    made_by(produced.cell),
                    label,
                    shown,
                    target=target,
                    saved_as=saved_as,
                )
                job = self._request.resaving(task)
                ran = run_trial(
                    cell.run.files, (job,), preparation, environment, services, evidence=evidence, scratch=scratch
                )
                found.append(self._taken(ran, target, saved_as))
                return ran
            finally:
                services.storage.remove_tree(scratch)

        result, _ = attempt_cell(cell.run, cell.planned, replay=None, work=work, part="resave")
        return found[-1] if found else Resaved(trouble=result.summary or str(result.outcome))

    def _taken(self, ran: TrialResult, target: Path, name: str) -> Resaved:
        state = state_of(ran.rows)
        if state.outcome is not FieldOutcome.OK:
            return Resaved(trouble=state.summary or next(map(words_of, ran.rows), "nothing was run"))
        try:
            return Resaved(self._products.take(target, name))
        except ProductRefused as refused:
            return Resaved(trouble=str(refused))


def _of(produced: Produced, name: str) -> tuple[ValueRecorded, ...]:
    """Return what a producer has recorded while it saved a product."""
    return tuple(value for value in produced.values if value.test == produced.saved_by[name])
