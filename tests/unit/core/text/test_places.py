"""Paths in what programs say, as somebody reads them who stands in a folder."""

import pytest

from tf_tester.core.text.places import replaced, seen_from

HERE = "/home/me/code/lib"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (f'File "{HERE}/a.py", line 3', 'File "a.py", line 3'),
        (f"'{HERE}/none.txt'", "'none.txt'"),
        ("/home/me/code/tests/t.py:3", "../tests/t.py:3"),
        ("/home/me/other/t.py", "../../other/t.py"),
        ("/home/you/t.py", "/home/you/t.py"),
        (f"{HERE}rary/a.py", "../library/a.py"),
        (f"/srv{HERE}/a.py", f"/srv{HERE}/a.py"),
        (f"in {HERE}", f"in {HERE}"),
        (f"{HERE}/a.py and {HERE}/b.py", "a.py and b.py"),
        ("", ""),
    ],
)
def test_a_path_is_written_as_from_the_folder(text: str, seen: str) -> None:
    assert seen_from(text, HERE) == seen


@pytest.mark.parametrize("here", ["", "/", "/home", "relative"])
def test_from_nowhere_and_from_the_top_nothing_changes(here: str) -> None:
    assert seen_from("/home/me/a.py", here) == "/home/me/a.py"


def test_a_folder_that_stands_for_another_is_named_as_that() -> None:
    assert replaced("/s/one/a.py, /s/one2/b.py, /s/one", "/s/one", "/me") == "/me/a.py, /s/one2/b.py, /me"
