"""Which failures are the same failure: cells that broke in one way are told in one place."""

import re
from collections.abc import Collection, Iterable, Sequence, Set
from functools import lru_cache

from msgspec import Struct

from tf_tester.core.outcome.report import RunReport
from tf_tester.model.cell import Cell
from tf_tester.model.outcome import CellResult, ExceptionFact, Outcome, TestRow

_MOST_KNOWN = 20_000
"""Failing tests of a cell that are remembered: a test can make up names without end."""
_LONGEST = 2_000
"""Characters of a message that are looked at: a tensor printed in full can have millions."""

# Patterns are compiled when they are first used, and kept by `re`: most runs have no failure.
_VARYING = (
    (r"0x[0-9a-fA-F]+", "<address>"),
    (r"(?:[A-Za-z]:)?(?:[\w.~+-]*[/\\])+[\w.+-]*", "<path>"),
    (r"\d+(?:\.\d+)+(?:[a-z]+\d*)?(?:\+[\w.]+)?", "<version>"),
    (r"\d+(?:e[+-]?\d+)?", "<number>"),
)
_GOES_ON = (":", " The signature was")
_LIST = r"(<\w+>)(?:,? (?:and |or )?\1)+"
_LIBRARY = r"(?s)^.*[/\\](?:site-packages|dist-packages|lib[/\\]python3\.\d+t?)[/\\]|^(?=<frozen )"

Signature = tuple[str, str, str]
"""What kind of failure, its message without what varies from version to version, and who raised it.

Files and lines move from one version to the next: of a library it is the function, of the user's own code nothing.
"""


class SharedFailure(Struct, frozen=True):
    """One way to fail, as seen in one cell, and who else failed in that way."""

    cell: Cell
    row: TestRow | None
    """None: the cell failed without any test to name."""
    headline: str
    also: tuple[Cell, ...] = ()
    tests: int = 1
    """How many tests fail in that way, in all cells."""
    signature: Signature = ("", "", "")
    """By which others are known to have failed in that way."""


class Obstacle(Struct, frozen=True):
    """One reason why cells could not run."""

    cell: Cell
    result: CellResult
    also: tuple[Cell, ...] = ()
    hints: tuple[str, ...] = ()
    """Of all these cells; they may name different versions."""


def differences(report: RunReport, *, most: int | None = None) -> tuple[tuple[SharedFailure, ...], int]:
    """Return the kinds of failure, the most frequent first, and how many there are beyond `most`.

    Each is shown by the first test of the first cell that has it. What was looked into is told in any case.
    """
    kinds: dict[Signature, _Kind] = {}
    for cell in report.cells:
        result = report.result(cell)
        if result.outcome.is_failure_of_the_test:
            for signature, (row, told, count) in _counted(result).items():
                kinds.setdefault(signature, _Kind(signature, cell, row, told)).add(cell, count)
    ordered = sorted(kinds.values(), key=lambda kind: -kind.tests)  # stable: of equals the first that was seen
    explained = {(one.cell.name, one.test) for one in report.explanations}
    shown = ordered[:most]
    shown += [kind for kind in ordered[len(shown) :] if kind.has_one_of(explained)]
    return tuple(kind.told_of() for kind in shown), len(kinds) - len(shown)


class _Kind:
    """One kind of failure, and where it was seen."""

    def __init__(self, signature: Signature, cell: Cell, row: TestRow | None, told: str) -> None:
        self.signature = signature
        self.cell = cell
        self.row = row
        self.told = told
        self.cells: list[Cell] = []
        self.tests = 0

    def add(self, cell: Cell, count: int) -> None:
        self.cells.append(cell)
        self.tests += count

    def has_one_of(self, explained: Set[tuple[str, str]]) -> bool:
        """Return whether the test that shows it was looked into."""
        return self.row is not None and (self.cell.name, self.row.id) in explained

    def told_of(self) -> SharedFailure:
        return SharedFailure(self.cell, self.row, self.told, tuple(self.cells)[1:], self.tests, self.signature)


def obstacles(report: RunReport) -> tuple[Obstacle, ...]:
    """Return why the cells that could not run could not, each reason once; what Ctrl-C has interrupted has none."""
    groups: dict[Signature, list[tuple[Cell, CellResult]]] = {}
    for cell in report.cells:
        result = report.result(cell)
        if result.outcome.ran or (result.outcome is Outcome.INTERRUPTED and not result.hint):
            continue
        groups.setdefault((result.outcome, without_varying(result.summary), ""), []).append((cell, result))
    return tuple(
        Obstacle(
            members[0][0],
            members[0][1],
            tuple(cell for cell, _ in members[1:]),
            tuple(dict.fromkeys(result.hint for _, result in members if result.hint)),
        )
        for members in groups.values()
    )


