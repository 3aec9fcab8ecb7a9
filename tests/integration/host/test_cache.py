"""`tf-tester cache` and what leaves the store, from the outside."""

import json
import os
import re
import shutil
import signal
import tarfile
import time
from pathlib import Path

import pytest

from tests.integration.conftest import User
from tests.simulator import Simulator, Status
from tests.waiting import until
from tests.wheels import make_wheel
from tf_tester.store.folder import StoreFolder
from tf_tester.store.leases import Leases

DATE = "2022-04-01T00:00:00Z"
HEAVY: dict[str, dict[str, str | bytes]] = {
    version: {"toy.py": "x = 1\n", "toy_data.bin": os.urandom(400_000)} for version in ("4.0", "4.1", "4.2")
}


@pytest.fixture
def heavy(user: User, index: Simulator) -> User:
    """Three versions of 400 kB have been tested, 4.0 first."""
    for version, files in HEAVY.items():
        index.add_wheel(*make_wheel("toy", version, files=files, requires=["gear>=1"]), upload_time=DATE)
    user.write("check.py", "import toy\n")
    for version in HEAVY:
        assert user.run("test", "check.py", "--versions", version).code == 0
    return user


def held(user: User) -> dict[str, tuple[bool, bool]]:
    """By version of toy: whether the file is there, and the layer."""
    rows = [json.loads(line) for line in user.run("cache", "--json").out.splitlines()]
    return {row["version"]: (row["packed"] > 0, row["unpacked"] > 0) for row in rows if row["project"] == "toy"}


def total(user: User) -> float:
    """MB."""
    return float(user.run("cache", "gc").out.split("; ")[1].split()[0])


def age(user: User, version: str, days: int) -> None:
    """As if a version had last been used so long ago."""
    then = time.time() - days * 86_400
    for wheel in (user.store / "blobs").glob("*/*"):
        if wheel.stat().st_size > 100_000 and f"toy-{version}" in wheel.read_bytes()[:100_000].decode("latin-1"):
            os.utime(wheel, (then, then))
    for layer in (user.store / "layers").iterdir():
        if f"toy-{version}.dist-info" in (layer / "files.json").read_text():
            os.utime(layer, (then, then))


@pytest.mark.whole
def test_what_is_held_is_shown_by_version(heavy: User) -> None:
    run = heavy.run("cache", "--all")
    assert run.code == 0
    lines = [line.split() for line in run.out.splitlines()]
    assert lines[0][:2] == ["project", "version"]
    assert ["toy", "4.2"] in [line[:2] for line in lines]
    assert ["gear", "2.0"] in [line[:2] for line in lines]
    assert str(heavy.store) in run.out.splitlines()[-1]
    assert "There is no store yet" in heavy.run("cache", "--store", "nowhere").out
    assert not (heavy.folder / "nowhere").exists()


@pytest.mark.whole
def test_the_least_recently_used_goes_and_what_is_kept_stays(heavy: User, index: Simulator) -> None:
    for version, days in (("4.0", 50), ("4.1", 40), ("4.2", 1)):
        age(heavy, version, days)
    # Two of 400 kB are not enough, three are.
    size = f"{total(heavy) - 1.0:.1f}MB"
    dry = heavy.run("cache", "gc", "--max-size", size, "--dry-run")
    assert "would be deleted" in dry.out
    assert held(heavy) == {"4.0": (True, True), "4.1": (True, True), "4.2": (True, True)}
    run = heavy.run("cache", "gc", "--max-size", size, "--keep", "4.0")
    assert run.code == 0, run.err
    assert held(heavy) == {"4.0": (True, True), "4.2": (False, True)}
    index.forget_counts()
    assert heavy.run("test", "check.py", "--versions", "4.0,4.2", "--offline", "--no-cache").code == 0
    assert heavy.run("test", "check.py", "--versions", "4.1", "--no-cache").code == 0
    assert index.requests["toy-4.1-py3-none-any.whl"] == 1


@pytest.mark.whole
def test_a_lock_file_keeps_what_it_names(heavy: User) -> None:
    heavy.run("download", "--versions", "4.1", "--with-deps", "--lock", "pylock")
    run = heavy.run("cache", "gc", "--max-size", "0", "--keep", "wheels/pylock.toml")
    assert run.code == 0, run.err
    assert held(heavy) == {"4.1": (True, True)}
    rows = [json.loads(line) for line in heavy.run("cache", "--json").out.splitlines()]
    assert {row["project"] for row in rows} == {"toy", "gear"}


@pytest.mark.whole
def test_a_limit_for_good_is_kept_after_each_run(heavy: User) -> None:
    heavy.write("tf-tester.toml", 'store-size = "900kB"\nstore-keep = ["4.2"]\n')
    for version, days in (("4.0", 50), ("4.1", 40), ("4.2", 60)):
        age(heavy, version, days)
    assert heavy.run("test", "check.py", "--versions", "4.0").code == 0
    after = held(heavy)
    assert after["4.2"] == (True, True)
    assert after.get("4.1") is None


