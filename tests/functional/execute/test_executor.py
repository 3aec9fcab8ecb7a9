"""Whatever a program does, afterwards its whole tree is dead and its end is known."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.waiting import until, waited_until
from tf_tester.execute import local
from tf_tester.execute.local import MARK, LocalExecutor
from tf_tester.execute.strays import kill_strays
from tf_tester.execute.told import Told
from tf_tester.model.host.exit import Exit
from tf_tester.model.host.limits import Exceeded, Limit, Limits
from tf_tester.ports.execute import Command, Dialogue

pytestmark = pytest.mark.skipif(os.name != "posix", reason="speaks of sessions and signals")

NONE = Limits()
DAEMON = """
    import os, sys, time
    def daemon(clean):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.closerange(0, 50)
                words = [sys.executable, "-c", "import time; time.sleep(1000)", os.getcwd()]
                os.execve(sys.executable, words, {} if clean else os.environ)
            os._exit(0)
"""


@dataclass
class Bench:
    """A folder in which Python texts are run."""

    folder: Path
    executor: LocalExecutor

    def run(
        self,
        body: str,
        *,
        timeout: float | None = 60,
        env: Mapping[str, str] | None = None,
        name: str = "a",
        limits: Limits = NONE,
        told: Path | Dialogue | None = None,
        waited: Callable[[], float] | None = None,
    ) -> Exit:
        words = (sys.executable, "-c", textwrap.dedent(body), str(self.folder))
        return self.executor.run(
            Command(words, env or {}, self.folder, waited=waited),
            stdout=self.folder / f"{name}.out",
            stderr=self.folder / f"{name}.err",
            timeout=timeout,
            limits=limits,
            told=told,
        )

    def start(self, command: Command) -> Exit:
        out, err = self.folder / "out", self.folder / "err"
        return self.executor.run(command, stdout=out, stderr=err, timeout=None, limits=NONE)

    def out(self, name: str = "a") -> str:
        return (self.folder / f"{name}.out").read_text()

    @property
    def running(self) -> list[psutil.Process]:
        """The processes of this test, which all have its folder among their arguments."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if str(self.folder) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, LocalExecutor())
    yield made
    for left in made.running:
        left.kill()


def is_dead(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# -- how it ended


def test_an_exit_status_and_both_streams_are_kept(bench: Bench) -> None:
    exit = bench.run("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert (exit.code, exit.signal, exit.timed_out, exit.spawn_error, exit.leftovers) == (3, None, False, "", 0)
    assert bench.out() == "out\n"
    assert (bench.folder / "a.err").read_text() == "err\n"


def test_streams_are_added_to(bench: Bench) -> None:
    for word in ("one", "two"):
        bench.run(f"print({word!r})")
    assert bench.out() == "one\ntwo\n"


def test_a_program_may_close_its_streams_files_to_us(bench: Bench) -> None:
    for word in ("one", "two"):
        bench.run(f"import os; print({word!r}, flush=True); os.fchmod(1, 0); os.fchmod(2, 0o444)")
    assert bench.out() == "one\ntwo\n"
    assert all((bench.folder / name).stat().st_mode & 0o600 == 0o600 for name in ("a.out", "a.err"))


def test_a_signal_is_told(bench: Bench) -> None:
    exit = bench.run("import os; os.abort()")
    assert (exit.code, exit.signal, exit.timed_out) == (None, signal.SIGABRT, False)


def test_costs_are_those_of_the_process_and_its_children(bench: Bench) -> None:
    exit = bench.run(
        """
        import subprocess, sys
        subprocess.run([sys.executable, "-c", "x = bytearray(80_000_000); sum(range(2_000_000))"])
        """
    )
    assert exit.cpu_s > 0.01
    assert exit.peak_rss_kib > 70_000
    assert exit.wall_s > 0


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["/gone/python"], "/gone/python: No such file or directory"),
        (["{folder}"], "{folder}: Permission denied"),
        (["/bin/true", "a\0b"], "/bin/true: embedded null byte"),
    ],
)
def test_what_cannot_be_started_is_told_not_raised(bench: Bench, argv: list[str], said: str) -> None:
    words = tuple(word.format(folder=bench.folder) for word in argv)
    exit = bench.start(Command(words, {}, bench.folder))
    assert (exit.code, exit.signal, exit.timed_out) == (None, None, False)
    assert exit.spawn_error == said.format(folder=bench.folder)


