"""What a user sees of the sandboxes and their limits. Skipped where this system allows none."""

import contextlib
import fcntl
import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.integration.conftest import Run, User
from tests.simulator import Simulator
from tests.waiting import until
from tests.wheels import make_sdist, make_wheel
from tf_tester.env.host import this_platform

SANDBOXES = ["namespace", "landlock"]


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Why this system allows no such sandbox, by its name; a command that runs in one says so."""
    said = {}
    with Simulator() as index:
        index.add_wheel(*make_wheel("toy", "2.0"))
        user = User(tmp_path_factory.mktemp("refused"), index)
        user.write("check.py", "import toy\n")
        for name in SANDBOXES:
            run = user.run("test", "check.py", "--versions", "2.0", "--isolation", name)
            if "can't be sandboxed here" in run.err:
                said[name] = run.err.splitlines()[0]
            else:
                assert run.code == 0, run.err
    return said


@pytest.fixture(params=[SANDBOXES[0], pytest.param(SANDBOXES[1], marks=pytest.mark.whole)])
def isolation(request: pytest.FixtureRequest, user: User, refused: dict[str, str]) -> str:
    user.write("check.py", "import toy\n")
    name: str = request.param
    if name in refused:
        pytest.skip(refused[name])
    return name


def test_the_record_says_which_sandbox_it_was(user: User, isolation: str) -> None:
    run = user.run("test", "check.py", "--versions", "2.0", "--isolation", isolation)
    assert run.record()[0]["request"]["isolation"] == isolation
    assert run.record()[0]["request"]["limits"]["processes"] == 4096
    assert run.record()[0]["platform"] == this_platform().label
    assert run.record()[0]["platform"].startswith(("manylinux_", "musllinux_")), "which C library it has"


def test_what_a_sandbox_cannot_keep_a_test_from_is_said(user: User, isolation: str) -> None:
    run = user.run("test", "check.py", "--versions", "2.0", "--isolation", isolation)
    assert ("a test is not kept from all" in run.out) is (isolation == "landlock")


def test_a_test_sees_no_home_and_no_network_and_writes_only_into_its_scratch(user: User, isolation: str) -> None:
    (user.home / "secret").write_text("hunter2")
    with socket.create_server(("127.0.0.1", 0)) as server:
        user.write(
            "check.py",
            f"""
            import socket, toy
            def refused(attempt):
                try:
                    attempt()
                except OSError:
                    return
                raise SystemExit("it worked")
            refused(lambda: open({str(user.home / "secret")!r}))
            if {isolation == "landlock"}:
                refused(lambda: open({str(user.folder / "new")!r}, "w"))
            refused(lambda: socket.create_connection(("127.0.0.1", {server.getsockname()[1]}), 5))
            open("new", "w").write("mine")
            """.replace("\n            ", "\n"),
        )
        run = user.run("test", "check.py", "--versions", "2.0", "--isolation", isolation)
    assert run.outcomes() == {"2.0": "pass"}, run.out
    assert not (user.folder / "new").exists()


SWAPS = """
import os, sys, toy
for line in open("/proc/self/mountinfo"):
    place = line.split()[4]
    for folder, folders, _ in os.walk(place) if os.access(place, os.W_OK) else ():
        for name in folders:
            try:
                os.rename(os.path.join(folder, name), os.path.join(folder, name + "-old"))
                os.symlink(sys.argv[1], os.path.join(folder, name))
            except OSError:
                pass
"""
LOOKS = """
import os, sys, toy
for place in (os.path.expanduser("~"), "/tmp", "/var/tmp", os.getcwd()):
    for name, mode in (("left", "w"), ("secret", "r")):
        try:
            open(os.path.join(place, name), mode)
        except OSError:
            continue
        assert mode == "w", place
