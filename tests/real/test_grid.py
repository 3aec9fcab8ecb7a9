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


def test_the_release_behind_the_wrong_numbers_and_the_ways_between_two_versions(tool: Tool) -> None:
    need("3.11")
    words = ("--package", "scikit-learn", "--versions", "1.3.2,1.5.2", "--python", "3.11", "--json")
    asked = ("--why", "--route", "1.5:1.3", "--report", f"html={tool.store / 'grid.html'}")
    run = tool.run(EXAMPLES.parent, "grid", "examples/sklearn_grid.py", *words, *asked)
    assert run.returncode == 1, run.stderr
    events = [json.loads(line) for line in run.stdout.splitlines()]
    found = {(one["product"], one["side"], one["after"], one["outcome"]) for one in events if one["event"] == "border"}
    # A forest needs the attribute `monotonic_cst` since 1.4.0.
    assert found == {
        ("regression.joblib", "saved", "1.5.0", "wrong-numbers"),
        ("regression.joblib", "loaded", "1.5.0", "wrong-numbers"),
        ("forest.joblib", "saved", "1.4.0", "error"),
        ("forest.joblib", "loaded", "1.4.0", "error"),
    }
    assert {one["product"]: one["arrived"] for one in events if one["event"] == "route"} == {
        "regression.joblib": False,
        "forest.joblib": True,
        "pipeline.joblib": True,
    }
    page = (tool.store / "grid.html").read_text(encoding="utf-8")
    assert "1.3.2 gets other numbers from what 1.5.0 and later versions save" in page
    assert "scikit-learn calls loading with another version unsupported and inadvisable" in page
