"""Records that tests leave behind, held against `docs/reference/record.schema.json`."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).parents[1] / "docs" / "reference" / "record.schema.json"


def check_record(path: Path) -> None:
    """Raise `JsonSchemaValueException` for a line that the schema doesn't allow; one that was cut is left out."""
    check = checker()
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            check(json.loads(line))


def records_below(folder: Path) -> Iterator[Path]:
    """Yield the records in the stores of a test's folder; not those that a test has written by hand."""
    for depth in ("", "*/", "*/*/"):
        yield from folder.glob(f"{depth}runs/*/record.jsonl")


@cache
def checker() -> Callable[[Any], object]:
    """Return the function that checks a line, compiled once a process."""
    import fastjsonschema

    compiled: Callable[[Any], object] = fastjsonschema.compile(json.loads(SCHEMA.read_bytes()))
    return compiled
