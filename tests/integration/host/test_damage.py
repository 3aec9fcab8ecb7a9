"""Whatever is damaged in a store, no command hands it on, and the next command or `cache verify` has mended it."""

import os
import shutil
import sqlite3
import stat
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.integration.conftest import Run, User
from tests.simulator import Simulator
from tests.wheels import make_wheel
from tf_tester.model.host.layer import Layer, Listing
from tf_tester.ports.store import CheckedFile, CheckedLayer
from tf_tester.store.digests import status_of
from tf_tester.store.ledger import Ledger
from tf_tester.store.memos.table import CHECKED, CHECKED_LAYER, READ_LAYER
from tf_tester.store.verifying import _status

TEST = "import toy, gear, helper\nassert (toy.spin(), gear.MAJOR, helper.WORD) == (2, 2, 'right')\n"

Damage = Callable[[Path], None]


# -- what happens to a file


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes() or b"x")
    content[len(content) // 2] ^= 1
    _write(path, bytes(content))


def _flip_silently(path: Path) -> None:
    """With the times that it had, as a copying program leaves them."""
    status = path.stat()
    _flip(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _cut(path: Path) -> None:
    _write(path, path.read_bytes()[: path.stat().st_size // 2])


def _empty(path: Path) -> None:
    _write(path, b"")


def _garbage(path: Path) -> None:
    _write(path, b"\xffgarbage" * 20)


def _other(path: Path) -> None:
    """Sound in itself, but not what it should be."""
    kind = {".py": b"WORD = 'wrong'\n", ".json": b"{}"}
    _write(path, kind.get(path.suffix, b"another file"))


def _gone(path: Path) -> None:
    path.unlink()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "something").write_text("x")


def _link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _unreadable(path: Path) -> None:
    path.chmod(0)


def _write(path: Path, content: bytes) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    path.chmod(0o600)
    with path.open("r+b") as stream:  # in place: the same inode
        stream.truncate()
        stream.write(content)
    path.chmod(mode)


DAMAGES = (
    _flip,
    _flip_silently,
    _cut,
    _empty,
    _garbage,
    _other,
    _gone,
    _folder,
    _link_to_nothing,
    _pipe,
    _unreadable,
)


def rows(*some: Damage, of: tuple[Damage, ...] = DAMAGES) -> list[ParameterSet]:
    """Return all of these, those that aren't named as rows that `make test` leaves out."""
    return [pytest.param(one, marks=() if one in some else pytest.mark.whole) for one in of]


# -- to which file


def _blob(store: Path, name: str) -> Path:
    with closing(sqlite3.connect(store / "ledger.sqlite")) as database:
        ((digest,),) = database.execute("SELECT sha256 FROM blob WHERE filename LIKE ?", (f"{name}%",)).fetchall()
    return store / "blobs" / str(digest)[:2] / str(digest)


def _of_layer(store: Path, pattern: str) -> Path:
    return next((store / "layers" / _blob(store, "helper").name).glob(pattern))


IN_LAYERS = {
    "source": "*/tree/lib/*/site-packages/helper.py",
    "bytecode": "*/tree/lib/*/site-packages/__pycache__/helper.*.pyc",
    "record": "*/tree/lib/*/site-packages/*.dist-info/RECORD",
    "data": "*/tree/lib/*/site-packages/helper_data/table.csv",
    "layer.json": "layer.json",
    "files.json": "files.json",
    "bytecode.json": "*/bytecode.json",
}


SOME_OF_LAYERS = (
    ("source", _flip_silently),
    ("bytecode", _cut),
    ("record", _flip),
    ("bytecode.json", _gone),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> User:
    """A store that was used for all that the tests below do."""
    home = tmp_path_factory.mktemp("damage")
    index = Simulator()
    index.__enter__()
    for name, version, source in (
        ("toy", "2.0", "import gear\n__version__ = '2.0'\ndef spin(): return 2\n"),
        ("gear", "2.0", "MAJOR = 2\n"),
        ("helper", "1.0", "WORD = 'right'\n"),
    ):
        requires = ["gear>=1", "helper"] if name == "toy" else []
        files = {f"{name}.py": source, f"{name}_data/table.csv": "a,b\n"}
        index.add_wheel(*make_wheel(name, version, files=files, requires=requires), upload_time="2022-03-01T00:00:00Z")
    user = User(home, index)
    user.write("check.py", TEST)
    assert user.run("test", "check.py", "--versions", "2.0").code == 0
    return user


@pytest.fixture
def used(made: User, tmp_path: Path) -> User:
    """The same, once for each test: files are copied with their times, and looked at in their new places."""
    user = User.__new__(User)
    user.__dict__.update(made.__dict__)
    user.store = tmp_path / "store"
    shutil.copytree(made.store, user.store, symlinks=True)
    user.folder = tmp_path / "project"
    user.folder.mkdir()
    user.env = {**made.env, "TF_TESTER_STORE": str(user.store), "HOME": str(tmp_path)}
    user.write("check.py", TEST)
    _tested(user)
    assert user.run("cache", "verify").code == 0
    return user


def _tested(user: User, *words: str) -> None:
    run = user.run("test", "check.py", "--versions", "2.0", "--no-cache", *words)
    assert (run.code, run.outcomes()) == (0, {"2.0": "pass"}), run.out + run.err


def _delivered(user: User) -> Run:
    run = user.run("download", "--versions", "2.0", "--with-deps", "-d", "wheels")
    if run.code == 0:
        for line in (user.folder / "wheels/SHA256SUMS").read_text().splitlines():
            digest, _, name = line.partition("  ")
            assert digest == _sha256(user.folder / "wheels" / name)
    return run


def _sha256(path: Path) -> str:
    from hashlib import sha256

    return sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("damage", rows(_flip, _flip_silently, _folder))
def test_a_damaged_file_is_never_handed_on(used: User, damage: Damage) -> None:
    blob = _blob(used.store, "helper")
    damage(blob)
    run = _delivered(used)
    assert run.code == 0, run.err
    assert "3 of them new" in run.out
    assert damage in (_gone, _unreadable) or "it was damaged on the disk" in run.err + run.out
    assert "index promises" not in run.err + run.out  # nobody is blamed for it
    assert _sha256(blob) == blob.name
    assert used.run("cache", "verify").code == 0


def rot_unseen(blob: Path, store: Path) -> None:
    """Change a byte as a disk does it: nothing that the file system tells is another."""
    _flip_silently(blob)
    status = blob.stat()
    with closing(Ledger(store / "ledger.sqlite")) as ledger:
        ledger.remember(CHECKED, blob.name, CheckedFile(status_of(status), status.st_nlink, time.time()))


def test_what_rots_unseen_is_found_while_it_is_copied(used: User) -> None:
    blob = _blob(used.store, "helper")
    rot_unseen(blob, used.store)
    run = used.run("download", "--versions", "2.0", "--with-deps", "-d", "off", "--offline")
    assert (run.code, "it was damaged on the disk" in run.err + run.out) == (4, True), run.out + run.err
    assert not list(used.folder.glob("off/*helper*"))
    assert _delivered(used).code == 0
    shutil.rmtree(used.folder / "wheels")
    rot_unseen(blob, used.store)
    run = _delivered(used)
    assert (run.code, "it was damaged on the disk" in run.err + run.out) == (0, True), run.out + run.err
    assert _sha256(blob) == blob.name


def test_what_rots_unseen_is_in_no_bundle(used: User) -> None:
    blob = _blob(used.store, "helper")
    rot_unseen(blob, used.store)
    run = used.run("cache", "export", "--versions", "2.0", "--fetch", "all.tar")
    assert run.code == 0, run.err
    assert _sha256(blob) == blob.name
    rot_unseen(blob, used.store)
    run = used.run("cache", "export", "all.tar")
    assert run.code == 4, run.out + run.err
    assert f"{blob} was damaged on the disk." in run.err
    assert used.run("cache", "export", "all.tar").code == 0


@pytest.mark.parametrize("damage", rows(_flip_silently))
def test_a_damaged_file_is_an_error_where_it_cannot_be_fetched(used: User, damage: Damage) -> None:
    damage(_blob(used.store, "helper"))
    shutil.rmtree(used.store / "layers" / _blob(used.store, "helper").name)
    for words in (
        ("download", "--versions", "2.0", "--with-deps", "-d", "off"),
        ("test", "check.py", "--versions", "2.0"),
    ):
        run = used.run(*words, "--offline")
        assert run.code in (0, 4) if damage is _unreadable else run.code == 4, run.out + run.err
    assert not list(used.folder.glob("off/helper*")) or damage is _unreadable
    _tested(used)


@pytest.mark.parametrize(
    ("part", "damage"),
    [
        pytest.param(part, damage, marks=() if (part, damage) in SOME_OF_LAYERS else pytest.mark.whole)
        for part in IN_LAYERS
        for damage in DAMAGES
        if damage is not _pipe
    ],
)
def test_a_damaged_layer_is_made_anew_before_its_result_counts(used: User, part: str, damage: Damage) -> None:
    path = _of_layer(used.store, IN_LAYERS[part])
    damage(path)
    _tested(used)
    assert used.run("cache", "verify").code == 0
    _tested(used)


@pytest.mark.whole
@pytest.mark.parametrize("damage", rows(_cut, of=(_flip, _cut, _gone)))
def test_a_damaged_layer_is_made_anew_under_landlock_too(used: User, damage: Damage) -> None:
    if "landlock" not in used.run("doctor").out.lower():
        pytest.skip("there is no Landlock")
    damage(_of_layer(used.store, IN_LAYERS["source"]))
    _tested(used, "--isolation", "landlock")


def test_a_file_that_was_put_into_a_layer_is_not_imported(used: User) -> None:
    site = _of_layer(used.store, IN_LAYERS["source"]).parent
    (site / "sitecustomize.py").write_text("import helper\nhelper.WORD = 'wrong'\n")
    _tested(used)
    assert not list((used.store / "layers").glob("*/*/tree/lib/*/site-packages/sitecustomize.py"))


def test_a_shell_gets_no_damaged_layer(used: User) -> None:
    _other(_of_layer(used.store, IN_LAYERS["source"]))
    run = used.run("shell", "2.0", "--", "python", "-c", "import helper; print(helper.WORD)")
    assert (run.code, run.out.strip()) == (0, "right"), run.err


def test_a_pipe_in_a_layer_is_not_waited_for(used: User) -> None:
    path = _of_layer(used.store, IN_LAYERS["data"])
    _pipe(path)
    run = used.run("cache", "verify")
    assert (run.code, "table.csv is no file" in run.out) == (1, True), run.out
    _tested(used)
    _pipe(_of_layer(used.store, IN_LAYERS["data"]))
    _tested(used)


def test_what_rots_without_a_trace_is_found_after_a_crash(used: User) -> None:
    """As a disk does it: what is known of the layer is made to fit."""
    site = _of_layer(used.store, IN_LAYERS["source"]).parent
    for path in (site / "helper.py", *site.glob("__pycache__/helper.*.pyc")):
        path.unlink()
    (site / "helper.py").write_text("import os\nos.kill(os.getpid(), 11)\n")
    with closing(sqlite3.connect(used.store / "ledger.sqlite")) as database:
        database.execute("UPDATE memo SET value = '', sum = NULL WHERE kind = 'checked-layer'")
        database.commit()
    _tested(used)


def _rot(store: Path) -> None:
    """Change a word in a source and its bytecode as a disk does it: nothing that the file system tells is another."""
    tree = _of_layer(store, "*/tree")
    for path in tree.glob("lib/*/site-packages/**/helper*.py*"):
        status = path.stat()
        assert b"right" in path.read_bytes()
        _write(path, path.read_bytes().replace(b"right", b"wrong"))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    folder = tree.parents[1]
    looks = _status(Layer(folder.name, "helper", folder, tree, "", lambda: Listing((), ())), lambda: None)
    with closing(Ledger(store / "ledger.sqlite")) as ledger:
        (key,) = (key for key in ledger.keys(CHECKED_LAYER) if key.startswith(folder.name))
        ledger.remember(CHECKED_LAYER, key, CheckedLayer(*looks, time.time()))


def test_what_rots_without_a_trace_is_found_when_a_test_fails(used: User) -> None:
    _rot(used.store)
    _tested(used)
    assert used.run("cache", "verify").code == 0


def test_what_rots_without_a_trace_is_not_looked_for_while_tests_pass(used: User) -> None:
    used.write("passes.py", "import helper\n")
    _rot(used.store)
    assert used.run("test", "passes.py", "--versions", "2.0").code == 0
    run = used.run("cache", "verify")
    assert (run.code, "helper.py was changed" in run.out) == (1, True), run.out


@pytest.mark.whole
def test_layers_are_read_once_a_day_where_tests_fail(used: User) -> None:
    used.write("fails.py", "import helper\nassert helper.WORD == 'left'\n")
    assert used.run("test", "fails.py", "--versions", "2.0").code == 1
    _rot(used.store)
    run = used.run("test", "fails.py", "--versions", "2.0")
    assert (run.code, "had been damaged" in run.out) == (1, False)
    with closing(Ledger(used.store / "ledger.sqlite")) as ledger:
        for key, (looks, _) in ledger.every(READ_LAYER):
            ledger.remember(READ_LAYER, key, (looks, time.time() - 90_000))
    run = used.run("test", "fails.py", "--versions", "2.0")
    assert (run.code, "had been damaged on the disk: made anew" in run.out) == (1, True), run.out
    used.write("fails.py", TEST)
    assert used.run("test", "fails.py", "--versions", "2.0").code == 0


@pytest.mark.parametrize("end", ["-wal", "-shm", "-journal"])
def test_a_folder_beside_the_ledger_stops_nobody(used: User, end: str) -> None:
    (used.store / f"ledger.sqlite{end}").unlink(missing_ok=True)
    (used.store / f"ledger.sqlite{end}").mkdir()
    _tested(used)


def test_a_record_that_was_damaged_is_not_read(used: User) -> None:
    run = used.run("test", "check.py", "--versions", "2.0", "--no-cache")
    folder = next(line.removeprefix("Evidence: ") for line in run.out.splitlines() if line.startswith("Evidence:"))
    record = Path(folder) / "record.jsonl"
    whole = record.read_bytes()
    assert used.run("show", "last").code == 0
    for damaged in (whole.replace(b'"pass"', b'"fail"', 1), whole.replace(b'"event":"cell-finished"', b'"evens":"x"')):
        assert damaged != whole
        record.write_bytes(damaged)
        for words in (("show", "last"), ("supports", "last"), ("lock", "--from-record", str(record))):
            run = used.run(*words)
            assert run.code == 4, run.out + run.err
            assert "isn't as it was written" in run.err
    record.write_bytes(whole + whole)
    assert used.run("show", "last").code == 0
    *_, last = whole.splitlines(keepends=True)
    for length in (len(whole) - len(last) // 2, len(whole) - len(last) - 5):
        record.write_bytes(whole[:length])
        run = used.run("show", "last")
        assert (run.code, "The record is cut off within a line" in run.out) == (0, True), run.out + run.err
        assert "interrupted." not in run.out
    record.write_bytes(whole[: -len(last)])
    assert "The run was interrupted." in used.run("show", "last").out  # nothing tells it from one that was killed


@pytest.mark.parametrize("name", ["plan.json", "face/pyvenv.cfg"])
@pytest.mark.parametrize("damage", rows(_flip))
def test_a_damaged_plan_is_made_anew(used: User, name: str, damage: Damage) -> None:
    for plan in (used.store / "plans").iterdir():
        damage(plan / name)
    _tested(used)


def test_a_ledger_that_is_lost_is_told_once(used: User) -> None:
    _empty(used.store / "ledger.sqlite")
    run = used.run("versions")
    assert "ledger.sqlite was empty: it was made anew. " in run.err
    assert "ledger" not in used.run("versions").err
    (used.store / "ledger.sqlite").unlink()
    run = used.run("cache", "verify")
    assert (run.code, "damaged ledger, mended: The ledger " in run.out) == (1, True), run.out
    assert used.run("cache", "verify").code == 0
    assert used.run("cache", "--store", "fresh").err == ""


@pytest.mark.parametrize("damage", rows(_garbage))
@pytest.mark.parametrize("name", ["ledger.sqlite", "ledger.sqlite.lock", "CACHEDIR.TAG"])
def test_a_damaged_file_of_the_store_stops_nobody(used: User, name: str, damage: Damage) -> None:
    damage(used.store / name)
    _tested(used)
    assert _delivered(used).code == 0
    assert used.run("cache").code == 0
    assert used.run("cache", "verify").code in (0, 1)
    assert used.run("cache", "verify").code == 0


@pytest.mark.parametrize("name", ["blobs", "incoming", "layers", "plans", "claims", "tmp", "runs", "kept"])
@pytest.mark.parametrize("damage", rows(of=(_gone, _garbage, _pipe)))
def test_a_damaged_folder_of_the_store_stops_nobody(used: User, name: str, damage: Damage) -> None:
    shutil.rmtree(used.store / name, ignore_errors=True)
    (used.store / name).write_bytes(b"")
    damage(used.store / name)
    _tested(used)
    assert _delivered(used).code == 0


def test_a_file_for_a_folder_of_blobs_and_folders_for_locks_stop_nobody(used: User) -> None:
    group = _blob(used.store, "helper").parent
    shutil.rmtree(group)
    group.write_bytes(b"x")
    for lock in (used.store / "claims").glob("*.lock"):
        _folder(lock)
    assert used.run("cache", "verify").code == 0
    assert _delivered(used).code == 0
    _tested(used)


@pytest.mark.parametrize(
    "damage", rows(_folder, of=(_garbage, _cut, _empty, _folder, _link_to_nothing, _pipe, _unreadable))
)
@pytest.mark.parametrize("end", [".part", ".part.notes"])
def test_damage_to_what_has_arrived_costs_no_more_than_that(used: User, end: str, damage: Damage) -> None:
    blob = _blob(used.store, "helper")
    content = blob.read_bytes()
    blob.unlink()
    part = used.store / "incoming" / f"{blob.name}{end}"
    part.with_name(f"{blob.name}.part").write_bytes(content[:200])
    part.with_name(f"{blob.name}.part.notes").write_text("0 200 authority\n")
    damage(part)
    assert _delivered(used).code == 0
    assert _sha256(blob) == blob.name
