"""Sources become bytecode by the tested interpreter itself, on all cores.

A compiler that has begun goes on with whatever waits for the same interpreter: starting one for each of 41 wheels is
2 of 15 seconds.
"""

import marshal
import os
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tf_tester.errors import InstallFailed
from tf_tester.model.host.interpreter import Interpreter

_BATCH = 50
"""Sources that are given at once: what is lost with a compiler that dies, and what is shared out among cores."""

_EVERY_PYTHON_READS = 2
"""A format of `marshal`."""

_Compiler = subprocess.Popen[bytes]


class Compilers:
    """Programs of the tested interpreters; none lives on when nothing is left to be compiled."""

    def __init__(self, script: Path, cpus: int, go_on: Callable[[], None]) -> None:
        self._script = script
        """Takes a job after the other and answers each with a line."""
        self._cpus = cpus
        self._go_on = go_on
        """Raises where the work is to end."""
        self._at_work = threading.BoundedSemaphore(cpus)
        self._lock = threading.Lock()
        """Of what follows."""
        self._queues: list[tuple[Path, deque[Sequence[str]]]] = []
        self._idle: list[tuple[Path, _Compiler]] = []
        self._living: set[_Compiler] = set()

    def compile(self, folder: Path, sources: Sequence[str], interpreter: Interpreter, *, seen_at: str) -> None:
        """Lay bytecode, read-only, beside a folder's sources; those that don't compile get none.

        `seen_at`: the folder that tracebacks name.
        """
        batches = deque(sources[start : start + _BATCH] for start in range(0, len(sources), _BATCH))
        threads = min(self._cpus, len(batches))
        with self._waiting(interpreter.path, batches), ThreadPoolExecutor(threads, "compile") as pool:
            for share in [pool.submit(self._some, folder, batches, interpreter, seen_at) for _ in range(threads)]:
                share.result()

    def stop(self) -> None:
        """End all that compile."""
        with self._lock:
            living = list(self._living)
        for compiler in living:
            compiler.kill()

    def _some(self, folder: Path, batches: deque[Sequence[str]], interpreter: Interpreter, seen_at: str) -> None:
        while batches:
            with self._at_work:
                self._go_on()
                with self._lock:
                    if not batches:
                        return  # another thread was faster
                    batch = batches.popleft()
                    compiler = self._take_idle(interpreter.path)
                compiler = compiler or self._start(interpreter)
                job: list[str | list[str]] = [str(folder), seen_at, list(batch)]
                # A source that kills the compiler costs its neighbours their bytecode, nothing else.
                self._release(interpreter.path, compiler, usable=_answers(compiler, job))
            self._go_on()

    @contextmanager
    def _waiting(self, interpreter: Path, batches: deque[Sequence[str]]) -> Iterator[None]:
        queue = (interpreter, batches)
        with self._lock:
            self._queues.append(queue)
        try:
            yield
        finally:
            batches.clear()
            with self._lock:
                self._queues = [other for other in self._queues if other is not queue]
            self._release(interpreter, None, usable=False)

    def _take_idle(self, interpreter: Path) -> _Compiler | None:
        for one in self._idle:
            if one[0] == interpreter:
                self._idle.remove(one)
                return one[1]
        return None

    def _release(self, interpreter: Path, compiler: _Compiler | None, *, usable: bool) -> None:
        """Keep it for what waits; end all that nothing waits for."""
        over = [] if usable or compiler is None else [compiler]
        with self._lock:
            if compiler is not None and usable:
                self._idle.append((interpreter, compiler))
            if not any(batches for path, batches in self._queues if path == interpreter):
                while (idle := self._take_idle(interpreter)) is not None:
                    over.append(idle)
        for each in over:
            _end(each)
            with self._lock:
                self._living.discard(each)

    def _start(self, interpreter: Interpreter) -> _Compiler:
        try:
            compiler = subprocess.Popen(
                [str(interpreter.path), "-s", "-S", "-B", str(self._script)],
                stdin=subprocess.PIPE,
                # Before Python 3.11, a set among a source's constants is written in the order of its hashes: the same
                # source is to be the same bytecode on every machine. So not isolated (-I), which would ignore the seed.
                env={"PATH": os.defpath, "PYTHONHASHSEED": "0"},
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # Ctrl-C is for us: a half compiled layer must not look like a whole one.
                start_new_session=True,
            )
        except OSError as error:
            raise InstallFailed(
                f"{interpreter.path} can't be run: {error.strerror}.",
                hint="Run `tf-tester doctor` to see which Pythons work.",
            ) from error
        with self._lock:
            self._living.add(compiler)
        return compiler


def _answers(compiler: _Compiler, job: list[str | list[str]]) -> bool:
    """Tell whether it lived to say that the job is done."""
    assert compiler.stdin is not None
    assert compiler.stdout is not None
    try:
        compiler.stdin.write(marshal.dumps(job, _EVERY_PYTHON_READS))
        compiler.stdin.flush()
    except BrokenPipeError:
        return False
    return bool(compiler.stdout.readline())


def _end(compiler: _Compiler) -> None:
    """Wait for its end: without more jobs it goes by itself."""
    try:
        compiler.communicate()
    except BrokenPipeError:
        compiler.wait()
