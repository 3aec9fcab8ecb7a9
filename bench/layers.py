"""What it costs to unpack and compile the wheels of one lock, cold, against `uv pip install --compile-bytecode`.

    tf-tester download --with-deps --versions 2.8.0 --python 3.10 -d wheels
    python bench/layers.py wheels [--python 3.10] [--runs 5]

Both start from the same folder of wheels on the same disk, in turn, and the system's cache of files is left as it is.
Before each run ours loses its layers, uv its cache and its environment, nothing else. uv neither checks RECORD nor
waits for the disk; `+ sync` is what it costs to have its bytes there, which is part of ours.
"""

import argparse
import hashlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from uv import find_uv_bin

from tf_tester.env.installer import PythonInstaller
from tf_tester.env.interpreters import FoundInterpreters, NoMemory
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.store.folder import StoreFolder, sync_tree
from tf_tester.store.layers import LayerStore

COMPILER = Path(__file__).parents[1] / "src/tf_tester/harness/compile_layer.py"
AT_ONCE = 8
"""Layers that a run asks for at the same time."""


@dataclass(frozen=True)
class Cost:
    """Of one run, in seconds; CPU of it and all it started."""

    wall: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", type=Path)
    parser.add_argument("--python", default="3.10", help="of which the wheels are")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--make-into", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--executable", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    wheels = sorted(options.wheels.absolute().glob("*.whl"))
    if options.make_into is not None:
        # Finding all Pythons of the machine is no part of what is measured.
        minor = options.python.removeprefix("cpython-3")
        python = Interpreter(options.executable, f"3.{minor}.0", "cpython", f"cp3{minor}", 64, options.python)
        make_layers(options.make_into, wheels, python)
        return
    python = interpreter(options.python)
    with tempfile.TemporaryDirectory(dir=options.wheels.absolute().parent, prefix="bench-") as name:
        compare(Path(name), wheels, python, options)


def compare(folder: Path, wheels: Sequence[Path], python: Interpreter, options: argparse.Namespace) -> None:
    print(f"{len(wheels)} wheels, {sum(wheel.stat().st_size for wheel in wheels) / 1e6:.0f} MB, {os.cpu_count()} cores")
    runs = [(ours(folder, wheels, python), *uvs(folder, wheels, python)) for _ in range(options.runs)]
    mine, theirs, synced = ([run[part] for run in runs] for part in range(3))
    print("            ours      uv   ratio   uv + sync   ratio   (medians; below 1: ours is faster)")
    for what in ("wall", "cpu"):
        one, other, durable = (median(getattr(cost, what) for cost in costs) for costs in (mine, theirs, synced))
        print(f"{what:5} {one:8.1f} s {other:6.1f} s  {one / other:5.2f}   {durable:7.1f} s  {one / durable:6.2f}")
    paired = median(run[0].cpu / run[1].cpu for run in runs)
    print(f"CPU, median of the {len(runs)} ratios: {paired:.2f}; target 1.00")
    times = [warm(folder / "store", wheels, python) for _ in range(5)]
    print(f"warm: all {len(wheels)} layers known, one thread: {median(times) * 1000:.1f} ms CPU; target 15")


def ours(folder: Path, wheels: Sequence[Path], python: Interpreter) -> Cost:
    fresh(folder / "store")
    command = [sys.executable, __file__, str(wheels[0].parent), "--make-into", str(folder / "store")]
    return cost([*command, "--executable", str(python.path), "--python", python.cache_tag])


def uvs(folder: Path, wheels: Sequence[Path], python: Interpreter) -> tuple[Cost, Cost]:
    """Without and with the wait for the disk."""
    fresh(folder / "uv")
    common = [find_uv_bin(), "--quiet", "--no-config", "--offline", "--cache-dir"]
    environment = folder / "uv" / "environment"
    cost([*common, str(folder / "uv" / "other"), "venv", "--python", str(python.path), str(environment)])
    names = ["==".join(wheel.name.split("-")[:2]) for wheel in wheels]
    words = ["pip", "install", "--no-index", "--no-deps", "--compile-bytecode", "--find-links", str(wheels[0].parent)]
    install = cost([*common, str(folder / "uv" / "cache"), *words, "--python", str(environment), *names])
    started = time.monotonic()
    sync_tree(folder / "uv")
    return install, Cost(install.wall + time.monotonic() - started, install.cpu)


def warm(store: Path, wheels: Sequence[Path], python: Interpreter) -> float:
    """CPU seconds for what a new process asks first."""
    layers = LayerStore(StoreFolder(store), store, cpus=1, compiler=COMPILER)
    digests = [(wheel, digest(wheel)) for wheel in wheels]
    started = time.process_time()
    for wheel, sha256 in digests:
        layers.layer(wheel.name, sha256, wheel, python)
    return time.process_time() - started


def make_layers(store: Path, wheels: Sequence[Path], python: Interpreter) -> None:
    """Ask for them as a run does."""
    folder = StoreFolder(store)
    folder.open()
    with folder.workplace() as workplace, ThreadPoolExecutor(AT_ONCE) as pool:
        layers = LayerStore(folder, workplace, cpus=os.cpu_count() or 1, compiler=COMPILER)
        list(pool.map(lambda wheel: layers.layer(wheel.name, digest(wheel), wheel, python), wheels))


def digest(wheel: Path) -> str:
    """As good as the SHA-256, which a run knows from the lock."""
    return hashlib.sha256(wheel.name.encode()).hexdigest()


def fresh(folder: Path) -> None:
    """Empty, and nothing else that the disk would have to write."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    sync_tree(folder)


def cost(command: Sequence[str]) -> Cost:
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def interpreter(label: str) -> Interpreter:
    found, _ = FoundInterpreters((), NoMemory(), PythonInstaller(Path), os.environ).find()
    return next(one for one in found if one.label == label)


if __name__ == "__main__":
    main()
