"""Images of many versions: how long a second build takes, and what is sent to a registry.

    python bench/images.py --package scikit-learn --versions 1.2.2,1.3.2 --base rootfs.tar

The registry is the one of the tests, on loopback; it counts bytes. Beside what is sent stands what must be sent at
least (the base once and each distinct wheel layer once), and what images with one layer for all wheels of a version
would send, which share the base alone: that is what `RUN pip install` makes, compressed as ours are.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests import images  # noqa: E402
from tests.registries import Registry  # noqa: E402


def run(*words: str) -> tuple[float, str]:
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "tf_tester", *words], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print(f"exit {done.returncode}: tf-tester {' '.join(words)}", file=sys.stderr)
    return time.perf_counter() - started, done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", default="scikit-learn")
    parser.add_argument("--versions", required=True)
    parser.add_argument("--base", required=True)
    parser.add_argument("--folder", type=Path, help="where the images stay [default: a folder that goes]")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = asked.folder or Path(place, "images")
        words = ("image", "build", "--package", asked.package, "--base", asked.base, "-o", f"oci:{folder}")
        first, told = run(*words, "--versions", asked.versions)
        print(told, end="")
        before = (folder / "index.json").read_bytes()
        version = asked.versions.split(",")[-1]
        one, _ = run(*words, "--versions", version)
        again, _ = run(*words, "--versions", asked.versions)
        same = (folder / "index.json").read_bytes() == before
        print(f"built {first:.1f} s; again, all {again:.1f} s, {version} alone {one:.1f} s; same bytes: {same}")
        report(folder)


def report(folder: Path) -> None:
    with Registry(keeps=False) as registry:
        seconds, told = run("image", "push", f"oci:{folder}", f"{registry.host}/bench/images")
        print(told.splitlines()[-1])
        sent = sum(registry.received.values())
        again, _ = run("image", "push", f"oci:{folder}", f"{registry.host}/bench/images")
        assert sum(registry.received.values()) == sent, "the second push sends nothing"
    base, wheels, rest, naive = sizes(list(images.manifests(folder).values()))
    least = base + wheels
    print(f"sent {sent:,} bytes in {seconds:.1f} s; again {again:.1f} s")
    print(
        f"base once and each distinct wheel layer once: {least:,}; {sent / least - 1:+.2%} (uppermost layers: {rest:,})"
    )
    print(f"one layer for all wheels of a version: {naive:,}; {naive / sent:.2f} times as much")


def sizes(manifests: list[dict[str, Any]]) -> tuple[int, int, int, int]:
    """Return bytes: the base, all distinct layers of wheels, what else there is, and all of it without sharing."""
    distinct: dict[str, int] = {}
    base = rest = naive = 0
    for manifest in manifests:
        of_wheels = [one for one in manifest["layers"] if "tf-tester.content" in one.get("annotations", {})]
        others = [one["size"] for one in manifest["layers"] if one not in of_wheels]
        base = sum(others[:-1])
        rest += others[-1] + manifest["config"]["size"]
        naive += sum(one["size"] for one in of_wheels)
        distinct |= {one["digest"]: one["size"] for one in of_wheels}
    return base, sum(distinct.values()), rest, base + naive


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(ROOT / "src"))
    main()
