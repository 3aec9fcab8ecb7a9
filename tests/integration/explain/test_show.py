"""`tf-tester show`: a run again, or any part of it."""

import pytest

from tests.integration.conftest import User

CHECK = """
import pytest, toy
def test_passes(): print("here it is")
@pytest.mark.parametrize("number", range(3))
def test_all_alike(number): raise KeyError(f"no {number}")
def test_alone(): assert toy.spin() == 7
"""


@pytest.fixture
def tested(user: User, with_pytest: None) -> User:
    user.write("test_toy.py", CHECK)
    assert user.run("test", "test_toy.py", "--versions", "1.0,2.0").code == 1
    return user


@pytest.mark.whole
def test_the_report_is_printed_again(tested: User) -> None:
    again = tested.run("test", "test_toy.py", "--versions", "2.0", "--no-cache")
    shown = tested.run("show")
    assert (shown.code, shown.out) == (0, again.out)
    assert tested.run("show", shown.out.partition("Evidence: ")[2].splitlines()[0]).out == again.out


def test_every_kind_of_failure_has_its_count_and_a_traceback(tested: User) -> None:
    shown = tested.run("show", "last", "--failures")
    assert shown.code == 0
    first, second = shown.out.split("\n2. ")
    assert first.startswith("1. KeyError: 'no 0'\n")
    assert "6 tests in 2 cells: 1.0 py3.11, 2.0 py3.11" in first
    assert "raise KeyError" in first
    assert second.startswith("AssertionError: assert 1 == 7")
    assert "2 tests in 2 cells" in second
    by_cause = tested.run("show", "--rows", "causes")
    assert by_cause.code == 0
    assert "KeyError: 'no 0' (3 tests)     FAIL    FAIL\n" in by_cause.out
    assert "1 test fails nowhere\n" in by_cause.out


def test_one_test_is_shown_in_each_cell(tested: User) -> None:
    shown = tested.run("show", "--test", "test_passes")
    assert shown.out.count("here it is") == 2
    assert "test_alone" not in shown.out
    shown = tested.run("show", "--test", "test_passes", "--cell", "2.0")
    assert shown.out.count("here it is") == 1
    shown = tested.run("show", "--cell", "toy==1.0@py3.11@era")
    assert "2.0 py" not in shown.out
    assert "KeyError" in shown.out


def test_a_cell_is_shown_with_what_it_printed(user: User) -> None:
    user.write("check.py", "import toy\nprint('here', toy.__version__)\n")
    user.run("test", "check.py", "--versions", "1.0,2.0")
    shown = user.run("show", "--cell", "2.0").out
    assert "printed:\n    here 2.0\n" in shown
    assert "here 1.0" not in shown


def test_what_is_not_there_is_told(tested: User) -> None:
    for words, told in (
        (("nonsense",), "no run of this store and no file"),
        (("--test", "absent"), "no test with absent"),
        (("--cell", "9.9"), "no cell 9.9"),
        (("--rows", "causes", "-q"), "Without a matrix"),
    ):
        run = tested.run("show", *words)
        assert run.code == 2
        assert told in run.err
    tested.run("test", "test_toy.py", "--versions", "2.0", "--no-cache")
    assert "may be any of 2 runs" in tested.run("show", "2").err


def test_a_store_without_runs_has_none_to_show(user: User) -> None:
    run = user.run("show")
    assert run.code == 2
    assert "holds no run" in run.err


def test_of_a_search_it_advises_nothing_that_cannot_be_run(user: User) -> None:
    user.write("check.py", "import toy\nassert False\n")
    assert user.run("blame", "check.py", "--versions", "2.0").code == 2, "neither end passes"
    assert "--why" not in user.run("show").out
    assert user.run("bisect", "check.py", "--good", "1.1", "--bad", "2.0").code == 2
    shown = user.run("show").out
    assert "Next: `tf-tester test --why`, of one of these versions, runs more cells" in shown
    assert "the same command with --why" not in shown
