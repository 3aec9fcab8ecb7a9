"""The places of a run: how many cells run at once, and whose turn is next."""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from tf_tester.core.select.admission import admit
from tf_tester.flow.prepare.services import Services
from tf_tester.model.request import Trial


class Gate:
    """Lets as many cells run as there are jobs and memory for; of those that wait, whichever will take longest.

    A long one that begins last runs alone at the end. What has never run may be the longest.
    """

    def __init__(self, trial: Trial, package: str, services: Services) -> None:
        self._trial = trial
        self._package = package
        self._services = services
        self._running = 0
        self._waiting: list[tuple[float, int]] = []
        self._numbers = count()
        self._changed = threading.Condition()
        self.closed = False

    @contextmanager
    def slot(self, seconds: float | None = None) -> Iterator[None]:
        """Wait for a place, and hold it in the block. `seconds`: as long as that will take; None: nobody knows.

        Raises `InterruptedError` when the run is given up.
        """
        with self._changed:
            place = (-math.inf if seconds is None else -seconds, next(self._numbers))
            self._waiting.append(place)
            try:
                while not self.closed and not (place == min(self._waiting) and self._admit()):
                    # Memory changes without telling us; a place is told of.
                    self._changed.wait(0.25 if self._running < self._trial.jobs else None)
            finally:
                self._waiting.remove(place)
                self._changed.notify_all()  # another one is the next now
            if self.closed:
                raise InterruptedError
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def _admit(self) -> bool:
        need = (
            self._trial.memory
            or self._services.history.peaks.peak(self._package)
            or self._services.packages.framework.memory
        )
        if not self._running or self._running >= self._trial.jobs:
            return admit(running=self._running, jobs=self._trial.jobs, need=need, available=0, promised=0)
        promised = max(0, self._running * need - self._services.execution.memory.resident())
        return admit(
            running=self._running,
            jobs=self._trial.jobs,
            need=need,
            available=self._services.execution.memory.available(),
            promised=promised,
        )
