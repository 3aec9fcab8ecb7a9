"""Which of many changes make a test fail: every smallest set of them, in as few trials as possible. Pure.

Two sets of distributions differ in some of them; with the one set the test passes, with the other it fails. What is
tried between has some of the changes and keeps to what the distributions require of each other: one change may entail
others, so that only *closed* sets are tried. A smallest failing set is found by halving (binary reduction of
dependency graphs, Kalhauge and Palsberg 2019); then it is taken out, one change at a time, to see whether the rest
still fails (hitting-set tree, Reiter 1987). So several independent culprits are found, each enough alone.

All smallest sets are found where adding a change never repairs what another one broke. Where one does, what is found
still fails, and nothing of it can be left out.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from functools import cached_property
from math import ceil, log2

from msgspec import Struct

from tf_tester.core.verdict.bisect import Mark, Transition, halving

Changes = frozenset[str]


class Culprit(Struct, frozen=True):
    """Changes that make the test fail together, and none of which could be left out."""

    changes: Changes
    """Those that count."""
    entailed: Changes = frozenset()
    """What they entail."""
    exact: bool = True
    """False: some of them may be innocent; what would have told could not be tried."""

    @property
    def all(self) -> Changes:
        return self.changes | self.entailed


class CulpritSearchResult(Struct, frozen=True):
    """What was found."""

    culprits: tuple[Culprit, ...]
    tried: int
    complete: bool
    """False: the budget was spent; there may be more."""


def most_trials(changes: int, sizes: Sequence[int] = (1,)) -> int:
    """Return trials that are needed at the most, one after another, to find culprits of these sizes among so many
    changes.

    >>> most_trials(30), most_trials(30, (1, 1))
    (8, 16)
    """
    for_each = sum(size * (ceil(log2(max(changes, 2))) + 2) for size in sizes)
    widest = max(sizes, default=1)
    return for_each + sum(int(widest**depth) for depth in range(1, len(sizes) + 1))


class EntailmentGraph:
    """Changes, and which others each entails."""

    def __init__(self, entails: Mapping[str, Iterable[str]]) -> None:
        """Take changes and what each entails; names that are no changes themselves are left out."""
        self._entails = {name: frozenset(others) & entails.keys() for name, others in entails.items()}

    @cached_property
    def everything(self) -> Changes:
        return frozenset(self._entails)

    @cached_property
    def units(self) -> tuple[Changes, ...]:
        """What can only come together; whatever one entails stands before it."""
        reached = {name: self.closure({name}) for name in self._entails}
        together = {
            frozenset(other for other in reached[name] if name in reached[other]): len(reached[name])
            for name in reached
        }
        return tuple(sorted(together, key=lambda unit: (together[unit], sorted(unit))))

    def closure(self, names: Iterable[str]) -> Changes:
        """Return these and all that they entail."""
        found: set[str] = set()
        open_ones = list(names)
        while open_ones:
            name = open_ones.pop()
            if name not in found:
                found.add(name)
                open_ones += self._entails[name]
        return frozenset(found)

    def without(self, universe: Changes, names: Iterable[str]) -> Changes:
        """Return the largest closed part of a closed set that has none of these."""
        gone = set(names)
        return frozenset(name for name in universe if not self.closure({name}) & gone)


class CulpritSearch:
    """One search; `steps` asks for trials and is sent what they came to."""

    def __init__(self, graph: EntailmentGraph, *, at_once: int = 1, budget: int | None = None) -> None:
        """Prepare a search. `at_once`: trials that may be asked for together. `budget`: trials in all, at the most."""
        self._graph = graph
        self._at_once = at_once
        self._budget = budget
        self._known = {frozenset[str](): Mark.GOOD, graph.everything: Mark.BAD}
        self.tried = 0

    def steps(self) -> Generator[list[Changes], list[Mark], CulpritSearchResult]:
        """Yield sets of changes to try together, take their marks in the same order, return the answer."""
        found: list[Culprit] = []
        try:
            yield from self._all(found)
        except _SpentError:
            return CulpritSearchResult(tuple(found), self.tried, complete=False)
        return CulpritSearchResult(tuple(found), self.tried, complete=True)

    def _all(self, found: list[Culprit]) -> Generator[list[Changes], list[Mark], None]:
        level: list[Changes] = [frozenset()]
        harmless: list[Changes] = []
        while level:
            # Those of which it isn't known yet that something fails without them are tried together.
            rests = {gone: self._graph.without(self._graph.everything, gone) for gone in level}
            unknown = [gone for gone in level if _within(found, rests[gone]) is None]
            marks = yield from self._ask([rests[gone] for gone in unknown])
            harmless += [gone for gone, mark in zip(unknown, marks, strict=True) if mark is not Mark.BAD]
            following: dict[Changes, None] = {}
            for gone in level:
                if any(enough <= gone for enough in harmless):
                    continue
                culprit = _within(found, rests[gone])
                if culprit is None:
                    culprit = yield from self._smallest(rests[gone])
                    found.append(culprit)
                units = [unit for unit in self._graph.units if unit <= culprit.changes]
                following.update(dict.fromkeys(gone | unit for unit in units))
            level = [gone for gone in following if not any(enough <= gone for enough in harmless)]

    def _smallest(self, universe: Changes) -> Generator[list[Changes], list[Mark], Culprit]:
        """Yield what to try to find a smallest failing part of a closed set that fails; return it."""
        graph = self._graph
        needed: Changes = frozenset()
        chosen: list[Changes] = []
        exact = True
        while needed != universe:
            [mark] = yield from self._ask([needed])
            if mark is Mark.BAD:
                break
            rest = [unit for unit in graph.units if unit <= universe and not unit <= needed]
            low, high = yield from self._border(needed, rest)
            last: Changes = frozenset().union(*rest[low:high])
            exact = exact and high == low + 1
            universe = needed.union(*rest[:high])
            chosen.append(last)
            needed = graph.closure(needed | last)
        changes: Changes = frozenset().union(*chosen)
        # What one choice entails another one may have been: it then isn't one of its own.
        for unit in chosen:
            others: Changes = frozenset().union(*(other for other in chosen if other != unit and other <= changes))
            if unit <= graph.closure(others):
                changes -= unit
        smaller = [part for unit in chosen if unit <= changes and (part := graph.without(needed, unit))]
        marks = yield from self._ask(smaller)
        for part, mark in zip(smaller, marks, strict=True):
            if mark is Mark.BAD:
                return (yield from self._smallest(part))
        return Culprit(changes, needed - changes, exact)

    def _border(
        self, needed: Changes, rest: Sequence[Changes]
    ) -> Generator[list[Changes], list[Mark], tuple[int, int]]:
        """Yield what to try, and return how many of the rest may be there without a failure, and how many with one, as
        near as can be found.
        """
        steps = halving(len(rest) + 1, at_once=self._at_once)
        try:
            counts = next(steps)
            while True:
                counts = steps.send((yield from self._ask([needed.union(*rest[:count]) for count in counts])))
        except StopIteration as stop:
            change: Transition = stop.value
        return change.before, change.after

    def _ask(self, wanted: Sequence[Changes]) -> Generator[list[Changes], list[Mark], list[Mark]]:
        """Yield what to try and return the marks; what was tried before isn't tried again."""
        new = list(dict.fromkeys(one for one in wanted if one not in self._known))
        while new:
            remaining = len(new) if self._budget is None else self._budget - self.tried
            if remaining <= 0:
                raise _SpentError
            batch, new = new[: min(remaining, self._at_once)], new[min(remaining, self._at_once) :]
            self.tried += len(batch)
            marks = yield batch
            self._known.update(zip(batch, marks, strict=True))
        return [self._known[one] for one in wanted]


class _SpentError(Exception):
    """No trial is left."""


def _within(culprits: Iterable[Culprit], universe: Changes) -> Culprit | None:
    return next((culprit for culprit in culprits if culprit.all <= universe), None)
