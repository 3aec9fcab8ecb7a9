"""Which of the cells that pass a failing one is best compared with. Pure."""

from bisect import bisect_left
from collections.abc import Iterable

from tf_tester.core.outcome.report import RunReport
from tf_tester.core.verdict.drift import changes
from tf_tester.model.cell import Cell


class PassingCells:
    """Cells in which something passes that fails in others."""

    def __init__(self, passing: Iterable[Cell], report: RunReport) -> None:
        self._locks = report.locks
        self._places = {
            package: {version: place for place, version in enumerate(dict.fromkeys(versions))}
            for package, versions in _versions(report).items()
        }
        self._by_place: dict[tuple[str, str], dict[int, list[Cell]]] = {}
        for cell in passing:
            beside = self._by_place.setdefault((cell.package, cell.platform), {})
            beside.setdefault(self._places[cell.package][cell.version], []).append(cell)
        self._sorted = {key: sorted(places) for key, places in self._by_place.items()}

    def nearest(self, failing: Cell) -> Cell | None:
        """Return the one that is nearest to a cell; None: none is of its package and platform.

        It has the nearest version, counted in versions of the report; of several the fewest other dependencies; of
        those it is the first in the report.
        """
        key = (failing.package, failing.platform)
        places = self._sorted.get(key)
        if not places:
            return None
        own = self._places[failing.package][failing.version]
        position = bisect_left(places, own)
        around = places[max(position - 1, 0) : position + 1]
        distance = min(abs(place - own) for place in around)
        near = [cell for place in around if abs(place - own) == distance for cell in self._by_place[key][place]]
        return near[0] if len(near) == 1 else min(near, key=lambda cell: self._differing(cell, failing))

    def _differing(self, one: Cell, other: Cell) -> int:
        before, after = self._locks.get(one.name), self._locks.get(other.name)
        return len(changes(before, after)) if before is not None and after is not None else 0


def _versions(report: RunReport) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for cell in report.cells:
        found.setdefault(cell.package, []).append(cell.version)
    return found
