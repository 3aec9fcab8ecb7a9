"""Grids of real wheels; every expectation was seen on them."""

import json
from collections import Counter

import pytest

from tests.real.conftest import EXAMPLES, Tool, need

pytestmark = pytest.mark.real


def test_models_of_scikit_learn_that_load_without_a_word_and_predict_something_else(tool: Tool) -> None:
    need("3.11")
    words = ("--package", "scikit-learn", "--versions", "1.2.2,1.3.2,1.5.2,1.7.2", "--python", "3.11", "--json")
    run = tool.run(EXAMPLES.parent, "grid", "examples/sklearn_grid.py", *words)
    assert run.returncode == 1, run.stderr
    fields = [event for event in map(json.loads, run.stdout.splitlines()) if event["event"] == "field"]
    assert len(fields) == 48

    def version(cell: str) -> str:
        return cell.split("==")[1].split("@")[0]

    wrong = {
        (one["product"], version(one["producer"]), version(one["consumer"]))
        for one in fields
        if one["outcome"] == "wrong-numbers"
    }
    assert wrong == {
        ("regression.joblib", saved, loaded) for saved in ("1.5.2", "1.7.2") for loaded in ("1.2.2", "1.3.2")
    }
    assert Counter(one["outcome"] for one in fields)["flaky"] == 0
    # What isn't ok is told by a process of its own; and so is the value that wrong numbers are compared with.
    assert {one["outcome"] for one in fields if one["forked"]} == {"ok"}
    assert sum(one["forked"] for one in fields) >= 18
