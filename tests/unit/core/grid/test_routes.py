"""The shortest way over fields that are ok."""

from tf_tester.core.grid.routes import Resaving, RouteMap, nearest_to, shortest_route, shortest_routes

STEPS = frozenset(("m", str(number), str(number + 1)) for number in range(1, 6))
CELLS = ("1", "2", "3", "4", "5", "6")
AGAIN = (Resaving("m", "m"),)


def words(known: RouteMap, start: str, goal: str, product: str = "m") -> list[str] | None:
    hops = shortest_route(known, start, goal, product)
    if hops is None:
        return None
    return [f"{hop.product}@{hop.consumer}" + (f">{hop.saved_as}" if hop.saved_as else "") for hop in hops]


def test_it_saves_anew_on_the_way_and_takes_the_fewest_hops() -> None:
    known = RouteMap(STEPS, AGAIN, CELLS)
    assert words(known, "1", "4") == ["m@2>m", "m@3>m", "m@4"]
    shortcut = RouteMap(STEPS | {("m", "1", "3")}, AGAIN, CELLS)
    assert words(shortcut, "1", "4") == ["m@3>m", "m@4"]
    assert words(RouteMap(STEPS | {("m", "1", "4")}, (), CELLS), "1", "4") == ["m@4"]


def test_another_format_may_be_the_way() -> None:
    loads = frozenset({("m.h5", "1", "2"), ("m.keras", "2", "3")})
    known = RouteMap(loads, (Resaving("m.h5", "m.keras"),), CELLS)
    assert words(known, "1", "3", "m.h5") == ["m.h5@2>m.keras", "m.keras@3"]
    assert words(known, "1", "3", "m.keras") is None


def test_of_ways_of_one_length_the_newest_version_and_the_same_product_come_first() -> None:
    loads = frozenset(("m", a, b) for a, b in (("1", "2"), ("1", "3"), ("2", "5"), ("3", "5")))
    assert words(RouteMap(loads, AGAIN, CELLS), "1", "5") == ["m@3>m", "m@5"]
    both = (Resaving("m", "a"), *AGAIN)
    assert words(RouteMap(loads | {("a", "3", "5")}, both, CELLS), "1", "5") == ["m@3>m", "m@5"]


def test_what_did_not_hold_is_left_out() -> None:
    known = RouteMap(STEPS | {("m", "1", "3")}, AGAIN, CELLS)
    assert words(known.without(("m", "1", "3")), "1", "4") == ["m@2>m", "m@3>m", "m@4"]
    assert words(known.without_resaving("3", AGAIN[0]), "1", "4") is None


def test_there_is_none_without_resavers_and_the_nearest_is_told() -> None:
    known = RouteMap(STEPS, (), CELLS)
    assert words(known, "1", "3") is None
    reached = shortest_routes(known, "1", "m")
    assert set(reached) == {"2"}
    assert nearest_to("5", "1", CELLS, reached.keys()) == "2"
    assert nearest_to("1", "5", CELLS, {"6"}) is None, "further away than the start"
