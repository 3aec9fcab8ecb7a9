"""How images are named: tags, and places such as `oci:DIR:TAG` and `registry.example/team/tf:2.8.0`. Pure."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from ipaddress import ip_address

from msgspec import Struct

from tf_tester.errors import UsageError
from tf_tester.model.cell import Cell

OCI = "oci:"
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?")
_LONGEST = 255
_LONGEST_VERSION = 80
"""Of a tag's 128 characters."""


class LayoutPlace(Struct, frozen=True):
    """A folder with images, and one of them."""

    folder: str
    tag: str = ""
    """Empty: none is named."""


class Repository(Struct, frozen=True):
    """A place at a registry."""

    host: str
    """With its port, where it has one."""
    name: str
    tag: str = ""
    """Empty: that of each image."""

    @property
    def is_here(self) -> bool:
        """Tell whether the registry is on this machine: only such a one is asked without TLS unbidden."""
        host = self.host.rpartition(":")[0] if self.host.count(":") == 1 else self.host
        host = host.partition("]")[0].strip("[")
        if host == "localhost":
            return True
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return False

    @property
    def text(self) -> str:
        return f"{self.host}/{self.name}"


def tags_of(cells: Iterable[Cell]) -> dict[str, str]:
    """Return a tag for each cell by its name: the version, with what else it takes to tell them apart.

    >>> from tf_tester.model.lock import Resolution
    >>> one, other = (Cell.of("toy", "1.0+cpu", python, Resolution.ERA) for python in ("3.9", "3.10"))
    >>> tags_of([one]), sorted(tags_of([one, other]).values())
    ({'toy==1.0+cpu@py3.9@era': '1.0-cpu'}, ['1.0-cpu-py3.10', '1.0-cpu-py3.9'])
    """
    chosen = list(cells)
    found: dict[str, str] = {}
    for words in (_version, _python, _resolution, _digest):
        tags = Counter(map(words, chosen))
        found = {cell.name: words(cell) for cell in chosen if tags[words(cell)] == 1} | found
    return {cell.name: found[cell.name] for cell in chosen}


def layout_place(text: str) -> LayoutPlace:
    """Return what `oci:DIR` or `oci:DIR:TAG` means. Raises `UsageError`.

    >>> layout_place("oci:/srv/images:2.8.0").tag, layout_place("oci:images").folder
    ('2.8.0', 'images')
    """
    if not text.startswith(OCI):
        raise UsageError(f"{text!r} is no folder of images.", hint="Write it as oci:FOLDER, such as oci:images.")
    folder, colon, tag = text.removeprefix(OCI).rpartition(":")
    if not colon or not _TAG.fullmatch(tag):
        folder, tag = text.removeprefix(OCI), ""
    if not folder:
        raise UsageError("oci: is without a folder.", hint="Write it as oci:FOLDER, such as oci:images.")
    return LayoutPlace(folder, tag)


def repository(text: str) -> Repository:
    """Return what `HOST[:PORT]/NAME[:TAG]` means. Raises `UsageError`.

    >>> repository("127.0.0.1:5000/team/tf:2.8.0")
    Repository(host='127.0.0.1:5000', name='team/tf', tag='2.8.0')
    """
    for scheme in ("docker://", "oci://"):
        text = text.removeprefix(scheme)
    host, slash, rest = text.partition("/")
    name, colon, tag = rest.partition(":")
    is_host = "." in host or ":" in host or host == "localhost"
    if not slash or not is_host or not _HOST.fullmatch(host) or _port_of(host) > 65_535:
        raise _no_repository(text, "it begins with no registry's host")
    if not _REPOSITORY.fullmatch(name) or len(name) > _LONGEST:
        raise _no_repository(text, "its name has other characters than a-z, 0-9, / . _ and -")
    if colon and not _TAG.fullmatch(tag):
        raise _no_repository(text, "its tag has other characters than letters, digits, . _ and -")
    return Repository(host, name, tag)


def repository_name(text: str) -> str:
    """Return the name of another repository of the same registry. Raises `UsageError`."""
    if not _REPOSITORY.fullmatch(text) or len(text) > _LONGEST:
        raise UsageError(f"{text!r} is no name of a repository.", hint="Write it without the host, such as team/tf.")
    return text


def _port_of(host: str) -> int:
    port = host.rpartition("]")[2].rpartition(":")[2]
    return int(port) if port.isdigit() and ":" in host.rpartition("]")[2] else 0


def _version(cell: Cell) -> str:
    return _tag(cell.version)


def _python(cell: Cell) -> str:
    return f"{_version(cell)}-py{cell.python}"


def _resolution(cell: Cell) -> str:
    return f"{_python(cell)}-{cell.resolution}"


def _digest(cell: Cell) -> str:
    return f"{_resolution(cell)}-{hashlib.sha256(cell.name.encode()).hexdigest()[:8]}"


def _tag(text: str) -> str:
    return re.sub(r"[^\w.-]", "-", text, flags=re.ASCII).lstrip(".-")[:_LONGEST_VERSION]


def _no_repository(text: str, why: str) -> UsageError:
    return UsageError(
        f"{text[:_LONGEST]!r} is no place for an image: {why}.",
        hint="Write it as HOST/NAME or HOST/NAME:TAG, such as registry.example/team/tf.",
    )
