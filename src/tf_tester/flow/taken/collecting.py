"""Files that a test has written, copied out of its cell because somebody wants them (`--collect`).

A test made them: no link is followed, nothing but regular files is read, and how much is bounded. They go to a folder
of the cell's own in the evidence of the run, where nothing of the user's lies.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from msgspec import Struct

from tf_tester.core.text.sizes import count_text, size_text
from tf_tester.flow.taken.reading import opened_safely

MOST_FILES, MOST_BYTES = 1_000, 1 << 30
"""Of one cell."""
FOLDER = "collected"


class WrittenFolder(Struct, frozen=True):
    """Where lies what was written into one of the user's folders."""

    folder: Path
    name: str
    """What the files' names begin with; empty for the working folder."""


def collect(patterns: Sequence[str], written: Sequence[WrittenFolder], evidence: Path) -> tuple[str, ...]:
    """Copy what matches a pattern into the evidence of a cell, and return what is to be said of it."""
    if not patterns:
        return ()
    count = size = 0
    left_out = 0
    for source, name in _matching(patterns, written):
        with opened_safely(source) as stream:
            if stream is None:
                continue
            length = os.fstat(stream.fileno()).st_size
            target = evidence / FOLDER / name
            if count >= MOST_FILES or size + length > MOST_BYTES or os.path.lexists(target):
                left_out += 1
                continue
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as copy:
                    shutil.copyfileobj(stream, copy)
            # A name that is too long there, a file where another has a folder, more folders than Python goes down.
            except (OSError, RecursionError):
                left_out += 1
                continue
        count, size = count + 1, size + length
    if not count and not left_out:
        return (f"--collect {' '.join(patterns)}: no such file was written",)
    told = f"{count_text(count, 'file')} ({size_text(size)}) collected into {evidence / FOLDER}"
    most = f"at most {MOST_FILES:,} files and {size_text(MOST_BYTES)} a cell"
    beyond = f"; {left_out} left out: {most}, and none whose name can't be had here"
    return (told + (beyond if left_out else ""),)


def _matching(patterns: Sequence[str], written: Sequence[WrittenFolder]) -> Iterator[tuple[Path, str]]:
    """Yield files and their names in the user's folders, in order."""
    for one in written:
        for path in _files_below(str(one.folder)):
            name = os.path.basename(path)  # noqa: PTH119 - of a path of a thousand folders
            shown = os.path.join(one.name, path[len(str(one.folder)) + 1 :])  # noqa: PTH118
            if any(fnmatchcase(shown if "/" in pattern else name, pattern) for pattern in patterns):
                yield Path(path), shown


def _files_below(folder: str) -> Iterator[str]:
    """Yield what isn't a folder, in order, as deep as paths can be: `os.walk` ends with a thousand folders."""
    left = [folder]
    while left:
        place = left.pop()
        try:
            with os.scandir(place) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:
            continue
        folders = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        yield from (entry.path for entry in entries if not entry.is_dir(follow_symlinks=False))
        left += reversed(folders)
