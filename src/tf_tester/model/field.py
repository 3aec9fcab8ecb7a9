"""Fields of a grid: what one version saved, loaded under another."""

from enum import StrEnum

from msgspec import Struct


class FieldOutcome(StrEnum):
    """What became of a field."""

    OK = "ok"
    """The consumer took the product."""
    ERROR = "error"
    """The consumer failed."""
    NOT_RUN = "not-run"
    """There was nothing to consume, or nothing to consume it with."""


class Product(Struct, frozen=True):
    """What a producer has left: a folder, packed into one file that its content alone decides."""

    name: str
    digest: str
    """SHA-256 of a blob."""
    size: int
    """Bytes of its files."""
    files: int
