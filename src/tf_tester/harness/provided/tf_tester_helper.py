"""Mark what saves something and what loads it, and record numbers, for tf-tester; without it nothing happens.

    from tf_tester_helper import consumer, producer, record, resaver

    @producer("model")
    def save(path):
        "Leave something at the path, a text: a file, a folder, or files whose names begin with it."

    @consumer("model")
    def load(path, producer):
        "Use what a version has left there; `producer` tells which, such as `toy==1.0`."
        record("probabilities", probabilities, rtol=1e-5)

    @resaver("model", "model.keras")
    def convert(path, target):
        "Load what is at the path, and save it at the target, as a product of the second name."

This file is one of tf-tester's (`tf-tester helper` writes it): it may lie beside your tests, and be copied along with
them. It needs Python 3.6 or newer and nothing else, NumPy neither. Decorated functions stay what they are and can be
called; pytest doesn't take them for tests, whatever they are called.
"""

import json
import os
import re
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])

__all__ = ["consumer", "producer", "record", "resaver"]
__version__ = "1.1"

ROLES = "_tf_tester_roles"
"""The attribute of a decorated function: a list of pairs, `producer` or `consumer` and the product's name; of a
`resaver` the names of both products, of what is loaded and of what is saved.
"""
FOLDER = "TF_TESTER_VALUES"
"""The variable by which tf-tester names a folder for recorded values."""

_folder = os.environ.get(FOLDER)  # now: tests change variables
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}")
_LONGEST = 200
_DEPTH = 32
_WIDEST = {"f": 8, "c": 16}
_count = 0


def producer(name: str) -> "Callable[[Function], Function]":
    """Mark a function that saves a product of this name: it is called with a path, and leaves something there.

    The name is the last part of the path, so that it may have a suffix that a library asks for: `model.keras`.
    """
    _check("producer", name)
    return _marking("producer", name)


def consumer(name: str) -> "Callable[[Function], Function]":
    """Mark a function that uses a product of this name: it is called with a path.

    And with the producer as a text, such as `toy==1.0`, if it takes two arguments.
    """
    _check("consumer", name)
    return _marking("consumer", name)


def resaver(name: str, to: "str | None" = None) -> "Callable[[Function], Function]":
    """Mark a function that loads a product of this name and saves it anew: it is called with two paths.

    At the first one is the product, at the second one it leaves another product, of the name `to`, which is the same
    name where it isn't given. By such functions tf-tester finds the way from one version to another.
    """
    _check("resaver", name)
    _check("resaver", name if to is None else to)
    return _marking("resaver", name, name if to is None else to)


def record(name: str, array: "Any", rtol: "float | None" = None, atol: "float | None" = None) -> None:
    """Record a number or an array, to be compared with what other versions record by the same name.

    `array` is a number, a list of numbers (nested, if all rows are equally long), an `array.array`, bytes, or what has
    `__array__`: of NumPy, TensorFlow, PyTorch, JAX, pandas. `rtol` and `atol` are the relative and the absolute
    difference that is allowed; without them the type of the numbers decides. Raises `TypeError` and `ValueError` for
    arguments that can't be recorded, also where nobody listens.
    """
    if not isinstance(name, str):
        raise TypeError("the name of a value must be a text, not {}".format(type(name).__name__))
    if not name.strip() or len(name) > _LONGEST or not name.isprintable():
        raise ValueError("a value is named with 1 to {} printable characters, not {!r}".format(_LONGEST, name))
    allowed = {"rtol": _tolerance("rtol", rtol), "atol": _tolerance("atol", atol)}
    dtype, shape, content = _plain(array)
    if _folder:
        _write(_folder, dict(allowed, name=name), _header(dtype, shape) + content)


def _check(role: str, name: str) -> None:
    if not isinstance(name, str):
        raise TypeError("@{0} is given the product's name: @{0}('model')".format(role))
    if not _NAME.fullmatch(name):
        raise ValueError("a product is named with letters, digits and ._+- (100 at most), not {!r}".format(name))


def _marking(role: str, *names: str) -> "Callable[[Function], Function]":
    def mark(function: "Function") -> "Function":
        if not callable(function):
            given = ", ".join(map(repr, names))
            raise TypeError("@{}({}) marks a function, not {}".format(role, given, type(function).__name__))
        roles = [*getattr(function, ROLES, []), (role, names[0] if len(names) == 1 else names)]
        setattr(function, ROLES, roles)
        function.__test__ = False  # type: ignore[attr-defined]  # pytest takes it for no test
        return function

    return mark


def _tolerance(name: str, given: "Any") -> "float | None":
    if given is None:
        return None
    try:
        number = float(given)
    except (TypeError, ValueError):
        raise TypeError("{} must be a number, not {}".format(name, type(given).__name__)) from None
    except OverflowError:
        number = float("inf")
    if not 0 <= number < float("inf"):
        raise ValueError("{} must be 0 or more, and finite, not {!r}".format(name, given))
    return number


