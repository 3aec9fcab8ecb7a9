"""The plugin through which pytest tells what it does; only hooks that exist from pytest 6 to 9 are used."""

import os

import pytest

from ..rows import OpenRow
from ..shown_warnings import WarningCollector
from .pytest_reports import attach, cause_of, choose, judge
from .tested_sources import packages_with_tests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..session import HarnessSession
    from .tests import Tests
    from .untested_files import UntestedFiles


class Plugin:
    """Writes rows while pytest collects and runs."""

    def __init__(self, session: "HarnessSession", tests: "Tests", untested: "UntestedFiles") -> None:
        self._session = session
        self._tests = tests
        self._untested = untested
        self._ids = {}  # type: dict[str, str]
        self._rootpath = session.rootdir
        self._running = {}  # type: dict[str, OpenRow]
        self._inside = set()  # type: set[str]
        self._shown_warnings = WarningCollector()
        self._workers = None  # type: Any  # the module for processes of pytest-xdist, where there are any

    # -- before and during collection

    @pytest.hookimpl(hookwrapper=True)
    def pytest_load_initial_conftests(self, early_config: "Any") -> "Any":
        ours = self._session.installed_first
        ours.leave(packages_with_tests(early_config, ours.names))
        outcome = yield
        if outcome.excinfo:
            error = cause_of(outcome.excinfo[1])
            self._tests.stop(error, error.__traceback__)

    def pytest_configure(self, config: "Any") -> None:
        self._rootpath = str(getattr(config, "rootpath", None) or config.rootdir)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_collection(self, session: "Any") -> "Any":
        outcome = yield
        is_refused = outcome.excinfo and isinstance(outcome.excinfo[1], pytest.UsageError)  # pytest itself says why
        if outcome.excinfo and not is_refused:
            self._tests.stop(outcome.excinfo[1], outcome.excinfo[2])
        items = [] if is_refused else getattr(session, "items", None) or []
        self._tests.collect([self._id(item.nodeid) for item in items], self._shown_warnings)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_make_collect_report(self, collector: "Any") -> "Any":
        is_module = isinstance(collector, pytest.Module)
        file = str(getattr(collector, "path", None) or getattr(collector, "fspath", ""))
        if is_module:
            self._tests.load(self._id(collector.nodeid))
            self._untested.load(file)
        outcome = yield
        if is_module and outcome.excinfo and isinstance(outcome.excinfo[1], SystemExit):
            self._untested.left(file, outcome.excinfo[1])
        elif is_module and not outcome.excinfo:
            self._tests.loaded()
            report = outcome.get_result()
            if report.passed:
                self._untested.loaded(file, getattr(collector, "obj", None), report)

    def pytest_exception_interact(self, node: "Any", call: "Any", report: "Any") -> None:
        if isinstance(node, pytest.Collector):
            attach(report, call.excinfo, self._session)
            error = cause_of(call.excinfo.value)
            file = str(getattr(node, "path", None) or node.fspath)
            report.tf_tester_left = isinstance(error, SystemExit) and self._untested.left(file, error)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: "Any") -> None:
        from . import xdist_worker

        xdist_worker.prepare(node, self._session)
        self._workers = xdist_worker
        self._session.one_at_a_time = False

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: "Any") -> None:
        self._workers.end(node, self._session)

    def pytest_collectreport(self, report: "Any") -> None:
        if self._workers is not None:
            self._workers.receive(report, self._session)
        if report.passed or getattr(report, "tf_tester_left", False):
            return
        row = OpenRow(self._session, self._id(report.nodeid))
        judge(row, report, "error")
        # What an import has printed: NumPy tells there, and there alone, why a compiled module doesn't go with it.
        row.stdout, row.stderr = getattr(report, "capstdout", ""), getattr(report, "capstderr", "")
        self._tests.finish(row)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: "Any", items: "list[Any]") -> None:
        self._ids.update((item.nodeid, self._session.identify_item(item)) for item in items)
        choose(items, config, self._session, self._ids)

    def pytest_deselected(self, items: "list[Any]") -> None:
        self._tests.leave_out([self._id(item.nodeid) for item in items])

    # -- running

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: "Any") -> "Any":
        self._inside.add(item.nodeid)
        self._start(item.nodeid)
        outcome = yield
        self._inside.discard(item.nodeid)
        if not outcome.excinfo:
            self._finish(item.nodeid)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._start(nodeid)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: "Any", call: "Any") -> "Any":
        outcome = yield
        if call.excinfo is not None and not outcome.excinfo:
            attach(outcome.get_result(), call.excinfo, self._session)

    def pytest_runtest_logreport(self, report: "Any") -> None:
        if self._workers is not None:
            self._workers.receive(report, self._session)
        row = self._running.get(report.nodeid)
        if row is None:
            return
        is_part = hasattr(report, "context")  # a subtest, of pytest 9 or of the plugin pytest-subtests
        if report.outcome == "rerun":
            row.remarks.append("was run again after a failure")
        elif report.failed:
            statuses = {"setup": "error", "teardown": "error", "???": "crash"}  # the last one of pytest-xdist
            judge(row, report, statuses.get(report.when, "fail"))
        elif not is_part:
            judge(row, report, "pass")
        if is_part:
            row.add_part(report.capstdout, report.capstderr)
        else:
            row.stdout, row.stderr = report.capstdout, report.capstderr

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        if nodeid not in self._inside:  # inside, the warnings are still to come
            self._finish(nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_warning_recorded(self, warning_message: "Any", nodeid: str) -> None:
        row = self._running.get(nodeid)
        (row.shown_warnings if row else self._shown_warnings).add(warning_message)

    # -- an early end

    def pytest_keyboard_interrupt(self, excinfo: "Any") -> None:
        why = f"the session was stopped: {excinfo.value or excinfo.typename}"
        self._tests.stop(excinfo.value, excinfo.tb, why)

    def pytest_internalerror(self, excinfo: "Any") -> None:
        self._tests.stop(excinfo.value, excinfo.tb)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: "Any") -> None:
        why = getattr(session, "shouldfail", False) or getattr(session, "shouldstop", False)
        if why:
            self._tests.stop_after(str(why))

    # -- rows

    def _id(self, nodeid: str) -> str:
        file = os.path.join(self._rootpath, nodeid.partition("::")[0])
        return self._ids.get(nodeid) or _join(self._session.identify(file), nodeid)

    def _start(self, nodeid: str) -> None:
        if nodeid not in self._running:
            self._running[nodeid] = self._tests.start(OpenRow(self._session, self._id(nodeid)))

    def _finish(self, nodeid: str) -> None:
        row = self._running.pop(nodeid, None)
        if row:
            self._tests.finish(row)


def _join(file: str, nodeid: str) -> str:
    """Return our id of a node: its file as we name it, and what pytest adds to that."""
    _, separator, rest = nodeid.partition("::")
    return file + separator + rest
