"""One cell from its plan to its result."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import assert_never

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.outcome.failures import still_failing
from tf_tester.core.outcome.owners import owners_of
from tf_tester.core.outcome.refused import outcome_of
from tf_tester.core.text.sizes import count_text
from tf_tester.errors import OWN_FAILURE, CellRefused, NoPython, NoWheel, OurFailure, StoreError, TfTesterError
from tf_tester.flow.prepare.prepare import Preparation
from tf_tester.flow.run.frame import Run
from tf_tester.flow.run.replay import Replay
from tf_tester.flow.run.trial import TrialResult, run_trial
from tf_tester.model.cell import PlannedCell
from tf_tester.model.events import CellLocked, CellState, CellStep
from tf_tester.model.outcome import CellResult, Outcome, worst
from tf_tester.ports.environment import Environment

_LONGEST_NAME = 150
"""Characters of a folder's name: file systems take 255 bytes."""
_UNREAD_FOR = {Outcome.CRASH: 0.0, Outcome.FAIL: 86_400.0, Outcome.ERROR: 86_400.0}
"""Layers that weren't read for so many seconds are read behind such an outcome: a disk may rot without a word.

One wrong bit of bytecode is a crash. Failures are many while somebody is at work on a test, and to read 20,000 files of
1 GB takes 1.3 s of a core, and what the disk needs for it.
"""


def run_cell(run: Run, planned: PlannedCell, *, replay: Replay | None) -> CellResult:
    """Return what a cell came to; every failure on the way is a result too.

    With `replay` it isn't run where nothing has changed since it was.
    """
    return attempt_cell(run, planned, replay=replay)[0]


CellWork = Callable[[Preparation, Environment, Path], TrialResult]
"""What is done in a cell's environment, with the folder for its evidence; once more where layers were damaged."""


def attempt_cell(
    run: Run, planned: PlannedCell, *, replay: Replay | None, work: CellWork | None = None, part: str = ""
) -> tuple[CellResult, TfTesterError | None]:
    """Return what a cell came to, as `run_cell` does, and the error that kept it from running, if one did.

    `work` is done instead of the run's own trial, of which nothing is learnt then; its evidence goes into the folder
    `part` of the cell's.
    """
    name = planned.cell.name
    if planned.interpreter is None:
        refusal = planned.refusal
        assert refusal is not None
        kind = NoWheel if refusal.outcome is Outcome.NO_WHEEL else NoPython
        ours = refusal.outcome is Outcome.DOWNLOAD_FAILED
        result = CellResult(name, refusal.outcome, refusal.summary, refusal.hint, own_failure=ours)
        return result, kind(refusal.summary, hint=refusal.hint)
    evidence = run.services.run.folder / "cells" / folder_name(name) / part
    try:
        evidence = _own_folder(evidence)
    except OSError as error:
        fault = _of_the_disk(error)
        return CellResult(name, Outcome.INSTALL_FAILED, str(fault), fault.hint, own_failure=True), fault
    preparation = Preparation(planned, planned.interpreter)
    attempt = _Attempt(run, preparation, evidence, replay, work)
    result, failure, damaged = _attempt(attempt)
    if damaged and not run.gate.closed:
        preparation = Preparation(planned, planned.interpreter)
        run.services.storage.remove_tree(evidence)
        evidence = _own_folder(evidence.with_name(f"{evidence.name}-again"))
        again = replace(attempt, preparation=preparation, evidence=evidence, replay=None)
        result, failure = _repeat(again, damaged)
    if run.gate.closed and not result.outcome.ran:
        result = CellResult(name, Outcome.INTERRUPTED, "interrupted")
    if result.detail:
        (evidence / "detail.txt").write_text(result.detail + "\n", encoding="utf-8")
    result = replace(
        result,
        phases=preparation.phases,
        remarks=(*preparation.remarks, *result.remarks),
        evidence=str(evidence),
        own_failure=failure is not None and failure.exit_code == OWN_FAILURE,
    )
    return result, failure


