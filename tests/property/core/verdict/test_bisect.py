"""A change is found wherever it is, in no more looks than stated."""

import itertools
from math import ceil, log2

from hypothesis import given
from hypothesis import strategies as st

from tf_tester.core.verdict.bisect import BisectSearch, Mark, Transition, combined, transitions

GOOD, BAD, UNTESTABLE = Mark.GOOD, Mark.BAD, Mark.UNTESTABLE


@st.composite
def lines(draw: st.DrawFn) -> tuple[list[Mark], int]:
    """A line that changes once, some of it untestable, and where it changes."""
    count = draw(st.integers(2, 200))
    first_other = draw(st.integers(1, count - 1))
    first = draw(st.sampled_from([GOOD, BAD]))
    other = BAD if first is GOOD else GOOD
    line = [first if index < first_other else other for index in range(count)]
    for index in draw(st.sets(st.integers(1, count - 1), max_size=count // 3)):
        if 0 < index < count - 1:
            line[index] = UNTESTABLE
    return line, first_other


def searched(line: list[Mark]) -> tuple[BisectSearch, list[int]]:
    search = BisectSearch(len(line), line[0])
    looked_at = []
    while (index := search.next()) is not None:
        assert index not in looked_at
        assert 0 < index < len(line) - 1
        looked_at.append(index)
        search.tell(index, line[index])
    return search, looked_at


@given(lines())
def test_the_change_is_found(case: tuple[list[Mark], int]) -> None:
    line, first_other = case
    search, looked_at = searched(line)
    change = search.change
    assert line[change.before] is line[0]
    assert line[change.after] is line[-1] is change.becomes
    assert change.before < first_other <= change.after
    assert all(line[index] is UNTESTABLE for index in range(change.before + 1, change.after))
    untestable = sum(line[index] is UNTESTABLE for index in looked_at)
    assert len(looked_at) - untestable <= ceil(log2(len(line) - 1)) + untestable


@given(st.integers(2, 500), st.data())
def test_where_all_can_be_tested_it_takes_no_more_than_the_logarithm(count: int, data: st.DataObject) -> None:
    first_bad = data.draw(st.integers(1, count - 1))
    line = [GOOD if index < first_bad else BAD for index in range(count)]
    most = BisectSearch(count, GOOD).most
    search, looked_at = searched(line)
    assert len(looked_at) <= most == ceil(log2(count - 1))
    assert search.change == Transition(first_bad - 1, first_bad, BAD)
    assert search.change.is_exact


@given(st.lists(st.sampled_from([GOOD, BAD, UNTESTABLE])))
def test_every_transition_is_told_and_nothing_else(line: list[Mark]) -> None:
    changes = transitions(line)
    for change in changes:
        assert line[change.after] is change.becomes
        assert line[change.before] not in (change.becomes, UNTESTABLE)
        assert all(line[index] is UNTESTABLE for index in range(change.before + 1, change.after))
    tested = [mark for mark in line if mark is not UNTESTABLE]
    assert len(changes) == sum(a is not b for a, b in itertools.pairwise(tested))


def test_what_is_not_always_the_same_is_untestable() -> None:
    assert combined([BAD]) is BAD
    assert combined([GOOD, BAD, GOOD]) is UNTESTABLE
