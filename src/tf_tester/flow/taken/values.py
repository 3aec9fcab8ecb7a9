"""Numbers that functions have recorded: taken out of a cell into the store, as far as they are what they should be."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from tf_tester.core.grid.npy import LONGEST, read_header
from tf_tester.core.text.printable import printable
from tf_tester.core.text.sizes import count_text, size_text
from tf_tester.flow.taken.keeping import keep
from tf_tester.flow.taken.reading import lies_there, opened_safely
from tf_tester.model.decoding import decoder_of
from tf_tester.model.events import ValueRecorded
from tf_tester.ports.store import Blobs

LIST = "values.jsonl"
"""In the folder that the helper module writes into."""
MOST_VALUES, MOST_BYTES, MOST_LINES = 1_000, 256 << 20, 4 << 20
"""Values, bytes of theirs, and bytes of the list, of one process."""
_PIECE = 1 << 20
_MOST_TOLD = 10
"""Values that were left out and are told one by one."""


class _Line(Struct, frozen=True):
    """What the helper module writes of a value."""

    name: str
    file: str
    rtol: float | None = None
    atol: float | None = None


class RecordedPart(Struct, frozen=True):
    """Which lines of the list a function has written."""

    test: str
    start: int = 0
    end: int | None = None
    """None: all."""


class TakenValues(Struct, frozen=True):
    """What one process has recorded."""

    values: tuple[ValueRecorded, ...] = ()
    remarks: tuple[str, ...] = ()


def take_values(folder: Path, cell: str, parts: Sequence[RecordedPart], blobs: Blobs, workplace: Path) -> TakenValues:
    """Put what was recorded into the store; what isn't a value is left out, and told. Raises `StoreError`.

    `folder`: one in the workplace, which the process could write into.
    """
    if not lies_there(folder, workplace):
        return TakenValues()
    with opened_safely(folder / LIST) as stream:
        if stream is None:
            return TakenValues()
        listed = stream.read(MOST_LINES + 1)
    values: list[ValueRecorded] = []
    left_out: list[str] = []
    if len(listed) > MOST_LINES:
        left_out.append(f"what stands behind the first {size_text(MOST_LINES)} of the list")
    room = MOST_BYTES
    for number, (part, line) in enumerate(_lines(listed[:MOST_LINES], parts)):
        name = printable(line.name)[:200]
        if number >= MOST_VALUES:
            left_out.append(f"{name} and what follows: {MOST_VALUES:,} values are taken at most")
            break
        found = _taken(folder / os.path.basename(line.file), room, blobs, workplace)  # noqa: PTH119 - a text of a test's
        if isinstance(found, str):
            left_out.append(f"{name}: {found}")
            continue
        dtype, shape, digest, size = found
        room -= size
        values.append(ValueRecorded(cell, part.test, name, dtype, shape, digest, line.rtol, line.atol))
    told = [f"a recorded value was left out: {one}" for one in left_out[:_MOST_TOLD]]
    if more := len(left_out) - len(told):
        told.append(f"left out, too: {count_text(more, 'other recorded value')}")
    return TakenValues(tuple(values), tuple(told))


def _lines(listed: bytes, parts: Sequence[RecordedPart]) -> Iterator[tuple[RecordedPart, _Line]]:
    """Yield what was recorded, with whose it is: what a part claims of an earlier one's lines is that one's."""
    decode = decoder_of(_Line).decode
    behind = 0
    for part in parts:
        start, end = max(part.start, behind), len(listed) if part.end is None else part.end
        behind = max(behind, end)
        for text in listed[start:end].splitlines():
            try:
                yield part, decode(text)
            except (msgspec.DecodeError, ValueError, RecursionError):
                continue  # a test can write there what it likes


def _taken(path: Path, room: int, blobs: Blobs, workplace: Path) -> tuple[str, tuple[int, ...], str, int] | str:
    """Return type, shape, digest and size of a value in the store, or why it is none."""
    with opened_safely(path) as stream:
        if stream is None:
            return "its file is gone"
        size = os.fstat(stream.fileno()).st_size
        header = read_header(stream.read(LONGEST))
        if header is None or header.size != size:
            return "its file is no array of numbers"
        if size > room:
            return f"it has {size_text(size)}, and a process may record {size_text(MOST_BYTES)} at most"
        stream.seek(0)
        copy = workplace / f"value-{os.urandom(8).hex()}.part"
        try:
            with copy.open("xb") as target:
                shutil.copyfileobj(stream, target, _PIECE)
            digest = keep(blobs, copy, "value.npy", "a record")
        finally:
            copy.unlink(missing_ok=True)
    return header.dtype, header.shape, digest, size
