"""What many mirrors are worth, and what a bad one costs: our transfer over shaped loopback links.

    python bench/mirrors.py [--megabytes 120] [--rounds 5]

Each mirror is a process of its own that sends a file at a given rate (ranges included), lies about some bytes of it, or
is dead. Clients are fresh processes. Rates and times are medians of the rounds' own ratios.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

MB = 1_000_000
NAME = "ballast-1.0-py3-none-any.whl"


# -- a mirror


def serve(file: str, rate: float, lies: bool) -> None:
    """Send the file, at so many bytes a second for each connection (0: as fast as it goes), until stdin ends.

    `lies`: one byte in four million is wrong.
    """
    content = bytearray(Path(file).read_bytes())
    for place in range(0, len(content), 4 * MB) if lies else ():
        content[place] ^= 1

    def answer(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as requests:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 256_000)
            while requests.readline():
                start, end, status = 0, len(content), "200 OK"
                while (line := requests.readline()) not in (b"\r\n", b""):
                    if match := re.match(rb"(?i)range: bytes=(\d+)-(\d*)", line):
                        start, status = int(match[1]), "206 Partial Content"
                        end = int(match[2]) + 1 if match[2] else end
                head = f"HTTP/1.1 {status}\r\nContent-Length: {end - start}\r\nContent-Type: application/zip\r\n"
                if status.startswith("206"):
                    head += f"Content-Range: bytes {start}-{end - 1}/{len(content)}\r\n"
                connection.sendall(f"{head}\r\n".encode())
                began, position = time.monotonic(), start
                while position < end:
                    piece = min(65_536, end - position)
                    connection.sendall(memoryview(content)[position : position + piece])
                    position += piece
                    if rate:
                        time.sleep(max(0.0, (position - start) / rate - (time.monotonic() - began)))

    def guarded(connection: socket.socket) -> None:
        with suppress(OSError):  # the client has heard enough
            answer(connection)

    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        print(listener.getsockname()[1], flush=True)

        def accept() -> None:
            while True:
                threading.Thread(target=guarded, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        sys.stdin.read()


@dataclass(frozen=True)
class Mirror:
    """How one behaves."""

    name: str
    rate: float = 0.0
    lies: bool = False
    dead: bool = False
    proven: bool = True
    reserve: bool = False


@contextmanager
def running(file: Path, mirror: Mirror) -> Iterator[str]:
    """Its address."""
    if mirror.dead:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        yield f"http://127.0.0.1:{port}/{NAME}"
        return
    argv = [sys.executable, __file__, "--serve", str(file), str(mirror.rate), str(int(mirror.lies))]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdin
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/{NAME}"
        process.stdin.close()


# -- clients


@dataclass(frozen=True)
class Cost:
    wall: float
    """Seconds; of ours from the call to the verified file in the store, of others the whole process."""
    cpu: float
    """Of the whole process."""
    received: int = 0
    liars: tuple[str, ...] = ()


class Bench:
    """A file, and what it costs to fetch it."""

    def __init__(self, folder: Path, megabytes: int, rounds: int) -> None:
        self.folder = folder
        self.rounds = rounds
        self.file = folder / NAME
        make_wheel(self.file, megabytes)
        self.size = self.file.stat().st_size
        self.sha256 = hashlib.sha256(self.file.read_bytes()).hexdigest()

    def ours(self, mirrors: Sequence[Mirror]) -> Cost:
        store = self.folder / "store"
        with ExitStack() as stack:
            urls = [stack.enter_context(running(self.file, mirror)) for mirror in mirrors]
            words = [f"{m.name}|{int(m.proven)}|{int(m.reserve)}|{url}" for m, url in zip(mirrors, urls, strict=True)]
            said, _, cpu = run(
                [
                    sys.executable,
                    str(Path(__file__).with_name("fetch.py")),
                    str(store),
                    self.sha256,
                    str(self.size),
                    *words,
                ]
            )
        shutil.rmtree(store)
        wall, received, liars = json.loads(said)
        return Cost(wall, cpu, received, tuple(liars))

    def curl(self, mirror: Mirror) -> Cost:
        with running(self.file, mirror) as url:
            _, wall, cpu = run(["curl", "--silent", "--fail", "--output", str(self.folder / "curl"), url])
        return Cost(wall, cpu)

    def pip(self, mirror: Mirror) -> Cost:
        out = self.folder / "pip"
        with running(self.file, mirror) as url:
            words = [
                "download",
                "--quiet",
                "--no-deps",
                "--no-cache-dir",
                "--disable-pip-version-check",
                "-d",
                str(out),
            ]
            _, wall, cpu = run([sys.executable, "-m", "pip", *words, f"{url}#sha256={self.sha256}"])
        shutil.rmtree(out)
        return Cost(wall, cpu)


def run(command: Sequence[str]) -> tuple[str, float, float]:
    """What it printed, its wall and its CPU seconds."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return said, time.monotonic() - began, usage.ru_utime + usage.ru_stime


