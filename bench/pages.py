"""How large reports are, how long they take to make, and to use as a page: of 300 cells × 200 tests and 20 × 60,000.

    python bench/pages.py [--only html]

A page is opened in Chromium from disk; the times, medians of five, are milliseconds until the second frame after
something: its load (`performance.now()` then), words in the filter Text, each time others; a click on a failing cell.
The first of these reads the data in the page, so the page is opened anew for `first filter` and `click`. Beside it the
processor time of the page's main thread until it was open, which other programs don't lengthen as much, and a page with
one word: the floor. `unlike` is a run in which no two neighbours came to the same.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tf_tester.core.outcome.report import RunReport
from tf_tester.model.cell import Cell
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.model.outcome import CellResult, ExceptionFact, Outcome, TestRow, WarningFact
from tf_tester.report.formats import FORMATS, Rendering, renderer

SIZES = ((300, 200, False), (300, 200, True), (20, 60_000, False))
FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"
AFTER = "async act => {{ const begun = performance.now(); {}; return (await {}) - begun; }}"
FILTER = AFTER.format(
    "const field = document.querySelector('[name=text]'); field.value = act;"
    "field.dispatchEvent(new Event('input', {bubbles: true}))",
    FRAMES,
)
CLICK = AFTER.format("document.querySelector('#matrix td.bad button').click()", FRAMES)
WARNING = WarningFact("DeprecationWarning", "toy.turn is deprecated", "test_a.py", 3)


def run_of(cells: int, tests: int, *, unlike: bool = False) -> RunReport:
    """Return a run in which one test of 97 fails, in 26 ways that change with the version, every seventh one or each.

    One test of 50 warns, one of 20 prints; each cell has 40 distributions, which change with every 25th version.
    """
    results, locks = {}, {}
    for number in range(cells):
        cell = Cell.of("toy", f"{1 + number // 10}.{number % 10}", "3.11", Resolution.ERA)
        kind = number * 31 if unlike else number // 7
        rows = tuple(
            _failing(test, number) if (test * 7919 + kind) % 97 == 0 else _passing(test, number)
            for test in range(tests)
        )
        phases = {"resolve": 0.5, "download": 2.0, "run": 3.0 + number / 100}
        results[cell] = CellResult(cell.name, Outcome.FAIL, tests=rows, phases=phases, import_s=1.0 + number / 200)
        pins = tuple(
            Pin(f"part-{part}", f"{(number + part) // 25}.1", "part.whl", f"{part} {(number + part) // 25}", 1, "")
            for part in range(40)
        )
        locks[cell.name] = Lock("3.11.4", Resolution.ERA, None, pins)
    return RunReport(
        run_id="20261201-1",
        started="2026-12-01T10:00:00Z",
        tool="tf-tester",
        folder="runs/20261201-1",
        cells=tuple(results),
        results={cell.name: result for cell, result in results.items()},
        locks=locks,
        interrupted=False,
    )


def _passing(test: int, cell: int) -> TestRow:
    wall = (test * 37 + cell * 11) % 900 / 1000
    return TestRow(
        _name(test),
        Outcome.PASS,
        stdout=f"loss {test}\n" * 5 if test % 20 == 0 else "",
        warnings=(WARNING,) if test % 50 == 0 else (),
        wall_s=wall,
        cpu_s=wall / 2,
        peak_rss_kib=300_000 + test * 10,
    )


def _failing(test: int, cell: int) -> TestRow:
    told = f"trouble of kind {chr(97 + test % 26)}, as in {chr(97 + cell // 20 % 26)}"
    traceback = (
        f'Traceback (most recent call last):\n  File "test_a.py", line {test}, in test\n    f()\nTypeError: {told}\n'
    )
    exception = ExceptionFact("TypeError", told, "test_a.py", test, "test")
    return TestRow(
        _name(test), Outcome.FAIL, exception=exception, traceback=traceback, stdout="printed\n" * 20, wall_s=0.1
    )


def _name(test: int) -> str:
    return f"tests/test_{test % 40}.py::test_{test}"


def in_the_page(page: Page, file: Path) -> str:
    """Return what was measured in a page, as text."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    times: dict[str, list[float]] = {"opened": [], "CPU": [], "first filter": [], "filter": [], "click": []}
    for number in range(5):
        times["opened"].append(opened(page, file))
        metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
        times["CPU"].append(metrics["TaskDuration"] * 1000)
        times["first filter"].append(page.evaluate(FILTER, f"kind {chr(97 + number)}"))
        times["filter"] += [page.evaluate(FILTER, f"as in {chr(97 + number + other)}") for other in range(3)]
        opened(page, file)
        times["click"].append(page.evaluate(CLICK))
    session.detach()
    return "  ".join(f"{name} {statistics.median(told):.0f} ms" for name, told in times.items())


def opened(page: Page, file: Path) -> float:
    """Return milliseconds until the page is there."""
    page.goto("about:blank")
    page.goto(file.as_uri())
    return float(page.evaluate(FRAMES))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=FORMATS, help="this format")
    only = parser.parse_args().only
    program = shutil.which("chromium") or "chromium"
    words = ["--disable-gpu", "--disable-background-networking", *(["--no-sandbox"] if os.getuid() == 0 else [])]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=program, args=words).new_page()
        floor = Path(folder) / "floor.html"
        floor.write_text("<!doctype html><title>floor</title>word")
        print(f"a page with one word: {statistics.median(opened(page, floor) for _ in range(5)):.0f} ms")
        for cells, tests, unlike in SIZES:
            report = run_of(cells, tests, unlike=unlike)
            for form in [only] if only else FORMATS:
                begun = time.process_time()
                text = renderer(form)(report, Rendering())
                took = time.process_time() - begun
                size = f"{cells} × {tests}{' unlike' if unlike else ''}"
                told = f"{size:<17} {form:<9} {len(text.encode()) / 1e6:8.2f} MB  made in {took:5.1f} s of CPU"
                if form == "html":
                    file = Path(folder) / "page.html"
                    file.write_text(text, encoding="utf-8")
                    told += f"\n    {in_the_page(page, file)}"
                print(told, flush=True)


if __name__ == "__main__":
    main()
