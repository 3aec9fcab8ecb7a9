"""`--ephemeral`: what a version brought is deleted when it has been tested, as far as no later version needs it."""

from tf_tester.errors import TfTesterError
from tf_tester.flow.prepare.prepare import Preparation
from tf_tester.flow.run.frame import Run
from tf_tester.model.cell import PlannedCell
from tf_tester.model.lock import Lock


class Ephemeral:
    """Knows what the cells of a run need, and what was there before them."""

    def __init__(self, run: Run) -> None:
        """Resolve all of them: nothing but metadata is fetched for it."""
        self._evictable = run.services.storage.evictable
        cells = run.plan.cells

        def needs_of(planned: PlannedCell) -> set[str]:
            if planned.interpreter is None:
                return set()
            try:
                return _digests(run.preparer.locked(Preparation(planned, planned.interpreter))[0])
            except TfTesterError:
                return set()  # the cell itself will say so

        self._needs = {
            planned.cell.name: needs for planned, needs in zip(cells, run.pool.map(needs_of, cells), strict=True)
        }
        everything = set().union(*self._needs.values())
        self._before = {digest for digest in everything if self._evictable.holds(digest)}

    def tested(self, name: str) -> None:
        """Delete what the cell of that name, which is over, has brought and no other one needs."""
        own = self._needs.pop(name, set())
        self._discard(own - set().union(*self._needs.values()))

    def finish(self) -> None:
        """Delete the rest when the run is over: cells that never ran have brought something, too."""
        self._discard(set().union(*self._needs.values()))
        self._needs.clear()

    def _discard(self, digests: set[str]) -> None:
        if gone := digests - self._before:
            self._evictable.discard(gone)


def _digests(lock: Lock) -> set[str]:
    return {digest for pin in lock.pins for digest in (pin.sha256, pin.built_from) if digest}
