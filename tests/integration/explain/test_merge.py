"""Records of the jobs of a CI matrix as one, from the outside."""

import json
import shlex
import sys
from datetime import UTC, datetime

import pytest

from tests.integration.conftest import User
from tests.simulator import Simulator
from tests.wheels import make_wheel
from tf_tester.model.cell import Cell
from tf_tester.model.events import CellFinished, RunFinished, RunStarted
from tf_tester.model.lock import Resolution
from tf_tester.model.outcome import CellResult, Outcome
from tf_tester.report.record import RecordWriter

CHECK = "import toy\nassert toy.spin() == 2\n"
PY = ".".join(map(str, sys.version_info[:2]))


@pytest.fixture
def jobs(user: User) -> User:
    """A user with a matrix of three jobs, two of which have left a record; the test fails in one of them."""
    user.write("check.py", CHECK)
    user.env.pop("TF_TESTER_PYTHON")
    planned = user.run("ci-matrix", "--versions", "all", "-o", "matrix.json")
    assert planned.code == 0, planned.err
    for number, job in enumerate(json.loads((user.folder / "matrix.json").read_text())["include"][1:]):
        user.run("test", "check.py", *shlex.split(job["arguments"]), "--json", f"job-{number}.jsonl")
    return user


def outcomes(user: User, *records: str) -> dict[str, str]:
    told = json.loads(user.run("report", *records, "--format", "json").out)
    return {cell["version"]: cell["outcome"] for cell in told["cells"]}


@pytest.mark.whole
def test_the_record_of_all_is_a_record_like_any_other(jobs: User) -> None:
    run = jobs.run("merge", "job-0.jsonl", "job-1.jsonl", "-o", "all.jsonl")
    assert run.code == 1, "a test has failed"
    assert "1 passed, 1 failed" in run.out
    assert outcomes(jobs, "all.jsonl") == outcomes(jobs, "job-0.jsonl", "job-1.jsonl") == {"1.1": "fail", "2.0": "pass"}
    assert jobs.run("show", "all.jsonl").out == run.out
    assert "2 cells came to the same" in jobs.run("diff", "all.jsonl", "all.jsonl").out
    assert "toy" in jobs.run("supports", "all.jsonl").out
    damaged = (jobs.folder / "all.jsonl").read_bytes().replace(b'"fail"', b'"pass"', 1)
    (jobs.folder / "damaged.jsonl").write_bytes(damaged)
    assert "isn't as it was written" in jobs.run("show", "damaged.jsonl").err
    once_more = jobs.run("merge", "all.jsonl", "job-1.jsonl", "-o", "more.jsonl")
    assert once_more.code == 1
    assert outcomes(jobs, "more.jsonl") == outcomes(jobs, "all.jsonl")
    assert sorted(path.name for path in jobs.folder.iterdir()) == sorted(
        ["all.jsonl", "check.py", "damaged.jsonl", "job-0.jsonl", "job-1.jsonl", "matrix.json", "more.jsonl"]
    )


def test_a_job_without_a_record_is_told(jobs: User) -> None:
    run = jobs.run("merge", "job-1.jsonl", "-o", "all.jsonl", "--expect", "matrix.json")
    assert run.code == 4, "nobody knows what it would have come to"
    assert "job 1.0 is missing: no cell of it is in a record" in run.out
    assert outcomes(jobs, "all.jsonl") == {"1.0": "interrupted", "1.1": "interrupted", "2.0": "pass"}
    assert jobs.run("show", "all.jsonl").out == run.out
    jobs.run("test", "check.py", "--versions", "1.0", "--json", "late.jsonl")
    run = jobs.run("merge", "all.jsonl", "late.jsonl", "job-0.jsonl", "-o", "whole.jsonl", "--expect", "matrix.json")
    assert run.code == 1
    assert outcomes(jobs, "whole.jsonl") == {"1.0": "fail", "1.1": "fail", "2.0": "pass"}


def test_a_job_that_was_killed_is_not_finished(jobs: User) -> None:
    whole = (jobs.folder / "job-0.jsonl").read_bytes()
    (jobs.folder / "job-0.jsonl").write_bytes(whole[: whole.index(b'{"event":"cell-finished"')])
    run = jobs.run("merge", "job-0.jsonl", "job-1.jsonl", "-o", "all.jsonl")
    assert run.code == 130
    assert outcomes(jobs, "all.jsonl") == {"1.1": "interrupted", "2.0": "pass"}


