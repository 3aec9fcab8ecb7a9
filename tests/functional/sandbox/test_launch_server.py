"""Launchers that are forked end, cost and die as those that are started; skipped where there is no sandbox at all."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace

if sys.platform != "linux":
    pytest.skip("the sandboxes are Linux's", allow_module_level=True)

from tests.waiting import until, waited_until
from tf_tester.errors import IsolationUnavailable
from tf_tester.execute.groups import ControlGroups, Group
from tf_tester.execute.local import LocalExecutor
from tf_tester.model.host.exit import Exit
from tf_tester.model.host.limits import Exceeded, Limit, Limits
from tf_tester.model.host.world import World
from tf_tester.ports.execute import Command, Streams
from tf_tester.sandbox.landlocked import LandlockSandbox
from tf_tester.sandbox.namespace import NamespaceSandbox
from tf_tester.sandbox.server import LaunchServer

NONE = Limits()


class Bench:
    def __init__(self, folder: Path, launchers: LaunchServer, sandbox: NamespaceSandbox | LandlockSandbox) -> None:
        self.folder = folder
        self.launchers = launchers
        self.sandbox = sandbox
        self.executor = LocalExecutor(launchers=launchers)

    def expect(self, limits: Limits = NONE) -> psutil.Process:
        """Have a launcher made for a program that isn't known yet; gives it."""
        before = {child.pid for child in server_of(self.launchers).children()}
        assert self.sandbox.ahead is not None
        self.executor.expect(self.sandbox.ahead, limits)
        until(lambda: len(server_of(self.launchers).children()) > len(before))
        [made] = [child for child in server_of(self.launchers).children() if child.pid not in before]
        until(made.children)
        return made

    def command(self, code: str) -> Command:
        prefix = Path(sys.base_prefix)
        world = World(() if prefix == Path("/usr") else (prefix,), (self.folder / "scratch",))
        python = str(Path(sys.executable).resolve())
        return self.sandbox.wrap(Command((python, "-c", code), {"PATH": os.defpath}, self.folder / "scratch"), world)

    def run(self, code: str, *, name: str = "a", timeout: float | None = 60, limits: Limits = NONE) -> Exit:
        return self.start(self.command(code), name=name, timeout=timeout, limits=limits)

    def start(self, command: Command, *, name: str = "a", timeout: float | None = 60, limits: Limits = NONE) -> Exit:
        out, err = self.folder / f"{name}.out", self.folder / f"{name}.err"
        return self.executor.run(command, stdout=out, stderr=err, timeout=timeout, limits=limits)

    def out(self, name: str = "a") -> str:
        return (self.folder / f"{name}.out").read_text()


@pytest.fixture(params=[NamespaceSandbox, LandlockSandbox])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "work").mkdir()
    with closing(LaunchServer()) as launchers:
        sandbox = request.param(tmp_path / "work", limits=NONE)
        try:
            sandbox.check(launchers)
        except IsolationUnavailable as error:
            pytest.skip(str(error))
        bench = Bench(tmp_path, launchers, sandbox)
        yield bench
        bench.executor.close()


