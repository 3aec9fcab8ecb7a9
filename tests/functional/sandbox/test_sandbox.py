"""What a sandboxed program can't do, and what it can. Skipped where this system allows no sandbox."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tf_tester.errors import IsolationUnavailable
from tf_tester.model.host.limits import Limits
from tf_tester.model.host.world import Moved, Overlay, World
from tf_tester.ports.execute import Command
from tf_tester.sandbox.namespace import WAYS, NamespaceSandbox
from tf_tester.sandbox.server import LaunchServer

SECRET = "the secret"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("home", "scratch", "work", "lower-1", "lower-2", "readable", "writable"):
        (tmp_path / name).mkdir()
    (tmp_path / "home" / "credentials").write_text(SECRET)
    (tmp_path / "readable" / "data").write_text("data")
    (tmp_path / "lower-1" / "module.py").write_text("VALUE = 1\n")
    (tmp_path / "lower-2" / "module.py").write_text("VALUE = 2\n")
    (tmp_path / "lower-2" / "other.py").write_text("VALUE = 2\n")
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    """Runs Python code in a sandbox."""

    def run(
        code: str, *, network: bool = False, ways: tuple[str, ...] = WAYS, catch: Path | None = None
    ) -> "subprocess.CompletedProcess[str]":
        sandbox = NamespaceSandbox(folder / "work", limits=Limits(), network=network, ways=ways)
        prefix = Path(sys.base_prefix)
        python = Path(sys.executable).resolve()
        world = World(
            readable=(folder / "readable", *(() if prefix == Path("/usr") else (prefix,))),
            writable=(folder / "scratch", folder / "writable"),
            overlays=(Overlay(Path("/tf-tester/env"), (folder / "lower-1", folder / "lower-2")),),
            catch=catch,
        )
        command = sandbox.wrap(
            Command(
                (str(python), "-c", code), {"PATH": os.defpath, "PYTHONPATH": "/tf-tester/env"}, folder / "scratch"
            ),
            world,
        )
        return carried_out(command)

    try:
        with closing(LaunchServer()) as launchers:
            NamespaceSandbox(folder / "work", limits=Limits()).check(launchers)
    except IsolationUnavailable as error:
        pytest.skip(str(error))
    return run


def carried_out(command: Command) -> "subprocess.CompletedProcess[str]":
    """Start a launcher and keep its standard input open: closing that would end it."""
    with subprocess.Popen(
        command.argv,
        env=dict(command.env),
        cwd=command.cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        out, err = process.stdout.read(), process.stderr.read()
        return subprocess.CompletedProcess(command.argv, process.wait(), out, err)


def succeeded(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_layers_are_one_folder_and_the_first_one_wins(run: Run) -> None:
    assert succeeded(run("import module, other; print(module.VALUE, other.VALUE)")) == "1 2"


def test_what_a_test_writes_into_its_environment_is_gone_with_it(run: Run, folder: Path) -> None:
    code = (
        "import os; p = '/tf-tester/env/module.py'; open(p, 'w').write('VALUE = 9'); import module; print(module.VALUE)"
    )
    assert succeeded(run(code)) == "9"
    assert succeeded(run("import os; os.unlink('/tf-tester/env/other.py')")) == ""
    assert succeeded(run("import module, other; print(module.VALUE, other.VALUE)")) == "1 2"
    assert (folder / "lower-1" / "module.py").read_text() == "VALUE = 1\n"


@pytest.mark.parametrize(
    "place", ["/usr/x", "/x", "/etc/x", "/tf-tester/x", "{folder}/readable/x", "/proc/sys/kernel/x"]
)
def test_nothing_but_the_scratch_can_be_written(run: Run, folder: Path, place: str) -> None:
    done = run(f"open({place.format(folder=folder)!r}, 'w')")
    assert done.returncode == 1
    assert "Error" in done.stderr
    assert succeeded(run(f"open('{folder}/scratch/x', 'w').write('kept'); open('{folder}/writable/x', 'w')")) == ""
    assert (folder / "scratch" / "x").read_text() == "kept"


def test_homes_and_credentials_are_not_there(run: Run, folder: Path) -> None:
    done = run(f"print(open('{folder}/home/credentials').read())")
    assert (done.returncode, SECRET in done.stdout) == (1, False)
    hidden = succeeded(
        run("import os; print([p for p in ('/etc/shadow', '/home', '/var', '/boot') if os.path.exists(p)])")
    )
    assert hidden == "[]"
    assert succeeded(run(f"print(open('{folder}/readable/data').read())")) == "data"


def test_there_is_no_network_but_an_own_loopback(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        connect = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
        assert "ConnectionRefusedError" in run(connect).stderr
        assert run(connect, network=True).returncode == 0
    inside = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); "
        "socket.create_connection(s.getsockname()); print('connected')"
    )
    assert succeeded(run(inside)) == "connected"
    assert "OSError" in run("import socket; socket.create_connection(('192.0.2.1', 80), 5)").stderr


def test_other_processes_are_not_seen(run: Run) -> None:
    assert (
        succeeded(run("import os; print(os.getpid(), sorted(p for p in os.listdir('/proc') if p.isdigit()))"))
        == "2 ['1', '2']"
    )


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("raise SystemExit(3)", 3),
        ("import os; os._exit(77)", 77),
        ("import os; os.abort()", -signal.SIGABRT),
        ("import ctypes; ctypes.string_at(0)", -signal.SIGSEGV),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    ],
)
def test_the_launcher_ends_as_the_program_did(run: Run, code: str, status: int) -> None:
    assert run(code).returncode == status


def test_a_daemon_dies_with_the_test(run: Run, folder: Path) -> None:
    code = (
        "import os, sys, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        f"        open('{folder}/scratch/begun', 'w').close()\n"
        "        time.sleep(1000)\n"
        "    os._exit(0)\n"
        f"while not os.path.exists('{folder}/scratch/begun'): time.sleep(0.01)\n"
    )
    assert succeeded(run(code)) == ""  # and its streams are closed: nobody holds them any more


EVERY_SIGNAL_TO_THE_FIRST = """
import os
for number in range(1, 65):
    os.kill(1, number)
