"""Call the functions of a file that are marked as producers, as consumers or resavers of one product; a row for each.

The marks are an attribute (``tf_tester_helper``), the same whichever copy of that module the file has imported.
"""

import importlib.util
import inspect
import os
import sys

from ..failures import without_harness
from ..rows import OpenRow
from .capture import Capture
from .tests import Tests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType
    from typing import Any

    from ..session import HarnessSession

ROLES = "_tf_tester_roles"
INTERRUPTED = 130


def run(session: "HarnessSession") -> int:
    """Call what is marked; return 1 if something failed or could not be run.

    Of several fields each is called in a fork of this process, which itself calls nothing.
    """
    target = session.targets[0]
    forks = None
    if session.order.get("forks"):
        from ..forking.forks import Forks

        forks = Forks(session)
    session.put_on_path(os.path.dirname(os.path.realpath(target)))
    sys.argv[:] = [target]
    session.shown_warnings.watch()
    if forks is not None and not forks.begin():
        session.exit_code = 0
        return 0
    tests = Tests(session)
    calls = Calls(session, tests)
    try:
        tests.load(session.identify(target))
        module = _loaded(target)
        tests.loaded()
        if session.order["role"] == "producer":
            for (name, to), _ in _marked(module, "resaver"):
                session.events.write("resaver", name=name, to=to)
        calls.make(list(_marked(module, session.order["role"])))
    except KeyboardInterrupt as error:
        tests.stop(error, error.__traceback__, "the session was stopped: KeyboardInterrupt")
        session.exit_code = INTERRUPTED
    except BaseException as error:  # the file may raise anything when it is imported
        tests.stop(error, without_harness(error.__traceback__))
    tests.conclude()
    if session.exit_code is None:
        session.exit_code = tests.exit_status()
    return session.exit_code


class Calls:
    """One process's calls of marked functions."""

    def __init__(self, session: "HarnessSession", tests: Tests) -> None:
        self._session = session
        self._tests = tests
        self._place = session.order["place"]  # type: str
        self._product = session.order.get("product")  # type: str | None
        self._saved_as = session.order.get("saved_as")  # type: str | None
        self._file = session.identify(session.targets[0])
        self._taken = set()  # type: set[str]

    def make(self, marked: "list[tuple[Any, Callable[..., Any]]]") -> None:
        """Make all calls, one after another. A consumer is called with the one product that there is."""
        wanted = (self._product, self._saved_as) if self._saved_as else self._product  # type: Any
        chosen = [(name, function) for name, function in marked if wanted in (None, name)]
        if not chosen:
            row = OpenRow(self._session, self._file, self._session.shown_warnings)
            told, mark = "saves anything", "producer(NAME)"
            if self._product:
                told, mark = "loads {!r}".format(self._product), "consumer({!r})".format(self._product)
            if self._saved_as:
                told = "saves {!r} anew as {!r}".format(self._product, self._saved_as)
                mark = "resaver({!r}, {!r})".format(self._product, self._saved_as)
            row.judge("empty", "nothing in it {} (@{} of tf_tester_helper marks what does)".format(told, mark))
            self._tests.finish(row)
            return
        calls = [(self._identify(function), name, function) for name, function in chosen]
        calls = [call for call in calls if call[0] not in self._session.deselect]
        self._tests.collect([row_id for row_id, _, _ in calls], self._session.shown_warnings)
        for row_id, name, function in calls:
            self._call(row_id, name, function)

    def _identify(self, function: "Callable[..., Any]") -> str:
        name = getattr(function, "__name__", type(function).__name__)
        first = row_id = "{}::{}{}".format(self._file, name, self._session.order.get("label") or "")
        number = 1
        while row_id in self._taken:
            number += 1
            row_id = "{}#{}".format(first, number)
        self._taken.add(row_id)
        return row_id

    def _call(self, row_id: str, name: "Any", function: "Callable[..., Any]") -> None:
        row = self._tests.start(OpenRow(self._session, row_id, self._session.shown_warnings))
        capture = Capture(self._session.limit)
        capture.start()
        try:
            function(*self._arguments(name, function, row_id))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if type(error).__name__ in ("SkipTest", "Skipped"):  # of unittest, of pytest
                row.judge("skip", str(error))
            else:
                row.blame("fail", error, without_harness(error.__traceback__))
        finally:
            row.stdout, row.stderr = capture.stop()
        self._tests.finish(row)

    def _arguments(self, name: "Any", function: "Callable[..., Any]", row_id: str) -> "list[str]":
        if self._saved_as:
            return [os.path.join(self._place, name[0]), os.path.join(self._session.order["target"], name[1])]
        if self._product is not None:
            path = os.path.join(self._place, name)
            takes_two = _takes(function, 2)
            return [path, self._session.order["producer"]] if takes_two else [path]
        folder = os.path.join(self._place, name)
        try:
            os.mkdir(folder)
        except FileExistsError:
            raise ValueError("two functions of this file save a product {!r}".format(name)) from None
        self._session.events.write("product", id=row_id, name=name)
        return [os.path.join(folder, name)]


def _loaded(file: str) -> "ModuleType":
    """Import a file as the module of its name, so that what it pickles is found again by that name."""
    name = os.path.splitext(os.path.basename(file))[0]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError("{} is no file of Python".format(file))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _marked(module: "ModuleType", role: str) -> "Iterator[tuple[Any, Callable[..., Any]]]":
    """Yield the product's name, of a resaver both names, and the function of each mark, in the order of the file."""
    seen = set()
    for function in list(vars(module).values()):
        if callable(function) and id(function) not in seen:
            seen.add(id(function))
            for own, name in _roles_of(function):
                if own == role:
                    yield name, function


def _roles_of(function: "Callable[..., Any]") -> "list[tuple[str, Any]]":
    """Return the marks; of what isn't a function, and may answer anything or raise, none."""
    try:
        roles = getattr(function, ROLES, None)
    except Exception:  # such as a proxy outside of its context
        return []
    return roles if type(roles) is list else []


def _takes(function: "Callable[..., Any]", count: int) -> bool:
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # of something compiled, that doesn't tell
        return True
    return True
