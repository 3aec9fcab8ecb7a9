"""What a person reads of a run: whole texts, and that nothing hostile gets through."""

import io
import itertools
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec.structs
import pytest
from inline_snapshot import snapshot
from rich.console import Console

from tests import waiting
from tf_tester.core.outcome.exits import exit_code
from tf_tester.core.outcome.report import fold
from tf_tester.errors import StoreError, UsageError
from tf_tester.model.cause import Cause, Explanation, Verdict
from tf_tester.model.cell import Cell
from tf_tester.model.events import (
    CellExplained,
    CellFinished,
    CellLocked,
    CellState,
    CellStep,
    Delay,
    DelayKind,
    Event,
    FilesMissing,
    MirrorsChosen,
    MissingFile,
    RunFinished,
    RunStarted,
    TaskState,
    TransferFinished,
    TransferProgress,
    TransferTrouble,
    WheelBuilt,
)
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.model.outcome import CellResult, ExceptionFact, Outcome, TestRow, WarningFact, worst
from tf_tester.report.lines import TextLayout, as_text
from tf_tester.report.live.board import Board
from tf_tester.report.live.plain import PlainPrinter
from tf_tester.report.matrix import print_report, report_lines
from tf_tester.report.record import FORMAT, RecordWriter, read_record, report_of
from tf_tester.report.words import Detail, MatrixRows

FOLDER = "/home/me/runs/20261122-1"
ERA = Resolution.ERA
PASS, FAIL, SKIP, TIMEOUT = Outcome.PASS, Outcome.FAIL, Outcome.SKIP, Outcome.TIMEOUT

V24, V28, V212, V216, V218 = (
    Cell.of("tensorflow", version, python, ERA)
    for version, python in [
        ("2.4.0", "3.8"),
        ("2.8.0", "3.10"),
        ("2.12.0", "3.11"),
        ("2.16.1", "3.12"),
        ("2.18.0", "3.12"),
    ]
)
V114, V115 = Cell.of("tensorflow", "1.14.0", "-", ERA), Cell.of("tensorflow", "1.15.0", "-", ERA)

NO_NAME = ExceptionFact(
    "ImportError",
    "cannot import name 'Adam' from 'keras.layers' (/s/1/keras.py)",
    "/store/1/lib/python3.12/site-packages/keras/src/layers/__init__.py",
    123,
    "load",
)
NO_NAME_EITHER = msgspec.structs.replace(
    NO_NAME,
    message="cannot import name 'Adam' from 'keras.layers' (/s/2/keras.py)",
    line=129,
)
PROTOBUF = ExceptionFact(
    "TypeError",
    "Descriptors cannot be created directly.\nIf this call came from a _pb2.py file, …",
    "/store/3/site-packages/google/protobuf/descriptor.py",
    561,
    "__new__",
)


def run(results: dict[Cell, CellResult], *more: Event, interrupted: bool = False) -> list[Event]:
    code = exit_code(results.values(), interrupted=interrupted)
    return [
        RunStarted("20261122-1", "2026-11-22T10:00:00Z", "tf-tester 0.1.0", {}, tuple(results), FOLDER),
        *more,
        *(CellFinished(result) for result in results.values()),
        RunFinished(code, interrupted, 38.4),
    ]


def result(cell: Cell, outcome: Outcome, *tests: TestRow, run_s: float = 4.2, **facts: Any) -> CellResult:
    phases = {"resolve": 0.8, "run": run_s} if outcome.ran else {"resolve": 0.02}
    return CellResult(cell.name, outcome, tests=tests, phases=phases, **facts)


def script_run() -> list[Event]:
    def row(outcome: Outcome, **facts: Any) -> TestRow:
        return TestRow("model_test.py", outcome, **facts)

    no_python = "tensorflow {} has wheels for Python {} only, and none is installed."
    hint = "Install one with `uv python install 3.7`, or repeat with --install-python."
    return run(
        {
            V24: result(
                V24,
                PASS,
                row(PASS, remarks=("passed, but printed a traceback",)),
                import_s=2.11,
                peak_rss_kib=402_000,
            ),
            V28: result(V28, FAIL, row(FAIL, exception=PROTOBUF), summary=PROTOBUF.first_line, import_s=2.4),
            V212: result(V212, Outcome.CRASH, row(Outcome.CRASH, reason="signal 11 (SIGSEGV)")),
            V216: result(V216, FAIL, row(FAIL, exception=NO_NAME), summary=NO_NAME.first_line),
            V218: result(V218, FAIL, row(FAIL, exception=NO_NAME_EITHER), run_s=75),
            V114: result(V114, Outcome.NO_PYTHON, summary=no_python.format("1.14.0", "3.6, 3.7"), hint=hint),
            V115: result(V115, Outcome.NO_PYTHON, summary=no_python.format("1.15.0", "3.7"), hint=hint),
        },
        TransferTrouble("numpy-1.19.5-cp38-cp38-manylinux2010_x86_64.whl", "tuna", "connection reset"),
        TransferProgress("a" * 64, "tensorflow-2.4.0.whl", 1, 394_700_000, "tuna"),
        TransferFinished("a" * 64, "tensorflow-2.4.0.whl", 394_700_000, 394_700_000, "tuna", 33.0),
        TransferFinished("b" * 64, "numpy-1.19.5.whl", 14_900_000, 4_900_000, "authority", 2.0),
        TransferFinished("c" * 64, "six-1.15.0.whl", 11_000, 0, "store", 0.0),
        CellLocked(V24.name, Lock("3.8.18", ERA, None, (), ("wrapt: the index tells no upload time",)), False),
    )


SUITE = (
    "tests/test_model.py::test_import",
    "tests/test_model.py::TestTraining::test_fit_and_evaluate_with_callbacks[adam-float32]",
    "tests/test_model.py::test_save",
    "tests/test_model.py::test_gpu",
)


def suite_run() -> list[Event]:
    def rows(outcomes: Sequence[Outcome | None], exception: ExceptionFact | None = None) -> list[TestRow]:
        return [
            TestRow(
                name,
                outcome,
                exception=exception if outcome is FAIL else None,
                reason="no GPU" if outcome is SKIP else "",
            )
            for name, outcome in zip(SUITE, outcomes, strict=True)
            if outcome is not None
        ]

    return run(
        {
            V24: result(V24, PASS, *rows([PASS, PASS, PASS, SKIP])),
            V28: result(V28, SKIP, *rows([SKIP, SKIP, SKIP, SKIP])),
            V212: result(V212, TIMEOUT, *rows([PASS, TIMEOUT, None, None])),
            V216: result(V216, FAIL, *rows([PASS, FAIL, FAIL, SKIP], NO_NAME)),
            V218: result(V218, FAIL, *rows([FAIL, FAIL, PASS, SKIP], NO_NAME_EITHER)),
            V115: result(V115, Outcome.NO_WHEEL, summary="tensorflow 1.15.0 has no wheel for linux aarch64"),
        }
    )


def shown(events: list[Event], width: int = 80, **choices: Any) -> str:
    return as_text(report_lines(fold(events), TextLayout(width), **({"default_package": "tensorflow"} | choices)))


