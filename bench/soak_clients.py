"""What the clients of soak.py do, and what they must see."""

import hashlib
import http.client
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import psutil
import uv

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.wheels import make_wheel

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "text/html"
LONGEST_S = 60.0
"""Within which every request is to end."""
LONGEST_PRIVATE_S = 15.0
"""Likewise where no upstream is needed, whatever that does meanwhile."""
KNOWN_S = 90.0
"""After half a minute a worker looks whether another one knows more."""
PROGRAM_S = 240.0
"""Within which pip and uv are to end: they ask again and again."""
AROUND_A_KILL_S = 5.0
"""Before and after a worker is killed connections may end."""


@dataclass
class Facts:
    """What is true, and what went wrong; used by all threads."""

    folder: Path
    """Of the wheels."""
    public: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """SHA-256 of the files that the upstream has, by project and file name."""
    begun: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """Likewise of the private files of which an upload was begun."""
    confirmed: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """Likewise where it was confirmed."""
    quarantined: dict[str, float] = field(default_factory=dict)
    """Projects that are in quarantine, since when the server has known it; 0: it may not know."""
    kills: list[float] = field(default_factory=list)
    """When a worker was killed."""
    counts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    """Invariants that broke, a sentence each."""
    longest: float = 0.0
    """Seconds that the longest request took."""
    longest_private: float = 0.0
    """Likewise of requests that need no upstream."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str) -> None:
        with self.lock:
            self.counts[what] += 1

    def breaks(self, what: str) -> None:
        with self.lock:
            self.broken.append(what)
            count = len(self.broken)
        if count <= 40:
            print(f"  BROKEN: {what}", flush=True)

    def killed_lately(self, began: float) -> bool:
        """Return whether a worker was killed while something that began then went on."""
        return any(began - AROUND_A_KILL_S < one for one in self.kills)

    def make(self, project: str, version: str, size: int) -> tuple[str, str]:
        """Return name and SHA-256 of a wheel that is made now."""
        noise = os.urandom(size)
        name, content = make_wheel(project, version, files={f"{project.replace('-', '_')}/noise.bin": noise})
        (self.folder / name).write_bytes(content)
        return name, hashlib.sha256(content).hexdigest()

    def content(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


@dataclass(frozen=True)
class Got:
    """One answer."""

    status: int
    """0: the connection ended before there was one."""
    headers: Mapping[str, str]
    body: bytes
    began: float
    cut: bool
    port: int
    """Of the client's end."""


@dataclass(frozen=True)
class Place:
    """A server, and how it is asked."""

    host: str
    port: int
    process: psutil.Process
    reader: str
    uploader: str
    """Tokens."""
    everybody_reads: bool
    """Without one."""

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def index(self) -> str:
        """As pip and uv take it."""
        return f"http://__token__:{self.reader}@{self.host}:{self.port}/simple/"

    def workers(self) -> list[psutil.Process]:
        try:
            return self.process.children()
        except psutil.NoSuchProcess:
            return []

    def worker_at(self, port: int) -> int:
        """Return the process that has the other end of a connection; 0: none."""
        for worker in self.workers():
            try:
                connections = worker.net_connections("tcp")
            except psutil.Error:
                continue
            if any(one.raddr and one.raddr.port == port and one.laddr.port == self.port for one in connections):
                return worker.pid
        return 0


