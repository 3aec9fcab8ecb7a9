"""What ordinary programs do, and find as on any machine, though Landlock holds them. Skipped where there is none."""

import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("Landlock is Linux's", allow_module_level=True)

from tests.functional.sandbox.test_landlock import Run, folder, order, run
from tests.functional.sandbox.test_sandbox import carried_out, succeeded
from tf_tester.sandbox.calls import can_supervise

__all__ = ["folder", "run"]  # fixtures

pytestmark = pytest.mark.skipif(not can_supervise(), reason="this kernel lets nobody make calls for others")

PROGRAMS = {
    "servers of asyncio": (
        """
        import asyncio

        async def echo(reader, writer):
            writer.write(await reader.readline())
            writer.close()

        async def main():
            tcp = await asyncio.start_server(echo, "127.0.0.1", 0)
            unix = await asyncio.start_unix_server(echo, "service")
            for opened in (
                asyncio.open_connection("localhost", tcp.sockets[0].getsockname()[1]),
                asyncio.open_unix_connection("service"),
            ):
                reader, writer = await opened
                writer.write(b"heard\\n")
                print((await reader.read()).decode().strip())

        asyncio.run(main())
        """,
        "heard heard",
    ),
    "a server of HTTP and its client": (
        """
        import http.server, threading, urllib.request
        class Quiet(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *words): pass
        open("page", "w").write("read")
        with http.server.ThreadingHTTPServer(("", 0), Quiet) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            for host in ("localhost", "127.0.0.1"):
                print(urllib.request.urlopen(f"http://{host}:{server.server_port}/page", timeout=60).read().decode())
            server.shutdown()
        """,
        "read read",
    ),
    "servers of socketserver": (
        """
        import socket, socketserver, threading
        class Echo(socketserver.StreamRequestHandler):
            def handle(self): self.wfile.write(self.rfile.readline())
        for kind, address in ((socketserver.TCPServer, ("localhost", 0)), (socketserver.UnixStreamServer, "service")):
            with kind(address, Echo) as server:
                threading.Thread(target=server.handle_request).start()
                with socket.socket(server.socket.family) as client:
                    client.connect(server.server_address)
                    client.sendall(b"heard\\n")
                    print(client.recv(100).decode().strip())
        """,
        "heard heard",
    ),
    "every address of the loopback": (
        """
        import socket
        both = {"family": socket.AF_INET6, "dualstack_ipv6": True}
        for address, words, reached in (
            (("0.0.0.0", 0), {}, "127.0.0.1"),
            (("127.0.0.7", 0), {}, "127.0.0.7"),
            *([(("::", 0), both, "localhost")] if socket.has_dualstack_ipv6() else []),
        ):
            with socket.create_server(address, **words) as server:
                with socket.create_connection((reached, server.getsockname()[1]), 60) as client:
                    accepted, _ = server.accept()
                    client.close()
                    assert accepted.recv(1) == b""
        unbound = socket.socket()
        unbound.listen()
        print(unbound.getsockname()[0])
        """,
        "127.0.0.1",
    ),
    "a port that was free and is closed again": (
        """
        import socket
        with socket.socket() as looking:
            looking.bind(("", 0))
            port = looking.getsockname()[1]
        with socket.socket() as server:
            server.bind(("127.0.0.1", port))
            server.listen(1)
            client = socket.create_connection(("127.0.0.1", port))
            accepted, _ = server.accept()
        accepted.close()
        print(repr(client.recv(1)))
        try: socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError: print("refused")
        """,
        "b'' refused",
    ),
    "sockets with abstract names, and of packets": (
        """
        import os, socket
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
            server.bind(f"\\0tf-tester-{os.getpid()}")
            server.listen()
            for _ in range(2):
                client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                client.connect(server.getsockname())
                client.send(b"heard")
                print(server.accept()[0].recv(100).decode())
        """,
        "heard heard",
    ),
    "more sockets than are kept at once": (
        """
        import socket
        first = socket.socket()
        with socket.create_server(("127.0.0.1", 0)) as server:
            for _ in range(600): socket.socket().close()
            for one in [first] + [socket.socket() for _ in range(600)]:
                one.connect(server.getsockname())
                server.accept()[0].close()
        print("all")
        """,
        "all",
    ),
    "a name that was taken and is given back": (
        """
        import os, socket
        for _ in range(3):
            with socket.socket(socket.AF_UNIX) as taken: taken.bind(f"\\0tf-tester-{os.getpid()}")
            with socket.socket() as taken:
                taken.bind(("127.0.0.1", 0))
                again = socket.socket()
                try: again.bind(taken.getsockname())
                except OSError: pass
                again.close()
                taken.listen()
        print("each time")
        """,
        "each time",
    ),
    "modes of what is open, by each of its names": (
        """
        import os, tempfile
        def mode(): return oct(os.fstat(file.fileno()).st_mode)[-3:]
        for made in (lambda: open("file", "w"), tempfile.TemporaryFile):
            with made() as file:
                os.fchmod(file.fileno(), 0o640); print(mode())
                os.chmod(file.fileno(), 0o604); print(mode())
                for number, place in enumerate(("/dev/fd/", "/proc/self/fd/")):
                    os.chmod(f"{place}{file.fileno()}", 0o600 + number); print(mode())
        """,
        "640 604 600 601 " * 2,
    ),
    "modes, times and attributes of its files": (
        """
        import os, pathlib, shutil
        pathlib.Path("a").touch(0o600)
        os.chmod("a", 0o640)
        os.utime("a", ns=(1, 2))
        pathlib.Path("b").touch()
        shutil.copystat("a", "b")
        status = os.stat("b")
        os.symlink("b", "link")
        os.utime("link", (9, 9), follow_symlinks=False)
        folder = os.open(".", os.O_RDONLY)
        os.chmod("b", 0o604, dir_fd=folder)
        with open("b") as file: os.utime(file.fileno(), (7, 7)), print(oct(os.fstat(file.fileno()).st_mode)[-3:])
        print(oct(status.st_mode)[-3:], status.st_mtime_ns, os.lstat("link").st_mtime, os.stat("b").st_mtime)
        """,
        "604 640 2 9.0 7.0",
    ),
    "a script that was made runnable": (
        """
        import os, subprocess
        with open("script", "w") as file: file.write("#!/bin/sh\\necho run\\n")
        os.chmod("script", 0o755)
        print(subprocess.run(["./script"], capture_output=True, text=True).stdout.strip())
        """,
        "run",
    ),
}


