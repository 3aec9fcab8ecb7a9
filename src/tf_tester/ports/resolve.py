"""Which distributions a cell gets, exactly."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Protocol

from msgspec import Meta, Struct

from tf_tester.model.artifact import Artifact
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.model.request import DirectReference


class Resolver(Protocol):
    """Which distributions, exactly."""

    def lock(self, question: "Question") -> tuple[Lock, bool]:
        """Return the lock, and whether it came from the store.

        Raises `Unresolvable`, `BuildFailed`, `IndexUnreachable`.
        """
        ...

    def pins(self, artifacts: Sequence[Artifact], interpreter: Interpreter) -> tuple[Pin, ...]:
        """Return pins of just these files; source distributions are built. Raises `BuildFailed`, `DownloadFailed`."""
        ...


class LocalWheel(Struct, frozen=True):
    """A wheel that was built here, which is all that there is of its project: whoever requires that gets it."""

    pin: Pin
    metadata: bytes
    """Core metadata by which it is resolved; it may ask for less than the wheel's own."""


class Question(Struct, frozen=True):
    """What a lock answers."""

    requirements: tuple[str, ...]
    """PEP 508, the package under test pinned first."""
    interpreter: Interpreter
    resolution: Resolution
    cutoff: datetime | None
    released: datetime | None = None
    """When the version under test came out: from then on the cutoff was counted."""
    majors_until: datetime | None = None
    """New major releases that came later don't count, unless nothing fits without them; None: as all others."""
    undated: frozenset[str] = frozenset()
    """Canonical names of projects for which the cutoff doesn't count."""
    constraints: tuple[str, ...] = ()
    local: tuple[LocalWheel, ...] = ()
    alike: frozenset[str] = frozenset()
    """Canonical names of what the first of the requirements stands for, whoever requires it."""
    good_for: timedelta | None = None
    """How long an answer stays good; None: for ever, as of a day in the past. Nothing: it is asked anew, or fails."""
    pre: bool = False
    """Whether pre-releases will do, of everything."""
    allow_build: frozenset[str] = frozenset()
    """Canonical names whose source distributions may be built, besides the known ones."""


class BuiltWheel(Struct, frozen=True):
    """What a source distribution was built into."""

    filename: str
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    size: int


class DirectBuilder(Protocol):
    def direct_wheel(self, reference: DirectReference, interpreter: Interpreter) -> LocalWheel:
        """Return what a requirement names by its address, as a wheel in the store; built where it isn't one.

        Its pin has the digest, and in its address the commit where it is in git. Raises `Unresolvable`, `BuildFailed`,
        `DownloadFailed`.
        """
        ...


class ProjectBuilder(Protocol):
    def project_wheel(self, folder: Path, interpreter: Interpreter) -> tuple[Pin, bytes]:
        """Return the user's own project as a wheel in the store, and its METADATA; built once for each Python.

        Raises `BuildFailed`.
        """
        ...
