"""Several runs as one: the jobs of a CI matrix, or a run and its repetition for some cells. Pure."""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from tf_tester.core.outcome.exits import exit_code
from tf_tester.core.outcome.report import RunReport, Transfers
from tf_tester.model.cell import Cell
from tf_tester.model.outcome import CellResult


def merged(reports: Sequence[RunReport]) -> RunReport:
    """Return one report of several runs, in the order of their beginnings; of one run that run's.

    A cell that several of them have counts once: as it came to last, of those in which it ran. Cells of machines of
    another kind are other cells: their platform is in their name then. At least one report is given.
    """
    if len(reports) == 1:
        return reports[0]
    ordered = sorted(reports, key=lambda one: one.started)
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
        run_id=" + ".join(dict.fromkeys(one.run_id for one in told)),
        tool=last.tool,
        folder="",
        platform="" if several else first.platform,
        cells=_in_order(told),
        results=results,
        remarks=tuple(dict.fromkeys(remark for one in told for remark in one.remarks)),
        locks={name: lock for one in told for name, lock in one.locks.items()},
        explanations=tuple(dict.fromkeys(found for one in told for found in one.explanations)),
        left_out=sum(one.left_out for one in told),
        transfers=Transfers.of(source for one in told for source in one.transfers.sources),
        interrupted=any(one.interrupted for one in told),
        is_cut=any(one.is_cut for one in told),
        exit_code=exit_code(results.values(), interrupted=any(one.interrupted for one in told)),
        wall_s=sum(one.wall_s for one in told),
    )


def _in_order(reports: Iterable[RunReport]) -> tuple[Cell, ...]:
    """Return all cells, each once: those of one package together, by their versions, else as they came."""
    from packaging.version import InvalidVersion, Version

    def release(cell: Cell) -> tuple[bool, Version]:
        try:
            return True, Version(cell.version)
        except InvalidVersion:
            return False, Version("0")

    cells = {cell.name: cell for report in reports for cell in report.cells}
    packages = list(dict.fromkeys(cell.package for cell in cells.values()))
    return tuple(sorted(cells.values(), key=lambda cell: (packages.index(cell.package), *release(cell))))


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
