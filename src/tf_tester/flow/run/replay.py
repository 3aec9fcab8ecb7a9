"""Results of cells that nothing has changed in since they were run: shown again, and marked so.

All that decides a sandboxed test's result is in its key (`core.replay.key`). Only passes are kept: who runs a failing
test again wants to see whether it fails again (Bazel does the same). What is not known to be the same every time is
never kept: without a sandbox, with the network, a GPU, folders that the test may write into, or with what is hidden
shown.
"""

import threading
from collections.abc import Sequence
from functools import cached_property

from msgspec.structs import replace

from tf_tester.core.replay.key import KeyedCell, KeyedJob, KeyedPin, KeyedTrial, key_of, tree_digest
from tf_tester.flow.prepare.services import Services
from tf_tester.flow.run.cell_world import asked_for, passed_on
from tf_tester.flow.run.jobs import TrialJob
from tf_tester.flow.run.user_files import UserFiles, keyed, list_files, relative
from tf_tester.model.cell import PlannedCell
from tf_tester.model.lock import Lock
from tf_tester.model.outcome import CellResult, Outcome
from tf_tester.model.request import Trial

_SHARE = 20
"""Looking at the folders takes this part of the time at the most (10,000 files: 0.1 s each)."""
_KEPT = frozenset({Outcome.PASS, Outcome.SKIP})


def _is_its_own(trial: Trial) -> bool:
    """Tell whether a run is about more than its outcome, or less than its tests: none shows that again."""
    return bool(trial.writable or trial.keep or trial.visible or trial.collect or trial.last_failed)


class Replay:
    """What one run may show again, and keeps for later ones."""

    def __init__(self, files: UserFiles, jobs: Sequence[TrialJob], services: Services) -> None:
        trial = files.trial
        self._results = None if _is_its_own(trial) else services.history.results
        self._files = files
        self._jobs = jobs
        self._services = services
        self._lock = threading.Lock()
        self._unsettled: list[tuple[str, CellResult]] = []
        self._next_look = 0.0

    def remarks(self) -> tuple[str, ...]:
        """Return a remark where no pass is shown again, or kept, and nobody has asked for that."""
        obstacle = "" if self._results is None else self._files.obstacle()
        return (f"no pass of an earlier run is reused, and none kept: {obstacle}",) * bool(obstacle)

    def find(self, planned: PlannedCell, lock: Lock) -> CellResult | None:
        """Return the result of an earlier run of the same cell with the same test."""
        if self._results is None or not (key := self._key(planned, lock)):
            return None
        kept = self._results.recall(key)
        return None if kept is None else replace(kept, cell=planned.cell.name)

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
            unchanged = self._files.look() == self._files.first
            self._next_look = clock() + _SHARE * (clock() - begun)
        for key, result in ended if unchanged else ():
            if result.outcome in _KEPT:
                self._results.remember(key, result)
            elif result.outcome.is_failure_of_the_test:
                self._results.distrust(key)

    def _key(self, planned: PlannedCell, lock: Lock) -> str:
        """Return the key; empty: nothing is known to be the same."""
        python, trial = planned.interpreter, self._trial
        if python is None or not python.build or trial is None:
            return ""
        cell = planned.cell
        return key_of(
            KeyedCell(
                trial=trial,
                tested=tuple(one.label for one in cell.tested),
                besides=tuple(one.label for one in cell.besides),
                python=python.build,
                pins=tuple(KeyedPin(pin.name, pin.version, pin.sha256) for pin in lock.pins),
            )
        )

    @cached_property
    def _trial(self) -> KeyedTrial | None:
        """Return what is the same for every cell; None where something of it can't be told."""
        trial, execution = self._files.trial, self._services.execution
        start = str(trial.cwd)
        environ = self._services.run.environ
        files = self._files.digest()
        if files is None:
            return None
        try:
            harness = self._harness()
        except OSError:
            return None
        return KeyedTrial(
            tool=self._services.run.tool,
            machine=execution.machine(),
            sandbox=execution.sandbox.category,
            harness=harness,
            files=files,
            jobs=tuple(
                KeyedJob(
                    str(job.runner),
                    tuple(relative(str(target), start) for target in job.targets if not trial.as_set),
                    tuple(relative(str(target), start) for target in job.or_scripts),
                )
                for job in self._jobs
            ),
            command=trial.command,
            arguments=trial.arguments,
            variables=tuple(sorted((passed_on(environ) | asked_for(trial, environ)).items())),
            pythonpath=tuple(relative(str(folder), start) for folder in trial.pythonpath),
            limits=execution.limits_asked,
            timeout=trial.timeout,
            scratch=trial.scratch,
        )

    def _harness(self) -> str:
        """Return the digest of what runs inside the tested interpreter. Raises `OSError`."""
        folder = self._services.execution.harness.parent
        listing = list_files([folder], (), ())
        return tree_digest(keyed(listing.files, folder, self._services.storage.file_digests))
