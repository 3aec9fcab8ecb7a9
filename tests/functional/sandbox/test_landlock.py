"""What Landlock's sandbox lets through, here and as it would be on older kernels. Skipped where there is none."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.functional.sandbox.test_sandbox import carried_out, hidden_in, project, succeeded
from tests.waiting import until
from tf_tester.errors import IsolationUnavailable
from tf_tester.model.host.limits import Limits
from tf_tester.model.host.world import World
from tf_tester.ports.execute import Command

if sys.platform != "linux":
    pytest.skip("Landlock is Linux's", allow_module_level=True)

from tf_tester.sandbox.landlock import version
from tf_tester.sandbox.landlocked import NEWEST, LandlockSandbox
from tf_tester.sandbox.server import LaunchServer

Run = Callable[..., "subprocess.CompletedProcess[str]"]
OLD = [1, 2, 3, 4, 5]
"""Before Linux 6.12; this kernel is made to do no more than those could."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("scratch", "work", "readable", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "readable" / "data").write_text("data")
    (tmp_path / "other" / "data").write_text("secret")
    return tmp_path


def order(folder: Path, code: str, *, abi: int = NEWEST, network: bool = False, supervised: bool = True) -> Command:
    sandbox = LandlockSandbox(
        folder / "work", limits=Limits(processes=4096), network=network, abi=abi, supervised=supervised
    )
    prefix = Path(sys.base_prefix)
    world = World(
        readable=(folder / "readable", *(() if prefix == Path("/usr") else (prefix,))),
        writable=(folder / "scratch",),
        own=(folder / "scratch",),
    )
    python = str(Path(sys.executable).resolve())
    return sandbox.wrap(Command((python, "-c", code), {"PATH": os.defpath}, folder / "scratch"), world)


@pytest.fixture
def run(folder: Path) -> Run:
    try:
        with closing(LaunchServer()) as launchers:
            LandlockSandbox(folder / "work", limits=Limits()).check(launchers)
    except IsolationUnavailable as error:
        pytest.skip(str(error))

    def run(code: str, *, abi: int = NEWEST, network: bool = False) -> "subprocess.CompletedProcess[str]":
        if abi < NEWEST and version() < abi:
            pytest.skip(f"this kernel's Landlock has ABI {version()}")
        return carried_out(order(folder, code, abi=abi, network=network))

    return run


@pytest.mark.parametrize("abi", [*OLD, NEWEST])
def test_what_is_named_can_be_read_and_the_scratch_written_and_nothing_else(run: Run, folder: Path, abi: int) -> None:
    assert succeeded(run(f"print(open('{folder}/readable/data').read())", abi=abi)) == "data"
    assert succeeded(run("open('new', 'w').write('x'); import os; os.rename('new', 'newer')", abi=abi)) == ""
    attempts = (
        f"open('{folder}/other/data')",
        f"open('{folder}/readable/data', 'a')",
        f"open('{folder}/other/new', 'w')",
        f"os.listdir('{folder}/other')",
        f"os.truncate('{folder}/readable/data', 0)",
        f"os.open('{folder}/readable/data', os.O_RDONLY | os.O_TRUNC)",
        f"os.open('{folder}/readable/data', os.O_ACCMODE | os.O_TRUNC)",
        f"os.unlink('{folder}/readable/data')",
        f"os.rename('{folder}/readable/data', 'mine')",
        f"os.link('{folder}/readable/data', 'mine'), open('mine', 'w')",
        f"os.symlink('x', '{folder}/other/link')",
        f"os.mkdir('{folder}/other/folder')",
        "open('/etc/shadow')",
        "os.listdir('/')",
    )
    code = f"import os\nfor attempt in {attempts}:\n    try: eval(attempt); print(attempt)\n    except OSError: pass\n"
    assert succeeded(run(code, abi=abi)) == ""
    assert (folder / "readable" / "data").read_text() == "data"


def test_modes_and_times_are_answered_as_done_and_stay_as_they_were(run: Run, folder: Path) -> None:
    data = folder / "readable" / "data"
    data.chmod(0o644)
    before = data.stat()
    assert succeeded(run(f"import os; os.chmod('{data}', 0o777); os.utime('{data}', (1, 1))")) == ""
    assert (data.stat().st_mode, data.stat().st_mtime) == (before.st_mode, before.st_mtime)
    assert succeeded(run("import shutil; open('a', 'w'); shutil.copy2('a', 'b'); print('copied')")) == "copied"


@pytest.mark.parametrize("abi", [*OLD, NEWEST])
def test_its_own_processes_hear_its_signals_and_its_keepers_do_not(run: Run, abi: int) -> None:
    code = (
        "import os, signal, subprocess\n"
        "child = subprocess.Popen(['sleep', '1000']); child.terminate(); print(child.wait())\n"
        "for pid in (os.getppid(), -1, -os.getppid()):\n"
        "    try: os.kill(pid, 0)\n"
        "    except OSError as error: print(error.errno)\n"
        "    else: print('heard')\n"
    )
    # By its scope -1 means all within it.
    everybody = "heard" if abi >= 6 else "1"
    said = succeeded(run(code, abi=abi)).split()
    assert said[:3] == ["-15", "1", everybody]
    assert said[3] in ("1", "3")