"""


def test_what_one_program_of_a_cell_puts_in_the_place_of_its_folders_leads_the_next_nowhere(
    user: User, isolation: str
) -> None:
    kept = user.home / "kept"
    kept.mkdir()
    (kept / "secret").write_text("mine")
    user.write("a.py", SWAPS.replace("sys.argv[1]", repr(str(kept))))
    user.write("b.py", LOOKS)
    run = user.run("test", "a.py", "b.py", "--versions", "2.0", "--isolation", isolation)
    assert {row["id"]: row["outcome"] for row in run.results()["2.0"]["tests"]}["b.py"] == "pass", run.out
    assert [path.name for path in kept.iterdir()] == ["secret"]


def test_nobody_who_opens_a_file_waits_for_a_test(user: User, isolation: str) -> None:
    """A lease makes others wait for its holder, and takes no right but to read, for who owns the file."""
    shown = user.folder / "numbers"
    shown.write_text("1")
    with shown.open("rb") as mine:
        fcntl.fcntl(mine, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(mine, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    user.write("check.py", f"import fcntl, toy\nfcntl.fcntl(open({str(shown)!r}), fcntl.F_SETLEASE, fcntl.F_RDLCK)\n")
    run = user.run("test", "check.py", "--versions", "2.0", "--isolation", isolation)
    assert run.results()["2.0"]["summary"] == "PermissionError: [Errno 13] Permission denied", run.out


def test_a_test_talks_to_itself_and_runs_what_it_has_made(user: User, isolation: str) -> None:
    from tf_tester.sandbox.calls import can_supervise

    if isolation == "landlock" and not can_supervise():
        pytest.skip("this kernel lets nobody make calls for others")
    user.write(
        "check.py",
        "import os, socket, subprocess, tempfile, toy\n"
        "with socket.create_server(('127.0.0.1', 0)) as server:\n"
        "    client = socket.create_connection(server.getsockname())\n"
        "    client.sendall(b'heard')\n"
        "    assert server.accept()[0].recv(100) == b'heard'\n"
        "made = os.path.join(tempfile.mkdtemp(), 'made')\n"
        "with open(made, 'w') as file: file.write('#!/bin/sh\\nexit 7\\n')\n"
        "os.chmod(made, 0o755)\n"
        "assert subprocess.run([made]).returncode == 7\n"
        "print('said', file=open('/dev/stdout', 'a'))\n",
    )
    run = user.run("test", "check.py", "--versions", "2.0", "--isolation", isolation)
    assert run.outcomes() == {"2.0": "pass"}, run.out


def test_what_fails_for_want_of_a_network_has_the_sandbox_as_its_verdict(user: User, isolation: str) -> None:
    user.write("check.py", "import socket, toy\nsocket.create_connection(('192.0.2.1', 80), 5)\n")
    run = user.run("test", "check.py", "--versions", "2.0", "--isolation", isolation)
    assert run.outcomes() == {"2.0": "fail"}
    assert "verdict: sandbox, the system says" in run.out
    assert "--network" in run.out
    assert run.record()[0]["request"]["network"] is False


@pytest.mark.parametrize(
    ("code", "told", "option"),
    [
        ("open({home!r} + '/model.h5')", "model.h5 is there, and not shown to tests", "--data {home}/model.h5"),
        ("import socket; socket.gethostbyname('example.invalid')", "there is no network", "--network"),
        ("import os; os.listxattr; os.chroot('/')", "Operation not permitted", "--isolation none"),
        ("[open('check.py') for _ in range(100)] and list(map(open, ['check.py'] * 100))", "Too many", "open-files="),
        ("open('big', 'wb').truncate(1 << 30)", "File too large", "file-size="),
    ],
)
def test_what_a_sandbox_refuses_is_told_with_the_option_that_lets_it(
    user: User, isolation: str, code: str, told: str, option: str
) -> None:
    (user.home / "model.h5").write_text("weights")
    user.write("check.py", f"import toy\nkeep = {code.format(home=str(user.home))}\n")
    if code.startswith("import"):
        user.write("check.py", f"import toy\n{code}\n")
    limits = ["--limit", "open-files=64", "--limit", "file-size=1M"]
    run = user.run("test", "check.py", "--versions", "2.0", "--isolation", isolation, *limits)
    row = run.results()["2.0"]["tests"][0]
    assert told in row["sandboxed"], row
    assert option.format(home=user.home) in row["sandboxed"]
    assert "verdict: sandbox" in run.out


USES_UP = """
import ctypes, os, toy
libc = ctypes.CDLL(None, use_errno=True)
for _ in range(2000):
    if libc.{call} < 0:
        number = ctypes.get_errno()
        raise OSError(number, "{name}: " + os.strerror(number))
