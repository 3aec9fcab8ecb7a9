"""`printable`: what a person reads can neither command the terminal nor look like something else."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_tester.core.text.printable import printable

anything = st.text(st.characters())
"""Lone surrogates included."""

BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31mred", "\\x9b31mred"),
        ("a\x00b\x7fc", "a\\x00b\\x7fc"),
        ("user\u202egnp.exe", "user\\u202egnp.exe"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("one\u2028two\u2029three\x85four", "one\\u2028two\\u2029three\\x85four"),
        ("one\r\ntwo", "one\\r\\ntwo"),
        ("tab\tstop", "tab stop"),
        ("\udc80", "\\udc80"),
        ("tag \U000e0041", "tag \\U000e0041"),
    ],
)
def test_what_is_invisible_becomes_a_visible_escape(raw: str, shown: str) -> None:
    assert printable(raw) == shown


def test_line_ends_stay_where_they_are_asked_for() -> None:
    assert printable("one\r\ntwo\nthree\rfour\x1b\n", newlines=True) == "one\ntwo\nthree\\rfour\\x1b\n"


@pytest.mark.parametrize("text", ["", "plain", "naïve 模型 модель", "a\u00a0b\u3000c", "<script>", "C:\\new"])
def test_printable_text_comes_back_unchanged(text: str) -> None:
    assert printable(text) == text


@given(anything, st.booleans())
def test_output_holds_nothing_invisible(text: str, newlines: bool) -> None:
    shown = printable(text, newlines=newlines)
    left = shown.replace("\n", "") if newlines else shown
    assert not {unicodedata.category(character) for character in left} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert not set(left) & set(BIDI)
    shown.encode()


@given(anything)
def test_printable_characters_are_kept(text: str) -> None:
    kept = "".join(character for character in text if character.isprintable())
    assert printable(kept) == kept
    assert printable(printable(text)) == printable(text)
