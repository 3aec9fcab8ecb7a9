"""What is asked of a grid besides the grid: with which release its borders came, and the way to a version."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from tf_tester.core.grid.borders import borders
from tf_tester.core.grid.routes import Resaving
from tf_tester.core.outcome.exits import FAILED
from tf_tester.errors import UsageError
from tf_tester.flow.grid.cells import GridCells, Produced
from tf_tester.flow.grid.products import Products
from tf_tester.flow.grid.request import GridRequest
from tf_tester.flow.grid.route import RouteSearch
from tf_tester.flow.grid.since import BorderSearch
from tf_tester.flow.grid.single import GridCandidates, SingleFields
from tf_tester.flow.prepare.select import Selected
from tf_tester.model.events import FieldFinished
from tf_tester.ports.tell import Tell


class RouteEnds(Struct, frozen=True):
    """From where to where: names of cells."""

    start: str
    goal: str


class FinishedGrid(Struct, frozen=True):
    """A grid of which all fields are known."""

    request: GridRequest
    cells: GridCells
    products: Products
    candidates: GridCandidates
    produced: Mapping[str, Produced]
    fields: Sequence[FieldFinished]


def route_ends(request: GridRequest, made: Selected, used: Selected) -> RouteEnds | None:
    """Return the cells between which a way is to be found. Raises `UsageError` where a version means none of them."""
    if request.route is None:
        return None
    start, goal = (
        _meant(text, role, selected)
        for text, role, selected in zip(request.route, ("saves", "loads"), (made, used), strict=True)
    )
    if start == goal:
        raise UsageError(
            "--route begins and ends with the same version.", hint="Give two that differ, such as 1.2:1.7."
        )
    return RouteEnds(start, goal)


def _meant(text: str, role: str, selected: Selected) -> str:
    """Return the name of the cell of a version, or of the newest one of a series: `1.2` for 1.2.2."""
    versions = [planned.cell.version for planned in selected.cells]
    exact = [planned.cell.name for planned in selected.cells if planned.cell.version == text]
    series = [planned.cell.name for planned in selected.cells if planned.cell.version.startswith(f"{text}.")]
    if not exact and not series:
        raise UsageError(
            f"--route names {text}, and no version of the grid that {role} is that one.",
            hint=f"Those are {', '.join(dict.fromkeys(versions))}.",
        )
    return (exact or series)[-1]


def look_behind(grid: FinishedGrid, ends: RouteEnds | None, tell: Tell) -> int:
    """Find what was asked for, telling it as it is found, and return 1 where there is no way, else 0."""
    single = SingleFields(grid.request, grid.cells, grid.products)
    if grid.request.why:
        savers, loaders = grid.candidates.savers, grid.candidates.loaders
        cells = {name: one.planned.cell for name, one in (*savers.items(), *loaders.items())}
        seen = borders(grid.fields, tuple(savers), tuple(loaders), cells)
        for border in BorderSearch(grid.cells, single, grid.candidates, grid.produced).found(seen):
            tell(border)
    if ends is None:
        return 0
    resavings = [one for produced in grid.produced.values() for one in produced.resavings]
    if grid.request.resave:
        resavings.append(Resaving(grid.request.product, grid.request.product))
    search = RouteSearch(grid.candidates, grid.produced, grid.fields, single, resavings)
    code = 0
    for way in search.ways(ends.start, ends.goal):
        tell(way)
        code = code if way.arrived else FAILED
    return code
