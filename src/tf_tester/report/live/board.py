"""The live board on a terminal: downloads above, cells below, gone when the run is over.

Listeners are called from working threads, so `tell` only notes; a thread of rich's paints what was noted.
This is the only module that imports rich, whose import costs more than everything else at start.
"""

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from tf_tester.core.text.places import seen_from
from tf_tester.core.text.printable import printable
from tf_tester.core.text.sizes import count_text, duration_text, size_text
from tf_tester.model.events import (
    Event,
    MirrorsChosen,
    TransferTrouble,
)
from tf_tester.model.outcome import CellResult, Outcome
from tf_tester.report.lines import TextLayout, columns, pad
from tf_tester.report.live.progress import Incoming, Progress, short
from tf_tester.report.words import REPLAYED, count_cells, run_seconds, style, word

_PER_SECOND = 8
_BAR = 20
_WIDE = 100
_NOTE_SECONDS = 30.0
_MOST_DELAYS = 3
_A_WHILE = 1.0
"""Seconds."""
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_SPINNER_ASCII = "|/-\\"
_COLOURS = {"GOOD": "green", "BAD": "bold red", "ODD": "yellow"}


class Board:
    """A listener that shows the state of a run while it is entered, and leaves nothing behind.

    `clock` is monotonic, in seconds.
    """

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._console = console
        self._clock = clock
        self._ascii = console.options.ascii_only
        self._layout = TextLayout(console.width, "..." if self._ascii else "…")
        self._lock = threading.Lock()
        self._progress = Progress(clock())
        self._note = ""
        """Shown for a while: how a source failed, or which mirrors were chosen."""
        self._noted = 0.0
        self._live = Live(
            console=console,
            get_renderable=self.render,
            refresh_per_second=_PER_SECOND,
            transient=True,
            vertical_overflow="crop",
        )

    def __enter__(self) -> Self:
        self._progress.started = self._clock()
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def tell(self, event: Event) -> None:
        """Note an event; painting is another thread's matter."""
        moment = self._clock()
        with self._lock:
            self._progress.observe(event, moment)
            match event:
                case TransferTrouble():
                    self._note = f"last trouble: {short(event.filename)} from {event.source}: {event.reason}"
                    self._noted = moment
                case MirrorsChosen():
                    self._note = f"mirrors: {', '.join(event.names) or 'none'}: {event.told}"
                    self._noted = moment
                case _:
                    pass

    # Painting

    def render(self) -> Text:
        """Return the board as it stands, not higher than the terminal and not wider."""
        size = self._console.size
        with self._lock:
            self._layout = TextLayout(size.width - 1, self._layout.ellipsis)
            height = max(size.height - 1, 1)
            lines = self._lines(height, self._clock())[:height]
        for text in lines:
            text.truncate(max(size.width - 1, 1))
        return Text("\n", no_wrap=True).join(lines)

    def _lines(self, height: int, moment: float) -> list[Text]:
        lines = [self._head(moment)]
        if self._note and moment - self._noted < _NOTE_SECONDS:
            told = self._layout.shorten(printable(self._note), self._layout.width)
            lines.append(Text(told, style="yellow"))
        above = [*self._delay_lines(moment), *self._transfer_lines(max((height - len(lines)) // 3, 2), moment)]
        if above:
            lines += [Text(), *above]
        left = height - len(lines) - 1
        cells = self._cell_lines(left, moment) or self._task_lines(left, moment)
        return [*lines, Text(), *cells] if cells else lines

    def _head(self, moment: float) -> Text:
        seen = self._progress
        facts = [f"{len(seen.results)} of {len(seen.labels)} done"] if seen.labels else []
        facts.append(duration_text(moment - seen.started))
        if seen.received:
            facts.append(f"{size_text(seen.received)} downloaded")
        return Text.assemble((printable(seen.title or seen.doing or "starting"), "bold"), "  " + ", ".join(facts))

    def _delay_lines(self, moment: float) -> list[Text]:
        """Return what takes its time, the longest first; no more than a few."""
        found = sorted(self._progress.delays(moment), key=lambda one: -one[1])[:_MOST_DELAYS]
        return [Text.assemble(f"  {text}  ", (duration_text(seconds), "dim")) for text, seconds in found]

    def _transfer_lines(self, available: int, moment: float) -> list[Text]:
        transfers = list(self._progress.transfers.values())
        coming = self._progress.coming(moment)
        if coming and not (len(transfers) == 1 and coming.startswith("to come: 1 file")):  # its own line says as much
            head = [Text(f"  {coming}", style="dim")]
            available -= 1
        else:
            head = []
        shown = _as_many_as_fit(transfers, available)
        names = [printable(short(transfer.filename)) for transfer in shown]
        widest = min(max(map(columns, names), default=0), max(self._layout.width // 3, 12))
        lines = head + [
            self._transfer_line(pad(self._layout.shorten(name, widest), widest), transfer, moment)
            for name, transfer in zip(names, shown, strict=True)
        ]
        hidden = len(transfers) - len(shown)
        return [*lines, self._folded(count_text(hidden, "more download"))] if hidden else lines

    def _transfer_line(self, name: str, transfer: Incoming, moment: float) -> Text:
        """Return name, bar, share, size, speed, time left, source; a narrow terminal gets half a bar, no share."""
        wide = self._layout.width >= _WIDE
        bar = _BAR if wide else _BAR // 2
        speed = transfer.speed.per_second(moment)
        left = ""
        parts: list[str | tuple[str, str]] = ["  ", name, "  "]
        if transfer.total:
            share = min(transfer.done / transfer.total, 1.0)
            parts += self._bar(share, bar)
            parts.append((f" {share:4.0%} of" if wide else "") + f" {size_text(transfer.total):>6}")
            if speed > 0:
                left = duration_text(max(transfer.total - transfer.done, 0) / speed) + " left"
        else:
            parts.append(" " * (bar + (8 if wide else 0)) + f" {size_text(transfer.done):>6}")
        parts.append(f"  {size_text(speed) + '/s':>8}  {left:<15}")
        parts.append((f"  {printable(transfer.source)}", "dim"))
        return Text.assemble(*parts)

    def _bar(self, share: float, width: int) -> list[tuple[str, str]]:
        full = round(share * width)
        done, rest = ("#", ".") if self._ascii else ("━", "─")
        return [(done * full, "green"), (rest * (width - full), "dim")]

    def _cell_lines(self, available: int, moment: float) -> list[Text]:
        """Return all cells in order; where they don't fit, those at work before failures, and the rest folded."""
        seen = self._progress
        names = list(seen.labels)
        available = max(available, 1)
        if len(names) <= available:
            return [self._cell_line(name, moment) for name in names]
        wanted = set(sorted(names, key=self._urgency)[: available - 1])
        shown = [name for name in names if name in wanted]
        hidden = [name for name in names if name not in wanted]
        finished = [seen.results[name] for name in hidden if name in seen.results]
        waiting = sum(name not in seen.results and name not in seen.states for name in hidden)
        working = len(hidden) - len(finished) - waiting
        told = [f"{working} more at work"] if working else []
        told += [f"{waiting} more waiting"] if waiting else []
        told += [f"{len(finished)} more done ({count_cells(finished)})"] if finished else []
        return [*(self._cell_line(name, moment) for name in shown), self._folded(", ".join(told))]

    def _urgency(self, name: str) -> int:
        seen = self._progress
        if name in seen.results:
            return 1 if seen.results[name].outcome.is_failure_of_the_test else 3
        return 0 if name in seen.states else 2

    def _task_lines(self, available: int, moment: float) -> list[Text]:
        """Return what takes a while of what a command is at that runs no cells; the rest would only flicker."""
        found = [one for one in self._progress.tasks(moment) if one[2] >= _A_WHILE]
        shown = found if len(found) <= available else found[: max(available - 1, 0)]
        names = [self._layout.shorten(printable(short(what)), self._layout.width // 2) for what, _, _ in shown]
        widest = max(map(columns, names), default=0)
        lines = [
            Text.assemble(
                (f"  {self._spinner(moment)} ", "cyan"),
                pad(name, widest),
                f"  {doing}  ",
                (duration_text(seconds), "dim"),
            )
            for name, (_, doing, seconds) in zip(names, shown, strict=True)
        ]
        hidden = len(found) - len(shown)
        return [*lines, self._folded(f"{hidden} more at work")] if hidden and available > 0 else lines

    def _spinner(self, moment: float) -> str:
        frames = _SPINNER_ASCII if self._ascii else _SPINNER
        return frames[int(moment * _PER_SECOND) % len(frames)]

    def _cell_line(self, name: str, moment: float) -> Text:
        seen = self._progress
        widest = max(map(columns, seen.labels.values()))
        label = pad(seen.labels[name], widest)
        result = seen.results.get(name)
        if result is not None:
            return self._finished_line(label, result)
        if name not in seen.states:
            return Text.assemble("    ", label, ("  queued", "dim"))
        state, since = seen.states[name]
        frame = self._spinner(moment)
        took = f"{duration_text(moment - since):<10}  {seen.waits_for(name)}".rstrip()
        return Text.assemble((f"  {frame} ", "cyan"), label, f"  {state:<11}  ", (took, "dim"))

    def _finished_line(self, label: str, result: CellResult) -> Text:
        outcome = result.outcome
        colour = _COLOURS[style(outcome).name]
        seconds = run_seconds(result)
        time = REPLAYED if result.replayed else "" if seconds is None else duration_text(seconds)
        line = Text.assemble("    ", label, "  ", (f"{word(outcome):<11}", colour), f"  {time:<10}")
        if outcome is not Outcome.PASS and result.summary:
            available = max(self._layout.width - line.cell_len - 2, 0)
            own = outcome.is_failure_of_the_test
            told = seen_from(result.summary, self._progress.here) if own else result.summary
            first = printable(next(iter(told.strip().splitlines()), ""))
            line.append("  " + self._layout.shorten(first, available) if available > 20 else "", "dim")
        return line

    def _folded(self, told: str) -> Text:
        return Text(f"    {self._layout.ellipsis} {told}", style="dim")


def _as_many_as_fit(transfers: Sequence[Incoming], available: int) -> Sequence[Incoming]:
    """Return the first ones, one line left for the rest."""
    return transfers if len(transfers) <= available else transfers[: available - 1]
