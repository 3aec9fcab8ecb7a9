"""From events and the end of a process to outcomes."""

import json
from io import BytesIO
from typing import Any

import pytest
from msgspec.structs import replace

from tf_tester.core.outcome.harness_events import HarnessEvent, read_log
from tf_tester.core.outcome.judge import (
    judge_command,
    judge_harness,
    last_exception,
    with_bounded_text,
    with_output,
)
from tf_tester.core.outcome.tracebacks import last_words
from tf_tester.model.host.exit import Exit
from tf_tester.model.host.limits import Exceeded, Limit
from tf_tester.model.outcome import ExceptionFact, Outcome, TestRow, WarningFact

START = {"event": "start", "python": "3.8.18"}
TRACEBACK = """\
some output
Traceback (most recent call last):
  File "/home/me/a, b.py", line 3, in main
    work()
  File "/env/toy/core.py", line 41, in work
    raise ValueError("bad: very")
ValueError: bad: very
"""


def left(code: int = 0) -> Exit:
    return Exit(code, None, False, 1.5, 1.25, 2048)


def killed(signal: int) -> Exit:
    return Exit(None, signal, False, 1.5, 1.25, 2048)


def beyond(limit: Limit, allowed: int | None) -> Exit:
    return replace(killed(9), exceeded=Exceeded(limit, allowed))


TIMED_OUT = Exit(None, 15, True, 60.2, 1.25, 2048)


def started(name: str) -> dict[str, Any]:
    return {"event": "test-start", "id": name}


def ended(name: str, status: str = "pass", **more: Any) -> dict[str, Any]:
    return {"event": "test", "id": name, "status": status, **more}


def end(exit_code: int | None = 0) -> dict[str, Any]:
    return {"event": "end", "exit_code": exit_code, "collected": 1}


def read(*written: dict[str, Any]) -> tuple[HarnessEvent, ...]:
    return read_log(BytesIO("\n".join(map(json.dumps, written)).encode())).events


def judged(written: list[dict[str, Any]], exit: Exit, stderr: str = "") -> dict[str, tuple[Outcome, str]]:
    rows = judge_harness(read(*written), exit, target="test_toy.py", stdout="out", stderr=stderr)
    return {row.id: (row.outcome, row.reason) for row in rows}


# -- an orderly end


def test_rows_are_what_the_harness_wrote() -> None:
    event = ended(
        "t::a",
        "fail",
        exception={"type": "ValueError", "message": "bad", "file": "/x.py", "line": 3, "function": "f"},
        traceback="Traceback …",
        stdout="o",
        stderr="e",
        warnings=[{"category": "UserWarning", "message": "old", "file": "/x.py", "line": 2, "count": 4}],
        remarks=["odd"],
        wall_s=0.5,
        cpu_s=0.25,
        peak_rss_kib=1000,
        exit_code=1,
    )
    [row] = judge_harness(read(START, started("t::a"), event, end(1)), left(1), target="t", stdout="", stderr="")
    assert row == TestRow(
        "t::a",
        Outcome.FAIL,
        ExceptionFact("ValueError", "bad", "/x.py", 3, "f"),
        "Traceback …",
        "o",
        "e",
        warnings=(WarningFact("UserWarning", "old", "/x.py", 2, 4),),
        wall_s=0.5,
        cpu_s=0.25,
        peak_rss_kib=1000,
        exit_code=1,
        remarks=("odd",),
    )


def test_the_frame_inside_the_package_says_where() -> None:
    exception = {
        "type": "E",
        "message": "",
        "file": "/lib/json.py",
        "line": 9,
        "in_package": {"file": "/env/toy.py", "line": 3, "function": "f"},
    }
    [row] = judge_harness(
        read(START, ended("t", "fail", exception=exception), end()), left(), target="t", stdout="", stderr=""
    )
    assert row.exception == ExceptionFact("E", "", "/env/toy.py", 3, "f")


