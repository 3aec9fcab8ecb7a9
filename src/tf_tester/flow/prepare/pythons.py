"""The Python of a cell is chosen for all that it installs, not for the package under test alone."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace
from packaging.version import Version

from tf_tester.core.select.matrix import other_pythons, plan
from tf_tester.errors import TfTesterError, Unresolvable
from tf_tester.flow.prepare.pools import interruptible
from tf_tester.flow.prepare.prepare import Preparation, Preparer
from tf_tester.flow.prepare.select import Selected
from tf_tester.flow.prepare.services import Services
from tf_tester.model.cell import PlannedCell
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.request import Selection, Trial

_AT_ONCE = 4


def with_pythons_for_all(selected: Selected, selection: Selection, trial: Trial, services: Services) -> Selected:
    """Return the cells, each with a Python on which all goes together that is required, where there is one.

    Only where no Python was asked for, and something besides the package is: else there is nothing to choose. A cell
    for which no Python does keeps its own, and tells why when it is run.
    """
    if selection.pythons or not (trial.requirements or trial.constraints or trial.project):
        return selected
    interpreters, _ = services.provisioning.interpreters.find()
    with interruptible(_AT_ONCE, "lock", services.run.stop) as pool:
        preparer = Preparer(selection, trial, selected.page, services, pool)

        def settled(planned: PlannedCell) -> PlannedCell:
            return _on_another(planned, _others(planned, selected, interpreters, selection, services), preparer)

        cells = tuple(pool.map(settled, selected.cells))
    return replace(selected, cells=cells, remarks=(*selected.remarks, *_remarks(selected.cells, cells)))


def _others(
    planned: PlannedCell,
    selected: Selected,
    interpreters: Sequence[Interpreter],
    selection: Selection,
    services: Services,
) -> Callable[[], tuple[PlannedCell, ...]]:
    """Return what gives the same cell with each other Python, the nearest first."""

    def found() -> tuple[PlannedCell, ...]:
        assert planned.interpreter is not None
        return plan(
            selected.page,
            [Version(planned.cell.version)],
            interpreters,
            platform=services.provisioning.interpreters.platform(),
            pythons=other_pythons(planned.interpreter, interpreters),
            resolution=planned.cell.resolution,
            may_build=bool({selection.package, "all"} & selection.allow_build),
        )

    return found


def _on_another(planned: PlannedCell, others: Callable[[], tuple[PlannedCell, ...]], preparer: Preparer) -> PlannedCell:
    """Return the cell, or where its dependencies don't go together the first other one whose do."""
    if planned.interpreter is None or _goes_together(planned, preparer) is not False:
        return planned
    for other in others():
        if other.interpreter is not None and _goes_together(other, preparer):
            return other
    return planned


def _goes_together(planned: PlannedCell, preparer: Preparer) -> bool | None:
    """Tell whether there is a lock; None: something else is wrong, which the cell will tell."""
    assert planned.interpreter is not None
    try:
        preparer.locked(Preparation(planned, planned.interpreter))
    except Unresolvable:
        return False
    except TfTesterError:
        return None
    return True


def _remarks(before: Sequence[PlannedCell], after: Sequence[PlannedCell]) -> list[str]:
    moved: dict[tuple[str, str, str], list[str]] = {}
    for old, new in zip(before, after, strict=True):
        if old.cell.python != new.cell.python:
            key = (new.cell.package, new.cell.python, old.cell.python)
            moved.setdefault(key, []).append(new.cell.version)
    return [
        f"{package} {', '.join(versions)} on Python {python}: on {instead} what is required doesn't go together"
        for (package, python, instead), versions in moved.items()
    ]
