"""What this machine lets us use: cores and memory, a container's limits taken into account."""

import os
import sys
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def usable_cores(cgroups: Path = _CGROUPS) -> int:
    """Return the cores that this process may use: by its affinity, and by the quota of its container."""
    affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if affinity else os.cpu_count() or 1
    quota = _quota(cgroups)
    return max(1, min(cores, round(quota))) if quota else cores


def memory_limit(cgroups: Path = _CGROUPS) -> int | None:
    """Return the bytes that this process's container may use, or None where nothing limits it."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        words = _words(cgroups / name)
        # Version 1 says "no limit" with a number close to 2^63.
        if words and words[0].isdecimal() and int(words[0]) < 2**60:
            return int(words[0])
    return None


def memory(cgroups: Path = _CGROUPS) -> tuple[int, int]:
    """Return the bytes of memory in all, and those that could be had now."""
    total, available = _memory_of_all()
    limit = memory_limit(cgroups)
    if limit is None or limit >= total:
        return total, available
    used = _number(cgroups / "memory.current") or _number(cgroups / "memory/memory.usage_in_bytes") or 0
    return limit, max(0, min(available, limit - used))


def total_memory(cgroups: Path = _CGROUPS) -> int:
    """Return the bytes in all, as `memory` does, without a look at what is used."""
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return memory(cgroups)[0]
    return min(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), memory_limit(cgroups) or sys.maxsize)


def _memory_of_all() -> tuple[int, int]:
    """Return what `memory` does, without a container's limit."""
    words = _words(Path("/proc/meminfo"))
    if "MemAvailable:" in words:
        total, available = (int(words[words.index(name) + 1]) * 1024 for name in ("MemTotal:", "MemAvailable:"))
        return total, available
    import psutil  # not where the above has said it: it costs a start 20 ms

    said = psutil.virtual_memory()
    return said.total, said.available


def _quota(cgroups: Path) -> float | None:
    """Return the cores' worth of time, from version 2 or 1 of control groups."""
    words = _words(cgroups / "cpu.max")
    if not words:
        words = [*_words(cgroups / "cpu/cpu.cfs_quota_us"), *_words(cgroups / "cpu/cpu.cfs_period_us")]
    if len(words) == 2 and words[0].isdecimal() and words[1].isdecimal() and int(words[1]):
        return int(words[0]) / int(words[1])
    return None


def _number(file: Path) -> int | None:
    words = _words(file)
    return int(words[0]) if words and words[0].isdecimal() else None


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):
        return []
