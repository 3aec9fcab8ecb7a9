"""`tf-tester serve` from the outside: real sockets, real clients, an upstream that goes wrong."""

import gzip
import hashlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import psutil
import pytest
import trustme
import uv

from tests.forking import Forked, Process
from tests.integration.conftest import User
from tests.simulator import After, Cut, Fault, Lie, Silent, Simulator, Slow, Stall, Status
from tests.waiting import until
from tests.wheels import make_wheel

JSON = "application/vnd.pypi.simple.v1+json"
BIG = "big-1.0-py3-none-any.whl"
CONTENT = random.Random(7).randbytes(3_000_000)


@dataclass(frozen=True)
class Got:
    status: int
    headers: Mapping[str, str]
    body: bytes
    reason: str = ""
    cut: bool = False
    """Whether the connection ended before the body did."""


@dataclass(frozen=True)
class Served:
    """A server that runs."""

    url: str
    process: Process

    def get(self, path: str, *, method: str = "GET", **headers: str) -> Got:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=named)
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            try:
                return Got(response.status, told, response.read(), response.reason)
            except http.client.IncompleteRead as error:
                return Got(response.status, told, error.partial, cut=True)
            except ConnectionError:
                return Got(response.status, told, b"", cut=True)
        finally:
            connection.close()

    def file(self, project: str, filename: str) -> str:
        """The path of a file, from the project's page."""
        page = json.loads(self.get(f"/simple/{project}/", Accept=JSON).body)
        [url] = [file["url"] for file in page["files"] if file["filename"] == filename]
        return str(urlsplit(urljoin(f"{self.url}/simple/{project}/", url)).path)


@contextmanager
def serving(user: User, *words: str) -> Iterator[Served]:
    process = user.start("serve", "--port", "0", *words)
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.match(r"Serving (\S+)/simple/", line)
    if found is None:
        process.kill()
        raise AssertionError(line + process.communicate()[1])
    try:
        yield Served(found[1], process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
        assert "Traceback" not in rest, rest


@pytest.fixture
def big(index: Simulator) -> bytes:
    """A wheel of three megabytes on the index; its bytes."""
    name, content = make_wheel("big", "1.0", files={"big.py": "x = 1\n", "big.bin": CONTENT})
    index.add_wheel(name, content, upload_time="2022-01-01T00:00:00.123456Z")
    return content


@pytest.fixture
def served(user: User, index: Simulator, big: bytes) -> Iterator[Served]:
    with serving(user) as running:
        yield running


# -- pages


def test_pages_come_in_the_form_that_is_wanted(served: Served) -> None:
    page = served.get("/simple/toy/", Accept=JSON)
    assert page.headers["content-type"] == JSON
    files = json.loads(page.body)["files"]
    assert [file["filename"] for file in files] == [
        f"toy-{version}-py3-none-any.whl" for version in ("1.0", "1.1", "2.0")
    ]
    html = served.get("/simple/toy/", Accept="text/html")
    assert html.headers["content-type"] == "text/html; charset=utf-8"
    assert b"data-core-metadata" in html.body or b"toy-1.0-py3-none-any.whl</a>" in html.body
    assert served.get("/simple/toy/").headers["content-type"].startswith("text/html")
    assert served.get("/simple/toy/?format=application/vnd.pypi.simple.latest%2Bjson").headers["content-type"] == JSON
    refused = served.get("/simple/toy/", Accept="image/png")
    assert refused.status == 406
    assert page.headers["vary"] == "Accept, Accept-Encoding"


def test_what_the_upstream_says_of_a_file_is_passed_on(served: Served, index: Simulator) -> None:
    [file] = json.loads(served.get("/simple/big/", Accept=JSON).body)["files"]
    assert file["upload-time"] == "2022-01-01T00:00:00.123456Z"
    assert file["size"] == index.artifact(BIG).size
    assert file["hashes"]["sha256"] == index.artifact(BIG).sha256


def test_a_page_is_compressed_and_not_sent_twice(served: Served) -> None:
    plain = served.get("/simple/toy/", Accept=JSON)
    packed = served.get("/simple/toy/", Accept=JSON, Accept_Encoding="gzip")
    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["etag"] != plain.headers["etag"]
    for answer, encoding in ((plain, "identity"), (packed, "gzip")):
        again = served.get("/simple/toy/", Accept=JSON, Accept_Encoding=encoding, If_None_Match=answer.headers["etag"])
        assert (again.status, again.body) == (304, b"")
        assert again.headers["etag"] == answer.headers["etag"]
    head = served.get("/simple/toy/", method="HEAD", Accept=JSON)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(plain.body))


def test_names_lead_to_their_canonical_form(served: Served) -> None:
    moved = served.get("/simple/TOY")
    assert (moved.status, moved.headers["location"]) == (301, "toy/")
    moved = served.get("/simple/To_y/")
    assert (moved.status, moved.headers["location"]) == (301, "../to-y/")
    assert served.get("/simple/toy").status == 301
    assert served.get("/").headers["location"] == "simple/"
    served.get("/simple/toy/")
    assert {"name": "toy"} in json.loads(served.get("/simple/", Accept=JSON).body)["projects"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/simple/absent/", 404),
        ("/nothing", 404),
        ("/files/toy/../../../etc/passwd", 404),
        ("/files/toy/%2e%2e%2f%2e%2e/passwd", 404),
        ("/files/toy/" + "0" * 64 + "/toy-1.0-py3-none-any.whl", 404),
        ("/simple/" + "a" * 300 + "/", 404),
        ("/simple/%00/", 404),
        ("/simple/a%2Fb/", 404),
        ("/simple/A%0aSet-Cookie:%20a=b", 404),
        ("/simple/http:%2F%2F2130706433:8000", 404),
        ("/simple/%2F%2Flocalhost", 404),
        ("/simple/%5C%5Clocalhost", 404),
        ("/simple/A%3Fb", 404),
        ("/simple/%C3%A9/", 404),
        ("/healthz", 200),
    ],
)
def test_only_what_is_known_is_there(served: Served, path: str, status: int) -> None:
    assert served.get(path).status == status


def test_nothing_can_be_written(served: Served) -> None:
    answer = served.get("/simple/toy/", method="POST")
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD"


# -- files


