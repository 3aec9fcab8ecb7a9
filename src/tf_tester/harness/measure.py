"""Measure what a piece of work cost: wall time, processor time and memory.

The clocks are bound as class attributes because libraries like freezegun replace those of every module.
"""

import resource
import sys
import time


class Stopwatch:
    """Measures from its making on; children count once they have been waited for."""

    _clock = staticmethod(time.perf_counter)
    _getrusage = staticmethod(resource.getrusage)

    def __init__(self) -> None:
        self._wall = self._clock()
        self._cpu = self._processor_time()

    def read(self) -> "dict[str, float]":
        """Return ``wall_s`` and ``cpu_s`` (own and children's) so far."""
        return {
            "wall_s": round(self._clock() - self._wall, 6),
            "cpu_s": round(self._processor_time() - self._cpu, 6),
        }

    def _processor_time(self) -> float:
        usages = [self._getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_memory() -> int:
    """Return the largest resident size in KiB that this process or one of its waited-for children has had so far."""
    unit = 1024 if sys.platform == "darwin" else 1
    children = Stopwatch._getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // unit
    return max(children, _own_peak() or Stopwatch._getrusage(resource.RUSAGE_SELF).ru_maxrss // unit)


def _own_peak() -> int:
    """Return VmHWM, because ``ru_maxrss`` survives exec: a child of 8 MB below a parent of 318 MB is given 318 MB."""
    try:
        with open("/proc/self/status", "rb") as status:
            lines = [line for line in status if line.startswith(b"VmHWM:")]
        return int(lines[0].split()[1])
    except Exception:  # no /proc, or a test that has replaced open
        return 0
