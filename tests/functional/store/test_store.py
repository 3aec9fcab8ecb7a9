"""The store is right or the thing is absent: after wrong bytes, kill -9, a full disk, and with many at once."""

import contextlib
import errno
import hashlib
import io
import json
import os
import sqlite3
import stat
import struct
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.pythons import edges, running
from tests.wheels import make_wheel, record_text, zip_of
from tf_tester import store as store_package
from tf_tester.errors import InstallFailed, StoreError, WrongBytes
from tf_tester.model.events import Delay, DelayKind, Event
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.layer import EntryPoint, Layer
from tf_tester.ports.index import CachedPage
from tf_tester.store import unpacking
from tf_tester.store.blobs import BlobStore
from tf_tester.store.compiling import Compilers
from tf_tester.store.folder import StoreFolder, _c_function, store_errors, sync_tree, translate
from tf_tester.store.inventory import Inventory
from tf_tester.store.layers import LayerStore
from tf_tester.store.ledger import Ledger, LedgerPages
from tf_tester.store.memos.table import ENTRY_POINTS, INTERPRETER, PEAK
from tf_tester.store.removal import remove_tree
from tf_tester.store.verifying import layer_trouble

pytestmark = pytest.mark.skipif(os.name != "posix", reason="speaks of POSIX permissions and signals")

REPOSITORY = Path(__file__).parents[3]
COMPILER = REPOSITORY / "src/tf_tester/harness/compile_layer.py"
CONTENT = b"the bytes of a wheel"
SHA256 = hashlib.sha256(CONTENT).hexdigest()

WHEEL = make_wheel(
    "toy",
    "1.0",
    files={
        "toy/__init__.py": "from toy.core import spin\n",
        "toy/core.py": "def spin():\n    return 'spun'\n",
        "toy/data/words.txt": "words",
        "toy/_fast.so": b"\x7fELF",
        "toy-1.0.data/scripts/toy-script": "#!python\nprint('script')\n",
        "toy-1.0.data/data/share/toy.cfg": "shared = 1",
        "toy-1.0.data/headers/toy.h": "int spin(void);",
        "toy-1.0.data/purelib/toy/pure.py": "PURE = True\n",
        "toy-1.0.data/platlib/toy/plat.py": "PLAT = True\n",
    },
    entry_points={"toy": "toy.core:spin"},
)
PLACES = {
    "bin/toy-script",
    "data/include/toy.h",
    "data/share/toy.cfg",
    "site/toy-1.0.dist-info/METADATA",
    "site/toy-1.0.dist-info/RECORD",
    "site/toy-1.0.dist-info/WHEEL",
    "site/toy-1.0.dist-info/entry_points.txt",
    "site/toy/__init__.py",
    "site/toy/_fast.so",
    "site/toy/core.py",
    "site/toy/data/words.txt",
    "site/toy/plat.py",
    "site/toy/pure.py",
}


@pytest.fixture
def folder(tmp_path: Path) -> StoreFolder:
    made = StoreFolder(tmp_path / "store")
    made.open()
    return made


@pytest.fixture
def ledger(folder: StoreFolder) -> Iterator[Ledger]:
    with contextlib.closing(Ledger(folder.ledger)) as opened:
        yield opened


@pytest.fixture
def blobs(folder: StoreFolder, ledger: Ledger) -> BlobStore:
    return BlobStore(folder, ledger)


@pytest.fixture
def workplace(folder: StoreFolder) -> Iterator[Path]:
    with folder.workplace() as place:
        yield place


@pytest.fixture
def layers(folder: StoreFolder, workplace: Path) -> LayerStore:
    return LayerStore(folder, workplace, cpus=2, compiler=COMPILER)


def unpacked(
    layers: LayerStore, folder: Path, wheel: tuple[str, bytes] = WHEEL, python: Interpreter | None = None
) -> Layer:
    path = folder / "wheel"
    path.write_bytes(wheel[1])
    return layers.layer(wheel[0], hashlib.sha256(wheel[1]).hexdigest(), path, python or running())


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def script(body: str, *words: object) -> "subprocess.Popen[str]":
    """A text as a Python program of its own; the words are its arguments."""
    return started("-c", textwrap.dedent(body), *words)


def started(*words: object) -> "subprocess.Popen[str]":
    """A Python of its own that sees this repository."""
    path = os.pathsep.join((str(REPOSITORY / "src"), str(REPOSITORY), os.environ.get("PYTHONPATH", "")))
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def together(*processes: "subprocess.Popen[str]") -> list[str]:
    """What they say, when all were let go at once."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return said


@contextlib.contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """The kernel writes a part and refuses the rest, as on a disk that gets full."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# -- the folder


