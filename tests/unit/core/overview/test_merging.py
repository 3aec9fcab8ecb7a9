"""Several runs as one."""

import pytest
from msgspec.structs import replace

from tf_tester.core.outcome.report import RunReport, Transfers, TransferSource, fold
from tf_tester.core.overview.merging import events_of, merged, with_missing
from tf_tester.core.select.sharding import MatrixJob
from tf_tester.errors import INTERRUPTED
from tf_tester.model.cell import Cell
from tf_tester.model.events import FieldFinished, ProductLeft, ValueRecorded
from tf_tester.model.field import FieldOutcome
from tf_tester.model.lock import Lock, Resolution
from tf_tester.model.outcome import CellResult, Outcome

PASS, FAIL, NO_WHEEL, STOPPED = Outcome.PASS, Outcome.FAIL, Outcome.NO_WHEEL, Outcome.INTERRUPTED


def run(name: str, outcomes: dict[str, Outcome], *, platform: str = "linux", interrupted: bool = False) -> RunReport:
    cells = {version: Cell.of("toy", version, "3.11", Resolution.ERA) for version in outcomes}
    return RunReport(
        run_id=name,
        started=f"2026-11-0{name}T00:00:00Z",
        tool="tf-tester 1",
        folder=f"/runs/{name}",
        platform=platform,
        cells=tuple(cells.values()),
        results={cell.name: CellResult(cell.name, outcomes[version]) for version, cell in cells.items()},
        locks={cell.name: Lock("3.11.0", Resolution.ERA, None, ()) for cell in cells.values()},
        transfers=Transfers((TransferSource("authority", 1, 10, 0.5),)),
        interrupted=interrupted,
        remarks=("the same", name),
        exit_code=0,
        wall_s=2.0,
    )


def outcomes(report: RunReport) -> dict[str, str]:
    return {cell.version: str(report.result(cell).outcome) for cell in report.cells}


def test_one_run_is_itself() -> None:
    assert merged([run("1", {"1.0": PASS})]) == run("1", {"1.0": PASS})


def test_jobs_of_a_matrix_are_one_report_in_the_order_of_versions() -> None:
    together = merged([run("2", {"2.0": FAIL, "10.0": PASS}), run("1", {"1.0": PASS})])
    assert outcomes(together) == {"1.0": "pass", "2.0": "fail", "10.0": "pass"}
    assert list(outcomes(together)) == ["1.0", "2.0", "10.0"]
    assert together.run_id == "1 + 2"
    assert together.exit_code == 1
    assert together.remarks == ("the same", "1", "2")
    assert (together.transfers.files, together.transfers.received, together.wall_s) == (2, 20, 4.0)
    assert together.transfers.sources == (TransferSource("authority", 2, 20, 1.0),)
    assert len(together.locks) == 3


@pytest.mark.parametrize(
    ("first", "second", "counts"),
    [
        (FAIL, PASS, PASS),
        (PASS, FAIL, FAIL),
        (PASS, NO_WHEEL, PASS),
        (NO_WHEEL, PASS, PASS),
        (STOPPED, NO_WHEEL, NO_WHEEL),
    ],
)
def test_of_a_cell_that_ran_twice_the_last_counts_in_which_it_ran(
    first: Outcome, second: Outcome, counts: Outcome
) -> None:
    for given in ([run("1", {"1.0": first}), run("2", {"1.0": second})],):
        assert outcomes(merged(given)) == outcomes(merged(given[::-1])) == {"1.0": counts}


def test_a_job_that_was_killed_makes_the_whole_an_interrupted_one() -> None:
    killed = replace(run("2", {"2.0": PASS}, interrupted=True), results={})
    together = merged([run("1", {"1.0": PASS}), killed])
    assert together.interrupted
    assert together.exit_code == INTERRUPTED
    assert not together.is_cut
    assert merged([run("1", {"1.0": PASS}), replace(killed, is_cut=True)]).is_cut
    assert outcomes(together) == {"1.0": "pass", "2.0": "interrupted"}


def test_the_same_cell_on_another_platform_is_another_cell() -> None:
    together = merged([run("1", {"1.0": PASS}), run("2", {"1.0": FAIL}, platform="macosx")])
    assert {cell.platform: together.result(cell).outcome for cell in together.cells} == {"linux": PASS, "macosx": FAIL}
    assert set(together.locks) == {cell.name for cell in together.cells}
    assert all(result.cell == name for name, result in together.results.items())


