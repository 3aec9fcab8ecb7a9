"""The Python of a cell is chosen for all that it installs, not for the package under test alone."""

from collections.abc import Sequence

from msgspec.structs import replace
from packaging.version import Version

from tf_tester.core.select.matrix import other_pythons, plan
from tf_tester.errors import TfTesterError, Unresolvable
from tf_tester.flow.prepare.pools import interruptible
from tf_tester.flow.prepare.prepare import Preparation, Preparer
from tf_tester.flow.prepare.select import Selected
from tf_tester.flow.prepare.services import Services
from tf_tester.model.artifact import ProjectPage
from tf_tester.model.cell import PlannedCell
from tf_tester.model.request import Selection, Trial

_AT_ONCE = 4


def with_pythons_for_all(selected: Selected, selection: Selection, trial: Trial, services: Services) -> Selected:
    """Return the cells, each with a Python on which all goes together that is required, where there is one.

    Only where no Python was asked for, and something besides the package is: else there is nothing to choose. A cell
    for which no Python does keeps its own, and tells why when it is run.
    """
    if not is_to_be_chosen(selection, trial):
        return selected
    with interruptible(_AT_ONCE, "lock", services.run.stop) as pool:
        preparer = Preparer(selection, trial, selected.page, services, pool)
        choice = PythonChoice(selection, selected.page, preparer, services)
        cells = tuple(pool.map(choice.settled, selected.cells))
    return replace(selected, cells=cells, remarks=(*selected.remarks, *moved(selected.cells, cells)))


def is_to_be_chosen(selection: Selection, trial: Trial) -> bool:
    """Tell whether more than the package decides which Python will do."""
    return not selection.pythons and bool(trial.requirements or trial.constraints or trial.project)


class PythonChoice:
    """Gives cells another Python where they need one."""

    def __init__(self, selection: Selection, page: ProjectPage, preparer: Preparer, services: Services) -> None:
        """`page`: of the package under test."""
        self._selection = selection
        self._page = page
        self._preparer = preparer
        self._provisioning = services.provisioning

    def settled(self, planned: PlannedCell) -> PlannedCell:
        """Return the cell, or where its dependencies don't go together the first other one whose do."""
        if planned.interpreter is None or _goes_together(planned, self._preparer) is not False:
            return planned
        interpreters, _ = self._provisioning.interpreters.find()
        for other in self.on(planned, other_pythons(planned.interpreter, interpreters)):
            if other.interpreter is not None and _goes_together(other, self._preparer):
                return other
        return planned

    def on(self, planned: PlannedCell, pythons: Sequence[str]) -> tuple[PlannedCell, ...]:
        """Return the same cell with each of these Pythons (`3.9`), in their order."""
        return plan(
            self._page,
            [Version(planned.cell.version)],
            self._provisioning.interpreters.find()[0],
            platform=self._provisioning.interpreters.platform(),
            pythons=pythons,
            resolution=planned.cell.resolution,
            may_build=bool({self._selection.package, "all"} & self._selection.allow_build),
        )


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


def moved(before: Sequence[PlannedCell], after: Sequence[PlannedCell]) -> list[str]:
    """Return the remarks on cells that got another Python."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for old, new in zip(before, after, strict=True):
        if old.cell.python != new.cell.python:
            key = (new.cell.package, new.cell.python, old.cell.python)
            groups.setdefault(key, []).append(new.cell.version)
    return [
        f"{package} {', '.join(versions)} on Python {python}: on {instead} what is required doesn't go together"
        for (package, python, instead), versions in groups.items()
    ]
