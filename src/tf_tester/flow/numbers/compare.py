"""Compare recorded values in a cell of the run, one with NumPy where there is one: they are a stranger's, too."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from tf_tester.core.grid.numbers import Comparison, Distance
from tf_tester.core.select.runner import Runner
from tf_tester.errors import StoreError, TfTesterError
from tf_tester.flow.prepare.prepare import Preparation
from tf_tester.flow.run.cell_world import ScratchFolders
from tf_tester.flow.run.cells import attempt_cell
from tf_tester.flow.run.frame import Run
from tf_tester.flow.run.jobs import ProductTask, TrialJob
from tf_tester.flow.run.trial import TrialResult, run_trial
from tf_tester.flow.taken.reading import opened_safely
from tf_tester.model.cell import PlannedCell
from tf_tester.model.outcome import Outcome
from tf_tester.ports.environment import Environment
from tf_tester.ports.store import Blobs

_MOST = 16 << 20
"""Bytes of an answer."""


class Candidate(Struct, frozen=True):
    """A cell that can be run, and the run that prepares it."""

    run: Run
    planned: PlannedCell


class Compared(Struct, frozen=True):
    """What came of comparing some pairs."""

    distances: tuple[Distance, ...] = ()
    """In their order; empty where it could not be done."""
    trouble: str = ""
    """Why it could not be done."""


def compare(pairs: Sequence[Comparison], candidates: Sequence[Candidate], number: int) -> Compared:
    """Compare pairs of values of one shape. `number`: which time in this run it is.

    The last of the candidates that has NumPy does it, else the last.
    """
    if not pairs:
        return Compared()
    chosen = next((one for one in reversed(candidates) if _has_numpy(one)), candidates[-1])
    answers: list[bytes] = []
    services = chosen.run.services

    def work(preparation: Preparation, environment: Environment, evidence: Path) -> TrialResult:
        answers.clear()
        scratch = services.run.workplace / f"scratch-compare-{number}"
        try:
            folder = ScratchFolders(scratch, in_memory=False).cwd / "compared"
            order = _order(pairs, folder, services.storage.blobs)
            script = services.execution.harness.parent / "compare_values.py"
            command = (str(environment.python), str(script), str(order))
            job = TrialJob(Runner.COMMAND, (), command=command, name="compare", task=ProductTask("consumer", folder))
            ran = run_trial(
                chosen.run.files, (job,), preparation, environment, services, evidence=evidence, scratch=scratch
            )
            with opened_safely(folder / "result.json") as stream:
                answers.append(stream.read(_MOST) if stream is not None else b"")
            return ran
        finally:
            services.storage.remove_tree(scratch)

    result, _ = attempt_cell(chosen.run, chosen.planned, replay=None, work=work, part=f"compare-{number}")
    if result.outcome is not Outcome.PASS:
        return Compared(trouble=result.summary or str(result.outcome))
    try:
        distances = msgspec.json.decode(answers[-1], type=tuple[Distance, ...])
    except (msgspec.DecodeError, ValueError, RecursionError):
        return Compared(trouble="what compares them gave no answer")
    if len(distances) != len(pairs):
        return Compared(trouble="what compares them answered something else")
    return Compared(distances)


def _has_numpy(candidate: Candidate) -> bool:
    planned = candidate.planned
    if planned.interpreter is None:
        return False
    try:
        lock, _ = candidate.run.preparer.locked(Preparation(planned, planned.interpreter))
    except TfTesterError:
        return False
    return any(pin.name == "numpy" for pin in lock.pins)


def _order(pairs: Sequence[Comparison], folder: Path, blobs: Blobs) -> Path:
    """Lay out the values and the order in a new folder, and return the order. Raises `StoreError`."""
    folder.mkdir(parents=True)
    for digest in {value.digest for pair in pairs for value in (pair.expected, pair.got)}:
        blob = blobs.find(digest)
        if blob is None:
            raise StoreError("A recorded value is no longer in the store.", hint="Repeat the command.")
        shutil.copyfile(blob, folder / f"{digest}.npy")
    told = []
    for pair in pairs:
        rtol, atol = pair.tolerance
        files = {"expected": f"{pair.expected.digest}.npy", "got": f"{pair.got.digest}.npy"}
        told.append({**files, "rtol": rtol, "atol": atol})
    order = folder / "order.json"
    spec = {"folder": str(folder), "pairs": told, "result": str(folder / "result.json")}
    order.write_text(json.dumps(spec), encoding="utf-8")
    return order
