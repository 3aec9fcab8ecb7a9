"""Requirements files as pip reads them; what can't be done with a line is told with the option that does it."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct
from packaging.requirements import InvalidRequirement
from packaging.utils import canonicalize_name

from tf_tester.core.text.parsing import parse_requirement
from tf_tester.core.wheel.direct import direct_reference, is_direct, without_secrets
from tf_tester.errors import UsageError
from tf_tester.model.request import DirectReference

_BOMS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
"""What PowerShell's `pip freeze > requirements.txt` begins with, among others."""
_CODING = rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)"
_VARIABLE = r"\$\{([A-Z0-9_]+)\}"
_HASH = r"\s--hash[= ]\s*(\w+):([0-9A-Fa-f]+)"
_SHORT = {"-r": "--requirement", "-c": "--constraint", "-e": "--editable", "-i": "--index-url", "-f": "--find-links"}
_NESTED = ("--requirement", "--constraint")
_NO_MATTER = ("--trusted-host", "--prefer-binary", "--only-binary", "--use-feature", "--use-pep517", "--progress-bar")
"""Options that change nothing here: wheels are taken where there are any, and TLS is checked."""
_INSTEAD = {
    "--index-url": "Give it to tf-tester: --index-url {value}",
    "--no-binary": "Sources of a project may be built with --allow-build {value}",
    "--no-index": "Without the network everything comes from the store: --offline.",
}
"""What does the same here, by pip's option."""

_UNDERSTOOD = "Names with versions, extras, markers and hashes, addresses, -r, -c and -f are understood."

Read = Callable[[Path], bytes]
"""Gives a file's content. Raises `UsageError`."""


class RequestedPackages(Struct, frozen=True):
    """What some requirements files ask for."""

    requirements: tuple[str, ...] = ()
    """PEP 508, in their order, each once."""
    constraints: tuple[str, ...] = ()
    """Likewise; of what is installed anyway."""
    hashes: Mapping[str, tuple[str, ...]] = {}
    """SHA-256 that a project's file may have, by canonical name; of others nothing is said."""
    sources: tuple[str, ...] = ()
    """Names of the files with hashes."""
    direct: tuple[DirectReference, ...] = ()
    """What is named by its address, or by a path from the current folder, as pip takes it."""
    direct_places: tuple[tuple[DirectReference, str], ...] = ()
    """The same, each with the file and line where it stands."""
    find_links: tuple[tuple[str, str], ...] = ()
    """Folders and pages with files, as they are written, each with the file and line where it stands."""
    extra_indexes: tuple[str, ...] = ()
    """Addresses."""
    places: tuple[tuple[str, str], ...] = ()
    """Requirements and constraints, each with the file and line where it stands."""
    pre: bool = False
    """Pre-releases will do, of whatever is installed."""
    versions: tuple[tuple[str, str], ...] = ()
    """Lines that say which version of the package under test is wanted, and where they stand: place and text."""
    editable: tuple[str, ...] = ()
    """What would be installed editable, each with the file and line where it stands."""


def read_requirements(
    files: tuple[Path, ...], package: str, read: Read, environ: Mapping[str, str], *, cwd: Path = Path("/")
) -> RequestedPackages:
    """Return what is asked for besides the package under test, whose versions are given otherwise.

    `cwd`: where paths of wheels and projects begin. Raises `UsageError` for what can't be read or done.
    """
    reader = _Reader(package, read, environ, cwd)
    for file in files:
        reader.read(file, is_constraint=False)
    return RequestedPackages(
        tuple(dict.fromkeys(reader.requirements)),
        tuple(dict.fromkeys(reader.constraints)),
        {name: tuple(sorted(found)) for name, found in reader.hashes.items()},
        tuple(dict.fromkeys(reader.sources)),
        tuple(dict.fromkeys(one for one, _ in reader.direct)),
        tuple(reader.direct),
        tuple(dict.fromkeys(reader.find_links)),
        tuple(dict.fromkeys(reader.extra_indexes)),
        tuple(reader.places),
        reader.pre,
        tuple(reader.versions),
        tuple(reader.editable),
    )


def decoded(content: bytes) -> str:
    """Return a file's text: by its byte order mark, its coding line, or as UTF-8. Raises `UnicodeError`, `LookupError`.

    >>> decoded("six\\r\\n".encode("utf-16"))
    'six\\r\\n'
    """
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding)
    for line in content.split(b"\n")[:2]:
        if match := re.match(_CODING, line):
            return content.decode(match[1].decode("ascii"))
    return content.decode("utf-8")


