"""One run of the harness: the order, the events, and the way out."""

import atexit
import faulthandler
import json
import os
import sys

from .bytecode import UserFolders
from .distribution import installed_version
from .events import Events
from .imports import ImportWatch
from .warned import Warned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


IMPLEMENTATIONS = {"cpython": "CPython", "pypy": "PyPy"}
"""The names that ``platform.python_implementation`` gives; importing ``platform`` costs 7 ms on 3.6."""


def main(order: str, before: "frozenset[str]", adds_folder: bool) -> object:
    """Run the order in a JSON file and return what the process leaves with.

    ``before`` are the modules that were there before ours, ``adds_folder`` is whether Python puts a script's folder on
    ``sys.path``.
    """
    leave = Leave()  # first of all: what is registered first with atexit runs last
    try:
        faulthandler.enable(file=2)
    except (OSError, ValueError, RuntimeError):  # descriptor 2 is closed
        pass
    with open(order, encoding="utf-8") as file:
        session = Session(json.load(file), frozenset(sys.modules) - before, adds_folder)
    leave.session = session
    session.announce()
    session.user_folders.spare()
    if session.mode == "script":
        from . import script

        return script.run(session)
    if session.mode == "unittest":
        from . import unittest_runner

        return unittest_runner.run(session)
    from . import pytest_plugin

    return pytest_plugin.run(session)


class Leave:
    """Writes the event ``end`` as the last thing that Python code does in this process."""

    def __init__(self) -> None:
        self.session = None  # type: Session | None
        atexit.register(self._end)

    def _end(self) -> None:
        if self.session:
            self.session.events.write("end", exit_code=self.session.exit_code, collected=self.session.collected)


class Session:
    """What the modes share: the order, the events and the watches."""

    def __init__(self, order: "dict[str, Any]", brought: "frozenset[str]", adds_folder: bool) -> None:
        self.mode = order["mode"]  # type: str
        self.targets = order["targets"]  # type: list[str]
        self.args = order.get("args") or []  # type: list[str]
        self.rootdir = order["rootdir"]  # type: str
        self.limit = order.get("limit") or 65536  # type: int
        self.deselect = frozenset(order.get("deselect") or [])  # type: frozenset[str]
        self.distribution = order.get("distribution")  # type: str | None
        self.events = Events(order["events"])
        self.imports = ImportWatch(order.get("watch") or [], self.events)
        self.warned = Warned()
        self.user_folders = UserFolders([self.rootdir] + [os.path.dirname(target) for target in self.targets])
        self._brought = brought
        self._adds_folder = adds_folder
        self.collected = 0
        self.exit_code = None  # type: int | None

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

    def collect(self, ids: "list[str]", warned: Warned) -> None:
        """Write the event ``collected``."""
        self.collected = len(ids)
        self.events.write("collected", ids=ids, warnings=warned.take())

    def identify(self, file: str) -> str:
        """Return the id of a file: its path relative to the root folder."""
        return os.path.relpath(file, self.rootdir).replace(os.sep, "/")

    def make_room(self, folder: str) -> None:
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


def exit_status(code: object) -> int:
    """Return the status that a process has after ``sys.exit(code)``."""
    if code is None:
        return 0
    return code & 0xFF if isinstance(code, int) else 1
