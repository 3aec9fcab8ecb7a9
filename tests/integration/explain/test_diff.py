"""`tf-tester diff` from the outside."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.conftest import User
from tests.simulator import Simulator
from tests.wheels import make_wheel


@pytest.fixture
def two(user: User, index: Simulator) -> User:
    """toy 3.0 and 4.0, which differ in everything."""
    for version, year, source, requires, scripts in (
        (
            "3.0",
            2019,
            "def spin(speed, way=1): ...\ndef stop(): ...\n",
            ["gear>=1"],
            {"toy": "toy:main", "old": "toy:o"},
        ),
        ("4.0", 2021, "def spin(speed, *, way=2): ...\ndef go(): ...\n", ["gear>=1", "cog"], {"toy": "toy:run"}),
    ):
        wheel = make_wheel(
            "toy", version, files={"toy.py": source}, requires=requires, entry_points=scripts, requires_python=">=3.8"
        )
        index.add_wheel(*wheel, upload_time=f"{year}-06-01T00:00:00Z")
    index.add_wheel(*make_wheel("cog", "1.0"), upload_time="2020-01-01T00:00:00Z")
    return user


def test_everything_that_differs_is_told(two: User) -> None:
    run = two.run("diff", "3.0", "4.0")
    assert run.code == 0, run.err
    for line in (
        "toy 3.0 → 4.0",
        "  released     2019-06-01 → 2021-06-01",
        "  gear 1.0 → 2.0  up",
        "  cog 1.0 (added)",
        "  + cog",
        "  old: toy:o → none",
        "  toy: toy:main → toy:run",
        "  toy.stop",
        "  toy.go",
        "  toy.spin: way only as a keyword; way: default 1 → 2",
    ):
        assert line in run.out.splitlines(), (line, run.out)


def test_one_version_with_two_sets_of_dependencies(two: User) -> None:
    run = two.run("diff", "3.0@era", "3.0@latest", "--format", "json")
    found = json.loads(run.out)
    assert [change["name"] for change in found["dependencies"]] == ["gear"]
    assert found["sides"][1]["resolution"] == "latest"
    assert found["api"]["gone"] == found["api"]["new"] == found["api"]["changed"] == []
    run = two.run("diff", "3.0@era", "3.0@latest", "--no-api")
    assert "gear 1.0 → 3.0  up" in run.out
    assert "Public names" not in run.out


def test_without_names_no_wheel_is_brought(two: User, index: Simulator) -> None:
    for version in ("6.0", "7.0"):
        files: dict[str, str | bytes] = {"toy.py": "", "noise.bin": random.Random(1).randbytes(3_000_000)}
        index.add_wheel(*make_wheel("toy", version, files=files), upload_time="2022-01-01T00:00:00Z")
    index.forget_counts()
    assert two.run("diff", "6.0", "7.0", "--no-api", "--format", "json").code == 0
    assert sum(index.bytes_sent[f"toy-{version}-py3-none-any.whl"] for version in ("6.0", "7.0")) < 2_000_000


def test_a_page_is_one_file_and_safe(two: User, index: Simulator) -> None:
    source = "def spin(speed='<script>alert(1)</script>'): ...\n"
    index.add_wheel(*make_wheel("toy", "5.0", files={"toy.py": source}), upload_time="2022-01-01T00:00:00Z")
    run = two.run("diff", "4.0", "5.0", "--format", "html")
    assert run.code == 0, run.err
    assert run.out.startswith("<!DOCTYPE html>")
    assert "<script>" not in run.out
    assert "&lt;script&gt;" in run.out
    assert "http://" not in run.out and "https://" not in run.out


def test_two_records(user: User) -> None:
    user.write("check.py", "import toy\nassert toy.__version__ != '1.0'\n")
    assert user.run("test", "check.py", "--versions", "1.0,2.0", "--json", "a.jsonl").code == 1
    same = user.run("diff", "a.jsonl", "a.jsonl")
    assert same.out == "2 cells came to the same, with the same distributions.\n"
    user.write("check.py", "import toy\n")
    assert user.run("test", "check.py", "--versions", "1.0,2.0", "--with", "gear==1.0", "--json", "b.jsonl").code == 0
    run = user.run("diff", "a.jsonl", "b.jsonl")
    assert run.code == 0, run.err
    assert "  fixed: check.py: fail → pass" in run.out
    assert run.out.count("  gear 2.0 → 1.0") == 2
    assert json.loads(user.run("diff", "a.jsonl", "b.jsonl", "--format", "json").out)["same"] == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("3.0", "9.9"), 2, "9.9"),
        (("3.0", "3.0@tomorrow"), 2, "is not a way to choose dependencies"),
        (("3.0,4.0", "4.0"), 2, "means 2 cells"),
        (("a.jsonl", "4.0"), 2, "A record can only be compared with a record."),
        (("a.jsonl", "a.jsonl", "--format", "html"), 2, "--format html can't show records."),
        (("3.0",), 2, "Missing argument"),
    ],
)
def test_a_mistake_is_one_sentence(two: User, words: tuple[str, ...], code: int, said: str) -> None:
    two.write("a.jsonl", "")
    run = two.run("diff", *words)
    assert run.code == code
    assert said in run.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_where_there_is_no_room_for_the_output_a_sentence_says_so(two: User) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tf_tester", "diff", "3.0", "4.0", "--no-api"],
            cwd=two.folder,
            env=two.env,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 4
    assert done.stderr.startswith("tf-tester: error: there is no space left on the disk.")
