"""Fields of one consumer by one start of its interpreter: a fork for each, right after the import of the framework.

The process that forks lives in the sandbox of the consumer (`harness.forking`). Between two forks it waits for us: we
judge what the last one has told, take what it has recorded, and look whether anything is left in the scratch that a
process of its own would not have found there. Then the next field gets another interpreter, and another scratch.
"""

import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.outcome.harness_events import (
    FieldEnded,
    FieldSaid,
    ForkingBegun,
    ForkingRefused,
    HarnessEvent,
    HarnessLog,
    PackageImported,
    ValuesRecorded,
    read_log,
)
from tf_tester.core.select.runner import Runner
from tf_tester.core.text.printable import printable
from tf_tester.flow.prepare.prepare import Preparation
from tf_tester.flow.run.frame import Run
from tf_tester.flow.run.jobs import ProductTask, TrialJob
from tf_tester.flow.run.trial import (
    Stage,
    TrialResult,
    bounded,
    judged,
    size_of,
    stage_of,
    start_harness,
    told_to_people,
)
from tf_tester.flow.taken.values import RecordedPart, take_values
from tf_tester.model.decoding import decoder_of
from tf_tester.model.host.exit import Exit
from tf_tester.model.host.limits import Exceeded, Limit, Limits
from tf_tester.ports.environment import Environment

SECONDS = 60.0
"""For one fork, at the most: it may wait for a thread that it hasn't. A process of its own has the user's time."""
_GO_ON, _LEAVE = b"+", b"-"
_FOLDER = "forks"
"""In the folder for temporary files: what each fork sees alone."""
_LONGEST_REASON = 300


class ForkOrder(Struct, frozen=True):
    """One field that is to be run by a fork."""

    product: str
    folder: Path
    """With the product: the fork gets a copy."""
    producer: str
    label: str


class Forked(Struct, frozen=True):
    """What the forks of one interpreter came to."""

    fields: Mapping[int, TrialResult]
    """By their numbers; those that are missing were not run, or not to the end."""
    may_go_on: bool
    """What is missing may be run by forks of another interpreter."""
    refusal: str
    """Why no process may be forked; empty where it may."""


def run_forks(
    run: Run,
    file: Path,
    orders: Mapping[int, ForkOrder],
    names: Sequence[str],
    cell: tuple[Preparation, Environment],
    evidence: Path,
    scratch: Path,
) -> Forked:
    """Run some fields of one consumer by forks of one process. `names`: what may be imported before the forks."""
    preparation, environment = cell
    folders = tuple(dict.fromkeys(order.folder for order in orders.values()))
    job = TrialJob(Runner.PRODUCT, (file,), task=ProductTask("consumer", folders[0], readable=folders))
    evidence.mkdir(parents=True)
    with stage_of(run.files, [job.task] if job.task else [], preparation, environment, run.services, scratch) as stage:
        trial = run.plan.trial
        seconds = SECONDS if trial.timeout is None else min(SECONDS, trial.timeout)
        if trial.timeout is not None:
            whole = trial.timeout + len(orders) * (seconds + 1)
            stage = replace(stage, deadline=run.services.run.monotonic() + whole)
        listener = _Listener(stage, job, list(orders), evidence)
        besides = {
            "forks": {
                "names": list(names),
                "folder": str(stage.places.temporary / _FOLDER),
                "timeout": seconds,
                "output": stage.services.execution.limits.output,
            },
            "fields": [_told(order) for order in orders.values()],
        }
        start_harness(stage, job, evidence, besides=besides, answer=listener.answer)
    return Forked(listener.fields, listener.may_go_on, listener.refusal)


def _told(order: ForkOrder) -> dict[str, str]:
    return {
        "product": order.product,
        "from": str(order.folder),
        "producer": order.producer,
        "label": order.label,
    }


