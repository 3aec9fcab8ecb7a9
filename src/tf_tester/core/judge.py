"""From what the harness wrote and how the process ended, to outcomes.

The verdict comes from the exit status and the event file, never from what the test prints. The test can write into
that file too: an event that is none is left out, and none of them can be an exception of ours.
"""

import re
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from tf_tester.core.settings import memory_words
from tf_tester.core.sizes import size_text
from tf_tester.model.exit import Exit
from tf_tester.model.limits import Exceeded, Limit
from tf_tester.model.outcome import ExceptionFact, Outcome, TestRow, WarningFact

_COULD_NOT_BEGIN = "pytest could not begin: see its output"
TRACEBACK = "Traceback (most recent call last)"
_FRAME = re.compile(r'  File "(.*)", line ([0-9]{1,9})(?:, in (.*))?')
_N = TypeVar("_N", int, float)
_GRAVEST_FIRST = (
    Outcome.OOM,
    Outcome.CRASH,
    Outcome.TIMEOUT,
    Outcome.ERROR,
    Outcome.FAIL,
    Outcome.PASS,
    Outcome.SKIP,
)


def worst(rows: Sequence[TestRow]) -> Outcome:
    """A cell is as bad as its worst test; no test at all is an error, and only skipped tests are `skip`."""
    outcomes = {row.outcome for row in rows}
    return next((outcome for outcome in _GRAVEST_FIRST if outcome in outcomes), Outcome.ERROR)


def judge_harness(
    events: Sequence[Mapping[str, Any]], end: Exit, *, target: str, stdout: str, stderr: str
) -> tuple[TestRow, ...]:
    """Rows of a run under the harness. `target` names the row where no test was reached.

    `stdout` and `stderr` are the process's own (already bounded); a script's row gets them, and so does the
    row of a test during which the process died.
    """
    rows = [row for event in events if event.get("event") == "test" if (row := _row(event)) is not None]
    last = next((event for event in reversed(events) if event.get("event") == "end"), None)
    unfinished = _unfinished(events)
    death = _death(end, started=any(event.get("event") == "start" for event in events), stderr=stderr)
    if death is None and last is None:
        death = Outcome.CRASH, f"the process left through os._exit({end.code}) without ending its tests"
    elif death is None and last is not None and _differs(last.get("exit_code"), end.code):
        death = Outcome.CRASH, f"its shutdown changed the exit status from {last['exit_code']} to {end.code}"
    if death is not None:
        outcome, reason = death
        named = unfinished or target
        if last is not None:
            reason += " after the tests had ended"
        elif unfinished is None and rows:
            reason += f", after {rows[-1].id} had ended"
        victim = TestRow(
            named, outcome, reason=reason, stdout=stdout, stderr=stderr, wall_s=end.wall_s, exit_code=end.code
        )
        rows = [row for row in rows if row.id != named] + [victim]
    return tuple(_with_output_of_pytest(row, stderr) for row in rows)


def _with_output_of_pytest(row: TestRow, stderr: str) -> TestRow:
    """Where pytest itself gave up, what it said is the reason."""
    if row.exception is not None or _COULD_NOT_BEGIN not in row.remarks:
        return replace(row, reason=row.reason or row.remarks[0]) if _is_bare_error(row) else row
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    told = [line.partition(": error: ")[2] for line in lines if ": error: " in line]
    told = told or [line for line in lines if "error" in line.lower()] or lines[-1:] or ["see its output"]
    remarks = tuple(remark for remark in row.remarks if remark != _COULD_NOT_BEGIN)
    return replace(row, reason=f"pytest could not begin: {told[0]}", stderr=stderr, remarks=remarks)


def _is_bare_error(row: TestRow) -> bool:
    return row.outcome is Outcome.ERROR and row.exception is None and not row.reason and bool(row.remarks)


def judge_command(end: Exit, *, target: str, stdout: str, stderr: str) -> tuple[TestRow, ...]:
    """The one row of a plain command: its exit status decides."""
    death = _death(end, started=True, stderr=stderr)
    if death is not None:
        outcome, reason = death
    elif end.code == 0:
        outcome, reason = Outcome.PASS, ""
    else:
        outcome, reason = Outcome.FAIL, f"exit status {end.code}"
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
            remarks=printed_traceback(stdout, stderr) if outcome is Outcome.PASS else (),
        ),
    )


