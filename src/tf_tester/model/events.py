"""What happens in a run, in order: the record is these as JSON lines, every report is a fold over them.

The live board and the plain printer listen to the same events while they happen.
"""

from enum import StrEnum
from typing import Any

from msgspec import Struct

from tf_tester.model.cause import Explanation
from tf_tester.model.cell import Cell
from tf_tester.model.field import FieldOutcome, GridSide, RouteHop, ValueDifference
from tf_tester.model.lock import Lock
from tf_tester.model.outcome import CellResult, ExceptionFact


class RunStarted(Struct, frozen=True):
    run_id: str
    """Sortable by time, unique in the store."""
    started: str
    """RFC 3339, UTC."""
    tool: str
    """`tf-tester 0.1.0`."""
    request: dict[str, Any]
    """What was asked for, enough to ask again."""
    cells: tuple[Cell, ...]
    """In the order in which they are shown."""
    folder: str
    """Where the record and the evidence are."""
    remarks: tuple[str, ...] = ()
    """What a person should know of the run as a whole: how versions were chosen, a Python that is broken."""
    platform: str = ""
    """The platform tag of this machine, such as `manylinux_2_36_x86_64`."""


class CellStep(StrEnum):
    """What is being done to a cell, in this order; what is there already is passed over."""

    RESOLVING = "resolving"
    """Its lock is made, with all that takes: pages, metadata, builds."""
    DOWNLOADING = "downloading"
    UNPACKING = "unpacking"
    """And an environment is made of it."""
    WAITING = "waiting"
    """For a core, or memory."""
    RUNNING = "running"
    """What is in the environment; until that is gone."""


class CellState(Struct, frozen=True):
    """A cell has entered a phase."""

    cell: str
    state: CellStep


class CellLocked(Struct, frozen=True):
    cell: str
    lock: Lock
    from_store: bool
    """True: an earlier run's lock was used as it is."""


class TransferProgress(Struct, frozen=True):
    """Bytes of one artifact so far; the board makes speed and time left of it. Not in the record."""

    sha256: str
    filename: str
    done: int
    """Bytes that are on disk, those of earlier runs included."""
    total: int | None
    source: str
    """Name of the mirror, or `authority`."""


class MissingFile(Struct, frozen=True):
    """A file that the store doesn't have."""

    sha256: str
    filename: str
    size: int | None
    """Bytes, where the index tells."""


class FilesMissing(Struct, frozen=True):
    """What a cell needs and the store lacks: it is brought now. Not in the record."""

    cell: str
    """Where files are brought for no cell, the file's own name; without files it is over."""
    files: tuple[MissingFile, ...]


class DelayKind(StrEnum):
    """What takes its time while nothing else is told of it."""

    BUILD = "build"
    """A wheel is made of a source distribution or of a project."""
    LOCK = "lock"
    """Another cell or another process is at the same thing of the store."""


class Delay(Struct, frozen=True):
    """Something has to be waited for, or no longer. Not in the record."""

    kind: DelayKind
    what: str
    """Of a build what is built, and for which Python, of a lock its name in the store."""
    is_over: bool = False


class TaskState(Struct, frozen=True):
    """A command that runs no cells has begun something, or ended it. Not in the record."""

    doing: str
    """Such as `resolving`."""
    what: str
    """Such as `tensorflow 2.8.0 py3.10`, or a file's name."""
    of: int
    """How many such things there are, as far as is known."""
    is_over: bool = False


class TransferFinished(Struct, frozen=True):
    sha256: str
    filename: str
    size: int
    """Bytes of the whole file."""
    received: int
    """Bytes that came over the wire in this run."""
    source: str
    """Who gave the bytes."""
    seconds: float
    promised_by: str = ""
    """Whose word the hash is, where it isn't the authority's."""
    attested_by: str = ""
    """Who has signed the file, where that was verified."""


class TransferTrouble(Struct, frozen=True):
    """A source failed and another way was tried."""

    filename: str
    source: str
    reason: str


class WheelBuilt(Struct, frozen=True):
    """A build from source has ended."""

    name: str
    """Of what was built: a project, or the folder of one."""
    python: str
    """The label of the Python that it was built for."""
    seconds: float
    """Wall, with what the build itself required."""
    filename: str = ""
    """Of the wheel; empty: the build failed."""
    sha256: str = ""
    """Of the wheel."""


class MirrorsChosen(Struct, frozen=True):
    """`--mirror auto` has looked around."""

    names: tuple[str, ...]
    """Empty: the authority is the fastest."""
    told: str
    """In a few words, why."""


class CellFinished(Struct, frozen=True):
    result: CellResult


