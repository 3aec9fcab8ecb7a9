"""What a run came to: a pure fold over its events, from which every report is made."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from tf_tester.core.outcome.exits import FAILED
from tf_tester.errors import INTERRUPTED
from tf_tester.model.cause import Explanation
from tf_tester.model.cell import Cell
from tf_tester.model.events import (
    BorderFound,
    CellExplained,
    CellFinished,
    CellLocked,
    Event,
    FieldFinished,
    NumbersDiffer,
    ProductLeft,
    RouteFound,
    RunFinished,
    RunStarted,
    TransferFinished,
    TransferTrouble,
    WheelBuilt,
)
from tf_tester.model.lock import Lock
from tf_tester.model.outcome import CellResult, Outcome

_Besides = ProductLeft | FieldFinished | BorderFound | RouteFound | NumbersDiffer
"""Events that a report keeps as they are."""


class TransferSource(Struct, frozen=True):
    """What came from one source, or from several together."""

    name: str
    """Of a mirror, or `authority`; several that brought files together as the record names them: `tuna+authority`."""
    files: int = 0
    received: int = 0
    """Bytes that came over the wire in this run."""
    seconds: float = 0.0
    """Of all its files, one behind the other, though several were brought at a time."""
    troubles: tuple[TransferTrouble, ...] = ()
    """What went wrong with it; another way was taken each time."""

    @property
    def speed(self) -> float | None:
        """Return bytes a second of a file, in the mean; None where nothing came over the wire."""
        return self.received / self.seconds if self.received and self.seconds > 0 else None


class Transfers(Struct, frozen=True):
    """What was brought, all cells together."""

    sources: tuple[TransferSource, ...] = ()
    """The one that brought most bytes first, of equals by name; those that only made trouble last."""

    @classmethod
    def of(cls, sources: Iterable[TransferSource]) -> "Transfers":
        """Return them as one: what has the same name is one source."""
        by_name: dict[str, list[TransferSource]] = {}
        for one in sources:
            by_name.setdefault(one.name, []).append(one)
        found = [
            TransferSource(
                name,
                sum(one.files for one in parts),
                sum(one.received for one in parts),
                sum(one.seconds for one in parts),
                tuple(trouble for one in parts for trouble in one.troubles),
            )
            for name, parts in by_name.items()
        ]
        return cls(tuple(sorted(found, key=lambda one: (-one.received, -one.files, one.name))))

    @property
    def files(self) -> int:
        return sum(one.files for one in self.sources)

    @property
    def received(self) -> int:
        """Return the bytes that came over the wire in this run."""
        return sum(one.received for one in self.sources)


class RunReport(Struct, frozen=True):
    """One run, finished or not."""

    run_id: str = ""
    started: str = ""
    tool: str = ""
    folder: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)
    platform: str = ""
    """The platform tag of the machine that it ran on."""
    cells: tuple[Cell, ...] = ()
    """In the order in which they are shown; of a run that has ended, those that were run."""
    results: Mapping[str, CellResult] = field(default_factory=dict)
    """By cell name; a cell that was not finished has none."""
    remarks: tuple[str, ...] = ()
    """Of the run as a whole."""
    locks: Mapping[str, Lock] = field(default_factory=dict)
    """By cell name."""
    explanations: tuple[Explanation, ...] = ()
    products: tuple[ProductLeft, ...] = ()
    """Of a grid."""
    fields: tuple[FieldFinished, ...] = ()
    """Likewise."""
    different_numbers: tuple[NumbersDiffer, ...] = ()
    """From version to version, of a matrix."""
    borders: tuple[BorderFound, ...] = ()
    """Likewise."""
    routes: tuple[RouteFound, ...] = ()
    """Likewise."""
    transfers: Transfers = Transfers()
    builds: tuple[WheelBuilt, ...] = ()
    """Those that failed, too."""
    interrupted: bool = True
    """Also true of a record without an end: that run was killed, or still goes on."""
    left_out: int = 0
    """Cells that were not run because the first failure ended the run (`--exitfirst`)."""
    is_cut: bool = False
    """The record ends within a line: it was damaged, or the disk was full."""
    exit_code: int = INTERRUPTED
    wall_s: float = 0.0

    def result(self, cell: Cell) -> CellResult:
        """Return the result of a cell; one that was never finished counts as interrupted: no row is missing."""
        known = self.results.get(cell.name)
        ended = "The record is cut off before its result." if self.is_cut else "The run ended before this cell did."
        return known or CellResult(cell.name, Outcome.INTERRUPTED, ended)

    @property
    def is_broken_off(self) -> bool:
        """Return whether an error of tf-tester's, or of the disk, has ended it before all cells had run."""
        return not self.interrupted and any(cell.name not in self.results for cell in self.cells)

    @property
    def here(self) -> str:
        """Return the folder in which the run was asked for; empty where the record doesn't tell."""
        trial = self.request.get("trial")
        return str(trial.get("cwd") or "") if isinstance(trial, dict) else ""

    @property
    def command(self) -> str:
        """Return the command that asked for the run: `test`, `bisect`, `blame` or `grid`."""
        return str(self.request.get("command") or "test")

    @property
    def packages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(cell.package for cell in self.cells))


