"""Whether what consumers have recorded are the numbers of those who saved: compared, and where they differ, run again.

The reference of a field is what the producer recorded while it saved the product, else what its own version recorded
when it loaded it. What a fork has recorded counts only where it doesn't differ: else the field is run by a process of
its own. A field whose numbers differ then is run a second time: if the two runs of one version differ from one another,
too, that is no drift from version to version.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import count

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.grid.fields import FieldState
from tf_tester.core.grid.numbers import (
    Comparison,
    difference,
    numbered,
    to_compare,
    words_of_differences,
)
from tf_tester.flow.grid.cells import Consumed, Produced, Serving
from tf_tester.flow.numbers.compare import Candidate, compare
from tf_tester.model.events import ValueRecorded
from tf_tester.model.field import FieldOutcome, ValueDifference
from tf_tester.model.outcome import Outcome, TestRow, worst

RunAgain = Callable[[Mapping[str, Sequence[Serving]]], Mapping[str, Consumed]]
"""Has consumers, by their cells' names, load some products a second time."""
Key = tuple[str, int]
"""The name of a consumer's cell, and which of the servings it is."""
NumbersByName = Mapping[str, ValueRecorded]


class Loaded(Struct, frozen=True):
    """All that was loaded in one grid."""

    servings: tuple[Serving, ...]
    producers: Mapping[str, Produced]
    consumers: Mapping[str, Consumed]

    def values(self, key: Key) -> NumbersByName:
        """Return what a consumer recorded with a product, by name; nothing where it failed."""
        consumer, number = key
        consumed = self.consumers.get(consumer)
        if consumed is None or number >= len(consumed.states):
            return {}
        is_ok = consumed.states[number].outcome is FieldOutcome.OK
        return numbered(consumed.values[number]) if is_ok else {}

    def reference(self, number: int) -> NumbersByName:
        """Return what is right for a product: what was recorded when it was saved, else when its version loaded it."""
        serving = self.servings[number]
        producer = self.producers[serving.producer.name]
        saved_by = producer.saved_by[serving.product.name]
        own = self.values(self.own(number))
        return {**own, **numbered(value for value in producer.values if value.test == saved_by)}

    def own(self, number: int) -> Key:
        """Return the field in which a product's own version loads it."""
        return self.servings[number].producer.name, number

    @property
    def forked(self) -> set[Key]:
        """Return the fields that forks have run."""
        return {(name, at) for name, one in self.consumers.items() for at, forked in enumerate(one.forked) if forked}

    @property
    def keys(self) -> list[Key]:
        """Return all fields that were run."""
        return [(name, number) for name, one in self.consumers.items() for number in range(len(one.states))]


Differences = Mapping[Key, tuple[ValueDifference, ...]]


