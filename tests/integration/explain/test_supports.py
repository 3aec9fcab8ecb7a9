"""`tf-tester supports` from the outside."""

import json

import pytest

from tests.integration.conftest import User
from tests.simulator import Simulator
from tests.wheels import make_wheel


def test_from_a_run_to_a_range(user: User) -> None:
    user.write("check.py", "import toy\nassert toy.__version__ != '2.0'\n")
    assert user.run("test", "check.py", "--versions", "1.0,1.1,2.0", "--json", "run.jsonl").code == 1
    run = user.run("supports", "run.jsonl", "--badge", "toy.svg")
    assert run.code == 0, run.err
    assert run.out.splitlines()[0] == "toy>=1.0,<2"
    assert (user.folder / "toy.svg").read_text().startswith("<svg ")
    nowhere = user.run("supports", "run.jsonl", "--badge", "run.jsonl/toy.svg")
    assert nowhere.code == 4
    assert "Choose another folder, or free some space." in nowhere.err, "it has no -d"
    for words in (["run.jsonl"], ["last"], []):
        assert user.run("supports", *words, "--format", "specifier").out == "toy>=1.0,<2\n"
    [folder] = (user.store / "runs").iterdir()
    for record in ("last", folder.name, str(folder), "run.jsonl"):
        assert "came to the same" in user.run("diff", "run.jsonl", record).out, record
    assert json.loads(user.run("supports", "run.jsonl", "--format", "json").out)["versions"]["2.0"] == "no"


def test_where_nothing_works_it_exits_with_1(user: User) -> None:
    user.write("check.py", "assert False\n")
    user.run("test", "check.py", "--versions", "1.0", "--json", "run.jsonl")
    run = user.run("supports", "run.jsonl")
    assert run.code == 1
    assert "No version of toy that was tested works." in run.out


def test_where_the_package_was_never_imported_nothing_is_known(user: User) -> None:
    user.write("check.py", "print('nothing of toy')\n")
    test = user.run("test", "check.py", "--versions", "1.0", "--json", "run.jsonl")
    assert test.code == 0, test.err
    assert "toy was never imported: a pass says nothing of toy" in test.out
    assert user.run("test", "check.py", "--versions", "1.0").out.count("was never imported") == 1, "a kept pass, too"
    run = user.run("supports", "run.jsonl")
    assert run.code == 3
    assert run.out.startswith("Nothing is known of any version of toy.")
    assert "nothing has imported it in 1.0" in run.out


IN_A_CHILD = "import subprocess, sys\nsubprocess.run([sys.executable, '-I', '-c', 'import toy'], check=True, env={})\n"


@pytest.mark.parametrize("isolation", ["auto", pytest.param("landlock", marks=pytest.mark.whole), "none"])
@pytest.mark.parametrize(
    ("words", "imports"),
    [
        (("--", "python", "-c", "pass"), False),
        (("--", "python", "-c", "import toy"), True),
        pytest.param(("--", "sh", "-c", "env -i $(command -v python) check.py"), True, marks=pytest.mark.whole),
        pytest.param(("check.py",), True, marks=pytest.mark.whole),
        pytest.param(("idle.py",), False, marks=pytest.mark.whole),
    ],
)
def test_a_pass_counts_where_some_process_of_it_has_imported_the_package(
    user: User, isolation: str, words: tuple[str, ...], imports: bool
) -> None:
    user.write("check.py", IN_A_CHILD)
    user.write("idle.py", "import subprocess\nsubprocess.run(['true'], check=True)\n")
    test = user.run("test", "--versions", "1.0", "--isolation", isolation, *words)
    if "can't be sandboxed here" in test.err:
        pytest.skip(test.err.splitlines()[0])
    assert test.code == 0, test.err
    assert ("pass, not imported" in test.out) is not imports
    assert ("toy was never imported: a pass says nothing of toy" in test.out) is not imports
    run = user.run("supports")
    assert run.code == (0 if imports else 3)
    assert ("toy>=1.0" in run.out) is imports


def test_a_package_with_a_program_of_its_own_may_be_used_without_an_import(user: User, index: Simulator) -> None:
    files: dict[str, str | bytes] = {"tool.py": "", "tool-1.0.data/scripts/tool": b"#!/bin/sh\nexit 0\n"}
    index.add_wheel(*make_wheel("tool", "1.0", files=files), upload_time="2020-03-01T00:00:00Z")
    run = user.run("test", "--package", "tool", "--versions", "1.0", "--", "tool")
    assert run.code == 0, run.err
    assert "not imported" not in run.out
    assert user.run("supports").out.startswith("tool>=1.0\n")


def test_an_environment_that_is_kept_is_as_it_would_be_without_us(user: User) -> None:
    user.write("check.py", "import toy\n")
    for isolation in ("auto", "none"):
        run = user.run("test", "check.py", "--versions", "1.0", "--keep", "--isolation", isolation)
        assert run.code == 0, run.err
        assert not [*(user.store / "kept").rglob("tf-tester-imports*")]


def test_a_mistake_is_one_sentence(user: User) -> None:
    user.write("no-record.txt", "hello\n")
    for name, said in (("nowhere.jsonl", "is no run of this store and no file"), ("no-record.txt", "is not a record")):
        run = user.run("supports", name)
        assert run.code == 2
        assert said in run.err
