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
