"""Backward and forward compatibility, named in one sentence."""

from itertools import pairwise

import pytest

from tests.unit.core.grid.test_heat_map import ERROR, NOT_RUN, OK, cell, report_of
from tf_tester.core.grid.compatibility import (
    LoadDirection,
    Reach,
    ReachKind,
    VersionPair,
    grid_reach,
    reach,
    reach_clause,
    reach_sentence,
    version_pairs,
)
from tf_tester.model.events import FieldFinished
from tf_tester.model.field import FieldOutcome

WRONG = FieldOutcome.WRONG_NUMBERS
LINE = ("1.9", "1.10", "2.0", "2.1")


def backward(*outcomes: FieldOutcome) -> Reach:
    """What comes of each version of the line under the next one."""
    pairs = [VersionPair(old, new, one) for (old, new), one in zip(pairwise(LINE), outcomes, strict=True)]
    return reach(pairs, LoadDirection.BACKWARD)


def test_all_that_older_ones_saved() -> None:
    found = backward(OK, OK, FieldOutcome.FLAKY)
    assert (found.kind, found.stretches) == (ReachKind.ALL, (("1.9", "2.1"),))
    assert reach_clause(found) == "newer versions load all that older ones saved"


def test_up_to_a_version_and_what_breaks_there() -> None:
    found = backward(OK, ERROR, ERROR)
    assert found.kind is ReachKind.PARTLY
    told = "newer versions load what older ones saved up to 1.10 (2.0 fails on what 1.10 saved)"
    assert reach_clause(found) == told


def test_stretches_are_told_each() -> None:
    told = reach_clause(backward(OK, WRONG, OK))
    assert told == (
        "newer versions load what older ones saved from 1.9 to 1.10 and from 2.0 to 2.1 "
        "(2.0 gets other numbers from what 1.10 saved)"
    )
    assert "saved from 2.0 to 2.1 (" in reach_clause(backward(ERROR, ERROR, OK))


def test_none_at_all() -> None:
    assert reach_clause(backward(ERROR, ERROR, ERROR)) == (
        "newer versions don't rightly load what older ones saved (1.10 fails on what 1.9 saved)"
    )


def test_from_each_to_the_next_but_not_further() -> None:
    pairs = [VersionPair(old, new, OK) for old, new in pairwise(LINE)]
    far = reach([*pairs, VersionPair("1.9", "2.1", ERROR), VersionPair("1.9", "2.0", WRONG)], LoadDirection.BACKWARD)
    assert far.kind is ReachKind.STEPS
    assert reach_clause(far) == (
        "newer versions load what the one before them saved, but not all that older ones did "
        "(2.0 gets other numbers from what 1.9 saved)"
    )


def test_forward_is_the_other_way_round() -> None:
    pairs = [VersionPair("2.0", "1.9", ERROR), VersionPair("1.9", "2.0", OK), VersionPair("2.0", "2.0", OK)]
    forward = reach(pairs, LoadDirection.FORWARD)
    assert reach_clause(forward) == (
        "older versions don't rightly load what newer ones saved (1.9 fails on what 2.0 saved)"
    )
    assert reach(pairs[2:], LoadDirection.FORWARD).kind is ReachKind.UNKNOWN


def test_a_pair_works_if_all_its_fields_do() -> None:
    fields = [FieldFinished("a", "b", product, one) for product, one in (("m", OK), ("n", WRONG), ("o", OK))]
    fields += [FieldFinished("b", "a", "m", NOT_RUN), FieldFinished("gone", "a", "m", OK)]
    assert version_pairs(fields, {"a": "1", "b": "2"}) == (VersionPair("1", "2", WRONG),)


@pytest.mark.parametrize("outcome", [OK, ERROR, NOT_RUN])
def test_one_version_alone_is_told_by_its_fields(outcome: FieldOutcome) -> None:
    told = reach_sentence(grid_reach(report_of([cell("1.0")], {("1.0", "1.0"): (outcome, "")})))
    assert (
        told
        == {
            OK: "toy loads what toy saved in 1 of 1 fields.",
            ERROR: "toy loads what toy saved in 0 of 1 fields.",
            NOT_RUN: "It isn't known which versions load what others saved: nothing could be loaded.",
        }[outcome]
    )


def test_the_sentence_has_both_directions() -> None:
    cells = [cell("1.0"), cell("2.0")]
    came = {(a.version, b.version): (OK if a.version <= b.version else ERROR, "new") for a in cells for b in cells}
    assert reach_sentence(grid_reach(report_of(cells, came))) == (
        "toy: newer versions load all that older ones saved; "
        "older versions don't rightly load what newer ones saved (1.0 fails on what 2.0 saved)."
    )
