"""One canonical layout of a ZIP archive, so that no two readers can see two different wheels in it.

Readers differ in what they believe: the headers before each member, the directory at the end, the last of several end
records (CVE-2025-54368, GHSA-pqhf-p39g-3x64). Where all of these say the same and nothing is between them, there is
nothing to choose. Of 966 published wheels none is laid out otherwise.
"""

import struct
import zipfile
from collections.abc import Callable, Iterator, Sequence

from tf_tester.errors import BadWheel

_LOCAL = struct.Struct("<4s5H3L2H")
_END = struct.Struct("<4s4H2LH")
_LONG_END = struct.Struct("<4sQ2H2L4Q4sLQL")
"""The end record and its locator of an archive with sizes of 8 bytes."""
_UTF8 = 0x800
_DESCRIBED_BEHIND = 0x8
_SECOND_NAME = 0x7075
"""Info-ZIP's Unicode path: some readers follow it, others don't."""


def check_layout(
    members: Sequence[zipfile.ZipInfo], directory: int, size: int, read: Callable[[int, int], bytes]
) -> None:
    """Refuse every layout but this one.

    The members from the first byte on, one after the other, in the order of the directory and each with what the
    directory says of it; then the directory, which begins at `directory`; then its end record without a comment; then
    nothing. `read(start, length)` gives bytes of the archive.
    """
    place = 0
    for member in members:
        if member.header_offset != place:
            raise BadWheel(f"{member.filename!r} does not follow what comes before it")
        length = _length_of(member, place, read)
        if length == 0:
            raise BadWheel(f"the header of {member.filename!r} says something else than the directory")
        place += length
    if place != directory:
        raise BadWheel("there is something between its members and its directory")
    place += sum(46 + len(_raw_name(member)) + len(member.extra) + len(member.comment) for member in members)
    if not _is_end(read(place, size - place), len(members), directory, place - directory):
        raise BadWheel("it does not end with its directory")


def _length_of(member: zipfile.ZipInfo, place: int, read: Callable[[int, int], bytes]) -> int:
    """Return the bytes of a member with all that belongs to it; 0 where its own header contradicts the directory."""
    name = _raw_name(member)
    head = read(place, _LOCAL.size + len(name))
    if len(head) < _LOCAL.size + len(name) or not head.startswith(b"PK\3\4") or head[_LOCAL.size :] != name:
        return 0
    _, _, flags, method, _, _, crc, packed, unpacked, name_length, extra_length = _LOCAL.unpack_from(head)
    if (flags, method, name_length) != (member.flag_bits, member.compress_type, len(name)):
        return 0
    extra = read(place + len(head), extra_length)
    if _SECOND_NAME in (*_kinds(extra), *_kinds(member.extra)):
        return 0
    length = len(head) + extra_length + member.compress_size
    described = (member.CRC, member.compress_size, member.file_size)
    if flags & _DESCRIBED_BEHIND:
        behind = _descriptor(read(place + length, 24), described)
        return length + behind if behind else 0
    return length if (crc, *_zip64(packed, unpacked, extra)) == described else 0


def _raw_name(member: zipfile.ZipInfo) -> bytes:
    return member.orig_filename.encode("utf-8" if member.flag_bits & _UTF8 else "cp437")


def _fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the kind and contents of each part of an extra field."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        yield kind, extra[4 : 4 + length]
        extra = extra[4 + length :]


def _kinds(extra: bytes) -> Iterator[int]:
    return (kind for kind, _ in _fields(extra))


def _zip64(packed: int, unpacked: int, extra: bytes) -> tuple[int, int]:
    """Return the sizes of a local header, where they are too long for it from its extra field."""
    if 0xFFFFFFFF in (packed, unpacked):
        for kind, contents in _fields(extra):
            if kind == 1 and len(contents) >= 16:
                unpacked, packed = struct.unpack_from("<QQ", contents)
    return packed, unpacked


def _descriptor(found: bytes, described: tuple[int, int, int]) -> int:
    """Return the length of what describes a member behind its data: with a mark or not, in 4 or 8 bytes; 0: none."""
    mark = 4 if found.startswith(b"PK\7\x08") else 0
    for form in ("<LLL", "<LQQ"):
        end = mark + struct.calcsize(form)
        if len(found) >= end and struct.unpack_from(form, found, mark) == described:
            return end
    return 0


def _is_end(found: bytes, count: int, directory: int, length: int) -> bool:
    """Tell whether these bytes are the end record of that directory, in a big archive behind its two longer ones."""
    allowed: set[int] = set()
    if len(found) == _LONG_END.size + _END.size:
        long, _, _, *told = _LONG_END.unpack_from(found)[1:]
        # Whatever the ordinary record says: some readers believe this one, others that.
        where = (b"PK\6\7", 0, directory + length, 1)
        if (found[:4], long, *told) != (b"PK\6\6", 44, 0, 0, count, count, length, directory, *where):
            return False
        allowed = {0xFFFF, 0xFFFFFFFF}
    elif len(found) != _END.size:
        return False
    mark, disk, first, here, entries, size, start, comment = _END.unpack_from(found, len(found) - _END.size)
    said, meant = (here, entries, size, start), (count, count, length, directory)
    return (mark, disk, first, comment) == (b"PK\5\6", 0, 0, 0) and all(
        one == other or one in allowed for one, other in zip(said, meant, strict=True)
    )
