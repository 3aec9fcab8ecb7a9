"""`test --baseline`, and passes that are shown again, from the outside."""

import json
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.integration.conftest import User
from tests.simulator import Lie, Simulator
from tf_tester.model.outcome import CellResult, Outcome
from tf_tester.store.ledger import Ledger
from tf_tester.store.memos.cells import CellResults

PY = ".".join(map(str, sys.version_info[:2]))
KEY = f"toy==1.0@py{PY}@era"
WORDS = ("test", "check.py", "--versions", "1.0,2.0", "--baseline", "base.json")


@pytest.fixture
def based(user: User) -> User:
    """toy 1.0 is known to fail, 2.0 to pass."""
    user.write("check.py", "import toy\nassert toy.__version__ != '1.0', 'too old'\n")
    run = user.run(*WORDS, "--update-baseline")
    assert run.code == 0, run.err
    assert "The baseline base.json is written." in run.out
    return user


def test_what_is_known_to_fail_doesnt_fail_the_run(based: User) -> None:
    assert based.run(*WORDS[:4]).code == 1
    run = based.run(*WORDS)
    assert run.code == 0
    assert "Against base.json: nothing has moved." in run.out
    assert run.record()[-1]["exit_code"] == 0
    content = json.loads((based.folder / "base.json").read_text())
    assert content["cells"][KEY] == {"check.py": ["fail", "AssertionError: too old"]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import toy\nassert False\n", f"regressed  {KEY.replace('1.0', '2.0')}  check.py  pass → fail"),
        ("import toy\n", f"fixed      {KEY}  check.py  fail → pass"),
        (
            "import toy\nassert toy.__version__ != '1.0', 'something else'\n",
            f"changed    {KEY}  check.py  fail (AssertionError: too old) → fail (AssertionError: something else)",
        ),
    ],
)
def test_what_moves_fails_the_run(based: User, text: str, told: str) -> None:
    based.write("check.py", text)
    run = based.run(*WORDS)
    assert run.code == 1, run.out
    assert told in run.out
    assert "repeat with --update-baseline" in run.out
    again = based.run(*WORDS, "--update-baseline")
    assert again.code == 0
    assert told in again.out
    assert based.run(*WORDS).code == 0


def test_what_is_new_and_what_is_gone_is_a_move_too(based: User) -> None:
    run = based.run("test", "check.py", "--versions", "1.0,1.1", "--baseline", "base.json")
    assert run.code == 1
    assert f"new        {KEY.replace('1.0', '1.1')}  pass" in run.out
    assert f"gone       {KEY.replace('1.0', '2.0')}  pass" in run.out
    based.write("other.py", "import toy\n")
    run = based.run("test", "check.py", "other.py", *WORDS[2:])
    assert f"new        {KEY}  other.py  pass" in run.out


@pytest.mark.whole
@pytest.mark.usefixtures("with_pytest")
@pytest.mark.parametrize("words", [("test_it.py", "--", "-k", "two"), ("test_it.py::test_two",)])
def test_tests_that_are_not_picked_have_not_moved(user: User, words: tuple[str, ...]) -> None:
    user.write("test_it.py", "import toy\ndef test_one(): pass\ndef test_two(): pass\n")
    kept = ("--versions", "2.0", "--baseline", "base.json")
    assert user.run("test", *kept, "test_it.py", "--update-baseline").code == 0
    before = (user.folder / "base.json").read_text()
    run = user.run("test", *kept, *words)
    assert run.code == 0, run.out
    assert "Against base.json, of the tests that were picked: nothing has moved." in run.out
    assert user.run("test", *kept, "--update-baseline", *words).code == 0
    assert (user.folder / "base.json").read_text() == before
    user.write("test_it.py", "import toy\ndef test_one(): pass\ndef test_two(): assert 0\n")
    run = user.run("test", *kept, *words)
    assert (run.code, "test_it.py::test_two  pass → fail" in run.out) == (1, True)


def test_our_own_failures_are_no_move(based: User, index: Simulator) -> None:
    index.replace("toy-2.0-py3-none-any.whl", b"rubbish")
    empty = {"TF_TESTER_STORE": str(based.home / "empty")}
    run = based.run(*WORDS, env=empty)
    assert run.code == 4, run.out
    assert "not seen" in run.out
    before = (based.folder / "base.json").read_text()
    assert based.run(*WORDS, "--update-baseline", env=empty).code == 4
    assert (based.folder / "base.json").read_text() == before, "what was not seen keeps its word"