def written(folder: Path, code: str) -> str:
    """Put a program into a file, which `spawn` starts again."""
    lines = code.splitlines()
    indent = len(lines[1]) - len(lines[1].lstrip()) if len(lines) > 1 else 0
    (folder / "scratch" / "program.py").write_text("\n".join(line[indent:] for line in lines))
    return (
        "import os, subprocess, sys\n"
        "for name in ('TMPDIR', 'HOME'): os.environ[name] = os.getcwd()\n"
        "os.environ['PATH'] = os.defpath\n"
        "sys.exit(subprocess.run([sys.executable, 'program.py']).returncode)\n"
    )


@pytest.mark.parametrize("what", PROGRAMS)
def test_it_works_as_on_any_machine(run: Run, folder: Path, what: str) -> None:
    code, says = PROGRAMS[what]
    assert succeeded(run(written(folder, code))).split() == says.split()


@pytest.fixture
def near() -> Iterator[Path]:
    """A folder whose name is short enough for what multiprocessing makes in it."""
    made = Path(tempfile.mkdtemp(prefix="tft-"))
    for name in ("scratch", "work", "readable"):
        (made / name).mkdir()
    yield made
    shutil.rmtree(made)


MULTIPROCESSING = """
import multiprocessing, multiprocessing.connection, threading

def double(number): return 2 * number

if __name__ == "__main__":
    for way in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(way).Pool(2) as pool: print(pool.map(double, [1, 2]))
    with multiprocessing.Manager() as manager:
        shared = manager.dict()
        process = multiprocessing.Process(target=shared.update, args=({"a": 1},))
        process.start(); process.join()
        print(dict(shared))
    for family in ("AF_UNIX", "AF_INET"):
        listener = multiprocessing.connection.Listener(family=family)
        client = threading.Thread(target=lambda: multiprocessing.connection.Client(listener.address).send("heard"))
        client.start()
        print(listener.accept().recv())
        client.join()
"""


