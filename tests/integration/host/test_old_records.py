"""Commands take records and baselines that commit 2607be9 wrote, before record format 2."""

import json
import sys
from pathlib import Path

import pytest

from tests.integration.conftest import User
from tests.simulator import Simulator
from tests.wheels import make_wheel

OLD = Path(__file__).parents[2] / "records" / "format1"
PY = ".".join(map(str, sys.version_info[:2]))


@pytest.fixture
def old(user: User) -> User:
    """A matrix and what was known to be normal in it, as of the Python that runs this."""
    for name in ("test.jsonl", "baseline.json"):
        text = (
            (OLD / name).read_text("utf-8").replace("py3.11", f"py{PY}").replace('"python":"3.11"', f'"python":"{PY}"')
        )
        user.write(name, text)
    return user


def test_an_old_record_is_a_report_a_range_and_a_set_of_locks(old: User) -> None:
    assert old.run("supports", "test.jsonl", "--format", "specifier").out == "toy>=2.0,<2.2\n"
    locks = old.run("lock", "--from-record", "test.jsonl")
    assert locks.code == 0, locks.err
    assert len(list((old.folder / "locks").iterdir())) == 2, "one for each cell that passed"


def test_an_old_run_is_compared_with_one_of_today(old: User, index: Simulator) -> None:
    index.add_wheel(*make_wheel("toy", "2.1", requires=["gear>=99"]), upload_time="2022-05-01T00:00:00Z")
    old.write("check.py", "import toy\nassert toy.__version__ != '1.1', 'too old'\n")
    words = ("test", "check.py", "--versions", "1.0,1.1,2.0,2.1", "--json", "now.jsonl")
    run = old.run(*words, "--baseline", "baseline.json")
    assert run.code == 1
    moved = run.out[run.out.index("Against baseline.json: ") :].splitlines()
    assert moved[0] == "Against baseline.json: 1 result moved"
    assert moved[1].split() == ["gone", f"toy==2.2@py{PY}@era", "crash"]
    diff = json.loads(old.run("diff", "test.jsonl", "now.jsonl", "--format", "json").out)
    assert [cell["cell"] for cell in diff["cells"]] == [f"toy==2.2@py{PY}@era"]
    assert diff["same"] == 4
