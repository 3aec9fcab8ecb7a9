"""From what the harness wrote and how the process ended, to outcomes.

The outcome comes from the exit status and the events, never from what the test prints.
"""

import re
import signal
from collections.abc import Collection, Sequence

from msgspec.structs import replace

from tf_tester.core.outcome.contradictions import agreed, begun, believable, one_of_each
from tf_tester.core.outcome.harness_events import (
    HarnessEvent,
    ReportedException,
    RowFinished,
    RowStarted,
    SessionEnded,
    SessionStarted,
)
from tf_tester.core.outcome.runner_output import first_failure, ran_no_test, said_to_fail
from tf_tester.core.outcome.tracebacks import FRAME, TRACEBACK, usage_error
from tf_tester.core.text.sizes import size_text
from tf_tester.core.text.units import memory_words
from tf_tester.model.host.exit import Exit
from tf_tester.model.host.limits import Exceeded, Limit
from tf_tester.model.outcome import ExceptionFact, Outcome, TestRow, WarningFact

_MISUSE = 2
"""The exit status of a program that was called wrongly (argparse, click, GNU)."""
_LONGEST_WORDS = 300
"""Characters of one line of a program's that are told."""
MOST_TEXT = 8_000_000
"""Characters that are kept of what a cell's tests printed and warned of: all cells of a run are held together."""
_LEAST_TEXT = 1_000
"""Characters of each text of a row behind that."""


def judge_harness(
    events: Sequence[HarnessEvent],
    end: Exit,
    *,
    target: str,
    stdout: str,
    stderr: str,
    targets: Collection[str] = (),
    runner: str = "",
) -> tuple[TestRow, ...]:
    """Return the rows of a run under the harness. `target` names the row where no test was reached, `runner` who ran.

    `stdout` and `stderr` are the process's own (already bounded); a script's row gets them, and so does the
    row of a test during which the process died. `targets`: all that was given, of which each may be a script that is a
    test itself.
    """
    believed = believable(events, targets={target, *targets}, is_script=runner == "script")
    events = believed.events
    rows = begun(one_of_each([_row(event, stderr) for event in events if isinstance(event, RowFinished)]), events)
    last = next((event for event in reversed(events) if isinstance(event, SessionEnded)), None)
    unfinished = _unfinished(events)
    death = how_it_died(end, started=any(isinstance(event, SessionStarted) for event in events), stderr=stderr)
    if death is None and last is None:
        death = Outcome.CRASH, f"the process left through os._exit({end.code}) without ending its tests"
    elif death is None and last is not None and _differs(last.exit_code, end.code):
        death = Outcome.CRASH, f"its shutdown changed the exit status from {last.exit_code} to {end.code}"
    if death is None:
        return agreed(rows, believed, end.code, target=target, runner=runner, stdout=stdout, stderr=stderr)
    outcome, reason = death
    named = unfinished or target
    if last is not None:
        reason += " after the tests had ended"
    elif unfinished is None and rows:
        reason += f", after {rows[-1].id} had ended"
    victim = TestRow(
        named,
        outcome,
        reason=reason,
        stdout=stdout,
        stderr=stderr,
        wall_s=end.wall_s,
        exit_code=end.code,
        remarks=(believed.besides,) if believed.besides else (),
        limit=_limit(end),
    )
    return (*(row for row in rows if row.id != named), victim)


def judge_command(end: Exit, *, target: str, stdout: str, stderr: str) -> tuple[TestRow, ...]:
    """Return the one row of a plain command: its exit status decides."""
    death = how_it_died(end, started=True, stderr=stderr)
    if death is not None:
        outcome, reason = death
    elif end.code == 0:
        outcome, reason = Outcome.PASS, ""
    else:
        misused = usage_error(stderr) if end.code == _MISUSE else ""
        outcome, reason = Outcome.FAIL, f"exit status {end.code}"
        # A traceback's last line is its exception, and told as such.
        told = misused or first_failure(stdout)[:_LONGEST_WORDS]
        reason += f": {told}" if told else "" if last_exception(stderr) else _last_words(stderr)
    return (
        TestRow(
            target,
            outcome,
            exception=last_exception(stderr) if outcome is Outcome.FAIL else None,
            stdout=stdout,
            stderr=stderr,
            reason=reason,
            wall_s=end.wall_s,
            cpu_s=end.cpu_s,
            peak_rss_kib=end.peak_rss_kib,
            exit_code=end.code,
            remarks=_about_a_pass(stdout, stderr) if outcome is Outcome.PASS else (),
            limit=_limit(end),
        ),
    )


