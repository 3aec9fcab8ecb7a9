"""The record of a run: one JSON object a line, appended as things happen.

Killed at any moment, it holds every line that was written; readers leave out a line that was cut at its end. Each line
has a sum of all before it, by which a record that was damaged is told from one of a run that was killed. What a reader
doesn't know (events and fields of later versions) it skips.
"""

import json
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from msgspec.structs import replace

from tf_tester.core.outcome.report import RunReport, fold
from tf_tester.errors import StoreError, UsageError
from tf_tester.model.events import (
    BorderFound,
    CellExplained,
    CellFinished,
    CellLocked,
    CellState,
    Event,
    FieldFinished,
    Fleeting,
    MirrorsChosen,
    NumbersDiffer,
    ProductLeft,
    RouteFound,
    RunFinished,
    RunStarted,
    TransferFinished,
    TransferTrouble,
    ValueRecorded,
    WheelBuilt,
)
from tf_tester.report.format1 import modernized

FORMAT = 2

EVENTS: dict[str, type[Event]] = {
    "run-started": RunStarted,
    "cell-state": CellState,
    "cell-locked": CellLocked,
    "transfer-finished": TransferFinished,
    "transfer-trouble": TransferTrouble,
    "wheel-built": WheelBuilt,
    "mirrors-chosen": MirrorsChosen,
    "cell-finished": CellFinished,
    "cell-explained": CellExplained,
    "product": ProductLeft,
    "value": ValueRecorded,
    "numbers-differ": NumbersDiffer,
    "field": FieldFinished,
    "border": BorderFound,
    "route": RouteFound,
    "run-finished": RunFinished,
}
_NAMES = {event: name for name, event in EVENTS.items()}
_HEAD = 200
"""Bytes: the name of the first event is among them."""
_CRC = b',"crc":'
"""The last field of each line: the CRC-32 of its writer's lines before it, and of its own text before this."""


class RecordWriter:
    """Appends events to a file, one line each, handed to the system before `tell` returns."""

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        self.path = path
        self._now = now
        self._lock = threading.Lock()
        try:
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
            self._first = True
            self._sum = 0
            size = os.fstat(self._file).st_size
            if size and os.pread(self._file, 1, size - 1) != b"\n":
                self._write(b"\n")  # an earlier writer died in the middle of its line
        except OSError as error:
            raise _unwritable(path, error) from error

    def tell(self, event: Event) -> None:
        """Append one event, but for what only those need who watch. Raises `StoreError`."""
        if isinstance(event, Fleeting):
            return
        with self._lock:
            body = encode(event)
            head = {"event": _NAMES[type(event)], "at": _rfc3339(self._now())}
            opening = encode(({"format": FORMAT} if self._first else {}) | head)
            text = opening[:-1] + b"," + body[1:-1]
            line = b"%b%b%d}\n" % (text, _CRC, zlib.crc32(text, self._sum))
            try:
                self._write(line)
            except OSError as error:
                raise _unwritable(self.path, error) from error
            self._first = False
            self._sum = zlib.crc32(line, self._sum)

    def close(self) -> None:
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, line: bytes) -> None:
        """Write the whole of a line, or nothing of it: half of one would be glued to the next."""
        written = 0
        try:
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError:
            with suppress(OSError):  # not every file can be shortened: a pipe
                os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise


def read_record(path: Path) -> Iterator[Event]:
    """Yield the events of a record, in order, as far as this version knows them.

    Raises `UsageError` where the file is no record, or one of a later format; `StoreError` where it can't be
    read, or isn't as it was written.
    """
    try:
        with path.open("rb") as lines:
            written: int | None = None
            sums = _Sums()
            for line in lines:
                entry = _decode(line)
                begins = entry is not None and "format" in entry
                if not sums.fit(line, begins=begins):
                    raise _damaged(path)
                if entry is None:
                    continue
                written = _format_of(path, entry, written)
                event = _event(entry, written)
                if isinstance(event, RunFinished) and event.sum not in (None, sums.before):
                    raise _damaged(path)
                if event is not None:
                    yield event
            if sums.is_damaged:
                raise _damaged(path)
    except OSError as error:
        raise StoreError(f"The record {path} can't be read: {error.strerror or error}") from error


