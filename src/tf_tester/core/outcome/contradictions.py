"""Whether what a process has told of tests agrees with itself and with how the process ended.

What runs in the harness's own process can say things in its name, though nobody can take back what was said before. So
a pass needs one beginning and one result for each test that was collected, one end, nothing after it, and the exit
status that goes with them; what contradicts counts as the worse of both, and is told. Results of tests that the process
can't have are none. What such code claims of itself, of what would have run after it, and before any test runs of what
was collected, can't be told from the truth: no secret is safe there.
"""

from collections.abc import Collection, Sequence
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.outcome.harness_events import (
    HarnessEvent,
    PackageImported,
    RowFinished,
    RowStarted,
    SessionCollected,
    SessionEnded,
    SessionStarted,
)
from tf_tester.core.outcome.runner_output import why_it_ended
from tf_tester.core.text.sizes import count_text
from tf_tester.model.outcome import Outcome, TestRow, worst

NOTHING_COLLECTED = 5
"""Exit status of pytest, and of unittest since Python 3.12, where no test was found."""
EXIT_STATUS = "(exit status)"
"""Behind a target's name: what its process as a whole came to, where no test of it says so."""
_NO_RESULT = "it was collected, and nothing says what became of it"
_AFTER_THE_END = "the process told more of its tests after their end"
_NOT_BEGUN = "it is said to have passed, and never to have begun"
_LONGEST_WORDS = 300
"""Characters of one line of a program's that are told."""
_FAILED = frozenset({Outcome.FAIL, Outcome.ERROR, Outcome.CRASH})
_MOST_WITHOUT_RESULT = 100
"""Tests that get a row for having no result; of more, their number is told."""
_NAMED, _LONGEST_NAME = 3, 100
"""Tests that are named in a sentence, and characters of a name."""


class Believable(Struct, frozen=True):
    """What a process has told, as far as that can be."""

    events: tuple[HarnessEvent, ...]
    besides: str = ""
    """What else it told, in a sentence; empty: nothing."""


def believable(events: Sequence[HarnessEvent], *, targets: Collection[str], is_script: bool) -> Believable:
    """Return the events without those of tests that the process can't have.

    A script is one test, its target. Other tests are collected while none runs, if any are; a target may be a script as
    well, and what could not be loaded has a result, though never a pass. Behind the end nothing that comes is good.
    """
    kept: list[HarnessEvent] = []
    collected: set[str] = set()
    running: set[str] = set()
    impossible: dict[str, None] = {}
    is_over = is_late = False
    for event in events:
        if isinstance(event, SessionCollected):
            if is_script or is_over or running:
                impossible.update(dict.fromkeys(name for name in event.ids if name not in collected))
                continue
            collected.update(event.ids)
        elif isinstance(event, RowStarted | RowFinished):
            name = event.id
            status = event.status if isinstance(event, RowFinished) else None
            if is_over and status not in _FAILED:
                is_late = True
                continue
            is_known = name in targets or (not is_script and (not collected or name in collected))
            is_unloaded = not is_script and status not in (None, Outcome.PASS) and name not in impossible
            if not (is_known or is_unloaded):
                impossible[name] = None
                continue
            (running.add if status is None else running.discard)(name)
        is_over = is_over or isinstance(event, SessionEnded)
        kept.append(event)
    return Believable(tuple(kept), _told_of(impossible) if impossible else _AFTER_THE_END if is_late else "")


