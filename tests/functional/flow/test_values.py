"""Recorded values: taken as names and bytes, within bounds, whatever a test has put in their place."""

import json
from pathlib import Path
from typing import Any

from tests.fakes import MemoryishBlobs
from tf_tester.core.grid.npy import MAGIC
from tf_tester.flow.grid.values import LIST, RecordedPart, TakenValues, take_values

ONE = b"\0" * 7 + b"\x3f"


def npy(content: bytes = ONE, shape: str = "()") -> bytes:
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n"
    return MAGIC + len(text).to_bytes(2, "little") + text.encode() + content


def recorded(folder: Path, *lines: Any) -> Path:
    """Make the folder that the helper module would have made: lines, and one value."""
    folder.mkdir(parents=True)
    (folder / "1.npy").write_bytes(npy())
    (folder / LIST).write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    return folder


def taken(folder: Path, *parts: RecordedPart) -> TakenValues:
    place = folder.parent
    return take_values(folder, parts or (RecordedPart("load"),), MemoryishBlobs(place / "blobs"), place)


def test_a_link_in_the_place_of_the_folder_leads_nowhere(tmp_path: Path) -> None:
    outside = recorded(tmp_path / "home/values", {"name": "p", "file": "1.npy"})
    assert len(taken(outside).values) == 1
    (tmp_path / "work").mkdir()
    (tmp_path / "work/values").symlink_to(outside)
    assert taken(tmp_path / "work/values") == TakenValues()
