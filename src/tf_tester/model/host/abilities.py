"""What a machine lets us do."""

from enum import StrEnum
from pathlib import Path

from msgspec import Struct


class Ability(Struct, frozen=True):
    """One thing a sandbox is made of, tried for real."""

    name: str
    """`user namespaces`, `overlay mounts`, …"""
    available: bool
    detail: str = ""
    """Where it is available: what more there is to say, such as `ABI 6`. Otherwise what failed and how."""
    error: str = ""
    """Name of the error it failed with, such as `EPERM`; empty where there was none."""


class StoreFacts(Struct, frozen=True):
    """What the store's folder, or where it would be made, can do."""

    folder: Path
    exists: bool
    problem: str = ""
    """Why nothing can be written there; empty where it can."""
    free: int = 0
    """Bytes that we may use."""
    file_system: str = ""
    """Its type, such as `ext4`; empty where the system doesn't tell."""
    hard_links: bool = False


class IsolationKind(StrEnum):
    """What keeps a test from the rest of the machine, as settings and records name it; the best first."""

    NAMESPACE = "namespace"
    LANDLOCK = "landlock"
    """Where namespaces are refused; it can't keep a test from all."""
    NONE = "none"
    """The test runs with its caller's rights."""


class Isolation(Struct, frozen=True):
    """What tests would be run in, all that the settings say taken into account."""

    name: IsolationKind
    gaps: tuple[str, ...]
    """What it can't keep a test from, a sentence each."""
    refusal: str
    """Why it is none, where one was wanted; empty otherwise."""
    held: tuple[str, ...]
    """Limits that the kernel sees to; the others are checked several times a second."""