def make_wheel(file: Path, megabytes: int) -> None:
    """A real one, of incompressible bytes."""
    members = {
        "ballast/noise.bin": os.urandom(megabytes * MB),
        "ballast-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: ballast\nVersion: 1.0\n",
        "ballast-1.0.dist-info/WHEEL": (
            b"Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    rows = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b'=').decode()},{len(content)}\n"
        for name, content in members.items()
    )
    record = "ballast-1.0.dist-info/RECORD"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in {**members, record: f"{rows}{record},,\n".encode()}.items():
            archive.writestr(name, content)


# -- the benches


def tell(figure: str, value: float, target: float, *, at_least: bool, unit: str = "x") -> None:
    met = value >= target if at_least else value <= target
    print(f"{figure:<66} {value:8.2f} {unit}   {'>=' if at_least else '<='} {target:g}   {'met' if met else 'NOT MET'}")


def one_link(bench: Bench, rate: float) -> None:
    """Our rate against curl's, hashing and syncing included; our CPU against pip's."""
    link = Mirror("m", rate)
    rounds = [(bench.ours([link]), bench.curl(link), bench.pip(link)) for _ in range(bench.rounds)]
    named = f"{rate / MB:g} MB/s" if rate else "as fast as it goes"
    costs = {name: [each[place] for each in rounds] for place, name in enumerate(("ours", "curl", "pip"))}
    told = (
        f"{n} {median(c.wall for c in cost):.2f} s, {median(c.cpu for c in cost):.2f} CPU" for n, cost in costs.items()
    )
    print(f"one link, {named}: {'; '.join(told)}")
    tell("  curl's time over ours", median(c.wall / o.wall for o, c, _ in rounds), 0.95, at_least=True)
    tell("  our CPU over pip's", median(o.cpu / p.cpu for o, _, p in rounds), 1, at_least=False)


def four_links(bench: Bench) -> None:
    four = [Mirror(f"m{number}", 10 * MB) for number in range(4)]
    rounds = [(bench.ours(four[:1]), bench.ours(four)) for _ in range(bench.rounds)]
    tell("four mirrors of 10 MB/s over one", median(one.wall / all_.wall for one, all_ in rounds), 3.8, at_least=True)


def bad_company(bench: Bench, *, proven: bool) -> None:
    """A dead, a slow and a lying mirror beside a good one, against the slow and the good one alone.

    The authority is there as well, as it is in every download: a reserve where a mirror was right before, else one that
    runs with the others.
    """
    slow, good = Mirror("slow", 2 * MB, proven=proven), Mirror("good", 10 * MB, proven=proven)
    liar = Mirror("liar", 10 * MB, lies=True, proven=False)
    authority = Mirror("authority", 5 * MB, reserve=proven)
    honest = [slow, good, authority]
    whole = [Mirror("dead", dead=True, proven=False), slow, liar, good, authority]
    rounds = [(bench.ours(honest), bench.ours(whole)) for _ in range(bench.rounds)]
    print(f"dead, slow (2 MB/s), lying, good (10 MB/s); the honest {'proven' if proven else 'new'}; authority 5 MB/s")
    tell("  time over that of the honest alone", median(w.wall / h.wall for h, w in rounds), 1.15, at_least=False)
    tell("  bytes over the file's", median(w.received / bench.size for _, w in rounds), 1.34, at_least=False)
    named = sum(w.liars == ("liar",) for _, w in rounds)
    tell("  rounds in which just the liar was named", named / len(rounds), 1, at_least=True, unit=" ")


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], float(sys.argv[3]), sys.argv[4] == "1")
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mirrors-") as name:
        bench = Bench(Path(name), options.megabytes, options.rounds)
        one_link(bench, 50 * MB)
        one_link(bench, 0)
        four_links(bench)
        bad_company(bench, proven=True)
        bad_company(bench, proven=False)


if __name__ == "__main__":
    main()
