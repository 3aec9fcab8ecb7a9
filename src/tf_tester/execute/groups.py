"""Control groups of the kernel, versions 1 and 2, where we may make them: limits that hold at once.

In version 2 a group that has processes has no limited groups below it. There we move ourselves into a group of our own
below the one that we were started in, if nobody else is in that (`systemd-run --user --scope -p Delegate=yes`).
"""

import contextlib
import os
import threading
import time
from pathlib import Path

from msgspec import Struct

from tf_tester.model.host.limits import Limit, Limits

_NEEDED = {Limit.MEMORY: "memory", Limit.PROCESSES: "pids"}
"""The controller for each limit."""
_ROOT = Path("/sys/fs/cgroup")
_OURS = 1
"""Processes of the launcher's in each group: its init."""
_LEAVING = 2.0
"""Seconds; a group can be removed when its last process has gone, which the kernel may take its time for."""


class Group(Struct, frozen=True):
    """The groups of one process tree."""

    folders: tuple[Path, ...]
    held: frozenset[Limit]
    """The limits that the kernel sees to."""

    def ran_out(self) -> bool:
        """Tell whether a process was killed in it for want of memory."""
        return any(
            _counter(folder / name, "oom_kill") > 0
            for folder in self.folders
            for name in ("memory.events", "memory.oom_control")
        )

    def remove(self) -> None:
        deadline = time.monotonic() + _LEAVING
        for folder in self.folders:
            while True:
                try:
                    folder.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    if time.monotonic() >= deadline:
                        break
                    time.sleep(0.002)


class ControlGroups:
    """Makes groups; finds out once what can be had."""

    def __init__(self, root: Path = _ROOT, membership: Path = Path("/proc/self/cgroup")) -> None:
        self._root = root
        self._membership = membership
        self._lock = threading.Lock()
        self._parents: dict[str, Path] | None = None

    def make(self, limits: Limits) -> Group:
        """Make a new group with these limits; where none can be had, one without folders that holds nothing."""
        with self._lock:
            if self._parents is None:
                self._parents = self._find()
        wanted = {Limit.MEMORY: limits.memory, Limit.PROCESSES: limits.processes}
        name = f"tf-tester-{os.getpid()}-{os.urandom(4).hex()}"
        folders: dict[Path, None] = {}
        held = set()
        for limit, allowed in wanted.items():
            parent = self._parents.get(_NEEDED[limit])
            if allowed is None or parent is None:
                continue
            folder = parent / name
            try:
                folder.mkdir(exist_ok=True)
                folders[folder] = None
                _set(folder, limit, allowed)
                held.add(limit)
            except OSError:
                continue
        return Group(tuple(folders), frozenset(held))

    def _find(self) -> dict[str, Path]:
        """Return for each controller the group below which ours can be made."""
        found: dict[str, Path] = {}
        for line in _text(self._membership).splitlines():
            _, controllers, path = line.split(":", 2)
            below = path.lstrip("/")
            if controllers:
                for name in {*controllers.split(",")} & {*_NEEDED.values()}:
                    found.setdefault(name, self._root / name / below)
            elif (self._root / "cgroup.controllers").exists():
                found |= dict.fromkeys(self._unified(self._root / below), self._root / below)
        usable = {name: folder for name, folder in found.items() if os.access(folder, os.W_OK)}
        for folder in {*usable.values()}:
            _sweep(folder)
        return usable

    def _unified(self, folder: Path) -> set[str]:
        """Return the controllers of version 2 that groups below `folder` have, after we did what we can for it."""
        wanted = {*_text(folder / "cgroup.controllers").split()} & {*_NEEDED.values()}
        if not wanted or wanted <= {*_text(folder / "cgroup.subtree_control").split()}:
            return wanted
        us = str(os.getpid())
        with contextlib.suppress(OSError):
            if _text(folder / "cgroup.procs").split() == [us]:
                own = folder / f"tf-tester-{us}"
                own.mkdir(exist_ok=True)
                (own / "cgroup.procs").write_text(us)
            (folder / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in sorted(wanted)))
        return wanted & {*_text(folder / "cgroup.subtree_control").split()}


def _sweep(parent: Path) -> None:
    """Remove the groups that processes of ours left which are dead."""
    for folder in parent.glob("tf-tester-*"):
        pid = folder.name.split("-")[2]
        if pid.isdigit() and not Path("/proc", pid).exists():
            with contextlib.suppress(OSError):  # somebody is in it: not ours, then
                folder.rmdir()


def _set(folder: Path, limit: Limit, allowed: int) -> None:
    """Set a group's limit. Raises `OSError` where it can't be set."""
    if limit is Limit.PROCESSES:
        (folder / "pids.max").write_text(str(allowed + _OURS))
    elif (folder / "memory.max").exists():
        (folder / "memory.max").write_text(str(allowed))
        with contextlib.suppress(OSError):
            (folder / "memory.swap.max").write_text("0")
        with contextlib.suppress(OSError):
            (folder / "memory.oom.group").write_text("1")
    else:
        (folder / "memory.limit_in_bytes").write_text(str(allowed))
        with contextlib.suppress(OSError):
            (folder / "memory.memsw.limit_in_bytes").write_text(str(allowed))


def _counter(file: Path, name: str) -> int:
    for line in _text(file).splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == name:
            return int(words[1])
    return 0


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return ""
