"""Tells of a run in a log: one line for what is worth one, and one from time to time where nothing else is told.

CI systems end what has been silent for ten minutes, and people what looks hung; a line a second would bury the rest.
"""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from tf_tester.core.outcome.report import RunReport, cell_labels
from tf_tester.core.text.places import seen_from
from tf_tester.core.text.sizes import duration_text, size_text
from tf_tester.model.events import (
    CellFinished,
    Delay,
    DelayKind,
    Event,
    MirrorsChosen,
    RunStarted,
    TransferFinished,
    TransferTrouble,
    WheelBuilt,
)
from tf_tester.model.outcome import CellResult, Outcome, TestRow
from tf_tester.report.lines import Line, Span, Style, TextLayout, as_text, line, write
from tf_tester.report.live.progress import Progress, opening
from tf_tester.report.words import REPLAYED, run_seconds, styled

_SUMMARY_COLUMNS = 160
SILENCE = 20.0
"""Seconds without a line."""
_WORTH_A_LINE = 1_000_000
"""Bytes; the small files of a lock are dozens, and nobody waits for them."""


class PlainPrinter:
    """A listener that writes lines to a stream; a stream that breaks silences it and doesn't end the run."""

    def __init__(
        self, stream: TextIO, clock: Callable[[], float], *, colour: bool = False, tests: bool = False
    ) -> None:
        """Write to the stream; with `tests` a line for each test, too. `clock` is monotonic, in seconds.

        While it is entered, it tells every `SILENCE` seconds what goes on, if nothing else was told.
        """
        self._stream = stream
        self._clock = clock
        self._progress = Progress(clock())
        self._told = clock()
        self._over = threading.Event()
        self._beating = threading.Thread(target=self._beat_on, name="tf-tester-log", daemon=True)
        self._tests = tests
        self._colour = colour
        self._layout = TextLayout.of(stream, _SUMMARY_COLUMNS)
        self._lock = threading.Lock()
        self._labels: dict[str, str] = {}
        self._finished: set[str] = set()
        self._broken = False
        self._here = ""

    def tell(self, event: Event) -> None:
        with self._lock:
            self._progress.observe(event, self._clock())
            self._write(self._lines(event))

    def watch(self, event: Event) -> None:
        """Take in an event of which somebody else tells."""
        with self._lock:
            self._progress.observe(event, self._clock())
            if isinstance(event, CellFinished):
                self._told = self._clock()

    def beat(self) -> None:
        """Tell what goes on, if nothing has been told for so long; callable from any thread."""
        with self._lock:
            moment = self._clock()
            if moment - self._told >= SILENCE and not self._progress.has_ended:
                self._write([line(Span(self._progress.summary(moment), Style.FAINT))])

    def __enter__(self) -> Self:
        self._beating.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._beating.join()

    def _beat_on(self) -> None:
        while not self._over.wait(1.0):
            self.beat()

    def _write(self, told: list[Line]) -> None:
        if not told or self._broken:
            return
        try:
            write(self._stream, as_text(told, colour=self._colour))
        except (OSError, ValueError):  # ValueError: the stream was closed
            self._broken = True
        self._told = self._clock()

    def _lines(self, event: Event) -> list[Line]:
        told = self._line(event)
        tests = event.result.tests if self._tests and isinstance(event, CellFinished) else ()
        return [*((told,) if told is not None else ()), *map(_test, tests)]

    def _line(self, event: Event) -> Line | None:
        match event:
            case RunStarted():
                self._labels = cell_labels(event.cells)
                self._here = RunReport(request=event.request).here
                return line(opening(event.cells), f"; record in {event.folder}")
            case TransferFinished() if event.received >= _WORTH_A_LINE:
                return line(f"downloaded {event.filename}  {_transfer(event)} from {event.source}")
            case TransferTrouble():
                return line(Span("trouble", Style.ODD), f" with {event.filename} from {event.source}: {event.reason}")
            case MirrorsChosen():
                return line(f"mirrors: {', '.join(event.names) or 'none'}: {event.told}")
            case Delay(kind=DelayKind.BUILD, is_over=False):
                return line(f"building {event.what} from source")
            case WheelBuilt():
                took = duration_text(event.seconds)
                if not event.filename:
                    return line(f"{event.name} could not be built for Python {event.python}, after {took}")
                return line(f"built {event.filename} in {took}")
            case CellFinished() if not self._labels or event.result.cell in self._labels:
                return self._cell(event.result)
            case _:
                return None

    def _cell(self, result: CellResult) -> Line:
        self._finished.add(result.cell)
        total = max(len(self._labels), len(self._finished))
        label = self._labels.get(result.cell, result.cell)
        parts: list[str | Span] = [f"[{len(self._finished)}/{total}] {label} ", styled(result.outcome)]
        if result.replayed:
            parts.append(f", {REPLAYED}")
        seconds = None if result.replayed else run_seconds(result)
        if seconds is not None:
            parts.append(f" {duration_text(seconds)}")
        if result.outcome is not Outcome.PASS and result.summary:
            told = result.summary
            if result.outcome.is_failure_of_the_test:
                told = seen_from(told, self._here)
            first = told.strip().splitlines()[:1] or [""]
            parts.append("  " + self._layout.shorten(first[0], _SUMMARY_COLUMNS))
        return line(*parts)


def _test(row: TestRow) -> Line:
    took = "" if row.wall_s is None else f" {duration_text(row.wall_s)}"
    said = row.exception.first_line if row.exception is not None else row.reason.strip().partition("\n")[0]
    return line(f"  {row.id} ", styled(row.outcome), took, f"  {said}" if said else "")


def _transfer(event: TransferFinished) -> str:
    """Return `498 MB in 41 s (12 MB/s)`; of a resumed one also how much came now."""
    size = size_text(event.size)
    if event.received < event.size:
        size = f"{size_text(event.received)} of {size}"
    speed = f" ({size_text(event.received / event.seconds)}/s)" if event.seconds > 0 else ""
    return f"{size} in {duration_text(event.seconds)}{speed}"