"""


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("shmget(0, 1 << 20, 0o1600)", "have half of the memory that is allowed (--limit memory=…)"),
        ("semget(0, 2000, 0o1600)", "that no option raises"),
        ("msgget(0, 0o1600)", "that no option raises"),
    ],
)
def test_who_uses_up_what_the_kernel_counts_is_told_which_it_is(user: User, call: str, told: str) -> None:
    # What it gets in namespaces is gone with them. Not so inotify, whose numbers are those of all the user's programs.
    user.write("check.py", USES_UP.format(call=call, name=call.partition("(")[0]))
    words = ["--isolation", "namespace", "--limit", "memory=400M"]
    run = user.run("test", "check.py", "--versions", "2.0", *words)
    if "can't be sandboxed here" in run.err:
        pytest.skip(run.err.splitlines()[0])
    assert told in run.results()["2.0"]["tests"][0]["sandboxed"]
    assert "verdict: sandbox" in run.out


def test_a_failure_that_does_not_say_what_is_full_has_a_remark_on_what_may_be(user: User) -> None:
    user.write("check.py", "import os, toy\nraise OSError(28, os.strerror(28))\n")
    run = user.run("test", "check.py", "--versions", "2.0", "--isolation", "namespace")
    if "can't be sandboxed here" in run.err:
        pytest.skip(run.err.splitlines()[0])
    row = run.results()["2.0"]["tests"][0]
    assert "half of --limit memory each" in row["remarks"][-1]
    assert row["sandboxed"] == ""


def test_who_makes_a_terminal_where_none_can_be_made_is_told_so(user: User) -> None:
    user.write("check.py", "import pty, toy\npty.openpty()\n")
    run = user.run("test", "check.py", "--versions", "2.0", "--isolation", "landlock")
    if "can't be sandboxed here" in run.err:
        pytest.skip(run.err.splitlines()[0])
    told = run.results()["2.0"]["tests"][0]["sandboxed"]
    assert told.endswith("under Landlock none can be made (--isolation namespace has its own)")


def test_who_may_not_change_a_file_beside_it_is_told_so(user: User) -> None:
    user.write("kept/old", "old")
    user.write("check.py", "import toy\nopen('kept/new', 'w')\n")
    run = user.run("test", "check.py", "--versions", "2.0", "--isolation", "landlock")
    if "can't be sandboxed here" in run.err:
        pytest.skip(run.err.splitlines()[0])
    told = run.results()["2.0"]["tests"][0]["sandboxed"]
    assert told == f"tests can't change {user.folder}/kept (--writable {user.folder}/kept)"


def test_why_shows_a_path_to_one_more_run_of_which_nothing_is_kept(user: User, isolation: str) -> None:
    """Nowhere in the store; and not under Landlock, where it could stay in /dev/shm for whoever runs next."""
    (user.home / "model.h5").write_text("hunter2")
    ghost = 'tell(\'{"event": "test", "id": "check.py::%s", "status": "fail"}\' % read)'
    read = f"read = (pathlib.Path.home() / 'model.h5').read_text()\nprint(read)\n{FORGES}{ghost}\n"
    user.write("check.py", f"import pathlib, toy\n{read}")
    run = user.run("test", "check.py", "--versions", "2.0", "--isolation", isolation, "--why")
    assert run.outcomes() == {"2.0": "fail"}
    [told] = [event["explanation"] for event in run.record() if event["event"] == "cell-explained"]
    assert told["verdict"] == "sandbox"
    assert told["remarks"] == (
        [f"fails in another way with --data {user.home}/model.h5"] if isolation == "namespace" else []
    )
    assert "hunter2" not in run.out + run.err + str(run.record())
    kept = [path for path in user.store.rglob("*") if path.is_file()]
    assert not any(b"hunter2" in path.read_bytes() for path in kept)


def test_why_says_that_a_test_passes_with_a_path(user: User) -> None:
    (user.home / "model.h5").write_text("weights")
    user.write("check.py", "import pathlib, toy\nprint((pathlib.Path.home() / 'model.h5').read_text())\n")
    run = user.run("test", "check.py", "--versions", "2.0", "--isolation", "namespace", "--why")
    if "can't be sandboxed here" in run.err:
        pytest.skip(run.err.splitlines()[0])
    [told] = [event["explanation"] for event in run.record() if event["event"] == "cell-explained"]
    assert (told["verdict"], told["verified"]) == ("sandbox", True)
    assert told["remarks"] == [f"passes with --data {user.home}/model.h5"]


def test_why_tries_no_path_where_something_could_be_let_out(user: User) -> None:
    (user.home / "secret").write_text("hunter2")
    leak = user.folder / "leak"
    leak.mkdir()
    user.write("check.py", f"import toy\nopen('{leak}/x', 'w').write(open({str(user.home / 'secret')!r}).read())\n")
    run = user.run("test", "check.py", "--versions", "2.0", "--why", "--writable", str(leak))
    if run.record()[0]["request"]["isolation"] == "none":
        pytest.skip("there is no sandbox here")
    assert run.outcomes() == {"2.0": "fail"}
    assert "hunter2" not in "".join(path.read_text() for path in leak.iterdir())


def test_a_test_leaves_the_store_as_it_was(user: User, isolation: str) -> None:
    user.write(
        "check.py",
        "import os, toy\n"
        "try:\n    os.chmod(toy.__file__, 0o666); open(toy.__file__, 'w').write('broken')\nexcept OSError: pass\n",
    )
    assert user.run("test", "check.py", "--versions", "2.0", "--isolation", isolation).outcomes() == {"2.0": "pass"}
    user.write("check.py", "import toy; assert toy.spin() == 2")
    assert user.run("test", "check.py", "--versions", "2.0", "--isolation", isolation).outcomes() == {"2.0": "pass"}


COPIES_ON = """
import os, shutil, toy
assert [oct(os.stat(path).st_mode & 0o777) for path in (toy.__file__, toy.__cached__)] == ["0o644"] * 2
shutil.copy2(toy.__file__, "mine.py")
with open("mine.py", "a") as file:
    file.write("more = 1")
