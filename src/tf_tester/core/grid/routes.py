"""The way from the version people have to the one they want: over fields that are ok, saving anew on the way. Pure."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.model.field import RouteHop

Load = tuple[str, str, str]
"""A product, the name of the cell that has saved it, and that of the cell that loads it."""


class Resaving(Struct, frozen=True):
    """A product that can be saved anew, where it was loaded: as the same, or as another one."""

    product: str
    to: str


class RouteMap(Struct, frozen=True):
    """What is known of who loads what."""

    loads: frozenset[Load]
    """Those that are ok."""
    resavings: tuple[Resaving, ...]
    cells: tuple[str, ...]
    """Names of those that load, in the order of their versions."""
    refused: frozenset[tuple[str, Resaving]] = frozenset()
    """What can't be saved anew in which cell, although the file has a function for it."""

    def without(self, load: Load) -> "RouteMap":
        """Return the map without a load that didn't hold."""
        return replace(self, loads=self.loads - {load})

    def without_resaving(self, cell: str, resaving: Resaving) -> "RouteMap":
        """Return the map without something that a cell could not save anew."""
        return replace(self, refused=self.refused | {(cell, resaving)})

    def saved_as(self, cell: str, product: str) -> list[str]:
        """Return as what a cell can save a product anew, what keeps its name first."""
        found = {one.to for one in self.resavings if one.product == product and (cell, one) not in self.refused}
        return sorted(found, key=lambda to: (to != product, to))


def shortest_route(known: RouteMap, start: str, goal: str, product: str) -> tuple[RouteHop, ...] | None:
    """Return the hops by which what `start` has saved comes to `goal`, the fewest; None: there is no way.

    >>> known = RouteMap(frozenset({("m", "1", "2"), ("m", "2", "3")}), (Resaving("m", "m"),), ("1", "2", "3"))
    >>> [(hop.consumer, hop.saved_as) for hop in shortest_route(known, "1", "3", "m")]
    [('2', 'm'), ('3', '')]
    >>> shortest_route(known, "3", "1", "m") is None
    True
    """
    return shortest_routes(known, start, product).get(goal)


def shortest_routes(known: RouteMap, start: str, product: str) -> Mapping[str, tuple[RouteHop, ...]]:
    """Return for each cell to which what `start` has saved can come the hops to it, the fewest.

    Of ways of one length the one over the newest cells is taken, and that on which the product stays what it is.
    """
    found: dict[str, tuple[RouteHop, ...]] = {}
    seen = {(start, product)}
    waiting: deque[tuple[str, str, tuple[RouteHop, ...]]] = deque([(start, product, ())])
    while waiting:
        saver, name, hops = waiting.popleft()
        for loader in reversed(known.cells):
            if loader == saver or (name, saver, loader) not in known.loads:
                continue
            found.setdefault(loader, (*hops, RouteHop(loader, name)))
            for to in known.saved_as(loader, name):
                if (loader, to) not in seen:
                    seen.add((loader, to))
                    waiting.append((loader, to, (*hops, RouteHop(loader, name, to))))
    return found


def nearest_to(goal: str, start: str, cells: Sequence[str], reached: Collection[str]) -> str | None:
    """Return which of the cells that are reached is nearest to the goal, and nearer than the start; None: none is.

    `cells`: all of them, in the order of their versions.

    >>> nearest_to("5", "1", ["1", "2", "3", "4", "5"], {"2", "3"}), nearest_to("5", "3", ["1", "3", "5"], {"1"})
    ('3', None)
    """
    place = cells.index(goal)
    distances = {one: abs(number - place) for number, one in enumerate(cells)}
    near = [one for one in cells if one in reached and one != goal and distances[one] < distances[start]]
    return min(near, key=lambda one: distances[one], default=None)