def test_a_store_is_made_on_first_use_and_backups_leave_it_alone(folder: StoreFolder) -> None:
    folder.open()
    assert (folder.root / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    assert {entry.name for entry in folder.root.iterdir() if entry.is_dir()} == {
        "blobs",
        "claims",
        "incoming",
        "kept",
        "layers",
        "runs",
        "tmp",
    }


@pytest.mark.parametrize("below", ["", "store"])
def test_a_store_that_cannot_be_made_is_an_error_with_a_hint(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be written: Not a directory") as caught:
        StoreFolder(tmp_path / "file" / below).open()
    assert caught.value.hint


@pytest.mark.parametrize(
    ("number", "said", "hint"),
    [
        (errno.ENOSPC, "The disk of the store /store is full.", "Free some space"),
        (errno.EDQUOT, "The disk of the store /store is full.", "Free some space"),
        (errno.EACCES, "The store /store can't be written: Permission denied.", "--store"),
        (errno.EROFS, "The store /store can't be written: Read-only file system.", "--store"),
        (errno.EIO, "The store /store can't be used: Input/output error.", "tf-tester doctor"),
    ],
)
def test_what_a_file_system_refuses_is_a_sentence(number: int, said: str, hint: str) -> None:
    error = translate(OSError(number, os.strerror(number)), Path("/store"))
    assert str(error) == said
    assert hint in error.hint
    with pytest.raises(StoreError, match=r"/store"), store_errors(Path("/store")):
        raise OSError(number, os.strerror(number))


def test_a_workplace_is_private_and_gone_at_the_end(folder: StoreFolder) -> None:
    with folder.workplace() as place:
        assert mode(place) == 0o700
        (place / "deep/er").mkdir(parents=True)
        (place / "deep/er/file").write_text("")
        (place / "deep/er").chmod(0o555)
        (place / "deep").chmod(0o555)
    assert list(folder.tmp.iterdir()) == []


def test_workplaces_of_the_dead_are_swept_and_those_of_the_living_are_not(folder: StoreFolder) -> None:
    killed = script(
        """
        import sys, os
        from pathlib import Path
        from tf_tester.store.folder import StoreFolder
        with StoreFolder(Path(sys.argv[1])).workplace() as place:
            (place / "big").write_text("rest")
            print(place.name, flush=True)
            sys.stdin.read()
        """,
        folder.root,
    )
    assert killed.stdout is not None
    name = killed.stdout.readline().strip()
    (folder.tmp / "7-0123abcd").mkdir()  # its owner died between the two
    with folder.workplace() as first:
        assert {entry.name for entry in folder.tmp.iterdir()} == {
            name,
            f"{name}.lock",
            first.name,
            f"{first.name}.lock",
        }
        killed.kill()
        killed.communicate()
        with folder.workplace() as second:
            assert {entry.name for entry in folder.tmp.iterdir() if entry.is_dir()} == {first.name, second.name}
            assert first.is_dir()


def test_nothing_but_workplaces_is_ever_swept(folder: StoreFolder) -> None:
    """Somebody's `tmp`, in a folder that was taken for a store, lost all folders in it."""
    for name in ("work", "7-0123abcd.old", "pytest-of-me"):
        (folder.tmp / name).mkdir()
        (folder.tmp / name / "thesis.txt").write_text("years")
    with folder.workplace() as place:
        assert {path.name for path in folder.tmp.iterdir()} == {
            *("work", "7-0123abcd.old", "pytest-of-me", place.name, f"{place.name}.lock")
        }
    assert (folder.tmp / "work/thesis.txt").read_text() == "years"


def test_a_folder_of_somebody_elses_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "home/tmp").mkdir(parents=True)
    (tmp_path / "home/letter.txt").write_text("dear")
    with pytest.raises(StoreError, match=r"is no store: there is 'letter\.txt' in it"):
        StoreFolder(tmp_path / "home").open()
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["letter.txt", "tmp"]
    (tmp_path / "home/letter.txt").unlink()
    (tmp_path / "home/lost+found").mkdir()
    StoreFolder(tmp_path / "home").open()


@pytest.mark.parametrize("name", ["tmp", "blobs"])
@pytest.mark.parametrize("above", ["..", "../..", "."])
def test_no_folder_of_a_store_is_one_in_which_it_lies(tmp_path: Path, name: str, above: str) -> None:
    """Where `tmp` was a link to `/`, workplaces were made in that, and a killed run left one."""
    store = StoreFolder(tmp_path / "disk/store")
    store.open()
    (store.root / name).rmdir()
    (store.root / name).symlink_to(above)
    with pytest.raises(StoreError, match=f"{name} is a link to .*, in which the store itself lies"):
        store.open()
    (store.root / name).unlink()
    (tmp_path / "disk/other").mkdir()
    (store.root / name).symlink_to("../other")
    store.open()


def test_many_workplaces_at_once_never_sweep_one_another(folder: StoreFolder) -> None:
    def work(number: int) -> bool:
        with folder.workplace() as place:
            (place / "mine").write_text(str(number))
            with folder.workplace() as other:
                return (place / "mine").read_text() == str(number) and other.is_dir()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(40)))
    assert list(folder.tmp.iterdir()) == []


def test_one_claim_has_one_holder_among_threads(folder: StoreFolder) -> None:
    inside: list[int] = []
    most = []

    def work(number: int) -> None:
        with folder.exclusive("it"):
            inside.append(number)
            most.append(len(inside))
            inside.remove(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(50)))
    assert max(most) == 1


def test_who_waits_for_a_claim_for_long_tells_so(folder: StoreFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tf_tester.store.folder._PATIENCE", 0.01)
    told: list[Event] = []
    waits = threading.Event()

    def tell(event: Event) -> None:
        told.append(event)
        waits.set()

    def second() -> None:
        with StoreFolder(folder.root, tell=tell).exclusive("it"):
            pass

    with ThreadPoolExecutor(1) as pool:
        with folder.exclusive("it"):
            other = pool.submit(second)
            assert waits.wait(60)
        other.result()
    assert told == [Delay(DelayKind.LOCK, "it"), Delay(DelayKind.LOCK, "it", is_over=True)]


def test_a_claim_is_freed_by_death(folder: StoreFolder) -> None:
    holder = script(
        """
        import sys
        from pathlib import Path
        from tf_tester.store.folder import StoreFolder
        with StoreFolder(Path(sys.argv[1])).exclusive("it"):
            print("held", flush=True)
            sys.stdin.read()
        """,
        folder.root,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    holder.kill()
    holder.communicate()
    with folder.exclusive("it"):
        pass


# -- blobs


def test_right_bytes_get_their_name_read_only(blobs: BlobStore, ledger: Ledger) -> None:
    assert blobs.find(SHA256) is None
    blobs.partial(SHA256).write_bytes(CONTENT)
    path = blobs.adopt(SHA256, "toy.whl", "tuna")
    assert (blobs.find(SHA256), path.read_bytes(), mode(path)) == (path, CONTENT, 0o444)
    assert not blobs.partial(SHA256).exists()
    with contextlib.closing(sqlite3.connect(ledger._path)) as database:
        [row] = database.execute("SELECT sha256, filename, size, source FROM blob")
    assert row == (SHA256, "toy.whl", len(CONTENT), "tuna")


@pytest.mark.parametrize("wrong", [b"", CONTENT[:-1], CONTENT + b"x", CONTENT.replace(b"t", b"T")])
def test_wrong_bytes_never_get_a_name(blobs: BlobStore, folder: StoreFolder, wrong: bytes) -> None:
    blobs.partial(SHA256).write_bytes(wrong)
    with pytest.raises(WrongBytes, match=rf"toy\.whl from tuna has SHA-256 [0-9a-f]+, promised was {SHA256}"):
        blobs.adopt(SHA256, "toy.whl", "tuna")
    assert blobs.find(SHA256) is None
    assert files_below(folder.blobs) == set()
    assert blobs.partial(SHA256).read_bytes() == wrong, "a part of it may be right"


def test_what_was_hashed_while_it_grew_is_not_read_again(blobs: BlobStore) -> None:
    partial = blobs.partial(SHA256)
    follower = blobs.follow(SHA256)
    follower.grown(5)
    follower.catch_up()  # nothing is there yet
    partial.write_bytes(CONTENT[:7])
    follower.grown(7)
    follower.catch_up()
    partial.write_bytes(b"?" * 7 + CONTENT[7:])
    assert follower.digest() == SHA256
    follower.restart()
    assert follower.digest() == hashlib.sha256(b"?" * 7 + CONTENT[7:]).hexdigest()
    with pytest.raises(WrongBytes):
        blobs.adopt(SHA256, "toy.whl", "tuna", follower)
    partial.write_bytes(CONTENT)
    follower.restart()
    follower.catch_up()  # whoever had been asked before that finds nothing to read
    partial.write_bytes(CONTENT.lower())
    partial.write_bytes(CONTENT)
    assert blobs.adopt(SHA256, "toy.whl", "tuna", follower).read_bytes() == CONTENT


def test_adopting_nothing_is_an_error_of_the_store(blobs: BlobStore) -> None:
    with pytest.raises(StoreError):
        blobs.adopt(SHA256, "toy.whl", "tuna")


@pytest.mark.parametrize("name", ["", "ab", SHA256.upper(), "../" + SHA256[3:], SHA256[:-1] + "\n", "é" * 64])
def test_only_a_digest_is_ever_a_file_name(blobs: BlobStore, name: str) -> None:
    for use in (blobs.find, blobs.partial, blobs.exclusive):
        with pytest.raises(ValueError, match="not a SHA-256"):
            use(name)


def test_a_full_disk_is_told_and_what_arrived_is_kept(
    blobs: BlobStore, folder: StoreFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs.partial(SHA256).write_bytes(CONTENT)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tf_tester.store.blobs.os.fsync", full)
    with pytest.raises(StoreError, match=r"The disk of the store .* is full"):
        blobs.adopt(SHA256, "toy.whl", "tuna")
    monkeypatch.undo()
    assert blobs.find(SHA256) is None
    with blobs.partial(SHA256).open("r+b"):
        pass  # still writable for whoever goes on with it
    assert mode(blobs.partial(SHA256)) & 0o200
    assert blobs.adopt(SHA256, "toy.whl", "tuna").read_bytes() == CONTENT


# -- the ledger


def test_pages_come_back_as_they_went(ledger: Ledger) -> None:
    pages = LedgerPages(ledger)
    page = CachedPage(b"<html>\0\xff", "text/html", '"etag"', datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC))
    missing = CachedPage(b"", "", None, page.fetched, missing=True)
    assert pages.get("https://host/simple/toy/") is None
    pages.put("https://host/simple/toy/", page)
    pages.put("https://host/simple/none/", missing)
    assert pages.get("https://host/simple/toy/") == page
    assert pages.get("https://host/simple/none/") == missing
    pages.put("https://host/simple/toy/", replace(page, etag=None))
    assert pages.get("https://host/simple/toy/") == replace(page, etag=None)


def test_answers_are_remembered_by_kind_and_key_over_processes(ledger: Ledger, folder: StoreFolder) -> None:
    ledger.remember(ENTRY_POINTS, "a", b"\0one")
    ledger.remember(ENTRY_POINTS, "a", b"\0two")
    ledger.remember(PEAK, "a", 3)
    ledger.remember(INTERPRETER, "python", '{"é": 1}')
    ledger.close()
    assert (ledger.recall(ENTRY_POINTS, "a"), ledger.recall(PEAK, "a")) == (b"\0two", 3)
    assert ledger.recall(ENTRY_POINTS, "b") is None
    assert ledger.recall(INTERPRETER, "python") == '{"é": 1}'
    dated = ledger.recall_dated(ENTRY_POINTS, "a")
    assert dated is not None
    assert dated[1].utcoffset() is not None
    ledger.forget(ENTRY_POINTS, "a")
    assert ledger.recall(ENTRY_POINTS, "a") is None


def test_many_threads_may_use_one_ledger(ledger: Ledger) -> None:
    def work(number: int) -> int | None:
        ledger.remember(PEAK, str(number), number)
        return ledger.recall(PEAK, str(number))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(100))) == list(range(100))


