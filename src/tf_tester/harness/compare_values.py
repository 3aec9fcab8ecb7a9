"""Compare recorded values: ``ENV/bin/python compare_values.py ORDER.json``, in the sandbox of a cell.

The order has ``folder`` (with the ``.npy`` files), ``pairs`` (``expected`` and ``got``: names of files of one shape,
``rtol``, ``atol``) and ``result`` (the file to write). A cell that has NumPy compares large arrays faster; without it
the result is the same.
"""

import json
import math
import os
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

MOST_DIGITS = 9
"""Of a number that isn't a double."""


def main(order: str) -> None:
    """Write a distance for each pair."""
    with open(order, encoding="utf-8") as file:
        spec = json.load(file)
    numpy = _numpy()
    results = []
    for pair in spec["pairs"]:
        files = [os.path.join(spec["folder"], pair[name]) for name in ("expected", "got")]
        if numpy is not None:
            results.append(_by_numpy(numpy, files, pair["rtol"], pair["atol"]))
        else:
            results.append(_by_python(files, pair["rtol"], pair["atol"]))
    with open(spec["result"], "w", encoding="utf-8") as file:
        json.dump(results, file, allow_nan=False)


def _numpy() -> "Any":
    try:
        import numpy
    except Exception:  # a broken one is none
        return None
    return numpy


def _by_numpy(numpy: "Any", files: "list[str]", rtol: float, atol: float) -> "dict[str, Any]":
    a, b = (numpy.load(file, allow_pickle=False) for file in files)
    shape, ulps = a.shape, None
    a, b = a.reshape(-1), b.reshape(-1)
    if a.dtype == b.dtype and a.dtype.kind == "f" and a.dtype.itemsize in (2, 4, 8):
        finite = numpy.isfinite(a) & numpy.isfinite(b)
        first, second = (_ordered(numpy, one[finite]) for one in (a, b))
        ulps = int(numpy.max(numpy.maximum(first, second) - numpy.minimum(first, second))) if finite.any() else None
    kind = numpy.complex128 if "c" in a.dtype.kind + b.dtype.kind else numpy.float64
    with numpy.errstate(all="ignore"):
        x, y = a.astype(kind), b.astype(kind)
        no_number = numpy.isnan(x), numpy.isnan(y)
        nans = no_number[0] != no_number[1]
        equal, gap = x == y, numpy.abs(x - y)
        if a.dtype.kind in "iub" and b.dtype.kind in "iub":
            _tell_apart(numpy, a, b, gap)
            equal = gap == 0
        size, finite = numpy.abs(x), numpy.isfinite(gap)
        outside = ~equal & ~(no_number[0] & no_number[1]) & ~(finite & (gap <= atol + rtol * size))
        finite &= ~equal
        relative = gap[finite & (x != 0)] / size[finite & (x != 0)]
        relative = relative[numpy.isfinite(relative)]
    badness = numpy.where(outside, numpy.where(numpy.isfinite(gap), gap, numpy.inf), -1)
    worst = int(numpy.argmax(badness)) if a.size else 0
    return {
        "outside": int(outside.sum()),
        "count": int(a.size),
        "max_abs": float(gap[finite].max()) if finite.any() else (0.0 if a.size else None),
        "max_rel": float(relative.max()) if relative.size else None,
        "ulps": ulps,
        "nans": int(nans.sum()),
        "at": [int(part) for part in numpy.unravel_index(worst, shape)] if shape and a.size else [],
        "expected": _text(a[worst].item(), a.dtype.str) if a.size else "",
        "got": _text(b[worst].item(), b.dtype.str) if b.size else "",
    }


def _tell_apart(numpy: "Any", a: "Any", b: "Any", gap: "Any") -> None:
    """Put the exact differences of whole numbers into `gap`: a double can't tell those of 64 bits from neighbours."""
    unlike = a != b if a.dtype == b.dtype else numpy.ones(a.shape, bool)
    gap[unlike] = numpy.abs(a[unlike].astype(object) - b[unlike].astype(object)).astype(float)


