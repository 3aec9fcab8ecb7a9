"""`tf-tester bisect` from the outside."""

import json

import pytest

from tests.integration.conftest import User
from tests.simulator import Simulator, Status
from tests.wheels import make_wheel

VERSIONS = [f"3.{number}" for number in range(12)]


@pytest.fixture
def line(user: User, index: Simulator) -> User:
    """Twelve versions of toy, of which 3.7 and later have lost `old`; each says what it is."""
    for number, version in enumerate(VERSIONS):
        source = f"VERSION = {number}\n" + ("old = 1\n" if number < 7 else "")
        wheel = make_wheel("toy", version, files={"toy.py": source}, requires=["gear>=1"])
        index.add_wheel(*wheel, upload_time=f"2022-04-{number + 1:02}T00:00:00Z")
    user.write("check.py", "import toy\nprint(toy.old)\n")
    return user


def test_the_first_version_that_fails_is_found_in_few_cells(line: User) -> None:
    run = line.run("bisect", "check.py", "--good", "3.0", "--bad", "3.11")
    assert run.code == 0, run.err
    assert run.out.splitlines()[0] == "toy 3.7 is the first that fails; 3.6 passes."
    assert "AttributeError" in run.out.splitlines()[1]
    assert "6 cells for 12 versions." in run.out  # two ends, and log2(11) rounded up
    assert "(at most 4 more)" in run.err
    results = run.results()
    assert results["3.6"]["outcome"] == "pass"
    assert results["3.7"]["outcome"] == "fail"


@pytest.mark.whole
def test_where_the_good_one_is_newer_the_repair_is_found(line: User) -> None:
    line.write("check.py", "import toy\nassert toy.VERSION >= 5\n")
    run = line.run("bisect", "check.py", "--good", "3.11", "--bad", "3.0")
    assert run.out.splitlines()[0] == "toy 3.5 is the first that passes; 3.4 fails."


@pytest.mark.whole
def test_what_cannot_be_tested_is_passed_over(line: User, index: Simulator) -> None:
    for version in ("3.6.1", "3.6.2"):
        index.add_wheel(*make_wheel("toy", version, requires=["gear>=99"]), upload_time="2022-04-20T00:00:00Z")
    run = line.run("bisect", "check.py", "--good", "3.0", "--bad", "3.11", "--json")
    assert run.code == 0, run.err
    found = json.loads(run.out)
    (change,) = found["changes"]
    assert [found["versions"][change[end]] for end in ("before", "after")] == ["3.6", "3.7"]
    text = line.run("bisect", "check.py", "--good", "3.0", "--bad", "3.11").out
    assert text.startswith("toy fails from one of 3.6.1, 3.6.2, 3.7 on; 3.6 passes")


@pytest.mark.whole
def test_a_dependency_is_bisected_while_the_package_is_held(line: User, index: Simulator) -> None:
    for number in range(8):
        wheel = make_wheel("gear", f"5.{number}", files={"gear.py": f"MAJOR = {number}\n"})
        # After the era of the package: what is asked for by name counts all the same.
        index.add_wheel(*wheel, upload_time=f"2025-01-0{number + 1}T00:00:00Z")
    line.write("check.py", "import toy, gear\nassert gear.MAJOR < 3\n")
    words = ("--over", "gear", "--good", "5.0", "--bad", "5.7", "--versions", "3.2")
    run = line.run("bisect", "check.py", *words)
    assert run.code == 0, run.err
    assert run.out.splitlines()[0] == "gear 5.3 is the first that fails; 5.2 passes."
    assert "5 cells for 8 versions." in run.out


@pytest.mark.whole
def test_every_change_is_told_where_it_is_wanted(line: User) -> None:
    line.write("check.py", "import toy\nassert toy.VERSION not in (3, 4, 9)\n")
    run = line.run("bisect", "check.py", "--good", "3.0", "--bad", "3.9", "--all-transitions")
    assert [text.split(";")[0] for text in run.out.splitlines() if text.startswith("toy")] == [
        "toy 3.3 is the first that fails",
        "toy 3.5 is the first that passes",
        "toy 3.9 is the first that fails",
    ]


def test_one_that_is_not_the_same_each_time_is_not_relied_on(line: User) -> None:
    flag = line.folder / "flag"
    line.write(
        "check.py",
        "import pathlib, toy\n"
        f"flag = pathlib.Path({str(flag)!r})\n"
        "assert toy.VERSION < 7\n"
        "if toy.VERSION == 5:\n"
        "    seen = flag.exists()\n"
        "    flag.touch()\n"
        "    assert not seen\n",
    )
    words = ("--good", "3.0", "--bad", "3.11", "--repeat", "2", "--writable", str(line.folder))
    run = line.run("bisect", "check.py", *words)
    assert run.code == 0, run.err
    assert "3.5" in run.err
    assert "not the same each time" in run.err
    assert run.out.startswith("toy 3.7 is the first that fails; 3.6 passes.")


