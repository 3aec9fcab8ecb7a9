"""Reports for CI systems and other people, of records and at the end of a run."""

import json
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.forking import PYTHONPATH
from tests.integration.conftest import User

CHECK = "import toy\nassert toy.spin() == 2\n"


@pytest.fixture
def ran(user: User) -> User:
    """A user whose last run has two versions that work and one that doesn't."""
    user.write("check.py", CHECK)
    run = user.run("test", "check.py", "--versions", "1.0,2.0", "--json", "run.jsonl")
    assert run.outcomes() == {"1.0": "fail", "2.0": "pass"}
    return user


def test_test_writes_reports_at_its_end_and_leaves_as_without(user: User) -> None:
    user.write("check.py", CHECK)
    words = ["--report", "junit=out.xml", "--report", "summary.md", "--report", "sarif=-"]
    run = user.run("test", "check.py", "--versions", "1.0,2.0", *words)
    assert run.code == 1
    suites = ElementTree.parse(user.folder / "out.xml").getroot()
    assert [(one.get("name"), one.get("failures")) for one in suites] == [
        (f"toy 1.0 {python(suites[0].get('name'))}", "1"),
        (f"toy 2.0 {python(suites[1].get('name'))}", "0"),
    ]
    assert (user.folder / "summary.md").read_text().startswith("### toy works with 2.0; fails with 1.0 (1 reason).\n")
    assert json.loads(run.out)["version"] == "2.1.0"
    assert "What fails" in run.err, "the report for people is not in between"


def python(name: str | None) -> str:
    return (name or "").rpartition(" ")[2]


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (["pdf=out.pdf"], "There is no report format pdf", "junit, markdown"),
        (["junit"], "--report junit names no file", "--report junit=FILE"),
        (["junit="], "--report junit= names no file", "--report junit=FILE"),
        (["out.txt"], "Which report out.txt is to be isn't said", "--format"),
        (["junit=no/where/out.xml"], "There is no folder", "Make it first"),
        (["junit=check.py"], "would be written over check.py", "file of its own"),
        (["junit=."], "is nothing that a report could be written into", "Name a file"),
        (["a.xml", "junit=a.xml"], "Two reports are to be written to a.xml", "file of its own"),
        (["junit=-", "sarif=-"], "Two reports are to be written to -", "file of its own"),
    ],
)
def test_what_cannot_be_written_is_told_before_anything_runs(
    user: User, words: list[str], said: str, hint: str
) -> None:
    user.write("check.py", CHECK)
    run = user.run("test", "check.py", *(part for word in words for part in ("--report", word)))
    assert run.code == 2
    assert said in run.err
    assert hint in run.err
    assert not (user.store / "runs").exists()


def test_a_report_that_cannot_be_written_hides_no_failure_and_no_other_report(user: User) -> None:
    user.write("check.py", CHECK)
    installed(user, "def render(report, rendering):\n    return 1 / 0\n")
    words = ["--report", "mine=mine.txt", "--report", "b.xml"]
    run = user.run("test", "check.py", "--versions", "1.0", *words)
    assert run.code == 1, "the test has failed"
    assert "The report format mine failed: ZeroDivisionError" in run.err
    assert (user.folder / "b.xml").exists()
    assert user.run("test", "check.py", "--versions", "2.0", *words).code == 4


def test_a_record_and_a_report_do_not_share_the_output(user: User) -> None:
    user.write("check.py", CHECK)
    run = user.run("test", "check.py", "--report", "junit=-", "--json")
    assert run.code == 2
    assert "Two things are to be written to standard output" in run.err


def test_any_run_can_be_reported_later(ran: User) -> None:
    first = ran.run("report", "--format", "json")
    assert first.code == 0, "whatever is in it"
    assert json.loads(first.out)["sentence"] == "toy works with 2.0; fails with 1.0 (1 reason)."
    assert ran.run("report", "run.jsonl", "-f", "json").out == first.out
    assert ran.run("report", "-o", "a.xml").code == 0
    assert ran.run("report", "last", "--format", "junit").out == (ran.folder / "a.xml").read_text()


