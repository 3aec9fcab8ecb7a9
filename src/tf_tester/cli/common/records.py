"""Which record a user means."""

from pathlib import Path


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
