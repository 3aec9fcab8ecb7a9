"""`tf-tester test` from the outside: what a user types, sees and gets."""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.integration.conftest import User, finish
from tests.simulator import Cut, Lie, Simulator, Slow
from tests.wheels import make_sdist, make_wheel, write_project
from tf_tester.store.folder import StoreFolder
from tf_tester.store.ledger import Ledger
from tf_tester.store.memos.table import DURATION

GOOD = "import toy\nassert toy.spin() in (1, 2)\nprint('spun', toy.__version__)\n"


def test_a_script_runs_in_every_version_and_the_second_run_needs_no_network(user: User, index: Simulator) -> None:
    user.write("check.py", GOOD)
    first = user.run("test", "check.py", "--versions", "1.0,1.1,2.0")
    assert (first.code, first.outcomes()) == (0, {"1.0": "pass", "1.1": "pass", "2.0": "pass"})
    assert first.results()["1.1"]["tests"][0]["stdout"] == "spun 1.1\n"
    index.stop()
    second = user.run("test", "check.py", "--versions", "1.0,1.1,2.0", "--offline")
    assert (second.code, second.outcomes()) == (0, first.outcomes())
    locks = [event for event in second.record() if event["event"] == "cell-locked"]
    assert all(lock["from_store"] for lock in locks)
    assert "downloaded" not in second.out


def test_the_first_failure_may_end_the_run(user: User) -> None:
    user.write("check.py", "assert False\n")
    run = user.run("test", "check.py", "--versions", "1.0,1.1,2.0", "--jobs", "1", "-x")
    assert run.code == 1
    assert 1 <= len(run.results()) < 3
    assert "The first failure ended the run: " in run.out
    refused = user.run("test", "check.py", "--versions", "1.0,1.1,2.0", "-x", "--why")
    assert (refused.code, "Leave one of them out." in refused.err) == (2, True)


def test_what_is_told_is_as_much_as_is_asked_for(user: User) -> None:
    user.write("check.py", GOOD)
    words = ("test", "check.py", "--versions", "1.0,1.1")
    quiet = user.run(*words, "-q")
    assert (quiet.code, quiet.out, quiet.err) == (0, "toy works with all 2 versions, 1.0 to 1.1.\n", "")
    usual, whole = user.run(*words), user.run(*words, "-v")
    assert "\n  check.py pass" not in usual.err
    assert whole.err.count("\n  check.py pass") == 2
    shown = user.run("show", "last", "-q")
    assert shown.out == quiet.out
    assert user.run(*words, "-v", "-q").code == 2


def test_how_long_a_cell_ran_is_known_next_time(user: User) -> None:
    user.write("check.py", GOOD)
    results = user.run("test", "check.py", "--versions", "1.0,1.1").results().values()
    ledger = Ledger(StoreFolder(user.store).ledger)
    took = {result["cell"]: ledger.recall(DURATION, result["cell"]) for result in results}
    ledger.close()
    assert took == {result["cell"]: pytest.approx(result["phases"]["run"], abs=0.01) for result in results}


def test_an_index_that_is_gone_does_not_stop_what_the_store_has(user: User, index: Simulator) -> None:
    user.write("check.py", GOOD)
    assert user.run("test", "check.py", "--versions", "1.0").code == 0
    index.stop()
    again = user.run("test", "check.py", "--versions", "1.0")
    assert (again.code, again.outcomes()) == (0, {"1.0": "pass"})


def test_an_index_that_is_gone_is_named_when_the_store_is_empty(user: User, index: Simulator) -> None:
    user.write("check.py", GOOD)
    index.stop()
    run = user.run("test", "check.py", "--versions", "1.0")
    assert run.code == 4
    assert "127.0.0.1" in run.err
    assert "--index-url" in run.err


def test_the_era_keeps_a_version_working_that_today_breaks(user: User) -> None:
    user.write("check.py", GOOD)
    assert user.run("test", "check.py", "--versions", "1.0,2.0").code == 0
    latest = user.run("test", "check.py", "--versions", "1.0,2.0", "--resolve", "latest")
    assert (latest.code, latest.outcomes()) == (1, {"1.0": "fail", "2.0": "pass"})
    assert "TypeError: Gears cannot be created directly." in latest.out


