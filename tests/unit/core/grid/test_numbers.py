"""When two values are the same, and what is said where they aren't."""

import pytest
from msgspec.structs import replace

from tf_tester.core.grid.numbers import (
    Comparison,
    Distance,
    difference,
    numbered,
    to_compare,
    words_of_difference,
    words_of_differences,
)
from tf_tester.model.events import ValueRecorded


def value(digest: str, dtype: str = "<f4", shape: tuple[int, ...] = (2,), **allowed: float) -> ValueRecorded:
    return ValueRecorded("c", "t", "p", dtype, shape, digest, **allowed)


def test_what_is_the_same_bit_for_bit_needs_no_comparison() -> None:
    expected = {"p": value("a"), "q": value("b"), "only": value("c"), "r": value("d", shape=(3,))}
    got = {"p": value("a"), "q": value("x"), "other": value("y"), "r": value("z")}
    alike, others = to_compare(expected, got)
    assert alike == {"q": Comparison(value("b"), value("x"))}
    assert set(others) == {"r"}


@pytest.mark.parametrize(
    ("expected", "got", "tolerance"),
    [
        (value("a"), value("b"), (1.3e-6, 1e-5)),
        (value("a", "<f8"), value("b", "<f8"), (1e-7, 1e-7)),
        (value("a", "<f2"), value("b", "<f8"), (1e-3, 1e-5)),
        (value("a", "<i8"), value("b", "<i8"), (0.0, 0.0)),
        (value("a", "|b1"), value("b", "|b1"), (0.0, 0.0)),
        (value("a", rtol=0.5), value("b"), (0.5, 1e-5)),
        (value("a", rtol=0.5, atol=2.0), value("b", rtol=0.0), (0.0, 2.0)),
    ],
)
def test_the_function_that_records_says_what_is_allowed_else_the_type(
    expected: ValueRecorded, got: ValueRecorded, tolerance: tuple[float, float]
) -> None:
    assert Comparison(expected, got).tolerance == tolerance


def test_a_value_differs_where_a_number_is_outside_of_what_is_allowed() -> None:
    pair = Comparison(value("a"), value("b", "<f8"))
    assert difference("p", "toy", pair, Distance(0, 2, 1e-9, 1e-9)) is None
    found = difference("p", "toy", pair, Distance(1, 2, 0.15, 0.43, None, 0, (1,), "0.35", "0.5"))
    assert found is not None
    assert (found.reference, found.dtypes, found.rtol) == ("toy", ("<f4", "<f8"), 1.3e-6)
    assert words_of_difference(found) == "p[1] is 0.5, not 0.35; 1 of 2 numbers differ (max abs 0.15, max rel 0.43)"
    shapes = difference("p", "toy", Comparison(value("a"), value("b", shape=(3, 1))), None)
    assert shapes is not None
    assert words_of_difference(shapes) == "p is of shape (3, 1), not of shape (2,)"
    assert words_of_differences([shapes, found]) == "p is of shape (3, 1), not of shape (2,) (and 1 more)"
    assert words_of_differences([]) == ""


@pytest.mark.parametrize(("ulps", "told"), [(999_999, "999,999 ULPs"), (4_780_000_000_000, "4.78e+12 ULPs")])
def test_few_ulps_are_told_to_the_last_one(ulps: int, told: str) -> None:
    found = difference("p", "toy", Comparison(value("a"), value("b")), Distance(1, 2, 1.0, 1.0, ulps))
    assert found is not None
    assert told in words_of_difference(found)


def test_nan_is_told_and_one_number_is_not_counted() -> None:
    found = difference("p", "toy", Comparison(value("a", shape=()), value("b", shape=())), Distance(1, 1, nans=1))
    assert found is not None
    assert words_of_difference(replace(found, expected="1.0", got="nan")) == (
        "p is nan, not 1.0 (1 NaN where the other is none)"
    )


def test_the_second_value_of_one_name_has_a_number() -> None:
    values = [value("a"), value("b"), replace(value("c"), name="q"), value("d")]
    assert {name: one.digest for name, one in numbered(values).items()} == {"p": "a", "p#2": "b", "q": "c", "p#3": "d"}
