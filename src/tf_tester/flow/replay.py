"""Results of cells that nothing has changed in since they were run: shown again, and marked so.

All that a sandboxed test can see is in the key: the lock, the Python, the folders that it may read, its variables and
limits, the harness. Only passes are kept: who runs a failing test again wants to see whether it fails again (Bazel does
the same). What is not known to be the same every time is never kept: without a sandbox, with the network, a GPU, or
folders that the test may write into.
"""

import hashlib
import json
import os
import stat
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import asdict, replace

from tf_tester.flow.services import Services
from tf_tester.flow.surroundings import PASSED_ON, folders_of
from tf_tester.flow.trial import Job
from tf_tester.model.cell import PlannedCell
from tf_tester.model.lock import Lock
from tf_tester.model.outcome import CellResult, Outcome
from tf_tester.model.request import Trial

_RULES = 1
"""Raise it when an equal key doesn't mean an equal result any more."""
_MOST_FILES, _MOST_BYTES = 20_000, 512 << 20
"""Of the user's folders, for which it is worth reading them all."""
_NOT_READ = frozenset({"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"})
"""Folders that are made from others."""
_NOT_HASHED = frozenset({".git", ".hg", ".svn", ".tox", ".nox", "node_modules"})
"""Folders of which sizes and times of change say enough; likewise virtual environments."""
_MOST_OF_THOSE = 200_000
"""Files."""
_SHARE = 20
"""Looking at the folders takes this part of the time at the most (a virtual environment in them: 0.1 s each)."""
_KEPT = frozenset({Outcome.PASS, Outcome.SKIP})


