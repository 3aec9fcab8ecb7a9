"""With which cell another one's numbers are compared."""

from tf_tester.core.grid.versions import compared_with
from tf_tester.model.cell import Cell, CellRequirement
from tf_tester.model.lock import Resolution


def cell(version: str, python: str = "3.11", numpy: str = "", resolution: Resolution = Resolution.ERA) -> Cell:
    besides = [CellRequirement("numpy", numpy)] if numpy else []
    return Cell.of("toy", version, python, resolution, besides=besides)


def test_it_is_the_next_version_below_as_versions_are_ordered() -> None:
    cells = [cell(version) for version in ("1.10", "1.9", "2.0", "1.0")]
    assert [compared_with(one, cells) for one in cells] == [cells[1], cells[3], cells[0], None]


def test_it_has_the_same_python_if_one_has_and_the_same_besides_in_any_case() -> None:
    cells = [cell("1.0", "3.8"), cell("1.1", "3.9"), cell("1.1", "3.8"), cell("2.0", "3.8"), cell("3.0", "3.12")]
    assert compared_with(cells[3], cells) == cells[2]
    assert compared_with(cells[4], cells) == cells[3]
    pair = [cell("1.0", numpy="1.24.0"), cell("1.1", numpy="2.0.0"), cell("1.1", numpy="1.24.0")]
    assert [compared_with(one, pair) for one in pair] == [None, None, pair[0]]
    latest = [cell("1.0", resolution=Resolution.LATEST), cell("1.1")]
    assert compared_with(latest[1], latest) is None


def test_a_reference_is_that_of_all_but_itself() -> None:
    cells = [cell("1.0"), cell("2.0"), cell("2.0", "3.12"), cell("3.0")]
    assert [compared_with(one, cells, "2.0") for one in cells] == [cells[1], None, None, cells[1]]
    assert compared_with(cells[0], cells, "9.9") is None


def test_what_is_no_version_has_none_before_it() -> None:
    odd = Cell.of("toy", "main", "3.11", Resolution.ERA)
    assert compared_with(odd, [odd, cell("1.0")]) is None
    assert compared_with(cell("1.0"), [odd]) is None