def test_the_whole_matrix_is_compared_with_a_baseline(jobs: User) -> None:
    records = ("job-0.jsonl", "job-1.jsonl")
    jobs.run("merge", *records, "-o", "main.jsonl")
    run = jobs.run("merge", *records, "-o", "all.jsonl", "--baseline", "main.jsonl")
    assert run.code == 0
    assert "Against main.jsonl: nothing has moved." in run.out
    jobs.run("test", "check.py", "--versions", "1.0", "--json", "new.jsonl")
    run = jobs.run("merge", *records, "new.jsonl", "-o", "all.jsonl", "--baseline", "main.jsonl")
    assert run.code == 1
    assert f"new        toy==1.0@py{PY}@era  fail" in run.out


def test_what_cannot_be_merged_is_told(user: User) -> None:
    user.write("check.py", CHECK)
    user.run("test", "check.py", "--versions", "2.0", "--json", "job.jsonl")
    before = (user.folder / "job.jsonl").read_bytes()
    for words, said in (
        (("no.jsonl", "-o", "all.jsonl"), "no.jsonl is no run"),
        (("check.py", "-o", "all.jsonl"), "is not a record"),
        (("job.jsonl", "check.py", "-o", "job.jsonl"), "is one of the records"),
        (("job.jsonl", "-o", "no/all.jsonl"), "There is no folder"),
        (("job.jsonl", "-o", "check.py"), "would be written over"),
        (("job.jsonl", "-o", "all.jsonl", "--expect", "check.py"), "is not a matrix"),
        (("job.jsonl", "-o", "all.jsonl", "--expect", "no.json"), "can't be read"),
        (("-o", "all.jsonl"), "Missing argument"),
    ):
        run = user.run("merge", *words)
        assert run.code == 2, words
        assert said in run.err
        assert not (user.folder / "all.jsonl").exists()
    assert (user.folder / "job.jsonl").read_bytes() == before


def test_a_matrix_takes_pages_of_the_index_alone(user: User, index: Simulator) -> None:
    run = user.run("ci-matrix", "--versions", "all", "--python", f"{PY},3.99", "--shards", "2")
    assert run.code == 0, run.err
    assert not [request.path for request in index.log if request.path.endswith((".whl", ".metadata"))]
    jobs = json.loads(run.out)["include"]
    assert [(job["versions"], job["python"], job["cells"]) for job in jobs] == [
        ("1.0,2.0", f"{PY},3.99", 4),
        ("1.1", f"{PY},3.99", 2),
    ]
    assert "tf-tester: 6 cells in 2 jobs; no times are known" in run.err
    assert user.run("ci-matrix", "--versions", "all", "--python", f"{PY},3.99", "--shards", "2").out == run.out


def test_jobs_are_packed_by_what_cells_took(user: User) -> None:
    with RecordWriter(user.folder / "main.jsonl", lambda: datetime(2026, 11, 1, tzinfo=UTC)) as writer:
        cells = tuple(Cell.of("toy", version, PY, Resolution.ERA) for version in ("1.0", "1.1"))
        writer.tell(RunStarted("20261101T000000-1", "2026-11-01T00:00:00Z", "tf-tester 0", {}, cells, ""))
        for cell, took in zip(cells, (3.0, 60.0), strict=True):
            writer.tell(CellFinished(CellResult(cell.name, Outcome.PASS, phases={"resolve": 1.0, "run": took})))
        writer.tell(RunFinished(0, interrupted=False, wall_s=64.0))
    words = ("ci-matrix", "--versions", "all", "--shards", "2", "--durations", "main.jsonl")
    run = user.run(*words, env={"TF_TESTER_PYTHON": PY})
    assert [job["name"] for job in json.loads(run.out)["include"]] == ["1.1", "1.0 and 1 more"]
    assert "3 cells in 2 jobs; the longest takes about 1 min 01 s, of 2 cells known" in run.err


def test_a_python_of_this_machine_is_no_plan_for_others(user: User) -> None:
    run = user.run("ci-matrix", "--versions", "all", "--python", sys.executable)
    assert run.code == 2
    assert "is a Python of this machine, and jobs run on others" in run.err


def test_a_python_that_could_be_installed_is_planned_for(user: User, index: Simulator) -> None:
    filename, content = make_wheel("toy", "3.0", tag="cp315-cp315-manylinux_2_17_x86_64")
    index.add_wheel(filename, content, upload_time="2023-03-01T00:00:00Z")
    for more, planned in ((), "-"), (("--install-python",), "3.15"):
        words = ("ci-matrix", "--versions", "2.0,3.0", "--shards", "2", *more)
        run = user.run(*words, env={"TF_TESTER_PYTHON": ""})
        told = [job["planned_python"] for job in json.loads(run.out)["include"]]
        assert planned in ",".join(told).split(",")
