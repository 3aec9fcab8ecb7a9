"""Find the release with which two neighbours of a grid begin to differ, by halving the releases between them."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace
from packaging.version import Version

from tf_tester.core.grid.borders import Border
from tf_tester.core.grid.fields import FieldState
from tf_tester.core.select.choose import Choice, choose
from tf_tester.core.verdict.bisect import BisectSearch, Mark
from tf_tester.errors import TfTesterError
from tf_tester.flow.grid.cells import GridCells, Produced
from tf_tester.flow.grid.single import GridCandidates, SingleFields
from tf_tester.flow.numbers.compare import Candidate
from tf_tester.flow.prepare.select import select_cells
from tf_tester.flow.run.frame import Run
from tf_tester.model.cell import PlannedCell
from tf_tester.model.events import BorderFound
from tf_tester.model.field import FieldOutcome, GridSide

_MOST_BORDERS = 100
_MARKS = {
    FieldOutcome.OK: Mark.GOOD,
    FieldOutcome.ERROR: Mark.BAD,
    FieldOutcome.WRONG_NUMBERS: Mark.BAD,
    FieldOutcome.FLAKY: Mark.UNTESTABLE,
    FieldOutcome.NOT_RUN: Mark.UNTESTABLE,
}


class BorderSearch:
    """Looks into borders, one after another; what was run for one of them is known for the next."""

    def __init__(
        self, cells: GridCells, single: SingleFields, candidates: GridCandidates, produced: Mapping[str, Produced]
    ) -> None:
        self._cells = cells
        self._single = single
        self._candidates = candidates
        self._produced = dict(produced)
        self._between: dict[tuple[str, str], tuple[PlannedCell, ...]] = {}
        self._states: dict[tuple[str, str, str], FieldState] = {}

    def found(self, borders: Sequence[Border]) -> Iterator[BorderFound]:
        """Yield what comes of each border."""
        for number, border in enumerate(borders):
            try:
                if number >= _MOST_BORDERS:
                    yield _unknown(border, self._versions(border), f"only {_MOST_BORDERS} are looked into")
                else:
                    yield self._found(border)
            except TfTesterError as error:
                yield _unknown(border, self._versions(border), str(error))

    def _versions(self, border: Border) -> tuple[str, str]:
        own = self._candidates.of(border.side)
        return own[border.before].planned.cell.version, own[border.after].planned.cell.version

    def _found(self, border: Border) -> BorderFound:
        own = self._candidates.of(border.side)
        ends = own[border.before], own[border.after]
        run = ends[0].run
        line = (ends[0].planned, *self._releases(run, ends[0].planned, ends[1].planned), ends[1].planned)
        states: dict[int, FieldState] = {}
        search = BisectSearch(len(line), Mark.GOOD if border.breaks else Mark.BAD)
        while (index := search.next()) is not None:
            states[index] = self._state(border, Candidate(run, line[index]))
            search.tell(index, _MARKS[states[index].outcome])
        change = search.change
        bad = states.get(change.after if border.breaks else change.before)
        versions = [planned.cell.version for planned in line]
        return replace(
            _unknown(border, self._versions(border), ""),
            before=versions[change.before],
            after=versions[change.after],
            outcome=bad.outcome if bad is not None else border.bad.outcome,
            summary=bad.summary if bad is not None else border.bad.summary,
            differences=bad.differences if bad is not None else border.bad.differences,
            between=tuple(versions[change.before + 1 : change.after]),
            tried=len(states),
        )

    def _releases(self, run: Run, before: PlannedCell, after: PlannedCell) -> tuple[PlannedCell, ...]:
        """Return cells for the releases between two, on the Python of the older one, or else on that of the newer."""
        key = before.cell.name, after.cell.name
        if key not in self._between:
            plan = run.plan
            choice = Choice("all", pre=plan.selection.pre, yanked=plan.selection.yanked)
            low, high = Version(before.cell.version), Version(after.cell.version)
            between = [str(one) for one in choose(plan.page, choice) if low < one < high]
            found: dict[str, PlannedCell] = {}
            for python in dict.fromkeys((after.cell.python, before.cell.python)) if between else ():
                pythons = plan.selection.pythons or (python,)
                asked = replace(plan.selection, versions=",".join(between), last=None, pythons=pythons)
                for planned in select_cells(asked, run.services).cells:
                    is_alike = (planned.cell.python, planned.cell.resolution) == (python, before.cell.resolution)
                    if planned.interpreter is not None and is_alike:
                        found[planned.cell.version] = planned
            self._between[key] = tuple(found[version] for version in sorted(found, key=Version))
        return self._between[key]

    def _state(self, border: Border, probed: Candidate) -> FieldState:
        """Return what becomes of the border's product with another version on its side."""
        is_saver = border.side is GridSide.SAVED
        saver = probed if is_saver else self._candidates.savers[border.held]
        loader = self._candidates.loaders[border.held] if is_saver else probed
        key = border.product, saver.planned.cell.name, loader.planned.cell.name
        if key not in self._states:
            produced = self._of(saver)
            if border.product in produced.products:
                self._states[key] = self._single.load(saver, produced, border.product, loader, "since").state
            else:
                self._states[key] = FieldState(FieldOutcome.NOT_RUN, summary=produced.why_not(border.product))
        return self._states[key]

    def _of(self, saver: Candidate) -> Produced:
        """Return what a version has saved, all products at once; it is asked once."""
        cell = saver.planned.cell
        if cell.name not in self._produced:
            self._produced[cell.name] = self._cells.produce(saver.run, saver.planned, cell.version)
        return self._produced[cell.name]


def _unknown(border: Border, neighbours: tuple[str, str], trouble: str) -> BorderFound:
    """Return what is known of a border before anything was run for it."""
    return BorderFound(
        border.product,
        border.side,
        border.held,
        before=neighbours[0],
        after=neighbours[1],
        neighbours=neighbours,
        outcome=border.bad.outcome,
        breaks=border.breaks,
        summary=border.bad.summary,
        differences=border.bad.differences,
        fields=border.count,
        trouble=trouble,
    )