@lru_cache(maxsize=4_096)  # thousands of tests may fail with one message
def without_varying(message: str) -> str:
    """Return a message with numbers, addresses, paths and versions replaced by what they are.

    >>> without_varying("no module at 0x7f00 in /tmp/x/a.py, wants 2.16.1 or 3")
    'no module at <address> in <path>, wants <version> or <number>'
    >>> without_varying("wheels for Python 3.5, 3.6 and 3.7 only")
    'wheels for Python <version> only'
    """
    text = message[:_LONGEST]
    for pattern, word in _VARYING:
        text = re.sub(pattern, word, text)
    text = re.sub(_LIST, r"\1", text)
    return " ".join(text.split())


def headline(exception: ExceptionFact) -> str:
    """Return type and first line; the second, too, where the first only announces it (`Graph execution error:`), or
    breaks off as pybind11's does (`The signature was`).

    >>> headline(ExceptionFact("ValueError", "Graph execution error:\\n\\nno such node\\nmore"))
    'ValueError: Graph execution error: no such node'
    """
    lines = [line.strip() for line in exception.message[:_LONGEST].splitlines() if line.strip()]
    if not lines:
        return exception.type
    told = f"{lines[0]} {lines[1]}" if lines[0].endswith(_GOES_ON) and len(lines) > 1 else lines[0]
    return f"{exception.type}: {told}"


def place(exception: ExceptionFact) -> str:
    """Return where it was raised, library paths from their root on: `tensorflow/python/eager.py:12 in f`."""
    if not exception.file:
        return ""
    file = re.sub(_LIBRARY, "", exception.file)
    where = f"{file}:{exception.line}" if exception.line else file
    return f"{where} in {exception.function}" if exception.function else where


def is_library(file: str) -> bool:
    """Return whether a file belongs to Python or to an installed distribution.

    >>> is_library("/home/me/.venv/lib/python3.11/site-packages/six.py"), is_library("/home/me/six.py")
    (True, False)
    """
    return re.match(_LIBRARY, file) is not None


def gravest_first(rows: Iterable[TestRow]) -> dict[str, TestRow]:
    """Return tests by id; of several with one id, one that failed."""
    found: dict[str, TestRow] = {}
    for row in rows:
        earlier = found.get(row.id)
        worse = earlier is not None and not earlier.outcome.is_failure_of_the_test
        if earlier is None or (worse and row.outcome.is_failure_of_the_test):
            found[row.id] = row
    return found


def rows_of(result: CellResult, test: str) -> tuple[TestRow, ...]:
    """Return the rows of a test; those of a file's tests where the file has none of its own: it could be collected."""
    own = tuple(row for row in result.tests if row.id == test)
    return own or tuple(row for row in result.tests if row.id.startswith(f"{test}::"))


def kinds_of_failure(result: CellResult) -> dict[Signature, tuple[TestRow | None, str]]:
    """Return kinds of failure in the order of the tests, each with the first test that shows it."""
    return {signature: (row, told) for signature, (row, told, _) in _counted(result).items()}


def _counted(result: CellResult) -> dict[Signature, tuple[TestRow | None, str, int]]:
    """Return what `kinds_of_failure` does, and how many tests fail in each way."""
    kinds: dict[Signature, tuple[TestRow | None, str, int]] = {}
    for row in result.tests:
        if row.outcome.is_failure_of_the_test:
            signature, told = _signature(row, result)
            first, words, count = kinds.get(signature, (row, told, 0))
            kinds[signature] = first, words, count + 1
    if not kinds:
        told = result.summary or str(result.outcome)
        kinds[(result.outcome, without_varying(told), "")] = (None, told, 1)
    return kinds


def signature_of(row: TestRow, result: CellResult) -> Signature:
    """Return in which way a test has failed; `result`: of its cell."""
    return _signature(row, result)[0]


def _signature(row: TestRow, result: CellResult) -> tuple[Signature, str]:
    if row.exception is not None:
        told = headline(row.exception)
        raised_by = row.exception.function if is_library(row.exception.file) else ""
        return (row.exception.type, without_varying(told).rstrip(".:!"), raised_by), told
    exited = f"exit status {row.exit_code}" if row.exit_code else ""
    reason = row.reason or exited or result.summary
    told = f"{row.outcome}: {reason}" if reason else str(row.outcome)
    return (row.outcome, without_varying(told), ""), told


def still_failing(known: Collection[str], rows: Sequence[TestRow]) -> tuple[str, ...]:
    """Return the ids of tests that fail now, or failed before and haven't run since, sorted; none if they are too many.

    >>> still_failing(["a", "b"], [TestRow("b", Outcome.PASS), TestRow("c", Outcome.FAIL)])
    ('a', 'c')
    """
    failing = {row.id for row in rows if row.outcome.is_failure_of_the_test}
    ran = {row.id for row in rows} | {row.id.partition("::")[0] for row in rows}
    still = failing | (set(known) - ran)
    return tuple(sorted(still)) if len(still) <= _MOST_KNOWN else ()