def test_every_pytest_test_is_a_row(user: User, with_pytest: None) -> None:
    user.write(
        "tests/test_toy.py",
        "import pytest, toy\n"
        "def test_spins(): assert toy.spin()\n"
        "def test_is_new(): assert toy.spin() == 2, 'too old'\n"
        "@pytest.mark.skip(reason='later')\ndef test_later(): pass\n",
    )
    run = user.run("test", "tests", "--versions", "1.0,2.0")
    rows = {
        version: {row["id"].split("::")[1]: row["outcome"] for row in result["tests"]}
        for version, result in run.results().items()
    }
    assert run.code == 1
    assert rows == {
        "1.0": {"test_spins": "pass", "test_is_new": "fail", "test_later": "skip"},
        "2.0": {"test_spins": "pass", "test_is_new": "pass", "test_later": "skip"},
    }
    assert "AssertionError: too old" in run.out


def test_a_test_that_kills_the_process_does_not_cost_the_others(user: User, with_pytest: None) -> None:
    user.write(
        "test_toy.py",
        "import os, signal\n"
        "def test_before(): pass\n"
        "def test_killer(): os.kill(os.getpid(), signal.SIGSEGV)\n"
        "def test_leaver(): os._exit(0)\n"
        "def test_after(): pass\n",
    )
    run = user.run("test", "test_toy.py", "--versions", "2.0")
    rows = {row["id"].split("::")[1]: (row["outcome"], row["reason"]) for row in run.results()["2.0"]["tests"]}
    assert run.code == 1
    assert rows["test_before"][0] == rows["test_after"][0] == "pass"
    assert rows["test_killer"] == ("crash", "killed by SIGSEGV")
    assert rows["test_leaver"][0] == "crash"
    assert "os._exit(0)" in rows["test_leaver"][1]


def test_unittest_needs_no_layer_of_ours(user: User, index: Simulator) -> None:
    user.write(
        "test_toy.py",
        "import unittest, toy\nclass Spin(unittest.TestCase):\n    def test_it(self): self.assertTrue(toy.spin())\n",
    )
    run = user.run("test", "test_toy.py", "--versions", "2.0", "--runner", "unittest")
    assert (run.code, [row["id"] for row in run.results()["2.0"]["tests"]]) == (0, ["test_toy.py::Spin::test_it"])
    assert index.requests["pytest"] == 0


@pytest.mark.parametrize(
    ("source", "outcome", "evidence"),
    [
        ("import os; os._exit(0)", "crash", "os._exit(0)"),
        ("import os; os.abort()", "crash", "SIGABRT"),
        ("raise SystemExit(3)", "fail", "3"),
        ("def broken(:\n", "error", "SyntaxError"),
        ("import toy\ntoy.gone()", "fail", "AttributeError: module 'toy' has no attribute 'gone'"),
    ],
)
def test_every_way_to_end_badly_is_told_apart(user: User, source: str, outcome: str, evidence: str) -> None:
    user.write("check.py", source)
    run = user.run("test", "check.py", "--versions", "2.0")
    assert (run.code, run.outcomes()) == (1, {"2.0": outcome})
    assert evidence in run.out


def test_a_script_that_hides_its_exception_passes_with_a_remark(user: User) -> None:
    user.write("check.py", "import traceback\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    traceback.print_exc()\n")
    run = user.run("test", "check.py", "--versions", "2.0")
    assert (run.code, run.outcomes()) == (0, {"2.0": "pass"})
    assert "passed, but printed a traceback" in run.out


@pytest.mark.parametrize(
    ("source", "words", "why"),
    [
        ("x = 1\n", (), "no tests were found"),
        ("def test_it(): pass\n", ("--", "-k", "absent"), "1 test was found, and none is among those that were asked"),
    ],
    ids=["none", "deselected"],
)
def test_where_no_tests_are_found_the_cell_is_empty_and_nobody_says_that_it_passed(
    user: User, with_pytest: None, source: str, words: tuple[str, ...], why: str
) -> None:
    user.write("tests/test_toy.py", source)
    run = user.run("test", "tests", "--versions", "2.0", *words)
    assert (run.code, run.outcomes()) == (3, {"2.0": "empty"})
    assert why in run.out
    assert "1 empty" in run.out


@pytest.mark.whole
def test_where_pytest_refuses_what_it_is_given_nothing_is_advised_against_the_version(
    user: User, with_pytest: None
) -> None:
    user.write("test_toy.py", "globals().update(test_it=lambda: None)\n")
    run = user.run("test", "test_toy.py::test_other", "--versions", "2.0", "--why")
    assert run.code == 2
    assert len(run.results()) == 1
    assert "2.0 again" not in run.err, "nothing is looked into"
    assert "pytest could not begin: not found: test_toy.py::test_other" in run.out
    assert "verdict" not in run.out
    assert "Next:" not in run.out


