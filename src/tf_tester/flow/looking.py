"""Single cells that are run to learn one thing: good or bad."""

import threading

from msgspec import Struct

from tf_tester.core.bisect import Mark, mark_of, together
from tf_tester.core.differences import headline
from tf_tester.flow.cells import Gate, run_cell
from tf_tester.flow.prepare import Preparer
from tf_tester.flow.replay import Replay
from tf_tester.flow.services import Services
from tf_tester.flow.trial import jobs_of
from tf_tester.model.cell import PlannedCell
from tf_tester.model.events import CellFinished
from tf_tester.model.outcome import CellResult
from tf_tester.model.request import Trial


class Look(Struct, frozen=True):
    """One cell that was looked at."""

    version: str
    """Or what else it is called by."""
    python: str
    mark: Mark
    outcome: str
    summary: str

    @property
    def first_line(self) -> str:
        return next(iter(self.summary.strip().splitlines()), "")


class Looking:
    """Runs them; callable from several threads."""

    def __init__(
        self,
        trial: Trial,
        preparer: Preparer,
        services: Services,
        package: str,
        *,
        repeat: int = 1,
        failures: tuple[str, ...] = (),
        replay: bool = True,
    ) -> None:
        """`repeat`: how often each is run. `failures`: words of the failures that are meant; none: all are.

        `replay`: whether a pass of an earlier run will do.
        """
        self._trial = trial
        self._preparer = preparer
        self._services = services
        self._jobs = jobs_of(trial)
        self._gate = Gate(trial, package, services)
        # Who looks several times wants to see whether it is always the same.
        self._replay = Replay(trial, self._jobs, services) if replay and repeat == 1 else None
        self.test = ""
        """The test that counts; empty: all do."""
        self.repeat = repeat
        self._failures = failures
        self._lock = threading.Lock()
        self.cells = 0
        """That ran, repetitions included."""

    def at(self, planned: PlannedCell, version: str, *, anew: bool = False) -> Look:
        """`anew`: no pass of an earlier run will do."""
        results = []
        for _ in range(self.repeat):
            with self._lock:
                self.cells += 1
            result = run_cell(
                planned,
                self._preparer,
                self._trial,
                self._jobs,
                self._gate,
                self._services,
                None,
                replay=None if anew else self._replay,
            )
            if self._replay is not None:
                self._replay.settle()  # the next may be long in coming
            self._services.run.tell(CellFinished(result))
            results.append(result)
            if not result.outcome.ran:
                break
        mark = together([mark_of(result, self._failures, self.test) for result in results])
        last = next((one for one in results if str(one.outcome) != "pass"), results[-1])
        outcome, summary = self._told(last)
        if mark is Mark.UNTESTABLE and len(results) > 1:
            summary = "not the same each time"
        return Look(version, planned.cell.python, mark, outcome, summary)

    def _told(self, result: CellResult) -> tuple[str, str]:
        """What the test that counts came to, else the cell."""
        row = next((row for row in result.tests if self.test and row.id == self.test), None)
        if row is None:
            return str(result.outcome), result.summary
        return str(row.outcome), headline(row.exception) if row.exception is not None else row.reason

    def close(self) -> None:
        """Start no other."""
        self._gate.close()
