"""Run ``unittest`` tests with the standard library's loader and runner, and write one row for each."""

import os
import sys
import unittest

from ..rows import OpenRow
from .capture import Capture
from .tests import Tests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import ModuleType, TracebackType
    from typing import Any

    from ..session import HarnessSession

INTERRUPTED = 130
UNEXPECTED_PASS = "passed, but was expected to fail"
TEARDOWN = ("_callTearDown", "_callCleanup", "doCleanups", "doClassCleanups", "tearDown")
SETUP = ("_callSetUp", "setUp")
"""Functions between ``TestCase.run`` and the user's code; 3.6 and 3.7 call ``setUp`` and ``tearDown`` directly."""


def run(session: "HarnessSession") -> int:
    """Run the targets; return 1 if a test failed or could not be run."""
    session.put_on_path(os.getcwd())
    sys.argv[:] = ["python -m unittest", *session.args]
    session.shown_warnings.watch()
    tests = Tests(session)
    loaded = LoadedTests(session, tests)
    run_suite(session, tests, loaded, loaded.suite)
    tests.conclude()
    if session.exit_code is None:
        session.exit_code = tests.exit_status()
    return session.exit_code


def run_suite(
    session: "HarnessSession", tests: Tests, loaded: "LoadedTests", load: "Callable[[], unittest.TestSuite]"
) -> None:
    """Load some tests and run them."""
    outcome = None  # type: Result | None

    def make_result(*args: "Any", **options: "Any") -> Result:
        nonlocal outcome
        outcome = Result(*args, **options)
        outcome.report_to(session, tests, loaded)
        return outcome

    try:
        suite = load()
        tests.collect(list(loaded.ids.values()), session.shown_warnings)
        # "default" is what ``python -m unittest`` shows when the user has not said what to show
        runner = unittest.TextTestRunner(warnings=None if sys.warnoptions else "default", resultclass=make_result)
        runner.run(suite)
    except KeyboardInterrupt as error:
        tests.stop(error, error.__traceback__, "the session was stopped: KeyboardInterrupt")
        session.exit_code = INTERRUPTED
    except BaseException as error:  # a suite of the user's may raise anything
        tests.stop(error, error.__traceback__)
        session.exit_code = 1
    if outcome:
        outcome.release()


