"""How much the programs of one cell may use, all together where nothing else is said."""

from enum import StrEnum

from msgspec import Struct


class Limit(StrEnum):
    """What is limited; the words of `--limit`."""

    MEMORY = "memory"
    PROCESSES = "processes"
    SCRATCH = "scratch"
    OUTPUT = "output"
    FILE_SIZE = "file-size"
    OPEN_FILES = "open-files"

    @property
    def counts(self) -> bool:
        """Whether it is a number of things and not of bytes."""
        return self in (Limit.PROCESSES, Limit.OPEN_FILES)


class Limits(Struct, frozen=True):
    """None: no limit."""

    memory: int | None = None
    """Bytes that are resident; what several processes share counts once."""
    processes: int | None = None
    """Threads count too."""
    scratch: int | None = None
    """Bytes in the home, the temporary and the working folder, and what is written into the environment."""
    output: int | None = None
    """Bytes of a stream of the program, and of what the harness writes down."""
    file_size: int | None = None
    """Bytes of one file."""
    open_files: int | None = None
    """Of one process."""


class Exceeded(Struct, frozen=True):
    """Which limit ended a program."""

    limit: Limit
    allowed: int | None
    """None where the machine itself ran out of it."""