def test_cells_of_several_platforms_are_told_apart_in_a_list() -> None:
    here, there = (Cell.of("tensorflow", "2.8.0", "3.8", ERA, platform=tag) for tag in ("linux_x86_64", "win_amd64"))
    listed = shown(run({here: result(here, PASS, TestRow("a.py", PASS)), there: result(there, FAIL, summary="no")}))
    assert [line.split() for line in listed.splitlines()[2:5]] == [
        ["version", "python", "platform", "outcome", "time"],
        ["2.8.0", "3.8", "linux_x86_64", "pass", "4.2", "s"],
        ["2.8.0", "3.8", "win_amd64", "FAIL", "4.2", "s"],
    ]


def test_a_test_that_is_alone_is_named() -> None:
    row = TestRow("tests/test_a.py::test_one", PASS)
    lines = shown(run({V24: result(V24, PASS, row)})).splitlines()
    assert lines[2:4] == ["tests/test_a.py::test_one", "version  python  outcome  time"]


def test_one_script_is_told_one_line_a_cell() -> None:
    assert shown(script_run(), timings=True) == snapshot("""\
tensorflow: 7 cells, era dependencies

version  python  outcome    time        import  memory
2.4.0    3.8     pass       4.2 s       2.1 s   412 MB
2.8.0    3.10    FAIL       4.2 s       2.4 s
2.12.0   3.11    crash      4.2 s
2.16.1   3.12    FAIL       4.2 s
2.18.0   3.12    FAIL       1 min 15 s
1.14.0   -       no-python
1.15.0   -       no-python

What fails
  2.16.1 py3.12  ImportError: cannot import name 'Adam' from 'keras.layers'
    (/s/1/keras.py)
    at keras/src/layers/__init__.py:123 in load
    also 2.18.0
    verdict: unknown, those that pass differ in dependencies, too: --why tells
    seen from 2.16.1 on; otherwise with 2.12.0
  2.8.0 py3.10  TypeError: Descriptors cannot be created directly.
    at google/protobuf/descriptor.py:561 in __new__
    verdict: unknown, those that pass differ in dependencies, too: --why tells
    seen 2.8.0 only; not with 2.4.0; otherwise with 2.12.0
  2.12.0 py3.11  crash: signal 11 (SIGSEGV)
    verdict: unknown, those that pass differ in dependencies, too: --why tells
    seen 2.12.0 only; otherwise with 2.8.0 and 2.16.1

Could not run
  1.14.0  no-python  tensorflow 1.14.0 has wheels for Python 3.6, 3.7 only, and
    none is installed.
    hint: Install one with `uv python install 3.7`, or repeat with
          --install-python.
    also 1.15.0

Remarks
  2.4.0 py3.8
    - wrapt: the index tells no upload time
    - passed, but printed a traceback

Where the time went
cell           resolve  run         total
2.4.0 py3.8    0.8 s    4.2 s       5.0 s
2.8.0 py3.10   0.8 s    4.2 s       5.0 s
2.12.0 py3.11  0.8 s    4.2 s       5.0 s
2.16.1 py3.12  0.8 s    4.2 s       5.0 s
2.18.0 py3.12  0.8 s    1 min 15 s  1 min 16 s
1.14.0         20 ms                20 ms
1.15.0         20 ms                20 ms

tensorflow works with 2.4.0; fails with 2.8.0 to 2.18.0 (3 reasons); was not
  tested with 1.14.0 to 1.15.0.
7 cells: 1 passed, 3 failed, 1 crashed, 2 could not run; 400 MB downloaded; 38 s
Evidence: /home/me/runs/20261122-1
Next: tf-tester shell 2.8.0  # look around in that environment
Next: the same command with --why runs more cells to find out what is to blame
Next: uv python install 3.7  # install the Python that was missing
""")


def test_many_tests_are_told_as_a_matrix() -> None:
    assert shown(suite_run()) == snapshot("""\
tensorflow: 6 cells, era dependencies

tests/test_model.py              2.4.0  2.8.0   2.12.0  2.16.1  2.18.0  1.15.0
                                 py3.8  py3.10  py3.11  py3.12  py3.12  -
test_import                      pass   skip    pass    pass    FAIL    no-wheel
…e_with_callbacks[adam-float32]  pass   skip    time    FAIL    FAIL    no-wheel
test_save                        pass   skip    -       FAIL    pass    no-wheel
test_gpu                         skip   skip    -       skip    skip    no-wheel

time: over the time limit; FAIL: the test raised or left with a status other
than 0; -: not run in that cell (not there, not picked, or not reached)

What fails
  2.16.1 py3.12  …d_evaluate_with_callbacks[adam-float32]
    ImportError: cannot import name 'Adam' from 'keras.layers' (/s/1/keras.py)
    at keras/src/layers/__init__.py:123 in load
    4 tests fail like this
    also 2.18.0
    verdict: unknown, those that pass differ in dependencies, too: --why tells
    seen from 2.16.1 on; otherwise with 2.12.0
  2.12.0 py3.11  …d_evaluate_with_callbacks[adam-float32]
    timeout
    verdict: unknown, those that pass differ in dependencies, too: --why tells
    seen 2.12.0 only; otherwise with 2.16.1

Could not run
  1.15.0  no-wheel  tensorflow 1.15.0 has no wheel for linux aarch64

Remarks
  2.8.0 py3.10
    - nothing was tested: every test was skipped (no GPU)

tensorflow works with 2.4.0; fails with 2.12.0 to 2.18.0 (2 reasons); was not
  tested with 1.15.0 and 2.8.0.
6 cells: 1 passed, 2 failed, 1 timed out, 1 tested nothing, 1 could not run; 2
  to 4 tests in each; 38 s
Evidence: /home/me/runs/20261122-1
Next: tf-tester shell 2.12.0  # look around in that environment
Next: the same command with --why runs more cells to find out what is to blame
Next: tf-tester versions  # which versions have wheels for which Python
""")


def test_columns_that_do_not_fit_go_into_the_next_block() -> None:
    text = shown(suite_run(), width=50)
    assert text[: text.index("What fails")] == snapshot("""\
tensorflow: 6 cells, era dependencies

tests/test_model.py   2.4.0  2.8.0   2.12.0
                      py3.8  py3.10  py3.11
test_import           pass   skip    pass
…backs[adam-float32]  pass   skip    time
test_save             pass   skip    -
test_gpu              skip   skip    -

tests/test_model.py   2.16.1  2.18.0  1.15.0
                      py3.12  py3.12  -
test_import           pass    FAIL    no-wheel
…backs[adam-float32]  FAIL    FAIL    no-wheel
test_save             FAIL    pass    no-wheel
test_gpu              skip    skip    no-wheel

time: over the time limit; FAIL: the test raised
or left with a status other than 0; -: not run in
that cell (not there, not picked, or not reached)

""")


def test_rows_may_be_causes() -> None:
    text = shown(suite_run(), rows=MatrixRows.CAUSES)
    assert matrix_in(text) == snapshot("""\
tensorflow: 6 cells, era dependencies

              2.4.0  2.8.0   2.12.0  2.16.1  2.18.0  1.15.0
              py3.8  py3.10  py3.11  py3.12  py3.12  -
1. (3 tests)  pass   skip    -       FAIL    FAIL    no-wheel
2.            pass   skip    time    -       -       no-wheel
3.            -      -       -       -       -       no-wheel
1 test fails nowhere

1. ImportError: cannot import name 'Adam' from 'keras.layers' (/s/1/keras.py)
2. timeout
3. no-wheel: tensorflow 1.15.0 has no wheel for linux aarch64

time: over the time limit; FAIL: the test raised or left with a status other
than 0; -: not so in that cell (its tests failed otherwise, or were not run)

""")


