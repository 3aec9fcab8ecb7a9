"""What is kept of pages."""

from hypothesis import given
from hypothesis import strategies as st

from tf_tester.core.fetch.recent_pages import RecentPages


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 12), st.booleans())), st.integers(1, 20))
def test_the_latest_are_kept_as_far_as_they_fit_and_the_very_last_in_any_case(
    steps: list[tuple[str, int, bool]], most: int
) -> None:
    recent, expected = RecentPages[int](most), dict[str, int]()
    for project, files, is_forgotten in steps:
        expected.pop(project, None)
        if is_forgotten:
            recent.forget(project)
        else:
            recent.put(project, files, files=files)
            expected[project] = files
        while len(expected) > 1 and sum(expected.values()) + len(expected) > most:
            del expected[next(iter(expected))]
        assert {name: recent.get(name) for name in recent} == expected
        assert list(recent) == list(expected)
