"""Go the shortest way from the version that people have to the one they want to its end, or tell how far it goes."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.grid.routes import Resaving, RouteMap, nearest_to, shortest_route, shortest_routes
from tf_tester.flow.grid.cells import Produced
from tf_tester.flow.grid.single import GridCandidates, SingleFields
from tf_tester.model.events import FieldFinished, RouteFound, ValueRecorded
from tf_tester.model.field import FieldOutcome, RouteHop

_MOST_TRIES = 20
"""Ways that are gone for one product."""


class _Gone(Struct, frozen=True):
    """What came of going a way."""

    hops: tuple[RouteHop, ...]
    compared: tuple[str, ...] = ()
    known: RouteMap | None = None
    """What is known after it failed; None: it didn't."""
    trouble: str = ""


class RouteSearch:
    """Finds ways over the fields of one grid, and goes them."""

    def __init__(
        self,
        cells: GridCandidates,
        produced: Mapping[str, Produced],
        fields: Sequence[FieldFinished],
        single: SingleFields,
        resavings: Sequence[Resaving],
    ) -> None:
        self._cells = cells
        self._produced = produced
        self._single = single
        loads = frozenset(
            (field.product, field.producer, field.consumer) for field in fields if field.outcome is FieldOutcome.OK
        )
        self._known = RouteMap(loads, tuple(dict.fromkeys(resavings)), tuple(cells.loaders))

    def ways(self, start: str, goal: str) -> Iterator[RouteFound]:
        """Yield the way of each product that `start` has saved."""
        produced = self._produced[start]
        for name in produced.products:
            yield self._way(name, start, goal)
        if not produced.products:
            name = next(iter(produced.saved_by), "")
            yield RouteFound(name, start, goal, summary=produced.why_not(name))

    def _way(self, name: str, start: str, goal: str) -> RouteFound:
        values = self._single.reference(self._cells.savers[start], self._produced[start], name)
        known, failed = self._known, list[str]()
        for _ in range(_MOST_TRIES):
            hops = shortest_route(known, start, goal, name)
            if hops is None:
                break
            gone = self._go(known, start, hops, values)
            if gone.known is None:
                return RouteFound(name, start, goal, gone.hops, True, gone.compared, failed=tuple(failed))
            known = gone.known
            failed.append(gone.trouble)
        return self._nearest(known, RouteFound(name, start, goal, failed=tuple(failed)), values)

    def _nearest(self, known: RouteMap, none: RouteFound, values: tuple[ValueRecorded, ...]) -> RouteFound:
        """Return that there is no way, with the way to the nearest version that there is one to."""
        labels, line = self._cells.labels, tuple(dict.fromkeys((*self._cells.savers, *self._cells.loaders)))
        why = f"nothing that {labels[none.start]}'s product can become is rightly loaded by {labels[none.goal]}"
        if not known.resavings:
            why = "nothing saves it anew on the way (@resaver of tf_tester_helper marks what does, or --resave)"
        found = replace(none, summary=why)
        for _ in range(_MOST_TRIES):
            routes = shortest_routes(known, none.start, none.product)
            nearest = nearest_to(none.goal, none.start, line, routes.keys())
            if nearest is None:
                break
            gone = self._go(known, none.start, routes[nearest], values)
            if gone.known is None:
                return replace(found, hops=gone.hops, compared=gone.compared)
            known = gone.known
            found = replace(found, failed=(*found.failed, gone.trouble))
        return found

    def _go(self, known: RouteMap, start: str, hops: Sequence[RouteHop], values: tuple[ValueRecorded, ...]) -> _Gone:
        """Go a way: each cell loads what the one before it saved, to the numbers of the start, and saves it anew."""
        labels = self._cells.labels
        saver, produced = self._cells.savers[start], self._produced[start]
        name = hops[0].product
        key = produced.saved_by[name]
        produced = replace(produced, values=tuple(replace(value, test=key) for value in values))
        gone: list[RouteHop] = []
        compared: tuple[str, ...] = ()
        for hop in hops:
            loader = self._cells.loaders[hop.consumer]
            field = self._single.load(saver, produced, name, loader, "route")
            if field.state.outcome is not FieldOutcome.OK:
                trouble = (
                    f"{labels[hop.consumer]} takes {name}, which {labels[produced.cell.name]} saved, not as expected"
                )
                broken = known.without((name, produced.cell.name, hop.consumer))
                return _Gone(tuple(gone), known=broken, trouble=f"{trouble}: {field.state.summary}")
            compared = field.compared
            if not hop.saved_as:
                gone.append(hop)
                continue
            anew = self._single.resave(loader, produced, name, hop.saved_as)
            if anew.product is None:
                broken = known.without_resaving(hop.consumer, Resaving(name, hop.saved_as))
                trouble = f"{labels[hop.consumer]} doesn't save {name} anew as {hop.saved_as}: {anew.trouble}"
                return _Gone(tuple(gone), known=broken, trouble=trouble)
            gone.append(replace(hop, digest=anew.product.digest))
            cell, label = loader.planned.cell, labels[hop.consumer]
            name = hop.saved_as
            produced = Produced(cell, label, produced.result, {name: anew.product}, {name: key}, produced.values)
            saver = loader
        return _Gone(tuple(gone), compared)
