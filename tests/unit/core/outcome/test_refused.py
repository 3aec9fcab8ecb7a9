"""Every kind of refusal is an outcome of a cell that did not run."""

from collections.abc import Iterator

import pytest

from tf_tester.core.outcome.refused import OUTCOMES, outcome_of
from tf_tester.errors import BuildFailed, CellRefused
from tf_tester.model.outcome import Outcome


def kinds(of: type[CellRefused] = CellRefused) -> Iterator[type[CellRefused]]:
    yield of
    for kind in of.__subclasses__():
        yield from kinds(kind)


@pytest.mark.parametrize("kind", list(kinds()))
def test_every_refusal_has_its_outcome(kind: type[CellRefused]) -> None:
    assert kind in OUTCOMES
    assert not outcome_of(kind("It can't run.")).ran


def test_a_kind_without_a_row_is_as_its_parent() -> None:
    class CompilerMissing(BuildFailed):
        pass

    assert outcome_of(CompilerMissing("There is no compiler.")) is Outcome.BUILD_FAILED
