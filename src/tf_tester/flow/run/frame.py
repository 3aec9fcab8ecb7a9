"""The frame of every run: however it ends, the last event of its record is `run-finished`, with the exit code.

What goes on in between is handed in: a matrix, a search for a version or for a dependency.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar

from msgspec import Struct

from tf_tester.errors import INTERRUPTED, exit_code_of
from tf_tester.flow.prepare.prepare import LockPolicy, Preparer
from tf_tester.flow.prepare.services import Services
from tf_tester.flow.run.gate import Gate
from tf_tester.flow.run.jobs import tools_of
from tf_tester.flow.run.plan import RunPlan
from tf_tester.flow.run.replay import Replay
from tf_tester.flow.run.started import run_started
from tf_tester.flow.run.user_files import UserFiles, pytest_of_project
from tf_tester.model.events import RunFinished, ValueRecorded
from tf_tester.model.host.abilities import IsolationKind

_PREPARING = 8
"""Wheels that are fetched or unpacked at once; the downloads themselves are limited by the transfer."""


class Run(Struct, frozen=True):
    """What all cells of a run share while it goes on."""

    plan: RunPlan
    services: Services
    pool: ThreadPoolExecutor
    """For wheels and locks, not for cells."""
    preparer: Preparer
    gate: Gate
    files: UserFiles
    replay: Replay
    values: dict[str, tuple[ValueRecorded, ...]]
    """What the tests of cells have recorded, by the cell's name, as far as these have run."""

    def stop(self) -> None:
        """Start no other cell, and end every process and transfer at once."""
        self.gate.close()
        self.services.run.stop()

    def threads(self, count: int, name: str) -> AbstractContextManager[ThreadPoolExecutor]:
        """Return threads for cells; an exception in the block, Ctrl-C too, stops the run before they are waited for."""
        return _threads(count, name, self.stop)


class RunResult(Protocol):
    """What a run came to."""

    @property
    def exit_code(self) -> int:
        """The process's exit code, by the rules of `core.outcome.exits`."""
        ...


Result = TypeVar("Result", bound=RunResult)


def carry_out(plan: RunPlan, services: Services, work: Callable[[Run], Result]) -> Result:
    """Return what `work` returns; tell `run-started` before it and `run-finished` after it.

    The exit code in the record is that of the result or, where anything is raised, `exit_code_of` that.
    """
    tell, clock = services.run.tell, services.run.monotonic
    begun = clock()
    told: int | None = None

    def end(code: int) -> None:
        nonlocal told
        if told != code:
            tell(RunFinished(code, code == INTERRUPTED, clock() - begun))
            told = code

    # Two handlers, because Ctrl-C may come while the first one tells the end; of two ends in a record the last counts.
    try:
        try:
            files = _files(plan, services)
            replay = Replay(files, plan.jobs, services)
            tell(run_started(plan, services, (*files.remarks(), *replay.remarks())))
            result = _between(plan, services, files, replay, work)
            end(result.exit_code)
            return result
        except BaseException as error:
            end(exit_code_of(error))
            raise
    except KeyboardInterrupt:
        end(INTERRUPTED)
        raise


def _files(plan: RunPlan, services: Services) -> UserFiles:
    return UserFiles(
        plan.trial,
        services.run.environ,
        services.storage.file_digests,
        (services.storage.root,),
        is_sandboxed=services.execution.sandbox.name is not IsolationKind.NONE,
    )


def _between(
    plan: RunPlan, services: Services, files: UserFiles, replay: Replay, work: Callable[[Run], Result]
) -> Result:
    gate = Gate(plan.trial, plan.selection.package, services)
    with _threads(_PREPARING, "layers", services.run.stop) as pool:
        return work(Run(plan, services, pool, preparer_of(plan, services, pool), gate, files, replay, {}))


def preparer_of(plan: RunPlan, services: Services, pool: ThreadPoolExecutor) -> Preparer:
    """Return what prepares the cells of a plan's package."""
    policy = LockPolicy(tools_of(plan.jobs), preferred=pytest_of_project(plan.trial), only_given=bool(plan.locks))
    return Preparer(plan.selection, plan.trial, plan.page, services, pool, policy)


@contextmanager
def _threads(count: int, name: str, stop: Callable[[], None]) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(count, name) as pool:
        try:
            yield pool
        except BaseException:
            # Nobody waits for what an error or Ctrl-C has made useless.
            stop()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
