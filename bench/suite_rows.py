"""A plugin for plain pytest: one line for each test, its id and outcome in tf-tester's words."""

import json
import os
from pathlib import Path
from typing import Any

STRENGTH = ("pass", "skip", "error", "fail")
rows: dict[str, str] = {}


def pytest_collectreport(report: Any) -> None:
    if not report.passed:
        rows[report.nodeid] = "skip" if report.skipped else "error"


def pytest_runtest_logreport(report: Any) -> None:
    if report.outcome == "rerun" or (hasattr(report, "context") and not report.failed):
        return
    expected = hasattr(report, "wasxfail") and "[NOTRUN]" not in str(report.wasxfail)
    word = (
        "pass"
        if report.passed or (report.skipped and expected)
        else "skip"
        if report.skipped
        else "fail"
        if report.when == "call"
        else "error"
    )
    if STRENGTH.index(word) >= STRENGTH.index(rows.get(report.nodeid, "pass")):
        rows[report.nodeid] = word


def pytest_sessionfinish() -> None:
    with Path(os.environ["SUITE_ROWS"]).open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows.items())