def test_no_tests_at_all_are_no_rows() -> None:
    assert judged([START, end(5)], left(5)) == {}


REFUSED = ended("t", "error", could_not_begin=True)


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        ("usage: pytest\npytest: error: no such option: --x\nmore\n", "no such option: --x"),
        ("first\nSomeError: in the configuration\nlast\n", "SomeError: in the configuration"),
        ("first\n\nlast\n\n", "last"),
        ("", "see its output"),
    ],
)
def test_why_pytest_refuses_to_begin_stands_in_what_it_printed(stderr: str, reason: str) -> None:
    [row] = judge_harness(read(START, REFUSED, end(4)), left(4), target="t", stdout="", stderr=stderr)
    assert row == TestRow(
        "t", Outcome.ERROR, reason=f"pytest could not begin: {reason}", stderr=stderr, could_not_begin=True
    )


def test_an_exception_says_more_than_what_pytest_printed() -> None:
    event = REFUSED | {"exception": {"type": "E", "message": "m"}}
    assert judged([START, event, end(4)], left(4), "pytest: error: x") == {"t": (Outcome.ERROR, "")}


def test_a_remark_is_the_reason_where_there_is_no_other() -> None:
    event = ended("t", "error", remarks=["was not run"])
    assert judged([START, event, end(1)], left(1)) == {"t": (Outcome.ERROR, "was not run")}


def test_a_target_without_tests_is_empty() -> None:
    event = ended("t", "empty", reason="no tests were found")
    assert judged([START, event, end(5)], left(5)) == {"t": (Outcome.EMPTY, "no tests were found")}


# -- other ends


def test_a_signal_is_the_crash_of_the_test_that_was_running() -> None:
    events = [START, started("a"), ended("a"), started("b")]
    assert judged(events, killed(11)) == {"a": (Outcome.PASS, ""), "b": (Outcome.CRASH, "killed by SIGSEGV")}


def test_a_crash_keeps_what_the_process_printed() -> None:
    [row] = judge_harness(read(START, started("b")), killed(6), target="t", stdout="out", stderr="err")
    assert (row.stdout, row.stderr, row.exit_code, row.wall_s) == ("out", "err", None, 1.5)


def test_sigkill_is_told_as_what_it_often_is() -> None:
    [(outcome, reason)] = judged([START, started("a")], killed(9)).values()
    assert (outcome, reason) == (Outcome.CRASH, "killed by SIGKILL (out of memory, or somebody's kill)")


def test_a_signal_without_a_name_is_a_number() -> None:
    [(_, reason)] = judged([START, started("a")], killed(99)).values()
    assert reason == "killed by signal 99"


def test_os_exit_is_a_crash_even_with_status_0() -> None:
    assert judged([START, started("a")], left(0)) == {
        "a": (Outcome.CRASH, "the process left through os._exit(0) without ending its tests")
    }


def test_a_timeout_is_the_timeout_of_the_test_that_was_running() -> None:
    assert judged([START, started("a")], TIMED_OUT) == {"a": (Outcome.TIMEOUT, "stopped after 60 s")}


def test_a_death_between_two_tests_is_the_files() -> None:
    events = [START, started("a"), ended("a")]
    assert judged(events, killed(11)) == {
        "a": (Outcome.PASS, ""),
        "test_toy.py": (Outcome.CRASH, "killed by SIGSEGV, after a had ended"),
    }


def test_a_death_before_any_test_is_the_files() -> None:
    assert judged([START], killed(11)) == {"test_toy.py": (Outcome.CRASH, "killed by SIGSEGV")}


def test_a_crash_during_shutdown_is_seen_though_all_tests_passed() -> None:
    events = [START, started("a"), ended("a"), end(0)]
    assert judged(events, killed(11)) == {
        "a": (Outcome.PASS, ""),
        "test_toy.py": (Outcome.CRASH, "killed by SIGSEGV after the tests had ended"),
    }