def test_a_ledger_that_machines_share_keeps_no_memory_beside_it(folder: StoreFolder) -> None:
    """WAL works among the processes of one machine alone."""
    for _ in range(2):
        with contextlib.closing(Ledger(folder.ledger, shared=True)) as shared:
            shared.remember(ENTRY_POINTS, "a", b"1")
            assert shared.recall(ENTRY_POINTS, "a") == b"1"
            assert not list(folder.root.glob("ledger.sqlite-*m"))
            assert not list(folder.root.glob("ledger.sqlite-wal"))
    with contextlib.closing(Ledger(folder.ledger)) as alone:
        assert alone.recall(ENTRY_POINTS, "a") == b"1"


def test_a_ledger_of_another_version_is_left_alone(ledger: Ledger, folder: StoreFolder) -> None:
    ledger.remember(ENTRY_POINTS, "key", b"value")
    ledger.close()
    with contextlib.closing(sqlite3.connect(folder.ledger)) as database:
        database.execute("PRAGMA user_version = 9")
    for _ in range(2):
        with pytest.raises(StoreError, match="another version of tf-tester") as caught:
            ledger.recall(ENTRY_POINTS, "key")
        assert "--store" in caught.value.hint
    with contextlib.closing(sqlite3.connect(folder.ledger)) as database:
        assert database.execute("SELECT value FROM memo").fetchall() == [(b"value",)]


def _garbage(ledger: Path) -> None:
    ledger.write_bytes(b"no database " * 100)