"""


@pytest.mark.parametrize("isolation", [*SANDBOXES, "none"])
def test_installed_files_have_the_modes_of_any_installation(
    user: User, isolation: str, refused: dict[str, str]
) -> None:
    if isolation in refused:
        pytest.skip(refused[isolation])
    user.write("check.py", COPIES_ON)
    run = user.run("test", "check.py", "--versions", "2.0", "--isolation", isolation)
    assert run.outcomes() == {"2.0": "pass"}, run.out


@pytest.mark.parametrize("runner", ["script", "command"])
def test_who_needs_more_memory_than_allowed_is_told_so(user: User, isolation: str, runner: str) -> None:
    user.write("check.py", "import toy\nx = [b'x' * 10_000_000 for _ in range(100)]\nimport time; time.sleep(60)\n")
    words = ["check.py"] if runner == "script" else []
    after = [] if runner == "script" else ["--", "python", "check.py"]
    limit = ["--limit", "memory=200M", "--isolation", isolation]
    run = user.run("test", *words, "--versions", "2.0", *limit, *after)
    assert (run.code, run.outcomes()) == (1, {"2.0": "oom"}), run.out
    assert "more memory than" in run.results()["2.0"]["summary"]


def test_who_writes_more_than_allowed_is_told_so(user: User, isolation: str) -> None:
    code = "import toy, time\nfor n in range(50): open(str(n), 'wb').write(b'x' * 1_000_000)\ntime.sleep(60)\n"
    user.write("check.py", code)
    run = user.run("test", "check.py", "--versions", "2.0", "--limit", "scratch=10M", "--isolation", isolation)
    assert run.outcomes() == {"2.0": "crash"}
    assert "wrote more than" in run.results()["2.0"]["summary"]


def test_who_prints_without_end_is_ended(user: User, isolation: str) -> None:
    user.write("check.py", "import toy\nwhile True: print('x' * 1000)\n")
    run = user.run("test", "check.py", "--versions", "2.0", "--limit", "output=1M", "--isolation", isolation)
    assert run.outcomes() == {"2.0": "crash"}
    assert "printed more than" in run.results()["2.0"]["summary"]


PRINTS_AND_DIES = """
import os, pytest, toy
@pytest.mark.parametrize("number", range(6))
def test_it(number):
    os.write(1, b"x" * 400_000)
    os._exit(1)
"""


def test_one_limit_of_output_holds_for_all_processes_of_a_cell(user: User, with_pytest: None) -> None:
    words = ["--versions", "2.0", "--limit", "output=1M"]
    user.write("pytest.ini", "[pytest]\naddopts = -s\n")
    user.write("test_it.py", PRINTS_AND_DIES)
    result = user.run("test", "test_it.py", *words).results()["2.0"]
    assert len(result["tests"]) == 3
    assert "it printed more than 1M" in result["tests"][2]["reason"]
    assert "3 tests did not run: all that the cell may print is used up (--limit output=…)" in result["remarks"]
    for name in ("a.py", "b.py"):
        user.write(name, "import toy\nprint('x' * 700_000)\n")
    result = user.run("test", "a.py", "b.py", *words).results()["2.0"]
    assert [row["outcome"] for row in result["tests"]] == ["pass", "crash"]


def test_a_scratch_in_memory_is_as_good_and_has_an_end(user: User, isolation: str) -> None:
    user.write(
        "check.py", "import os, toy\nopen('a', 'w').write('1'); open(os.environ['TMPDIR'] + '/b', 'w').write('1')\n"
    )
    words = ["--versions", "2.0", "--isolation", isolation, "--scratch", "memory"]
    run = user.run("test", "check.py", *words)
    if isolation == "landlock":
        assert (run.code, "needs --isolation namespace" in run.err) == (4, True)
        return
    assert run.outcomes() == {"2.0": "pass"}, run.out
    user.write("check.py", "import toy\nopen('a', 'wb').write(b'x' * 20_000_000)\n")
    run = user.run("test", "check.py", *words, "--limit", "scratch=10M")
    assert run.outcomes() == {"2.0": "fail"}
    assert "No space left" in run.results()["2.0"]["summary"]


@pytest.mark.parametrize("place", ["a", "/tmp/a", "~/a"])
def test_memory_has_an_end_wherever_a_test_writes(user: User, place: str) -> None:
    user.write("check.py", f"import os, toy\nopen(os.path.expanduser({place!r}), 'wb').write(b'x' * 20_000_000)\n")
    words = ["--isolation", "namespace", "--scratch", "memory", "--limit", "scratch=10M"]
    run = user.run("test", "check.py", "--versions", "2.0", *words)
    if "can't be sandboxed here" in run.err:
        pytest.skip(run.err.splitlines()[0])
    assert "No space left" in run.results()["2.0"]["summary"]


ORDINARY = """
import getpass, os, pathlib, pwd, tempfile, toy
me = getpass.getuser()
assert me == pwd.getpwuid(os.getuid()).pw_name == os.environ["USER"]
home = pathlib.Path.home()
assert home == pathlib.Path({home!r})
assert not (home / "secret").exists()
assert tempfile.gettempdir() == "/tmp"
for place in ("/tmp", "/var/tmp", home):
    file = pathlib.Path(place, "mine")
    file.write_text("mine")
    os.utime(file, (5, 5))
    assert file.stat().st_mtime == 5
for file in ("new", "folder/new"):
    pathlib.Path(file).write_text("mine")
