"""Where the bytes came from, as the page tells it."""

import re

from tf_tester.core.outcome.report import Transfers, TransferSource
from tf_tester.model.events import TransferTrouble
from tf_tester.report.formats.page.transfers import transfers_table


def rows(transfers: Transfers) -> list[list[str]]:
    """The texts of the table's cells; of a text in two languages the English one."""
    page = re.sub(r'<span lang="zh">[^<]*</span>', "", "".join(transfers_table(transfers)))
    found = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", page)]
    return [[re.sub(r"<[^>]+>", "|", one).strip("|") for one in row] for row in found]


def test_each_source_is_a_row_and_the_last_one_is_their_sum() -> None:
    slow = [TransferTrouble(f"{name}.whl", "tuna", "is slow") for name in "abc"]
    transfers = Transfers.of(
        [
            TransferSource("authority", 2, 3_000_000, 2.0),
            TransferSource("tuna+aliyun", 1, 90_000_000, 10.0),
            TransferSource("tuna", troubles=(*slow, TransferTrouble("d.whl", "tuna", "HTTP 404"))),
        ]
    )
    assert rows(transfers) == [
        ["Source", "Files", "Bytes", "Speed of a file", "Troubles"],
        ["tuna + aliyun", "1", "90 MB", "9.0 MB/s", "–"],
        ["authority", "2", "3.0 MB", "1.5 MB/s", "–"],
        ["tuna", "0", "0 B", "–", "3 × is slow (a.whl, …)||d.whl: HTTP 404"],
        ["all", "3", "93 MB", "", ""],
    ]


def test_one_source_needs_no_sum_and_none_no_table() -> None:
    assert len(rows(Transfers.of([TransferSource("authority", 1, 10, 1.0)]))) == 2
    assert transfers_table(Transfers()) == []


def test_of_many_kinds_of_trouble_the_most_frequent_are_told() -> None:
    troubles = tuple(TransferTrouble("a.whl", "tuna", f"HTTP {number}") for number in (500, *range(500, 530)))
    [_, row] = rows(Transfers.of([TransferSource("tuna", troubles=troubles)]))
    assert row[4].startswith("2 × HTTP 500 (a.whl, …)||a.whl: HTTP 501")
    assert row[4].endswith("20 other troubles")
