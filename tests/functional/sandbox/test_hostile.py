"""Hostile scripts do no harm in either sandbox, as root or as anybody, and do it where there is no sandbox.

Each is judged by what has happened outside. What an isolation isn't expected to block stands in `GAPS`.
"""

import compileall
import contextlib
import ctypes
import fcntl
import functools
import json
import os
import pty
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from _pytest.mark import ParameterSet

import tf_tester
from tests.waiting import until
from tf_tester.flow.taken.reading import opened_safely

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandboxes are Linux's")

HERE = Path(__file__).parent
SCRIPTS = HERE.parents[1] / "hostile"
SECRET = "the-secret-of-the-house"
ANYBODY = 23_456
"""A user that no system has."""
ROOT = os.getuid() == 0
USERS = ("root", "anybody") if ROOT else ("anybody",)
GAPS = {
    ("landlock", "shared_memory_bomb"): "without control groups files in /dev/shm are not counted",
}


@pytest.fixture(scope="session")
def stage() -> Iterator[Path]:
    """What the driver needs, where every user can read it."""
    folder = Path(tempfile.mkdtemp(prefix="tf-tester-hostile-"))
    folder.chmod(0o755)
    shutil.copytree(Path(tf_tester.__file__).parent, folder / "tf_tester", ignore=shutil.ignore_patterns("__pycache__"))
    for source in (Path(str(package.__file__)).parent for package in (msgspec, psutil)):
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    shutil.copyfile(HERE / "attack.py", folder / "attack.py")
    # Compiled once: not everybody who starts it may write there.
    compileall.compile_dir(folder / "tf_tester" / "sandbox", quiet=1)
    subprocess.run([sys.executable, "-c", "import attack"], cwd=folder, env={"PATH": os.defpath}, check=True)
    yield folder
    shutil.rmtree(folder)