def _cut(ledger: Path) -> None:
    os.truncate(ledger, ledger.stat().st_size // 2)


def _folder(ledger: Path) -> None:
    ledger.unlink()
    ledger.mkdir()


def _pipe(ledger: Path) -> None:
    ledger.unlink()
    os.mkfifo(ledger)


def _without_table(ledger: Path) -> None:
    with contextlib.closing(sqlite3.connect(ledger)) as database:
        database.execute("DROP TABLE page")


def _empty(ledger: Path) -> None:
    os.truncate(ledger, 0)


def _gone(ledger: Path) -> None:
    ledger.unlink()


def _others(ledger: Path) -> None:
    ledger.unlink()
    with contextlib.closing(sqlite3.connect(ledger)) as database:
        database.execute("CREATE TABLE song (name TEXT)")
        database.execute("PRAGMA user_version = 12")


def _others_without_version(ledger: Path) -> None:
    ledger.unlink()
    with contextlib.closing(sqlite3.connect(ledger)) as database:
        database.execute("CREATE TABLE song (name TEXT)")


def _version(number: int) -> Callable[[Path], None]:
    def damage(ledger: Path) -> None:
        with contextlib.closing(sqlite3.connect(ledger)) as database:
            database.execute(f"PRAGMA user_version = {number}")

    return damage


TOLD = {
    _garbage: ("was damaged", 0),
    _cut: ("was damaged", 20),
    _without_table: ("was damaged", 200),
    _version(0): ("was damaged", 200),
    _version(1): ("was damaged", 200),
    _version(2): ("was damaged", 200),
    _folder: ("was no file", 0),
    _pipe: ("was no file", 0),
    _empty: ("was empty", 0),
    _gone: ("was gone", 0),
    _others: ("was a database of something else", 0),
    _others_without_version: ("was a database of something else", 0),
}
"""What is told of the ledger, and how many rows can be read at the least."""


@pytest.mark.parametrize("damage", TOLD)
def test_a_damaged_ledger_is_made_anew_of_what_can_be_read(folder: StoreFolder, damage: Callable[[Path], None]) -> None:
    told: list[str] = []
    with contextlib.closing(Ledger(folder.ledger)) as ledger:
        for number in range(200):
            ledger.remember(ENTRY_POINTS, f"{number:03}", os.urandom(3000))
    (folder.blobs / "ab").mkdir()
    damage(folder.ledger)
    for _ in range(2):
        with contextlib.closing(Ledger(folder.ledger, tell=told.append)) as ledger:
            known = len(ledger.every(ENTRY_POINTS))
            ledger.remember(ENTRY_POINTS, "new", b"value")
            assert ledger.recall(ENTRY_POINTS, "new") == b"value"
            assert ledger.get_page("nowhere") is None
            assert ledger.check() == ""
    (text,) = told
    clause, least = TOLD[damage]
    assert text.startswith(f"The ledger {folder.ledger} {clause}: it was made anew")
    assert ("forgotten is " in text) == (not least)
    assert ("is kept as ledger.sqlite.damaged" in text) == (damage not in (_empty, _gone))
    assert known >= least + 1


@pytest.mark.parametrize("make", [Path.exists, Path.touch])
def test_a_ledger_of_a_new_store_is_told_to_nobody(folder: StoreFolder, make: Callable[[Path], object]) -> None:
    """Nor one in whose making a process was killed."""
    make(folder.ledger)
    told: list[str] = []
    with contextlib.closing(Ledger(folder.ledger, tell=told.append)) as ledger:
        blobs = BlobStore(folder, ledger)
        blobs.partial(SHA256).write_bytes(CONTENT)
        blobs.adopt(SHA256, "toy.whl", "tuna")
    assert told == []


def test_a_row_that_is_not_as_it_was_written_is_dropped_by_a_check(ledger: Ledger) -> None:
    ledger.remember(PEAK, "toy", 4096)
    ledger.put_page("https://i/toy/", CachedPage(b"{}", "text/html", None, datetime.now(UTC)))
    assert ledger.check() == ""
    with ledger._database() as database:
        database.execute("UPDATE memo SET value = ?", (b"4097",))
        database.execute("UPDATE page SET content_type = 'text/plain'")
    assert ledger.get_page("https://i/toy/") is None
    assert ledger.check() == "2 rows had been damaged: dropped"
    assert ledger.check() == ""


@pytest.mark.parametrize("column", ["url", "content_type", "etag", "fetched", "kind", "key", "at"])
def test_letters_that_are_none_cost_no_more_than_their_row(ledger: Ledger, column: str) -> None:
    for name in ("a", "b"):
        ledger.put_page(f"https://i/{name}/", CachedPage(b"x", "text/html", "tag", datetime(2026, 11, 1, tzinfo=UTC)))
        ledger.remember(PEAK, name, 7)
    table = "memo" if column in ("kind", "key", "at") else "page"
    first = "url = 'https://i/a/'" if table == "page" else "key = 'a'"
    with ledger._database() as database:
        database.execute(f"UPDATE {table} SET {column} = CAST(x'ff41' AS TEXT) WHERE {first}")
    assert ledger.get_page("https://i/b/") is not None
    assert (ledger.get_page("https://i/a/") is None) == (table == "page")
    assert ledger.every(PEAK) == ([("a", 7)] if table == "page" else []) + [("b", 7)]
    assert list(ledger.answers(None))
    ledger.check()
    assert ledger.check() == ""


def test_a_ledger_that_cannot_be_opened_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with contextlib.closing(Ledger(tmp_path / "none/ledger")) as ledger, pytest.raises(StoreError) as caught:
        ledger.recall(ENTRY_POINTS, "key")
    assert "--store" in caught.value.hint


def test_a_full_disk_is_told_by_the_ledger_too(ledger: Ledger) -> None:
    ledger.remember(ENTRY_POINTS, "key", b"value")
    with ledger._database() as database:
        database.execute("PRAGMA max_page_count = 1")
    with pytest.raises(StoreError, match="full") as caught:
        ledger.remember(ENTRY_POINTS, "big", os.urandom(100_000))
    assert "Free some space" in caught.value.hint
    assert ledger.recall(ENTRY_POINTS, "key") == b"value"


def test_processes_that_open_a_new_ledger_at_once_all_get_one(tmp_path: Path) -> None:
    body = """
        import sys
        from pathlib import Path
        from tf_tester.store.ledger import Ledger
        from tf_tester.store.memos.table import ENTRY_POINTS
        print("ready", flush=True)
        sys.stdin.read()
        for number in range(8):
            ledger = Ledger(Path(sys.argv[1], f"{number}.sqlite"))
            ledger.remember(ENTRY_POINTS, sys.argv[2], b"here")
            ledger.close()
    """
    together(*(script(body, tmp_path, number) for number in range(3)))
    for number in range(8):
        with contextlib.closing(Ledger(tmp_path / f"{number}.sqlite")) as ledger:
            assert [ledger.recall(ENTRY_POINTS, str(process)) for process in range(3)] == [b"here"] * 3


# -- layers


def test_a_wheel_is_unpacked_by_its_schemes(layers: LayerStore, tmp_path: Path) -> None:
    layer = unpacked(layers, tmp_path)
    assert set(layer.files) == PLACES
    assert list(layer.files) == sorted(layer.files)
    assert (layer.name, layer.entry_points) == ("toy", (EntryPoint("toy", "toy.core", "spin"),))
    assert layer.import_names == ("toy",)
    metadata = (layer.site / "toy-1.0.dist-info/METADATA").read_bytes()
    assert layer.metadata_sha256 == hashlib.sha256(metadata).hexdigest()
    assert (layer.folder / "bin/toy-script").read_text() == "#!python\nprint('script')\n"
    assert (layer.folder / "data/share/toy.cfg").read_text() == "shared = 1"


@pytest.mark.parametrize("umask", [0o022, 0o077, 0])
def test_the_files_of_a_layer_have_the_usual_modes_and_one_time_for_all(
    layers: LayerStore, tmp_path: Path, umask: int
) -> None:
    before = os.umask(umask)
    try:
        layer = unpacked(layers, tmp_path)
    finally:
        os.umask(before)
    assert layer.bytecode
    for name in layer.files:
        assert mode(layer.path(name)) == (0o755 if name.startswith("bin/") else 0o644), name
        assert layer.path(name).stat().st_mtime == 1_577_836_800
    for name in layer.bytecode:
        assert mode(layer.site / name) == 0o644


def test_modes_of_the_archive_count_only_for_being_executable(layers: LayerStore, tmp_path: Path) -> None:
    modes = {"toy/run": 0o104777, "toy/open": 0o100666, "toy/none": 0, "toy/bin/tool": 0o100644}
    contents = {**dict.fromkeys(modes, b""), **wheel_files("toy", "1.0")}
    contents["toy-1.0.dist-info/RECORD"] = record_text(contents, "toy-1.0.dist-info/RECORD").encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in contents.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = modes.get(name, 0) << 16
            archive.writestr(member, content)
        # zipfile gives one without a mode its own: take it away again.
        archive.getinfo("toy/none").external_attr = 0
    layer = unpacked(layers, tmp_path, ("toy-1.0-py3-none-any.whl", buffer.getvalue()))
    assert [oct(mode(layer.site / name)) for name in modes] == ["0o755", "0o644", "0o644", "0o644"]


def test_bytecode_is_never_checked_against_its_source(layers: LayerStore, tmp_path: Path) -> None:
    for python in {one.path: one for one in (*edges(), running())}.values():
        layer = unpacked(layers, tmp_path, python=python)
        assert set(layer.bytecode) == {
            f"toy/__pycache__/{module}.{python.cache_tag}.pyc" for module in ("__init__", "core", "plat", "pure")
        }
        head = (layer.site / layer.bytecode[0]).read_bytes()[:16]
        if python.release >= (3, 7):
            assert int.from_bytes(head[4:8], "little") == 0b01, "hash-based and unchecked (PEP 552)"
        else:
            assert int.from_bytes(head[4:8], "little") == 1_577_836_800


def test_what_does_not_compile_costs_nobody_else_his_bytecode(layers: LayerStore, tmp_path: Path) -> None:
    wheel = make_wheel(
        "toy", "1.0", files={"toy/old.py": "print 'Python 2'", "toy/bytes.py": b"\xff", "toy/fine.py": ""}
    )
    layer = unpacked(layers, tmp_path, wheel)
    assert layer.bytecode == (f"toy/__pycache__/fine.{running().cache_tag}.pyc",)


def test_bytecode_that_a_wheel_brings_is_left_out_but_not_modules_that_have_no_source(
    layers: LayerStore, tmp_path: Path
) -> None:
    # numpy 2.2.6 brings one for the Python that its wheel is for.
    own = f"toy/__pycache__/a.{running().cache_tag}.pyc"
    brought = dict.fromkeys((own, "toy/__pycache__/a.cpython-38.pyc", "toy/closed.pyc"), b"x")
    files: dict[str, str | bytes] = {**brought, "toy/a.py": ""}
    layer = unpacked(layers, tmp_path, make_wheel("toy", "1.0", files=files))
    assert [name for name in layer.files if name.endswith(".pyc")] == ["site/toy/closed.pyc"]
    assert layer.bytecode == (own,)
    assert layer_trouble(layer.folder) == ""


def test_a_layer_is_made_once_and_found_by_the_next_process(
    folder: StoreFolder, layers: LayerStore, tmp_path: Path
) -> None:
    layer = unpacked(layers, tmp_path)
    (tmp_path / "wheel").unlink()
    with folder.workplace() as workplace:
        again = LayerStore(folder, workplace, cpus=1, compiler=Path("none"))
        for store in (layers, again):
            assert store.layer(WHEEL[0], layer.sha256, tmp_path / "wheel", running()) == layer


def test_threads_that_want_one_layer_get_one(layers: LayerStore, tmp_path: Path) -> None:
    (tmp_path / "wheel").write_bytes(WHEEL[1])
    with ThreadPoolExecutor(6) as pool:
        made = pool.map(lambda _: layers.layer(WHEEL[0], SHA256, tmp_path / "wheel", running()), range(6))
        assert len(set(made)) == 1


def test_of_two_processes_one_unpacks(folder: StoreFolder, tmp_path: Path) -> None:
    (tmp_path / "wheel").write_bytes(WHEEL[1])
    body = """
        import sys
        from pathlib import Path
        from tests.pythons import running
        from tf_tester.store.folder import StoreFolder
        from tf_tester.store.layers import LayerStore
        folder, python = StoreFolder(Path(sys.argv[1])), running()
        renamed = []
        sys.addaudithook(lambda event, words: renamed.append(str(words[1])) if event == "os.rename" else None)
        print("ready", flush=True)
        sys.stdin.read()
        with folder.workplace() as workplace:
            layers = LayerStore(folder, workplace, cpus=1, compiler=Path(sys.argv[2]))
            layer = layers.layer(sys.argv[3], "ab" * 32, Path(sys.argv[4]), python)
        print(len(layer.files), sum("/layers/" in name for name in renamed))
    """
    said = together(*(script(body, folder.root, COMPILER, WHEEL[0], tmp_path / "wheel") for _ in range(2)))
    assert sum(int(line.split()[1]) for line in said) == 1, "one layer with its bytecode"
    assert {line.split()[0] for line in said} == {str(len(PLACES))}


@pytest.fixture
def next_process(folder: StoreFolder) -> Iterator[LayerStore]:
    """The layers as a process sees them that has made none of them."""
    with folder.workplace() as workplace:
        yield LayerStore(folder, workplace, cpus=2, compiler=COMPILER)


@pytest.mark.parametrize(
    "list_of_files",
    [b"", b"{}", b'{"name": "toy", "files": ["\xff"]}', b"\0" * 100],
    ids=["none", "other", "bytes", "0"],
)
def test_a_layer_whose_list_was_lost_with_the_power_is_made_again(
    layers: LayerStore, next_process: LayerStore, tmp_path: Path, list_of_files: bytes
) -> None:
    layer = unpacked(layers, tmp_path)
    (layer.folder / "layer.json").write_bytes(list_of_files)
    assert unpacked(next_process, tmp_path) == layer


@pytest.mark.parametrize("room", [f"{running().cache_tag}/tree", "files.json", "bin", "data"])
def test_a_layer_whose_files_were_lost_is_made_again(
    layers: LayerStore, next_process: LayerStore, folder: StoreFolder, tmp_path: Path, room: str
) -> None:
    layer = unpacked(layers, tmp_path)
    before = files_below(layer.folder)
    (layer.folder / room).unlink() if "." in room else remove_tree(layer.folder / room)
    assert unpacked(next_process, tmp_path) == layer
    assert files_below(layer.folder) == before
    assert not list(folder.tmp.glob("*/damaged-*"))


def test_bytecode_whose_list_was_lost_is_made_again(
    layers: LayerStore, next_process: LayerStore, tmp_path: Path
) -> None:
    layer = unpacked(layers, tmp_path)
    before = files_below(layer.folder)
    (layer.site / layer.bytecode[0]).unlink()
    (layer.tree.parent / "bytecode.json").unlink()
    assert unpacked(next_process, tmp_path) == layer
    assert files_below(layer.folder) == before


def test_a_layer_of_a_time_before_they_were_made_to_last_is_made_again(
    layers: LayerStore, next_process: LayerStore, tmp_path: Path
) -> None:
    layer = unpacked(layers, tmp_path)
    path = layer.folder / "layer.json"
    manifest = json.loads(path.read_bytes().partition(b"\n")[0])
    del manifest["format"]
    path.write_text(json.dumps(manifest))
    (layer.site / "toy/core.py").chmod(0o644)
    (layer.site / "toy/core.py").write_bytes(b"")  # what the power cut left of it
    again = unpacked(next_process, tmp_path)
    assert again == layer
    assert (layer.site / "toy/core.py").read_text().startswith("def spin")


def test_interpreters_share_the_files_of_a_wheel_but_not_their_folders(layers: LayerStore, tmp_path: Path) -> None:
    pythons = {python.cache_tag: python for python in (*edges(), running())}
    made = {tag: unpacked(layers, tmp_path, python=python) for tag, python in pythons.items()}
    first, *others = made.values()
    for tag, layer in made.items():
        assert (layer.folder, layer.files) == (first.folder, first.files)
        assert files_below(layer.site) == {n[5:] for n in layer.files if n.startswith("site/")} | set(layer.bytecode)
        assert {Path(name).name.split(".")[1] for name in layer.bytecode} == {tag}
        for name in layer.files:
            assert layer.path(name).samefile(first.path(name))
    assert others or len(pythons) == 1


def test_where_a_file_can_have_no_second_name_it_is_copied(
    layers: LayerStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    first = unpacked(layers, tmp_path)
    monkeypatch.setattr(os, "link", forbidden)
    other = unpacked(layers, tmp_path, python=replace(running(), cache_tag="other-1"))
    for name in first.files:
        one, two = first.path(name).stat(), other.path(name).stat()
        assert first.path(name).read_bytes() == other.path(name).read_bytes()
        assert (one.st_mode, one.st_mtime_ns) == (two.st_mode, two.st_mtime_ns)
    assert not other.path("site/toy/core.py").samefile(first.path("site/toy/core.py"))


def test_a_damaged_list_of_files_is_said(layers: LayerStore, next_process: LayerStore, tmp_path: Path) -> None:
    layer = unpacked(layers, tmp_path)
    (layer.folder / "files.json").write_text("[")
    found = unpacked(next_process, tmp_path)
    with pytest.raises(StoreError, match="is damaged") as caught:
        assert found.files
    assert "Delete" in caught.value.hint


def test_all_bytes_are_on_the_disk_before_a_layer_has_its_name(
    layers: LayerStore, folder: StoreFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []

    def sync(target: Path) -> None:
        synced.append(files_below(target))
        assert "layer.json" not in synced[-1] or files_below(folder.layers) == set()
        sync_tree(target)

    monkeypatch.setattr("tf_tester.store.layers.sync_tree", sync)
    layer = unpacked(layers, tmp_path)
    [first] = synced
    assert first == files_below(layer.folder)
    assert f"{running().cache_tag}/bytecode.json" in first
    for python in edges():
        other = unpacked(layers, tmp_path, python=python)
        assert synced[-1] in (first, files_below(other.tree.parent))


def test_a_disk_that_fails_before_all_is_on_it_leaves_no_layer(
    layers: LayerStore, folder: StoreFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("tf_tester.store.layers.sync_tree", fails)
    with pytest.raises(StoreError, match="Input/output error"):
        unpacked(layers, tmp_path)
    assert list(folder.layers.iterdir()) == []


def test_where_a_whole_file_system_cannot_be_synced_each_file_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    wanted = {tmp_path, tmp_path / "a", tmp_path / "a/b", tmp_path / "a/one", tmp_path / "a/b/two"}
    for path in wanted:
        if not path.exists():
            path.write_text("")
            path.chmod(0o444)
    synced = []
    monkeypatch.setattr("tf_tester.store.folder._c_function", lambda _: None)
    monkeypatch.setattr("tf_tester.store.folder.os.fsync", lambda number: synced.append(os.fstat(number).st_ino))
    sync_tree(tmp_path)
    assert sorted(synced) == sorted(path.stat().st_ino for path in wanted)


@pytest.mark.skipif(sys.platform != "linux", reason="syncfs is Linux's")
def test_what_the_kernel_refuses_to_sync_is_an_error() -> None:
    syncfs = _c_function("syncfs")
    assert syncfs is not None
    with pytest.raises(OSError, match="Bad file descriptor"):
        syncfs(-1)
    assert _c_function("no_such_function") is None


def test_stopping_ends_unpacking_and_compiling_and_registers_nothing(
    layers: LayerStore, folder: StoreFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compilers = layers._compilers
    started = compilers._start

    def stopped_meanwhile(python: Interpreter) -> "subprocess.Popen[bytes]":
        compiler = started(python)
        layers.stop()
        return compiler

    monkeypatch.setattr(compilers, "_start", stopped_meanwhile)
    for wheel in (WHEEL, make_wheel("other", "1.0")):
        with pytest.raises(InterruptedError):
            unpacked(layers, tmp_path, wheel)
    assert list(folder.layers.iterdir()) == []
    assert not list(folder.tmp.glob("*/*"))
    assert not compilers._living


def test_a_compiler_goes_on_with_what_waits_and_ends_with_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compilers, count = Compilers(COMPILER, 1, lambda: None), 0
    start = compilers._start

    def counted(python: Interpreter) -> "subprocess.Popen[bytes]":
        nonlocal count
        count += 1
        return start(python)

    monkeypatch.setattr(compilers, "_start", counted)
    sources = [f"m{number}.py" for number in range(120)]
    with ThreadPoolExecutor(4) as pool:

        def work(number: int) -> int:
            folder = tmp_path / str(number)
            folder.mkdir()
            for name in sources:
                (folder / name).write_text("")
            compilers.compile(folder, sources, running(), seen_at="/env")
            return len(files_below(folder / "__pycache__"))

        # Held back until all wait, for whoever comes when nothing waits any more starts a new one.
        compilers._at_work.acquire()
        made = [pool.submit(work, number) for number in range(4)]
        while len(compilers._queues) < 4:
            time.sleep(0.001)
        compilers._at_work.release()
        assert [job.result() for job in made] == [120] * 4
    assert count == 1
    assert not compilers._living
    assert not compilers._idle


def test_a_source_that_kills_the_compiler_costs_only_what_was_given_with_it(
    folder: StoreFolder, workplace: Path, tmp_path: Path
) -> None:
    dying = tmp_path / "dying.py"
    dying.write_text(
        COMPILER.read_text().replace(
            "    os.chmod(written, 0o644)\n",
            "    if name == 'b.py':\n        os.kill(os.getpid(), 9)\n    os.chmod(written, 0o644)\n",
        )
    )
    names = [f"{letter}.py" for letter in "abc"] + [f"z{number:02}.py" for number in range(100)]
    layers = LayerStore(folder, workplace, cpus=1, compiler=dying)
    layer = unpacked(layers, tmp_path, make_wheel("toy", "1.0", files=dict.fromkeys(names, "")))
    made = {Path(name).name.split(".")[0] for name in layer.bytecode}
    assert made == {"a"} | {f"z{number:02}" for number in range(47, 100)}
    assert {name for name in files_below(layer.site) if "__pycache__" in name} == {*layer.bytecode}


def test_a_big_wheel_is_unpacked_by_many_threads_as_by_one(
    folder: StoreFolder, workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents: dict[str, str | bytes] = {f"toy/{number}.bin": bytes([number]) * 3_000_000 for number in range(12)}
    contents |= {f"toy/small/{number}.txt": str(number) for number in range(100)}
    writers = set()
    write_file = unpacking._write_file

    def written(*words: Any) -> bool:
        writers.add(threading.get_ident())
        return write_file(*words)

    monkeypatch.setattr(unpacking, "_write_file", written)
    layers = LayerStore(folder, workplace, cpus=4, compiler=COMPILER)
    layer = unpacked(layers, tmp_path, make_wheel("toy", "1.0", files=contents))
    assert len(writers) > 1
    for name, content in contents.items():
        expected = content if isinstance(content, bytes) else content.encode()
        assert (layer.site / name).read_bytes() == expected


def test_all_wrong_files_of_a_big_wheel_are_told_and_leave_nothing(
    folder: StoreFolder, workplace: Path, tmp_path: Path
) -> None:
    def change(files: dict[str, bytes]) -> None:
        files.update({f"toy/{number:02}.bin": bytes(1_500_000) for number in range(30)})

    name, content = bad_wheel(change)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        contents = {member: archive.read(member) for member in archive.namelist()}
    wrong = ["toy.py", *(f"toy/{number:02}.bin" for number in range(0, 30, 2))]
    contents |= {one: b"\1" + contents[one][1:] for one in wrong}
    layers = LayerStore(folder, workplace, cpus=4, compiler=COMPILER)
    with pytest.raises(InstallFailed) as caught:
        unpacked(layers, tmp_path, (name, zip_of(contents)))
    told = "; ".join(f"'{one}' is not what its RECORD promises" for one in wrong[:10])
    assert f"is not a correct wheel: {told}; and 6 more." in str(caught.value)
    assert list(folder.layers.iterdir()) == list(workplace.iterdir()) == []


def deflated(content: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflater.compress(content) + deflater.flush()


@pytest.mark.parametrize(
    ("stream", "size", "said"),
    [
        (deflated(bytes(5_000_000)), 1000, "has more bytes than its directory says"),
        (deflated(b"x" * 900), 1000, "is not what its directory says"),
        (deflated(b"x" * 1000)[:-1], 1000, "is cut short"),
        (b"", 1000, "is cut short"),
        (deflated(b"x" * 1000) + b"behind", 1000, "has something behind its contents"),
        (deflated(b"x" * 1000) + bytes(2_000_000), 1000, "has something behind its contents"),
        (b"\xff" * 100, 1000, "invalid"),
    ],
    ids=["bomb", "short", "cut", "empty", "behind", "far behind", "noise"],
)
def test_a_member_that_is_not_what_its_headers_say_is_refused(
    layers: LayerStore, folder: StoreFolder, tmp_path: Path, stream: bytes, size: int, said: str
) -> None:
    name, content = "toy-1.0-py3-none-any.whl", io.BytesIO()
    contents = {"toy.bin": b"x" * size, **wheel_files("toy", "1.0")}
    record = record_text(contents, "toy-1.0.dist-info/RECORD").encode()
    with zipfile.ZipFile(content, "w") as archive:
        for member, data in {**contents, "toy.bin": stream, "toy-1.0.dist-info/RECORD": record}.items():
            archive.writestr(member, data)
    # Both headers of the first member now say that the stream is `size` bytes, deflated.
    raw = bytearray(content.getvalue())
    for start in (0, raw.index(b"PK\1\2") + 2):
        struct.pack_into("<H", raw, start + 8, zipfile.ZIP_DEFLATED)
        struct.pack_into("<L", raw, start + 14, zlib.crc32(b"x" * size))
        struct.pack_into("<L", raw, start + 22, size)
    with pytest.raises(InstallFailed, match=said):
        unpacked(layers, tmp_path, (name, bytes(raw)))
    assert list(folder.layers.iterdir()) == []


def test_a_python_that_vanished_is_named(layers: LayerStore, tmp_path: Path) -> None:
    with pytest.raises(InstallFailed, match=r"/gone/python can't be run: No such file"):
        unpacked(layers, tmp_path, python=replace(running(), path=Path("/gone/python"), cache_tag="other"))


def wheel_files(name: str, version: str) -> dict[str, bytes]:
    """The least that a wheel has, without its RECORD."""
    with zipfile.ZipFile(io.BytesIO(make_wheel(name, version, files={})[1])) as archive:
        return {member: archive.read(member) for member in archive.namelist() if not member.endswith("RECORD")}


def bad_wheel(change: Callable[[dict[str, bytes]], Any], *, record: bool = True) -> tuple[str, bytes]:
    """A wheel with a changed content, with a RECORD of what it then has."""
    contents = {"toy.py": b"x = 1\n", **wheel_files("toy", "1.0")}
    change(contents)
    if record:
        contents["toy-1.0.dist-info/RECORD"] = record_text(contents, "toy-1.0.dist-info/RECORD").encode()
    return "toy-1.0-py3-none-any.whl", zip_of(contents)


@pytest.mark.parametrize(
    ("wheel", "said"),
    [
        (bad_wheel(lambda files: files.update({"../evil.py": b""})), "empty, '.' or '..' part"),
        (bad_wheel(lambda files: files.update({"toy.py/x": b""})), "'toy.py' is a file in it, and a folder"),
        (bad_wheel(lambda files: files.update({"toy-1.0.data/purelib/toy.py": b""})), "two of its files would be"),
        (
            bad_wheel(lambda files: files.update({"toy-1.0.data/purelib/toy.py/x": b""})),
            "'site/toy.py' is a file in it",
        ),
        (bad_wheel(lambda files: files.update({"toy-1.0.data/purelib": b""})), "a file where a folder belongs"),
        (bad_wheel(lambda files: files.update({"toy-1.0.data/stdlib/os.py": b""})), "unknown scheme 'stdlib'"),
        (bad_wheel(lambda files: files.update({"Toy-1.0.0.data/stdlib/os.py": b""})), "unknown scheme 'stdlib'"),
        (bad_wheel(lambda files: files.update({"toy-1.0.data/scripts/a/b": b""})), "in a sub-folder"),
        (bad_wheel(lambda files: files.update({"toy-1.0.data/scripts/python": b""})), "may not be named 'python'"),
        (bad_wheel(lambda files: files.update({"toy-1.0.data/scripts/PIP3.8": b""})), "may not be named 'PIP3.8'"),
        (
            bad_wheel(
                lambda files: files.update({"toy-1.0.dist-info/entry_points.txt": b"[console_scripts]\npython=a:b"})
            ),
            "may not be named 'python'",
        ),
        (bad_wheel(lambda files: files.update({"toy-1.0.dist-info/entry_points.txt": b"\xff"})), "can't decode"),
        (bad_wheel(lambda files: files.pop("toy-1.0.dist-info/METADATA")), "it has no METADATA"),
        (bad_wheel(lambda files: files.pop("toy-1.0.dist-info/WHEEL")), "it has no WHEEL"),
        (
            bad_wheel(lambda files: files.update({"toy-1.0.dist-info/WHEEL": b"Wheel-Version: 2.0"})),
            "we know version 1",
        ),
        (bad_wheel(lambda files: files.update({"numpy-1.0.data/purelib/x.py": b""})), "is not that of toy 1.0"),
        (bad_wheel(lambda files: None, record=False), "it has no RECORD"),
        (
            bad_wheel(lambda files: files.update({"toy-1.0.dist-info/RECORD": b""}), record=False),
            "but not in its RECORD",
        ),
        (bad_wheel(lambda files: files.update({"pip-1.dist-info/METADATA": b""})), "2 .dist-info folders"),
        (
            bad_wheel(lambda files: files.update({"toy-1.0.dist-info/METADATA": b"Name: numpy\nVersion: 1.0"})),
            "Name: numpy",
        ),
        (("pip-1.0-py3-none-any.whl", make_wheel("toy", "1.0")[1]), "is not that of pip 1.0"),
        (("toy-2.0-py3-none-any.whl", make_wheel("toy", "1.0")[1]), "is not that of toy 2.0"),
        (("toy-1.0-py3-none-any.whl", b"no archive"), "not a zip file"),
        (("toy-1.0-py3-none-any.whl", make_wheel("toy", "1.0")[1][:-30]), "not a zip file"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
def test_a_wheel_that_breaks_the_rules_leaves_nothing(
    layers: LayerStore, folder: StoreFolder, tmp_path: Path, wheel: tuple[str, bytes], said: str
) -> None:
    for _ in range(2):  # the next cell that wants it hears the same
        with pytest.raises(InstallFailed, match="is not a correct wheel") as caught:
            unpacked(layers, tmp_path, wheel)
        assert said in str(caught.value)
        assert "publisher's" in caught.value.hint
    assert list(folder.layers.iterdir()) == []
    assert files_below(folder.tmp) == {f"{next(p for p in folder.tmp.iterdir() if p.is_dir()).name}.lock"}


def test_contents_that_record_does_not_promise_are_refused(layers: LayerStore, tmp_path: Path) -> None:
    contents = {"toy.py": b"x = 1\n", **wheel_files("toy", "1.0")}
    contents["toy-1.0.dist-info/RECORD"] = record_text(contents, "toy-1.0.dist-info/RECORD").encode()
    contents["toy.py"] = b"x = 2\n"
    with pytest.raises(InstallFailed, match=r"'toy\.py' is not what its RECORD promises"):
        unpacked(layers, tmp_path, ("toy-1.0-py3-none-any.whl", zip_of(contents)))


def test_a_write_that_a_full_disk_cut_short_is_never_taken_for_whole(
    layers: LayerStore, folder: StoreFolder, tmp_path: Path
) -> None:
    wheel = make_wheel("toy", "1.0", files={"toy.bin": os.urandom(600_000)})
    (tmp_path / "wheel").write_bytes(wheel[1])
    with files_no_longer_than(300_000), pytest.raises(StoreError):
        layers.layer(wheel[0], SHA256, tmp_path / "wheel", running())
    assert list(folder.layers.iterdir()) == []
    assert len(layers.layer(wheel[0], SHA256, tmp_path / "wheel", running()).files) == 4


def test_a_full_disk_while_unpacking_is_told(
    layers: LayerStore, folder: StoreFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tf_tester.store.unpacking.os.utime", full)
    with pytest.raises(StoreError, match=r"The disk of the store .* is full"):
        unpacked(layers, tmp_path)
    assert list(folder.layers.iterdir()) == []
    monkeypatch.undo()
    assert set(unpacked(layers, tmp_path).files) == PLACES


# -- kill -9


@pytest.mark.whole
def test_kill_9_at_any_moment_leaves_the_store_right(tmp_path: Path) -> None:
    (tmp_path / "wheel").write_bytes(WHEEL[1])
    words = [tmp_path / "store", COMPILER, WHEEL[0], tmp_path / "wheel", 4]
    process = started("-m", "tests.functional.store.dying_process", *words)
    said, _ = process.communicate()
    assert process.returncode == 0
    died, _, of, _ = said.split()
    assert int(died) >= int(of) - 5 > 25


def test_a_layer_of_files_of_every_scheme_is_sound(layers: LayerStore, tmp_path: Path) -> None:
    assert layer_trouble(unpacked(layers, tmp_path).folder) == ""


def test_all_that_is_damaged_in_a_layer_is_told(layers: LayerStore, tmp_path: Path) -> None:
    names = [f"toy{number:02}.py" for number in range(14)]
    layer = unpacked(layers, tmp_path, make_wheel("toy", "1.0", files=dict.fromkeys(names, "x = 1\n")))
    assert layer_trouble(layer.folder) == ""
    (layer.site / layer.bytecode[0]).unlink()
    for name in names[1:3]:
        (layer.site / name).chmod(0o600)
        (layer.site / name).write_text("x = 2\n")
    assert layer_trouble(layer.folder) == f"toy01.py was changed; toy02.py was changed; {layer.bytecode[0]} is missing"
    for name in names:
        (layer.site / name).unlink()
    assert layer_trouble(layer.folder).endswith("toy09.py is missing; and 5 more")
    (layer.site / "toy-1.0.dist-info" / "RECORD").unlink()
    assert layer_trouble(layer.folder).startswith("its RECORD can't be read: ")


# -- what it holds


def test_every_folder_of_a_store_is_documented_and_counted(folder: StoreFolder, ledger: Ledger) -> None:
    inventory = Inventory(folder, ledger)
    paths = {value for value in vars(folder).values() if isinstance(value, Path)}
    places = paths - {folder.root, folder.ledger}
    files = {folder.incoming: f"{SHA256}.part", folder.blobs: f"{SHA256[:2]}/{SHA256}"}
    for place in places:
        for document in (str(store_package.__doc__), (REPOSITORY / "docs/reference/store.md").read_text()):
            assert f"{place.name}/" in document
        before = inventory.contents().total
        file = place / files.get(place, f"{SHA256}/file")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(100_000))
        assert inventory.contents().total - before >= 100_000, place.name