def test_a_file_whose_tests_are_all_skipped_tested_nothing(user: User, with_pytest: None) -> None:
    user.write("test_toy.py", "import pytest\n@pytest.mark.skip(reason='not now')\ndef test_it(): pass\n")
    run = user.run("test", "test_toy.py", "--versions", "2.0")
    assert (run.code, run.outcomes()) == (3, {"2.0": "skip"})
    assert "nothing was tested" in run.out


@pytest.mark.whole
@pytest.mark.parametrize("isolation", ["auto", "none"])
def test_a_timeout_ends_the_whole_tree(user: User, isolation: str) -> None:
    tag = secrets.token_hex(8)
    user.write(
        "check.py",
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)', '{tag}'], start_new_session=True)\n"
        "time.sleep(1000)\n",
    )
    run = user.run("test", "check.py", "--versions", "2.0", "--timeout", "3s", "--isolation", isolation)
    assert (run.code, run.outcomes()) == (1, {"2.0": "timeout"})
    assert not _running(tag)


@pytest.mark.parametrize("isolation", ["auto", "none"])
def test_ctrl_c_ends_everything_and_shows_the_matrix_so_far(user: User, isolation: str) -> None:
    tag = secrets.token_hex(8)
    user.write(
        "check.py",
        "import subprocess, sys, toy\n"
        "if toy.__version__ != '1.0':\n"
        f"    subprocess.call([sys.executable, '-c', 'import time; time.sleep(1000)', '{tag}'])\n",
    )
    process = user.start("test", "check.py", "--versions", "1.0,1.1,2.0", "--jobs", "1", "--isolation", isolation)
    while not _running(tag):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    run = finish(process)
    assert run.code == 130
    assert sorted(run.outcomes().values())[0] == "interrupted"
    assert not _running(tag)
    assert list((user.store / "tmp").iterdir()) == []


def test_a_cancelled_job_ends_as_an_interrupted_one(user: User) -> None:
    tag = secrets.token_hex(8)
    user.write(
        "check.py",
        f"import subprocess, sys\nsubprocess.call([sys.executable, '-c', 'import time; time.sleep(1000)', '{tag}'])\n",
    )
    process = user.start("test", "check.py", "--versions", "2.0")
    while not _running(tag):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    run = finish(process)
    assert (run.code, run.outcomes()) == (130, {"2.0": "interrupted"})
    assert not _running(tag)


def test_what_was_printed_before_a_crash_is_kept(user: User) -> None:
    user.write("check.py", "import ctypes\nprint('step one')\nctypes.string_at(0)\n")
    run = user.run("test", "check.py", "--versions", "2.0")
    assert run.outcomes() == {"2.0": "crash"}
    assert run.results()["2.0"]["tests"][0]["stdout"] == "step one\n"


@pytest.mark.whole
def test_the_users_own_pytest_options_that_cannot_be_are_named(user: User, with_pytest: None) -> None:
    user.write("pyproject.toml", "[tool.pytest.ini_options]\naddopts = '--cov=mine'\n")
    user.write("test_toy.py", "def test_it(): pass\n")
    run = user.run("test", "test_toy.py", "--versions", "2.0")
    assert run.outcomes() == {"2.0": "error"}
    assert "unrecognized arguments: --cov=mine" in run.out


