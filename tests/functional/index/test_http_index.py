"""Pages come from the index, from the cache where it is fresh, and never from somebody else."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.fakes import MemoryPages
from tests.simulator import Cut, Fault, Headers, Portal, Redirect, Silent, Simulator, Slow, Stall, Status
from tests.wheels import make_wheel
from tf_tester.errors import IndexUnreachable, UnknownProject
from tf_tester.index.http import HttpIndex, PageAccess
from tf_tester.index.project_list import ProjectList
from tf_tester.ports.index import CachedPage
from tf_tester.transfer.client import Client
from tf_tester.transfer.settings import ClientSettings, Timeouts

TIMEOUTS = Timeouts(connect=5, stall=0.5, page=0.5, retry_delay=0.01, retry_after_cap=0.02)


class Rig:
    """An index with one project, a cache that outlives our indexes, and a clock that only we move."""

    def __init__(self, simulator: Simulator, client: Client) -> None:
        self.simulator = simulator
        self.client = client
        self.pages = MemoryPages()
        self.time = datetime(2026, 1, 1, tzinfo=UTC)
        self.artifact = simulator.add_wheel(
            *make_wheel("toy", "1.0"),
            upload_time="2021-05-04T03:02:01.000007Z",
            requires_python=">=3.8",
            yanked="broken",
            metadata=True,
        )

    def index(self, url: str = "", *, offline: bool = False, refresh: bool = False) -> HttpIndex:
        """As a new process would have it."""
        access = PageAccess(self.client, self.pages, lambda: self.time, offline=offline, refresh=refresh)
        return HttpIndex(url or self.simulator.simple_url, access)

    def later(self) -> None:
        self.time += timedelta(hours=1)

    @property
    def requests(self) -> int:
        return self.simulator.requests["toy"]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with (
        Simulator() as simulator,
        Client(ClientSettings(timeouts=TIMEOUTS)) as client,
    ):
        yield Rig(simulator, client)


# -- what is read


def test_a_json_page_is_read_in_full(rig: Rig) -> None:
    page = rig.index().page("toy")
    assert page.artifacts == (rig.artifact,)
    assert (page.serial, page.stale) == (rig.simulator.serial, False)


def test_a_time_that_is_yet_to_come_is_none(rig: Rig) -> None:
    """Nor where it is read again from what was kept."""
    rig.simulator.add_wheel(*make_wheel("toy", "2.0"), upload_time="2026-01-03T00:00:00Z")
    for _ in range(2):
        assert [one.upload_time is None for one in rig.index().page("toy").artifacts] == [False, True]
    rig.later()
    rig.time += timedelta(days=3)
    assert all(one.upload_time for one in rig.index().page("toy").artifacts)


def test_an_html_page_is_read_as_far_as_html_goes(rig: Rig) -> None:
    rig.simulator.speaks_json = False
    expected = replace(rig.artifact, size=None, upload_time=None)
    assert rig.index().page("toy").artifacts == (expected,)
    assert rig.index().page("toy").artifacts == (expected,)  # from the cache


def test_an_index_on_disk_is_read(rig: Rig, tmp_path: Path) -> None:
    folder = tmp_path / "my index" / "toy"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text(f'<a href="../../files/{rig.artifact.filename}">x</a>')
    index = rig.index(folder.parent.as_uri())
    (artifact,) = index.page("toy").artifacts
    assert artifact.url == (tmp_path / "files" / rig.artifact.filename).as_uri()
    with pytest.raises(UnknownProject):
        index.page("other")
    with pytest.raises(IndexUnreachable):
        rig.index((tmp_path / "absent").as_uri()).page("toy")
    assert rig.pages.pages == {}


# -- the cache


def test_one_process_asks_for_a_page_once(rig: Rig) -> None:
    index = rig.index()
    assert index.page("toy") is index.page("toy")
    assert rig.requests == 1


def test_twenty_threads_that_want_one_page_cause_one_request(rig: Rig) -> None:
    rig.simulator.fault("toy", Slow(bytes_per_second=8000, piece=200))
    index, ready = rig.index(), threading.Barrier(20)

    def ask(_: int) -> int:
        ready.wait(10)
        return id(index.page("toy"))

    with ThreadPoolExecutor(20) as pool:
        assert len(set(pool.map(ask, range(20)))) == 1
    assert rig.requests == 1


def test_of_many_pages_only_the_latest_are_kept_at_hand(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tf_tester.core.fetch.recent_pages.MOST_FILES", 12)
    projects = [f"toy{number}" for number in range(9)]
    for project in projects:
        rig.simulator.add_wheel(*make_wheel(project, "1.0"))
        rig.simulator.add_wheel(*make_wheel(project, "2.0"))
    index = rig.index()
    for _ in range(2):
        assert [len(index.page(project).artifacts) for project in projects] == [2] * 9
        assert list(index._known) == projects[-4:]
    assert {rig.simulator.requests[project] for project in projects} == {1}, "the others are in the cache"


def test_a_failure_is_everybodys_who_waits_and_not_remembered(rig: Rig) -> None:
    rig.simulator.fault("toy", Status(403))
    index = rig.index()
    for _ in range(2):
        with pytest.raises(IndexUnreachable):
            index.page("toy")
    rig.simulator.heal()
    assert index.page("toy").artifacts


def test_a_fresh_page_of_an_earlier_run_is_used_without_a_request(rig: Rig) -> None:
    page = rig.index().page("toy")
    assert rig.index().page("toy") == page
    assert rig.requests == 1


def test_an_old_page_is_revalidated_by_its_etag(rig: Rig) -> None:
    page = rig.index().page("toy")
    sent = rig.simulator.bytes_sent["toy"]
    rig.later()
    assert rig.index().page("toy") == page
    assert rig.requests == 2
    assert rig.simulator.bytes_sent["toy"] == sent
    assert rig.index().page("toy") == page
    assert rig.requests == 2  # revalidated means fresh


def test_a_changed_page_replaces_the_old_one(rig: Rig) -> None:
    index = rig.index()
    index.page("toy")
    newer = rig.simulator.add_wheel(*make_wheel("toy", "2.0"))
    rig.later()
    assert index.page("toy").artifacts == (rig.artifact, newer)


def test_a_page_from_the_future_is_revalidated(rig: Rig) -> None:
    rig.index().page("toy")
    rig.time -= timedelta(days=1)
    rig.index().page("toy")
    assert rig.requests == 2


def test_a_damaged_cache_is_as_good_as_none(rig: Rig) -> None:
    rig.index().page("toy")
    (key,) = rig.pages.pages
    rig.pages.put(key, replace(rig.pages.pages[key], body=b"{"))
    assert rig.index().page("toy").artifacts == (rig.artifact,)
    assert rig.requests == 2


# -- what isn't there


def test_an_unknown_project_is_told_as_such_and_remembered_for_a_while(rig: Rig) -> None:
    index = rig.index()
    for _ in range(2):
        with pytest.raises(UnknownProject) as caught:
            index.page("absent")
    with pytest.raises(UnknownProject):
        rig.index().page("absent")
    assert "no project named absent" in str(caught.value)
    assert "--index-url" in caught.value.hint
    assert rig.simulator.requests["absent"] == 1
    rig.simulator.add_wheel(*make_wheel("absent", "1.0"))
    rig.later()
    assert index.page("absent").artifacts


def test_an_index_that_cannot_be_asked_does_not_confirm_an_old_no(rig: Rig) -> None:
    with pytest.raises(UnknownProject):
        rig.index().page("absent")
    rig.later()
    rig.simulator.stop()
    with pytest.raises(IndexUnreachable):
        rig.index().page("absent")


# -- what goes wrong

FAULTS = [
    Status(500),
    Status(503),
    Status(429, "9999"),
    Status(403),
    Status(407),
    Portal(),
    Silent(),
    Stall(),
    Stall(after=10),
    Cut(after=10),
    Slow(bytes_per_second=50),
    Redirect("/simple/toy/"),
    Redirect("ftp://elsewhere.example/"),
    Headers({"Content-Encoding": "gzip"}),
    Headers({"Content-Encoding": "rot13"}),
]


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_an_index_that_fails_is_unreachable_and_nothing_is_kept(rig: Rig, fault: Fault) -> None:
    rig.simulator.fault("toy", fault)
    with pytest.raises(IndexUnreachable) as caught:
        rig.index().page("toy")
    assert "127.0.0.1" in str(caught.value)
    assert "--offline" in caught.value.hint and "--index-url" in caught.value.hint
    assert "127.0.0.1" in caught.value.hint
    assert rig.pages.pages == {}
    rig.simulator.heal()
    assert rig.index().page("toy").artifacts


@pytest.mark.parametrize("fault", FAULTS[:7], ids=repr)
def test_of_an_index_that_fails_the_old_page_is_used_and_marked(rig: Rig, fault: Fault) -> None:
    page = rig.index().page("toy")
    rig.later()
    rig.simulator.fault("toy", fault)
    assert rig.index().page("toy") == replace(page, stale=True)


def test_what_another_process_has_learnt_since_counts(rig: Rig) -> None:
    """Else the other worker of a server hands out a project for ten minutes that this one knows to be in quarantine."""
    access = PageAccess(rig.client, rig.pages, lambda: rig.time)
    index, other = rig.index(), HttpIndex(rig.simulator.simple_url, access, max_age=timedelta(0))
    assert index.page("toy").status == "active"
    rig.simulator.add_project("toy", status="quarantined")
    rig.time += timedelta(minutes=1)  # its own page is still fresh
    assert other.page("toy").status == "quarantined"
    assert index.page("toy").status == "quarantined"
    assert index.page("toy") is index.page("toy"), "which is read once"
    assert rig.requests == 2


def test_a_stale_page_does_not_make_every_caller_wait_again(rig: Rig) -> None:
    rig.index().page("toy")
    rig.later()
    rig.simulator.stop()
    index = rig.index()
    assert index.page("toy") is index.page("toy")


@pytest.mark.parametrize("fault", [Status(503), Silent(), Status(429, "9999")], ids=repr)
def test_an_index_that_fails_once_is_asked_once_more(rig: Rig, fault: Fault) -> None:
    rig.simulator.fault("toy", fault, times=1)
    assert rig.index().page("toy").artifacts
    assert rig.requests == 2


def test_an_index_that_refuses_connections_is_told_as_such(rig: Rig) -> None:
    rig.simulator.stop()
    with pytest.raises(IndexUnreachable) as caught:
        rig.index().page("toy")
    assert "can't be reached: connection refused" in str(caught.value)


def test_another_projects_page_is_not_an_answer(rig: Rig) -> None:
    rig.simulator.fault("other", Redirect("/simple/toy/"))
    with pytest.raises(IndexUnreachable) as caught:
        rig.index().page("other")
    assert "isn't an index page" in str(caught.value)
    assert rig.pages.pages == {}


def test_a_captive_portal_is_never_cached(rig: Rig) -> None:
    rig.simulator.fault("toy", Portal(), times=2)
    with pytest.raises(IndexUnreachable) as caught:
        rig.index().page("toy")
    assert "answered with something that isn't an index page" in str(caught.value)
    assert rig.index().page("toy").artifacts == (rig.artifact,)


def test_what_a_cache_on_the_way_had_in_place_of_a_page_is_asked_for_once_more(rig: Rig) -> None:
    rig.simulator.fault("toy", Portal(), times=1)
    assert rig.index().page("toy").artifacts == (rig.artifact,)
    first, second = rig.simulator.log
    assert ("cache-control" in first.headers, second.headers["cache-control"]) == (False, "no-cache")


# -- what is of no use


def test_a_page_of_no_use_is_asked_for_again_at_once_and_past_all_caches(rig: Rig) -> None:
    rig.index().page("toy")
    index = rig.index()
    index.page("toy")
    assert rig.requests == 1
    assert index.doubt("toy"), "an earlier process kept it"
    rig.simulator.add_wheel(*make_wheel("toy", "1.1"))
    assert len(index.page("toy").artifacts) == 2
    again = rig.simulator.log[-1].headers
    assert again["cache-control"] == "no-cache"
    assert "if-none-match" not in again, "the index may say that a wrong one is still right"
    assert not index.doubt("toy"), "it has just been asked for"
    assert len(rig.index().page("toy").artifacts) == 2
    assert rig.requests == 3, "the next process asks again"
    rig.index().page("toy")
    assert rig.requests == 3


def test_a_project_that_was_missing_is_asked_for_again_where_somebody_doubts_it(rig: Rig) -> None:
    with pytest.raises(UnknownProject):
        rig.index().page("absent")
    rig.simulator.add_wheel(*make_wheel("absent", "1.0"))
    index = rig.index()
    with pytest.raises(UnknownProject):
        index.page("absent")
    assert index.doubt("absent")
    assert index.page("absent").artifacts


def test_a_doubted_page_still_counts_where_nobody_can_be_asked(rig: Rig) -> None:
    page = rig.index().page("toy")
    assert rig.index().doubt("toy")
    assert rig.index(offline=True).page("toy") == page
    assert not rig.index(offline=True).doubt("toy")
    rig.simulator.stop()
    assert rig.index().page("toy") == replace(page, stale=True)


def test_a_refresh_asks_once_for_each_page_whatever_is_kept(rig: Rig) -> None:
    page = rig.index().page("toy")
    index = rig.index(refresh=True)
    for _ in range(2):
        assert index.page("toy") == page
    assert rig.requests == 2
    assert "if-none-match" not in rig.simulator.log[-1].headers
    assert rig.simulator.log[-1].headers["cache-control"] == "no-cache"
    rig.simulator.stop()
    assert rig.index(refresh=True).page("toy") == replace(page, stale=True)


def test_a_page_that_unpacks_without_end_is_refused(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tf_tester.transfer.client.MAX_PAGE", 100)
    with pytest.raises(IndexUnreachable) as caught:
        rig.index().page("toy")
    assert "more than 100 B" in str(caught.value)


# -- redirects


def test_links_of_a_page_that_moved_are_relative_to_where_it_is_also_from_the_cache(rig: Rig) -> None:
    with Simulator(speaks_json=False) as elsewhere:
        artifact = elsewhere.add_wheel(*make_wheel("toy", "1.0"))
        rig.simulator.fault("toy", Redirect(f"{elsewhere.simple_url}/toy/"))
        for _ in range(2):
            assert [found.url for found in rig.index().page("toy").artifacts] == [artifact.url]
        rig.later()
        assert [found.url for found in rig.index().page("toy").artifacts] == [artifact.url]
        assert elsewhere.requests["toy"] == 2
        assert elsewhere.log[-1].headers["if-none-match"]


# -- offline


def test_offline_a_page_of_any_age_is_used_without_a_request(rig: Rig) -> None:
    page = rig.index().page("toy")
    rig.time += timedelta(days=4000)
    assert rig.index(offline=True).page("toy") == page
    assert rig.requests == 1


def test_offline_an_unknown_project_stays_unknown(rig: Rig) -> None:
    with pytest.raises(UnknownProject):
        rig.index().page("absent")
    rig.later()
    with pytest.raises(UnknownProject):
        rig.index(offline=True).page("absent")


def test_offline_a_page_never_seen_is_refused_without_a_request(rig: Rig) -> None:
    with pytest.raises(IndexUnreachable) as caught:
        rig.index(offline=True).page("toy")
    assert "without --offline" in caught.value.hint
    assert not rig.simulator.log


# -- credentials


def test_credentials_of_the_address_are_sent_and_never_kept_or_shown(tmp_path: Path) -> None:
    with (
        Simulator(user=("me", "s3cret")) as private,
        Client(ClientSettings(timeouts=TIMEOUTS)) as client,
    ):
        private.add_wheel(*make_wheel("toy", "1.0"))
        pages = MemoryPages()
        url = private.simple_url.replace("//", "//me:s3cret@")
        index = HttpIndex(url, PageAccess(client, pages, lambda: datetime(2026, 1, 1, tzinfo=UTC)))
        page = index.page("toy")
        private.fault("other", Status(403))
        with pytest.raises(IndexUnreachable) as caught:
            index.page("other")
    assert page.artifacts
    assert "s3cret" not in repr([page, pages.pages, str(caught.value), caught.value.hint, caught.value.detail])


def test_an_empty_project_is_a_page(rig: Rig) -> None:
    rig.simulator.add_project("bare", status="quarantined")
    page = rig.index().page("bare")
    assert (page.artifacts, page.status) == ((), "quarantined")


def test_the_cache_keeps_pages_as_they_came(rig: Rig) -> None:
    rig.index().page("toy")
    (cached,) = rig.pages.pages.values()
    assert isinstance(cached, CachedPage)
    assert cached.body.startswith(b'{"meta"') and cached.etag and cached.fetched == rig.time


# -- lists


def test_a_list_is_asked_for_when_it_is_old_and_what_it_said_counts_where_nobody_answers(rig: Rig) -> None:
    rig.simulator.lists = True
    access = PageAccess(rig.client, rig.pages, lambda: rig.time)
    projects = ProjectList(rig.simulator.simple_url, access)
    first = projects.serials()
    assert first == {"toy": rig.simulator.serial}
    rig.simulator.add_wheel(*make_wheel("gear", "1.0"))
    assert projects.serials() is first
    rig.later()
    assert projects.serials().keys() == {"toy", "gear"}
    rig.simulator.fault("simple", Status(500))
    rig.later()
    assert projects.serials().keys() == {"toy", "gear"}
    assert ProjectList(rig.simulator.simple_url, access).serials().keys() == {"toy", "gear"}, "of what was kept"
    with pytest.raises(IndexUnreachable, match="no list"):
        ProjectList(f"{rig.simulator.url}/other", access).serials()


def test_no_page_is_older_than_what_others_are_told(rig: Rig) -> None:
    """Who mirrors us by our list would take it for stale."""
    index = rig.index()
    assert len(index.page("toy").artifacts) == 1
    rig.simulator.add_wheel(*make_wheel("toy", "2.0"))
    assert len(index.page("toy").artifacts) == 1
    index.announce({"toy": rig.simulator.serial})
    for one in (index, index):
        assert len(one.page("toy").artifacts) == 2
    assert rig.requests == 2
