"""Real wheels: skipped, with the reason, where no index answers."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.record_schema import check_record
from tf_tester.index.authority import authority_url, pip_index_url

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True)
class Run:
    code: int
    out: str
    err: str
    results: dict[str, dict[str, Any]]
    """By version."""
    locks: dict[str, dict[str, Any]]
    received: int
    """Bytes that came over the network."""

    @property
    def outcomes(self) -> dict[str, str]:
        return {version: result["outcome"] for version, result in self.results.items()}

    def python(self, version: str) -> str:
        return str(self.results[version]["cell"].split("@py")[1].split("@")[0])


@dataclass(frozen=True)
class Tool:
    """The command line with one store for all real tests of a session."""

    store: Path

    def run(self, folder: Path, *words: str, before: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*before, sys.executable, "-m", "tf_tester", *words],
            cwd=folder,
            env={**os.environ, "TF_TESTER_STORE": str(self.store)},
            capture_output=True,
            text=True,
            check=False,
        )

    def test(self, folder: Path, *words: str, before: tuple[str, ...] = ()) -> Run:
        record = folder / "record.jsonl"
        done = self.run(folder, "test", *words, "--json", str(record), before=before)
        assert record.exists(), done.stderr
        check_record(record)
        events = [json.loads(line) for line in record.read_text().splitlines()]

        def version(cell: str) -> str:
            return cell.split("==")[1].split("@")[0]

        return Run(
            done.returncode,
            done.stdout,
            done.stderr,
            {version(e["result"]["cell"]): e["result"] for e in events if e["event"] == "cell-finished"},
            {version(e["cell"]): e["lock"] for e in events if e["event"] == "cell-locked"},
            sum(e["received"] for e in events if e["event"] == "transfer-finished"),
        )


@cache
def index_trouble() -> str:
    """Why no real test can run, or nothing."""
    import urllib.error
    import urllib.request

    url = authority_url(os.environ, lambda: pip_index_url(os.environ))
    try:
        with urllib.request.urlopen(f"{url}/pip/", timeout=20):
            return ""
    except (urllib.error.URLError, TimeoutError) as error:
        return f"no index answers: {error}"


@pytest.fixture(scope="session")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Tool:
    if index_trouble():
        pytest.skip(index_trouble())
    return Tool(Path(os.environ.get("REAL_TESTS_STORE") or tmp_path_factory.mktemp("store")))


@cache
def pythons() -> dict[str, Path]:
    """The Pythons of this machine, by their labels."""
    from tf_tester.env.installer import PythonInstaller
    from tf_tester.env.interpreters import FoundInterpreters, NoMemory

    def no_uv() -> Path:
        raise AssertionError("finding needs no uv")

    found, _ = FoundInterpreters((), NoMemory(), PythonInstaller(no_uv), os.environ).find()
    return {interpreter.label: interpreter.path for interpreter in found}


def need(*labels: str) -> None:
    """Skip where a Python is missing that the test is about."""
    missing = sorted(set(labels) - pythons().keys())
    if missing:
        pytest.skip(f"Python {', '.join(missing)} is not installed here")
