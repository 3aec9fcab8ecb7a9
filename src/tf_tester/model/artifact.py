"""What an index promises: files and the pages that list them."""

import re
from datetime import datetime
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

_SEPARATORS = re.compile("[-_.]+")
_SDIST_ENDINGS = (".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz")


class Promiser(StrEnum):
    """Who promised a file's hash."""

    AUTHORITY = "authority"
    EXTRA_INDEX = "extra-index"
    """An index or folder of the user's beside the authority: no mirror is to hear of its projects."""
    MIRROR = "mirror"
    """A mirror that the user trusts, or several that agree, in place of an authority that can't be reached."""
    PRIVATE = "private"
    """Whoever uploaded it to an index that is served here."""
    LOCK = "lock"
    """A lock that the user gave."""
    REQUIREMENT = "requirement"
    """A requirement of the user's that names the file, or the revision in git, by its address."""


class ProjectStatus(StrEnum):
    """What an index says of a whole project (PEP 792); what most asks for caution first."""

    QUARANTINED = "quarantined"
    """The index suspects it of doing harm."""
    ARCHIVED = "archived"
    DEPRECATED = "deprecated"
    ACTIVE = "active"


class Promise(Struct, frozen=True):
    """Whose word a hash is."""

    by: Promiser = Promiser.AUTHORITY
    name: str = ""
    """As people and records read it; empty for the authority."""


class Artifact(Struct, frozen=True):
    """One file of a project page (PEP 503, 691, 700, 592, 714)."""

    filename: str
    project: str
    """Canonical name (PEP 503)."""
    version: str
    """As it stands in the file name; compare through `packaging.version`."""
    url: str
    """Absolute, without a fragment."""
    sha256: str | None = None
    """Lower-case hex as promised by the index; None where it promises none."""
    size: int | None = None
    """Bytes (PEP 700)."""
    upload_time: datetime | None = None
    """Aware, UTC (PEP 700); None where the index doesn't tell."""
    requires_python: str | None = None
    yanked: str | None = None
    """None: not yanked. Otherwise the reason, which may be empty (PEP 592)."""
    metadata_sha256: str | None = None
    """None: no metadata file is advertised (PEP 714). Empty: advertised without a hash."""
    provenance: str | None = None
    """Address of its attestations (PEP 740); None where the index names none."""
    promise: Promise = Promise()
    """Whose word its hash is."""
    weak_hash: str = ""
    """Name of the hash that the index gives in place of SHA-256, such as `md5`; it proves nothing."""

    @property
    def is_wheel(self) -> bool:
        return self.filename.endswith(".whl")

    @property
    def is_sdist(self) -> bool:
        return self.filename.endswith(_SDIST_ENDINGS)


class LeftOutFile(Struct, frozen=True):
    """A file that a page lists and that doesn't count."""

    filename: str
    """As the page has it, however hostile; empty where it has none."""
    reason: str
    """A clause."""
    is_foreign: bool = False
    """Whether it is no wheel or source distribution of the project at all."""


class ProjectPage(Struct, frozen=True):
    """Everything one index says of one project."""

    project: str
    """Canonical name."""
    artifacts: tuple[Artifact, ...]
    serial: int | None = None
    """The index's serial for the project (`_last-serial`), where it gives one."""
    status: ProjectStatus = ProjectStatus.ACTIVE
    tracks: tuple[str, ...] = ()
    """PEP 708: addresses of the same project elsewhere, which this index says that it follows."""
    behind: bool = False
    """True when the project was seen in a newer state before."""
    stale: bool = False
    """True when it comes from the store because the index did not answer."""
    partial: bool = False
    """True when others speak in place of the index: what isn't on it may exist all the same."""
    source: bytes = b""
    """The PEP 691 JSON that it was read from, where it was: what we don't know of is still in it."""
    left_out: tuple[LeftOutFile, ...] = ()
    """What it lists besides."""

    def offered(self) -> "ProjectPage":
        """Return it without files where the project is in quarantine (PEP 792): an index must not offer them then."""
        if self.status != ProjectStatus.QUARANTINED or not self.artifacts:
            return self
        return replace(self, artifacts=())

    def promised(self, promise: Promise) -> "ProjectPage":
        """Return it with somebody else's word for its hashes."""
        return replace(self, artifacts=tuple(replace(one, promise=promise) for one in self.artifacts))


def split_filename(filename: str, project: str) -> str | None:
    """Return the version part of a wheel's or sdist's name, or None where it isn't one of that project.

    >>> split_filename("tensorflow-2.8.0-cp310-cp310-manylinux2010_x86_64.whl", "tensorflow")
    '2.8.0'
    >>> split_filename("zope.interface-5.0.tar.gz", "zope-interface")
    '5.0'
    """
    if filename.endswith(".whl"):
        parts = filename[:-4].split("-")
        return parts[1] if len(parts) in (5, 6) and _normal(parts[0]) == project else None
    for ending in _SDIST_ENDINGS:
        if filename.endswith(ending):
            stem = filename[: -len(ending)]
            length = len(project)
            # A project's own name may hold dashes, its version may not: by length first.
            if stem[length : length + 1] == "-" and _normal(stem[:length]) == project:
                return stem[length + 1 :]
            name, _, version = stem.rpartition("-")
            return version if name and _normal(name) == project else None
    return None


def _normal(name: str) -> str:
    return _SEPARATORS.sub("-", name).lower()
