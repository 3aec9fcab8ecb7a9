"""What runners print of themselves."""

import pytest

from tf_tester.core.outcome.judge import judge_command
from tf_tester.core.outcome.runner_output import ran_no_test, without_progress
from tf_tester.model.host.exit import Exit


@pytest.mark.parametrize(
    ("text", "nothing"),
    [
        ("==== no tests ran in 0.01s ====", True),
        ("1 skipped in 0.02s", True),
        ("==== 3 deselected in 0.02s ====", True),
        ("= 1 skipped, 2 warnings in 61.02s (0:01:01) =", True),
        ("= 1 skipped, 1 xfailed in 0.02s =", False),
        ("= 1 skipped in 0.02s =\n= 1 passed in 0.1s =", False),
        ("..s\n----\nRan 3 tests in 0.001s\n\nOK (skipped=1)\n", False),
        ("sss\n----\nRan 3 tests in 0.001s\n\nOK (skipped=3)\n", True),
        ("\n----\nRan 0 tests in 0.000s\n\nNO TESTS RAN\n", True),
        ("Ran 0 tests in 0.000s\n\nOK\nRan 1 test in 0.000s\n\nOK\n", False),
        ("saved 3 files\n12 steps in 0.5s", False),
        ("", False),
    ],
)
def test_a_summary_tells_whether_something_ran(text: str, nothing: bool) -> None:
    assert ran_no_test(text) is nothing


@pytest.mark.parametrize(
    ("line", "progress"),
    [
        ("t_sub.py ,,,.                                  [100%]", True),
        ("t_sub.py uu,.,F                                [ 50%]", True),
        ("..s", True),
        ("2 workers [4 items]", True),
        ("--------", False),
        ("loss.py 0.5", False),
        ("see a.py ...", False),
    ],
)
def test_letters_of_progress_are_known(line: str, progress: bool) -> None:
    assert (without_progress(line) == "") is progress


def test_a_summary_is_compared_without_subtests() -> None:
    assert without_progress("==== 2 passed, 3 subtests passed in 0.12s ====") == "2 passed in 0.12s"
    assert without_progress("========= 2 passed in 0.12s =========") == "2 passed in 0.12s"


def test_a_command_that_fails_names_the_first_test_that_does() -> None:
    said = "F.\nFAILED tests/test_a.py::test_b - KeyError: 'k'\n1 failed, 1 passed in 0.12s\n"
    [row] = judge_command(Exit(1, None, False, 0.1, 0.1, 1), target="pytest", stdout=said, stderr="")
    assert row.reason == "exit status 1: FAILED tests/test_a.py::test_b - KeyError: 'k'"


def test_a_command_that_ran_no_tests_is_remarked_on() -> None:
    [row] = judge_command(
        Exit(0, None, False, 0.1, 0.1, 1), target="pytest", stdout="= 1 skipped in 0.02s =", stderr=""
    )
    assert (row.outcome, row.remarks) == ("pass", ("it ran no tests, as it says itself, and left with 0",))
