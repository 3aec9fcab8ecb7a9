"""One cell from its plan to its result, and what all cells of a run share: the first event, the places to run."""

import math
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import asdict, replace

from tf_tester.core.admission import admit
from tf_tester.core.judge import worst
from tf_tester.errors import CellRefused, OurFailure, TfTesterError
from tf_tester.flow.leavings import Leavings
from tf_tester.flow.prepare import Preparation, Preparer
from tf_tester.flow.replay import Replay
from tf_tester.flow.services import Services
from tf_tester.flow.trial import Job, Ran, run_trial
from tf_tester.model.cell import PlannedCell
from tf_tester.model.events import CellLocked, CellState, RunStarted
from tf_tester.model.outcome import CellResult, Outcome
from tf_tester.model.request import Selection, Trial

_SECRET = re.compile("token|secret|passw|key|credential|auth", re.IGNORECASE)
_LONGEST_NAME = 150
"""Characters of a folder's name: file systems take 255 bytes."""
PREPARING = 8
"""Wheels that are fetched or unpacked at once; the downloads themselves are limited by the transfer."""


def run_started(
    selection: Selection,
    trial: Trial,
    cells: Sequence[PlannedCell],
    services: Services,
    *,
    run_id: str,
    started: str,
    tool: str,
    remarks: Sequence[str],
    locks: Sequence[Path] = (),
) -> RunStarted:
    """The first event of a record."""
    request = {
        "isolation": services.execution.sandbox.name,
        "limits": asdict(services.execution.limits),
        "selection": asdict(selection),
        "trial": asdict(replace(trial, env=_without_secrets(trial.env))),
        "locks": [file.absolute() for file in locks],
    }
    return RunStarted(
        run_id,
        started,
        tool,
        _plain(request),
        tuple(planned.cell for planned in cells),
        str(services.run.folder),
        (*remarks, *_about_isolation(services)),
    )


def run_cell(
    planned: PlannedCell,
    preparer: Preparer,
    trial: Trial,
    jobs: Sequence[Job],
    gate: "Gate",
    services: Services,
    leavings: Leavings | None,
    *,
    replay: Replay | None = None,
) -> CellResult:
    """One cell from its plan to its result; every failure on the way is a result too.

    With `replay` it isn't run where nothing has changed since it was.
    """
    key = planned.cell.key
    if planned.interpreter is None:
        refusal = planned.refusal
        assert refusal is not None
        return CellResult(key, refusal.outcome, refusal.summary, refusal.hint)
    preparation = Preparation(planned, planned.interpreter)
    evidence = services.run.folder / "cells" / _folder_name(key)
    try:
        evidence = _own_folder(evidence)
        result = _try_cell(planned, preparation, preparer, trial, jobs, gate, services, evidence, replay)
    except CellRefused as error:
        result = CellResult(key, Outcome(error.outcome), str(error), error.hint, error.detail)
    except InterruptedError:
        result = CellResult(key, Outcome.INTERRUPTED, "interrupted")
    except OSError as error:
        failure = OurFailure(
            f"{error.strerror or error}: {error.filename or 'the store'}", hint="Free space or repair it."
        )
        result = CellResult(key, Outcome.INSTALL_FAILED, str(failure), failure.hint)
    except TfTesterError as error:
        # The network or the disk failed for this cell; what the others need may be in the store.
        outcome = (
            Outcome.DOWNLOAD_FAILED
            if preparation.lock is None or "download" not in preparation.phases
            else Outcome.INSTALL_FAILED
        )
        result = CellResult(key, outcome, str(error), error.hint, error.detail)
    if leavings is not None:
        leavings.tested(key)
    if gate.closed and not result.outcome.ran:
        result = CellResult(key, Outcome.INTERRUPTED, "interrupted")
    if result.detail:
        (evidence / "detail.txt").write_text(result.detail + "\n", encoding="utf-8")
    return replace(
        result,
        phases=preparation.phases,
        remarks=(*preparation.remarks, *result.remarks),
        evidence=str(evidence),
    )