class _Attempt(Struct, frozen=True):
    """One way through a cell."""

    run: Run
    preparation: Preparation
    evidence: Path
    replay: Replay | None
    work: CellWork | None


def _repeat(attempt: _Attempt, damaged: tuple[str, ...]) -> tuple[CellResult, TfTesterError | None]:
    """Make damaged layers anew, and return what the cell comes to then: what it came to with them is worth nothing."""
    run, preparation = attempt.run, attempt.preparation
    them = count_text(len(damaged), "unpacked wheel")
    try:
        run.services.storage.layers.renew(damaged)
    except TfTesterError as error:
        return CellResult(preparation.planned.cell.name, Outcome.INSTALL_FAILED, str(error), error.hint), error
    preparation.remarks.append(f"{them} had been damaged on the disk: made anew, and the tests ran again")
    result, failure, again = _attempt(attempt)
    if not again:
        return result, failure
    failure = StoreError(
        f"{them} had been damaged on the disk, and are so again after they were made anew.",
        hint="The disk or the memory of this machine can't be relied on; choose another disk with --store.",
    )
    return CellResult(preparation.planned.cell.name, Outcome.INSTALL_FAILED, str(failure), failure.hint), failure


def _attempt(attempt: _Attempt) -> tuple[CellResult, TfTesterError | None, tuple[str, ...]]:
    """Return what a cell came to, the error that kept it from running, and the digests of its damaged layers."""
    preparation = attempt.preparation
    name = preparation.planned.cell.name
    failure: TfTesterError | None = None
    try:
        result = _try_cell(attempt)
    except InterruptedError:
        return CellResult(name, Outcome.INTERRUPTED, "interrupted"), None, ()
    except OSError as error:
        failure = _of_the_disk(error)
        result = CellResult(name, Outcome.INSTALL_FAILED, str(failure), failure.hint)
    except TfTesterError as error:
        failure = error
        result = CellResult(name, _outcome_in(error, preparation.step), str(error), error.hint, error.detail)
    try:
        return result, failure, preparation.damaged()
    except (InterruptedError, TfTesterError):
        return result, failure, ()


def _of_the_disk(error: OSError) -> OurFailure:
    return OurFailure(f"{error.strerror or error}: {error.filename or 'the store'}", hint="Free space or repair it.")


def _outcome_in(error: TfTesterError, step: CellStep) -> Outcome:
    """Return what a cell came to that ended in an error, during a step."""
    if isinstance(error, CellRefused):
        return outcome_of(error)
    match step:
        # The network or the disk failed for this cell; what the others need may be in the store.
        case CellStep.RESOLVING if isinstance(error, StoreError):
            return Outcome.INSTALL_FAILED  # nothing was being downloaded
        case CellStep.RESOLVING | CellStep.DOWNLOADING:
            return Outcome.DOWNLOAD_FAILED
        case CellStep.UNPACKING | CellStep.WAITING | CellStep.RUNNING:
            return Outcome.INSTALL_FAILED
        case _:
            assert_never(step)


