"""What tests record is in the record, compared from version to version, and held against budgets."""

import pytest

from tests.integration.conftest import Run, User
from tests.integration.run.test_grid import events, version_of

SCRIPT = """
import toy
from tf_tester_helper import record
record("spin", toy.spin())
record("steady", [1.0, 2.0])
record("shape", [0.0] * toy.spin())
"""
ALL = ("--versions", "1.0,1.1,2.0")


def told(run: Run) -> str:
    return " ".join(run.out.split())


def budget_rows(run: Run, text: str) -> dict[str, tuple[str, str]]:
    """Outcome and reason of a budget, by version."""
    return {
        version: (row["outcome"], row["reason"])
        for version, result in run.results().items()
        for row in result["tests"]
        if row["id"] == f"budget: {text}"
    }


def test_values_of_a_script_are_recorded_and_what_differs_is_told_and_fails_nothing(user: User) -> None:
    user.write("check.py", SCRIPT)
    run = user.run("test", "check.py", *ALL)
    assert run.code == 0, run.out
    values = events(run, "value")
    spins = [(version_of(one["cell"]), one["test"]) for one in values if one["name"] == "spin"]
    assert sorted(spins) == [(version, "check.py") for version in ("1.0", "1.1", "2.0")]
    assert len(values) == 9
    [differ] = events(run, "numbers-differ")
    assert (version_of(differ["cell"]), differ["test"]) == ("2.0", "check.py")
    assert [one["name"] for one in differ["differences"]] == ["spin", "shape"]
    spin = differ["differences"][0]
    assert (version_of(spin["reference"]), spin["expected"], spin["got"], spin["max_abs"]) == ("1.1", "1", "2", 1.0)
    assert "Numbers that differ" in run.out
    assert "2.0 py3.11 check.py beside 1.1 py3.11: spin is 2, not 1 (max abs 1, max rel 1) (and 1 more)" in told(run)
    again = user.run("test", "check.py", *ALL)
    assert len(events(again, "value")) == 9


def test_each_test_has_its_own_values_and_one_that_fails_none(user: User, with_pytest: None) -> None:
    user.write(
        "test_it.py",
        """
import toy
from tf_tester_helper import record

def test_a():
    record("loss", 0.5)
    record("loss", 0.25)

def test_b():
    record("loss", toy.spin())
    assert toy.spin() == 1
""",
    )
    run = user.run("test", "test_it.py", "--versions", "1.1,2.0", "--budget", "loss<2")
    assert run.code == 1
    found = {(version_of(one["cell"]), one["test"], one["name"]) for one in events(run, "value")}
    assert found == {(v, f"test_it.py::{test}", "loss") for v in ("1.1", "2.0") for test in ("test_a", "test_b")}
    assert events(run, "numbers-differ") == []
    assert budget_rows(run, "loss<2") == {"1.1": ("pass", ""), "2.0": ("pass", "")}


@pytest.mark.whole
def test_unittest_and_commands_record_too(user: User) -> None:
    user.write(
        "test_case.py",
        """
import unittest, toy
from tf_tester_helper import record
class Case(unittest.TestCase):
    def test_it(self):
        record("spin", toy.spin())
""",
    )
    run = user.run("test", "test_case.py", *ALL, "--runner", "unittest")
    assert {one["test"] for one in events(run, "value")} == {"test_case.py::Case::test_it"}
    assert len(events(run, "numbers-differ")) == 1
    assert user.run("helper").code == 0
    user.write("train.py", SCRIPT)
    command = user.run("test", *ALL, "--", "python", "train.py")
    assert {one["test"] for one in events(command, "value")} == {"python train.py"}
    assert len(events(command, "numbers-differ")) == 1


def test_a_budget_is_a_row_that_fails_with_the_figure_and_the_bound(user: User) -> None:
    user.write("check.py", SCRIPT)
    budgets = (
        "import_s<1000",
        "peak_rss<1M",
        "spin<2",
        "spin.max_abs<0.5",
        "steady.ulps<1",
        "shape.max_abs<1",
        "spn<1",
    )
    words = [word for text in budgets for word in ("--budget", text)]
    run = user.run("test", "check.py", *ALL, *words)
    assert run.code == 1
    assert {outcome for outcome, _ in budget_rows(run, "import_s<1000").values()} == {"pass"}
    memory = budget_rows(run, "peak_rss<1M")["1.0"]
    assert memory[0] == "fail"
    assert memory[1].startswith("peak_rss is ")
    assert memory[1].endswith("M; the budget is < 1M")
    assert budget_rows(run, "spin<2") == {
        "1.0": ("pass", ""),
        "1.1": ("pass", ""),
        "2.0": ("fail", "spin is 2 in check.py; the budget is < 2"),
    }
    assert budget_rows(run, "spin.max_abs<0.5") == {
        "1.0": ("skip", "no version is there with whose number it could be compared"),
        "1.1": ("pass", ""),
        "2.0": ("fail", "spin.max_abs is 1 in check.py; the budget is < 0.5"),
    }
    assert {version: outcome for version, (outcome, _) in budget_rows(run, "steady.ulps<1").items()} == {
        "1.0": "skip",
        "1.1": "pass",
        "2.0": "pass",
    }
    assert budget_rows(run, "shape.max_abs<1")["2.0"] == (
        "fail",
        "shape.max_abs is of shape (2,) beside (1,) in check.py; the budget is < 1",
    )
    assert set(budget_rows(run, "spn<1").values()) == {("error", "nothing in this cell has the figure spn")}
    assert "peak_rss is" in run.out


@pytest.mark.whole
def test_all_are_compared_with_a_reference_where_that_is_asked_for(user: User) -> None:
    user.write("check.py", SCRIPT)
    run = user.run("test", "check.py", *ALL, "--reference", "2.0", "--budget", "spin.max_abs<0.5")
    assert {version_of(one["cell"]) for one in events(run, "numbers-differ")} == {"1.0", "1.1"}
    assert [outcome for outcome, _ in budget_rows(run, "spin.max_abs<0.5").values()].count("fail") == 2
    assert run.code == 1


@pytest.mark.whole
def test_where_nothing_can_be_kept_or_compared_that_is_told(user: User) -> None:
    user.write("check.py", SCRIPT)
    memory = user.run("test", "check.py", *ALL, "--scratch", "memory", "--budget", "spin<9")
    assert {outcome for outcome, _ in budget_rows(memory, "spin<9").values()} == {"error"}
    nowhere = user.run("test", "check.py", *ALL, "--reference", "9.9")
    assert "can't be compared with those of another version: no cell of 9.9 (--reference) has any" in told(nowhere)
    ephemeral = user.run("test", "check.py", *ALL, "--ephemeral", "--budget", "spin.max_abs<9")
    assert "can't be compared with those of another version: --ephemeral" in told(ephemeral)
    assert budget_rows(ephemeral, "spin.max_abs<9")["2.0"][0] == "fail"


def test_a_budget_that_cannot_be_meant_is_told_before_anything_runs(user: User) -> None:
    user.write("check.py", SCRIPT)
    run = user.run("test", "check.py", *ALL, "--budget", "import_s=5")
    assert (run.code, run.out) == (2, "")
    assert "--budget 'import_s=5' compares no figure with a bound by <, <=, > or >=." in run.err
    assert "logits.max_abs<1e-6" in run.err