def is_dead(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def server_of(launchers: LaunchServer) -> psutil.Process:
    assert launchers._process is not None
    return psutil.Process(launchers._process.pid)


@pytest.mark.parametrize(
    ("code", "status", "number"),
    [
        ("raise SystemExit(3)", 3, None),
        ("import os; os.abort()", None, signal.SIGABRT),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", None, signal.SIGKILL),
    ],
)
def test_its_end_is_told_as_it_was(bench: Bench, code: str, status: int | None, number: int | None) -> None:
    end = bench.run(code)
    assert (end.code, end.signal, end.timed_out, end.exceeded, end.spawn_error) == (status, number, False, None, "")


def test_both_streams_are_kept_and_there_is_no_input(bench: Bench) -> None:
    bench.run("import sys; print(repr(sys.stdin.read())); print('err', file=sys.stderr)")
    assert bench.out() == "''\n"
    assert (bench.folder / "a.err").read_text() == "err\n"


def test_costs_are_those_of_the_program(bench: Bench) -> None:
    end = bench.run("x = bytearray(80_000_000); sum(range(3_000_000))")
    assert end.cpu_s > 0.01
    assert 70_000 < end.peak_rss_kib < 500_000


def test_nothing_of_the_one_that_forks_comes_along(bench: Bench) -> None:
    bench.run("import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:4], os.getsid(0) == os.getpid())")
    assert bench.out() == "[0, 1, 2, 3] True\n"  # the fourth is that of the listing
    bench.run("import os; print(sorted(os.environ))", name="b")
    assert set(eval(bench.out("b"))) - {"LC_CTYPE", "GIT_CONFIG_NOSYSTEM"} == {"PATH"}


@pytest.mark.whole
def test_many_at_once_do_not_mix(bench: Bench) -> None:
    with ThreadPoolExecutor(6) as pool:
        ends = list(pool.map(lambda n: bench.run(f"print({n}); raise SystemExit({n})", name=str(n)), range(24)))
    assert [end.code for end in ends] == list(range(24))
    assert [bench.out(str(n)) for n in range(24)] == [f"{n}\n" for n in range(24)]
    assert [child.status() for child in server_of(bench.launchers).children()] == []


@pytest.mark.whole
def test_time_and_limits_hold(bench: Bench) -> None:
    asked = (
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(5)); print(1, flush=True); time.sleep(1000)"
    )
    end = bench.start(replace(bench.command(asked), waited=waited_until(bench.out)), timeout=0.1)
    assert (end.code, end.timed_out) == (5, True)
    end = bench.run("print('x' * 200_000, flush=True); import time; time.sleep(1000)", limits=Limits(output=100_000))
    assert end.exceeded == Exceeded(Limit.OUTPUT, 100_000)


def test_stop_ends_what_runs(bench: Bench) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(bench.run, "import time; print('begun', flush=True); time.sleep(1000)", timeout=None)
        until(lambda: (bench.folder / "a.out").exists() and bench.out())
        bench.executor.stop()
        assert running.result().signal in (signal.SIGTERM, signal.SIGKILL)


def test_without_the_one_that_forks_launchers_are_started(bench: Bench) -> None:
    server = server_of(bench.launchers)
    server.kill()
    until(lambda: server.status() == psutil.STATUS_ZOMBIE)
    assert bench.run("print('done')").code == 0
    assert bench.out() == "done\n"


def test_when_it_dies_what_runs_is_ended_and_not_taken_for_passed(bench: Bench) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(bench.run, "import time; print('begun', flush=True); time.sleep(1000)", timeout=None)
        until(lambda: (bench.folder / "a.out").exists() and bench.out())
        server_of(bench.launchers).kill()
        assert running.result().signal == signal.SIGKILL


def test_a_launcher_that_is_ready_is_taken(bench: Bench) -> None:
    made = bench.expect()
    asked = "import os, time; print('begun', flush=True); time.sleep(1000)"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(bench.run, asked, timeout=None)
        until(lambda: (bench.folder / "a.out").exists() and bench.out())
        assert server_of(bench.launchers).children() == [made], "no other was made, and none for a next program"
        made.kill()
        assert running.result().signal == signal.SIGKILL


def test_there_is_one_for_each_that_is_expected_but_one_at_a_time(bench: Bench) -> None:
    bench.expect()
    assert bench.sandbox.ahead is not None
    bench.executor.expect(bench.sandbox.ahead, NONE)
    assert len(server_of(bench.launchers).children()) == 1
    assert bench.run("pass").code == 0
    until(lambda: len(server_of(bench.launchers).children()) == 1)
    assert bench.run("pass").code == 0
    assert server_of(bench.launchers).children() == []


def test_one_for_other_limits_is_left_for_those(bench: Bench) -> None:
    made = bench.expect(Limits(memory=10**9))
    assert bench.run("pass").code == 0
    assert server_of(bench.launchers).children() == [made]


def test_one_that_nobody_needs_leaves_nothing(bench: Bench) -> None:
    made = bench.expect(Limits(memory=10**9, processes=100))
    files = {file for file in bench.folder.rglob("*") if file.is_file()}
    family = [made, *made.children(recursive=True)]
    bench.executor.close()
    assert psutil.wait_procs(family, timeout=60)[1] == []
    ours = f"tf-tester-{os.getpid()}-*"
    assert not list(Path("/sys/fs/cgroup").rglob(ours))
    assert {file for file in bench.folder.rglob("*") if file.is_file()} == files


