"""Every smallest set of culprits is found, whatever entails what, in no more trials than stated."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_tester.core.verdict.bisect import Mark
from tf_tester.core.verdict.blame import Changes, CulpritSearch, CulpritSearchResult, EntailmentGraph, most_trials

GOOD, BAD, UNTESTABLE = Mark.GOOD, Mark.BAD, Mark.UNTESTABLE
NAMES = [f"p{number:02}" for number in range(40)]


def hunted(
    graph: EntailmentGraph, mark: Callable[[Changes], Mark], *, at_once: int = 1, budget: int | None = None
) -> CulpritSearchResult:
    steps = CulpritSearch(graph, at_once=at_once, budget=budget).steps()
    seen: set[Changes] = set()
    try:
        batch = next(steps)
        while True:
            assert 0 < len(batch) <= at_once
            for one in batch:
                assert one == graph.closure(one), "what is tried has all that it entails"
                assert one not in seen, "nothing is tried twice"
                assert one not in (frozenset(), graph.everything), "the ends are known"
                seen.add(one)
            batch = steps.send([mark(one) for one in batch])
    except StopIteration as stop:
        answer: CulpritSearchResult = stop.value
    assert answer.tried == len(seen)
    return answer


@st.composite
def graphs(draw: st.DrawFn, *, most: int = 40) -> EntailmentGraph:
    """Some of the changes entail others, some each other."""
    names = NAMES[: draw(st.integers(1, most))]
    pairs = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=len(names)))
    entails: dict[str, set[str]] = {name: set() for name in names}
    for one, other in pairs:
        entails[one].add(other)
    return EntailmentGraph(entails)


@st.composite
def cases(draw: st.DrawFn, *, culprits: int = 3) -> tuple[EntailmentGraph, list[Changes]]:
    """A graph, and closed sets of which each is enough."""
    graph = draw(graphs())
    names = sorted(graph.everything)
    sets = st.sets(st.sampled_from(names), min_size=1, max_size=3)
    return graph, [graph.closure(one) for one in draw(st.lists(sets, min_size=1, max_size=culprits))]


def smallest(sets: list[Changes]) -> set[Changes]:
    return {one for one in sets if not any(other < one for other in sets)}


@given(cases(), st.integers(1, 4))
def test_all_smallest_sets_are_found_and_nothing_else(
    case: tuple[EntailmentGraph, list[Changes]], at_once: int
) -> None:
    graph, enough = case
    answer = hunted(graph, lambda tried: BAD if any(one <= tried for one in enough) else GOOD, at_once=at_once)
    assert answer.complete
    assert {culprit.all for culprit in answer.culprits} == smallest(enough)
    assert len(answer.culprits) == len(smallest(enough)), "each once"
    for culprit in answer.culprits:
        assert culprit.exact
        assert graph.closure(culprit.changes) == culprit.all
        units = [unit for unit in graph.units if unit <= culprit.changes]
        for unit in units:
            others = frozenset().union(*(other for other in units if other != unit))
            assert not unit <= graph.closure(others), "what another one entails isn't named"


@given(cases())
def test_it_takes_no_more_trials_than_stated(case: tuple[EntailmentGraph, list[Changes]]) -> None:
    graph, enough = case
    answer = hunted(graph, lambda tried: BAD if any(one <= tried for one in enough) else GOOD)
    sizes = [sum(unit <= culprit.changes for unit in graph.units) for culprit in answer.culprits]
    assert answer.tried <= most_trials(len(graph.units), sizes)


@given(cases(), st.integers(0, 12), st.integers(1, 4))
def test_a_budget_is_kept_to(case: tuple[EntailmentGraph, list[Changes]], budget: int, at_once: int) -> None:
    graph, enough = case
    answer = hunted(
        graph, lambda tried: BAD if any(one <= tried for one in enough) else GOOD, at_once=at_once, budget=budget
    )
    assert answer.tried <= budget
    found = {culprit.all for culprit in answer.culprits}
    assert found <= smallest(enough)
    if answer.complete:
        assert found == smallest(enough)


@given(cases(), st.integers(1, 3), st.randoms(use_true_random=False))
def test_what_cannot_be_tried_makes_an_answer_wider_never_wrong(
    case: tuple[EntailmentGraph, list[Changes]],
    at_once: int,
    random: "st.random.Random",  # type: ignore[name-defined]
) -> None:
    graph, enough = case
    untestable: dict[Changes, bool] = {}

    def mark(tried: Changes) -> Mark:
        if untestable.setdefault(tried, random.random() < 0.3):
            return UNTESTABLE
        return BAD if any(one <= tried for one in enough) else GOOD

    answer = hunted(graph, mark, at_once=at_once)
    assert answer.complete
    assert answer.culprits
    for culprit in answer.culprits:
        # It holds a whole smallest set; an exact one is no more than that.
        assert any(one <= culprit.all for one in smallest(enough))


@given(graphs(most=12), st.randoms(use_true_random=False))
def test_whatever_a_test_does_each_answer_fails_and_has_no_failing_part_that_was_tried(
    graph: EntailmentGraph,
    random: "st.random.Random",  # type: ignore[name-defined]
) -> None:
    """Also where one change repairs what another one broke."""
    said: dict[Changes, Mark] = {frozenset(): GOOD, graph.everything: BAD}
    answer = hunted(graph, lambda tried: said.setdefault(tried, random.choice([GOOD, BAD])), at_once=2)
    for culprit in answer.culprits:
        assert said[culprit.all] is BAD
        for unit in graph.units:
            if unit <= culprit.changes and (part := graph.without(culprit.all, unit)):
                assert said[part] is GOOD


@pytest.mark.parametrize(("size", "most"), [(1, 8), (2, 15), (3, 22)])
def test_thirty_changes_and_one_culprit(size: int, most: int) -> None:
    graph = EntailmentGraph(dict.fromkeys(NAMES[:30], ()))
    assert most_trials(30, (size,)) == most + (size - 1)
    for start in range(30 - size):
        enough = frozenset(NAMES[start : start + size])
        answer = hunted(graph, lambda tried, enough=enough: BAD if enough <= tried else GOOD)  # type: ignore[misc]
        assert [culprit.changes for culprit in answer.culprits] == [enough]
        assert answer.tried <= most + (size - 1)
