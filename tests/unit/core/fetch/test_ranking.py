"""Which mirrors are chosen, and why not the others."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tf_tester.core.fetch.ranking import MOST, Observation, Ranked, WantedFiles, rank
from tf_tester.core.index.feeds import FeedReport, FeedState, reports

NOW = datetime(2026, 11, 1, tzinfo=UTC)
WANTED = WantedFiles(2, 100_000_000)
AUTHORITY = Observation("authority", "authority", has=2, json=True, first_byte=0.2, rate=1e6)


def mirror(name: str, rate: float | None = 1e7, root: str = "", **known: object) -> Observation:
    one = Observation(name, root or name, has=2, json=True, first_byte=0.05, rate=rate)
    return replace(one, **known)


def ranked(*mirrors: Observation, authority: Observation = AUTHORITY) -> list[Ranked]:
    return rank(mirrors, WANTED, authority, NOW)


def chosen(*mirrors: Observation, authority: Observation = AUTHORITY) -> list[str]:
    return [one.observation.name for one in ranked(*mirrors, authority=authority) if one.chosen]


def test_the_fastest_come_first_and_the_much_slower_are_not_asked() -> None:
    assert chosen(mirror("slow", 1e6), mirror("fast", 2e7), mirror("fair", 1e7)) == ["fast", "fair"]


def test_a_mirror_without_half_of_the_files_is_slower_than_one_that_has_them() -> None:
    assert chosen(mirror("half", 4e7, has=1), mirror("whole", 1e7)) == ["whole"]


def test_where_the_authority_is_fastest_nobody_else_is_troubled() -> None:
    assert chosen(mirror("a"), mirror("b"), authority=replace(AUTHORITY, rate=5e7, first_byte=0.0)) == []


def test_an_authority_that_does_not_answer_is_no_reason_against_mirrors() -> None:
    assert chosen(mirror("a"), authority=replace(AUTHORITY, rate=None, trouble="is down")) == ["a"]


def test_copies_of_one_mirror_leave_a_place_for_an_independent_one() -> None:
    copies = [mirror(f"copy{number}", 2e7 - number, root="tuna") for number in range(MOST + 1)]
    assert chosen(*copies, mirror("other", 1e7)) == ["copy0", "copy1", "copy2", "other"]


def test_who_cannot_be_asked_is_named_with_the_reason() -> None:
    places = ranked(
        mirror("liar", cooldown_until=NOW + timedelta(days=1)),
        mirror("other", wrong_bytes=True),
        mirror("spent", budget_left=0),
        mirror("dead", None, trouble="did not answer"),
        mirror("empty", has=0),
        mirror("odd", None),
    )
    assert [one.reasons[0].split(":")[0] for one in places] == [
        "cooldown until 2026-11-02",
        "what it sent is not what the authority has",
        "today's share of it is used up",
        "did not answer",
        "it has none of these files",
        "its speed could not be measured",
    ]
    assert not any(one.chosen or one.seconds is not None for one in places)


def test_what_a_mirror_says_of_itself_is_told() -> None:
    (one,) = ranked(mirror("a", feed=FeedReport(FeedState.FAILED, NOW - timedelta(days=9)), behind=3, json=False))
    assert "its operator says: failed, last filled 2026-10-23" in one.reasons
    assert "3 files behind" in one.reasons
    assert "HTML only" in one.reasons


@given(
    st.lists(
        st.builds(
            mirror,
            st.text("abc", min_size=1, max_size=3),
            st.none() | st.floats(1, 1e9),
            st.sampled_from(["", "tuna"]),
            has=st.integers(0, 2),
            wrong_bytes=st.booleans(),
            budget_left=st.none() | st.integers(0, 10**9),
        ),
        unique_by=lambda one: one.name,
    )
)
def test_every_mirror_has_one_place_and_only_usable_ones_are_chosen(mirrors: list[Observation]) -> None:
    places = ranked(*mirrors)
    assert sorted(one.observation.name for one in places) == sorted(one.name for one in mirrors)
    times = [one.seconds for one in places if one.seconds is not None]
    assert times == sorted(times)
    picked = [one for one in places if one.chosen]
    assert len(picked) <= MOST
    assert all(one.seconds is not None and one.observation.has and not one.observation.wrong_bytes for one in picked)
    assert all(one.reasons for one in places)


def test_feeds_are_read_as_far_as_they_make_sense() -> None:
    feed = b"""[
      {"site": {"url": "https://a.example"}, "mirrors": [{"cname": "pypi", "status": "S1700000000X1"}]},
      {"site": {"url": "https://b.example"}, "mirrors": [{"cname": "pypi", "status": null}]},
      {"site": {"url": "https://c.example"}, "mirrors": [{"cname": "debian", "status": "S1"}, 3]},
      {"site": null}, {"mirrors": []},
      {"site": {"url": "https://d.example"}, "mirrors": [{"cname": "pypi", "status": "YO1700000000"}]}
    ]"""
    when = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert reports(feed) == {
        "a.example": FeedReport(FeedState.FILLED, when),
        "b.example": FeedReport(FeedState.UNKNOWN, None),
        "d.example": FeedReport(FeedState.FILLING, when),
    }
