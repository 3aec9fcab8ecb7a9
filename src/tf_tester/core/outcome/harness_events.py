"""The events that the harness writes inside the tested interpreter (`harness/__init__.py`), as values.

A test has its hands on the same socket: a line that is no event of the harness is left out and counted, and can't be an
exception of ours.
"""

from typing import Annotated, BinaryIO

import msgspec
from msgspec import Meta, Struct

from tf_tester.model.decoding import decoder_of
from tf_tester.model.outcome import Outcome

MOST_LINES = 500_000
"""Lines that are read of one process's events: the tests of the largest suites are a tenth of them."""
MOST_BYTES = 1 << 27
"""Likewise; 60,000 tests that pass take a quarter of it."""
_PIECE = 1 << 16
_Count = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""What the record, too, can hold as an integer."""
_Seconds = Annotated[float, Meta(ge=0, le=1e9)]
_Memory = Annotated[int, Meta(ge=0, le=2**40)]
_Text = Annotated[str, Meta(max_length=1 << 17)]
"""The harness cuts texts at half of it (`clip`)."""
_Id = Annotated[str, Meta(max_length=1 << 20)]
_STATUSES = frozenset({Outcome.PASS, Outcome.SKIP, Outcome.EMPTY, Outcome.ERROR, Outcome.FAIL, Outcome.CRASH})


class CodePlace(Struct, frozen=True, gc=False):
    file: _Text | None = None
    line: _Count | None = None
    function: _Text | None = None


class ReportedException(Struct, frozen=True):
    """What a test raised, and where."""

    type: _Text = ""
    message: _Text = ""
    file: _Text | None = None
    line: _Count | None = None
    function: _Text | None = None
    text: _Text | None = None
    """The line of source."""
    in_package: CodePlace | None = None
    """The last frame within the package under test."""


class ReportedWarning(Struct, frozen=True, gc=False):
    category: _Text
    message: _Text
    file: _Text = ""
    line: _Count = 0
    count: _Count = 1


class InstalledDistribution(Struct, frozen=True, gc=False):
    name: str
    version: str


class SessionStarted(Struct, frozen=True, tag_field="event", tag="start"):
    """The interpreter runs, and the harness in it."""

    python: str = ""
    implementation: str = ""
    executable: str | None = None
    prefix: str = ""
    distribution: InstalledDistribution | None = None
    """The package under test as it is installed; None where it isn't."""
    pid: _Count | None = None


class ModuleLoading(Struct, frozen=True, gc=False, tag_field="event", tag="loading"):
    """A module of tests is about to be imported, which may kill the process."""

    id: _Id


class SessionCollected(Struct, frozen=True, tag_field="event", tag="collected"):
    """The tests that are about to run."""

    ids: tuple[_Id, ...] = ()
    warnings: tuple[ReportedWarning, ...] = ()


class RowStarted(Struct, frozen=True, gc=False, tag_field="event", tag="test-start"):
    """A test begins."""

    id: _Id


class PackageImported(Struct, frozen=True, gc=False, tag_field="event", tag="import"):
    """The first import of a watched package has ended."""

    wall_s: _Seconds
    name: str = ""
    cpu_s: _Seconds | None = None
    ok: bool = True
    version: str | None = None
    """Its `__version__`, where that is text."""
    foreign: str | None = None
    """Its file, where that isn't the environment's."""


class RowFinished(Struct, frozen=True, tag_field="event", tag="test"):
    """A test has ended."""

    id: _Id
    status: Outcome
    """`pass`, `skip`, `empty`, `error`, `fail`; `crash` of a process of the runner's: others are the parent's."""
    exception: ReportedException | None = None
    traceback: _Text = ""
    stdout: _Text = ""
    stderr: _Text = ""
    reason: _Text | None = None
    warnings: Annotated[tuple[ReportedWarning, ...], Meta(max_length=1000)] = ()
    remarks: Annotated[tuple[_Text, ...], Meta(max_length=1000)] = ()
    wall_s: _Seconds | None = None
    cpu_s: _Seconds | None = None
    peak_rss_kib: _Memory | None = None
    exit_code: _Count | None = None
    could_not_begin: bool = False
    """pytest refused its command line or configuration; why stands in what the process printed."""

    def __post_init__(self) -> None:
        if self.status not in _STATUSES:
            raise ValueError(f"the harness writes no {self.status}")


