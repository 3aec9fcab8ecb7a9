"""The tests of a pytest or unittest session: none that was collected stays without a row."""

import os

from ..rows import OpenRow
from .script import NOTHING_COLLECTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from ..session import HarnessSession
    from ..shown_warnings import WarningCollector

FAILED = frozenset({"fail", "error", "crash"})
NOTHING_FOUND = "no tests were found"
NONE_CHOSEN = "{} {} found, and none is among those that were asked for (-k, -m, --deselect)"


class Tests:
    """What was collected, what is running and what has a row."""

    def __init__(self, session: "HarnessSession") -> None:
        self.stopped = None  # type: str | None
        self.statuses = set()  # type: set[str]
        self._is_enough = False
        self._session = session
        self._waiting = {}  # type: dict[str, None]
        self._collected = set()  # type: set[str]
        self._running = {}  # type: dict[str, OpenRow]
        self._loading = None  # type: str | None
        self._error = None  # type: tuple[BaseException, TracebackType | None] | None
        self._seen = {_file_of(id) for id in session.deselect}
        self._left_out = {}  # type: dict[str, int]

    def load(self, id: str) -> None:
        """Announce that a file's code is about to be imported: that may kill the process."""
        self._loading = id
        self._session.events.write("loading", id=id)

    def loaded(self) -> None:
        """Note that the import has ended, well or badly."""
        self._loading = None

    def collect(self, ids: "list[str]", shown_warnings: "WarningCollector") -> None:
        """Announce what will run."""
        self._waiting = dict.fromkeys(ids)
        self._collected.update(ids)
        self._session.collect(ids, shown_warnings)

    def leave_out(self, ids: "list[str]") -> None:
        """Note what the user deselected: a target is not empty if something else runs."""
        for id in ids:
            self._left_out[_file_of(id)] = self._left_out.get(_file_of(id), 0) + 1

    def start(self, row: OpenRow) -> OpenRow:
        """Announce that a test begins; one that comes up only now (a scenario of testscenarios) is collected first."""
        if self._collected and row.id not in self._collected:
            self._collected.add(row.id)
            self._session.collect([row.id], row.shown_warnings, so_far=self._session.collected)
        self._running[row.id] = row
        return row.start()

    def finish(self, row: OpenRow) -> None:
        """Write a row."""
        self._running.pop(row.id, None)
        self._seen.add(_file_of(row.id))
        self._waiting.pop(row.id, None)
        self.statuses.add(row.status)
        row.finish()

    def exit_status(self) -> int:
        """Return what pytest and unittest leave with when all tests have their rows."""
        if self.statuses & FAILED:
            return 1
        return 0 if self.statuses - {"empty"} else NOTHING_COLLECTED

    def knows(self, file: str) -> bool:
        """Return whether a file has tests: some that ran, wait, or were deselected."""
        return file in self._seen or file in self._left_out or any(_file_of(id) == file for id in self._waiting)

    def waiting(self, prefix: str) -> "list[str]":
        """Return the ids that have no row yet, of one file or class."""
        return [id for id in self._waiting if id not in self._running and (id + "::").startswith(prefix + "::")]

    def stop(self, error: BaseException, trace: "TracebackType | None", why: "str | None" = None) -> None:
        """Note what ended the session early."""
        self._error = error, trace
        self.stopped = why

    def refuse(self, error: BaseException, trace: "TracebackType | None", remark: str) -> None:
        """Write a row for each target, because the session cannot begin."""
        self._error = error, trace
        for target in self._session.targets:
            self._write_error(self._identify(target), remark)

    def stop_after(self, why: str) -> None:
        """Note that the user wanted no more tests than these, such as with ``-x``."""
        self.stopped = f"the session was stopped: {why}"
        self._is_enough = bool(self.statuses & FAILED)

    def conclude(self, could_not_begin: bool = False) -> None:
        """Write the rows that an early end left out; ``could_not_begin`` if pytest refused what it was given."""
        for row in list(self._running.values()):
            if self._error:
                row.blame("fail", *self._error)
            else:
                row.judge("error")
            self.finish(row)
        if self._loading:
            self._write_error(self._loading, None)
        for id in list(self._waiting):
            if self._is_enough:
                self._seen.add(_file_of(id))
            elif self.stopped:
                row = OpenRow(self._session, id)
                row.judge("skip", f"was not run: {self.stopped}")
                self.finish(row)
            else:
                self._write_error(id, "was not run")
        seen = self._seen.union(self._left_out) if self._seen else self._seen
        files = {os.path.realpath(os.path.join(self._session.rootdir, file)) for file in seen}
        for target in self._session.targets:
            folder = os.path.realpath(_file_of(target))
            if not any(file == folder or file.startswith(os.path.join(folder, "")) for file in files):
                if self._error or could_not_begin:
                    self._write_error(self._identify(target), None, could_not_begin)
                else:
                    row = OpenRow(self._session, self._identify(target))
                    row.judge("empty", self._nothing_in(folder))
                    self.finish(row)

    def _nothing_in(self, folder: str) -> str:
        """Return why a target, a file or a folder, has nothing to run."""
        places = {os.path.realpath(os.path.join(self._session.rootdir, file)): file for file in self._left_out}
        inside = [file for place, file in places.items() if (place + os.sep).startswith(os.path.join(folder, ""))]
        count = sum(self._left_out[file] for file in inside)
        return NONE_CHOSEN.format(count, "test was" if count == 1 else "tests were") if count else NOTHING_FOUND

    def _write_error(self, id: str, remark: "str | None", could_not_begin: bool = False) -> None:
        row = OpenRow(self._session, id)
        row.could_not_begin = could_not_begin
        if self._error:
            row.blame("error", *self._error)
        else:
            row.judge("error")
        if remark:
            row.remarks.append(remark)
        self.finish(row)

    def _identify(self, target: str) -> str:
        file, separator, rest = target.partition("::")
        return self._session.identify(file) + separator + rest


def _file_of(id: str) -> str:
    return id.partition("::")[0]
