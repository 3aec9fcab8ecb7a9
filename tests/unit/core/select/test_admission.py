"""When another cell may start."""

from hypothesis import given
from hypothesis import strategies as st

from tf_tester.core.select.admission import RESERVE, admit

GIGABYTE = 1024**3
amounts = st.integers(0, 2**40)


def test_a_cell_starts_where_there_is_memory_for_it_and_the_rest_of_the_machine() -> None:
    assert admit(running=1, jobs=4, need=2 * GIGABYTE, available=2 * GIGABYTE + RESERVE, promised=0)
    assert not admit(running=1, jobs=4, need=2 * GIGABYTE, available=2 * GIGABYTE + RESERVE - 1, promised=0)


def test_what_running_cells_will_yet_take_is_not_there() -> None:
    assert not admit(running=1, jobs=4, need=GIGABYTE, available=2 * GIGABYTE, promised=GIGABYTE)


@given(amounts, amounts, amounts, st.integers(1, 64))
def test_one_cell_always_runs(need: int, available: int, promised: int, jobs: int) -> None:
    assert admit(running=0, jobs=jobs, need=need, available=available, promised=promised)


@given(amounts, amounts, amounts, st.integers(1, 64), st.integers(0, 64))
def test_never_more_than_the_jobs_allowed(need: int, available: int, promised: int, jobs: int, more: int) -> None:
    assert not admit(running=jobs + more, jobs=jobs, need=need, available=available, promised=promised)
