"""Run pytest with the user's own configuration and write one row for each test id.

Only hooks that exist from pytest 6 to 9 are used, and nothing of pytest's text is read where the exception itself can
be had. pytest's own output goes where it always goes.
"""

import os
import sys

from .failures import describe, format_traceback
from .rows import Row
from .tests import Tests
from .warned import Warned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .session import Session

USAGE_ERROR = 4
INTERNAL_ERROR = 3
UNEXPECTED_PASS = "passed, but was expected to fail"


def run(session: "Session") -> int:
    """Run the targets and return pytest's exit code."""
    try:
        import pytest
    except BaseException as error:  # broken installations raise anything
        Tests(session).refuse(error, error.__traceback__, "pytest cannot be imported in this environment")
        session.exit_code = USAGE_ERROR
        return USAGE_ERROR
    session.user_folders.spare_from_pytest()
    session.make_room(os.getcwd())
    # A broken module must not hide the others, and the cache would be written into the user's folder.
    options = ["-q", "-p", "no:cacheprovider", "--continue-on-collection-errors"]
    arguments = [*options, *session.args, *session.targets]
    sys.argv[:] = ["pytest", *arguments]
    plugin = make_plugin(pytest, session)
    try:
        session.exit_code = int(pytest.main(arguments, plugins=[plugin])) & 0xFF
    except BaseException as error:  # a conftest.py that calls sys.exit, or a plugin that fails
        plugin.tests.stop(error, error.__traceback__)
        session.exit_code = INTERNAL_ERROR
    plugin.tests.conclude(could_not_begin=session.exit_code == USAGE_ERROR)
    return session.exit_code


