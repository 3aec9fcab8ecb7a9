"""A ledger of an earlier version becomes one of today, in place.

In version 1 the heads of replicas and what was known of sources were both of the kind `mirror`, so that of one name
whoever wrote last had erased the other. What a row holds tells who wrote it.
"""

import re
import sqlite3

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tf_tester.model.moment import Moment, moment_of
from tf_tester.model.source import SourceHistory
from tf_tester.ports.replica import ReplicaHead
from tf_tester.store.memos.table import DROPPED_SERIAL, HELD_PROJECT, REPLICA, SOURCE

_PROJECTS, _DROPPED = "mirror ", "dropped from mirror "
"""Before the replica's name: kinds whose keys were projects."""
_SPENT = re.compile(rb"(\d{4}-\d\d-\d\d) (\d{1,18}) (\d{1,18})")
"""A day, bytes and requests."""
_ENDED = ("mirror", "spent", "auto")
"""Kinds that are no more, or that are found out anew in a moment and may have had a password in their keys."""


class _Standing(Struct, frozen=True):
    """What was known of a source."""

    right: int
    speed: float | None = None
    measured: Moment | None = None
    left_out_until: Moment | None = None


def to_version_2(database: sqlite3.Connection) -> None:
    """Give replicas and sources kinds of their own; inside a transaction of the caller's."""
    sources: dict[str, tuple[SourceHistory, str]] = {}
    for key, content, at in _rows(database, "mirror"):
        head = REPLICA.read(content)
        if head is None and (history := _history(key, content)) is not None:
            sources[key] = history, at
        if head is None:
            head = _lost_head(database, key)
        if head is not None:
            _put(database, REPLICA.name, key, REPLICA.write(head), at)
            _rename(database, f"{_PROJECTS}{key}", HELD_PROJECT.name, key)
    for key, content, at in _rows(database, "spent"):
        history, before = sources.get(key, (SourceHistory(key), at))
        sources[key] = _with_day(history, content), max(before, at)
    for key, (history, at) in sources.items():
        _put(database, SOURCE.name, key, SOURCE.write(history), at)
    for kind in _kinds(database, _DROPPED):
        _rename(database, kind, DROPPED_SERIAL.name, kind.removeprefix(_DROPPED))
    for kind in (*_ENDED, *_kinds(database, _PROJECTS)):
        database.execute("DELETE FROM memo WHERE kind = ?", (kind,))


def to_version_3(database: sqlite3.Connection) -> None:
    """Give rows a sum of what they hold; those that are there have none. Inside a transaction of the caller's."""
    for table in ("page", "memo"):
        database.execute(f"ALTER TABLE {table} ADD COLUMN sum INTEGER")


def _rows(database: sqlite3.Connection, kind: str) -> list[tuple[str, bytes, str]]:
    """Return keys, values and times, without rows that are damaged."""
    rows = database.execute("SELECT key, value, at FROM memo WHERE kind = ?", (kind,)).fetchall()
    return [row for row in rows if isinstance(row[1], bytes) and moment_of(row[2])]


def _history(source: str, content: bytes) -> SourceHistory | None:
    try:
        known = msgspec.json.decode(content, type=_Standing)
    except msgspec.DecodeError:
        return None
    return SourceHistory(source, known.right, known.speed, known.measured, known.left_out_until)


def _lost_head(database: sqlite3.Connection, name: str) -> ReplicaHead | None:
    """Return a head for a replica whose own was written over, so that the next sync looks at everything."""
    row = database.execute("SELECT max(at) FROM memo WHERE kind = ?", (f"{_PROJECTS}{name}",)).fetchone()
    synced = moment_of(row[0])
    return None if synced is None else ReplicaHead(synced, "", complete=False)


def _with_day(history: SourceHistory, content: bytes) -> SourceHistory:
    """Return the history with what the source sent on a day."""
    spent = _SPENT.fullmatch(content)
    if spent is None:
        return history
    return replace(history, day=spent[1].decode(), bytes_today=int(spent[2]), requests_today=int(spent[3]))


def _kinds(database: sqlite3.Connection, start: str) -> list[str]:
    rows = database.execute("SELECT DISTINCT kind FROM memo WHERE substr(kind, 1, ?) = ?", (len(start), start))
    return [kind for (kind,) in rows]


def _rename(database: sqlite3.Connection, before: str, after: str, replica: str) -> None:
    """Make keys `PROJECT` of one kind keys `REPLICA/PROJECT` of another."""
    database.execute(
        "UPDATE OR REPLACE memo SET kind = ?1, key = ?2 || '/' || key WHERE kind = ?3", (after, replica, before)
    )


def _put(database: sqlite3.Connection, kind: str, key: str, content: bytes | None, at: str) -> None:
    if content is not None:
        database.execute(
            "INSERT OR REPLACE INTO memo (kind, key, value, at) VALUES (?, ?, ?, ?)", (kind, key, content, at)
        )
