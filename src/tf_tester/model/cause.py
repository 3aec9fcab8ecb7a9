"""Why a cell fails that passes with other dependencies."""

from enum import StrEnum

from msgspec import Struct

from tf_tester.model.cell import Cell


class Verdict(StrEnum):
    """Why a test fails in a cell."""

    FRAMEWORK = "framework"
    """The package under test changed."""
    DEPENDENCY = "dependency"
    PYTHON = "python"
    SANDBOX = "sandbox"
    """A limit ended it, or it asked for what a sandbox keeps from it."""
    FLAKY = "flaky"
    """It does not always fail."""
    ENVIRONMENT = "environment"
    """The machine: its memory, its libraries."""
    ABI = "abi"
    """A compiled module was built against another version of a library than the cell has."""
    UNKNOWN = "unknown"


class Cause(Struct, frozen=True):
    """Changes of which none can be left out for the failure."""

    changes: tuple[str, ...]
    """Each in words: `protobuf 3.19.6 → 6.33.1`."""
    project: str
    """The one of them by which it is avoided."""
    last_good: str = ""
    """Of that project, where the versions between were looked at."""
    first_bad: str = ""
    summary: str = ""
    """How it fails with these changes alone."""
    pin: str = ""
    """Requirement that avoids it; empty: there is none."""
    exact: bool = True
    """False: some of the changes may be innocent; what would have told could not be run."""


class Explanation(Struct, frozen=True):
    """What was found out about one cell, by experiment."""

    cell: Cell
    """The one that fails."""
    against: Cell
    """The one that passes."""
    verdict: Verdict
    differing: int
    """Distributions that the two don't have in common."""
    causes: tuple[Cause, ...]
    verified: bool
    """Whether the cell passes with the pins, and with nothing else changed."""
    cells: int
    """That ran for it, the two and repetitions included."""
    complete: bool = True
    """False: the budget was spent before all was tried."""
    remarks: tuple[str, ...] = ()
    test: str = ""
    """The test whose failure is explained; empty: all of the cell's."""

    @property
    def pins(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(cause.pin for cause in self.causes if cause.pin))
