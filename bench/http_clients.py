"""What fetching costs with aiohttp, httpx2, curl and our own transfer: CPU and wall, over loopback.

    python bench/http_clients.py [--megabytes 300] [--pages 200] [--rounds 3]

The server is a child process that only does sendfile(2), so the figures are the clients'. Each client runs in a
fresh process; what its imports cost stands apart. The best of the rounds counts. Files are written to a temporary
folder and thrown away; nothing is hashed.
"""

import argparse
import importlib.util
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PAGE_BYTES = 60_000
AT_ONCE = 8


# -- the server


def serve(file: str, size: int) -> None:
    """Answer `/file` with the file and everything else with a page, until standard input ends."""
    page = b"x" * PAGE_BYTES
    with Path(file).open("rb") as origin, socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        print(listener.getsockname()[1], flush=True)

        def answer(connection: socket.socket) -> None:
            with connection, connection.makefile("rb") as requests:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while line := requests.readline():
                    while requests.readline() not in (b"\r\n", b""):
                        pass
                    is_file = line.split()[1] == b"/file"
                    length = size if is_file else len(page)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
                    if not is_file:
                        connection.sendall(page)
                        continue
                    sent = 0
                    while sent < size:
                        sent += os.sendfile(connection.fileno(), origin.fileno(), sent, size - sent)

        def accept() -> None:
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        sys.stdin.read()


@contextmanager
def server(folder: Path, megabytes: int) -> Iterator[str]:
    """Its address."""
    file = folder / "origin"
    with file.open("wb") as target:
        for _ in range(megabytes):
            target.write(os.urandom(1_000_000))
    argv = [sys.executable, __file__, "--serve", str(file), str(megabytes * 1_000_000)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdin
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.stdin.close()


# -- the clients; each prints what it cost


def with_aiohttp(url: str, pages: int, target: Path) -> None:
    import asyncio

    import aiohttp

    async def run() -> None:
        async with aiohttp.ClientSession(auto_decompress=False, read_bufsize=1 << 18) as session:
            if not pages:
                async with session.get(f"{url}/file") as response:
                    with target.open("wb", buffering=1 << 20) as file:
                        while chunk := await response.content.readany():
                            file.write(chunk)
            places = asyncio.Semaphore(AT_ONCE)

            async def page(number: int) -> None:
                async with places, session.get(f"{url}/page/{number}") as response:
                    await response.read()

            await asyncio.gather(*(page(number) for number in range(pages)))

    measure(lambda: asyncio.run(run()))


def with_httpx2(url: str, pages: int, target: Path) -> None:
    import asyncio

    import httpx2

    async def run() -> None:
        async with httpx2.AsyncClient() as client:
            if not pages:
                async with client.stream("GET", f"{url}/file") as response:
                    with target.open("wb", buffering=1 << 20) as file:
                        async for chunk in response.aiter_raw():
                            file.write(chunk)
            places = asyncio.Semaphore(AT_ONCE)

            async def page(number: int) -> None:
                async with places:
                    await client.get(f"{url}/page/{number}")

            await asyncio.gather(*(page(number) for number in range(pages)))

    measure(lambda: asyncio.run(run()))


def with_ours(url: str, pages: int, target: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor
    from contextlib import nullcontext

    from tf_tester.model.artifact import Artifact
    from tf_tester.transfer.client import Client
    from tf_tester.transfer.fetch import Transfer
    from tf_tester.transfer.settings import ClientSettings

    class Blobs:
        """Takes everything as it comes."""

        def find(self, sha256: str) -> Path | None:
            return None

        def partial(self, sha256: str) -> Path:
            return target

        def exclusive(self, sha256: str) -> "nullcontext[None]":
            return nullcontext()

        def adopt(self, sha256: str, filename: str, source: str) -> Path:
            return target

    def run() -> None:
        with Client(ClientSettings()) as client:
            if not pages:
                artifact = Artifact("x-1.0.tar.gz", "x", "1.0", f"{url}/file", sha256="0" * 64)
                Transfer(client, Blobs(), lambda event: None).fetch(artifact)
                return
            with ThreadPoolExecutor(AT_ONCE) as pool:
                addresses = (f"{url}/page/{number}" for number in range(pages))
                list(pool.map(lambda address: client.get_page(address, accept="*/*", etag=None), addresses))

    import tf_tester.transfer.download
    import tf_tester.transfer.session  # noqa: F401

    measure(run)


def measure(work: "object") -> None:
    assert callable(work)
    imports = time.process_time()
    began = time.perf_counter()
    work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    cost = {"cpu": time.process_time() - imports, "wall": time.perf_counter() - began}
    print(json.dumps({**cost, "imports": imports, "peak": peak}))


CLIENTS = {"aiohttp": with_aiohttp, "httpx2": with_httpx2, "tf-tester": with_ours}


# -- the table


def run_client(name: str, url: str, pages: int, folder: Path) -> dict[str, float]:
    target = folder / "target"
    if name == "curl":
        return run_curl(url, pages, target)
    argv = [sys.executable, __file__, "--client", name, url, str(pages), str(target)]
    output = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout
    target.unlink(missing_ok=True)
    result: dict[str, float] = json.loads(output)
    return result


def run_curl(url: str, pages: int, target: Path) -> dict[str, float]:
    argv = ["curl", "-sS", "-o", str(target), f"{url}/file"]
    if pages:
        many = ["-Z", "--parallel-max", str(AT_ONCE), "-o", os.devnull, f"{url}/page/[1-{pages}]"]
        argv = ["curl", "-sS", "--no-progress-meter", *many]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(argv, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    target.unlink(missing_ok=True)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu": cpu, "wall": time.perf_counter() - began, "imports": 0.0, "peak": 0.0}


def available() -> list[str]:
    found = [name for name in ("aiohttp", "httpx2") if importlib.util.find_spec(name)]
    return [*found, "tf-tester", *(["curl"] if shutil.which("curl") else [])]


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of HTTP clients over loopback.")
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--client", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve[0], int(options.serve[1]))
    if options.client:
        name, url, pages, target = options.client
        return CLIENTS[name](url, int(pages), Path(target))
    with tempfile.TemporaryDirectory() as name, server(Path(name), options.megabytes) as url:
        for pages, title in (
            (0, f"one file of {options.megabytes} MB"),
            (options.pages, f"{options.pages} pages of 60 kB"),
        ):
            print(f"\n{title:26} {'CPU s':>7} {'wall s':>7} {'imports s':>10} {'peak MiB':>9}")
            for client in available():
                runs = [run_client(client, url, pages, Path(name)) for _ in range(options.rounds)]
                best = {key: min(run[key] for run in runs) for key in runs[0]}
                print(
                    f"{client:26} {best['cpu']:7.2f} {best['wall']:7.2f}"
                    f" {best['imports']:10.2f} {best['peak'] or '-':>9}"
                )
    return None


if __name__ == "__main__":
    main()