class Drivers:
    """What runs the scripts, a process for each user and Python: what it imports takes longer than most attacks."""

    def __init__(self, stage: Path) -> None:
        self.stage = stage
        self._started: dict[tuple[str, int], subprocess.Popen[str]] = {}

    def attack(self, order: Path, python: str, uid: int) -> int:
        """Run the script of these facts in a process of its own; return that one's exit code."""
        driver = self._started.get((python, uid)) or self._start(python, uid)
        assert driver.stdin is not None
        assert driver.stdout is not None
        driver.stdin.write(f"{order}\n")
        driver.stdin.flush()
        return int(driver.stdout.readline())

    def _start(self, python: str, uid: int) -> "subprocess.Popen[str]":
        driver = self._started[python, uid] = subprocess.Popen(
            [python, str(self.stage / "attack.py")],
            env={"PATH": os.defpath, "PYTHONPATH": str(self.stage), "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=self.stage,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **as_user(uid),
        )
        return driver

    def end(self) -> None:
        for driver in self._started.values():
            driver.communicate()


@pytest.fixture(scope="module")
def drivers(stage: Path) -> Iterator[Drivers]:
    made = Drivers(stage)
    yield made
    made.end()


def as_user(uid: int) -> dict[str, Any]:
    """Return how to start a process of this user."""
    return {"user": uid, "group": uid, "extra_groups": []} if ROOT and uid else {}


class Scene:
    """One user's things, some of them worth attacking, and what becomes of them."""

    def __init__(self, base: Path, user: str, drivers: Drivers, python: str) -> None:
        self.base = base
        self.user = user
        self.uid = 0 if user == "root" else ANYBODY if ROOT else os.getuid()
        self.drivers = drivers
        self.python = python
        self.mark = f"mark-{base.name}"
        self.services: list[socket.socket] = []
        self.facts: dict[str, Any] = {}
        self.clean = contextlib.ExitStack()
        self._make_things()

    def _make_things(self) -> None:
        for name in ("home", "victim", "scratch", "workplace", "layer", "environment", "caught", "shared"):
            (self.base / name).mkdir()
        (self.base / "home" / "credentials").write_text(SECRET)
        (self.base / "layer" / "module.py").write_text("whole")
        (self.base / "events.jsonl").touch()
        self.facts |= {
            "base": str(self.base),
            "python": self.python,
            "victim": str(self.base / "victim"),
            "home": str(self.base / "home"),
            "events": str(self.base / "events.jsonl"),
            "layer_file": str(self.base / "layer" / "module.py"),
            "environment_file": str(self.base / "environment" / "module.py"),
            "shared": str(self.base / "shared"),
            "mark": self.mark,
            "groups": True,
        }

    def listen(self, family: int, kind: int, address: Any) -> Any:
        """Offer a service outside; return its address."""
        service = self.clean.enter_context(socket.socket(family, kind))
        service.bind(address)
        if kind == socket.SOCK_STREAM:
            service.listen()
        service.setblocking(False)
        self.services.append(service)
        return service.getsockname()

    def is_heard(self) -> bool:
        """Return whether anything has come to a service; the system keeps what came until it is asked for."""
        for service in self.services:
            with contextlib.suppress(BlockingIOError):
                if service.type == socket.SOCK_STREAM:
                    service.accept()[0].close()
                else:
                    service.recv(100)
                return True
        return False

    @contextlib.contextmanager
    def when_ready(self, answer: Callable[[str], None]) -> Iterator[None]:
        """Answer, meanwhile, what a script writes when it is ready, if it ever is."""
        ended = threading.Event()
        ready = self.base / "scratch" / "ready"

        def wait() -> None:
            until(lambda: ended.is_set() or ready.exists())
            if ready.exists():
                answer(ready.read_text())

        waiting = threading.Thread(target=wait)
        waiting.start()
        try:
            yield
        finally:
            ended.set()
            waiting.join()

    def victim_process(self) -> "subprocess.Popen[bytes]":
        """Start another program of the same user, which answers until its input ends."""
        victim = subprocess.Popen(
            [self.python, "-c", "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"],
            env={"TOKEN": SECRET},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            **as_user(self.uid),
        )
        assert answers(victim)  # it is what it is going to be
        self.facts["victim_process"] = victim.pid

        def end() -> None:
            victim.kill()
            victim.communicate()

        self.clean.callback(end)
        return victim

    def attack(self, script: str, isolation: str) -> dict[str, Any]:
        """Run a hostile script; how it ended."""
        shutil.copyfile(SCRIPTS / f"{script}.py", self.base / "script.py")
        if isolation != "namespace":
            os.link(self.base / "layer" / "module.py", self.base / "environment" / "module.py")
        order = self.base / "facts.json"
        order.write_text(json.dumps(self.facts | {"isolation": isolation}))
        if ROOT:
            for place, folders, files in os.walk(self.base):
                for name in (".", *folders, *files):
                    os.lchown(Path(place, name), self.uid, self.uid)
        (self.base / "home" / "credentials").chmod(0o600)
        code = self.drivers.attack(order, self.python, self.uid)
        assert code == 0, (self.base / "driver-stderr").read_text()
        end: dict[str, Any] = json.loads((self.base / "end.json").read_text())
        assert not end["sandbox_error"], end  # a sandbox that did not start blocks nothing
        assert not end["spawn_error"], end
        return end

    @property
    def out(self) -> str:
        return (self.base / "stdout").read_text(errors="replace")

    @property
    def err(self) -> str:
        return (self.base / "stderr").read_text(errors="replace")


def answers(victim: "subprocess.Popen[bytes]") -> bool:
    assert victim.stdin is not None
    assert victim.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        victim.stdin.write(b"?\n")
    return victim.stdout.readline() == b"?\n"


@pytest.fixture(params=USERS)
def scene(request: pytest.FixtureRequest, drivers: Drivers) -> Iterator[Scene]:
    python = _python_for(request.param)
    if python is None:
        pytest.skip("there is no Python of this version that every user can start")
    base = Path(tempfile.mkdtemp(prefix="tf-tester-hostile-"))
    base.chmod(0o755)
    made = Scene(base, request.param, drivers, python)
    with made.clean:
        yield made
    shutil.rmtree(base)


@functools.cache
def _python_for(user: str) -> str | None:
    """This Python, or the system's where this one lies in a home that others can't enter."""
    for python in (os.path.realpath(sys.executable), "/usr/bin/python3"):
        folders = [Path(python), *Path(python).parents]
        if (user == "root" or all(folder.stat().st_mode & 0o005 for folder in folders)) and Path(python).exists():
            # What is compiled of the driver's packages is for this version.
            said = subprocess.run([python, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True)
            if said.stdout.decode().strip() == str(sys.version_info[:2]):
                return python
    return None


Attack = Callable[[Scene, str], bool]
"""Prepares, attacks in an isolation, and tells whether the attack succeeded."""


def _write_outside(scene: Scene, isolation: str) -> bool:
    scene.attack("write_outside", isolation)
    return (scene.base / "victim" / "left-behind").exists()


def _read_home(scene: Scene, isolation: str) -> bool:
    scene.attack("read_home", isolation)
    return SECRET in scene.out


def _change_mode(scene: Scene, isolation: str) -> bool:
    scene.attack("change_mode", isolation)
    return stat.S_IMODE((scene.base / "home" / "credentials").stat().st_mode) == 0o777


def _set_times(scene: Scene, isolation: str) -> bool:
    scene.attack("set_times", isolation)
    return (scene.base / "home" / "credentials").stat().st_mtime == 1


def _connect_out(scene: Scene, isolation: str) -> bool:
    scene.facts["port"] = scene.listen(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))[1]
    scene.attack("connect_out", isolation)
    return scene.is_heard()


def _send_datagram(scene: Scene, isolation: str) -> bool:
    scene.facts["datagrams"] = scene.listen(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))[1]
    scene.attack("send_datagram", isolation)
    return scene.is_heard()


