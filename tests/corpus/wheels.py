"""Wheels whose archive is sound and whose contents aren't."""

import io
import stat
import warnings
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import md5, sha1, sha256, sha384, sha512

from tests.corpus.case import RIGHT, Group
from tests.wheels import make_wheel, record_hash, record_text, zip_of

NAME, GOOD = make_wheel("toy", "1.0")
INFO = "toy-1.0.dist-info"
RECORD, WHEEL, METADATA = f"{INFO}/RECORD", f"{INFO}/WHEEL", f"{INFO}/METADATA"

Files = dict[str, bytes]
Case = tuple[str, bytes]


def _contents() -> Files:
    with zipfile.ZipFile(io.BytesIO(GOOD)) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != RECORD}


SOURCE = _contents()["toy.py"]


def wheel(change: Files | None = None, *, without: str = "", name: str = NAME) -> Case:
    """A wheel with files more, or others, and a RECORD of all it has."""
    files = {**_contents(), **(change or {})}
    files.pop(without, None)
    files[RECORD] = record_text(files, RECORD).encode()
    return name, zip_of(files)


def recorded(change: Callable[[str], str | bytes]) -> Case:
    """The right wheel with a RECORD that was changed."""
    files = _contents()
    made = change(record_text(files, RECORD))
    return NAME, zip_of({**files, RECORD: made.encode() if isinstance(made, str) else made})


def hashed(algorithm: Callable[[bytes], "object"], name: str) -> Case:
    """With another digest of `toy.py` in its RECORD."""
    digest = urlsafe_b64encode(algorithm(SOURCE).digest()).rstrip(b"=").decode()  # type: ignore[attr-defined]
    return recorded(lambda text: text.replace(f"sha256={record_hash(SOURCE)}", f"{name}={digest}"))


def member(name: str, content: bytes = b"", mode: int = stat.S_IFREG | 0o644, method: int = 0, flags: int = 0) -> Case:
    """With one member more, made by hand; RECORD lists it."""
    files = _contents()
    listed = files if name.endswith("/") else {**files, name: content}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, made in {**files, RECORD: record_text(listed, RECORD).encode()}.items():
            archive.writestr(path, made)
        info = zipfile.ZipInfo(name)
        info.external_attr, info.compress_type = mode << 16, method
        with warnings.catch_warnings(action="ignore"):  # of a name that is there already
            archive.writestr(info, content)
    raw = buffer.getvalue()
    if flags:
        for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
            place = raw.rindex(mark) + at
            raw = raw[:place] + flags.to_bytes(2, "little") + raw[place + 2 :]
    return NAME, raw


def scripts(text: bytes) -> Case:
    return wheel({f"{INFO}/entry_points.txt": text})


def script(line: str) -> Case:
    return scripts(f"[console_scripts]\n{line}\n".encode())


NAMES: Group[Case] = Group(
    "a member's name leads out, could be read in two ways, or is no name",
    "the whole wheel is refused, and nothing of it is written",
    "",
    {
        told: wheel({name: b""})
        for told, name in {
            "up": "../evil.py",
            "up and down": "toy/../../evil.py",
            "up to a neighbour": "../site-evil/x.py",
            "absolute": "/tmp/evil.py",
            "empty part": "toy//evil.py",
            "dot part": "./toy/evil.py",
            "dots at the end": "toy/..",
            "backslash": "..\\evil.py",
            "drive": "C:/evil.py",
            "stream": "toy/a.py:evil",
            "line feed": "toy/a\nb.py",
            "escape": "toy/\x1b[2J.py",
            "delete": "toy/\x7f.py",
            "C1 control": "toy/\x9b2J.py",
            "decomposed": "toy/u\u0308.py",
            "long part": f"toy/{'x' * 256}.py",
            "long path": "/".join(["toy", *["x" * 99] * 11]),
        }.items()
    }
    | {"NUL": member("toy/a\0.py"), "file and folder": wheel({"toy.py/x": b""}), "twice": member("toy.py", SOURCE)},
)

KINDS: Group[Case] = Group(
    "a member is a link, a device, encrypted, of an unusual compression, or a folder with contents",
    "the whole wheel is refused",
    "",
    {
        "link": member("toy/link", b"/etc/passwd", stat.S_IFLNK | 0o777),
        "link within": member("toy/link", b"toy.py", stat.S_IFLNK | 0o777),
        "pipe": member("toy/pipe", b"", stat.S_IFIFO | 0o644),
        "character device": member("toy/device", b"", stat.S_IFCHR | 0o644),
        "block device": member("toy/device", b"", stat.S_IFBLK | 0o644),
        "socket": member("toy/socket", b"", stat.S_IFSOCK | 0o644),
        "encrypted": member("toy/secret", b"x" * 12, flags=1),
        "bzip2": member("toy/x", b"x", method=zipfile.ZIP_BZIP2),
        "LZMA": member("toy/x", b"x", method=zipfile.ZIP_LZMA),
        "folder with contents": member("toy/folder/", b"x", stat.S_IFDIR | 0o755),
    },
)