@pytest.mark.whole
def test_kill_in_the_middle_of_a_download_loses_nothing_that_arrived(user: User, index: Simulator) -> None:
    big = make_wheel("toy", "3.0", files={"toy.py": "__version__ = '3.0'\n", "toy_data.bin": os.urandom(3_000_000)})
    index.add_wheel(*big, upload_time="2024-01-01T00:00:00Z")
    filename, size = big[0], len(big[1])
    user.write("check.py", "import toy\n")
    index.fault(filename, Slow(bytes_per_second=600_000, piece=20_000))
    process = user.start("test", "check.py", "--versions", "2.0,3.0")
    partial = user.store / "incoming"
    while not any(file.stat().st_size > 500_000 for file in partial.glob("*.part")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    kept = {path.name for path in (user.store / "blobs").glob("*/*")}
    arrived = sum(file.stat().st_size for file in partial.glob("*.part"))
    index.heal()
    index.forget_counts()
    again = user.run("test", "check.py", "--versions", "2.0,3.0")
    assert (again.code, again.outcomes()) == (0, {"2.0": "pass", "3.0": "pass"})
    assert index.bytes_sent[filename] <= size - arrived + 300_000  # the rest, and metadata by ranges
    fetched_again = {event["sha256"] for event in again.record() if event["event"] == "transfer-finished"}
    assert not kept & fetched_again
    assert list((user.store / "tmp").iterdir()) == []


@pytest.mark.whole
def test_kill_in_the_middle_of_unpacking_leaves_no_half_layer(user: User, index: Simulator) -> None:
    many = {f"toy_parts/part_{number}.py": f"NUMBER = {number}\n" * 20 for number in range(3000)}
    index.add_wheel(*make_wheel("toy", "3.0", files={"toy.py": "", **many}), upload_time="2024-01-01T00:00:00Z")
    user.write("check.py", "import toy_parts.part_2999 as last\nassert last.NUMBER == 2999\n")
    process = user.start("test", "check.py", "--versions", "3.0")
    while not any((user.store / "tmp").glob("*/layer-*/*/tree/*/*/site-packages/toy_parts")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    again = user.run("test", "check.py", "--versions", "3.0")
    assert (again.code, again.outcomes()) == (0, {"3.0": "pass"})
    assert not [event for event in again.record() if event["event"] == "transfer-finished"]


@pytest.mark.whole
def test_two_processes_share_one_download(user: User, index: Simulator) -> None:
    big = make_wheel("toy", "3.0", files={"toy.py": "", "toy_data.bin": os.urandom(2_000_000)})
    index.add_wheel(*big, upload_time="2024-01-01T00:00:00Z", metadata=True)
    index.fault(big[0], Slow(bytes_per_second=1_500_000, piece=50_000))
    user.write("check.py", "import toy\n")
    processes = [user.start("test", "check.py", "--versions", "3.0") for _ in range(2)]
    assert [finish(process).code for process in processes] == [0, 0]
    assert index.bytes_sent[big[0]] == len(big[1])


def test_a_download_that_is_cut_goes_on_where_it_stopped(user: User, index: Simulator) -> None:
    big = make_wheel("toy", "3.0", files={"toy.py": "", "toy_data.bin": os.urandom(400_000)})
    index.add_wheel(*big, upload_time="2024-01-01T00:00:00Z", metadata=True)
    index.fault(big[0], Cut(after=300_000), times=1)
    user.write("check.py", "import toy\n")
    assert user.run("test", "check.py", "--versions", "3.0").code == 0
    assert index.bytes_sent[big[0]] == len(big[1])


def test_bytes_come_from_the_mirror_and_a_liar_is_not_believed(user: User, index: Simulator) -> None:
    user.write("check.py", GOOD)
    with Simulator() as mirror:
        for filename in ("toy-2.0-py3-none-any.whl", "gear-2.0-py3-none-any.whl"):
            mirror.add_wheel(filename, index._files[filename].content)
        mirror.fault("gear-2.0-py3-none-any.whl", Lie(at=200))
        run = user.run("test", "check.py", "--versions", "2.0", "--mirror", mirror.simple_url)
    assert run.code == 0
    sources = {e["filename"]: e["source"] for e in run.record() if e["event"] == "transfer-finished"}
    assert sources["gear-2.0-py3-none-any.whl"] == "authority"
    assert any(e["event"] == "transfer-trouble" for e in run.record())


def test_cells_that_cannot_run_are_rows_and_stop_nobody(user: User, index: Simulator) -> None:
    index.add_wheel(*make_wheel("toy", "0.9", tag="cp35-cp35m-win_amd64"), upload_time="2019-01-01T00:00:00Z")
    index.add_wheel(*make_wheel("toy", "0.8", requires=["missing>=1"]), upload_time="2019-01-01T00:00:00Z")
    index.add_sdist(*make_sdist("toy", "0.7"), upload_time="2019-01-01T00:00:00Z")
    user.write("check.py", GOOD)
    run = user.run("test", "check.py", "--versions", "0.7,0.8,0.9,2.0")
    assert run.code == 3
    assert run.outcomes() == {"0.7": "no-wheel", "0.8": "unresolvable", "0.9": "no-wheel", "2.0": "pass"}
    assert "missing was not found" in run.results()["0.8"]["detail"]
    assert "--allow-build toy" in run.out


def test_a_source_distribution_is_built_when_it_is_allowed(user: User, index: Simulator) -> None:
    source = {"toy.py": "__version__ = '0.7'\ndef spin(): return 1\n"}
    index.add_sdist(*make_sdist("toy", "0.7", files=source), upload_time="2019-01-01T00:00:00Z")
    user.write("check.py", GOOD)
    run = user.run("test", "check.py", "--versions", "0.7", "--allow-build", "toy")
    assert (run.code, run.outcomes()) == (0, {"0.7": "pass"})
    index.stop()
    assert user.run("test", "check.py", "--versions", "0.7", "--allow-build", "toy").code == 0


@pytest.mark.whole
def test_a_build_that_fails_is_a_row_with_its_own_words(user: User, index: Simulator) -> None:
    index.add_sdist(*make_sdist("toy", "0.7", build_fails="no compiler today"), upload_time="2019-01-01T00:00:00Z")
    user.write("check.py", GOOD)
    run = user.run("test", "check.py", "--versions", "0.7,2.0", "--allow-build", "toy")
    assert (run.code, run.outcomes()) == (3, {"0.7": "build-failed", "2.0": "pass"})
    assert "no compiler today" in run.results()["0.7"]["detail"]


def test_a_python_that_is_missing_is_a_row_with_the_command_that_installs_it(user: User) -> None:
    user.write("check.py", GOOD)
    run = user.run("test", "check.py", "--versions", "2.0", "--python", "3.5")
    assert (run.code, run.outcomes()) == (3, {"2.0": "no-python"})
    assert "uv python install 3.5" in run.out


def test_any_command_can_be_the_test(user: User) -> None:
    user.write("train.py", "import sys, toy\nprint(toy.__version__, *sys.argv[1:])\n")
    run = user.run("test", "--versions", "1.0,2.0", "--", "python", "train.py", "--epochs", "1")
    assert run.code == 0
    assert run.results()["1.0"]["tests"][0]["stdout"] == "1.0 --epochs 1\n"
    failing = user.run("test", "--versions", "2.0", "--", "python", "-c", "import sys; sys.exit(7)")
    assert (failing.code, failing.results()["2.0"]["tests"][0]["exit_code"]) == (1, 7)
    missing = user.run("test", "--versions", "2.0", "--", "no-such-program")
    assert (missing.code, missing.outcomes()) == (1, {"2.0": "crash"})


def test_what_follows_a_file_and_two_dashes_are_its_arguments(user: User) -> None:
    user.write("check.py", "import sys\nassert sys.argv[1:] == ['--deep', '2'], sys.argv\n")
    assert user.run("test", "check.py", "--versions", "2.0", "--", "--deep", "2").code == 0


def test_the_users_own_code_is_there(user: User, index: Simulator) -> None:
    index.add_wheel(*make_wheel("extra", "1.0"), upload_time="2018-01-01T00:00:00Z")
    index.add_wheel(*make_wheel("other", "1.0"), upload_time="2018-01-01T00:00:00Z")
    user.write("requirements.txt", "toy==1.0  # the one under test is ours to choose\nother>=1\n")
    user.write("lib/by_path.py", "HERE = True\n")
    user.write("beside.py", "HERE = True\n")
    user.write("data/numbers.txt", "42")
    user.write(
        "check.py",
        "import os, beside, by_path, extra, other, toy\n"
        "assert toy.__version__ == '2.0' and os.environ['MODE'] == 'fast'\n"
        "assert open('data/numbers.txt').read() == '42'\n",
    )
    words = ["--with", "extra", "-r", "requirements.txt", "--pythonpath", "lib", "--env", "MODE=fast"]
    run = user.run("test", "check.py", "--versions", "2.0", *words)
    assert (run.code, run.outcomes()) == (0, {"2.0": "pass"}), run.out


def test_the_users_own_project_is_built_and_added(user: User) -> None:
    files = {"mine.py": "import toy\ndef twice(): return 2 * toy.spin()\n"}
    write_project(user.folder, "mine", "0.1", files=files, requires=["toy>=1"])
    user.write("tests/check.py", "import mine, toy\nassert mine.twice() == 2 * toy.spin()\n")
    run = user.run("test", "tests/check.py", "--versions", "1.0,2.0", "--project", ".")
    assert (run.code, run.outcomes()) == (0, {"1.0": "pass", "2.0": "pass"}), run.out
    assert sorted(path.name for path in user.folder.iterdir()) == ["backend", "mine.py", "pyproject.toml", "tests"]


def test_a_test_sees_no_credentials_and_leaves_no_traces(user: User) -> None:
    user.write("beside.py", "")
    user.write(
        "check.py",
        "import os, beside\n"
        "assert 'AWS_SECRET_ACCESS_KEY' not in os.environ and 'PYTHONPATH' not in os.environ\n"
        "assert not os.path.exists(os.environ['REAL_HOME'] + '/.netrc')\n"
        "open('left-behind.txt', 'w').write('x')\n"
        "open(os.path.expanduser('~/.config-file'), 'w').write('x')\n",
    )
    (user.home / ".netrc").write_text("secret")
    before = sorted(path.name for path in user.folder.rglob("*"))
    env = {"AWS_SECRET_ACCESS_KEY": "secret"}
    run = user.run("test", "check.py", "--versions", "2.0", "--env", f"REAL_HOME={user.home}", env=env)
    assert run.code == 0
    assert sorted(path.name for path in user.folder.rglob("*")) == before
    assert not (user.home / ".config-file").exists()


def test_an_environment_is_kept_when_asked(user: User) -> None:
    user.write("check.py", GOOD)
    run = user.run("test", "check.py", "--versions", "2.0", "--keep")
    remark = run.out.replace("\n      ", " ").partition("enter it with: . ")[2]
    activate = remark.splitlines()[0]
    entered = subprocess.run(
        ["sh", "-c", f". {activate} && python -c 'import toy; print(toy.__version__)'"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert entered.stdout == "2.0\n"


def test_a_shell_is_inside_the_environment(user: User) -> None:
    run = user.run("shell", "1.1", "--", "python", "-c", "import toy; print(toy.__version__)")
    assert (run.code, run.out) == (0, "1.1\n")
    assert user.run("shell", "1.1", "--", "python", "-c", "raise SystemExit(5)").code == 5
    assert user.run("shell", "1.1", "--python", "3.5").code == 3


@pytest.mark.whole
@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is no signal there")
@pytest.mark.parametrize(
    ("then", "code"),
    [
        ("raise SystemExit(7)", 7),
        ("signal.signal(signal.SIGINT, signal.SIG_DFL); signal.raise_signal(signal.SIGINT)", 128 + signal.SIGINT),
    ],
    ids=["takes-its-time", "dies-of-it"],
)
def test_ctrl_c_in_a_shell_is_for_what_runs_there(user: User, then: str, code: int) -> None:
    """It may take its time over it, and go on."""
    program = f"""
import signal, time
try:
    print("waiting", flush=True)
    time.sleep(120)
except KeyboardInterrupt:
    time.sleep(1)
    {then}
"""
    process = user.start("shell", "1.1", "--", "python", "-c", program)
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    os.killpg(process.pid, signal.SIGINT)
    run = finish(process)
    assert run.code == code, run.err
    assert "interrupted" not in run.err


def test_a_shell_changes_nothing_for_the_next_one(user: User) -> None:
    change = "import toy; open(toy.__file__ + '.new', 'w').close(); import os; os.remove(toy.__file__)"
    assert user.run("shell", "1.1", "--", "python", "-c", change).code == 0
    look = "import toy, os; assert not os.path.exists(toy.__file__ + '.new'); print(os.getcwd())"
    run = user.run("shell", "1.1", "--", "python", "-c", look)
    assert (run.code, run.out) == (0, f"{user.folder}\n"), run.err


@pytest.mark.whole
@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="there is no bash")
def test_a_shell_has_its_own_python_first_whatever_the_user_puts_there_at_its_start(user: User) -> None:
    (user.home / ".bashrc").write_text(f"PATH={user.home}/other:$PATH; ALSO=read\n")
    words = [sys.executable, "-m", "tf_tester", "shell", "1.1"]
    done = subprocess.run(
        words,
        cwd=user.folder,
        env={**user.env, "SHELL": "/bin/bash"},
        input='python -c "import toy; print(toy.__version__, end=chr(32))"; echo $ALSO; exit 3\n',
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "1.1 read\n"), done.stderr


def test_without_versions_the_downloaded_ones_are_tested_else_the_newest_minors(user: User) -> None:
    user.write("check.py", GOOD)
    newest = user.run("test", "check.py")
    assert newest.outcomes() == {"1.0": "pass", "1.1": "pass", "2.0": "pass"}
    assert "the newest 3 minor versions" in newest.out
    assert user.run("download", "--versions", "1.0,2.0").code == 0
    downloaded = user.run("test", "check.py")
    assert downloaded.outcomes() == {"1.0": "pass", "2.0": "pass"}
    assert "testing 2 downloaded versions" in downloaded.out


def test_a_broken_python_is_skipped_with_a_word(user: User) -> None:
    broken = user.write("bin/python3.9", "#!/bin/sh\necho I am broken >&2\nexit 1\n")
    broken.chmod(0o755)
    user.write("check.py", GOOD)
    path = {"PATH": f"{broken.parent}:{user.env['PATH']}", "TF_TESTER_PYTHON": ""}
    run = user.run("test", "check.py", "--versions", "2.0", env=path)
    assert run.code == 0
    assert f"{broken} is skipped:" in " ".join(run.out.split())


def test_a_variable_that_sounds_like_a_credential_is_not_recorded(user: User) -> None:
    user.write("check.py", "import os\nassert os.environ['API_TOKEN'] == 'hunter2'\n")
    run = user.run("test", "check.py", "--versions", "2.0", "--env", "API_TOKEN=hunter2", "--env", "MODE=fast")
    folder = next(line.removeprefix("Evidence: ") for line in run.out.splitlines() if line.startswith("Evidence:"))
    recorded = "".join(path.read_text() for path in Path(folder).rglob("*") if path.is_file())
    assert run.code == 0
    assert "hunter2" not in recorded
    assert "fast" in recorded


def test_a_variable_named_alone_is_the_callers_and_its_value_is_not_recorded(user: User) -> None:
    user.write("check.py", "import os\nassert os.environ['SITE'] == 'hunter2'\nassert 'UNSET' not in os.environ\n")
    words = ("test", "check.py", "--versions", "2.0", "--env", "SITE", "--env", "UNSET")
    run = user.run(*words, env={"SITE": "hunter2"})
    assert run.outcomes() == {"2.0": "pass"}, run.out
    folder = next(line.removeprefix("Evidence: ") for line in run.out.splitlines() if line.startswith("Evidence:"))
    assert not any("hunter2" in path.read_text() for path in Path(folder).rglob("*") if path.is_file())
    assert "--env UNSET passes nothing on: it isn't set" in run.out
    assert "--env SITE" not in run.out
    assert user.run(*words, env={"SITE": "other"}).outcomes() == {"2.0": "fail"}, "its value counts"


def test_the_record_is_written_where_asked(user: User) -> None:
    user.write("check.py", GOOD)
    user.run("test", "check.py", "--versions", "2.0", "--json", "record.jsonl")
    assert (user.folder / "record.jsonl").read_text().count("cell-finished") == 1


@pytest.mark.whole
def test_pytest_changes_a_dependency_only_when_it_must_and_says_so(
    user: User, index: Simulator, with_pytest: None
) -> None:
    # This toy insists on an old pluggy, with which no pytest of the index goes.
    index.add_wheel(*make_wheel("pluggy", "0.1"), upload_time="2018-01-01T00:00:00Z")
    index.add_wheel(*make_wheel("toy", "0.5", requires=["pluggy==0.1"]), upload_time="2018-06-01T00:00:00Z")
    user.write("test_toy.py", "import toy\ndef test_it(): pass\n")
    run = user.run("test", "test_toy.py", "--versions", "0.5,2.0")
    assert (run.code, run.outcomes()) == (0, {"0.5": "pass", "2.0": "pass"})
    remarks = {version: " ".join(result["remarks"]) for version, result in run.results().items()}
    assert "the test runner needs pluggy" in remarks["0.5"]
    assert remarks["2.0"] == ""


@pytest.mark.parametrize(
    ("words", "sentence", "hint"),
    [
        (("test", "check.py", "--versions", "2.1"), "toy has no version 2.1", "2.0"),
        (("test", "check.py", "--versions", ">=7"), "matches no version of toy", "from 1.0 to 2.0"),
        (("test", "check.py", "--versions", "minor"), "neither a version", "minors"),
        (("test", "chekc.py", "--versions", "2.0"), "There is no file", "check.py"),
        (("test", "--versions", "2.0"), "nothing to run", "test file"),
        (("download",), "No versions are given.", "--versions"),
        (("test", "check.py", "--versions", "2.0", "--mirror", "tun"), "no mirror named tun", "tuna"),
        (("test", "check.py", "--versions", "2.0", "--package", "toyy"), "no project named toyy", "spelling"),
        (("test", "check.py", "--versions", "2.0", "--timeout", "soon"), "--timeout", "15m"),
        (("test", "check.py", "--versions", "2.0", "--python", "perl"), "perl", "doctor"),
        (("test", "none.py::test_it", "--versions", "2.0"), "There is no file", "none.py"),
        (("test", "empty::test_it", "--versions", "2.0"), "names a test for pytest", "a file's test"),
        (("test", "ut.py::T", "--versions", "2.0", "--runner", "unittest"), "names a test for pytest", "no --runner"),
        (("test", "check.py", "--versions", "2.0", "--pythonpath", "lib"), "no folder", "--pythonpath"),
        (("test", "check.py", "--versions", "2.0", "--project", "."), "no project that can be built", "pyproject.toml"),
        (
            ("test", "ut.py", "--versions", "2.0", "--runner", "unittest", "--", "-k"),
            "unittest takes no arguments",
            "--runner pytest",
        ),
        (("test", "empty", "--versions", "2.0"), "has no test files", "test_*.py"),
        (("test", "check.py", "--versions", "2.0", "-r", "none.txt"), "none.txt", ""),
    ],
)
def test_what_cannot_be_meant_is_a_sentence_and_exit_2(
    user: User, words: tuple[str, ...], sentence: str, hint: str
) -> None:
    user.write("check.py", GOOD)
    user.write("ut.py", "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): pass\n")
    (user.folder / "empty").mkdir()
    run = user.run(*words)
    assert run.code == 2
    assert sentence in run.err
    assert hint in run.err


def test_a_misspelt_key_names_the_nearest(user: User) -> None:
    user.write("check.py", GOOD)
    user.write("tf-tester.toml", "time-out = '15m'\n")
    run = user.run("test", "check.py", "--versions", "2.0")
    assert run.code == 2
    assert "tf-tester.toml: there is no setting 'time-out'" in run.err
    assert "'timeout'" in run.err


def test_settings_come_from_the_projects_file(user: User) -> None:
    user.write("check.py", GOOD)
    user.write("pyproject.toml", "[tool.tf-tester]\nversions = ['1.0', '2.0']\nresolve = 'latest'\n")
    run = user.run("test", "check.py")
    assert run.outcomes() == {"1.0": "fail", "2.0": "pass"}


def test_a_store_that_cannot_be_written_is_named(user: User) -> None:
    user.write("check.py", GOOD)
    (user.home / "file").write_text("")
    run = user.run("test", "check.py", "--versions", "2.0", "--store", str(user.home / "file" / "store"))
    assert run.code == 4
    assert str(user.home / "file" / "store") in run.err
    assert "--store" in run.err


@pytest.mark.whole
def test_a_full_disk_is_named_and_what_was_verified_stays(user: User, index: Simulator) -> None:
    inside = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine gives no user namespaces, so no small disk can be made")
    big = make_wheel("toy", "3.0", files={"toy.py": "", "toy_data.bin": os.urandom(3_000_000)})
    index.add_wheel(*big, upload_time="2024-01-01T00:00:00Z", metadata=True)
    user.write("check.py", "import toy\n")
    user.store.mkdir()
    tool = f"{sys.executable} -m tf_tester test check.py --versions"
    commands = [
        f"mount -t tmpfs -o size=2m none {user.store}",
        f"{tool} 2.0 >&2",
        f"{tool} 3.0 2>&1 || test $? = 4",
        "echo AND NOW",
        f"mount -o remount,size=30m {user.store}",
        f"{tool} 2.0,3.0 2>&1",
    ]
    done = subprocess.run(
        [*inside, "sh", "-ec", "\n".join(commands)],
        cwd=user.folder,
        env=user.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    full, _, after = done.stdout.partition("AND NOW")
    assert "is full" in full
    assert "hint: Free" in full
    assert "2 passed" in after
    assert index.bytes_sent[big[0]] < 2 * len(big[1])  # what had arrived was not fetched again
    assert "Traceback" not in done.stderr + done.stdout


def _running(tag: str) -> bool:
    """Whether any process, in whatever namespace, has the tag among its words."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and tag in process.cmdline():
                return True
    return False
