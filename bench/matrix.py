"""What a run costs, against the shell loop it replaces and against the floor.

python bench/matrix.py overhead|loop|together|memory [--store FOLDER]
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

TOOL = [sys.executable, "-m", "tf_tester"]
SCRIPT = """
import os, tempfile
import tensorflow as tf
assert float(tf.add(1.0, 2.0)) == 3.0
module = tf.Module()
module.double = tf.function(lambda x: 2 * x, input_signature=[tf.TensorSpec([None], tf.float32)])
tf.saved_model.save(module, os.path.join(tempfile.mkdtemp(), "module"))
"""
VERSIONS = ("2.8.0", "2.9.3", "2.10.1")
"""The three of which FACTS of other runners were taken, all on Python 3.10."""


def cost(command: Sequence[str], *, cwd: Path, env: dict[str, str]) -> tuple[float, float]:
    """Wall and CPU seconds of a command and all it waited for."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, cwd=cwd, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def overhead(folder: Path, env: dict[str, str]) -> None:
    """A trivial script in a warm cell of a tiny package, against the same interpreter running it bare."""
    from tests.simulator import Simulator
    from tests.wheels import make_wheel

    (folder / "check.py").write_text("import toy\n")
    (folder / "toy.py").write_text("")
    with Simulator() as index:
        for number in range(10):
            index.add_wheel(*make_wheel("toy", f"1.{number}"), upload_time="2020-01-01T00:00:00Z")
        env |= {"TF_TESTER_INDEX_URL": index.simple_url, "TF_TESTER_PYTHON": sys.executable}
        runs: dict[int, float] = {}
        for cells in (1, 10):
            versions = ",".join(f"1.{number}" for number in range(cells))
            command = [
                *TOOL,
                "test",
                "check.py",
                "--package",
                "toy",
                "--versions",
                versions,
                "--jobs",
                "1",
                "--no-cache",
            ]
            cost(command, cwd=folder, env=env)
            runs[cells] = median(cost(command, cwd=folder, env=env)[1] for _ in range(5))
    bare = median(cost([sys.executable, "check.py"], cwd=folder, env=env)[1] for _ in range(11))
    a_cell = (runs[10] - runs[1]) / 9
    print(f"bare script                       {bare * 1000:7.1f} ms CPU")
    print(f"one warm cell, start-up included  {runs[1] * 1000:7.1f} ms CPU")
    print(f"each further warm cell            {a_cell * 1000:7.1f} ms CPU  (script and environment included)")
    print(f"ours beyond the bare script       {(a_cell - bare) * 1000:7.1f} ms CPU a cell; target 300")


def loop(folder: Path, env: dict[str, str]) -> None:
    """Three TensorFlow versions on Python 3.10, warm, against the loop that people write today."""
    (folder / "check.py").write_text(SCRIPT)
    versions = ",".join(VERSIONS)
    ours = [*TOOL, "test", "check.py", "--versions", versions, "--python", "3.10", "--jobs", "1", "--no-cache"]
    cost(ours, cwd=folder, env=env)
    lines = [
        f"{python_310()} -m venv env && env/bin/python -m pip install --quiet --no-index --no-deps "
        f"--find-links wheels -r {version}.txt && env/bin/python check.py && rm -rf env"
        for version in VERSIONS
    ]
    wheels_of_last_run(folder, Path(env["TF_TESTER_STORE"]))
    theirs = ["sh", "-ec", "\n".join(lines)]
    pairs = [(cost(ours, cwd=folder, env=env), cost(theirs, cwd=folder, env=env)) for _ in range(3)]
    for what, part in (("wall", 0), ("CPU", 1)):
        mine, loops = median(p[0][part] for p in pairs), median(p[1][part] for p in pairs)
        print(f"{what:5} tf-tester {mine:6.1f} s   shell loop {loops:6.1f} s   ratio {loops / mine:4.1f} x; target 5")


