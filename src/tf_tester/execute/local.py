"""A process tree on this machine."""

import contextlib
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from tf_tester.model.exit import Exit

MARK = "TF_TESTER_CELL"
"""Every process of a cell carries this variable, so that one that left the tree (double fork) is found."""
_GRACE = 2.0
"""Seconds between asking a process to end and killing it."""
_LONGEST_POLL = 2**31 - 1
"""Milliseconds: 24 days."""


class LocalExecutor:
    """`ports.Executor`; `stop` ends everything that runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._stopped = False

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        stdout: Path,
        stderr: Path,
        timeout: float | None,
    ) -> Exit:
        mark = secrets.token_hex(8)
        started = time.monotonic()
        with stdout.open("ab") as out, stderr.open("ab") as err:
            try:
                with self._lock:
                    if self._stopped:
                        return Exit(None, signal.SIGINT, False, 0.0, 0.0, 0)
                    process = subprocess.Popen(
                        list(argv),
                        env={**env, MARK: mark},
                        cwd=cwd,
                        stdin=subprocess.DEVNULL,
                        stdout=out,
                        stderr=err,
                        start_new_session=True,
                    )
                    self._running[mark] = process
            except OSError as error:
                # Of a folder that is not there, subprocess gives the name in place of the program's.
                name = os.fsdecode(error.filename) if error.filename else argv[0]
                return Exit(None, None, False, 0.0, 0.0, 0, spawn_error=f"{name}: {error.strerror or error}")
            except ValueError as error:
                return Exit(None, None, False, 0.0, 0.0, 0, spawn_error=f"{argv[0]}: {error}")
        try:
            timed_out = not _wait(process, timeout)
            if timed_out:
                _end_tree(process, mark)
            # Before it is reaped: until then no other session can have its number.
            leftovers = _kill_strays(mark, session=process.pid)
            status, cpu_s, peak = _reap(process)
        except BaseException:
            _end_tree(process, mark, grace=0.0)
            with contextlib.suppress(ChildProcessError):
                _reap(process)
            raise
        finally:
            with self._lock:
                del self._running[mark]
        wall = time.monotonic() - started
        if status < 0:
            return Exit(None, -status, timed_out, wall, cpu_s, peak, leftovers=leftovers)
        return Exit(status, None, timed_out, wall, cpu_s, peak, leftovers=leftovers)

    def resident(self) -> int:
        """Bytes that all running trees hold now."""
        with self._lock:
            pids = [process.pid for process in self._running.values()]
        held = 0
        for pid in pids:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                for member in (process, *process.children(recursive=True)):
                    with contextlib.suppress(psutil.Error):
                        held += member.memory_info().rss
        return held

    def stop(self) -> None:
        """End every running tree at once, and start no other."""
        with self._lock:
            self._stopped = True
            running = dict(self._running)
        for mark, process in running.items():
            _end_tree(process, mark, grace=0.3)


def _wait(process: subprocess.Popen[bytes], timeout: float | None) -> bool:
    """Wait for the end without collecting it, so that `wait4` can still tell its costs."""
    deadline = None if timeout is None else time.monotonic() + timeout
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(process.pid)
            try:
                import select

                poll = select.poll()
                poll.register(descriptor, select.POLLIN)
                return bool(poll.poll(None if timeout is None else min(timeout * 1000, _LONGEST_POLL)))
            finally:
                os.close(descriptor)
    while _alive(process.pid):
        if deadline is not None and time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _reap(process: subprocess.Popen[bytes]) -> tuple[int, float, int]:
    """Status (negative: signal), CPU seconds and peak resident KiB of the process and its waited-for children."""
    if not hasattr(os, "wait4"):
        return process.wait(), 0.0, 0
    _, status, usage = os.wait4(process.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    process.returncode = code
    unit = 1024 if psutil.MACOS else 1
    return code, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // unit


def _end_tree(process: subprocess.Popen[bytes], mark: str, grace: float = _GRACE) -> None:
    """Ask the group to end, then kill it and whoever left it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        _signal_group(process.pid, signal.SIGTERM)
        _wait(process, grace)
        _signal_group(process.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    _kill_strays(mark, session=None)


def _signal_group(pid: int, number: int) -> None:
    if hasattr(os, "killpg"):
        os.killpg(pid, number)
    else:
        psutil.Process(pid).send_signal(number)


def _kill_strays(mark: str, *, session: int | None) -> int:
    """Kill the processes that carry the mark or are of that session; how many there were.

    One that left the session still carries the mark, one that cleared its variables is still in the session: only
    who does both escapes. Again until none is left, for they may fork meanwhile.
    """
    killed: set[int] = set()
    for _ in range(5):
        strays = [p for p in psutil.process_iter() if p.pid != session and _belongs(p, mark, session)]
        if not strays:
            break
        for stray in strays:
            with contextlib.suppress(psutil.Error):
                stray.kill()
                killed.add(stray.pid)
        _wait_for_death(strays)
    return len(killed)


def _wait_for_death(processes: Sequence[psutil.Process]) -> None:
    """Up to a second; a zombie is dead, though nobody may ever collect it (a container without an init process)."""
    deadline = time.monotonic() + 1
    while any(_alive(process.pid) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.005)


def _belongs(process: psutil.Process, mark: str, session: int | None) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        in_session = session is not None and hasattr(os, "getsid") and os.getsid(process.pid) == session
        return bool(in_session or process.environ().get(MARK) == mark)
    except (psutil.Error, OSError):
        return False
