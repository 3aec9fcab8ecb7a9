"""What is in an image as a software bill of materials: CycloneDX 1.6, JSON. Pure.

No date, no random serial number: the same lock gives the same bytes.
"""

import uuid
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import msgspec
from packaging.utils import canonicalize_name

from tf_tester.model.cell import Cell
from tf_tester.model.lock import Pin

_NAMESPACE = uuid.UUID("7c0e2f0a-6f0b-5a53-9c1e-0d6a3f0b8f21")
"""Of the serial numbers that we give."""


def bill_of_materials(cell: Cell, pins: Iterable[Pin], *, tool: str) -> bytes:
    """Return the distributions of a cell, each with the SHA-256 of its wheel. `tool`: `tf-tester 0.1.0`."""
    components = [_component(pin) for pin in pins]
    name, _, version = tool.partition(" ")
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, _all_of(components))}",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": name, "version": version}]},
            "component": {
                "type": "container",
                "bom-ref": cell.name,
                "name": cell.package,
                "version": cell.version,
                "properties": [{"name": "tf-tester:python", "value": cell.python}],
            },
        },
        "components": components,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _component(pin: Pin) -> dict[str, Any]:
    name = str(canonicalize_name(pin.name))
    address = f"pkg:pypi/{quote(name, safe='')}@{quote(pin.version, safe='')}"
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": address,
        "name": name,
        "version": pin.version,
        "purl": address,
        "hashes": [{"alg": "SHA-256", "content": pin.sha256}],
        "properties": [{"name": "tf-tester:wheel", "value": pin.filename}],
    }
    if pin.url.startswith(("https://", "http://")):
        origin = {"alg": "SHA-256", "content": pin.built_from or pin.sha256}
        found["externalReferences"] = [{"type": "distribution", "url": pin.url, "hashes": [origin]}]
    return found


def _all_of(components: list[dict[str, Any]]) -> str:
    return msgspec.json.encode(components).decode()
