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
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

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
        """If it is worth keeping, and nobody has changed the folders while it ran.

        A pass beside a failure with the same key is never kept: that test is not the same every time.
        """
        if self._results is None or not (key := self._key(planned, lock)) or self._look() != self._seen:
            return
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
        return folders_of(self._trial, self._services.environ)

    @cached_property
    def _seen(self) -> list[tuple[str, int, int]] | None:
        return self._look()

    def _look(self) -> list[tuple[str, int, int]] | None:
        return _look(self._folders, self._trial.written)

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
            for file, hashed in _files([*self._folders, self._services.harness.parent], self._trial.written):
                digest.update(json.dumps([os.fsencode(file).hex(), *_known_of(file, hashed=hashed)]).encode())
        except OSError:
            return None
        return digest.hexdigest()


def _known_of(file: Path, *, hashed: bool) -> list[str | int]:
    """What is in a file, and where a link leads to; of those that aren't hashed its size and time of change."""
    status = file.lstat()
    known: list[str | int] = [status.st_mode]
    if stat.S_ISLNK(status.st_mode):
        known.append(os.fsencode(file.readlink()).hex())
        if not file.is_file():
            return known
        status = file.stat()
    if not hashed:
        return [*known, status.st_size, status.st_mtime_ns]
    with file.open("rb") as stream:
        return [*known, hashlib.file_digest(stream, "sha256").hexdigest()]


def _look(folders: Iterable[Path], but: Collection[Path]) -> list[tuple[str, int, int]] | None:
    """Every file with its size and time of change; None: too many, or one can't be looked at."""
    found: list[tuple[str, int, int]] = []
    count = total = 0
    try:
        for file, hashed in _files(folders, but):
            status = file.stat() if file.is_file() else file.lstat()
            count += hashed
            total += status.st_size * hashed
            if count > _MOST_FILES or total > _MOST_BYTES or len(found) >= _MOST_OF_THOSE:
                return None
            found.append((os.fsdecode(file), status.st_size, status.st_mtime_ns))
    except OSError:
        return None
    return found


def _files(places: Iterable[Path], but: Collection[Path] = ()) -> Iterator[tuple[Path, bool]]:
    """Files and links, in one order, and whether their content counts; raises `OSError` for a folder that is closed."""

    def fail(error: OSError) -> None:
        raise error

    for place in places:
        if not place.is_dir():
            yield place, True
            continue
        bulky: set[str] = set()
        for folder, folders, files in os.walk(place, onerror=fail):
            here = Path(folder)
            if folder in bulky or here.name in _NOT_HASHED or "pyvenv.cfg" in files:
                bulky.update(str(here / name) for name in folders)
                bulky.add(folder)
            folders[:] = sorted(name for name in folders if name not in _NOT_READ)
            links = [name for name in folders if (here / name).is_symlink()]
            for name in sorted((*files, *links)):
                file = here / name
                if file not in but and (file.is_symlink() or file.is_file()):
                    yield file, folder not in bulky