class CellExplained(Struct, frozen=True):
    """Blame has been laid."""

    explanation: Explanation


class ProductLeft(Struct, frozen=True):
    """A producer has left something for consumers."""

    cell: str
    """The producer's name."""
    test: str
    """Who has left it: the id of a row of that cell."""
    name: str
    digest: str
    """SHA-256 of a blob in the store: a tar file of the folder, which its content alone decides."""
    size: int = 0
    """Bytes of its files."""
    files: int = 0
    paths: tuple[str, ...] = ()
    """Of the first files in it, those of the upper folders first."""


class ValueRecorded(Struct, frozen=True):
    """A test, or a function of a grid, has recorded a number or an array."""

    cell: str
    """The cell's name."""
    test: str
    """The id of a row of that cell."""
    name: str
    dtype: str
    """As NumPy writes it: `<f4`."""
    shape: tuple[int, ...]
    digest: str
    """SHA-256 of a `.npy` file, which is a blob in the store."""
    rtol: float | None = None
    """The relative difference that its function allows."""
    atol: float | None = None


class NumbersDiffer(Struct, frozen=True):
    """What a test has recorded isn't what it has recorded with another version, by more than is allowed."""

    cell: str
    test: str
    differences: tuple[ValueDifference, ...]


class FieldFinished(Struct, frozen=True):
    """One field of a grid is over."""

    producer: str
    """The name of the cell that made the product."""
    consumer: str
    product: str
    """Its name; empty where no producer has named one."""
    outcome: FieldOutcome
    tests: tuple[str, ...] = ()
    """Ids of the consumer's rows that decide it."""
    summary: str = ""
    """One line: the first exception, or why it was not run."""
    exception: ExceptionFact | None = None
    """Of the first of these rows that failed."""
    differences: tuple[ValueDifference, ...] = ()
    """Values that aren't what they were when the product was saved."""
    forked: bool = False
    """It was run by a fork of a process that had imported the framework, and not by one of its own."""


class BorderFound(Struct, frozen=True):
    """Which release makes the difference between two neighbours of a grid."""

    product: str
    side: GridSide
    """Whose versions these are: of those that save, or of those that load."""
    held: str
    """The name of the cell on the other side, which is the same for all of them."""
    before: str
    """The last version that was looked at before the change, and is as those before it."""
    after: str
    """The first that was seen to be otherwise."""
    neighbours: tuple[str, ...]
    """The two versions of the grid between which it lies."""
    outcome: FieldOutcome
    """What comes of the product on the bad side of the change."""
    breaks: bool
    """Whether the newer versions are the bad ones."""
    summary: str = ""
    """One line: what is wrong there."""
    differences: tuple[ValueDifference, ...] = ()
    """Values that aren't what they were when the product was saved, on the bad side."""
    between: tuple[str, ...] = ()
    """Versions between `before` and `after` that could not be tried; one of them may be it."""
    tried: int = 0
    """Releases between the neighbours that were tried."""
    fields: int = 1
    """Pairs of neighbours in the grid that change in this way between these two versions."""
    trouble: str = ""
    """Why no release was found, where none was."""


class RouteFound(Struct, frozen=True):
    """The shortest way over which a product of one version comes to another one, or that there is none."""

    product: str
    start: str
    """The name of the cell that has saved it."""
    goal: str
    """The name of the cell that is to load it."""
    hops: tuple[RouteHop, ...] = ()
    """Those that were gone, in order; of no way those to the nearest version that it comes to."""
    arrived: bool = False
    """Whether the last one is the goal."""
    compared: tuple[str, ...] = ()
    """Names of values that were those of the start at the end."""
    summary: str = ""
    """Why there is none."""
    failed: tuple[str, ...] = ()
    """What was tried in vain, a line each: a way that the grid promised, and where it ended."""


class RunFinished(Struct, frozen=True):
    exit_code: int
    interrupted: bool
    wall_s: float
    sum: int | None = None
    """CRC-32 of the lines before this one, of versions whose lines had no sums of their own."""


Event = (
    RunStarted
    | CellState
    | CellLocked
    | TransferProgress
    | FilesMissing
    | Delay
    | TaskState
    | TransferFinished
    | TransferTrouble
    | WheelBuilt
    | MirrorsChosen
    | CellFinished
    | CellExplained
    | ProductLeft
    | ValueRecorded
    | NumbersDiffer
    | FieldFinished
    | BorderFound
    | RouteFound
    | RunFinished
)

Fleeting = TransferProgress | FilesMissing | Delay | TaskState
"""Events for those who watch: they aren't in the record."""