@pytest.mark.parametrize(
    ("words", "content", "said"),
    [
        (("--baseline", "none.json"), None, "There is no baseline none.json."),
        (("--update-baseline",), None, "has no file to write"),
        (("--baseline", "no/such/folder.json", "--update-baseline"), None, "There is no baseline"),
        (("--baseline", "bad.json"), "{}", "is not a baseline of tf-tester"),
        (("--baseline", "bad.json"), "[]", "is not a baseline of tf-tester"),
        (("--baseline", "bad.json"), '{"format": 99}', "of a later tf-tester"),
        (("--baseline", "bad.json"), '{"format": 1, "cells": {"a": 1}}', "is not a baseline of tf-tester"),
    ],
)
def test_a_mistake_is_told_before_anything_runs(user: User, words: tuple[str, ...], content: str, said: str) -> None:
    user.write("check.py", "import toy\n")
    if content is not None:
        user.write("bad.json", content)
    run = user.run("test", "check.py", "--versions", "1.0", *words)
    assert run.code == 2
    assert said in run.err
    assert not run.out


# -- passes that are shown again


def replayed(user: User, *words: str) -> set[str]:
    """Versions whose pass was shown again."""
    run = user.run("test", "check.py", "--versions", "1.0,2.0", *words)
    assert run.code in (0, 1), run.err
    return {version for version, result in run.results().items() if result["replayed"]}


@pytest.fixture
def once(user: User, sandboxed: None) -> User:
    """1.0 fails, 2.0 passes; both have run."""
    user.write("check.py", "import toy, data\nprint('hello')\nassert toy.__version__ != '1.0'\n")
    user.write("data.py", "x = 1\n")
    assert replayed(user) == set()
    return user


@pytest.fixture
def sandboxed(user: User) -> None:
    """Whether there is a sandbox here at all."""
    user.write("probe.py", "import toy\n")
    run = user.run("test", "probe.py", "--versions", "1.0")
    if run.record()[0]["request"]["isolation"] == "none":
        pytest.skip("this system has no sandbox, and without one nothing is kept")


def test_a_pass_is_shown_again_and_a_failure_is_run_again(once: User) -> None:
    run = once.run("test", "check.py", "--versions", "1.0,2.0")
    assert run.code == 1
    results = run.results()
    assert results["2.0"]["replayed"] and not results["1.0"]["replayed"]
    assert results["2.0"]["tests"][0]["stdout"] == "hello\n"
    assert "pass, replayed" in run.out
    assert "1 cell replayed: nothing has changed since" in run.out
    assert "--no-cache" in run.out
    assert "pass, replayed" in run.err


@pytest.mark.whole
def test_whatever_a_test_can_see_is_a_reason_to_run_it(once: User, index: Simulator) -> None:
    assert replayed(once) == {"2.0"}
    assert replayed(once, "--no-cache") == set()
    assert replayed(once, "--env", "A=1") == set()
    assert replayed(once, "--timeout", "77s") == set()
    assert replayed(once, "--limit", "open-files=999") == set()
    assert replayed(once, "--with", "gear==1.0") == set()
    assert replayed(once, "--resolve", "latest") == set()
    once.write("data.py", "x = 2\n")
    assert replayed(once) == set()
    assert replayed(once) == {"2.0"}
    once.write("sub/new.txt", "")
    assert replayed(once) == set()
    once.write("__pycache__/x.pyc", "")
    assert replayed(once) == {"2.0"}, "no test is about those"


@pytest.mark.whole
@pytest.mark.parametrize("words", [("--isolation", "none"), ("--network",), ("--writable", "."), ("--keep",)])
def test_what_may_vary_is_never_kept_and_never_shown(once: User, words: tuple[str, ...]) -> None:
    assert replayed(once, *words) == set()
    assert replayed(once, *words) == set()
    assert replayed(once) == {"2.0"}


@pytest.mark.whole
def test_bisect_goes_on_where_it_was(once: User) -> None:
    once.write("check.py", "import toy\nassert toy.__version__ != '2.0'\n")
    first = once.run("bisect", "check.py", "--good", "1.0", "--bad", "2.0")
    assert "toy 2.0 is the first that fails" in first.out
    again = once.run("bisect", "check.py", "--good", "1.0", "--bad", "2.0")
    assert [bool(result["replayed"]) for result in again.results().values()] == [True, False, True]
    often = once.run("bisect", "check.py", "--good", "1.0", "--bad", "2.0", "--repeat", "2")
    assert not any(result["replayed"] for result in often.results().values())


