"""Stores of earlier versions: opened, migrated in place, and used as before.

`tests/old_stores/version_1` is what commit 2607be9 left: the rows of its ledger, the blobs of its replicas, and the
manifest that it published of the replica `team`.
"""

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import User
from tests.simulator import Simulator
from tf_tester.core.index.feeds import FeedReport, FeedState
from tf_tester.errors import StoreError
from tf_tester.model.source import SourceHistory
from tf_tester.ports.replica import ReplicaHead
from tf_tester.store.ledger import Ledger
from tf_tester.store.memos.sources import SourceHistories
from tf_tester.store.memos.table import DROPPED_SERIAL, FEED, HELD_PROJECT, KINDS, REPLICA, SOURCE
from tf_tester.store.replicas import StoredReplica, replica_heads

OLD = Path(__file__).parents[2] / "old_stores" / "version_1"
TABLES = (OLD / "ledger.sql").read_text().partition("INSERT")[0]
LATER = datetime(2026, 12, 1, tzinfo=UTC)


def make(file: Path, *rows: tuple[str, str, bytes], sql: str = TABLES) -> None:
    """Make a ledger of version 1; `sql`: what is in it besides the memos."""
    with closing(sqlite3.connect(file)) as database:
        database.executescript(sql)
        for row in rows:
            database.execute("INSERT INTO memo VALUES (?, ?, ?, '2026-11-29T22:33:43.167535+00:00')", row)
        database.execute("PRAGMA user_version = 1")
        database.commit()


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Ledger]:
    make(tmp_path / "ledger.sqlite", sql=(OLD / "ledger.sql").read_text())
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        yield ledger


@pytest.fixture
def owner(user: User) -> User:
    """Somebody with such a store."""
    user.store.mkdir()
    make(user.store / "ledger.sqlite", sql=(OLD / "ledger.sql").read_text())
    for blob in (OLD / "blobs").iterdir():
        place = user.store / "blobs" / blob.name[:2] / blob.name
        place.parent.mkdir(parents=True)
        place.write_bytes(blob.read_bytes())
    return user


def done(user: User, *words: str) -> str:
    run = user.run(*words)
    assert run.code == 0, run.out + run.err
    return run.out + run.err


# -- what is in it


def test_everything_in_an_old_ledger_can_still_be_read(old: Ledger) -> None:
    found = {name: len(old.every(kind)) for name, kind in KINDS.items()}
    with old._database() as database:
        counts = dict(database.execute("SELECT kind, count(*) FROM memo GROUP BY kind").fetchall())
        assert database.execute("PRAGMA user_version").fetchone() == (3,)
    assert {name: count for name, count in found.items() if count} == counts
    new = {"checked", "checked-layer", "failed", "file-digests", "read-layer", "unsteady"}
    assert counts.keys() == KINDS.keys() - new - {"fastest"}, "which is looked for anew, and had passwords in its keys"
    assert old.recall(FEED, "tuna") == FeedReport(FeedState.FILLED, datetime(2026, 11, 1, tzinfo=UTC))


def test_replicas_and_sources_come_apart(old: Ledger) -> None:
    heads = replica_heads(old)
    assert {name: head.complete for name, head in heads.items()} == {"lan": False, "mill": True, "team": True}
    assert heads["lan"].wanted == "", "so that the next sync looks at everything"
    held = {name: list(StoredReplica(old, name).projects()) for name in heads}
    assert held == {"lan": ["gear"], "mill": ["gear"], "team": ["gear", "toy"]}
    assert StoredReplica(old, "team").last_serial("bolt") == 5
    assert old.keys(SOURCE) == ["authority", "lan", "liar", "mill"]
    assert [old.recall(SOURCE, name) for name in ("lan", "mill")] == [
        SourceHistory("lan", 1, day="2026-11-29", bytes_today=832, requests_today=1),
        SourceHistory("mill", 0, day="2026-11-29", bytes_today=832, requests_today=1),
    ]
    assert SourceHistories(old, lambda: LATER).of("liar").cooldown_until is not None


