"""What this machine is and lets us use: its class, cores and memory, a container's limits taken into account."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tf_tester.core.replay.key import MachineClass, cpu_class

_CGROUPS = Path("/sys/fs/cgroup")
_RELEASES = (Path("/etc/os-release"), Path("/usr/lib/os-release"))


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


def machine_class(cpuinfo: Path = Path("/proc/cpuinfo"), releases: Sequence[Path] = _RELEASES) -> MachineClass:
    """Return what of this machine may decide a result.

    `releases`: files as in os-release(5), of which the first that is there counts.
    """
    architecture = os.uname().machine if hasattr(os, "uname") else ""
    release = next((words for file in releases if (words := _assignments(file))), {})
    return MachineClass(
        system=sys.platform,
        architecture=architecture,
        cpu=cpu_class(architecture, _cpu_features(cpuinfo)),
        libc=_c_library(),
        distribution=" ".join(release[name] for name in ("ID", "VERSION_ID") if release.get(name)),
    )


def _cpu_features(cpuinfo: Path) -> frozenset[str]:
    """Return those of the first processor: reading on, the kernel would ask every one."""
    try:
        with cpuinfo.open(encoding="utf-8", errors="replace") as stream:
            for line in stream:
                name, _, words = line.partition(":")
                if name.strip() in ("flags", "Features"):
                    return frozenset(words.split())
    except OSError:
        pass
    return frozenset()


def _c_library() -> str:
    """Return such as `glibc 2.36`; empty where it doesn't tell, as musl."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        return ""


def _assignments(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    return {name: text.strip("\"'") for name, sign, text in (line.partition("=") for line in lines) if sign}


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
