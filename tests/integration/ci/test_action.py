"""The composite action, run step by step in the workflows that the documentation shows."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

import pytest

from tests.forking import PYTHONPATH
from tests.github import GitHub
from tests.integration.ci.conftest import programs
from tests.simulator import Simulator
from tests.unit.test_docs import ROOT, blocks
from tests.wheels import make_wheel
from tests.workflows import JobResult, Service, run_workflow

ONE_JOB, SEVERAL_JOBS = (
    block.replace("tests: tests/", "tests: check.py").replace("name: matrix\n", "name: matrix, of all\n")
    for language, block in blocks(ROOT / "docs" / "how-to" / "ci.md")
    if language == "yaml" and "OWNER/tf-tester@" in block and "jobs:" in block
)
PASSES = "import toy\n"
KNOWN = "import toy\nassert toy.spin() == 2\n"
"""Fails with toy 1.0 and 1.1."""
OWN = (ROOT / ".github" / "workflows" / "matrix.yml").read_text()
BROKEN = "import toy\nassert not toy.spin()\n"
PULL_REQUEST = {"pull_request": {"number": 7}}


@dataclass
class Project:
    """A repository, and the service that has it."""

    service: Service
    folder: Path

    def push(self, text: str, workflow: str = ONE_JOB) -> dict[str, list[JobResult]]:
        """Push to the default branch."""
        return self._run("push", "refs/heads/main", text, workflow)

    def pull_request(self, text: str, workflow: str = ONE_JOB) -> dict[str, list[JobResult]]:
        return self._run("pull_request", "refs/pull/7/merge", text, workflow, **PULL_REQUEST)

    def _run(self, event_name: str, ref: str, text: str, workflow: str, **event: object) -> dict[str, list[JobResult]]:
        (self.folder / "check.py").write_text(text)
        self.service.next_run(event_name, ref, **event)
        return run_workflow(workflow, self.service, self.folder)

    def artifact(self, name: str) -> Path:
        return self.service.home / "artifacts" / name

    def caches(self, kind: str) -> list[str]:
        """Keys of caches, and the branch that each belongs to."""
        found = (self.service.home / "caches").glob(f"*/*/tf-tester-{kind}-*")
        return sorted(f"{path.parts[-3]} {path.name}" for path in found)


@pytest.fixture
def github() -> Iterator[GitHub]:
    with GitHub() as server:
        yield server


@pytest.fixture
def project(tmp_path: Path, index: Simulator, github: GitHub) -> Project:
    env = {
        "PATH": f"{programs(tmp_path)}{os.pathsep}{os.defpath}",
        "TF_TESTER_INDEX_URL": index.simple_url,
        "TF_TESTER_PACKAGE": "toy",
    }
    service = Service(tmp_path / "service", api=github.url, env=env, inputs={"tf-tester": "installed"})
    (tmp_path / "project").mkdir()
    return Project(service, tmp_path / "project")


def one(done: dict[str, list[JobResult]]) -> JobResult:
    [[result]] = done.values()
    return result


@pytest.mark.whole
def test_a_job_from_the_first_push_to_the_comment(project: Project, index: Simulator, github: GitHub) -> None:
    github.add("<!-- tf-tester: matrix, of all -->\nwritten by somebody who wants it to be replaced")

    first = one(project.push(KNOWN))
    assert first.result == "failure", "two versions fail"
    assert "toy works with 2.0; fails with 1.0 to 1.1" in first.summary
    assert "::error file=check.py,line=2" in first.log
    assert first.outcome("Comment") == "skipped"
    assert first.outcome("End as tf-tester did") == "failure"
    kept = {path.name for path in project.artifact("tf-tester-job-matrix").iterdir()}
    assert kept == {"record.jsonl", "report.html", "junit.xml", "failures.sarif", "summary.md", "comment.md"}
    [saved] = project.caches("store")
    assert saved.startswith("refs_heads_main tf-tester-store-Linux-X64-")
    assert len(project.caches("record")) == 1

    index.forget_counts()
    second = one(project.pull_request(KNOWN))
    assert second.result == "success", "what fails on the default branch is known"
    assert "nothing has moved" in second.log
    assert "1 cell replayed" in second.log
    assert "::error" not in second.log
    assert not [name for name in index.requests if name.endswith(".whl")], "the store came out of the cache"
    assert "Wrote the comment of pull request 7" in second.log
    assert len(project.caches("store")) == 1, "nobody else could use what a pull request saves"
    assert [comment["user"]["type"] for comment in github.comments] == ["User", "Bot"]
    assert github.tokens == {"Bearer token-of-the-job"}
    assert "token-of-the-job" not in second.log

    third = one(project.pull_request(BROKEN))
    assert third.result == "failure"
    assert "1 result moved, 1 for the worse" in third.log
    assert "::error file=check.py,line=2" in third.log
    assert "Updated the comment of pull request 7" in third.log
    assert len(github.comments) == 2
    assert "fails with all 3 versions" in github.comments[1]["body"]
    assert "https://github.invalid/team/project/actions/runs/4" in github.comments[1]["body"]
    assert "somebody" in github.comments[0]["body"], "what a person wrote stays"

    github.is_read_only = True
    fork = one(project.pull_request(KNOWN))
    assert fork.result == "success", "that is no failure of the tests"
    assert fork.outcome("Comment") == "success"
    assert "::notice title=tf-tester::No comment: the token may not write one." in fork.log
    assert "fails with all 3 versions" in github.comments[1]["body"]

    again = one(project.push(KNOWN))
    assert again.result == "failure"
    assert again.outcome("Save the store") == "skipped", "it holds nothing new"
    assert len(project.caches("record")) == 2

    planning = SEVERAL_JOBS[: SEVERAL_JOBS.index("  test:\n")].replace("name: large matrix", "name: matrix, of all")
    assert "the longest takes about" in one(project.pull_request(KNOWN, planning)).log, "as the default branch knows"


@pytest.mark.whole
def test_a_matrix_over_several_jobs_tells_the_one_that_is_lost(project: Project, github: GitHub) -> None:
    project.service.lost = frozenset({"tf-tester-job-1.1"})
    done = project.pull_request("import toy\nassert toy.__version__ != '1.0'\n", SEVERAL_JOBS)
    assert done["plan"][0].result == "success"
    matrix = json.loads(done["plan"][0].outputs["matrix"])
    assert [job["versions"] for job in matrix["include"]] == ["1.0", "1.1", "2.0"]
    assert [job.result for job in done["test"]] == ["success"] * 3, "the last job judges"
    assert [job.summary for job in done["test"]] == [""] * 3
    [merge] = done["merge"]
    assert merge.result == "failure"
    assert "job 1.1 is missing: no cell of it is in a record" in merge.log
    assert "Its job, 1.1, left no record of it." in merge.summary
    assert len(github.comments) == 1
    assert "record.jsonl" in {path.name for path in project.artifact("tf-tester-all-merge").iterdir()}


OTHER_PART = """
  other:
    runs-on: ubuntu-latest
    steps:
      - uses: OWNER/tf-tester@v0.1.0
        with: {tests: other.py, versions: "2.0", part: true, name: toy-next 2.0}
  merge:
"""


@pytest.mark.whole
def test_parts_of_another_name_are_not_merged(project: Project) -> None:
    named = (
        SEVERAL_JOBS.replace("command: matrix\n", "command: matrix\n          name: toy\n")
        .replace("name: ${{ matrix.name }}\n          arguments", "name: toy ${{ matrix.name }}\n          arguments")
        .replace("command: merge\n", "command: merge\n          name: toy\n")
        .replace("\n  merge:\n", OTHER_PART)
    )
    (project.folder / "other.py").write_text(BROKEN)
    done = project.push(PASSES, named)
    assert [one.result for one in (*done["test"], *done["other"], *done["merge"])] == ["success"] * 5
    assert project.artifact("tf-tester-job-toy-next+2.0").is_dir()
    assert "other.py" not in (project.artifact("tf-tester-all-toy") / "record.jsonl").read_text()
    assert [key for key in project.caches("record") if "=toy=" in key]


def test_a_mistake_is_told_and_fails_the_job(project: Project) -> None:
    project.service.inputs |= {"versions": "nonsense", "sarif": "true"}
    wrong = one(project.push(PASSES))
    assert wrong.result == "failure"
    assert "--versions 'nonsense' is neither" in wrong.log
    assert "tf-tester left no record" in wrong.log
    assert not project.artifact("tf-tester-job-matrix").exists()
    assert project.caches("") == []

    project.service.inputs |= {"versions": "2.0", "arguments": "--env 'A=1"}
    wrong = one(project.push(PASSES))
    assert wrong.result == "failure"
    assert "An input can't be read as words of a shell: No closing quotation" in wrong.log


@pytest.mark.whole
def test_a_job_that_is_cancelled_keeps_its_record(project: Project, github: GitHub) -> None:
    project.service.inputs |= {"versions": "1.0,2.0"}
    project.service.cancelled_at = "[1/2] 1.0"
    done = one(project.pull_request("import time, toy\nif toy.spin() == 2:\n    time.sleep(600)\n"))
    assert "1 passed, 1 interrupted" in done.log
    assert "the run was interrupted" in done.summary
    assert (project.artifact("tf-tester-job-matrix") / "record.jsonl").is_file()
    assert len(github.comments) == 1
    assert done.outcome("Save the store") == "skipped"


@pytest.mark.whole
def test_inputs_are_words_and_no_commands(project: Project) -> None:
    project.service.inputs |= {
        "tests": "check.py",
        "package": "toy",
        "versions": "2.0",
        "sarif": "true",
        "name": "$(touch pwned); `touch pwned`",
        "arguments": "--env 'A=$(touch pwned) and two' --no-cache",
    }
    text = "import os\nassert os.environ['A'] == '$(touch pwned) and two'\nimport toy\n"
    done = one(project.push(text, OWN))
    assert done.result == "success", done.log
    assert not list(done.workspace.rglob("pwned"))
    assert project.artifact("tf-tester-job---touch+pwned--+-touch+pwned-").is_dir()
    assert done.outcome("Upload to code scanning") == "success"


@pytest.mark.whole  # a virtual environment and pip take longer than the rest
def test_what_pip_is_to_install_is_used(project: Project, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tf_tester"]
    start = (
        f"import os, sys\nos.environ['PYTHONPATH'] = {PYTHONPATH!r}\nos.execv({words[0]!r}, {words!r} + sys.argv[1:])\n"
    )
    name, content = make_wheel(
        "tf-tester",
        "9.9",
        files={"start.py": f"def run():\n{indent(start, '    ')}"},
        entry_points={"tf-tester": "start:run"},
    )
    (tmp_path / name).write_bytes(content)
    project.service.inputs |= {"tf-tester": str(tmp_path / name), "versions": "2.0", "cache": "false"}
    done = one(project.push(PASSES))
    assert done.result == "success", done.log
    assert not project.caches("store")


@pytest.mark.real
def test_the_action_installs_itself_with_locked_requirements(project: Project) -> None:
    project.service.env |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    project.service.inputs |= {"tf-tester": "", "versions": "2.0"}
    done = one(project.push(PASSES))
    if "No matching distribution" in done.log or "Could not find a version" in done.log:
        pytest.skip("no index has the requirements")
    assert done.result == "success", done.log