def together(folder: Path, env: dict[str, str]) -> None:
    """Three cold versions in one command against three commands, each with a store of its own."""
    (folder / "check.py").write_text(SCRIPT)
    common = [*TOOL, "test", "check.py", "--python", "3.10", "--package", "tensorflow-cpu"]

    def cold(commands: Sequence[Sequence[str]]) -> float:
        store = Path(tempfile.mkdtemp(dir=folder))
        try:
            fresh = {**env, "TF_TESTER_STORE": str(store)}
            return sum(cost(command, cwd=folder, env=fresh)[0] for command in commands)
        finally:
            shutil.rmtree(store, ignore_errors=True)

    cold([[*common, "--versions", VERSIONS[0]]])  # the index's own caches
    ratios = []
    for _ in range(3):
        at_once = cold([[*common, "--versions", ",".join(VERSIONS)]])
        in_turn = cold([[*common, "--versions", version] for version in VERSIONS])
        ratios.append(at_once / in_turn)
        print(f"at once {at_once:5.1f} s   one after another {in_turn:5.1f} s   ratio {at_once / in_turn:.2f}")
    print(f"median ratio {median(ratios):.2f}; target 0.80")


def memory(folder: Path, env: dict[str, str]) -> None:
    """Peak resident memory of the coordinator while five 500 MB wheels come from a local index."""
    size = 500_000_000
    served = folder / "served"
    served.mkdir()
    page = []
    for number in range(5):
        name = f"toy-{number}.0-py3-none-any.whl"
        path = served / name
        import hashlib
        import zipfile

        with zipfile.ZipFile(path, "w") as archive:
            with archive.open("toy.bin", "w", force_zip64=True) as member:
                for _ in range(size // 1_000_000):
                    member.write(os.urandom(1_000_000))
            archive.writestr(
                f"toy-{number}.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: toy\nVersion: {number}.0\n"
            )
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        page.append(f'<a href="/{name}#sha256={digest}">{name}</a>')
    (served / "simple" / "toy").mkdir(parents=True)
    (served / "simple" / "toy" / "index.html").write_text(f"<!DOCTYPE html><html><body>{''.join(page)}</body></html>")
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(served)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        port = server.stdout.readline().split(" port ")[1].split()[0]
        env |= {"TF_TESTER_INDEX_URL": f"http://127.0.0.1:{port}/simple"}
        words = ["download", "--package", "toy", "--versions", "all", "--no-deps", "-d", str(folder / "wheels")]
        peaks = []
        process = subprocess.Popen([*TOOL, *words], env=env, cwd=folder, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            peaks.append(high_water(process.pid))
            time.sleep(0.05)
        assert process.returncode == 0
        print(f"peak of the coordinator {max(peaks) / 1024:.0f} MB while 5 x 500 MB arrived; target 150")
    finally:
        server.terminate()
        server.wait()


def high_water(pid: int) -> int:
    """Peak resident KiB so far."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


def wheels_of_last_run(folder: Path, store: Path) -> None:
    """The wheels and pinned requirements of the last run's locks, for pip."""
    wheels = folder / "wheels"
    wheels.mkdir(exist_ok=True)
    last = max((store / "runs").iterdir())
    for lock_file in last.glob("cells/*/lock.json"):
        pins = json.loads(lock_file.read_text())["pins"]
        for pin in pins:
            target = wheels / pin["filename"]
            if not target.exists():
                shutil.copyfile(store / "blobs" / pin["sha256"][:2] / pin["sha256"], target)
        version = next(pin["version"] for pin in pins if pin["name"] == "tensorflow")
        (folder / f"{version}.txt").write_text("".join(f"{pin['name']}=={pin['version']}\n" for pin in pins))


def python_310() -> str:
    from tf_tester.env.installer import PythonInstaller
    from tf_tester.env.interpreters import FoundInterpreters, NoMemory

    found, _ = FoundInterpreters((), NoMemory(), PythonInstaller(Path), os.environ).find()
    return str(next(interpreter.path for interpreter in found if interpreter.label == "3.10"))


def main() -> None:
    benches: dict[str, Callable[[Path, dict[str, str]], None]] = {
        "overhead": overhead,
        "loop": loop,
        "together": together,
        "memory": memory,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bench", choices=benches)
    parser.add_argument("--store", type=Path, help="a store that may be used and is kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        store = options.store or Path(name) / "store"
        benches[options.bench](Path(name), {**os.environ, "TF_TESTER_STORE": str(store)})


if __name__ == "__main__":
    main()