def with_output(row: TestRow, stdout: str, stderr: str) -> TestRow:
    """A script's row with what its process printed, and the remark that a caught exception deserves."""
    remarks = row.remarks
    if row.outcome is Outcome.PASS:
        remarks += printed_traceback(stdout, stderr)
    return replace(row, stdout=stdout, stderr=stderr, remarks=remarks)


def printed_traceback(stdout: str, stderr: str) -> tuple[str, ...]:
    """The remark on a test that passed although it printed a traceback."""
    return ("passed, but printed a traceback",) if TRACEBACK in stdout or TRACEBACK in stderr else ()


def last_exception(stderr: str) -> ExceptionFact | None:
    """The exception of the last traceback in a program's output, where there is one."""
    start = stderr.rfind(TRACEBACK)
    if start < 0:
        return None
    file, line, function = "", 0, ""
    for text in stderr[start:].splitlines()[1:]:
        if frame := _FRAME.match(text):
            file, line, function = frame[1], int(frame[2]), frame[3] or ""
        elif text and not text.startswith(" "):
            kind, _, message = text.partition(": ")
            return ExceptionFact(kind.strip(), message, file, line, function)
    return None


def _row(event: Mapping[str, Any]) -> TestRow | None:
    """The row of an event, or None where it isn't one that the harness writes."""
    try:
        outcome = Outcome(event["status"])
        exception = event.get("exception")
        row = TestRow(
            id=str(event["id"]),
            outcome=outcome,
            exception=_exception(exception) if exception else None,
            traceback=str(event.get("traceback") or ""),
            stdout=str(event.get("stdout") or ""),
            stderr=str(event.get("stderr") or ""),
            reason=str(event.get("reason") or ""),
            warnings=tuple(map(_warning, event.get("warnings") or ())),
            wall_s=_number(event.get("wall_s"), float),
            cpu_s=_number(event.get("cpu_s"), float),
            peak_rss_kib=_number(event.get("peak_rss_kib"), int),
            exit_code=_number(event.get("exit_code"), int),
            remarks=tuple(map(str, event.get("remarks") or ())),
        )
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError):
        return None
    return row if outcome.ran else None


def _exception(exception: Mapping[str, Any]) -> ExceptionFact:
    # The frame inside the package says more than the one in the standard library below it.
    frame = exception.get("in_package") or exception
    return ExceptionFact(
        str(exception.get("type", "")),
        str(exception.get("message", "")),
        str(frame.get("file") or ""),
        int(frame.get("line") or 0),
        str(frame.get("function") or ""),
    )


def _warning(warning: Mapping[str, Any]) -> WarningFact:
    return WarningFact(
        str(warning.get("category", "")),
        str(warning.get("message", "")),
        str(warning.get("file") or ""),
        int(warning.get("line") or 0),
        int(warning.get("count") or 1),
    )


def _number(value: Any, kind: Callable[[Any], _N]) -> _N | None:
    return None if value is None else kind(value)


def _unfinished(events: Sequence[Mapping[str, Any]]) -> str | None:
    """The test that was running when the process ended."""
    running: str | None = None
    for event in events:
        if event.get("event") == "test-start":
            running = str(event.get("id"))
        elif event.get("event") == "test" and str(event.get("id")) == running:
            running = None
    return running


def _death(end: Exit, *, started: bool, stderr: str) -> tuple[Outcome, str] | None:
    """How the process died, or None where it left by itself."""
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


def _as_given(size: int) -> str:
    """`4G`, as somebody wrote it; what nobody would write is rounded."""
    words = memory_words(size)
    return size_text(size) if words.endswith("K") else words


def _differs(promised: object, code: int | None) -> bool:
    """Whether a process left with another status than Python meant to; C++ destructors and `atexit` can do that."""
    return isinstance(promised, int) and code is not None and promised & 0xFF != code & 0xFF


def _signal_name(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    return f"{name} (out of memory, or somebody's kill)" if name == "SIGKILL" else name
