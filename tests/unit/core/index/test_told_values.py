"""What an index may tell, and what nobody can mean."""

import pytest

from tf_tester.core.index.told_values import reason, requires_python


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (">=3.8", ">=3.8"),
        (" >=3.8,<4 ", ">=3.8,<4"),
        (">=3.6.*", ">=3.6"),
        (">=2.7*, !=3.1*", ">=2.7, !=3.1.*"),
        (">=3.8,\n<4", ">=3.8, <4"),
        ("python 3", None),
        ("", None),
        (None, None),
    ],
)
def test_a_requirement_of_python_is_one_that_clients_read_or_none(text: str | None, read: str | None) -> None:
    assert requires_python(text) == read


def test_a_reason_is_one_line_that_may_be_printed() -> None:
    assert reason("a\x00b\u2028c \u202e d") == "a b c d"
    assert reason("使えません 🙂") == "使えません 🙂"
    assert len(reason("x" * 10_000)) == 2000