def test_a_hundred_versions_by_cause_fit_the_terminal() -> None:
    def broken(number: int, letter: int) -> ExceptionFact | None:
        if number % 33 == letter:
            return ExceptionFact("ValueError", f"{'a long story of what is wrong here: ' * 2}kind {'xyz'[letter % 3]}")
        return NO_NAME if 40 <= number < 70 else None

    cells = [Cell.of("torch", f"2.{minor}.0", "3.11", ERA) for minor in range(100)]
    told = {}
    for number, cell in enumerate(cells):
        raised = [broken(number, letter) for letter in range(6)]
        rows = [
            TestRow(f"t.py::test_{place}", FAIL if one else PASS, exception=one) for place, one in enumerate(raised)
        ]
        told[cell] = result(cell, worst([row.outcome for row in rows]), *rows)
    text = shown(run(told), rows=MatrixRows.CAUSES)
    assert matrix_in(text) == snapshot("""\
torch: 100 cells, era dependencies

              2.0.0   2.1.0   2.2.0   2.3.0   2.4.0   2.5.0   2.6.0     2.33.0
                                                              –2.32.0
              py3.11  py3.11  py3.11  py3.11  py3.11  py3.11  py3.11    py3.11
              1 cell  1 cell  1 cell  1 cell  1 cell  1 cell  27 cells  1 cell
1. (6 tests)  -       -       -       -       -       -       pass      -
2. (2 tests)  FAIL    pass    pass    FAIL    pass    pass    pass      FAIL
3. (2 tests)  pass    FAIL    pass    pass    FAIL    pass    pass      pass
4. (2 tests)  pass    pass    FAIL    pass    pass    FAIL    pass      pass

              2.34.0  2.35.0  2.36.0  2.37.0  2.38.0  2.39.0  2.40.0    2.66.0
                                                              –2.65.0
              py3.11  py3.11  py3.11  py3.11  py3.11  py3.11  py3.11    py3.11
              1 cell  1 cell  1 cell  1 cell  1 cell  1 cell  26 cells  1 cell
1. (6 tests)  -       -       -       -       -       pass    FAIL      FAIL
2. (2 tests)  pass    pass    FAIL    pass    pass    pass    -         FAIL
3. (2 tests)  FAIL    pass    pass    FAIL    pass    pass    -         -
4. (2 tests)  pass    FAIL    pass    pass    FAIL    pass    -         -

              2.67.0  2.68.0  2.69.0  2.70.0  2.71.0  2.72.0    2.99.0
                                                      –2.98.0
              py3.11  py3.11  py3.11  py3.11  py3.11  py3.11    py3.11
              1 cell  1 cell  1 cell  1 cell  1 cell  27 cells  1 cell
1. (6 tests)  FAIL    FAIL    FAIL    -       -       pass      -
2. (2 tests)  -       -       FAIL    pass    pass    pass      FAIL
3. (2 tests)  FAIL    -       -       FAIL    pass    pass      pass
4. (2 tests)  -       FAIL    -       pass    FAIL    pass      pass

1. ImportError: cannot import name 'Adam' from 'keras.layers' (/s/1/keras.py)
2. ValueError: a long story of what is wrong here: a long story of what is wrong
   here: kind x
3. ValueError: a long story of what is wrong here: a long story of what is wrong
   here: kind y
4. ValueError: a long story of what is wrong here: a long story of what is wrong
   here: kind z

FAIL: the test raised or left with a status other than 0; -: not so in that cell
(its tests failed otherwise, or were not run)

""")


def test_without_causes_the_rows_are_tests() -> None:
    events = many_versions(3, lambda number: [PASS, PASS])
    assert shown(events, rows=MatrixRows.CAUSES) == shown(events)


def many_versions(count: int, outcomes: Callable[[int], Sequence[Outcome]]) -> list[Event]:
    """A run of so many versions of torch, with tests that came to `outcomes(number)` in each."""
    cells = [Cell.of("torch", f"2.{minor}.0", "3.11", ERA) for minor in range(count)]
    told = {}
    for number, cell in enumerate(cells):
        rows = [
            TestRow(f"t.py::test_{letter}", one, exception=NO_NAME if one is FAIL else None)
            for letter, one in zip("abcdefghijklmnopq", outcomes(number), strict=False)
        ]
        seconds = 3.0 + number / 10
        told[cell] = result(cell, worst([row.outcome for row in rows]), *rows, run_s=seconds, import_s=seconds / 2)
    return run(told)


def matrix_in(text: str) -> str:
    return text[: text.index("What fails")]


def test_equal_neighbours_are_one_column_where_not_all_fit() -> None:
    text = shown(many_versions(100, lambda number: [PASS, FAIL if 40 <= number < 70 else PASS, SKIP]))
    assert matrix_in(text) == snapshot("""\
torch: 100 cells, era dependencies

t.py    2.0.0–2.39.0  2.40.0–2.69.0  2.70.0–2.99.0
        py3.11        py3.11         py3.11
        40 cells      30 cells       30 cells
test_a  pass          pass           pass
test_b  pass          FAIL           pass
test_c  skip          skip           skip

FAIL: the test raised or left with a status other than 0

""")
    assert "\n    also 2.41.0–2.69.0\n" in text
    assert "\ntorch works with 2.0.0 to 2.39.0 and 2.70.0 to 2.99.0; fails with 2.40.0 to\n" in text


