"""What we know, in SQLite: pages, blobs, and answers worth remembering. One writer at a time, many readers."""

import sqlite3
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import filelock

from tf_tester.errors import StoreError
from tf_tester.ports import CachedPage
from tf_tester.store.folder import store_errors

_VERSION = 1


class Ledger:
    """Opened at first use; callable from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    def get_page(self, url: str) -> CachedPage | None:
        with self._database() as database:
            row = database.execute(
                "SELECT body, content_type, etag, fetched, missing FROM page WHERE url = ?", (url,)
            ).fetchone()
            if row is None:
                return None
            body, content_type, etag, fetched, missing = row
            return CachedPage(zlib.decompress(body), content_type, etag, datetime.fromisoformat(fetched), bool(missing))

    def put_page(self, url: str, page: CachedPage) -> None:
        # Level 1: a page of 780 kB becomes 140 kB in 6 ms.
        row = (
            url,
            zlib.compress(page.body, 1),
            page.content_type,
            page.etag,
            page.fetched.isoformat(),
            int(page.missing),
        )
        with self._database() as database:
            database.execute("INSERT OR REPLACE INTO page VALUES (?, ?, ?, ?, ?, ?)", row)

    def remember_blob(self, sha256: str, filename: str, size: int, source: str, verified: datetime) -> None:
        with self._database() as database:
            database.execute(
                "INSERT OR REPLACE INTO blob VALUES (?, ?, ?, ?, ?)",
                (sha256, filename, size, source, verified.isoformat()),
            )

    def recall(self, kind: str, key: str) -> bytes | None:
        """The remembered answer, or None."""
        with self._database() as database:
            row = database.execute("SELECT value FROM memo WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        return None if row is None else row[0]

    def recalled_at(self, kind: str, key: str) -> datetime | None:
        """When that answer was remembered."""
        with self._database() as database:
            row = database.execute("SELECT at FROM memo WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        return None if row is None else datetime.fromisoformat(row[0])

    def remember(self, kind: str, key: str, value: bytes) -> None:
        with self._database() as database:
            database.execute(
                "INSERT OR REPLACE INTO memo VALUES (?, ?, ?, ?)",
                (kind, key, value, datetime.now(UTC).isoformat()),
            )

    def forget(self, kind: str, key: str) -> None:
        with self._database() as database:
            database.execute("DELETE FROM memo WHERE kind = ? AND key = ?", (kind, key))

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._open()
                yield self._connection
            except (sqlite3.DatabaseError, zlib.error) as error:
                raise StoreError(f"The ledger {self._path} can't be used: {error}.", hint=_hint(error)) from error

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=60, isolation_level=None, check_same_thread=False)
        try:
            # SQLite's own waiting does not cover the change to WAL: of two that open a new ledger, one would fail.
            with store_errors(self._path.parent), filelock.FileLock(f"{self._path}.lock", thread_local=False):
                self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if _user_version(connection) == 0:
            connection.execute("BEGIN IMMEDIATE")
            for statement in files("tf_tester.store").joinpath("schema.sql").read_text("utf-8").split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_VERSION}")
            connection.execute("COMMIT")
        if _user_version(connection) != _VERSION:
            raise StoreError(
                f"The ledger {self._path} was written by another version of tf-tester.",
                hint="Use another folder with --store, or move the ledger away: it is made anew.",
            )


class LedgerPages:
    """`ports.PageCache` in the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def get(self, url: str) -> CachedPage | None:
        return self._ledger.get_page(url)

    def put(self, url: str, page: CachedPage) -> None:
        self._ledger.put_page(url, page)


class LedgerProbes:
    """What was learnt about interpreters, in the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def get(self, key: str) -> str | None:
        value = self._ledger.recall("interpreter", key)
        return None if value is None else value.decode()

    def put(self, key: str, json: str) -> None:
        self._ledger.remember("interpreter", key, json.encode())


def _hint(error: Exception) -> str:
    match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF:
        case sqlite3.SQLITE_FULL:
            return "Free some space, or choose another folder with --store or TF_TESTER_STORE."
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return "Choose another folder with --store or TF_TESTER_STORE, or correct its permissions."
        case _:
            return "If it is damaged, move it away: it is made anew, and blobs that are there stay valid."


def _user_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
