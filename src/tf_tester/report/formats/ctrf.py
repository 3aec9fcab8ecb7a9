"""The Common Test Report Format (https://ctrf.io, version 0.0.0 of its specification)."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from tf_tester.core.outcome.failures import headline
from tf_tester.core.outcome.report import RunReport, cell_labels
from tf_tester.core.overview.own_code import own_place
from tf_tester.core.text.places import seen_from
from tf_tester.core.text.printable import printable
from tf_tester.model.cell import Cell
from tf_tester.model.outcome import CellResult, Outcome, TestRow
from tf_tester.report.formats import Rendering
from tf_tester.report.record import encode

_STATUS = {Outcome.PASS: "passed", Outcome.SKIP: "skipped"}
_LONGEST_S = 1e9
"""A record may say anything."""
_STATUSES = ("passed", "failed", "skipped", "pending", "other")


def render(report: RunReport, rendering: Rendering) -> str:
    """Return the JSON, on one line."""
    labels = cell_labels(report.cells)
    tests = [one for cell in report.cells for one in _tests(report, cell, labels[cell.name])]
    counts = Counter(one["status"] for one in tests)
    start = _moment(report.started)
    name, _, version = report.tool.rpartition(" ")
    value = {
        "reportFormat": "CTRF",
        "specVersion": "0.0.0",
        "timestamp": report.started or "1970-01-01T00:00:00Z",
        "generatedBy": report.tool,
        "results": {
            "tool": {"name": name or report.tool or "tf-tester", "version": version},
            "summary": {
                "tests": len(tests),
                **{status: counts[status] for status in _STATUSES},
                "suites": len(report.cells),
                "start": _milliseconds(start),
                "stop": _milliseconds(start + timedelta(seconds=_bounded(report.wall_s))),
            },
            "tests": tests,
            "environment": {"extra": {"run": report.run_id, "platform": report.platform}},
        },
    }
    return encode(value).decode() + "\n"


def _tests(report: RunReport, cell: Cell, label: str) -> list[dict[str, Any]]:
    result = report.result(cell)
    suite = [cell.package, label]
    labels = {"package": cell.package, "version": cell.version, "python": cell.python, "resolution": cell.resolution}
    if not result.tests:
        return [_whole(result, suite) | {"labels": labels}]
    return [_test(row, suite, report.here) | {"labels": labels} for row in result.tests]


def _test(row: TestRow, suite: list[str], here: str) -> dict[str, Any]:
    told = headline(row.exception) if row.exception is not None else row.reason
    test: dict[str, Any] = {
        "name": printable(row.id) or "?",
        "status": _status(row.outcome),
        "rawStatus": row.outcome,
        "duration": round(_bounded(row.wall_s or 0.0) * 1000),
        "suite": suite,
    }
    place = own_place(row, here)
    texts = {"message": seen_from(told, here), "trace": seen_from(row.traceback, here)}
    test |= {key: printable(text, newlines=True) for key, text in texts.items() if text}
    if place is not None:
        test["filePath"] = printable(place.file)
        if place.line:
            test["line"] = place.line
    for key, said in (("stdout", row.stdout), ("stderr", row.stderr)):
        if said:
            test[key] = [printable(line) for line in said.splitlines()]
    return test


def _whole(result: CellResult, suite: list[str]) -> dict[str, Any]:
    """Return what stands for a cell without tests."""
    told = "\n".join(filter(None, [result.summary, result.hint, result.detail]))
    return {
        "name": "(the whole cell)",
        "status": _status(result.outcome),
        "rawStatus": result.outcome,
        "duration": 0,
        "suite": suite,
        "message": printable(told or str(result.outcome), newlines=True),
    }


def _status(outcome: Outcome) -> str:
    return _STATUS.get(outcome, "failed" if outcome.is_failure_of_the_test else "other")


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromisoformat("1970-01-01T00:00:00Z")


def _bounded(seconds: float) -> float:
    return min(max(0.0, seconds), _LONGEST_S)


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
