"""Where a run's bytes came from, by source."""

import pytest

from tf_tester.core.outcome.report import Transfers, TransferSource, fold
from tf_tester.model.events import TransferFinished, TransferTrouble

SLOW = TransferTrouble("a.whl", "tuna", "connection reset")
TOLD = (
    TransferFinished("a" * 64, "a.whl", 1_000, 1_000, "authority", 2.0),
    SLOW,
    TransferFinished("b" * 64, "b.whl", 9_000, 6_000, "tuna+authority", 1.0),
    TransferFinished("c" * 64, "c.whl", 500, 500, "authority", 1.0),
    TransferFinished("d" * 64, "d.whl", 700, 0, "store", 0.0),
)


def test_each_source_has_its_files_bytes_and_troubles_the_largest_first() -> None:
    assert fold(TOLD).transfers.sources == (
        TransferSource("tuna+authority", 1, 6_000, 1.0),
        TransferSource("authority", 2, 1_500, 3.0),
        TransferSource("store", 1),
        TransferSource("tuna", troubles=(SLOW,)),
    )


def test_the_totals_are_those_of_all_sources() -> None:
    transfers = fold(TOLD).transfers
    assert (transfers.files, transfers.received) == (4, 7_500)
    assert (Transfers().files, Transfers().received) == (0, 0)


@pytest.mark.parametrize(
    ("source", "speed"),
    [
        (TransferSource("a", 2, 1_500, 3.0), 500.0),
        (TransferSource("a", 1, 0, 3.0), None),
        (TransferSource("a", 1, 700, 0.0), None),
    ],
)
def test_a_speed_is_told_where_bytes_and_time_are_known(source: TransferSource, speed: float | None) -> None:
    assert source.speed == speed
