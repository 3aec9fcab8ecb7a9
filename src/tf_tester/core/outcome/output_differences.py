"""Cells that pass, but say something else: what a test prints is compared between versions. Pure.

What may differ from run to run is taken out first: numbers, versions, times, addresses, paths, the order of sets. A
cell differs where it says something else than most cells in which the same test passes; where no two say the same, than
the one before it.
"""

import difflib
import itertools
import re
from collections.abc import Sequence

from msgspec import Struct

from tf_tester.core.outcome.failures import without_varying
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.outcome.runner_output import without_progress
from tf_tester.model.cell import Cell
from tf_tester.model.outcome import Outcome, TestRow

_MOST_LINES = 2_000
_WINDOW = 100
"""Lines from the first one on that differs."""
# Patterns are compiled when they are first used, and kept by `re`: most runs compare nothing.
_BRACES = r"\{([^{}]*)\}"
_DATE = r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?\b"
_CLOCK = r"\b\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?\b"
_SIGN = r"(?<![\w.])-(?=\d)"
_NO_NUMBER = r"\b(?:nan|inf)\b"
_FRACTION = r"(?<![\w.])\d+\.\d*(?:e[+-]?\d+)?(?![\w.])"
"""With two points it is a version."""
_BAR = r"\[[=>.# -]{8,}\]|\|[█▉▊▋▌▍▎▏# ]{4,}\||[━╸╺╾█▉▊▋▌▍▎▏░▒▓■□]{3,}"
"""Of Keras (2 and 3), tqdm, rich and pip."""
_COUNTED = r"(?P<done>\d[\d.,]*)\s?[kMG]?/(?P<of>\d[\d.,]*)\s?(?:[kMG]?i?B)?(?![\w/])|(?P<share>\d+(?:\.\d+)?)\s?%"
_TIMES = (
    r"\[?\d+:\d\d(?::\d\d)?(?:<(?:\d+:\d\d(?::\d\d)?|\?))?|"
    r"\b\d+(?:\.\d+)?\s?(?:[mun]?s|min|m|h)(?:/\w+)?(?![\w.])|\b(?:\d[\d.]*|\?)\s?(?:\w+/s|s/\w+)\]?"
)
_ESCAPE = r"\x1b\[[0-9;?]*[ -/]*[@-~]"


class OutputDifference(Struct, frozen=True):
    """One way in which cells say something else."""

    test: str
    cells: tuple[Cell, ...]
    line: str
    """The first line that differs, as the first of these cells printed it; empty: it is missing there."""
    usual: str
    """What the others print in its place; empty: nothing."""
    others: tuple[Cell, ...]
    """Those that say the usual."""


def differing_output(report: RunReport) -> tuple[OutputDifference, ...]:
    """Return differences by test, in the order of the cells."""
    rows: dict[str, list[tuple[Cell, TestRow]]] = {}
    for cell in report.cells:
        seen: set[str] = set()
        for row in report.result(cell).tests:
            if row.outcome is Outcome.PASS and row.id not in seen:
                seen.add(row.id)
                rows.setdefault(row.id, []).append((cell, row))
    return tuple(odd for test, passing in rows.items() for odd in _of_one_test(test, passing))


def _of_one_test(test: str, passing: Sequence[tuple[Cell, TestRow]]) -> list[OutputDifference]:
    said = {cell.name: _lines(row.stdout) for cell, row in passing}
    groups: dict[tuple[str, ...], list[Cell]] = {}
    for cell, _ in passing:
        groups.setdefault(tuple(line for line, _ in said[cell.name]), []).append(cell)
    if len(groups) < 2:
        return []
    if len(groups) == len(passing) > 2:
        # Everybody says something of his own, and nothing is usual: each is compared with the one before.
        pairs = itertools.pairwise(cell for cell, _ in passing)
        return [
            OutputDifference(test, (cell,), *_first_difference(said[cell.name], said[before.name]), (before,))
            for before, cell in pairs
        ]
    usual = max(groups, key=lambda lines: len(groups[lines]))
    others = groups[usual]
    found = []
    for lines, cells in groups.items():
        if lines != usual:
            line, instead = _first_difference(said[cells[0].name], said[others[0].name])
            found.append(OutputDifference(test, tuple(cells), line, instead, tuple(others)))
    return found


def _first_difference(mine: Sequence[tuple[str, str]], usual: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Return the printed lines at the first place where the compared ones differ."""
    same = next(
        (place for place, (one, other) in enumerate(zip(mine, usual, strict=False)) if one[0] != other[0]),
        min(len(mine), len(usual)),
    )
    # What follows is looked at closely: a line more is no other line.
    near, others = mine[same : same + _WINDOW], usual[same : same + _WINDOW]
    matcher = difflib.SequenceMatcher(None, [line for line, _ in near], [line for line, _ in others], autojunk=False)
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        if kind != "equal":
            return near[start][1] if start < end else "", others[other_start][1] if other_start < other_end else ""
    return "", ""


def _lines(text: str) -> list[tuple[str, str]]:
    """Return lines as they are compared, and as they were printed; empty ones are left out."""
    found = []
    # Not `splitlines`: of what was written over, behind a carriage return, what is left at the end counts.
    for line in text.split("\n")[:_MOST_LINES]:
        printed = _last_written(re.sub(_ESCAPE, "", line)).strip()
        compared = progress(printed) if re.search(_BAR, printed) else printed
        if compared := without_progress(compared):
            found.append((normalised(compared), printed))
    return found


def _last_written(line: str) -> str:
    """Return what a terminal shows of a line in the end, as far as that was written at once."""
    parts = [part for part in re.split(r"[\r\x08]+", line) if part.strip()]
    return parts[-1] if parts else ""


def progress(line: str) -> str:
    """Return what a line with a progress bar says besides: nothing while it is on its way, nor how long it took.

    >>> progress("5/5 [==============================] - 0s 2ms/step - loss: 0.6931 - accuracy: 0.5")
    'loss: 0.6931 accuracy: 0.5'
    >>> progress("1/5 [=====>........................] - ETA: 0s - loss: 0.6931")
    ''
    """
    counted = re.search(_COUNTED, line)
    if counted is None:
        return line
    if "ETA" in line:
        return ""
    done, of, share = counted["done"], counted["of"], counted["share"]
    if (done is not None and done != of) or (share is not None and float(share) < 100):
        return ""
    rest = re.sub(_TIMES, " ", re.sub(_COUNTED, " ", re.sub(_BAR, " ", line)))
    return " ".join(word for word in rest.split() if not re.fullmatch(r"[-|:,;<>\[\]()%?]+|eta", word))


def normalised(line: str) -> str:
    """Return a line without what may differ from run to run.

    >>> normalised("2.8.0: {'b', 'a'} at 12:30:01, loss 0.693 ✅")
    "<version>: {'a', 'b'} at <time>, loss <number> ✅"
    """
    text = re.sub(_CLOCK, "<time>", re.sub(_DATE, "<time>", line))
    text = re.sub(
        _BRACES, lambda match: "{" + ", ".join(sorted(part.strip() for part in match[1].split(","))) + "}", text
    )
    text = re.sub(_SIGN, "", re.sub(_NO_NUMBER, "0", text))
    return without_varying(re.sub(_FRACTION, "0", text))