def _abstract_socket(scene: Scene, isolation: str) -> bool:
    scene.listen(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{scene.mark}")
    scene.facts["abstract"] = scene.mark
    scene.attack("abstract_socket", isolation)
    return scene.is_heard()


def _path_socket(scene: Scene, isolation: str) -> bool:
    scene.facts["socket"] = str(scene.base / "victim" / "service")
    scene.listen(socket.AF_UNIX, socket.SOCK_STREAM, scene.facts["socket"])
    scene.attack("path_socket", isolation)
    return scene.is_heard()


def _path_socket_relative(scene: Scene, isolation: str) -> bool:
    """Bound with a relative name, by which nobody else finds it."""
    scene.facts["socket"] = str(scene.base / "victim" / "service")
    with contextlib.chdir(scene.base / "victim"):
        scene.listen(socket.AF_UNIX, socket.SOCK_STREAM, "service")
    scene.attack("path_socket", isolation)
    return scene.is_heard()


def _late_socket(scene: Scene, isolation: str) -> bool:
    scene.facts["socket"] = str(scene.base / "victim" / "service")

    def serve(_: str) -> None:
        scene.listen(socket.AF_UNIX, socket.SOCK_STREAM, scene.facts["socket"])
        os.chown(scene.facts["socket"], scene.uid, -1)

    with scene.when_ready(serve):
        scene.attack("late_socket", isolation)
    return scene.is_heard()


def _swapped_path(scene: Scene, isolation: str) -> bool:
    scene.facts["socket"] = str(scene.base / "victim" / "service")
    scene.listen(socket.AF_UNIX, socket.SOCK_STREAM, scene.facts["socket"])
    scene.attack("swapped_path", isolation)
    return scene.is_heard()


def _moved_socket(scene: Scene, isolation: str) -> bool:
    for name in ("one", "two", "outer/folder"):
        (scene.base / "shared" / name).mkdir(parents=True)
        scene.listen(socket.AF_UNIX, socket.SOCK_STREAM, str(scene.base / "shared" / name / "service"))
    scene.attack("moved_socket", isolation)
    return scene.is_heard()


def _swapped_mode(scene: Scene, isolation: str) -> bool:
    scene.attack("swapped_mode", isolation)
    status = (scene.base / "home" / "credentials").stat()
    return stat.S_IMODE(status.st_mode) == 0o777 or status.st_mtime == 1


def _fast_open(scene: Scene, isolation: str) -> bool:
    scene.facts["port"] = scene.listen(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))[1]
    scene.attack("fast_open", isolation)
    return scene.is_heard()


