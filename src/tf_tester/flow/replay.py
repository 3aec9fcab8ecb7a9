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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path

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
_NOT_READ = frozenset(
    {".git", ".hg", ".svn", "__pycache__", ".venv", "venv", ".tox", ".nox", "node_modules", "wheels", "locks"}
    | {".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".ipynb_checkpoints"}
)
"""Folders that no test is about."""
_KEPT = frozenset({Outcome.PASS, Outcome.SKIP})


class Replay:
    """What one run may show again, and keeps for later ones."""

    def __init__(self, trial: Trial, jobs: Sequence[Job], services: Services) -> None:
        self._results = None if trial.writable or trial.keep else services.results
        self._trial = trial
        self._jobs = jobs
        self._services = services

    def find(self, planned: PlannedCell, lock: Lock) -> CellResult | None:
        if self._results is None or not (key := self._key(planned, lock)):
            return None
        kept = self._results.recall(key)
        return None if kept is None else replace(kept, cell=planned.cell.key)

    def keep(self, planned: PlannedCell, lock: Lock, result: CellResult) -> None:
        """If it is worth keeping, and nobody has changed the folders while it ran."""
        if self._results is None or result.outcome not in _KEPT or not (key := self._key(planned, lock)):
            return
        if _look(self._folders) == self._seen:
            self._results.remember(key, result)

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
        return folders_of(self._trial, self._services.environ)

    @cached_property
    def _seen(self) -> list[tuple[str, int, int]] | None:
        return _look(self._folders)

    @cached_property
    def _content(self) -> str | None:
        """Digest of all that is the same for every cell; None where something of it can't be told."""
        if self._seen is None:
            return None
        trial, environ = self._trial, self._services.environ
        said = [
            _RULES,
            [(str(job.runner), [str(target) for target in job.targets]) for job in self._jobs],
            [trial.command, trial.arguments, str(trial.cwd), trial.scratch, trial.timeout],
            [*map(str, trial.pythonpath)],
            sorted(trial.env),
            sorted((name, environ[name]) for name in PASSED_ON if name in environ),
            self._services.sandbox.name,
            asdict(self._services.limits),
        ]
        digest = hashlib.sha256(json.dumps(said, default=str).encode())
        try:
            for file in _files([*self._folders, self._services.harness.parent]):
                status = file.lstat()
                content = os.fsencode(file.readlink()) if stat.S_ISLNK(status.st_mode) else _digest(file)
                digest.update(json.dumps([os.fsencode(file).hex(), status.st_mode]).encode() + content)
        except OSError:
            return None
        return digest.hexdigest()


def _digest(file: Path) -> bytes:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _look(folders: Iterable[Path]) -> list[tuple[str, int, int]] | None:
    """Every file with its size and time of change; None: too many, or one can't be looked at."""
    found: list[tuple[str, int, int]] = []
    total = 0
    try:
        for file in _files(folders):
            status = file.lstat()
            total += status.st_size
            if len(found) >= _MOST_FILES or total > _MOST_BYTES:
                return None
            found.append((os.fsdecode(file), status.st_size, status.st_mtime_ns))
    except OSError:
        return None
    return found


def _files(places: Iterable[Path]) -> Iterator[Path]:
    """Regular files and links, in one order; raises `OSError` for a folder that can't be read."""

    def fail(error: OSError) -> None:
        raise error

    for place in places:
        if not place.is_dir():
            yield place
            continue
        for folder, folders, files in os.walk(place, onerror=fail):
            folders[:] = sorted(name for name in folders if name not in _NOT_READ)
            links = [name for name in folders if (Path(folder) / name).is_symlink()]
            for name in sorted((*files, *links)):
                file = Path(folder) / name
                if file.is_symlink() or file.is_file():
                    yield file
