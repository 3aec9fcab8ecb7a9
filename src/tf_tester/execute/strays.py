"""Other processes: whether one lives, and those of a cell that left its tree."""

import contextlib
import os
import time
from collections.abc import Sequence

import psutil


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


_ROUNDS = 200
"""How often is looked for processes that have been forked meanwhile; they are few, unless somebody forks for ever."""


def kill_strays(mark: tuple[str, str], *, session: int | None) -> int:
    """Kill the processes that carry the mark (a variable and its value) or are of that session, and return how many.

    One that left the session still carries the mark, one that cleared its variables is still in the session: only
    who does both escapes. Looked for until there is no process that wasn't looked at: a stray may fork and end while
    the others are looked at.
    """
    killed: set[int] = set()
    looked_at: set[int] = {session} if session is not None else set()
    for _ in range(_ROUNDS):
        new = set(psutil.pids()) - looked_at
        if not new:
            break
        looked_at |= new
        strays = [process for process in map(_process, new) if process is not None and _belongs(process, mark, session)]
        for stray in strays:
            with contextlib.suppress(psutil.Error):
                stray.kill()
                killed.add(stray.pid)
        _wait_for_death(strays)
    return len(killed)


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def _wait_for_death(processes: Sequence[psutil.Process]) -> None:
    """Wait up to a second; a zombie is dead, though nobody may ever collect it (a container without init)."""
    deadline = time.monotonic() + 1
    while any(alive(process.pid) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.005)


def _belongs(process: psutil.Process, mark: tuple[str, str], session: int | None) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        in_session = session is not None and hasattr(os, "getsid") and os.getsid(process.pid) == session
        return bool(in_session or process.environ().get(mark[0]) == mark[1])
    except (psutil.Error, OSError):
        return False
