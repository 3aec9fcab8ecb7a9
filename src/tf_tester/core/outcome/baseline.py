"""What a matrix came to at a time that counts as normal, and what has moved since. Pure.

A baseline is a file for a repository: one line for each cell and test, in one order, without times and versions of what
lies around, so that a change of it is read as a change of the matrix.
"""

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from tf_tester.core.outcome.failures import gravest_first, kinds_of_failure
from tf_tester.core.outcome.report import RunReport
from tf_tester.errors import ConfigError
from tf_tester.model.outcome import CellResult, Outcome, TestRow

FORMAT = 1
NOT_SEEN = frozenset({Outcome.DOWNLOAD_FAILED, Outcome.INSTALL_FAILED, Outcome.INTERRUPTED})
"""Nothing is known of such a cell today: it hasn't moved."""
_GOOD = (Outcome.PASS, Outcome.SKIP)


class MoveKind(StrEnum):
    """How something moved."""

    REGRESSED = "regressed"
    FIXED = "fixed"
    CHANGED = "changed"
    """It fails as before, but otherwise; or it isn't run for another reason."""
    NEW = "new"
    GONE = "gone"
    NOT_SEEN = "not seen"
    """Our side failed, now or then: nobody knows."""


class BaselineEntry(Struct, frozen=True):
    """What one test, or a cell without tests, came to."""

    outcome: str
    told: str = ""
    """The kind of failure, without what varies."""


class Move(Struct, frozen=True):
    """One difference from the baseline."""

    kind: MoveKind
    cell: str
    """Its name."""
    test: str
    """Empty: the cell as a whole."""
    before: str
    after: str


Baseline = Mapping[str, Mapping[str, BaselineEntry]]
"""By cell name and test; a cell that has no tests has one entry with an empty name."""


def baseline_of(report: RunReport, *, earlier: Baseline | None = None, picked: bool = False) -> Baseline:
    """Return the baseline of a run. What was not seen in it is taken from an earlier one.

    `picked`: only some tests of each cell were to run.
    """
    found: dict[str, Mapping[str, BaselineEntry]] = {}
    for cell in report.cells:
        result = report.result(cell)
        if result.outcome in NOT_SEEN:
            if earlier is not None and cell.name in earlier:
                found[cell.name] = earlier[cell.name]
            continue
        found[cell.name] = _cell(result)
        if picked and result.outcome.ran:
            before = earlier.get(cell.name, {}) if earlier is not None else {}
            ran = {name: was for name, was in _cell(result).items() if name in before or was.outcome != Outcome.EMPTY}
            found[cell.name] = dict(sorted({**before, **ran}.items()))
    return found


def unseen(report: RunReport) -> dict[str, str]:
    """Return what kept the cells that a run could not see from being seen, by their names."""
    outcomes = {cell.name: report.result(cell).outcome for cell in report.cells}
    return {name: str(outcome) for name, outcome in outcomes.items() if outcome in NOT_SEEN}


def moves(
    baseline: Baseline, report: RunReport, *, picked: bool = False, unseen_before: Mapping[str, str] | None = None
) -> tuple[Move, ...]:
    """Return the differences in the order of the cells; what is gone comes last.

    `picked`: only some tests of each cell were to run, of the others nothing is said. `unseen_before`: cells that the
    run of the baseline could not see, by what kept it from that; these are not new.
    """
    found = _moves(baseline, report, unseen_before or {})
    return tuple(move for move in found if not (picked and _is_of_picking(move)))


def is_worse(move: Move) -> bool:
    """Tell whether something is not as it should be that was, or that nobody has seen before."""
    if move.kind is MoveKind.NEW:
        return move.after not in _GOOD
    return move.kind is MoveKind.REGRESSED


def _is_of_picking(move: Move) -> bool:
    """Return whether a test is missing, or a file is empty, in a cell that was run."""
    return (move.kind is MoveKind.GONE and bool(move.test)) or (
        move.kind is MoveKind.NEW and move.after == Outcome.EMPTY
    )


