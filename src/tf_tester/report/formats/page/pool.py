"""What is said in many cells, kept once: lines in a table, texts as numbers of lines. Pure."""

from collections.abc import Iterable

from tf_tester.core.text.printable import printable
from tf_tester.report.formats.page.texts import MOST_LINES, last_lines, lines_of

_OF_A_NUMBER = 6
"""Bytes of one in JSON, at the most up to 99,999."""


class TextPool:
    """Texts by number, of no more bytes together than are allowed."""

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes
        self._lines: dict[str, int] = {}
        self._texts: dict[tuple[int, ...], int] = {}

    @property
    def lines(self) -> list[str]:
        """Return all lines, by number."""
        return list(self._lines)

    @property
    def texts(self) -> list[tuple[int, ...]]:
        """Return all texts, by number: how many lines were left out before it, then its lines.

        The number of a line of the user's own is its complement: -1 for line 0, -2 for line 1.
        """
        return list(self._texts)

    def has_room_for(self, size: int) -> bool:
        """Take so many bytes of what is allowed, where there are so many left; else return False."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def number_of(self, said: str) -> int | None:
        """Return the number of the end of a text, which is added where it isn't there yet; None: there is no room."""
        left_out = max(len(lines_of(said)) - MOST_LINES, 0)
        return self.number_of_lines(((line, False) for line in last_lines(said)), left_out)

    def number_of_lines(self, lines: Iterable[tuple[str, bool]], left_out: int = 0) -> int | None:
        """Return the number of a text of these lines, each of them with whether it is of the user's own."""
        shown = [(printable(line), own) for line, own in lines]
        new = {line for line, _ in shown if line not in self._lines}
        room = sum(len(line.encode()) + 3 for line in new)
        numbers = self._known(shown, left_out) if not new else None
        if numbers is not None and numbers in self._texts:
            return self._texts[numbers]
        if not self.has_room_for(room + _OF_A_NUMBER * (len(shown) + 1)):
            return None
        for line, _ in shown:
            self._lines.setdefault(line, len(self._lines))
        return self._texts.setdefault(self._known(shown, left_out), len(self._texts))

    def _known(self, lines: Iterable[tuple[str, bool]], left_out: int) -> tuple[int, ...]:
        return (left_out, *(~self._lines[line] if own else self._lines[line] for line, own in lines))
