"""Tests that pytest-xdist runs in processes of its own: what failed there is told here."""

import sys

from tests.functional.harness.bench import Bench

TESTS = """
import os, pytest
def helper(): raise ValueError("b: c")
def test_raises(): helper()
def test_asserts(): assert 1 == 2
def test_fixture(missing): pass
def test_passes(): print("here")
@pytest.mark.skip(reason="not now")
def test_skips(): pass
def test_kills(): os._exit(3)
"""


def test_what_failed_in_a_worker_keeps_its_exception(bench: Bench) -> None:
    bench.write(test_it=TESTS)
    ran = bench.run(
        sys.executable, "pytest", "test_it.py", args=["-p", "xdist", "-n", "1", "--max-worker-restart", "0"]
    )
    rows = {name.partition("::")[2]: row for name, row in ran.rows.items()}
    assert {name: row["status"] for name, row in rows.items()} == {
        "test_raises": "fail",
        "test_asserts": "fail",
        "test_fixture": "error",
        "test_passes": "pass",
        "test_skips": "skip",
        "test_kills": "crash",
    }
    raised, asserted = rows["test_raises"]["exception"], rows["test_asserts"]["exception"]
    assert (raised["type"], raised["message"], raised["line"]) == ("ValueError", "b: c", 3)
    assert raised["file"].endswith("test_it.py")
    assert (asserted["type"], asserted["message"]) == ("AssertionError", "assert 1 == 2")
    assert rows["test_fixture"]["reason"] == "fixture 'missing' not found"
    assert "crashed while running" in rows["test_kills"]["reason"]
    assert "raise ValueError" in rows["test_raises"]["traceback"]
