"""Single cells that are run to learn one thing: good or bad."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from tf_tester.core.bisect import Verdict, together
from tf_tester.flow.cells import Gate, run_cell
from tf_tester.flow.prepare import Preparer
from tf_tester.flow.replay import Replay
from tf_tester.flow.services import Services
from tf_tester.flow.trial import jobs_of
from tf_tester.model.cell import PlannedCell
from tf_tester.model.events import CellFinished
from tf_tester.model.outcome import CellResult
from tf_tester.model.request import Trial


@dataclass(frozen=True, slots=True)
class Look:
    """One cell that was looked at."""

    version: str
    """Or what else it is called by."""
    python: str
    verdict: Verdict
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
    ) -> None:
        """`repeat`: how often each is run. `failures`: words of the failures that are meant; none: all are."""
        self._trial = trial
        self._preparer = preparer
        self._services = services
        self._jobs = jobs_of(trial)
        self._gate = Gate(trial, package, services)
        self._replay = Replay(trial, self._jobs, services)
        self.repeat = repeat
        self._failures = failures
        self._lock = threading.Lock()
        self.cells = 0
        """That ran, repetitions included."""

    def at(self, planned: PlannedCell, version: str) -> Look:
        results = []
        for attempt in range(1, self.repeat + 1):
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
                attempt=attempt,
                # Who looks several times wants to see whether it is always the same.
                replay=self._replay if self.repeat == 1 else None,
            )
            self._services.tell(CellFinished(result))
            results.append(result)
            if not result.outcome.ran:
                break
        verdict = together([_verdict(result, self._failures) for result in results])
        last = next((one for one in results if str(one.outcome) != "pass"), results[-1])
        summary = last.summary if verdict is not Verdict.UNTESTABLE or len(results) == 1 else "not the same each time"
        return Look(version, planned.cell.python, verdict, str(last.outcome), summary)

    def close(self) -> None:
        """Start no other."""
        self._gate.close()


def _verdict(result: CellResult, failures: Sequence[str]) -> Verdict:
    if result.outcome.is_failure_of_the_test:
        meant = not failures or any(words in result.summary for words in failures)
        return Verdict.BAD if meant else Verdict.UNTESTABLE
    return Verdict.GOOD if str(result.outcome) == "pass" else Verdict.UNTESTABLE
