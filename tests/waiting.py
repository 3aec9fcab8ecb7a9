"""Waiting for what another thread or process does."""

import threading
from collections.abc import Callable


def until(happened: Callable[[], object]) -> None:
    """Return when it has happened; a minute is more than long enough for it."""
    for _ in range(6_000):
        if happened():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never happened")


def waited_until(happened: Callable[[], object], step: float = 0.1) -> Callable[[], float]:
    """Return a `Command.waited` by which a program's time begins when something has happened, however long that takes.

    `step`: seconds by which its time is put off whenever it is over before.
    """
    total = 0.0

    def waited() -> float:
        nonlocal total
        total += 0.0 if happened() else step
        return total

    return waited
