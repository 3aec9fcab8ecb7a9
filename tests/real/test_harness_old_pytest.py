"""The harness under the oldest pytests, installed from a real index, against the one that runs this test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import uv

from tests.functional.harness.bench import Bench, Ran, interpreters
from tests.functional.harness.conftest import harness
from tests.functional.harness.test_harness import PYTEST, PYTEST_STATUSES

pytestmark = pytest.mark.real
__all__ = ["harness"]  # a fixture

OLD = ["3.6", "3.7", "3.8"]

COLLECTION = {
    "test_good": "def test_it(): pass",
    "test_import": "import absent_module",
    "test_syntax": "def broken(:",
    "test_name": "undefined_name",
    "test_skip": "import pytest\npytest.importorskip('absent_module')\ndef test_it(): pass",
}


@pytest.fixture(scope="module", params=OLD)
def old_python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter with the newest pytest that it can have."""
    if request.param not in interpreters():
        pytest.skip(f"there is no CPython {request.param} here")
    environment = tmp_path_factory.mktemp("environments") / request.param
    python = str(environment / "bin" / "python")
    tool = uv.find_uv_bin()
    subprocess.run([tool, "venv", "--quiet", "--python", interpreters()[request.param], str(environment)], check=True)
    install = [tool, "pip", "install", "--quiet", "--python", python, "pytest"]
    installed = subprocess.run(install, capture_output=True, text=True, check=False)
    if installed.returncode:
        pytest.skip(f"the index does not answer: {installed.stderr.strip()}")
    return python


@pytest.fixture
def bench(tmp_path: Path, harness: Path) -> Bench:
    return Bench(tmp_path / "user", harness)


def judgement(row: dict[str, Any]) -> dict[str, Any]:
    """Return what must not depend on the version of pytest or Python."""
    exception = row["exception"] and {
        name: row["exception"][name] for name in ("type", "file", "line", "function", "text")
    }
    warnings = [(warning["category"], warning["message"], warning["line"]) for warning in row["warnings"]]
    output = "" if "parts" in row["id"] else row["stdout"]  # pytest 9 prints its progress into unittest's subtests
    kept = {name: row[name] for name in ("status", "reason", "remarks", "exit_code")}
    return {**kept, "exception": exception, "warnings": warnings, "stdout": output}


def judgements(ran: Ran) -> dict[str, dict[str, Any]]:
    return {id: judgement(row) for id, row in ran.rows.items()}


def test_an_old_pytest_gives_the_same_rows(bench: Bench, old_python: str) -> None:
    bench.write(tests__test_all=PYTEST)
    old = bench.run(old_python, "pytest", "tests")
    assert old.statuses == {f"tests/test_all.py::{id}": status for id, status in PYTEST_STATUSES.items()}
    new = bench.run(sys.executable, "pytest", "tests")
    assert judgements(old) == judgements(new)
    assert old.kinds == new.kinds
    assert old.event("collected") == new.event("collected")


def test_an_old_pytest_gives_the_same_rows_for_modules_it_cannot_collect(bench: Bench, old_python: str) -> None:
    bench.write(**COLLECTION)
    old, new = (judgements(bench.run(python, "pytest", ".")) for python in (old_python, sys.executable))
    assert old == new
    assert {id: row["status"] for id, row in old.items()} == {
        "test_good.py::test_it": "pass",
        "test_import.py": "error",
        "test_syntax.py": "error",
        "test_name.py": "error",
        "test_skip.py": "skip",
    }


@pytest.mark.parametrize(
    ("conftest", "test"),
    [
        ("import absent_module", "def test_it(): pass"),
        ("", "import sys; sys.exit(3)"),
        ("", "raise KeyboardInterrupt"),
        ("", "import pytest; pytest.exit('enough')"),
        ("", "def test_1(): pass\ndef test_2(): raise KeyboardInterrupt\ndef test_3(): pass"),
    ],
)
def test_an_old_pytest_that_ends_early_leaves_the_same_rows(
    bench: Bench, old_python: str, conftest: str, test: str
) -> None:
    bench.write(conftest=conftest, test_it=test)
    old, new = (judgements(bench.run(python, "pytest", "test_it.py")) for python in (old_python, sys.executable))
    assert old == new
    assert old


def test_an_old_pytest_leaves_out_what_ran_before(bench: Bench, old_python: str) -> None:
    bench.write(test_it="def test_1(): pass\ndef test_2(): pass")
    ran = bench.run(old_python, "pytest", "test_it.py", deselect=["test_it.py::test_1"])
    assert ran.statuses == {"test_it.py::test_2": "pass"}


def test_an_old_pytest_writes_nothing_into_the_users_folder(bench: Bench, old_python: str) -> None:
    bench.write(test_it="def test_it(): assert False")
    bench.run(old_python, "pytest", "test_it.py")
    assert [path.name for path in bench.folder.rglob("*")] == ["test_it.py"]