def test_a_hang_during_shutdown_is_a_timeout() -> None:
    rows = judged([START, started("a"), ended("a"), end(0)], TIMED_OUT)
    assert rows["test_toy.py"] == (Outcome.TIMEOUT, "stopped after 60 s after the tests had ended")


def test_a_script_that_crashes_during_shutdown_did_not_pass() -> None:
    events = [START, started("test_toy.py"), ended("test_toy.py"), end(0)]
    assert judged(events, killed(6)) == {
        "test_toy.py": (Outcome.CRASH, "killed by SIGABRT after the tests had ended"),
    }


def test_an_exit_status_that_shutdown_changed_is_a_crash() -> None:
    rows = judged([START, started("a"), ended("a"), end(0)], left(120))
    assert rows["test_toy.py"] == (
        Outcome.CRASH,
        "its shutdown changed the exit status from 0 to 120 after the tests had ended",
    )


@pytest.mark.parametrize(("promised", "code"), [(0, 0), (1, 1), (-1, 255), (None, 3), (256, 0)])
def test_the_exit_status_that_was_meant_is_none(promised: int | None, code: int) -> None:
    assert judged([START, ended("a", "fail"), end(promised)], left(code)) == {"a": (Outcome.FAIL, "")}


@pytest.mark.parametrize(
    ("written", "code", "row", "reason"),
    [
        (
            [started("a"), ended("a")],
            3,
            "test_toy.py::(exit status)",
            "left with exit status 3, though no test is said to have failed",
        ),
        (
            [started("test_toy.py"), ended("test_toy.py")],
            3,
            "test_toy.py",
            "left with exit status 3, though no test is said to have failed",
        ),
        ([started("a"), ended("a")], 5, "test_toy.py::(exit status)", "left with exit status 5, though"),
        ([ended("a", "empty")], 1, "test_toy.py::(exit status)", "left with exit status 1, though"),
        ([started("a"), ended("a"), end(0)], 0, "test_toy.py::(exit status)", "2 events of its end"),
        ([START, started("a"), ended("a")], 0, "test_toy.py::(exit status)", "2 events of its beginning"),
        (
            [{"event": "collected", "ids": ["a", "b"]}, started("a"), ended("a")],
            0,
            "b",
            "it was collected, and nothing says what",
        ),
        ([ended("a"), started("a")], 0, "a", "it is said to have passed, and never to have begun"),
        ([ended("a", "skip"), ended("a")], 0, "a", "several results were written for it: skip, pass"),
    ],
)
def test_what_contradicts_is_an_error(written: list[dict[str, Any]], code: int, row: str, reason: str) -> None:
    found = judged([START, *written, end(code)], left(code))
    assert found[row][0] is Outcome.ERROR
    assert reason in found[row][1]
    assert (found.get("a", found[row])[0] is Outcome.PASS) == (row != "a" and ended("a") in written)


COVERAGE = """\
..                                                                       [100%]
ERROR: Coverage failure: total of 50 is less than fail-under=80

=============== tests coverage ===============
TOTAL        4      2    50%
FAIL Required test coverage of 80% not reached. Total coverage: 50.00%
2 passed in 0.03s
"""
MAXIMUM = "..  [100%]\n-- Docs: https://docs.pytest.org/\nTests pass, but maximum allowed warnings exceeded: 2 > 1\n"


@pytest.mark.parametrize(
    ("code", "stdout", "said"),
    [
        (1, COVERAGE, ": Coverage failure: total of 50 is less than fail-under=80"),
        (
            1,
            "\x1b[31mFAIL Required test coverage of 80% not reached\x1b[0m\n",
            ": Required test coverage of 80% not reached",
        ),
        (6, MAXIMUM, ": Tests pass, but maximum allowed warnings exceeded: 2 > 1"),
        (3, "..  [100%]\nthe budget is spent\n2 passed in 0.01s\n", ": the budget is spent"),
        (3, "..  [100%]\n2 passed in 0.01s\n", ""),
    ],
)
def test_why_pytest_ends_with_another_status_than_its_tests_is_quoted(code: int, stdout: str, said: str) -> None:
    events = read(START, started("a"), ended("a"), end(code))
    rows = judge_harness(events, left(code), target="t", stdout=stdout, stderr="", runner="pytest")
    assert [(row.id, row.outcome) for row in rows] == [("a", Outcome.PASS), ("t::(exit status)", Outcome.ERROR)]
    assert rows[1].reason == f"pytest ended with status {code}, though no test failed{said}"
    assert rows[1].stdout == stdout


