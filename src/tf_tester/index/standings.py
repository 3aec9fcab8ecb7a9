"""What is remembered of mirrors from run to run: how fast they were, whether they were right, who is left out.

A mirror that gave wrong bytes, which is only ever said where replacing its part made the file right, is left out for
a week: a broken disk or a poisoned cache takes about so long to be noticed and repaired.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from tf_tester.ports.fetch import Lesson

QUARANTINE = timedelta(days=7)
_SPEED_LASTS = timedelta(hours=12)
"""Links are other ones at night, and at another place."""


class Memory(Protocol):
    """Answers by kind and key, for good."""

    def recall(self, kind: str, key: str) -> bytes | None: ...

    def remember(self, kind: str, key: str, value: bytes) -> None: ...


class Standing(msgspec.Struct, frozen=True):
    """Of one mirror."""

    right: int = 0
    """Files that it helped to bring since it was last wrong."""
    speed: float | None = None
    """Bytes per second, of late."""
    measured: datetime | None = None
    left_out_until: datetime | None = None


class Standings:
    """By the mirrors' names; callable from any thread."""

    def __init__(self, memory: Memory, now: Callable[[], datetime]) -> None:
        self._memory = memory
        self._now = now
        self._lock = threading.Lock()

    def of(self, mirror: str) -> Standing:
        """What counts now: a speed of long ago is none, and a quarantine that is over is over."""
        known = self._read(mirror)
        now = self._now()
        if known.measured is None or not timedelta(0) <= now - known.measured < _SPEED_LASTS:
            known = msgspec.structs.replace(known, speed=None)
        if known.left_out_until is not None and known.left_out_until <= now:
            known = msgspec.structs.replace(known, left_out_until=None)
        return known

    def learn(self, lesson: Lesson) -> None:
        """Remember how a mirror did with one file."""
        with self._lock:
            known, now = self.of(lesson.source), self._now()
            if lesson.spent or lesson.requests:
                spent, requests = self.spent(lesson.source)
                today = f"{now:%Y-%m-%d} {spent + lesson.spent} {requests + lesson.requests}"
                self._memory.remember("spent", lesson.source, today.encode())
            if lesson.right is None and lesson.speed is None:
                return
            if lesson.right is None:
                fresh = msgspec.structs.replace(known, speed=lesson.speed, measured=now)
            elif not lesson.right:
                fresh = Standing(left_out_until=now + QUARANTINE)
            else:
                speed = lesson.speed if known.speed is None else known.speed
                if lesson.speed is not None and speed is not None:
                    speed = (speed + lesson.speed) / 2
                measured = now if lesson.speed is not None else known.measured
                fresh = Standing(known.right + 1, speed, measured, known.left_out_until)
            self._memory.remember("mirror", lesson.source, msgspec.json.encode(fresh))

    def spent(self, mirror: str) -> tuple[int, int]:
        """Bytes that it sent today (UTC), and requests that it got."""
        kept = (self._memory.recall("spent", mirror) or b"").split()
        if len(kept) != 3 or kept[0].decode() != f"{self._now():%Y-%m-%d}":
            return 0, 0
        return int(kept[1]), int(kept[2])

    def _read(self, mirror: str) -> Standing:
        kept = self._memory.recall("mirror", mirror)
        try:
            return msgspec.json.decode(kept, type=Standing) if kept else Standing()
        except (msgspec.DecodeError, msgspec.ValidationError):
            return Standing()
