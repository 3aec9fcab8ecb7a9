"""One order of exit codes, whatever a command did."""

from itertools import permutations

import pytest

from tf_tester.core.outcome.exits import code_of_cell, code_of_errors, gravest
from tf_tester.core.verdict.bisect import Mark, Transition
from tf_tester.errors import DownloadFailed, IndexUnreachable, NoWheel, Unresolvable, UsageError
from tf_tester.flow.explain.bisect import Bisection
from tf_tester.flow.explain.probes import Probe
from tf_tester.model.outcome import CellResult, Outcome

ORDER = (130, 2, 1, 4, 3, 0)


@pytest.mark.parametrize(("graver", "lesser"), [(ORDER[a], ORDER[b]) for a in range(6) for b in range(a, 6)])
def test_of_two_codes_the_graver_one_is_told(graver: int, lesser: int) -> None:
    assert {gravest(both) for both in permutations((graver, lesser))} == {graver}


def test_a_command_that_went_on_past_errors_ends_with_the_gravest() -> None:
    assert code_of_errors([]) == 0
    assert code_of_errors([NoWheel("none"), Unresolvable("no")]) == 3
    assert code_of_errors([NoWheel("none"), DownloadFailed("cut off")]) == 4
    assert code_of_errors([IndexUnreachable("gone"), UsageError("what?")]) == 2


def test_what_kept_a_cell_from_running_decides_between_3_and_4() -> None:
    for outcome in (Outcome.INSTALL_FAILED, Outcome.DOWNLOAD_FAILED):
        assert code_of_cell(CellResult("c", outcome)) == 3
        assert code_of_cell(CellResult("c", outcome, own_failure=True)) == 4


@pytest.mark.parametrize(
    ("lost", "found", "code"), [(False, True, 0), (False, False, 3), (True, True, 4), (True, False, 4)]
)
def test_a_search_that_lost_a_version_to_the_network_ends_with_4(lost: bool, found: bool, code: int) -> None:
    change = (Transition(0, 2, Mark.BAD),) if found else ()
    probe = Probe("1.1", "3.11", Mark.UNTESTABLE, Outcome.DOWNLOAD_FAILED, "cut off", own_failure=lost)
    assert Bisection("toy", ("1.0", "1.1", "1.2"), change, (probe,), 3).exit_code == code