class LoadedTests(unittest.TestLoader):
    """The tests of the targets, each with its id; what could not be loaded has its row at once."""

    def __init__(self, session: "HarnessSession", tests: Tests) -> None:
        super().__init__()
        self.ids = {}  # type: dict[int, str]
        self.remark = ""
        self._same = {}  # type: dict[str, int]
        self._session = session
        self._tests = tests
        self._failures = {}  # type: dict[str, BaseException]
        self._top = session.rootdir

    def suite(self) -> unittest.TestSuite:
        """Load every target."""
        suite = self._suite(self._load(target) for target in self._session.targets)
        wanted = {number: row_id for number, row_id in self.ids.items() if self._session.is_wanted(row_id)}
        if wanted:
            self._tests.leave_out([row_id for row_id in self.ids.values() if not self._session.is_wanted(row_id)])
            self.ids = wanted
        if self._session.deselect or wanted:
            return self._suite(test for test in _flat(suite) if id(test) in self.ids)
        return suite

    def loadTestsFromModule(self, module: "ModuleType", *args: "Any", **options: "Any") -> unittest.TestSuite:
        """Name the tests after the file they are loaded from, which need not be the one that defines their class."""
        suite = super().loadTestsFromModule(module, *args, **options)
        file = self._session.identify(getattr(module, "__file__", None) or self._session.rootdir)
        for test in _flat(suite):
            if not _is_substitute(test):
                self._name(test, file)
        return suite

    def of_module(self, module: "ModuleType", target: str) -> unittest.TestSuite:
        """Return the tests that a module has for unittest, when somebody else has imported it."""
        self._top = os.path.dirname(target)
        return self._without_substitutes(self.loadTestsFromModule(module))

    def _load(self, target: str) -> unittest.TestSuite:
        folder = target if os.path.isdir(target) else os.path.dirname(target)
        self._top = _top_folder(folder)
        if os.path.isdir(target):
            return self._without_substitutes(self.discover(target, "test*.py", self._top))
        name = os.path.relpath(os.path.splitext(target)[0], self._top).replace(os.sep, ".")
        if self._top not in sys.path:
            sys.path.insert(0, self._top)
        try:
            if not os.path.exists(target):
                raise FileNotFoundError(2, os.strerror(2), target)
            module = self._get_module_from_name(name)
            if os.path.realpath(getattr(module, "__file__", None) or "") != os.path.realpath(target):
                raise ImportError(f"{name!r} was imported from {module!r}, not from {target!r}")
            return self._without_substitutes(self.loadTestsFromModule(module))
        except BaseException as error:
            self._give_up(target, error)
            return self._suite([])

    def _suite(self, tests: "Iterable[Any]") -> unittest.TestSuite:
        return self.suiteClass(list(tests))

    def _get_module_from_name(self, name: str) -> "ModuleType":
        """Import a module; ``discover`` calls this too, and keeps only the text of an exception."""
        self._tests.load(self._session.identify(self._file(name)))
        try:
            __import__(name)
            return sys.modules[name]
        except BaseException as error:
            self._failures[name] = error
            raise
        finally:
            self._tests.loaded()

    def _without_substitutes(self, suite: unittest.TestSuite) -> unittest.TestSuite:
        """Write the rows of tests that only stand for a module which could not be loaded."""
        substitutes = [test for test in _flat(suite) if _is_substitute(test)]
        for test in substitutes:
            name = test._testMethodName
            error = self._failures.get(name) or getattr(test, "_exception", None)
            self._give_up(self._file(name), error or unittest.SkipTest("the module was skipped"))
        if substitutes:
            return self._suite(test for test in _flat(suite) if not _is_substitute(test))
        return suite

    def _give_up(self, file: str, error: BaseException) -> None:
        row = OpenRow(self._session, self._session.identify(file), self._session.shown_warnings)
        if isinstance(error, unittest.SkipTest):
            row.judge("skip", str(error))
        else:
            row.blame("error", error, error.__traceback__)
        self._tests.finish(row)

    def _file(self, name: str) -> str:
        path = os.path.join(self._top, *name.split("."))
        return os.path.join(path, "__init__.py") if os.path.isdir(path) else path + ".py"

    def _name(self, test: "Any", file: str) -> None:
        method = getattr(test, "_testMethodName", None)
        is_named = method and type(test).__module__ not in ("unittest.case", "doctest")  # of a function, of a doctest
        row_id = f"{file}::{type(test).__qualname__}::{method}" if is_named else f"{file}::{test.id()}"
        if id(test) not in self.ids:
            self._same[row_id] = number = self._same.get(row_id, 0) + 1
            row_id += f"[{number}]" if number > 1 else ""
        if id(test) not in self.ids and row_id not in self._session.deselect:
            self.ids[id(test)] = row_id


