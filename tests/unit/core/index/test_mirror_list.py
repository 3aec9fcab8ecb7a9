"""Which mirrors there are, what a name means among them, and where one has a file."""

import re
from pathlib import Path

import pytest

from tf_tester.core.index.mirror_list import mirror_list
from tf_tester.errors import ConfigError, UsageError
from tf_tester.index.mirror_files import known_mirrors

KNOWN = known_mirrors(Path("/nothing/mirrors.toml"))
"""Ours alone."""


def test_every_mirror_has_a_sound_address_and_copies_one_we_know() -> None:
    mirrors = KNOWN.mirrors
    assert {"tuna", "bfsu", "ustc", "sjtug", "nju", "aliyun", "tencent", "huawei", "cernet", "zju"} <= mirrors.keys()
    for name, mirror in mirrors.items():
        assert mirror.name == name and mirror.title and mirror.operator and mirror.region == "CN"
        assert mirror.url.startswith("https://") and not mirror.url.endswith("/")
        assert mirror.copies is None or mirror.copies in mirrors


def test_a_mirror_is_named_in_any_case_or_by_its_address() -> None:
    tuna = KNOWN.named("TUNA")
    assert tuna is not None and tuna.name == "tuna"
    assert KNOWN.named(tuna.url + "/") == tuna


def test_any_address_is_a_mirror_whose_name_shows_no_password() -> None:
    mirror = KNOWN.named("https://me:secret@nexus.example:8443/simple/")
    assert mirror is not None
    assert (mirror.name, mirror.url) == ("nexus.example:8443", "https://me:secret@nexus.example:8443/simple")


def test_copies_of_copies_have_one_root() -> None:
    assert KNOWN.root_of("lzu") == "tuna"
    assert KNOWN.root_of("aliyun") == "aliyun"
    assert KNOWN.root_of("nobody") == "nobody"


def test_the_users_file_adds_mirrors_and_replaces_ours_by_name(tmp_path: Path) -> None:
    file = tmp_path / "mirrors.toml"
    file.write_text(
        """
        [feeds]
        mirrorz = ["https://feed.example/f.json"]
        [[mirror]]
        name = "office"
        url = "https://office.example/simple/"
        copies = "tuna"
        [[mirror]]
        name = "tuna"
        url = "https://tuna.example/simple"
        """
    )
    known = known_mirrors(file)
    assert known.own == {"office", "tuna"}
    assert known.feeds == ("https://feed.example/f.json",)
    assert known.mirrors["office"].url == "https://office.example/simple"
    assert known.mirrors["tuna"].url == "https://tuna.example/simple"
    assert known.mirrors["aliyun"] == KNOWN.mirrors["aliyun"]
    assert known.root_of("office") == "tuna"
    file.unlink()
    assert known_mirrors(file) == KNOWN


@pytest.mark.parametrize(
    "content",
    [
        "[[mirror",
        '[[mirror]]\nname = "a"',
        '[[mirror]]\nname = "auto"\nurl = "https://a.example"',
        '[[mirror]]\nname = "A b"\nurl = "https://a.example"',
        '[[mirror]]\nname = "a"\nurl = "https://a.example"\ncolour = "red"',
    ],
)
def test_a_file_that_is_none_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "mirrors.toml"
    file.write_text(content)
    with pytest.raises(ConfigError) as caught:
        known_mirrors(file)
    assert str(file) in str(caught.value)


def test_none_is_no_mirror() -> None:
    assert KNOWN.named("none") is None


def test_an_unknown_name_is_answered_with_the_nearest_and_all() -> None:
    with pytest.raises(UsageError) as caught:
        KNOWN.named("tunna")
    assert "Did you mean tuna" in caught.value.hint
    for name in KNOWN.mirrors:
        assert name in caught.value.hint


@pytest.mark.parametrize("word", ["auto", "AUTO "])
def test_auto_is_none_of_the_mirrors(word: str) -> None:
    with pytest.raises(UsageError, match="is a choice among mirrors, not a mirror") as caught:
        KNOWN.named(word)
    assert "Did you mean" not in caught.value.hint


@pytest.mark.parametrize("word", ["autoo", "nne"])
def test_a_guess_is_a_mirror(word: str) -> None:
    """Where one mirror is wanted neither `auto` nor `none` helps."""
    with pytest.raises(UsageError) as caught:
        KNOWN.named(word)
    assert not re.search(r"mean.*\b(auto|none)\b.*\?", caught.value.hint)


@pytest.mark.parametrize("url", ["ftp://a.example", "https://", "https://a.example:port/simple"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        KNOWN.named(url)


OURS = (
    b'[feeds]\nmirrorz = ["https://ours.example/feed"]\n[[mirror]]\nname = "one"\nurl = "https://one.example/simple/"\n'
)


def test_the_users_file_replaces_mirrors_and_feeds_of_ours() -> None:
    theirs = (
        b'[feeds]\nmirrorz = ["https://theirs.example/feed"]\n[[mirror]]\nname = "one"\nurl = "https://own.example"\n'
    )
    both = mirror_list(OURS, theirs, shown="mirrors.toml")
    assert (both.mirrors["one"].url, both.own, both.feeds) == (
        "https://own.example",
        frozenset({"one"}),
        ("https://theirs.example/feed",),
    )
    assert mirror_list(OURS, b"", shown="mirrors.toml").feeds == ("https://ours.example/feed",)


@pytest.mark.parametrize("name", ["auto", "none", "authority", "One", "a/b", ""])
def test_a_name_that_means_something_else_or_nothing_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"mirrors\.toml"):
        mirror_list(OURS, f'[[mirror]]\nname = "{name}"\nurl = "https://x.example"\n'.encode(), shown="mirrors.toml")