def test_a_folder_that_is_gone_is_named_in_place_of_the_program(bench: Bench) -> None:
    exit = bench.start(Command(("/bin/true",), {}, bench.folder / "gone"))
    assert exit.spawn_error == f"{bench.folder}/gone: No such file or directory"


# -- what it sees


def test_it_sees_only_the_variables_that_it_was_given(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    bench.run("import os; print(sorted(os.environ))", env={"GIVEN": "1"})
    shown = set(eval(bench.out())) - {"LC_CTYPE"}  # Python itself sets that one
    assert shown == {"GIVEN", MARK}


def test_it_has_no_input_no_terminal_and_no_files_of_ours(bench: Bench) -> None:
    with (bench.folder / "ours").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)
        bench.run(
            """
            import os, sys
            print(repr(sys.stdin.read()), os.getsid(0) == os.getpid(), os.isatty(1))
            print(sorted(set(map(int, os.listdir("/dev/fd"))) - {0, 1, 2}))
            """
        )
    first, descriptors = bench.out().splitlines()
    assert first == "'' True False"
    assert len(eval(descriptors)) == 1, "only that of the listing itself"


# -- its whole tree


def test_a_timeout_ends_it(bench: Bench) -> None:
    exit = bench.run("import time; print('begun', flush=True); time.sleep(1000)", timeout=0.5)
    assert (exit.code, exit.signal, exit.timed_out) == (None, signal.SIGTERM, True)
    until(lambda: bench.running == [])


def test_a_program_may_tidy_up_when_its_time_is_over(bench: Bench) -> None:
    exit = bench.run(
        """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: (print("tidied", flush=True), sys.exit(5)))
        print("ready", flush=True)
        time.sleep(1000)
        """,
        timeout=0.1,
        waited=waited_until(bench.out),
    )
    assert (exit.code, exit.timed_out, bench.out()) == (5, True, "ready\ntidied\n")


def test_one_that_does_not_listen_is_killed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_GRACE", 0.2)
    exit = bench.run(
        """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ready", flush=True)
        time.sleep(1000)
        """,
        timeout=0.1,
        waited=waited_until(bench.out),
    )
    assert (exit.signal, exit.timed_out) == (signal.SIGKILL, True)


def test_a_timeout_of_nothing_ends_it_at_once(bench: Bench) -> None:
    assert bench.run("import time; time.sleep(1000)", timeout=0.0).timed_out


def test_what_a_program_has_waited_for_us_is_not_its_own_time(bench: Bench) -> None:
    assert not bench.run("print(1)", timeout=0.0, waited=lambda: 1000.0).timed_out
    figures = iter((0.001, 0.002, 0.002))
    assert bench.run("import time; time.sleep(1000)", timeout=0.0, waited=lambda: next(figures)).timed_out
    assert next(figures, None) is None


def test_a_timeout_may_be_longer_than_the_kernel_can_wait(bench: Bench) -> None:
    assert bench.run("", timeout=10.0**9).code == 0


@pytest.mark.parametrize("timeout", [1.5, 60.0])
def test_children_daemons_and_those_without_a_trace_die_with_it(bench: Bench, timeout: float) -> None:
    exit = bench.run(
        textwrap.dedent(DAEMON)
        + textwrap.dedent(
            f"""
            import subprocess
            sleep = [sys.executable, "-c", "import time; time.sleep(1000)", os.getcwd()]
            daemon(clean=False)
            a = subprocess.Popen(sleep)                            # in the tree
            b = subprocess.Popen(sleep, env={{}})                  # without our mark
            c = subprocess.Popen(sleep, start_new_session=True)    # in a session of its own
            print(a.pid, b.pid, c.pid, flush=True)
            if {timeout} < 60: time.sleep(1000)
            """
        ),
        timeout=timeout,
    )
    assert exit.timed_out is (timeout < 60)
    pids = [int(word) for word in bench.out().split()]
    assert len(pids) == 3
    assert all(map(is_dead, pids))
    until(lambda: bench.running == [])
    if not exit.timed_out:
        assert exit.code == 0
        assert exit.leftovers >= 3


def test_nobody_else_dies_with_it(bench: Bench) -> None:
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(bench.run, "import time; print(1, flush=True); time.sleep(1000)", name="other")
        until(lambda: (bench.folder / "other.out").exists() and bench.out("other"))
        bench.run(textwrap.dedent(DAEMON) + "daemon(clean=False)")
        # A killed process may be seen for a moment yet on a busy machine; one that lives is seen for ever.
        until(lambda: len(bench.running) == 1)
        assert not other.done()
        bench.executor.stop()
        assert other.result().signal in (signal.SIGTERM, signal.SIGKILL)


