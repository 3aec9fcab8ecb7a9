"""Whatever a user gives by mistake: one sentence, exit code 2, and neither a wait without end nor a mistake of ours."""

import os
import subprocess
import sys

import pytest

from tests.integration.conftest import User

NINES = "9" * 5_000
DEEP = "a = " + "[" * 5_000 + "]" * 5_000
MARKER = "six; " + "(" * 3_000 + "os_name=='a'" + ")" * 3_000
TEST = ("test", "check.py", "--versions", "2.0")

WRONG = [
    ("test", "pipe"),
    (*TEST, "-r", "pipe"),
    (*TEST, "-r", "/dev/zero"),
    (*TEST, "-r", "deep.txt"),
    (*TEST, "--with", MARKER),
    (*TEST, "--baseline", "pipe"),
    (*TEST, "--data", "/dev/zero"),
    (*TEST, "--data", "pipe"),
    ("test", "check.py", "--locked", "pipe"),
    ("test", "check.py", "--locked", "/dev/zero"),
    ("test", "check.py", "--locked", "deep.toml"),
    ("test", "check.py", "--locked", "number.toml"),
    ("test", "check.py", "--versions", NINES),
    ("test", "check.py", "--versions", f"=={NINES}"),
    ("test", "check.py", "--versions", f">={NINES}"),
    ("test", NINES),
    (*TEST, "--python", NINES),
    (*TEST, "--jobs", NINES),
    (*TEST, "--timeout", NINES),
    (*TEST, "--limit", f"memory={NINES}"),
    ("bisect", "check.py", "--good", NINES, "--bad", "1.0"),
    ("bisect", "check.py", "--good", "1.0", "--bad", "2.0", "--over", ""),
    ("diff", NINES, "1.0"),
    ("diff", "pipe", "pipe"),
    ("show", "pipe"),
    ("supports", "/dev/zero"),
    ("shell", NINES),
    ("sync", "pipe"),
    ("sync", "/dev/zero"),
    ("sync", "deep.toml"),
    ("sync", "number.toml"),
    ("cache", "import", "pipe"),
    ("cache", "import", "/dev/zero"),
    ("cache", "import", "zeros"),
    ("cache", "gc", "--keep", NINES),
    ("download", "--versions", "2.0", "--from-lock", "pipe"),
    ("download", "--versions", "2.0", "--from-lock", "/dev/zero"),
    ("download", "--versions", "2.0", "--index-url", "http://[::1/"),
    ("download", "--versions", "2.0", "--index-url", "http://127.0.0.1:99999/simple"),
    ("download", "--versions", "2.0", "--extra-index-url", "http://[::1/"),
    ("download", "--versions", "2.0", "--find-links", "http://[::1/"),
    ("download", "--versions", "2.0", "--mirror", "http://[::1/"),
    ("download", "--versions", "2.0", "-d", "folders"),
    ("serve", "--port", "99999"),
    ("mirrors", "use", "https://[::1/"),
]


@pytest.mark.parametrize("words", WRONG, ids=lambda words: " ".join(words)[:60])
def test_wrong_input_is_one_sentence(user: User, words: tuple[str, ...]) -> None:
    user.write("check.py", "import toy\n")
    user.write("deep.toml", DEEP)
    user.write("deep.txt", MARKER)
    user.write("number.toml", f"a = {NINES}")
    user.write("zeros", "\0" * 20_480)
    (user.folder / "folders/SHA256SUMS").mkdir(parents=True)
    os.mkfifo(user.folder / "pipe")
    run = user.run(*words)
    assert run.code == 2, run.err
    assert "mistake of ours" not in run.err
    assert "Traceback" not in run.err


def test_what_is_no_file_is_never_replaced_by_one(user: User) -> None:
    """As root it would be a device, for the whole machine."""
    user.write("check.py", "import toy\n")
    user.write("team.toml", 'projects = ["toy"]\n')
    os.mkfifo(user.folder / "pipe")
    (user.folder / "circle").symlink_to("circle")
    for name in ("pipe", "circle"):
        for words in ((*TEST, "--json", name), ("sync", "team.toml", "--report", name)):
            run = user.run(*words)
            assert (run.code, "mistake of ours" in run.err) == (2, False), run.err
    assert (user.folder / "pipe").is_fifo()
    assert (user.folder / "circle").is_symlink()


def test_settings_that_cannot_be_read_are_one_sentence_too(user: User) -> None:
    user.write("check.py", "import toy\n")
    for text in (DEEP, f"a = {NINES}"):
        user.write("tf-tester.toml", text)
        run = user.run("config")
        assert (run.code, "mistake of ours" in run.err) == (2, False)
    (user.folder / "tf-tester.toml").unlink()
    for text in (DEEP, f"a = {NINES}"):
        user.write("pyproject.toml", text)
        assert user.run(*TEST).code == 0, "it isn't ours"


def test_thousands_of_files_may_name_one_another(user: User) -> None:
    user.write("check.py", "import toy, gear\n")
    for number in range(3_000):
        user.write(f"r{number}.txt", f"-r r{number + 1}.txt\n")
    user.write("r3000.txt", "gear\n")
    assert user.run(*TEST, "-r", "r0.txt").code == 0


def test_requirements_come_from_a_pipe_that_is_read_once(user: User) -> None:
    user.write("check.py", "import toy, gear\n")
    program = [sys.executable, "-m", "tf_tester", *TEST]
    command = ["bash", "-c", 'exec "$@" -r <(echo gear)', "bash", *program]
    done = subprocess.run(command, cwd=user.folder, env=user.env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_working_folder_that_is_gone_is_told(user: User) -> None:
    for words in (TEST, ("versions",), ("cache",), ("config",)):
        program = [sys.executable, "-m", "tf_tester", *words]
        command = ["sh", "-c", 'mkdir gone; cd gone; rmdir ../gone; exec "$@"', "sh", *program]
        done = subprocess.run(command, cwd=user.folder, env=user.env, capture_output=True, text=True)
        assert done.returncode == 2, done.stderr
        assert "the working folder is gone" in done.stderr
