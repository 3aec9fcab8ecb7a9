"""What pytest's reports say of a test, where nothing of its text is read that the exception itself can tell."""

from ..failures import MESSAGE_LIMIT, line_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..rows import OpenRow
    from ..session import HarnessSession

NOT_RUN = "[NOTRUN]"
"""pytest's mark of an expected failure that isn't tried (``run=False``)."""
UNEXPECTED_PASS = "passed, but was expected to fail"


def cause_of(error: BaseException) -> BaseException:
    """Return the user's exception behind the ones in which pytest wraps it, with its own traceback."""
    if type(error).__name__ == "ConftestImportFailure":
        return getattr(error, "cause", None) or error.excinfo[1]  # type: ignore[attr-defined, no-any-return]
    if type(error).__name__ == "CollectError" and error.__cause__ is not None:
        return error.__cause__
    if type(error).__name__ == "MultipleDoctestFailures":
        return cause_of(error.failures[0])  # type: ignore[attr-defined, no-any-return]
    if type(error).__name__ == "UnexpectedException":  # of a doctest
        return error.exc_info[1]  # type: ignore[attr-defined, no-any-return]
    if type(error).__name__ == "Failed" and error.__context__ is not None and str(error).startswith("DID NOT WARN"):
        return error.__context__  # pytest 8 says it of a block that has raised, too
    return error


def attach(report: "Any", excinfo: "Any", session: "HarnessSession") -> None:
    """Put the exception's description on the report, because makereport and logreport see the same object."""
    error, trace = cause_of(excinfo.value), excinfo.tb
    if error is not excinfo.value:
        trace = error.__traceback__
    report.tf_tester_exception, report.tf_tester_traceback = session.tell(error, trace)


def from_another_process(report: "Any") -> "tuple[dict[str, Any] | None, str | None]":
    """Return the exception of a report that pytest-xdist has carried here as text, else the line that says why."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:
        text = report.longrepr if isinstance(report.longrepr, str) else report.longreprtext
        lines = [line[1:].strip() for line in text.splitlines() if line.startswith("E ")]
        return None, next(iter(lines or text.strip().splitlines()), None)
    kind, _, message = crash.message.partition(": ")
    if crash.message.startswith("assert "):  # pytest leaves out what it is
        kind, message = "AssertionError", crash.message
    elif not kind.replace(".", "").isidentifier():
        return None, crash.message
    place = {"file": crash.path, "line": line_number(crash.lineno), "function": None, "text": None}
    return dict(place, type=kind, message=message[:MESSAGE_LIMIT], in_package=None), None


def choose(items: "list[Any]", config: "Any", session: "HarnessSession", ids: "dict[str, str]") -> None:
    """Leave of collected tests those that are to run, where not all are; ``ids`` are ours by pytest's."""
    left = [item for item in items if ids[item.nodeid] not in session.deselect]
    wanted = [item for item in left if session.is_wanted(ids[item.nodeid])] or left
    if len(wanted) < len(items):
        chosen = set(map(id, wanted))
        others = [item for item in items if id(item) not in chosen]
        items[:] = wanted
        config.hook.pytest_deselected(items=others)


def judge(row: "OpenRow", report: "Any", status: str) -> None:
    """Judge a row by a report; ``status`` is for one that failed."""
    expected = getattr(report, "wasxfail", None)
    if report.skipped and expected is not None and NOT_RUN not in str(expected):
        row.expect(_reason(report, expected))
    elif report.skipped:
        row.judge("skip", _reason(report, expected))
    elif report.failed:
        _judge_failure(row, report, status)
    elif expected is not None:
        row.remarks.append(UNEXPECTED_PASS)


def _judge_failure(row: "OpenRow", report: "Any", status: str) -> None:
    if row.judge(status):
        row.exception = getattr(report, "tf_tester_exception", None)
        row.traceback = getattr(report, "tf_tester_traceback", "")
        if row.exception is None:
            row.exception, row.reason = from_another_process(report)
        if row.exception is None or row.exception["file"] is None or not row.traceback:
            row.traceback = report.longreprtext
        if "[XPASS(strict)]" in report.longreprtext and row.exception is None:
            row.remarks.append(UNEXPECTED_PASS)
    elif row.status == "fail" and status == "error":
        row.remarks.append(f"its {report.when} failed too")


def _reason(report: "Any", expected: object) -> str:
    if expected is not None:
        text = str(expected)
        prefix = "reason: "  # pytest 7 and 8 put it before the reason of an imperative pytest.xfail
        reason = text[len(prefix) :] if text.startswith(prefix) else text
        return f"xfail: {reason}" if reason else "xfail"
    longrepr = report.longrepr
    text = str(longrepr[2] if isinstance(longrepr, tuple) else longrepr)
    return text[len("Skipped: ") :] if text.startswith("Skipped: ") else text
