"""What is printed when nobody takes it, and what `--json` prints."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.conftest import User


def shell(user: User, line: str) -> "subprocess.CompletedProcess[str]":
    """Run a line of a shell in which `T` is the command."""
    line = f'T() {{ "{sys.executable}" -m tf_tester "$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-c", line], cwd=user.folder, env=user.env, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize("words", ["config", "--help", "versions toy", "test check.py --versions 1.0"])
def test_where_nobody_reads_the_command_ends_as_others_do(user: User, words: str) -> None:
    user.write("check.py", "import toy\n")
    done = shell(user, f"T {words} 2>err | true; echo ${{PIPESTATUS[0]}}")
    assert done.stdout.strip() in ("141", "0"), done.stderr
    said = (user.folder / "err").read_text()
    assert "mistake of ours" not in said
    assert "Traceback" not in said
    assert "Exception ignored" not in said


@pytest.mark.whole
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_a_closed_stream_is_no_mistake(user: User, closed: str) -> None:
    user.write("check.py", "import toy\nprint('hello')\n")
    done = shell(user, f"T test check.py --versions 1.0 --json run.jsonl {closed}; echo $? > code")
    assert (user.folder / "code").read_text().strip() == "0", done.stderr
    assert "mistake of ours" not in done.stderr
    assert '"outcome":"pass"' in (user.folder / "run.jsonl").read_text()


def test_json_without_a_file_is_printed_as_everywhere(user: User) -> None:
    check = user.write("check.py", "import toy\n")
    for words in (("--json",), ("--json", "-")):
        run = user.run("test", "check.py", "--versions", "1.0", *words)
        events = [json.loads(line)["event"] for line in run.out.splitlines()]
        assert (events[0], events[-1]) == ("run-started", "run-finished")
        assert "1 passed" in run.err
    assert not Path(user.folder, "-").exists()
    refused = user.run("test", "--json", "check.py", "check.py", "--versions", "1.0")
    assert refused.code == 2
    assert "would write the record over check.py" in refused.err
    assert check.read_text() == "import toy\n"
