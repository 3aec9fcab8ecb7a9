"""The cells of a matrix, packed into the jobs of a CI system, so that the longest job takes as little time as it can.

Each job is told in versions and Pythons, and what these mean together is just its cells. Pure.
"""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush
from itertools import zip_longest
from statistics import median
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, field

from tf_tester.errors import UsageError
from tf_tester.model.cell import Cell, PlannedCell
from tf_tester.model.lock import Resolution


class MatrixJob(Struct, frozen=True):
    """One job of the matrix."""

    name: str
    """Not used twice in a matrix."""
    package: str
    """Canonical."""
    versions: tuple[str, ...]
    """As the index spells them, oldest first."""
    pythons: tuple[str, ...]
    """As they were asked for; empty: each version's own, which the job chooses."""
    resolution: Resolution
    planned: tuple[str, ...] = ()
    """The Python that each version would have on the machine that made the matrix, where none was asked for."""
    seconds: float = 0.0
    """How long its cells took before, one after another; 0 where nothing is known."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """Return the options of `tf-tester test` that mean its cells."""
        words = ("--package", self.package, "--versions", ",".join(self.versions), "--resolve", str(self.resolution))
        return (*words, "--python", ",".join(self.pythons)) if self.pythons else words

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Return its cells, as far as another machine can tell which Pythons the job's has."""
        return tuple(
            Cell.of(self.package, version, label, self.resolution)
            for version, own in zip_longest(self.versions, self.planned[: len(self.versions)], fillvalue="-")
            for label in map(python_label, self.pythons or (own,))
        )

    def has(self, cell: Cell) -> bool:
        """Tell whether a cell that was run is one of its own, on whatever machine."""
        pythons = {label for python in self.pythons for label in (python, python_label(python))}
        return (
            (cell.package, cell.resolution) == (self.package, self.resolution)
            and cell.version in self.versions
            and (not pythons or cell.python in pythons)
        )


def python_label(python: str) -> str:
    """Return how cells name a Python.

    >>> python_label("3.10.4"), python_label("3.9")
    ('3.10', '3.9')
    """
    return ".".join(python.split(".")[:2])


def shards(
    cells: Sequence[PlannedCell], pythons: Sequence[str], seconds: Mapping[str, float], most: int
) -> tuple[MatrixJob, ...]:
    """Return at most `most` jobs with all cells, the longest first; of those as long in the order of versions.

    `pythons`: as they were asked for. `seconds`: how long cells took, by their names; a cell of which nothing is known
    counts as the same version on another Python, or else as the median. A cell that can't run takes no time, and no job
    of its own beside cells that can. The longest cells are placed first, each where there is least (LPT, which is
    within a third of the best).
    """
    rows = list(_rows(cells, seconds))
    live = [row for row in rows if row.runnable]
    idle = [row for row in rows if not row.runnable]
    count = max(1, min(most, sum(row.runnable for row in rows)))
    if idle and count > len(live) > 0:
        count = max(len(live), min(count, most - 1))  # one is for what can't run
    groups: list[list[_Row]]
    if count <= len(live) or not live:
        groups = _spread(live or rows, count)
        min(groups, key=_total).extend(idle if live else [])
    else:
        shares = _shares(live, count)
        groups = [[row.on(part)] for row, share in zip(live, shares, strict=True) for part in row.split(share)]
        groups += [idle] if idle else []
    order = {row.version: number for number, row in enumerate(rows)}
    asked = {label: python for python in pythons for label in (python_label(python), python)}
    jobs = [_job(sorted(group, key=lambda row: order[row.version]), asked) for group in groups]
    return tuple(sorted(jobs, key=lambda job: (-job.seconds, order[job.versions[0]])))


class _Item(Struct, frozen=True):
    cell: Cell
    seconds: float
    can_run: bool


class _Row(Struct, frozen=True):
    """A version, with each of the Pythons asked for, or some of them."""

    version: str
    items: tuple[_Item, ...]
    is_whole: bool = True

    @property
    def seconds(self) -> float:
        return sum(item.seconds for item in self.items)

    @property
    def runnable(self) -> int:
        return sum(item.can_run for item in self.items)

    def on(self, items: Sequence[_Item]) -> "_Row":
        return _Row(self.version, tuple(one for one in self.items if one in items), len(items) == len(self.items))

    def split(self, count: int) -> list[list[_Item]]:
        return _spread(self.items, count)


_Weighed = TypeVar("_Weighed", _Item, _Row)


def _total(group: Iterable[_Item] | Iterable[_Row]) -> float:
    return sum(one.seconds for one in group)