def test_multiprocessing_works_in_all_its_ways(run: Run, near: Path) -> None:
    done = carried_out(order(near, written(near, MULTIPROCESSING)))
    assert succeeded(done).split("\n") == ["[2, 4]"] * 3 + ["{'a': 1}", "heard", "heard"]


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no compiler")
def test_a_program_is_compiled_and_runs(run: Run, folder: Path) -> None:
    (folder / "scratch" / "program.c").write_text("int main(void) { return 7; }\n")
    code = "import subprocess as s\ns.run(['cc', 'program.c'], check=True)\nprint(s.run(['./a.out']).returncode)\n"
    assert succeeded(run(written(folder, code))) == "7"


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_a_repository_is_made_and_written_to(run: Run, folder: Path) -> None:
    """Where the system's own settings of git can't be read, too."""
    code = (
        "import subprocess as s\n"
        "who = ['-c', 'user.name=a', '-c', 'user.email=a@b']\n"
        "for words in (['init', '-q'], ['add', '.'], ['commit', '-qm', 'x']):\n"
        "    s.run(['git', *who, *words], check=True)\n"
        "print(s.check_output(['git', 'log', '--format=%s'], text=True))\n"
    )
    assert succeeded(run(written(folder, code))) == "x"


def test_what_it_prints_into_can_be_opened_once_more(run: Run, folder: Path) -> None:
    command = order(folder, "open('/dev/stdout', 'a').write('printed'); open('/dev/stderr', 'w').write('told')")
    with (
        (folder / "out").open("wb") as out,
        (folder / "err").open("wb") as err,
        subprocess.Popen(
            command.argv, env=dict(command.env), cwd=command.cwd, stdin=subprocess.PIPE, stdout=out, stderr=err
        ) as process,
    ):
        process.wait()  # its input stays open: else it would end
    assert ((folder / "out").read_text(), (folder / "err").read_text()) == ("printed", "told")


REFUSED = """
import errno, socket

def refused(attempt, *words):
    try: attempt(*words)
    except OSError as error: return errno.errorcode[error.errno]
    return "done"

unix, inet = socket.AF_UNIX, socket.AF_INET
print(
    refused(socket.socket(unix).connect, "/nowhere"),
    refused(socket.socket(unix).connect, "/etc/passwd"),
    refused(socket.socket(unix).bind, {outside!r}),
    refused(socket.socket().bind, ("192.0.2.1", 0)),
    refused(socket.socket().connect, ("192.0.2.1", 80)),
    refused(socket.socket().connect, ("127.0.0.1", {port})),
    refused(socket.socket, unix, socket.SOCK_DGRAM),
    refused(socket.socket, inet, socket.SOCK_DGRAM),
    refused(socket.socket, inet, socket.SOCK_STREAM, 132),
    refused(socket.socket().setsockopt, 0, 4, b""),
    refused(socket.socketpair()[0].connect, "x"),
)
"""


