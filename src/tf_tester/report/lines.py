"""Lines of styled text, and how they get onto a stream that may be a terminal, a log file or ASCII only."""

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


_LONGEST_PATH = 300


class TextLayout(Struct, frozen=True):
    """What the place of output allows."""

    width: int = 80
    """Columns."""
    ellipsis: str = "…"

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

        At least one, of an empty text an empty one; after `most` lines the rest is cut. A path stays whole, also
        where it is too long: people copy it.
        """
        lines: list[str] = []
        available = max(self.width - first, 20)
        rest = text
        while columns(rest) > available and len(lines) < most - 1:
            piece = _head(rest, available)
            space = piece.rfind(" ")
            word = rest[space + 1 :].split(" ", 1)[0]
            if space > available // 2 or (space > 0 and _is_path(word)):
                piece = piece[:space]
            elif _is_path(word):
                piece = word
            lines.append(piece)
            rest = rest[len(piece) :].lstrip(" ")
            available = max(self.width - indent, 20)
        lines.append(rest if _is_path(rest) else self.shorten(rest, available))
        return [line if not number else " " * indent + line for number, line in enumerate(lines)]


def _is_path(word: str) -> bool:
    return word.startswith(("/", "~/")) and " " not in word and len(word) < _LONGEST_PATH


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
    """Return whether colour is wanted: by terminals whose user didn't refuse it (no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


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
