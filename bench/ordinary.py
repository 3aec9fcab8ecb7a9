"""A hundred habits of tests (`tests/ordinary/habits.py`): plainly, without a sandbox, and in each of the two.

    python bench/ordinary.py [--folder FOLDER] [--only namespace,landlock]

Prints each habit that fails somewhere, and how many of those that work plainly work in each way. `landlock` runs with
all namespaces refused, as container engines refuse them. The environments are of `six`.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

ORDINARY = Path(__file__).resolve().parents[1] / "tests" / "ordinary"
WAYS = ("plain", "none", "namespace", "landlock")
REFUSING = """
import os, sys
from tf_tester.sandbox import kernel
from tf_tester.sandbox.calls import FAMILIES, filter_calls
kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1, "no new privileges")
filter_calls(FAMILIES, files_are_mounts=True, truncates=True)
os.execv(sys.executable, [sys.executable, "-m", "tf_tester", *sys.argv[1:]])
"""
"""Starts tf-tester where namespaces and mounts are refused."""


def main() -> None:
    """Run all habits in each way, and print the table."""
    words = argparse.ArgumentParser()
    words.add_argument("--folder", type=Path, help="Where records and the store are kept; else nowhere.")
    words.add_argument("--only", default=",".join(WAYS[1:]), help="Ways besides the plain one.")
    asked = words.parse_args()
    with tempfile.TemporaryDirectory(prefix="ordinary-") as fresh:
        folder = asked.folder.resolve() if asked.folder else Path(fresh)
        folder.mkdir(parents=True, exist_ok=True)
        ways = {"plain": plainly(copy(folder, "plain"))}
        for way in asked.only.split(","):
            ways[way] = by_tf_tester(copy(folder, way), folder, way)
    show(ways)


def copy(folder: Path, way: str) -> Path:
    """Return the habits in a folder of their own: plainly they change it."""
    made = folder / way
    shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(ORDINARY, made, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    (made / "kept").mkdir()
    (made / "kept" / "old").write_text("there before\n")
    return made


def plainly(made: Path) -> dict[str, str]:
    """Return the outcomes by name of a plain pytest."""
    report = made / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", "run_habits.py"]
    subprocess.run(command, cwd=made, stdout=subprocess.DEVNULL, check=False)
    cases = ElementTree.parse(report).iter("testcase")
    return {named(case.get("name", "")): outcome_of(case) for case in cases}


def by_tf_tester(made: Path, folder: Path, way: str) -> dict[str, str]:
    """Return the outcomes by name in a cell."""
    record = made / "record.jsonl"
    program = ["-c", REFUSING] if way == "landlock" else ["-m", "tf_tester"]
    words = ["test", "run_habits.py", "--runner", "pytest", "--package", "six", "--versions", "1.16.0", "--no-cache"]
    words += ["--isolation", way, "--store", str(folder / "store"), "--json", str(record), "--timeout", "1h"]
    words += ["--python", sys.executable]
    subprocess.run([sys.executable, *program, *words], cwd=made, stdout=subprocess.DEVNULL, env=os.environ, check=False)
    if not record.exists():
        return {}
    events = [json.loads(line) for line in record.read_text().splitlines()]
    rows = [row for event in events if event["event"] == "cell-finished" for row in event["result"]["tests"]]
    return {named(row["id"]): row["outcome"] for row in rows}


def outcome_of(case: ElementTree.Element) -> str:
    """Return what a test of a JUnit file came to."""
    kinds = {"failure": "fail", "error": "error", "skipped": "skip"}
    return next((word for kind, word in kinds.items() if case.find(kind) is not None), "pass")


def named(id: str) -> str:
    """Return what stands between the brackets of a test's id."""
    return id[id.find("[") + 1 : id.rfind("]")] if "[" in id else id


def show(ways: Mapping[str, Mapping[str, str]]) -> None:
    """Print what fails somewhere, and the sums."""
    habits = [name for name, outcome in ways["plain"].items() if outcome == "pass"]
    print(f"{len(ways['plain'])} habits, {len(habits)} work plainly")
    for name in ways["plain"]:
        if any(outcomes.get(name) != "pass" for outcomes in ways.values()):
            print(f"{name:40}", *(f"{way} {outcomes.get(name, 'not run'):8}" for way, outcomes in ways.items()))
    for way, outcomes in ways.items():
        print(f"{way:10} {sum(outcomes.get(name) == 'pass' for name in habits):4} of {len(habits)}")


if __name__ == "__main__":
    main()
