"""`tf-tester serve` from the outside: real sockets, real clients, an upstream that goes wrong."""

import gzip
import hashlib
import http.client
import json
import os
import random
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
import trustme
import uv

from tests.integration.conftest import User
from tests.simulator import Lie, Silent, Simulator, Slow, Stall, Status
from tests.wheels import make_wheel

JSON = "application/vnd.pypi.simple.v1+json"
BIG = "big-1.0-py3-none-any.whl"
CONTENT = random.Random(7).randbytes(3_000_000)


@dataclass(frozen=True)
class Got:
    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False
    """Whether the connection ended before the body did."""


@dataclass(frozen=True)
class Served:
    """A server that runs."""

    url: str
    process: "subprocess.Popen[str]"

    def get(self, path: str, *, method: str = "GET", **headers: str) -> Got:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=named)
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            try:
                return Got(response.status, told, response.read())
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
        raise AssertionError(line + process.stderr.read())
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
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    connection.request("GET", path)
    response = connection.getresponse()
    assert response.headers["Content-Length"] == str(len(big))
    assert response.read(1_000_000) == big[:1_000_000], "although the upstream has stopped in the middle"
    connection.close()


def test_nobody_gets_all_of_a_wrong_file(served: Served, index: Simulator, big: bytes) -> None:
    path = served.file("big", BIG)
    index.fault(BIG, Lie())
    for _ in range(2):
        answer = served.get(path)
        assert answer.status == 502 or answer.cut, "an error, or a body without its end"
        assert len(answer.body) < len(big)
    index.heal()
    assert served.get(path).body == big, "and nothing of it was kept"


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


def test_an_upstream_that_refuses_is_a_502_and_not_a_crash(served: Served, index: Simulator) -> None:
    path = served.file("toy", "toy-1.0-py3-none-any.whl")
    index.fault("toy-1.0-py3-none-any.whl", Status(403))
    assert served.get(path).status == 502
    assert served.get("/healthz").status == 200


# -- clients


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


def test_what_was_fetched_is_there_after_a_restart_and_offline(user: User, index: Simulator, big: bytes) -> None:
    with serving(user) as running:
        path = running.file("big", BIG)
        assert running.get(path).body == big
    index.stop()
    with serving(user, "--offline") as running:
        began = time.monotonic()
        assert running.get(path).body == big
        assert time.monotonic() - began < 30
        assert running.get("/simple/toy/").status == 502