def _about_a_pass(stdout: str, stderr: str) -> tuple[str, ...]:
    """Return what there is to say of a program that left with 0."""
    printed = f"{stdout}\n{stderr}"
    told = ["it ran no tests, as it says itself, and left with 0"] if ran_no_test(printed) else []
    if said := said_to_fail(printed)[:_LONGEST_WORDS]:
        told.append(f"it left with 0, though its tests failed, as it says itself: {said}")
    return (*told, *printed_traceback(stdout, stderr))


def _last_words(stderr: str) -> str:
    """Return the last line that a program has said, behind a colon."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return f": {lines[-1][:_LONGEST_WORDS]}" if lines else ""


def with_output(row: TestRow, stdout: str, stderr: str) -> TestRow:
    """Return a script's row with what its process printed, and the remark that a caught exception deserves."""
    remarks = row.remarks
    if row.outcome is Outcome.PASS:
        remarks += _about_a_pass(stdout, stderr)
    row = replace(row, stdout=stdout, stderr=stderr, remarks=remarks)
    left = row.exception is not None and row.exception.type == "SystemExit" and row.exit_code == _MISUSE
    if left and (misused := usage_error(stderr)):
        return replace(row, exception=None, reason=f"{misused} (what stands behind -- is given to it)")
    return row


def with_bounded_text(rows: Sequence[TestRow], most: int = MOST_TEXT) -> tuple[TestRow, ...]:
    """Return the rows of a cell with little more text than so many characters: first those keep theirs that failed."""
    left = most
    bounded: dict[int, TestRow] = {}
    for number, row in sorted(enumerate(rows), key=lambda one: not one[1].outcome.is_failure_of_the_test):
        left -= _length(row)
        if left < 0:
            bounded[number] = _in_short(row)
    return tuple(bounded.get(number, row) for number, row in enumerate(rows)) if bounded else tuple(rows)


def _length(row: TestRow) -> int:
    told = sum(len(one.message) + len(one.file) for one in row.warnings) + sum(map(len, row.remarks)) + len(row.reason)
    message = row.exception.message if row.exception is not None else ""
    return told + len(message) + len(row.traceback) + len(row.stdout) + len(row.stderr)


def _in_short(row: TestRow) -> TestRow:
    if _length(row) <= _LEAST_TEXT:
        return row
    cut = f"cut to {_LEAST_TEXT} characters: the tests of this cell told more than {MOST_TEXT:,} (the evidence has all)"
    remarks = tuple(remark[:_LEAST_TEXT] for remark in row.remarks[:3])
    raised = row.exception
    return replace(
        row,
        exception=None if raised is None else replace(raised, message=raised.message[:_LEAST_TEXT]),
        reason=row.reason[:_LEAST_TEXT],
        traceback=row.traceback[-_LEAST_TEXT:],
        stdout=row.stdout[-_LEAST_TEXT:],
        stderr=row.stderr[-_LEAST_TEXT:],
        warnings=(),
        remarks=(*remarks, cut),
    )


def printed_traceback(stdout: str, stderr: str) -> tuple[str, ...]:
    """Return the remark on a test that passed although it printed a traceback."""
    return ("passed, but printed a traceback",) if TRACEBACK in stdout or TRACEBACK in stderr else ()


def last_exception(stderr: str) -> ExceptionFact | None:
    """Return the exception of the last traceback in a program's output, where there is one."""
    start = stderr.rfind(TRACEBACK)
    if start < 0:
        return None
    file, line, function = "", 0, ""
    for text in stderr[start:].splitlines()[1:]:
        if frame := re.match(FRAME, text):
            file, line, function = frame[1], int(frame[2]), frame[3] or ""
        elif text and not text.startswith(" "):
            kind, _, message = text.partition(": ")
            return ExceptionFact(kind.strip(), message, file, line, function)
    return None