class Client:
    """Somebody who asks; one thread."""

    def __init__(self, place: Place, facts: Facts, number: int, seed: int) -> None:
        self._place = place
        self._facts = facts
        self._chance = random.Random(f"{seed} {number}")
        self._connection: http.client.HTTPConnection | None = None
        self._held: dict[tuple[str, str], tuple[str, bytes]] = {}
        """Tags and bodies of pages, by path and kind."""
        self._number = number
        self._uploads = 0
        self._actions: list[tuple[int, Callable[[], None]]] = [
            (45, self._public),
            (15, self._confusion),
            (8, self._upload),
            (8, self._names),
            (4, self._strange),
        ]

    def run(self, over: threading.Event) -> None:
        """Do one thing after another."""
        weights = [weight for weight, _ in self._actions]
        while not over.wait(self._chance.uniform(0.1, 1.2)):
            [(_, action)] = self._chance.choices(self._actions, weights)
            try:
                action()
            except Exception as error:  # noqa: BLE001 - whatever it is, a client must not get it
                self._facts.breaks(f"a client got {type(error).__name__}: {error}")
        self._hang_up()

    def run_programs(self, over: threading.Event) -> None:
        """Start pip and uv in turn."""
        turns = (self._pip_download, self._uv_install, self._uv_publish)
        turn = 0
        while not over.wait(self._chance.uniform(1.0, 4.0)):
            try:
                with tempfile.TemporaryDirectory(prefix="soak-client-") as folder:
                    turns[turn % len(turns)](Path(folder))
            except Exception as error:  # noqa: BLE001
                self._facts.breaks(f"a program's client got {type(error).__name__}: {error}")
            turn += 1

    def must_have(self, project: str) -> None:
        """See that a public project is there, with all of its files."""
        got, files = self._page(project)
        for name, sha256 in self._facts.public[project].items():
            if not files or files.get(name, ("",))[0] != sha256:
                self._facts.breaks(f"{name} isn't there ({got.status}), and the upstream has it and is right again")
                continue
            got = self._ask(files[name][1])
            self._compare(name, got, self._facts.content(name))
            if got.status != 200 or got.cut:
                self._facts.breaks(f"{name} can't be had ({got.status}), and the upstream has it and is right again")

    # -- the wire

    def _ask(self, path: str, *, method: str = "GET", body: bytes | None = None, **headers: str) -> Got:
        """Return the answer; some connections are kept and some not."""
        if self._connection is None or self._chance.random() < 0.3:
            self._hang_up()
            self._connection = http.client.HTTPConnection(self._place.host, self._place.port, timeout=LONGEST_S)
        told = {"Authorization": _basic(self._place.reader)} | {n.replace("_", "-"): v for n, v in headers.items()}
        private = self._is_private(path)
        connection, began = self._connection, time.monotonic()
        status, answered, came, cut, port = 0, {}, b"", False, 0
        is_new = connection.sock is None
        try:
            if is_new:
                connection.connect()
            port = connection.sock.getsockname()[1]
            connection.request(method, path, body=body, headers=told)
            response = connection.getresponse()
            status, answered = response.status, {name.lower(): value for name, value in response.getheaders()}
            came = response.read()
        except http.client.IncompleteRead as error:
            came, cut = error.partial, True
        except TimeoutError:
            self._facts.breaks(f"{path}: nothing for {LONGEST_S:g} s")
            cut = True
        except (OSError, http.client.HTTPException) as error:
            cut = True
            if status == 0 and is_new and not self._facts.killed_lately(began):
                self._facts.breaks(f"{path}: {type(error).__name__} {error} in place of an answer")
        if cut:
            self._hang_up()
        return self._judged(path, Got(status, answered, came, began, cut, port), private=private)

    def _is_private(self, path: str) -> bool:
        """Return whether a request needs no upstream."""
        parts = path.strip("/").split("/")
        return parts[0] == "private" or (len(parts) > 1 and bool(self._facts.confirmed.get(parts[1])))

    def _judged(self, path: str, got: Got, *, private: bool) -> Got:
        facts, took = self._facts, time.monotonic() - got.began
        with facts.lock:
            facts.longest = max(facts.longest, took)
            facts.longest_private = max(facts.longest_private, took if private else 0.0)
            facts.counts["requests"] += 1
            facts.counts[f"{got.status}" if got.status else "no answer"] += 1
            facts.counts["bytes"] += len(got.body)
            if got.cut:
                facts.counts["cut"] += 1
        if took > LONGEST_S + 1:
            facts.breaks(f"{path}: it took {took:.1f} s")
        if private and took > LONGEST_PRIVATE_S:
            facts.breaks(f"{path}: it took {took:.1f} s, and needs no upstream")
        if got.status == 500:
            facts.breaks(f"{path}: 500 {got.body[:200]!r}")
        if got.cut and got.status and "/files/" not in path and not facts.killed_lately(got.began):
            facts.breaks(f"{path}: cut off after {len(got.body)} bytes")
        return got

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    # -- pages

    def _page(self, project: str, at: str = "/simple/") -> tuple[Got, dict[str, tuple[str, str]] | None]:
        """Return an answer, and hash and path of each file on the page, which may be one of before (304)."""
        kind, path = self._chance.choice((JSON, HTML)), f"{at}{project}/"
        coding = self._chance.choice(("identity", "gzip")) if self._chance.random() < 0.1 else "identity"
        tag, body = self._held.get((path, kind), ("", b""))
        headers = {"If-None-Match": tag} if tag and self._chance.random() < 0.7 else {}
        got = self._ask(path, Accept=kind, Accept_Encoding=coding, **headers)
        if got.cut or got.status not in (200, 304):
            return got, None
        if got.status == 304 and not headers:
            self._facts.breaks(f"{path}: 304 where nothing was said of a tag")
            return got, None
        if got.status == 200:
            body = _unpacked(got)
            if coding == "identity":
                self._held[path, kind] = got.headers.get("etag", ""), body
        status, files = _parsed(body, kind)
        self._watch_quarantine(project, status, files, got)
        return got, {name: (sha256, urlsplit(urljoin(f"http://h{path}", url)).path) for name, sha256, url in files}

    def _watch_quarantine(self, project: str, status: str, files: Sequence[object], got: Got) -> None:
        facts = self._facts
        if status == "quarantined" and files:
            facts.breaks(f"{project} is told to be in quarantine, with {len(files)} files")
        with facts.lock:
            since = facts.quarantined.get(project)
            if status == "quarantined" and since == 0.0:
                facts.quarantined[project] = time.monotonic()
        if since and files and got.began - since > KNOWN_S and project not in facts.confirmed:
            facts.breaks(f"{project} offers files {got.began - since:.0f} s after it was known to be in quarantine")
        if since and files:
            facts.count("files of a project that another worker knew to be in quarantine")

    def _public(self) -> None:
        facts = self._facts
        with facts.lock:
            names = [name for name in facts.public if not name.startswith("corp-")]
        recent = self._chance.random() < 0.6
        project = self._chance.choice(names[-40:] if recent else names)
        before = dict(facts.public[project])
        got, files = self._page(project)
        if files is None:
            if got.status == 404:
                facts.breaks(f"{project}: 404 for a project that the upstream has always had")
            return
        for name, (sha256, _) in files.items():
            if facts.public[project].get(name) != sha256:
                facts.breaks(f"{project}: its page promises {name} with a hash that it never had")
        if not before.keys() - files.keys():
            facts.count("pages with all")
        if files:
            name = self._chance.choice(list(files))
            self._file(files[name][1], name, project)

    def _names(self) -> None:
        for at in ("/private/simple/", "/simple/"):
            known = {project for project, files in self._facts.confirmed.items() if files}
            got = self._ask(at, Accept=JSON)
            if got.cut:
                continue
            if got.status != 200:
                self._facts.breaks(f"{at}: {got.status}")
                continue
            listed = {one["name"] for one in json.loads(got.body)["projects"]}
            if known - listed:
                self._facts.breaks(f"{at} lacks {sorted(known - listed)}")
            if at == "/private/simple/" and any(not name.startswith("corp-") for name in listed):
                self._facts.breaks(f"{at} lists public projects")

    def _strange(self) -> None:
        """Ask without a token, for what isn't there, in ways that aren't HTTP's."""
        got = self._ask("/simple/hot-0/", Authorization="Basic bm9ib2R5Om5vYm9keQ==")
        if got.status not in (401, 0) and not self._place.everybody_reads:
            self._facts.breaks(f"somebody without a token got {got.status}")
        got = self._ask(f"/files/hot-0/{'0' * 64}/hot_0-1.0-py3-none-any.whl")
        if got.status not in (404, 502, 0):
            self._facts.breaks(f"a file of a wrong hash got {got.status}")
        self._ask("/simple/hot-0/", method="DELETE")
        self._hang_up()

    # -- files

    def _file(self, path: str, name: str, project: str, *, private: bool = False) -> None:
        facts, content = self._facts, self._facts.content(name)
        way = self._chance.choice(("whole", "whole", "whole", "range", "end", "tag", "HEAD", "metadata"))
        if way == "metadata":
            self._metadata(path, project)
            return
        start, end = 0, len(content)
        headers = {}
        if way == "range":
            start = self._chance.randrange(end)
            end = self._chance.randrange(start, end) + 1
            headers["Range"] = f"bytes={start}-{end - 1}"
        elif way == "end":
            start = end - self._chance.randrange(1, end)
            headers["Range"] = f"bytes=-{end - start}"
        elif way == "tag":
            headers["If-None-Match"] = f'"{path.split("/")[3]}"'
        got = self._ask(path, method="HEAD" if way == "HEAD" else "GET", **headers)
        told = f"{name} ({way})"
        if got.status == 304:
            if way != "tag":
                facts.breaks(f"{told}: 304")
        elif got.status in (200, 206) and way != "HEAD":
            if got.status == 200:
                start, end = 0, len(content)
            self._compare(told, got, content[start:end])
        elif private and not got.cut and got.status != 200:
            facts.breaks(f"{told}: a private file got {got.status} {got.body[:200]!r}")
        elif got.status == 404 and b"has no such file" in got.body:
            facts.count("404 for a file that its page had just told")

    def _compare(self, told: str, got: Got, wanted: bytes) -> None:
        facts = self._facts
        if not got.cut and got.body != wanted:
            place = next((n for n, (a, b) in enumerate(zip(got.body, wanted, strict=False)) if a != b), -1)
            facts.breaks(f"{told}: wrong from byte {place} on of {len(got.body)}; it has {len(wanted)}")
        elif not got.cut:
            facts.count("files and ranges, whole and right")
        elif not wanted.startswith(got.body):
            facts.count("cut off, with a wrong byte in what came")

    def _metadata(self, path: str, project: str) -> None:
        got = self._ask(f"{path}.metadata")
        if got.status == 200 and not got.cut and f"\nName: {project}\n".encode() not in got.body:
            self._facts.breaks(f"{path}.metadata is wrong: {got.body[:100]!r}")

    # -- private projects

    def _confusion(self) -> None:
        """Look at a name that the upstream has too, with a version 99."""
        facts = self._facts
        with facts.lock:
            project = self._chance.choice([name for name in facts.public if name.startswith("corp-")])
        self._see(project, self._chance.choice(("/simple/", "/simple/", "/private/simple/")))

    def _see(self, project: str, at: str = "/simple/", *, fetch: bool = True) -> Got | None:
        """Look at a project, and at a file of it; return the answer where it was as it must be."""
        facts = self._facts
        must = dict(facts.confirmed.get(project, {}))
        got, files = self._page(project, at)
        if not must or got.cut:
            return None
        if files is None:
            facts.breaks(f"{at}{project}/: {got.status}, and {len(must)} files of it were confirmed")
            return None
        may, wrong = facts.begun[project], False
        for name, (sha256, _) in files.items():
            if may.get(name) != sha256:
                wrong = True
                facts.breaks(f"{project} is private, and shows {name}, which nobody has uploaded")
        if missing := must.keys() - files.keys():
            wrong = True
            facts.breaks(f"{at}{project}/ lacks {sorted(missing)[:3]} ({len(missing)}), whose upload was confirmed")
        if fetch and files and not wrong:
            name = self._chance.choice(list(files))
            self._file(files[name][1], name, project, private=True)
            public = next(iter(facts.public[project].items()), None)
            if public and self._chance.random() < 0.2:
                stolen = self._ask(f"/files/{project}/{public[1]}/{public[0]}")
                if stolen.status not in (404, 0):
                    facts.breaks(f"the public file of {project} got {stolen.status}, and the name is private")
        return None if wrong else got

    def _upload(self) -> None:
        facts = self._facts
        project, name, sha256 = self._new_private()
        body, kind = _form(project, name, facts.content(name), sha256)
        got = self._ask(
            "/private/", method="POST", body=body, Content_Type=kind, Authorization=_basic(self._place.uploader)
        )
        if got.cut or got.status == 0:
            return
        if got.status != 200:
            facts.breaks(f"the upload of {name} got {got.status} {got.body[:200]!r}")
            return
        self._is_confirmed(project, name, sha256)
        before = self._place.worker_at(got.port)
        for _ in range(12):
            self._hang_up()
            again = self._see(project, fetch=False)
            if again is not None and before and self._place.worker_at(again.port) not in (0, before):
                facts.count("uploads that the other worker showed at once")
                break

    def _new_private(self) -> tuple[str, str, str]:
        facts = self._facts
        self._uploads += 1
        with facts.lock:
            names = [name for name in facts.public if name.startswith("corp-")]
            # Most go to names that are private already; a few take one that has been public so far.
            taken = [name for name in names if facts.begun.get(name)]
        project = self._chance.choice(taken if taken and self._chance.random() < 0.95 else names)
        size = self._chance.choice((5_000, 50_000, 300_000))
        name, sha256 = facts.make(project, f"1.{self._number}.{self._uploads}", size)
        with facts.lock:
            facts.begun[project][name] = sha256
        return project, name, sha256

    def _is_confirmed(self, project: str, name: str, sha256: str) -> None:
        with self._facts.lock:
            self._facts.confirmed[project] = self._facts.confirmed[project] | {name: sha256}
            self._facts.counts["uploads"] += 1

    # -- pip and uv

    def _any_project(self) -> tuple[str, bool]:
        """Return a name, and whether it is a private one."""
        facts = self._facts
        with facts.lock:
            private = [name for name, files in facts.confirmed.items() if files]
            public = [name for name in facts.public if not name.startswith("corp-")]
        is_private = bool(private) and self._chance.random() < 0.4
        return self._chance.choice(private if is_private else public[-40:]), is_private

    def _pip_download(self, folder: Path) -> None:
        project, private = self._any_project()
        words = (
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--no-cache-dir",
            "--retries",
            "1",
            "--disable-pip-version-check",
        )
        done = self._program([sys.executable, *words, "--index-url", self._place.index, "-d", "got", project], folder)
        self._installed("pip download", done, private, {one.name: one for one in folder.glob("got/*.whl")})

    def _uv_install(self, folder: Path) -> None:
        project, private = self._any_project()
        words = ("pip", "install", "--no-deps", "--no-cache", "--no-config", "--target", "got", "--index-url")
        done = self._program([uv.find_uv_bin(), *words, self._place.index, project], folder)
        found = {}
        for info in folder.glob("got/*.dist-info"):
            stem = info.name.removesuffix(".dist-info")
            found[f"{stem}-py3-none-any.whl"] = folder / "got" / stem.partition("-")[0] / "noise.bin"
        self._installed("uv pip install", done, private, found)

    def _installed(
        self, told: str, done: subprocess.CompletedProcess[str], private: bool, found: Mapping[str, Path]
    ) -> None:
        facts = self._facts
        facts.count(f"{told}: {'right' if done.returncode == 0 else 'failed'}")
        if done.returncode and private and not facts.killed_lately(time.monotonic() - PROGRAM_S):
            facts.breaks(f"{told} of a private project failed: {done.stderr[-300:]!r}")
        if done.returncode == 0 and not found:
            facts.breaks(f"{told} succeeded, and there is nothing")
        for name, file in found.items() if done.returncode == 0 else ():
            if not (facts.folder / name).exists() or file.read_bytes() not in facts.content(name):
                facts.breaks(f"{told} brought another {name}")
            if private and "-99.0-" in name:
                facts.breaks(f"{told} brought the public {name} in place of the private one")

    def _uv_publish(self, folder: Path) -> None:
        project, name, sha256 = self._new_private()
        (folder / name).write_bytes(self._facts.content(name))
        words = ("publish", "--no-config", "--publish-url", f"{self._place.url}/private/", "--token")
        began = time.monotonic()
        done = self._program([uv.find_uv_bin(), *words, self._place.uploader, name], folder)
        if done.returncode == 0:
            self._is_confirmed(project, name, sha256)
            self._facts.count("uv publish: right")
            self._see(project)
        elif not self._facts.killed_lately(began):
            self._facts.breaks(f"uv publish failed: {done.stderr[-300:]!r}")

    def _program(self, words: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
        env = {"PATH": os.defpath, "HOME": str(folder), "PIP_CONFIG_FILE": os.devnull, "NO_PROXY": "*"}
        try:
            return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=PROGRAM_S)
        except subprocess.TimeoutExpired:
            self._facts.breaks(f"{' '.join(words[1:3])} was still running after {PROGRAM_S:g} s")
            return subprocess.CompletedProcess(words, 1, "", "")


