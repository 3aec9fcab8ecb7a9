"""RECORD as an installer leaves it: with the places at which a wheel's files are, and its programs.

`importlib.metadata.files` and whatever removes a distribution go by it (recording installed projects).
"""

import csv
import hashlib
import io
import os
from base64 import urlsafe_b64encode
from collections.abc import Mapping

from tf_tester.model.host.layer import Layer


def record_name(layer: Layer) -> str | None:
    """Return the layer's RECORD if it has to be written anew: it is in the wheel's own terms else."""
    if not layer.entry_points and not any(name.startswith(("bin/", "data/")) for name in layer.files):
        return None
    return next((name for name in layer.files if name.count("/") == 2 and name.endswith(".dist-info/RECORD")), None)


def installed_record(record: str, site: str, scripts: str, programs: Mapping[str, bytes]) -> bytes:
    """Return the wheel's RECORD in an environment's terms.

    `programs`: contents by name in `scripts` of those that are written anew; what is no file of the wheel is added.
    """
    rows = {}
    for row in csv.reader(io.StringIO(record)):
        if row:
            place = _place(row[0], site, scripts)
            rows[place] = [place, *row[1:]]
    for name, content in programs.items():
        place = os.path.relpath(f"{scripts}/{name}", site)
        digest = urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode("ascii")
        rows[place] = [place, f"sha256={digest}", str(len(content))]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows.values())
    return text.getvalue().encode()


def _place(name: str, site: str, scripts: str) -> str:
    """Return a file's place relative to site-packages (binary distribution format, «spread»)."""
    first, _, rest = name.partition("/")
    if not first.endswith(".data"):
        return name
    scheme, _, path = rest.partition("/")
    match scheme:
        case "purelib" | "platlib":
            return path
        case "scripts":
            return os.path.relpath(f"{scripts}/{path}", site)
        case "headers":
            return os.path.relpath(f"include/{path}", site)
        case _:
            return os.path.relpath(path, site)