@pytest.mark.parametrize("abi", [5, NEWEST])
def test_abstract_sockets_are_out_of_reach_on_older_kernels_too(run: Run, abi: int) -> None:
    with socket.socket(socket.AF_UNIX) as service:
        service.bind(f"\0tf-tester-{os.getpid()}")
        service.listen()
        done = run(f"import socket; socket.socket(socket.AF_UNIX).connect('\\0tf-tester-{os.getpid()}')", abi=abi)
    assert (done.returncode, "Error" in done.stderr) == (1, True)


def test_there_is_no_network_unless_it_is_allowed(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as service:
        code = f"import socket; socket.create_connection({service.getsockname()})"
        assert "Connection refused" in run(code).stderr
        assert succeeded(run(code, network=True)) == ""


def test_what_frameworks_do_works(run: Run) -> None:
    code = (
        "import multiprocessing, subprocess, sys, tempfile, threading\n"
        "def double(x): return 2 * x\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool: print(pool.map(double, [1, 2]))\n"
        "print(subprocess.run([sys.executable, '-c', 'print(7)'], capture_output=True, text=True).stdout.strip())\n"
        "import asyncio; print(asyncio.run(asyncio.sleep(0, 'slept')))\n"
        "print(open('/proc/cpuinfo').read(1) != '', open('/proc/meminfo').read(3))\n"
    )
    assert succeeded(run(code)).split("\n") == ["[2, 4]", "7", "slept", "True Mem"]


@pytest.mark.parametrize(
    ("code", "status"),
    [("raise SystemExit(3)", 3), ("import os; os.abort()", -signal.SIGABRT), ("import os; os._exit(77)", 77)],
)
def test_the_launcher_ends_as_the_program_did(run: Run, code: str, status: int) -> None:
    assert run(code).returncode == status


LEAVES_EVERYTHING = """
import os, subprocess, sys, time
words = [sys.executable, "-c", "import time; time.sleep(1000)", {mark!r}]
subprocess.Popen(words)
subprocess.Popen(words, start_new_session=True, env={{}})
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 50)
        os.execve(words[0], words, {{}})
    os._exit(0)
open("begun", "w").close()
time.sleep(1000 if {stays} else 0)
"""


def living(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if mark in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize("how", ["by itself", "its input closes", "the launcher is killed"])
def test_nothing_outlives_it(run: Run, folder: Path, how: str) -> None:
    mark = f"mark-{folder}"
    command = order(folder, LEAVES_EVERYTHING.format(mark=mark, stays=how != "by itself"))
    with subprocess.Popen(
        command.argv, env=dict(command.env), cwd=command.cwd, stdin=subprocess.PIPE, start_new_session=True
    ) as launcher:
        until(lambda: (folder / "scratch" / "begun").exists())
        match how:
            case "its input closes":
                assert launcher.stdin is not None
                launcher.stdin.close()
            case "the launcher is killed":
                launcher.kill()
        launcher.wait()
    if how == "the launcher is killed":  # then its child does it, and nobody waits for that
        until(lambda: living(mark) == [])
    assert living(mark) == []


def test_what_is_hidden_can_not_be_read_and_all_beside_it_can(run: Run, folder: Path) -> None:
    made = project(folder)
    (made / "venv/lib").mkdir()
    (made / "venv/lib/harness.py").write_text("it")
    sandbox = LandlockSandbox(folder / "work", limits=Limits())
    world = World((made, made / "venv/lib"), (folder / "scratch",), hidden=hidden_in(made))

    def seen(code: str) -> "subprocess.CompletedProcess[str]":
        code = f"import os; os.chdir({str(made)!r}); {code}"
        program = Command(("/usr/bin/python3", "-c", code), {"PATH": os.defpath}, folder / "scratch")
        return carried_out(sandbox.wrap(program, world))

    for name in (".git/HEAD", "venv/bin/python", "src/__pycache__/mine.pyc", "src/deep/er/.git"):
        assert "PermissionError" in seen(f"open({name!r})").stderr, name
    assert succeeded(seen("print(open('src/mine.py').read(), open('run').read(), open('link').read())")) == (
        "src/mine.py run src/mine.py"
    )
    assert succeeded(seen("print(open('venv/lib/harness.py').read())")) == "it"
    assert succeeded(seen("print(sorted(os.listdir()), os.listdir('empty'), sorted(os.listdir('src')))")) == (
        "['.git', 'empty', 'link', 'run', 'src', 'venv'] [] ['__pycache__', 'deep', 'mine.py']"
    ), "names are seen everywhere"
    assert "PermissionError" in seen("open('new', 'w')").stderr
