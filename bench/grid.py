"""A grid of scikit-learn by forks, beside the same grid with an interpreter for each field.

    python bench/grid.py [--versions 1.2.2,1.3.2,…] [--python 3.11] [--store FOLDER] [--file examples/sklearn_grid.py]

Both ways in one run, warm: all wheels are there, all environments have been made once. Without `--file` each version
saves coefficients three times, and each predicts with all of them: all fields work, and the import is nearly all of
what one costs. What counts is the time from the last product to the last field, by the record: the producers run the
same way in both. Beside it the processor time of the whole command, which other load on the machine changes less.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

VERSIONS = "1.2.2,1.3.2,1.5.2,1.7.2"
FILE = """
import numpy
from sklearn.linear_model import LogisticRegression
from tf_tester_helper import consumer, producer, record


@producer("a.npy")
@producer("b.npy")
@producer("c.npy")
def save(path):
    numpy.save(path, numpy.arange(6.0).reshape(1, 6))


@consumer("a.npy")
@consumer("b.npy")
@consumer("c.npy")
def load(path):
    model = LogisticRegression()
    model.coef_, model.intercept_, model.classes_ = numpy.load(path), numpy.zeros(1), numpy.arange(2)
    record("probabilities", model.predict_proba(numpy.eye(6)), rtol=1e-6)
"""


@dataclass(frozen=True)
class Grid:
    """One grid that was run."""

    outcomes: list[str]
    forked: int
    seconds: float
    """From the end of the last producer to the last field."""
    cpu: float
    """Processor seconds of the whole command."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--versions", default=VERSIONS)
    parser.add_argument("--python", default="3.11")
    parser.add_argument("--store", type=Path)
    parser.add_argument("--file", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = asked.file or Path(folder, "load_grid.py")
        if asked.file is None:
            file.write_text(FILE, encoding="utf-8")
        words = ["--package", "scikit-learn", "--versions", asked.versions, "--python", asked.python]
        words += ["--store", str(asked.store or Path(folder, "store"))]
        run(file, words, Path(folder))  # brings what is missing, and warms the disk
        fresh = run(file, [*words, "--fresh"], Path(folder))
        forks = run(file, words, Path(folder))
    if forks.outcomes != fresh.outcomes:
        print("the two grids came to different fields", file=sys.stderr)
        return 1
    count = len(fresh.outcomes)
    print(f"{count} fields, {fresh.outcomes.count('ok')} ok; by forks {forks.forked}")
    for way, grid in (("a process for each", fresh), ("by forks", forks)):
        print(f"{way}: {grid.seconds:.1f} s, {grid.seconds / count:.2f} s a field ({grid.cpu:.1f} s of CPU)")
    print(f"ratio {fresh.seconds / forks.seconds:.1f} × (CPU {fresh.cpu / forks.cpu:.1f} ×)")
    return 0


def run(file: Path, words: list[str], folder: Path) -> Grid:
    record = folder / "grid.jsonl"
    command = [sys.executable, "-m", "tf_tester", "grid", str(file), *words, "--json", str(record)]
    before = _cpu()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(done.stderr)
    events = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    fields = [one for one in events if one["event"] == "field"]
    saved = [_at(one) for one in events if one["event"] == "product"]
    keys = sorted((one["producer"], one["consumer"], one["product"], one["outcome"]) for one in fields)
    return Grid(
        [outcome for *_, outcome in keys],
        sum(one["forked"] for one in fields),
        (max(map(_at, fields)) - max(saved)).total_seconds(),
        _cpu() - before,
    )


def _cpu() -> float:
    """Return the processor seconds of all commands that have ended, with all that they waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _at(event: dict[str, str]) -> datetime:
    return datetime.fromisoformat(event["at"])


if __name__ == "__main__":
    sys.exit(main())
