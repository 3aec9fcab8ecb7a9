"""Single cells that are run to learn one thing: good or bad."""

import threading
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.outcome.failures import headline, rows_of
from tf_tester.core.verdict.bisect import Mark, combined, is_meant, mark_of, meant_row
from tf_tester.errors import OWN_FAILURE, CellRefused, OurFailure, TfTesterError
from tf_tester.flow.run.cells import attempt_cell, own_trial
from tf_tester.flow.run.frame import Run
from tf_tester.model.cell import PlannedCell
from tf_tester.model.events import CellFinished
from tf_tester.model.outcome import CellResult, Outcome, TestRow


class Probe(Struct, frozen=True):
    """What one cell came to, as far as it counts for a search."""

    version: str
    """Or another name that tells the cell from others."""
    python: str
    mark: Mark
    outcome: Outcome
    summary: str
    row: TestRow | None = None
    """The test that shows it."""
    owners: Mapping[str, str] = {}
    """Of what its failure speaks of (`CellResult.owners`)."""
    own_failure: bool = False
    """True: it could not run because of the network, the disk or tf-tester itself."""

    @property
    def first_line(self) -> str:
        return next(iter(self.summary.strip().splitlines()), "")


class Prober:
    """Runs cells of a search; callable from several threads."""

    def __init__(self, run: Run, *, repeat: int = 1, failures: tuple[str, ...] = (), replay: bool = True) -> None:
        """Run each cell `repeat` times. `failures`: words of the failures that are meant; none: all are.

        `replay`: whether a pass of an earlier run will do.
        """
        self._run = run
        # Who probes several times wants to see whether it is always the same.
        self._replay = run.replay if replay and repeat == 1 else None
        self.test = ""
        """The test that counts; empty: all do."""
        self.repeat = repeat
        self._failures = failures
        self._lock = threading.Lock()
        self.cells = 0
        """That ran, repetitions included."""
        self.errors: dict[str, TfTesterError] = {}
        """What kept cells from running, by the name of the probe (`Probe.version`)."""

    def probe(self, planned: PlannedCell, version: str, *, anew: bool = False) -> Probe:
        """Run a cell, tell of it, and return what it came to. `anew`: no pass of an earlier run will do."""
        results = []
        for _ in range(self.repeat):
            with self._lock:
                self.cells += 1
            try:
                result, error = attempt_cell(self._run, planned, replay=None if anew else self._replay)
            except KeyboardInterrupt:
                # A search runs its cells itself, where Ctrl-C is raised; the record is to have an end of this one, too.
                interrupted = CellResult(planned.cell.name, Outcome.INTERRUPTED, "interrupted")
                self._run.services.run.tell(CellFinished(interrupted))
                raise
            if self._replay is not None:
                self._replay.settle()  # the next may be long in coming
            self._run.services.run.tell(CellFinished(result))
            results.append(result)
            if error is not None:
                self.errors[version] = error
            if not result.outcome.ran:
                break
        mark = combined([mark_of(result, self._failures, self.test) for result in results])
        last = next((one for one in results if one.outcome is not Outcome.PASS), results[-1])
        outcome, summary, row = self._what_counts(last)
        if mark is Mark.UNTESTABLE and len(results) > 1:
            summary = "not the same each time"
        own = results[-1].own_failure
        return Probe(version, planned.cell.python, mark, outcome, summary, row, last.owners, own)

    def try_with_data(self, planned: PlannedCell, path: Path, version: str) -> Probe:
        """Run a cell that is shown a path besides, and return what it came to; nothing that it told is kept.

        It may hold what nobody wants in a record, or in what is learnt of a run: it was the test that named it.
        """
        files = self._run.files.with_data(path)
        run = replace(self._run, files=files, plan=replace(self._run.plan, trial=files.trial))
        with self._lock:
            self.cells += 1
        result, _ = attempt_cell(run, planned, replay=None, work=own_trial(run))
        if result.evidence:
            self._run.services.storage.remove_tree(Path(result.evidence))
        outcome, _, row = self._what_counts(result)
        kept = None if row is None else TestRow(self.test, row.outcome, sandboxed=row.sandboxed, unshown=row.unshown)
        return Probe(version, planned.cell.python, mark_of(result, (), self.test), outcome, "", kept)

    def _what_counts(self, result: CellResult) -> tuple[Outcome, str, TestRow | None]:
        """Return what the test that counts came to, or one that fails in a way that is meant, else the cell."""
        own = rows_of(result, self.test) if self.test else ()
        # Of a file's tests one that fails: they stand for the file that could not be collected elsewhere.
        row = next((row for row in own if row.outcome.is_failure_of_the_test), next(iter(own), None))
        if row is None and not is_meant(result.summary, self._failures):
            row = meant_row(result, self._failures)
        if row is None:
            first = next((one for one in result.tests if one.outcome is result.outcome), None)
            return result.outcome, result.summary, first
        return row.outcome, headline(row.exception) if row.exception is not None else row.reason, row


def could_not_run(what: str, error: TfTesterError) -> TfTesterError:
    """Return the error that something could not run which a search needs, with the exit code of what kept it from that:
    4 where it was the network or the disk, else 3.
    """
    kind = OurFailure if error.exit_code == OWN_FAILURE else CellRefused
    return kind(f"{what} could not run: {str(error).rstrip('.')}.", hint=error.hint, detail=error.detail)