with open("folder/old", "a") as stream:
    stream.write(" and new")
assert pathlib.Path("folder/old").read_text() == "old and new"
"""


@pytest.mark.parametrize("scratch", ["disk", "memory"])
def test_a_namespace_has_the_places_of_an_ordinary_machine(user: User, scratch: str) -> None:
    (user.home / "secret").write_text("hunter2")
    user.write("folder/old", "old")
    user.write("check.py", ORDINARY.format(home=str(user.home)))
    run = user.run("test", "check.py", "--versions", "2.0", "--isolation", "namespace", "--scratch", scratch)
    if "can't be sandboxed here" in run.err:
        pytest.skip(run.err.splitlines()[0])
    assert run.outcomes() == {"2.0": "pass"}, run.results()
    assert not any(Path(place, "mine").exists() for place in ("/tmp", "/var/tmp", user.home))
    assert [path.name for path in (user.folder / "folder").iterdir()] == ["old"]
    assert (user.folder / "folder/old").read_text() == "old"


def test_who_lets_tests_change_a_home_shows_it(user: User) -> None:
    user.write("check.py", "import pathlib, toy\n(pathlib.Path.home() / 'new').write_text('kept')\n")
    words = ["--isolation", "namespace", "--writable", str(user.home)]
    run = user.run("test", "check.py", "--versions", "2.0", *words)
    if "can't be sandboxed here" in run.err:
        pytest.skip(run.err.splitlines()[0])
    assert run.outcomes() == {"2.0": "pass"}, run.results()
    assert (user.home / "new").read_text() == "kept"


LOADS_DATA = """
import hashlib, os, tempfile, toy
cache = os.path.join(os.path.expanduser("~"), ".keras")
if not os.access(cache, os.W_OK):
    cache = os.path.join(tempfile.gettempdir(), ".keras")
file = os.path.join(cache, "datasets", "mnist.npz")
with open(file, "rb") as stream:
    assert hashlib.sha256(stream.read()).hexdigest() == {digest!r}
try:
    with open(file, "ab") as stream:
        stream.write(b" and more")
    print("changed")
except OSError:
    print("read-only")
"""
"""As Keras looks for a data set."""


def test_data_is_shown_where_it_is_expected_and_stays_as_it_was(user: User, isolation: str) -> None:
    (user.home / ".keras/datasets").mkdir(parents=True)
    file = user.home / ".keras/datasets/mnist.npz"
    file.write_bytes(b"numbers")
    user.write("check.py", LOADS_DATA.format(digest=hashlib.sha256(b"numbers").hexdigest()))
    words = ["test", "check.py", "--versions", "2.0", "--isolation", isolation]
    assert user.run(*words).outcomes() == {"2.0": "fail"}
    run = user.run(*words, "--data", "~/.keras")
    assert run.outcomes() == {"2.0": "pass"}, run.results()
    said = "changed" if isolation == "namespace" else "read-only"
    assert run.results()["2.0"]["tests"][0]["stdout"].strip() == said
    assert file.read_bytes() == b"numbers"
    assert user.run(*words, "--data", "~/.keras").results()["2.0"]["replayed"], "nothing has changed"
    file.write_bytes(b"others")
    assert user.run(*words, "--data", "~/.keras").outcomes() == {"2.0": "fail"}


@pytest.mark.parametrize("option", ["--data", "--writable"])
def test_a_place_to_be_opened_that_is_not_there_is_told(user: User, option: str) -> None:
    user.write("check.py", "import toy")
    run = user.run("test", "check.py", "--versions", "2.0", option, "~/.kears")
    assert (run.code, f"There is no {user.home}/.kears for {option}" in run.err) == (2, True)


MAKES_SOCKETS = """
import multiprocessing, os, toy
if __name__ == "__main__":
    with multiprocessing.get_context("forkserver").Pool(1) as pool:
        assert pool.map(abs, [-1]) == [1]
    with multiprocessing.Manager() as manager:
        assert list(manager.list([1])) == [1]
    print(os.environ["TMPDIR"])
