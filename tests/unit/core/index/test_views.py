from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace
from packaging.version import Version

from tf_tester.core.index.policy import read_policy
from tf_tester.core.index.views import AllowedFiles, IndexView, moment_of, shown, split_view
from tf_tester.errors import BadView
from tf_tester.model.artifact import Artifact, ProjectPage, Promise, Promiser

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _artifact(version: str, year: int | None, digest: str = "a") -> Artifact:
    name = f"toy-{version}-py3-none-any.whl"
    moment = datetime(year, 1, 1, tzinfo=UTC) if year else None
    return Artifact(name, "toy", version, f"https://x.example/{name}", digest * 64, upload_time=moment)


def test_views_may_be_joined_in_either_order() -> None:
    day = datetime(2021, 3, 1, 23, 59, 59, 999999, UTC)
    for parts in (
        ["as-of", "2021-03-01", "only", "a.txt", "simple", ""],
        ["only", "a.txt", "as-of", "2021-03-01", "simple", ""],
    ):
        view, rest = split_view(parts)
        assert (view, rest) == (IndexView(day, only="a.txt", depth=4), ["simple", ""])


@pytest.mark.parametrize(
    "parts",
    [["simple", "toy", ""], ["as-of"], ["only"], ["private"], ["only", "", "simple"], ["nothing"], []],
)
def test_what_is_no_view_is_left_as_it_is(parts: list[str]) -> None:
    assert split_view(parts) == (IndexView(), parts)


def test_a_view_counts_once() -> None:
    _, rest = split_view(["as-of", "2021-03-01", "as-of", "2022-03-01", "simple"])
    assert rest == ["as-of", "2022-03-01", "simple"]


@pytest.mark.parametrize("text", ["yesterday", "2021-13-01", "2021-3-1", "2021-03-01T00:00:00", "0000-01-01", "", "١"])
def test_what_is_no_day_is_said(text: str) -> None:
    with pytest.raises(BadView):
        moment_of(text)


def test_moments_are_understood_in_any_zone() -> None:
    assert moment_of("2021-03-01T01:00:00+01:00") == datetime(2021, 3, 1, tzinfo=UTC)
    assert moment_of("2021-03-01T00:00:00Z") == datetime(2021, 3, 1, tzinfo=UTC)


def test_an_index_without_dates_has_no_past() -> None:
    page = ProjectPage("toy", (_artifact("1.0", None),))
    assert shown(page, IndexView(datetime(2021, 1, 1, tzinfo=UTC), depth=2), NOW).page is None


def test_only_what_was_out_and_is_allowed_is_shown() -> None:
    page = ProjectPage("toy", (_artifact("1.0", 2020, "a"), _artifact("2.0", 2020, "b"), _artifact("3.0", 2022, "c")))
    view = IndexView(datetime(2021, 1, 1, tzinfo=UTC), only="lock", depth=4)

    def versions(allowed: AllowedFiles) -> list[str] | None:
        found = shown(page, view, NOW, allowed=allowed).page
        return None if found is None else [one.version for one in found.artifacts]

    assert versions(AllowedFiles(frozenset({"b" * 64, "c" * 64}))) == ["2.0"]
    assert versions(AllowedFiles(frozenset({"d" * 64}), frozenset({("toy", Version("3"))}))) is None
    loose = AllowedFiles(versions=frozenset({("toy", Version("2")), ("other", Version("1.0"))}))
    assert versions(loose) == ["2.0"]


def test_an_age_is_a_view_and_goes_with_a_day() -> None:
    view, rest = split_view(["as-of", "1d12h", "as-of", "2021-03-01", "simple", ""])
    assert (view.age, view.cutoff, view.depth, rest) == (
        timedelta(hours=36),
        moment_of("2021-03-01"),
        4,
        ["simple", ""],
    )
    for text in ("12d1w", "999999d", "7D", "1d\n"):
        with pytest.raises(BadView):
            split_view(["as-of", text, "simple"])


def test_what_is_too_young_comes_when_it_is_old_enough() -> None:
    """A file counts by its own time: one that is added to an old version is new."""
    week = timedelta(days=7)
    young = replace(_artifact("1.0", 2025, "b"), filename="toy-1.0.tar.gz", upload_time=NOW - timedelta(days=6))
    page = ProjectPage("toy", (_artifact("1.0", 2020, "a"), young, _artifact("2.0", None, "c")))
    found = shown(page, IndexView(age=week, depth=2), NOW)
    assert found.page is not None
    assert [one.sha256 for one in found.page.artifacts] == ["a" * 64]
    assert found.until == NOW + timedelta(days=1)
    later = shown(page, IndexView(age=week, depth=2), found.until)
    assert (later.page is not None and len(later.page.artifacts), later.until) == (2, None)
    assert shown(ProjectPage("toy", (young,)), IndexView(age=week, depth=2), NOW).page is None


def test_what_is_private_has_no_age_and_no_policy() -> None:
    page = ProjectPage("toy", (_artifact("1.0", None),)).promised(Promise(Promiser.PRIVATE))
    policy = read_policy(b'allow = ["other"]\nblock = ["toy"]\nmin-age = "7d"', shown="p")
    assert shown(page, IndexView(age=timedelta(days=1), depth=2), NOW, policy=policy).page == page