@pytest.mark.parametrize("dead", ["launcher", "init", "server"])
def test_one_that_has_died_meanwhile_is_made_up_for(bench: Bench, dead: str) -> None:
    made = bench.expect()
    victim = {"launcher": lambda: made, "init": lambda: made.children()[0], "server": made.parent}[dead]()
    assert victim is not None
    victim.kill()
    until(lambda: is_dead(victim) and (dead == "server" or is_dead(made)))
    assert bench.run("print('done')").code == 0
    assert bench.out() == "done\n"


def test_one_that_dies_with_its_order_unread_is_made_up_for(bench: Bench) -> None:
    made = bench.expect()
    family = [made, *made.children()]
    for process in family:
        process.suspend()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(bench.run, "print('done')")
        until(bench.executor.resident)
        for process in family:
            process.kill()
        assert running.result().code == 0
    assert bench.out() == "done\n"


def test_what_it_could_not_do_is_said_when_it_is_needed(bench: Bench) -> None:
    assert bench.sandbox.ahead is not None
    ready = bench.launchers.ready(bench.sandbox.ahead, [bench.folder / "no-group"])
    with (bench.folder / "said").open("wb") as said:
        end = ready.start(bench.command("print('ran')"), Streams(said.fileno(), said.fileno())).reap()
    assert (end.status, end.spawn_error) == (125, "")
    assert end.sandbox_error == f"{bench.folder}/no-group/cgroup.procs: No such file or directory"
    assert (bench.folder / "said").read_text() == ""


def test_a_sandbox_that_cannot_be_made_is_told_apart_from_a_program_that_ended(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Group((bench.folder / "no-group",), frozenset())
    monkeypatch.setattr(ControlGroups, "make", lambda self, limits: group)
    end = bench.run("print('ran')")
    assert (end.code, end.signal, end.spawn_error, bench.out()) == (None, None, "", "")
    assert end.sandbox_error == f"{bench.folder}/no-group/cgroup.procs: No such file or directory"


def test_limits_that_cannot_be_set_are_the_sandboxes_fault(bench: Bench) -> None:
    bench.sandbox = type(bench.sandbox)(bench.folder / "work", limits=Limits(open_files=-5))
    end = bench.run("print('ran')")
    assert (end.code, end.signal, end.spawn_error, bench.out()) == (None, None, "", "")
    assert end.sandbox_error


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (("/nowhere/at-all",), "/nowhere/at-all: No such file or directory"),
        (("/etc/passwd",), "/etc/passwd: Permission denied"),
        (("/bin/true", "a\0b"), "/bin/true: embedded null byte"),
    ],
)
def test_a_program_that_cannot_be_started_is_told_apart_from_one_that_ended(
    bench: Bench, argv: tuple[str, ...], reason: str
) -> None:
    end = bench.start(bench.sandbox.wrap(Command(argv, {}, Path("/")), World((), ())))
    assert (end.code, end.signal, end.sandbox_error, end.spawn_error) == (None, None, "", reason)


def test_one_that_is_ready_ends_with_whoever_had_it_made(bench: Bench) -> None:
    program = (
        "import os, sys\n"
        "from tf_tester.execute.local import LocalExecutor\n"
        "from tf_tester.model.host.limits import Limits\n"
        "from tf_tester.sandbox.server import LaunchServer\n"
        "executor = LocalExecutor(launchers=LaunchServer())\n"
        "executor.expect(bytes.fromhex(sys.argv[1]), Limits())\n"
        "print('expects', flush=True)\n"
        "sys.stdin.read()\n"
    )
    assert bench.sandbox.ahead is not None
    words = [sys.executable, "-c", program, bench.sandbox.ahead.hex()]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        us = psutil.Process(process.pid)
        until(lambda: len(us.children(recursive=True)) == 3)  # the server, a launcher, its init
        family = us.children(recursive=True)
        process.kill()
    assert psutil.wait_procs(family, timeout=60)[1] == []


def test_its_process_ends_with_it(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    launchers = LaunchServer()
    launchers.close()  # never wanted, never started
    with closing(LaunchServer()) as launchers:
        with suppress(IsolationUnavailable):
            NamespaceSandbox(tmp_path / "work", limits=NONE).check(launchers)
        server = server_of(launchers)
    assert not server.is_running()
