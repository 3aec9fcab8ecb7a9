"""A process tree on this machine."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.execute.groups import ControlGroups, Group
from tf_tester.execute.watch import Watch, resident
from tf_tester.model.exit import Exit
from tf_tester.model.limits import Exceeded, Limit, Limits
from tf_tester.ports.execute import Command, Ready, Started, Starter

MARK = "TF_TESTER_CELL"
"""Every process of a cell carries this variable, so that one that left the tree (double fork) is found."""
_OURS = 2
"""Processes of a supervised command that aren't the program's: the launcher and its init."""
_GRACE = 2.0
"""Seconds between asking a process to end and killing it."""
_ENDING = 10.0
"""Seconds that a launcher may take to end what it supervises."""
_NO_GROUP = Group((), frozenset())
_LONGEST_POLL = 2**31 - 1
"""Milliseconds: 24 days."""


class LocalExecutor:
    """`ports.Executor`; `stop` ends everything that runs."""

    def __init__(self, groups: ControlGroups | None = None, launchers: Starter | None = None) -> None:
        self._groups = groups or ControlGroups()
        self._launchers = launchers
        """Starts supervised commands, faster than we."""
        self._lock = threading.Lock()
        self._running: dict[str, _Tree] = {}
        self._stopped = False
        self._expected = 0
        """Programs that were announced and have not begun."""
        self._reserve: _Reserve | None = None

    def run(
        self,
        command: Command,
        *,
        stdout: Path,
        stderr: Path,
        timeout: float | None,
        limits: Limits,
        scratch: Sequence[Path] = (),
        written: Sequence[Path] = (),
    ) -> Exit:
        mark = os.urandom(8).hex()
        reserve = self._take(command, limits)
        # Only a launcher can join a group before the program begins.
        group = reserve.group if reserve else self._groups.make(limits) if command.supervised else _NO_GROUP
        killed_before = _killed_for_memory()
        try:
            watch = Watch(
                limits,
                scratch,
                (stdout, stderr, *written),
                grouped=group.held,
                ours=_OURS * command.supervised,
            )
            started = time.monotonic()
            with self._lock:
                if self._stopped:
                    return Exit(None, signal.SIGINT, False, 0.0, 0.0, 0)
                try:
                    process = self._start(command, mark, group, reserve, stdout, stderr)
                    tree = _Tree(process, mark, command.supervised)
                except OSError as error:
                    # Of a folder that is not there, subprocess gives the name in place of the program's.
                    name = os.fsdecode(error.filename) if error.filename else command.argv[0]
                    return _not_started(f"{name}: {error.strerror or error}")
                except ValueError as error:
                    return _not_started(f"{command.argv[0]}: {error}")
                self._running[mark] = tree
            self._reserve_for_next(command.ahead, limits)
            try:
                exit = self._attend(tree, watch, timeout, started)
            finally:
                with self._lock:
                    del self._running[mark]
            ended_by_us = self._stopped or exit.timed_out or exit.exceeded is not None
            if reserve is not None and not ended_by_us and not tree.process.begun():
                # It died of whatever it was before the command reached it: nothing has run yet.
                return self.run(
                    command,
                    stdout=stdout,
                    stderr=stderr,
                    timeout=timeout,
                    limits=limits,
                    scratch=scratch,
                    written=written,
                )
            if group.ran_out():
                return replace(exit, exceeded=Exceeded(Limit.MEMORY, limits.memory))
            unknown = exit.signal == signal.SIGKILL and exit.exceeded is None and Limit.MEMORY not in group.held
            if unknown and _killed_for_memory() > killed_before:
                return replace(exit, exceeded=Exceeded(Limit.MEMORY, None))
            return exit
        finally:
            if reserve is not None:
                reserve.launcher.close()
            group.remove()

    def expect(self, ahead: bytes, limits: Limits) -> None:
        with self._lock:
            self._expected += 1
        self._reserve_for_next(ahead, limits)

    def _reserve_for_next(self, ahead: bytes, limits: Limits) -> None:
        """Have one launcher on its way while a program is expected: what it does takes as long as all the rest."""
        with self._lock:
            if self._launchers is None or self._stopped or not self._expected or self._reserve is not None:
                return
            group = self._groups.make(limits)
            try:
                launcher = self._launchers.ready(ahead, group.folders)
            except OSError:  # it is tried once more when there is a program
                group.remove()
            else:
                self._reserve = _Reserve(launcher, group, ahead, limits)

    def _take(self, command: Command, limits: Limits) -> "_Reserve | None":
        """The launcher that is ready, if it is of the kind that is needed now."""
        with self._lock:
            self._expected = max(0, self._expected - 1)
            reserve = self._reserve
            if reserve is None or not command.supervised or (reserve.ahead, reserve.limits) != (command.ahead, limits):
                return None
            self._reserve = None
            return reserve

    def close(self) -> None:
        """Give up the launcher that nobody has needed."""
        with self._lock:
            reserve, self._reserve = self._reserve, None
            self._expected = 0
        if reserve is not None:
            reserve.launcher.close()
            reserve.group.remove()

    def _start(
        self, command: Command, mark: str, group: Group, reserve: "_Reserve | None", stdout: Path, stderr: Path
    ) -> Started:
        with stdout.open("ab") as out, stderr.open("ab") as err:
            if reserve is not None:
                with contextlib.suppress(OSError):  # it has died
                    return reserve.launcher.start(command, out.fileno(), err.fileno())
            if command.supervised and self._launchers is not None:
                with contextlib.suppress(OSError):  # it has died: what it does can be done without it
                    return self._launchers.start(command, group.folders, out.fileno(), err.fileno())
            return _Spawned(command, mark, group.folders, out.fileno(), err.fileno())

    def _attend(self, tree: "_Tree", watch: Watch, timeout: float | None, started: float) -> Exit:
        try:
            timed_out, exceeded = _wait(tree, timeout, watch)
            if timed_out or exceeded is not None:
                tree.end(grace=_GRACE if timed_out else 0.0)
            else:
                exceeded = watch.last()
            # Before it is reaped: until then no other session can have its number.
            leftovers = tree.end_strays()
            status, cpu_s, peak = tree.process.reap()
        except BaseException:
            tree.end(grace=0.0)
            with contextlib.suppress(ChildProcessError):
                tree.process.reap()
            raise
        wall = time.monotonic() - started
        code, number = (None, -status) if status < 0 else (status, None)
        return Exit(code, number, timed_out, wall, cpu_s, peak, leftovers=leftovers, exceeded=exceeded)

    def resident(self) -> int:
        """Bytes that all running trees hold now."""
        with self._lock:
            pids = [tree.pid for tree in self._running.values()]
        return sum(map(resident, pids))

    def stop(self) -> None:
        """End every running tree at once, and start no other."""
        with self._lock:
            self._stopped = True
            running = list(self._running.values())
        for tree in running:
            tree.end(grace=0.3)
        self.close()


class _Reserve(Struct, frozen=True):
    """A launcher without a command, and what it is good for."""

    launcher: Ready
    group: Group
    ahead: bytes
    limits: Limits


class _Tree:
    """A program with all that it started."""

    def __init__(self, process: Started, mark: str, supervised: bool) -> None:
        self.process = process
        self.pid = process.pid
        self._mark = mark
        self._supervised = supervised

    def end(self, *, grace: float) -> None:
        """Ask it to end, then end all of it; returns when it is dead."""
        if self._supervised:
            if grace:
                self.process.ask()
                self.process.ended(grace)
            self.process.let_go()
            if not self.process.ended(_ENDING):
                self.process.kill()
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            _signal_group(self.pid, signal.SIGTERM)
            self.process.ended(grace)
            _signal_group(self.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        self._kill_strays(session=None)

    def end_strays(self) -> int:
        """Kill what the main process, which has ended, left behind; how many there were."""
        if self._supervised:
            return 0
        return self._kill_strays(session=self.pid)

    def _kill_strays(self, *, session: int | None) -> int:
        from tf_tester.execute.strays import kill_strays

        return kill_strays((MARK, self._mark), session=session)


class _Spawned:
    """`ports.Started`: a child of this process."""

    def __init__(self, command: Command, mark: str, groups: Sequence[Path], stdout: int, stderr: int) -> None:
        self._process = subprocess.Popen(
            [*command.argv, *map(str, groups)],
            env={**command.env, MARK: mark},
            cwd=command.cwd,
            stdin=subprocess.PIPE if command.supervised else subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            bufsize=0,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._handle: int | None = None
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                self._handle = os.pidfd_open(self.pid)

    def ended(self, pause: float | None) -> bool:
        # Without collecting it: `wait4` is to tell its costs, and its number must stay its own.
        if self._handle is not None:
            import select

            poll = select.poll()
            poll.register(self._handle, select.POLLIN)
            return bool(poll.poll(None if pause is None else max(0, min(pause * 1000, _LONGEST_POLL))))
        deadline = None if pause is None else time.monotonic() + pause
        from tf_tester.execute.strays import alive

        while alive(self.pid):
            if deadline is not None and time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def reap(self) -> tuple[int, float, int]:
        try:
            if not hasattr(os, "wait4"):
                return self._process.wait(), 0.0, 0
            _, status, usage = os.wait4(self.pid, 0)
        finally:
            self.let_go()
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None
        code = os.waitstatus_to_exitcode(status)
        self._process.returncode = code
        unit = 1024 if sys.platform == "darwin" else 1
        return code, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // unit

    def begun(self) -> bool:
        return True

    def ask(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                self._process.stdin.write(b"e")

    def let_go(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            _signal_group(self.pid, getattr(signal, "SIGKILL", signal.SIGTERM))


def _not_started(reason: str) -> Exit:
    return Exit(None, None, False, 0.0, 0.0, 0, spawn_error=reason)


def _killed_for_memory() -> int:
    """How many processes the kernel has killed on this machine because there was no memory."""
    try:
        words = Path("/proc/vmstat").read_text(encoding="ascii").split()
        return int(words[words.index("oom_kill") + 1])
    except (OSError, ValueError):
        return 0


def _signal_group(pid: int, number: int) -> None:
    if hasattr(os, "killpg"):
        os.killpg(pid, number)
    else:
        os.kill(pid, number)


def _wait(tree: _Tree, timeout: float | None, watch: Watch) -> tuple[bool, Exceeded | None]:
    """Whether the time ran out before the end, and the limit that was exceeded before."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = watch.pause if deadline is None else min(watch.pause, deadline - time.monotonic())
        if tree.process.ended(left):
            return False, None
        if deadline is not None and time.monotonic() >= deadline:
            return True, None
        if (exceeded := watch.look(tree.pid)) is not None:
            return False, exceeded
