"""`tf-tester supports` from the outside."""

import json

from tests.integration.conftest import User


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
    assert "toy was never imported: a pass says nothing of toy 1.0" in test.out
    assert user.run("test", "check.py", "--versions", "1.0").out.count("was never imported") == 1, "a kept pass, too"
    run = user.run("supports", "run.jsonl")
    assert run.code == 3
    assert run.out.startswith("Nothing is known of any version of toy.")
    assert "the tests never imported it in 1.0" in run.out


def test_a_mistake_is_one_sentence(user: User) -> None:
    user.write("no-record.txt", "hello\n")
    for name, said in (("nowhere.jsonl", "is no run of this store and no file"), ("no-record.txt", "is not a record")):
        run = user.run("supports", name)
        assert run.code == 2
        assert said in run.err