"""


@pytest.mark.parametrize("isolation", ["namespace", "none"])
def test_the_temporary_folder_leaves_room_for_the_names_of_sockets(user: User, isolation: str) -> None:
    """They end at 107 bytes, and our own paths are longer than many."""
    user.write("check.py", MAKES_SOCKETS)
    store = user.home / "a-store-with-a-long-name" / "because-somebody-likes-those"
    words = ["test", "check.py", "--versions", "2.0", "--isolation", isolation]
    run = user.run(*words, env={"TF_TESTER_STORE": str(store)})
    if "can't be sandboxed here" in run.err:
        pytest.skip(run.err.splitlines()[0])
    assert run.outcomes() == {"2.0": "pass"}, run.results()
    place = Path(run.results()["2.0"]["tests"][0]["stdout"].strip())
    assert place == Path("/tmp") or not os.path.lexists(place), "a link is gone with the cell"


def test_a_file_with_holes_counts_as_what_it_takes(user: User) -> None:
    user.write("check.py", "import toy\nwith open('map', 'wb') as file: file.truncate(1 << 40); file.write(b'x')\n")
    run = user.run("test", "check.py", "--versions", "2.0", "--limit", "scratch=1M")
    assert run.outcomes() == {"2.0": "pass"}, run.results()


def test_nothing_is_left_of_a_cell(user: User, isolation: str) -> None:
    user.write("check.py", "import toy\nopen('a', 'w').write('1'); open(toy.__file__ + 'x', 'a') if 0 else None\n")
    user.run("test", "check.py", "--versions", "1.0,2.0", "--isolation", isolation)
    assert [entry.name for entry in (user.store / "tmp").iterdir() if entry.is_dir()] == []


def test_a_program_that_ends_as_a_launcher_does_has_failed(user: User, isolation: str) -> None:
    sentence = "the sandbox could not be made: x"
    user.write(
        "check.py", f"import os, sys, toy\nos.fchmod(2, 0)\nprint({sentence!r}, file=sys.stderr)\nsys.exit(125)\n"
    )
    run = user.run("test", "check.py", "--versions", "2.0", "--isolation", isolation)
    assert (run.code, run.outcomes()) == (1, {"2.0": "fail"})
    run = user.run(
        "test", "--versions", "2.0", "--isolation", isolation, "--", "sh", "-c", f"echo {sentence}>&2; exit 125"
    )
    assert (run.code, run.outcomes()) == (1, {"2.0": "fail"})
    run = user.run("test", "--versions", "2.0", "--isolation", isolation, "--", "no-such-program")
    assert (run.code, run.outcomes()) == (1, {"2.0": "crash"})
    assert "it could not be started: no-such-program: No such file or directory" in run.out


FORGES = """
import os, stat
def is_socket(number):
    try:
        return stat.S_ISSOCK(os.fstat(number).st_mode)
    except OSError:
        return False
def tell(*lines):
    told = next(number for number in range(3, 1000) if is_socket(number))
    os.write(told, "".join(line + chr(10) for line in lines).encode())
"""
"""What a test in the harness's process can do: it finds the socket that the harness tells its parent by."""


def test_what_a_test_writes_into_the_events_costs_that_line_alone(user: User, isolation: str) -> None:
    no_events = """tell('{"event": "import", "wall_s": 1' + '0' * 400 + '}', '{"event": "collected", "ids": 5}')"""
    user.write("check.py", f"import toy\n{FORGES}\n{no_events}\n")
    run = user.run("test", "check.py", "--versions", "1.0,2.0", "--isolation", isolation)
    assert (run.code, run.outcomes()) == (0, {"1.0": "pass", "2.0": "pass"}), run.err
    for result in run.results().values():
        assert "2 lines were left out of what the harness told" in " ".join(result["remarks"])
        assert 0 < result["import_s"] < 60


def test_a_result_that_a_test_writes_for_itself_or_another_is_no_pass(user: User, with_pytest: None) -> None:
    row, end = '{"event": "test", "id": "%s", "status": "pass"}', '{"event": "end", "exit_code": 3}'
    user.write("check.py", f"{FORGES}tell('{row % 'check.py'}', '{end}')\nos._exit(3)\n")
    write = f"    tell('{row % 'test_two.py::test_a'}')\n"
    user.write("test_two.py", f"{FORGES}def test_a(): assert 1 == 2\ndef test_b():\n{write}")
    run = user.run("test", "check.py", "test_two.py", "--versions", "2.0")
    rows = {row["id"]: row for row in run.results()["2.0"]["tests"]}
    assert {name: row["outcome"] for name, row in rows.items()} == {
        "check.py": "error",
        "test_two.py::test_a": "fail",
        "test_two.py::test_b": "pass",
    }
    assert rows["check.py"]["reason"].startswith("the process left with exit status 3")
    assert rows["test_two.py::test_a"]["remarks"] == ["several results were written for it: fail, pass"]


GHOST = '{"event": "%s", "id": "ghost", "status": "pass"}'
GHOSTS = f"tell({GHOST % 'test-start'!r}, {GHOST % 'test'!r})\n"


def test_nobody_adds_tests_that_are_not_there(user: User, with_pytest: None) -> None:
    user.write("check.py", f"import toy\n{FORGES}{GHOSTS}")
    user.write("test_it.py", f"import toy\n{FORGES}def test_a():\n    {GHOSTS}")
    run = user.run("test", "check.py", "test_it.py", "--versions", "2.0")
    told = "the process told of 1 test that it can't have run: ghost"
    assert {row["id"]: (row["outcome"], row["reason"]) for row in run.results()["2.0"]["tests"]} == {
        "check.py": ("error", told),
        "test_it.py::test_a": ("pass", ""),
        "test_it.py::(exit status)": ("error", told),
    }


