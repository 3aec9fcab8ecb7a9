"""Of what tests do on an ordinary machine, what sandboxes have broken (all of it: `bench/ordinary.py`)."""

import shutil
from pathlib import Path

import pytest

from tests.integration.conftest import User
from tests.ordinary.habits import HABITS

HABITS_FOLDER = Path(__file__).parents[2] / "ordinary"
BROKEN_ONCE = (
    "multiprocessing by forkserver",
    "a manager's list",
    "a listener and its client",
    "a socket in a file",
    "a literal /tmp",
    "a literal /var/tmp",
    "a file in an existing folder",
    "appending to an existing file",
    "times of an existing file",
    "a map of a sparse file",
    "a pseudo-terminal",
    "a program in a terminal",
    "tracing one's child",
    "addresses for a family that there is",
    "a home that can be written",
    "the name of the user",
)


def test_what_sandboxes_have_broken_works_in_namespaces(user: User, with_pytest: None) -> None:
    assert set(BROKEN_ONCE) <= HABITS.keys()
    for name in ("habits.py", "run_habits.py"):
        shutil.copy(HABITS_FOLDER / name, user.folder)
    user.write("kept/old", "there before\n")
    words = ["test", "run_habits.py", "--runner", "pytest", "--versions", "2.0", "--isolation", "namespace"]
    run = user.run(*words, "--env", f"HABITS={'|'.join(BROKEN_ONCE)}")
    if "can't be sandboxed here" in run.err:
        pytest.skip(run.err.splitlines()[0])
    rows = run.results()["2.0"]["tests"]
    failed = {row["id"]: row["exception"] for row in rows if row["outcome"] != "pass"}
    assert (len(rows), failed) == (len(BROKEN_ONCE), {})
    assert (user.folder / "kept/old").read_text() == "there before\n"
    assert [path.name for path in (user.folder / "kept").iterdir()] == ["old"]
