"""This version beside an earlier one of itself: start-up, a cell of a warm store, a run that is replayed.

    python bench/earlier.py OTHER/.venv/bin/tf-tester [--rounds 21]

OTHER is a checkout of the earlier version with an environment of its own (`git worktree add`, `make .venv/ready`). Both
are run in turn, in the same order of things, after a round that doesn't count; each has a store of its own.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).parents[1]))

TEST = ("test", "check.py", "--package", "toy", "--versions", "2.0")
TASKS = {
    "--help": ("--help",),
    "a warm cell, sandboxed": (*TEST, "--no-cache"),
    "a warm cell, no sandbox": (*TEST, "--no-cache", "--isolation", "none"),
    "a replayed run": TEST,
    "a replayed explanation of 1,000 tests": ("test", "many.py", *TEST[2:], "--runner", "unittest"),
}


def cost(command: Sequence[str], folder: Path, env: dict[str, str]) -> tuple[float, float]:
    """Wall and CPU seconds of a command and all it waited for."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    from tests.simulator import Simulator
    from tests.wheels import make_wheel

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path)
    parser.add_argument("--rounds", type=int, default=21)
    options = parser.parse_args()
    tools = [options.other, Path(sys.executable).with_name("tf-tester")]
    with tempfile.TemporaryDirectory() as name, Simulator() as index:
        folder = Path(name)
        (folder / "project").mkdir()
        (folder / "project" / "check.py").write_text("import toy\n")
        (folder / "project" / "many.py").write_text(
            "import unittest\nclass Many(unittest.TestCase):\n"
            + "".join(f"    def test_{number}(self): pass\n" for number in range(1000))
        )
        index.add_wheel(*make_wheel("toy", "2.0"), upload_time="2020-01-01T00:00:00Z")
        env = {"PATH": os.defpath, "HOME": name, "LANG": "C.UTF-8", "TF_TESTER_INDEX_URL": index.simple_url}
        env["TF_TESTER_PYTHON"] = sys.executable
        for task, words in TASKS.items():
            ratios: list[tuple[float, float]] = []
            mine: list[tuple[float, float]] = []
            for round_ in range(options.rounds + 2):
                order = (0, 1) if round_ % 2 else (1, 0)
                seconds = {
                    which: cost(
                        [str(tools[which]), *words], folder / "project", env | {"TF_TESTER_STORE": f"{name}/{which}"}
                    )
                    for which in order
                }
                if round_ > 1:
                    ratios.append((seconds[1][0] / seconds[0][0], seconds[1][1] / seconds[0][1]))
                    mine.append(seconds[1])
            wall, cpu = ([pair[kind] for pair in ratios] for kind in (0, 1))
            quarter = quantiles(wall, n=4)
            print(
                f"{task}: {1000 * median(pair[0] for pair in mine):.0f} ms; {median(wall):.2f} × the other's time"
                f" (half of the rounds {quarter[0]:.2f} to {quarter[2]:.2f}), {median(cpu):.2f} × its CPU"
            )


if __name__ == "__main__":
    main()
