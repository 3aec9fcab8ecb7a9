"""Text of others is refused by the library's own errors, whatever it is."""

import tomllib

import pytest
from packaging.requirements import InvalidRequirement

from tf_tester.core.text.parsing import parse_requirement, parse_toml


@pytest.mark.parametrize("text", ["a = " + "[" * 5_000 + "]" * 5_000, "a = " + "9" * 5_000, "a =", b"\0"])
def test_what_is_no_toml_is_told_as_such(text: str | bytes) -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        parse_toml(text)


def test_toml_is_read_from_text_and_from_bytes() -> None:
    assert parse_toml("a = 'é'") == parse_toml("a = 'é'".encode()) == {"a": "é"}
    with pytest.raises(UnicodeDecodeError):
        parse_toml(b"\xff")


@pytest.mark.parametrize("text", ["six; " + "(" * 3_000 + "os_name=='a'" + ")" * 3_000, "", "a b", "six=="])
def test_what_is_no_requirement_is_told_as_such(text: str) -> None:
    with pytest.raises(InvalidRequirement):
        parse_requirement(text)
