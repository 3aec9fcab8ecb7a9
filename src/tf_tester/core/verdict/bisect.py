"""Where in a line of versions a test begins to fail, or to pass, in as few looks as possible. Pure.

The two ends differ; what lies between is halved. A version that can't be tested is passed over for the nearest one that
can, as `git bisect skip` does it; if none is left between two that differ, the answer is a span.
"""

import itertools
from collections.abc import Generator, Sequence
from enum import StrEnum
from math import ceil, log2

from msgspec import Struct

from tf_tester.core.outcome.failures import rows_of
from tf_tester.model.outcome import CellResult, Outcome, TestRow


class Mark(StrEnum):
    """What one version is marked as, in the words of `git bisect`."""

    GOOD = "good"
    BAD = "bad"
    UNTESTABLE = "untestable"
    """It could not run, or passes at one time and fails at another."""


class Transition(Struct, frozen=True):
    """From one version to the next that was looked at; what lies between could not be tested."""

    before: int
    after: int
    becomes: Mark
    """What it is from `after` on."""

    @property
    def is_exact(self) -> bool:
        return self.after == self.before + 1


class BisectSearch:
    """Between the first and the last of a line, which are known to differ."""

    def __init__(self, count: int, first: Mark) -> None:
        """Prepare a search among `count` versions, both ends included, at least two.

        `first`: what the first one is; the last is not.
        """
        self._low, self._high = 0, count - 1
        self._first = first
        self._untestable: set[int] = set()

    @property
    def most(self) -> int:
        """Looks that are still needed, if all can be tested."""
        return ceil(log2(self._high - self._low))

    def next(self) -> int | None:
        """Return which one to look at; None: it is found, as far as it can be."""
        middle = (self._low + self._high) // 2
        open_ones = [one for one in range(self._low + 1, self._high) if one not in self._untestable]
        return min(open_ones, key=lambda one: (abs(one - middle), one), default=None)

    def tell(self, index: int, mark: Mark) -> None:
        """Learn what one turned out to be."""
        if mark is Mark.UNTESTABLE:
            self._untestable.add(index)
        elif mark is self._first:
            self._low = index
        else:
            self._high = index

    @property
    def change(self) -> Transition:
        """The narrowest that is known now."""
        becomes = Mark.BAD if self._first is Mark.GOOD else Mark.GOOD
        return Transition(self._low, self._high, becomes)


def halving(count: int, *, at_once: int = 1) -> Generator[list[int], list[Mark], Transition]:
    """Yield indexes to try, several at a time, between a good first and a bad last version, and take their marks;
    return the change.

    With `at_once` looks together fewer rounds are needed, and more looks in all.
    """
    low, high = 0, count - 1
    untestable: set[int] = set()
    while open_ones := [index for index in range(low + 1, high) if index not in untestable]:
        points = _spread(open_ones, at_once)
        marks = yield points
        for index, mark in zip(points, marks, strict=True):
            if mark is Mark.BAD:
                high = index
                break
            if mark is Mark.GOOD:
                low = index
            else:
                untestable.add(index)
    return Transition(low, high, Mark.BAD)


def _spread(numbers: Sequence[int], count: int) -> list[int]:
    """Return so many of them, evenly apart: they cut the line into parts of one length.

    >>> _spread([1, 2, 3, 4, 5], 1), _spread([1, 2, 3, 4, 5], 2), _spread([7], 4)
    ([3], [2, 4], [7])
    """
    places = {round((len(numbers) + 1) * part / (count + 1)) - 1 for part in range(1, count + 1)}
    return [numbers[place] for place in sorted(places) if 0 <= place < len(numbers)] or [numbers[len(numbers) // 2]]


def transitions(marks: Sequence[Mark]) -> list[Transition]:
    """Return every change along a line of which all were looked at."""
    known = [(index, mark) for index, mark in enumerate(marks) if mark is not Mark.UNTESTABLE]
    pairs = itertools.pairwise(known)
    return [Transition(before, after, mark) for (before, earlier), (after, mark) in pairs if mark is not earlier]


def combined(marks: Sequence[Mark]) -> Mark:
    """Return what all results of several runs of one version agree on.

    >>> combined([Mark.GOOD, Mark.GOOD]), combined([Mark.GOOD, Mark.BAD])
    (<Mark.GOOD: 'good'>, <Mark.UNTESTABLE: 'untestable'>)
    """
    return marks[0] if len(set(marks)) == 1 else Mark.UNTESTABLE


def mark_of(result: CellResult, failures: Sequence[str], test: str) -> Mark:
    """Return what one cell shows of its version.

    `failures`: words of the failures that are meant, in whichever of its tests; none: every failure is. `test`: the
    only one that counts; empty: all do. Where nothing was tested, nothing is shown.
    """
    of_test = {row.outcome for row in rows_of(result, test)} if test else set()
    outcomes = of_test or {result.outcome}
    if Outcome.EMPTY in outcomes or was_refused(result):
        return Mark.UNTESTABLE
    if any(outcome.is_failure_of_the_test for outcome in outcomes):
        meant = bool(of_test) or not failures or is_meant(result.summary, failures) or meant_row(result, failures)
        return Mark.BAD if meant else Mark.UNTESTABLE
    is_there = bool(of_test) or not test
    return Mark.GOOD if outcomes == {Outcome.PASS} and is_there else Mark.UNTESTABLE


def was_refused(result: CellResult) -> bool:
    """Return whether pytest refused what it was given, whatever is installed."""
    return bool(result.tests) and all(row.could_not_begin for row in result.tests)


def meant_row(result: CellResult, failures: Sequence[str]) -> TestRow | None:
    """Return the first test of a cell that fails in a way that is meant, whatever else fails in it; None: none does."""
    failed = (row for row in result.tests if row.outcome.is_failure_of_the_test)
    return next((row for row in failed if any(is_meant(text, failures) for text in _texts(row))), None)


def is_meant(text: str, failures: Sequence[str]) -> bool:
    """Tell whether a failure's text has the words of one that is meant."""
    return any(words in text for words in failures)


def _texts(row: TestRow) -> tuple[str, ...]:
    exception = row.exception
    return (row.reason, f"{exception.type}: {exception.message}" if exception is not None else "")