@pytest.mark.parametrize(
    ("content", "is_replica", "history"),
    [
        (b'{"right":3,"speed":1.5,"measured":"2026-11-29T00:00:00Z","left_out_until":null}', False, 3),
        (b'{"right":0}', False, 0),
        (b'{"synced":"2026-11-29T00:00:00Z","wanted":"x","complete":true}', True, None),
        (b'{"synced":"2026-11-29T00:00:00Z","wanted":"x","complete":true,"watched":{},"held":"y"}', True, None),
        (b'{"synced":"2026-11-29T00:00:00","wanted":"x","complete":true}', False, None),
        (b'{"right":"many"}', False, None),
        (b"{}", False, None),
        (b"", False, None),
        (b"\x00\xff", False, None),
    ],
)
def test_what_a_row_holds_tells_who_wrote_it(
    tmp_path: Path, content: bytes, is_replica: bool, history: int | None
) -> None:
    make(tmp_path / "ledger.sqlite", ("mirror", "tuna", content))
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        assert ledger.keys(REPLICA) == (["tuna"] if is_replica else [])
        known = ledger.recall(SOURCE, "tuna")
    assert (None if known is None else known.right) == history


def test_a_replica_without_a_head_counts_only_where_that_was_written_over(tmp_path: Path) -> None:
    """`cache replicas --forget` takes the head first: what a killed one has left is no replica."""
    page = sqlite3.connect(":memory:")
    page.executescript((OLD / "ledger.sql").read_text())
    (kept,) = page.execute("SELECT value FROM memo WHERE kind = 'mirror lan'").fetchone()
    page.close()
    rows = [("mirror", "written-over", b'{"right":1}'), ("mirror", "damaged", b"{")]
    rows += [(f"mirror {name}", "gear", kept) for name in ("written-over", "damaged", "forgotten")]
    make(tmp_path / "ledger.sqlite", *rows)
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        assert ledger.keys(REPLICA) == ["damaged", "written-over"]
        assert ledger.keys(HELD_PROJECT) == ["damaged/gear", "written-over/gear"]
        head = ledger.recall(REPLICA, "damaged")
    assert head == ReplicaHead(datetime(2026, 11, 29, 22, 33, 43, 167535, UTC), "", complete=False)


def test_damaged_rows_do_not_keep_a_ledger_from_being_migrated(tmp_path: Path) -> None:
    damaged: Any = [
        ("mirror", "a", 3),
        ("spent", "a", b"2026-11-29 many 1"),
        ("spent", "b", b"2026-11-29 " + b"9" * 5000),
    ]
    damaged += [("mirror team", "toy", "text"), ("dropped from mirror team", "toy", b"-1"), ("stranger", "a", b"")]
    make(tmp_path / "ledger.sqlite", *damaged)
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as database, database:
        database.execute("INSERT INTO memo VALUES ('mirror', 'b', '{}', x'00')")
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        assert ledger.keys(REPLICA) == []
        assert ledger.every(DROPPED_SERIAL) == []
        ledger.remember(SOURCE, "a", SourceHistory("a"))
        assert ledger.recall(SOURCE, "a") == SourceHistory("a")


def test_of_several_that_open_an_old_ledger_one_migrates_it(tmp_path: Path) -> None:
    def count(_: int) -> list[str]:
        with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
            return ledger.keys(REPLICA)

    make(tmp_path / "ledger.sqlite", sql=(OLD / "ledger.sql").read_text())
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(count, range(4))) == [["lan", "mill", "team"]] * 4


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(database: sqlite3.Connection) -> None:
        database.execute("DELETE FROM memo")
        raise sqlite3.OperationalError("disk full")

    make(tmp_path / "ledger.sqlite", sql=(OLD / "ledger.sql").read_text())
    with monkeypatch.context() as patch, closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        patch.setattr("tf_tester.store.memos.migrate.to_version_2", fail)
        with pytest.raises(StoreError):
            ledger.keys(REPLICA)
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        assert ledger.keys(REPLICA) == ["lan", "mill", "team"]


