"""What a client says it wants."""

import pytest

from tf_tester.core.index.negotiate import HTML, JSON, TEXT_HTML, byte_range, content_type, matches

PIP = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (PIP, JSON),
        ("application/vnd.pypi.simple.latest+html", HTML),
        ("application/vnd.pypi.simple.v1+json;q=0, text/html", TEXT_HTML),
        ("text/*", TEXT_HTML),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", TEXT_HTML),
        ("*/*;q=0", None),
        ("text/html;q=0, */*", None),
        ("application/vnd.pypi.simple.v2+json", None),
        (";;,,q=1", None),
        ("text/html;q=nonsense", None),
    ],
)
def test_the_type_that_is_wanted_most(accept: str, kind: str | None) -> None:
    assert content_type(accept) == kind


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=5-100", (5, 10)),
        ("bytes=-100", (0, 10)),
        ("bytes=5-4", None),
        ("bytes=0-1,3-4", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=1", None),
        ("bytes=" + "9" * 40 + "-", None),
        ("items=0-1", None),
    ],
)
def test_ranges(header: str, found: tuple[int, int] | None) -> None:
    assert byte_range(header, 10) == found


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-12", "bytes=-0"])
def test_ranges_that_are_not_there(header: str) -> None:
    with pytest.raises(ValueError, match="bytes"):
        byte_range(header, 10)


def test_tags() -> None:
    assert matches('"a", W/"b"', '"b"')
    assert matches("*", '"b"')
    assert not matches('"a"', '"b"')
