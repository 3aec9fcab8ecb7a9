"""Lines of styled text, and how they get onto a stream that may be a terminal, a log file or ASCII only."""

import os
import unicodedata
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TextIO

from msgspec import Struct
from msgspec.structs import force_setattr

from tf_tester.core.text.printable import printable


class Style(Enum):
    """What a span means; the value is its SGR code."""

    PLAIN = ""
    STRONG = "1"
    FAINT = "2"
    GOOD = "32"
    BAD = "1;31"
    ODD = "33"


class Span(Struct, frozen=True):
    """Text of one style; never holds a raw control, wherever it comes from."""

    text: str
    style: Style = Style.PLAIN

    def __post_init__(self) -> None:
        force_setattr(self, "text", printable(self.text))


Line = tuple[Span, ...]


_LONGEST_WORD = 300
"""Columns up to which a word stays whole; a longer one is no name, path or address that anybody copies."""
_FILE_COLUMNS = 120
"""Of what is no terminal: a file, a log."""


class TextLayout(Struct, frozen=True):
    """What the place of output allows."""

    width: int = 80
    """Columns."""
    ellipsis: str = "…"
    dash: str = "–"
    """Between the first and the last of what is told together."""

    @classmethod
    def of(cls, stream: TextIO, width: int) -> "TextLayout":
        """Return the layout for a stream, at least 40 columns wide; its signs are those that its encoding has."""
        return cls(max(width, 40)) if takes_unicode(stream) else cls(max(width, 40), "...", "..")

    def shorten(self, text: str, width: int) -> str:
        """Return the beginning of a text, at most so many columns."""
        if columns(text) <= width:
            return text
        return _head(text, width - len(self.ellipsis)) + self.ellipsis

    def shorten_left(self, text: str, width: int) -> str:
        """Return the end of a text: of a path or a test's name it is the end that tells."""
        if columns(text) <= width:
            return text
        return self.ellipsis + _head(text[::-1], width - len(self.ellipsis))[::-1]

    def wrap(self, text: str, *, first: int, indent: int, most: int = 3) -> list[str]:
        """Return a text as lines: the first one starts at column `first`, `indent` spaces begin the others.

        At least one, of an empty text an empty one; after `most` lines the rest is cut. A word stays whole, also one
        that is longer than a line: people copy names and paths. Where the first word doesn't fit behind what stands
        there already, the first line is empty.
        """
        lines: list[str] = []
        rest = text
        available = self.width - first
        if first > indent and columns(_first_word(rest)) > available:
            lines.append("")
            available = self.width - indent
        while columns(rest) > available and len(lines) < most - 1:
            piece = rest[: _break(rest, available)]
            lines.append(piece.rstrip(" "))
            rest = rest[len(piece) :].lstrip(" ")
            available = self.width - indent
        lines.append(self._cut(rest, available))
        return [line if not number else " " * indent + line for number, line in enumerate(lines)]

    def _cut(self, text: str, available: int) -> str:
        """Return what fits of a text, whole words, and a sign that it goes on."""
        if columns(text) <= available:
            return text
        piece = text[: _break(text, available - len(self.ellipsis))].rstrip(" ")
        return text if piece == text.rstrip(" ") else piece + self.ellipsis


def _break(text: str, available: int) -> int:
    """Return where a line of a text ends: behind the last word that fits, or behind the first one."""
    fitting = len(_head(text, available))
    begins = len(text) - len(text.lstrip(" "))
    ends = (end for end in range(fitting, begins, -1) if _may_break(text, end))
    longer = (end for end in range(max(fitting, begins) + 1, len(text)) if _may_break(text, end))
    end = next(ends, None) or next(longer, len(text))
    return end if columns(text[begins:end]) <= max(_LONGEST_WORD, available) else max(fitting, 1)


def _may_break(text: str, end: int) -> bool:
    """Tell whether a line may end there: at a space, and where wide characters stand, which have no spaces."""
    if end >= len(text):
        return True
    before, behind = text[end - 1], text[end]
    return behind == " " or (2 in (_columns_of(before), _columns_of(behind)) and not unicodedata.combining(behind))


def _first_word(text: str) -> str:
    return text[: _break(text, 0)].strip(" ")


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes (East Asian wide characters two, combining ones none)."""
    if text.isascii():
        return len(text)
    return sum(_columns_of(character) for character in text)


def pad(text: str, width: int) -> str:
    """Return the text, filled up with spaces."""
    return text + " " * (width - columns(text))


def line(*parts: str | Span) -> Line:
    return tuple(Span(part) if isinstance(part, str) else part for part in parts)


def as_text(lines: Iterable[Line], *, colour: bool = False) -> str:
    """Return the lines as one text, each ended by a newline, with SGR codes or without."""
    return "".join(_render(spans, colour=colour) + "\n" for spans in lines)


def wants_colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether colour is wanted: by terminals, and whoever sets FORCE_COLOR; by nobody who sets NO_COLOR.

    As no-color.org and force-color.org have it, and as pytest decides where both are set; `FORCE_COLOR=0` forces none.
    """
    if environ.get("NO_COLOR"):
        return False
    forced = environ.get("FORCE_COLOR", "") not in ("", "0")
    return forced or (stream.isatty() and environ.get("TERM") != "dumb")


def width_of(stream: TextIO, environ: Mapping[str, str]) -> int:
    """Return the columns of a line: what COLUMNS says, or the terminal's own; of what is no terminal 120."""
    asked = environ.get("COLUMNS", "")
    if asked.isascii() and asked.isdigit() and int(asked[:9]) > 0:
        return int(asked[:9])
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):  # it is no terminal, or has no descriptor
        return _FILE_COLUMNS


def takes_unicode(stream: TextIO) -> bool:
    """Return whether the few signs we ourselves use beyond ASCII can be written there."""
    try:
        "…━─⠋".encode(stream.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def write(stream: TextIO, text: str) -> None:
    """Write and flush; what the stream's encoding lacks is escaped instead of raising."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def _render(spans: Line, *, colour: bool) -> str:
    text = "".join(span.text for span in spans)
    if text.lstrip().startswith(("::", "##[")):
        # CI systems obey lines that begin so ("::error::", "##[group]"); a test's name must not command them.
        spans = (Span("'"), *spans)
    if not colour:
        return "".join(span.text for span in spans).rstrip(" ")
    return "".join(
        f"\x1b[{span.style.value}m{span.text}\x1b[0m" if span.style.value and span.text.strip() else span.text
        for span in spans
    ).rstrip(" ")


def _head(text: str, width: int) -> str:
    """Return as many characters as fit."""
    taken = 0
    for position, character in enumerate(text):
        taken += _columns_of(character)
        if taken > width:
            return text[:position]
    return text


def _columns_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
