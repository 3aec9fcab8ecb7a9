"""Kill a download at random moments, start it again, and see that nothing is lost and nothing wrong is kept.

    python bench/kills.py [--kills 200] [--honest] [--seed 1]

`tf-tester download` brings three wheels from three slow mirrors, of which one lies (not with --honest), into a new
store; it is killed (SIGKILL) at a random moment and started again until all are there, then all begins anew, until it
was killed so often.
After each death: every file in the store has its hash, and what was written down of the others is no less than before
(but for parts that were found wrong). Of a file that has its name not one byte is asked for again.
"""

import argparse
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.simulator import Lie, Simulator, Slow
from tests.wheels import make_wheel

VERSIONS = ("1.0", "1.1", "2.0")
RATE = 4_000_000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--honest", action="store_true", help="no mirror lies")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    dice = random.Random(options.seed)
    wheels = {
        version: make_wheel("toy", version, files={"toy.bin": dice.randbytes(9_000_000), "toy.py": ""})
        for version in VERSIONS
    }
    kills = finished = over_the_wire = wanted = 0
    moments = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        index, *mirrors = [stack.enter_context(Simulator()) for _ in range(4)]
        for server in (index, *mirrors):
            for name, content in wheels.values():
                server.add_wheel(name, content, upload_time="2024-01-01T00:00:00Z")
                server.fault(name, Slow(bytes_per_second=RATE, piece=50_000))
        for name, _ in wheels.values() if not options.honest else ():
            mirrors[0].fault(name, Lie(at=7))
        words = [sys.executable, "-m", "tf_tester", "download", "--package", "toy", "--versions", ",".join(VERSIONS)]
        words += ["--index-url", index.simple_url, "--store", str(folder / "store"), "-d", str(folder / "wheels")]
        words += [word for mirror in mirrors for word in ("--mirror", mirror.simple_url)]
        while kills < options.kills:
            for server in (index, *mirrors):
                server.forget_counts()
            deaths = _until_it_is_there(words, folder, wheels, dice, (index, *mirrors), moments)
            kills, finished = kills + deaths, finished + 1
            sent = sum(server.bytes_sent[name] for server in (index, *mirrors) for name, _ in wheels.values())
            over_the_wire, wanted = over_the_wire + sent, wanted + sum(len(content) for _, content in wheels.values())
            shutil.rmtree(folder / "store")
            shutil.rmtree(folder / "wheels")
    print(f"{kills} kills, {min(moments):.2f} to {max(moments):.2f} s after the start; {finished} times all was there")
    company = "all honest" if options.honest else "one of three lying"
    print(f"sent by the mirrors ({company}): {over_the_wire / wanted:.2f} x what was wanted")
    print("no wrong file in the store, and nothing of a file that had its name was asked for again")


def _until_it_is_there(
    words: list[str],
    folder: Path,
    wheels: dict[str, tuple[str, bytes]],
    dice: random.Random,
    servers: tuple[Simulator, ...],
    moments: list[float],
) -> int:
    """How often it died before."""
    deaths = 0
    digests = {hashlib.sha256(content).hexdigest(): name for name, content in wheels.values()}
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(folder)}
    while True:
        there = {path.name for path in (folder / "store" / "blobs").glob("*/*")}
        before = {name: sum(server.requests[name] for server in servers) for name in digests.values()}
        process = subprocess.Popen(words, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        moment = dice.uniform(0.3, 1.6)
        try:
            code = process.wait(timeout=moment)
            assert code == 0, code
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            deaths += 1
            moments.append(moment)
            code = None
        time.sleep(0.05)  # what the servers have begun to send
        for path in (folder / "store" / "blobs").glob("*/*"):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name, path
        for digest in there:
            assert sum(server.requests[digests[digest]] for server in servers) == before[digests[digest]], digest
        for wheel in (folder / "wheels").glob("*.whl"):
            assert hashlib.sha256(wheel.read_bytes()).hexdigest() in digests, wheel
        if code == 0:
            assert len(list((folder / "wheels").glob("*.whl"))) == len(wheels)
            return deaths


if __name__ == "__main__":
    main()
