"""What one replica holds."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Protocol

from msgspec import Struct, field

from tf_tester.model.artifact import ProjectPage
from tf_tester.model.moment import Moment


class Replica(Protocol):
    """What one replica holds; every change is whole or absent."""

    def head(self) -> "ReplicaHead | None":
        """Return how the last sync ended; None: it was never synced."""
        ...

    def put_head(self, head: "ReplicaHead") -> None: ...

    def projects(self) -> "dict[str, HeldProject]":
        """Return what it holds, by canonical name."""
        ...

    def put(self, held: "HeldProject") -> None: ...

    def drop(self, project: str) -> None: ...

    def last_serial(self, project: str) -> int:
        """Return the serial that a dropped project had: it must never come back with that. 0: it never was here."""
        ...


class ReplicaHead(Struct, frozen=True):
    """How the last sync of a replica ended."""

    synced: Moment
    """UTC."""
    wanted: str
    """Digest of all that said what it is to hold."""
    complete: bool
    """Nothing was missing, held back or left for a next time."""
    watched: Mapping[str, str] = field(default_factory=dict)
    """Projects of which nothing is held though something is required, with the digest of the upstream's page of each;
    empty: it has none."""
    held: str = ""
    """Digest of the names of the projects that it holds."""


def names_digest(projects: Iterable[str]) -> str:
    """Return a digest of the names of all projects: one that can't be read any more is missed."""
    return hashlib.blake2b(" ".join(sorted(projects)).encode(), digest_size=16).hexdigest()


class HeldProject(Struct, frozen=True):
    """One project of a replica: its page lists what is in the store, and nothing else."""

    page: ProjectPage
    """Its serial is the replica's own: it grows with each change, as the upstream's does where it has one."""
    mark: str
    """Digest of the upstream's page that it was made from."""