def _moves(baseline: Baseline, report: RunReport, unseen_before: Mapping[str, str]) -> Iterator[Move]:
    names = {cell.name for cell in report.cells}
    for cell in report.cells:
        result = report.result(cell)
        if result.outcome in NOT_SEEN:
            yield Move(MoveKind.NOT_SEEN, cell.name, "", _cell_word(baseline.get(cell.name)), str(result.outcome))
            continue
        now = _cell(result)
        before = baseline.get(cell.name)
        if before is None:
            known = unseen_before.get(cell.name, "")
            yield Move(MoveKind.NOT_SEEN if known else MoveKind.NEW, cell.name, "", known, str(result.outcome))
            continue
        for test in dict.fromkeys((*now, *before)):
            was, is_now = before.get(test), now.get(test)
            if was is None and is_now is not None:
                yield Move(MoveKind.NEW, cell.name, test, "", is_now.outcome)
            elif was is not None and is_now is None:
                yield Move(MoveKind.GONE, cell.name, test, was.outcome, "")
            elif was is not None and is_now is not None and was != is_now:
                yield Move(_kind(was, is_now), cell.name, test, _words(was, is_now), _words(is_now, was))
    for name, tests in baseline.items():
        if name not in names:
            yield Move(MoveKind.GONE, name, "", _cell_word(tests), "")


def _kind(was: BaselineEntry, is_now: BaselineEntry) -> MoveKind:
    if was.outcome in _GOOD and is_now.outcome in _GOOD:
        return MoveKind.CHANGED
    if is_now.outcome in _GOOD:
        return MoveKind.FIXED
    return MoveKind.REGRESSED if was.outcome in _GOOD else MoveKind.CHANGED


def _words(one: BaselineEntry, other: BaselineEntry) -> str:
    """Return the outcome; where that is the same, what it says."""
    return one.outcome if one.outcome != other.outcome or not one.told else f"{one.outcome} ({one.told})"


def _cell_word(tests: Mapping[str, BaselineEntry] | None) -> str:
    outcomes = [was.outcome for was in (tests or {}).values()]
    return next((one for one in outcomes if one not in (Outcome.PASS, Outcome.SKIP)), next(iter(outcomes), ""))


def _cell(result: CellResult) -> Mapping[str, BaselineEntry]:
    rows = gravest_first(result.tests)
    if not rows:
        return {"": BaselineEntry(str(result.outcome))}
    return {name: BaselineEntry(str(row.outcome), _told(row, result)) for name, row in sorted(rows.items())}


def _told(row: TestRow, result: CellResult) -> str:
    if not row.outcome.is_failure_of_the_test:
        return ""
    [(kind, message, _)] = kinds_of_failure(CellResult(result.cell, row.outcome, result.summary, tests=(row,)))
    return message or kind


def baseline_text(baseline: Baseline) -> str:
    """Return a baseline as it is kept in a file: JSON, one test a line."""
    cells = [
        f"  {json.dumps(name)}: {{\n"
        + ",\n".join(f"    {json.dumps(test)}: {json.dumps(_plain(was))}" for test, was in tests.items())
        + "\n  }"
        for name, tests in baseline.items()
    ]
    body = ",\n".join(cells)
    return f'{{\n"format": {FORMAT},\n"cells": {{\n{body}\n}}\n}}\n'


_NOTHING_FOUND = tuple(f"{outcome}: no tests were found" for outcome in (Outcome.ERROR, Outcome.EMPTY))


def _as_today(was: BaselineEntry) -> BaselineEntry:
    """Return an entry in today's words: that no tests were found was an `error` once, and later a failure."""
    return BaselineEntry(str(Outcome.EMPTY)) if was.told in _NOTHING_FOUND else was


def _plain(was: BaselineEntry) -> list[str]:
    return [was.outcome, was.told] if was.told else [was.outcome]


def read_baseline(text: str, *, shown: str) -> Baseline:
    """Read a baseline; `shown`: the file's name. Raises `ConfigError`."""
    try:
        content: Any = json.loads(text)
        if content["format"] > FORMAT:
            raise ConfigError(
                f"{shown} is a baseline of a later tf-tester (format {content['format']}).", hint="Upgrade tf-tester."
            )
        return {
            str(name): {str(test): _as_today(BaselineEntry(*map(str, was))) for test, was in tests.items()}
            for name, tests in content["cells"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"{shown} is not a baseline of tf-tester ({type(error).__name__}).", hint="Make one with --update-baseline."
        ) from error