print("still here")
"""


def test_no_signal_of_a_program_ends_the_first_process(run: Run) -> None:
    assert succeeded(run(EVERY_SIGNAL_TO_THE_FIRST)) == "still here"


@pytest.mark.parametrize(
    "attempt",
    [
        "c.mount(b'none', b'/tf-tester', b'tmpfs', 0, None)",
        "c.umount2(b'/proc', 2)",
        "c.unshare(0x10000000)",
        "c.ptrace(16, 1, 0, 0)",  # the first process of the namespace, which has capabilities there
        "c.syscall({'x86_64': 321, 'aarch64': 280}[__import__('platform').machine()], 0, 0, 0)",  # bpf
        "c.syscall(425, 1, 0)",  # io_uring_setup
        "c.syscall({'x86_64': 250, 'aarch64': 219}[__import__('platform').machine()], 0, -3, 0)",  # keyctl
        "c.syscall({'x86_64': 323, 'aarch64': 282}[__import__('platform').machine()], 0)",  # userfaultfd
        "c.syscall({'x86_64': 56, 'aarch64': 220}[__import__('platform').machine()], 0x10000011, 0, 0, 0, 0)",  # clone
        "c.ioctl(0, 0x5412, b'x')",  # TIOCSTI
        "c.setuid(12345)",
        "c.chroot(b'/usr')",
    ],
)
def test_what_reaches_out_is_refused(run: Run, attempt: str) -> None:
    code = f"import ctypes; c = ctypes.CDLL(None, use_errno=True); print({attempt}, ctypes.get_errno())"
    result, number = succeeded(run(code)).split()
    assert result == "-1"
    assert int(number) in (1, 22)  # EPERM; EINVAL for an id that doesn't exist in here


TRACES_ITS_CHILD = """
import ctypes, os, signal
c = ctypes.CDLL(None, use_errno=True)
child = os.fork()
if child == 0:
    c.ptrace(0, 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    c.unshare(0x10000000)
    os._exit(ctypes.get_errno())
print(os.WSTOPSIG(os.waitpid(child, 0)[1]) == signal.SIGSTOP, c.ptrace(7, child, 0, 0), os.waitpid(child, 0)[1] >> 8)
"""


def test_a_process_may_trace_its_child_which_may_do_no_more_for_that(run: Run) -> None:
    assert succeeded(run(TRACES_ITS_CHILD)) == "True 0 1"


def test_its_memory_is_not_that_of_the_first_process(run: Run) -> None:
    assert "PermissionError" in run("open('/proc/1/mem', 'rb')").stderr


def test_there_are_terminals_of_its_own_and_none_that_it_was_started_from(run: Run) -> None:
    code = (
        "import os, pty\n"
        "one, other = pty.openpty(); os.write(other, b'hello')\n"
        "print(os.read(one, 5).decode(), os.isatty(other), flush=True)\n"
        "print(pty.spawn(['/usr/bin/env', 'tty']), flush=True)\n"
        "try: os.open('/dev/tty', os.O_RDWR)\n"
        "except OSError: print('none')\n"
    )
    assert succeeded(run(code)).split() == ["hello", "True", "/dev/pts/1", "0", "none"]


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_UNSPEC"])
def test_addresses_are_found_for_the_families_that_the_machine_has(run: Run, family: str) -> None:
    address = "::1" if family == "AF_INET6" else "127.0.0.1"
    code = "import socket; print(socket.getaddrinfo({!r}, 80, socket.{}, flags=socket.AI_ADDRCONFIG)[0][4][0])"
    outside = subprocess.run(
        [sys.executable, "-c", code.format(address, family)], capture_output=True, text=True, check=False
    )
    if outside.returncode:
        pytest.skip(f"this machine has no {family}")
    assert succeeded(run(code.format(address, family))) == address


def test_no_descriptor_comes_along(run: Run) -> None:
    with open(os.devnull, "rb") as stray:  # noqa: PTH123 - a descriptor, not a path
        os.set_inheritable(stray.fileno(), True)
        assert succeeded(run("import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:4])")) == "[0, 1, 2, 3]"


def test_threads_and_processes_work_as_usual(run: Run) -> None:
    code = (
        "import multiprocessing, threading, subprocess, sys\n"
        "def double(x): return 2 * x\n"
        "thread = threading.Thread(target=print, args=('thread',)); thread.start(); thread.join()\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool: print(pool.map(double, [1, 2]))\n"
        "print(subprocess.run([sys.executable, '-c', 'print(7)'], capture_output=True, text=True).stdout.strip())\n"
    )
    assert succeeded(run(code)).split("\n") == ["thread", "[2, 4]", "7"]


def test_programs_are_looked_for_as_a_shell_does(run: Run, folder: Path) -> None:
    sandbox = NamespaceSandbox(folder / "work", limits=Limits())
    world = World((folder / "readable",), (folder / "scratch",))
    path = f"{folder}/absent:{folder}/readable/data:{folder}/readable:/usr/bin"
    (folder / "readable" / "true").write_text("not executable")
    command = sandbox.wrap(Command(("true",), {"PATH": path}, folder / "scratch"), world)
    assert carried_out(command).returncode == 0
    for name, reason in (("nowhere", "nowhere: No such file or directory"), ("data", "data: Permission denied")):
        done = carried_out(sandbox.wrap(Command((name,), {"PATH": path}, folder / "scratch"), world))
        assert (done.returncode, reason in done.stderr) == (125, True), done.stderr


def test_a_world_that_cannot_be_made_is_refused_and_nothing_runs(run: Run, folder: Path) -> None:
    sandbox = NamespaceSandbox(folder / "work", limits=Limits())
    world = World((), (), (Overlay(Path("/tf-tester/env"), (folder / "absent",)),))
    command = sandbox.wrap(Command(("/usr/bin/env", "touch", str(folder / "scratch" / "ran")), {}, Path("/")), world)
    done = carried_out(command)
    assert done.returncode == 125
    assert "the sandbox could not be made" in done.stderr
    assert not (folder / "scratch" / "ran").exists()


@pytest.mark.parametrize("way", WAYS)
def test_layers_are_one_folder_in_whichever_way_the_kernel_takes_them(run: Run, folder: Path, way: str) -> None:
    code = "import module, other; print(module.VALUE, other.VALUE); open('/tf-tester/env/x', 'w')"
    assert succeeded(run(code, ways=(way,))) == "1 2"
    assert succeeded(run(code, ways=(way,), catch=folder / "scratch")) == "1 2"


def test_what_is_written_into_an_environment_is_caught_on_disk_where_there_is_a_place_for_it(
    run: Run, folder: Path
) -> None:
    (folder / "caught").mkdir()
    assert succeeded(run("open('/tf-tester/env/x', 'w').write('y' * 100_000_000)", catch=folder / "caught")) == ""
    caught = list((folder / "caught").rglob("x"))
    assert [file.stat().st_size for file in caught] == [100_000_000]
    assert "No space left" in run("open('/tf-tester/env/x', 'w').write('y' * 100_000_000)").stderr


def test_files_without_content_take_room_in_memory_too(run: Run) -> None:
    done = run("for number in range(20_000): open(f'/tf-tester/env/{number}', 'w').close()")
    assert "No space left on device" in done.stderr


@pytest.mark.usefixtures("run")
def test_a_program_has_the_umask_that_its_command_names(folder: Path) -> None:
    shell = Command(("/bin/sh", "-c", "umask"), {"PATH": os.defpath}, Path("/"), umask=0o027)
    sandbox = NamespaceSandbox(folder / "work", limits=Limits())
    assert succeeded(carried_out(sandbox.wrap(shell, World((), ())))) == "0027"


def test_signals_of_everyday_are_as_anywhere(run: Run) -> None:
    code = "import signal; print([signal.getsignal(getattr(signal, n)).name for n in ('SIGTERM', 'SIGUSR1')])"
    assert succeeded(run(code)) == "['SIG_DFL', 'SIG_DFL']"
    assert "KeyboardInterrupt" in run("import os, signal; os.kill(os.getpid(), signal.SIGINT)").stderr
    assert succeeded(run("import subprocess; print(subprocess.run('yes | head -1', shell=True).returncode)")) == "y\n0"


@pytest.mark.parametrize("way", WAYS)
def test_hundreds_of_layers_are_one_folder(run: Run, folder: Path, way: str) -> None:
    lowers = []
    for number in range(450):
        lower = folder / "many" / f"layer-{number}"
        lower.mkdir(parents=True)
        (lower / f"file-{number}").write_text("x")
        lowers.append(lower)
    sandbox = NamespaceSandbox(folder / "work", limits=Limits(), ways=(way,))
    world = World((), (), (Overlay(Path("/tf-tester/env"), tuple(lowers)),))
    command = sandbox.wrap(Command(("/usr/bin/env", "ls", "/tf-tester/env"), {"PATH": os.defpath}, Path("/")), world)
    done = carried_out(command)
    assert len(succeeded(done).split()) == 450


# -- what is hidden, and what is shown elsewhere


def project(folder: Path) -> Path:
    """A folder with something to hide, with names that mount options don't like."""
    made = folder / "my, own:project"
    for name in (".git/HEAD", "venv/bin/python", "src/mine.py", "src/__pycache__/mine.pyc", "src/deep/er/.git", "run"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(name)
    (made / "run").chmod(0o755)
    (made / "empty").mkdir(mode=0o711)
    (made / "src").chmod(0o750)
    (made / "link").symlink_to("src/mine.py")
    return made


def hidden_in(made: Path) -> tuple[Path, ...]:
    return tuple(made / name for name in (".git", "venv", "src/__pycache__", "src/deep/er/.git"))


_TREE = """
import os, sys
for place, folders, names in os.walk(sys.argv[1]):
    for path in [place] + [os.path.join(place, name) for name in names]:
        status = os.lstat(path)
        told = os.readlink(path) if os.path.islink(path) else "" if path == place else open(path).read()
        changed = status.st_mtime_ns if os.path.isfile(path) and not os.path.islink(path) else ""
        print(oct(status.st_mode), changed, told, os.path.relpath(path, sys.argv[1]))
"""


def seen(folder: Path, world: World, *words: str, ways: tuple[str, ...] = WAYS) -> "subprocess.CompletedProcess[str]":
    """Run the system's Python, with these words, in a world."""
    sandbox = NamespaceSandbox(folder / "work", limits=Limits(), ways=ways)
    return carried_out(sandbox.wrap(Command(("/usr/bin/python3", *words), {"PATH": os.defpath}, Path("/")), world))


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="the system has no Python")
@pytest.mark.usefixtures("run")
class TestHidden:
    """Whatever way the kernel takes; without any, each thing that isn't hidden is bound by itself."""

    @pytest.mark.parametrize("ways", [WAYS, ("name",), ("descriptor",), ("options",), ()])
    def test_it_is_as_if_it_were_not_there(self, folder: Path, ways: tuple[str, ...]) -> None:
        made = project(folder)
        shown = seen(folder, World((made,), (), hidden=hidden_in(made)), "-c", _TREE, str(made), ways=ways)
        for path in hidden_in(made):
            remove(path)
        expected = subprocess.run(["/usr/bin/python3", "-c", _TREE, made], capture_output=True, text=True, check=True)
        assert sorted(succeeded(shown).splitlines()) == sorted(expected.stdout.strip().splitlines())

    @pytest.mark.parametrize("ways", [WAYS, ()])
    def test_nothing_tells_that_it_is_there(self, folder: Path, ways: tuple[str, ...]) -> None:
        made = project(folder)
        code = "import os, sys; print(os.listdir('/tf-tester') if os.path.exists('/tf-tester') else [])"
        assert succeeded(seen(folder, World((made,), (), hidden=hidden_in(made)), "-c", code, ways=ways)) == "[]"
        code = f"import os; os.mkdir({str(made)!r} + '/new')"
        assert "Errno 30" in seen(folder, World((made,), (), hidden=hidden_in(made)), "-c", code, ways=ways).stderr

    @pytest.mark.parametrize("ways", [WAYS, ()])
    def test_what_else_is_to_be_shown_there_is_shown_alone(self, folder: Path, ways: tuple[str, ...]) -> None:
        made = project(folder)
        (made / "venv/lib").mkdir()
        (made / "venv/lib/harness.py").write_text("it")
        world = World((made, made / "venv/lib"), (made / ".git",), hidden=hidden_in(made))
        code = (
            f"import os; os.chdir({str(made)!r}); print(os.listdir('venv'), os.listdir('venv/lib'), os.listdir('.git'))"
        )
        assert succeeded(seen(folder, world, "-c", code, ways=ways)) == "['lib'] ['harness.py'] ['HEAD']"
        code = f"import os; os.chdir({str(made)!r}); open('.git/new', 'w'); open('venv/new', 'w')"
        assert "Errno 30" in seen(folder, world, "-c", code, ways=ways).stderr
        assert (made / ".git/new").exists()

    def test_a_thousand_are_one_mount(self, folder: Path) -> None:
        made = folder / "many"
        for number in range(1000):
            (made / f"package{number}" / "__pycache__").mkdir(parents=True)
        hidden = tuple(made.glob("*/__pycache__"))
        code = (
            "import os, sys; mounts = open('/proc/self/mountinfo').readlines();"
            "print(sum('many' in line for line in mounts), os.listdir(sys.argv[1]))"
        )
        world = World((made,), (), hidden=hidden)
        assert succeeded(seen(folder, world, "-c", code, str(made / "package7"))) == "1 []"

    @pytest.mark.parametrize("ways", [WAYS, ("options",), ()])
    def test_a_private_folder_is_changed_for_the_program_alone(self, folder: Path, ways: tuple[str, ...]) -> None:
        made = project(folder)
        hidden = hidden_in(made)
        world = World((), (made / "open",), private=(made,), hidden=hidden)
        (made / "open").mkdir()
        before = sorted((str(path), path.is_file() and path.read_bytes()) for path in made.rglob("*"))
        code = "import os; open('new', 'w').write('mine'); open('open/kept', 'w'); print(open('new').read(), {})"
        there = f"[path for path in {list(map(str, hidden))!r} if os.path.lexists(path)]"
        code = f"import os; os.chdir({str(made)!r}); " + code.format(there)
        assert succeeded(seen(folder, world, "-c", code, ways=ways)) == "mine []"
        assert (made / "open/kept").exists()
        (made / "open/kept").unlink()
        assert sorted((str(path), path.is_file() and path.read_bytes()) for path in made.rglob("*")) == before
        if ways:
            code = f"import os; os.chdir({str(made)!r}); old = next(n for n in os.listdir() if os.path.isfile(n)); "
            code += "open(old, 'w').write('x'); print(open(old).read())"
            assert succeeded(seen(folder, world, "-c", code, ways=ways)) == "x"
            assert sorted((str(path), path.is_file() and path.read_bytes()) for path in made.rglob("*")) == before

    def test_a_folder_can_be_shown_at_another_place(self, folder: Path) -> None:
        made = project(folder)
        code = "open('/tf-tester/source/x/new', 'w').write('kept'); import os; print(os.path.exists(sys.argv[1]))"
        world = World((), (), moved=(Moved(made, Path("/tf-tester/source/x")),))
        assert succeeded(seen(folder, world, "-c", f"import sys; {code}", str(made))) == "False"
        assert (made / "new").read_text() == "kept"

    @pytest.mark.parametrize("in_memory", [False, True])
    def test_what_a_program_puts_in_the_way_of_a_place_leads_the_next_one_nowhere(
        self, folder: Path, in_memory: bool
    ) -> None:
        """What is shown below a folder that the program may change: the way to it is made once more, inside."""
        made, seen_at = project(folder), Path(*folder.parts[:2])
        top = str(seen_at / folder.parts[2])
        (folder / "scratch").chmod(0o1777)
        moved = (Moved(folder / "scratch", seen_at),)
        world = World((made,), (), fresh=moved) if in_memory else World((made,), (), moved=moved)
        (folder / "victim").mkdir()
        leads_out = f"import os; os.rename({top!r}, {top + 'aside'!r}); os.symlink({str(folder / 'victim')!r}, {top!r})"
        assert succeeded(seen(folder, world, "-c", leads_out)) == ""
        look = f"import os; print(os.path.islink({top!r}), os.path.exists({str(made)!r}), "
        look += f"oct(os.stat({str(seen_at)!r}).st_mode))"
        assert succeeded(seen(folder, world, "-c", look)) == "False True 0o41777"
        assert list((folder / "victim").rglob("*")) == []


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
