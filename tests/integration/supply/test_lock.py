"""`tf-tester lock` and `test --locked` from the outside."""

import io
import json
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

from tests.integration.conftest import User
from tests.simulator import Simulator
from tests.wheels import make_sdist, make_wheel

PY = ".".join(map(str, sys.version_info[:2]))
NAME = f"pylock.toy-1-1-py{PY.replace('.', '-')}.toml"


@pytest.fixture
def locked(user: User) -> User:
    """toy 1.0 and 1.1 are locked in `locks`, with a script that prints what it has."""
    user.write("check.py", "import toy, gear\nprint('gear', gear.MAJOR)\n")
    run = user.run("lock", "--versions", "1.0,1.1")
    assert run.code == 0, run.err
    assert sorted(Path(line).name for line in run.out.splitlines()) == [NAME.replace("1-1", "1-0", 1), NAME]
    return user


def test_a_lock_is_a_pylock_that_says_what_it_answers(locked: User) -> None:
    lock = tomllib.loads((locked.folder / "locks" / NAME).read_text())
    assert lock["lock-version"] == "1.0"
    assert {one["name"]: one["version"] for one in lock["packages"]} == {"toy": "1.1", "gear": "2.0"}
    assert all(wheel["hashes"]["sha256"] for one in lock["packages"] for wheel in one["wheels"])
    table = lock["tool"]["tf-tester"]
    assert (table["package"], table["version"], table["resolution"]) == ("toy", "1.1", "era")


def test_a_matrix_runs_from_locks_alone(locked: User, index: Simulator) -> None:
    first = locked.run("test", "check.py", "--locked", "locks")
    assert first.code == 0, first.err + first.out
    assert first.outcomes() == {"1.0": "pass", "1.1": "pass"}
    assert [event["event"] for event in first.record()].count("cell-locked") == 2
    asked = dict(index.requests)
    second = locked.run("test", "check.py", "--locked", f"locks/{NAME}")
    assert second.outcomes() == {"1.1": "pass"}
    assert index.requests == asked, "no index is asked"
    key = next(event["result"]["cell"] for event in second.record() if event["event"] == "cell-finished")
    assert key == f"toy==1.1@py{PY}@era", "the cell is the one that was locked"


@pytest.mark.whole
def test_locks_say_which_package_is_tested(locked: User) -> None:
    unsaid = {"TF_TESTER_PACKAGE": ""}
    assert locked.run("test", "check.py", "--locked", "locks", env=unsaid).outcomes() == {"1.0": "pass", "1.1": "pass"}
    run = locked.run("shell", "1.1", "--locked", "locks", "--", "python", "-c", "import toy", env=unsaid)
    assert run.code == 0, run.err
    run = locked.run("test", "check.py", "--locked", "locks", "--package", "gear")
    assert "The locks are of toy, and gear is to be tested." in run.err


@pytest.mark.whole
def test_a_shell_has_what_the_lock_of_its_version_has(locked: User, index: Simulator) -> None:
    index.requests.clear()
    look = ["--", "python", "-c", "import toy; print(toy.__version__)"]
    for version in ("1.0", "1.1"):
        run = locked.run("shell", version, "--locked", "locks", *look)
        assert (run.code, run.out) == (0, f"{version}\n"), run.err
    assert not index.requests
    assert "means no environment" in locked.run("shell", "2.0", "--locked", "locks", *look).err


def test_a_lock_stays_what_it_was_when_the_index_moves_on(locked: User, index: Simulator) -> None:
    assert locked.run("lock", "--check").code == 0
    index.add_wheel(*make_wheel("gear", "2.1"), upload_time="2021-03-02T00:00:00Z")
    # Pages of the index are good for ten minutes: who checks is a colleague.
    run = locked.run("lock", "--check", env={"TF_TESTER_STORE": str(locked.home / "other store")})
    assert run.code == 1, "within the grace of 1.1, not of 1.0"
    assert "gear 2.0 → 2.1" in run.out
    assert f"{NAME.replace('1-1', '1-0', 1)}: as it was" in run.out
    test = locked.run("test", "check.py", "--locked", "locks")
    assert test.outcomes() == {"1.0": "pass", "1.1": "pass"}
    versions = [
        {pin["name"]: pin["version"] for pin in event["lock"]["pins"]}
        for event in test.record()
        if event["event"] == "cell-locked"
    ]
    assert {one["gear"] for one in versions} == {"2.0"}


@pytest.mark.whole
@pytest.mark.usefixtures("with_pytest")
def test_a_lock_for_tests_has_their_runner(user: User) -> None:
    user.write("test_toy.py", "import toy\ndef test_spin():\n    assert toy.spin() == 1\n")
    assert user.run("lock", "--versions", "1.1").code == 0
    run = user.run("test", "test_toy.py", "--locked", "locks")
    assert run.code == 3
    assert "The lock has no pytest, which these tests need." in run.out
    assert user.run("lock", "test_toy.py", "--versions", "1.1").code == 0
    run = user.run("test", "test_toy.py", "--locked", "locks")
    assert run.code == 0, run.out
    assert user.run("lock", "--check").code == 0