def test_what_was_told_can_not_be_taken_back(user: User, isolation: str, with_pytest: None) -> None:
    told = [
        '{"event": "start", "python": "3"}',
        '{"event": "collected", "ids": ["test_it.py::test_a", "test_it.py::test_b"]}',
        *(
            f'{{"event": "{kind}", "id": "test_it.py::{name}", "status": "pass"}}'
            for name in ("test_a", "test_b")
            for kind in ("test-start", "test")
        ),
        '{"event": "end", "exit_code": 0}',
    ]
    user.write(
        "test_it.py",
        FORGES + "def test_a(): assert 1 == 2\n"
        "def test_b():\n"
        "    for number in range(3, 1000):\n"
        "        for file in (number, f'/proc/self/fd/{number}'):\n"
        "            try: os.truncate(file, 0)\n"
        "            except OSError: pass\n"
        f"    tell(*{told})\n    os._exit(0)\n",
    )
    run = user.run("test", "test_it.py", "--versions", "2.0", "--isolation", isolation)
    assert run.code == 1
    rows = {row["id"]: row["outcome"] for row in run.results()["2.0"]["tests"]}
    assert rows["test_it.py::test_a"] == "fail"


def test_an_isolation_that_cannot_be_had_is_an_error(user: User, tmp_path: Path) -> None:
    run = user.run("test", "check.py", "--versions", "2.0", "--isolation", "vault")
    assert run.code == 2
    assert "landlock" in run.err


@pytest.mark.whole
def test_a_test_that_ends_its_time_may_tidy_up(user: User, isolation: str) -> None:
    user.write(
        "check.py",
        "import signal, sys, time, toy\n"
        "def tidy(*_): print('tidied', flush=True); sys.exit(5)\n"
        "signal.signal(signal.SIGTERM, tidy)\nprint(1, flush=True)\ntime.sleep(1000)\n",
    )
    run = user.run("test", "check.py", "--versions", "2.0", "--timeout", "4s", "--isolation", isolation)
    assert run.outcomes() == {"2.0": "timeout"}
    assert "tidied" in run.results()["2.0"]["tests"][0]["stdout"]


IN_A_CONTAINER = """
import os, sys
from tf_tester.sandbox import kernel
from tf_tester.sandbox.calls import filter_calls
kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1, "no new privileges")
filter_calls((1, 2, 10, 16), files_are_mounts=True, truncates=True, protected=())
os.execv(sys.executable, [sys.executable, "-m", "tf_tester", *sys.argv[1:]])
"""


def test_where_namespaces_are_refused_as_in_a_container_auto_takes_landlock(user: User) -> None:
    """The filter is our own: like container engines' it refuses unshare and mount."""
    user.write("check.py", "import toy\n")
    words = [sys.executable, "-c", IN_A_CONTAINER, "test", "check.py", "--versions", "2.0"]
    done = subprocess.run(words, cwd=user.folder, env=user.env, capture_output=True, text=True, check=False)
    run = Run(done.returncode, done.stdout, done.stderr)
    if "tests ran with your rights" in run.out:
        pytest.skip("there is no Landlock here either")
    assert (run.code, run.outcomes()) == (0, {"2.0": "pass"}), run.err
    assert run.record()[0]["request"]["isolation"] == "landlock"


