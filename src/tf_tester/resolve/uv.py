"""uv as a subprocess: nothing of the caller's configuration, no network but our loopback."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tf_tester.errors import OurFailure
from tf_tester.ports.execute import Command

_CACHE = "cache"


class Uv:
    """The uv that was installed with us."""

    def __init__(self, home: Path) -> None:
        self._home = home
        """Private HOME, cache and temporary folder of uv."""
        self._path: Path | None = None
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    @property
    def cache(self) -> Path:
        """Return its private cache: what it asked an interpreter, index or build for is asked once."""
        return self._home / _CACHE

    @contextmanager
    def remembering(self, folder: Path) -> Iterator[None]:
        """Keep in `folder` what it learns of interpreters: asking one takes longer than most of what it does then.

        Both ways it is copied: a folder that many users share isn't one in which each may write.
        """
        _copy_changed(folder, self.cache)
        try:
            yield
        finally:
            for learnt in self.cache.glob("interpreter-*"):
                _copy_changed(learnt, folder / learnt.name)

    @property
    def path(self) -> Path:
        """Its executable. Raises `OurFailure`."""
        # One thread at a time: sysconfig, which uv's finder asks, fills its table unguarded before Python 3.12.
        with self._lock:
            if self._path is None:
                import uv

                try:
                    self._path = Path(os.fsdecode(uv.find_uv_bin()))
                except FileNotFoundError as error:
                    raise OurFailure(
                        "uv is not installed beside tf-tester.",
                        hint="Run `pip install --force-reinstall uv`.",
                    ) from error
            return self._path

    def command(self, words: Sequence[str], *, cwd: Path, index: str) -> Command:
        """Return how uv runs once, quietly, in a clean environment, with `index` as its only one."""
        self._home.mkdir(exist_ok=True)
        argv = (str(self.path), *words[:1], "--no-config", "--no-progress", "--color=never", *words[1:])
        return Command(argv, _environment(self._home, index), cwd, umask=0o022)

    def run(self, words: Sequence[str], *, cwd: Path, index: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run uv once, as `command` says; whoever calls judges the status.

        Raises `InterruptedError` where `stop` came first.
        """
        process = self._start(self.command(words, cwd=cwd, index=index))
        try:
            stdout, stderr = _communicate(process, stdin)
        finally:
            with self._lock:
                self._running.discard(process)
        self.check_not_stopped()
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def check_not_stopped(self) -> None:
        """Raise `InterruptedError` where `stop` came."""
        if self._stopped:
            raise InterruptedError

    def _start(self, command: Command) -> subprocess.Popen[str]:
        """Start a process that `stop` ends from then on."""
        with self._lock:
            if self._stopped:
                raise InterruptedError
            process = subprocess.Popen(
                command.argv,
                cwd=command.cwd,
                env=dict(command.env),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                # Ctrl-C belongs to us: we end uv when we are asked to, not the terminal.
                start_new_session=True,
                umask=command.umask,
            )
            self._running.add(process)
            return process

    def stop(self) -> None:
        """End what runs, and start no other; waiting callers get `InterruptedError`."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            _kill(process)


def _environment(home: Path, index: str) -> dict[str, str]:
    """Return all variables of uv."""
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "TMPDIR": str(home),
        "UV_CACHE_DIR": str(home / _CACHE),
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_LINK_MODE": "hardlink",
        "NO_PROXY": "*",
        # Here and not among the words: those every user of the machine can read.
        "UV_DEFAULT_INDEX": index,
        # It only talks to our loopback: what we can't serve now, we can't serve a second later either.
        "UV_HTTP_RETRIES": "0",
        # A page may wait for the network and metadata for a build; whether that takes too long is judged there.
        "UV_HTTP_TIMEOUT": "86400",
        "LANG": "C.UTF-8",
    }
    if "SYSTEMROOT" in os.environ:  # Windows' sockets don't work without it
        env["SYSTEMROOT"] = os.environ["SYSTEMROOT"]
    return env


def _communicate(process: subprocess.Popen[str], stdin: str) -> tuple[str, str]:
    """Return what a process prints until it ends."""
    try:
        return process.communicate(stdin)
    except BaseException:
        _kill(process)
        process.wait()
        raise


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _copy_changed(folder: Path, target: Path) -> None:
    """Copy each file that isn't there in this state, atomically; what can't be copied is done without."""
    with contextlib.suppress(OSError):
        for file in folder.rglob("*.msgpack"):
            copy = target / file.relative_to(folder)
            content = file.read_bytes()
            if not copy.exists() or copy.read_bytes() != content:
                copy.parent.mkdir(parents=True, exist_ok=True)
                whole = copy.with_name(f"{copy.name}.{os.urandom(4).hex()}")
                whole.write_bytes(content)
                whole.replace(copy)
