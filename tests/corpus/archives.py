"""Archives that two readers could read in two ways, that unpack to more than they say, or that are none."""

import io
import struct
import zipfile
import zlib

from tests.corpus.case import RIGHT, Group
from tests.wheels import make_wheel, record_text, zip_of

NAME, GOOD = make_wheel("toy", "1.0")
_INFO = "toy-1.0.dist-info"


def members(content: bytes) -> list[zipfile.ZipInfo]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.infolist()


def directory_of(content: bytes) -> int:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.start_dir


def patched(content: bytes, at: int, form: str, value: int) -> bytes:
    """With one number changed; a negative place counts from the end."""
    changed = bytearray(content)
    struct.pack_into(form, changed, at if at >= 0 else len(changed) + at, value)
    return bytes(changed)


def inserted(content: bytes, at: int, piece: bytes) -> bytes:
    """With a piece more before the directory, and everything that points behind it corrected."""
    made = content[:at] + piece + content[at:]
    place = directory_of(content) + len(piece)
    made = patched(made, -6, "<L", place)
    for member in members(content):
        if member.header_offset >= at:
            made = patched(made, place + 42, "<L", member.header_offset + len(piece))
        place += 46 + len(member.orig_filename.encode()) + len(member.extra)
    return made


def hidden() -> bytes:
    evil = zip_of({"evil.py": b"import os"})
    return evil[: directory_of(evil)]


def swapped() -> bytes:
    """With the first two entries of the directory in the other order."""
    place = directory_of(GOOD)
    first, second = (46 + len(member.orig_filename.encode()) for member in members(GOOD)[:2])
    rest = place + first + second
    return GOOD[:place] + GOOD[place + first : rest] + GOOD[place : place + first] + GOOD[rest:]


def second_name(*, in_directory: bool) -> bytes:
    """With Info-ZIP's Unicode path: another name for readers that follow it."""
    own, evil = b"toy.py", b"evil.py"
    field = struct.pack("<BL", 1, zlib.crc32(own)) + evil
    extra = struct.pack("<HH", 0x7075, len(field)) + field
    if not in_directory:
        made = patched(inserted(GOOD, 30 + len(own), extra), 28, "<H", len(extra))
        return patched(made, directory_of(made) + 42, "<L", 0)
    place = directory_of(GOOD) + 46 + len(own)
    made = GOOD[:place] + extra + GOOD[place:]
    made = patched(made, directory_of(GOOD) + 30, "<H", len(extra))
    return patched(made, -10, "<L", len(made) - 22 - directory_of(GOOD))


def long_end(*, place: int, count: int, locator: int = 0) -> bytes:
    """With the long end record of ZIP64 that says this of the directory, and an ordinary one that points to it.

    `locator`: how far beside that record is said to be.
    """
    start, end = directory_of(GOOD), len(GOOD) - 22
    number, size = len(members(GOOD)), end - start
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, place)
    found = struct.pack("<4sLQL", b"PK\6\7", 0, end + locator, 1)
    ordinary = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, number, 0xFFFF, size, 0xFFFFFFFF, 0)
    return GOOD[:end] + record + found + ordinary