def test_what_is_folded_stands_one_above_the_other_where_that_saves_a_block() -> None:
    events = many_versions(60, lambda number: [PASS, FAIL if number // 10 % 2 else PASS, SKIP])
    assert matrix_in(shown(events, 70)) == snapshot("""\
torch: 60 cells, era dependencies

t.py    2.0.0     2.10.0    2.20.0    2.30.0    2.40.0    2.50.0
        –2.9.0    –2.19.0   –2.29.0   –2.39.0   –2.49.0   –2.59.0
        py3.11    py3.11    py3.11    py3.11    py3.11    py3.11
        10 cells  10 cells  10 cells  10 cells  10 cells  10 cells
test_a  pass      pass      pass      pass      pass      pass
test_b  pass      FAIL      pass      FAIL      pass      FAIL
test_c  skip      skip      skip      skip      skip      skip

FAIL: the test raised or left with a status other than 0

""")


def test_one_script_with_very_many_versions_has_a_line_for_equal_neighbours() -> None:
    text = shown(many_versions(100, lambda number: [FAIL if 40 <= number < 70 else PASS]), 120)
    assert matrix_in(text) == snapshot("""\
torch: 100 cells, era dependencies

t.py::test_a
version        cells  python  outcome  time       import     why
2.0.0–2.39.0   40     3.11    pass     3.0–6.9 s  1.5–3.5 s
2.40.0–2.69.0  30     3.11    FAIL     7.0–9.9 s  3.5–5.0 s  ImportError: cannot import name 'Adam' from 'keras.layers'…
2.70.0–2.99.0  30     3.11    pass     10–13 s    5.0–6.5 s

""")


def test_very_many_columns_become_one_line_a_cell() -> None:
    text = shown(many_versions(60, lambda number: [PASS, PASS, FAIL if number % 2 else PASS]))
    assert "\n2.7.0    3.11    FAIL     3.7 s  2 passed, 1 failed\n" in text
    assert "Next: tf-tester shell 2.1.0 --package torch  # look around in that environment\n" in text


def test_each_python_has_its_columns_where_one_of_them_always_fails() -> None:
    cells = [Cell.of("torch", f"2.{minor}.0", python, ERA) for minor in range(20) for python in ("3.11", "3.12")]
    outcomes = {"3.11": PASS, "3.12": FAIL}
    told = {
        cell: result(cell, outcomes[cell.python], TestRow("a", outcomes[cell.python]), TestRow("b", PASS))
        for cell in cells
    }
    assert shown(run(told)).splitlines()[2:7] == [
        "   2.0.0–2.19.0  2.0.0–2.19.0",
        "   py3.11        py3.12",
        "   20 cells      20 cells",
        "a  pass          FAIL",
        "b  pass          pass",
    ]


def test_of_many_tests_those_of_one_fate_share_a_row_where_too_many_fail() -> None:
    rows = [TestRow(f"test_{number}", FAIL if number < 50 else PASS) for number in range(100)]
    other = [TestRow(f"test_{number}", FAIL if number < 2 else PASS) for number in range(100)]
    text = shown(run({V24: result(V24, FAIL, *rows), V28: result(V28, FAIL, *other)}))
    assert text.splitlines()[2:7] == [
        "                    2.4.0  2.8.0",
        "                    py3.8  py3.10",
        "test_0 and 1 more   FAIL   FAIL",
        "test_2 and 47 more  FAIL   pass",
        "50 more tests pass everywhere",
    ]


def test_told_in_whole_nothing_is_folded() -> None:
    events = many_versions(30, lambda number: [PASS] * 17)
    assert shown(events).splitlines()[2:4] == [
        "version       cells  python  outcome  time       tests",
        "2.0.0–2.29.0  30     3.11    pass     3.0–5.9 s  17 passed",
    ]
    lines = shown(events, detail=Detail.WHOLE).splitlines()
    assert sum(line.startswith("test_q  ") for line in lines) == 4
    assert sum(line.count("2.29.0") for line in lines) == 2, "its column and the sentence"


def test_told_quietly_there_is_what_works_and_what_fails() -> None:
    assert shown(many_versions(3, lambda _number: [PASS]), detail=Detail.QUIET) == (
        "torch works with all 3 versions, 2.0.0 to 2.2.0.\n"
    )
    text = shown(script_run(), detail=Detail.QUIET)
    titles = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert titles == [
        "tensorflow works with 2.4.0; fails with 2.8.0 to 2.18.0 (3 reasons); was not",
        "What fails",
        "Could not run",
    ]
    assert "interrupted" in shown(script_run()[:8], detail=Detail.QUIET)


def test_what_is_too_wide_for_a_narrow_place_goes_into_a_second_line() -> None:
    lines = shown(script_run(), 40).splitlines()
    assert lines[2:6] == [
        "version  python  outcome    time",
        "    import  memory",
        "2.4.0    3.8     pass       4.2 s",
        "    2.1 s   412 MB",
    ]


def test_of_very_many_tests_those_that_passed_everywhere_are_folded() -> None:
    rows = [TestRow(f"test_{number}", FAIL if number == 77 else PASS) for number in range(500)]
    text = shown(run({V24: result(V24, FAIL, *rows)}))
    assert "test_77  FAIL" in text
    assert "499 more tests pass everywhere" in text
    assert len(text.splitlines()) < 20


def test_python_and_resolution_are_named_where_they_tell_cells_apart() -> None:
    era, latest = V28, msgspec.structs.replace(V28, resolution=Resolution.LATEST, python="3.9")
    row = TestRow("model_test.py", FAIL, exception=PROTOBUF)
    text = shown(run({era: result(era, PASS), latest: result(latest, FAIL, row)}))
    assert "tensorflow: 2 cells, era and latest dependencies" in text
    assert "  2.8.0 py3.9 latest  TypeError: Descriptors" in text
    assert "Next: tf-tester shell 2.8.0 --python 3.9 --resolve latest" in text


def test_a_crash_shows_what_the_process_said_last() -> None:
    row = TestRow("t.py", Outcome.CRASH, reason="killed by SIGABRT", stderr="free(): invalid pointer\n")
    told = shown(run({V212: result(V212, Outcome.CRASH, row)}))
    assert "crash: killed by SIGABRT\n    | free(): invalid pointer\n" in told


def test_a_version_without_a_test_that_fails_elsewhere_did_not_run_it() -> None:
    one, other = (TestRow(f"a.py::{name}", FAIL, exception=PROTOBUF) for name in ("test_one", "test_other"))
    one = msgspec.structs.replace(one, exception=NO_NAME)
    text = shown(run({V24: result(V24, FAIL, other), V28: result(V28, FAIL, one, other)}))
    assert "from 2.8.0 on; not run with 2.4.0" in text


def test_the_shell_that_is_advised_has_the_flags_and_the_groups() -> None:
    events = run({V28: result(V28, FAIL, TestRow("a", FAIL, exception=PROTOBUF))})
    assert isinstance(events[0], RunStarted)
    request = {"trial": {"groups": ["test"], "given": ["--grace", "2d", "--allow-build", "wrapt"]}}
    asked = msgspec.structs.replace(events[0], request=request)
    assert "Next: tf-tester shell 2.8.0 --grace 2d --allow-build wrapt --group test" in shown([asked, *events[1:]])


def test_the_shell_that_is_advised_has_the_python_that_was_asked_for() -> None:
    events = run({V28: result(V28, FAIL, TestRow("a", FAIL, exception=PROTOBUF))})
    assert "Next: tf-tester shell 2.8.0  #" in shown(events)
    assert isinstance(events[0], RunStarted)
    asked = msgspec.structs.replace(events[0], request={"selection": {"pythons": ["3.10"]}})
    assert "Next: tf-tester shell 2.8.0 --python 3.10  #" in shown([asked, *events[1:]])
    asked = msgspec.structs.replace(events[0], request={"trial": {"project": "/mine", "extras": ["test"]}})
    assert "Next: tf-tester shell 2.8.0 --project '/mine[test]'" in shown([asked, *events[1:]])
    trial = {"files": ["/my/r.txt"], "requirements": ["six", "gear<2"], "listed": ["gear<2"]}
    asked = msgspec.structs.replace(asked, request={"trial": trial})
    assert "shell 2.8.0 --requirements /my/r.txt --with six\n" in shown([asked, *events[1:]])
    own = {"project": "/mine", "extras": ["test"]}
    asked = msgspec.structs.replace(asked, request={"trial": own, "locks": ["/my/locks"]})
    assert "shell 2.8.0 --project '/mine[test]' --locked /my/locks\n" in shown([asked, *events[1:]])


def test_what_cannot_be_told_from_the_cells_leads_to_more_cells() -> None:
    cell = msgspec.structs.replace(V28, resolution=Resolution.LATEST)
    text = shown(run({cell: result(cell, FAIL, TestRow("a", FAIL, exception=PROTOBUF))}))
    assert "verdict: unknown, it passes nowhere in this run" in text
    assert "Next: the same command with --why runs more cells to find out what is to blame" in text


def test_a_run_that_was_killed_is_told_as_interrupted() -> None:
    text = shown(script_run()[:8])
    assert "The run was interrupted." in text
    assert "Next: the same command again goes on" in text
    assert "2.18.0   3.12    interrupted" in text


def test_all_passed_needs_no_advice() -> None:
    assert shown(run({V24: result(V24, PASS, TestRow("a", PASS))})).splitlines()[-2:] == [
        "1 cell: 1 passed; 38 s",
        f"Evidence: {FOLDER}",
    ]


def test_the_log_gets_a_line_for_what_is_worth_one() -> None:
    stream = io.StringIO()
    printer = PlainPrinter(stream, lambda: 0.0)
    for event in script_run():
        printer.tell(event)
    assert stream.getvalue() == snapshot("""\
tensorflow: 7 cells, era dependencies; record in /home/me/runs/20261122-1
trouble with numpy-1.19.5-cp38-cp38-manylinux2010_x86_64.whl from tuna: connection reset
downloaded tensorflow-2.4.0.whl  395 MB in 33 s (12 MB/s) from tuna
downloaded numpy-1.19.5.whl  4.9 MB of 15 MB in 2.0 s (2.5 MB/s) from authority
[1/7] 2.4.0 py3.8 pass 4.2 s
[2/7] 2.8.0 py3.10 FAIL 4.2 s  TypeError: Descriptors cannot be created directly.
[3/7] 2.12.0 py3.11 crash 4.2 s
[4/7] 2.16.1 py3.12 FAIL 4.2 s  ImportError: cannot import name 'Adam' from 'keras.layers' (/s/1/keras.py)
[5/7] 2.18.0 py3.12 FAIL 1 min 15 s
[6/7] 1.14.0 no-python  tensorflow 1.14.0 has wheels for Python 3.6, 3.7 only, and none is installed.
[7/7] 1.15.0 no-python  tensorflow 1.15.0 has wheels for Python 3.7 only, and none is installed.
""")


def test_builds_from_source_are_told_in_the_log_in_the_row_and_at_the_end() -> None:
    started, *events = run({one: result(one, PASS, TestRow("a", PASS)) for one in (V24, V28)})
    pin = Pin("wrapt", "1.12.1", "wrapt-1.12.1-cp38-cp38-linux_x86_64.whl", "c" * 64, 1, "")
    lock = Lock("3.8.1", ERA, None, (pin,))
    of_builds: list[Event] = [
        Delay(DelayKind.BUILD, "wrapt for Python 3.8"),
        WheelBuilt("wrapt", "3.8", 12.0, pin.filename, pin.sha256),
        WheelBuilt("absl-py", "3.8", 3.0),
    ]
    locked = [CellLocked(one.name, lock, False) for one in (V24, V28)]
    stream = io.StringIO()
    printer = PlainPrinter(stream, lambda: 0.0)
    for event in of_builds:
        printer.tell(event)
    assert stream.getvalue().splitlines() == [
        "building wrapt for Python 3.8 from source",
        "built wrapt-1.12.1-cp38-cp38-linux_x86_64.whl in 12 s",
        "absl-py could not be built for Python 3.8, after 3.0 s",
    ]
    text = shown([started, *of_builds, *locked, *events])
    heads, first, second = (line.split() for line in text.splitlines()[2:5])
    assert heads[-1] == "build"
    assert (first[-2:], second[-1] == "s" and second[-2] == "12") == (["12", "s"], False), "the second one only has it"
    assert "\n2 cells: 2 passed; 1 wheel built from source and 1 build failed in 15 s; 38 s\n" in text


def test_a_log_never_looks_hung_and_is_not_flooded() -> None:
    time_is = 0.0
    stream = io.StringIO()
    printer = PlainPrinter(stream, lambda: time_is)
    started, *events = script_run()

    def told_until(moment: float) -> list[str]:
        nonlocal time_is
        before = len(stream.getvalue())
        while time_is < moment:
            time_is += 1
            printer.beat()
        return stream.getvalue()[before:].splitlines()

    assert told_until(45) == ["still at work, 20 s", "still at work, 40 s"]
    printer.tell(started)
    printer.tell(CellState(V24.name, CellStep.RUNNING))
    printer.tell(CellState(V28.name, CellStep.DOWNLOADING))
    missing = (MissingFile("a" * 64, "numpy-1.21.0-cp38-cp38-any.whl", 20_000_000),)
    printer.tell(FilesMissing(V28.name, missing))
    assert told_until(64) == []
    assert told_until(100) == [
        "0 of 7 done, 1 min 05 s: 1 running (2.4.0 py3.8 for 20 s), 1 downloading (2.8.0 py3.10 for 20 s), "
        "5 queued; to come: 1 file, 20 MB",
        "0 of 7 done, 1 min 25 s: 1 running (2.4.0 py3.8 for 40 s), 1 downloading (2.8.0 py3.10 for 40 s), "
        "5 queued; to come: 1 file, 20 MB",
    ]
    printer.tell(events[-2])
    assert len(told_until(119)) == 0, "a cell has ended, which is told"
    printer.tell(RunFinished(0, False, 1.0))
    time_is += 100
    assert told_until(time_is + 30) == []


def test_a_search_is_told_of_by_the_cell_that_it_runs() -> None:
    time_is = 0.0
    stream = io.StringIO()
    printer = PlainPrinter(stream, lambda: time_is)
    printer.watch(CellState(V24.name, CellStep.RUNNING))
    printer.watch(CellFinished(result(V24, PASS)))
    printer.watch(CellState(V28.name, CellStep.RUNNING))
    time_is = 20.0
    printer.beat()
    assert stream.getvalue() == "20 s: 1 running (tensorflow==2.8.0@py3.10@era for 20 s)\n"


def test_what_has_no_cells_is_told_of_by_its_downloads() -> None:
    time_is = 0.0
    stream = io.StringIO()
    printer = PlainPrinter(stream, lambda: time_is)
    for second in range(20):
        time_is = float(second)
        printer.tell(TransferProgress("a" * 64, "toy-1.0.whl", second * 1_000_000, 119_000_000, "tuna"))
    time_is = 20.0
    printer.beat()
    told = "still at work, 20 s; to come: 1 file, 100 MB; 950 kB/s, 1 min 45 s left\n"
    assert stream.getvalue() == told


def test_a_log_is_told_of_from_a_thread_of_its_own() -> None:
    moments = itertools.count(0, 30)
    stream = io.StringIO()
    with PlainPrinter(stream, lambda: float(next(moments))):
        waiting.until(lambda: "still at work" in stream.getvalue())


# Streams


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "coloured"),
    [
        (Terminal(), {"TERM": "xterm"}, True),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
        (io.StringIO(), {"FORCE_COLOR": "0"}, False),
        (io.StringIO(), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colour_is_for_terminals_whose_user_wants_it(
    stream: io.StringIO, environ: dict[str, str], coloured: bool
) -> None:
    print_report(fold(script_run()), stream, environ=environ)
    assert ("\x1b[" in stream.getvalue()) == coloured


@pytest.mark.parametrize(("columns", "widest"), [("60", 60), ("90", 90), ("0", 120), ("", 120), ("x", 120)])
def test_lines_are_as_wide_as_columns_says(columns: str, widest: int) -> None:
    stream = io.StringIO()
    print_report(fold(script_run()), stream, environ={"COLUMNS": columns})
    assert widest - 25 < max(map(len, stream.getvalue().splitlines())) <= widest


def test_a_stream_of_ascii_gets_ascii() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    events = [*suite_run(), CellFinished(result(V24, FAIL, TestRow("测试", FAIL), summary="模型" * 200))]
    printer = PlainPrinter(stream, lambda: 0.0)
    for event in events:
        printer.tell(event)
    print_report(fold(events), stream, environ={})
    text = raw.getvalue().decode("ascii")
    assert "..." in text
    print_report(fold(many_versions(40, lambda number: [PASS, PASS])), stream, environ={})
    assert "2.0.0..2.39.0" in raw.getvalue().decode("ascii")
    assert "\\u6d4b\\u8bd5" in text


def test_a_broken_stream_does_not_end_the_run() -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    printer = PlainPrinter(Broken(), lambda: 0.0)
    for event in script_run():
        printer.tell(event)


def test_only_the_board_imports_rich() -> None:
    modules = "tf_tester.report.matrix, tf_tester.report.live.plain, tf_tester.report.record"
    program = f"import sys, {modules}; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# Hostile words

HOSTILE = "::error::x\x1b]0;pwned\x07\x1b[2J\u202etxt.exe\r\n##[error]forged <script>alert(1)</script>\x9b\u2028\udc80"


def hostile(value: Any) -> Any:
    """The same value with every text in it hostile, but those that name a cell or are ours."""
    if isinstance(value, Enum) or value is None:
        return value
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, tuple):
        return tuple(map(hostile, value))
    if isinstance(value, dict):
        return {hostile(name): item for name, item in value.items()}
    if isinstance(value, msgspec.Struct):
        fields = {field.name: getattr(value, field.name) for field in msgspec.structs.fields(value)}
        return type(value)(**{name: hostile(item) for name, item in fields.items()})
    return value


def hostile_run() -> list[Event]:
    """Every event and every field, in cells of each outcome."""
    cells = [hostile(Cell.of("", "", "", resolution)) for resolution in (ERA, Resolution.LATEST, Resolution.LOWEST)]
    warning = WarningFact("", "", "")
    exception = ExceptionFact("", "", "", 1, "")
    results = []
    for cell, outcome in zip(cells, [FAIL, SKIP, Outcome.NO_WHEEL], strict=True):
        rows = [TestRow("", outcome, exc, "", "", "", "", (warning,), 1.0, remarks=("",)) for exc in (None, exception)]
        rows = [hostile(row) for row in rows if outcome.ran]
        second = [msgspec.structs.replace(row, id=HOSTILE + "2", outcome=PASS) for row in rows[:1]]
        told: CellResult = hostile(CellResult("", outcome, "", "", "", (), {"": 1.0}, 1.0, 1, ("",), ""))
        results.append(msgspec.structs.replace(told, cell=cell.name, tests=(*rows, *second)))
    pin = Pin("", "", "", "", 1, "")
    lock = hostile(Lock("", ERA, None, (pin,), ("",)))
    events: list[Event] = [
        msgspec.structs.replace(hostile(RunStarted("", "", "", {"": ""}, (), "")), cells=tuple(cells)),
        CellState(cells[0].name, CellStep.RUNNING),
        CellLocked(cells[0].name, lock, False),
        hostile(TransferProgress("", "", 1, 2, "")),
        hostile(TransferTrouble("", "", "")),
        hostile(TransferFinished("", "", 5_000_000, 2_000_000, "", 1.0)),
    ]
    cause = hostile(Cause(("", ""), "", "", "", "", ""))
    explained = msgspec.structs.replace(
        hostile(Explanation(cells[0], cells[1], Verdict.DEPENDENCY, 2, (), True, 3, remarks=("",))),
        causes=(cause, cause),
    )
    explained = msgspec.structs.replace(explained, cell=cells[0], against=cells[1])
    return [*events, *map(CellFinished, results), CellExplained(explained), RunFinished(1, False, 1.0)]


def assert_safe(text: str) -> None:
    assert all(character.isprintable() for character in text.replace("\n", ""))
    assert not [line for line in text.splitlines() if line.lstrip().startswith(("::", "##["))]
    assert "\\x1b" in text


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_hostile_word_reaches_the_report_raw(width: int) -> None:
    assert_safe(shown(hostile_run(), width, timings=True))
    assert_safe(shown(hostile_run()[:-3], width, timings=True))
    coloured = as_text(report_lines(fold(hostile_run()), TextLayout(width), timings=True), colour=True)
    for code in ("0", "1", "2", "32", "1;31", "33"):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert_safe(coloured)


@pytest.mark.parametrize("width", [40, 80])
def test_remarks_on_a_run_are_shown_whole(width: int) -> None:
    """What a sandbox leaves open is one of them."""
    words = [f"word{number}" for number in range(300)]
    begun, *rest = script_run()
    assert isinstance(begun, RunStarted)
    told = shown([msgspec.structs.replace(begun, remarks=(" ".join(words),)), *rest], width)
    assert [word for word in told.split() if word.startswith("word")] == words


def test_no_hostile_word_reaches_the_log_raw() -> None:
    stream = io.StringIO()
    printer = PlainPrinter(stream, lambda: 0.0)
    for event in hostile_run():
        printer.tell(event)
    assert_safe(stream.getvalue())
    assert len(stream.getvalue().splitlines()) == 6


def test_no_hostile_word_reaches_the_board_raw() -> None:
    board = Board(Console(file=io.StringIO(), force_terminal=True, width=80, height=30), lambda: 1.0)
    for event in hostile_run():
        board.tell(event)
        for line in board.render().plain.splitlines():
            assert line.isprintable() or not line
    assert "\\x1b" in board.render().plain


@pytest.mark.parametrize("has_ended", [True, False])
def test_a_bit_that_flips_in_a_record_is_found(tmp_path: Path, has_ended: bool) -> None:
    path = tmp_path / "record.jsonl"
    write(path, script_run() if has_ended else script_run()[:-1])
    whole = path.read_bytes()
    assert report_of(path).interrupted is not has_ended
    for at in {*range(0, len(whole) - 1, 29), *range(len(whole) - 200, len(whole) - 1)}:
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 4,)) + whole[at + 1 :])
        with pytest.raises((StoreError, UsageError)):
            report_of(path)