def _try_cell(attempt: _Attempt) -> CellResult:
    run, preparation, evidence, replay = attempt.run, attempt.preparation, attempt.evidence, attempt.replay
    planned, services = preparation.planned, run.services
    name, tell, clock = planned.cell.name, services.run.tell, services.run.monotonic

    def entered(step: CellStep) -> None:
        tell(CellState(name, step))

    begun = clock()
    entered(CellStep.RESOLVING)
    lock, known = run.preparer.locked(preparation)
    preparation.phases["resolve"] = clock() - begun
    (evidence / "lock.json").write_bytes(msgspec.json.format(msgspec.json.encode(lock)))
    tell(CellLocked(name, lock, known))
    if replay is not None and (before := replay.find(planned, lock)) is not None:
        return before
    keep = folder_name(name) if run.plan.trial.keep else None
    with run.preparer.environment(preparation, lock, entered, keep=keep) as environment:
        entered(CellStep.WAITING)
        with run.gate.slot(services.history.durations.seconds(name)):
            entered(CellStep.RUNNING)
            begun = clock()
            ran = (attempt.work or own_trial(run))(preparation, environment, evidence)
            preparation.phases["run"] = clock() - begun
        if keep is not None:
            preparation.remarks.append(f"the environment is kept; enter it with: . {environment.scripts / 'activate'}")
    result = replace(_result(name, ran), owners=owners_of(ran.rows, preparation.installed))
    if run.gate.closed and any(row.outcome is Outcome.CRASH for row in ran.rows):
        return CellResult(name, Outcome.INTERRUPTED, "interrupted")
    if _is_worth_nothing(preparation, result.outcome):
        return result  # of which nothing is to be learnt
    if ran.system_peak_kib:
        services.history.peaks.learn(planned.cell.package, ran.system_peak_kib * 1024)
    if attempt.work is not None:
        return result
    services.history.durations.learn(name, preparation.phases["run"])
    _learn_failures(run, result)
    if replay is not None and not ran.values:  # what is shown again has no numbers
        replay.keep(planned, lock, result)
    return result


def own_trial(run: Run) -> CellWork:
    """Return what does the run's own trial; given as `work`, nothing is learnt of it."""

    def work(preparation: Preparation, environment: Environment, evidence: Path) -> TrialResult:
        name, services = preparation.planned.cell.name, run.services
        scratch = services.run.workplace / f"scratch-{evidence.name}"
        preparation.failed = known_failures(run, name) if run.plan.trial.last_failed else ()
        ran = run_trial(
            run.files, run.plan.jobs, preparation, environment, services, evidence=evidence, scratch=scratch
        )
        run.values[name] = ran.values
        return ran

    return work


def _is_worth_nothing(preparation: Preparation, outcome: Outcome) -> bool:
    """Tell whether a cell has run on damaged layers: where a test has failed, on ones whose damage nothing shows."""
    if not preparation.damaged() and outcome in _UNREAD_FOR:
        with suppress(TfTesterError):
            found = preparation.reread(_UNREAD_FOR[outcome])
            preparation.damaged = lambda: found
    return bool(preparation.damaged())


def known_failures(run: Run, cell: str) -> tuple[str, ...]:
    """Return the ids of the tests that failed when a cell's tests last ran, from the folder of this request."""
    return run.services.history.failures.recall(_failures_key(run, cell)) or ()


def _learn_failures(run: Run, result: CellResult) -> None:
    """Remember which tests of a cell fail; of tests that haven't run, what was known stays."""
    known = known_failures(run, result.cell)
    now = still_failing(known, result.tests)
    if now != known:
        run.services.history.failures.remember(_failures_key(run, result.cell), now)


def _failures_key(run: Run, cell: str) -> str:
    return f"{run.plan.trial.cwd} {cell}"


def _result(name: str, ran: TrialResult) -> CellResult:
    outcome = worst({row.outcome for row in ran.rows})
    summary = ""
    if outcome.is_failure_of_the_test:
        first = next((row for row in ran.rows if row.outcome is outcome), None)
        if first is None:
            summary = "no tests were found"
        elif first.exception is not None:
            summary = first.exception.first_line
        else:
            summary = first.reason or (f"exit status {first.exit_code}" if first.exit_code else str(outcome))
    return CellResult(
        name,
        outcome,
        summary,
        tests=ran.rows,
        import_s=ran.import_s,
        peak_rss_kib=ran.peak_rss_kib or None,
        remarks=ran.remarks,
        unused=ran.unused,
    )


def folder_name(cell: str) -> str:
    """Return what the folder of a cell's evidence is called."""
    return "".join(one if one.isalnum() or one in ".-_" else "-" for one in cell[:_LONGEST_NAME])


def _own_folder(wanted: Path) -> Path:
    """Make that folder, or where a cell of this run has it already, one with a number behind its name."""
    folder, number = wanted, 1
    while True:
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
            folder = wanted.with_name(f"{wanted.name}-{number}")
        else:
            return folder