def _told_of(names: Collection[str]) -> str:
    first = islice(names, _NAMED)
    shown = [name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…" for name in first]
    others = len(names) - len(shown)
    more = f" and {count_text(others, 'other')}" if others else ""
    return f"the process told of {count_text(len(names), 'test')} that it can't have run: {', '.join(shown)}{more}"


def one_of_each(rows: Sequence[TestRow]) -> tuple[TestRow, ...]:
    """Return one row for each test, in the order in which they came: the worst that is said of it."""
    found: dict[str, list[TestRow]] = {}
    for row in rows:
        found.setdefault(row.id, []).append(row)
    return tuple(map(_worst_of, found.values()))


def begun(rows: Sequence[TestRow], events: Sequence[HarnessEvent]) -> tuple[TestRow, ...]:
    """Return the rows, with an error for each test that is said to have passed, and not to have begun before."""
    running: set[str] = set()
    in_order: set[str] = set()
    for event in events:
        if isinstance(event, RowStarted):
            running.add(event.id)
        elif isinstance(event, RowFinished) and event.id in running:
            in_order.add(event.id)
    return tuple(
        row
        if row.outcome is not Outcome.PASS or row.id in in_order
        else replace(row, outcome=Outcome.ERROR, reason=_NOT_BEGUN)
        for row in rows
    )


def agreed(
    rows: Sequence[TestRow],
    believed: Believable,
    exit_code: int | None,
    *,
    target: str,
    runner: str = "",
    stdout: str = "",
    stderr: str = "",
) -> tuple[TestRow, ...]:
    """Return the rows of a process that left by itself, one for each test, with an error for what contradicts.

    `target`: names a row for what concerns no single test; `runner`: who has ended with the status, where that may be
    of plugins, and what was printed says why.
    """
    events = believed.events
    results = {row.id: row for row in rows}
    # Behind a failure, others may have been left out (`-x`).
    failed = any(row.outcome in _FAILED for row in rows)
    told = () if failed else (event.ids for event in events if isinstance(event, SessionCollected))
    without = list(dict.fromkeys(name for ids in told for name in ids if name not in results))
    for name in without[:_MOST_WITHOUT_RESULT]:
        results[name] = TestRow(name, Outcome.ERROR, reason=_NO_RESULT)
    others = len(without) - _MOST_WITHOUT_RESULT
    many = f"nothing says what became of {count_text(others, 'other test')} that it collected" if others > 0 else ""
    said = _about_status(exit_code, runner, f"{stdout}\n{stderr}") if exit_code else ""
    if trouble := _trouble(tuple(results.values()), events, exit_code, said) or believed.besides or many:
        name = target if target in results else f"{target}::{EXIT_STATUS}"
        results[name] = TestRow(name, Outcome.ERROR, reason=trouble, exit_code=exit_code, stdout=stdout, stderr=stderr)
    return tuple(results.values())


def _worst_of(rows: Sequence[TestRow]) -> TestRow:
    outcomes = list(dict.fromkeys(row.outcome for row in rows))
    if len(outcomes) == 1:
        return rows[-1]
    said = f"several results were written for it: {', '.join(outcomes)}"
    gravest = worst(outcomes)
    row = next(row for row in rows if row.outcome is gravest)
    if gravest in _FAILED:
        return replace(row, remarks=(*row.remarks, said))
    return replace(row, outcome=Outcome.ERROR, reason=said)


def _trouble(rows: Sequence[TestRow], events: Sequence[HarnessEvent], exit_code: int | None, said: str) -> str:
    """Return what contradicts in the process as a whole; empty: nothing. `said`: of a status that is a failure's."""
    for kind, what in ((SessionStarted, "beginning"), (SessionEnded, "end")):
        if (count := sum(isinstance(event, kind) for event in events)) != 1:
            return f"the process told {count} events of its {what}"
    if not isinstance(events[-1], SessionEnded | PackageImported):
        return _AFTER_THE_END
    outcomes = {row.outcome for row in rows}
    if exit_code in (None, 0) or outcomes & _FAILED:
        return ""
    if exit_code == NOTHING_COLLECTED and Outcome.PASS not in outcomes:
        return ""
    return said


def _about_status(exit_code: int | None, runner: str, printed: str) -> str:
    if runner != "pytest":
        return f"the process left with exit status {exit_code}, though no test is said to have failed"
    said = why_it_ended(printed)[:_LONGEST_WORDS]
    return f"pytest ended with status {exit_code}, though no test failed" + (f": {said}" if said else "")