def test_what_is_told_after_the_end_is_an_error() -> None:
    said = [START, started("a"), ended("a"), end(0), started("b"), ended("b")]
    assert "more of its tests after their end" in judged(said, left())["test_toy.py::(exit status)"][1]
    imported = {"event": "import", "wall_s": 1}  # by a thread that goes on
    assert judged([START, started("a"), ended("a"), end(0), imported], left()) == {"a": (Outcome.PASS, "")}


def collected(*names: str) -> dict[str, Any]:
    return {"event": "collected", "ids": names}


@pytest.mark.parametrize(
    "written",
    [
        [collected("a"), started("a"), started("ghost"), ended("ghost"), ended("a")],
        [collected("a"), started("a"), ended("a"), started("ghost"), ended("ghost", "skip")],
        [collected("a"), started("a"), ended("a"), ended("ghost")],
        [collected("a"), started("a"), collected("ghost"), started("ghost"), ended("ghost"), ended("a")],
    ],
)
@pytest.mark.parametrize("exit", [left(0), killed(9)])
def test_a_test_that_was_not_collected_has_no_result_and_its_process_is_no_good(
    written: list[dict[str, Any]], exit: Exit
) -> None:
    rows = judge_harness(read(START, *written, end(0)), exit, target="t.py", stdout="", stderr="")
    outcomes = {row.id: row.outcome for row in rows}
    assert outcomes.pop("a") is Outcome.PASS
    [bad] = outcomes.values()
    assert bad in (Outcome.ERROR, Outcome.CRASH)
    told = "the process told of 1 test that it can't have run: ghost"
    assert [told in (row.reason, *row.remarks) for row in rows] == [False, True]


def test_a_script_is_one_test_whatever_it_tells_of_others() -> None:
    ghosts = [event for number in range(9) for event in (started(f"{number}" * 200), ended(f"{number}" * 200))]
    said = [START, started("t.py"), collected("x"), *ghosts, ended("t.py"), end(0)]
    rows = judge_harness(read(*said), left(0), target="t.py", stdout="", stderr="", runner="script")
    assert [(row.id, row.outcome) for row in rows] == [("t.py", Outcome.ERROR)]
    assert rows[0].reason.startswith("the process told of 10 tests that it can't have run: x, 0000")
    assert rows[0].reason.endswith(" and 7 others")
    assert len(rows[0].reason) < 400


@pytest.mark.parametrize(
    "written",
    [
        [started("a"), ended("a"), started("b"), ended("b")],  # pytest-xdist: others collect
        [collected("a", "b"), started("a"), started("b"), ended("b"), ended("a")],  # two at once
        [collected("a"), started("a"), ended("a"), collected("b"), started("b"), ended("b")],  # it came up later
        [collected("a"), started("a"), ended("a"), started("b"), ended("b")],  # a script among the targets
        [collected("a"), started("a"), ended("a"), ended("b", "skip")],  # a module that skips itself
    ],
)
def test_all_that_the_harness_tells_is_believed(written: list[dict[str, Any]]) -> None:
    rows = judge_harness(
        read(START, *written, end(0)), left(), target="t.py", stdout="", stderr="", targets=["t.py", "b"]
    )
    assert {row.id: row.reason for row in rows} == {"a": "", "b": ""}