class Pipe(io.BytesIO):
    """Can't be gone back in, so that sizes are written behind the data."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


def contents() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(GOOD)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def streamed() -> bytes:
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents().items():
            archive.writestr(name, content)
    return pipe.getvalue()


def long_sizes() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in contents().items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(content)
    return buffer.getvalue()


def deflated(content: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflater.compress(content) + deflater.flush()


def stream_of(stream: bytes, size: int) -> bytes:
    """With a first member whose headers say that this stream is so many bytes `x`, deflated."""
    own = {name: content for name, content in contents().items() if not name.endswith("RECORD")}
    whole = {"toy.bin": b"x" * size, **own}
    whole[f"{_INFO}/RECORD"] = record_text(whole, f"{_INFO}/RECORD").encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in {**whole, "toy.bin": stream}.items():
            archive.writestr(name, content)
    raw = buffer.getvalue()
    for start in (0, raw.index(b"PK\1\2") + 2):
        for at, form, value in ((8, "<H", 8), (14, "<L", zlib.crc32(b"x" * size)), (22, "<L", size)):
            raw = patched(raw, start + at, form, value)
    return raw


_STREAMED, _LONG = streamed(), long_sizes()
_FIRST = _STREAMED.index(b"PK\7\x08")

NONE: Group[bytes] = Group(
    "the file is no ZIP archive, or one that was cut off",
    "the wheel is refused",
    "",
    {
        "empty": b"",
        "a word": b"wheel",
        "HTML": b"<html>log in</html>",
        "gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\3",
        "7z": b"7z\xbc\xaf\x27\x1c" + bytes(40),
        "cut in its end record": GOOD[:-10],
        "cut in its directory": GOOD[:-40],
        "cut in a member": GOOD[:60],
        "without its beginning": GOOD[10:],
        "an end record alone": GOOD[-22:],
        "no members": zip_of({}),
    },
)

SURROUNDED: Group[bytes] = Group(
    "something is before, between or behind the members of the archive, or members are out of order",
    "the wheel is refused: another reader could see other files in it",
    "",
    {
        "a script before it": b"#!/bin/sh\n" + GOOD,
        "a script before it, places corrected": inserted(GOOD, 0, b"#!/bin/sh\n"),
        "a tar archive before it": bytes(1024) + GOOD,
        "another archive before it": zip_of({"evil.py": b""}) + GOOD,
        "another archive behind it": GOOD + zip_of({"evil.py": b""}),
        "a word behind it": GOOD + b"more",
        "a comment": patched(GOOD, -2, "<H", 4) + b"more",
        "an end record in a comment": patched(GOOD, -2, "<H", 22) + GOOD[-22:],
        "a gap between members": inserted(GOOD, members(GOOD)[1].header_offset, b"gap"),
        "a gap before the directory": inserted(GOOD, directory_of(GOOD), b"gap"),
        "a hidden member": inserted(GOOD, members(GOOD)[2].header_offset, hidden()),
        "a hidden last member": inserted(GOOD, directory_of(GOOD), hidden()),
        "another order": swapped(),
        "a header that is longer than it is": patched(GOOD, 28, "<H", 9),
        "two members in one place": patched(GOOD, directory_of(GOOD) + 46 + len("toy.py") + 42, "<L", 0),
    },
)

CONTRADICTING: Group[bytes] = Group(
    "the header before a member contradicts the directory: name, size, checksum, method, flags",
    "the wheel is refused",
    "toy.py",
    {
        "its mark": patched(GOOD, 0, "<L", 0x04034B51),
        "sizes behind the data": patched(GOOD, 6, "<H", 0x8),
        "the encoding of its name": patched(GOOD, 6, "<H", 0x800),
        "its method": patched(GOOD, 8, "<H", 0),
        "its checksum": patched(GOOD, 14, "<L", 1),
        "its packed size": patched(GOOD, 18, "<L", 1),
        "its size": patched(GOOD, 22, "<L", 1),
        "the length of its name": patched(GOOD, 26, "<H", 5),
        "its name": patched(GOOD, 30, "<B", ord("T")),
        "the directory's method": patched(GOOD, directory_of(GOOD) + 10, "<H", 8 ^ members(GOOD)[0].compress_type),
        "the directory's checksum": patched(GOOD, directory_of(GOOD) + 16, "<L", 1),
        "the directory's packed size": patched(GOOD, directory_of(GOOD) + 20, "<L", 1),
        "the directory's size": patched(GOOD, directory_of(GOOD) + 24, "<L", 1),
        "the checksum behind the data": patched(_STREAMED, _FIRST + 4, "<L", 1),
        "the packed size behind the data": patched(_STREAMED, _FIRST + 8, "<L", 1),
        "the size behind the data": patched(_STREAMED, _FIRST + 12, "<L", 1),
        "a second name in the header": second_name(in_directory=False),
        "a second name in the directory": second_name(in_directory=True),
        "a long size in the header": patched(_LONG, 30 + len("toy.py") + 4, "<Q", 1),
        "a long packed size in the header": patched(_LONG, 30 + len("toy.py") + 12, "<Q", 1),
    },
)

END: Group[bytes] = Group(
    "the end record contradicts the directory, or the long one (ZIP64) the ordinary one",
    "the wheel is refused",
    "",
    {
        "on another disk": patched(GOOD, -18, "<H", 1),
        "the directory on another disk": patched(GOOD, -16, "<H", 1),
        "fewer members": patched(GOOD, -14, "<H", 2),
        "more members": patched(GOOD, -12, "<H", 9),
        "a longer directory": patched(GOOD, -10, "<L", 4_000_000_000),
        "another place": patched(GOOD, -6, "<L", 7),
        "members counted in a long record that isn't there": patched(GOOD, -12, "<H", 0xFFFF),
        "a place in a long record that isn't there": patched(GOOD, -6, "<L", 0xFFFFFFFF),
        "a long record with another place": long_end(place=30, count=len(members(GOOD))),
        "a long record with another count": long_end(place=directory_of(GOOD), count=2),
        "a long record that is elsewhere": long_end(place=directory_of(GOOD), count=len(members(GOOD)), locator=-4),
        "a long record with a count beyond all": long_end(place=directory_of(GOOD), count=2**63),
    },
)

STREAMS: Group[bytes] = Group(
    "a member is not what its headers say: longer, shorter, damaged; a bomb",
    "the wheel is refused, and nothing beyond the promised bytes is written",
    "toy.bin",
    {
        "a bomb": stream_of(deflated(bytes(5_000_000)), 1000),
        "a byte more": stream_of(deflated(b"x" * 1001), 1000),
        "shorter": stream_of(deflated(b"x" * 900), 1000),
        "cut": stream_of(deflated(b"x" * 1000)[:-1], 1000),
        "empty": stream_of(b"", 1000),
        "something behind it": stream_of(deflated(b"x" * 1000) + b"behind", 1000),
        "other bytes": stream_of(deflated(b"y" * 1000), 1000),
    },
)

DAMAGED: Group[bytes] = Group(
    "a member can't be inflated, or says that it unpacks to more than 50 times the file's size",
    "the wheel is refused before anything of that kind is written",
    "",
    {
        "noise": stream_of(b"\xff" * 100, 1000),
        "a bomb that says so": stream_of(deflated(bytes(70_000_000)), 70_000_000),
    },
)

TAKEN: Group[bytes] = Group(
    "sizes stand behind the data, or in eight bytes, or in a right long end record",
    "all of these say the same: the wheel is unpacked",
    RIGHT,
    {
        "as usual": GOOD,
        "written into a pipe": _STREAMED,
        "eight bytes": _LONG,
        "a long end record": long_end(place=directory_of(GOOD), count=len(members(GOOD))),
    },
)

GROUPS = [NONE, SURROUNDED, CONTRADICTING, END, STREAMS, DAMAGED, TAKEN]
