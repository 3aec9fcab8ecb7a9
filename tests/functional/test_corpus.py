"""Whatever an index, a server or an author gets wrong is refused with a sentence, or healed; nothing wrong is taken."""

from pathlib import Path

import pytest

from tests.corpus.results import ANSWERS, KINDS, results, table

FAULTS = Path(__file__).parents[2] / "docs/reference/faults.md"


@pytest.mark.parametrize("kind", [*KINDS, pytest.param("answers", marks=pytest.mark.whole)])
def test_of_each_wrong_input_comes_what_is_wanted(kind: str) -> None:
    found = list(results(KINDS.get(kind, ANSWERS)))
    assert [(one.group.wrong, one.case, one.came) for one in found if not one.is_as_wanted] == []


def test_the_documented_policies_are_those_that_are_tested() -> None:
    assert table() in FAULTS.read_text(), "run: python bench/corpus.py --write docs/reference/faults.md"