def test_what_was_collected_and_has_no_result_is_named_so_far_and_then_counted() -> None:
    found = judged([START, collected(*map(str, range(100_000))), end(0)], left())
    assert len(found) == 101
    assert found["99"] == (Outcome.ERROR, "it was collected, and nothing says what became of it")
    assert found["test_toy.py::(exit status)"] == (
        Outcome.ERROR,
        "nothing says what became of 99900 other tests that it collected",
    )


def test_behind_the_end_only_what_is_bad_counts() -> None:
    said = [START, collected("a", "b", "c"), started("a"), ended("a"), end(0), ended("b", "fail"), ended("c"), end(0)]
    found = judged(said, left())
    assert (found["a"][0], found["b"][0], "c" in found) == (Outcome.PASS, Outcome.FAIL, False)
    assert "2 events of its end" in found["test_toy.py::(exit status)"][1]


@pytest.mark.parametrize("exit", [killed(6), left(7)])
def test_a_process_that_dies_proves_no_pass_of_what_never_began(exit: Exit) -> None:
    rows = judged([START, started("a"), ended("b")], exit)
    assert rows == {
        "b": (Outcome.ERROR, "it is said to have passed, and never to have begun"),
        "a": (Outcome.CRASH, rows["a"][1]),
    }


@pytest.mark.parametrize("exit", [left(1), killed(9), TIMED_OUT])
def test_no_later_result_makes_a_failure_undone(exit: Exit) -> None:
    written = [START, ended("a", "fail"), ended("b"), ended("a"), end(1)]
    rows = judge_harness(read(*written), exit, target="test_toy.py", stdout="", stderr="")
    assert [row.outcome for row in rows if row.id == "a"] == [Outcome.FAIL]
    assert next(row for row in rows if row.id == "a").remarks == ("several results were written for it: fail, pass",)


@pytest.mark.parametrize(
    ("written", "code"), [([], 5), ([ended("a", "empty")], 5), ([ended("a", "skip")], 5), ([ended("a", "fail")], 0)]
)
def test_nothing_collected_contradicts_nothing(written: list[dict[str, Any]], code: int) -> None:
    found = judged([START, *written, end(code)], left(code))
    assert [outcome for outcome, _ in found.values()] == [Outcome(event["status"]) for event in written]


def test_an_interpreter_that_cannot_start_says_its_last_words() -> None:
    stderr = "Fatal Python error: init_fs_encoding\n\nModuleNotFoundError: No module named 'encodings'\n"
    assert judged([], left(1), stderr) == {
        "test_toy.py": (
            Outcome.CRASH,
            "the interpreter could not start (exit status 1): ModuleNotFoundError: No module named 'encodings'",
        )
    }


def test_an_interpreter_that_dies_silently_is_told_so() -> None:
    [(_, reason)] = judged([], left(127)).values()
    assert reason == "the interpreter could not start (exit status 127): it said nothing"


def test_a_program_that_is_not_there_is_a_crash_with_its_name() -> None:
    exit = Exit(None, None, False, 0.0, 0.0, 0, spawn_error="/env/bin/python: No such file or directory")
    assert judged([], exit) == {
        "test_toy.py": (Outcome.CRASH, "it could not be started: /env/bin/python: No such file or directory")
    }


# -- limits

BEYOND = [
    (Limit.MEMORY, 4 * 10**9, Outcome.OOM, "it needed more memory than 4.0 GB (--limit memory=…)"),
    (Limit.MEMORY, None, Outcome.OOM, "killed while the machine's memory ran out"),
    (
        Limit.PROCESSES,
        4096,
        Outcome.CRASH,
        "stopped: it had more than 4,096 processes and threads (--limit processes=…)",
    ),
    (Limit.SCRATCH, 16 * 10**9, Outcome.CRASH, "stopped: it wrote more than 16 GB (--limit scratch=…)"),
    (Limit.OUTPUT, 256 * 10**6, Outcome.CRASH, "stopped: it printed more than 256 MB (--limit output=…)"),
    (Limit.FILE_SIZE, 16 * 10**9, Outcome.CRASH, "stopped: beyond the limit of file-size, 16 GB"),
    (Limit.OPEN_FILES, 4096, Outcome.CRASH, "stopped: beyond the limit of open-files, 4,096"),
]


