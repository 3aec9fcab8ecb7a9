"""Commands in processes that needn't import tf-tester: forked from one that has.

    process = start(["test", "check.py"], cwd=folder, env=env)
    out, err = process.communicate(timeout=120)

Most of what a short command takes is its imports, and the tests start more than a thousand commands. Each is a process
of its own all the same, with its own session, folder, variables and pipes, runs the package as `python -m tf_tester`
does, and ends as every Python program ends. What differs is what costs time and is tested below, in `functional`:

- What Python reads from its variables at its start is not read again: who changes that starts Python itself.
- At its end it clears up no memory, page by page a copy of what it was forked from.
- What the Python that runs the tests says of itself is asked once, not for each new store.
- A source is compiled once, not for each new store.
- Nothing waits for the disk: no test cuts the power.
- The pauses before a source is asked once more, which add up to 14 seconds for each file, are a hundredth.
"""

import atexit
import compileall
import contextlib
import functools
import gc
import hashlib
import importlib
import itertools
import json
import os
import pkgutil
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import obstore
from msgspec import structs

from tf_tester.core.fetch.retries import Retries

if TYPE_CHECKING:
    from tf_tester.model.host.interpreter import Interpreter

_REPOSITORY = Path(__file__).parents[1]
PYTHONPATH = os.pathsep.join((str(_REPOSITORY / "src"), str(_REPOSITORY)))
_VARIABLES = {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONPATH": PYTHONPATH}
_CALLS = ("os.", "open", "fcntl.", "shutil.", "socket.", "sqlite3.", "subprocess.", "obstore.")
_NOT_BEFORE = ("tf_tester.__main__", "tf_tester.harness", "tf_tester.serve", "tf_tester.wiring.serving")
"""Prometheus' client, which the last two import, decides at its import whether several processes count together."""
_LARGEST = 1 << 20
"""Bytes of a request."""


class Forked:
    """A running command, used as `subprocess.Popen` is."""

    def __init__(self, pid: int, status: socket.socket, stdout: IO[str], stderr: IO[str]) -> None:
        self.pid = pid
        self.stdout = stdout
        self.stderr = stderr
        self.returncode: int | None = None
        self._status = status
        self._outputs = {stdout: "", stderr: ""}
        self._readers: list[threading.Thread] = []

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(timeout=0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("tf-tester", timeout or 0)
            self.returncode = int(self._status.recv(100))
            self._status.close()
        return self.returncode

    def drain(self) -> None:
        """Read from now on what it writes: a pipe that nobody reads stops a command that has much to say."""

        def read(stream: IO[str]) -> None:
            with stream:
                self._outputs[stream] = stream.read()

        if not self._readers:
            self._readers = [threading.Thread(target=read, args=(one,), daemon=True) for one in self._outputs]
            for reader in self._readers:
                reader.start()

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        self.drain()
        for reader in self._readers:
            reader.join(timeout)
            if reader.is_alive():
                raise subprocess.TimeoutExpired("tf-tester", timeout or 0)
        self.wait(timeout)
        return self._outputs[self.stdout], self._outputs[self.stderr]

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Process = Forked | subprocess.Popen[str]
Death = tuple[str, int]
"""A command kills itself (SIGKILL) just before its n-th call of the system whose audit event begins with this text."""


def start(words: Sequence[str], *, cwd: Path, env: Mapping[str, str], dies_at: Death | None = None) -> Process:
    """Start `tf-tester` with these words, nothing on its standard input, and pipes for its output.

    Python itself starts where one of its own variables is another, and where the system can't tell of a grandchild.
    """
    if _read_at_start(env) != _read_at_start(_VARIABLES) or not hasattr(os, "pidfd_open"):
        assert dies_at is None
        return _start_python([sys.executable, "-m", "tf_tester", *words], cwd=cwd, env=env)
    ours, status = socket.socketpair()
    reading_out, out = os.pipe()
    reading_err, err = os.pipe()
    with Path(os.devnull).open() as nothing, status:
        request = json.dumps({"words": words, "cwd": str(cwd), "env": dict(env), "dies_at": dies_at}).encode()
        pid = next(_forkers())(request, [nothing.fileno(), out, err, status.fileno()])
    os.close(out)
    os.close(err)
    return Forked(pid, ours, os.fdopen(reading_out, encoding="utf-8"), os.fdopen(reading_err, encoding="utf-8"))


def _read_at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(("PYTHON", "LANG", "LC_", "TZ"))}


def _start_python(
    words: Sequence[str], *, cwd: Path, env: Mapping[str, str], pass_fds: Sequence[int] = ()
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        words,
        cwd=cwd,
        env=env,
        pass_fds=pass_fds,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Who runs the tests in the background may ignore Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@functools.cache
def _forkers() -> Iterator[Callable[[bytes, list[int]], int]]:
    """Return two in turn: each has its own seed of hashes, so what depends on the order of a set still shows."""
    bytecode = tempfile.mkdtemp(prefix="tf-tester-bytecode-")
    atexit.register(shutil.rmtree, bytecode, ignore_errors=True)
    return itertools.cycle([_forker(bytecode), _forker(bytecode)])


def _forker(bytecode: str) -> Callable[[bytes, list[int]], int]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        words = [sys.executable, "-m", "tests.forking", str(theirs.fileno()), bytecode]
        process = _start_python(words, cwd=_REPOSITORY, env=_VARIABLES, pass_fds=[theirs.fileno()])

    one_at_a_time = threading.Lock()

    def fork(request: bytes, descriptors: list[int]) -> int:
        with one_at_a_time:
            try:
                socket.send_fds(ours, [request], descriptors)
                return int(ours.recv(100))
            except OSError as error:
                raise AssertionError(process.communicate()[1]) from error

    def end() -> None:
        ours.close()
        process.communicate()

    atexit.register(end)
    return fork


# -- in the process that is forked from


def _serve(requests: socket.socket) -> None:
    """Answer each request with a process id, and send its exit code when it has ended; return in each child."""
    running: dict[int, tuple[int, int]] = {}
    poll = select.poll()  # has no descriptor of its own that children would have to close
    poll.register(requests, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            if ready != requests.fileno():
                poll.unregister(ready)
                pid, status = running.pop(ready)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with socket.socket(fileno=status) as answer:
                    answer.send(str(code).encode())
                os.close(ready)
                continue
            request, descriptors, _, _ = socket.recv_fds(requests, _LARGEST, 4)
            if not request:
                sys.exit()
            pid = os.fork()
            if not pid:
                os.setsid()  # before anybody knows of it, and may kill its group
                requests.send(str(os.getpid()).encode())
                requests.close()
                _become(json.loads(request), descriptors)
                return
            for descriptor in descriptors[:3]:
                os.close(descriptor)
            ending = os.pidfd_open(pid)
            running[ending] = pid, descriptors[3]
            poll.register(ending, select.POLLIN)


def _become(request: dict[str, Any], descriptors: list[int]) -> None:
    for target, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, target)
    os.closerange(3, 1024)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.path[0] = request["cwd"]
    sys.argv[1:] = request["words"]
    if request["dies_at"]:
        sys.addaudithook(_dying(*request["dies_at"]))


def _dying(prefix: str, at: int) -> Callable[[str, object], None]:
    """Return an audit hook for a `Death`."""
    for name in ("copy", "delete", "get", "list", "put"):  # what isn't written in Python tells no hook by itself
        vars(obstore)[name] = _audited(f"obstore.{name}", vars(obstore)[name])
    numbers = itertools.count(1)

    def count(event: str, _words: object) -> None:
        if event.startswith(_CALLS) and event.startswith(prefix) and next(numbers) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    return count


def _leave(end: SystemExit) -> None:
    """End the process as Python does, but clear up no memory: that is most of what a short command takes."""
    if end.code is not None and not isinstance(end.code, int):
        raise end
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        raise end from None
    os._exit(end.code or 0)


def _audited(event: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def audited(*words: Any, **named: Any) -> Any:
        sys.audit(event)
        return call(*words, **named)

    return audited


def _import_everything() -> None:
    import tf_tester
    from tf_tester.store import folder
    from tf_tester.transfer import client, download

    for module in pkgutil.walk_packages(tf_tester.__path__, "tf_tester."):
        if not module.name.startswith(_NOT_BEFORE):
            importlib.import_module(module.name)
    # Cells have it from here. Where tf-tester is installed, it is compiled.
    compileall.compile_dir(Path(tf_tester.__file__).parent / "harness", quiet=1)
    for name in ("aiohttp.web", "findpython", "platformdirs", "uv"):  # what commands import when they need it
        importlib.import_module(name)
    assert "prometheus_client" not in sys.modules
    for asking in (client, download):
        assert vars(asking)["Retries"] is Retries
        vars(asking).update(Retries=_hurried)
    vars(os).update(fsync=_wait_for_nothing, fdatasync=_wait_for_nothing)
    vars(folder).update(_c_function=_but_syncfs(folder._c_function))
    _know_own_python()
    _know_bytecode(Path(sys.argv[2]))


def _hurried(*words: Any, **named: Any) -> Retries:
    return structs.replace(Retries(*words, **named), retry_delay=0.01)


def _wait_for_nothing(_descriptor: int) -> int:
    return 0


def _but_syncfs(c_function: Callable[[str], Callable[..., int] | None]) -> Callable[[str], Callable[..., int] | None]:
    return lambda name: _wait_for_nothing if name == "syncfs" else c_function(name)


def _know_bytecode(known: Path) -> None:
    from tf_tester.store.compiling import Compilers

    compile_all = Compilers.compile

    def compile_others(
        self: Compilers, folder: Path, sources: Sequence[str], interpreter: "Interpreter", *, seen_at: str
    ) -> None:
        made = {}
        for source in sources:
            path = folder / source
            parts = (path.read_bytes(), f"{seen_at} {source} {interpreter.path} {interpreter.version}".encode())
            kept = known / hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
            target = path.parent / "__pycache__" / f"{path.stem}.{interpreter.cache_tag}.pyc"
            if kept.exists():
                target.parent.mkdir(exist_ok=True)
                shutil.copy(kept, target)
            else:
                made[source] = kept, target
        if made:
            compile_all(self, folder, list(made), interpreter, seen_at=seen_at)
        for kept, target in made.values():
            if target.exists():
                own = kept.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
                shutil.copy(target, own)
                own.rename(kept)

    Compilers.compile = compile_others  # type: ignore[method-assign]


def _know_own_python() -> None:
    from tf_tester.env import interpreters

    start_once = interpreters._start_once
    own = interpreters.identity(interpreters.outside_environment(Path(sys.executable)))
    answer = start_once(own, _VARIABLES, 60.0)

    def start_others(path: Path, environ: Mapping[str, str], timeout_s: float) -> Any:
        return answer if path == own else start_once(path, environ, timeout_s)

    vars(interpreters).update(_start_once=start_others)


if __name__ == "__main__":
    _import_everything()
    gc.collect()
    gc.freeze()
    _serve(socket.socket(fileno=int(sys.argv[1])))
    try:
        runpy.run_module("tf_tester", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        _leave(end)
