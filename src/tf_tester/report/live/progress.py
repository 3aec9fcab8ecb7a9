"""What goes on in a run, from its events: what the board and the log tell while it does. The time is told, not read."""

from collections.abc import Iterator

from msgspec import Struct, field

from tf_tester.core.outcome.report import RunReport, cell_labels
from tf_tester.core.text.printable import printable
from tf_tester.core.text.sizes import count_text, duration_text, size_text
from tf_tester.core.text.speed import Speed
from tf_tester.model.cell import Cell
from tf_tester.model.events import (
    CellFinished,
    CellLocked,
    CellState,
    CellStep,
    Delay,
    DelayKind,
    Event,
    FilesMissing,
    MissingFile,
    RunFinished,
    RunStarted,
    TaskState,
    TransferFinished,
    TransferProgress,
)
from tf_tester.model.outcome import CellResult

_WINDOW = 20.0
"""Seconds over which the speed of everything together is told: what is left of gigabytes must not jump."""
_BYTES_OF_A_DIGEST = 64
_LOCKED = {"": "downloaded", "layer-": "unpacked", "build-": "built"}
"""What somebody does who holds a lock, by how its name in the store begins."""


class Incoming(Struct):
    """A file on its way."""

    filename: str
    done: int
    total: int | None
    source: str
    speed: Speed = field(default_factory=Speed)


