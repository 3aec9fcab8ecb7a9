"""Which record a user means."""

import os
import re
from pathlib import Path


def is_record(name: str) -> bool:
    """Tell whether a word means a record or a run, and no version: a run's name begins with its day and time."""
    if name == "last" or name.endswith((".jsonl", ".json")) or re.match(r"\d{8}T\d", name):
        return True
    return os.path.isfile(name) or os.path.isfile(os.path.join(name, "record.jsonl"))  # noqa: PTH113, PTH118 - no error


def record_meant(run: str, runs: Path) -> Path:
    """Return the record that is meant: by its file or folder, as `last`, or by a run's name or the beginning of one.

    `runs`: where the store keeps runs. Raises `UsageError`.
    """
    from tf_tester.errors import UsageError

    given = Path(run)
    if run != "last" and given.exists():
        return given / "record.jsonl" if given.is_dir() else given
    names = sorted(path.parent.name for path in runs.glob("*/record.jsonl"))
    fitting = names[-1:] if run == "last" else [name for name in names if name.startswith(run)]
    if run == "last" and not fitting:
        raise UsageError(f"The store {runs.parent} holds no run.", hint="`tf-tester test` makes one.")
    if len(fitting) != 1:
        what = "is no run of this store and no file" if not fitting else f"may be any of {len(fitting)} runs"
        raise UsageError(f"{run} {what}.", hint="Give `last`, a run's name, or the file of a record.")
    return runs / fitting[0] / "record.jsonl"