def test_the_constraints_of_a_lock_are_a_part_of_what_it_answers(user: User) -> None:
    user.write("r.txt", "-c limits.txt\ngear\n")
    user.write("limits.txt", "gear<2\n")
    user.write("check.py", "import toy\n")
    assert user.run("lock", "check.py", "--versions", "2.0", "-r", "r.txt").code == 0
    [file] = (user.folder / "locks").iterdir()
    assert tomllib.loads(file.read_text())["tool"]["tf-tester"]["constraints"] == ["gear<2"]
    run = user.run("lock", "--check")
    assert run.code == 0, run.out + run.err


def test_what_is_remarkable_of_a_lock_is_told(user: User, index: Simulator) -> None:
    index.add_wheel(*make_wheel("late", "1.0"), upload_time="2021-08-20T00:00:00Z")
    run = user.run("lock", "--versions", "1.1", "--with", "late")
    assert run.code == 0
    assert f"tf-tester: toy 1.1 py{PY}: nothing as of 2021" in run.err


def test_other_formats_are_what_pip_takes(user: User, index: Simulator) -> None:
    index.add_wheel(*make_sdist("cog", "1.0"), upload_time="2019-01-01T00:00:00Z")
    formats = ("--format", "requirements", "--format", "constraints")
    run = user.run("lock", "--versions", "1.1", "--with", "cog", "--allow-build", "cog", *formats, "-d", "out")
    assert run.code == 0, run.err
    requirements = (user.folder / "out" / f"requirements-toy-1.1-py{PY}.txt").read_text()
    sdist = index.artifact("cog-1.0.tar.gz").sha256
    assert f"cog==1.0 \\\n    --hash=sha256:{sdist}" in requirements, "what pip would fetch, not what was built here"
    constraints = (user.folder / "out" / f"constraints-toy-1.1-py{PY}.txt").read_text().splitlines()
    assert constraints[1:] == ["cog==1.0", "gear==2.0", "toy==1.1"]


@pytest.mark.whole
def test_what_was_built_is_built_again_from_the_lock(user: User, index: Simulator) -> None:
    index.add_wheel(*make_sdist("cog", "1.0"), upload_time="2019-01-01T00:00:00Z")
    user.write("check.py", "import toy, cog\n")
    run = user.run("lock", "--versions", "1.1", "--with", "cog", "--allow-build", "cog")
    assert run.code == 0, run.err
    other = {"TF_TESTER_STORE": str(user.home / "other store")}
    run = user.run("test", "check.py", "--locked", "locks", env=other)
    assert run.code == 0, run.out
    assert user.run("lock", "--check").code == 0, run.out


def test_a_known_good_set_is_what_passed(user: User) -> None:
    user.write("check.py", "import toy\nassert toy.__version__ != '1.0'\n")
    assert user.run("test", "check.py", "--versions", "1.0,1.1", "--json", "run.jsonl").code == 1
    run = user.run("lock", "--from-record", "run.jsonl", "--format", "constraints")
    assert run.code == 0, run.err
    assert [Path(line).name for line in run.out.splitlines()] == [f"constraints-toy-1.1-py{PY}.txt"]
    user.write("check.py", "assert False\n")
    user.run("test", "check.py", "--versions", "1.0", "--json", "bad.jsonl")
    run = user.run("lock", "--from-record", "bad.jsonl")
    assert run.code == 2
    assert "No cell of that record passes." in run.err


def test_locks_of_others_run_too(user: User, index: Simulator) -> None:
    user.write("check.py", "import toy, gear\n")
    assert user.run("lock", "--versions", "1.1").code == 0
    file = user.folder / "locks" / NAME
    text = file.read_text().split("[tool.tf-tester]")[0]
    (user.folder / "pylock.toml").write_text(text)
    run = user.run("test", "check.py", "--locked", "pylock.toml")
    assert run.code == 0, run.err + run.out
    assert run.outcomes() == {"1.1": "pass"}
    check = user.run("lock", "--check", "-d", ".")
    assert check.code == 2
    assert "Only locks that `tf-tester lock` made can be checked." in check.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("test", "check.py", "--locked", "nowhere.toml"), "There is no lock"),
        (("test", "check.py", "--locked", "."), "There is no pylock.toml in"),
        (("test", "check.py", "--locked", "locks", "--versions", "1.0"), "both say what is tested"),
        (("test", "check.py", "--locked", "locks", "--package", "gear"), "The locks are of toy"),
        (("test", "check.py", "--locked", "check.py"), "is not a lock"),
        (("lock", "--check", "--format", "pylock"), "--check writes nothing"),
        (("lock", "--check", "-d", "nothing"), "There is no lock nothing"),
        (("lock",), "No versions are given"),
    ],
)
def test_a_mistake_is_one_sentence(locked: User, words: tuple[str, ...], said: str) -> None:
    run = locked.run(*words)
    assert run.code == 2, run.out
    assert said in run.err


def test_a_lock_whose_python_is_missing_says_so(locked: User) -> None:
    file = locked.folder / "locks" / NAME
    file.write_text(file.read_text().replace(f'python = "{PY}"', 'python = "3.1"'))
    run = locked.run("test", "check.py", "--locked", str(file))
    assert run.code == 3
    assert "is for Python 3.1, which is not installed" in run.out


