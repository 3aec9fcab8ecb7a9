"""How often somebody may ask, counted by all workers together: a table that they share, in a file."""

import hashlib
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tf_tester.core.access.rate_limit import bucket_after

_SLOT = struct.Struct("=8sdd")
"""A client, by a digest of its address; what is left in its bucket; when that was."""
_SETS, _WAYS = 4096, 8
"""A client has its place in one of so many sets; of the places in it the one goes that was used longest ago."""


class SharedRate:
    """As `core.access.rate_limit.Rate`, for several processes; POSIX."""

    def __init__(self, file: Path, per_second: float) -> None:
        """Open the table, which the first one makes."""
        import fcntl

        self._flock = fcntl.flock
        self._exclusive, self._free = fcntl.LOCK_EX, fcntl.LOCK_UN
        self._per_second = per_second
        size = _SETS * _WAYS * _SLOT.size
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        with self._alone():
            os.posix_fallocate(self._descriptor, 0, size)  # a full disk is told now, not by a signal later
        self._table = mmap.mmap(self._descriptor, size)

    def wait(self, client: str, now: float) -> float:
        """Return seconds for which the client has to wait; 0: it may go on.

        `now`: of a clock that only goes forward, and is the same in all processes.
        """
        digest = hashlib.blake2b(client.encode(), digest_size=8).digest()
        start = int.from_bytes(digest[:2], "big") % _SETS * _WAYS * _SLOT.size
        with self._alone():
            places = [start + way * _SLOT.size for way in range(_WAYS)]
            slots = [_SLOT.unpack_from(self._table, place) for place in places]
            known = next((number for number, slot in enumerate(slots) if slot[0] == digest), None)
            number = min(range(_WAYS), key=lambda one: slots[one][2]) if known is None else known
            before = None if known is None else (slots[known][1], slots[known][2])
            left, wait = bucket_after(before, now, self._per_second)
            _SLOT.pack_into(self._table, places[number], digest, left, now)
        return wait

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._flock(self._descriptor, self._exclusive)  # freed by the system when its holder dies
        try:
            yield
        finally:
            self._flock(self._descriptor, self._free)