def test_a_stray_that_forks_and_ends_while_others_are_looked_at_is_found(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = bench.folder / "child"
    forks = f"""
        import os, sys, time
        while not os.path.exists("go"): time.sleep(0.001)
        if os.fork() == 0:
            open({str(child)!r} + ".new", "w").write(str(os.getpid()))
            os.rename({str(child)!r} + ".new", {str(child)!r})
            time.sleep(1000)
    """
    mark = ("TF_TESTER_TEST", bench.folder.name)
    words = (sys.executable, "-c", textwrap.dedent(forks), str(bench.folder))
    stray = subprocess.Popen(words, cwd=bench.folder, env=dict([mark]))
    list_pids = psutil.pids

    def pids() -> list[int]:
        found = list_pids()
        if not child.exists():
            (bench.folder / "go").touch()
            until(child.exists)
            stray.wait()
        return found

    monkeypatch.setattr(psutil, "pids", pids)
    assert kill_strays(mark, session=None) == 1
    until(lambda: is_dead(int(child.read_text())))


# -- the end of all


def test_stop_ends_what_runs_and_starts_no_other(bench: Bench) -> None:
    def work(name: str) -> Exit:
        return bench.run("import time; print('begun', flush=True); time.sleep(1000)", name=name)

    with ThreadPoolExecutor(2) as pool:
        running: list[Future[Exit]] = [pool.submit(work, name) for name in ("a", "b")]
        until(lambda: all((bench.folder / f"{name}.out").exists() and bench.out(name) for name in ("a", "b")))
        bench.executor.stop()
        # A busy machine may not let them end in time: then they are killed.
        assert {job.result().signal for job in running} <= {signal.SIGTERM, signal.SIGKILL}
    assert bench.run("print('never')", name="c").code is None
    assert not (bench.folder / "c.out").exists()
    until(lambda: bench.running == [])


def test_stop_with_nothing_running_is_nothing(bench: Bench) -> None:
    bench.executor.stop()


def test_what_runs_is_weighed(bench: Bench) -> None:
    assert bench.executor.resident() == 0
    with ThreadPoolExecutor(1) as pool:
        body = "import time; x = bytearray(60_000_000); print(1, flush=True); time.sleep(1000)"
        running = pool.submit(bench.run, body)
        until(lambda: (bench.folder / "a.out").exists() and bench.out())
        assert bench.executor.resident() > 50_000_000
        bench.executor.stop()
        running.result()
    assert bench.executor.resident() == 0


def test_an_interrupt_of_ours_leaves_nothing_running(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    really_wait, waits = local._wait, iter([KeyboardInterrupt])

    def interrupted(*words: Any) -> Any:
        for interrupt in waits:
            raise interrupt
        return really_wait(*words)

    monkeypatch.setattr(local, "_wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bench.run("import time; time.sleep(1000)")
    until(lambda: bench.running == [])
    assert bench.executor.resident() == 0


# -- limits


@pytest.mark.parametrize(
    ("limits", "body", "limit", "allowed"),
    [
        (Limits(memory=60_000_000), "x = b'x' * 100_000_000", Limit.MEMORY, 60_000_000),
        (Limits(output=100_000), "print('x' * 200_000, flush=True)", Limit.OUTPUT, 100_000),
        (
            Limits(processes=3),
            "import subprocess, sys; x = [subprocess.Popen(['sleep', '1000']) for _ in range(5)]",
            Limit.PROCESSES,
            3,
        ),
    ],
)
def test_who_goes_beyond_a_limit_is_ended(bench: Bench, limits: Limits, body: str, limit: Limit, allowed: int) -> None:
    exit = bench.run(f"{body}; import time; time.sleep(1000)", limits=limits, timeout=None)
    assert exit.exceeded == Exceeded(limit, allowed)
    assert not exit.timed_out
    until(lambda: bench.running == [])


def test_what_is_printed_before_the_watch_begins_counts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may begin the program long before the thread that watches it goes on."""
    start = LocalExecutor._start

    def started(*words: Any) -> Any:
        process = start(*words)
        until(lambda: (bench.folder / "a.out").stat().st_size >= 200_000)
        return process

    monkeypatch.setattr(LocalExecutor, "_start", started)
    exit = bench.run("print('x' * 200_000, flush=True); import time; time.sleep(1000)", limits=Limits(output=100_000))
    assert exit.exceeded == Exceeded(Limit.OUTPUT, 100_000)


def test_who_ends_before_anybody_looked_has_gone_beyond_it_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tf_tester.execute.watch._SHORTEST", 600.0)
    monkeypatch.setattr("tf_tester.execute.watch._LONGEST", 600.0)
    exit = bench.run("print('x' * 200_000)", limits=Limits(output=100_000))
    assert (exit.code, exit.exceeded) == (0, Exceeded(Limit.OUTPUT, 100_000))


def test_who_stays_within_them_is_not(bench: Bench) -> None:
    limits = Limits(memory=10**10, output=100_000, processes=100, scratch=10**9)
    exit = bench.run("x = b'x' * 100_000_000; print('x' * 90_000); import time; time.sleep(0.5)", limits=limits)
    assert (exit.code, exit.exceeded) == (0, None)


# -- what it tells


@pytest.mark.whole
def test_what_a_program_tells_is_whole_and_in_order_however_it_ends(bench: Bench) -> None:
    told = bench.folder / "told"
    tells = "import os\nfor number in range(20_000): os.write(0, b'%06d' % number + b'x' * 200)\n"
    for number, end in enumerate(("", "os.kill(os.getpid(), 9)", "os._exit(3)"), start=1):
        bench.run(tells + end, told=told)
        assert told.stat().st_size == number * 20_000 * 206
    assert told.read_bytes().split(b"x" * 200)[:-1] == [b"%06d" % number for number in range(20_000)] * 3


def test_what_was_told_is_nowhere_to_be_found(bench: Bench) -> None:
    exit = bench.run(
        """
        import os
        os.write(0, b"said")
        for attack in (
            lambda: os.open("/proc/self/fd/0", os.O_RDWR),
            lambda: os.truncate(0, 0),
            lambda: os.lseek(0, 0, 0),
            lambda: os.pwrite(0, b"else", 0),
        ):
            try:
                attack()
            except OSError:
                os.write(0, b".")
        """,
        told=bench.folder / "told",
    )
    assert (exit.code, (bench.folder / "told").read_bytes()) == (0, b"said....")


def test_a_program_that_closes_its_end_does_not_wake_us(bench: Bench) -> None:
    with Told(bench.folder / "told") as told:
        subprocess.run(["true"], stdin=told.theirs, check=True)
        assert select.select([told], [], [], 0)[0] == []


def test_who_ends_the_connection_tells_nothing_more_and_is_not_waited_for_at_once(bench: Bench) -> None:
    """What is at its end can always be read: whoever waits for it, doesn't wait."""
    with Told(bench.folder / "told") as told:
        other = socket.socket(fileno=os.dup(told.theirs))
        other.sendall(b"said")
        other.shutdown(socket.SHUT_RDWR)
        other.close()
        assert (told.take(), told.is_shut) == (True, False)
        assert (told.take(), told.is_shut) == (False, True)


def test_what_is_told_may_be_answered(bench: Bench) -> None:
    """Each answer is to what was told by then, and all of that is in the file, too."""
    heard: list[bytes] = []

    def answer(said: bytes) -> bytes:
        heard.append(said)
        return b"%d" % len(heard) if said.endswith(b"?") else b""

    asks = (
        "import os\nfor _ in range(3):\n    os.write(0, b'so?')\n    print(os.read(0, 1).decode())\nos.write(0, b'!')"
    )
    exit = bench.run(asks, told=Dialogue(bench.folder / "told", answer))
    assert (exit.code, bench.out(), (bench.folder / "told").read_bytes()) == (0, "1\n2\n3\n", b"so?so?so?!")


def test_an_answer_that_cannot_be_given_ends_the_program(bench: Bench) -> None:
    def fail(_said: bytes) -> bytes:
        raise OSError("the disk is full")

    waits = "import os\nos.write(0, b'so?')\nos.read(0, 1)"
    with pytest.raises(OSError, match="the disk is full"):
        bench.run(waits, told=Dialogue(bench.folder / "told", fail))


def test_what_is_told_counts_as_output(bench: Bench) -> None:
    floods = "import os\nwhile True: os.write(0, b'x' * 10_000)"
    exit = bench.run(floods, told=bench.folder / "told", limits=Limits(output=1_000_000))
    assert exit.exceeded == Exceeded(Limit.OUTPUT, 1_000_000)


def test_a_process_that_got_away_can_not_keep_us_listening(bench: Bench) -> None:
    stray = "import os\nif os.fork() == 0:\n    os.setsid()\n    while True: os.write(0, b'x' * 100_000)"
    exit = bench.run(stray, told=bench.folder / "told", env={})
    assert exit.code == 0
