"""Folders of wheels, and pages with links, as indexes."""

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from tests.fakes import MemoryPages
from tests.wheels import make_sdist, make_wheel
from tf_tester.errors import IndexUnreachable, UnknownProject
from tf_tester.index.find_links import LinkedFiles, state_of
from tf_tester.index.http import PageAccess
from tf_tester.ports.index import PageResponse


class Site:
    """One page, and how often it was asked for."""

    def __init__(self, body: str) -> None:
        self.body = body
        self.asked = 0

    def get_page(
        self, url: str, *, accept: str, etag: str | None, fresh: bool = False, most: int | None = None
    ) -> PageResponse:
        self.asked += 1
        return PageResponse(200, self.body.encode(), "text/html", None, url)


def access(site: Site, pages: MemoryPages | None = None, *, offline: bool = False) -> PageAccess:
    return PageAccess(site, pages or MemoryPages(), lambda: datetime(2026, 1, 1, tzinfo=UTC), offline=offline)


def test_a_folder_has_the_projects_of_its_files(tmp_path: Path) -> None:
    for filename, content in (make_wheel("toy", "1.0"), make_wheel("toy-more", "2.0"), make_sdist("toy", "1.1")):
        (tmp_path / filename).write_bytes(content)
    (tmp_path / "notes.txt").write_text("")
    index = LinkedFiles(str(tmp_path), access(Site("")))
    first, second = index.page("toy").artifacts
    assert (first.version, second.version) == ("1.0", "1.1")
    assert first.url == (tmp_path / first.filename).as_uri()
    assert first.sha256 == sha256((tmp_path / first.filename).read_bytes()).hexdigest()
    assert [one.version for one in LinkedFiles(tmp_path.as_uri(), access(Site(""))).page("toy-more").artifacts] == [
        "2.0"
    ]
    with pytest.raises(UnknownProject):
        index.page("six")


def test_what_was_found_in_a_folder_counts_until_that_changes(tmp_path: Path) -> None:
    before = state_of(str(tmp_path))
    assert state_of(str(tmp_path)) == before
    (tmp_path / "toy-1.0-py3-none-any.whl").write_bytes(b"")
    assert state_of(str(tmp_path)) != before
    assert state_of("https://me:secret@host/all.html") == "https://host/all.html"


def test_a_page_links_to_files_of_any_projects_and_is_asked_for_once() -> None:
    links = [f"{name}-1.0-py3-none-any.whl#sha256={digit * 64}" for name, digit in (("toy", "a"), ("six", "b"))]
    site, pages = Site("".join(f'<a href="files/{link}">x</a>' for link in links)), MemoryPages()
    index = LinkedFiles("https://host/dir/all.html", access(site, pages))
    [toy] = index.page("toy").artifacts
    assert (toy.url, toy.sha256) == ("https://host/dir/files/toy-1.0-py3-none-any.whl", "a" * 64)
    assert index.page("six").artifacts[0].sha256 == "b" * 64
    with pytest.raises(UnknownProject):
        index.page("numpy")
    assert site.asked == 1
    offline = LinkedFiles("https://host/dir/all.html", access(site, pages, offline=True))
    assert offline.page("six").artifacts[0].sha256 == "b" * 64
    assert site.asked == 1


def test_a_place_that_is_not_there_is_told(tmp_path: Path) -> None:
    for place, offline in ((str(tmp_path / "none"), False), ("https://host/all.html", True)):
        with pytest.raises(IndexUnreachable, match="--find-links"):
            LinkedFiles(place, access(Site(""), offline=offline)).page("toy")
