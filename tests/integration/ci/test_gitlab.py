"""The GitLab templates, their scripts run as a runner would."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from tests.gitlab import TOKEN, GitLab, KeptJob
from tests.integration.ci.conftest import programs
from tests.pipelines import PipelineJob, Runner, included
from tests.simulator import Simulator
from tests.unit.test_docs import ROOT, blocks

SHOWN = [
    yaml.safe_load(block.replace("tests/", "check.py"))
    for language, block in blocks(ROOT / "docs" / "how-to" / "ci.md")
    if language == "yaml" and "include:" in block
]
ONE_JOB, SEVERAL_JOBS = ({**one["include"][0]["inputs"], "tf-tester": ""} for one in SHOWN[:2])
OWN_MATRIX = {name: job for name, job in SHOWN[2].items() if name != "include"}


@pytest.fixture
def runner(tmp_path: Path, index: Simulator) -> Runner:
    checkout = tmp_path / "project"
    checkout.mkdir()
    (checkout / "check.py").write_text("import toy\nassert toy.spin() == 2\n")
    env = {
        "PATH": f"{programs(tmp_path)}{os.pathsep}{os.defpath}",
        "TF_TESTER_INDEX_URL": index.simple_url,
        "TF_TESTER_PACKAGE": "toy",
        "CI_DEFAULT_BRANCH": "main",  # which GitLab sets for every job
    }
    return Runner(tmp_path / "runner", checkout, env)


@pytest.fixture
def gitlab() -> Iterator[GitLab]:
    with GitLab() as server:
        yield server


def run(runner: Runner, template: str, given: dict[str, Any]) -> list[PipelineJob]:
    return runner.run(included(ROOT / "templates" / template, given))


@pytest.mark.whole
def test_one_job_has_its_reports_however_it_ends(runner: Runner, index: Simulator) -> None:
    [job] = run(runner, "test.yml", ONE_JOB)
    assert job.code == 1, job.log
    assert len(ElementTree.fromstring(job.reports["junit"]).findall("testsuite")) == 3
    assert [one["location"]["path"] for one in json.loads(job.reports["codequality"])] == ["check.py"]
    assert (runner.home / "artifacts" / "tf-tester all" / "tf-tester" / "record.jsonl").is_file()

    index.forget_counts()
    (runner.checkout / "base.json").write_text('{"format": 1, "cells": {}}')
    [job] = run(runner, "test.yml", {**ONE_JOB, "baseline": "base.json", "package": "toy"})
    assert job.code == 1
    assert "Against base.json: 3 results moved" in job.log
    assert not [name for name in index.requests if name.endswith(".whl")], "the store came out of the cache"

    [job] = run(runner, "test.yml", {**ONE_JOB, "versions": "nonsense"})
    assert job.code == 2
    assert job.reports == {}


@pytest.mark.whole
@pytest.mark.parametrize(("template", "inputs"), [("test.yml", ONE_JOB), ("matrix.yml", {**SEVERAL_JOBS, "jobs": 2})])
def test_a_merge_request_is_compared_with_the_default_branch(
    runner: Runner, gitlab: GitLab, template: str, inputs: dict[str, Any]
) -> None:
    given = {**inputs, "baseline": "default-branch"}

    def last(**variables: str) -> PipelineJob:
        runner.env |= {**gitlab.variables, **variables}
        return run(runner, template, given)[-1]

    first = last(CI_COMMIT_BRANCH="main", CI_MERGE_REQUEST_IID="")
    assert first.code == 1, "two versions fail"
    assert "This is the default branch: it is compared with nothing." in first.log
    assert "There is no merge request to comment on." in first.log
    folder = runner.home / "artifacts" / "tf-tester all"
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    gitlab.pipelines.append(("main", [KeptJob("tf-tester", "failed", files)]))

    second = last(CI_COMMIT_BRANCH="")
    assert second.code == 0, second.log
    assert "Against .tf-tester-main.jsonl: nothing has moved." in second.log
    assert "Wrote the comment of merge request 3." in second.log

    (runner.checkout / "check.py").write_text("import toy\nassert not toy.spin()\n")
    third = last(CI_COMMIT_BRANCH="")
    assert third.code == 1
    assert "1 result moved, 1 for the worse" in third.log
    assert "Updated the comment of merge request 3." in third.log
    assert len(gitlab.notes) == 1
    assert "fails with all 3 versions" in gitlab.notes[0]["body"]
    assert TOKEN not in third.log

    without = last(CI_COMMIT_BRANCH="", GITLAB_TOKEN="")
    assert without.code == 1
    assert "No baseline: the variable GITLAB_TOKEN isn't set" in without.log
    assert "No comment: the variable GITLAB_TOKEN isn't set" in without.log
    assert len(json.loads(without.reports["codequality"])) == 1


@pytest.mark.whole
def test_several_jobs_have_one_report(runner: Runner) -> None:
    plan, *tests, judge = run(runner, "matrix.yml", {**SEVERAL_JOBS, "jobs": 4})
    assert plan.code == 0, plan.log
    assert [job.code for job in tests] == [0, 0, 0, 0], "the last job judges"
    assert "There are fewer cells than jobs" in tests[3].log
    assert judge.code == 1
    assert len(ElementTree.fromstring(judge.reports["junit"]).findall("testsuite")) == 3
    assert len(json.loads(judge.reports["codequality"])) == 1

    (runner.checkout / "check.py").write_text("import toy, os\n")
    jobs = included(ROOT / "templates" / "matrix.yml", {**SEVERAL_JOBS, "jobs": 2})
    jobs["tf-tester test"]["script"].insert(0, 'if [ "$CI_NODE_INDEX" = 2 ]; then exit 7; fi')
    plan, *tests, judge = runner.run(jobs)
    assert "the longest takes about" in plan.log, "by the record of the first pipeline"
    assert [job.code for job in tests] == [0, 7]
    assert judge.code == 4
    assert "is missing: no cell of it is in a record" in judge.log


@pytest.mark.whole
def test_a_matrix_in_the_repository_is_a_job_for_each_version(runner: Runner) -> None:
    planning = {"plan": {"script": ["tf-tester ci-matrix --versions all --format gitlab"]}}
    [plan] = runner.run(planning)
    made = plan.log[plan.log.index("{") :]
    jobs = runner.run({**yaml.safe_load(made), **OWN_MATRIX})
    assert [job.code for job in jobs] == [1, 1, 0]
    assert ["1 failed" in job.log for job in jobs] == [True, True, False]
    kept = (runner.home / "artifacts").glob("*/*.jsonl")
    assert sorted(path.name for path in kept) == ["record-1.jsonl", "record-2.jsonl", "record-3.jsonl"]