@pytest.mark.whole
def test_what_a_running_job_needs_is_never_let_go(heavy: User) -> None:
    heavy.write("wait.py", "import time, pathlib, toy\nprint('here', flush=True)\ntime.sleep(60)\n")
    process = heavy.start("test", "wait.py", "--versions", "4.1")
    try:
        until(lambda: any("here" in path.read_text() for path in (heavy.store / "runs").rglob("stdout")))
        run = heavy.run("cache", "gc", "--max-size", "0")
        assert "stayed because a running job needs them" in run.out
        assert held(heavy) == {"4.1": (True, True)}
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    heavy.run("cache", "gc", "--max-size", "0")
    assert held(heavy) == {}


@pytest.mark.whole
def test_what_arrived_of_files_goes_after_a_week(heavy: User) -> None:
    for name, days in (("a" * 64, 8), ("b" * 64, 6)):
        part = heavy.store / "incoming" / f"{name}.part"
        part.write_bytes(b"x" * 5000)
        part.with_name(f"{part.name}.notes").write_text("0 5000 m\n")
        then = time.time() - days * 86_400
        os.utime(part, (then, then))
    assert heavy.run("cache", "gc").code == 0
    assert sorted(path.name[0] for path in (heavy.store / "incoming").iterdir()) == ["b", "b"]
    assert len(held(heavy)) == 3


def test_damage_is_found_and_taken_away(heavy: User, index: Simulator) -> None:
    assert heavy.run("cache", "verify").out.endswith("0 damaged.\n")
    blob = max((heavy.store / "blobs").glob("*/*"), key=lambda path: path.stat().st_size)
    blob.chmod(0o600)
    blob.write_bytes(b"XX" + blob.read_bytes()[2:])
    layers = sorted((heavy.store / "layers").iterdir())
    victim = next(layer for layer in layers if "toy-4.0.dist-info" in (layer / "files.json").read_text())
    module = next(victim.glob("*/tree/lib/*/site-packages/toy.py"))
    module.chmod(0o600)
    module.write_text("x = 2\n")
    other = next(layer for layer in layers if "toy-4.1.dist-info" in (layer / "files.json").read_text())
    compiled = next(other.glob("*/tree/lib/*/site-packages/__pycache__/toy.*.pyc"))
    compiled.unlink()
    run = heavy.run("cache", "verify")
    assert run.code == 1
    assert "has SHA-256" in run.out
    assert "toy.py was changed" in run.out
    assert "is missing" in run.out
    assert run.out.endswith("3 damaged and taken away.\n")
    assert not blob.exists()
    assert not victim.exists()
    assert heavy.run("download", "--versions", "4.0,4.1,4.2").code == 0
    assert heavy.run("cache", "verify").code == 0
    assert heavy.run("test", "check.py", "--versions", "4.0,4.1,4.2").code == 0


@pytest.mark.whole
def test_a_damaged_layer_that_a_running_job_needs_stays_and_that_is_said(heavy: User) -> None:
    victims = [
        layer
        for layer in (heavy.store / "layers").iterdir()
        if re.search(r"toy-4\.[01]\.dist-info", (layer / "files.json").read_text())
    ]
    for victim in victims:
        next(victim.glob("*/tree/lib/*/site-packages/__pycache__/toy.*.pyc")).unlink()
    folder = StoreFolder(heavy.store)
    with folder.workplace() as workplace:
        Leases(folder, workplace).hold(victims[0].name)
        run = heavy.run("cache", "verify")
        assert run.code == 1
        assert run.out.endswith("2 damaged and taken away, 1 of them stayed because a running job needs it.\n")
        assert [victim.exists() for victim in victims] == [True, False]
    assert heavy.run("cache", "verify").out.endswith("1 damaged and taken away.\n")


def test_a_part_of_the_store_is_carried_to_a_machine_without_a_network(heavy: User, index: Simulator) -> None:
    shutil.rmtree(heavy.store / "blobs")
    (heavy.store / "blobs").mkdir()
    index.forget_counts()
    run = heavy.run("cache", "export", "b.tar", "--versions", "4.1")
    assert (run.code, index.requests.total()) == (4, 0)
    assert "Add --fetch" in run.err
    run = heavy.run("cache", "export", "b.tar", "--versions", "4.1", "--fetch")
    assert run.code == 0, run.err
    with tarfile.open(heavy.folder / "b.tar") as archive:
        assert archive.getnames()[0] == "tf-tester-bundle.json"
        assert len([name for name in archive.getnames() if name.startswith("blobs/")]) == 2
    index.fault("toy", Status(503))
    index.fault("gear", Status(503))
    other = ("--store", "other")
    assert heavy.run("cache", "import", "b.tar", *other).out.startswith("2 files came in")
    assert heavy.run("cache", "import", "b.tar", *other).out.startswith(
        "0 files came in, 0 B, 2 already there; 0 answers"
    )
    assert heavy.run("test", "check.py", "--versions", "4.1", "--offline", *other).code == 0
    assert "toy" in heavy.run("cache", "--all", *other).out
    assert heavy.run("cache", "import", "b.tar", "--store", "third", "--files-only").out.endswith("0 answers.\n")


