"""How outcomes are written and coloured, the same on the board, in the log and in the report."""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

from tf_tester.core.outcome.contradictions import EXIT_STATUS
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.text.sizes import count_text, duration_text
from tf_tester.model.outcome import CellResult, Outcome, TestRow
from tf_tester.report.lines import Span, Style


class Detail(Enum):
    """How much a person is told."""

    QUIET = "quiet"
    """The sentence, and what failed."""
    USUAL = "usual"
    WHOLE = "whole"
    """Every test in every cell, nothing folded and nothing left out."""


class MatrixRows(Enum):
    """What the matrix has a row for."""

    TESTS = "tests"
    CAUSES = "causes"
    """Each kind of failure, and each reason why cells could not run."""


_MARKS = {Outcome.FAIL: "FAIL", Outcome.TIMEOUT: "time"}

_MEANINGS = {
    Outcome.FAIL: "the test raised or left with a status other than 0",
    Outcome.ERROR: "it could not be collected or set up",
    Outcome.EMPTY: "no tests were found in it",
    Outcome.CRASH: "its process died",
    Outcome.TIMEOUT: "over the time limit",
    Outcome.OOM: "over the memory limit",
}

REPLAYED = "replayed"
"""Said of what was not run because nothing has changed since it was."""

NOT_IMPORTED = "not imported"
"""Said of a pass in which nothing has imported the package under test."""

EXPLAINED = frozenset(_MEANINGS)
"""The marks that don't say what they mean themselves."""

_COUNTED = {
    Outcome.PASS: "passed",
    Outcome.FAIL: "failed",
    Outcome.ERROR: "error",
    Outcome.EMPTY: "empty",
    Outcome.CRASH: "crashed",
    Outcome.TIMEOUT: "timed out",
    Outcome.OOM: "out of memory",
    Outcome.SKIP: "skipped",
}
"""All but errors, which stand behind these: `2 errors`."""


def mark(outcome: Outcome) -> str:
    """Return the word in the matrix, as short as it can be."""
    return _MARKS.get(outcome, str(outcome))


def word(outcome: Outcome) -> str:
    """Return the word where there is space: the outcome itself, a failure louder."""
    return "FAIL" if outcome is Outcome.FAIL else str(outcome)


def style(outcome: Outcome) -> Style:
    if outcome is Outcome.PASS:
        return Style.GOOD
    return Style.BAD if outcome.is_failure_of_the_test else Style.ODD


def styled(outcome: Outcome) -> Span:
    return Span(word(outcome), style(outcome))


def meaning(outcome: Outcome) -> str:
    """Return what a mark stands for, one of `EXPLAINED`."""
    return _MEANINGS[outcome]


def count_tests(rows: Iterable[TestRow]) -> str:
    """Return `12 passed, 1 failed`."""
    return ", ".join(_counts([row.outcome for row in rows], _COUNTED))


def told_cells(results: Iterable[CellResult]) -> str:
    """Return `5 cells: 3 passed, 1 failed, 1 could not run; 40 tests in each` for a whole run.

    The tests are told where they are no others than the cells.
    """
    results = tuple(results)
    if not results:
        return "no cells"
    of_cells = (sum(not row.id.endswith(f"::{EXIT_STATUS}") for row in one.tests) for one in results if one.outcome.ran)
    numbers = sorted({number for number in of_cells if number})
    each = "it" if len(results) == 1 else "each"
    told = f"{count_text(len(results), 'cell')}: {count_cells(results)}"
    if len(numbers) > 1:
        return f"{told}; {numbers[0]} to {count_text(numbers[-1], 'test')} in {each}"
    return told + (f"; {count_text(numbers[0], 'test')} in {each}" if numbers and numbers[0] > 1 else "")


def told_builds(report: RunReport) -> str:
    """Return `2 wheels built from source in 1 min 5 s`, one behind the other; empty where none was."""
    built = [one for one in report.builds if one.filename]
    failed = len(report.builds) - len(built)
    told = [f"{count_text(len(built), 'wheel')} built from source"] if built else []
    told += [f"{count_text(failed, 'build')} failed"] if failed else []
    return f"{' and '.join(told)} in {duration_text(sum(one.seconds for one in report.builds))}" if told else ""


def count_cells(results: Iterable[CellResult]) -> str:
    """Return `3 passed, 1 failed, 1 could not run`, of cells."""
    results = tuple(results)
    outcomes = [result.outcome for result in results]
    told = _counts(outcomes, _COUNTED | {Outcome.SKIP: "tested nothing"})
    if unused := sum(result.unused and result.outcome is Outcome.PASS for result in results):
        told[0] += f" ({unused} {NOT_IMPORTED})"  # passes are counted first
    interrupted = outcomes.count(Outcome.INTERRUPTED)
    refused = sum(not outcome.ran for outcome in outcomes) - interrupted
    if refused:
        told.append(f"{refused} could not run")
    if interrupted:
        told.append(f"{interrupted} interrupted")
    return ", ".join(told) or "no cells"


def _counts(outcomes: Sequence[Outcome], words: Mapping[Outcome, str]) -> list[str]:
    """Return `3 passed`, `2 errors` for each outcome that occurs: `error` alone is a noun, with a plural."""
    numbers = {outcome: outcomes.count(outcome) for outcome in words}
    return [
        count_text(number, words[outcome]) if outcome is Outcome.ERROR else f"{number} {words[outcome]}"
        for outcome, number in numbers.items()
        if number
    ]


def run_seconds(result: CellResult) -> float | None:
    """Return wall seconds of the tests themselves, None where they did not run."""
    if "run" in result.phases:
        return result.phases["run"]
    walls = [row.wall_s for row in result.tests if row.wall_s is not None]
    return sum(walls) if walls else None


def how_it_ended(report: RunReport) -> str:
    """Return in half a sentence why not all was run; empty where all was."""
    if report.is_cut:
        return "the record is cut off within a line: what followed is lost"
    if report.left_out:
        cells = "1 cell was" if report.left_out == 1 else f"{report.left_out} cells were"
        return f"the first failure ended the run: {cells} not run"
    if report.is_broken_off:
        return "an error ended the run before all cells had run"
    return "the run was interrupted" if report.interrupted else ""