@pytest.mark.parametrize(("limit", "allowed", "outcome", "reason"), BEYOND)
def test_a_test_beyond_a_limit_is_told_which(limit: Limit, allowed: int | None, outcome: Outcome, reason: str) -> None:
    exit = beyond(limit, allowed)
    assert judged([START, started("a"), ended("a"), started("b")], exit) == {
        "a": (Outcome.PASS, ""),
        "b": (outcome, reason),
    }
    [row] = judge_command(exit, target="x", stdout="", stderr="")
    assert (row.outcome, row.reason) == (outcome, reason)


def test_every_limit_has_its_words() -> None:
    assert {limit for limit, *_ in BEYOND} == set(Limit)


def test_memory_that_ran_out_is_told_though_the_tests_had_passed() -> None:
    """A child process can be the one that is killed."""
    exit = replace(left(0), exceeded=Exceeded(Limit.MEMORY, 4 * 10**9))
    assert judged([START, started("a"), ended("a"), end(0)], exit) == {
        "a": (Outcome.PASS, ""),
        "test_toy.py": (
            Outcome.OOM,
            "it needed more memory than 4.0 GB (--limit memory=…) after the tests had ended",
        ),
    }


@pytest.mark.parametrize(
    ("exceeded", "limit"),
    [
        (Exceeded(Limit.PROCESSES, 10), Limit.PROCESSES),
        (Exceeded(Limit.MEMORY, 10**9), Limit.MEMORY),
        (Exceeded(Limit.MEMORY, None), None),
        (None, None),
    ],
)
def test_a_row_names_the_limit_that_ended_it_but_not_what_the_machine_ran_out_of(
    exceeded: Exceeded | None, limit: Limit | None
) -> None:
    exit = replace(killed(9), exceeded=exceeded)
    [of_harness] = judge_harness(read(START, started("a")), exit, target="t", stdout="", stderr="")
    [of_command] = judge_command(exit, target="t", stdout="", stderr="")
    assert (of_harness.limit, of_command.limit) == (limit, limit)


def test_a_limit_says_more_than_the_time_and_the_signal_that_followed() -> None:
    exit = replace(TIMED_OUT, exceeded=Exceeded(Limit.OUTPUT, 10**6))
    assert judged([START, started("a")], exit) == {
        "a": (Outcome.CRASH, "stopped: it printed more than 1.0 MB (--limit output=…)")
    }


# -- what a test may write into the events itself


@pytest.mark.parametrize(
    "forged",
    [
        {"event": "test"},
        {"event": "test", "id": "x"},
        {"event": "test", "id": "x", "status": "perfect"},
        {"event": "test", "id": "x", "status": "no-python"},
        {"event": "test", "id": "x", "status": ["pass"]},
        {"event": "test", "id": "x", "status": "fail", "exception": "text"},
        {"event": "test", "id": "x", "status": "fail", "exception": {"line": "many"}},
        {"event": "test", "id": "x", "status": "pass", "wall_s": "long"},
        {"event": "test", "id": "x", "status": "pass", "peak_rss_kib": float("inf")},
        {"event": "test", "id": "x", "status": "pass", "warnings": [3]},
        {"event": "test", "id": "x", "status": "pass", "remarks": 3},
        {"event": ["test"]},
        {},
    ],
)
def test_an_event_that_is_none_is_left_out(forged: dict[str, Any]) -> None:
    assert judged([START, forged, started("a"), ended("a"), end()], left()) == {"a": (Outcome.PASS, "")}


# -- a plain command