@pytest.mark.whole
def test_a_folder_of_any_name_and_what_a_link_leads_to_count(once: User) -> None:
    once.write("locks/held.py", "x = 1\n")
    once.write("check.py", "import toy\nfrom locks.held import x\nassert x == 1 and toy.__version__ != '1.0'\n")
    assert replayed(once) == set()
    assert replayed(once) == {"2.0"}
    once.write("locks/held.py", "x = 2\n")
    assert once.run("test", "check.py", "--versions", "2.0").code == 1
    real = once.home / "elsewhere" / "real.py"
    real.parent.mkdir()
    real.write_text("import toy\n")
    (once.folder / "link.py").symlink_to(real)
    words = ("test", "link.py", "--versions", "2.0")
    once.run(*words)
    real.write_text("import toy\nassert False\n")
    assert once.run(*words).out.count("replayed") == 0


def test_what_failed_and_passed_with_the_same_key_is_never_shown_again(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        results = CellResults(ledger, lambda: datetime(2026, 11, 1, tzinfo=UTC))
        result = CellResult("toy==1.0", Outcome.PASS)
        results.remember("key", result)
        found = results.recall("key")
        assert found is not None and found.replayed
        results.distrust("key")
        results.remember("key", result)
        assert results.recall("key") is None


@pytest.mark.whole
def test_what_the_command_writes_itself_is_no_reason_to_run_again(once: User) -> None:
    words = ("--json", "run.jsonl", "--baseline", "base.json")
    assert once.run("test", "check.py", "--versions", "2.0", *words, "--update-baseline").code == 0
    assert replayed(once, *words) == {"2.0"}
    assert replayed(once, *words) == {"2.0"}


@pytest.fixture
def recorded(user: User) -> User:
    """A user with the record of another run, in which toy 1.0 failed and 2.0 passed."""
    user.write("check.py", "import toy\nassert toy.__version__ != '1.0', 'too old'\n")
    assert user.run(*WORDS[:4], "--json", "main.jsonl").code == 1
    return user


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("import toy\nassert toy.__version__ != '1.0', 'too old'\n", 0, "nothing has moved"),
        ("import toy\nassert False\n", 1, "2 results moved, 1 for the worse: nothing else counts\n  regressed"),
        ("import toy\n", 0, "1 result moved, 0 for the worse: nothing else counts\n  fixed "),
        (
            "import toy\nassert toy.__version__ != '1.0', 'other'\n",
            0,
            "0 for the worse: nothing else counts\n  changed",
        ),
    ],
)
def test_against_a_record_only_what_became_worse_counts(recorded: User, text: str, code: int, told: str) -> None:
    recorded.write("check.py", text)
    run = recorded.run(*WORDS[:4], "--baseline", "main.jsonl")
    assert run.code == code, run.out
    assert told in run.out
    assert run.record()[-1]["exit_code"] == code
    assert "--update-baseline" not in run.out


@pytest.mark.whole
def test_what_a_record_has_not_seen_must_pass(recorded: User) -> None:
    for text, code in (("import toy\nassert toy.__version__ == '2.0'\n", 1), ("import toy\n", 0)):
        recorded.write("check.py", text)
        assert recorded.run("test", "check.py", "--versions", "1.1", "--baseline", "main.jsonl").code == code
    recorded.write("other.py", "import toy\nassert False\n")
    assert recorded.run("test", "check.py", "other.py", *WORDS[2:4], "--baseline", "main.jsonl").code == 1
    words = ("--versions", "2.0", "--python", "3.99", "--baseline", "main.jsonl")
    assert recorded.run("test", "check.py", *words).code == 3, "it could not run, there as here"


def test_what_that_run_could_not_see_is_not_known_to_be_worse(user: User, index: Simulator) -> None:
    index.fault("toy-2.0-py3-none-any.whl", Lie(at=50))
    user.write("check.py", "import toy\nassert toy.__version__ == '3.0'\n")
    assert user.run("test", "check.py", "--versions", "2.0", "--json", "main.jsonl").code == 4
    index.heal()
    run = user.run("test", "check.py", "--versions", "2.0", "--baseline", "main.jsonl")
    assert run.code == 0, run.out
    assert "1 result moved, 0 for the worse: nothing else counts\n  not seen " in run.out
    assert run.out.rstrip().endswith("download-failed → fail")


def test_a_record_is_not_replaced_by_a_baseline(recorded: User) -> None:
    before = (recorded.folder / "main.jsonl").read_bytes()
    run = recorded.run(*WORDS[:4], "--baseline", "main.jsonl", "--update-baseline")
    assert run.code == 2
    assert "is the record of a run, which --update-baseline would replace" in run.err
    assert (recorded.folder / "main.jsonl").read_bytes() == before