def test_a_record_that_is_given_twice_counts_once() -> None:
    whole = run("1", {"1.0": PASS})
    killed = replace(whole, interrupted=True, results={})
    for given in ([whole, killed], [killed, whole], [whole, whole]):
        assert merged(given) == whole


def test_of_many_runs_a_few_are_named() -> None:
    assert merged([run(str(day), {"1.0": PASS}) for day in range(1, 10)]).run_id == "1 + 2 + 7 other runs"


def job(name: str, *versions: str, pythons: tuple[str, ...] = ()) -> MatrixJob:
    return MatrixJob(name, "toy", versions, pythons, Resolution.ERA, () if pythons else ("3.8",) * len(versions))


def test_jobs_that_left_no_record_are_told_and_fail_the_run() -> None:
    together = merged([run("1", {"1.0": PASS}), run("2", {"2.0": PASS})])
    assert with_missing(together, [job("a", "1.0"), job("b", "2.0", pythons=("3.11",))]) == together
    told = with_missing(together, [job("a", "1.0"), job("b", "2.0"), job("c", "1.1"), job("d", "2.0", "3.0")])
    assert outcomes(told) == {"1.0": "pass", "1.1": "interrupted", "2.0": "pass", "3.0": "interrupted"}
    assert [cell.python for cell in told.cells] == ["3.11", "3.8", "3.11", "3.8"], "as it was planned"
    assert told.remarks[-2:] == (
        "job c is missing: no cell of it is in a record",
        "job d is missing: not each cell of it is in a record",
    )
    assert told.exit_code == 4
    assert told.result(told.cells[1]).summary == "Its job, c, left no record of it."
    failed = with_missing(merged([run("1", {"1.0": FAIL})]), [job("b", "2.0")])
    assert failed.exit_code == 1, "what is graver counts"


def test_a_python_that_the_job_did_not_have_is_no_missing_record() -> None:
    cell = Cell.of("toy", "1.0", "3.10.4", Resolution.ERA)
    refused = {cell.name: CellResult(cell.name, Outcome.NO_PYTHON)}
    whole = replace(run("1", {}), cells=(cell,), results=refused, exit_code=3)
    assert with_missing(whole, [job("a", "1.0", pythons=("3.10.4",))]) == whole


def test_a_cell_on_another_python_is_missing_where_that_one_was_asked_for() -> None:
    told = with_missing(run("1", {"1.0": PASS}), [job("a", "1.0", pythons=("3.11", "3.12.1"))])
    assert [(cell.python, told.result(cell).outcome) for cell in told.cells] == [("3.11", PASS), ("3.12", STOPPED)]


def test_a_merged_report_can_be_made_again_from_its_events() -> None:
    killed = replace(run("3", {"3.0": PASS}, interrupted=True), results={})
    for given in ([run("1", {"1.0": PASS}), run("2", {"2.0": FAIL})], [run("1", {"1.0": PASS}), killed]):
        together = with_missing(merged(given), [job("c", "9.0")])
        again = fold(events_of(together, []))
        assert again.cells == together.cells
        assert [again.result(cell) for cell in again.cells] == [together.result(cell) for cell in together.cells]
        assert replace(again, results={}, transfers=together.transfers) == replace(together, results={})


def test_the_record_of_one_grid_stays_that_of_a_grid() -> None:
    grid = run("1", {"1.0": PASS})
    [cell] = grid.cells
    left = ProductLeft(cell.name, "save", "m", "d" * 64, 1, 1)
    value = ValueRecorded(cell.name, "save", "p", "<f8", (), "e" * 64)
    grid = replace(grid, products=(left,), fields=(FieldFinished(cell.name, cell.name, "m", FieldOutcome.OK),))
    told = list(events_of(merged([grid]), [[left, value]]))
    assert (fold(told).products, fold(told).fields) == (grid.products, grid.fields)
    assert told.count(value) == 1
    both = merged([grid, replace(grid, run_id="2")])
    assert value not in list(events_of(both, [[value], [value]])), "of several grids there is no one picture"
