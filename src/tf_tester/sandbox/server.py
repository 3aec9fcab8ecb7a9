"""Launchers, forked by a process that is kept for it: a tenth of what it costs to start one."""

import contextlib
import marshal
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from tf_tester.model.host.exit import ProcessEnd
from tf_tester.ports.execute import Command, Streams
from tf_tester.sandbox.messages import BEGUN, ENDED, LONGEST_REASON, NO_PROGRAM, NO_SANDBOX
from tf_tester.sandbox.order import FOLDER, order_of

_START = "import sys; sys.path.append(sys.argv.pop(1)); from tf_tester.sandbox.forking import serve; serve()"
_ENDING = 10.0
"""Seconds that a launcher may take to end what it supervises."""


class LaunchServer:
    """`ports.Starter` for launchers; its process is started when one is wanted and there is none, or none any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._requests: socket.socket | None = None

    def ready(self, ahead: bytes, groups: Sequence[Path]) -> "ForkedLauncher":
        """Raise `OSError` where its process can't be started."""
        message = marshal.dumps((ahead, [str(group) for group in groups]))
        lifeline, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours, report = socket.socketpair()
        try:
            self._ask(message, [theirs.fileno(), report.fileno()])
        except OSError:
            lifeline.close()
            ours.close()
            raise
        finally:
            theirs.close()
            report.close()
        return ForkedLauncher(ours, lifeline)

    def start(self, command: Command, groups: Sequence[Path], streams: Streams) -> "LaunchedProgram":
        """Raise `OSError` as `ready` does."""
        try:
            return self.ready(command.ahead, groups).start(command, streams)
        except ConnectionError:  # the process has died between the two
            return self.ready(command.ahead, groups).start(command, streams)

    def begin(self) -> None:
        """Start its process now: a first launcher need not wait for that."""
        with self._lock:
            if self._requests is None:
                self._begin()

    def close(self) -> None:
        """End the process; launchers that run are not touched."""
        with self._lock:
            if self._requests is not None:
                self._requests.close()
            if self._process is not None:
                self._process.wait()

    def _ask(self, message: bytes, descriptors: Sequence[int]) -> None:
        with self._lock:
            try:
                socket.send_fds(self._requests or self._begin(), [message], descriptors)
            except ConnectionError:
                socket.send_fds(self._begin(), [message], descriptors)

    def _begin(self) -> socket.socket:
        """Start the process, or another one in place of one that has died."""
        if self._requests is not None:
            self._requests.close()
        if self._process is not None:
            self._process.wait()
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _START, FOLDER],
                env={"PATH": os.defpath},
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        return self._requests


class ForkedLauncher:
    """`ports.execute.ReadyLauncher`: a launcher without an order."""

    def __init__(self, report: socket.socket, lifeline: socket.socket) -> None:
        self._report = report
        self._lifeline = lifeline

    def start(self, command: Command, streams: Streams) -> "LaunchedProgram":
        """Give it its order. Raises `OSError` where it, or whoever could tell how it ends, has died."""
        try:
            said = self._report.recv(BEGUN.size)
            if len(said) < BEGUN.size or self._is_forgotten():
                raise ConnectionResetError("whoever starts launchers has died")
            passed = [streams.stdout, streams.stderr, *([] if streams.stdin is None else [streams.stdin])]
            socket.send_fds(self._lifeline, [order_of(command).encode()], passed)
        except OSError:
            self.close()
            raise
        return LaunchedProgram(BEGUN.unpack(said)[0], self._report, self._lifeline, order_of(command))

    def _is_forgotten(self) -> bool:
        try:
            return not self._report.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False

    def close(self) -> None:
        self._lifeline.close()
        self._report.close()


class LaunchedProgram:
    """`ports.Started`: a launcher that is another process's child."""

    def __init__(self, pid: int, report: socket.socket, lifeline: socket.socket, order: str) -> None:
        self.pid = pid
        self._order = order
        self._report = report
        self._lifeline = lifeline
        self._handle: int | None = None
        self._lock = threading.Lock()
        """Who ends it may not be who waits for it."""
        with contextlib.suppress(ProcessLookupError):
            self._handle = os.pidfd_open(pid)

    def ended(self, pause: float | None, heard: int | None = None) -> bool:
        report = self._report.fileno()
        if report < 0:
            return True  # it has been reaped
        poll = select.poll()
        for descriptor in (report,) if heard is None else (report, heard):
            poll.register(descriptor, select.POLLIN)
        ready = poll.poll(None if pause is None else max(0, min(pause * 1000, 2**31 - 1)))
        return any(descriptor == report for descriptor, _ in ready)

    def end(self, grace: float) -> None:
        if grace:
            with self._lock, contextlib.suppress(OSError):
                self._lifeline.send(b"e")
            self.ended(grace)
        with self._lock:
            self._lifeline.close()
        if not self.ended(_ENDING):
            with self._lock, contextlib.suppress(OSError):
                if self._handle is not None:
                    signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def end_strays(self) -> int:
        return 0  # it has done so itself

    def reap(self) -> ProcessEnd:
        told = self._report.recv(ENDED.size)
        self._report.close()
        kind, reason = self._refusal()
        with self._lock:
            self._lifeline.close()
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None
        # Whoever could have told of its end may have died.
        status, cpu_s, peak = ENDED.unpack(told) if len(told) == ENDED.size else (signal.SIGKILL, 0.0, 0)
        return ProcessEnd(
            os.waitstatus_to_exitcode(status),
            cpu_s,
            peak,
            spawn_error=reason if kind == NO_PROGRAM else "",
            sandbox_error=reason if kind == NO_SANDBOX else "",
        )

    def _refusal(self) -> tuple[bytes, str]:
        """Return what the launcher, which has ended, has said of a program that it did not run."""
        with self._lock, contextlib.suppress(OSError):
            said = self._lifeline.recv(1 + LONGEST_REASON, socket.MSG_DONTWAIT)
            return said[:1], said[1:].decode("utf-8", "replace")
        return b"", ""

    def begun(self) -> bool:
        # Whoever takes an order removes its file. One that was sent to a dying launcher stays.
        return not os.path.exists(self._order)