class _Sums:
    """What the sums of the lines of a record say; those of earlier versions have none."""

    def __init__(self) -> None:
        self.before = 0
        """Of the lines before the last one that was looked at."""
        self._total = 0
        self._summed = False
        self.is_damaged = False
        """A line was wrong. It is none of the record's where another writer begins behind it: that one's died there."""

    def fit(self, line: bytes, *, begins: bool) -> bool:
        """Look at the next line, and return False where one before it was damaged. `begins`: of another writer."""
        if self.is_damaged and not begins:
            return False
        self.before = 0 if begins else self._total
        self._total = zlib.crc32(line, self.before)
        text, mark, after = line.rpartition(_CRC)
        if begins:
            self._summed = bool(mark)
        is_whole = after == b"%d}\n" % zlib.crc32(text, self.before) if mark else not self._summed
        self.is_damaged = not is_whole and line.endswith(b"\n")  # else it was cut off
        return True


def _damaged(path: Path) -> StoreError:
    return StoreError(
        f"The record {path} isn't as it was written: it was damaged, or edited.", hint="Run the tests again."
    )


def begins_as_record(path: Path) -> bool:
    """Tell whether a file begins as records do, whatever follows."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as lines:
            head = lines.read(_HEAD)
    except OSError:
        return False
    return head.startswith(b"{") and b'"event":' in head


def report_of(path: Path) -> RunReport:
    """Return what a record comes to. Raises `UsageError` where the file is none, or isn't there."""
    if not path.is_file():
        raise UsageError(f"There is no record {path}.", hint="`tf-tester test --json FILE` writes one.")
    report = fold(read_record(path))
    if not report.run_id:
        raise UsageError(f"{path} is not a record of tf-tester.", hint="`tf-tester test --json FILE` writes one.")
    return replace(report, is_cut=report.interrupted and _is_cut(path))


def _is_cut(path: Path) -> bool:
    """Tell whether a record ends within a line. A run that is killed leaves whole ones."""
    with path.open("rb") as lines:
        lines.seek(-1, os.SEEK_END)
        return lines.read(1) != b"\n"


def encode(value: object) -> bytes:
    """Encode as JSON, whatever text is in it."""
    try:
        return msgspec.json.encode(value, enc_hook=str)
    except UnicodeEncodeError:
        # A lone surrogate, of a file name or output that is no UTF-8: only the escapes of json can carry it.
        return json.dumps(msgspec.to_builtins(value, enc_hook=str)).encode()


def _decode(line: bytes) -> dict[str, Any] | None:
    """Return the object that a line holds; None where it was cut or holds something else."""
    try:
        entry = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            return None
    except RecursionError:
        return None
    return entry if isinstance(entry, dict) else None


def _event(entry: dict[str, Any], written: int) -> Event | None:
    kind = EVENTS.get(str(entry.get("event")))
    if kind is None:
        return None
    try:
        return msgspec.convert(modernized(entry) if written == 1 else entry, kind)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):  # msgspec's own is a ValueError
        return None


def _format_of(path: Path, entry: dict[str, Any], before: int | None) -> int:
    """Return the format of a line: the first line of each writer names it, `before` is that of the line before."""
    version = entry.get("format")
    if version is None:
        version = before
    if not isinstance(version, int) or version < 1:
        raise UsageError(f"{path} is not a record of tf-tester")
    if version > FORMAT:
        raise UsageError(
            f"The record {path} has format {version}; this version reads up to {FORMAT}",
            hint="Upgrade tf-tester.",
        )
    return version


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _unwritable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"The record {path} can't be written: {error.strerror or error}",
        hint="Free some space or choose another folder for the runs.",
    )
