"""What it takes to plan a large matrix from a warm page, and to start up.

    python bench/planning.py [--rounds 7]

The page has 500 versions with wheels for 8 Pythons on 5 platforms, 20,000 files, ten times as many as the largest real
one; the plan is a cell for each version and Python. Each round is a fresh process. `--help` beside `python -c pass`.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median

PLATFORMS = (
    "manylinux_2_17_x86_64.manylinux2014_x86_64",
    "manylinux_2_17_aarch64",
    "macosx_11_0_arm64",
    "win_amd64",
    "win32",
)
PYTHONS = tuple(range(6, 14))


def page() -> bytes:
    import json

    files = []
    for number in range(500):
        version = f"{number // 100}.{number % 100}.0"
        for python in PYTHONS:
            for platform in PLATFORMS:
                abi = f"cp3{python}" + ("m" if python < 8 else "")
                name = f"tensorflow-{version}-cp3{python}-{abi}-{platform}.whl"
                files.append(
                    {
                        "filename": name,
                        "url": f"https://files.example/{name}",
                        "hashes": {"sha256": f"{len(files):064x}"},
                        "size": 500_000_000,
                        "upload-time": f"20{10 + number // 50}-01-01T00:00:00.000000Z",
                        "requires-python": ">=3.6",
                        "yanked": False,
                        "core-metadata": {"sha256": "0" * 64},
                    }
                )
    return json.dumps({"meta": {"api-version": "1.4"}, "name": "tensorflow", "files": files}).encode()


def plan_once() -> None:
    body = page()
    began = time.perf_counter()
    from tf_tester.core.index.simple import JSON_TYPE, parse_page
    from tf_tester.core.select.choose import Choice, choose
    from tf_tester.core.select.matrix import hypothetical, plan
    from tf_tester.env.host import this_platform
    from tf_tester.model.lock import Resolution

    project = parse_page(body, JSON_TYPE, "https://index.example/simple/tensorflow/", "tensorflow")
    versions = choose(project, Choice("all"))
    here = this_platform()
    interpreters = [hypothetical((3, python), here) for python in PYTHONS]
    cells = plan(
        project,
        versions,
        interpreters,
        platform=here,
        pythons=[interpreter.label for interpreter in interpreters],
        resolution=Resolution.ERA,
    )
    took = time.perf_counter() - began
    assert len(cells) == 500 * 8
    assert all(cell.artifact is not None for cell in cells)
    print(took)


def wall(words: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, env=os.environ)
    return time.perf_counter() - began


def main() -> None:
    if sys.argv[1:] == ["--once"]:
        plan_once()
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    plans = [
        float(subprocess.run([sys.executable, __file__, "--once"], check=True, capture_output=True, text=True).stdout)
        for _ in range(rounds)
    ]
    print(f"a plan of 500 versions x 8 Pythons, 20,000 files, imports included: {median(plans):.2f} s (target 1)")
    pairs = [(wall(["-m", "tf_tester", "--help"]), wall(["-c", "pass"])) for _ in range(3 * rounds)]
    ratio = median(ours / bare for ours, bare in pairs)
    print(f"--help: {median(ours for ours, _ in pairs) * 1000:.0f} ms, {ratio:.1f} x bare Python (target 6)")


if __name__ == "__main__":
    main()
