"""A process tree on this machine."""

import contextlib
import os
import select
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.execute.groups import ControlGroups, Group
from tf_tester.execute.told import Told
from tf_tester.execute.watch import Watch, resident
from tf_tester.model.host.exit import Exit, ProcessEnd
from tf_tester.model.host.limits import Exceeded, Limit, Limits
from tf_tester.ports.execute import Command, Dialogue, ReadyLauncher, Started, Starter, Streams

MARK = "TF_TESTER_CELL"
"""Every process of a cell carries this variable, so that one that left the tree (double fork) is found."""
_OURS = 2
"""Processes of a supervised command that aren't the program's: the launcher and its init."""
_GRACE = 2.0
"""Seconds between asking a process to end and killing it."""
_OURS_TO_USE = stat.S_IRUSR | stat.S_IWUSR
_NO_GROUP = Group((), frozenset())
_TOGETHER = 0.005
"""Seconds in which what is told next is waited for: reading every event by itself costs the program its CPU."""
_LONGEST_POLL = 2**31 - 1
"""Milliseconds: 24 days."""


class LocalExecutor:
    """`ports.Executor`; `stop` ends everything that runs."""

    def __init__(self, groups: ControlGroups | None = None, launchers: Starter | None = None) -> None:
        self._groups = groups or ControlGroups()
        self._launchers = launchers
        """Starts supervised commands; needed for these."""
        self._lock = threading.Lock()
        self._running: list[Started] = []
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
        told: Path | Dialogue | None = None,
    ) -> Exit:
        task = _Task(command, stdout, stderr, timeout, limits, tuple(scratch))
        with contextlib.ExitStack() as stack:
            heard = None if told is None else stack.enter_context(Told(told))
            while (exit := self._try(task, heard)) is None:
                pass  # the launcher that was ready has died of whatever it was before the command reached it
            return exit

    def _try(self, task: "_Task", told: Told | None) -> Exit | None:
        """Run a program; None where nothing has run yet and it can be tried once more."""
        reserve = self._take(task)
        # Only a launcher can join a group before the program begins.
        supervised = task.command.supervised
        group = reserve.group if reserve else self._groups.make(task.limits) if supervised else _NO_GROUP
        killed_before = _killed_for_memory()
        try:
            streams = (task.stdout, task.stderr)
            written = streams if told is None else (*streams, told.file)
            watch = Watch(
                task.limits, task.scratch, written, grouped=group.held, ours=_OURS * supervised, ran_out=group.ran_out
            )
            started = time.monotonic()
            process = self._begin(task, group, reserve, told)
            if isinstance(process, Exit):
                return process
            self._reserve_for_next(task.command.ahead, task.limits)
            try:
                exit = self._attend(process, watch, task, started, told)
            finally:
                with self._lock:
                    self._running.remove(process)
                _make_ours(streams)
            ended_by_us = self._stopped or exit.timed_out or exit.exceeded is not None
            if reserve is not None and not ended_by_us and not process.begun():
                return None
            return _with_memory(exit, group, task.limits, killed_before)
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
                self._reserve = _Reserve(launcher, group, ahead, _of_a_launcher(limits))

    def _take(self, task: "_Task") -> "_Reserve | None":
        """Return the launcher that is ready, if it is of the kind that is needed now."""
        with self._lock:
            self._expected = max(0, self._expected - 1)
            reserve, command = self._reserve, task.command
            if reserve is None or not command.supervised:
                return None
            if (reserve.ahead, reserve.limits) != (command.ahead, _of_a_launcher(task.limits)):
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

    def _begin(self, task: "_Task", group: Group, reserve: "_Reserve | None", told: Told | None) -> "Started | Exit":
        """Start a program that `stop` can end from then on, or return why there is none."""
        name = task.command.argv[0]
        with self._lock:
            if self._stopped:
                return Exit(None, signal.SIGINT, False, 0.0, 0.0, 0)
            try:
                process = self._start(task, group, reserve, told)
            except OSError as error:
                # Of a folder that is not there, subprocess gives the name in place of the program's.
                name = os.fsdecode(error.filename) if error.filename else name
                return _not_started(f"{name}: {error.strerror or error}")
            except ValueError as error:
                return _not_started(f"{name}: {error}")
            self._running.append(process)
            return process

    def _start(self, task: "_Task", group: Group, reserve: "_Reserve | None", told: Told | None) -> Started:
        command = task.command
        with task.stdout.open("ab") as out, task.stderr.open("ab") as err:
            streams = Streams(out.fileno(), err.fileno(), None if told is None else told.theirs)
            if not command.supervised:
                return _Spawned(command, streams)
            if reserve is not None:
                with contextlib.suppress(OSError):  # it has died
                    return reserve.launcher.start(command, streams)
            assert self._launchers is not None
            return self._launchers.start(command, group.folders, streams)

    def _attend(self, process: Started, watch: Watch, task: "_Task", started: float, told: Told | None) -> Exit:
        try:
            timed_out, exceeded = _wait(process, task, watch, told)
            if timed_out or exceeded is not None:
                process.end(_GRACE if timed_out else 0.0)
            else:
                exceeded = watch.last()
            # Before it is reaped: until then no other session can have its number.
            leftovers = process.end_strays()
            end = process.reap()
            watch.cut()
            if told is not None:
                told.take_last()
        except BaseException:
            process.end(0.0)
            with contextlib.suppress(ChildProcessError):
                process.reap()
            raise
        wall = time.monotonic() - started
        has_run = not (end.spawn_error or end.sandbox_error)
        return Exit(
            code=end.status if has_run and end.status >= 0 else None,
            signal=-end.status if has_run and end.status < 0 else None,
            timed_out=timed_out,
            wall_s=wall,
            cpu_s=end.cpu_s,
            peak_rss_kib=end.peak_rss_kib,
            spawn_error=end.spawn_error,
            sandbox_error=end.sandbox_error,
            leftovers=leftovers,
            exceeded=exceeded,
        )

    def resident(self) -> int:
        """Return the bytes that all running trees hold now."""
        with self._lock:
            pids = [process.pid for process in self._running]
        return sum(map(resident, pids))

    def stop(self) -> None:
        """End every running tree at once, and start no other."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            process.end(0.3)
        self.close()


class _Task(Struct, frozen=True):
    """What `run` was asked for."""

    command: Command
    stdout: Path
    stderr: Path
    timeout: float | None
    limits: Limits
    scratch: tuple[Path, ...]


class _Reserve(Struct, frozen=True):
    """A launcher without a command, and what it is good for."""

    launcher: ReadyLauncher
    group: Group
    ahead: bytes
    limits: Limits


class _Spawned:
    """`ports.Started`: a child of this process, with all that it started."""

    def __init__(self, command: Command, streams: Streams) -> None:
        self._mark = os.urandom(8).hex()
        self._process = subprocess.Popen(
            command.argv,
            env={**command.env, MARK: self._mark},
            cwd=command.cwd,
            stdin=subprocess.DEVNULL if streams.stdin is None else streams.stdin,
            stdout=streams.stdout,
            stderr=streams.stderr,
            start_new_session=True,
            umask=command.umask,
        )
        self.pid = self._process.pid
        self._handle: int | None = None
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                self._handle = os.pidfd_open(self.pid)

    def ended(self, pause: float | None, heard: int | None = None) -> bool:
        # Without collecting it: `wait4` is to tell its costs, and its number must stay its own.
        if self._handle is not None:
            poll = select.poll()
            for descriptor in (self._handle,) if heard is None else (self._handle, heard):
                poll.register(descriptor, select.POLLIN)
            ready = poll.poll(None if pause is None else max(0, min(pause * 1000, _LONGEST_POLL)))
            return any(descriptor == self._handle for descriptor, _ in ready)
        deadline = None if pause is None else time.monotonic() + pause
        while self._lives():
            if deadline is not None and time.monotonic() > deadline:
                return False
            if heard is None:
                time.sleep(0.02)
            elif select.select([heard], [], [], 0.02)[0]:
                return not self._lives()
        return True

    def _lives(self) -> bool:
        from tf_tester.execute.strays import alive  # psutil takes 20 ms, and mostly there is a handle

        return alive(self.pid)

    def end(self, grace: float) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            _signal_group(self.pid, signal.SIGTERM)
            self.ended(grace)
            _signal_group(self.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        self._kill_strays(session=None)

    def end_strays(self) -> int:
        return self._kill_strays(session=self.pid)

    def _kill_strays(self, *, session: int | None) -> int:
        from tf_tester.execute.strays import kill_strays  # psutil takes 20 ms, which no start needs

        return kill_strays((MARK, self._mark), session=session)

    def reap(self) -> ProcessEnd:
        if not hasattr(os, "wait4"):
            return ProcessEnd(self._process.wait(), 0.0, 0)
        try:
            _, status, usage = os.wait4(self.pid, 0)
        finally:
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None
        code = os.waitstatus_to_exitcode(status)
        self._process.returncode = code
        unit = 1024 if sys.platform == "darwin" else 1
        return ProcessEnd(code, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // unit)

    def begun(self) -> bool:
        return True


def _make_ours(files: Iterable[Path]) -> None:
    """Let us read the streams and add to them, though a program may have changed their modes (`os.fchmod(1, 0)`)."""
    for file in files:
        with contextlib.suppress(OSError):
            mode = file.lstat().st_mode
            if stat.S_ISREG(mode) and mode & _OURS_TO_USE != _OURS_TO_USE:
                file.chmod(stat.S_IMODE(mode) | _OURS_TO_USE)


def _with_memory(exit: Exit, group: Group, limits: Limits, killed_before: int) -> Exit:
    """Add that memory ran out, where the kernel has counted it; so many it had killed for that before."""
    if group.ran_out():
        return replace(exit, exceeded=Exceeded(Limit.MEMORY, limits.memory))
    unknown = exit.signal == signal.SIGKILL and exit.exceeded is None and Limit.MEMORY not in group.held
    if unknown and _killed_for_memory() > killed_before:
        return replace(exit, exceeded=Exceeded(Limit.MEMORY, None))
    return exit


def _of_a_launcher(limits: Limits) -> Limits:
    """Return the limits that concern a launcher: not how much is printed, which may be less for each next program."""
    return replace(limits, output=None)


def _not_started(reason: str) -> Exit:
    return Exit(None, None, False, 0.0, 0.0, 0, spawn_error=reason)


def _killed_for_memory() -> int:
    """Return how many processes the kernel has killed on this machine because there was no memory."""
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


def _wait(process: Started, task: _Task, watch: Watch, told: Told | None) -> tuple[bool, Exceeded | None]:
    """Return whether the time ran out before the end, and the limit that was exceeded before.

    Meanwhile what is told is taken: a program waits where nobody does.
    """
    now = time.monotonic()
    deadline = float("inf") if task.timeout is None else now + task.timeout
    added = 0.0
    look_at = now + watch.pause
    while True:
        telling = None if told is None or told.is_shut else told.fileno()
        if process.ended(min(look_at, deadline) - now, telling):
            return False, None
        if told is not None and told.take() and process.ended(_TOGETHER):
            return False, None
        now = time.monotonic()
        if now >= deadline:
            waited = 0.0 if task.command.waited is None else task.command.waited()
            if waited <= added:
                return True, None
            deadline, added = deadline + waited - added, waited
        if now >= look_at:
            if (exceeded := watch.look(process.pid)) is not None:
                return False, exceeded
            now = time.monotonic()
            look_at = now + watch.pause