BY_RECORD: Group[Case] = Group(
    "RECORD is missing or isn't what the wheel has: files, digests, sizes; SHA-1 or MD5",
    "the wheel is refused with each file that is wrong",
    "RECORD",
    {
        "missing": (NAME, zip_of(_contents())),
        "empty": recorded(lambda _: ""),
        "without a file": recorded(lambda text: text.partition("\n")[2]),
        "with a file more": recorded(lambda text: f"evil.py,sha256={record_hash(b'')},0\n{text}"),
        "with a file twice": recorded(lambda text: f"{text.partition(chr(10))[0]}\n{text}"),
        "with a file above": recorded(lambda text: f"../../evil.py,sha256={record_hash(b'')},0\n{text}"),
        "with an absolute file": recorded(lambda text: f"/etc/passwd,,\n{text}"),
        "with backslashes": recorded(lambda text: text.replace("/", "\\", 1)),
        "another digest": recorded(lambda text: text.replace(record_hash(SOURCE), record_hash(b"x"))),
        "half a digest": recorded(lambda text: text.replace(record_hash(SOURCE), record_hash(SOURCE)[:20])),
        "a digest in hex": recorded(lambda text: text.replace(record_hash(SOURCE), sha256(SOURCE).hexdigest())),
        "no digest": recorded(lambda text: text.replace(f"sha256={record_hash(SOURCE)}", "")),
        "MD5": hashed(md5, "md5"),
        "SHA-1": hashed(sha1, "sha1"),
        "an algorithm nobody knows": hashed(sha256, "sha-new"),
        "another size": recorded(lambda text: text.replace(f",{len(SOURCE)}\n", ",7\n", 1)),
        "a size of letters": recorded(lambda text: text.replace(f",{len(SOURCE)}\n", ",many\n", 1)),
        "not UTF-8": recorded(lambda text: b"\xff" + text.encode()),
        "a NUL": recorded(lambda text: text.replace("toy.py", "toy\0.py", 1)),
        "a quote without end": recorded(lambda text: '"' + text),
        "a column too many": recorded(lambda text: text.replace("toy.py,", "toy.py,x,", 1)),
    },
)

BY_WHEEL: Group[Case] = Group(
    "WHEEL is missing, or of another version of the format than 1",
    "the wheel is refused",
    "WHEEL",
    {
        "missing": wheel(without=WHEEL),
        "empty": wheel({WHEEL: b""}),
        "2.0": wheel({WHEEL: b"Wheel-Version: 2.0\nRoot-Is-Purelib: true\n"}),
        "10": wheel({WHEEL: b"Wheel-Version: 10\n"}),
        "a word": wheel({WHEEL: b"Wheel-Version: one\n"}),
        "none": wheel({WHEEL: b"Root-Is-Purelib: true\n"}),
        "in the body": wheel({WHEEL: b"Root-Is-Purelib: true\n\nWheel-Version: 1.0\n"}),
        "two": wheel({WHEEL: b"Wheel-Version: 1.0\nWheel-Version: 2.0\n"}),
        "binary": wheel({WHEEL: bytes(range(256))}),
    },
)

BY_INFO: Group[Case] = Group(
    "the `.dist-info` folder is missing, there are two, or it is of another project or version than the file",
    "the wheel is refused",
    "dist-info",
    {
        "none": (NAME, zip_of({"toy.py": SOURCE})),
        "two": wheel({"tay-1.0.dist-info/METADATA": b""}),
        "two spellings": wheel({"Toy-1.0.dist-info/METADATA": b""}),
        "another project": wheel(name="tay-1.0-py3-none-any.whl"),
        "another version": wheel(name="toy-1.1-py3-none-any.whl"),
        "within another folder": (NAME, zip_of({f"toy/{name}": content for name, content in _contents().items()})),
        "without a version": (NAME, zip_of({"toy.py": SOURCE, "toy.dist-info/METADATA": b""})),
    },
)

BY_METADATA: Group[Case] = Group(
    "METADATA is missing, too large, or names another project or version, or two",
    "the wheel is refused",
    "METADATA",
    {
        told: wheel({METADATA: text})
        for told, text in {
            "empty": b"",
            "another name": b"Name: numpy\nVersion: 1.0\n",
            "another version": b"Name: toy\nVersion: 1.1\n",
            "two names": b"Name: toy\nName: numpy\nVersion: 1.0\n",
            "a name twice": b"Name: toy\nname: toy\nVersion: 1.0\n",
            "two versions": b"Name: toy\nVersion: 1.0\nVersion: 9\n",
            "name in the body": b"Version: 1.0\n\nName: toy\n",
            "version in the body": b"Name: toy\n\nVersion: 1.0\n",
            "a blank line first": b"\nName: toy\nVersion: 1.0\n",
            "HTML": b"<html>Name: toy</html>",
            "binary": bytes(range(256)),
            "without end": b"Name: toy\nVersion: 1.0\n" + b"X: y\n" * 900_000,
        }.items()
    }
    | {"missing": wheel(without=METADATA)},
)

