"""Recorded values are compared alike in every Python, with NumPy and without."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.functional.harness.bench import HARNESS
from tf_tester.core.grid.npy import MAGIC

NAN, INF = float("nan"), float("inf")


def npy(path: Path, dtype: str, shape: tuple[int, ...], numbers: list[Any]) -> str:
    codes = {"f4": "f", "f8": "d", "f2": "e", "i8": "q", "u1": "B", "b1": "?", "c16": "d"}
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape!r}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    content = struct.pack(f"<{len(numbers)}{codes[dtype[1:]]}", *numbers)
    path.write_bytes(MAGIC + struct.pack("<H", len(text)) + text.encode() + content)
    return path.name


def compared(
    python: str,
    folder: Path,
    dtype: str,
    a: list[Any],
    b: list[Any],
    *,
    shape: tuple[int, ...] | None = None,
    **allowed: float,
) -> dict[str, Any]:
    length = len(a) // 2 if dtype == "<c16" else len(a)
    whole = shape if shape is not None else (length,)
    pair: dict[str, Any] = {"rtol": 0.0, "atol": 0.0, **allowed}
    pair["expected"] = npy(folder / "a.npy", dtype, whole, a)
    pair["got"] = npy(folder / "b.npy", dtype, whole, b)
    spec = {"folder": str(folder), "pairs": [pair], "result": str(folder / "result.json")}
    (folder / "order.json").write_text(json.dumps(spec))
    command = [python, str(HARNESS / "compare_values.py"), str(folder / "order.json")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    [result] = json.loads((folder / "result.json").read_text())
    assert isinstance(result, dict)
    return result


def test_figures_of_floats(python: str, tmp_path: Path) -> None:
    result = compared(python, tmp_path, "<f8", [1.0, 2.0, 0.0, 4.0], [1.0, 2.5, 0.25, 4.0], shape=(2, 2))
    assert (result["outside"], result["count"], result["nans"]) == (2, 4, 0)
    assert (result["max_abs"], result["max_rel"]) == (0.5, 0.25)
    assert (result["at"], result["expected"], result["got"]) == ([0, 1], "2.0", "2.5")


@pytest.mark.parametrize(
    ("dtype", "a", "b", "ulps"),
    [
        ("<f8", [1.0], [1.0 + 2**-52], 1),
        ("<f4", [1.0], [1.0 - 2**-24], 1),
        ("<f2", [1.0], [1.0 + 2**-9], 2),
        ("<f8", [-(5e-324)], [5e-324], 2),
        ("<f8", [0.0], [-0.0], 0),
        ("<i8", [1], [2], None),
        ("<f8", [NAN], [1.0], None),
    ],
)
def test_units_in_the_last_place(edge: str, tmp_path: Path, dtype: str, a: list[Any], b: list[Any], ulps: int) -> None:
    assert compared(edge, tmp_path, dtype, a, b)["ulps"] == ulps


@pytest.mark.parametrize(
    ("dtype", "a", "b", "allowed", "outside", "nans"),
    [
        ("<f8", [NAN, 1.0], [NAN, 1.0], {}, 0, 0),
        ("<f8", [NAN, 1.0], [1.0, NAN], {"atol": 9.0}, 2, 2),
        ("<f8", [INF, -INF], [INF, INF], {"rtol": 9.0}, 1, 0),
        ("<f8", [INF], [1.0], {"rtol": 9.0, "atol": 9.0}, 1, 0),
        ("<f8", [1e308], [-1e308], {"rtol": 9.0}, 1, 0),
        ("<f8", [5e-324], [1.0], {}, 1, 0),
        ("<c16", [1.7e308, 1.7e308], [0.0, 0.0], {}, 1, 0),
        ("<f8", [100.0, 100.0], [101.0, 102.0], {"rtol": 0.01}, 1, 0),
        ("<f8", [0.0, 0.0], [0.5, 2.0], {"atol": 1.0}, 1, 0),
        ("<i8", [2**62, 5], [2**62, 6], {}, 1, 0),
        ("<i8", [2**62, -(2**63)], [2**62 + 1, 2**63 - 1], {}, 2, 0),
        ("|b1", [True, False], [True, True], {}, 1, 0),
        ("|u1", [255], [0], {}, 1, 0),
        ("<c16", [1.0, 2.0], [1.0, 2.5], {}, 1, 0),
        ("<c16", [3.0, 4.0], [3.0, 4.5], {"rtol": 0.1}, 0, 0),
        ("<f8", [], [], {}, 0, 0),
    ],
)
def test_what_is_outside_of_what_is_allowed(
    edge: str,
    tmp_path: Path,
    dtype: str,
    a: list[Any],
    b: list[Any],
    allowed: dict[str, Any],
    outside: int,
    nans: int,
) -> None:
    result = compared(edge, tmp_path, dtype, a, b, **allowed)
    assert (result["outside"], result["nans"]) == (outside, nans)


def test_a_single_number_has_no_place_and_few_digits(tmp_path: Path) -> None:
    result = compared(sys.executable, tmp_path, "<f4", [0.1], [0.2], shape=())
    assert (result["at"], result["expected"], result["got"]) == ([], "0.100000001", "0.200000003")
