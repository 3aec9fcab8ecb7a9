"""Recorded values: taken as names and bytes, within bounds, whatever a test has put in their place."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import MemoryishBlobs
from tf_tester.core.grid.npy import MAGIC
from tf_tester.flow.taken import values
from tf_tester.flow.taken.values import LIST, RecordedPart, TakenValues, take_values

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
    return take_values(
        folder, "toy==1.0@py3.11@era", parts or (RecordedPart("load"),), MemoryishBlobs(place / "blobs"), place
    )


def test_a_link_in_the_place_of_the_folder_leads_nowhere(tmp_path: Path) -> None:
    outside = recorded(tmp_path / "home/values", {"name": "p", "file": "1.npy"})
    assert len(taken(outside).values) == 1
    (tmp_path / "work").mkdir()
    (tmp_path / "work/values").symlink_to(outside)
    assert taken(tmp_path / "work/values") == TakenValues()


def test_a_name_that_no_file_can_have_is_no_value(tmp_path: Path) -> None:
    found = taken(recorded(tmp_path / "values", {"name": "p", "file": "a\0b"}, {"name": "q", "file": "1.npy"}))
    assert [one.name for one in found.values] == ["q"]
    assert found.remarks == ("a recorded value was left out: p: its file is gone",)


def test_so_many_values_are_looked_at_and_of_those_left_out_a_few_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(values, "MOST_VALUES", 30)
    lines = [{"name": f"v{number}", "file": "none.npy"} for number in range(29)]
    found = taken(recorded(tmp_path / "values", *lines, *[{"name": "p", "file": "1.npy"}] * 2))
    assert len(found.values) == 1
    assert found.remarks[9:] == (
        "a recorded value was left out: v9: its file is gone",
        "left out, too: 20 other recorded values",
    )


def test_a_line_of_the_list_is_one_function_s(tmp_path: Path) -> None:
    folder = recorded(tmp_path / "values", {"name": "p", "file": "1.npy"}, {"name": "q", "file": "1.npy"})
    middle = (folder / LIST).read_bytes().index(b"\n") + 1
    parts = [RecordedPart("first", 0, middle), *[RecordedPart(f"greedy{at}", 0, 2**62) for at in range(3)]]
    assert [(one.test, one.name) for one in taken(folder, *parts).values] == [("first", "p"), ("greedy0", "q")]