def test_what_leads_elsewhere_is_refused_as_if_nobody_were_there(run: Run, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as service:
        code = REFUSED.format(outside=str(folder / "other" / "made"), port=service.getsockname()[1])
        assert succeeded(run(code)).split() == (
            ["ENOENT", "EACCES", "EACCES", "EADDRNOTAVAIL", "ENETUNREACH", "ECONNREFUSED"]
            + ["EAFNOSUPPORT"] * 3
            + ["EPERM", "EISCONN"]
        )
    assert not (folder / "other" / "made").exists()


WRONG = """
import ctypes, errno, os, socket
libc = ctypes.CDLL(None, use_errno=True)
nowhere, mine = ctypes.c_void_p(8), socket.socket()
for call, *words in (
    (libc.connect, 99, b"x" * 16, 16),
    (libc.connect, 1, b"x" * 16, 16),
    (libc.connect, mine.fileno(), nowhere, 16),
    (libc.connect, mine.fileno(), b"\\2\\0", 2),
    (libc.bind, mine.fileno(), b"x" * 300, 300),
    (libc.chmod, nowhere, 0o600),
    (libc.chmod, b"", 0o600),
    (libc.chmod, b".", 0o4755),
    (libc.fchmod, 99, 0o600),
    (libc.utimensat, -100, b"x" * 5000, None, 0),
):
    assert call(*words) == -1
    print(errno.errorcode[ctypes.get_errno()])
"""


def test_who_asks_wrongly_gets_the_errors_of_the_kernel(run: Run, folder: Path) -> None:
    assert succeeded(run(written(folder, WRONG))).split() == (
        ["EBADF", "ENOTSOCK", "EFAULT", "EINVAL", "EINVAL", "EFAULT", "ENOENT", "EPERM", "EBADF", "ENAMETOOLONG"]
    )


def test_a_connection_that_must_wait_keeps_nobody_else_waiting(run: Run, folder: Path) -> None:
    code = """
        import os, socket, threading
        server = socket.socket(socket.AF_UNIX); server.bind("full"); server.listen(0)
        def connect():
            client = socket.socket(socket.AF_UNIX); client.connect("full"); client.send(b"x")
        waiting = [threading.Thread(target=connect) for _ in range(4)]
        for one in waiting: one.start()
        os.chmod("program.py", 0o600)
        for _ in waiting: assert server.accept()[0].recv(1) == b"x"
        for one in waiting: one.join()
        print("all")
        """
    assert succeeded(run(written(folder, code))) == "all"


def test_where_calls_cannot_be_made_for_it_modes_are_pretended_and_there_are_pairs_of_sockets(
    run: Run, folder: Path
) -> None:
    code = (
        "import os, socket\n"
        "open('a', 'w'); os.chmod('a', 0o777); print(oct(os.stat('a').st_mode)[-3:] == '777')\n"
        "a, b = socket.socketpair(); a.send(b'x'); print(b.recv(1))\n"
        "try: socket.socket(socket.AF_UNIX)\n"
        "except OSError as error: print(error.errno)\n"
    )
    done = carried_out(order(folder, code, supervised=False))
    assert succeeded(done).split() == ["False", "b'x'", "97"]


FALLS_BACK = """
import sys
from contextlib import closing
from pathlib import Path
from tf_tester.model.host.limits import Limits
from tf_tester.sandbox import kernel
from tf_tester.sandbox.calls import FAMILIES, filter_calls
from tf_tester.sandbox.landlocked import LandlockSandbox
from tf_tester.sandbox.server import LaunchServer
kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1, "no new privileges")
filter_calls(FAMILIES, files_are_mounts=False, truncates=True, supervised=True)
sandbox = LandlockSandbox(Path(sys.argv[1]), limits=Limits())
with closing(LaunchServer()) as launchers:
    before = sandbox.category
    sandbox.check(launchers)
print(before, sandbox.category, *sandbox.gaps, sep="\\n")
"""


def test_where_somebody_else_is_told_of_its_calls_it_does_without_and_says_so(run: Run, folder: Path) -> None:
    """As in a container whose engine has a listener: there is one for a process."""
    done = subprocess.run(
        [sys.executable, "-c", FALLS_BACK, str(folder / "work")], capture_output=True, text=True, check=True
    )
    before, category, *gaps = done.stdout.splitlines()
    assert ("supervised" in before, "supervised" in category) == (True, False)
    assert [gap for gap in gaps if "no loopback" in gap]
