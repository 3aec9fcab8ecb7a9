"""Whether what the store holds still is what it was: blobs by their names, layers by the wheels' own RECORDs."""

import base64
import csv
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tf_tester.core.wheel.wheel_rules import together

_CHUNK = 1 << 20


def blob_trouble(path: Path) -> str:
    """Return why a blob is not the file that its name promises; empty where it is."""
    try:
        with path.open("rb") as stream:
            actual = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return f"can't be read: {error.strerror}"
    return "" if actual == path.name else f"has SHA-256 {actual}"


def layer_trouble(folder: Path) -> str:
    """Return what is wrong with a layer, its first ten damaged files; empty where nothing is.

    Of bytecode it is checked that it is there and begins as bytecode does: what it means only its own Python could
    tell, by compiling anew.
    """
    try:
        names = msgspec.json.decode((folder / "files.json").read_bytes(), type=list[str])
        trees = [
            (Path(own).parent, msgspec.json.decode(Path(own).read_bytes(), type=dict[str, object]))
            for own in sorted(folder.glob("*/bytecode.json"))
        ]
    except (OSError, msgspec.DecodeError) as error:
        return f"its lists can't be read: {error}"
    if not trees:
        return "it serves no Python"
    record = next((name for name in names if name.count("/") == 2 and name.endswith(".dist-info/RECORD")), None)
    if record is None:
        return "it has no RECORD"
    seen: set[tuple[int, int]] = set()
    faults: list[str] = []
    for tree, own in trees:
        site = tree / "tree" / str(own.get("site"))
        faults += _differing(folder, site, record.removeprefix("site/"), seen)
        compiled = own.get("bytecode")
        for name in compiled if isinstance(compiled, list) else ():
            if trouble := _bytecode_trouble(site / str(name)):
                faults.append(f"{name} {trouble}")
    return together(list(dict.fromkeys(faults)))


def _differing(folder: Path, site: Path, record: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    """Yield what is wrong with the files of one tree by its RECORD; those in `seen` were read for another."""
    try:
        rows = list(_rows(site / record))
    except (OSError, ValueError, csv.Error) as error:
        yield f"its RECORD can't be read: {error}"
        return
    for name, digest in rows:
        path = _place(folder, site, name)
        if path is not None and digest and (trouble := _file_trouble(path, digest, seen)):
            yield f"{name} {trouble}"


def _rows(record: Path) -> Iterator[tuple[str, str]]:
    """Yield names and SHA-256 (hex; empty where none is given)."""
    with record.open(encoding="utf-8", newline="") as stream:
        for row in csv.reader(stream):
            if len(row) < 2:
                continue
            algorithm, _, value = row[1].partition("=")
            digest = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).hex() if algorithm == "sha256" else ""
            yield row[0], digest


def _place(folder: Path, site: Path, name: str) -> Path | None:
    """Return where a file of the wheel lies in its layer; None for what is put elsewhere."""
    first, _, rest = name.partition("/")
    if not first.endswith(".data"):
        return site / name
    scheme, _, rest = rest.partition("/")
    match scheme:
        case "purelib" | "platlib":
            return site / rest
        case "data":
            return folder / "data" / rest
        case _:
            return None  # scripts and headers are written anew for each environment


def _file_trouble(path: Path, digest: str, seen: set[tuple[int, int]]) -> str:
    """Return what is wrong with a file; those that several Pythons share are read once."""
    try:
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            key = (status.st_dev, status.st_ino)
            if key in seen:
                return ""
            seen.add(key)
            actual = hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"can't be read: {error.strerror}"
    return "" if actual == digest else "was changed"


def _bytecode_trouble(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            head = stream.read(16)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"can't be read: {error.strerror}"
    # PEP 552: a magic number that ends in \r\n, and flags of which only two are used.
    return "" if len(head) == 16 and head[2:4] == b"\r\n" and head[4] <= 3 and head[5:8] == b"\0\0\0" else "was changed"
