"""What is ours in a process that pytest-xdist runs tests in: the user's code finds there what it finds without it.

An exception can be described only where it was raised. What is told travels on the report, as pytest's own text does.
"""

import json
import os
import sys

import pytest

from ..session import HarnessSession
from .pytest_reports import attach, choose

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_UNTOUCHED = "tf_tester_untouched"
PLUGIN = "_tf_tester_xdist_worker"
_VARIABLE = "PYTEST_PLUGINS"
_BEGIN = """
import sys
package = type(sys)("_tf_tester_harness")
package.__path__ = [{folder!r}]
sys.modules[package.__name__] = package
sys.path[:] = {path!r}
from _tf_tester_harness.runners import xdist_worker
xdist_worker.begin({order!r})
"""


def prepare(node: "Any", session: "HarnessSession") -> None:
    """Have a worker begin with what is ours; one elsewhere, or with a Python that can't, begins without it."""
    node.tf_tester_number = session.traces.begin_worker()
    if not getattr(node.gateway.spec, "popen", None):
        return
    ours = session.installed_first
    order = dict(session.order, installed_first=sorted(ours.names), sources=ours.sources)
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    try:
        node.gateway.remote_exec(_BEGIN.format(folder=folder, path=ours.path, order=json.dumps(order))).waitclose()
    except Exception:  # what execnet raises of the other side has no common class
        return


def begin(order: str) -> None:
    """Let the pytest that begins in this process load a plugin of ours."""
    kept = _KeptEvents()
    session = HarnessSession(json.loads(order), frozenset(), False, events=kept)
    sys.modules[PLUGIN] = WorkerPlugin(session, kept, os.environ.get(_VARIABLE))  # type: ignore[assignment]
    os.environ[_VARIABLE] = ",".join(filter(None, [os.environ.get(_VARIABLE), PLUGIN]))


def receive(report: "Any", session: "HarnessSession") -> None:
    """Take from a report what a worker has put onto it."""
    text = report.__dict__.pop("tf_tester_told", None)
    if isinstance(text, str):
        told = json.loads(text)
        for event, fields in told["events"]:
            session.events.write(event, **fields)
        if told["exception"] is not None:
            report.tf_tester_exception, report.tf_tester_traceback = told["exception"], told["traceback"]


def end(node: "Any", session: "HarnessSession") -> None:
    """Take from a worker that ends whether the package under test has left a trace in it."""
    session.traces.end_worker(node.tf_tester_number, getattr(node, "workeroutput", {}).get(_UNTOUCHED))


class _KeptEvents:
    """The events of a worker, until a report takes them along."""

    def __init__(self) -> None:
        self._kept = []  # type: list[tuple[str, dict[str, Any]]]

    def write(self, event: str, **fields: "Any") -> None:
        self._kept.append((event, fields))

    def take(self) -> "list[tuple[str, dict[str, Any]]]":
        kept, self._kept = self._kept, []
        return kept


class WorkerPlugin:
    """Describes exceptions, and chooses tests. (PYTEST_DONT_REWRITE: it asserts nothing.)"""

    def __init__(self, session: "HarnessSession", kept: "_KeptEvents", variable: "str | None") -> None:
        self._session = session
        self._kept = kept
        self._variable = variable

    def pytest_load_initial_conftests(self) -> None:
        if self._variable is None:
            os.environ.pop(_VARIABLE, None)
        else:
            os.environ[_VARIABLE] = self._variable

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, call: "Any") -> "Any":
        outcome = yield
        if not outcome.excinfo:
            self._tell(outcome.get_result(), call.excinfo)

    def pytest_exception_interact(self, node: "Any", call: "Any", report: "Any") -> None:
        if isinstance(node, pytest.Collector):
            self._tell(report, call.excinfo)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: "Any", items: "list[Any]") -> None:
        choose(items, config, self._session, {item.nodeid: self._session.identify_item(item) for item in items})

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: "Any") -> None:
        untouched = self._session.traces.none(self._session.imports.executed())
        session.config.workeroutput[_UNTOUCHED] = untouched

    def _tell(self, report: "Any", excinfo: "Any") -> None:
        events = self._kept.take()
        if excinfo is not None:
            attach(report, excinfo, self._session)
        exception = report.__dict__.pop("tf_tester_exception", None)
        traceback = report.__dict__.pop("tf_tester_traceback", "")
        if exception is not None or events:  # as ASCII: execnet takes no lone surrogates
            report.tf_tester_told = json.dumps({"events": events, "exception": exception, "traceback": traceback})
