"""Paths are named as from where the user stands."""

import pytest

from tf_tester.core.text.places import replaced, seen_from


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("/home/me/lib/a.py:3", "a.py:3"),
        ("/home/me/b.py", "../b.py"),
        ("/home/other/b.py", "/home/other/b.py"),
        ("/home/me/library/a.py", "../library/a.py"),
        ("x/home/me/lib/a.py", "x/home/me/lib/a.py"),
    ],
)
def test_only_the_users_own_folders_are_cut_off(text: str, seen: str) -> None:
    assert seen_from(text, "/home/me/lib") == seen


def test_a_folder_of_a_longer_name_is_another_one() -> None:
    assert replaced("/tmp/work/a /tmp/workplace/b", "/tmp/work", "/home/me") == "/home/me/a /tmp/workplace/b"