def fold(events: Iterable[Event]) -> RunReport:
    """Return all that the events say; of several events about one cell the last one counts."""
    report = RunReport()
    results: dict[str, CellResult] = {}
    locks: dict[str, Lock] = {}
    explanations: list[Explanation] = []
    sources: list[TransferSource] = []
    builds: list[WheelBuilt] = []
    besides: list[_Besides] = []
    for event in events:
        match event:
            case RunStarted():
                report = replace(
                    report,
                    run_id=event.run_id,
                    started=event.started,
                    tool=event.tool,
                    folder=event.folder,
                    request=event.request,
                    platform=event.platform,
                    cells=event.cells,
                    remarks=event.remarks,
                )
            case CellLocked():
                locks[event.cell] = event.lock
            case CellFinished():
                results[event.result.cell] = event.result
            case CellExplained():
                explanations.append(event.explanation)
            case ProductLeft() | FieldFinished() | BorderFound() | RouteFound() | NumbersDiffer():
                besides.append(event)
            case TransferFinished():
                sources.append(TransferSource(event.source, 1, event.received, event.seconds))
            case TransferTrouble():
                sources.append(TransferSource(event.source, troubles=(event,)))
            case WheelBuilt():
                builds.append(event)
            case RunFinished():
                report = replace(report, interrupted=event.interrupted, exit_code=event.exit_code, wall_s=event.wall_s)
            case _:
                pass  # states and progress are for those who watch
    is_matrix = report.command == "test"
    # A search leaves out what it has no need of, and -x what stands behind the first failure; an error only cuts off.
    if not report.interrupted and (not is_matrix or report.exit_code == FAILED):
        ran = tuple(cell for cell in report.cells if cell.name in results)
        report = replace(report, cells=ran, left_out=len(report.cells) - len(ran) if is_matrix else 0)
    return replace(
        report,
        results=results,
        locks=locks,
        explanations=tuple(explanations),
        products=tuple(one for one in besides if isinstance(one, ProductLeft)),
        fields=tuple(one for one in besides if isinstance(one, FieldFinished)),
        borders=tuple(one for one in besides if isinstance(one, BorderFound)),
        routes=tuple(one for one in besides if isinstance(one, RouteFound)),
        different_numbers=tuple(one for one in besides if isinstance(one, NumbersDiffer)),
        transfers=Transfers.of(sources),
        builds=tuple(builds),
    )


def cell_seconds(report: RunReport) -> dict[str, float]:
    """Return wall seconds from resolving to cleaning up by cell name, as far as they are known.

    Of a cell that was not run again it is what its tests took when it was.
    """
    found = {}
    for cell in report.cells:
        result = report.result(cell)
        walls = [row.wall_s for row in result.tests if row.wall_s is not None]
        if "run" in result.phases:
            found[cell.name] = sum(result.phases.values())
        elif walls:
            found[cell.name] = sum(walls)
    return found


def build_seconds(report: RunReport) -> dict[str, float]:
    """Return wall seconds of builds by cell name: each counts for the first cell that has the wheel in its lock."""
    left: dict[str, float] = {}
    for one in report.builds:
        if one.sha256:
            left[one.sha256] = left.get(one.sha256, 0.0) + one.seconds
    found: dict[str, float] = {}
    for cell in report.cells:
        lock = report.locks.get(cell.name)
        taken = [left.pop(pin.sha256) for pin in lock.pins if pin.sha256 in left] if lock is not None else []
        if taken:
            found[cell.name] = sum(taken)
    return found


def cell_labels(cells: Iterable[Cell]) -> dict[str, str]:
    """Return a short unambiguous name for each cell, by its name: `2.16.1 py3.12`.

    The package, the resolution and the platform are named only where the run has more than one of them; what a cell
    has besides, or the name of its lock, where nothing else tells it from another.
    """
    cells = tuple(cells)
    packages = len({tuple(one.name for one in cell.tested) for cell in cells}) > 1
    platforms = len({cell.platform for cell in cells}) > 1
    resolutions = len({cell.resolution for cell in cells}) > 1
    words_of: dict[str, list[str]] = {}
    for cell in cells:
        words = [" ".join(f"{one.name} {one.version}" if packages else one.version for one in cell.tested)]
        if cell.python != "-":
            words.append(f"py{cell.python}")
        if resolutions:
            words.append(str(cell.resolution))
        if platforms and cell.platform:
            words.append(cell.platform)
        words_of[cell.name] = words
    alike = Counter(map(tuple, words_of.values()))
    return {cell.name: " ".join(_told_apart(cell, words_of[cell.name], alike)) for cell in cells}


def _told_apart(cell: Cell, words: list[str], alike: Counter[tuple[str, ...]]) -> list[str]:
    """Return the words for a cell, with its extras, origins and details where others have the same words."""
    if alike[tuple(words)] == 1:
        return words
    return [*words, *(one.label for one in cell.tested if one.extras or one.origin), *cell.details]