@pytest.mark.whole
def test_another_failure_on_the_way_is_told_and_can_be_passed_over(line: User) -> None:
    line.write("check.py", "import toy\nassert toy.VERSION not in (4, 5)\nprint(toy.old)\n")
    run = line.run("bisect", "check.py", "--good", "3.0", "--bad", "3.11")
    assert run.out.startswith("toy 3.4 is the first that fails")
    assert "3.11 fails with something else: AttributeError" in run.out
    assert "--failure 'AttributeError'" in run.out
    again = line.run("bisect", "check.py", "--good", "3.0", "--bad", "3.11", "--failure", "AttributeError")
    assert again.out.startswith("toy 3.7 is the first that fails; 3.6 passes.")
    assert "something else" not in again.out


def test_a_yanked_version_that_is_left_out_is_told(line: User, index: Simulator) -> None:
    index.add_wheel(*make_wheel("toy", "3.6.5"), upload_time="2022-04-08T00:00:00Z", yanked="broken")
    run = line.run("bisect", "check.py", "--good", "3.6", "--bad", "3.7")
    assert "left out, since they are yanked: 3.6.5; --yanked runs them, too" in " ".join(run.out.split()), run.out


@pytest.mark.whole
def test_ends_that_are_not_what_they_are_said_to_be_are_an_error(line: User) -> None:
    run = line.run("bisect", "check.py", "--good", "3.8", "--bad", "3.11")
    assert run.code == 2
    assert "toy 3.8 is bad, not good: AttributeError" in run.err
    assert "Name ends that differ" in run.err
    run = line.run("bisect", "check.py", "--good", "3.11", "--bad", "3.0")
    assert (run.code, "Swap --good and --bad" in run.err) == (2, True), run.err
    run = line.run("bisect", "check.py", "--good", "3.0", "--bad", "3.11", "--failure", "KeyError")
    assert run.code == 2
    assert "toy 3.11 can't be tested here: AttributeError" in run.err
    assert "Evidence: " in run.err
    assert line.run("bisect", "check.py", "--good", "3.0", "--bad", "3.0").code == 2
    assert line.run("bisect", "check.py", "--good", "3.0", "--bad", "9.9").code == 2
    assert line.run("bisect", "check.py", "--good", "5.0", "--bad", "5.1", "--over", "gear").code == 2
    assert line.run("bisect", "check.py", "--bad", "3.0").code == 2


def test_an_end_that_cannot_be_tested_is_told_as_such(line: User) -> None:
    run = line.run("bisect", "check.py", "--good", "3.0", "--bad", "3.11", "--failure", "TypeError")
    assert run.code == 2
    assert "toy 3.11 can't be tested here: AttributeError" in run.err
    assert "Name another version with --bad" in run.err


def test_an_end_that_could_not_run_is_no_mistake_of_the_user(line: User, index: Simulator) -> None:
    for version, needs in (("3.12", "gear>=99"), ("3.13", "cog")):
        index.add_wheel(*make_wheel("toy", version, requires=[needs]), upload_time="2022-04-20T00:00:00Z")
    run = line.run("bisect", "check.py", "--good", "3.0", "--bad", "3.12")
    assert run.code == 3
    assert "error: toy 3.12 could not run: No set of dependencies fits toy==3.12" in run.err
    assert "--all-transitions" not in run.err
    index.fault("cog", Status(503))
    run = line.run("bisect", "check.py", "--good", "3.0", "--bad", "3.13")
    assert run.code == 4
    assert "error: toy 3.13 could not run: " in run.err
    assert "503" in run.err


def test_a_package_without_a_python_is_not_held(line: User, index: Simulator) -> None:
    index.add_wheel(*make_wheel("toy", "3.12", tag="cp27-none-any"), upload_time="2022-04-20T00:00:00Z")
    words = ("--over", "gear", "--good", "1.0", "--bad", "2.0", "--versions", "3.12")
    run = line.run("bisect", "check.py", *words)
    assert run.code == 3
    assert "gear 1.0 could not run: " in run.err


def test_a_test_that_there_is_none_of_is_refused_before_anything_is_fetched(line: User, with_pytest: None) -> None:
    line.write("test_it.py", "import toy\ndef test_old(): assert toy.old\n")
    for words in (("bisect", "--good", "3.0", "--bad", "3.11"), ("test", "--versions", "3.0")):
        run = line.run(words[0], "test_it.py::test_odl", *words[1:])
        assert run.code == 2
        assert run.err == "tf-tester: error: test_it.py has no test test_odl.\nDid you mean test_it.py::test_old?\n"
    assert not [*(line.store / "blobs").rglob("*.whl")]
    assert not [*(line.store / "runs").iterdir()]


def test_what_pytest_refuses_is_refused_at_the_first_end(line: User, with_pytest: None) -> None:
    line.write("test_it.py", "import toy\nglobals().update(test_old=lambda: toy.old)\n")
    run = line.run("bisect", "test_it.py::test_odl", "--good", "3.0", "--bad", "3.11")
    assert run.code == 2
    assert "pytest could not begin: not found" in run.err
    assert "3.11 py" not in run.err
