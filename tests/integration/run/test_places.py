"""The user's own files are named as from where he stands, also above it, and not below a scratch folder."""

import json
from pathlib import Path

from tests.integration.conftest import User

FAILS = "import toy, os\ndef fail():\n    open(os.path.abspath('none.txt'))\nfail()\n"


def test_files_are_named_from_where_the_user_stands(user: User) -> None:
    user.write("scripts/s.py", FAILS)
    user.write("lib/below/c.py", FAILS)
    project, user.folder = user.folder, user.folder / "lib"
    run = user.run("test", "../scripts/s.py", "below/c.py", "--versions", "1.0", "--json", "run.jsonl")
    assert run.code == 1
    assert set(run.results()["1.0"]["tests"][0]) >= {"id"}
    assert [row["id"] for row in run.results()["1.0"]["tests"]] == ["../scripts/s.py", "below/c.py"]
    assert "at ../scripts/s.py:3 in fail" in run.out
    assert "No such file or directory: 'none.txt'" in run.out + run.err
    shown = user.run("show", "run.jsonl", "--test", "c.py").out
    assert 'File "below/c.py", line 3, in fail' in shown
    assert str(project) not in shown + run.out.partition("Evidence")[0]
    assert "scratch-" not in shown + run.out + run.err
    files = [json.loads(line) for line in (user.folder / "run.jsonl").read_text().splitlines()]
    [result] = [event["result"] for event in files if event["event"] == "cell-finished"]
    raised = result["tests"][0]["exception"]["file"]
    assert Path(raised) == project / "scripts" / "s.py", "programs get the whole path"


def test_a_command_is_told_of_as_if_it_ran_in_the_users_folder(user: User) -> None:
    user.write("c.py", FAILS)
    run = user.run("test", "--versions", "1.0", "--", "python", "-m", "c")
    assert run.code == 1
    assert "at c.py:3 in fail" in run.out
    assert "scratch-" not in json.dumps(run.results())


def test_a_module_of_the_users_own_that_is_not_found_is_named_with_its_folder(user: User) -> None:
    user.write("src/mine/__init__.py", "")
    user.write("c.py", "import toy, mine\n")
    run = user.run("test", "c.py", "--versions", "1.0")
    assert run.code == 1
    assert "the module mine is yours, in src: --pythonpath src lets tests import it" in " ".join(run.out.split())
    assert "verdict: unknown, it passes nowhere in this run: the module mine is yours, in src" in run.out
    assert "--with mine" not in run.out
    assert "--why" not in run.out, "no other dependencies have it"
    assert user.run("test", "c.py", "--versions", "1.0", "--pythonpath", "src").code == 0