class ProductBegun(Struct, frozen=True, gc=False, tag_field="event", tag="product"):
    """A function is about to save a product, in a folder of that name."""

    id: _Id
    name: str


class ResaverMarked(Struct, frozen=True, gc=False, tag_field="event", tag="resaver"):
    """The file has a function that loads a product and saves it anew, as another one or as the same."""

    name: str
    to: str


class ValuesRecorded(Struct, frozen=True, gc=False, tag_field="event", tag="values"):
    """A function has recorded values: what it has added to the list of them."""

    id: _Id
    start: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    """Bytes of the list before it."""
    end: Annotated[int, Meta(ge=0, le=2**63 - 1)]


class ForkingBegun(Struct, frozen=True, gc=False, tag_field="event", tag="forking"):
    """The framework has been imported, and the process waits to be told that it may fork for the first field."""


class ForkingRefused(Struct, frozen=True, gc=False, tag_field="event", tag="unforked"):
    """No fork of the process can stand for one of its own."""

    reason: str = ""


class FieldSaid(Struct, frozen=True, gc=False, tag_field="event", tag="field-said"):
    """A fork has told an event, which isn't decoded yet: it is its own word, and for no other field."""

    field: Annotated[int, Meta(ge=0, le=2**31)]
    line: str


class FieldEnded(Struct, frozen=True, gc=False, tag_field="event", tag="field-ended"):
    """A fork and all that it has started is dead, and the process waits to be told that it may go on."""

    field: Annotated[int, Meta(ge=0, le=2**31)]
    wall_s: _Seconds
    cpu_s: _Seconds
    peak_rss_kib: _Memory
    code: _Count | None = None
    """Its exit status."""
    signal: _Count | None = None
    """That killed it."""
    timed_out: bool = False
    over_output: bool = False
    leftovers: _Count = 0


class SessionEnded(Struct, frozen=True, gc=False, tag_field="event", tag="end"):
    """The interpreter is about to leave."""

    exit_code: _Count | None = None
    """None: the harness itself failed."""
    collected: _Count = 0
    untouched: bool = False
    """The package under test was not imported in this process or a worker of pytest-xdist. Other processes tell
    themselves what they do (`flow.prepare.noticing`)."""


HarnessEvent = (
    SessionStarted
    | ModuleLoading
    | SessionCollected
    | RowStarted
    | PackageImported
    | RowFinished
    | ProductBegun
    | ResaverMarked
    | ValuesRecorded
    | ForkingBegun
    | ForkingRefused
    | FieldSaid
    | FieldEnded
    | SessionEnded
)


class HarnessLog(Struct, frozen=True):
    """What one process has told."""

    events: tuple[HarnessEvent, ...] = ()
    dropped: int = 0
    """Lines that are no events."""


def read_log(written: BinaryIO) -> HarnessLog:
    """Decode the events that one process has told, in order; whatever the other lines are, they are only counted.

    A line that a dying process has cut off is among these, and so are all beyond `MOST_LINES` and `MOST_BYTES`.
    """
    decode = decoder_of(HarnessEvent).decode
    events: list[HarnessEvent] = []
    lines = dropped = 0
    left = MOST_BYTES
    while left > 0 and lines < MOST_LINES and (line := written.readline(left)):
        lines += 1
        left -= len(line)
        try:
            events.append(decode(line))
        except (msgspec.DecodeError, ValueError, RecursionError):
            dropped += not line.isspace()
    while piece := written.read(_PIECE):
        dropped += piece.count(b"\n")
    return HarnessLog(tuple(events), dropped)
