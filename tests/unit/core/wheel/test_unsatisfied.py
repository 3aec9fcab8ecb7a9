"""The requirement that a resolver's reasoning is about is found in it."""

import pytest

from tf_tester.core.wheel.unsatisfied import is_demanded

WHY = """Because there is no version of gear>=9 and
only toy<=2.0 is available and you require gear>=9 and my.toy[fast]>=1,<2, we can conclude
that your requirements are unsatisfiable."""


@pytest.mark.parametrize(
    ("text", "is_it"),
    [
        ("gear>=9", True),
        ("gear >= 9", True),
        ("gear>=8", False),
        ("My_Toy[fast]<2,>=1", True),
        ("toy<=2.0", False),
        ("not a requirement", False),
    ],
)
def test_only_what_was_required_and_is_named_counts(text: str, is_it: bool) -> None:
    assert is_demanded(text, WHY) == is_it