def _taken_port(scene: Scene, isolation: str) -> bool:
    def take(port: str) -> None:
        scene.listen(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", int(port)))
        (scene.base / "scratch" / "taken").touch()

    with scene.when_ready(take):
        scene.attack("taken_port", isolation)
    return scene.is_heard()


def _listen_outside(scene: Scene, isolation: str) -> bool:
    """Whether somebody listens on all networks is looked at in the machine's own."""
    found: set[str] = set()

    def look(ports: str) -> None:
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
        everywhere = {f"00000000:{int(port):04X}" for port in ports.split()}
        found.update(everywhere & {line.split()[1] for line in lines if line.split()[3] == "0A"})
        (scene.base / "scratch" / "looked").touch()

    with scene.when_ready(look):
        scene.attack("listen_outside", isolation)
    return bool(found)


def _datagram_pair(scene: Scene, isolation: str) -> bool:
    scene.facts["socket"] = str(scene.base / "victim" / "service")
    scene.facts["abstract"] = scene.mark
    for name in (scene.facts["socket"], f"\0{scene.mark}"):
        scene.listen(socket.AF_UNIX, socket.SOCK_DGRAM, name)
    scene.attack("datagram_pair", isolation)
    return scene.is_heard()


def _fork_bomb(scene: Scene, isolation: str) -> bool:
    scene.attack("fork_bomb", isolation)
    return "400 processes" in scene.out


def _fork_bomb_uncounted(scene: Scene, isolation: str) -> bool:
    scene.facts["groups"] = False
    return _fork_bomb(scene, isolation)


def _memory_bomb(scene: Scene, isolation: str) -> bool:
    end = scene.attack("memory_bomb", isolation)
    if isolation != "none":
        assert end["exceeded"]["limit"] == "memory"
    return "600000000 bytes" in scene.out


def _memory_bomb_uncounted(scene: Scene, isolation: str) -> bool:
    scene.facts["groups"] = False
    return _memory_bomb(scene, isolation)


def _shared_memory_bomb(scene: Scene, isolation: str) -> bool:
    scene.facts["groups"] = False
    try:
        scene.attack("shared_memory_bomb", isolation)
        return "all written" in scene.out
    finally:
        for file in Path("/dev/shm").glob(f"{scene.mark}-*"):
            file.unlink()


def _fill_disk(scene: Scene, isolation: str) -> bool:
    end = scene.attack("fill_disk", isolation)
    if isolation != "none":
        assert end["exceeded"]["limit"] == "scratch"
    return "all written" in scene.out


def _many_files(scene: Scene, isolation: str) -> bool:
    return _fills(scene, isolation, "many_files")


def _deleted_file(scene: Scene, isolation: str) -> bool:
    return _fills(scene, isolation, "deleted_file")


def _deleted_mapping(scene: Scene, isolation: str) -> bool:
    return _fills(scene, isolation, "deleted_mapping")


def _fills(scene: Scene, isolation: str, script: str, limit: str = "scratch") -> bool:
    end = scene.attack(script, isolation)
    if isolation != "none":
        assert end["exceeded"]["limit"] == limit
    return "all written" in scene.out


def _closed_folder(scene: Scene, isolation: str) -> bool:
    return _fills(scene, isolation, "closed_folder")


def _memfd_bomb(scene: Scene, isolation: str) -> bool:
    return _fills(scene, isolation, "memfd_bomb", "memory")


def _page_table_bomb(scene: Scene, isolation: str) -> bool:
    scene.facts["groups"] = False  # which count them
    return _fills(scene, isolation, "page_table_bomb", "memory")


def _memfd_bomb_uncounted(scene: Scene, isolation: str) -> bool:
    scene.facts["groups"] = False
    return _memfd_bomb(scene, isolation)


def _memory_bomb_in_child(scene: Scene, isolation: str) -> bool:
    end = scene.attack("memory_bomb_in_child", isolation)
    if isolation != "none":
        assert end["exceeded"]["limit"] == "memory"
    return "waited to the end" in scene.out


def _memory_bomb_in_child_uncounted(scene: Scene, isolation: str) -> bool:
    scene.facts["groups"] = False
    return _memory_bomb_in_child(scene, isolation)


def _lower_oom_score(scene: Scene, isolation: str) -> bool:
    scene.attack("lower_oom_score", isolation)
    return int(scene.out.removeprefix("at ")) < 800


def _set_version(scene: Scene, isolation: str) -> bool:
    layer = scene.base / "layer" / "module.py"
    if not _has_versions(layer):
        pytest.skip("the versions of this file system can't be set")
    scene.attack("set_version", isolation)
    return _version(layer) == 77


def _list_interfaces(scene: Scene, isolation: str) -> bool:
    names = {name for _, name in socket.if_nameindex()} - {"lo"}
    if not names:
        pytest.skip("this machine has no network interface")
    scene.attack("list_interfaces", isolation)
    return bool(names & set(scene.out.split()))


def _read_attributes(scene: Scene, isolation: str) -> bool:
    try:
        os.setxattr(scene.base / "home" / "credentials", "user.xdg.origin.url", SECRET.encode())
    except OSError:
        pytest.skip("this file system has no extended attributes")
    scene.attack("read_attributes", isolation)
    return SECRET in scene.out


def _watch_home(scene: Scene, isolation: str) -> bool:
    scene.attack("watch_home", isolation)
    return "watching" in scene.out


def _kill_victim(scene: Scene, isolation: str) -> bool:
    victim = scene.victim_process()
    scene.attack("kill_victim", isolation)
    return not answers(victim)


def _trace_victim(scene: Scene, isolation: str) -> bool:
    scene.victim_process()
    scene.attack("trace_victim", isolation)
    return "traced" in scene.out


def _read_variables(scene: Scene, isolation: str) -> bool:
    scene.victim_process()
    scene.attack("read_variables", isolation)
    return SECRET in scene.out


def _limit_victim(scene: Scene, isolation: str) -> bool:
    victim = scene.victim_process()
    scene.attack("limit_victim", isolation)
    limits = Path(f"/proc/{victim.pid}/limits").read_text().splitlines()
    return next(line.split()[3] for line in limits if line.startswith("Max open files")) == "7"


def _leave_daemon(scene: Scene, isolation: str) -> bool:
    scene.attack("leave_daemon", isolation)
    left = [process for process in psutil.process_iter(["cmdline"]) if scene.mark in (process.info["cmdline"] or ())]
    for process in left:
        process.kill()
    return bool(left)


def _become_root(scene: Scene, isolation: str) -> bool:
    if not ROOT or scene.user == "root":
        pytest.skip("only root can make a program that gives root's rights, and only to others")
    # In a folder that every sandbox shows.
    program = Path(tempfile.mkdtemp(prefix="tf-tester-hostile-", dir="/usr/local"))
    scene.clean.callback(shutil.rmtree, program)
    program.chmod(0o755)
    shutil.copyfile("/usr/bin/id", program / "id")
    (program / "id").chmod(0o4755)
    scene.facts["gives_root"] = str(program / "id")
    scene.attack("become_root", isolation)
    assert scene.out.strip() in ("0", str(scene.uid)), scene.err
    return scene.out.strip() == "0"


def _leave_setuid(scene: Scene, isolation: str) -> bool:
    scene.attack("leave_setuid", isolation)
    files = [scene.base / "scratch" / name for name in ("gives-rights", "gives-rights-too")]
    return any(file.exists() and file.stat().st_mode & stat.S_ISUID for file in files)


def _link_in_results(scene: Scene, isolation: str) -> bool:
    scene.attack("link_in_results", isolation)
    with opened_safely(scene.base / "events.jsonl") as stream:
        assert stream is None or stream.read() == b""  # and if it succeeds, nobody follows it
    return (scene.base / "events.jsonl").is_symlink()


def _tamper_store(scene: Scene, isolation: str) -> bool:
    scene.attack("tamper_store", isolation)
    return _is_tampered(scene)


def _tamper_environment(scene: Scene, isolation: str) -> bool:
    scene.attack("tamper_environment", isolation)
    return _is_tampered(scene)


def _is_tampered(scene: Scene) -> bool:
    layer = scene.base / "layer" / "module.py"
    return layer.read_text() != "whole" or stat.S_IMODE(layer.stat().st_mode) == 0o666


def _terminal(scene: Scene) -> tuple[int, int]:
    ours, theirs = pty.openpty()
    scene.clean.callback(os.close, ours)
    scene.clean.callback(os.close, theirs)
    scene.facts["terminal"] = os.ttyname(theirs)
    os.chown(scene.facts["terminal"], scene.uid, -1)
    return ours, theirs


def _type_into_terminal(scene: Scene, isolation: str) -> bool:
    _, theirs = _terminal(scene)
    scene.attack("type_into_terminal", isolation)
    typed = bytearray(4)
    fcntl.ioctl(theirs, termios.FIONREAD, typed)
    return any(typed)


def _write_to_terminal(scene: Scene, isolation: str) -> bool:
    ours, _ = _terminal(scene)
    scene.attack("write_to_terminal", isolation)
    os.set_blocking(ours, False)
    with contextlib.suppress(BlockingIOError):
        return b"stolen" in os.read(ours, 100)
    return False


def _machine_settings(scene: Scene, isolation: str) -> bool:
    if scene.user != "root":
        pytest.skip("only root may write there anyway")
    scene.attack("machine_settings", isolation)
    return "opened" in scene.out


def _foreign_segment(scene: Scene, isolation: str) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    segment = libc.shmget(0, 4096, 0o600 | 0o1000)
    assert segment >= 0
    status = ctypes.create_string_buffer(256)
    if ROOT and scene.uid:
        libc.shmctl(segment, 2, status)  # IPC_STAT
        ctypes.c_uint32.from_buffer(status, 4).value = scene.uid
        assert libc.shmctl(segment, 1, status) == 0  # IPC_SET: it is that user's now
    scene.facts["segment"] = segment
    scene.attack("foreign_segment", isolation)
    gone: bool = libc.shmctl(segment, 2, status) < 0
    if not gone:
        libc.shmctl(segment, 0, None)
    return gone


def _segment_bomb(scene: Scene, isolation: str) -> bool:
    scene.facts["groups"] = False
    scene.attack("segment_bomb", isolation)
    return "all written" in scene.out


def _message_bomb(scene: Scene, isolation: str) -> bool:
    scene.attack("message_bomb", isolation)
    return "all written" in scene.out


def _semaphore_bomb(scene: Scene, isolation: str) -> bool:
    scene.attack("semaphore_bomb", isolation)
    return "all written" in scene.out


def _pass_descriptor(scene: Scene, isolation: str) -> bool:
    scene.facts["socket"] = str(scene.base / "victim" / "service")
    scene.facts["abstract"] = scene.mark
    scene.listen(socket.AF_UNIX, socket.SOCK_STREAM, scene.facts["socket"])
    scene.listen(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{scene.mark}")
    scene.attack("pass_descriptor", isolation)
    for service in scene.services:
        with contextlib.suppress(BlockingIOError):
            while True:
                heard, _ = service.accept()
                with heard:
                    _, descriptors, _, _ = socket.recv_fds(heard, 10, 4)
                for descriptor in descriptors:
                    os.close(descriptor)
                if descriptors:
                    return True
    return False


def _other_network(scene: Scene, isolation: str) -> bool:
    scene.listen(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{scene.mark}")
    scene.facts["abstract"] = scene.mark
    scene.attack("other_network", isolation)
    return scene.is_heard()


def script_of(attack: str) -> str:
    """Return the script of an attack; one that is tried in another way has a word more in its name."""
    name = attack.removeprefix("_")
    return next((one for one in (name, name.rpartition("_")[0]) if (SCRIPTS / f"{one}.py").exists()), "")


ATTACKS: dict[str, Attack] = {
    name.removeprefix("_"): attack
    for name, attack in list(globals().items())
    if name.startswith("_") and script_of(name)
}


def _rows() -> Iterator[ParameterSet]:
    """Yield each attack in each sandbox, and in none, as each user; for `make test` in one sandbox, in turn."""
    for first, attack in enumerate(ATTACKS):
        turn = ("namespace", "landlock")[first % 2], USERS[first // 2 % len(USERS)]
        for isolation in ("namespace", "landlock", "none"):
            for user in USERS:
                marks = () if (isolation, user) == turn else pytest.mark.whole
                yield pytest.param(attack, isolation, user, marks=marks)


@pytest.mark.parametrize(("attack", "isolation", "scene"), list(_rows()), indirect=["scene"])
def test_an_attack_succeeds_only_where_there_is_no_sandbox(attack: str, isolation: str, scene: Scene) -> None:
    expected = isolation == "none" or (isolation, attack) in GAPS
    if isolation == "none" and attack == "trace_victim" and _yama() and scene.uid:
        pytest.skip("this system lets nobody but root trace what isn't his child")
    if isolation == "none" and attack == "type_into_terminal" and not _terminals_take_typing():
        pytest.skip("this system lets nobody type into a terminal (dev.tty.legacy_tiocsti)")
    assert ATTACKS[attack](scene, isolation) is expected


@pytest.mark.parametrize("isolation", ["namespace", "landlock", "none"])
def test_no_descriptor_comes_along(isolation: str, scene: Scene) -> None:
    """By the launcher itself: the executor passes none on."""
    from tf_tester.model.host.limits import Limits
    from tf_tester.model.host.world import World
    from tf_tester.ports.execute import Command
    from tf_tester.sandbox.landlocked import LandlockSandbox
    from tf_tester.sandbox.namespace import NamespaceSandbox
    from tf_tester.sandbox.none import NoSandbox

    if scene.uid != os.getuid():
        pytest.skip("once is enough")
    shutil.copyfile(SCRIPTS / "inherited_descriptor.py", scene.base / "script.py")
    kinds = {"namespace": NamespaceSandbox, "landlock": LandlockSandbox}
    kind = kinds.get(isolation)
    sandbox = NoSandbox() if kind is None else kind(scene.base / "workplace", limits=Limits())
    with (scene.base / "victim" / "open").open("wb") as file:
        facts = json.dumps({"descriptor": file.fileno()})
        argv = (scene.python, str(scene.base / "script.py"), facts)
        command = sandbox.wrap(
            Command(argv, {"PATH": os.defpath}, scene.base / "scratch"),
            World((scene.base / "script.py",), (scene.base / "scratch",)),
        )
        with subprocess.Popen(
            command.argv, env=dict(command.env), cwd=command.cwd, stdin=subprocess.PIPE, pass_fds=(file.fileno(),)
        ) as process:
            process.wait()
    assert ((scene.base / "victim" / "open").read_bytes() == b"stolen") is (isolation == "none")


@pytest.mark.parametrize("isolation", ["namespace", "landlock"])
def test_no_program_can_say_that_it_was_never_started(isolation: str, scene: Scene) -> None:
    end = scene.attack("say_refused", isolation)
    assert (end["code"], end["signal"], end["sandbox_error"], end["spawn_error"]) == (125, None, "", "")
    assert "could not be started: forged\n" in scene.err


def test_every_hostile_script_is_tried() -> None:
    scripts = {file.stem for file in SCRIPTS.glob("*.py")} - {"inherited_descriptor", "say_refused"}
    assert scripts == set(map(script_of, ATTACKS))


def _version(file: Path) -> int:
    version = bytearray(8)
    with file.open("rb") as stream:
        fcntl.ioctl(stream, 0x80087601, version)  # FS_IOC_GETVERSION
    return int.from_bytes(version[:4], sys.byteorder)


def _has_versions(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            fcntl.ioctl(stream, 0x40087602, (5).to_bytes(8, sys.byteorder))  # FS_IOC_SETVERSION
        return _version(file) == 5
    except OSError:
        return False


def _yama() -> bool:
    try:
        return Path("/proc/sys/kernel/yama/ptrace_scope").read_text().strip() != "0"
    except OSError:
        return False


def _terminals_take_typing() -> bool:
    try:
        return Path("/proc/sys/dev/tty/legacy_tiocsti").read_text().strip() == "1"
    except OSError:
        return True