def _basic(token: str) -> str:
    return "Basic " + b64encode(f"__token__:{token}".encode()).decode()


def _unpacked(got: Got) -> bytes:
    if got.headers.get("content-encoding") != "gzip":
        return got.body
    import gzip

    return gzip.decompress(got.body)


def _parsed(body: bytes, kind: str) -> tuple[str, list[tuple[str, str, str]]]:
    """Return the status of a page, and name, SHA-256 and address of its files."""
    if kind == JSON:
        page = json.loads(body)
        files = [(one["filename"], one["hashes"]["sha256"], one["url"]) for one in page["files"]]
        return page.get("project-status", {}).get("status", "active"), files
    text = body.decode()
    status = re.search(r'name="pypi:project-status" content="([a-z]+)"', text)
    found = re.findall(r'<a href="([^"#]+)#sha256=([0-9a-f]{64})"[^>]*>([^<]+)</a>', text)
    return status[1] if status else "active", [(name, sha256, url) for url, sha256, name in found]


def _form(project: str, name: str, content: bytes, sha256: str) -> tuple[bytes, str]:
    """Return an upload as twine sends it, and its content type."""
    edge = os.urandom(16).hex()
    told = {
        ":action": "file_upload",
        "protocol_version": "1",
        "metadata_version": "2.1",
        "name": project,
        "version": name.split("-")[1],
        "filetype": "bdist_wheel",
        "pyversion": "py3",
        "sha256_digest": sha256,
    }
    parts = [f'--{edge}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in told.items()]
    head = (
        f'--{edge}\r\nContent-Disposition: form-data; name="content"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = "".join(parts).encode() + head.encode() + content + f"\r\n--{edge}--\r\n".encode()
    return body, f"multipart/form-data; boundary={edge}"
