"""What a case is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

I = TypeVar("I")  # noqa: E741

RIGHT = "right"
"""The right file is what comes of it, nothing else."""


@dataclass(frozen=True)
class Group(Generic[I]):
    """Inputs that are wrong in one way."""

    wrong: str
    """What is wrong, as the table of the documentation has it."""
    policy: str
    """What is done about it, likewise."""
    wanted: str
    """`RIGHT`, or a piece of the sentence that each of them is refused with."""
    cases: Mapping[str, I]
    """By what is particular to each."""
