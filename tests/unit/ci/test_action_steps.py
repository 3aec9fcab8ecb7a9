"""What steps of the action do that a shell does badly, and what the action's files promise."""

import json
import re
import socket
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ci.action_steps import comment, is_new, words
from packaging.requirements import Requirement

from tests.github import GitHub

ROOT = Path(__file__).parents[3]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())


@pytest.fixture
def github() -> Iterator[GitHub]:
    with GitHub() as server:
        yield server


def environ(tmp_path: Path, github: GitHub, **event: object) -> dict[str, str]:
    (tmp_path / "event.json").write_text(json.dumps(event))
    (tmp_path / "comment.md").write_text("It works.\n")
    return {
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_API_URL": github.url,
        "GITHUB_SERVER_URL": "https://github.invalid",
        "GITHUB_REPOSITORY": "team/project",
        "GITHUB_RUN_ID": "3",
        "GITHUB_TOKEN": "secret",
    }


def test_a_comment_is_found_however_many_there_are(tmp_path: Path, github: GitHub) -> None:
    known = environ(tmp_path, github, pull_request={"number": 7})
    for number in range(230):
        github.add(f"comment {number}")
    assert "Wrote the comment" in comment("matrix", tmp_path / "comment.md", known)
    for number in range(120):
        github.add(f"comment {number}", "Bot")
    assert "Updated the comment" in comment("matrix", tmp_path / "comment.md", known)
    assert "Wrote the comment" in comment("other", tmp_path / "comment.md", known), "each name has its own"
    assert len(github.comments) == 352


def test_a_comment_that_cannot_be_written_is_told(tmp_path: Path, github: GitHub) -> None:
    known = environ(tmp_path, github, pull_request={"number": 7})
    github.is_read_only = True
    assert comment("a", tmp_path / "comment.md", known).startswith("::notice title=tf-tester::No comment: the token")
    gone = known | {"GITHUB_API_URL": "http://127.0.0.1:1"}
    assert comment("a", tmp_path / "comment.md", gone).startswith("::warning title=tf-tester::No comment: GitHub could")
    assert "no pull request" in comment("a", tmp_path / "comment.md", environ(tmp_path, github))


def test_an_answer_that_is_no_http_is_told(tmp_path: Path, github: GitHub) -> None:
    known = environ(tmp_path, github, pull_request={"number": 7})
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with server.accept()[0] as client:
                client.recv(65_536)
                client.sendall(b"nonsense\r\n\r\n")

        answering = threading.Thread(target=answer)
        answering.start()
        told = comment(
            "a", tmp_path / "comment.md", known | {"GITHUB_API_URL": f"http://127.0.0.1:{server.getsockname()[1]}"}
        )
        answering.join()
    assert told.startswith("::warning title=tf-tester::No comment: GitHub could not be asked (BadStatusLine")


def test_a_name_ends_no_comment_of_html(tmp_path: Path, github: GitHub) -> None:
    known = environ(tmp_path, github, pull_request={"number": 7})
    for told in ("Wrote", "Updated"):
        assert told in comment("a--->b", tmp_path / "comment.md", known)
    assert github.comments[0]["body"].startswith("<!-- tf-tester: a->b -->\n")


def test_words_are_those_of_a_shell_without_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert words(["a 'b c' $HOME `d`", "--versions '>=2'"]) == 0
    assert capsys.readouterr().out == "a\0b c\0$HOME\0`d`\0--versions\0>=2\0"
    assert words(["'"]) == 2
    assert capsys.readouterr().out.startswith("::error title=tf-tester::")


@pytest.mark.parametrize(
    ("event", "new"),
    [
        ({"event": "transfer-finished"}, True),
        ({"event": "cell-locked", "from_store": False}, True),
        ({"event": "cell-locked", "from_store": True}, False),
        ({"event": "cell-finished", "result": {"outcome": "pass", "replayed": ""}}, True),
        ({"event": "cell-finished", "result": {"outcome": "pass", "replayed": "2026-11-01T00:00:00Z"}}, False),
        ({"event": "cell-finished", "result": {"outcome": "fail", "replayed": ""}}, False),
    ],
)
def test_a_store_is_saved_for_what_a_later_run_would_do_again(tmp_path: Path, event: object, new: bool) -> None:
    (tmp_path / "record.jsonl").write_text('{"event": "run-started"}\n' + json.dumps(event) + '\n{"event": "ce')
    assert is_new(tmp_path / "record.jsonl") is new


def test_the_action_uses_each_of_its_inputs() -> None:
    used = set(re.findall(r"inputs\.([\w-]+)", json.dumps(ACTION["runs"])))
    assert used == set(ACTION["inputs"])
    assert all(one["description"] for one in ACTION["inputs"].values())


def test_what_the_action_installs_is_what_is_tested() -> None:
    def pins(name: str) -> dict[str, tuple[str, frozenset[str]]]:
        text = (ROOT / name).read_text().replace("\\\n", " ")
        lines = [line.split() for line in text.splitlines() if "==" in line]
        return {
            words[0].split("==")[0]: (words[0], frozenset(word for word in words if word.startswith("--hash")))
            for words in lines
        }

    run, everything = pins("requirements-run.txt"), pins("requirements.txt")
    assert run == {name: everything[name] for name in run}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    assert {Requirement(text).name.replace(".", "-") for text in wanted} <= set(run)
