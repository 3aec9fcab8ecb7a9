"""Locks and metadata that were found out once."""

from datetime import datetime
from typing import Protocol

import msgspec

from tf_tester.model.lock import Lock


class Memory(Protocol):
    """Answers worth remembering, by kind and key."""

    def recall(self, kind: str, key: str) -> bytes | None: ...

    def recalled_at(self, kind: str, key: str) -> datetime | None: ...

    def remember(self, kind: str, key: str, value: bytes) -> None: ...

    def all_of(self, kind: str) -> list[tuple[str, bytes]]: ...


class LockMemory:
    """Locks by question."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def recall_lock(self, key: str) -> tuple[Lock, datetime] | None:
        """The lock and when it was made; one that can't be read any more counts as none."""
        value, at = self._memory.recall("lock", key), self._memory.recalled_at("lock", key)
        if value is None or at is None:
            return None
        try:
            return msgspec.json.decode(value, type=Lock), at
        except msgspec.DecodeError:
            return None

    def every(self) -> list[tuple[str, Lock]]:
        """All that can be read, by key."""
        found = []
        for key, value in self._memory.all_of("lock"):
            try:
                found.append((key, msgspec.json.decode(value, type=Lock)))
            except msgspec.DecodeError:
                continue
        return found

    def remember_lock(self, key: str, lock: Lock) -> None:
        self._memory.remember("lock", key, msgspec.json.encode(lock))
