"""Where in the user's own files a failure shows: what a CI system marks. Pure."""

import re
from collections.abc import Iterator

from msgspec import Struct

from tf_tester.core.outcome.failures import is_library
from tf_tester.core.outcome.tracebacks import chain_of
from tf_tester.model.outcome import TestRow


class OwnPlace(Struct, frozen=True, order=True):
    """A line of a file below the folder that a run was asked for in."""

    file: str
    """Relative to that folder, with slashes."""
    line: int = 0
    """0: which one isn't known."""
    text: str = ""
    """The line itself, where the traceback has it."""


def own_place(row: TestRow, folder: str) -> OwnPlace | None:
    """Return the innermost of the user's own lines that led to a failure; None: none is known.

    `folder`: where the run was asked for (`RunReport.here`). Without such a line in the traceback it is the file of the
    test.
    """
    for file, line, text in _frames(row):
        if not is_library(file) and (own := below(file, folder)):
            return OwnPlace(own, line, text)
    file = row.id.partition("::")[0]
    return OwnPlace(file) if re.fullmatch(r"[^/\s]\S*\.(?:py|ipynb|rst|txt)", file) else None  # no command


def below(file: str, folder: str) -> str:
    r"""Return a path relative to a folder, with slashes; empty where it isn't in the folder.

    >>> below("/home/me/lib/a/b.py", "/home/me/lib"), below("/home/me/library/b.py", "/home/me/lib")
    ('a/b.py', '')
    >>> below("C:\\lib\\a.py", "C:\\lib"), below("/home/me/lib/../x.py", "/home/me/lib")
    ('a.py', '')
    """
    path, place = file.replace("\\", "/"), folder.replace("\\", "/").rstrip("/")
    rest = path[len(place) + 1 :]
    inside = bool(place) and path.startswith(f"{place}/") and ".." not in rest.split("/")
    return rest if inside else ""


def _frames(row: TestRow) -> Iterator[tuple[str, int, str]]:
    """Yield file, line and text of the calls that were under way, the innermost of the last exception first."""
    for one in reversed(chain_of(row.traceback)):
        for frame in reversed(one.frames):
            yield frame.file, frame.line, frame.text
    if row.exception is not None and row.exception.file:
        yield row.exception.file, row.exception.line, ""
