"""Write `reference/record.schema.json`, a JSON Schema of one line of a record, from the model's types.

python docs/generate_record_schema.py
"""

import json
from pathlib import Path
from typing import Any

import msgspec

from tf_tester.report.record import EVENTS, FORMAT

FILE = Path(__file__).parent / "reference" / "record.schema.json"


def schema() -> dict[str, Any]:
    """Return the schema. Events and fields that aren't known are allowed: later versions may add some."""
    _, parts = msgspec.json.schema_components(EVENTS.values(), ref_template="#/$defs/{name}")
    for part in parts.values():
        part.pop("description", None)  # docs/reference/record.md describes them
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A line of a record of tf-tester, format {FORMAT}",
        "type": "object",
        "properties": {
            "event": {"type": "string"},
            "at": {"type": "string"},
            "format": {"const": FORMAT},
            "crc": {"type": "integer"},
        },
        "required": ["event", "at"],
        "allOf": [
            {
                "if": {"properties": {"event": {"const": name}}},
                "then": {"$ref": f"#/$defs/{event.__name__}"},
            }
            for name, event in EVENTS.items()
        ],
        "$defs": parts,
    }


def text() -> str:
    """Return the file's content."""
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