def make_plugin(pytest: "Any", session: "Session") -> "Any":
    """Return the plugin; a function because pytest is imported late."""

    class Plugin:
        def __init__(self) -> None:
            self.tests = Tests(session)
            self._ids = {}  # type: dict[str, str]
            self._rootpath = session.rootdir
            self._running = {}  # type: dict[str, Row]
            self._inside = set()  # type: set[str]
            self._warned = Warned()

        # -- before and during collection

        @pytest.hookimpl(hookwrapper=True)  # type: ignore[untyped-decorator]
        def pytest_load_initial_conftests(self) -> "Any":
            outcome = yield
            if outcome.excinfo:
                error = _cause(outcome.excinfo[1])
                self.tests.stop(error, error.__traceback__)

        def pytest_configure(self, config: "Any") -> None:
            self._rootpath = str(getattr(config, "rootpath", None) or config.rootdir)

        @pytest.hookimpl(hookwrapper=True, tryfirst=True)  # type: ignore[untyped-decorator]
        def pytest_collection(self, session: "Any") -> "Any":
            outcome = yield
            if outcome.excinfo:
                self.tests.stop(outcome.excinfo[1], outcome.excinfo[2])
            self.tests.collect([self._id(item.nodeid) for item in getattr(session, "items", None) or []], self._warned)

        @pytest.hookimpl(hookwrapper=True)  # type: ignore[untyped-decorator]
        def pytest_make_collect_report(self, collector: "Any") -> "Any":
            is_module = isinstance(collector, pytest.Module)
            if is_module:
                self.tests.load(self._id(collector.nodeid))
            outcome = yield
            if is_module and not outcome.excinfo:
                self.tests.loaded()

        def pytest_exception_interact(self, node: "Any", call: "Any", report: "Any") -> None:
            if isinstance(node, pytest.Collector):
                self._attach(report, call.excinfo)

        def pytest_collectreport(self, report: "Any") -> None:
            if report.passed:
                return
            row = Row(session, self._id(report.nodeid))
            self._judge(row, report, "error")
            self.tests.finish(row)

        @pytest.hookimpl(trylast=True)  # type: ignore[untyped-decorator]
        def pytest_collection_modifyitems(self, config: "Any", items: "list[Any]") -> None:
            for item in items:
                path = getattr(item, "path", None) or item.fspath
                self._ids[item.nodeid] = _join(session.identify(str(path)), item.nodeid)
            done = [item for item in items if self._id(item.nodeid) in session.deselect]
            if done:
                items[:] = [item for item in items if self._id(item.nodeid) not in session.deselect]
                config.hook.pytest_deselected(items=done)

        def pytest_deselected(self, items: "list[Any]") -> None:
            self.tests.leave_out([self._id(item.nodeid) for item in items])

        # -- running

        @pytest.hookimpl(hookwrapper=True, tryfirst=True)  # type: ignore[untyped-decorator]
        def pytest_runtest_protocol(self, item: "Any") -> "Any":
            self._inside.add(item.nodeid)
            self._start(item.nodeid)
            outcome = yield
            self._inside.discard(item.nodeid)
            if not outcome.excinfo:
                self._finish(item.nodeid)

        def pytest_runtest_logstart(self, nodeid: str) -> None:
            self._start(nodeid)

        @pytest.hookimpl(hookwrapper=True)  # type: ignore[untyped-decorator]
        def pytest_runtest_makereport(self, item: "Any", call: "Any") -> "Any":
            outcome = yield
            if call.excinfo is not None and not outcome.excinfo:
                self._attach(outcome.get_result(), call.excinfo)

        def pytest_runtest_logreport(self, report: "Any") -> None:
            row = self._running.get(report.nodeid)
            if row is None:
                return
            is_part = hasattr(report, "context")  # a subtest, of pytest 9 or of the plugin pytest-subtests
            if report.outcome == "rerun":
                row.remarks.append("was run again after a failure")
            elif report.failed:
                self._judge(row, report, "error" if report.when in ("setup", "teardown") else "fail")
            elif not is_part:
                self._judge(row, report, "skip" if report.skipped else "pass")
            if is_part:
                row.add_part(report.capstdout, report.capstderr)
            else:
                row.stdout, row.stderr = report.capstdout, report.capstderr

        def pytest_runtest_logfinish(self, nodeid: str) -> None:
            if nodeid not in self._inside:  # inside, the warnings are still to come
                self._finish(nodeid)

        @pytest.hookimpl(optionalhook=True)  # type: ignore[untyped-decorator]
        def pytest_warning_recorded(self, warning_message: "Any", nodeid: str) -> None:
            row = self._running.get(nodeid)
            (row.warned if row else self._warned).add(warning_message)

        # -- an early end

        def pytest_keyboard_interrupt(self, excinfo: "Any") -> None:
            self.tests.stop(excinfo.value, excinfo.tb, f"the session was stopped: {excinfo.value or excinfo.typename}")

        def pytest_internalerror(self, excinfo: "Any") -> None:
            self.tests.stop(excinfo.value, excinfo.tb)

        @pytest.hookimpl(tryfirst=True)  # type: ignore[untyped-decorator]
        def pytest_sessionfinish(self, session: "Any") -> None:
            why = getattr(session, "shouldfail", False) or getattr(session, "shouldstop", False)
            if why:
                self.tests.stopped = f"the session was stopped: {why}"

        # -- helpers

        def _id(self, nodeid: str) -> str:
            file = os.path.join(self._rootpath, nodeid.partition("::")[0])
            return self._ids.get(nodeid) or _join(session.identify(file), nodeid)

        def _start(self, nodeid: str) -> None:
            if nodeid not in self._running:
                self._running[nodeid] = self.tests.start(Row(session, self._id(nodeid)))

        def _finish(self, nodeid: str) -> None:
            row = self._running.pop(nodeid, None)
            if row:
                self.tests.finish(row)

        def _attach(self, report: "Any", excinfo: "Any") -> None:
            """Put the exception's description on the report, because makereport and logreport see the same object."""
            error, trace = _cause(excinfo.value), excinfo.tb
            if error is not excinfo.value:
                trace = error.__traceback__
            report.tf_tester_exception = describe(error, trace, session.imports.folders())
            report.tf_tester_traceback = format_traceback(error, trace, session.limit)

        def _judge(self, row: Row, report: "Any", status: str) -> None:
            expected = getattr(report, "wasxfail", None)
            if report.skipped:
                row.judge("skip", _reason(report, expected))
            elif report.failed:
                if row.judge(status):
                    row.exception = getattr(report, "tf_tester_exception", None)
                    row.traceback = getattr(report, "tf_tester_traceback", "")
                    if row.exception is None or row.exception["file"] is None:
                        row.traceback = report.longreprtext
                    if "[XPASS(strict)]" in report.longreprtext and row.exception is None:
                        row.remarks.append(UNEXPECTED_PASS)
                elif row.status == "fail" and status == "error":
                    row.remarks.append(f"its {report.when} failed too")
            elif expected is not None:
                row.remarks.append(UNEXPECTED_PASS)

    return Plugin()


def _cause(error: BaseException) -> BaseException:
    """Return the user's exception behind the ones in which pytest wraps it, with its own traceback."""
    if type(error).__name__ == "ConftestImportFailure":
        return getattr(error, "cause", None) or error.excinfo[1]  # type: ignore[attr-defined, no-any-return]
    if type(error).__name__ == "CollectError" and error.__cause__ is not None:
        return error.__cause__
    return error


def _join(file: str, nodeid: str) -> str:
    """Return our id of a node: its file as we name it, and what pytest adds to that."""
    _, separator, rest = nodeid.partition("::")
    return file + separator + rest


def _reason(report: "Any", expected: object) -> str:
    if expected is not None:
        expected = str(expected)
        prefix = "reason: "  # pytest 7 and 8 put it before the reason of an imperative pytest.xfail
        reason = expected[len(prefix) :] if expected.startswith(prefix) else expected
        return f"xfail: {reason}" if reason else "xfail"
    longrepr = report.longrepr
    text = str(longrepr[2] if isinstance(longrepr, tuple) else longrepr)
    return text[len("Skipped: ") :] if text.startswith("Skipped: ") else text
