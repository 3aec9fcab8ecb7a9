"""The data that the page's script reads, as a browser would."""

import json
import re
from typing import Any


def block(page: str, name: str) -> Any:
    """Return the value of one of the blocks: `index`, `evidence`, `measures`."""
    found = re.findall(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)
    [told] = found
    return json.loads(told)


def text(evidence: Any, number: int) -> str:
    """Return a text; what is marked as the user's own begins with `>`."""
    lines = evidence["lines"]
    return "\n".join(f">{lines[~one]}" if one < 0 else lines[one] for one in evidence["texts"][number][1:])


def fact(page: str, version: str, test: str) -> Any:
    """Return what is known of a test in a cell, None: nothing is."""
    index, evidence = block(page, "index"), block(page, "evidence")
    number = next(number for number, cell in enumerate(index["cells"]) if cell["version"] == version)
    entries = evidence["cells"][number]["entries"]
    known = dict(zip(entries[::2], entries[1::2], strict=True))
    place = known.get(index["tests"].index(test))
    return None if place is None else evidence["facts"][place]
