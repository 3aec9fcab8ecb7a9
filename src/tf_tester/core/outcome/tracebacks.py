"""A traceback as Python prints it, read again: the exceptions that led to one another, and where each was raised."""

import re
from collections.abc import Iterator

from msgspec import Struct

from tf_tester.model.outcome import Outcome, TestRow

TRACEBACK = "Traceback (most recent call last)"
FRAME = r'  File "(.*)", line ([0-9]{1,9})(?:, in (.*))?'
_CAUSED = "The above exception was the direct cause of the following exception:"
_WHILE = "During handling of the above exception, another exception occurred:"
_LINK = f"(?m)^(?:{re.escape(_CAUSED)}|{re.escape(_WHILE)})$"
_OF_PYTEST = r"(?m)^E {2,}(.*)$"
_HARMLESS = r"^\S+ \S+: [IW] |^[IW]\d{4} |^\[?(?:INFO|WARNING|DEBUG)\b|\b(?:INFO|WARNING|DEBUG)\b *[:\]|]|Warning: "
"""A line of a log that tells of nothing worse than a warning: TensorFlow's, absl's, Python's own."""
_FATAL = "Fatal Python error: "
_MISUSED = r"\S[^:]*: error: \S|Error: \S"
_LAST = 6
"""Lines of standard error that are looked at where a process died."""


class TracebackFrame(Struct, frozen=True):
    """One call that was under way."""

    file: str
    line: int
    function: str
    text: str
    """Its source, where that was printed."""


class RaisedException(Struct, frozen=True):
    """One exception of a traceback."""

    text: str
    """Type and whole message."""
    frames: tuple[TracebackFrame, ...]
    """The innermost last."""
    caused_next: bool = False
    """It was named as the cause of the next one (`raise … from`); else the next one came while it was handled."""


def chain_of(traceback: str) -> tuple[RaisedException, ...]:
    """Return the exceptions of a traceback, the one that ended it last; of text that is none, nothing."""
    return tuple(_chain(traceback))


def what_ended(row: TestRow) -> str:
    """Return the words that tell what made a test fail: of the exception and of those that led to it, or where its
    process died without one, why, and the last lines of standard error that are more than a warning.

    What else was printed may be about something that didn't matter: TensorFlow complains of a missing libcudart at
    each import. What an assertion interrupted (`except ImportError: assert …`) doesn't count either.
    """
    if row.exception is not None:
        own = f"{row.exception.type}: {row.exception.message}"
        before = _before(chain_of(row.traceback), is_assertion=row.exception.type == "AssertionError")
        # A script that left by `sys.exit(1)` has told why before.
        beside = last_lines(row.stderr) if row.exception.type == "SystemExit" else ()
        return "\n".join([*before, *beside, own])
    if row.traceback:  # of another process, as text
        return (
            "\n".join([row.reason, *re.findall(_OF_PYTEST, row.traceback)]) if "E  " in row.traceback else row.traceback
        )
    # What was said before a wrong access to memory isn't why.
    died = (row.outcome is Outcome.CRASH and "SIGSEGV" not in row.reason) or bool(row.exit_code)
    return "\n".join([row.reason, *(last_lines(row.stderr) if died else ())])


def last_lines(stderr: str, most: int = _LAST) -> tuple[str, ...]:
    """Return the last lines of a program's standard error, but for those that are no more than warnings."""
    lines = [line.rstrip() for line in stderr.splitlines()[-200:]]
    return tuple(line for line in lines if line and not re.search(_HARMLESS, line))[-most:]


def last_words(row: TestRow, most: int = 4) -> tuple[str, ...]:
    """Return what a process said last that died, or left by itself, without an exception to tell; else nothing.

    Of Python's own report of a fatal error the first lines matter, else the last ones.
    """
    left = row.exception is None and row.outcome is Outcome.FAIL and not row.traceback
    asked = row.exception is not None and row.exception.type == "SystemExit" and row.exception.message.isdigit()
    if row.outcome is not Outcome.CRASH and not left and not asked:
        return ()
    if (misused := usage_error(row.stderr)) and misused in row.reason:
        return ()  # that says it
    place = row.stderr.rfind(_FATAL)
    if place >= 0:
        return tuple(line.rstrip() for line in row.stderr[place:].splitlines() if line.strip())[:most]
    return last_lines(row.stderr, most)


def usage_error(stderr: str) -> str:
    """Return the line in which a program says how it was called wrongly, as argparse and click print it; else nothing.

    >>> usage_error("usage: a.py [-h] FILE\\na.py: error: the following arguments are required: FILE\\n")
    'a.py: error: the following arguments are required: FILE'
    >>> usage_error("Error: it broke")
    ''
    """
    if not re.search("^usage:", stderr, re.IGNORECASE | re.MULTILINE):
        return ""
    return next((line.strip() for line in reversed(stderr.splitlines()) if re.match(_MISUSED, line)), "")


def _before(chain: tuple[RaisedException, ...], *, is_assertion: bool) -> Iterator[str]:
    """Yield the words of what led to the last exception."""
    told = []
    for one in reversed(chain[:-1]):
        if is_assertion and not one.caused_next:
            break
        told.append(one.text)
    yield from reversed(told)


def _chain(traceback: str) -> Iterator[RaisedException]:
    start = traceback.find(TRACEBACK)
    if start < 0:
        return
    place = start
    for link in [*re.compile(_LINK).finditer(traceback, start), None]:
        part = traceback[place : link.start() if link else len(traceback)]
        yield _exception(part, caused_next=link is not None and link[0] == _CAUSED)
        place = link.end() if link else place


def _exception(part: str, *, caused_next: bool) -> RaisedException:
    """Read one traceback: frames, each with its source, then the exception, whose message may have any lines."""
    lines = part.strip("\n").splitlines()
    frames: list[TracebackFrame] = []
    for number, text in enumerate(lines):
        if number == 0 and text.startswith(TRACEBACK):
            continue
        if frame := re.match(FRAME, text):
            frames.append(TracebackFrame(frame[1], int(frame[2]), frame[3] or "", ""))
        elif not text.startswith(" "):
            return RaisedException("\n".join(lines[number:]).strip(), tuple(frames), caused_next)
        elif frames and not frames[-1].text:
            last = frames[-1]
            frames[-1] = TracebackFrame(last.file, last.line, last.function, text.strip())
    return RaisedException("", tuple(frames), caused_next)
