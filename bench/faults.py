"""What pip, uv and tf-tester make of an index that lies, stalls, cuts off …: the table of docs/reference/faults.md.

    python bench/faults.py [--only NAME] [--limit 150] [--write docs/reference/faults.md]

Each client is asked for `toy` 1.0 with its default settings, an empty cache and an empty home: once from an index with
the fault alone, once with a good index besides (pip: the bad one as `--extra-index-url`, which it takes of two that are
the same; uv: the bad one as `--index` before its `--default-index`; tf-tester: as `--mirror` of the good one).
All are started at once, a few at a time.
"""

import argparse
import datetime
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext

sys.path.insert(0, str(Path(__file__).parent.parent))
import trustme
from tests.simulator import (
    Bomb,
    Cut,
    Fault,
    Lie,
    Longer,
    Portal,
    Raw,
    Redirect,
    Silent,
    Simulator,
    Slow,
    Stall,
    Status,
)
from tests.wheels import make_wheel

SOURCE = "ORIGIN = 'right'\n"
NAME, CONTENT = make_wheel("toy", "1.0", files={"toy.py": SOURCE, "toy_data.bin": os.urandom(600_000)})
DATE = "2022-01-01T00:00:00Z"
HALF = len(CONTENT) // 2


@dataclass(frozen=True)
class Case:
    """One way to go wrong."""

    told: str
    page: tuple[Fault, ...] = ()
    file: tuple[Fault, ...] = ()
    times: int | None = None
    tls: str = ""
    alone: bool = True
    """Whether it can be asked alone at all."""
    prepare: Callable[[Simulator], None] | None = field(default=None, compare=False)


def _url_of_a_file(index: Simulator) -> None:
    index._files[NAME].page_fields["url"] = "file:///etc/hostname"


def _name_outside(index: Simulator) -> None:
    index._files[NAME].page_fields["filename"] = "../../toy-1.0-py3-none-any.whl"


def _without_the_file(index: Simulator) -> None:
    del index._files[NAME]
    index.add_wheel(*make_wheel("toy", "0.9"), upload_time=DATE)


TWO_LENGTHS = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\nContent-Type: text/html\r\n\r\nhello!"
BOTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"

CASES = [
    Case("nothing is wrong"),
    Case("one byte of the file is wrong", file=(Lie(at=HALF),)),
    Case("one byte is wrong the first time", file=(Lie(at=HALF),), times=1),
    Case("the file is cut off in the middle, each time", file=(Cut(after=HALF),)),
    Case("… the first time", file=(Cut(after=HALF),), times=1),
    Case("… reset by TCP, the first three times", file=(Cut(after=HALF, reset=True),), times=3),
    Case("the file stalls in the middle", file=(Stall(after=HALF),)),
    Case("the page stalls", page=(Stall(),)),
    Case("the file drips, a byte a second", file=(Slow(bytes_per_second=1, piece=1),)),
    Case("more bytes than promised", file=(Longer(),)),
    Case("no answer to the page, the connection is closed", page=(Silent(),)),
    Case("403 for the file", file=(Status(403),)),
    Case("404 for the file", file=(Status(404),)),
    Case("404 for the page", page=(Status(404),)),
    Case("429 with `Retry-After: 999999`", file=(Status(429, "999999"),)),
    Case("503 for the page", page=(Status(503),)),
    Case("503 for the file, twice", file=(Status(503),), times=2),
    Case("a login page (200) for the page", page=(Portal(),)),
    Case("a login page (200) for the file", file=(Portal(),)),
    Case("the file is redirected to `file:///`", file=(Redirect("file:///etc/hostname"),)),
    Case("the page names a `file:///` address", prepare=_url_of_a_file),
    Case("the page names a file outside", prepare=_name_outside),
    Case("a redirect to itself", file=(Redirect(f"/files/{NAME}"),)),
    Case("the page unpacks to 4 GB", page=(Bomb(4 << 30),)),
    Case("two Content-Lengths", page=(Raw(TWO_LENGTHS),)),
    Case("Content-Length and chunks", page=(Raw(BOTH),)),
    Case("yesterday's page: the file isn't listed", prepare=_without_the_file),
    Case("a certificate of nobody's", tls="unknown"),
    Case("a certificate that is over", tls="over"),
    Case("a certificate of another host", tls="other"),
]