def test_several_files_are_written_at_once(ran: User) -> None:
    assert ran.run("report", "run.jsonl", "-o", "a.xml", "-o", "b.md").code == 0
    assert ran.run("report", "--format", "junit").out == (ran.folder / "a.xml").read_text()
    assert (ran.folder / "b.md").read_text().startswith("### toy works with")
    wrong = ran.run("report", "run.jsonl", "--format", "junit", "-o", "c.xml", "-o", "d.xml")
    assert wrong.code == 2
    assert "can't go to several files" in wrong.err


def test_several_records_are_one_report(ran: User) -> None:
    ran.run("test", "check.py", "--versions", "1.1", "--json", "more.jsonl")
    told = json.loads(ran.run("report", "run.jsonl", "more.jsonl", "--format", "json").out)
    assert [(one["version"], one["outcome"]) for one in told["cells"]] == [
        ("1.0", "fail"),
        ("1.1", "fail"),
        ("2.0", "pass"),
    ]
    assert told["exit_code"] == 1


def test_a_comment_keeps_to_the_size_that_is_given(ran: User) -> None:
    assert len(ran.run("report", "--format", "markdown", "--most", "400").out.encode()) <= 400
    wrong = ran.run("report", "--format", "markdown", "--most", "a lot")
    assert wrong.code == 2
    assert "65000, 64kB or 1MiB" in wrong.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a record of tf-tester"),
        ("<html></html>", "is not a record of tf-tester"),
        ('{"format": 99, "event": "run-started"}\n', "has format 99"),
        ('{"a": 1}\n', "is not a record of tf-tester"),
    ],
)
def test_what_is_no_record_is_told(user: User, text: str, said: str) -> None:
    user.write("run.jsonl", text)
    run = user.run("report", "run.jsonl", "--format", "json")
    assert run.code == 2
    assert said in run.err


def test_a_record_that_was_cut_is_reported_as_far_as_it_goes(ran: User) -> None:
    whole = (ran.folder / "run.jsonl").read_bytes()
    (ran.folder / "cut.jsonl").write_bytes(whole[: whole.rindex(b'"cell-finished"') + 40])
    told = json.loads(ran.run("report", "cut.jsonl", "--format", "json").out)
    assert told["interrupted"]
    assert len(told["cells"]) == 2


def test_without_a_format_it_says_which_there_are(ran: User) -> None:
    run = ran.run("report")
    assert run.code == 2
    assert "--format: html, junit, markdown" in run.err


def installed(user: User, source: str) -> Path:
    """Install a distribution with a format called mine."""
    folder = user.home / "others"
    (folder / "mine-1.0.dist-info").mkdir(parents=True)
    (folder / "mine-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (folder / "mine-1.0.dist-info" / "entry_points.txt").write_text("[tf_tester.report_formats]\nmine = mine:render\n")
    (folder / "mine.py").write_text(source)
    user.env["PYTHONPATH"] = os.pathsep.join((PYTHONPATH, str(folder)))
    return folder


def test_a_format_of_ones_own_is_used_like_ours(ran: User) -> None:
    installed(ran, "def render(report, rendering):\n    return ' '.join(cell.version for cell in report.cells)\n")
    assert ran.run("report", "--format", "mine").out == "1.0 2.0"
    assert "mine" in ran.run("report", "--format", "no").err


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("import no_such_module\n", 2, "can't be loaded: ModuleNotFoundError"),
        ("def render(report, rendering):\n    return 1 / 0\n", 4, "The report format mine failed: ZeroDivisionError"),
    ],
)
def test_a_format_that_fails_is_named(ran: User, source: str, code: int, said: str) -> None:
    installed(ran, source)
    run = ran.run("report", "--format", "mine")
    assert run.code == code
    assert said in run.err


@pytest.mark.parametrize("variable", ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"])
def test_what_a_ci_system_marks_is_named_from_its_checkout(ran: User, variable: str) -> None:
    told = ran.run("report", "--format", "github", env={variable: str(ran.home)})
    assert f"file={ran.folder.name}/check.py,line=2" in told.out