def _spread(units: Sequence[_Weighed], count: int) -> list[list[_Weighed]]:
    """Return the units in so many groups, none of them empty where there are enough."""
    groups: list[list[_Weighed]] = [[] for _ in range(count)]
    shortest = [(0.0, 0, number) for number in range(count)]
    for unit in sorted(units, key=lambda one: -one.seconds):  # it is stable: of those as long the first comes first
        total, length, number = heappop(shortest)
        groups[number].append(unit)
        heappush(shortest, (total + unit.seconds, length + 1, number))
    return [group for group in groups if group]


def _shares(rows: Sequence[_Row], count: int) -> list[int]:
    """Return how many jobs each row gets, one at least, and no more than it has cells that can run."""
    shares = [1] * len(rows)
    for _ in range(count - len(rows)):
        open_rows = [number for number, row in enumerate(rows) if shares[number] < row.runnable]
        slowest = max(open_rows, key=lambda number: (rows[number].seconds / shares[number], -number))
        shares[slowest] += 1
    return shares


def _rows(cells: Sequence[PlannedCell], seconds: Mapping[str, float]) -> Iterable[_Row]:
    known = {planned.cell.name: _known(planned.cell, seconds) for planned in cells if planned.refusal is None}
    usual = median([one for one in known.values() if one is not None] or [1.0])
    rows: dict[str, list[_Item]] = {}
    for planned in cells:
        can_run = planned.refusal is None
        took = known[planned.cell.name] if can_run else 0.0
        rows.setdefault(planned.cell.version, []).append(_Item(planned.cell, usual if took is None else took, can_run))
    return [_Row(version, tuple(items)) for version, items in rows.items()]


def _known(cell: Cell, seconds: Mapping[str, float]) -> float | None:
    if cell.name in seconds:
        return seconds[cell.name]
    same = f"{cell.tested[0].label}@"
    return next((took for name, took in sorted(seconds.items()) if name.startswith(same)), None)


def _job(rows: Sequence[_Row], asked: Mapping[str, str]) -> MatrixJob:
    first = rows[0].items[0].cell
    labels = dict.fromkeys(item.cell.python for item in rows[0].items)
    name = rows[0].version if len(rows) == 1 else f"{rows[0].version} and {len(rows) - 1} more"
    if not all(row.is_whole for row in rows):
        name += f" py{', py'.join(labels)}"
    return MatrixJob(
        name,
        first.package,
        tuple(row.version for row in rows),
        tuple(asked[label] for label in labels) if asked else (),
        first.resolution,
        () if asked else tuple(row.items[0].cell.python for row in rows),
        _total(rows),
    )


# -- as files


class _Entry(Struct, frozen=True):
    """A job as it stands in a matrix; what others have added is left alone."""

    name: str
    package: str
    versions: str
    python: str = ""
    planned_python: str = ""
    resolve: Resolution = Resolution.ERA


class _Matrix(Struct, frozen=True):
    include: tuple[_Entry, ...] = field(default_factory=tuple)


def github_matrix(jobs: Iterable[MatrixJob]) -> str:
    """Return the matrix as GitHub takes it, on one line."""
    listed = [
        {
            "name": job.name,
            "package": job.package,
            "versions": ",".join(job.versions),
            "python": ",".join(job.pythons),
            "planned_python": ",".join(job.planned),
            "resolve": str(job.resolution),
            "cells": len(job.cells),
            "arguments": shlex.join(job.arguments),
        }
        for job in jobs
    ]
    return json.dumps({"include": listed})


def gitlab_matrix(jobs: Sequence[MatrixJob]) -> str:
    """Return a hidden job of GitLab's, whose variables are tf-tester's settings; JSON, which is YAML."""
    listed = [
        {"TF_TESTER_VERSIONS": ",".join(job.versions)}
        | ({"TF_TESTER_PYTHON": ",".join(job.pythons)} if job.pythons else {})
        for job in jobs
    ]
    same = {"TF_TESTER_PACKAGE": jobs[0].package, "TF_TESTER_RESOLVE": str(jobs[0].resolution)}
    hidden: dict[str, Any] = {"variables": same, "parallel": {"matrix": listed}}
    return json.dumps({".tf-tester-matrix": hidden}, indent=2)


def read_matrix(text: bytes, *, shown: str) -> tuple[MatrixJob, ...]:
    """Return the jobs of a matrix as `github_matrix` writes it; `shown`: the file's name. Raises `UsageError`."""
    try:
        matrix = msgspec.json.decode(text, type=_Matrix)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{shown} is not a matrix of tf-tester: {error}.", hint="`tf-tester ci-matrix` writes one."
        ) from error
    if not matrix.include:
        raise UsageError(f"{shown} has no jobs.", hint="`tf-tester ci-matrix` writes a matrix.")
    return tuple(
        MatrixJob(
            entry.name,
            entry.package,
            _listed(entry.versions),
            _listed(entry.python),
            entry.resolve,
            _listed(entry.planned_python),
        )
        for entry in matrix.include
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
