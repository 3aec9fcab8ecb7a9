"""A mirror of 50 projects when nothing has changed: bytes and seconds, beside bandersnatch.

    python bench/sync.py [--peers FOLDER] [--others 600000] [--rounds 5]

Needs nginx (Debian: nginx-light). The upstream is nginx, configured as `tf-tester publish --print nginx` says, with a
tree of 50 projects of 20 versions each; first its list has these alone, then 600,000 others, as the public index's has.
Bytes are counted by a relay on the way, headers included, both directions. bandersnatch is installed into a virtual
environment in FOLDER if there is none, and told to mirror just these 50. Nothing but loopback is used.
"""

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import SHUT_WR, create_connection, create_server, socket
from statistics import median
from urllib.error import URLError
from urllib.request import urlopen

import uv
from mirrors import tell

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.simulator import Simulator
from tests.wheels import make_wheel

PROJECTS = 50
VERSIONS = 20
SIZE = 50_000
"""Bytes of each wheel."""


class Relay:
    """Hands bytes on and counts them."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self.count = 0
        self.connections = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            self.connections += 1
            server = create_connection(("127.0.0.1", self._to))
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket, other: socket) -> None:
        with suppress(OSError):
            while piece := one.recv(65536):
                with self._lock:
                    self.count += len(piece)
                other.sendall(piece)
            other.shutdown(SHUT_WR)


@dataclass(frozen=True)
class Cost:
    """Of one run."""

    seconds: float
    cpu: float
    count: int
    """Bytes."""


def run(words: Sequence[str], env: Mapping[str, str], relay: Relay) -> Cost:
    before, began, cpu = relay.count, time.monotonic(), sum(os.times()[2:4])
    done = subprocess.run(words, env=env, capture_output=True, text=True)
    seconds = time.monotonic() - began
    if done.returncode:
        raise SystemExit(f"{words[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    time.sleep(0.1)  # what is on its way
    return Cost(seconds, sum(os.times()[2:4]) - cpu, relay.count - before)


def ours(*words: str) -> list[str]:
    return [sys.executable, "-m", "tf_tester", *words]


@contextmanager
def nginx(folder: Path, tree: Path, port: int) -> Iterator[None]:
    text = subprocess.run(
        ours("publish", str(tree), "--print", "nginx"), check=True, capture_output=True, text=True
    ).stdout
    user = "user root;" if os.geteuid() == 0 else ""
    head = f"daemon off; {user} worker_processes 1; pid {folder}/pid; error_log {folder}/error; events {{}}"
    (folder / "nginx.conf").write_text(
        f"{head} http {{ access_log off; {text.replace('listen 80;', f'listen 127.0.0.1:{port};')} }}"
    )
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or "nginx"
    process = subprocess.Popen([program, "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL)
    for _ in range(200):
        with suppress(URLError):
            urlopen(f"http://127.0.0.1:{port}/manifest.json").close()
            break
        time.sleep(0.02)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def make_tree(folder: Path, port: int, env: Mapping[str, str]) -> Path:
    """50 projects, as we publish them."""
    with Simulator() as index:
        for project in range(PROJECTS):
            for version in range(VERSIONS):
                noise = os.urandom(SIZE)
                index.add_wheel(*make_wheel(f"one{project}", f"1.{version}", files={"noise.bin": noise}), metadata=True)
        config = folder / "origin.toml"
        config.write_text(f"projects = {json.dumps([f'one{project}' for project in range(PROJECTS)])}\n")
        words = ["--store", str(folder / "origin"), "--index-url", index.simple_url]
        subprocess.run(ours("sync", str(config), *words), check=True, env=env, stdout=subprocess.DEVNULL)
    tree = folder / "tree"
    words = ["--store", str(folder / "origin"), "--url", f"http://127.0.0.1:{port}"]
    subprocess.run(ours("publish", str(tree), *words), check=True, env=env, stdout=subprocess.DEVNULL)
    return tree


def add_others(tree: Path, count: int) -> tuple[int, int]:
    """To the list; its bytes, plain and compressed."""
    file = tree / "current/simple/index.v1_json"
    document = json.loads(file.read_bytes())
    document["projects"] += [{"name": f"other-project-{n}", "_last-serial": 30_000_000 + n} for n in range(count)]
    plain = json.dumps(document, separators=(",", ":")).encode()
    packed = gzip.compress(plain, 6)
    for name, content in (("index.v1_json", plain), ("index.v1_json.gz", packed)):
        file.with_name(name).unlink()
        file.with_name(name).write_bytes(content)
    return len(plain), len(packed)


def bandersnatch(peers: Path) -> Path | None:
    program = peers / "bin" / "bandersnatch"
    if not program.exists():
        subprocess.run([uv.find_uv_bin(), "venv", "-q", str(peers)], check=True)
        words = [uv.find_uv_bin(), "pip", "install", "-q", "--python", str(peers / "bin" / "python"), "bandersnatch"]
        if subprocess.run(words).returncode:
            return None
    return program


def bandersnatch_words(program: Path, folder: Path, url: str) -> list[str]:
    config = folder / "bandersnatch.conf"
    names = "\n".join(f"    one{project}" for project in range(PROJECTS))
    config.write_text(
        f"[mirror]\ndirectory = {folder}/bandersnatch\nmaster = {url}\njson = true\ntimeout = 60\nworkers = 3\n"
        "hash-index = false\nstop-on-error = false\nsimple-format = ALL\napi-method = simple\n"
        "allow-non-https = true\ncompare-method = hash\nverifiers = 2\n"
        f"[plugins]\nenabled = allowlist_project\n[allowlist]\npackages =\n{names}\n"
    )
    return [str(program), "-c", str(config), "mirror"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--others", type=int, default=600_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tf-tester-bench-") as place:
        folder = Path(place)
        env = {"PATH": os.environ["PATH"], "HOME": place, "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        with create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        relay = Relay(port)
        url = f"http://127.0.0.1:{relay.port}"
        tree = make_tree(folder, relay.port, env)
        peer = bandersnatch(arguments.peers) if arguments.peers else None
        config = folder / "team.toml"
        config.write_text((folder / "origin.toml").read_text())
        words = ours("sync", str(config), "--index-url", f"{url}/simple", "--store", str(folder / "store"))
        with nginx(folder, tree, port):
            first = run(words, env, relay)
            print(f"first sync: {first.count / 1e6:.1f} MB in {first.seconds:.1f} s, {first.cpu:.1f} s of CPU")
            costs = [run(words, env, relay) for _ in range(arguments.rounds + 1)][1:]
            report("the list has these 50 alone: one request", costs)
            plain, packed = add_others(tree, arguments.others)
            print(f"the list has {arguments.others} others now: {plain / 1e6:.1f} MB, compressed {packed / 1e6:.1f} MB")
            words[-1] += "-2"
            run(words, env, relay)
            once = run(words, env, relay)
            print(f"once a day it sees that the list is too long: {once.count / 1000:.1f} kB in {once.seconds:.2f} s")
            costs = [run(words, env, relay) for _ in range(arguments.rounds)]
            report("one request for each project", costs)
            tell(
                "no-change sync of 50 projects, bytes",
                median(one.count for one in costs) / 1000,
                50,
                at_least=False,
                unit="kB",
            )
            tell(
                "no-change sync of 50 projects, seconds",
                median(one.seconds for one in costs),
                2,
                at_least=False,
                unit="s",
            )
            if peer is not None:
                theirs = bandersnatch_words(peer, folder, url)
                begun = run(theirs, env, relay)
                print(f"bandersnatch, first: {begun.count / 1e6:.1f} MB in {begun.seconds:.1f} s")
                others = [run(theirs, env, relay) for _ in range(arguments.rounds)]
                report("bandersnatch, nothing new", others)
                pairs = list(zip(others, costs, strict=True))
                tell("bandersnatch's bytes", median(a.count / b.count for a, b in pairs), 1, at_least=True)
                tell("bandersnatch's seconds", median(a.seconds / b.seconds for a, b in pairs), 1, at_least=True)


def report(told: str, costs: Sequence[Cost]) -> None:
    count, seconds, cpu = (median(getattr(one, name) for one in costs) for name in ("count", "seconds", "cpu"))
    print(f"{told}: {count / 1000:.1f} kB in {seconds:.2f} s, {cpu:.2f} s of CPU")


if __name__ == "__main__":
    main()