def _plain(value: "Any") -> "tuple[str, tuple[int, ...], bytes]":
    """Return type (as NumPy writes it), shape and bytes, in C order, of what is to be recorded."""
    if isinstance(value, (bytes, bytearray)):
        return "|u1", (len(value),), bytes(value)
    for step in ("detach", "cpu"):  # of PyTorch, whose tensors may have a gradient or lie elsewhere
        if hasattr(value, step) and hasattr(value, "__array__"):
            value = getattr(value, step)()
    if hasattr(value, "__array__"):
        return _of_array(value.__array__())
    if isinstance(value, (bool, int, float, complex, list, tuple)):
        return _of_numbers(value)
    try:
        view = memoryview(value)
    except TypeError:
        raise TypeError("numbers can be recorded, and arrays of them, not {}".format(type(value).__name__)) from None
    return _of_view(view)


def _of_array(array: "Any") -> "tuple[str, tuple[int, ...], bytes]":
    dtype = array.dtype
    if dtype.kind == "V" and dtype.names is None and dtype.name.startswith(("bfloat16", "float8", "float4", "int4")):
        array = array.astype("<f4")  # exactly: these have fewer bits
    elif dtype.kind not in "biufc":
        raise TypeError("numbers can be recorded, not an array of {}".format(dtype))
    elif dtype.kind in "fc" and dtype.itemsize > _WIDEST[dtype.kind]:
        array = array.astype("<{}{}".format(dtype.kind, _WIDEST[dtype.kind]))  # others are of one machine
    elif dtype.byteorder == ">" or (dtype.byteorder == "=" and struct.pack("=H", 1) != b"\1\0"):
        array = array.astype(dtype.newbyteorder("<"))
    return array.dtype.newbyteorder("<").str, tuple(map(int, array.shape)), array.tobytes()


def _of_view(view: memoryview) -> "tuple[str, tuple[int, ...], bytes]":
    code = view.format.lstrip("@=<")
    kinds = {"?": "b", "b": "i", "B": "u", "e": "f", "f": "f", "d": "f"}
    kinds.update(dict.fromkeys("hilqn", "i"), **dict.fromkeys("HILQN", "u"))
    if code not in kinds:
        raise TypeError("numbers can be recorded, not items of the format {!r}".format(view.format))
    content = view.tobytes()
    if struct.pack("=H", 1) != b"\1\0" and view.itemsize > 1:
        size = view.itemsize
        content = b"".join(content[start : start + size][::-1] for start in range(0, len(content), size))
    order = "|" if view.itemsize == 1 else "<"
    return "{}{}{}".format(order, kinds[code], view.itemsize), tuple(view.shape or ()), content


def _of_numbers(value: "Any") -> "tuple[str, tuple[int, ...], bytes]":
    shape = []  # type: list[int]
    row = value
    while isinstance(row, (list, tuple)):
        shape.append(len(row))
        if len(shape) > _DEPTH:
            raise ValueError("lists are nested more than {} times".format(_DEPTH))
        row = row[0] if row else 0.0
    numbers = list(_flat(value, tuple(shape)))
    kinds = {type(number) for number in numbers}
    if kinds == {bool}:
        return "|b1", tuple(shape), bytes(numbers)
    if kinds and not kinds & {float, complex}:
        try:
            return "<i8", tuple(shape), struct.pack("<{}q".format(len(numbers)), *numbers)
        except struct.error:
            raise ValueError("a whole number is beyond 64 bits") from None
    try:
        if complex in kinds:
            parts = [part for number in map(complex, numbers) for part in (number.real, number.imag)]
            return "<c16", tuple(shape), struct.pack("<{}d".format(len(parts)), *parts)
        return "<f8", tuple(shape), struct.pack("<{}d".format(len(numbers)), *map(float, numbers))
    except OverflowError:
        raise ValueError("a whole number is beyond what a float can hold") from None


def _flat(value: "Any", shape: "tuple[int, ...]") -> "Iterator[Any]":
    if isinstance(value, (list, tuple)):
        if not shape or len(value) != shape[0]:
            raise ValueError("the rows of a nested list must be equally long")
        for part in value:
            yield from _flat(part, shape[1:])
        return
    if shape:
        raise ValueError("the rows of a nested list must be equally long")
    if hasattr(value, "__array__"):  # a number of NumPy's
        value = value.__array__().item()
    for kind in (bool, int, float, complex):
        if isinstance(value, kind):
            yield kind(value)
            return
    raise TypeError("numbers can be recorded, not {}".format(type(value).__name__))


def _header(dtype: str, shape: "tuple[int, ...]") -> bytes:
    """Return the beginning of a file of NumPy's format 1.0 (`numpy.lib.format`)."""
    text = "{{'descr': {!r}, 'fortran_order': False, 'shape': {!r}, }}".format(dtype, shape)
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode("ascii")


def _write(folder: str, about: "dict[str, Any]", content: bytes) -> None:
    global _count
    _count += 1
    name = "{}-{}.npy".format(os.getpid(), _count)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(content)
    line = json.dumps(dict(about, file=name), sort_keys=True) + "\n"
    with open(os.path.join(folder, "values.jsonl"), "ab", 0) as lines:
        lines.write(line.encode("ascii"))
