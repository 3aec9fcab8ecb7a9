"""Tests that pytest-xdist runs in processes of its own: what failed there is told here."""

import sys
from pathlib import Path

import pytest

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


@pytest.mark.whole
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
    assert rows["test_fixture"]["exception"]["message"] == "fixture 'missing' not found"
    assert "crashed while running" in rows["test_kills"]["reason"]
    assert "raise ValueError" in rows["test_raises"]["traceback"]


def test_a_worker_tells_where_in_the_package_it_failed_and_what_it_imported(bench: Bench) -> None:
    bench.write(
        toy="def broken():\n    return dict()['a']\n__version__ = '7'",
        test_it="import toy\ndef test_it():\n    toy.broken()",
    )
    ran = bench.run(sys.executable, "pytest", "test_it.py", args=["-p", "xdist", "-n", "1"], watch=["toy"])
    raised = ran.rows["test_it.py::test_it"]["exception"]
    assert (raised["type"], raised["in_package"]["line"], raised["in_package"]["function"]) == ("KeyError", 2, "broken")
    assert ran.event("import")["version"] == "7"


def test_a_module_that_fails_in_a_worker_keeps_its_exception(bench: Bench) -> None:
    bench.write(toy="raise KeyError('a')", test_it="import toy\ndef test_it(): pass")
    ran = bench.run(sys.executable, "pytest", "test_it.py", args=["-p", "xdist", "-n", "1"], watch=["toy"])
    assert ran.row["exception"]["type"] == "KeyError"
    assert ran.row["exception"]["in_package"]["line"] == 1


def test_a_worker_imports_the_project_as_it_is_installed(bench: Bench, tmp_path: Path) -> None:
    """Its sources lie in the folder that pytest puts first."""
    installed = tmp_path / "installed"
    installed.mkdir()
    (installed / "toy.py").write_text("BUILT = True")
    bench.write(toy="BUILT = False", conftest="", test_it="import toy\ndef test_it(): assert toy.BUILT")
    for args in ([], ["-p", "xdist", "-n", "1"]):
        ran = bench.run(
            sys.executable,
            "pytest",
            "test_it.py",
            args=args,
            installed_first=["toy"],
            environment={"PYTHONPATH": str(installed)},
        )
        assert ran.statuses == {"test_it.py::test_it": "pass"}


@pytest.mark.whole
def test_a_worker_imports_a_package_with_doctests_from_its_sources(bench: Bench, tmp_path: Path) -> None:
    installed = tmp_path / "installed" / "toy"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("BUILT = True")
    source = bench.write(conftest="import toy").folder / "src" / "toy"
    source.mkdir(parents=True)
    (source / "__init__.py").write_text('"""\n>>> BUILT\nFalse\n"""\nBUILT = False')
    for args in ([], ["-p", "xdist", "-n", "1"]):
        ran = bench.run(
            sys.executable,
            "pytest",
            "src",
            args=["--doctest-modules", *args],
            installed_first=["toy"],
            environment={"PYTHONPATH": str(installed.parent)},
        )
        assert ran.statuses == {"src/toy/__init__.py::toy": "pass"}


@pytest.mark.whole
def test_only_the_wanted_tests_run_in_workers(bench: Bench) -> None:
    bench.write(test_it="import os\ndef test_a(): pass\ndef test_b(): assert 'PYTEST_PLUGINS' not in os.environ")
    ran = bench.run(
        sys.executable, "pytest", "test_it.py", args=["-p", "xdist", "-n", "1"], only=["test_it.py::test_b"]
    )
    assert ran.statuses == {"test_it.py::test_b": "pass"}


@pytest.mark.whole
@pytest.mark.parametrize(
    ("conftest", "body", "untouched"),
    [
        ("", "pass", True),
        ("", "import toy", False),
        ("", "import subprocess, sys; subprocess.run([sys.executable, '-c', 'pass'])", True),
        ("import toy", "pass", False),
    ],
)
def test_workers_tell_whether_they_have_used_the_package(
    bench: Bench, conftest: str, body: str, untouched: bool
) -> None:
    bench.write(
        toy="",
        conftest=conftest,
        test_it=f"import pytest\n@pytest.mark.parametrize('i', range(4))\ndef test_it(i):\n    if i == 2: {body}",
    )
    ran = bench.run(sys.executable, "pytest", "test_it.py", args=["-p", "xdist", "-n", "2"], watch=["toy"])
    assert list(ran.statuses.values()) == ["pass"] * 4
    assert ran.event("end")["untouched"] is untouched


@pytest.mark.whole
def test_a_worker_that_was_killed_may_have_used_the_package(bench: Bench) -> None:
    bench.write(toy="", test_it="def test_a(): pass\ndef test_b():\n    import toy, os; os._exit(3)")
    args = ["-p", "xdist", "-n", "1", "--max-worker-restart", "1"]
    ran = bench.run(sys.executable, "pytest", "test_it.py", args=args, watch=["toy"])
    assert ran.statuses == {"test_it.py::test_a": "pass", "test_it.py::test_b": "crash"}
    assert ran.event("end")["untouched"] is False
