"""Which passing cell a failing one is compared with."""

from tf_tester.core.outcome.report import RunReport
from tf_tester.core.verdict.nearest import PassingCells
from tf_tester.model.cell import Cell
from tf_tester.model.lock import Lock, Pin, Resolution


def cell(version: str, python: str = "3.11", package: str = "toy", platform: str = "") -> Cell:
    return Cell.of(package, version, python, Resolution.ERA, platform=platform)


def run(*cells: Cell, **gears: str) -> RunReport:
    """A run of cells; `gears`: the version of gear by `v1_0_py3_11`."""
    pins = {one.name: gears.get(f"v{one.version}_py{one.python}".replace(".", "_"), "1") for one in cells}
    locks = {
        name: Lock("3.11.0", Resolution.ERA, None, (Pin("gear", version, "gear.whl", version, 1, ""),))
        for name, version in pins.items()
    }
    return RunReport(cells=cells, locks=locks)


V1, V2, V3, V4, V5 = (cell(f"{number}.0") for number in range(1, 6))


def test_the_nearest_version_counts_in_the_order_of_the_report() -> None:
    report = run(V1, V2, V3, V4, V5)
    assert PassingCells([V1, V2, V5], report).nearest(V3) == V2
    assert PassingCells([V1, V5], report).nearest(V4) == V5
    assert PassingCells([V1], report).nearest(V5) == V1


def test_of_two_as_near_the_one_with_fewer_other_dependencies_is_taken_else_the_first() -> None:
    assert PassingCells([V2, V4], run(V2, V3, V4)).nearest(V3) == V2
    assert PassingCells([V2, V4], run(V2, V3, V4, v2_0_py3_11="2")).nearest(V3) == V4


def test_the_same_version_with_another_python_is_nearer_than_another_version() -> None:
    other = cell("3.0", "3.12")
    assert PassingCells([V2, other], run(V2, V3, other, v3_0_py3_12="2")).nearest(V3) == other


def test_another_package_or_platform_is_not_compared_with() -> None:
    others = (cell("2.0", package="gear"), cell("2.0", platform="win_amd64"))
    assert PassingCells(others, run(V3, *others)).nearest(V3) is None
    assert PassingCells([], run(V3)).nearest(V3) is None


def test_cells_without_a_lock_can_be_compared_with() -> None:
    assert PassingCells([V2, V4], RunReport(cells=(V2, V3, V4))).nearest(V3) == V2