class Replay:
    """What one run may show again, and keeps for later ones."""

    def __init__(self, trial: Trial, jobs: Sequence[Job], services: Services) -> None:
        self._results = None if trial.writable or trial.keep else services.history.results
        self._trial = trial
        self._jobs = jobs
        self._services = services
        self._lock = threading.Lock()
        self._unsettled: list[tuple[str, CellResult]] = []
        self._next_look = 0.0

    def find(self, planned: PlannedCell, lock: Lock) -> CellResult | None:
        if self._results is None or not (key := self._key(planned, lock)):
            return None
        kept = self._results.recall(key)
        return None if kept is None else replace(kept, cell=planned.cell.key)

    def keep(self, planned: PlannedCell, lock: Lock, result: CellResult) -> None:
        """Have it kept if it is worth it: at once, or, where the last look at the folders is fresh, with others soon.

        A pass beside a failure with the same key is never kept: that test is not the same every time.
        """
        if self._results is None or not (key := self._key(planned, lock)):
            return
        with self._lock:
            self._unsettled.append((key, result))
            if self._services.run.monotonic() < self._next_look:
                return
        self.settle()

    def settle(self) -> None:
        """Keep what has ended, if nobody has changed the folders while it ran. To be called when all have ended."""
        clock = self._services.run.monotonic
        with self._lock:
            ended, self._unsettled = self._unsettled, []
            if self._results is None or not ended:
                return
            begun = clock()
            unchanged = self._look() == self._seen
            self._next_look = clock() + _SHARE * (clock() - begun)
        for key, result in ended if unchanged else ():
            if result.outcome in _KEPT:
                self._results.remember(key, result)
            elif result.outcome.is_failure_of_the_test:
                self._results.distrust(key)

    def _key(self, planned: PlannedCell, lock: Lock) -> str:
        """Empty: nothing is known to be the same."""
        python = planned.interpreter
        if python is None or self._content is None:
            return ""
        parts = [
            self._content,
            planned.cell.package,
            planned.cell.version,
            [str(python.path), python.version, python.abi],
            [[pin.name, pin.version, pin.sha256] for pin in lock.pins],
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @cached_property
    def _folders(self) -> tuple[Path, ...]:
        return folders_of(self._trial, self._services.run.environ)

    @cached_property
    def _seen(self) -> "list[_File] | None":
        return self._look()

    def _look(self) -> "list[_File] | None":
        return _look(self._folders, self._trial.written)

    @cached_property
    def _content(self) -> str | None:
        """Digest of all that is the same for every cell; None where something of it can't be told."""
        if self._seen is None:
            return None
        trial, environ = self._trial, self._services.run.environ
        said = [
            _RULES,
            [(str(job.runner), [str(target) for target in job.targets]) for job in self._jobs],
            [trial.command, trial.arguments, str(trial.cwd), trial.scratch, trial.timeout],
            [*map(str, trial.pythonpath)],
            sorted(trial.env),
            sorted((name, environ[name]) for name in PASSED_ON if name in environ),
            self._services.execution.sandbox.name,
            asdict(self._services.execution.limits),
        ]
        digest = hashlib.sha256(json.dumps(said, default=str).encode())
        try:
            for file in (*self._seen, *_files([self._services.execution.harness.parent])):
                digest.update(json.dumps([os.fsencode(file.path).hex(), *_known_of(file)]).encode())
        except OSError:
            return None
        return digest.hexdigest()


class _File(NamedTuple):
    """A file or a link below the user's folders; equal to itself while nobody has changed it."""

    path: str
    mode: int
    size: int
    changed: int
    """Nanoseconds. These three are those of what a link leads to, where that is a file."""
    is_link: bool
    is_file: bool
    """Whether it is one, or leads to one."""
    hashed: bool
    """Whether its content counts, not only its size and time."""


def _known_of(file: _File) -> list[str | int]:
    """What is in a file, and where a link leads to; of those that aren't hashed its size and time of change."""
    known: list[str | int] = [file.mode]
    if file.is_link:
        known = [os.lstat(file.path).st_mode, os.fsencode(os.readlink(file.path)).hex()]  # noqa: PTH115
        if not file.is_file:
            return known
    if not file.hashed:
        return [*known, file.size, file.changed]
    with open(file.path, "rb") as stream:  # noqa: PTH123
        return [*known, hashlib.file_digest(stream, "sha256").hexdigest()]


def _look(folders: Iterable[Path], but: Collection[Path]) -> list[_File] | None:
    """Every file; None: too many, or one can't be looked at."""
    found: list[_File] = []
    count = total = 0
    try:
        for file in _files(folders, but):
            count += file.hashed
            total += file.size * file.hashed
            if count > _MOST_FILES or total > _MOST_BYTES or len(found) >= _MOST_OF_THOSE:
                return None
            found.append(file)
    except OSError:
        return None
    return found


def _files(places: Iterable[Path], but: Collection[Path] = ()) -> Iterator[_File]:
    """Files and links, in one order. Raises `OSError` for a folder that is closed.

    By names and `os.scandir`: many projects have a virtual environment of 20,000 files beside their tests.
    """
    left_out = {str(path) for path in but}
    for place in places:
        if not place.is_dir():
            yield _file(str(place), place.stat() if place.is_file() else place.lstat(), place.is_symlink(), hashed=True)
            continue
        todo = [(str(place), True)]
        while todo:
            folder, hashed = todo.pop()
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
            if os.path.basename(folder) in _NOT_HASHED or any(entry.name == "pyvenv.cfg" for entry in entries):  # noqa: PTH119
                hashed = False
            inner = []
            for entry in entries:
                # A link may lead to itself, at which only `os.path` doesn't raise.
                is_link = entry.is_symlink()
                if os.path.isdir(entry.path) if is_link else entry.is_dir():  # noqa: PTH112
                    if entry.name in _NOT_READ:
                        continue
                    if not is_link:
                        inner.append((entry.path, hashed))
                        continue
                is_file = os.path.isfile(entry.path) if is_link else entry.is_file()  # noqa: PTH113
                if (is_link or is_file) and entry.path not in left_out:
                    yield _file(entry.path, entry.stat(follow_symlinks=is_file), is_link, hashed=hashed)
            todo += reversed(inner)


def _file(path: str, status: os.stat_result, is_link: bool, *, hashed: bool) -> _File:
    mode = status.st_mode
    return _File(path, mode, status.st_size, status.st_mtime_ns, is_link, stat.S_ISREG(mode), hashed)
