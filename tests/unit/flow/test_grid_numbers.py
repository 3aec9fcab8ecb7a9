"""What the numbers of a grid make of its fields, without running any cell."""

from collections.abc import Mapping, Sequence

import pytest
from msgspec.structs import replace

from tf_tester.core.grid.fields import FieldState
from tf_tester.core.grid.numbers import Comparison, Distance
from tf_tester.flow.grid import numbers
from tf_tester.flow.grid.cells import Consumed, Produced, Serving
from tf_tester.flow.grid.numbers import Loaded, NumberCheck
from tf_tester.flow.numbers.compare import Candidate, Compared
from tf_tester.model.cell import Cell
from tf_tester.model.events import ValueRecorded
from tf_tester.model.field import FieldOutcome, Product
from tf_tester.model.lock import Resolution
from tf_tester.model.outcome import CellResult, Outcome, TestRow

OLD, NEW = (Cell.of("toy", version, "3.11", Resolution.ERA) for version in ("1.0", "2.0"))
PRODUCT = Product("m", "d" * 64, 1, 1)


def number(value: float, test: str) -> ValueRecorded:
    """Return a value whose digest is the number itself."""
    return ValueRecorded("c", test, "p", "<f8", (), str(value))


def produced(cell: Cell, value: float | None) -> Produced:
    values = () if value is None else (number(value, "save"),)
    result = CellResult(cell.name, Outcome.PASS)
    return Produced(cell, cell.version, result, {"m": PRODUCT}, {"m": "save"}, values)


def consumed(cell: Cell, *values: float) -> Consumed:
    ids = [f"load[{at}]" for at in range(len(values))]
    result = CellResult(cell.name, Outcome.PASS, tests=tuple(TestRow(id, Outcome.PASS) for id in ids))
    states = tuple(FieldState(FieldOutcome.OK, (id,)) for id in ids)
    return Consumed(result, states, tuple((number(value, id),) for value, id in zip(values, ids, strict=True)))


def settled(
    saved: Mapping[Cell, float | None],
    loaded: Mapping[Cell, Sequence[float]],
    again: Mapping[Cell, Sequence[float]] | None = None,
) -> dict[str, Consumed]:
    """Return the consumers of products that each of `saved` made; `again`: what comes out of what runs twice."""
    servings = tuple(Serving(cell, cell.version, PRODUCT) for cell in saved)
    producers = {cell.name: produced(cell, value) for cell, value in saved.items()}
    consumers = {cell.name: consumed(cell, *values) for cell, values in loaded.items()}

    def run_again(asked: Mapping[str, Sequence[Serving]]) -> dict[str, Consumed]:
        second = {cell.name: (cell, values) for cell, values in (again or loaded).items()}
        found = {}
        for name, wanted in asked.items():
            cell, values = second[name]
            found[name] = consumed(cell, *(values[servings.index(one)] for one in wanted))
        return found

    return NumberCheck(Loaded(servings, producers, consumers), ()).run(run_again)


@pytest.fixture(autouse=True)
def compared_by_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare the numbers that digests are: more than 0.1 apart is outside."""

    def compare(pairs: Sequence[Comparison], _candidates: Sequence[Candidate], _number: int) -> Compared:
        gaps = [abs(float(pair.expected.digest) - float(pair.got.digest)) for pair in pairs]
        told = zip(pairs, gaps, strict=True)
        return Compared(
            tuple(
                Distance(int(gap > 0.1), 1, gap, expected=pair.expected.digest, got=pair.got.digest)
                for pair, gap in told
            )
        )

    monkeypatch.setattr(numbers, "compare", compare)


def outcomes(found: dict[str, Consumed]) -> list[list[str]]:
    return [[str(state.outcome) for state in one.states] for one in found.values()]


def test_the_number_of_the_producer_is_right_by_definition() -> None:
    found = settled({OLD: 1.0, NEW: 2.0}, {OLD: [1.0, 5.0], NEW: [1.05, 2.0]})
    assert outcomes(found) == [["ok", "wrong-numbers"], ["ok", "ok"]]
    wrong = found[OLD.name]
    assert wrong.result.outcome is Outcome.FAIL
    assert wrong.result.summary == wrong.states[1].summary == "p is 5.0, not 2.0 (max abs 3)"
    assert [row.outcome for row in wrong.result.tests] == [Outcome.PASS, Outcome.FAIL]
    [difference] = wrong.states[1].differences
    assert (difference.reference, difference.expected, difference.got) == (NEW.name, "2.0", "5.0")


def test_without_one_it_is_that_of_its_own_version() -> None:
    found = settled({OLD: None, NEW: None}, {OLD: [1.0, 5.0], NEW: [1.0, 2.0]})
    assert outcomes(found) == [["ok", "wrong-numbers"], ["ok", "ok"]]
    assert outcomes(settled({OLD: None}, {NEW: [7.0]})) == [["ok"]]  # nothing to be compared with


def test_what_varies_in_the_consumer_or_in_the_version_that_saved_is_flaky() -> None:
    own = settled({OLD: 1.0}, {NEW: [2.0]}, {NEW: [3.0]})
    assert outcomes(own) == [["flaky"]]
    assert own[NEW.name].result.outcome is Outcome.PASS
    assert own[NEW.name].result.tests[0].remarks == (
        "flaky, its numbers vary from run to run: p is 2.0, not 1.0 (max abs 1)",
    )
    of_the_producer = settled({OLD: 1.0}, {OLD: [1.5], NEW: [2.0]}, {OLD: [1.9], NEW: [2.0]})
    assert outcomes(of_the_producer) == [["flaky"], ["flaky"]]
    steady = settled({OLD: 1.0}, {OLD: [1.5], NEW: [2.0]})
    assert outcomes(steady) == [["wrong-numbers"], ["wrong-numbers"]]


def test_what_cannot_be_compared_is_never_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "compare", lambda pairs, *_: Compared(trouble="crash") if pairs else Compared())
    found = settled({OLD: 1.0}, {OLD: [1.0], NEW: [2.0]})
    assert outcomes(found) == [["ok"], ["error"]]
    words = "its numbers differ from those of 1.0, and can't be compared: crash"
    assert found[NEW.name].states[0].summary == found[NEW.name].result.tests[0].reason == words


def test_a_consumer_that_failed_has_no_numbers() -> None:
    failed = consumed(NEW, 5.0)
    failed = replace(failed, states=(FieldState(FieldOutcome.ERROR, ("load[0]",), "KeyError"),))
    loaded = Loaded((Serving(OLD, "1.0", PRODUCT),), {OLD.name: produced(OLD, 1.0)}, {NEW.name: failed})
    check = NumberCheck(loaded, ())
    assert check.run(lambda _: pytest.fail("nothing is to run again")) == {NEW.name: failed}
