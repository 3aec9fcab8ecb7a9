"""How often one source is asked again for one file, and after how long."""

import pytest

from tf_tester.core.fetch.retries import Retries, TroubleKind


def pauses(*kinds: TroubleKind, progressed: bool = False, retry_after: float | None = None) -> list[float | None]:
    retries, found = Retries(), []
    for kind in kinds:
        retries, pause = retries.after(kind, progressed=progressed, retry_after=retry_after)
        found.append(pause)
    return found


@pytest.mark.parametrize(
    "kind", [TroubleKind.REFUSED, TroubleKind.CONNECT, TroubleKind.SLOW, TroubleKind.CONTENT, TroubleKind.WRONG]
)
def test_what_would_only_come_again_is_not_asked_for_again(kind: TroubleKind) -> None:
    assert pauses(kind) == [None]


def test_a_server_error_is_forgiven_three_times_with_a_longer_pause_each() -> None:
    assert pauses(*[TroubleKind.SERVER] * 4) == [1.0, 2.0, 4.0, None]


def test_who_moves_on_may_be_cut_off_five_times() -> None:
    assert pauses(*[TroubleKind.CUT] * 6, progressed=True) == [0.0] * 5 + [None]
    assert pauses(*[TroubleKind.CUT] * 2) == [1.0, None]


def test_a_busy_server_is_waited_for_once_and_not_longer_than_the_cap() -> None:
    assert pauses(TroubleKind.BUSY, TroubleKind.BUSY, retry_after=5.0) == [5.0, None]
    assert pauses(TroubleKind.BUSY, retry_after=900.0) == [30.0]


def test_each_kind_is_forgiven_by_itself() -> None:
    assert pauses(TroubleKind.RANGES, TroubleKind.CUT, TroubleKind.RANGES) == [0.0, 1.0, None]


def test_the_retries_of_one_source_are_not_those_of_another() -> None:
    fresh = Retries()
    fresh.after(TroubleKind.SERVER, progressed=False)
    assert fresh == Retries()
