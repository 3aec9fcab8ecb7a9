"""What tests, resolvers and builds have said, as much as a page can bear; the user's own lines told apart. Pure."""

import re
from collections.abc import Iterator

from tf_tester.core.outcome.failures import is_library
from tf_tester.core.outcome.tracebacks import FRAME
from tf_tester.core.overview.own_code import below
from tf_tester.core.text.places import seen_from

MOST_LINES = 400
"""Lines of a traceback or of output, the last ones."""
_MOST_LETTERS = 2_000
"""Characters of one of them."""


def last_lines(said: str) -> list[str]:
    """Return the end of a text."""
    return [line[:_MOST_LETTERS] for line in lines_of(said)[-MOST_LINES:]]


def lines_of(said: str) -> list[str]:
    """Return the lines as terminals and editors count them: what only Unicode calls a separator is shown instead."""
    return re.split(r"\r\n|\r|\n", said.rstrip(" \t\r\n"))


def traceback_lines(traceback: str, here: str) -> Iterator[tuple[str, bool]]:
    """Yield the lines of the end of a traceback, and of each whether it is of a frame in a file of the user's own.

    `here`: the folder in which the run was asked for, from which paths are told.
    """
    own = False
    for line in seen_from("\n".join(last_lines(traceback)), here).split("\n"):
        if frame := re.match(FRAME, line):
            own = not is_library(frame[1]) and (not frame[1].startswith("/") or bool(below(frame[1], here)))
        elif not line.startswith(" "):
            own = False
        yield line, own
