"""What is remembered of cells: results, memory and time."""

from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from tf_tester.model.outcome import CellResult
from tf_tester.store.ledger import Ledger
from tf_tester.store.memos.table import DURATION, PEAK, RESULT, UNSTEADY


class CellResults:
    """`ports.memory.Results`."""

    def __init__(self, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._now = now

    def recall(self, key: str) -> CellResult | None:
        known = self._ledger.recall(RESULT, key)
        return None if known is None or self._ledger.recall(UNSTEADY, key) else known

    def remember(self, key: str, result: CellResult) -> None:
        if not self._ledger.recall(UNSTEADY, key):
            self._ledger.remember(RESULT, key, replace(result, replayed=self._now().isoformat(timespec="seconds")))

    def distrust(self, key: str) -> None:
        self._ledger.remember(UNSTEADY, key, True)


class CellPeaks:
    """`ports.memory.Peaks`: the highest counts."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def peak(self, package: str) -> int | None:
        return self._ledger.recall(PEAK, package)

    def learn(self, package: str, peak: int) -> None:
        if peak > (self.peak(package) or 0):
            self._ledger.remember(PEAK, package, peak)


class CellDurations:
    """`ports.memory.Durations`: what is a tenth off is not written anew."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def seconds(self, cell: str) -> float | None:
        return self._ledger.recall(DURATION, cell)

    def learn(self, cell: str, seconds: float) -> None:
        known = self.seconds(cell)
        if known is None or abs(seconds - known) > known / 10:
            self._ledger.remember(DURATION, cell, round(seconds, 2))
