"""Whether another cell may start: cores by number, memory by what a cell of that package is known to need."""

RESERVE = 512 * 1024 * 1024
"""Bytes left to the rest of the machine."""


def admit(*, running: int, jobs: int, need: int, available: int, promised: int) -> bool:
    """Return whether a cell that needs `need` bytes may start.

    `available`: bytes the system could give now. `promised`: bytes that running cells are expected to take yet.
    A cell always starts when no other runs, however much it needs: otherwise it never would.
    """
    if running >= jobs:
        return False
    return running == 0 or available - promised >= need + RESERVE