class Result(unittest.TextTestResult):
    """unittest's own result, which also writes rows."""

    def report_to(self, session: "HarnessSession", tests: Tests, loaded: LoadedTests) -> None:
        self._session = session
        self._tests = tests
        self._loaded = loaded
        self._capture = Capture(session.limit)
        self._row = None  # type: OpenRow | None

    def release(self) -> None:
        """Give the streams back if a test has left without ``stopTest``."""
        if self._row:
            self._row.stdout, self._row.stderr = self._capture.stop()

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._session.shown_warnings.take()
        self._row = self._tests.start(OpenRow(self._session, self._id(test), self._session.shown_warnings))
        if self._loaded.remark:
            self._row.remarks.append(self._loaded.remark)
        self._capture.start()

    def stopTest(self, test: unittest.TestCase) -> None:
        if self._row:
            self._row.stdout, self._row.stderr = self._capture.stop()
            leaving = sys.exc_info()[1]  # KeyboardInterrupt, of which unittest tells its result nothing
            if leaving:
                self._row.blame("fail", leaving, leaving.__traceback__)
            self._tests.finish(self._row)
            self._row = None
        super().stopTest(test)

    def addFailure(self, test: "Any", err: "Any") -> None:
        super().addFailure(test, err)
        self._blame(err)

    def addError(self, test: "Any", err: "Any") -> None:
        super().addError(test, err)
        if self._row:
            self._blame(err)
        else:  # setUpClass, setUpModule and their counterparts, which belong to no test
            for row in self._rows_of(test):
                row.blame("error", err[1], err[2])
                self._tests.finish(row)

    def addSubTest(self, test: "Any", subtest: "Any", err: "Any") -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._blame(err)

    def addSkip(self, test: "Any", reason: str) -> None:
        super().addSkip(test, reason)
        if self._row is None:
            for row in self._rows_of(test):
                row.judge("skip", reason)
                self._tests.finish(row)
        elif hasattr(test, "test_case"):
            self._row.remarks.append(f"a subtest was skipped: {reason}")
        else:
            self._row.judge("skip", reason)

    def addExpectedFailure(self, test: "Any", err: "Any") -> None:
        super().addExpectedFailure(test, err)
        if self._row:
            self._row.expect("xfail: expected failure")

    def addUnexpectedSuccess(self, test: "Any") -> None:
        super().addUnexpectedSuccess(test)
        if self._row:
            self._row.judge("fail")
            self._row.remarks.append(UNEXPECTED_PASS)

    def _blame(self, err: "Any") -> None:
        if self._row:
            self._row.blame("error" if _is_around_test(err[2]) else "fail", err[1], err[2])

    def _id(self, test: "Any") -> str:
        return self._loaded.ids.get(id(test)) or f"{type(test).__module__}::{test.id()}"

    def _rows_of(self, holder: "Any") -> "Iterator[OpenRow]":
        """Yield a row for each test that will not run for this reason, or one for the class or module itself."""
        if isinstance(holder, unittest.TestCase):  # Python 3.12.1 skips a test without starting it
            yield OpenRow(self._session, self._id(holder), self._session.shown_warnings)
            return
        action, _, name = holder.id().partition(" ")
        name = name.strip("()")
        module = name if action.endswith("Module") else _longest_module(name)
        file = self._session.identify(getattr(sys.modules.get(module), "__file__", None) or module or ".")
        place = file if module == name else f"{file}::{name[len(module) + 1 :]}"
        waiting = self._tests.waiting(place) if action.startswith("setUp") else []
        for row_id in waiting or [place]:
            yield OpenRow(self._session, row_id, self._session.shown_warnings)


def _flat(suite: "Any") -> "Iterator[Any]":
    try:
        tests = list(suite)
    except TypeError:  # a test case
        yield suite
        return
    for test in tests:
        yield from _flat(test)


def _is_substitute(test: "Any") -> bool:
    return type(test).__module__ == "unittest.loader"


def _top_folder(folder: str) -> str:
    """Return the folder from which the modules of a folder are imported: the first one up that is not a package."""
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        folder = os.path.dirname(folder)
    return folder


def _longest_module(name: str) -> str:
    """Return the module's part of ``module.Class.Inner``."""
    while name and name not in sys.modules:
        name = name.rpartition(".")[0]
    return name


def _is_around_test(trace: "TracebackType | None") -> bool:
    """Return whether an exception comes from ``setUp``, ``tearDown`` or a clean-up instead of the test's own code."""
    while trace:
        names = trace.tb_frame.f_globals
        function = trace.tb_frame.f_code.co_name
        if function in TEARDOWN or function in SETUP:
            return True
        if "__unittest" not in names:
            return False
        trace = trace.tb_next
    return False
