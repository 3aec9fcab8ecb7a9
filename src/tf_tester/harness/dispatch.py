"""Begin a run: read the order, announce the interpreter, hand over to a runner, and write the end."""

import atexit
import faulthandler
import json
import sys

from .session import HarnessSession

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(order: str, before: "frozenset[str]", adds_folder: bool) -> object:
    """Run the order in a JSON file and return what the process leaves with.

    ``before`` are the modules that were there before ours, ``adds_folder`` is whether Python puts a script's folder on
    ``sys.path``.
    """
    leave = ExitReporter()  # first of all: what is registered first with atexit runs last
    try:
        faulthandler.enable(file=2)
    except (OSError, ValueError, RuntimeError):  # descriptor 2 is closed
        pass
    with open(order, encoding="utf-8") as file:
        session = HarnessSession(json.load(file), frozenset(sys.modules) - before, adds_folder)
    leave.session = session
    session.announce()
    session.user_folders.spare()
    return _runner(session).run(session)


def _runner(session: HarnessSession) -> "Any":
    """Return the module that runs a mode; only its own imports are paid for."""
    if session.mode == "script" and session.targets[0].endswith(".ipynb"):
        from .runners import notebook

        return notebook
    if session.mode == "script":
        from .runners import script

        return script
    if session.mode == "unittest":
        from .runners import unittest_runner

        return unittest_runner
    if session.mode == "product":
        from .runners import products

        return products
    from .runners import pytest_runner

    return pytest_runner


class ExitReporter:
    """Writes the event ``end`` as the last thing that Python code does in this process."""

    def __init__(self) -> None:
        self.session = None  # type: HarnessSession | None
        atexit.register(self._end)

    def _end(self) -> None:
        if self.session:
            self.session.end()