def test_a_lock_that_lies_about_a_hash_brings_nothing(locked: User, index: Simulator) -> None:
    file = locked.folder / "locks" / NAME
    sha256 = index.artifact("gear-2.0-py3-none-any.whl").sha256
    assert sha256 is not None
    file.write_text(file.read_text().replace(sha256, "0" * 64))
    run = locked.run("test", "check.py", "--locked", str(file))
    assert run.code == 4
    assert run.outcomes() == {"1.1": "download-failed"}


def test_the_matrix_of_a_lock_is_in_the_record(locked: User) -> None:
    run = locked.run("test", "check.py", "--locked", "locks", "--json", "run.jsonl")
    assert run.code == 0
    started = json.loads((locked.folder / "run.jsonl").read_text().splitlines()[0])
    assert started["request"]["locks"] == [str(locked.folder / "locks")]


def test_a_lock_for_many_pythons_and_groups_is_read_for_this_one(user: User, index: Simulator) -> None:
    user.write("check.py", "import toy\n")
    assert user.run("lock", "--versions", "1.1").code == 0
    text = (user.folder / "locks" / NAME).read_text().split("[tool.tf-tester]")[0]
    old = "\n".join(
        [
            "[[packages]]",
            'name = "toy"',
            'version = "1.0"',
            "marker = \"python_version < '3.0'\"",
            "[[packages.wheels]]",
            'name = "toy-1.0-py3-none-any.whl"',
            f'url = "{index.artifact("toy-1.0-py3-none-any.whl").url}"',
            f'hashes = {{ sha256 = "{"0" * 64}" }}',
            "[[packages]]",
            'name = "absent"',
            'version = "1"',
            "marker = \"'dev' in dependency_groups or 'all' in extras\"",
            "[[packages.wheels]]",
            'name = "absent-1-py3-none-any.whl"',
            'url = "http://127.0.0.1:9/absent-1-py3-none-any.whl"',
            f'hashes = {{ sha256 = "{"0" * 64}" }}',
            "",
        ]
    )
    head, _, rest = text.partition("[[packages]]")
    (user.folder / "pylock.toml").write_text(f"{head}{old}[[packages]]{rest}")
    run = user.run("test", "check.py", "--locked", "pylock.toml")
    assert run.code == 0, run.err + run.out
    assert run.outcomes() == {"1.1": "pass"}


def test_one_bad_lock_does_not_cost_the_others(locked: User) -> None:
    file = locked.folder / "locks" / NAME
    file.write_text(file.read_text().replace("-py3-none-any.whl", "-cp27-cp27m-win32.whl"))
    run = locked.run("test", "check.py", "--locked", "locks")
    assert run.code == 3
    assert run.outcomes() == {"1.0": "pass", "1.1": "unresolvable"}


@pytest.mark.parametrize("words", [("--with", "gear"), ("--python", "3.11"), ("--resolve", "latest"), ("--last", "1")])
def test_what_a_lock_says_is_not_said_again(locked: User, words: tuple[str, ...]) -> None:
    run = locked.run("test", "check.py", "--locked", "locks", *words)
    assert run.code == 2
    assert f"--locked and {words[0]} both say what is tested" in run.err


def test_where_the_index_is_down_nothing_is_as_it_was(locked: User, index: Simulator) -> None:
    index.stop()
    other = {"TF_TESTER_STORE": str(locked.home / "other store")}
    run = locked.run("lock", "--check", env=other)
    assert run.code == 4
    assert run.out.count("can't be checked") == 2


def test_output_that_is_not_utf_8_is_no_trap(locked: User) -> None:
    ascii_only = {"PYTHONIOENCODING": "ascii", "LANG": "C"}
    run = locked.run("diff", "1.0", "2.0", "--no-api", env=ascii_only)
    assert run.code == 0, run.err
    assert "\\u2192" in run.out


def test_why_a_lock_could_not_be_made_is_in_a_file(user: User, index: Simulator) -> None:
    index.add_wheel(*make_wheel("toy", "0.8", requires=["gear>=99"]), upload_time="2019-01-01T00:00:00Z")
    run = user.run("lock", "--versions", "0.8,1.0")
    assert run.code == 3
    [told] = [line for line in run.err.splitlines() if line.startswith("Evidence: ")]
    assert "gear>=99" in Path(told.removeprefix("Evidence: ")).read_text()
    assert run.out.count("pylock.") == 1, "the other one is made"


def test_a_lock_has_what_the_project_requires_and_not_the_project(user: User) -> None:
    source = user.folder / "mine"
    _, content = make_sdist("mine", "1.0", requires=["gear<2"])
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(source, filter="data")
    run = user.run("lock", "--versions", "2.0", "--project", "mine/mine-1.0", "--format", "constraints")
    assert run.code == 0, run.err
    assert "left out, as nobody else has it: mine" in run.err
    [text] = [file.read_text() for file in (user.folder / "locks").iterdir()]
    assert "gear==1.0" in text
    assert "mine" not in text