def test_a_record_that_was_cut_off_is_none_of_a_run_that_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    write(path, script_run())
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in {*range(first, len(whole), 29), *range(len(whole) - 200, len(whole) - 1)}:
        path.write_bytes(whole[:length])
        report = report_of(path)
        assert report.interrupted
        assert report.is_cut == (whole[length - 1 : length] != b"\n")
    path.write_bytes(whole[:-1])
    assert not report_of(path).interrupted, "nothing is missing but the end of its line"


def test_a_record_without_sums_is_read(tmp_path: Path) -> None:
    """As earlier versions wrote them, one with a line that isn't JSON."""
    path = tmp_path / "record.jsonl"
    write(path, script_run())
    report = report_of(path)
    lines = [re.sub(rb',"crc":\d+', b"", line) for line in path.read_bytes().splitlines(keepends=True)]
    path.write_bytes(b"".join([*lines[:-1], b"no event\n", lines[-1]]))
    assert report_of(path) == report


def test_a_hostile_record_is_one_line_an_event_and_reads_back(tmp_path: Path) -> None:
    events = hostile_run()
    write(tmp_path / "record.jsonl", events)
    lines = (tmp_path / "record.jsonl").read_bytes().splitlines()
    assert len(lines) == len(events) - 1
    read = list(read_record(tmp_path / "record.jsonl"))
    assert read == [event for event in events if not isinstance(event, TransferProgress)]


