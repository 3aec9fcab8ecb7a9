"""Which wheels are unpacked at all: names, sizes, RECORD, metadata. One bad name refuses the whole wheel.

Sources: the binary distribution format specification; CVE-2026-1703 and CVE-2026-24049 (path traversal in
wheels), GHSA-4gg8-gxpx-9rph (entry-point names), CVE-2025-8869 (links).
"""

import base64
import binascii
import csv
import io
import itertools
import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from tf_tester.errors import BadWheel
from tf_tester.model.host.layer import EntryPoint

MAX_FILES = 60_000
MAX_METADATA = 4 * 1024 * 1024
MOST_TOLD = 10
"""Faults of one wheel that are told in words."""
LONGEST_TOLD = 200
"""Characters of a name in them."""
_PLAIN = re.compile(r"[A-Za-z0-9_.+-]+(/[A-Za-z0-9_.+-]+)*")
_DOTS = re.compile(r"(^|/)\.\.?(/|$)")
# Compiled when they are first used, and kept by `re`: most runs unpack nothing.
_SCRIPT_NAME = r"[A-Za-z0-9._-]{1,128}"
_RESERVED_SCRIPT = r"(?i)(python|pip)([0-9.]*|w)(\.exe)?|(de)?activate(\.[a-z0-9]+|_this\.py)?"
_DOTTED = r"[^\W\d]\w*(\.[^\W\d]\w*)*"
_SIGNATURES = (".jws", ".p7s")


BROKEN_ARCHIVE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError)
"""What zipfile raises for an archive that it can't read."""