def test_parts_of_files_as_http_has_them(served: Served, big: bytes) -> None:
    path = served.file("big", BIG)
    whole = served.get(path)
    assert whole.body == big
    assert whole.headers["etag"] == f'"{hashlib.sha256(big).hexdigest()}"'
    assert "immutable" in whole.headers["cache-control"]
    part = served.get(path, Range="bytes=100-199")
    assert (part.status, part.body) == (206, big[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(big)}"
    assert served.get(path, Range="bytes=-50").body == big[-50:]
    assert served.get(path, Range="bytes=1-2,4-5").status == 200
    assert served.get(path, Range=f"bytes={len(big)}-").status == 416
    assert served.get(path, Range="bytes=0-9", If_Range='"other"').status == 200
    assert served.get(path, If_None_Match=whole.headers["etag"]).status == 304
    head = served.get(path, method="HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(big)))


def test_whoever_only_looks_costs_nothing(served: Served, index: Simulator, big: bytes) -> None:
    path = served.file("big", BIG)
    index.forget_counts()
    head = served.get(path, method="HEAD")
    assert (head.status, head.headers["content-length"]) == (200, str(len(big)))
    assert index.requests[BIG] == 0


def test_eight_cold_clients_cost_one_fetch(served: Served, index: Simulator, big: bytes) -> None:
    path = served.file("big", BIG)
    index.fault(BIG, Slow(3_000_000, piece=65_536))
    index.forget_counts()
    with ThreadPoolExecutor(8) as pool:
        bodies = list(pool.map(lambda _: served.get(path).body, range(8)))
    assert all(body == big for body in bodies)
    assert index.bytes_sent[BIG] == len(big)


def test_bytes_are_handed_on_while_they_come(served: Served, index: Simulator, big: bytes) -> None:
    path = served.file("big", BIG)
    index.fault(BIG, Stall(2_000_000), times=1)
    parts = urlsplit(served.url)
    # Less than the half minute after which the server gives up an upstream that sends nothing.
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    connection.request("GET", path)
    response = connection.getresponse()
    assert response.headers["Content-Length"] == str(len(big))
    assert response.read(2_000_000) == big[:2_000_000], "although the upstream has stopped in the middle"
    connection.close()
    until(lambda: b"tf_tester_http_requests_open 1.0\n" in served.get("/metrics").body)
    assert index.requests[BIG] == 1, "who has gone is noticed before the upstream is given up"


def test_nobody_gets_all_of_a_wrong_file(served: Served, index: Simulator, big: bytes) -> None:
    path = served.file("big", BIG)
    index.fault(BIG, Lie())
    for _ in range(2):
        answer = served.get(path)
        assert answer.status == 502 or answer.cut, "an error, or a body without its end"
        assert len(answer.body) < len(big)
    index.heal()
    # Whoever comes while the fetch before still tries its sources shares its failure; nothing of it is kept.
    until(lambda: served.get(path).body == big)


def test_nobody_gets_all_of_a_part_that_is_wrong(served: Served, index: Simulator, big: bytes) -> None:
    """A part is there long before the whole, by which alone it can be told whether it is right."""
    path = served.file("big", BIG)
    index.fault(BIG, Lie(100))
    index.fault(BIG, Slow(3_000_000, piece=65_536))
    answer = served.get(path, Range="bytes=0-199999")
    assert answer.status == 502 or answer.cut, "an error, or a body without its end"


def test_what_is_here_is_served_while_the_upstream_is_gone(served: Served, index: Simulator, big: bytes) -> None:
    path = served.file("big", BIG)
    assert served.get(path).body == big
    for name in ("big", BIG, "toy"):
        index.fault(name, Silent())
    assert served.get(path).body == big
    assert served.get("/simple/big/", Accept=JSON).status == 200
    answer = served.get("/simple/toy/", Accept=JSON)
    assert answer.status == 502
    assert "retry-after" in answer.headers


@pytest.mark.parametrize(("fault", "status"), [(Status(403), 404), (Status(500), 502), (Lie(at=7), 502)])
def test_an_upstream_that_refuses_is_no_crash_and_what_lasts_is_told_so(
    served: Served, index: Simulator, fault: Fault, status: int
) -> None:
    """Clients ask six times after a 5xx; and pip shows the status line, not the body."""
    name = "toy-1.0-py3-none-any.whl"
    path = served.file("toy", name)
    index.fault(name, fault)
    answer = served.get(path)
    assert (answer.status, answer.reason.startswith(f"{name} can't be had: authority ")) == (status, True)
    assert served.get("/healthz").status == 200


def test_a_client_that_asks_again_in_vain_costs_nobody_anything(served: Served, index: Simulator) -> None:
    name = "toy-1.0-py3-none-any.whl"
    path = served.file("toy", name)
    index.fault(name, Status(404))
    index.forget_counts()
    with ThreadPoolExecutor(8) as pool:
        assert {answer.status for answer in pool.map(lambda _: served.get(path), range(16))} == {404}
    assert index.requests[name] == 1


# -- clients


@pytest.mark.whole
def test_pip_and_uv_install_from_it(served: Served, user: User, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = str(environment / "bin" / "python")
    env = {"PATH": os.defpath, "HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
    words = ["--no-cache-dir", "--disable-pip-version-check", "--index-url", f"{served.url}/simple/"]
    subprocess.run([python, "-m", "pip", "install", "-q", *words, "toy==2.0"], check=True, env=env)
    tool = uv.find_uv_bin()
    words = ["--no-config", "--no-cache", "--default-index", f"{served.url}/simple/"]
    words += ["--exclude-newer", "2021-06-01T00:00:00Z", "--reinstall"]
    subprocess.run([tool, "pip", "install", "-q", "--python", python, *words, "toy"], check=True, env=env)
    shown = subprocess.run(
        [python, "-c", "import toy; print(toy.__version__)"], check=True, capture_output=True, text=True
    )
    assert shown.stdout == "1.1\n"


def test_it_speaks_https(user: User, index: Simulator, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    server = authority.issue_cert("127.0.0.1")
    server.private_key_pem.write_to_path(str(key))
    certificate.write_bytes(b"".join(blob.bytes() for blob in server.cert_chain_pems))
    with serving(user, "--tls-cert", str(certificate), "--tls-key", str(key)) as running:
        assert running.url.startswith("https://127.0.0.1:")
        context = ssl.create_default_context()
        authority.configure_trust(context)
        connection = http.client.HTTPSConnection("127.0.0.1", urlsplit(running.url).port, context=context, timeout=30)
        connection.request("GET", "/simple/toy/", headers={"Accept": JSON})
        assert json.loads(connection.getresponse().read())["name"] == "toy"
        connection.close()


@pytest.mark.whole
def test_a_certificate_of_ones_own_lets_read_in_place_of_a_token(user: User, index: Simulator, tmp_path: Path) -> None:
    authority, clients, strangers = trustme.CA(), trustme.CA(), trustme.CA()
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    server = authority.issue_cert("127.0.0.1")
    server.private_key_pem.write_to_path(str(key))
    certificate.write_bytes(b"".join(blob.bytes() for blob in server.cert_chain_pems))
    for name, issuer in (("ca.pem", authority), ("clients.pem", clients)):
        issuer.cert_pem.write_to_path(str(tmp_path / name))
    for name, issuer in (("mine", clients), ("other", strangers)):
        issuer.issue_cert(f"{name}@example.org").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / name))
    words = ["--tls-cert", str(certificate), "--tls-key", str(key), "--client-ca", str(tmp_path / "clients.pem")]

    def status(path: str, mine: str = "", **headers: str) -> int:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        if mine:
            context.load_cert_chain(tmp_path / mine)
        connection = http.client.HTTPSConnection("127.0.0.1", urlsplit(running.url).port, context=context, timeout=30)
        try:
            connection.request("GET", path, headers=headers)
            return connection.getresponse().status
        except (ssl.SSLError, ConnectionError):
            return 0
        finally:
            connection.close()

    token = _token(user, "ci")
    with serving(user, *words, "--tokens", str(user.home / "tokens.json")) as running:
        assert [status("/simple/toy/", one) for one in ("", "mine", "other")] == [401, 200, 0]
        assert (status("/healthz"), status("/simple/toy/", Authorization=f"Bearer {token}")) == (200, 200)
        ways = ["--cert", str(tmp_path / "ca.pem"), "--client-cert", str(tmp_path / "mine")]
        target = ["--target", str(tmp_path / "target"), "--no-deps", "--isolated", "-q", "--no-cache-dir"]
        pip = [sys.executable, "-m", "pip", "install", "--index-url", f"{running.url}/simple/", *ways, *target, "toy"]
        subprocess.run(pip, check=True, env={"PATH": os.defpath, "HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull})
        uv_env = {"SSL_CERT_FILE": str(tmp_path / "ca.pem"), "SSL_CLIENT_CERT": str(tmp_path / "mine")}
        found = [uv.find_uv_bin(), "pip", "install", "--index-url", f"{running.url}/simple/", "--no-deps", "toy"]
        more = ["-q", "--no-cache", "--no-config", "--target", str(tmp_path / "target2")]
        subprocess.run([*found, *more], check=True, env={"PATH": os.defpath, "HOME": str(tmp_path)} | uv_env)
    assert "goes with --tls-cert" in user.run("serve", "--client-ca", str(tmp_path / "clients.pem")).err


# -- operation


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_it_is_told_to(user: User, index: Simulator, number: signal.Signals) -> None:
    with serving(user) as running:
        assert running.get("/healthz").status == 200
        running.process.send_signal(number)
        assert running.process.wait(timeout=60) == 0


def test_mistakes_are_one_sentence(user: User, index: Simulator, tmp_path: Path) -> None:
    run = user.run("serve", "--host", "0.0.0.0")
    assert run.code == 2
    assert "--public-read" in run.err
    (tmp_path / "c.pem").write_text("")
    run = user.run("serve", "--tls-cert", str(tmp_path / "c.pem"))
    assert run.code == 2
    with serving(user) as running:
        port = str(urlsplit(running.url).port)
        run = user.run("serve", "--port", port)
        assert run.code == 2
        assert f"port {port} can't be listened on" in run.err


def test_all_projects_of_the_upstream_are_listed_for_who_mirrors_this_in_turn(user: User, index: Simulator) -> None:
    index.lists = True
    user.write("policy.toml", 'block = ["gear"]\n')
    with serving(user, "--list-all") as running, serving(user, "--list-all", "--policy", "policy.toml") as blocking:
        told = json.loads(running.get("/simple/", Accept=JSON).body)["projects"]
        assert {one["name"] for one in told} >= {"toy", "gear"}
        [serial] = [one["_last-serial"] for one in told if one["name"] == "toy"]
        assert json.loads(running.get("/simple/toy/", Accept=JSON).body)["meta"]["_last-serial"] == serial
        assert b'<a href="gear/">' in running.get("/simple/", Accept="text/html").body
        old = json.loads(running.get("/as-of/7d/simple/", Accept=JSON).body)["projects"]
        assert {"name": "toy"} in old, "without a serial: a page changes when a file is old enough"
        assert b'<a href="gear/">' not in blocking.get("/simple/", Accept="text/html").body
    with Simulator() as bare, serving(user, "--index-url", bare.simple_url, "--list-all") as running:
        answer = running.get("/simple/", Accept=JSON)
        assert (answer.status, "110" in answer.headers["warning"]) == (200, True)


def test_what_was_fetched_is_there_after_a_restart_and_offline(user: User, index: Simulator, big: bytes) -> None:
    with serving(user) as running:
        path = running.file("big", BIG)
        assert running.get(path).body == big
    index.stop()
    with serving(user, "--offline") as running:
        assert running.get(path).body == big
        assert running.get("/simple/toy/").status == 502


def test_a_project_in_quarantine_is_not_handed_out_though_it_is_kept(user: User, index: Simulator, big: bytes) -> None:
    """PEP 792; neither while the upstream says so, nor while it says nothing any more."""
    with serving(user) as running:
        path = running.file("big", BIG)
        assert running.get(path).body == big
    index.add_project("big", status="quarantined")
    with sqlite3.connect(user.store / "ledger.sqlite") as ledger:
        ledger.execute("UPDATE page SET fetched = '2020-01-01T00:00:00+00:00'")
    ledger.close()
    for words in ((), ("--offline",)):
        with serving(user, *words) as running:
            page = json.loads(running.get("/simple/big/", Accept=JSON).body)
            assert (page["files"], page["project-status"]["status"]) == ([], "quarantined")
            answer = running.get(path)
            assert answer.status == 404
            assert b"in quarantine" in answer.body


@contextmanager
def serving_with(user: User, mounts: str, *words: str) -> Iterator[Served]:
    """A server that sees file systems that are mounted for it alone."""
    inside = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine gives no user namespaces, so nothing can be mounted")
    script = f"{mounts}\nexec {sys.executable} -m tf_tester serve --port 0 {' '.join(words)}"
    process = subprocess.Popen(
        [*inside, "sh", "-ec", script], cwd=user.folder, env=user.env, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        found = re.match(r"Serving (\S+)/simple/", process.stderr.readline())
        assert found is not None
        yield Served(found[1], process)
    finally:
        process.send_signal(signal.SIGINT)
        assert "Traceback" not in process.communicate(timeout=60)[1]


@contextmanager
def serving_from_a_small_disk(user: User, *words: str) -> Iterator[tuple[Served, Path]]:
    """A server whose store has a disk of a megabyte; the disk as we see it, too."""
    user.store.mkdir(exist_ok=True)
    with serving_with(user, f"mount -t tmpfs -o size=1m none {user.store}", *words) as running:
        yield running, Path(f"/proc/{running.process.pid}/root{user.store}")


def test_what_is_here_is_read_on_a_full_disk_and_what_is_not_is_handed_on(
    user: User, index: Simulator, big: bytes
) -> None:
    with serving_from_a_small_disk(user) as (running, disk):
        path, kept = running.file("big", BIG), running.file("toy", "toy-1.0-py3-none-any.whl")
        content = running.get(kept).body
        with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(512))
        for _ in range(2):
            assert running.get(path).body == big, "larger than the disk"
        assert index.requests["big"] == 1
        assert running.get(path, Range="bytes=5-9").status == 200, "all of it is verified, a part could not be"
        assert running.get(kept).body == content
        assert _versions(running, "/simple/gear/"), "a page that could not be kept"
        gear = running.file("gear", "gear-1.0-py3-none-any.whl")
        assert hashlib.sha256(running.get(gear).body).hexdigest() in gear
        index.fault(BIG, Lie(at=100_000))
        assert running.get(path).cut


# -- views


def _versions(served: Served, path: str, **headers: str) -> list[str]:
    answer = served.get(path, Accept=JSON, **headers)
    if answer.status != 200:
        return [str(answer.status)]
    return [file["filename"].split("-")[1] for file in json.loads(answer.body)["files"]]


def test_the_index_as_it_was(served: Served) -> None:
    assert _versions(served, "/as-of/2021-03-01/simple/toy/") == ["1.0", "1.1"]
    assert _versions(served, "/as-of/2021-02-28/simple/toy/") == ["1.0"]
    assert _versions(served, "/as-of/2019-01-01/simple/toy/") == ["404"]
    assert _versions(served, "/as-of/someday/simple/toy/") == ["404"]
    [url, *_] = [
        file["url"] for file in json.loads(served.get("/as-of/2021-03-01/simple/toy/", Accept=JSON).body)["files"]
    ]
    path = urlsplit(urljoin(f"{served.url}/as-of/2021-03-01/simple/toy/", url)).path
    assert path == served.file("toy", "toy-1.0-py3-none-any.whl"), "a file has one address, whatever the view"


@pytest.mark.whole
def test_plain_pip_installs_what_was_current_then(served: Served, tmp_path: Path) -> None:
    target = tmp_path / "target"
    words = ["--isolated", "--no-cache-dir", "--disable-pip-version-check", "--target", str(target)]
    index = f"{served.url}/as-of/2021-06-01/simple/"
    env = {"PATH": os.defpath, "HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", *words, "--index-url", index, "toy"], check=True, env=env
    )
    assert {one.name for one in target.glob("*.dist-info")} == {"toy-1.1.dist-info", "gear-2.0.dist-info"}


@pytest.fixture
def fresh(index: Simulator) -> str:
    """A version that has just come out; its file's name."""
    name, content = make_wheel("toy", "3.0")
    index.add_wheel(name, content, upload_time=datetime.now(UTC) - timedelta(days=1), metadata=True)
    return name


@pytest.mark.whole
def test_clients_install_nothing_that_is_younger_than_they_say(
    user: User, index: Simulator, fresh: str, tmp_path: Path
) -> None:
    env = {"PATH": os.defpath, "HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1"}
    user.write("policy.toml", 'no-min-age = ["toy==3.0"]\n')

    def installed(url: str) -> set[str]:
        found = set()
        for program in ([sys.executable, "-m", "pip", "--isolated"], [uv.find_uv_bin(), "pip"]):
            target = tmp_path / os.urandom(4).hex()
            words = ["install", "-q", "--no-cache-dir", "--no-deps", "--index-url", url, "--target", str(target), "toy"]
            subprocess.run([*program, *words], check=True, env=env)
            found |= {one.name for one in target.glob("*.dist-info")}
        return found

    with serving(user) as running:
        assert installed(f"{running.url}/as-of/7d/simple/") == {"toy-2.0.dist-info"}
        assert installed(f"{running.url}/as-of/12h/simple/") == {"toy-3.0.dist-info"}
    with serving(user, "--policy", "policy.toml") as running:
        assert installed(f"{running.url}/as-of/7d/simple/") == {"toy-3.0.dist-info"}, "this one was let through"


def test_the_policy_of_an_administrator_holds_at_every_address(user: User, index: Simulator, fresh: str) -> None:
    policy = user.write("policy.toml", 'min-age = "7d"\nblock = ["gear", "toy<1.1"]\n')
    with serving(user) as running:
        path = running.file("toy", fresh)
    with serving(user, "--policy", "policy.toml") as running:
        index.forget_counts()
        assert _versions(running, "/simple/toy/") == ["1.1", "2.0"]
        assert running.get(path).status == 404
        assert _versions(running, "/simple/gear/") == ["404"]
        assert index.requests["gear"] == 0, "nobody hears of it"
        policy.write_text('allow = ["toy"]\n')
        assert _versions(running, "/simple/toy/") == ["1.0", "1.1", "2.0", "3.0"], "read anew when it changes"
        assert _versions(running, "/simple/gear/") == ["404"]
        for wrong in ("allow = [", "", "# nothing\n"):
            policy.write_text(wrong)
            assert _versions(running, "/simple/gear/") == ["404"], "what can't be read, or was emptied, opens nothing"
        policy.unlink()
        assert _versions(running, "/simple/gear/") == ["404"]
        running.process.send_signal(signal.SIGINT)
        told = running.process.communicate(timeout=60)[1]
    assert told.count("What it said before counts.") == 4
    assert "The policy policy.toml says nothing: everything would be let through." in told
    policy.write_text("\n")
    run = user.run("serve", "--port", "0", "--policy", "policy.toml")
    assert (run.code, "The policy policy.toml says nothing" in run.err) == (2, True)


def test_only_what_a_lock_allows(user: User, index: Simulator, tmp_path: Path) -> None:
    locks = tmp_path / "locks"
    locks.mkdir()
    digest = index.artifact("toy-1.1-py3-none-any.whl").sha256
    (locks / "prod.txt").write_text(f"toy==1.1 --hash=sha256:{digest}\n")
    (locks / "none.txt").write_text("toy==1.1.0\ngear==2.*\n")
    (locks / "loose.txt").write_text("toy==1.1.0  # any file of it\n")
    with serving(user, "--locks", str(locks)) as running:
        assert _versions(running, "/only/prod.txt/simple/toy/") == ["1.1"]
        assert _versions(running, "/only/prod.txt/as-of/2020-06-01/simple/toy/") == ["404"]
        assert _versions(running, "/only/prod.txt/simple/gear/") == ["404"]
        assert _versions(running, "/only/absent.txt/simple/toy/") == ["404"]
        assert running.get("/only/absent.txt/simple/").status == 404
        assert running.get("/only/prod.txt/simple/").status == 200
        assert _versions(running, "/only/..%2Fprod.txt/simple/toy/") == ["404"]
        assert running.get("/only/none.txt/simple/toy/", Accept=JSON).status == 502
        assert _versions(running, "/only/loose.txt/simple/toy/") == ["1.1"]
        assert _versions(running, "/only/loose.txt/simple/gear/") == ["404"]
        (locks / "prod.txt").write_text(f"toy==1.1 --hash=sha256:{index.artifact('toy-2.0-py3-none-any.whl').sha256}\n")
        assert _versions(running, "/only/prod.txt/simple/toy/") == ["2.0"], "the lock is looked at anew"


def test_what_we_do_not_know_of_is_passed_on(user: User, index: Simulator) -> None:
    index.page_fields["toy"] = {"alternate-locations": ["https://other.example/toy/"], "x-of-the-future": {"a": [1]}}
    index.file_fields["toy-1.0-py3-none-any.whl"] = {"x-signed": "yes", "gpg-sig": False}
    index.add_project("toy", status="deprecated")
    with serving(user) as running:
        page = json.loads(running.get("/simple/toy/", Accept=JSON).body)
        assert page["alternate-locations"] == ["https://other.example/toy/"]
        assert page["x-of-the-future"] == {"a": [1]}
        assert page["project-status"]["status"] == "deprecated"
        first, second, _ = page["files"]
        assert (first["x-signed"], first["gpg-sig"]) == ("yes", False)
        assert "x-signed" not in second
        assert first["url"].startswith("../../files/toy/")


def test_files_that_nobody_could_check_are_left_out_and_that_is_said(user: User, index: Simulator) -> None:
    for name, hashes in (("partly", True), ("partly", False), ("never", False)):
        version = "1.0" if hashes else "2.0"
        index.add_wheel(*make_wheel(name, version, files={f"{name}.py": ""}), hashes=hashes)
    with serving(user) as running:
        assert _versions(running, "/simple/partly/") == ["1.0"]
        answer = running.get("/simple/never/")
        assert answer.status == 404
        assert answer.reason.startswith("the upstream gives no SHA-256 for 1 of 1 file of never")
        running.process.send_signal(signal.SIGINT)
        _, err = running.process.communicate(timeout=60)
    assert "no SHA-256 for 1 of 2 files of partly: these are left out" in err


def test_metadata_of_files_that_are_here_is_told(user: User, index: Simulator, big: bytes) -> None:
    """Also where the upstream has none; and never of a file that isn't here."""
    with serving(user) as running:
        assert running.get(running.file("big", BIG)).status == 200
    with serving(user) as running:
        [file] = json.loads(running.get("/simple/big/", Accept=JSON).body)["files"]
        metadata = running.get(f"{running.file('big', BIG)}.metadata")
        assert hashlib.sha256(metadata.body).hexdigest() == file["core-metadata"]["sha256"]
        assert metadata.body.startswith(b"Metadata-Version: 2.1\nName: big\n")
        for file in json.loads(running.get("/simple/toy/", Accept=JSON).body)["files"]:
            assert "core-metadata" not in file
            assert running.get(f"{running.file('toy', file['filename'])}.metadata").status == 404


def test_metadata_that_is_not_as_promised_is_promised_no_more(user: User, index: Simulator, tmp_path: Path) -> None:
    name, content = make_wheel("odd", "1.0")
    index.add_wheel(name, content, metadata=True)
    index.file_fields[name] = {"core-metadata": {"sha256": "ab" * 32}}
    target = tmp_path / "target"
    words = ["--isolated", "--no-cache-dir", "--disable-pip-version-check", "--target", str(target), "-q", "odd"]
    with serving(user) as running:
        path = running.file("odd", name)
        assert running.get(f"{path}.metadata").status == 404
        env = {"PATH": os.defpath, "HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
        pip = [sys.executable, "-m", "pip", "install", "--index-url", f"{running.url}/simple/", *words]
        subprocess.run(pip, check=True, env=env)
    assert (target / "odd-1.0.dist-info").is_dir()


def test_pages_come_compressed_by_zstd_too(served: Served) -> None:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    plain = served.get("/simple/toy/", Accept=JSON)
    packed = served.get("/simple/toy/", Accept=JSON, Accept_Encoding="gzip, zstd")
    assert packed.headers["content-encoding"] == "zstd"
    assert zstd.decompress(packed.body) == plain.body


# -- private projects


def _token(user: User, *words: str) -> str:
    run = user.run("token", "create", *words, "--tokens", str(user.home / "tokens.json"))
    assert run.code == 0, run.err
    return run.out.strip()


def _form(fields: Mapping[str, str], filename: str, content: bytes) -> tuple[bytes, str]:
    parts = [
        f'--frontier\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    head = f'--frontier\r\nContent-Disposition: form-data; name="content"; filename="{filename}"\r\n\r\n'.encode()
    return b"".join([*parts, head, content, b"\r\n--frontier--\r\n"]), "multipart/form-data; boundary=frontier"


def _upload(served: Served, token: str, filename: str, content: bytes, **fields: str) -> tuple[int, str]:
    told = {":action": "file_upload", "name": filename.split("-")[0], "version": filename.split("-")[1]} | fields
    body, kind = _form(told, filename, content)
    return _posted(served, token, body, kind)


def _posted(
    served: Served, token: str, body: bytes, kind: str = "multipart/form-data; boundary=b", **more: str
) -> tuple[int, str]:
    parts = urlsplit(served.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    headers = {"Content-Type": kind} | more
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection.request("POST", "/private/", body, headers)
    answer = connection.getresponse()
    try:
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_uploads_are_kept_and_come_first(user: User, index: Simulator) -> None:
    token = _token(user, "release", "--upload")
    options = ("--private", "private", "--uploads", "--public-read", "--tokens", str(user.home / "tokens.json"))
    name, content = make_wheel("toy", "9.0", files={"toy.py": "x = 1\n"})
    with serving(user, *options) as running:
        assert _versions(running, "/simple/toy/") == ["1.0", "1.1", "2.0"]
        assert _upload(running, token, name, content) == (200, "Uploaded.\n")
        index.forget_counts()
        assert _versions(running, "/simple/toy/") == ["9.0"], "whatever the public one has"
        assert _versions(running, "/private/simple/toy/") == ["9.0"]
        assert running.get("/simple/toy/").headers["cache-control"] == "no-cache", "the next upload is seen at once"
        assert _versions(running, "/private/simple/gear/") == ["404"]
        assert index.requests["toy"] == index.requests["gear"] == 0, "and nobody hears of either"
        path = running.file("toy", name)
        assert running.get(path).body == content
        assert running.get(path, Range="bytes=-10").body == content[-10:]
        assert b"Name: toy" in running.get(f"{path}.metadata").body
        assert json.loads(running.get("/private/simple/", Accept=JSON).body)["projects"] == [{"name": "toy"}]
        assert _upload(running, token, name, content)[0] == 200, "the same again"
        other = make_wheel("toy", "9.0", files={"toy.py": "x = 2\n"})[1]
        status, told = _upload(running, token, name, other)
        assert (status, "already exists" in told) == (409, True)
        assert running.get(path).body == content
    with serving(user, *options) as running:
        assert _versions(running, "/simple/toy/") == ["9.0"], "also after a restart"


def test_uploads_need_the_right_token_and_a_sound_file(user: User, index: Simulator, tmp_path: Path) -> None:
    mine = _token(user, "mine", "--upload", "--project", "toy")
    reader = _token(user, "reader")
    tokens = ("--public-read", "--tokens", str(user.home / "tokens.json"))
    folder = tmp_path / "private"
    name, content = make_wheel("toy", "9.0", files={"toy.py": "x = 1\n"})
    other, others = make_wheel("gear", "9.0", files={"gear.py": "x = 1\n"})
    with serving(user, "--private", str(folder), "--uploads", "--largest-upload", "1MB", *tokens) as running:
        assert _upload(running, "", name, content)[0] == 401
        assert _upload(running, "tft-00000000-" + "0" * 64, name, content)[0] == 401
        assert _upload(running, reader, name, content)[0] == 403
        assert _upload(running, mine, other, others)[0] == 403
        assert _upload(running, mine, other, others, name="toy")[0] == 400
        assert _upload(running, mine, "toy-9.0.exe", content)[0] == 400
        assert _upload(running, mine, "../toy-9.0-py3-none-any.whl", content, name="toy")[0] == 400
        assert _upload(running, mine, name, content[:-40])[0] == 400
        assert _upload(running, mine, name, content, sha256_digest="0" * 64)[0] == 400
        assert _upload(running, mine, name, content, **{":action": "submit"})[0] == 400
        assert _upload(running, mine, name, bytes(2_000_000))[0] == 413
        assert _versions(running, "/private/simple/toy/") == ["404"]
        assert not list((folder / ".incoming").iterdir()), "nothing of all that is left"
        revoked = user.run("token", "revoke", "mine", *tokens[1:])
        assert revoked.code == 0
        assert _upload(running, mine, name, content)[0] == 401, "from now on"
    with serving(user, "--private", str(folder), *tokens) as running:
        assert _upload(running, _token(user, "late", "--upload"), name, content)[0] == 403, "they are off"
    assert b"tft-" not in (user.home / "tokens.json").read_bytes()
    assert (user.home / "tokens.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "body",
    [
        b'--b\r\nContent-Disposition: form-data; name="\x02"\r\n\r\nx\r\n--b--\r\n',
        b"--b\r\nno colon\r\n\r\nx\r\n--b--\r\n",
        b"--b\r\nX: " + b"y" * 20_000 + b"\r\n\r\nx\r\n--b--\r\n",
        b"--b\r\n" + b"X: y\r\n" * 5000 + b"\r\nx\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\n' + b"x" * 50 + b"\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="x"\r\nContent-Transfer-Encoding: odd\r\n\r\nx\r\n--b--\r\n',
    ],
)
def test_what_is_no_form_is_the_client_s_mistake(user: User, index: Simulator, body: bytes) -> None:
    token = _token(user, "release", "--upload")
    with serving(user, "--private", "private", "--uploads", "--tokens", str(user.home / "tokens.json")) as running:
        answer = _posted(running, token, body)
        assert answer[0] == 400
        assert _posted(running, token, body, **{"Content-Encoding": "gzip"})[0] in (400, 415)
        assert running.get("/healthz").status == 200


def test_a_client_that_goes_away_is_nobody_s_mistake(user: User, index: Simulator) -> None:
    token = _token(user, "release", "--upload")
    more = ("--log", "json", "--tokens", str(user.home / "tokens.json"))
    (user.folder / "private").mkdir()
    with serving(user, "--private", "private", "--uploads", *more) as running:
        head = (
            f"POST /private/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 1000000\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
            'Content-Disposition: form-data; name="content"; filename="x.whl"\r\n\r\n'
        )
        with socket.create_connection(("127.0.0.1", urlsplit(running.url).port or 0), timeout=60) as connection:
            connection.sendall(head.encode() + b"x" * 300_000)
        assert running.process.stderr is not None
        assert json.loads(running.process.stderr.readline())["status"] == 499
        assert not list((user.folder / "private" / ".incoming").glob("*"))


def test_another_address_needs_a_token_to_read(user: User, index: Simulator) -> None:
    """And what is answered then is for that client alone: a shared cache would hand it out without a token."""
    token = _token(user, "ci")
    name, content = make_wheel("told", "1.0", files={"told.py": "x = 1\n"})
    wheel = index.add_wheel(name, content, metadata=True)
    with serving(user, "--host", "0.0.0.0", "--tokens", str(user.home / "tokens.json")) as running:
        running = Served(running.url.replace("0.0.0.0", "127.0.0.1"), running.process)
        refused = running.get("/simple/toy/")
        assert (refused.status, refused.headers["www-authenticate"]) == (401, 'Basic realm="tf-tester"')
        assert running.get("/status/").status == 401
        assert running.get("/healthz").status == 200
        file = f"/files/told/{wheel.sha256}/{name}"
        for path in ("/simple/told/", file, f"{file}.metadata"):
            answer = running.get(path, Authorization=f"Bearer {token}")
            assert answer.status == 200
            assert answer.headers["cache-control"].startswith("private"), path


def test_where_tokens_are_named_everybody_needs_one_on_loopback_too(user: User, index: Simulator) -> None:
    """Whoever stands in front of it asks from there."""
    tokens = ("--tokens", str(user.home / "tokens.json"))
    refused = user.run("serve", "--port", "0", *tokens)
    assert refused.code == 2
    assert "tokens.json has no token: nobody could read this index." in refused.err
    reads, scrapes = _token(user, "ci"), _token(user, "prometheus", "--metrics")
    everything = ("/", "/simple/", "/simple/toy/", "/private/simple/", "/status/", "/status/now.json", "/metrics", "/x")
    with serving(user, "--private", "private", *tokens) as running:
        assert {running.get(path).status for path in everything} == {401}
        assert running.get("/healthz").status == 200
        assert 401 not in {running.get(path, Authorization=f"Bearer {reads}").status for path in everything}
        allowed = [path for path in everything if running.get(path, Authorization=f"Bearer {scrapes}").status == 200]
        assert allowed == ["/status/", "/status/now.json", "/metrics"]
    with serving(user, "--public-read", *tokens) as running:
        assert running.get("/simple/toy/").status == 200


def test_who_reads_which_private_project(user: User, index: Simulator) -> None:
    for project in ("one", "two-a", "two-b"):
        folder = user.folder / "private" / project
        folder.mkdir(parents=True)
        name, content = make_wheel(project.replace("-", "_"), "1.0")
        (folder / name).write_bytes(content)
    tokens = ("--tokens", str(user.home / "tokens.json"))
    holders = {
        "": ["one", "two-a", "two-b"],
        _token(user, "all"): ["one", "two-a", "two-b"],
        _token(user, "team", "--reads", "Two.*"): ["two-a", "two-b"],
        _token(user, "none", "--no-private"): [],
        _token(user, "sender", "--upload", "--project", "one", "--no-private"): ["one"],
    }
    with serving(user, "--private", "private") as running:
        paths = [running.file(project, f"{project.replace('-', '_')}-1.0-py3-none-any.whl") for project in holders[""]]
    holders[""] = []
    for words in (("--public-read", "--private-tokens"), ()):
        with serving(user, "--private", "private", *tokens, *words) as running:
            for holder, sees in holders.items():
                told = {"Authorization": f"Bearer {holder}"} if holder else {}
                assert _versions(running, "/simple/toy/", **told) == (
                    ["1.0", "1.1", "2.0"] if holder or words else ["401"]
                )
                no = "404" if holder else "401"
                for path in ("/simple/", "/private/simple/", "/as-of/2030-01-01/simple/"):
                    for project in ("one", "two-a", "two-b"):
                        wanted = ["1.0"] if project in sees else [no]
                        for _ in range(2):
                            assert _versions(running, f"{path}{project}/", **told) == wanted, (
                                words,
                                path,
                                project,
                                sees,
                            )
                got = [running.get(path, **told) for path in paths]
                assert [one.status for one in got] == [
                    200 if project in sees else int(no) for project in ("one", "two-a", "two-b")
                ]
                assert all("private" in one.headers["cache-control"] for one in got if one.status == 200)
                if holder or words:
                    listed = json.loads(running.get("/simple/", Accept=JSON, **told).body)["projects"]
                    assert {one["name"] for one in listed} - {"toy"} == set(sees)


def test_tokens_tell_when_they_were_used_and_go_at_once(user: User, index: Simulator) -> None:
    text = _token(user, "ci", "--lasts", "90d")
    file = ("--tokens", str(user.home / "tokens.json"))
    assert "already" in user.run("token", "create", "ci", *file).err
    assert re.search(r"until 20\d\d-\d\d-\d\d, never used", user.run("token", "list", *file).out)
    with serving(user, "--workers", "3", *file) as running, ThreadPoolExecutor(8) as pool:

        def statuses() -> set[int]:
            asked = [text] * 24
            return set(pool.map(lambda one: running.get("/simple/toy/", Authorization=f"Bearer {one}").status, asked))

        assert statuses() == {200}
        assert re.search(r"last used 20\d\d", user.run("token", "list", *file).out)
        assert user.run("token", "revoke", "ci", *file).code == 0
        assert statuses() == {401}
    again = _token(user, "ci")
    assert again != text


def test_a_proxy_that_is_trusted_says_who_asks(user: User, index: Simulator) -> None:
    told = {"X_Forwarded_For": "6.6.6.6, 203.0.113.7"}
    for proxy, expected in (("127.0.0.0/8", "203.0.113.7"), ("192.0.2.1", "127.0.0.1")):
        with serving(user, "--log", "json", "--trusted-proxy", proxy, "--rate", "1") as running:
            running.get("/simple/toy/", **told)
            assert running.process.stderr is not None
            assert json.loads(running.process.stderr.readline())["client"] == expected
            other = {"X_Forwarded_For": "203.0.113.8"}
            statuses = [running.get("/simple/toy/", **(told if number % 2 else other)).status for number in range(16)]
            assert (429 in statuses) == (expected == "127.0.0.1"), "each client has its own rate"
    assert "is no address" in user.run("serve", "--trusted-proxy", "nginx").err


# -- politeness and safety


def test_files_come_only_from_hosts_that_are_allowed(user: User, index: Simulator) -> None:
    artifact = index.artifact("toy-1.0-py3-none-any.whl")
    elsewhere = index.url.replace("127.0.0.1", "localhost")
    index.file_fields[artifact.filename] = {"url": f"{elsewhere}/files/{artifact.filename}"}
    with serving(user) as running:
        index.forget_counts()
        answer = running.get(running.file("toy", artifact.filename))
        assert answer.status == 404
        assert "may not be asked (--allow-host localhost)" in answer.reason
        assert index.requests[artifact.filename] == 0, "nobody was asked"
    for allowed in ("localhost", "LOCALHOST."):
        with serving(user, "--allow-host", allowed) as running:
            assert running.get(running.file("toy", artifact.filename)).status == 200


def test_files_are_asked_for_elsewhere(user: User, index: Simulator, big: bytes) -> None:
    with serving(user, "--redirect") as running:
        path = running.file("big", BIG)
        index.forget_counts()
        answer = running.get(path)
        assert (answer.status, answer.headers["location"]) == (302, index.artifact(BIG).url)
        assert index.requests[BIG] == 0


def test_the_mirror_of_ones_own_country_comes_first(user: User, index: Simulator, big: bytes) -> None:
    with Simulator() as one, Simulator() as other:
        for mirror in (one, other):
            mirror.add_wheel(BIG, big)
        told = [("near", "CN", one.simple_url), ("far", "DE", other.simple_url)]
        lines = [f'[[mirror]]\nname = "{name}"\nurl = "{url}"\nregion = "{region}"' for name, region, url in told]
        file = user.home / ".config" / "tf-tester" / "mirrors.toml"
        file.parent.mkdir(parents=True)
        file.write_text("\n".join(lines))
        words = ["--mirror", "near", "--mirror", "far", "--redirect", "--region-header", "X-Country"]
        with serving(user, *words) as running:
            path = running.file("big", BIG)
            for country, mirror in (("CN", one), ("de", other), ("CN", one)):
                answer = running.get(path, X_Country=country)
                assert answer.headers["location"] == mirror.artifact(BIG).url


def test_who_asks_too_often_waits(user: User, index: Simulator) -> None:
    with serving(user, "--rate", "1") as running:
        statuses = [running.get("/simple/toy/").status for _ in range(20)]
        assert set(statuses) == {200, 429}
        assert running.get("/healthz").status == 200


# -- operation


def test_it_says_how_it_goes(user: User, index: Simulator, big: bytes) -> None:
    with serving(user, "--log", "json") as running:
        running.get(running.file("big", BIG))
        text = running.get("/metrics").body.decode()
        assert 'tf_tester_http_requests_total{kind="simple",status="200"} 1.0' in text
        assert 'tf_tester_upstream_files_total{source="authority"} 1.0' in text
        now = json.loads(running.get("/status/now.json").body)
        assert now["store"]["files"] == 1
        assert [one["file"] for one in now["recent"]] == [BIG]
        assert b"now.json" in running.get("/status/").body
        running.process.send_signal(signal.SIGINT)
        _, err = running.process.communicate(timeout=60)
        lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
        assert lines[0]["path"] == "/simple/big/"
        assert lines[1]["sent"] == len(big)


def test_several_workers_share_a_port_and_the_store(user: User, index: Simulator, big: bytes) -> None:
    with serving(user, "--workers", "2") as running:
        path = running.file("big", BIG)
        index.fault(BIG, Slow(6_000_000, piece=65_536))
        index.forget_counts()
        with ThreadPoolExecutor(8) as pool:
            bodies = list(pool.map(lambda _: running.get(path).body, range(8)))
        assert all(body == big for body in bodies)
        assert index.bytes_sent[BIG] == len(big), "one fetch, whichever worker was asked"
        for _ in range(1000):  # who has the last byte may be faster than who counts it
            if 'kind="files",status="200"} 8.0' in running.get("/metrics").body.decode():
                break
        else:
            raise AssertionError("they are not counted together")
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(timeout=60) == 0


def test_several_workers_limit_a_client_and_tell_of_their_work_together(
    user: User, index: Simulator, big: bytes
) -> None:
    with serving(user, "--workers", "3") as running, ThreadPoolExecutor(8) as pool:
        running.get(running.file("big", BIG))
        told = pool.map(lambda _: json.loads(running.get("/status/now.json").body), range(24))
        assert all(BIG in [one["file"] for one in now["recent"]] for now in told)
    with serving(user, "--workers", "3", "--rate", "0.0001") as running, ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(lambda _: running.get("/status/").status, range(24)))
        assert statuses == {200: 1, 429: 23}


def test_an_upload_is_seen_by_every_worker_at_once(user: User, index: Simulator) -> None:
    """And the public project of that name by none, from then on."""
    token = _token(user, "release", "--upload")
    more = ("--private", "private", "--uploads", "--public-read", "--tokens", str(user.home / "tokens.json"))
    with serving(user, "--workers", "3", *more) as running, ThreadPoolExecutor(8) as pool:
        asked = ["/simple/toy/"] * 48
        public = set(map(tuple, pool.map(partial(_versions, running), asked)))
        assert public == {("1.0", "1.1", "2.0")}, "every worker knows the public one"
        expected: tuple[str, ...] = ()
        for version in ("0.1", "0.2"):
            assert _upload(running, token, *make_wheel("toy", version, files={"toy.py": "x = 1\n"}))[0] == 200
            expected += (version,)
            assert set(map(tuple, pool.map(partial(_versions, running), asked))) == {expected}


def test_a_name_with_a_folder_is_private_whatever_is_in_it(user: User, index: Simulator) -> None:
    """Also while a wheel is being copied there: nobody gets the public project of that name meanwhile."""
    folder = user.folder / "private" / "toy"
    folder.mkdir(parents=True)
    (folder / "toy-9.0-py3-none-any.whl").write_bytes(b"half a wheel")
    with serving(user, "--private", "private") as running:
        for path in ("/simple/toy/", "/as-of/2023-01-01/simple/toy/"):
            assert not set(_versions(running, path)) & {"1.0", "1.1", "2.0"}
        assert _versions(running, "/private/simple/toy/") == ["404"]
        assert index.requests["toy"] == 0
        (folder / "toy-9.0-py3-none-any.whl").unlink()
        folder.rmdir()
        assert _versions(running, "/simple/toy/") == ["1.0", "1.1", "2.0"]


def test_it_is_told_that_a_private_folder_was_made(user: User, index: Simulator) -> None:
    for told in (True, False):
        with serving(user, "--private", "private") as running:
            running.process.send_signal(signal.SIGINT)
            assert ("private was not there" in running.process.communicate(timeout=60)[1]) is told


def _private_toy(user: User, *more: str) -> tuple[str, ...]:
    """The options of a server to whose private folder a toy was uploaded."""
    options = ("--private", "private", "--uploads", "--public-read", "--tokens", str(user.home / "tokens.json"), *more)
    with serving(user, *options) as running:
        token = _token(user, "release", "--upload")
        assert _upload(running, token, *make_wheel("toy", "9.0", files={"toy.py": "x = 1\n"}))[0] == 200
    return options


@pytest.mark.parametrize("loss", ["folder", "content", "file", "project", "page"])
def test_a_name_that_was_uploaded_stays_private_when_its_project_is_lost(
    user: User, index: Simulator, loss: str
) -> None:
    options = _private_toy(user)
    folder, away = user.folder / "private", user.folder / "away"
    token = _token(user, "other", "--upload")
    lost = folder / "toy" if loss == "project" else folder / "toy" / "page.json" if loss == "page" else folder
    with serving(user, *options) as running:
        assert _versions(running, "/simple/toy/") == ["9.0"]
        path = running.file("toy", "toy-9.0-py3-none-any.whl")
        index.forget_counts()
        lost.rename(away)
        if loss == "content":
            folder.mkdir()
        elif loss == "file":
            folder.write_text("")
        for address in ("/simple/toy/", "/private/simple/toy/", path, "/as-of/2030-01-01/simple/toy/"):
            assert running.get(address).status == 502, address
        assert b"restore the project from a backup" in running.get("/simple/toy/").body
        assert running.get("/healthz").status == 503
        status, told = _upload(running, token, *make_wheel("toy", "9.1", files={"toy.py": "x = 1\n"}))
        assert (status, "backup" in told) == (502, True), "it would be begun anew"
        if loss in ("project", "page", "content"):
            with serving(user, *options) as second:  # so does one that is started now
                assert second.get("/simple/toy/").status == 502
                assert second.get("/healthz").status == 503
        assert index.requests["toy"] == 0, "nobody hears of it"
        if loss == "content":
            shutil.rmtree(folder)
        elif loss == "file":
            folder.unlink()
        away.rename(lost)
        assert _versions(running, "/simple/toy/") == ["9.0"]
        assert running.get("/healthz").status == 200
        running.process.send_signal(signal.SIGINT)
        assert "toy is private, and" in running.process.communicate(timeout=60)[1]


@pytest.mark.parametrize("damage", ["byte", "edit", "cut", "empty", "folder"])
def test_a_damaged_private_page_forgets_no_yank_and_frees_no_name(user: User, index: Simulator, damage: str) -> None:
    options = _private_toy(user)
    page = user.folder / "private" / "toy" / "page.json"
    token = _token(user, "other", "--upload")
    assert user.run("private", "yank", "toy", "9.0", "--reason", "bad", "--private", "private").code == 0
    content = page.read_bytes()
    wrong = {"edit": content.replace(b"bad", b"worse"), "cut": content[:-9], "empty": b""}
    wrong["byte"] = content.replace(b"toy-9.0", b"toy-9.1", 1)
    with serving(user, *options) as running:
        path = running.file("toy", "toy-9.0-py3-none-any.whl")
        if damage == "folder":
            page.unlink()
            page.mkdir()
        else:
            page.write_bytes(wrong[damage])
        assert running.get("/simple/toy/").status == running.get(path).status == 502
        assert running.get("/healthz").status == 503
        status, told = _upload(running, token, *make_wheel("toy", "9.0", files={"toy.py": "x = 2\n"}))
        assert (status, "restore the project from a backup" in told) == (502, True)
        run = user.run("private", "list", "toy", "--private", "private")
        assert run.code != 0
        assert "restore the project from a backup" in run.out + run.err
        if damage == "folder":
            page.rmdir()
        page.write_bytes(content)
        assert json.loads(running.get("/simple/toy/", Accept=JSON).body)["files"][0]["yanked"] == "bad"


def test_a_private_page_of_an_earlier_version_is_read_and_gets_a_sum(user: User, index: Simulator) -> None:
    options = _private_toy(user)
    page = user.folder / "private" / "toy" / "page.json"
    document = json.loads(page.read_bytes())
    del document["sha256"]
    page.write_text(json.dumps(document, separators=(",", ":")))
    with serving(user, *options) as running:
        assert _versions(running, "/simple/toy/") == ["9.0"]
    assert page.read_bytes().startswith(b'{"sha256":')


@pytest.mark.parametrize("damage", ["byte", "cut", "metadata"])
def test_a_private_file_that_rots_is_not_handed_on(user: User, index: Simulator, damage: str) -> None:
    """Neither its size nor its time need tell of it."""
    options = _private_toy(user)
    file = user.folder / "private" / "toy" / "toy-9.0-py3-none-any.whl"
    rotten = file.with_name(f"{file.name}.metadata") if damage == "metadata" else file
    status, content = rotten.stat(), rotten.read_bytes()

    def verify(code: int) -> str:
        run = user.run("private", "verify", "--private", "private")
        assert run.code == code, run.out + run.err
        return run.out

    with serving(user, *options) as running:
        path = running.file("toy", file.name) + (".metadata" if damage == "metadata" else "")
        whole = running.get(path)
        assert whole.body == content
        tag = whole.headers.get("etag", "*")
        assert "1 looked at, 0 damaged." in verify(0)
        middle = len(content) // 2
        with rotten.open("r+b") as stream:
            stream.seek(middle)
            stream.write(bytes([content[middle] ^ 1]))
            if damage == "cut":
                stream.truncate(middle)
        os.utime(rotten, ns=(status.st_atime_ns, status.st_mtime_ns))
        for _ in range(2):
            assert (answer := running.get(path)).status == 502
            assert b"from a backup" in answer.body
            assert running.get(path, method="HEAD").status == 502, "nor is it confirmed"
            assert running.get(path, If_None_Match=tag).status == 502
            os.utime(file.parent)  # the page is read again
            running.get("/simple/toy/")
        assert rotten.name in verify(1)
        if damage != "metadata":
            assert "damaged" in user.run("private", "list", "toy", "--private", "private").out
        rotten.write_bytes(content)
        os.utime(rotten, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.utime(file.parent, (1, 1))
        assert running.get(path).body == content
        running.process.send_signal(signal.SIGINT)
        assert rotten.name in running.process.communicate(timeout=60)[1]


def test_the_store_alone_and_the_folder_alone_know_private_names(user: User, index: Simulator) -> None:
    options = _private_toy(user)
    shutil.rmtree(user.folder / "private" / "toy")
    (user.store / "private-names").rename(user.folder / "kept")
    with serving(user, *options) as running:
        assert running.get("/simple/toy/").status == 502
    shutil.rmtree(user.folder / "private")
    (user.folder / "kept").replace(user.store / "private-names")
    run = user.run("serve", "--port", "0", *options)
    assert (run.code, "restore it from a backup" in run.err) == (2, True)
    run = user.run("serve", "--port", "0", "--private", "typo")
    assert (run.code, (user.folder / "typo").exists()) == (2, False)
    (user.folder / "typo").mkdir()
    with serving(user, "--private", "typo") as running:
        assert running.get("/simple/toy/").status == 502, "another folder has the name"
        assert _versions(running, "/simple/gear/") == ["1.0", "2.0", "3.0"]
        assert running.get("/healthz").status == 200, "of this folder nothing is lost"
        assert user.run("private", "forget", "toy", "--private", "typo").code == 0
        assert _versions(running, "/simple/toy/") == ["1.0", "1.1", "2.0"]


@pytest.mark.whole
def test_names_of_a_folder_that_cannot_be_written_are_told_and_kept_by_the_store(user: User, index: Simulator) -> None:
    options = _private_toy(user)
    folder, names = user.folder / "private", user.store / "private-names"
    (folder / ".names").unlink()
    names.unlink()
    (folder / "gear").mkdir()
    mounts = f"mount --bind {folder} {folder}\nmount -o remount,ro,bind {folder}"
    reads = [word for word in options if word != "--uploads"]
    with serving_with(user, mounts, *reads) as running:
        assert _versions(running, "/simple/toy/") == ["9.0"]
        assert running.process.stderr is not None
        told = running.process.stderr.readline()
        assert told.startswith(f"Private names can't be noted in {folder / '.names'}: Read-only file system. ")
        assert f"They are known in {names} alone" in told
        assert running.process.stderr.readline().rstrip().endswith("only as long as their folders are there: gear.")
    shutil.rmtree(folder)
    folder.mkdir()
    with serving(user, *options) as running:
        assert running.get("/simple/toy/").status == 502, "it doesn't become public"
        assert index.requests["toy"] == 0


def test_files_that_are_put_there_or_removed_by_hand_are_told(user: User, index: Simulator) -> None:
    folder = user.folder / "private" / "mine"
    folder.mkdir(parents=True)
    wheels = dict(make_wheel("mine", version, files={"mine.py": "x = 1\n"}) for version in ("1.0", "1.1"))
    first, second = sorted(wheels)
    with serving(user, "--private", "private") as running:
        assert _versions(running, "/simple/mine/") == []
        for name, content in wheels.items():
            (folder / name).write_bytes(content)
        (folder / "mine-1.2-py3-none-any.whl").write_bytes(wheels[first][:100])
        (folder / "README.txt").write_text("ours")
        assert _versions(running, "/simple/mine/") == ["1.0", "1.1"], "what is no whole wheel isn't there"
        path = running.file("mine", second)
        assert running.get(path).body == wheels[second]
        assert b"Name: mine" in running.get(f"{path}.metadata").body
        (folder / second).unlink()
        assert _versions(running, "/simple/mine/") == ["1.0"]
        assert running.get(path).status == 404
        (folder / second).write_bytes(wheels[first])
        assert _versions(running, "/simple/mine/") == ["1.0"], "a name that was taken stays with its bytes"
        (folder / second).unlink()
        (folder / second).write_bytes(wheels[second])
        assert _versions(running, "/simple/mine/") == ["1.0", "1.1"]
        running.process.send_signal(signal.SIGINT)
        _, err = running.process.communicate(timeout=60)
    assert "mine-1.2-py3-none-any.whl is left out: " in err


def test_a_file_that_was_edited_is_on_no_page(user: User, index: Simulator) -> None:
    """Whatever its size and time say; and it is there again with its bytes."""
    folder = user.folder / "private" / "mine"
    folder.mkdir(parents=True)
    name, content = make_wheel("mine", "1.0")
    (folder / name).write_bytes(content)
    with serving(user, "--private", "private") as running:
        assert _versions(running, "/simple/mine/") == ["1.0"]
        (folder / name).write_bytes(content[:-1] + b"!")
        os.utime(folder)  # it is looked at again at once, not after half a minute
        assert _versions(running, "/simple/mine/") == []
        (folder / name).write_bytes(content)
        os.utime(folder, (1, 1))
        assert _versions(running, "/simple/mine/") == ["1.0"]
        running.process.send_signal(signal.SIGINT)
        assert "its content has changed" in running.process.communicate(timeout=60)[1]


def test_what_is_private_is_yanked_removed_and_restored_while_it_is_served(user: User, index: Simulator) -> None:
    folder = user.folder / "private" / "my-mine"
    folder.mkdir(parents=True)
    for version in ("1.0", "1.1"):
        name, content = make_wheel("my_mine", version)
        (folder / name).write_bytes(content)

    def change(*words: str, code: int = 0) -> str:
        run = user.run("private", *words, "--private", "private")
        assert run.code == code, run.err
        return run.out + run.err

    with serving(user, "--private", "private") as running:
        path = running.file("my-mine", name)
        assert change("list") == "my-mine\n"
        change("yank", "My_Mine", "1.1.0", "--reason", "wrong\nweights")
        page = json.loads(running.get("/simple/my-mine/", Accept=JSON).body)
        assert [file["yanked"] for file in page["files"]] == [False, "wrong weights"]
        assert "yanked: wrong weights" in change("list", "my-mine")
        change("remove", "my-mine", "1.1")
        assert _versions(running, "/simple/my-mine/") == ["1.0"]
        assert running.get(path).status == 404
        assert "removed" in change("list", "my-mine")
        change("restore", "my-mine", name)
        page = json.loads(running.get("/simple/my-mine/", Accept=JSON).body)
        assert [file["yanked"] for file in page["files"]] == [False, False]
        assert running.get(path).body == content
        change("remove", "my-mine", "1.1", "--for-good")
        assert "Upload the file again" in change("restore", "my-mine", "1.1", code=2)
        assert "There are: 1.0, 1.1" in change("yank", "my-mine", "2.0", code=2)
        assert "There are: my-mine" in change("list", "other", code=2)


_REQUESTS = (
    b"GET /simple/toy/ HTTP/1.1\r\nHost: x\r\nAccept: text/html;q=0.1, */*\r\nAccept-Encoding: zstd;q=1\r\n"
    b'Range: bytes=0-1\r\nIf-None-Match: "a"\r\n',
    b"HEAD /as-of/2021-03-01/only/x/simple/toy/?format=text/html HTTP/1.1\r\nHost: x\r\n",
    b"GET /files/toy/%00/../x.metadata HTTP/1.1\r\nHost: x\r\nRange: bytes=-5\r\n",
    b"GET http://[::1/simple/ HTTP/1.1\r\nHost: x\r\n",
    b"GET /simple/%ff%fe/?%00=\xff HTTP/1.1\r\nHost: x\r\n",
    b"POST /private/ HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YTpi\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\n",
)
_BITS = (b"\0", b"\r\n", b"%2e%2e/", b"\xff", b"9" * 30, b"-1", b";q=nan", b" ", b"/", b"%", b"\xd9\xa1", b"a," * 3000)
_WORDS = (b"as-of/0001-01-01/", b"only/", b"private/", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n")


def _mutated(chance: random.Random) -> bytes:
    request = bytearray(chance.choice(_REQUESTS))
    for _ in range(chance.randint(0, 4)):
        place = chance.randrange(len(request))
        match chance.randrange(3):
            case 0:
                request[place:place] = chance.choice((*_BITS, *_WORDS))
            case 1:
                request[place] = chance.randrange(256)
            case _:
                del request[place : place + chance.randint(1, 6)]
    return bytes(request) + b"Connection: close\r\n\r\n"


@pytest.mark.whole
def test_no_request_brings_it_down(user: User, index: Simulator) -> None:
    with serving(user, "--private", "private", "--uploads") as running:
        port = urlsplit(running.url).port
        for seed in range(400):
            request = _mutated(random.Random(seed))
            with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                connection.sendall(request)
                try:
                    # What isn't complete gets no answer as long as the rest may come.
                    connection.settimeout(0.5)
                    answer = connection.recv(65536)
                except (TimeoutError, ConnectionError):
                    continue
            assert not answer or answer.startswith(b"HTTP/"), request
            assert answer[9:12] != b"500", request
        assert running.get("/simple/toy/").status == 200


def test_a_worker_that_dies_is_replaced(user: User, index: Simulator) -> None:
    with serving(user, "--workers", "2") as running:
        server = psutil.Process(running.process.pid)
        while len(before := server.children()) < 2:
            pass
        for worker in before:
            worker.kill()
        assert running.get("/simple/toy/").status == 200, "the socket is the server's, and waits for whoever comes"
        killed = {one.pid for one in before}
        until(lambda: len({one.pid for one in server.children()} - killed) == 2)
        assert not {one.pid for one in server.children()} & killed


def test_told_twice_it_waits_for_nobody(user: User, index: Simulator, big: bytes) -> None:
    with serving(user) as running, ThreadPoolExecutor(1) as pool:
        path = running.file("big", BIG)
        index.fault(BIG, Stall(1_000_000))
        answer = pool.submit(running.get, path)
        while index.bytes_sent[BIG] < 1_000_000:
            time.sleep(0.05)
        running.process.send_signal(signal.SIGINT)
        while socket_is_taken(running.url):
            time.sleep(0.05)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(timeout=60) == 0
        assert answer.result().cut or answer.result().status == 502


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_hangup_ends_nothing(user: User, index: Simulator, workers: str) -> None:
    with serving(user, "--workers", workers) as running:
        server = psutil.Process(running.process.pid)
        until(lambda: len(server.children()) == (2 if workers == "2" else 0))
        assert running.get("/healthz").status == 200
        for process in [*server.children(), server]:
            process.send_signal(signal.SIGHUP)
        assert running.get("/healthz").status == 200
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(timeout=60) == 0


def test_told_to_end_nobody_listens_any_more_while_answers_end(user: User, index: Simulator, big: bytes) -> None:
    with serving(user, "--workers", "2") as running, ThreadPoolExecutor(1) as pool:
        path = running.file("big", BIG)
        closed = threading.Event()
        index.fault(BIG, After(closed.wait, first=1_000_000))
        answer = pool.submit(running.get, path)
        until(lambda: index.bytes_sent[BIG] >= 1_000_000)
        running.process.send_signal(signal.SIGTERM)
        try:
            until(lambda: not socket_is_taken(running.url))
        finally:
            closed.set()
        assert answer.result().body == big
        assert running.process.wait(timeout=60) == 0


def socket_is_taken(url: str) -> bool:
    """Whether somebody still listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", urlsplit(url).port)) == 0


def test_workers_end_with_their_parent(user: User, index: Simulator) -> None:
    with serving(user, "--workers", "2") as running:
        server = psutil.Process(running.process.pid)
        while len(workers := server.children()) < 2:
            pass
        server.kill()
        assert not psutil.wait_procs(workers, timeout=60)[1]


@pytest.mark.whole
def test_whatever_the_upstream_does_under_load(user: User, index: Simulator) -> None:
    """It lies, cuts, stalls, refuses, dies and comes back while twelve clients ask: right bytes, or a clean error."""
    contents = {}
    for number in range(8):
        name, content = make_wheel(f"load{number}", "1.0", files={"x.bin": random.Random(number).randbytes(400_000)})
        index.add_wheel(name, content)
        contents[name] = content
    with Simulator() as mirror, serving(user, "--mirror", mirror.simple_url) as running:
        for name, content in contents.items():
            mirror.add_wheel(name, content)
        assert isinstance(running.process, Forked)
        running.process.drain()
        paths = {name: running.file(name.split("-")[0], name) for name in contents}
        right, wrong, over = Counter[str](), Counter[str](), threading.Event()

        def client(seed: int) -> None:
            chance = random.Random(seed)
            while not over.is_set():
                name = chance.choice(list(contents))
                page = running.get(f"/simple/{name.split('-')[0]}/", Accept=JSON)
                assert page.status in (200, 502), page.body
                start = chance.choice([0, 0, 1000])
                headers = {"Range": f"bytes={start}-"} if start else {}
                answer = running.get(paths[name], **headers)
                if answer.status in (200, 206) and not answer.cut:
                    assert answer.body == contents[name][start:], "all of a file is all right"
                    right[name] += 1
                else:
                    assert answer.cut or answer.status in (502, 503), (answer.status, answer.body)
                    wrong[name] += 1

        def serves(name: str, content: bytes) -> bool:
            return running.get(paths[name]).body == content

        with ThreadPoolExecutor(12) as pool:
            clients = [pool.submit(client, seed) for seed in range(12)]
            chance = random.Random(1)
            for _ in range(30):
                for name in contents:
                    for source in (index, mirror):
                        faults: list[Fault] = [
                            Lie(5000),
                            Cut(100_000, reset=True),
                            Silent(),
                            Status(503),
                            Slow(4_000_000, 16_384),
                        ]
                        source.fault(name, chance.choice(faults), times=chance.choice([1, 2, None]))
                mirror.fault(chance.choice(list(contents)), Stall(200_000), times=1)
                (index if chance.random() < 0.5 else mirror).fault(f"load{chance.randrange(8)}", Status(500))
                time.sleep(0.25)
                index.heal()
                mirror.heal()
                # What is here is let go of, so that it is fetched again.
                for blob in (user.store / "blobs").glob("??/*"):
                    blob.unlink()
            over.set()
            for one in clients:
                one.result()
        assert right and wrong, "there was something to see"
        for name, content in contents.items():
            # A failure is the answer for as long as it took to find out, and the last one may have come just now.
            until(partial(serves, name, content))
