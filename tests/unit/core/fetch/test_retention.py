"""What leaves a store that is too large."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tf_tester.core.fetch.retention import PACKED_EARLIER, ItemKind, StoredItem, victims

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def entry(digest: str, days: float, size: int = 10, kind: ItemKind = ItemKind.LAYER) -> StoredItem:
    return StoredItem(kind, digest, size, NOW - timedelta(days=days))


def digests(found: list[StoredItem]) -> list[str]:
    return [one.digest for one in found]


def test_the_least_recently_used_goes_first_and_no_more_than_needed() -> None:
    entries = [entry("new", 1), entry("old", 9), entry("older", 10), entry("kept", 99)]
    assert digests(victims(entries, most=25, keep={"kept"})) == ["older", "old"]
    assert victims(entries, most=40) == []
    assert digests(victims(entries, most=25, others=15, keep={"kept"})) == ["older", "old", "new"]


def test_a_file_goes_before_its_own_layer_but_not_before_what_nobody_used_for_long() -> None:
    both = [entry("a", 1, kind=ItemKind.BLOB), entry("a", 1)]
    assert [one.kind for one in victims(both, most=10)] == [ItemKind.BLOB]
    old = entry("b", PACKED_EARLIER.days + 5)
    assert digests(victims([*both, old], most=20)) == ["b"]
    alone = [entry("a", 1, kind=ItemKind.BLOB), entry("b", 2)]
    assert digests(victims(alone, most=10)) == ["b"]


def test_what_was_not_used_for_long_goes_however_much_room_there_is() -> None:
    entries = [entry("new", 1), entry("old", 100), entry("kept", 100)]
    assert digests(victims(entries, most=1 << 40, keep={"kept"}, before=NOW - timedelta(days=90))) == ["old"]


@given(
    st.lists(
        st.builds(
            entry,
            st.sampled_from("abcdefgh"),
            st.floats(0, 1000),
            st.integers(0, 100),
            st.sampled_from([ItemKind.BLOB, ItemKind.LAYER]),
        ),
        unique_by=lambda one: (one.digest, one.kind),
    ),
    st.integers(0, 500),
    st.sets(st.sampled_from("abcdefgh")),
)
def test_it_is_small_enough_afterwards_or_only_what_is_kept_is_left(
    entries: list[StoredItem], most: int, keep: set[str]
) -> None:
    gone = victims(entries, most=most, keep=keep)
    left = [one for one in entries if one not in gone]
    assert not {one.digest for one in gone} & keep
    assert sum(one.size for one in left) <= most or {one.digest for one in left} <= keep
    # Nothing went for nothing: with the last one back it would be too large.
    assert not gone or sum(one.size for one in [*left, gone[-1]]) > most