BY_DATA: Group[Case] = Group(
    "a `.data` folder is of another name, has an unknown part, or its files would take the place of others",
    "the wheel is refused",
    "",
    {
        told: wheel({name: b"x"})
        for told, name in {
            "another project's": "tay-1.0.data/purelib/evil.py",
            "another version's": "toy-1.1.data/purelib/evil.py",
            "without a version": "toy.data/purelib/evil.py",
            "without a name": ".data/purelib/evil.py",
            "an unknown part": "toy-1.0.data/stdlib/os.py",
            "a part in capitals": "toy-1.0.data/Scripts/x",
            "a file in place of a part": "toy-1.0.data/purelib",
            "a file that is there": "toy-1.0.data/purelib/toy.py",
            "a folder where a file is": "toy-1.0.data/platlib/toy.py/x",
            "a script in a folder": "toy-1.0.data/scripts/a/b",
            "a script named python": "toy-1.0.data/scripts/python",
            "a script named Python3.11": "toy-1.0.data/scripts/Python3.11",
            "a script named pip": "toy-1.0.data/scripts/pip",
            "a script named activate": "toy-1.0.data/scripts/activate.fish",
        }.items()
    },
)

BY_SCRIPTS: Group[Case] = Group(
    "an entry point's name or reference is outside the grammar, or takes the place of the environment's own",
    "the wheel is refused",
    "",
    {
        "up": script("../evil = toy:main"),
        "a path": script("a/b = toy:main"),
        "a space": script("a b = toy:main"),
        "an escape": script("a\x1b[2J = toy:main"),
        "dots": script(".. = toy:main"),
        "too long": script(f"{'x' * 129} = toy:main"),
        "python": script("python = toy:main"),
        "pip3": script("pip3 = toy:main"),
        "PYTHONW.exe": script("PYTHONW.exe = toy:main"),
        "deactivate": script("deactivate = toy:main"),
        "code": script("x = os:system('x')"),
        "a second statement": script("x = toy:main;import os"),
        "an import": script("x = toy import main"),
        "no attribute": script("x = toy"),
        "no module": script("x = :main"),
        "a second line": script("x = toy:main\n  evil()"),
        "a number": script("x = 1toy:main"),
        "no section": scripts(b"x = toy:main\n"),
        "no end of a section": scripts(b"[console_scripts\nx = toy:main\n"),
        "not UTF-8": scripts(b"[console_scripts]\nx = \xff:main\n"),
    },
)

TAKEN: Group[Case] = Group(
    "what differs from the usual and means the same: spellings, stronger digests, signatures, line ends",
    "the wheel is unpacked",
    RIGHT,
    {
        "as usual": (NAME, GOOD),
        "SHA-384": hashed(sha384, "sha384"),
        "SHA-512": hashed(sha512, "sha512"),
        "RECORD with returns": recorded(lambda text: text.replace("\n", "\r\n")),
        "RECORD with quotes": recorded(lambda text: text.replace("toy.py", '"toy.py"', 1)),
        "RECORD without itself": recorded(lambda text: "\n".join(text.splitlines()[:-1])),
        "RECORD without sizes": recorded(lambda text: text.replace(f",{len(SOURCE)}\n", ",\n", 1)),
        "a signature": (
            NAME,
            zip_of({**_contents(), RECORD: record_text(_contents(), RECORD).encode(), f"{RECORD}.jws": b"{}"}),
        ),
        "WHEEL 1.9": wheel({WHEEL: b"Wheel-Version: 1.9\r\nRoot-Is-Purelib: true\r\n"}),
        "METADATA that isn't UTF-8": wheel({METADATA: b"Name: toy\nVersion: 1.0\nAuthor: \xe9\n"}),
        "METADATA of another spelling": wheel({METADATA: b"Name: TOY\nVersion: 1.0.0\n"}),
        "data of another spelling": wheel({"Toy-1.0.0.data/data/x": b""}),
        "a file that ends in .data": wheel({"toy.data": b""}),
        "an executable for all": member("toy/x", b"x", stat.S_IFREG | 0o6777),
        "a folder": member("toy/folder/", b"", stat.S_IFDIR | 0o755),
        "an empty part of entry points": scripts(b"[gui_scripts]\n[other]\nx = whatever it wants\n"),
    },
)

GROUPS = [NAMES, KINDS, BY_RECORD, BY_WHEEL, BY_INFO, BY_METADATA, BY_DATA, BY_SCRIPTS, TAKEN]