def test_a_commands_exit_status_decides() -> None:
    [row] = judge_command(left(0), target="make check", stdout="", stderr="")
    assert (row.id, row.outcome, row.exit_code, row.cpu_s, row.peak_rss_kib) == (
        "make check",
        Outcome.PASS,
        0,
        1.25,
        2048,
    )
    [row] = judge_command(left(3), target="make check", stdout="", stderr=TRACEBACK)
    assert (row.outcome, row.reason) == (Outcome.FAIL, "exit status 3")
    assert row.exception == ExceptionFact("ValueError", "bad: very", "/env/toy/core.py", 41, "work")
    [row] = judge_command(left(2), target="make check", stdout="", stderr="a\nmake: *** no rule\n\n")
    assert row.reason == "exit status 2: make: *** no rule"


@pytest.mark.parametrize(
    ("exit", "outcome", "reason"),
    [
        (killed(11), Outcome.CRASH, "killed by SIGSEGV"),
        (TIMED_OUT, Outcome.TIMEOUT, "stopped after 60 s"),
        (
            Exit(None, None, False, 0, 0, 0, spawn_error="./x: Permission denied"),
            Outcome.CRASH,
            "it could not be started: ./x: Permission denied",
        ),
    ],
)
def test_a_command_that_does_not_end_by_itself(exit: Exit, outcome: Outcome, reason: str) -> None:
    [row] = judge_command(exit, target="x", stdout="", stderr=TRACEBACK)
    assert (row.outcome, row.reason, row.exception) == (outcome, reason, None)


def test_a_command_that_passes_in_spite_of_a_traceback_gets_a_remark() -> None:
    [row] = judge_command(left(0), target="x", stdout="", stderr=TRACEBACK)
    assert row.remarks == ("passed, but printed a traceback",)
    assert judge_command(left(0), target="x", stdout="fine", stderr="")[0].remarks == ()


USAGE = "usage: check.py [-h] FILE\ncheck.py: error: the following arguments are required: FILE\n"
CLICK = "Usage: check.py [OPTIONS]\nTry 'check.py --help' for help.\n\nError: Missing option '--data'.\n"


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        (USAGE, "check.py: error: the following arguments are required: FILE"),
        (CLICK, "Error: Missing option '--data'."),
    ],
)
def test_who_was_called_wrongly_says_so_itself(stderr: str, said: str) -> None:
    left_by_itself = TestRow("t", Outcome.FAIL, ExceptionFact("SystemExit", "2"), exit_code=2)
    row = with_output(left_by_itself, "", stderr)
    assert (row.exception, row.reason) == (None, f"{said} (what stands behind -- is given to it)")
    assert last_words(row) == ()
    assert judge_command(left(2), target="x", stdout="", stderr=stderr)[0].reason == f"exit status 2: {said}"
    for other in (with_output(replace(left_by_itself, exit_code=1), "", stderr), with_output(left_by_itself, "", "no")):
        assert other.exception == ExceptionFact("SystemExit", "2")


def test_the_last_words_of_a_process_are_told_where_no_exception_is() -> None:
    def words(outcome: Outcome, stderr: str, exception: ExceptionFact | None = None, **facts: Any) -> list[str]:
        row = TestRow("t", outcome, exception, stderr=stderr, **facts)
        return list(last_words(row))

    noise = "2026-11-30 14:56:10.1: W tensorflow/dso_loader.cc:64] no libcudart\n"
    assert words(Outcome.CRASH, f"{noise}terminate called\n  what():  bad\n{noise}") == [
        "terminate called",
        "  what():  bad",
    ]
    fatal = "Fatal Python error: Segmentation fault\n\nCurrent thread 0x1 (most recent call first):\n  File a\n"
    assert words(Outcome.CRASH, f"before\n{fatal}Extension modules: numpy\n")[0] == fatal.splitlines()[0]
    assert words(Outcome.FAIL, "no GPU\n", ExceptionFact("SystemExit", "1")) == ["no GPU"]
    assert words(Outcome.FAIL, "make: *** [x] Error 2\n", exit_code=2) == ["make: *** [x] Error 2"]
    assert words(Outcome.FAIL, "noise\n", ExceptionFact("TypeError", "1")) == []
    assert words(Outcome.PASS, "noise\n") == []


