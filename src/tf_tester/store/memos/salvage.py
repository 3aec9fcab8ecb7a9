"""A ledger that SQLite can't read is put aside, and what can be read of it goes into a new one."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from tf_tester.store.removal import remove_tree

_LONGEST = 1 << 34
"""Bytes: what a damaged head tells may be anything."""
_ENDS = ("", "-wal", "-shm", "-journal")
TABLES = ("page", "blob", "memo")
_KEYS = {"page": "url", "blob": "sha256", "memo": "kind {0}, key"}


def put_aside(ledger: Path) -> Path:
    """Give a damaged ledger another name, one for all, and return it. Raises `OSError`."""
    aside = ledger.with_name(f"{ledger.name}.damaged")
    for end in _ENDS:
        target = aside.with_name(aside.name + end)
        if target.is_dir() and not target.is_symlink():
            remove_tree(target)
        target.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            ledger.with_name(ledger.name + end).rename(target)
    return aside


def salvage(damaged: Path, fresh: sqlite3.Connection) -> int:
    """Copy the rows that can still be read into a new ledger of the same version, and return how many."""
    count = 0
    if not damaged.is_file():
        return 0
    _lengthen(damaged)
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(damaged)) as old:
        fresh.execute("BEGIN IMMEDIATE")
        for table in TABLES:
            for row in _rows(old, table):
                marks = ", ".join("?" * len(row))
                with suppress(sqlite3.DatabaseError):  # a row that no ledger takes
                    count += fresh.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row).rowcount
    if fresh.in_transaction:
        fresh.execute("COMMIT")
    return count


def _lengthen(damaged: Path) -> None:
    """Give a file that was cut the length that its head tells: SQLite reads nothing of one that is shorter."""
    with damaged.open("r+b") as stream:
        head = stream.read(32)
        if len(head) == 32:
            page, count = int.from_bytes(head[16:18], "big"), int.from_bytes(head[28:32], "big")
            length = (page if page != 1 else 65_536) * count
            if damaged.stat().st_size < length <= _LONGEST:
                stream.truncate(length)


def _rows(database: sqlite3.Connection, table: str) -> Iterator[tuple[object, ...]]:
    """Yield what can be read from the beginning, and from the end."""
    database.text_factory = lambda text: text.decode("utf-8", "replace")
    for direction in ("ASC", "DESC"):
        with suppress(sqlite3.DatabaseError, OverflowError):
            order = f"{_KEYS[table].format(direction)} {direction}"
            yield from database.execute(f"SELECT * FROM {table} ORDER BY {order}")
            return


def is_readable(path: Path) -> bool:
    """Tell whether something is a file, or nothing is there: what SQLite can open."""
    return path.is_file() or not os.path.lexists(path)
