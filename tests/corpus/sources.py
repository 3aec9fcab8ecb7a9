"""Source archives, as they are unpacked before they are built; the right one has `toy-1.0/setup.py`."""

import gzip
import io
import tarfile
import zipfile
from hashlib import sha256
from typing import Any

from tests.corpus.case import RIGHT, Group

SOURCE = b"print('toy')\n"
Case = tuple[str, bytes]


def member(name: str, content: bytes = b"", **attributes: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info, content


def tar(*members: tuple[tarfile.TarInfo, bytes], without_source: bool = False, mode: str = "w:gz") -> Case:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for info, content in [*([] if without_source else [member("toy-1.0/setup.py", SOURCE)]), *members]:
            archive.addfile(info, io.BytesIO(content))
    return "toy-1.0.tar.gz", buffer.getvalue()


def zipped(files: dict[str, bytes], **attributes: Any) -> Case:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in {"toy-1.0/setup.py": SOURCE, **files}.items():
            info = zipfile.ZipInfo(name)
            for attribute, value in attributes.items():
                setattr(info, attribute, value)
            archive.writestr(info, content)
    return "toy-1.0.zip", buffer.getvalue()


def link(name: str, to: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=kind, linkname=to)


def flipped(content: bytes, at: int) -> Case:
    return "toy-1.0.tar.gz", content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


_GOOD = tar()[1]
_NOISE = b"".join(sha256(str(number).encode()).digest() for number in range(4_000))
_LARGE, _LARGE_XZ = (tar(member("toy-1.0/noise", _NOISE), mode=mode)[1] for mode in ("w:gz", "w:xz"))

OUT: Group[Case] = Group(
    "a source archive has a name or a link that leads out of it, a device, or something in the place of another",
    "it is not unpacked",
    "",
    {
        "up": tar(member("../evil", b"x")),
        "up within": tar(member("toy-1.0/../../evil", b"x")),
        "absolute": tar(member("/tmp/evil", b"x")),
        "a backslash": tar(member("toy-1.0\\evil", b"x")),
        "a drive": tar(member("C:/evil", b"x")),
        "a line feed": tar(member("toy-1.0/a\nb", b"x")),
        "a name in an extended header": tar(member("toy-1.0/x", b"x", pax_headers={"path": "../evil"})),
        "an absolute link": tar(link("toy-1.0/link", "/etc/passwd")),
        "a link up": tar(link("toy-1.0/link", "../../evil")),
        "a link up within": tar(link("toy-1.0/link", "a/../../b")),
        "a link to nothing": tar(link("toy-1.0/link", "")),
        "a hard link out": tar(link("toy-1.0/hard", "/etc/passwd", tarfile.LNKTYPE)),
        "a pipe": tar(member("toy-1.0/pipe", type=tarfile.FIFOTYPE)),
        "a device": tar(member("toy-1.0/device", type=tarfile.CHRTYPE, devmajor=1, devminor=5)),
        "a disk": tar(member("toy-1.0/disk", type=tarfile.BLKTYPE, devmajor=8, devminor=0)),
        "a file twice": tar(member("toy-1.0/setup.py", b"evil")),
        "a file through a link": tar(link("toy-1.0/link", "setup.py"), member("toy-1.0/link", b"evil")),
        "a folder that is a file": tar(member("toy-1.0/setup.py/x", b"evil")),
        "ZIP, up": zipped({"../evil": b"x"}),
        "ZIP, absolute": zipped({"/tmp/evil": b"x"}),
        "ZIP, encrypted": (
            "toy-1.0.zip",
            zipped({"x": b"x" * 12})[1].replace(b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0"),
        ),
    },
)

BROKEN: Group[Case] = Group(
    "a source archive is none, was cut off, or unpacks to far more than its size",
    "it is not unpacked",
    "toy-1.0",
    {
        "empty": ("toy-1.0.tar.gz", b""),
        "HTML": ("toy-1.0.tar.gz", b"<html>log in</html>"),
        "cut": ("toy-1.0.tar.gz", _GOOD[:-20]),
        "cut before its sum": ("toy-1.0.tar.gz", _GOOD[:-8]),
        "another sum": ("toy-1.0.tar.gz", _GOOD[:-8] + bytes(8)),
        "a flipped byte": flipped(_GOOD, 40),
        "a flipped byte in a file": flipped(_LARGE, len(_LARGE) // 2),
        "LZMA, a flipped byte": flipped(_LARGE_XZ, len(_LARGE_XZ) // 2),
        "LZMA, cut": ("toy-1.0.tar.gz", _LARGE_XZ[:-30]),
        "gzip of noise": ("toy-1.0.tar.gz", gzip.compress(b"noise" * 200)),
        "ZIP as tar": ("toy-1.0.tar.gz", zipped({})[1]),
        "tar as ZIP": ("toy-1.0.zip", _GOOD),
        "a bomb": tar(member("toy-1.0/zeros", bytes(80_000_000))),
        "ZIP, cut": ("toy-1.0.zip", zipped({})[1][:-10]),
        "ZIP, a bomb": zipped({"toy-1.0/zeros": bytes(80_000_000)}, compress_type=zipfile.ZIP_DEFLATED),
    },
)

TAKEN: Group[Case] = Group(
    "a source archive has links down, other modes and owners, no folder of its own",
    "it is unpacked as files of the user's own",
    RIGHT,
    {
        "as usual": tar(),
        "without compression": tar(mode="w"),
        "LZMA": tar(mode="w:xz"),
        "ZIP": zipped({}),
        "a link down": tar(link("toy-1.0/link", "setup.py")),
        "of root, set-uid": tar(member("toy-1.0/x", b"x", mode=0o6777, uid=0, uname="root")),
        "a dot before names": tar(member("./toy-1.0/x", b"x")),
        "a global header": tar(member("toy-1.0/x", b"x", pax_headers={"comment": "x" * 500})),
    },
)

GROUPS = [OUT, BROKEN, TAKEN]
