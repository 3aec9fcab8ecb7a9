"""`tf-tester gitlab` beside GitLab's API: a comment in its place, the default branch's record, a token that stays."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.gitlab import ME, GitLab, KeptJob
from tf_tester.cli import main
from tf_tester.model.cell import Cell
from tf_tester.model.events import CellFinished, RunFinished, RunStarted
from tf_tester.model.lock import Resolution
from tf_tester.model.outcome import CellResult, Outcome
from tf_tester.report.record import RecordWriter, report_of

MARKER = "<!-- tf-tester: tf-tester -->"
RECORD = "tf-tester/record.jsonl"


@pytest.fixture
def gitlab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[GitLab]:
    with GitLab() as server:
        for name, value in server.variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("TF_TESTER_STORE", str(tmp_path / "store"))
        monkeypatch.chdir(tmp_path)
        yield server


def record(file: Path, outcome: Outcome = Outcome.PASS) -> bytes:
    """Write the record of a run with one cell, and return it."""
    cell = Cell.of("toy", "1.0", "3.11", Resolution.ERA)
    file.unlink(missing_ok=True)
    with RecordWriter(file, lambda: datetime(2026, 12, 1, tzinfo=UTC)) as writer:
        writer.tell(RunStarted("1", "2026-12-01T10:00:00Z", "tf-tester", {}, (cell,), ""))
        writer.tell(CellFinished(CellResult(cell.name, outcome)))
        writer.tell(RunFinished(0, False, 1.0))
    return file.read_bytes()


def run(*words: str) -> int:
    return main._exit_code(["gitlab", *words])


def test_a_comment_is_written_once_and_then_anew(gitlab: GitLab, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(120):
        gitlab.add(f"{MARKER} by somebody who wants it to be replaced: {number}")
    record(Path("record.jsonl"))
    assert run("comment", "record.jsonl") == 0
    assert capsys.readouterr().out == "Wrote the comment of merge request 3.\n"
    record(Path("record.jsonl"), Outcome.FAIL)
    assert run("comment", "record.jsonl") == 0
    assert capsys.readouterr().out == "Updated the comment of merge request 3.\n"
    [own] = [note["body"] for note in gitlab.notes if note["author"] == {"id": ME}]
    assert own.startswith(f"{MARKER}\n### toy fails with 1.0 (1 reason).\n")
    assert own.endswith("[The job, with all reports](https://gitlab.invalid/team/lib/-/jobs/5)\n")


def test_a_pipeline_of_a_branch_knows_its_merge_request(gitlab: GitLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI_MERGE_REQUEST_IID")
    monkeypatch.delenv("CI_MERGE_REQUEST_PROJECT_ID")
    monkeypatch.setenv("CI_OPEN_MERGE_REQUESTS", "team/lib!3")
    record(Path("record.jsonl"))
    assert run("comment", "record.jsonl") == 0
    assert len(gitlab.notes) == 1
    monkeypatch.delenv("CI_OPEN_MERGE_REQUESTS")
    assert run("comment", "record.jsonl") == 0
    assert len(gitlab.notes) == 1


def test_without_a_token_it_says_so_and_goes_on(
    gitlab: GitLab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GITLAB_TOKEN")
    record(Path("record.jsonl"))
    assert run("comment", "record.jsonl") == run("baseline", "-o", "main.jsonl") == 0
    no_comment, no_baseline = capsys.readouterr().out.splitlines()
    assert no_comment.startswith("No comment: the variable GITLAB_TOKEN isn't set")
    assert no_baseline.startswith("No baseline: the variable GITLAB_TOKEN isn't set")
    assert gitlab.requests == []


def test_the_record_is_that_of_the_newest_job_that_has_one(
    gitlab: GitLab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = [KeptJob(f"build {number}", "success", {"a": b"b"}) for number in range(150)]
    known = record(tmp_path / "known.jsonl")
    gitlab.pipelines = [
        ("main", [KeptJob("tf-tester", "success", {RECORD: b"old"})]),
        ("main", [*others, KeptJob("tf-tester", "failed", {RECORD: known})]),
        ("main", [KeptJob("tf-tester", "failed", {"tf-tester/other": b"it ended at once"})]),
        ("main", [KeptJob("tf-tester", "failed")]),
        ("main", [KeptJob("tf-tester", "running", {RECORD: b"half"})]),
        ("feature", [KeptJob("tf-tester", "success", {RECORD: b"of a branch"})]),
    ]
    assert run("baseline", "-o", "main.jsonl") == 0
    assert capsys.readouterr().out == "Brought the record of main, with which this run is compared.\n"
    assert report_of(Path("main.jsonl")).run_id == "1"
    assert Path("main.jsonl").read_bytes() == known
    assert sorted(path.name for path in tmp_path.iterdir()) == ["known.jsonl", "main.jsonl"]


def test_where_there_is_no_record_nothing_is_written(
    gitlab: GitLab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gitlab.pipelines = [("main", [KeptJob("another", "success", {RECORD: b"x"})])]
    assert run("baseline", "-o", "main.jsonl") == 0
    assert "of main there is no record yet" in capsys.readouterr().out
    monkeypatch.setenv("CI_COMMIT_BRANCH", "main")
    assert run("baseline", "-o", "main.jsonl") == 0
    assert "it is compared with nothing" in capsys.readouterr().out
    assert not Path("main.jsonl").exists()


@pytest.mark.parametrize(("status", "hint"), [(401, True), (403, True), (500, False)])
def test_what_gitlab_refuses_is_told_and_fails_no_job(
    gitlab: GitLab, status: int, hint: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    gitlab.refuses = status
    record(Path("record.jsonl"))
    assert run("comment", "record.jsonl") == run("baseline", "-o", "main.jsonl") == 0
    said = capsys.readouterr().out
    assert f"No comment: GitLab answered {status}.\n" in said
    assert f"No baseline: GitLab answered {status}.\n" in said
    assert ("The token must be one of this project" in said) is hint


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/api/v4", "nonsense"])
def test_a_gitlab_that_is_not_there_fails_no_job(
    gitlab: GitLab, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI_API_V4_URL", url)
    assert run("baseline", "-o", "main.jsonl") == 0
    assert "No baseline: GitLab could not be asked" in capsys.readouterr().out


def test_outside_of_gitlab_the_variable_that_is_missing_is_named(
    gitlab: GitLab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CI_JOB_NAME")
    assert run("baseline", "-o", "main.jsonl") == 2
    assert "The variable CI_JOB_NAME isn't set." in capsys.readouterr().err
