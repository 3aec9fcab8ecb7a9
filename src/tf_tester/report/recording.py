"""The record of one run, written while it goes on."""

import threading
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from tf_tester.model.events import Event, Fleeting, RunFinished, RunStarted
from tf_tester.ports.tell import Tell
from tf_tester.report.record import RecordWriter


class Recording:
    """Writes events into the record, and shows them.

    A record begins with `run-started` and ends with `run-finished`: what is told before waits for the one, what is told
    after the other is only shown. Without `run-started` there is no record.
    """

    def __init__(self, show: Tell) -> None:
        self._show = show
        self._lock = threading.Lock()
        self._waiting: deque[Event] = deque()
        self._writer: RecordWriter | None = None
        self._begun = self._ended = False

    def of(self, folder: Path) -> Tell:
        """Return the listener that writes `record.jsonl` into the folder of a run, which it makes.

        It raises `StoreError`.
        """

        def tell(event: Event) -> None:
            if not isinstance(event, Fleeting):
                with self._lock:
                    self._record(event, folder)
            self._show(event)

        return tell

    def close(self) -> None:
        """Write nothing any more."""
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _record(self, event: Event, folder: Path) -> None:
        match event:
            case RunStarted():
                self._waiting.appendleft(event)
                self._begun = True
            case RunFinished():
                self._waiting.append(event)
                self._ended = True
            case _ if not self._ended:
                self._waiting.append(event)
        if not self._begun:
            return
        if self._writer is None:
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = RecordWriter(folder / "record.jsonl", lambda: datetime.now(UTC))
        while self._waiting:
            # One that Ctrl-C interrupts is written again: better twice than never.
            self._writer.tell(self._waiting[0])
            self._waiting.popleft()
