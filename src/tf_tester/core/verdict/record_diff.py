"""What two records of the same matrix differ in. Pure."""

from msgspec import Struct

from tf_tester.core.outcome.baseline import Move, baseline_of, moves, unseen
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.verdict.drift import DistributionChange, changes


class CellDiff(Struct, frozen=True):
    """One cell that isn't as it was."""

    cell: str
    """Its name."""
    moves: tuple[Move, ...]
    changes: tuple[DistributionChange, ...]
    """What it has otherwise than before."""


class RecordDiff(Struct, frozen=True):
    """All of them, in the order of the later record; what is gone comes last."""

    cells: tuple[CellDiff, ...]
    same: int
    """Cells that are in both, and as they were."""


def record_diff(before: RunReport, after: RunReport) -> RecordDiff:
    """Return cells by their names."""
    moved: dict[str, list[Move]] = {}
    for move in moves(baseline_of(before), after, unseen_before=unseen(before)):
        moved.setdefault(move.cell, []).append(move)
    names = dict.fromkeys((*(cell.name for cell in after.cells), *moved))
    found = []
    for name in names:
        old, new = before.locks.get(name), after.locks.get(name)
        drifted = changes(old, new) if old is not None and new is not None else ()
        if name in moved or drifted:
            found.append(CellDiff(name, tuple(moved.get(name, ())), drifted))
    return RecordDiff(tuple(found), len(names) - len(found))
