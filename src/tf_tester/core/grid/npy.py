"""What a `.npy` file says of itself (NumPy's format 1.0), read without evaluating anything that is in it. Pure."""

import math
import re
import struct

from msgspec import Struct

MAGIC = b"\x93NUMPY\x01\x00"
LONGEST = 10 + 65_535
"""Bytes of the longest header."""
# Digits are read in one way only: where there were several, a stranger's file could keep the pattern busy for ever.
_HEADER = re.compile(
    rb"\{'descr': '([<|](?:b1|[iu][1248]|f[248]|c8|c16))', 'fortran_order': False, "
    rb"'shape': \(((?:\d{1,18}, ){0,63}(?:\d{1,18},?)?)\), \} *\n"
)


_CODES = {
    "b1": "?",
    "i1": "b",
    "i2": "h",
    "i4": "i",
    "i8": "q",
    "u1": "B",
    "u2": "H",
    "u4": "I",
    "u8": "Q",
    "f2": "e",
    "f4": "f",
    "f8": "d",
}


class NpyHeader(Struct, frozen=True):
    """Type and shape of an array in C order, and where its numbers begin."""

    dtype: str
    shape: tuple[int, ...]
    start: int

    @property
    def size(self) -> int:
        """Return how many bytes the whole file has."""
        return self.start + math.prod(self.shape) * int(self.dtype[2:])


def read_header(beginning: bytes) -> NpyHeader | None:
    """Return what a file says that begins so, as the helper module writes it; None for anything else.

    >>> text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\\n"
    >>> read_header(MAGIC + bytes([len(text), 0]) + text)
    NpyHeader(dtype='<f4', shape=(2, 3), start=70)
    """
    if not beginning.startswith(MAGIC) or len(beginning) < 10:
        return None
    length = int.from_bytes(beginning[8:10], "little")
    found = _HEADER.fullmatch(beginning[10 : 10 + length])
    if found is None:
        return None
    shape = tuple(int(part) for part in found[2].split(b",") if part.strip())
    return NpyHeader(found[1].decode(), shape, 10 + length)


def read_number(content: bytes) -> float | None:
    """Return the one number that a whole file holds; None where it holds more, or a complex one.

    >>> text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\\n"
    >>> read_number(MAGIC + bytes([len(text), 0]) + text + struct.pack("<f", 1.5))
    1.5
    """
    header = read_header(content[:LONGEST])
    if header is None or header.size != len(content) or math.prod(header.shape) != 1:
        return None
    code = _CODES.get(header.dtype[1:])
    return None if code is None else float(struct.unpack(f"<{code}", content[header.start :])[0])
