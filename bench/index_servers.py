"""Our index server beside devpi-server, proxpi, pypiserver and simple-repository-server; nginx is the floor.

    python bench/index_servers.py --peers FOLDER [--seconds 5] [--rounds 3] [--installs 1000] [--real-installs 0]

Needs ab and nginx (Debian: apache2-utils, nginx-light) and curl. The peers are installed into a virtual environment in
FOLDER if there is none, in their newest releases; one that can't be started is told of and left out. The upstream is a
process of this file: TensorFlow's page of 1,761 files, one large wheel, and a lock of thirty small ones; each of its
connections sends so many MB a second. Nothing but loopback is used. Peers run with their defaults, but with what they
recommend for production (gunicorn, watchdog). The page is asked for with `Accept: JSON, else HTML` and not compressed.
CPU is the servers' own. Ratios are medians of the rounds' own.
"""

import argparse
import asyncio
import base64
import hashlib
import html
import io
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import create_server, socket
from statistics import median
from typing import Any
from urllib.parse import urldefrag, urljoin
from urllib.request import Request, urlopen

import aiohttp
import psutil
import uv
from aiohttp import web
from mirrors import MB, NAME, make_wheel, tell
from serve import FILES, JSON, Server, nginx

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.wheels import make_wheel as make_small_wheel

PEERS = ("devpi-server", "proxpi", "pypiserver[cache]", "simple-repository-server", "gunicorn")
ACCEPT = f"{JSON}, text/html;q=0.1"
PACKAGES = 30
"""In the lock."""
VERSIONS = 50
"""Files on each of its pages."""
SMALL = 50_000
"""Bytes of each of its wheels."""
COLD = 8
"""Clients that want the same page or file at once."""
LEAST = 4
"""Pages that each of them gets, however slow a server is."""
READY_WITHIN_S = 60
"""Seconds that a server may take to start."""


class Unusable(Exception):
    """A server that doesn't start, or doesn't answer as it should; the message is a sentence."""


# -- the upstream


@dataclass(frozen=True)
class Listed:
    """One file on a page."""

    filename: str
    sha256: str
    size: int
    metadata_sha256: str | None = None


