"""Records of format 1, as today's: what became of their words is decided here and nowhere else."""

from typing import Any

from tf_tester.model.cell import CellRequirement

_ATTEMPTS = ("again", "other")


def modernized(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an event of format 1 as one of format 2. Raises what Python raises for fields that are missing or damaged.

    A cell was `package`, `version`, `python`, `resolution` and `also`, a list of texts that were requirements, the name
    of a lock, or a word for a repeated run. Its name stays as it was. Where no tests were found, the outcome was
    `error`.
    """
    match entry.get("event"):
        case "run-started":
            return entry | {"cells": [_cell(cell) for cell in entry["cells"]]}
        case "cell-finished":
            return entry | {"result": _result(entry["result"])}
        case "cell-explained":
            told = entry["explanation"]
            return entry | {"explanation": told | {"cell": _cell(told["cell"]), "against": _cell(told["against"])}}
        case _:
            return entry


def _result(old: dict[str, Any]) -> dict[str, Any]:
    """Return a result in which a file or folder without tests is empty."""
    tests = [row | {"outcome": "empty"} if _is_empty(row) else row for row in old.get("tests", ())]
    broken = any(row["outcome"] == "error" for row in tests)
    return old | {"tests": tests, "outcome": "empty" if old["outcome"] == "error" and not broken else old["outcome"]}


def _is_empty(row: dict[str, Any]) -> bool:
    return bool(row["outcome"] == "error" and row.get("reason") == "no tests were found")


def _cell(old: dict[str, Any]) -> dict[str, Any]:
    also = [str(text) for text in old.get("also", ())]
    attempt = also.pop() if also and also[-1] in _ATTEMPTS else ""
    lock_name = also.pop(0) if also and old["resolution"] == "lock" else ""
    return {
        "requirements": [
            {"name": old["package"], "version": old["version"], "under_test": True},
            *(_besides(text) for text in also),
        ],
        "python": old["python"],
        "resolution": old["resolution"],
        "lock_name": lock_name,
        "attempt": attempt,
    }


def _besides(text: str) -> dict[str, Any]:
    read = CellRequirement.parse(text)
    return {"name": read.name, "version": read.version, "extras": read.extras, "specifier": read.specifier}
