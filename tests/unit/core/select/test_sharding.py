"""Cells packed into the jobs of a CI system."""

import json
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_tester.core.select.matrix import hypothetical
from tf_tester.core.select.sharding import MatrixJob, github_matrix, gitlab_matrix, read_matrix, shards
from tf_tester.errors import UsageError
from tf_tester.model.cell import Cell, PlannedCell, Refusal
from tf_tester.model.host.platform import Platform
from tf_tester.model.lock import Resolution
from tf_tester.model.outcome import Outcome

NONE = Refusal(Outcome.NO_WHEEL, "none")
PYTHON = hypothetical((3, 11), Platform())


def planned(version: str, python: str = "3.11", *, can_run: bool = True) -> PlannedCell:
    cell = Cell.of("toy", version, python, Resolution.ERA)
    return PlannedCell(cell, PYTHON) if can_run else PlannedCell(cell, refusal=NONE)


def named(jobs: tuple[MatrixJob, ...]) -> list[str]:
    return [job.name for job in jobs]


def test_each_version_is_a_job_of_its_own() -> None:
    jobs = shards([planned("1.0"), planned("2.0")], (), {}, 256)
    assert named(jobs) == ["1.0", "2.0"]
    assert jobs[0].arguments == ("--package", "toy", "--versions", "1.0", "--resolve", "era")


def test_the_longest_cells_are_spread() -> None:
    cells = [planned(version) for version in ("1.0", "2.0", "3.0", "4.0")]
    took = {cell.cell.name: seconds for cell, seconds in zip(cells, (10.0, 61.0, 20.0, 30.0), strict=True)}
    jobs = shards(cells, (), took, 2)
    assert [(job.versions, job.seconds) for job in jobs] == [(("2.0",), 61.0), (("1.0", "3.0", "4.0"), 60.0)]
    assert named(jobs) == ["2.0", "1.0 and 2 more"]


def test_what_is_not_known_counts_as_the_same_version_elsewhere_or_as_the_median() -> None:
    cells = [planned("1.0"), planned("2.0"), planned("3.0")]
    jobs = shards(cells, (), {"toy==1.0@py3.8@era": 8.0, "toy==2.0@py3.11@era": 2.0, "gear==1@py3.11@era": 99.0}, 9)
    assert {job.name: job.seconds for job in jobs} == {"1.0": 8.0, "2.0": 2.0, "3.0": 5.0}


def test_a_cell_that_cannot_run_gets_no_machine_of_its_own() -> None:
    cells = [planned("1.0", "-", can_run=False), planned("2.0"), planned("3.0")]
    assert [job.versions for job in shards(cells, (), {}, 256)] == [("1.0", "2.0"), ("3.0",)]
    assert [job.versions for job in shards(cells[:1], (), {}, 256)] == [("1.0",)], "somebody has to tell why"


def test_of_a_version_with_several_pythons_jobs_have_some() -> None:
    cells = [planned(version, python) for version in ("1.0", "2.0") for python in ("3.10", "3.11")]
    assert [(job.name, job.pythons) for job in shards(cells, ("3.10.4", "3.11"), {}, 3)] == [
        ("2.0", ("3.10.4", "3.11")),
        ("1.0 py3.10", ("3.10.4",)),
        ("1.0 py3.11", ("3.11",)),
    ]


VERSIONS = st.lists(st.sampled_from([f"{number}.0" for number in range(9)]), min_size=1, unique=True)
PYTHONS = st.lists(st.sampled_from(["3.8", "3.9", "3.10", "3.11"]), unique=True)


@given(VERSIONS, PYTHONS, st.integers(1, 12), st.data())
def test_each_cell_is_in_just_one_job(versions: list[str], pythons: list[str], most: int, data: st.DataObject) -> None:
    cells = [
        planned(version, python, can_run=data.draw(st.booleans()))
        for version in versions
        for python in pythons or ["3.11"]
    ]
    took = {one.cell.name: data.draw(st.sampled_from([0.0, 1.0, 5.0])) for one in cells if data.draw(st.booleans())}
    jobs = shards(cells, pythons, took, most)
    assert 1 <= len(jobs) <= most
    assert len(set(named(jobs))) == len(jobs)
    wanted = sorted((one.cell.version, one.cell.python) for one in cells)
    meant = [(cell.version, cell.python) for job in jobs for cell in job.cells]
    assert sorted(meant) == wanted, "what a job's options mean together is what it was given"
    assert [sum(job.has(one.cell) for job in jobs) for one in cells] == [1] * len(cells)
    assert jobs == shards(cells, pythons, took, most)
    runnable = [one for one in cells if one.refusal is None]
    if not took and len(runnable) >= most:
        assert len(jobs) in (most, most - 1), "no machine is left unused"


@given(VERSIONS, PYTHONS, st.integers(1, 12))
def test_a_matrix_is_read_as_it_was_written(versions: list[str], pythons: list[str], most: int) -> None:
    cells = [planned(version, python) for version in versions for python in pythons or ["3.11"]]
    jobs = shards(cells, pythons, {}, most)
    read = read_matrix(github_matrix(jobs).encode(), shown="m.json")
    assert [job.arguments for job in read] == [job.arguments for job in jobs]
    assert [job.cells for job in read] == [job.cells for job in jobs]


def test_the_matrix_for_github_has_what_a_workflow_needs() -> None:
    text = github_matrix(shards([planned("1!2.0+cpu")], ("3.11",), {}, 9))
    assert "\n" not in text, "it is an output of a step"
    [entry] = json.loads(text)["include"]
    assert entry | {"arguments": ""} == {
        "name": "1!2.0+cpu",
        "package": "toy",
        "versions": "1!2.0+cpu",
        "python": "3.11",
        "planned_python": "",
        "resolve": "era",
        "cells": 1,
        "arguments": "",
    }
    assert shlex.split(entry["arguments"])[3] == "1!2.0+cpu"


def test_the_matrix_for_gitlab_is_made_of_settings() -> None:
    hidden = json.loads(gitlab_matrix(shards([planned("1.0"), planned("2.0")], ("3.11",), {}, 9)))
    assert hidden[".tf-tester-matrix"]["variables"] == {"TF_TESTER_PACKAGE": "toy", "TF_TESTER_RESOLVE": "era"}
    assert hidden[".tf-tester-matrix"]["parallel"]["matrix"][1] == {
        "TF_TESTER_VERSIONS": "2.0",
        "TF_TESTER_PYTHON": "3.11",
    }


@pytest.mark.parametrize(
    "text", [b"", b"[]", b'{"include": 1}', b'{"include": [{"name": "a"}]}', b'{"include": []}', b"[" * 9999, b"\xff"]
)
def test_what_is_no_matrix_is_told(text: bytes) -> None:
    with pytest.raises(UsageError, match=r"m\.json (is not a matrix|has no jobs)"):
        read_matrix(text, shown="m.json")
