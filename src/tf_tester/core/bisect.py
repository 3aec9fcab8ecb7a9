"""Where in a line of versions a test begins to fail, or to pass, in as few looks as possible. Pure.

The two ends differ; what lies between is halved. A version that can't be tested is passed over for the nearest one that
can, as `git bisect skip` does it; if none is left between two that differ, the answer is a span.
"""

import itertools
from collections.abc import Generator, Sequence
from enum import StrEnum
from math import ceil, log2

from msgspec import Struct


class Verdict(StrEnum):
    GOOD = "good"
    BAD = "bad"
    UNTESTABLE = "untestable"
    """It could not run, or passes at one time and fails at another."""


class Change(Struct, frozen=True):
    """From one version to the next that was looked at; what lies between could not be tested."""

    before: int
    after: int
    becomes: Verdict
    """What it is from `after` on."""

    @property
    def is_exact(self) -> bool:
        return self.after == self.before + 1


class Search:
    """Between the first and the last of a line, which are known to differ."""

    def __init__(self, count: int, first: Verdict) -> None:
        """`count`: versions, both ends included, at least two. `first`: what the first one is; the last is not."""
        self._low, self._high = 0, count - 1
        self._first = first
        self._untestable: set[int] = set()

    @property
    def most(self) -> int:
        """Looks that are still needed, if all can be tested."""
        return ceil(log2(self._high - self._low))

    def next(self) -> int | None:
        """Which one to look at; None: it is found, as far as it can be."""
        middle = (self._low + self._high) // 2
        open_ones = [one for one in range(self._low + 1, self._high) if one not in self._untestable]
        return min(open_ones, key=lambda one: (abs(one - middle), one), default=None)

    def tell(self, index: int, verdict: Verdict) -> None:
        """What one turned out to be."""
        if verdict is Verdict.UNTESTABLE:
            self._untestable.add(index)
        elif verdict is self._first:
            self._low = index
        else:
            self._high = index

    @property
    def change(self) -> Change:
        """The narrowest that is known now."""
        becomes = Verdict.BAD if self._first is Verdict.GOOD else Verdict.GOOD
        return Change(self._low, self._high, becomes)


def halving(count: int, *, at_once: int = 1) -> Generator[list[int], list[Verdict], Change]:
    """The same between a good first and a bad last one, several looks at a time; yields indexes, takes their verdicts.

    With `at_once` looks together fewer rounds are needed, and more looks in all.
    """
    low, high = 0, count - 1
    untestable: set[int] = set()
    while open_ones := [index for index in range(low + 1, high) if index not in untestable]:
        points = _spread(open_ones, at_once)
        verdicts = yield points
        for index, verdict in zip(points, verdicts, strict=True):
            if verdict is Verdict.BAD:
                high = index
                break
            if verdict is Verdict.GOOD:
                low = index
            else:
                untestable.add(index)
    return Change(low, high, Verdict.BAD)


def _spread(numbers: Sequence[int], count: int) -> list[int]:
    """So many of them, evenly apart: they cut the line into parts of one length.

    >>> _spread([1, 2, 3, 4, 5], 1), _spread([1, 2, 3, 4, 5], 2), _spread([7], 4)
    ([3], [2, 4], [7])
    """
    places = {round((len(numbers) + 1) * part / (count + 1)) - 1 for part in range(1, count + 1)}
    return [numbers[place] for place in sorted(places) if 0 <= place < len(numbers)] or [numbers[len(numbers) // 2]]


def transitions(verdicts: Sequence[Verdict]) -> list[Change]:
    """Every change along a line of which all were looked at."""
    known = [(index, verdict) for index, verdict in enumerate(verdicts) if verdict is not Verdict.UNTESTABLE]
    pairs = itertools.pairwise(known)
    return [Change(before, after, verdict) for (before, earlier), (after, verdict) in pairs if verdict is not earlier]


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """Of several looks at one version: what all of them say.

    >>> together([Verdict.GOOD, Verdict.GOOD]), together([Verdict.GOOD, Verdict.BAD])
    (<Verdict.GOOD: 'good'>, <Verdict.UNTESTABLE: 'untestable'>)
    """
    return verdicts[0] if len(set(verdicts)) == 1 else Verdict.UNTESTABLE