# The record


def now() -> datetime:
    return datetime(2026, 11, 22, 10, 0, 0, 123456, UTC)


def write(path: Path, events: list[Event]) -> None:
    with RecordWriter(path, now) as writer:
        for event in events:
            writer.tell(event)


def test_the_first_line_says_the_format_and_each_line_its_event_and_time(tmp_path: Path) -> None:
    write(tmp_path / "record.jsonl", script_run())
    lines = [json.loads(line) for line in (tmp_path / "record.jsonl").read_text().splitlines()]
    assert lines[0]["format"] == FORMAT
    assert (lines[0]["event"], lines[0]["at"]) == ("run-started", "2026-11-22T10:00:00.123Z")
    assert [line["event"] for line in lines[1:4]] == ["transfer-trouble"] + ["transfer-finished"] * 2
    assert lines[-1]["event"] == "run-finished"


def test_the_report_of_a_record_is_the_report_of_its_run(tmp_path: Path) -> None:
    write(tmp_path / "record.jsonl", suite_run())
    assert fold(read_record(tmp_path / "record.jsonl")) == fold(suite_run())


def test_what_a_later_version_wrote_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    with path.open("w") as record:
        record.write(f'{{"format":{FORMAT},"event":"cell-state","cell":"a","state":"running"}}\n')
        record.write('{"event":"cell-blamed","cell":"a"}\n')
        record.write('{"event":"cell-state","cell":"b","state":"running","mood":"good"}\n')
        record.write('{"event":"cell-state","cell":7}\n[1]\n{"event":"cell-state","cell":"a","state":"thinking"}\n')
    assert list(read_record(path)) == [CellState("a", CellStep.RUNNING), CellState("b", CellStep.RUNNING)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f'{{"event":"cell-state","format":{FORMAT + 1}}}\n', f"has format {FORMAT + 1}"),
        ('{"a":1}\n', "is not a record"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "record.jsonl").write_text(content)
    with pytest.raises(UsageError, match=said):
        list(read_record(tmp_path / "record.jsonl"))


