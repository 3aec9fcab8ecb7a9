"""What docs/how-to/administer.md says of servers, tried: nginx in front, a second machine, a backup, alerts."""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

import pytest
import uv

from tests.integration.conftest import User
from tests.integration.host.test_serve import JSON, Served, serving
from tests.integration.supply.test_publish import free_port
from tests.simulator import Simulator, Status
from tests.waiting import until
from tests.wheels import make_wheel

_REFUSED = Status(503)
DOCS = Path(__file__).parents[3] / "docs" / "how-to"


def block(page: str, contains: str) -> str:
    """The block of a page that is for nginx and has some words in it."""
    [found] = [
        one for one in re.findall(r"```nginx\n(.*?)```", (DOCS / page).read_text(), re.DOTALL) if contains in one
    ]
    return str(found)


@contextmanager
def nginx(user: User, text: str) -> Iterator[None]:
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("nginx isn't installed")
    own = "daemon off; worker_processes 1; pid pid; error_log error; events {} "
    own += "user root; " if os.geteuid() == 0 else ""
    file = user.write("nginx.conf", f"{own} http {{ access_log off; {text} }}")
    process = subprocess.Popen([program, "-p", str(user.folder), "-c", str(file)], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz"):
            return True
    except URLError:
        return False


def installed(url: str, project: str, folder: Path) -> set[str]:
    """What pip and uv both install from there."""
    env = {"PATH": os.defpath, "HOME": str(folder), "PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1"}
    found = []
    for program in ([sys.executable, "-m", "pip", "--isolated"], [uv.find_uv_bin(), "pip"]):
        target = folder / os.urandom(4).hex()
        words = ["install", "-q", "--no-cache-dir", "--no-deps", "--index-url", url, "--target", str(target), project]
        subprocess.run([*program, *words], check=True, env=env)
        found.append({one.name for one in target.glob("*.dist-info")})
    assert found[0] == found[1]
    return found[0]


def private_project(user: User, project: str = "mine") -> Path:
    folder = user.folder / "private" / project
    folder.mkdir(parents=True)
    name, content = make_wheel(project, "1.0")
    (folder / name).write_bytes(content)
    return folder


def token(user: User, *words: str) -> str:
    return user.run("token", "create", *words, "--tokens", str(user.home / "tokens.json")).out.strip()


@pytest.mark.whole
def test_behind_nginx_tokens_are_asked_for_and_passed_on(user: User, index: Simulator, tmp_path: Path) -> None:
    private_project(user)
    text = token(user, "ci")
    port = free_port()
    words = ["--tokens", str(user.home / "tokens.json"), "--trusted-proxy", "127.0.0.1", "--private", "private"]
    with serving(user, *words) as running:
        location = block("serve.md", "proxy_buffering").replace("http://127.0.0.1:8080", running.url)
        with nginx(user, f"server {{ listen 127.0.0.1:{port}; {location} }}"):
            until(lambda: is_up(f"http://127.0.0.1:{port}"))
            front = Served(f"http://127.0.0.1:{port}", running.process)
            assert front.get("/simple/toy/").status == 401
            answer = front.get("/simple/toy/", Authorization=f"Bearer {text}", Accept=JSON)
            assert (answer.status, "private" in answer.headers["cache-control"]) == (200, True)
            url = f"http://__token__:{text}@127.0.0.1:{port}/simple/"
            assert installed(url, "mine", tmp_path) == {"mine-1.0.dist-info"}
            assert installed(url, "toy", tmp_path) == {"toy-2.0.dist-info"}


def test_clients_follow_to_the_nearest_server(user: User, index: Simulator, tmp_path: Path) -> None:
    port = free_port()
    with serving(user) as far, serving(user) as near:
        text = block("administer.md", "geo $nearest").replace("http://127.0.0.1:8080", far.url)
        text = text.replace("10.2.0.0/16 https://index.shenzhen.example", f"127.0.0.0/8 {near.url}")
        with nginx(user, text.replace("listen 80", f"listen 127.0.0.1:{port}")):
            until(lambda: is_up(f"http://127.0.0.1:{port}"))
            assert installed(f"http://127.0.0.1:{port}/as-of/2021-03-01/simple/", "toy", tmp_path) == {
                "toy-1.1.dist-info"
            }
        counted = 'tf_tester_http_requests_total{kind="files",status="200"}'
        assert counted in near.get("/metrics").body.decode()
        assert counted not in far.get("/metrics").body.decode()


@pytest.mark.whole
def test_a_second_machine_has_what_the_first_has_and_goes_on_without_it(
    user: User, index: Simulator, tmp_path: Path
) -> None:
    private_project(user)
    text = token(user, "second")
    words = ["--tokens", str(user.home / "tokens.json"), "--private", "private"]
    store = ["--store", str(tmp_path / "second")]
    with serving(user, *words) as first:
        address = f"{first.url.replace('://', f'://__token__:{text}@')}/simple"
        with serving(user, "--index-url", address, *store) as second:
            assert installed(f"{second.url}/simple/", "mine", tmp_path) == {"mine-1.0.dist-info"}
            assert installed(f"{second.url}/as-of/2021-03-01/simple/", "toy", tmp_path) == {"toy-1.1.dist-info"}
    with serving(user, "--index-url", address, *store) as second:
        assert installed(f"{second.url}/simple/", "mine", tmp_path) == {"mine-1.0.dist-info"}


def test_a_private_folder_that_was_copied_is_the_same(user: User, index: Simulator, tmp_path: Path) -> None:
    """Also where the copy has lost the times."""
    private_project(user)
    with serving(user, "--private", "private") as running:
        assert running.get("/private/simple/mine/").status == 200
    assert user.run("private", "yank", "mine", "1.0", "--private", "private").code == 0
    with serving(user, "--private", "private") as running:
        before = json.loads(running.get("/simple/mine/", Accept=JSON).body)
    shutil.copytree(user.folder / "private", user.folder / "restored", copy_function=shutil.copyfile)
    with serving(user, "--private", "restored") as running:
        assert json.loads(running.get("/simple/mine/", Accept=JSON).body) == before
    assert before["files"][0]["yanked"]


def test_alerts_ask_for_what_is_measured(user: User, index: Simulator) -> None:
    named = set(re.findall(r"\btf_tester_\w+", (DOCS / "administer.md").read_text()))
    with serving(user) as running:
        running.get(running.file("toy", "toy-1.0-py3-none-any.whl"))
        index.fault("gear-1.0-py3-none-any.whl", _REFUSED)
        running.get(running.file("gear", "gear-1.0-py3-none-any.whl"))
        measured = set(re.findall(r"^(tf_tester_\w+)", running.get("/metrics").body.decode(), re.MULTILINE))
    assert len(named) > 5
    assert named <= measured
