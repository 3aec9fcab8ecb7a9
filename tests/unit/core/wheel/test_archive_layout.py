"""Every archive that two readers could read in two ways is refused."""

import io
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from tests.wheels import make_wheel, zip_of
from tf_tester.core.wheel.archive_layout import check_layout
from tf_tester.errors import BadWheel

GOOD = zip_of({"toy/a.py": b"A = 1\n" * 20, "toy/b.py": b"B = 2\n", "toy/ü.txt": b""})


def laid_out(content: bytes) -> None:
    """Check an archive as it is checked before it is unpacked."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        check_layout(archive.infolist(), archive.start_dir, len(content), lambda at, count: content[at : at + count])


def refused(content: bytes) -> str:
    with pytest.raises(BadWheel) as caught:
        laid_out(content)
    return str(caught.value)


def members(content: bytes) -> list[zipfile.ZipInfo]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.infolist()


def directory_of(content: bytes) -> int:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.start_dir


def patched(content: bytes, at: int, form: str, value: int) -> bytes:
    changed = bytearray(content)
    struct.pack_into(form, changed, at, value)
    return bytes(changed)


def inserted(content: bytes, at: int, piece: bytes) -> bytes:
    """With a piece more before the directory; what points behind it is corrected, so that readers don't stumble."""
    return _moved(content[:at] + piece + content[at:], content, at, len(piece))


def cut(content: bytes, at: int, count: int) -> bytes:
    """With a piece less, likewise."""
    return _moved(content[:at] + content[at + count :], content, at, -count)


def _moved(made: bytes, content: bytes, at: int, count: int) -> bytes:
    place = directory_of(content) + count
    made = patched(made, len(made) - 6, "<L", place)
    for member in members(content):
        if member.header_offset >= at:
            made = patched(made, place + 42, "<L", member.header_offset + count)
        place += 46 + len(member.orig_filename.encode()) + len(member.extra)
    return made


# -- what is taken


