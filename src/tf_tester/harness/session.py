"""One run of the harness: its order, and what the runners share."""

import os
import sys

from .bytecode import UserFolders
from .distribution import installed_version
from .events import Events
from .failures import describe, format_traceback
from .importing.failed_imports import FailedImports
from .importing.imports import ImportWatch
from .importing.installed_first import InstalledFirst
from .importing.provided import ProvidedModules
from .importing.traces import Traces
from .shown_warnings import WarningCollector

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any


IMPLEMENTATIONS = {"cpython": "CPython", "pypy": "PyPy"}
"""The names that ``platform.python_implementation`` gives; importing ``platform`` costs 7 ms on 3.6."""


class HarnessSession:
    """The order, the events and the watches of this process."""

    _stat = staticmethod(os.stat)  # tests replace it

    def __init__(
        self, order: "dict[str, Any]", brought: "frozenset[str]", adds_folder: bool, events: "Any" = None
    ) -> None:
        self.order = order
        self.mode = order["mode"]  # type: str
        self.targets = order["targets"]  # type: list[str]
        self.args = order.get("args") or []  # type: list[str]
        self.as_set = bool(order.get("as_set"))  # pytest finds the tests by its settings
        self.or_scripts = order.get("or_scripts") or []  # type: list[str]
        self.rootdir = order["rootdir"]  # type: str
        self.limit = order.get("limit") or 65536  # type: int
        self.deselect = frozenset(order.get("deselect") or [])  # type: frozenset[str]
        self.only = frozenset(order.get("only") or [])  # type: frozenset[str]
        self.distribution = order.get("distribution")  # type: str | None
        self.events = events or Events(order["events"])  # type: Events
        self.installed_first = InstalledFirst(order.get("installed_first") or [], order.get("sources") or {})
        self.provided = ProvidedModules()
        self.imports = ImportWatch(order.get("watch") or [], self.events)
        self.traces = Traces(order.get("watch") or [])
        self.failed_imports = FailedImports()
        self.shown_warnings = WarningCollector()
        self.user_folders = UserFolders(
            [self.rootdir] + [os.path.dirname(target.partition("::")[0]) for target in self.targets]
        )
        self._values = _list_of_values()
        self.one_at_a_time = True  # else nobody knows which of several tests has recorded a value
        self._linked = order.get("linked") or ("", "")  # a folder of links, and the one that it stands for
        self.top = order.get("top")  # type: str | None
        self._brought = brought
        self._adds_folder = adds_folder
        self.collected = 0
        self.exit_code = None  # type: int | None

    def take_over(self, order: "dict[str, Any]", events: Events) -> None:
        """Go on in a forked process as one with an order of its own, which tells what happens elsewhere."""
        self.events.close()
        self.order = dict(self.order, **order)
        self.events = events
        self.imports.tell(events)
        self._values = _list_of_values()
        self.announce()

    def announce(self) -> None:
        """Write the event ``start``."""
        version = installed_version(self.distribution, sys.path) if self.distribution else None
        self.events.write(
            "start",
            python=sys.version.split()[0],
            implementation=IMPLEMENTATIONS.get(sys.implementation.name, sys.implementation.name),
            executable=sys.executable,
            prefix=sys.prefix,
            distribution={"name": self.distribution, "version": version} if version else None,
            pid=os.getpid(),
        )

    def end(self) -> None:
        """Write the event ``end``."""
        untouched = self.traces.none(self.imports.executed())
        self.events.write("end", exit_code=self.exit_code, collected=self.collected, untouched=untouched)

    def collect(self, ids: "list[str]", shown_warnings: WarningCollector, so_far: int = 0) -> None:
        """Write the event ``collected``; so many tests were collected before."""
        self.collected = so_far + len(ids)
        self.events.write("collected", ids=ids, warnings=shown_warnings.take())

    def recorded(self) -> "int | None":
        """Return how long the list of recorded values is; None where it is of no use."""
        if self._values is None or not self.one_at_a_time:
            return None
        try:
            return self._stat(self._values).st_size
        except OSError:  # nothing was recorded yet
            return 0

    def identify(self, file: str) -> str:
        """Return the id of a file: its path relative to the root folder."""
        links, place = self._linked
        if links and file.startswith(os.path.join(links, "")):
            file = place + file[len(links) :]
        return os.path.relpath(file, self.rootdir).replace(os.sep, "/")

    def identify_item(self, item: "Any") -> str:
        """Return the id of a test of pytest's: its file as we name it, and what pytest adds to that."""
        _, separator, rest = item.nodeid.partition("::")
        return self.identify(str(getattr(item, "path", None) or item.fspath)) + separator + rest

    def tell(
        self, error: BaseException, trace: "TracebackType | None", whole: bool = False
    ) -> "tuple[dict[str, Any], str]":
        """Return the description and the traceback of an exception; ``whole`` as in ``format_traceback``."""
        told = describe(error, trace, self.imports.folders()), format_traceback(error, trace, self.limit, whole=whole)
        return self.failed_imports.reason(error, trace, told)

    def is_wanted(self, id: str) -> bool:
        """Return whether a test is among those that alone are to run, or in a file that is."""
        return id in self.only or id.partition("::")[0] in self.only

    def put_on_path(self, folder: str) -> None:
        """Put a folder first on ``sys.path``, where Python itself would have put it.

        A module of the standard library that only the harness has imported is forgotten if the folder has one of that
        name: the user's code then gets its own, as it does without us.
        """
        if not self._adds_folder:
            return
        sys.path.insert(0, folder)
        try:
            names = {entry.partition(".")[0] for entry in os.listdir(folder)}
        except OSError:
            return
        for module in self._brought:
            if module.partition(".")[0] in names:
                sys.modules.pop(module, None)


def _list_of_values() -> "str | None":
    """Return the file to which the helper module adds a line for each value."""
    folder = os.environ.get("TF_TESTER_VALUES")
    return os.path.join(folder, "values.jsonl") if folder else None