class _Reader:
    def __init__(self, package: str, read: Read, environ: Mapping[str, str], cwd: Path) -> None:
        self.requirements: list[str] = []
        self.constraints: list[str] = []
        self.hashes: dict[str, set[str]] = {}
        self.sources: list[str] = []
        self.direct: list[tuple[DirectReference, str]] = []
        self.find_links: list[tuple[str, str]] = []
        self.extra_indexes: list[str] = []
        self.places: list[tuple[str, str]] = []
        self.pre = False
        self.versions: list[tuple[str, str]] = []
        self.editable: list[str] = []
        self._cwd = cwd
        self._package = package
        self._read = read
        self._environ = environ
        self._seen: set[tuple[Path, bool]] = set()

    def read(self, file: Path, *, is_constraint: bool) -> None:
        """Read a file and those that it names, however many name one another, each where it is named."""
        reading = [self._read_one(file, is_constraint)]
        while reading:
            nested = next(reading[-1], None)
            if nested is None:
                reading.pop()
            else:
                reading.append(self._read_one(*nested))

    def _read_one(self, file: Path, is_constraint: bool, named_at: str = "") -> Iterator[tuple[Path, bool, str]]:
        """Read a file; yield each that it names, whether that has constraints, and where: it comes before the rest."""
        if (file, is_constraint) in self._seen:
            return
        self._seen.add((file, is_constraint))
        try:
            text = decoded(self._read(file))
        except UsageError as error:
            raise UsageError(f"{named_at}: {error}" if named_at else str(error), hint=error.hint) from error
        except (UnicodeError, LookupError) as error:
            raise UsageError(
                f"The requirements file {file} can't be read as text: {error}.", hint="Save it as UTF-8."
            ) from error
        without: list[str] = []
        demands_hashes = False
        for number, line in _lines(text):
            line = re.sub(_VARIABLE, lambda match: self._environ.get(match[1]) or match[0], line)
            place = f"{file}:{number}"
            if line == "--require-hashes":
                demands_hashes = True
            elif line.startswith("-"):
                yield from self._option(line, place, file, is_constraint)
            elif not self._requirement(line, place, file, is_constraint):
                without.append(line)
        if demands_hashes and without:
            raise UsageError(f"{file} demands hashes, and {without[0]!r} has none.", hint="Give it one with --hash.")

    def _option(self, line: str, place: str, file: Path, is_constraint: bool) -> Iterator[tuple[Path, bool, str]]:
        word, value = _split_option(line)
        option = _SHORT.get(word, word)
        if option in _NESTED:
            yield file.parent / value, is_constraint or option == "--constraint", place
        elif option == "--find-links" and value:
            self.find_links.append((value, place))
        elif option == "--pre":
            self.pre = True
        elif option == "--editable" and value:
            # Always a place, as for pip: `-e lib` is a folder.
            self._requirement(value if is_direct(value) else f"./{value}", place, file, is_constraint)
            self.editable.append(f"{place}: -e {without_secrets(value)}")
        elif option == "--extra-index-url" and value:
            self.extra_indexes.append(value)
        elif option not in _NO_MATTER:
            hint = _INSTEAD.get(option, _UNDERSTOOD)
            raise UsageError(f"{place}: {word} can't be used here.", hint=hint.format(value=value or "…", word=word))

    def _requirement(self, line: str, place: str, file: Path, is_constraint: bool) -> bool:
        """Take a requirement, and return whether it has hashes."""
        hashes = re.findall(_HASH, f" {line}")
        text = re.split(r"\s--\w", line, maxsplit=1)[0].strip()
        reference = self._reference(text, place, is_constraint) if is_direct(text) else None
        name = _named(text, place) if reference is None else reference.name
        if name == self._package:
            if reference is not None or parse_requirement(text).specifier:
                self.versions.append((place, without_secrets(text)))
            return True
        if reference is not None:
            self.direct.append((reference, place))
        else:
            (self.constraints if is_constraint else self.requirements).append(text)
            self.places.append((text, place))
        if hashes and not name:
            raise UsageError(f"{place}: a hash needs a name.", hint=f"Write NAME @ {text}.")
        for kind, digest in hashes:
            if kind != "sha256":
                raise UsageError(f"{place}: a hash is {kind}.", hint="sha256 is compared, as indexes have it.")
            self.hashes.setdefault(name, set()).add(digest.lower())
            self.sources.append(file.name)
        return bool(hashes)

    def _reference(self, text: str, place: str, is_constraint: bool) -> DirectReference:
        if is_constraint:
            raise UsageError(
                f"{place}: {without_secrets(text)!r} is an address, which is no constraint here.",
                hint="Give it as a requirement.",
            )
        try:
            return direct_reference(text, self._cwd)
        except ValueError as error:
            shown = without_secrets(text)
            raise UsageError(f"{place}: {shown!r} can't be used here.", hint=f"It must be {error}.") from error


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers, continued ones as one, without comments."""
    whole, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        first = first or number
        is_comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not is_comment:
            whole += line[:-1]
            continue
        line = re.sub(r"(^|\s+)#.*$", "", whole + ("" if is_comment and whole else line)).strip()
        if line:
            yield first, line
        whole, first = "", 0
    if whole.strip():
        yield first, whole.strip()


def _split_option(line: str) -> tuple[str, str]:
    """Return an option and its value: `-rbase.txt`, `-r base.txt`, `--requirement=base.txt`."""
    if line.startswith("--"):
        word, _, value = re.sub(r"[= ]", " ", line, count=1).partition(" ")
    else:
        word, value = line[:2], line[2:]
    return word, value.strip().strip("\"'")


def _named(text: str, place: str) -> str:
    """Return the canonical name in a requirement. Raises `UsageError`."""
    try:
        return str(canonicalize_name(parse_requirement(text).name))
    except InvalidRequirement as error:
        raise UsageError(f"{place}: {text!r} is not a requirement (PEP 508).", hint=_UNDERSTOOD) from error
