"""`tf-tester doctor` on what is damaged: each thing is named with what mends it, and nothing is changed."""

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.functional.serve.test_private import upload
from tests.integration.conftest import User
from tests.simulator import Simulator
from tf_tester.ports.index import CachedPage
from tf_tester.serve.private import PrivateFolder
from tf_tester.store.folder import StoreFolder
from tf_tester.store.ledger import Ledger
from tf_tester.wiring.damage import private_damage, store_damage


def _others(ledger: Path) -> None:
    ledger.unlink()
    with closing(sqlite3.connect(ledger)) as database:
        database.execute("CREATE TABLE theirs (x)")


def _row(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger)) as database:
        database.execute("UPDATE page SET body = x'00'")
        database.commit()


def _no_version(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger)) as database:
        database.execute("PRAGMA user_version = 0")


def _folder(ledger: Path) -> None:
    ledger.unlink()
    ledger.mkdir()


LEDGERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda ledger: ledger.write_bytes(b""), "it is empty"),
    "gone": (lambda ledger: ledger.unlink(), "it is gone"),
    "folder": (_folder, "it is no file"),
    "garbage": (lambda ledger: ledger.write_bytes(b"garbage" * 1000), "it is damaged: file is not a database"),
    "cut": (lambda ledger: os.truncate(ledger, 5000), "it is damaged: "),
    "others": (_others, "it is a database of something else"),
    "version": (_no_version, "it is damaged: its version is lost"),
    "row": (_row, "1 row in it is damaged"),
}


@pytest.fixture
def store(tmp_path: Path) -> StoreFolder:
    folder = StoreFolder(tmp_path / "store")
    folder.open()
    with closing(Ledger(folder.ledger)) as ledger:
        ledger.put_page(
            "https://i/toy/", CachedPage(b"<a>toy</a>" * 20, "text/html", None, datetime(2026, 1, 1, tzinfo=UTC))
        )
    (folder.blobs / "ab").mkdir()
    assert store_damage(folder.root) == []
    return folder


@pytest.mark.parametrize("kind", LEDGERS)
def test_what_is_wrong_with_the_ledger_is_told_as_it_is_mended(store: StoreFolder, kind: str) -> None:
    damage, told = LEDGERS[kind]
    damage(store.ledger)
    there = sorted(store.root.iterdir())
    for _ in range(2):
        [found] = store_damage(store.root)
        assert found.what.startswith(f"{store.ledger}: {told}")
        assert "`tf-tester cache verify`" in found.remedy
    assert sorted(store.root.iterdir()) == there, "nothing is left behind"
    with closing(Ledger(store.ledger)) as ledger:
        assert ledger.check()
        assert store_damage(store.root) == [], "while others have it open"
    there = sorted(store.root.iterdir())
    assert store_damage(store.root) == []
    assert sorted(store.root.iterdir()) == there


def test_what_lies_in_place_of_folders_is_told(store: StoreFolder) -> None:
    shutil.rmtree(store.claims)
    store.claims.write_text("")
    (store.blobs / "ab").rmdir()
    os.mkfifo(store.blobs / "ab")
    store.layers.rmdir()
    store.layers.symlink_to("nowhere")
    told = [found.what for found in store_damage(store.root)]
    places = [f"{place} is no folder" for place in (store.claims, store.blobs / "ab")]
    assert told == [*places, f"{store.layers} is a link to nowhere, which isn't there"]
    store.layers.unlink()
    store.open()
    assert store_damage(store.root) == []


def test_what_is_wrong_with_private_projects_is_told(tmp_path: Path) -> None:
    store, root = tmp_path / "store", tmp_path / "private"
    private = PrivateFolder(root, store)
    private.open()
    places = [upload(private, version) for version in ("1.0", "2.0", "3.0")]
    [found] = private_damage(store, None)
    assert (found.folder, found.count, found.troubles) == (root, 3, ())
    places[0].write_bytes(b"rotten")
    places[1].with_name(f"{places[1].name}.metadata").write_bytes(b"rotten")
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    [found] = private_damage(store, root)
    digest = hashlib.sha256(b"rotten").hexdigest()
    assert found.troubles == (
        f"{places[0]} is damaged: it has SHA-256 {digest}.",
        f"{places[1]}.metadata is damaged.",
    )
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before, "nothing is changed"
    page = root / "toy" / "page.json"
    page.write_bytes(page.read_bytes().replace(b"toy-1.0", b"toy-1.1"))
    [found] = private_damage(store, None)
    assert [one.partition(": ")[0] for one in found.troubles] == ["The private page of toy can't be read"]
    shutil.rmtree(root)
    [found] = private_damage(store, None)
    assert found.troubles[0].startswith(f"{root} isn't the folder that it was: its projects are gone. Mount ")


@pytest.mark.parametrize("damage", ["folder", "gone"])
def test_what_is_wrong_with_the_names_is_told(tmp_path: Path, damage: str) -> None:
    store, root = tmp_path / "store", tmp_path / "private"
    private = PrivateFolder(root, store)
    private.open()
    upload(private, "1.0")
    names = root / ".names"
    names.unlink()
    if damage == "folder":
        names.mkdir()
    [found] = private_damage(store, None)
    assert found.count == 1, "the files are looked at all the same"
    told = {
        "folder": f"{names} can't be read: Is a directory. It says which names are private: ",
        "gone": f"toy isn't noted as private in {names}: `tf-tester serve` notes it when it starts.",
    }
    assert [one.startswith(told[damage]) for one in found.troubles] == [True]
    if damage == "gone":
        assert private.open() == []
        assert private_damage(store, None)[0].troubles == ()


def test_doctor_says_what_mends_each(user: User, index: Simulator) -> None:
    private, store = PrivateFolder(user.folder / "private", user.store), StoreFolder(user.store)
    store.open()
    (store.blobs / "ab").mkdir()
    private.open()
    wheel = upload(private, "1.0")
    wheel.write_bytes(b"rotten")
    store.plans.write_text("")
    store.ledger.write_bytes(b"garbage" * 1000)
    run = user.run("doctor", "--private", str(private.root))
    assert run.code == 0, "tests can run all the same"
    assert "2 parts of the store are damaged" in run.out
    assert f"{store.plans} is no folder" in run.out
    assert f"{wheel} is damaged" in run.out
    assert f"`tf-tester private verify --private {private.root}`" in run.out
    assert run.out.count("bad ") == 1, "the folder that the store knows of is the one that was named"
    assert user.run("cache", "verify").code == 1
    assert store_damage(user.store) == []
