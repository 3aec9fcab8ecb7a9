"""The table of memos: what the ledger takes, gives back and lets go of."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tf_tester.core.index.feeds import FeedReport, FeedState
from tf_tester.core.wheel.surface import Parameter, PublicName
from tf_tester.model.artifact import Artifact, ProjectPage
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.model.outcome import CellResult, Outcome
from tf_tester.model.source import SourceHistory
from tf_tester.ports.memory import Needed
from tf_tester.ports.replica import HeldProject, ReplicaHead
from tf_tester.ports.resolve import BuiltWheel
from tf_tester.ports.store import CheckedFile, CheckedLayer, FileStatus, Pieces
from tf_tester.store.ledger import Ledger, LedgerAnswer
from tf_tester.store.memos.table import (
    BUILT,
    ENTRY_POINTS,
    FASTEST,
    HELD_PROJECT,
    KINDS,
    LOCK,
    METADATA,
    PEAK,
    RESULT,
    MemoKind,
)

START = datetime(2026, 11, 1, tzinfo=UTC)
DIGEST = "ab" * 32
LOCKED = Lock("3.11.2", Resolution.ERA, START, (Pin("toy", "1.0", "toy.whl", DIGEST, 9, "https://i/toy.whl"),))
PAGE = ProjectPage("toy", (Artifact("toy-1.0-py3-none-any.whl", "toy", "1.0", "https://i/toy.whl", DIGEST),), serial=7)
HELD = HELD_PROJECT.read(HELD_PROJECT.write(HeldProject(PAGE, "mark")))
"""With the source of its page, as all that is read."""
SAMPLES: dict[str, list[Any]] = {
    "metadata": [b"Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n"],
    "metadata-digest": [DIGEST, ""],
    "entry-points": [b"[console_scripts]\n", b""],
    "lock": [LOCKED],
    "built": [BuiltWheel("toy.whl", DIGEST, 9)],
    "downloaded": [("1.0", "1.1"), ()],
    "result": [CellResult("toy==1.0", Outcome.PASS)],
    "unsteady": [True],
    "file-digests": [{"/home/me/test.py": (FileStatus(5, 1 << 60, 1 << 60, 7), DIGEST)}],
    "peak": [1 << 40],
    "took": [0.25],
    "failed": [("test_it.py::test_a",), ()],
    "surface": [{"toy": PublicName("module"), "toy.spin": PublicName("function", (Parameter("speed", "", "1"),))}],
    "source": [SourceHistory("tuna", 3, 1e6, START, START, "2026-11-01", 5, 6)],
    "feed": [FeedReport(FeedState.FILLED, START), FeedReport(FeedState.UNKNOWN, None)],
    "fastest": [("tuna", "aliyun")],
    "serial": [12345],
    "publisher": ["GitHub toy/toy"],
    "interpreter": ['{"é": 1}'],
    "checked": [CheckedFile(FileStatus(5, 1 << 60, 1 << 60, 7), 1, 1.5)],
    "checked-layer": [CheckedLayer(DIGEST, DIGEST, 1.5)],
    "read-layer": [(DIGEST, 1.5)],
    "pieces": [Pieces(4 << 20, (1, 2, 3))],
    "layer-size": [4096],
    "replica": [ReplicaHead(START, "wanted", complete=True, watched={"gear": ""}, held="held")],
    "replica-project": [HELD],
    "replica-dropped": [8],
}
"""Values of each kind."""


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "ledger.sqlite", now=clock)) as opened:
        yield opened


def rows(ledger: Ledger) -> list[Any]:
    with ledger._database() as database:
        return database.execute("SELECT kind, key FROM memo").fetchall()


def spoil(ledger: Ledger, column: str, value: object) -> None:
    """Write over all memos, as no version of ours does."""
    with ledger._database() as database:
        database.execute(f"UPDATE memo SET {column} = ?, sum = NULL", (value,))


def test_a_value_that_could_be_read_and_is_another_than_was_written_goes(ledger: Ledger) -> None:
    for key in ("a/1", "a/2"):
        ledger.remember(PEAK, key, 4096)
    with ledger._database() as database:
        database.execute("UPDATE memo SET value = ? WHERE key = 'a/1'", (b"4097",))
    assert ledger.recall(PEAK, "a/1") is None
    assert ledger.every(PEAK) == [("a/2", 4096)]
    with ledger._database() as database:
        database.execute("UPDATE memo SET value = ?", (b"4097",))
    assert ledger.every(PEAK) == []
    assert rows(ledger) == []


@pytest.mark.parametrize("name", KINDS)
def test_values_of_every_kind_come_back_as_they_went(ledger: Ledger, name: str) -> None:
    kind = KINDS[name]
    for number, value in enumerate(SAMPLES[name]):
        ledger.remember(kind, f"a/{number}", value)
    found = [(f"a/{number}", value) for number, value in enumerate(SAMPLES[name])]
    assert ledger.every(kind, under="a") == ledger.every(kind) == found
    assert [ledger.recall(kind, key) for key, _ in found] == [value for _, value in found]
    assert ledger.keys(kind) == [key for key, _ in found]


@pytest.mark.parametrize("damaged", [b"", b"{", b"\x00\xff", b"null", b"[1]", b'{"right": "many"}', "text", 3, 0.5])
@pytest.mark.parametrize("name", sorted(KINDS.keys() - {"entry-points", "publisher", "interpreter"}))
def test_what_cannot_be_read_is_none_and_goes(ledger: Ledger, name: str, damaged: object) -> None:
    kind, value = KINDS[name], SAMPLES[name][0]
    for key in ("a", "b"):
        ledger.remember(kind, key, value)
    spoil(ledger, "value", damaged)
    if damaged == b"" and name == "metadata-digest":
        return
    assert ledger.recall(kind, "a") is None
    assert ledger.every(kind) == []
    assert rows(ledger) == []
    ledger.remember(kind, "a", value)
    assert ledger.recall(kind, "a") == value


@pytest.mark.parametrize("damaged", ["", "yesterday", "2026-11-01", "2026-11-01T00:00:00", b"\xff"])
def test_a_memo_of_no_time_is_none(ledger: Ledger, damaged: object) -> None:
    ledger.remember(PEAK, "toy", 1)
    spoil(ledger, "at", damaged)
    assert ledger.recall(PEAK, "toy") is None
    assert rows(ledger) == []


def test_what_somebody_has_made_anew_meanwhile_stays(ledger: Ledger) -> None:
    ledger.remember(PEAK, "toy", 1)
    ledger._drop(PEAK, "toy", b"damaged")
    assert ledger.recall(PEAK, "toy") == 1


@pytest.mark.parametrize("stranger", [MemoKind("stranger", "", PEAK.codec), MemoKind("peak", "", PEAK.codec)])
def test_a_kind_that_is_not_in_the_table_cannot_be_used(ledger: Ledger, stranger: MemoKind[int]) -> None:
    uses: list[Callable[[], object]] = [
        lambda: ledger.remember(stranger, "key", 1),
        lambda: ledger.recall(stranger, "key"),
        lambda: ledger.every(stranger),
        lambda: ledger.keys(stranger),
        lambda: ledger.forget(stranger, "key"),
        lambda: ledger.forget_all(stranger, under="key"),
    ]
    for use in uses:
        with pytest.raises(ValueError, match="not in the table"):
            use()
    assert rows(ledger) == []


def test_a_value_counts_as_long_as_its_kind_says(ledger: Ledger, clock: Clock) -> None:
    assert FASTEST.lifetime == timedelta(hours=6)
    ledger.remember(FASTEST, "https://i/simple", ("tuna",))
    ledger.remember(PEAK, "toy", 1)
    clock.time += timedelta(hours=6, microseconds=-1)
    assert ledger.recall(FASTEST, "https://i/simple") == ("tuna",)
    for change in (timedelta(microseconds=1), timedelta(days=-1)):
        clock.time += change
        assert ledger.recall(FASTEST, "https://i/simple") is None, "neither for long nor after the clock was set back"
        assert ledger.recall(PEAK, "toy") == 1


def test_what_is_too_large_or_no_text_is_not_kept(ledger: Ledger) -> None:
    assert RESULT.largest is not None
    for output in ("x" * RESULT.largest, "\ud800"):
        ledger.remember(RESULT, "key", CellResult("toy==1.0", Outcome.PASS, detail=output))
    assert rows(ledger) == []


def test_a_lock_and_a_wheel_without_digests_cannot_be_read() -> None:
    """They become names of files in the store."""
    assert LOCK.read(msgspec.json.encode(LOCKED).replace(DIGEST.encode(), b"../../passwd")) is None
    assert BUILT.read(b'{"filename": "toy.whl", "sha256": "../../passwd", "size": 1}') is None


def test_keys_under_one_name_are_not_those_under_another(ledger: Ledger) -> None:
    for key in ("team/toy", "team-2/toy", "team.2/toy", "tea/toy"):
        ledger.remember(HELD_PROJECT, key, HeldProject(PAGE, key))
    assert [held.mark for _, held in ledger.every(HELD_PROJECT, under="team")] == ["team/toy"]
    ledger.forget_all(HELD_PROJECT, under="team")
    assert ledger.keys(HELD_PROJECT) == ["tea/toy", "team-2/toy", "team.2/toy"]


# -- carried to another machine


def test_a_bundle_carries_what_another_machine_can_use(ledger: Ledger) -> None:
    for name, values in SAMPLES.items():
        ledger.remember(KINDS[name], "key", values[0])
    wanted = {"metadata", "lock", "built", "downloaded", "peak", "result", "unsteady"}
    assert {answer.kind for answer in ledger.answers(None)} == wanted


def test_a_bundle_of_some_versions_carries_what_they_need(ledger: Ledger) -> None:
    for key in (DIGEST, "cd" * 32):
        ledger.remember(METADATA, key, SAMPLES["metadata"][0])
        ledger.remember(BUILT, key, SAMPLES["built"][0])
        ledger.remember(LOCK, key, LOCKED)
    ledger.remember(PEAK, "toy", 1)
    ledger.remember(RESULT, "1-" + DIGEST, SAMPLES["result"][0])
    needed = Needed(locks=frozenset({"cd" * 32}), digests=frozenset({DIGEST}), projects=frozenset())
    assert sorted((answer.kind, answer.key[:2]) for answer in ledger.answers(needed)) == [
        ("built", "ab"),
        ("built", "cd"),
        ("lock", "cd"),
        ("metadata", "ab"),
        ("peak", "to"),
    ]


@pytest.mark.parametrize(
    ("kind", "value", "at"),
    [
        ("result", b"!", START.isoformat()),
        ("publisher", b"GitHub evil/evil", START.isoformat()),
        ("stranger", b"1", START.isoformat()),
        ("peak", b"many", START.isoformat()),
        ("peak", b"1", "later"),
        ("page", b"not compressed", START.isoformat()),
    ],
)
def test_a_bundle_brings_nothing_else(ledger: Ledger, kind: str, value: bytes, at: str) -> None:
    assert not ledger.learn(LedgerAnswer(kind, "key", value, at))
    assert rows(ledger) == []
    assert ledger.get_page("key") is None


def test_a_bundle_brings_what_is_newer(ledger: Ledger, clock: Clock) -> None:
    def learn(peak: int) -> bool | None:
        return ledger.learn(LedgerAnswer("peak", "toy", str(peak).encode(), clock().isoformat()))

    assert learn(1)
    assert not learn(2)
    clock.time += timedelta(seconds=1)
    assert learn(3)
    assert ledger.recall(PEAK, "toy") == 3


def test_any_bytes_are_entry_points(ledger: Ledger) -> None:
    """They are whatever a wheel has; who reads them looks."""
    ledger.remember(ENTRY_POINTS, "a", b"\x00\xff")
    assert ledger.recall(ENTRY_POINTS, "a") == b"\x00\xff"