class Certificates:
    """One authority that the clients trust, and what it and others have issued."""

    def __init__(self, folder: Path) -> None:
        trusted, unknown = trustme.CA(), trustme.CA()
        self.bundle = folder / "ca.pem"
        trusted.cert_pem.write_to_path(str(self.bundle))
        past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        self._issued = {
            "good": trusted.issue_cert("127.0.0.1"),
            "unknown": unknown.issue_cert("127.0.0.1"),
            "over": trusted.issue_cert("127.0.0.1", not_before=past, not_after=past.replace(year=2021)),
            "other": trusted.issue_cert("elsewhere.example"),
        }

    def context(self, kind: str) -> SSLContext:
        context = SSLContext(PROTOCOL_TLS_SERVER)
        self._issued[kind].configure_cert(context)
        return context


def pip(bad: str, good: str | None, folder: Path) -> list[str]:
    # Of two that list the same file pip takes the extra one's.
    indexes = ["--index-url", good, "--extra-index-url", bad] if good else ["--index-url", bad]
    return [sys.executable, "-m", "pip", "download", "--no-deps", "-d", str(folder), *indexes, "toy==1.0"]


def uv(bad: str, good: str | None, folder: Path) -> list[str]:
    more = ["--index", bad, "--default-index", good] if good else ["--default-index", bad]
    words = ["pip", "install", "--no-deps", "--target", str(folder), "--python", sys.executable]
    return [sys.executable, "-m", "uv", *words, *more, "toy==1.0"]


def ours(bad: str, good: str | None, folder: Path) -> list[str]:
    indexes = ["--index-url", good, "--mirror", bad] if good else ["--index-url", bad]
    words = ["download", "--package", "toy", "--versions", "1.0", "-d", str(folder)]
    return [sys.executable, "-m", "tf_tester", *words, *indexes]


CLIENTS = {"pip": pip, "uv": uv, "tf-tester": ours}


def verdict(case: Case, client: str, second: bool, certificates: Certificates, limit: float) -> str:
    """What came of one case, in a few words."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        tls = certificates.context(case.tls) if case.tls else None
        bad, good = stack.enter_context(Simulator(tls=tls)), stack.enter_context(Simulator())
        for index in (bad, good):
            index.add_wheel(NAME, CONTENT, upload_time=DATE)
        for faults, name in ((case.page, "toy"), (case.file, NAME)):
            for fault in faults:
                bad.fault(name, fault, times=case.times)
        if case.prepare is not None:
            case.prepare(bad)
        folder = home / "got"
        command = CLIENTS[client](bad.simple_url, good.simple_url if second else None, folder)
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONPATH": str(Path(__file__).parent.parent / "src") if client == "tf-tester" else "",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_CONFIG_FILE": os.devnull,
            "UV_NO_CONFIG": "1",
            "SSL_CERT_FILE": str(certificates.bundle),
            "REQUESTS_CA_BUNDLE": str(certificates.bundle),
        }
        began = time.monotonic()
        process = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            said, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return "**hangs**"
        took = time.monotonic() - began
        if process.returncode == 0:
            return "right" if right(folder) else "**wrong file**"
        slow = f", {took:.0f} s" if took > 20 else ""
        if "Traceback" in said:
            return f"**traceback**{slow}"
        return f"error{slow}"


def right(folder: Path) -> bool:
    wheel = folder / NAME
    if wheel.exists():
        return wheel.read_bytes() == CONTENT
    module = folder / "toy.py"
    return module.exists() and module.read_text() == SOURCE


def table(cases: Sequence[Case], limit: float) -> str:
    head = "| the index … | " + " | ".join(f"{client}{more}" for client in CLIENTS for more in ("", " + a good one"))
    lines = [f"{head} |", "|---" * (1 + 2 * len(CLIENTS)) + "|"]
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(8) as pool:
        certificates = Certificates(Path(name))
        jobs = [
            [
                pool.submit(verdict, case, client, second, certificates, limit)
                for client in CLIENTS
                for second in (False, True)
            ]
            for case in cases
        ]
        for case, row in zip(cases, jobs, strict=True):
            lines.append(f"| {case.told} | {' | '.join(job.result() for job in row)} |")
            print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def versions() -> str:
    said = []
    for words in (["-m", "pip", "--version"], ["-m", "uv", "--version"]):
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
        said.append(" ".join(done.stdout.split()[:2]))
    return " and ".join(said)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("--limit", type=float, default=150)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    cases = [case for case in CASES if options.only in case.told]
    made = table(cases, options.limit)
    if options.write is not None:
        text = options.write.read_text()
        begin, end = text.index("| the index …"), text.index("\n\n", text.index("| the index …"))
        text = text[:begin] + made.rstrip("\n") + text[end:]
        options.write.write_text(text)
        print(f"{versions()}; written to {options.write}")


if __name__ == "__main__":
    assert shutil.which("sh")
    main()