def _ordered(numpy: "Any", floats: "Any") -> "Any":
    """Return whole numbers in the order of the floats, neighbours one apart."""
    bits = floats.dtype.itemsize * 8
    whole = numpy.ascontiguousarray(floats).view("u{}".format(bits // 8)).astype("u8")
    half = numpy.uint64(1 << (bits - 1))
    return numpy.where(whole >= half, half - (whole - half), whole + half)


def _by_python(files: "list[str]", rtol: float, atol: float) -> "dict[str, Any]":
    (kind_a, shape, a), (kind_b, _, b) = map(_read, files)
    outside = nans = 0
    max_abs = 0.0 if a else None  # type: float | None
    max_rel, ulps = None, None  # type: float | None, int | None
    worst, widest = 0, -1.0
    same = kind_a == kind_b and kind_a[1] == "f"
    exact = kind_a[1] in "iub" and kind_b[1] in "iub"
    for index, (x, y) in enumerate(zip(a, b)):  # noqa: B905 - since Python 3.10
        if not exact:
            x, y = x + 0.0, y + 0.0  # as doubles, which NumPy makes of both
        finite = all(map(math.isfinite, _parts(x) + _parts(y)))
        if same and finite:
            ulps = max(ulps or 0, abs(_whole(x, kind_a) - _whole(y, kind_a)))
        if x == y or (_is_nan(x) and _is_nan(y)):
            continue
        size, gap = _size(x), _size(x - y) if finite else math.inf
        if math.isfinite(gap):
            max_abs = max(max_abs or 0.0, gap)
            if size and math.isfinite(gap / size):
                max_rel = max(max_rel or 0.0, gap / size)
        if _is_nan(x) != _is_nan(y):
            nans += 1
        if not (math.isfinite(gap) and gap <= atol + rtol * size):
            outside += 1
            if gap > widest:
                worst, widest = index, gap
    at = []  # type: list[int]
    rest = worst
    for length in reversed(shape):
        at.insert(0, rest % length if length else 0)
        rest = rest // length if length else 0
    return {
        "outside": outside,
        "count": len(a),
        "max_abs": max_abs,
        "max_rel": max_rel,
        "ulps": ulps,
        "nans": nans,
        "at": at if a else [],
        "expected": _text(a[worst], kind_a) if a else "",
        "got": _text(b[worst], kind_b) if b else "",
    }


def _read(file: str) -> "tuple[str, list[int], Sequence[Any]]":
    import ast

    with open(file, "rb") as stream:
        beginning = stream.read(10)
        header = ast.literal_eval(stream.read(struct.unpack("<H", beginning[8:10])[0]).decode("ascii"))
        content = stream.read()
    kind = header["descr"]
    codes = {"b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q"}
    codes.update({"f2": "e", "f4": "f", "f8": "d", "c8": "f", "c16": "d"})
    code = codes[kind[1:]]
    numbers = struct.unpack("<{}{}".format(len(content) // struct.calcsize(code), code), content)  # type: Sequence[Any]
    if kind[1] == "c":
        numbers = [complex(*numbers[start : start + 2]) for start in range(0, len(numbers), 2)]
    return kind, list(header["shape"]), numbers


def _whole(number: float, kind: str) -> int:
    codes = {"2": ("e", "H", 1 << 15), "4": ("f", "I", 1 << 31), "8": ("d", "Q", 1 << 63)}
    float_code, code, half = codes[kind[2:]]
    whole = struct.unpack("<" + code, struct.pack("<" + float_code, number))[0]  # type: int
    return half - (whole - half) if whole >= half else whole + half


def _parts(number: "Any") -> "list[float]":
    return [number.real, number.imag] if isinstance(number, complex) else [number]


def _size(number: "Any") -> float:
    try:
        return float(abs(number))
    except OverflowError:  # of a complex number whose parts are near the largest
        return math.inf


def _is_nan(number: "Any") -> bool:
    return any(map(math.isnan, _parts(number)))


def _text(number: "Any", kind: str) -> str:
    if isinstance(number, float) and kind[2:] != "8":
        return "{:.{}g}".format(number, MOST_DIGITS)
    return repr(number)


if __name__ == "__main__":
    main(sys.argv[1])