# -- a script's output


def test_a_script_that_hides_its_exception_gets_a_remark() -> None:
    row = with_output(TestRow("t", Outcome.PASS, remarks=("odd",)), TRACEBACK, "err")
    assert (row.stdout, row.stderr) == (TRACEBACK, "err")
    assert row.remarks == ("odd", "passed, but printed a traceback")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("F.\n=== 1 failed, 2 passed in 0.10s ===\n", "1 failed, 2 passed in 0.10s"),
        ("2 passed, 1 error in 0.10s (0:00:01)\n", "2 passed, 1 error in 0.10s"),
        ("Ran 2 tests in 0.001s\n\nFAILED (failures=1, skipped=1)\n", "FAILED (failures=1, skipped=1)"),
    ],
)
def test_what_leaves_with_0_although_its_tests_failed_gets_a_remark(said: str, told: str) -> None:
    remark = f"it left with 0, though its tests failed, as it says itself: {told}"
    [row] = judge_command(left(), target="pytest | tee log", stdout=said, stderr="")
    assert (row.outcome, row.remarks) == (Outcome.PASS, (remark,))
    assert with_output(TestRow("t", Outcome.PASS), "", said).remarks == (remark,)
    fine = "== 2 passed, 1 xfailed in 0.10s ==\n1 failed login in 3 days\n"
    assert with_output(TestRow("t", Outcome.PASS), fine, "").remarks == ()


def test_a_failed_script_prints_its_traceback_by_right() -> None:
    assert with_output(TestRow("t", Outcome.FAIL), "", TRACEBACK).remarks == ()


# -- the last traceback


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fine", None),
        ("Traceback (most recent call last):\n", None),
        ("Traceback (most recent call last):\nKeyboardInterrupt\n", ExceptionFact("KeyboardInterrupt", "")),
        (
            TRACEBACK
            + "\nDuring handling of the above exception, another exception occurred:\n\n"
            + TRACEBACK.replace("ValueError", "a.b.E"),
            ExceptionFact("a.b.E", "bad: very", "/env/toy/core.py", 41, "work"),
        ),
        (
            'Traceback (most recent call last):\n  File "a.py", line 1\n    x = \n        ^\nSyntaxError: invalid',
            ExceptionFact("SyntaxError", "invalid", "a.py", 1, ""),
        ),
        (
            'Traceback (most recent call last):\n  File "/a, b.py", line 7, in <module>\nE: x',
            ExceptionFact("E", "x", "/a, b.py", 7, "<module>"),
        ),
    ],
)
def test_the_last_exception_of_an_output(text: str, expected: ExceptionFact | None) -> None:
    assert last_exception(text) == expected


# -- how much is kept


def test_of_a_cell_that_tells_without_end_failures_keep_their_text_first() -> None:
    long = "x" * 5_000 + "end"
    rows = [
        TestRow("a", Outcome.PASS, stdout=long, remarks=("of the harness",)),
        TestRow("b", Outcome.FAIL, traceback=long, warnings=(WarningFact("W", "m"),)),
        TestRow("c", Outcome.PASS, stdout="short"),
        TestRow("d", Outcome.FAIL, traceback=long),
    ]
    assert with_bounded_text(rows, 20_000) == tuple(rows)
    first, *others = with_bounded_text(rows, 11_000)
    assert others == rows[1:]
    assert (len(first.stdout), first.stdout[-3:], first.remarks[0]) == (1_000, "end", "of the harness")
    assert first.remarks[1].startswith("cut to 1000 characters")
    kept = sum(len(row.stdout) + len(row.traceback) for row in with_bounded_text(rows * 100, 11_000))
    assert kept < 500_000
