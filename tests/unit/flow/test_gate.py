"""Who runs next."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace
from typing import cast

import pytest

from tests.waiting import until
from tf_tester.flow.prepare.services import Services
from tf_tester.flow.run.gate import Gate
from tf_tester.model.request import Trial

LARGEST = 10**15


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def gate(jobs: int) -> Gate:
    services = SimpleNamespace(
        history=SimpleNamespace(peaks=SimpleNamespace(peak=lambda _package: 1)),
        execution=SimpleNamespace(memory=SimpleNamespace(available=lambda: LARGEST, resident=lambda: 0)),
    )
    return Gate(Trial(jobs=jobs), "toy", cast(Services, services))


def _wait(gates: Gate, number: int) -> bool:
    return len(gates._waiting) == number


def test_the_longest_goes_first_and_the_unknown_before_it(pool: ThreadPoolExecutor) -> None:
    gates = gate(1)
    order: list[str] = []

    def run(name: str, seconds: float | None) -> None:
        with gates.slot(seconds):
            order.append(name)

    with gates.slot():
        asked = [("short", 1.0), ("new", None), ("long", 5.0), ("as new", None), ("middle", 2.5)]
        running = []
        for number, (name, seconds) in enumerate(asked, start=1):
            running.append(pool.submit(run, name, seconds))
            until(partial(_wait, gates, number))
    for one in running:
        one.result(timeout=60)
    assert order == ["new", "as new", "long", "middle", "short"]


def test_as_many_run_as_there_are_jobs(pool: ThreadPoolExecutor) -> None:
    gates, over = gate(2), threading.Event()
    inside: list[int] = []

    def run(number: int) -> None:
        with gates.slot(float(number)):
            inside.append(number)
            over.wait()
            inside.remove(number)

    running = [pool.submit(run, number) for number in range(5)]
    until(lambda: len(inside) == 2 and len(gates._waiting) == 3)
    over.set()
    for one in running:
        one.result(timeout=60)
    assert (inside, gates._waiting) == ([], [])


def test_who_waits_is_told_that_it_is_over(pool: ThreadPoolExecutor) -> None:
    gates = gate(1)

    def run() -> None:
        with gates.slot(1.0):
            raise AssertionError("nothing runs any more")

    with gates.slot():
        running = [pool.submit(run) for _ in range(2)]
        until(lambda: len(gates._waiting) == 2)
        gates.close()
        for one in running:
            with pytest.raises(InterruptedError):
                one.result(timeout=60)
    assert gates._waiting == []
