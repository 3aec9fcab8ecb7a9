"""Builds from source reach nobody, and have what they require. Skipped where this system allows no sandbox."""

import contextlib
import io
import socket
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import User
from tests.simulator import Simulator
from tests.wheels import make_sdist, make_wheel

DAY = "2019-01-01T00:00:00Z"
CALLS = """
import contextlib, json, socket
for family, kind, address in json.loads({services!r}):
    address = tuple(address) if isinstance(address, list) else address
    with contextlib.suppress(OSError), socket.socket(family, kind) as caller:
        caller.settimeout(5)
        if kind == socket.SOCK_DGRAM:
            caller.sendto(b"stolen", address)
        else:
            caller.connect(address)
            caller.sendall(b"stolen")
"""


@pytest.fixture(params=["namespace", pytest.param("landlock", marks=pytest.mark.whole)])
def isolation(request: pytest.FixtureRequest, user: User) -> str:
    user.write("check.py", "import toy\n")
    words = ["test", "check.py", "--versions", "2.0", "--isolation", request.param]
    run = user.run(*words, env={"TF_TESTER_STORE": str(user.home / "another-store")})
    if "can't be sandboxed here" in run.err:
        pytest.skip(run.err.splitlines()[0])
    return str(request.param)


class Services:
    """Programs of this machine, as a build may find them: by TCP, UDP, a file, an abstract name."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        wanted: dict[str, tuple[int, int, Any]] = {
            "tcp": (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "udp": (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            "file": (socket.AF_UNIX, socket.SOCK_STREAM, str(folder / "service")),
            "abstract": (socket.AF_UNIX, socket.SOCK_STREAM, f"\0tf-tester-{folder}"),
        }
        self.sockets: dict[str, socket.socket] = {}
        for name, (family, kind, address) in wanted.items():
            service = self.sockets[name] = stack.enter_context(socket.socket(family, kind))
            service.bind(address)
            if kind == socket.SOCK_STREAM:
                service.listen()
            service.setblocking(False)

    @property
    def code(self) -> str:
        """What a build runs that calls all of them."""
        import json

        found = [(int(one.family), int(one.type) & 0xF, _text(one.getsockname())) for one in self.sockets.values()]
        return CALLS.format(services=json.dumps(found))

    def heard(self) -> set[str]:
        """Return who was called; the system keeps what came until it is asked for."""
        heard = set()
        for name, service in self.sockets.items():
            with contextlib.suppress(BlockingIOError):
                service.recv(100) if name == "udp" else service.accept()[0].close()
                heard.add(name)
        return heard


def _text(address: Any) -> Any:
    return address.decode() if isinstance(address, bytes) else address


@pytest.fixture
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with ExitStack() as stack:
        # A path of a socket has 107 bytes.
        yield Services(tmp_path_factory.mktemp("s"), stack)


def test_a_build_reaches_nobody(user: User, index: Simulator, services: Services, isolation: str) -> None:
    index.add_sdist(*make_sdist("toy", "0.7", build_runs=services.code), upload_time=DAY)
    run = user.run("test", "check.py", "--versions", "0.7", "--allow-build", "toy", "--isolation", isolation)
    assert run.outcomes() == {"0.7": "pass"}, run.out
    assert services.heard() == set()


def test_the_users_own_project_reaches_nobody(user: User, services: Services, isolation: str) -> None:
    user.write("setup.py", services.code + "from setuptools import setup\nsetup(name='mine', version='1')\n")
    run = user.run("test", "check.py", "--versions", "2.0", "--project", ".", "--isolation", isolation)
    assert "setuptools" in run.out, "the index has none: it comes no further"
    assert services.heard() == set()


def test_without_a_sandbox_a_build_reaches_everybody(user: User, index: Simulator, services: Services) -> None:
    index.add_sdist(*make_sdist("toy", "0.7", build_runs=services.code), upload_time=DAY)
    user.write("check.py", "import toy\n")
    run = user.run("test", "check.py", "--versions", "0.7", "--allow-build", "toy", "--isolation", "none")
    assert run.outcomes() == {"0.7": "pass"}, run.out
    assert services.heard() == set(services.sockets)


@pytest.mark.whole
def test_a_build_may_be_given_the_network(user: User, index: Simulator, services: Services, isolation: str) -> None:
    index.add_sdist(*make_sdist("toy", "0.7", build_runs=services.code), upload_time=DAY)
    words = ["--versions", "0.7", "--allow-build", "toy", "--isolation", isolation, "--build-network"]
    run = user.run("test", "check.py", *words)
    assert run.outcomes() == {"0.7": "pass"}, run.out
    assert {"tcp", "udp"} <= services.heard()


@pytest.mark.parametrize(
    "wants",
    [
        "import socket; socket.getaddrinfo('somewhere.invalid', 80)",
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import urllib.request; urllib.request.urlopen('http://192.0.2.1/')",
    ],
)
def test_a_build_that_wants_a_network_is_told_the_option(
    user: User, index: Simulator, isolation: str, wants: str
) -> None:
    index.add_sdist(*make_sdist("toy", "0.7", build_runs=f"{wants}\n"), upload_time=DAY)
    run = user.run("test", "check.py", "--versions", "0.7", "--allow-build", "toy", "--isolation", isolation)
    assert run.outcomes() == {"0.7": "build-failed"}, run.out
    assert "--build-network" in run.results()["0.7"]["hint"], run.results()["0.7"]


def with_link(sdist: bytes, name: str, target: str) -> bytes:
    """Return a source distribution with one more member, a symbolic link."""
    written = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(sdist)) as old, tarfile.open(fileobj=written, mode="w:gz") as new:
        for member in old:
            new.addfile(member, old.extractfile(member))
        link = tarfile.TarInfo(name)
        link.type, link.linkname = tarfile.SYMTYPE, target
        new.addfile(link)
    return written.getvalue()


RUNS_AT_ITS_START = "import os; open({mark!r}, 'w').close()\n"


@pytest.mark.whole
def test_what_a_back_end_asks_for_besides_is_brought(user: User, index: Simulator, isolation: str) -> None:
    """And what is installed for the build runs nowhere but in the build: a .pth file is run by any Python there."""
    mark = user.folder / "ran-outside"
    helper = {"helper.py": "", "helper.pth": RUNS_AT_ITS_START.format(mark=str(mark))}
    index.add_wheel(*make_wheel("helper", "1.0", files=helper), upload_time=DAY)
    index.add_wheel(*make_wheel("more", "2.0"), upload_time=DAY)
    runs = "import helper, os\nif os.path.exists('asked'): import more\nopen('asked', 'w').close()\n"
    sdist = make_sdist("toy", "0.7", build_runs=runs, build_requires=["helper"], build_asks=["more>=2"])
    index.add_sdist(*sdist, upload_time=DAY)
    run = user.run("test", "check.py", "--versions", "0.7", "--allow-build", "toy", "--isolation", isolation)
    assert run.outcomes() == {"0.7": "pass"}, run.results()
    assert not mark.exists()


@pytest.mark.whole
@pytest.mark.parametrize("asks", ["more @ file:///etc/hostname", "--index-url=file:///etc", "-r/etc/hostname"])
def test_what_a_back_end_asks_for_comes_from_the_index_alone(
    user: User, index: Simulator, isolation: str, asks: str
) -> None:
    index.add_sdist(*make_sdist("toy", "0.7", build_asks=[asks]), upload_time=DAY)
    run = user.run("test", "check.py", "--versions", "0.7", "--allow-build", "toy", "--isolation", isolation)
    assert run.outcomes() == {"0.7": "build-failed"}, run.out
    assert "What the build back end requires can't be used" in run.results()["0.7"]["summary"]


ADDRESS = "helper @ https://127.0.0.1:9/helper.whl"
REFUSED_SOURCES = {
    "address": (
        f"The pyproject.toml of toy-0.7 can't be used: {ADDRESS!r} names an address, and what a build requires comes "
        "from the index.",
        "--find-links",
    ),
    "link": (
        "toy-0.7.tar.gz is not unpacked: the link 'toy-0.7/src/out' leads to '../../x', out of the archive's own "
        "folder.",
        "Ask whoever made it.",
    ),
}


@pytest.mark.parametrize("why", REFUSED_SOURCES)
@pytest.mark.parametrize("command", ["test", "lock", "download"])
def test_a_source_that_is_refused_is_told_in_a_sentence_with_a_hint(
    user: User, index: Simulator, command: str, why: str
) -> None:
    said, hint = REFUSED_SOURCES[why]
    name, content = make_sdist("toy", "0.7", build_requires=[ADDRESS] if why == "address" else [])
    sdist = name, content if why == "address" else with_link(content, "toy-0.7/src/out", "../../x")
    index.add_sdist(*sdist, upload_time=DAY)
    user.write("check.py", "import toy\n")
    # Without dependencies `download` brings sources as they are, and looks into none.
    words = {"test": ["check.py"], "lock": [], "download": ["--with-deps", "-d", "wheels"]}[command]
    run = user.run(command, *words, "--versions", "0.7", "--allow-build", "toy")
    assert run.code != 0
    told = " ".join((run.out + run.err).split())
    assert said in told
    assert hint in told


def test_links_of_a_source_that_stay_in_it_are_as_good_as_files(user: User, index: Simulator, isolation: str) -> None:
    runs = "assert open('src/link.py').read() == open('PKG-INFO').read()\n"
    name, content = make_sdist("toy", "0.7", build_runs=runs)
    index.add_sdist(name, with_link(content, "toy-0.7/src/link.py", "../PKG-INFO"), upload_time=DAY)
    run = user.run("test", "check.py", "--versions", "0.7", "--allow-build", "toy", "--isolation", isolation)
    assert run.outcomes() == {"0.7": "pass"}, run.results()


@pytest.mark.whole
def test_an_environment_of_a_build_cannot_be_changed_by_it(user: User, index: Simulator, isolation: str) -> None:
    """The next process in it is one of the same build, but the one that makes it runs outside."""
    runs = (
        "import os, sys\ntry: open(os.path.join(sys.prefix, 'mine'), 'w')\nexcept OSError: pass\nelse: sys.exit('!')\n"
    )
    index.add_sdist(*make_sdist("toy", "0.7", build_runs=runs), upload_time=DAY)
    run = user.run("test", "check.py", "--versions", "0.7", "--allow-build", "toy", "--isolation", isolation)
    assert run.outcomes() == {"0.7": "pass"}, run.results()


@pytest.mark.whole
def test_what_a_build_requires_is_no_bomb(user: User, index: Simulator, isolation: str) -> None:
    """It is refused before it is installed: what that would take is not waited for."""
    index.add_wheel(*make_wheel("helper", "1.0", files={"zeros": bytes(80 << 20)}), upload_time=DAY)
    index.add_sdist(*make_sdist("toy", "0.7", build_requires=["helper"]), upload_time=DAY)
    run = user.run("test", "check.py", "--versions", "0.7", "--allow-build", "toy", "--isolation", isolation)
    assert run.outcomes() == {"0.7": "build-failed"}, run.out
    assert "helper-1.0-py3-none-any.whl, is refused" in run.results()["0.7"]["summary"]