def _try_cell(
    planned: PlannedCell,
    preparation: Preparation,
    preparer: Preparer,
    trial: Trial,
    jobs: Sequence[Job],
    gate: "Gate",
    services: Services,
    evidence: Path,
    replay: Replay | None,
) -> CellResult:
    key, tell, clock = planned.cell.key, services.run.tell, services.run.monotonic

    def entered(state: str) -> None:
        tell(CellState(key, state))

    begun = clock()
    entered("resolving")
    lock, known = preparer.locked(preparation)
    preparation.phases["resolve"] = clock() - begun
    (evidence / "lock.json").write_bytes(msgspec.json.format(msgspec.json.encode(lock)))
    tell(CellLocked(key, lock, known))
    if replay is not None and (before := replay.find(planned, lock)) is not None:
        return before
    keep = _folder_name(key) if trial.keep else None
    with preparer.environment(preparation, lock, entered, keep=keep) as environment:
        entered("waiting")
        with gate.slot(services.history.durations.seconds(key)):
            entered("running")
            begun = clock()
            scratch = services.run.workplace / f"scratch-{evidence.name}"
            ran = run_trial(
                trial,
                jobs,
                planned,
                environment,
                preparation.import_names,
                services,
                evidence=evidence,
                scratch=scratch,
            )
            preparation.phases["run"] = clock() - begun
        if keep is not None:
            preparation.remarks.append(f"the environment is kept; enter it with: . {environment.scripts / 'activate'}")
    if ran.peak_rss_kib:
        services.history.peaks.learn(planned.cell.package, ran.peak_rss_kib * 1024)
    services.history.durations.learn(key, preparation.phases["run"])
    if gate.closed and any(row.outcome is Outcome.CRASH for row in ran.rows):
        return CellResult(key, Outcome.INTERRUPTED, "interrupted")
    result = _result(key, ran)
    if replay is not None:
        replay.keep(planned, lock, result)
    return result


def _result(key: str, ran: Ran) -> CellResult:
    outcome = worst(ran.rows)
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
        key,
        outcome,
        summary,
        tests=ran.rows,
        import_s=ran.import_s,
        peak_rss_kib=ran.peak_rss_kib or None,
        remarks=ran.remarks,
    )


class Gate:
    """Lets as many cells run as there are jobs and memory for; of those that wait, whichever will take longest.

    A long one that begins last runs alone at the end. What has never run may be the longest.
    """

    def __init__(self, trial: Trial, package: str, services: Services) -> None:
        self._trial = trial
        self._package = package
        self._services = services
        self._running = 0
        self._waiting: list[tuple[float, int]] = []
        self._numbers = count()
        self._changed = threading.Condition()
        self.closed = False

    @contextmanager
    def slot(self, seconds: float | None = None) -> Iterator[None]:
        """Waits for a place; raises `InterruptedError` when the run is given up. `seconds`: as long as it will take."""
        with self._changed:
            place = (-math.inf if seconds is None else -seconds, next(self._numbers))
            self._waiting.append(place)
            try:
                while not self.closed and not (place == min(self._waiting) and self._admit()):
                    # Memory changes without telling us; a place is told of.
                    self._changed.wait(0.25 if self._running < self._trial.jobs else None)
            finally:
                self._waiting.remove(place)
                self._changed.notify_all()  # another one is the next now
            if self.closed:
                raise InterruptedError
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def _admit(self) -> bool:
        need = (
            self._trial.memory
            or self._services.history.peaks.peak(self._package)
            or self._services.packages.framework.memory
        )
        if not self._running or self._running >= self._trial.jobs:
            return admit(running=self._running, jobs=self._trial.jobs, need=need, available=0, promised=0)
        promised = max(0, self._running * need - self._services.execution.memory.resident())
        return admit(
            running=self._running,
            jobs=self._trial.jobs,
            need=need,
            available=self._services.execution.memory.available(),
            promised=promised,
        )


def _folder_name(key: str) -> str:
    name = "".join(character if character.isalnum() or character in ".-_" else "-" for character in key)
    return name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME]


def _own_folder(wanted: Path) -> Path:
    """That folder, or where a cell of this run has it already, one with a number behind its name."""
    folder, number = wanted, 1
    while True:
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
            folder = wanted.with_name(f"{wanted.name}-{number}")
        else:
            return folder


def _about_isolation(services: Services) -> tuple[str, ...]:
    """A word where a sandbox was wanted and none, or one with gaps, was to be had."""
    if services.execution.sandbox.name == "none":
        return (f"tests ran with your rights and your network: {services.execution.sandbox_refusal}",) * bool(
            services.execution.sandbox_refusal
        )
    gaps = services.execution.sandbox.gaps
    return (
        f"the sandbox was {services.execution.sandbox.name}, in which a test is not kept from all: {'; '.join(gaps)}",
    ) * bool(gaps)


def _without_secrets(env: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """The user's variables as the record may have them: what sounds like a credential is left out."""
    return tuple((name, "(not recorded)" if _SECRET.search(name) else value) for name, value in env)


def _plain(value: Any) -> Any:
    """Built-in types only, paths as text."""
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(part) for part in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
