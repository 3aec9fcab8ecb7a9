"""Which environments are meant, and what they have."""

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from tf_tester.errors import NoPython, NoWheel, TfTesterError
from tf_tester.flow.prepare.locked import select_locked
from tf_tester.flow.prepare.prepare import Preparation, Preparer
from tf_tester.flow.prepare.select import Selected, select_cells
from tf_tester.flow.prepare.services import Services
from tf_tester.model.cell import PlannedCell
from tf_tester.model.lock import Lock
from tf_tester.model.outcome import Outcome
from tf_tester.model.request import Selection


def selected_cells(
    selection: Selection, services: Services, locks: Sequence[Path], pythons: Sequence[str] = ()
) -> Selected:
    """Return the cells of a selection, or of locks where there are some.

    `pythons`: labels, the best first, of which each version gets one where nobody has asked for another. Raises as
    `select_cells` does.
    """
    if locks:
        return select_locked(locks, services, selection.package)
    if selection.pythons or not pythons:
        return select_cells(selection, services)
    selected = select_cells(replace(selection, pythons=tuple(pythons)), services)
    best: dict[str, PlannedCell] = {}
    for planned in sorted(selected.cells, key=lambda one: (one.refusal is not None, pythons.index(one.cell.python))):
        best.setdefault(planned.cell.version, planned)
    kept = {planned.cell.name for planned in best.values()}
    return replace(selected, cells=tuple(one for one in selected.cells if one.cell.name in kept))


def locked(planned: PlannedCell, preparer: Preparer) -> tuple[Preparation, Lock] | TfTesterError:
    """Return what a cell has, or why that can't be told."""
    if planned.interpreter is None:
        refusal = planned.refusal
        kind = NoWheel if refusal is not None and refusal.outcome is Outcome.NO_WHEEL else NoPython
        return kind(refusal.summary if refusal else "There is no Python for it.", hint=refusal.hint if refusal else "")
    preparation = Preparation(planned, planned.interpreter)
    try:
        return preparation, preparer.locked(preparation)[0]
    except TfTesterError as error:
        return error