def test_a_record_that_cannot_be_read_or_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="can't be read"):
        list(read_record(tmp_path / "absent.jsonl"))
    with pytest.raises(StoreError, match="can't be written"):
        RecordWriter(tmp_path / "absent" / "record.jsonl", now)
    writer = RecordWriter(tmp_path / "record.jsonl", now)
    writer.close()
    with pytest.raises(StoreError, match="can't be written"):
        writer.tell(CellState("a", CellStep.RUNNING))


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    with RecordWriter(path, now) as writer:

        def tell(name: str) -> None:
            for number in range(50):
                writer.tell(CellState(f"{name * 500}{number}", CellStep.RUNNING))

        threads = [threading.Thread(target=tell, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(list(read_record(path))) == 200


# The board


def board_of(cells: int, *, width: int = 80, height: int = 16, clock: Any = lambda: 0.0) -> Board:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, height=height)
    board = Board(console, clock)
    chosen = tuple(Cell.of("tensorflow", f"2.{number}.0", "3.11", ERA) for number in range(cells))
    board.tell(RunStarted("1", "", "", {}, chosen, FOLDER))
    return board


def test_the_board_shows_what_is_in_flight_and_where_each_cell_is() -> None:
    time_is = 0.0
    board = board_of(4, width=110, clock=lambda: time_is)
    board.tell(CellState("tensorflow==2.0.0@py3.11@era", CellStep.DOWNLOADING))
    for second in range(4):
        time_is = float(second)
        board.tell(
            TransferProgress("a", "tensorflow-2.0.0-cp311-cp311-any.whl", second * 10_000_000, 100_000_000, "tuna")
        )
    failed = result(Cell.of("tensorflow", "2.1.0", "3.11", ERA), FAIL, summary="ImportError: no")
    board.tell(CellFinished(failed))
    board.tell(TransferTrouble("numpy-1.22.0-cp311-cp311-any.whl", "tuna", "cut off"))
    assert board.render().plain == snapshot("""\
tensorflow: 4 cells, era dependencies  1 of 4 done, 3.0 s
last trouble: numpy-1.22.0-cp311 from tuna: cut off

  tensorflow-2.0.0-cp311  ━━━━━━──────────────  30% of 100 MB   10 MB/s  7.0 s left       tuna

  ⠼ 2.0.0 py3.11  downloading  3.0 s
    2.1.0 py3.11  FAIL         4.2 s       ImportError: no
    2.2.0 py3.11  queued
    2.3.0 py3.11  queued\
""")


def test_a_reason_of_spaces_alone_breaks_no_board() -> None:
    board = board_of(1)
    board.tell(CellFinished(result(Cell.of("tensorflow", "2.0.0", "3.11", ERA), FAIL, summary=" \n ")))
    assert board.render().plain.splitlines()[-1].split() == ["2.0.0", "py3.11", "FAIL", "4.2", "s"]


def test_the_board_of_a_command_without_cells_tells_what_it_is_at() -> None:
    time_is = 0.0
    board = Board(Console(file=io.StringIO(), force_terminal=True, width=90, height=12), lambda: time_is)
    assert board.render().plain == "starting  0 ms"
    board.tell(TaskState("asking the index", "tensorflow", 1))
    time_is = 21.0
    assert board.render().plain == snapshot("""\
asking the index  21 s

  ⠇ tensorflow  asking the index  21 s\
""")
    board.tell(TaskState("asking the index", "tensorflow", 1, is_over=True))
    for number in range(9):
        board.tell(TaskState("resolving", f"2.{number}.0 py3.11", 9))
    board.tell(TaskState("resolving", "2.0.0 py3.11", 9, is_over=True))
    time_is = 33.0
    assert board.render().plain == snapshot("""\
resolving: 1 of 9  33 s

  ⠼ 2.1.0 py3.11  resolving  12 s
  ⠼ 2.2.0 py3.11  resolving  12 s
  ⠼ 2.3.0 py3.11  resolving  12 s
  ⠼ 2.4.0 py3.11  resolving  12 s
  ⠼ 2.5.0 py3.11  resolving  12 s
  ⠼ 2.6.0 py3.11  resolving  12 s
  ⠼ 2.7.0 py3.11  resolving  12 s
  ⠼ 2.8.0 py3.11  resolving  12 s\
""")


def test_the_board_of_a_download_tells_what_all_of_it_takes() -> None:
    time_is = 0.0
    board = Board(Console(file=io.StringIO(), force_terminal=True, width=90, height=12), lambda: time_is)
    names = [f"toy-1.{number}-py3-none-any.whl" for number in range(3)]
    for number, name in enumerate(names):
        board.tell(FilesMissing(name, (MissingFile(str(number), name, 100_000_000),)))
    for name in names[:2]:
        board.tell(TaskState("bringing", name, 3))
    for second in range(11):
        time_is = float(second)
        board.tell(TransferProgress("0", names[0], second * 5_000_000, 100_000_000, "tuna"))
    assert board.render().plain == snapshot("""\
bringing: 0 of 3  10 s

  to come: 3 files, 250 MB; 5.0 MB/s, 50 s left
  toy-1.0-py3  ━━━━━───── 100 MB  5.0 MB/s  10 s left        tuna

  ⠋ toy-1.1-py3  bringing  10 s\
""")
    board.tell(TaskState("bringing", names[0], 3, is_over=True))
    board.tell(FilesMissing(names[0], ()))
    assert board.render().plain == snapshot("""\
bringing: 1 of 3  10 s

  to come: 2 files, 200 MB; 5.0 MB/s, 40 s left

  ⠋ toy-1.1-py3  bringing  10 s\
"""), "it has failed: nothing more of it comes"


def coming(board: Board) -> None:
    """Two files for one cell, one of them on its way, and a lock that somebody else holds."""
    digests = {"tensorflow-2.0.0": "a" * 64, "numpy-1.21.0": "b" * 64, "wrapt-1.12.1": "c" * 64}
    wheel = "-cp311-cp311-manylinux2014_x86_64.whl"
    board.tell(CellState("tensorflow==2.0.0@py3.11@era", CellStep.DOWNLOADING))
    files = (("tensorflow-2.0.0", 500_000_000), ("numpy-1.21.0", 20_000_000))
    missing = tuple(MissingFile(digests[name], name + wheel, size) for name, size in files)
    board.tell(FilesMissing("tensorflow==2.0.0@py3.11@era", missing))
    board.tell(TransferProgress("a" * 64, f"tensorflow-2.0.0{wheel}", 100_000_000, 500_000_000, "tuna"))
    board.tell(CellState("tensorflow==2.1.0@py3.11@era", CellStep.RUNNING))
    board.tell(CellState("tensorflow==2.2.0@py3.11@era", CellStep.WAITING))
    pin = Pin("wrapt", "1.12.1", f"wrapt-1.12.1{wheel}", "c" * 64, 1, "")
    board.tell(CellLocked("tensorflow==2.3.0@py3.11@era", Lock("3.11", ERA, None, (pin,), ()), False))
    board.tell(CellState("tensorflow==2.3.0@py3.11@era", CellStep.UNPACKING))
    board.tell(Delay(DelayKind.LOCK, f"layer-{'c' * 64}"))
    board.tell(Delay(DelayKind.LOCK, "workplaces"))
    board.tell(Delay(DelayKind.BUILD, "absl-py"))


def test_the_board_tells_what_is_still_to_come_and_what_waits_for_what() -> None:
    time_is = 0.0
    board = board_of(5, width=100, height=24, clock=lambda: time_is)
    coming(board)
    time_is = 10.0
    board.tell(TransferProgress("a" * 64, "tensorflow-2.0.0-cp311-any.whl", 200_000_000, 500_000_000, "tuna"))
    board.tell(Delay(DelayKind.BUILD, "absl-py", is_over=True))
    assert board.render().plain == snapshot("""\
tensorflow: 5 cells, era dependencies  0 of 5 done, 10 s

  waiting until wrapt-1.12.1-cp311 is unpacked elsewhere  10 s
  to come: 2 files, 320 MB; 10 MB/s, 32 s left
  tensorflow-2.0.0-cp311  ━━━━────── 500 MB   10 MB/s  30 s left        tuna

  ⠋ 2.0.0 py3.11  downloading  10 s        for tensorflow-2.0.0-cp311 and 1 more
  ⠋ 2.1.0 py3.11  running      10 s
  ⠋ 2.2.0 py3.11  waiting      10 s        for a place: 1 cell running
  ⠋ 2.3.0 py3.11  unpacking    10 s
    2.4.0 py3.11  queued\
""")
    # Files that another process has brought are there without a word of their transfer.
    board.tell(CellState("tensorflow==2.0.0@py3.11@era", CellStep.UNPACKING))
    board.tell(TransferFinished("a" * 64, "tensorflow-2.0.0.whl", 500_000_000, 400_000_000, "tuna", 10.0))
    assert "to come" not in board.render().plain


def test_what_is_shown_moves_and_is_true_while_nothing_happens() -> None:
    time_is = 0.0
    board = board_of(5, width=100, height=24, clock=lambda: time_is)
    coming(board)
    seen = set()
    for second in range(0, 60, 10):
        time_is = float(second)
        seen.add(board.render().plain)
    assert len(seen) == 6
    assert "2.1.0 py3.11  running      50 s" in board.render().plain
    assert "nothing comes just now" in board.render().plain


def test_the_board_calls_chosen_mirrors_no_trouble() -> None:
    board = board_of(1)
    board.tell(MirrorsChosen(("tuna", "bfsu"), "the fastest"))
    assert board.render().plain.splitlines()[1] == "mirrors: tuna, bfsu: the fastest"


@pytest.mark.parametrize("height", [3, 8, 16, 50])
@pytest.mark.parametrize("width", [20, 79, 200])
def test_the_board_fits_the_terminal(width: int, height: int) -> None:
    board = board_of(200, width=width, height=height)
    for number in range(30):
        board.tell(CellState(f"tensorflow==2.{number}.0@py3.11@era", CellStep.RUNNING))
        board.tell(TransferProgress(str(number), "numpy-1.0.whl", 1, 2, "tuna"))
    lines = board.render().plain.split("\n")
    assert len(lines) <= max(height - 1, 1)
    assert max(map(len, lines)) < width
    if height == 16 and width > 70:
        assert "26 more at work" not in lines[-1]
        assert "170 more waiting" in lines[-1]


def test_telling_the_board_does_not_wait_for_the_terminal() -> None:
    may_write, stuck = threading.Event(), threading.Event()
    may_write.set()

    class Stuck(io.StringIO):
        def write(self, text: str) -> int:
            if not may_write.is_set():
                stuck.set()
            may_write.wait(20)
            return super().write(text)

    with Board(Console(file=Stuck(), force_terminal=True, width=80, height=24), time.monotonic) as board:
        may_write.clear()
        assert stuck.wait(20)  # the painter hangs in its write now
        for event in script_run():
            board.tell(event)
        assert not may_write.is_set()  # all were told while it hung
        may_write.set()


def test_the_board_shows_the_cursor_again_after_an_interrupt() -> None:
    stream = io.StringIO()
    with (
        pytest.raises(KeyboardInterrupt),
        Board(Console(file=stream, force_terminal=True, width=80, height=24), time.monotonic),
    ):
        raise KeyboardInterrupt
    assert stream.getvalue().count("\x1b[?25l") == stream.getvalue().count("\x1b[?25h") == 1
    assert stream.getvalue().endswith("\x1b[2K")
