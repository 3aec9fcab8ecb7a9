"""What was found damaged on this machine."""

from pathlib import Path

from msgspec import Struct


class Damage(Struct, frozen=True):
    """Something of the store that isn't as it should be."""

    what: str
    """A sentence without its end."""
    remedy: str
    """A sentence: what mends it."""


class PrivateFolderCheck(Struct, frozen=True):
    """What was found of the uploads of a server."""

    folder: Path
    count: int
    """How many files were looked at."""
    troubles: tuple[str, ...] = ()
    """A sentence each."""
