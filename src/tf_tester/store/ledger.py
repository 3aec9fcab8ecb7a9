"""What we know, in SQLite: pages, blobs, and answers worth remembering. One writer at a time, many readers."""

import os
import re
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, Generic, TypeVar

import filelock
import msgspec

from tf_tester.core.text.sizes import count_text
from tf_tester.errors import StoreError, StoreFull
from tf_tester.model.moment import moment_of
from tf_tester.ports.index import CachedPage
from tf_tester.ports.memory import Needed
from tf_tester.store.folder import lock_of, make_way, store_errors
from tf_tester.store.memos.carry import PORTABLE, goes_along
from tf_tester.store.memos.salvage import TABLES, is_readable, put_aside, salvage
from tf_tester.store.memos.table import KINDS, MemoKind

_VERSION = 3
_FORGOTTEN = (
    "Pages, locks and results are fetched or made again; forgotten is which mirrors had given wrong bytes, what an "
    "index had shown last, who had signed, and what replicas hold: sync them before you publish. Files stay."
)
_OTHERS = "a database of something else"
V = TypeVar("V")
R = TypeVar("R")


class LedgerAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that a ledger knows, as it is carried to another one."""

    kind: str
    key: str
    value: bytes
    at: str
    """RFC 3339, UTC."""
    content_type: str = ""
    etag: str | None = None
    missing: bool = False


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Ledger:
    """Opened at first use; callable from any thread."""

    def __init__(
        self,
        path: Path,
        *,
        shared: bool = False,
        now: Callable[[], datetime] = _utc_now,
        tell: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """Take a database's path. `shared`: other machines may have it open, too. `now`: aware.

        `tell` hears of a ledger that was damaged, lost or taken by something else, and made anew.
        """
        self._path = path
        self._shared = shared
        self._now = now
        self._tell = tell
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Make it, if it isn't there. Without one, files in the store mean that it was lost. Raises `StoreError`."""
        self._do(_user_version)

    def get_page(self, url: str) -> CachedPage | None:
        """Return the page; None: there is none that can be read."""
        row = self._first("SELECT body, content_type, etag, fetched, missing, sum FROM page WHERE url = ?", url)
        return None if row is None or not _is_whole(row[5], url, *row[:5]) else _page_of(*row[:5])

    def page_fetched(self, url: str) -> datetime | None:
        """Return when a page was fetched; None: there is none."""
        row = self._first("SELECT fetched FROM page WHERE url = ?", url)
        try:
            return None if row is None else datetime.fromisoformat(row[0])
        except (TypeError, ValueError):
            return None  # damaged, as `get_page` finds, too

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
        self._execute("INSERT OR REPLACE INTO page VALUES (?, ?, ?, ?, ?, ?, ?)", *row, _sum(*row))

    def remember_blob(self, sha256: str, filename: str, size: int, source: str, verified: datetime) -> None:
        row = (sha256, filename, size, source, verified.isoformat())
        self._execute("INSERT OR REPLACE INTO blob VALUES (?, ?, ?, ?, ?)", *row)

    def blob_names(self) -> dict[str, str]:
        """Return file names by digest."""
        return {sha256: str(filename) for sha256, filename in self._all("SELECT sha256, filename FROM blob")}

    def answers(self, needed: Needed | None) -> "Iterator[LedgerAnswer]":
        """Yield pages, memos and names of files for another machine: what is needed, or everything."""
        marks = ", ".join("?" * len(PORTABLE))
        pages = self._all("SELECT url, body, content_type, etag, fetched, missing, sum FROM page")
        memos = self._all(f"SELECT kind, key, value, at, sum FROM memo WHERE kind IN ({marks})", *PORTABLE)
        names = self._all("SELECT sha256, filename FROM blob")
        for url, body, content_type, etag, fetched, missing, total in pages:
            if not _is_whole(total, url, body, content_type, etag, fetched, missing):
                continue
            if needed is None or url.rstrip("/").rpartition("/")[2] in needed.projects:
                yield LedgerAnswer("page", url, body, fetched, content_type, etag, bool(missing))
        for kind, key, value, at, total in memos:
            if not _is_whole(total, kind, key, value, at):
                continue
            if goes_along(kind, key, needed) and KINDS[kind].read(value) is not None:
                yield LedgerAnswer(kind, key, value, at)
        for digest, filename in names:
            if needed is None or digest in needed.digests:
                yield LedgerAnswer("name", digest, filename.encode(), "")

    def learn(self, answer: "LedgerAnswer") -> bool | None:
        """Take in an answer of another ledger.

        False: ours is as new, or it is nothing that a bundle carries; None: it can't be read.
        """
        row: tuple[object, ...]
        match answer.kind:
            case "page":
                if _page_of(answer.value, answer.content_type, answer.etag, answer.at, answer.missing) is None:
                    return None
                row = (answer.key, answer.value, answer.content_type, answer.etag, answer.at, int(answer.missing))
                statement, row = (
                    "INSERT INTO page VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (url) DO UPDATE SET "
                    "body=excluded.body, content_type=excluded.content_type, etag=excluded.etag, "
                    "fetched=excluded.fetched, missing=excluded.missing, sum=excluded.sum "
                    "WHERE excluded.fetched > page.fetched",
                    (*row, _sum(*row)),
                )
            case "name":
                statement, row = (
                    "UPDATE blob SET filename = ?1 WHERE sha256 = ?2 AND filename <> ?1",
                    (answer.value.decode("utf-8", "replace"), answer.key),
                )
            case kind:
                if kind not in PORTABLE:
                    return False
                if KINDS[kind].read(answer.value) is None or moment_of(answer.at) is None:
                    return None
                statement, row = (
                    "INSERT INTO memo VALUES (?, ?, ?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET "
                    "value=excluded.value, at=excluded.at, sum=excluded.sum WHERE excluded.at > memo.at",
                    (kind, answer.key, answer.value, answer.at, _sum(kind, answer.key, answer.value, answer.at)),
                )
        return self._execute(statement, *row) > 0

    # -- memos

    def recall(self, kind: MemoKind[V], key: str) -> V | None:
        """Return what was remembered; None: nothing, nothing that can be read, or nothing that counts any more."""
        dated = self.recall_dated(kind, key)
        return None if dated is None else dated[0]

    def recall_dated(self, kind: MemoKind[V], key: str) -> tuple[V, datetime] | None:
        """Return what `recall` does, and when it was remembered (UTC)."""
        _check(kind)
        row = self._first("SELECT value, at, sum FROM memo WHERE kind = ? AND key = ?", kind.name, key)
        if row is None:
            return None
        value, at = kind.read(row[0]), moment_of(row[1])
        if value is None or at is None or not _is_whole(row[2], kind.name, key, row[0], row[1]):
            self._drop(kind, key, row[0])
            return None
        # Nor before it was remembered: a clock that was set back must not make it last for ever.
        expired = kind.lifetime is not None and not timedelta(0) <= self._now() - at < kind.lifetime
        return None if expired else (value, at)

    def every(self, kind: MemoKind[V], *, under: str = "") -> list[tuple[str, V]]:
        """Return all values of a kind that can be read, with their keys; `under`: those with keys `UNDER/…` alone."""
        found = []
        for key, content in self.contents(kind, under=under):
            value = kind.read(content)
            if value is None:
                self._drop(kind, key, content)
            else:
                found.append((key, value))
        return found

    def contents(self, kind: MemoKind[Any], *, under: str = "") -> list[tuple[str, bytes]]:
        """Return what `every` does, unread: for whoever wants a small part of many large values."""
        _check(kind)
        statement = f"SELECT key, value, at, sum FROM memo WHERE {_WHERE} ORDER BY key"
        found = []
        for key, value, at, total in self._all(statement, kind.name, *_range(under)):
            if _is_whole(total, kind.name, key, value, at):
                found.append((key, value))
            else:
                self._drop(kind, key, value)
        return found

    def keys(self, kind: MemoKind[Any]) -> list[str]:
        """Return the keys of a kind, sorted."""
        _check(kind)
        return [key for (key,) in self._all("SELECT key FROM memo WHERE kind = ? ORDER BY key", kind.name)]

    def remember(self, kind: MemoKind[V], key: str, value: V) -> None:
        """Keep a value in place of an earlier one. One that is too large, or can't be written, isn't kept."""
        _check(kind)
        content = kind.write(value)
        if content is not None:
            row = (kind.name, key, content, self._now().isoformat())
            self._execute("INSERT OR REPLACE INTO memo VALUES (?, ?, ?, ?, ?)", *row, _sum(*row))

    def forget(self, kind: MemoKind[Any], key: str) -> None:
        _check(kind)
        self._execute("DELETE FROM memo WHERE kind = ? AND key = ?", kind.name, key)

    def forget_all(self, kind: MemoKind[Any], *, under: str) -> None:
        """Forget everything with keys `UNDER/…`."""
        _check(kind)
        self._execute(f"DELETE FROM memo WHERE {_WHERE}", kind.name, *_range(under))

    def _drop(self, kind: MemoKind[Any], key: str, content: object) -> None:
        """Forget what can't be read, unless somebody has made it anew meanwhile."""
        self._execute("DELETE FROM memo WHERE kind = ? AND key = ? AND value IS ?", kind.name, key, content)

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def check(self) -> str:
        """Read all of it, drop what isn't as it was written, and return what was wrong; empty: nothing.

        Raises `StoreError` where it can't be used.
        """
        told: list[str] = []
        before, self._tell = self._tell, told.append
        try:
            faults = self._do(_integrity)
            if faults:
                with self._lock:
                    self._renew()
            dropped = self._do(_drop_damaged)
        finally:
            self._tell = before
        if told:
            return told[0]
        return f"{count_text(dropped, 'row')} had been damaged: dropped" if dropped else ""

    def examine(self) -> str:
        """Read all of it, change nothing, and return what `check` would mend; empty: nothing. Raises `StoreError`."""
        with store_errors(self._path.parent):
            lost = self._loss()
            if lost or not self._path.exists():
                return f"it is {lost}" if lost else ""
        wal = self._path.with_name(f"{self._path.name}-wal")
        if self._shared or wal.exists():
            return self._examined("mode=ro")
        # Nobody has it open. SQLite would make files beside it, and leave them there, to know of those who may.
        found = self._examined("mode=ro&immutable=1")
        return self._examined("mode=ro") if found and wal.exists() else found

    def _examined(self, how: str) -> str:
        """Return what is wrong with what SQLite reads when it is opened so (https://sqlite.org/uri.html)."""
        try:
            address = f"{self._path.absolute().as_uri()}?{how}"
            with closing(sqlite3.connect(address, uri=True, timeout=60)) as database:
                database.text_factory = _text
                tables, version = _tables(database), _user_version(database)
                if version > _VERSION:
                    raise self._of_another_version()
                faults = _integrity(database) if version else "its version is lost" if tables else ""
                count = sum(1 for _ in _damaged_rows(database)) if version == _VERSION and not faults else 0
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise StoreError(f"The ledger {self._path} can't be used: {error}.", hint=_hint(error)) from error
            faults, count = str(error), 0
        if faults:
            return f"it is {faults}" if faults == _OTHERS else f"it is damaged: {faults}"
        return f"{count_text(count, 'row')} in it {'is' if count == 1 else 'are'} damaged" if count else ""

    def _first(self, statement: str, *words: object) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._do(lambda database: database.execute(statement, words).fetchone())
        return row

    def _all(self, statement: str, *words: object) -> list[tuple[Any, ...]]:
        return self._do(lambda database: database.execute(statement, words).fetchall())

    def _execute(self, statement: str, *words: object) -> int:
        """Return how many rows it has changed."""
        return self._do(lambda database: database.execute(statement, words).rowcount)

    def _do(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """Do something with the database; one that is damaged is made anew of what can be read, and it is done again.

        Raises `StoreError`.
        """
        with self._lock:
            try:
                try:
                    with self._database() as database:
                        return work(database)
                except sqlite3.DatabaseError as error:
                    if not _is_damage(error):
                        raise
                    self._renew()
                with self._database() as database:
                    return work(database)
            except sqlite3.DatabaseError as error:
                refused = StoreFull if _code(error) in _NO_SPACE else StoreError
                raise refused(f"The ledger {self._path} can't be used: {error}.", hint=_hint(error)) from error

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._connection is None:
                self._connection = self._open()
            yield self._connection

    def _renew(self) -> None:
        """Put a damaged database aside, unless another process has, and take what can be read into a new one."""
        self.close()
        was = "damaged"
        with store_errors(self._path.parent), self._opening():
            connection = self._connect()
            try:
                with closing(connection):
                    self._prepare(connection)
                    if not _integrity(connection):
                        return
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                if isinstance(error, _OthersDatabase):
                    was = str(error)
            aside = put_aside(self._path)
            connection = self._connect()
            with closing(connection):
                self._prepare(connection)
                count = salvage(aside, connection)
        self._tell_renewed(was, count, aside)

    def _tell_renewed(self, was: str, count: int, aside: Path | None) -> None:
        """Tell that there is a new one. `count`: rows that could be read; `aside`: where what was there is."""
        of = f" of the {count_text(count, 'row')} that could be read. " if count else f". {_FORGOTTEN} "
        kept = f"What was there is kept as {aside.name}." if aside else ""
        self._tell(f"The ledger {self._path} was {was}: it was made anew{of}{kept}".rstrip())

    def _opening(self) -> filelock.BaseFileLock:
        # SQLite's own waiting does not cover the change to WAL: of two that open a new ledger, one would fail.
        return lock_of(self._path.with_name(f"{self._path.name}.lock"))

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=60, isolation_level=None, check_same_thread=False)
        connection.text_factory = _text
        return connection

    def _open(self) -> sqlite3.Connection:
        if not self._path.parent.is_dir():  # a lock would make it
            raise StoreError(
                f"The ledger {self._path} can't be used: its folder isn't there.",
                hint="Choose another folder with --store or TF_TESTER_STORE.",
            )
        with store_errors(self._path.parent), self._opening():
            was, aside = self._loss(), None
            if not is_readable(self._path):
                aside = put_aside(self._path)
            for end in ("-wal", "-shm", "-journal"):
                make_way(self._path.with_name(f"{self._path.name}{end}"))
            connection = self._connect()
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        if was:
            self._tell_renewed(was, 0, aside)
        return connection

    def _loss(self) -> str:
        """Return what has become of the ledger of a store that was used before; empty: it is there, or never was."""
        try:
            if not is_readable(self._path):
                return "no file"
            is_there = self._path.exists()
            if is_there and self._path.stat().st_size:
                return ""
            # A process that ends while it makes a new one leaves an empty file, and nothing in the store.
            with os.scandir(self._path.with_name("blobs")) as blobs:
                return ("empty" if is_there else "gone") if any(blobs) else ""
        except (FileNotFoundError, NotADirectoryError):
            return ""

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # WAL needs memory that all who have it open share, so it can't be used by several machines
        # (https://sqlite.org/wal.html); a journal that is truncated can, and costs a sync more a write.
        connection.execute(f"PRAGMA journal_mode = {'TRUNCATE' if self._shared else 'WAL'}")
        connection.execute(f"PRAGMA synchronous = {'FULL' if self._shared else 'NORMAL'}")
        _tables(connection)
        if _user_version(connection) < _VERSION:
            connection.execute("BEGIN IMMEDIATE")
            match _user_version(connection):  # asked again: another machine may have been before us
                case 0:
                    for statement in files("tf_tester.store").joinpath("schema.sql").read_text("utf-8").split(";\n"):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version = {_VERSION}")
                case 1 | 2 as version:
                    from tf_tester.store.memos.migrate import to_version_2, to_version_3

                    if version == 1:
                        to_version_2(connection)
                    to_version_3(connection)
                    connection.execute(f"PRAGMA user_version = {_VERSION}")
            connection.execute("COMMIT")
        if _user_version(connection) != _VERSION:
            raise self._of_another_version()

    def _of_another_version(self) -> StoreError:
        return StoreError(
            f"The ledger {self._path} was written by another version of tf-tester.",
            hint="Use another folder with --store, or move the ledger away: it is made anew.",
        )


