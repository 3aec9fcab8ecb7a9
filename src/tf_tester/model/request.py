"""What a person asked for."""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from msgspec import Struct, field

from tf_tester.model.lock import Resolution


class Selection(Struct, frozen=True):
    """Which cells."""

    package: str
    """Canonical name."""
    versions: str
    """As it was written: a list, a specifier, words. Empty: those that were downloaded, else the newest minors."""
    last: int | None = None
    pre: bool = False
    yanked: bool = False
    pythons: tuple[str, ...] = ()
    """Labels such as `3.8`, or paths of executables; empty: the newest that fits each version."""
    resolution: Resolution = Resolution.ERA
    grace: timedelta = timedelta(days=14)
    allow_build: frozenset[str] = frozenset()
    install_python: bool = False


class ScratchPlace(StrEnum):
    """Where goes what a test writes."""

    DISK = "disk"
    MEMORY = "memory"
    """It never comes to the disk."""


class DirectKind(StrEnum):
    """What an address leads to."""

    WHEEL = "wheel"
    ARCHIVE = "archive"
    """A source distribution, or another packed folder with a project."""
    FOLDER = "folder"
    GIT = "git"


class DirectReference(Struct, frozen=True):
    """A requirement that names where its project is (PEP 508: *direct reference*), instead of which version."""

    kind: DirectKind
    name: str
    """Canonical; empty where only the project itself tells it."""
    url: str
    """Absolute: `https:`, `file:`, or `git+` before either; with `#sha256=` or `#subdirectory=` where it was given."""
    extras: tuple[str, ...] = ()
    marker: str = ""

    @property
    def text(self) -> str:
        """As a requirement; without a name as pip takes it."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        marker = f" ; {self.marker}" if self.marker else ""
        return f"{self.name}{extras} @ {self.url}{marker}" if self.name else f"{self.url}{extras}{marker}"


class Trial(Struct, frozen=True):
    """What runs in each cell."""

    targets: tuple[Path, ...] = ()
    """Files and folders, absolute."""
    as_set: bool = False
    """Nothing was named: the target is the project in the working folder, whose settings say where its tests are."""
    command: tuple[str, ...] = ()
    """Any program and its arguments, instead of targets."""
    arguments: tuple[str, ...] = ()
    """For the script or the test runner."""
    runner: str = "auto"
    cwd: Path = field(default_factory=Path)
    """Where the request was made, absolute; relative paths in the test mean this folder."""
    requirements: tuple[str, ...] = ()
    """PEP 508, besides the package under test."""
    groups: tuple[str, ...] = ()
    """Dependency groups of the project; what they require is among the requirements and the test tools."""
    test_tools: tuple[str, ...] = ()
    """PEP 508: pytest and plugins of it that dependency groups of the project require; they are of no era."""
    remarks: tuple[str, ...] = ()
    """What a person should know of how the request was understood."""
    constraints: tuple[str, ...] = ()
    """PEP 508, of what a cell gets anyway."""
    hashes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """The SHA-256 that a project's file may have, by canonical name."""
    direct: tuple[DirectReference, ...] = ()
    """Besides `requirements`: what is named by its address."""
    given: tuple[str, ...] = ()
    """Flags that decide what is installed and where it comes from, for whoever is to have the same once more."""
    pre: bool = False
    """Whether pre-releases will do of what is installed besides the package under test."""
    places: tuple[tuple[str, str], ...] = ()
    """Requirements that stand in files and groups, each with its place, such as `r.txt:3`."""
    files: tuple[Path, ...] = ()
    """These files, absolute."""
    project: Path | None = None
    """The user's own project, built and added."""
    extras: tuple[str, ...] = ()
    """Of the project."""
    env: tuple[tuple[str, str], ...] = ()
    """Variables, with their values."""
    passed: tuple[str, ...] = ()
    """Names of variables that the test sees as the caller has them, where they are set."""
    pythonpath: tuple[Path, ...] = ()
    timeout: float | None = None
    """Seconds for one cell."""
    writable: tuple[Path, ...] = ()
    """Files and folders that the test may change although it is sandboxed."""
    data: tuple[Path, ...] = ()
    """Files and folders that the test sees besides, absolute; what it changes there, it alone sees."""
    visible: tuple[str, ...] = ()
    """Names of what a sandboxed test sees although it is hidden otherwise."""
    written: tuple[Path, ...] = ()
    """Files that the command itself writes, such as a record: no test is about them."""
    scratch: ScratchPlace = ScratchPlace.DISK
    collect: tuple[str, ...] = ()
    """Patterns of files that are copied out of each cell: of names, or of relative paths where there is a `/`."""
    last_failed: bool = False
    """Only what failed in each cell's last run."""
    keep: bool = False
    ephemeral: bool = False
    """Whether what a version brought is deleted when it has been tested."""
    jobs: int = 1
    memory: int | None = None
    """Bytes that one cell is expected to need; None: learnt from earlier runs."""

    def project_requirement(self, name: str, version: str) -> str:
        """Return how a cell asks for the project, built as this name and version, with its extras.

        >>> Trial(extras=("test",)).project_requirement("tool", "1.0")
        'tool[test]==1.0'
        """
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return f"{name}{extras}=={version}"