def check_members(members: Sequence[zipfile.ZipInfo], compressed: int) -> None:
    """Refuse names that could leave the folder, links, duplicates and bombs. `compressed`: the wheel's bytes."""
    if len(members) > MAX_FILES:
        raise BadWheel(f"it has {len(members)} entries, more than {MAX_FILES}")
    seen: set[str] = set()
    for member in members:
        # `filename` is what zipfile made of it: cut at a NUL, with other separators, renamed by an extra field.
        if member.filename != member.orig_filename:
            raise BadWheel(f"the name {member.orig_filename!r} has a forbidden character or a second reading")
        name = member.filename.removesuffix("/")
        check_name(name)
        if name in seen:
            raise BadWheel(f"{name!r} is in it twice")
        seen.add(name)
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise BadWheel(f"{member.filename!r} is neither a file nor a folder")
        if member.header_offset < 0:
            raise BadWheel(f"{member.filename!r} begins before the file")
        if member.is_dir() and member.file_size:
            raise BadWheel(f"the folder {member.filename!r} has contents of its own")
        if member.flag_bits & 0x1:
            raise BadWheel(f"{member.filename!r} is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BadWheel(f"{member.filename!r} uses an unusual compression")
    check_folders(member.filename for member in members if not member.is_dir())
    check_unpacked_size(sum(member.file_size for member in members), compressed)


def check_unpacked_size(total: int, compressed: int) -> None:
    """Refuse an archive that would unpack to far more bytes than it has; the factor is the index's own upload rule."""
    if total > 50 * compressed + 64 * 1024 * 1024:
        raise BadWheel(f"it would unpack to {total} bytes, more than 50 times its size")


def check_name(name: str) -> None:
    """Refuse a name that could lead elsewhere or be read in two ways, before it is joined to anything."""
    if _PLAIN.fullmatch(name) and len(name) <= 255 and not _DOTS.search(name):
        return  # nearly all: the rules below cost four times as much
    if len(name.encode("utf-8", "surrogatepass")) > 1024:
        raise BadWheel("a name is longer than 1024 bytes")
    for segment in name.split("/"):
        if segment in ("", ".", ".."):
            raise BadWheel(f"the name {name!r} has an empty, '.' or '..' part")
        if "\\" in segment or ":" in segment or any(unicodedata.category(c) in ("Cc", "Cs") for c in segment):
            raise BadWheel(f"the name {name!r} has a forbidden character")
        if not unicodedata.is_normalized("NFC", segment):
            raise BadWheel(f"the name {name!r} is not in Unicode's composed form: it could be two names or one")
        if len(segment.encode("utf-8")) > 255:
            raise BadWheel(f"a part of the name {name!r} is longer than 255 bytes")


def check_folders(files: Iterable[str]) -> None:
    """Refuse a path that is a file and a folder with files in it."""
    names = set(files)
    for name in names:
        folder = name.rpartition("/")[0]
        while folder:
            if folder in names:
                raise BadWheel(f"{folder!r} is a file in it, and a folder with {name!r} in it")
            folder = folder.rpartition("/")[0]


def check_script(name: str, owner: str) -> None:
    """Refuse a script that would take the place of the environment's own; pip itself brings scripts named pip."""
    if re.fullmatch(_RESERVED_SCRIPT, name) and not (name.lower().startswith("pip") and owner == "pip"):
        raise BadWheel(f"a script may not be named {name!r}")


def find_dist_info(names: Iterable[str], project: str, version: str) -> str:
    """Return the one `.dist-info` folder, which must be that of the wheel's own file name."""
    folders = {name.split("/", 1)[0] for name in names if "/" in name and name.split("/", 1)[0].endswith(".dist-info")}
    if len(folders) != 1:
        raise BadWheel(f"it has {len(folders)} .dist-info folders instead of one")
    folder = folders.pop()
    name, _, its_version = folder.removesuffix(".dist-info").rpartition("-")
    if canonicalize_name(name) != project or not same_version(its_version, version):
        raise BadWheel(f"its folder {folder} is not that of {project} {version}")
    return folder


def check_metadata(metadata: bytes, project: str, version: str) -> None:
    """Check that Name and Version of METADATA are those of the file name, and stand there once."""
    if len(metadata) > MAX_METADATA:
        raise BadWheel(f"its METADATA has {len(metadata)} bytes")
    # As the readers of mail headers do it: an empty line ends them, and no other character ends a line.
    lines = re.split("\r\n|\r|\n", metadata.decode("utf-8", "replace"))
    headers = list(itertools.takewhile(bool, lines))
    names = [line[5:].strip() for line in headers if line.lower().startswith("name:")]
    versions = [line[8:].strip() for line in headers if line.lower().startswith("version:")]
    if len(names) != 1 or canonicalize_name(names[0]) != project:
        raise BadWheel(f"its METADATA says Name: {', '.join(names) or 'nothing'}, not {project}")
    if len(versions) != 1 or not same_version(versions[0], version):
        raise BadWheel(f"its METADATA says Version: {', '.join(versions) or 'nothing'}, not {version}")


def check_wheel_file(text: bytes) -> None:
    r"""Refuse another version of the format than 1.x: what it would have us do, we don't know. `text`: WHEEL.

    >>> check_wheel_file(b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
    """
    lines = re.split("\r\n|\r|\n", text.decode("utf-8", "replace"))
    headers = itertools.takewhile(bool, lines)
    versions = [line[14:].strip() for line in headers if line.lower().startswith("wheel-version:")]
    if len(versions) != 1 or not re.fullmatch(r"1(\.[0-9]{1,9})*", versions[0]):
        told = " and ".join(version[:LONGEST_TOLD] for version in versions[:2]) or "nothing"
        raise BadWheel(f"its WHEEL says Wheel-Version: {told}, and we know version 1")


def check_data_folder(folder: str, project: str, version: str) -> None:
    """Refuse a `.data` folder of another name than the wheel's: some readers spread it, others leave it as it is."""
    name, _, its_version = folder.removesuffix(".data").rpartition("-")
    if canonicalize_name(name) != project or not same_version(its_version, version):
        raise BadWheel(f"its folder {folder} is not that of {project} {version}")


def read_record(
    record: bytes, record_name: str, names: Iterable[str], sizes: Mapping[str, int] | None = None
) -> dict[str, str]:
    """Return `sha256:` and the hex digest by name, for every file but RECORD itself; the two sets must be equal.

    `sizes`: what the files have, if RECORD's sizes are to be compared. Raises `BadWheel` with all that is wrong.
    """
    promised: dict[str, str] = {}
    faults: list[str] = []
    unlisted = {record_name, *(record_name + ending for ending in _SIGNATURES)}
    for name, digest, size in _rows(record):
        if name in unlisted:
            continue
        if name in promised:
            faults.append(f"RECORD lists {_quoted(name)} twice")
        promised[name], fault = _digest(name, digest)
        if fault:
            faults.append(fault)
        if sizes is not None and size and name in sizes and size != str(sizes[name]):
            faults.append(f"RECORD says that {_quoted(name)} has {size[:20]} bytes, it has {sizes[name]}")
    actual = set(names) - unlisted
    faults += [f"{_quoted(name)} is in it, but not in its RECORD" for name in sorted(actual - promised.keys())]
    faults += [f"{_quoted(name)} is in its RECORD, but not in it" for name in sorted(promised.keys() - actual)]
    refuse(faults)
    return promised


def refuse(faults: Sequence[str]) -> None:
    """Raise `BadWheel` if there are any faults."""
    if faults:
        raise BadWheel(together(faults))


def together(faults: Sequence[str]) -> str:
    """Return the first ten faults, and how many more there are; an empty text for none."""
    more = len(faults) - MOST_TOLD
    return "; ".join([*faults[:MOST_TOLD], *([f"and {more} more"] if more > 0 else [])])


def _rows(record: bytes) -> list[tuple[str, str, str]]:
    """Return name, digest and size of each row, empty where it has none. Raises `BadWheel`."""
    try:
        rows = list(csv.reader(io.StringIO(record.decode("utf-8"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadWheel(f"its RECORD can't be read: {error}") from error
    return [(name, digest, size) for name, digest, size, *_ in ([*row, "", ""] for row in rows if row)]


def _digest(name: str, written: str) -> tuple[str, str]:
    """Return the algorithm and the hex digest, or an empty text and what is wrong."""
    algorithm, _, value = written.partition("=")
    if algorithm not in ("sha256", "sha384", "sha512"):
        return "", f"RECORD gives no SHA-256 for {_quoted(name)}"
    try:
        return f"{algorithm}:{base64.urlsafe_b64decode(value + '=' * (-len(value) % 4)).hex()}", ""
    except (binascii.Error, ValueError):
        return "", f"RECORD's digest of {_quoted(name)} can't be read"


def _quoted(name: str) -> str:
    return repr(name if len(name) <= LONGEST_TOLD else f"{name[:LONGEST_TOLD]}…")


def is_another_version(shown: str, version: str) -> bool:
    """Tell whether what a module shows is a version (PEP 440), and another one; a local part may be missing in one.

    >>> is_another_version("2.16.2", "2.16.1"), is_another_version("1.12.0+cpu", "1.12.0"), is_another_version("?", "1")
    (True, False, False)
    """
    try:
        ours, theirs = Version(version), Version(shown)
    except ValueError:  # of no version, or of one whose numbers have thousands of digits
        return False
    return ours != theirs and (ours.public != theirs.public or bool(ours.local and theirs.local))


def extras_of(metadata: bytes) -> frozenset[str]:
    r"""Return the extras that METADATA names, canonical.

    >>> extras_of(b"Name: tool\nProvides-Extra: Fast_One\n\nProvides-Extra: text")
    frozenset({'fast-one'})
    """
    head = metadata.partition(b"\n\n")[0].decode("utf-8", "replace")
    return frozenset(map(canonicalize_name, re.findall(r"(?im)^provides-extra:\s*(\S+)", head)))


def without_requirement(metadata: bytes, package: str) -> bytes:
    r"""Return METADATA that doesn't require a package, whatever version of it. `package`: canonical.

    >>> without_requirement(b"Name: tool\nRequires-Dist: Toy_Box>=2\nRequires-Dist: toy\n", "toy-box")
    b'Name: tool\nRequires-Dist: toy\n'
    """
    head, separator, body = metadata.partition(b"\n\n")
    kept = [line for line in head.split(b"\n") if str(canonicalize_name(_required(line))) != package]
    return b"\n".join(kept) + separator + body


def renamed_requirements(metadata: bytes, names: Collection[str], package: str) -> bytes:
    r"""Return METADATA that requires one package, as far as it requires some others. `names`, `package`: canonical.

    >>> renamed_requirements(b"Requires-Dist: TensorFlow>=2.8\nRequires-Dist: six\n", ["tensorflow"], "tensorflow-cpu")
    b'Requires-Dist: tensorflow-cpu>=2.8\nRequires-Dist: six\n'
    """
    head, separator, body = metadata.partition(b"\n\n")
    lines = head.split(b"\n")
    for number, line in enumerate(lines):
        found = _required(line)
        if found and str(canonicalize_name(found)) in names:
            lines[number] = line.replace(found.encode(), package.encode(), 1)
    return b"\n".join(lines) + separator + body


def _required(line: bytes) -> str:
    """Return the name in a line `Requires-Dist`, as it is written; empty: it is another line."""
    match = re.match(r"requires-dist:\s*([A-Za-z0-9][A-Za-z0-9._-]*)", line.decode("utf-8", "replace"), re.IGNORECASE)
    return match[1] if match else ""


def read_entry_points(text: str) -> tuple[EntryPoint, ...]:
    """Return the console and GUI scripts of `entry_points.txt`."""
    from configparser import ConfigParser  # most runs unpack nothing
    from configparser import Error as ConfigParserError

    # No default section: its lines would be scripts here and nowhere else.
    parser = ConfigParser(delimiters=("=",), interpolation=None, strict=False, default_section="")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text)
    except ConfigParserError as error:
        raise BadWheel(f"its entry_points.txt can't be read: {error}") from error
    found = []
    for section, gui in (("console_scripts", False), ("gui_scripts", True)):
        for name, reference in parser.items(section) if parser.has_section(section) else ():
            module, _, attribute = reference.split("[", 1)[0].strip().partition(":")
            module, attribute = module.strip(), attribute.strip()
            if not re.fullmatch(_SCRIPT_NAME, name) or not name.strip("."):
                raise BadWheel(f"a script may not be named {name!r}")
            check_script(name, module.split(".")[0])
            if not re.fullmatch(_DOTTED, module) or not re.fullmatch(_DOTTED, attribute):
                raise BadWheel(f"the script {name!r} refers to {reference!r}, which is not module:attribute")
            found.append(EntryPoint(name, module, attribute, gui))
    return tuple(found)


def import_names(site_files: Iterable[str]) -> tuple[str, ...]:
    """Return the top-level names that can be imported, from the paths below site-packages."""
    found = set()
    for path in site_files:
        first, _, rest = path.partition("/")
        if rest and first.isidentifier() and path.endswith((".py", ".so", ".pyd")):
            found.add(first)
        elif not rest and path.endswith((".py", ".so", ".pyd")) and first.split(".")[0].isidentifier():
            found.add(first.split(".")[0])
    return tuple(sorted(found))


def same_version(one: str, other: str) -> bool:
    """Compare two versions by PEP 440, where both follow it, else as texts.

    >>> same_version("2.4", "2.4.0")
    True
    """
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other
