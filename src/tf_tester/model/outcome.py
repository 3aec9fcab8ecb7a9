"""What happened in a cell, with the evidence."""

from collections.abc import Collection
from enum import StrEnum

from msgspec import Struct, field

from tf_tester.model.host.limits import Limit


class Outcome(StrEnum):
    """Of one test, or of a whole cell: the gravest of its tests. Those of what ran come first, the gravest in front."""

    OOM = "oom"
    """It needed more memory than it may have."""
    CRASH = "crash"
    """The process died: a signal, `os._exit`, an interpreter that could not start."""
    TIMEOUT = "timeout"
    ERROR = "error"
    """The test could not be run: syntax, collection, a fixture."""
    FAIL = "fail"
    """The test's code raised, or left with another status than 0."""
    PASS = "pass"
    EMPTY = "empty"
    """Nothing was tested: no test was found in a file or folder that was given."""
    SKIP = "skip"
    # A cell that never ran:
    NO_PYTHON = "no-python"
    NO_WHEEL = "no-wheel"
    UNRESOLVABLE = "unresolvable"
    DOWNLOAD_FAILED = "download-failed"
    BUILD_FAILED = "build-failed"
    INSTALL_FAILED = "install-failed"
    INTERRUPTED = "interrupted"
    """Ctrl-C came first."""

    @property
    def ran(self) -> bool:
        """Whether something was run for it."""
        return self not in _NEVER_RAN

    @property
    def is_failure_of_the_test(self) -> bool:
        """Whether it makes the run's exit code 1."""
        return self in _BAD


_BAD = frozenset({Outcome.OOM, Outcome.CRASH, Outcome.TIMEOUT, Outcome.ERROR, Outcome.FAIL})
_NEVER_RAN = frozenset(
    {
        Outcome.NO_PYTHON,
        Outcome.NO_WHEEL,
        Outcome.UNRESOLVABLE,
        Outcome.DOWNLOAD_FAILED,
        Outcome.BUILD_FAILED,
        Outcome.INSTALL_FAILED,
        Outcome.INTERRUPTED,
    }
)


def worst(outcomes: Collection[Outcome]) -> Outcome:
    """Return the gravest of some tests' outcomes, which is their cell's; of none, that nothing was tested.

    >>> worst([Outcome.PASS, Outcome.FAIL, Outcome.SKIP]).value, worst([]).value
    ('fail', 'empty')
    """
    return next((outcome for outcome in Outcome if outcome.ran and outcome in outcomes), Outcome.EMPTY)


class ExceptionFact(Struct, frozen=True):
    """The exception that ended a test."""

    type: str
    """Qualified where it is not a builtin: `google.protobuf.message.DecodeError`."""
    message: str
    file: str = ""
    line: int = 0
    function: str = ""

    @property
    def first_line(self) -> str:
        text = self.message.strip().splitlines()
        return f"{self.type}: {text[0]}" if text else self.type


class WarningFact(Struct, frozen=True):
    """A warning that a test caused, with how often it was seen."""

    category: str
    message: str
    file: str = ""
    line: int = 0
    count: int = 1


class TestRow(Struct, frozen=True):
    """One test in one cell."""

    __test__ = False  # not a test class, whatever pytest thinks of the name

    id: str
    outcome: Outcome
    exception: ExceptionFact | None = None
    traceback: str = ""
    stdout: str = ""
    stderr: str = ""
    reason: str = ""
    """Why it was skipped, how its process died, or with which failure it passes (`xfail`)."""
    warnings: tuple[WarningFact, ...] = ()
    wall_s: float | None = None
    cpu_s: float | None = None
    peak_rss_kib: int | None = None
    exit_code: int | None = None
    remarks: tuple[str, ...] = ()
    limit: Limit | None = None
    """The limit (`--limit`) beyond which it was ended."""
    sandboxed: str = ""
    """How the sandbox kept it from passing, and the option that lets it, where what made it fail says so."""
    unshown: str = ""
    """A path that it asked for, which is there outside of its sandbox and isn't shown to it."""
    could_not_begin: bool = False
    """pytest refused its command line or its settings: what was asked for was never tried."""


class CellResult(Struct, frozen=True):
    """All that is known of one cell when it is over."""

    cell: str
    """The cell's name (`Cell.name`)."""
    outcome: Outcome
    summary: str = ""
    """One line a person understands: the first exception, or why it did not run."""
    hint: str = ""
    detail: str = ""
    """The full evidence of a cell that did not run: the resolver's or the build's own words."""
    tests: tuple[TestRow, ...] = ()
    phases: dict[str, float] = field(default_factory=dict)
    """Wall seconds by phase: resolve, download, layers, environment, run, cleanup."""
    import_s: float | None = None
    """Wall seconds of the first import of the package under test."""
    peak_rss_kib: int | None = None
    remarks: tuple[str, ...] = ()
    replayed: str = ""
    """When it was run, where an earlier run's result is shown because nothing has changed since."""
    owners: dict[str, str] = field(default_factory=dict)
    """Distributions by the modules and files that its failures speak of: `numpy`, or in a namespace
    `google/protobuf/message.py`; empty: the user's own project."""
    evidence: str = ""
    """Folder with the cell's output and lock; empty where nothing was kept."""
    own_failure: bool = False
    """True: it did not run because of the network, the disk or tf-tester itself."""
    unused: bool = False
    """True: tests or a command passed, and no Python of the cell has imported the package under test."""
