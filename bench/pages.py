"""How large reports are, how long they take to make, and pages to open: of 300 cells × 200 tests and 20 × 60,000.

    python bench/pages.py

A page is opened in Chromium from disk, five times each; the time is that until its first paint after it was loaded
(`performance.now()` in the second frame after `load`), beside a page with one word: the floor.
"""

import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from msgspec.structs import replace
from playwright.sync_api import Page, sync_playwright

from tf_tester.core.outcome.report import RunReport
from tf_tester.model.cell import Cell
from tf_tester.model.lock import Resolution
from tf_tester.model.outcome import CellResult, ExceptionFact, Outcome, TestRow
from tf_tester.report.formats import FORMATS, Rendering, renderer

SIZES = ((300, 200), (20, 60_000))
PAINTED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"


def run_of(cells: int, tests: int) -> RunReport:
    """Return a run in which one test of 97 fails, in 26 ways that change with the version."""
    results = {}
    for number in range(cells):
        cell = Cell.of("toy", f"{1 + number // 10}.{number % 10}", "3.11", Resolution.ERA)
        rows = tuple(
            _failing(test, number) if (test * 7919 + number // 7) % 97 == 0 else TestRow(_name(test), Outcome.PASS)
            for test in range(tests)
        )
        results[cell] = CellResult(cell.name, Outcome.FAIL, tests=rows)
    return RunReport(
        run_id="20261201-1",
        started="2026-12-01T10:00:00Z",
        tool="tf-tester",
        cells=tuple(results),
        results={cell.name: replace(result, cell=cell.name) for cell, result in results.items()},
        interrupted=False,
    )


def _failing(test: int, cell: int) -> TestRow:
    told = f"trouble of kind {chr(97 + test % 26)}, as in {chr(97 + cell // 20 % 26)}"
    traceback = (
        f'Traceback (most recent call last):\n  File "test_a.py", line {test}, in test\n    f()\nTypeError: {told}\n'
    )
    exception = ExceptionFact("TypeError", told, "test_a.py", test, "test")
    return TestRow(_name(test), Outcome.FAIL, exception=exception, traceback=traceback, stdout="printed\n" * 20)


def _name(test: int) -> str:
    return f"tests/test_{test % 40}.py::test_{test}"


def opened(page: Page, file: Path) -> float:
    """Return milliseconds until the page is there, the median of five."""
    times = []
    for _ in range(5):
        page.goto(file.as_uri())
        times.append(float(page.evaluate(PAINTED)))
    return statistics.median(times)


def main() -> None:
    program = shutil.which("chromium") or "chromium"
    words = ["--disable-gpu", "--disable-background-networking", *(["--no-sandbox"] if os.getuid() == 0 else [])]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=program, args=words).new_page()
        floor = Path(folder) / "floor.html"
        floor.write_text("<!doctype html><title>floor</title>word")
        print(f"a page with one word: {opened(page, floor):.0f} ms")
        for cells, tests in SIZES:
            report = run_of(cells, tests)
            for form in FORMATS:
                begun = time.perf_counter()
                text = renderer(form)(report, Rendering())
                took = time.perf_counter() - begun
                told = f"{cells} × {tests}  {form:<9} {len(text.encode()) / 1e6:8.2f} MB  made in {took:5.1f} s"
                if form == "html":
                    file = Path(folder) / f"{cells}.html"
                    file.write_text(text, encoding="utf-8")
                    told += f"  opened in {opened(page, file):.0f} ms"
                print(told)


if __name__ == "__main__":
    main()