class Progress:
    """The state of a run; `observe` is told what happens, and when (seconds, monotonic)."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.title = ""
        """Empty: it isn't known yet which cells there will be."""
        self.has_ended = False
        self.here = ""
        self.labels: dict[str, str] = {}
        self.states: dict[str, tuple[CellStep, float]] = {}
        self.results: dict[str, CellResult] = {}
        """Of the run's cells; what a search runs besides is only known to be over."""
        self._over: set[str] = set()
        self.transfers: dict[str, Incoming] = {}
        self.received = 0
        self._missing: dict[str, dict[str, MissingFile]] = {}
        self._delays: dict[tuple[DelayKind, str], float] = {}
        self._tasks: dict[tuple[str, str], float] = {}
        """What a command is at that runs no cells, and since when."""
        self._counts: dict[str, tuple[int, int]] = {}
        """By what it does: how much of that is done, and how much there is."""
        self._doing = ""
        """What it has begun last."""
        self._names: dict[str, str] = {}
        """Of files, by digest."""
        self._arrived = 0
        self._speed = Speed(window=_WINDOW)

    def observe(self, event: Event, moment: float) -> None:
        """Take in an event."""
        match event:
            case RunStarted():
                self.title = opening(event.cells)
                self.here = RunReport(request=event.request).here
                self.labels = {name: printable(label) for name, label in cell_labels(event.cells).items()}
            case CellLocked():
                self._names |= {pin.built_from or pin.sha256: pin.filename for pin in event.lock.pins}
            case CellState():
                self.states[event.cell] = (event.state, moment)
                if event.state is not CellStep.DOWNLOADING:
                    self._missing.pop(event.cell, None)
            case FilesMissing():
                if event.files:
                    self._missing[event.cell] = {one.sha256: one for one in event.files}
                else:
                    self._missing.pop(event.cell, None)
            case TransferProgress():
                self._progress(event, moment)
            case TransferFinished():
                self.received += event.received
                self.transfers.pop(event.sha256, None)
                for files in self._missing.values():
                    files.pop(event.sha256, None)
            case Delay():
                if event.is_over:
                    self._delays.pop((event.kind, event.what), None)
                else:
                    self._delays.setdefault((event.kind, event.what), moment)
            case TaskState():
                self._task(event, moment)
            case CellFinished():
                self._over.add(event.result.cell)
                self._missing.pop(event.result.cell, None)
                if event.result.cell in self.labels:
                    self.results[event.result.cell] = event.result
            case RunFinished():
                self.has_ended = True
            case _:
                pass

    def _task(self, event: TaskState, moment: float) -> None:
        done, of = self._counts.get(event.doing, (0, 0))
        key = event.doing, event.what
        if event.is_over:
            done += self._tasks.pop(key, None) is not None
            # What has failed comes no more.
            self.transfers = {sha: one for sha, one in self.transfers.items() if one.filename != event.what}
        else:
            self._tasks.setdefault(key, moment)
            self._doing = event.doing
        self._counts[event.doing] = done, max(of, event.of)

    def _progress(self, event: TransferProgress, moment: float) -> None:
        transfer = self.transfers.get(event.sha256)
        if transfer is None:
            # What an earlier run has brought of it doesn't come now.
            transfer = self.transfers[event.sha256] = Incoming(event.filename, event.done, event.total, event.source)
        self._arrived += max(event.done - transfer.done, 0)
        transfer.done, transfer.total, transfer.source = event.done, event.total, event.source
        transfer.speed.observe(moment, event.done)
        self._speed.observe(moment, self._arrived)

    # What is told

    def coming(self, moment: float) -> str:
        """Return how much is still to come, how fast it does, and how long that takes; empty where nothing is."""
        sizes = {one.sha256: one.size or 0 for files in self._missing.values() for one in files.values()}
        sizes |= {sha256: one.total or one.done for sha256, one in self.transfers.items()}
        if not sizes:
            return ""
        done = sum(one.done for sha256, one in self.transfers.items() if sha256 in sizes)
        left = max(sum(sizes.values()) - done, 0)
        told = f"to come: {count_text(len(sizes), 'file')}, {size_text(left)}"
        speed = self._speed.per_second(moment)
        if speed > 0:
            return f"{told}; {size_text(speed)}/s, {duration_text(left / speed)} left"
        return f"{told}; nothing comes just now" if self.transfers else told

    def delays(self, moment: float) -> Iterator[tuple[str, float]]:
        """Yield what takes its time, in words, and how many seconds it has taken."""
        for (kind, what), since in self._delays.items():
            if kind is DelayKind.BUILD:
                yield f"building {printable(short(what))} from source", moment - since
                continue
            digest = what[-_BYTES_OF_A_DIGEST:]
            done = _LOCKED.get(what.removesuffix(digest))
            if done is not None and len(digest) == _BYTES_OF_A_DIGEST:
                yield f"waiting until {self._named(digest)} is {done} elsewhere", moment - since

    @property
    def doing(self) -> str:
        """Return what a command does that runs no cells: `resolving: 3 of 12`; empty: it has told nothing."""
        if not self._doing:
            return ""
        done, of = self._counts[self._doing]
        return f"{self._doing}: {done} of {of}" if of > 1 else self._doing

    def tasks(self, moment: float) -> list[tuple[str, str, float]]:
        """Return what it is at, what it does to that, and for how many seconds, the longest first.

        A file that comes isn't told here: it is a transfer.
        """
        coming = {one.filename for one in self.transfers.values()}
        found = [(what, doing, moment - since) for (doing, what), since in self._tasks.items() if what not in coming]
        return sorted(found, key=lambda one: -one[2])

    def waits_for(self, cell: str) -> str:
        """Return what a cell waits for, where it does."""
        step, _ = self.states.get(cell, (None, 0.0))
        if step is CellStep.DOWNLOADING and (files := self._missing.get(cell)):
            first = next((one for one in files.values() if one.sha256 in self.transfers), next(iter(files.values())))
            more = f" and {len(files) - 1} more" if len(files) > 1 else ""
            return f"for {printable(short(first.filename))}{more}"
        if step is CellStep.WAITING:
            running = sum(self.at(name) is CellStep.RUNNING for name in self.states)
            return f"for a place: {count_text(running, 'cell')} running" if running else "for memory"
        return ""

    def at(self, cell: str) -> CellStep | None:
        """Return what is being done to a cell; None: nothing yet, or nothing any more."""
        return None if cell in self._over or cell not in self.states else self.states[cell][0]

    def summary(self, moment: float) -> str:
        """Return all of it in one line: `2 of 12 done, 1 min 20 s: 1 running (2.4.0 py3.8 for 35 s), 3 queued`."""
        taken = duration_text(moment - self.started)
        steps = list(filter(None, (self._at_step(step, moment) for step in reversed(CellStep))))
        if self.doing and not self.title:
            longest = [f" ({printable(short(what))} for {duration_text(took)})" for what, _, took in self.tasks(moment)]
            told = [f"{taken}: {self.doing}{''.join(longest[:1])}"]
        elif not self.title:
            told = [f"{taken}: {', '.join(steps)}" if steps else f"still at work, {taken}"]
        else:
            queued = sum(name not in self.results and name not in self.states for name in self.labels)
            steps += [f"{queued} queued"] if queued else []
            at_work = f": {', '.join(steps)}" if steps else ""
            told = [f"{len(self.results)} of {len(self.labels)} done, {taken}{at_work}"]
        told += [one for one in (self.coming(moment),) if one]
        told += [f"{text}, {duration_text(seconds)}" for text, seconds in self.delays(moment)]
        return "; ".join(told)

    def _at_step(self, step: CellStep, moment: float) -> str:
        """Return `2 running (2.4.0 py3.8 for 35 s)`, the one that has been at it for longest; empty: none is."""
        there = [name for name in self.states if self.at(name) is step]
        if not there:
            return ""
        first = min(there, key=lambda name: self.states[name][1])
        since = duration_text(moment - self.states[first][1])
        return f"{len(there)} {step} ({self.labels.get(first, printable(first))} for {since})"

    def _named(self, digest: str) -> str:
        missing = {sha256: one.filename for files in self._missing.values() for sha256, one in files.items()}
        known = self._names.get(digest) or missing.get(digest)
        return printable(short(known)) if known else f"a file ({printable(digest[:8])}…)"


def opening(cells: tuple[Cell, ...]) -> str:
    """Return `tensorflow: 4 cells, era dependencies`."""
    packages = ", ".join(dict.fromkeys(cell.package for cell in cells)) or "nothing"
    resolutions = " and ".join(dict.fromkeys(str(cell.resolution) for cell in cells))
    return f"{packages}: {count_text(len(cells), 'cell')}" + (f", {resolutions} dependencies" if resolutions else "")


def short(filename: str) -> str:
    """Return a wheel's name without what it says of ABI and platform: `tensorflow-2.8.0-cp310`."""
    return "-".join(filename.split("-")[:3]) if filename.endswith(".whl") else filename
