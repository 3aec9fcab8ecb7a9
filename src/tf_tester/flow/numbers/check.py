"""What tests record, from version to version, and beside the budgets of the user.

A value is compared with that of the same test and name with the version before, or with a reference. What differs by
more than its test allows is told, and fails nothing; a budget is a row of its own in every cell that ran.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.grid.budgets import IMPORT_TIME, PEAK_MEMORY, Budget, Figure, check_budget
from tf_tester.core.grid.npy import read_number
from tf_tester.core.grid.numbers import Comparison, Distance, difference, numbered
from tf_tester.core.grid.versions import compared_with
from tf_tester.core.wheel.wheel_rules import same_version
from tf_tester.flow.numbers.compare import Candidate, Compared, compare
from tf_tester.flow.run.frame import Run
from tf_tester.model.events import NumbersDiffer, ValueRecorded
from tf_tester.model.field import ValueDifference
from tf_tester.model.outcome import CellResult, Outcome, TestRow, worst

_LARGEST_NUMBER = 1 << 17
"""Bytes of a file with a single one."""
_SAME = Distance(0, 1, 0.0, 0.0, 0)
ValueKey = tuple[str, str, str]
"""Names of a cell, of a test, and of a value of it."""


class ComparedValue(Struct, frozen=True):
    """One value and the one that it is compared with."""

    reference: str
    """The name of that one's cell."""
    pair: Comparison
    distance: Distance | None
    """None: they are of different shapes, or could not be compared."""
    trouble: str = ""
    """Why they could not be."""


def check_numbers(
    run: Run, results: Mapping[str, CellResult], *, budgets: Sequence[Budget], reference: str
) -> Iterator[CellResult]:
    """Yield anew the results that budgets or their numbers have changed; tell which numbers differ.

    `reference`: the version that all are compared with; empty: each with the one before it.
    """
    values = {
        (cell, test, name): value
        for cell, recorded in run.values.items()
        if cell in results
        for test in dict.fromkeys(one.test for one in recorded)
        if _has_passed(results[cell], test)
        for name, value in numbered(one for one in recorded if one.test == test).items()
    }
    compared = _compared(run, values, reference)
    _tell_differences(run, compared)
    missing = bool(reference and values) and not any(_is_of(cell, reference, run) for cell, _, _ in values)
    for planned in run.plan.cells:
        result = results.get(planned.cell.name)
        if result is None or not result.outcome.ran:
            continue
        rows = tuple(check_budget(one, _figures(one, result, values, compared, run)) for one in budgets)
        troubles = [one.trouble for key, one in compared.items() if key[0] == result.cell and one.trouble]
        troubles += [f"no cell of {reference} (--reference) has any"] * missing
        remarks = tuple(
            f"its numbers can't be compared with those of another version: {one}" for one in dict.fromkeys(troubles)
        )
        if rows or remarks:
            yield _with_rows(result, rows, remarks)


def _is_of(cell: str, version: str, run: Run) -> bool:
    return any(one.cell.name == cell and same_version(one.cell.version, version) for one in run.plan.cells)


def _has_passed(result: CellResult, test: str) -> bool:
    return any(row.id == test and row.outcome is Outcome.PASS for row in result.tests)


def _compared(run: Run, values: Mapping[ValueKey, ValueRecorded], reference: str) -> dict[ValueKey, ComparedValue]:
    """Return each value that has another one beside it."""
    with_values = {cell for cell, _, _ in values}
    cells = [planned.cell for planned in run.plan.cells if planned.cell.name in with_values]
    others = {cell.name: compared_with(cell, cells, reference) for cell in cells}
    found: dict[ValueKey, ComparedValue] = {}
    for (cell, test, name), value in values.items():
        other = others.get(cell)
        expected = None if other is None else values.get((other.name, test, name))
        if other is not None and expected is not None:
            same = _SAME if expected.digest == value.digest else None
            found[cell, test, name] = ComparedValue(other.name, Comparison(expected, value), same)
    asked = [
        key for key, one in found.items() if one.distance is None and one.pair.expected.shape == one.pair.got.shape
    ]
    answer = _answer(run, [found[key].pair for key in asked], with_values)
    for at, key in enumerate(asked):
        if answer.trouble:
            found[key] = replace(found[key], trouble=answer.trouble)
        else:
            found[key] = replace(found[key], distance=answer.distances[at])
    return found


def _answer(run: Run, pairs: Sequence[Comparison], cells: set[str]) -> Compared:
    if run.plan.trial.ephemeral and pairs:
        return Compared(trouble="--ephemeral leaves no cell that could do it")
    return compare(pairs, [Candidate(run, one) for one in run.plan.cells if one.cell.name in cells], 1)


def _tell_differences(run: Run, compared: Mapping[ValueKey, ComparedValue]) -> None:
    differing: dict[tuple[str, str], list[ValueDifference]] = {}
    for (cell, test, name), one in compared.items():
        found = None if one.trouble else difference(name, one.reference, one.pair, one.distance)
        if found is not None:
            differing.setdefault((cell, test), []).append(found)
    for (cell, test), told in differing.items():
        run.services.run.tell(NumbersDiffer(cell, test, tuple(told)))


def _figures(
    budget: Budget,
    result: CellResult,
    values: Mapping[ValueKey, ValueRecorded],
    compared: Mapping[ValueKey, ComparedValue],
    run: Run,
) -> list[Figure]:
    """Return what a cell has of the figure of a budget."""
    if not budget.measure and budget.figure == IMPORT_TIME:
        return [Figure(result.import_s)] if result.import_s is not None else []
    if not budget.measure and budget.figure == PEAK_MEMORY:
        return [Figure(result.peak_rss_kib * 1024.0)] if result.peak_rss_kib is not None else []
    own = [key for key in values if key[0] == result.cell and re.sub(r"#\d+\Z", "", key[2]) == budget.figure]
    if budget.measure:
        return [_distance(budget.measure, key[1], compared.get(key)) for key in own]
    return [_number(run, key[1], values[key]) for key in own]


def _number(run: Run, test: str, value: ValueRecorded) -> Figure:
    blob = run.services.storage.blobs.find(value.digest)
    number = None
    if blob is not None and blob.stat().st_size <= _LARGEST_NUMBER:
        number = read_number(blob.read_bytes())
    if number is None:
        return Figure(float("nan"), test, f"no single number, but {value.dtype} of shape {value.shape}")
    return Figure(number, test)


def _distance(measure: str, test: str, found: ComparedValue | None) -> Figure:
    if found is None:
        return Figure(None, test, "no version is there with whose number it could be compared")
    if found.distance is None:
        shapes = f"of shape {found.pair.got.shape} beside {found.pair.expected.shape}"
        return Figure(float("nan"), test, f"not known: {found.trouble}" if found.trouble else shapes)
    if found.distance.nans and measure != "nans":
        return Figure(float("nan"), test, "NaN")
    number = getattr(found.distance, measure)
    if number is None and measure == "ulps":
        return Figure(float("nan"), test, f"not known of {found.pair.expected.dtype} beside {found.pair.got.dtype}")
    return Figure(float(number or 0), test)


def _with_rows(result: CellResult, rows: tuple[TestRow, ...], remarks: tuple[str, ...]) -> CellResult:
    tests = (*result.tests, *rows)
    failed = next((row for row in rows if row.outcome.is_failure_of_the_test), None)
    summary = result.summary
    if failed is not None and not result.outcome.is_failure_of_the_test:
        summary = failed.reason
    outcome = worst({row.outcome for row in tests})
    return replace(result, tests=tests, outcome=outcome, summary=summary, remarks=(*result.remarks, *remarks))