def test_a_sandbox_that_was_asked_for_and_is_refused_is_an_error_with_its_reason(user: User) -> None:
    user.write("check.py", "import toy\n")
    words = ["test", "check.py", "--versions", "2.0", "--isolation", "namespace"]
    done = subprocess.run(
        [sys.executable, "-c", IN_A_CONTAINER, *words],
        cwd=user.folder,
        env=user.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert "new namespaces: Operation not permitted" in done.stderr
    assert "doctor" in done.stderr


BUILD_LOOKS_AROUND = """
def _refused(attempt):
    try:
        attempt()
    except OSError:
        return
    raise SystemExit("it worked")
_refused(lambda: open({secret!r}))
_refused(lambda: open({new!r}, "w"))
import os
for attempt in (lambda: os.chmod({secret!r}, 0o777), lambda: os.utime({secret!r}, (1, 1))):
    try:
        attempt()
    except OSError:
        pass
"""


@pytest.mark.whole
def test_a_build_from_source_is_held_as_well(user: User, index: Simulator, isolation: str) -> None:
    secret = user.home / "secret"
    secret.write_text("hunter2")
    before = secret.stat()
    look = BUILD_LOOKS_AROUND.format(secret=str(secret), new=str(user.folder / "new"))
    index.add_sdist(*make_sdist("toy", "0.7", build_runs=look), upload_time="2019-01-01T00:00:00Z")
    words = ["--versions", "0.7", "--allow-build", "toy"]
    run = user.run("test", "check.py", *words, "--isolation", isolation)
    assert run.outcomes() == {"0.7": "pass"}, run.out
    assert not (user.folder / "new").exists()
    assert (secret.stat().st_mode, secret.stat().st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


def test_without_a_sandbox_a_build_may_do_all_that_its_user_may(user: User, index: Simulator) -> None:
    (user.home / "secret").write_text("hunter2")
    look = BUILD_LOOKS_AROUND.format(secret=str(user.home / "secret"), new=str(user.folder / "new"))
    index.add_sdist(*make_sdist("toy", "0.7", build_runs=look), upload_time="2019-01-01T00:00:00Z")
    user.write("check.py", "import toy\n")
    run = user.run("test", "check.py", "--versions", "0.7", "--allow-build", "toy", "--isolation", "none")
    assert run.outcomes() == {"0.7": "build-failed"}


BEYOND_A_LIMIT = {
    "0.5": ("import os\nfor _ in range(64): os.write(2, b'x' * 65536)\n", "output=1M", "it printed more than 1M"),
    "0.6": ("open('big', 'wb').write(b'x' * 48_000_000)\n", "scratch=32M", "it wrote more than 32M"),
    "0.7": ("x = b'x' * 600_000_000\n", "memory=300M", "it needed more memory than 300M"),
    "0.8": ("import time; time.sleep(1000)\n", "", "stopped after"),
}


@pytest.mark.whole
def test_a_build_has_the_limits_and_the_time_of_a_test(user: User, index: Simulator, isolation: str) -> None:
    for version, (runs, _, _) in BEYOND_A_LIMIT.items():
        index.add_sdist(*make_sdist("toy", version, build_runs=runs), upload_time="2019-01-01T00:00:00Z")
    for version, (_, given, said) in BEYOND_A_LIMIT.items():
        words = ["--versions", version, "--allow-build", "toy", "--isolation", isolation]
        run = user.run("test", "check.py", *words, *(["--limit", given] if given else ["--timeout", "3s"]))
        assert run.outcomes() == {version: "build-failed"}, run.out
        assert said in run.results()[version]["summary"]
        assert len(run.results()[version]["detail"]) < 2**19


LINKS_ITS_WHEEL = """
import os
import zipfile
class _Linked(zipfile.ZipFile):
    def close(self):
        name = self.filename
        super().close()
        if str(name).endswith(".whl") and os.path.exists(name) and not os.path.islink(name):
            os.rename(name, name + ".real")
            os.symlink(name + ".real", name)
zipfile.ZipFile = _Linked
"""


def test_a_wheel_that_is_a_link_is_none(user: User, index: Simulator, isolation: str) -> None:
    index.add_sdist(*make_sdist("toy", "0.7", build_runs=LINKS_ITS_WHEEL), upload_time="2019-01-01T00:00:00Z")
    run = user.run("test", "check.py", "--versions", "0.7", "--allow-build", "toy", "--isolation", isolation)
    assert run.outcomes() == {"0.7": "build-failed"}, run.out
    assert "left 0 wheels" in run.results()["0.7"]["summary"]


@pytest.mark.whole
def test_pytest_sees_a_folder_without_settings_as_outside(user: User, with_pytest: None, isolation: str) -> None:
    """Its store lies beside it: what is above both can't be looked into."""
    user.write("test_it.py", "def test_a(pytestconfig): assert pytestconfig.rootpath.name == 'project'\n")
    for target in ("test_it.py", "."):
        run = user.run("test", target, "--versions", "2.0", "--isolation", isolation)
        rows = {row["id"]: row["outcome"] for row in run.results()["2.0"]["tests"]}
        assert rows == {"test_it.py::test_a": "pass"}, run.out


GOES_DEEP = """
import os
here = os.getcwd()
os.chdir(os.path.expanduser("~"))
name = os.urandom(4).hex()
for _ in range(1100):  # more than Python calls in one another
    os.mkdir(name)
    os.chdir(name)
os.chdir(here)
"""


@pytest.mark.whole
def test_folders_in_one_another_are_cleared_away(user: User, index: Simulator, isolation: str) -> None:
    index.add_sdist(*make_sdist("toy", "0.7", build_runs=GOES_DEEP), upload_time="2019-01-01T00:00:00Z")
    user.write("check.py", GOES_DEEP + "import toy\n")
    run = user.run("test", "check.py", "--versions", "0.7", "--allow-build", "toy", "--isolation", isolation)
    assert (run.code, run.outcomes()) == (0, {"0.7": "pass"}), run.out + run.err
    left = [path.name for path in (user.store / "tmp").iterdir()]
    assert left == [], "neither of the build nor of the test"


def test_a_test_dies_with_a_coordinator_that_is_killed(user: User, isolation: str) -> None:
    tag = f"tag-{user.home}"
    user.write(
        "check.py",
        "import os, subprocess, sys, toy\n"
        f"words = [sys.executable, '-c', 'import time; time.sleep(1000)', {tag!r}]\n"
        "subprocess.Popen(words, start_new_session=True, env={})\n"
        "subprocess.run(words)\n",
    )
    process = user.start("test", "check.py", "--versions", "2.0", "--isolation", isolation)
    until(lambda: len(tagged(tag)) == 2)
    process.kill()
    process.communicate()
    until(lambda: tagged(tag) == [])


def tagged(tag: str) -> list[int]:
    """Processes, in whatever namespace, that have the tag among their words."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and tag in process.cmdline():
                found.append(process.pid)
    return found
