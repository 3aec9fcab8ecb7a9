"""Our index server beside nginx: the same page, the same wheel, both warm.

    python bench/serve.py [--megabytes 400] [--requests 5000] [--rounds 5]

Needs nginx, ab (Debian: nginx-light, apache2-utils) and curl. The page has 1,761 files, as TensorFlow's has; nginx
sends our bytes of it from a file, with one worker. CPU is the servers' own. Ratios are medians of the rounds' own.
"""

import argparse
import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.request import Request, urlopen

import psutil
from mirrors import NAME, make_wheel, tell

FILES = 1761
JSON = "application/vnd.pypi.simple.v1+json"


@dataclass(frozen=True)
class Server:
    """One that runs."""

    url: str
    process: psutil.Process

    def cpu(self) -> float:
        """Seconds, its workers' included."""
        family = [self.process, *self.process.children(recursive=True)]
        return sum(sum(one.cpu_times()[:2]) for one in family)

    def memory(self) -> int:
        """Bytes that are held now."""
        return sum(one.memory_info().rss for one in (self.process, *self.process.children(recursive=True)))


def make_index(folder: Path, megabytes: int) -> None:
    """A folder that is an index: tensorflow's page, and one wheel."""
    names = [
        f"tensorflow-2.{n // 100}.{n % 100}-cp3{n % 10}-cp3{n % 10}-manylinux2014_x86_64.whl" for n in range(FILES)
    ]
    anchors = (
        f'<a href="/files/{name}#sha256={hashlib.sha256(name.encode()).hexdigest()}">{name}</a>' for name in names
    )
    (folder / "simple" / "tensorflow").mkdir(parents=True)
    (folder / "simple" / "tensorflow" / "index.html").write_text("<html><body>" + "\n".join(anchors) + "</body></html>")
    wheel = folder / NAME
    make_wheel(wheel, megabytes)
    (folder / "simple" / "ballast").mkdir()
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (folder / "simple" / "ballast" / "index.html").write_text(
        f'<html><body><a href="{wheel.as_uri()}#sha256={digest}">{NAME}</a></body></html>'
    )


@contextmanager
def ours(folder: Path) -> Iterator[Server]:
    words = ["serve", "--port", "0", "--store", str(folder / "store"), "--index-url", f"{folder.as_uri()}/simple"]
    process = subprocess.Popen([sys.executable, "-m", "tf_tester", *words], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    found = re.search(r"http://\S+?(?=/simple/)", process.stderr.readline())
    assert found is not None
    try:
        yield Server(found[0], psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait()


@contextmanager
def nginx(folder: Path) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;\n"
        "events { worker_connections 512; }\n"
        f"http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000;\n"
        f"server {{ listen 127.0.0.1:{port}; root {folder}/static; default_type {JSON}; }} }}\n"
    )
    process = subprocess.Popen(["nginx", "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield Server(f"http://127.0.0.1:{port}", psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait()


def pages(server: Server, path: str, count: int) -> tuple[float, float]:
    """Requests a second, and CPU milliseconds of one."""
    before = server.cpu()
    words = ["ab", "-q", "-k", "-n", str(count), "-c", "8", "-H", f"Accept: {JSON}", f"{server.url}{path}"]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    assert re.search(r"Failed requests:\s+0", said), said
    found = re.search(r"Requests per second:\s+([\d.]+)", said)
    assert found is not None
    return float(found[1]), (server.cpu() - before) / count * 1000


def files(server: Server, path: str, clients: int, size: int) -> tuple[float, float, int]:
    """Bytes a second, CPU seconds for a GB, and the most memory that was held."""
    before, most = server.cpu(), 0
    began = time.monotonic()

    def fetch(_: int) -> None:
        subprocess.run(["curl", "-s", "-f", "-o", os.devnull, f"{server.url}{path}"], check=True)

    with ThreadPoolExecutor(clients) as pool:
        work = [pool.submit(fetch, number) for number in range(clients)]
        while not all(one.done() for one in work):
            most = max(most, server.memory())
            time.sleep(0.02)
        for one in work:
            one.result()
    sent = size * clients
    return sent / (time.monotonic() - began), (server.cpu() - before) / sent * 1e9, most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="serve-", dir=os.environ.get("TMPDIR")) as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx's worker is another user
        make_index(folder, options.megabytes)
        size = (folder / NAME).stat().st_size
        with ours(folder) as mine, nginx(folder) as theirs:
            page = urlopen(Request(f"{mine.url}/simple/tensorflow/", headers={"Accept": JSON})).read()
            listed = urlopen(Request(f"{mine.url}/simple/ballast/", headers={"Accept": JSON})).read().decode()
            path = re.findall(r"(/files/[^\"]+)", listed)[0]
            (folder / "static").mkdir()
            (folder / "static" / "page").write_bytes(page)
            shutil.copyfile(folder / NAME, folder / "static" / "wheel")
            for server, wheel in ((mine, path), (theirs, "/wheel")):
                files(server, wheel, 1, size)  # warm: in the store, and in the system's cache
            rounds = [
                (pages(mine, "/simple/tensorflow/", options.requests), pages(theirs, "/page", options.requests))
                for _ in range(options.rounds)
            ]
            print(f"a page of {FILES} files, {len(page):,} bytes: ours {median(o[0] for o, _ in rounds):,.0f} a second")
            tell("  requests a second, over nginx's", median(o[0] / t[0] for o, t in rounds), 0.8, at_least=True)
            tell("  CPU of one, over nginx's", median(o[1] / t[1] for o, t in rounds), 2, at_least=False)
            for clients in (1, 4, 16):
                taken = [
                    (files(mine, path, clients, size), files(theirs, "/wheel", clients, size))
                    for _ in range(options.rounds)
                ]
                spent, by_nginx = median(o[1] for o, _ in taken), median(t[1] for _, t in taken)
                costs = f"CPU for a GB {spent:.2f} s, nginx {by_nginx:.2f} s"
                print(f"a wheel of {options.megabytes} MB, {clients} clients: {costs}")
                tell("  rate, over nginx's", median(o[0] / t[0] for o, t in taken), 0.9, at_least=True)
                tell("  memory", max(o[2] for o, _ in taken) / 1e6, 80, at_least=False, unit="MB")


if __name__ == "__main__":
    main()