def test_archives_as_the_usual_tools_write_them_are_taken(tmp_path: Path) -> None:
    laid_out(GOOD)
    laid_out(make_wheel("toy", "1.0")[1])
    (tmp_path / "some/deep").mkdir(parents=True)
    (tmp_path / "some/deep/file").write_text("x" * 1000)
    with zipfile.ZipFile(tmp_path / "made.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((tmp_path / "some").rglob("*")):
            archive.write(path, path.relative_to(tmp_path))
        archive.writestr(zipfile.ZipInfo("stored"), b"x")
    laid_out((tmp_path / "made.zip").read_bytes())


class Pipe(io.BytesIO):
    """Can't be gone back in, so that sizes are written behind the data."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


def streamed() -> bytes:
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("toy/a.py", b"A = 1\n" * 20)
        archive.writestr("toy/b.py", b"")
    return pipe.getvalue()


def test_sizes_behind_the_data_are_read_with_a_mark_and_without() -> None:
    content = streamed()
    assert content.count(b"PK\7\x08") == 2
    laid_out(content)
    first = content.index(b"PK\7\x08")
    laid_out(cut(content, first, 4))


def test_long_sizes_are_read() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open("toy.bin", "w", force_zip64=True) as member:
        member.write(b"x" * 100)
    assert buffer.getvalue()[18:26] == b"\xff" * 8
    laid_out(buffer.getvalue())
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as archive, archive.open("toy.bin", "w", force_zip64=True) as member:
        member.write(b"x" * 100)
    laid_out(pipe.getvalue())


def test_a_long_end_record_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    content = zip_of({"a": b"1", "b": b"2"})
    assert b"PK\6\6" in content
    laid_out(content)
    locator = content.index(b"PK\6\7")
    for at in (24, 32, 40, 48, 56 + 8, 56 + 16):  # counts, size, place; the locator's own place, and how many there are
        with pytest.raises((BadWheel, zipfile.BadZipFile)):
            laid_out(patched(content, locator - 56 + at, "<B", content[locator - 56 + at] ^ 1))
    with pytest.raises((BadWheel, zipfile.BadZipFile)):
        laid_out(content[:locator] + b"XX\6\7" + content[locator + 4 :])


# -- what surrounds it


def test_a_prefix_is_refused() -> None:
    assert "does not follow" in refused(b"#!/bin/sh\n" + GOOD)
    assert "does not follow" in refused(inserted(GOOD, 0, b"#!/bin/sh\n"))


def test_a_suffix_and_a_comment_are_refused() -> None:
    assert refused(GOOD + b"more") == "it does not end with its directory"
    assert refused(patched(GOOD, len(GOOD) - 2, "<H", 4) + b"more") == "it does not end with its directory"


def test_two_archives_in_one_are_refused() -> None:
    assert "does not follow" in refused(zip_of({"evil.py": b""}) + GOOD)


def test_a_tar_before_it_is_refused() -> None:
    assert "does not follow" in refused(b"\0" * 1024 + GOOD)


# -- between and before the members


def test_a_gap_is_refused() -> None:
    second = members(GOOD)[1].header_offset
    assert "'toy/b.py' does not follow" in refused(inserted(GOOD, second, b"gap"))
    assert "between its members and its directory" in refused(inserted(GOOD, directory_of(GOOD), b"gap"))


def test_a_member_that_the_directory_hides_is_refused() -> None:
    hidden = zip_of({"evil.py": b"import os"})
    hidden = hidden[: directory_of(hidden)]
    assert "does not follow" in refused(inserted(GOOD, members(GOOD)[2].header_offset, hidden))
    assert "between its members" in refused(inserted(GOOD, directory_of(GOOD), hidden))


def test_members_in_another_order_are_refused() -> None:
    place = directory_of(GOOD)
    sizes = [46 + len(member.orig_filename.encode()) for member in members(GOOD)]
    first, second = GOOD[place : place + sizes[0]], GOOD[place + sizes[0] : place + sizes[0] + sizes[1]]
    swapped = GOOD[:place] + second + first + GOOD[place + sizes[0] + sizes[1] :]
    assert "'toy/b.py' does not follow" in refused(swapped)


def test_two_members_with_the_same_data_are_refused() -> None:
    place = directory_of(GOOD)
    second = place + 46 + len("toy/a.py")
    assert "does not follow" in refused(patched(GOOD, second + 42, "<L", 0))


def test_an_archive_without_members_is_taken_as_empty() -> None:
    laid_out(zip_of({}))


# -- headers that contradict the directory


@pytest.mark.parametrize(
    ("at", "form", "value"),
    [
        (0, "<L", 0x04034B51),  # the mark
        (6, "<H", 0x8),  # flags: sizes behind the data
        (6, "<H", 0x800),  # flags: another encoding of the name
        (8, "<H", 0),  # the method
        (14, "<L", 1),  # the CRC
        (18, "<L", 1),  # the packed size
        (22, "<L", 1),  # the unpacked size
        (26, "<H", 7),  # the length of the name
        (28, "<H", 9),  # the length of the extra field
        (30, "<B", ord("T")),  # the name
    ],
)
def test_a_header_that_contradicts_the_directory_is_refused(at: int, form: str, value: int) -> None:
    said = refused(patched(GOOD, at, form, value))
    assert "the header of 'toy/a.py' says something else" in said or "does not follow" in said


@pytest.mark.parametrize("at", [8, 10, 16, 20, 24])
def test_a_directory_that_contradicts_the_headers_is_refused(at: int) -> None:
    place = directory_of(GOOD) + at
    assert "'toy/a.py'" in refused(patched(GOOD, place, "<B", GOOD[place] ^ 1))


def test_a_description_behind_the_data_that_contradicts_the_directory_is_refused() -> None:
    content = streamed()
    first = content.index(b"PK\7\x08")
    for at in (first, first + 4, first + 8, first + 12):
        assert "'toy/a.py' says something else" in refused(patched(content, at, "<B", content[at] ^ 1))


@pytest.mark.parametrize("where", ["header", "directory"])
def test_a_second_name_is_refused_wherever_it_is(where: str) -> None:
    name = b"evil.py"
    field = struct.pack("<BL", 1, zlib.crc32(b"toy.py")) + name
    extra = struct.pack("<HH", 0x7075, len(field)) + field
    content = zip_of({"toy.py": b""})
    if where == "header":
        content = patched(inserted(content, 30 + len("toy.py"), extra), 28, "<H", len(extra))
        content = patched(content, directory_of(content) + 42, "<L", 0)
    else:
        place = directory_of(content) + 46 + len("toy.py")
        content = content[:place] + extra + content[place:]
        content = patched(content, content.index(b"PK\1\2") + 30, "<H", len(extra))
        content = patched(content, len(content) - 10, "<L", 46 + len("toy.py") + len(extra))
    assert "says something else" in refused(content)


# -- the end record


@pytest.mark.parametrize(
    ("at", "form", "value"),
    [
        (4, "<H", 1),  # of another disk
        (8, "<H", 2),  # fewer members than there are
        (10, "<H", 9),  # more
        (10, "<H", 0xFFFF),  # "look in the long record", which is not there
    ],
)
def test_an_end_record_that_contradicts_the_directory_is_refused(at: int, form: str, value: int) -> None:
    assert refused(patched(GOOD, len(GOOD) - 22 + at, form, value)) == "it does not end with its directory"