class NumberCheck:
    """Compares the numbers of one grid."""

    def __init__(self, loaded: Loaded, candidates: Sequence[Candidate]) -> None:
        """Compare in one of the candidates."""
        self._loaded = loaded
        self._candidates = candidates
        self._numbers = count(1)

    def run(self, again: RunAgain) -> dict[str, Consumed]:
        """Return the consumers with what their numbers make of them. `again` runs fields a second time."""
        found, trouble = self._confirmed(again)
        loaded = self._loaded
        changed = dict(loaded.consumers)
        for (name, number), why in trouble.items():
            words = f"its numbers differ from those of {loaded.servings[number].label}, and can't be compared: {why}"
            tests = {value.test for value in loaded.values((name, number)).values()}
            changed[name] = _with_state(changed[name], number, FieldState(FieldOutcome.ERROR, summary=words), tests)
        varying = self._varying(found, again) if found else {}
        for (name, number), differing in found.items():
            flaky = varying.get((name, number), frozenset()) | varying.get(loaded.own(number), frozenset())
            steady = tuple(one for one in differing if one.name not in flaky)
            told = steady or differing
            outcome = FieldOutcome.WRONG_NUMBERS if steady else FieldOutcome.FLAKY
            state = FieldState(outcome, summary=words_of_differences(told), differences=told)
            values = loaded.values((name, number))
            changed[name] = _with_state(changed[name], number, state, {values[one.name].test for one in told})
        return changed

    def _confirmed(self, again: RunAgain) -> tuple[Differences, dict[Key, str]]:
        """Return what differs, and why some can't be compared, when no fork's word is left in it."""
        tried: set[Key] = set()
        while True:
            loaded = self._loaded
            every = {key: (loaded.reference(key[1]), loaded.values(key)) for key in loaded.keys}
            found, trouble = self._differences(every)
            doubted = [doubted for key in (*found, *trouble) for doubted in (key, loaded.own(key[1]))]
            forked = [key for key in dict.fromkeys(doubted) if key in loaded.forked and key not in tried]
            if not forked:
                return found, trouble
            tried.update(forked)
            consumers = dict(loaded.consumers)
            for (name, number), (other, at) in self._run_again(forked, again).items():
                consumers[name] = consumers[name].with_field(number, other, at)
            self._loaded = replace(loaded, consumers=consumers)

    def _run_again(self, keys: Sequence[Key], again: RunAgain) -> dict[Key, tuple[Consumed, int]]:
        """Have some fields run once more; return where what they came to stands, of those that could be run."""
        numbers: dict[str, list[int]] = {}
        for name, number in keys:
            numbers.setdefault(name, []).append(number)
        second = again({name: [self._loaded.servings[one] for one in own] for name, own in numbers.items()})
        ran = {name: own for name, own in numbers.items() if name in second and len(second[name].states) == len(own)}
        return {(name, number): (second[name], at) for name, own in ran.items() for at, number in enumerate(own)}

    def _differences(
        self, pairs: Mapping[Key, tuple[NumbersByName, NumbersByName]]
    ) -> tuple[dict[Key, tuple[ValueDifference, ...]], dict[Key, str]]:
        """Return what differs by more than is allowed, by field, and why some can't be compared."""
        alike: list[tuple[Key, str, Comparison]] = []
        found: dict[Key, list[ValueDifference]] = {}
        for key, (expected, got) in pairs.items():
            same_shape, others = to_compare(expected, got)
            alike += [(key, name, pair) for name, pair in same_shape.items()]
            reference = self._loaded.servings[key[1]].producer.name
            told = [difference(name, reference, pair, None) for name, pair in others.items()]
            if told:
                found.setdefault(key, []).extend(one for one in told if one is not None)
        compared = compare([pair for _, _, pair in alike], self._candidates, next(self._numbers))
        if compared.trouble:
            return _ordered(found), {key: compared.trouble for key, _, _ in alike}
        for (key, name, pair), distance in zip(alike, compared.distances, strict=True):
            reference = self._loaded.servings[key[1]].producer.name
            if (one := difference(name, reference, pair, distance)) is not None:
                found.setdefault(key, []).append(one)
        return _ordered(found), {}

    def _varying(self, found: Differences, again: RunAgain) -> dict[Key, frozenset[str]]:
        """Return which of the values that differ are others in a second run, too, by field."""
        pairs: dict[Key, tuple[NumbersByName, NumbersByName]] = {}
        for key, (consumed, at) in self._run_again(list(found), again).items():
            pairs[key] = self._loaded.values(key), numbered(consumed.values[at])
        differing, _ = self._differences(pairs)
        return {key: frozenset(one.name for one in values) for key, values in differing.items()}


def _ordered(found: Mapping[Key, Sequence[ValueDifference]]) -> dict[Key, tuple[ValueDifference, ...]]:
    return {key: tuple(values) for key, values in found.items()}


def _with_state(consumed: Consumed, number: int, state: FieldState, tests: Collection[str]) -> Consumed:
    """Return a consumer with another state of one product, and with that in its rows `tests`."""
    states = list(consumed.states)
    states[number] = replace(state, tests=states[number].tests)
    rows = tuple(_told(row, state) if row.id in tests else row for row in consumed.result.tests)
    result = replace(consumed.result, tests=rows, outcome=worst({row.outcome for row in rows}))
    if result.outcome.is_failure_of_the_test and not result.summary:
        result = replace(result, summary=state.summary)
    return replace(consumed, result=result, states=tuple(states))


def _told(row: TestRow, state: FieldState) -> TestRow:
    if state.outcome is FieldOutcome.FLAKY:
        return replace(row, remarks=(*row.remarks, f"flaky, its numbers vary from run to run: {state.summary}"))
    return replace(row, outcome=Outcome.FAIL, reason=state.summary)