class _OthersDatabase(sqlite3.DatabaseError):
    """A database, but no ledger; its text says what it is."""


class LedgerPages:
    """`ports.PageCache` in the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def get(self, url: str) -> CachedPage | None:
        return self._ledger.get_page(url)

    def fetched(self, url: str) -> datetime | None:
        return self._ledger.page_fetched(url)

    def put(self, url: str, page: CachedPage) -> None:
        with suppress(StoreFull):  # it is asked for again
            self._ledger.put_page(url, page)


class LedgerMemos(Generic[V]):
    """`ports.memory.Memos`: those of one kind."""

    def __init__(self, ledger: Ledger, kind: MemoKind[V]) -> None:
        self._ledger = ledger
        self._kind = kind

    def recall(self, key: str) -> V | None:
        return self._ledger.recall(self._kind, key)

    def remember(self, key: str, value: V) -> None:
        with suppress(StoreFull):  # it is found out again
            self._ledger.remember(self._kind, key, value)


def _check(kind: MemoKind[Any]) -> None:
    if KINDS.get(kind.name) is not kind:
        raise ValueError(f"{kind.name!r} is not in the table of memos")


_NO_SPACE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
_WHERE = "kind = ? AND key >= ? AND key < ?"


def _range(under: str) -> tuple[str, str]:
    """Return bounds of the keys `UNDER/…`, or of all: the second is not one of them."""
    return (f"{under}/", f"{under}0") if under else ("", "\U0010ffff")


def _sum(*words: object) -> int:
    """Return the CRC-32 of a row's other columns."""
    total = 0
    for word in words:
        total = zlib.crc32(word if isinstance(word, bytes) else repr(word).encode("utf-8", "surrogatepass"), total)
        total = zlib.crc32(b"\0", total)
    return total