@pytest.mark.whole
def test_what_merely_needs_a_package_is_not_packed_with_it(heavy: User, index: Simulator) -> None:
    heavy.write("gear.py", "import gear\n")
    for version in ("1.0", "2.0", "3.0"):
        assert heavy.run("test", "gear.py", "--package", "gear", "--versions", version).code == 0
    for version in ("1.0", "2.0", "3.0"):
        run = heavy.run("cache", "export", "g.tar", "--package", "gear", "--versions", version)
        assert run.code == 0, run.err
        with tarfile.open(heavy.folder / "g.tar") as archive:
            assert len([name for name in archive.getnames() if name.startswith("blobs/")]) == 1, "no toy"


def test_a_damaged_bundle_brings_nothing_wrong(heavy: User) -> None:
    left = heavy.write(".b.tar.999999999.part", "of one that was killed")
    os.utime(left, (0, 0))
    assert heavy.run("cache", "export", "b.tar").code == 0
    assert not left.exists()
    file = heavy.folder / "b.tar"
    content = bytearray(file.read_bytes())
    content[content.index(b"toy_data.bin") + 200] ^= 1
    content[content.index(b'"kind":"page"') + 60] ^= 1
    file.write_bytes(content)
    run = heavy.run("cache", "import", "b.tar", "--store", "other")
    assert run.code == 4
    assert re.match(r"3 files came in, .*; \d\d answers\.\n", run.out), run.out
    assert re.search(r"b.tar is damaged. Missing .*: 1 of its 4 files, 1 of its \d+ answers \(", run.err), run.err
    assert heavy.run("cache", "verify", "--store", "other").code == 0
    assert not list((heavy.folder / "other" / "incoming").iterdir())
    file.write_bytes(content[:-30_000])
    run = heavy.run("cache", "import", "b.tar", "--store", "third")
    assert (run.code, "b.tar is cut off after " in run.err) == (4, True), run.err


def test_what_is_no_bundle_is_said(heavy: User) -> None:
    heavy.write("junk.tar", "junk")
    assert "is not a bundle of tf-tester" in heavy.run("cache", "import", "junk.tar").err
    assert heavy.run("cache", "import", "absent.tar").code == 2
    evil = heavy.folder / "evil.tar"
    outside = heavy.write("outside", "x")
    with tarfile.open(evil, "w") as archive:
        archive.add(outside, "../../outside")
    assert heavy.run("cache", "import", "evil.tar").code == 2
    assert heavy.run("cache", "export", "x.tar", "--versions", "1.0").code == 2
    assert heavy.run("cache", "export", "/nowhere/x.tar").code == 4


def test_wrong_words_are_usage_errors(heavy: User) -> None:
    for words in (("--max-size", "much"), ("--keep", "foo"), ("--keep", "absent.toml"), ("--unused-for", "long")):
        run = heavy.run("cache", "gc", *words)
        assert run.code == 2, words
        assert "Traceback" not in run.err


def test_ephemeral_leaves_nothing_but_what_was_there(user: User, index: Simulator) -> None:
    for version, files in HEAVY.items():
        index.add_wheel(*make_wheel("toy", version, files=files, requires=["gear>=1"]), upload_time=DATE)
    user.write("check.py", "import toy\n")
    assert user.run("test", "check.py", "--versions", "4.1").code == 0
    run = user.run("test", "check.py", "--versions", "4.0,4.1,4.2", "--ephemeral")
    assert run.code == 0, run.err
    assert held(user) == {"4.1": (True, True)}
    index.forget_counts()
    again = user.run("test", "check.py", "--versions", "4.0,4.2", "--ephemeral", "--no-cache")
    assert again.code == 0
    assert index.requests["toy-4.0-py3-none-any.whl"] == 1
    assert not list((user.store / "tmp").iterdir())


@pytest.mark.whole
def test_a_layer_of_an_unknown_file_still_has_a_name(heavy: User) -> None:
    for name in ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"):
        Path(heavy.store / name).unlink(missing_ok=True)
    rows = [json.loads(line) for line in heavy.run("cache", "--json").out.splitlines()]
    assert ("toy", "4.1") in {(row["project"], row["version"]) for row in rows}
