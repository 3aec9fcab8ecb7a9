"""Fields of a grid: what one version saved, loaded under another; with the numbers that came out."""

from enum import StrEnum

from msgspec import Struct


class FieldOutcome(StrEnum):
    """What became of a field."""

    OK = "ok"
    """The consumer took the product, and its numbers are right, where there are any to compare."""
    ERROR = "error"
    """The consumer failed."""
    WRONG_NUMBERS = "wrong-numbers"
    """It took the product without a word, and other numbers came out."""
    FLAKY = "flaky"
    """Other numbers came out, but they are others in each run of one version, too."""
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
    paths: tuple[str, ...] = ()
    """Of the first files in it, those of the upper folders first."""


class ValueDifference(Struct, frozen=True):
    """A value that isn't what it is compared with, by more than is allowed."""

    name: str
    reference: str
    """The name of the cell whose value it is compared with: of a grid the one that saved the product."""
    expected: str
    """The number, or the shape, of the reference; where several differ, of the one that differs most."""
    got: str
    at: tuple[int, ...] = ()
    """Where in the array that number is."""
    outside: int = 0
    """How many numbers differ by more than is allowed."""
    count: int = 0
    """How many there are."""
    max_abs: float | None = None
    """The largest absolute difference of finite numbers; null where there are none."""
    max_rel: float | None = None
    """Likewise, relative to the reference."""
    ulps: int | None = None
    """Likewise in units in the last place; null where the types differ, or have none."""
    nans: int = 0
    """Places where one is NaN and the other isn't."""
    dtypes: tuple[str, ...] = ()
    """Of the reference, and of what came out."""
    rtol: float = 0.0
    """What was allowed."""
    atol: float = 0.0


class GridSide(StrEnum):
    """Which versions of a field change along a border, while those of the other side stay."""

    SAVED = "saved"
    LOADED = "loaded"


class RouteHop(Struct, frozen=True):
    """One step of a way from version to version: a cell loads a product, and saves it anew."""

    consumer: str
    """The name of the cell."""
    product: str
    """What it loads."""
    saved_as: str = ""
    """As which product it saves that; empty: it is the last."""
    digest: str = ""
    """SHA-256 of what it saved, a blob in the store."""
