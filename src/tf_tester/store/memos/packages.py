"""What is remembered of packages: locks, what wheels hold, and what somebody downloaded."""

from collections.abc import Iterable
from datetime import datetime

from tf_tester.model.lock import Lock
from tf_tester.ports.memory import WheelMemos
from tf_tester.store.ledger import Ledger, LedgerMemos
from tf_tester.store.memos.table import DOWNLOADED, ENTRY_POINTS, LOCK, METADATA, METADATA_DIGEST


class KeptLocks:
    """`ports.memory.Locks`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def recall(self, key: str) -> tuple[Lock, datetime] | None:
        return self._ledger.recall_dated(LOCK, key)

    def remember(self, key: str, lock: Lock) -> None:
        self._ledger.remember(LOCK, key, lock)

    def forget_file(self, sha256: str) -> None:
        """Forget those that have a file, by its digest or that of the source that it was built from."""
        for key, lock in self.every():
            if any(sha256 in (pin.sha256, pin.built_from) for pin in lock.pins):
                self._ledger.forget(LOCK, key)

    def every(self) -> list[tuple[str, Lock]]:
        """Return all, with their keys."""
        return self._ledger.every(LOCK)


class KeptDownloads:
    """`ports.memory.Downloads`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def versions(self, package: str) -> tuple[str, ...]:
        return self._ledger.recall(DOWNLOADED, package) or ()

    def add(self, package: str, versions: Iterable[str]) -> None:
        self._ledger.remember(DOWNLOADED, package, tuple(sorted({*self.versions(package), *versions})))


def wheel_memos(ledger: Ledger) -> WheelMemos:
    """Return what was read out of wheels."""
    return WheelMemos(
        LedgerMemos(ledger, METADATA), LedgerMemos(ledger, METADATA_DIGEST), LedgerMemos(ledger, ENTRY_POINTS)
    )
