"""What we know, in SQLite: pages, blobs, and answers worth remembering. One writer at a time, many readers."""

import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import filelock
import msgspec

from tf_tester.errors import StoreError
from tf_tester.ports.index import CachedPage
from tf_tester.store.folder import store_errors

_VERSION = 1


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that a ledger knows, as it is carried to another one."""

    kind: str
    key: str
    value: bytes
    at: str
    """RFC 3339, UTC."""
    content_type: str = ""
    etag: str | None = None
    missing: bool = False


class Ledger:
    """Opened at first use; callable from any thread."""

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        """`shared`: other machines may have it open, too."""
        self._path = path
        self._shared = shared
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

    def blob_names(self) -> dict[str, str]:
        """File names by digest."""
        with self._database() as database:
            return dict(database.execute("SELECT sha256, filename FROM blob").fetchall())

    def answers(self, wanted: Callable[[str, str], bool]) -> "Iterator[Answer]":
        """Pages and memos, to be carried elsewhere. `wanted`: by kind and key, pages being of the kind `page`."""
        with self._database() as database:
            pages = database.execute("SELECT url, body, content_type, etag, fetched, missing FROM page").fetchall()
            memos = database.execute("SELECT kind, key, value, at FROM memo").fetchall()
            files = database.execute("SELECT sha256, filename FROM blob").fetchall()
        for url, body, content_type, etag, fetched, missing in pages:
            if wanted("page", url):
                yield Answer("page", url, body, fetched, content_type, etag, bool(missing))
        for kind, key, value, at in memos:
            if wanted(kind, key):
                yield Answer(kind, key, value, at)
        for digest, filename in files:
            if wanted("name", digest):
                yield Answer("name", digest, filename.encode(), "")

    def learn(self, answer: "Answer") -> bool:
        """Take an answer of another ledger in, unless ours is as new; whether it was."""
        with self._database() as database:
            match answer.kind:
                case "page":
                    done = database.execute(
                        "INSERT INTO page VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (url) DO UPDATE SET "
                        "body=excluded.body, content_type=excluded.content_type, etag=excluded.etag, "
                        "fetched=excluded.fetched, missing=excluded.missing WHERE excluded.fetched > page.fetched",
                        (answer.key, answer.value, answer.content_type, answer.etag, answer.at, int(answer.missing)),
                    )
                case "name":
                    done = database.execute(
                        "UPDATE blob SET filename = ?1 WHERE sha256 = ?2 AND filename <> ?1",
                        (answer.value.decode(), answer.key),
                    )
                case _:
                    done = database.execute(
                        "INSERT INTO memo VALUES (?, ?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET "
                        "value=excluded.value, at=excluded.at WHERE excluded.at > memo.at",
                        (answer.kind, answer.key, answer.value, answer.at),
                    )
            return done.rowcount > 0

    def all_of(self, kind: str) -> list[tuple[str, bytes]]:
        """Every remembered answer of a kind, by key."""
        with self._database() as database:
            return database.execute("SELECT key, value FROM memo WHERE kind = ?", (kind,)).fetchall()

    def keys_of(self, kind: str) -> list[str]:
        """The keys of every remembered answer of a kind."""
        with self._database() as database:
            return [key for (key,) in database.execute("SELECT key FROM memo WHERE kind = ?", (kind,))]

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
        # WAL needs memory that all who have it open share, so it can't be used by several machines
        # (https://sqlite.org/wal.html); a journal that is truncated can, and costs a sync more a write.
        connection.execute(f"PRAGMA journal_mode = {'TRUNCATE' if self._shared else 'WAL'}")
        connection.execute(f"PRAGMA synchronous = {'FULL' if self._shared else 'NORMAL'}")
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


class LedgerSerials:
    """`ports.Serials` of one authority and its copies, in the ledger."""

    def __init__(self, ledger: Ledger, authority: str) -> None:
        """`authority`: its address, without credentials."""
        self._ledger = ledger
        self._authority = authority

    def latest(self, project: str) -> int | None:
        kept = self._ledger.recall("serial", f"{project} {self._authority}")
        return int(kept) if kept else None

    def seen(self, project: str, serial: int) -> None:
        if serial > (self.latest(project) or 0):
            self._ledger.remember("serial", f"{project} {self._authority}", str(serial).encode())


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
