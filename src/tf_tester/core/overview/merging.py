"""Several runs as one: the jobs of a CI matrix, or a run and its repetition for some cells. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from tf_tester.core.outcome.exits import exit_code
from tf_tester.core.outcome.report import RunReport, Transfers
from tf_tester.core.select.sharding import MatrixJob, python_label
from tf_tester.core.text.sizes import count_text
from tf_tester.model.cell import Cell
from tf_tester.model.events import (
    CellExplained,
    CellFinished,
    CellLocked,
    Event,
    MirrorsChosen,
    RunFinished,
    RunStarted,
    TransferFinished,
    TransferTrouble,
    ValueRecorded,
    WheelBuilt,
)
from tf_tester.model.outcome import CellResult, Outcome

_MOST_NAMED = 3
"""Runs that are named; of more, their number."""


def merged(reports: Sequence[RunReport]) -> RunReport:
    """Return one report of several runs, in the order of their beginnings; of one run that run's.

    A cell that several of them have counts once: as it came to last, of those in which it ran. Cells of machines of
    another kind are other cells: their platform is in their name then. At least one report is given.
    """
    ordered = distinct(reports)
    if len(ordered) == 1:
        return ordered[0]
    several = len({one.platform for one in ordered}) > 1
    told = [_on_its_platform(one) if several else one for one in ordered]
    results: dict[str, CellResult] = {}
    for one in told:
        for name, result in one.results.items():
            if name not in results or result.outcome.ran or not results[name].outcome.ran:
                results[name] = result
    first, last = told[0], told[-1]
    return replace(
        first,
        run_id=_named([one.run_id for one in told]),
        tool=last.tool,
        folder="",
        platform="" if several else first.platform,
        cells=_in_order(cell for one in told for cell in one.cells),
        results=results,
        remarks=tuple(dict.fromkeys(remark for one in told for remark in one.remarks)),
        locks={name: lock for one in told for name, lock in one.locks.items()},
        products=(),  # of several grids there is no one picture
        fields=(),
        explanations=tuple(dict.fromkeys(found for one in told for found in one.explanations)),
        left_out=sum(one.left_out for one in told),
        transfers=Transfers.of(source for one in told for source in one.transfers.sources),
        builds=tuple(build for one in told for build in one.builds),
        interrupted=any(one.interrupted for one in told),
        is_cut=any(one.is_cut for one in told),
        exit_code=exit_code(results.values(), interrupted=any(one.interrupted for one in told)),
        wall_s=sum(one.wall_s for one in told),
    )


def distinct(reports: Iterable[RunReport]) -> list[RunReport]:
    """Return one report of each run, in the order of their beginnings; of several of one run that which has its end."""
    found: dict[str, RunReport] = {}
    for one in reports:
        known = found.get(one.run_id)
        if known is None or (known.interrupted and not one.interrupted):
            found[one.run_id] = one
    return sorted(found.values(), key=lambda one: (one.started, one.run_id))


def with_missing(report: RunReport, jobs: Iterable[MatrixJob]) -> RunReport:
    """Return the report with the cells of a matrix that are in no record: they are interrupted, by what nobody knows.

    Each job is told that brought nothing, or not all. The machine that was to run it has failed, so the exit code is 4
    where nothing else is graver.
    """
    cells, results, remarks = list(report.cells), dict(report.results), []
    for job in jobs:
        # Where no Python was asked for it is whichever the job has chosen.
        found = {(cell.version, _label(cell) if job.pythons else "") for cell in report.cells if job.has(cell)}
        missing = [cell for cell in job.cells if (cell.version, _label(cell) if job.pythons else "") not in found]
        if not missing:
            continue
        whole = len(missing) == len(job.cells)
        remarks.append(f"job {job.name} is missing: {'no' if whole else 'not each'} cell of it is in a record")
        cells += missing
        for cell in missing:
            summary = f"Its job, {job.name}, left no record of it."
            hint = "Look at the job's log, and run it again."
            results[cell.name] = CellResult(cell.name, Outcome.INTERRUPTED, summary, hint, own_failure=True)
    return replace(
        report,
        cells=_in_order(cells),
        results=results,
        remarks=(*report.remarks, *remarks),
        exit_code=exit_code(results.values(), interrupted=report.interrupted) if remarks else report.exit_code,
    )


def _label(cell: Cell) -> str:
    """Return how cells name a Python: one that was asked for as `3.10.4` and isn't there has its whole name."""
    return python_label(cell.python)


def events_of(report: RunReport, runs: Iterable[Iterable[Event]]) -> Iterator[Event]:
    """Return a report as the events of one run, from which it could be made again.

    `runs`: the events of the runs that it is made of; what was brought and built is told as it was there.
    """
    yield RunStarted(
        run_id=report.run_id,
        started=report.started,
        tool=report.tool,
        request=dict(report.request),
        cells=report.cells,
        folder=report.folder,
        remarks=report.remarks,
        platform=report.platform,
    )
    from_store: dict[str, bool] = {}
    for event in (event for run in runs for event in run):
        match event:
            case TransferFinished() | TransferTrouble() | MirrorsChosen() | WheelBuilt():
                yield event
            case ValueRecorded() if report.fields:  # of one grid
                yield event
            case CellLocked():
                from_store[event.cell] = event.from_store
            case _:
                pass
    for name, lock in report.locks.items():
        yield CellLocked(name, lock, from_store.get(name, False))
    yield from report.products
    yield from report.fields
    for result in {**report.results, **{cell.name: report.result(cell) for cell in report.cells}}.values():
        yield CellFinished(result)
    for explanation in report.explanations:
        yield CellExplained(explanation)
    yield RunFinished(report.exit_code, report.interrupted, report.wall_s)


def _named(runs: Sequence[str]) -> str:
    names = list(dict.fromkeys(runs))
    if len(names) > _MOST_NAMED:
        names[_MOST_NAMED - 1 :] = [count_text(len(names) - _MOST_NAMED + 1, "other run")]
    return " + ".join(names)


def _in_order(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    """Return all cells, each once: those of one package together, by their versions, else as they came."""
    from packaging.version import InvalidVersion, Version

    def release(cell: Cell) -> tuple[bool, Version]:
        try:
            return True, Version(cell.version)
        except InvalidVersion:
            return False, Version("0")

    found = {cell.name: cell for cell in cells}
    packages = list(dict.fromkeys(cell.package for cell in found.values()))
    return tuple(sorted(found.values(), key=lambda cell: (packages.index(cell.package), *release(cell))))


def _on_its_platform(report: RunReport) -> RunReport:
    """Return the report with the platform in each cell that was run on the run's own."""
    renamed = {cell.name: replace(cell, platform=cell.platform or report.platform) for cell in report.cells}
    names = {old: cell.name for old, cell in renamed.items()}

    def there(cell: Cell) -> Cell:
        return replace(cell, platform=cell.platform or report.platform)

    return replace(
        report,
        cells=tuple(renamed.values()),
        results={
            names.get(old, old): replace(result, cell=names.get(old, old)) for old, result in report.results.items()
        },
        locks={names.get(old, old): lock for old, lock in report.locks.items()},
        explanations=tuple(
            replace(one, cell=there(one.cell), against=there(one.against)) for one in report.explanations
        ),
    )