def _is_whole(total: object, *words: object) -> bool:
    """Tell whether a row is as it was written; those of earlier versions have no sum."""
    return total is None or total == _sum(*words)


def _integrity(database: sqlite3.Connection) -> str:
    """Return what SQLite finds wrong with it; empty: nothing."""
    for table in TABLES:
        database.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()
    found = str(database.execute("PRAGMA integrity_check(1)").fetchone()[0])
    return "" if found == "ok" else found


def _tables(database: sqlite3.Connection) -> set[str]:
    """Return the names of tables. Raises `_OthersDatabase` where none of them is ours."""
    tables = {str(name) for (name,) in database.execute("SELECT name FROM sqlite_master")}
    if (tables or _user_version(database)) and not tables & set(TABLES):
        raise _OthersDatabase(_OTHERS)
    return tables


def _damaged_rows(database: sqlite3.Connection) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield tables, and keys as they are on the disk, of rows that aren't as they were written."""
    for table, keys in (("page", ("url",)), ("memo", ("kind", "key"))):
        raw = ", ".join(f"CAST({key} AS BLOB)" for key in keys)
        for row in database.execute(f"SELECT {raw}, * FROM {table}"):
            *words, total = row[len(keys) :]
            if not _is_whole(total, *words):
                yield table, dict(zip(keys, row, strict=False))