# -- used


def test_an_old_store_publishes_as_before(owner: User, index: Simulator) -> None:
    index.stop()
    assert [line.split()[0] for line in done(owner, "cache", "replicas").splitlines()] == ["lan", "mill", "team"]
    for name in ("team", "mill", "lan"):
        done(owner, "publish", name, "--name", name)
        done(owner, "publish", name, "--verify", "--deep")
    before = json.loads((OLD / "manifest.json").read_text())
    manifest = json.loads((owner.folder / "team/current/manifest.json").read_text())
    assert (manifest["mirror"], manifest["files"]) == (before["mirror"], before["files"])
    assert manifest["pages"].keys() == before["pages"].keys()
    assert json.loads((owner.folder / "team/current/simple/toy/index.v1_json").read_text())["meta"]["_last-serial"] == 3


def test_an_old_tree_is_gone_on_with(owner: User) -> None:
    generation = owner.folder / "tree" / "generations" / "20261129T223343-13d0"
    generation.mkdir(parents=True)
    (generation / "manifest.json").write_bytes((OLD / "manifest.json").read_bytes())
    (owner.folder / "tree" / "current").symlink_to(Path("generations", generation.name))
    run = owner.run("publish", "tree", "--name", "mill")
    assert run.code == 2
    assert "There is the replica team, not mill." in run.err
    assert "tree" in done(owner, "publish", "tree", "--name", "team")
    assert done(owner, "publish", "tree", "--list").splitlines()[0].startswith(generation.name)


def test_a_liar_of_an_old_store_still_has_its_cooldown(owner: User, index: Simulator) -> None:
    with Simulator() as liar:
        for name in index._files:
            liar.add_wheel(name, index._files[name].content)
        owner.write("../.config/tf-tester/mirrors.toml", f'[[mirror]]\nname = "liar"\nurl = "{liar.simple_url}"\n')
        told = done(owner, "download", "--versions", "1.1", "--no-deps", "--mirror", "liar")
        assert "from liar: has a cooldown until 2999-12-06" in told
        assert not liar.requests["toy-1.1-py3-none-any.whl"]


def test_a_replica_whose_head_was_written_over_is_synced_again(owner: User, index: Simulator) -> None:
    assert "lan  synced 2026-11-29 22:33 UTC; something is missing" in done(owner, "cache", "replicas")
    owner.write("lan.toml", 'projects = ["gear==2.0"]\n')
    assert "gear: +1  gear-2.0" in done(owner, "sync", "lan.toml", "--allow-deletions")
    [line] = [line for line in done(owner, "cache", "replicas").splitlines() if line.startswith("lan")]
    assert "missing" not in line


# -- damaged


@pytest.mark.whole
def test_garbage_in_the_ledger_ends_no_run(user: User) -> None:
    """Of every kind; a value that can't be read is made anew."""
    user.write("check.py", "import toy\n")
    user.write("team.toml", 'projects = ["toy==2.0"]\n')
    commands = [
        ("test", "check.py", "--versions", "1.0,2.0"),
        ("diff", "1.0", "2.0", "--api"),
        ("download", "--versions", "2.0"),
        ("cache", "--all"),
        ("sync", "team.toml"),
        ("publish", "tree"),
        ("mirrors",),
    ]
    for words in commands[:-3]:
        done(user, *words)
    for garbage in (b"\x00\xff{", b"null"):
        with closing(sqlite3.connect(user.store / "ledger.sqlite")) as database, database:
            database.execute("UPDATE memo SET value = ?", (garbage,))
            database.execute("UPDATE page SET body = ?", (garbage,))
            for kind in KINDS:
                for key in ("toy", "tuna", "authority", "team", "team/toy", "team/gear"):
                    database.execute("INSERT OR REPLACE INTO memo VALUES (?, ?, ?, 'x', NULL)", (kind, key, garbage))
        for words in commands:
            done(user, *words)