def metadata_of(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(next(one for one in archive.namelist() if one.endswith(".dist-info/METADATA")))


def made_up(filename: str) -> Listed:
    return Listed(filename, hashlib.sha256(filename.encode()).hexdigest(), 500_000_000)


def tensorflow() -> list[str]:
    return [f"tensorflow-2.{n // 100}.{n % 100}-cp3{n % 10}-cp3{n % 10}-manylinux2014_x86_64.whl" for n in range(FILES)]


def page_json(project: str, files: Sequence[Listed], base: str) -> bytes:
    listed = [
        {
            "filename": one.filename,
            "url": f"{base}/packages/{one.filename}",
            "hashes": {"sha256": one.sha256},
            "size": one.size,
            "upload-time": "2024-01-01T00:00:00.000000Z",
            "requires-python": ">=3.8",
            "yanked": False,
            "core-metadata": {"sha256": one.metadata_sha256} if one.metadata_sha256 else False,
        }
        for one in files
    ]
    versions = sorted({one.filename.split("-")[1] for one in files})
    page = {"meta": {"api-version": "1.1"}, "name": project, "versions": versions, "files": listed}
    return json.dumps(page).encode()


def page_html(project: str, files: Sequence[Listed], base: str) -> bytes:
    anchors = (
        f'<a href="{base}/packages/{one.filename}#sha256={one.sha256}" data-requires-python="&gt;=3.8"'
        + (f' data-core-metadata="sha256={one.metadata_sha256}"' if one.metadata_sha256 else "")
        + f">{one.filename}</a><br/>"
        for one in files
    )
    head = f'<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.1"><title>{project}</title>'
    return f"{head}</head><body>\n{chr(10).join(anchors)}\n</body></html>".encode()


async def serve_upstream(folder: Path, rate: float) -> None:
    """Print the port; count what is asked for; until stdin ends."""
    listener = create_server(("127.0.0.1", 0), backlog=1024)
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    contents: dict[str, bytes] = {}
    projects: dict[str, list[Listed]] = {"tensorflow": [made_up(name) for name in tensorflow()]}
    for wheel in sorted(folder.iterdir()):
        content = wheel.read_bytes()
        metadata = metadata_of(content)
        contents |= {wheel.name: content, f"{wheel.name}.metadata": metadata}
        project = wheel.name.split("-")[0].replace("_", "-")
        digests = [hashlib.sha256(one).hexdigest() for one in (content, metadata)]
        others = [f"{wheel.name.split('-')[0]}-0.{n}-py3-none-any.whl" for n in range(VERSIONS - 1)]
        projects[project] = [*map(made_up, others), Listed(wheel.name, digests[0], len(content), digests[1])]
    pages = {name: (page_json(name, files, base), page_html(name, files, base)) for name, files in projects.items()}
    counts: Counter[str] = Counter()

    async def names(request: web.Request) -> web.Response:
        if JSON in request.headers.get("Accept", ""):
            listed = {"meta": {"api-version": "1.1"}, "projects": [{"name": name} for name in projects]}
            return web.Response(body=json.dumps(listed).encode(), content_type=JSON)
        return web.Response(text="".join(f'<a href="{n}/">{n}</a><br/>' for n in projects), content_type="text/html")

    async def page(request: web.Request) -> web.Response:
        project = request.match_info["project"]
        if project not in pages:
            raise web.HTTPNotFound
        counts[f"page {project}"] += 1
        as_json = JSON in request.headers.get("Accept", "")
        body = pages[project][0 if as_json else 1]
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        told = {"ETag": tag, "Cache-Control": "max-age=600, public", "Vary": "Accept"}
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers=told)
        return web.Response(body=body, content_type=JSON if as_json else "text/html", headers=told)

    async def file(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in contents:
            raise web.HTTPNotFound
        content = contents[name]
        start, end = 0, len(content)
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", "")):
            start, end = int(match[1]), min(end, int(match[2] or end) + 1)
        response = web.StreamResponse(status=206 if match else 200)
        response.headers.update({"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"})
        if match:
            response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        response.content_length = end - start
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        counts[f"file {name}"] += 1
        began = time.monotonic()
        for position in range(start, end, 65_536):
            piece = content[position : min(end, position + 65_536)]
            await response.write(piece)
            counts[f"bytes {name}"] += len(piece)
            if rate:
                ahead = (position + len(piece) - start) / rate - (time.monotonic() - began)
                await asyncio.sleep(max(0.0, ahead))
        return response

    async def counted(_: web.Request) -> web.Response:
        return web.json_response(counts)

    app = web.Application()
    app.add_routes(
        [
            web.get("/simple/", names),
            web.get("/simple/{project}/", page),
            web.get("/packages/{name}", file),
            web.get("/counts", counted),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    print(base, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


@dataclass(frozen=True)
class Upstream:
    """One that runs."""

    url: str

    @property
    def index(self) -> str:
        return f"{self.url}/simple/"

    def counts(self) -> Counter[str]:
        return Counter(json.loads(urlopen(f"{self.url}/counts").read()))


@contextmanager
def upstream(folder: Path, rate: float) -> Iterator[Upstream]:
    words = [sys.executable, __file__, "--upstream", str(folder), str(rate)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        yield Upstream(process.stdout.readline().strip())
        process.stdin.close()


# -- servers


@dataclass(frozen=True)
class Running:
    """A server beside its upstream."""

    name: str
    server: Server
    index: str = "/simple/"
    proxy: bool = True

    def page(self, project: str) -> str:
        return f"{self.server.url}{self.index}{project}/"


@contextmanager
def process_of(words: Sequence[str | Path], log: Path, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(word) for word in words],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=os.environ | environ,
            cwd=log.parent,
        )
    try:
        yield process
    finally:
        family = []
        with suppress(psutil.NoSuchProcess):
            family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()


def until(process: subprocess.Popen[bytes], log: Path, look: Callable[[], str]) -> str:
    """What `look` finds. Raises `Unusable` with the end of the log."""
    ends = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < ends and process.poll() is None:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    said = log.read_text(errors="replace").strip().splitlines()[-1:] or ["nothing"]
    ended = f"ended with {process.returncode}" if process.returncode is not None else f"not ready in {READY_WITHIN_S} s"
    raise Unusable(f"{ended}; its last words: {said[0][:300]}")


def heard(port: int) -> str:
    """Its address if somebody listens there."""
    with socket() as probe:
        return f"http://127.0.0.1:{port}" if probe.connect_ex(("127.0.0.1", port)) == 0 else ""


def free_port() -> int:
    with create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def ours(folder: Path, above: Upstream) -> Iterator[Running]:
    log = folder / "ours.log"
    words: list[str | Path] = [
        "serve",
        "--port",
        "0",
        "--store",
        folder / "store",
        "--index-url",
        above.index,
        "--mirror",
        "none",
    ]
    with process_of([sys.executable, "-m", "tf_tester", *words], log) as process:

        def look() -> str:
            found = re.search(r"http://\S+?(?=/simple/ )", log.read_text(errors="replace"))
            return found[0] if found else ""

        url = until(process, log, look)
        yield Running("ours", Server(url, psutil.Process(process.pid)))


@contextmanager
def listening(
    name: str, words: Callable[[int], Sequence[str | Path]], folder: Path, index: str = "/simple/", **environ: str
) -> Iterator[Running]:
    """A peer that is told its port."""
    port, log = free_port(), folder / f"{name}.log"
    with process_of(words(port), log, **environ) as process:
        url = until(process, log, lambda: heard(port))
        yield Running(name, Server(url, psutil.Process(process.pid)), index)


def devpi_ask(url: str, method: str, told: Mapping[str, object], token: str = "") -> Any:
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    if token:
        headers["X-Devpi-Auth"] = base64.b64encode(f"root:{token}".encode()).decode()
    request = Request(url, json.dumps(told).encode(), headers, method=method)
    return json.loads(urlopen(request, timeout=30).read())


@contextmanager
def devpi(programs: Path, folder: Path, above: Upstream) -> Iterator[Running]:
    """Its own index of the synthetic upstream, and no other."""
    place = folder / "devpi"
    made = subprocess.run(
        [programs / "devpi-init", "--serverdir", place, "--no-root-pypi", "--root-passwd", "bench"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    if made.returncode:
        raise Unusable(f"devpi-init said: {made.stderr.strip()[-300:]}")

    def words(port: int) -> list[str | Path]:
        return [programs / "devpi-server", "--serverdir", place, "--host", "127.0.0.1", "--port", str(port)]

    with listening("devpi-server", words, folder, "/root/bench/+simple/") as running:
        url = running.server.url
        token = devpi_ask(f"{url}/+login", "POST", {"user": "root", "password": "bench"})["result"]["password"]
        devpi_ask(f"{url}/root/bench", "PUT", {"type": "mirror", "mirror_url": above.index, "volatile": False}, token)
        yield running


@contextmanager
def proxpi(programs: Path, folder: Path, above: Upstream) -> Iterator[Running]:
    environ = {"PROXPI_INDEX_URL": above.index, "PROXPI_LOGGING_LEVEL": "WARNING", "FLASK_APP": "proxpi.server"}

    def words(port: int) -> list[str | Path]:
        if (programs / "gunicorn").exists():
            bind = ["--bind", f"127.0.0.1:{port}", "--threads", str(COLD)]
            return [programs / "gunicorn", *bind, "proxpi.server:app"]
        return [programs / "flask", "run", "--host", "127.0.0.1", "--port", str(port)]

    with listening("proxpi", words, folder, "/index/", **environ) as running:
        yield running


@contextmanager
def pypiserver(programs: Path, folder: Path, above: Upstream) -> Iterator[Running]:
    """It serves a folder, and hands on nothing: files of TensorFlow's names, which are tiny."""
    packages = folder / "packages"
    packages.mkdir()
    for name in tensorflow():
        (packages / name).write_text(name)

    def words(port: int) -> list[str | Path]:
        place = ["--interface", "127.0.0.1", "--port", str(port)]
        return [programs / "pypi-server", "run", *place, "--disable-fallback", packages]

    with listening("pypiserver", words, folder) as running:
        yield Running(running.name, running.server, running.index, proxy=False)


@contextmanager
def simple_repository_server(programs: Path, folder: Path, above: Upstream) -> Iterator[Running]:
    """It keeps nothing; files are handed on by it, not redirected to, so that it does what the others do."""

    def words(port: int) -> list[str | Path]:
        place = ["--host", "127.0.0.1", "--port", str(port), "--stream-http-resources"]
        return [programs / "simple-repository-server", *place, above.index]

    with listening("simple-repository-server", words, folder) as running:
        yield running


def make_peers(folder: Path) -> Path:
    """Their programs."""
    programs = folder.absolute() / "bin"
    if not (programs / "python").exists():
        print(f"installing into {folder}: {', '.join(PEERS)}", flush=True)
        subprocess.run([uv.find_uv_bin(), "venv", "--quiet", "--python", sys.executable, folder], check=True)
        words = [uv.find_uv_bin(), "pip", "install", "--quiet", "--python", str(programs / "python"), *PEERS]
        subprocess.run(words, check=True)
    return programs


def told_versions(programs: Path) -> str:
    said = subprocess.run(
        [uv.find_uv_bin(), "pip", "freeze", "--python", programs / "python"], check=True, capture_output=True, text=True
    ).stdout
    wanted = {name.split("[")[0] for name in PEERS}
    return ", ".join(line.replace("==", " ") for line in said.splitlines() if line.split("==")[0] in wanted)


# -- pages


@dataclass(frozen=True)
class Pace:
    """Of one page, warm."""

    rate: float
    """Requests a second."""
    cpu: float
    """Milliseconds of one."""


def get(url: str) -> tuple[bytes, str, str]:
    """A page, its type, and its address after redirects."""
    with urlopen(Request(url, headers={"Accept": ACCEPT}), timeout=READY_WITHIN_S) as answer:
        return answer.read(), answer.headers.get_content_type(), answer.url


def pace(server: Server, url: str, seconds: float) -> Pace:
    """Of so many requests as it answers in that time, but some for each connection at least.

    All are answered before it ends: what a time limit cuts off would be the slow servers' cost and nobody's gain.
    """
    first = requests(server, url, COLD * LEAST)
    count = int(first.rate * seconds)
    return requests(server, url, count) if count > COLD * LEAST else first


def requests(server: Server, url: str, count: int) -> Pace:
    before = server.cpu()
    words = ["ab", "-q", "-k", "-l", "-c", str(COLD), "-s", "120", "-n", str(count), "-H", f"Accept: {ACCEPT}", url]
    done = subprocess.run(words, capture_output=True, text=True)
    spent = server.cpu() - before
    found = re.search(r"Complete requests:\s+(\d+)\nFailed requests:\s+(\d+)", done.stdout)
    if done.returncode or found is None:
        raise Unusable(f"ab says: {(done.stderr or done.stdout).strip()[-200:]}")
    if int(found[1]) != count or int(found[2]) or "Non-2xx" in done.stdout:
        raise Unusable(f"not all answers to ab were right: {found[2]} of {count} failed, or weren't pages")
    rate = re.search(r"Requests per second:\s+([\d.]+)", done.stdout)
    assert rate is not None
    return Pace(float(rate[1]), spent / count * 1000)


def bench_pages(all_of_them: Sequence[Running], above: Upstream, folder: Path, seconds: float, rounds: int) -> None:
    """TensorFlow's page of each; of nginx our bytes of it."""
    print(f"TensorFlow's page of {FILES} files, warm, {COLD} connections, {rounds} rounds", flush=True)
    served: dict[str, tuple[Server, str]] = {}
    forms: dict[str, str] = {}
    with ExitStack() as stack:
        for running in all_of_them:
            try:
                content, kind, url = get(running.page("tensorflow"))
                listed = len(set(re.findall(rb"tensorflow-2\.[\w.-]+?\.whl(?=[\"<])", content)))
                if listed < FILES:
                    raise Unusable(f"its page has {listed} files")
            except (Unusable, OSError) as error:
                print(f"  {running.name} is left out: {error}")
                continue
            served[running.name] = (running.server, url)
            forms[running.name] = f"{'JSON' if kind == JSON else 'HTML'}, {len(content):,} bytes"
            if running.name == "ours":
                (folder / "static").mkdir()
                (folder / "static" / "page").write_bytes(content)
                with sentence("nginx"):
                    server = stack.enter_context(nginx(folder))
                    served["nginx"], forms["nginx"] = (server, f"{server.url}/page"), "ours, from a file"
        taken: dict[str, list[Pace]] = {name: [] for name in served}
        asked: Counter[str] = Counter()
        for _ in range(rounds):
            for name in list(served):
                before = above.counts()
                try:
                    taken[name].append(pace(*served[name], seconds))
                    asked[name] += (above.counts() - before)["page tensorflow"]
                except Unusable as error:
                    print(f"  {name} is left out: {error}")
                    del served[name], taken[name]
        for name, paces in taken.items():
            rate, cpu = median(one.rate for one in paces), median(one.cpu for one in paces)
            held = served[name][0].memory() / MB
            told = forms[name] + ("" if name == "nginx" else f"; asked the upstream {asked[name]} times")
            print(f"  {name:<26} {rate:10,.1f} a second {cpu:9.2f} ms CPU {held:5.0f} MB held   {told}", flush=True)
    for peer, value, target, at_least in (("nginx", "rate", 0.8, True), ("nginx", "cpu", 2, False)):
        if {"ours", peer} <= taken.keys():
            told = "requests a second" if value == "rate" else "CPU of one"
            ratio = median(
                getattr(o, value) / getattr(t, value) for o, t in zip(taken["ours"], taken[peer], strict=True)
            )
            tell(f"  {told}, over {peer}'s", ratio, target, at_least=at_least)
    for peer in [name for name in taken if name not in ("ours", "nginx")] if "ours" in taken else ():
        ratio = median(o.rate / t.rate for o, t in zip(taken["ours"], taken[peer], strict=True))
        told = f"  requests a second, over {peer}'s"
        if peer == "devpi-server":
            tell(told, ratio, 50, at_least=True)
        else:
            print(f"{told:<66} {ratio:8.2f} x")


# -- one file, many clients


def link(running: Running, project: str, filename: str) -> str:
    """Where its own page says that a file is."""
    content, kind, url = get(running.page(project))
    if kind.endswith("json"):
        found: list[str] = [one["url"] for one in json.loads(content)["files"] if one["filename"] == filename]
    else:
        hrefs = re.findall(r"""<a\s[^>]*?href=["']([^"']+)""", content.decode())
        found = [one for one in map(html.unescape, hrefs) if urldefrag(one)[0].endswith(filename)]
    if not found:
        raise Unusable(f"its page of {project} doesn't list {filename}")
    return urldefrag(urljoin(url, found[0]))[0]


def bench_cold(running: Running, above: Upstream, wheel: Path, folder: Path) -> None:
    """What the upstream is asked when several want a file that the server has not."""
    url = link(running, "ballast", wheel.name)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    before, began = above.counts(), time.monotonic()

    def fetch(number: int) -> tuple[bool, bool]:
        """Whether it got the right bytes, and whether it was sent to the upstream for them."""
        out = folder / f"cold-{number}"
        words = ["curl", "-s", "-f", "-L", "--max-time", "300", "-w", "%{url_effective}", "-o", str(out), url]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True)
        try:
            right = done.returncode == 0 and hashlib.sha256(out.read_bytes()).hexdigest() == digest
            return right, done.stdout.startswith(above.url)
        finally:
            out.unlink(missing_ok=True)

    with ThreadPoolExecutor(COLD) as pool:
        results = list(pool.map(fetch, range(COLD)))
    took, caused = time.monotonic() - began, above.counts() - before
    good, sent, fetches = sum(g for g, _ in results), sum(s for _, s in results), caused[f"file {wheel.name}"]
    moved = caused[f"bytes {wheel.name}"] / wheel.stat().st_size
    told = f"{good} of {COLD} bodies right, {took:.2f} s; upstream fetches: {fetches}, {moved:.2f} x the bytes"
    print(f"  {running.name:<26} {told}" + (f"; {sent} of them by clients sent there" if sent else ""), flush=True)
    if running.name == "ours":
        tell("  upstream fetches of ours", fetches, 1, at_least=False, unit=" ")
        tell("  bodies of ours that were right", good, COLD, at_least=True, unit=" ")


# -- many installs


@dataclass(frozen=True)
class Locked:
    project: str
    filename: str
    sha256: str


def make_lock(folder: Path) -> list[Locked]:
    """Wheels of real form, by themselves."""
    made = []
    for number in range(PACKAGES):
        project = f"part-{number:02}"
        files: dict[str, str | bytes] = {
            f"part_{number:02}/noise.bin": os.urandom(SMALL),
            f"part_{number:02}/__init__.py": "",
        }
        filename, content = make_small_wheel(project, "1.0", files=files)
        (folder / filename).write_bytes(content)
        made.append(Locked(project, filename, hashlib.sha256(content).hexdigest()))
    return made


async def install(session: aiohttp.ClientSession, running: Running, lock: Sequence[Locked]) -> float:
    """As an installer does with an empty cache: all pages, then all wheels, checked; its longest wait for an answer."""
    links, longest = [], 0.0
    for one in lock:
        wanted, began = {"Accept": ACCEPT, "Accept-Encoding": "gzip"}, time.monotonic()
        async with session.get(running.page(one.project), headers=wanted, raise_for_status=True) as answer:
            longest = max(longest, time.monotonic() - began)
            if answer.headers.get("Content-Encoding") != "gzip":
                raise Unusable("a page that isn't compressed")
            page = json.loads(await answer.read())
            found = [file for file in page["files"] if file["filename"] == one.filename]
            if len(found) != 1 or found[0]["hashes"]["sha256"] != one.sha256:
                raise Unusable("a page without the file, or with another hash")
            links.append(urljoin(str(answer.url), found[0]["url"]))
    for one, url in zip(lock, links, strict=True):
        began = time.monotonic()
        async with session.get(url, headers={"Accept-Encoding": "identity"}, raise_for_status=True) as answer:
            longest = max(longest, time.monotonic() - began)
            if hashlib.sha256(await answer.read()).hexdigest() != one.sha256:
                raise Unusable("a wheel with wrong bytes")
    return longest


async def install_many(
    running: Running, lock: Sequence[Locked], count: int, connections: int
) -> tuple[Counter[str], list[float]]:
    """How many failed, by what they said, and the longest waits of the others; all begin at once."""
    errors: Counter[str] = Counter()
    waits: list[float] = []

    async def attempt(session: aiohttp.ClientSession) -> None:
        try:
            waits.append(await install(session, running, lock))
        except (Unusable, aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError) as error:
            errors[re.sub(r"\S*//\S+", "…", f"{type(error).__name__}: {error}")[:120]] += 1

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=60, sock_read=120)
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        await asyncio.gather(*(attempt(session) for _ in range(count)))
    return errors, waits


@contextmanager
def peak(server: Server) -> Iterator[list[int]]:
    """The most bytes that are held meanwhile, as the last of the list."""
    most, over = [server.memory()], threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            most.append(max(most[-1], server.memory()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield most
    finally:
        over.set()
        watcher.join()


def told_errors(errors: Counter[str]) -> None:
    for error, times in errors.most_common(5):
        print(f"    {times} times {error}")


def bench_installs(running: Running, above: Upstream, lock: Sequence[Locked], count: int) -> None:
    """The server was started with the limit of open files as it was; only this process, the clients, raises its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    connections = min(count, hard - 200 if hard != resource.RLIM_INFINITY else count)
    before, cpu, began = above.counts(), running.server.cpu(), time.monotonic()
    with peak(running.server) as most:
        errors, waits = asyncio.run(install_many(running, lock, count, connections))
    took, caused = time.monotonic() - began, above.counts() - before
    requests = count * len(lock) * 2
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    print(f"{count} installs at once of a lock of {len(lock)}, {connections} connections, of ours (it may open {soft})")
    wheels = sum(times for name, times in caused.items() if re.match(r"file part_\S+\.whl$", name))
    spent = (running.server.cpu() - cpu) / requests * 1000
    told = f"{requests / took:,.0f} requests a second, {spent:.2f} ms CPU of one"
    print(f"  {took:.1f} s, {told}; {wheels} upstream fetches of the {len(lock)} wheels")
    if waits:
        print(
            f"  longest wait for an answer: {max(waits):.1f} s, of half of the installs {median(waits):.1f} s at most"
        )
    told_errors(errors)
    tell("  errors", sum(errors.values()), 0, at_least=False, unit=" ")
    print(f"{'  memory, at most':<66} {most[-1] / MB:8.0f} MB", flush=True)


def bench_real_installs(running: Running, lock: Sequence[Locked], count: int, folder: Path) -> None:
    """uv's own, sixteen at a time."""
    program = uv.find_uv_bin()  # once: several threads at a time may not ask for it first
    requirements = folder / "lock.txt"
    requirements.write_text("".join(f"{one.project}==1.0 --hash=sha256:{one.sha256}\n" for one in lock))

    def attempt(number: int) -> str:
        target = folder / f"target-{number}"
        words: list[str | Path] = ["pip", "install", "--quiet", "--no-cache", "--no-config", "--require-hashes"]
        words += ["--python", sys.executable, "--default-index", f"{running.server.url}{running.index}"]
        words += ["--target", target, "--requirement", requirements]
        done = subprocess.run([program, *words], capture_output=True, text=True)
        present = len(list(target.glob("part_*-1.0.dist-info")))
        shutil.rmtree(target, ignore_errors=True)
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["uv said nothing"])[0][:120]
        return "" if present == len(lock) else f"{present} of {len(lock)} packages are there"

    began = time.monotonic()
    with peak(running.server) as most, ThreadPoolExecutor(16) as pool:
        errors = Counter(said for said in pool.map(attempt, range(count)) if said)
    took = time.monotonic() - began
    print(f"{count} of `uv pip install --no-cache --target`, 16 at a time, of ours: {took:.1f} s")
    told_errors(errors)
    tell("  errors", sum(errors.values()), 0, at_least=False, unit=" ")
    print(f"{'  memory, at most':<66} {most[-1] / MB:8.0f} MB", flush=True)


# -- all of it


@contextmanager
def sentence(name: str) -> Iterator[None]:
    """Say why a server is left out, and go on."""
    try:
        yield
    except (Unusable, OSError, subprocess.SubprocessError, KeyError, ValueError) as error:
        print(f"  {name} is left out: {type(error).__name__}: {error}", flush=True)


def alone(home: Path) -> None:
    """Nobody's settings, and no proxy: all that is started from here on talks to loopback."""
    home.mkdir()
    prefixes = ("PIP_", "UV_", "TF_TESTER_", "XDG_", "PROXPI_", "DEVPI", "GUNICORN_")
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(prefixes):
            del os.environ[name]
    os.environ |= {"HOME": str(home), "NO_PROXY": "*", "PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1"}


def main() -> None:
    if sys.argv[1:2] == ["--upstream"]:
        asyncio.run(serve_upstream(Path(sys.argv[2]), float(sys.argv[3])))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, help="a virtual environment, made if it isn't there; without: no peers")
    parser.add_argument(
        "--seconds", type=float, default=5, help="for a server's page in a round, or 32 requests; 0: no pages"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=20, help="of the wheel that eight want at once")
    parser.add_argument("--upstream-rate", type=float, default=40, help="MB a second and connection; 0: no limit")
    parser.add_argument("--installs", type=int, default=1000, help="all at once, simulated")
    parser.add_argument("--real-installs", type=int, default=0, help="of uv, 16 at a time")
    options = parser.parse_args()
    programs = make_peers(options.peers) if options.peers else None
    if programs:
        print(told_versions(programs))
    with (
        tempfile.TemporaryDirectory(prefix="index-servers-", dir=os.environ.get("TMPDIR")) as name,
        ExitStack() as stack,
    ):
        folder = Path(name)
        folder.chmod(0o755)  # nginx's worker is another user
        alone(folder / "home")
        wheels = folder / "wheels"
        wheels.mkdir()
        make_wheel(wheels / NAME, options.megabytes)
        lock = make_lock(wheels)
        above = stack.enter_context(upstream(wheels, options.upstream_rate * MB))
        try:
            mine = stack.enter_context(ours(folder, above))
        except Unusable as error:
            sys.exit(f"Ours can't be started: {error}")
        servers = [mine]
        for peer in (devpi, proxpi, pypiserver, simple_repository_server):
            if programs:
                with sentence(peer.__name__):
                    servers.append(stack.enter_context(peer(programs, folder, above)))
        if options.seconds:
            bench_pages(servers, above, folder, options.seconds, options.rounds)
        print(f"a wheel of {options.megabytes} MB that {COLD} clients want at once and the server has not")
        for running in servers:
            if running.proxy:
                with sentence(running.name):
                    bench_cold(running, above, wheels / NAME, folder)
        if options.installs:
            bench_installs(mine, above, lock, options.installs)
        if options.real_installs:
            bench_real_installs(mine, lock, options.real_installs, folder)


if __name__ == "__main__":
    main()