class _Listener:
    """Hears a process that forks, and answers it."""

    def __init__(self, stage: Stage, job: TrialJob, numbers: Sequence[int], place: Path) -> None:
        self._stage = stage
        self._job = job
        self._numbers = numbers
        self._place = place
        self._folder = stage.scratch.temporary / _FOLDER
        self._folder.mkdir()
        self._rest = b""
        self._imports: list[HarnessEvent] = []
        """Of the process before it forks: each fork has them."""
        self._said: list[bytes] = []
        """By the fork that runs."""
        self._current = -1
        """Its place among the orders; -1: there is none yet."""
        self._printed = 0, 0
        self._before: Mapping[str, object] = {}
        self.fields: dict[int, TrialResult] = {}
        self.may_go_on = False
        self.refusal = ""

    def answer(self, said: bytes) -> bytes:
        """Return what is answered to a piece of what the process tells."""
        [*lines, self._rest] = (self._rest + said).split(b"\n")
        return b"".join(map(self._answer_line, lines))

    def _answer_line(self, line: bytes) -> bytes:
        try:
            event = decoder_of(HarnessEvent).decode(line)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return b""
        match event:
            case PackageImported() if self._current < 0:
                self._imports.append(event)
            case ForkingRefused():
                self.refusal = printable(event.reason)[:_LONGEST_REASON]
            case ForkingBegun() if self._current < 0:
                self._before = _what_lies_in(self._stage)
                return self._next()
            case FieldSaid() if event.field == self._current:
                self._said.append(event.line.encode())
            case FieldEnded() if event.field == self._current:
                return self._settle(event)
            case _:
                pass
        return b""

    def _next(self) -> bytes:
        self._current += 1
        self._said.clear()
        self._printed = size_of(self._place / "stdout"), size_of(self._place / "stderr")
        return _GO_ON

    def _settle(self, ended: FieldEnded) -> bytes:
        """Keep what a fork came to, and return whether the next one may follow."""
        stage, services = self._stage, self._stage.services
        log = read_log(BytesIO(b"".join(line + b"\n" for line in self._said)))
        log = HarnessLog((*self._imports, *log.events), log.dropped)
        out, err = (
            bounded(self._place / name, at) for name, at in zip(("stdout", "stderr"), self._printed, strict=True)
        )
        end = _exit_of(ended, services.execution.limits)
        ran = judged(stage, self._job, log, end, stdout=out, stderr=err)
        parts = [RecordedPart(one.id, one.start, one.end) for one in ran.of_products if isinstance(one, ValuesRecorded)]
        own = self._folder / str(self._current)
        cell = stage.planned.cell.name
        values = take_values(own / "values", cell, parts, services.storage.blobs, services.run.workplace)
        shutil.rmtree(own, ignore_errors=True)
        ran = replace(ran, values=values.values, remarks=(*ran.remarks, *values.remarks))
        self.fields[self._numbers[self._current]] = told_to_people(stage, (self._job,), ran, self._place)
        if ended.timed_out:
            return _LEAVE
        if _what_lies_in(stage) != self._before:
            self.may_go_on = True
            return _LEAVE
        return self._next()


def _exit_of(ended: FieldEnded, limits: Limits) -> Exit:
    return Exit(
        code=ended.code,
        signal=ended.signal,
        timed_out=ended.timed_out,
        wall_s=ended.wall_s,
        cpu_s=ended.cpu_s,
        peak_rss_kib=ended.peak_rss_kib,
        leftovers=ended.leftovers,
        exceeded=Exceeded(Limit.OUTPUT, limits.output) if ended.over_output else None,
    )


def _what_lies_in(stage: Stage) -> dict[str, object]:
    """Return what is in the folders that forks share, so that it is another value when that has changed."""
    found: dict[str, object] = {}
    for root in stage.scratch.on_disk:
        for folder, inside, files in os.walk(root):
            if folder == str(stage.scratch.caught):
                inside[:] = [one for one in inside if not one.endswith("-work")]  # the kernel's own, beside an overlay
            for name in (*inside, *files):
                path = Path(folder, name)
                if path == stage.notice.file:
                    continue  # ours: that one of them has imported the package, which says nothing of the others
                try:
                    status = path.lstat()
                except OSError:
                    continue
                times = () if stat.S_ISDIR(status.st_mode) else (status.st_mtime_ns, status.st_ctime_ns, status.st_size)
                found[str(path)] = (status.st_mode, status.st_ino, *times)
    return found