def _drop_damaged(database: sqlite3.Connection) -> int:
    """Delete rows that aren't as they were written, and return how many."""
    count = 0
    for table, keys in list(_damaged_rows(database)):
        where = " AND ".join(f"CAST({key} AS BLOB) = ?" for key in keys)
        count += database.execute(f"DELETE FROM {table} WHERE {where}", [*keys.values()]).rowcount
    return count


def _text(content: bytes) -> str:
    """Return text; where its bytes are none, another one, which the row's sum tells."""
    return content.decode("utf-8", "replace")


def _is_damage(error: sqlite3.Error) -> bool:
    """Tell whether an error says that the file is not what SQLite wrote."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    # A table or a column that must be there, or that the version says not to be there yet.
    schema = code == sqlite3.SQLITE_ERROR and re.search("no such|already exists|duplicate column", str(error))
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or bool(schema) or isinstance(error, _OthersDatabase)


def _page_of(body: object, content_type: object, etag: object, fetched: object, missing: object) -> CachedPage | None:
    """Return a page as it is kept; None where the row is damaged."""
    at = moment_of(fetched)
    try:
        content = zlib.decompress(body) if isinstance(body, bytes) else None
    except zlib.error:
        return None
    if content is None or at is None or not isinstance(content_type, str) or not isinstance(etag, str | None):
        return None
    return CachedPage(content, content_type, etag, at, bool(missing))


def _hint(error: Exception) -> str:
    match _code(error) & 0xFF:
        case _ if _code(error) in _NO_SPACE:
            return "Free some space, or choose another folder with --store or TF_TESTER_STORE."
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return "Choose another folder with --store or TF_TESTER_STORE, or correct its permissions."
        case _:
            return "If it is damaged, move it away: it is made anew, and blobs that are there stay valid."


def _code(error: Exception) -> int:
    """Return SQLite's extended code."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT))


def _user_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