def _row(event: RowFinished, stderr: str) -> TestRow:
    row = TestRow(
        id=event.id,
        outcome=event.status,
        exception=None if event.exception is None else _exception(event.exception),
        traceback=event.traceback,
        stdout=event.stdout,
        stderr=event.stderr,
        reason=event.reason or "",
        warnings=tuple(WarningFact(one.category, one.message, one.file, one.line, one.count) for one in event.warnings),
        wall_s=event.wall_s,
        cpu_s=event.cpu_s,
        peak_rss_kib=event.peak_rss_kib,
        exit_code=event.exit_code,
        remarks=event.remarks,
    )
    if row.exception is not None:
        return row
    if event.could_not_begin:
        complaint = _complaint(stderr)
        if "unrecognized arguments" in complaint or "file or directory not found" in complaint:
            complaint += " (--runner script gives arguments to the file itself)"
        reason = f"pytest could not begin: {complaint}"
        return replace(row, reason=reason, stderr=stderr, could_not_begin=True)
    if row.outcome is Outcome.ERROR and not row.reason and row.remarks:
        return replace(row, reason=row.remarks[0])
    return row


def _complaint(stderr: str) -> str:
    """Return the line in which pytest says why it gives up."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    told = [line.partition(": error: ")[2] for line in lines if ": error: " in line]
    told = told or [line for line in lines if "error" in line.lower()] or lines[-1:] or ["see its output"]
    return told[0].removeprefix("ERROR: ")


def _exception(exception: ReportedException) -> ExceptionFact:
    # The frame inside the package says more than the one in the standard library below it.
    frame = exception.in_package or exception
    return ExceptionFact(exception.type, exception.message, frame.file or "", frame.line or 0, frame.function or "")


def _unfinished(events: Sequence[HarnessEvent]) -> str | None:
    """Return the test that was running when the process ended."""
    running: str | None = None
    for event in events:
        if isinstance(event, RowStarted):
            running = event.id
        elif isinstance(event, RowFinished) and event.id == running:
            running = None
    return running


def how_it_died(end: Exit, *, started: bool = True, stderr: str = "") -> tuple[Outcome, str] | None:
    """Return how a process died, with a sentence on why, or None where it left by itself."""
    if end.spawn_error:
        return Outcome.CRASH, f"it could not be started: {end.spawn_error}"
    if end.exceeded is not None:
        return _beyond(end.exceeded)
    if end.timed_out:
        return Outcome.TIMEOUT, f"stopped after {end.wall_s:.0f} s"
    if end.signal is not None:
        return Outcome.CRASH, f"killed by {_signal_name(end.signal)}"
    if not started:
        last = stderr.strip().splitlines()[-1:] or ["it said nothing"]
        return Outcome.CRASH, f"the interpreter could not start (exit status {end.code}): {last[0]}"
    return None


def _beyond(exceeded: Exceeded) -> tuple[Outcome, str]:
    limit, allowed = exceeded.limit, exceeded.allowed
    amount = "" if allowed is None else f"{allowed:,}" if limit.counts else _as_given(allowed)
    match limit:
        case Limit.MEMORY if allowed is None:
            return Outcome.OOM, "killed while the machine's memory ran out"
        case Limit.MEMORY:
            return Outcome.OOM, f"it needed more memory than {amount} (--limit memory=…)"
        case Limit.PROCESSES:
            return Outcome.CRASH, f"stopped: it had more than {amount} processes and threads (--limit processes=…)"
        case Limit.SCRATCH:
            return Outcome.CRASH, f"stopped: it wrote more than {amount} (--limit scratch=…)"
        case Limit.OUTPUT:
            return Outcome.CRASH, f"stopped: it printed more than {amount} (--limit output=…)"
        case _:
            return Outcome.CRASH, f"stopped: beyond the limit of {limit}, {amount}"


def _limit(end: Exit) -> Limit | None:
    """Return the limit that ended a process, unless the machine itself ran out."""
    return end.exceeded.limit if end.exceeded is not None and end.exceeded.allowed is not None else None


def _as_given(size: int) -> str:
    """Return `4G`, as somebody wrote it; what nobody would write is rounded."""
    words = memory_words(size)
    return size_text(size) if words.endswith("K") else words


def _differs(promised: int | None, code: int | None) -> bool:
    """Tell whether a process left with another status than Python meant; C++ destructors and `atexit` can do that."""
    return promised is not None and code is not None and promised & 0xFF != code & 0xFF


def _signal_name(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    return f"{name} (out of memory, or somebody's kill)" if name == "SIGKILL" else name
