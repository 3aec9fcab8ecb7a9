"""What was learnt of projects lately, as much as memory has space for."""

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
MOST_FILES = 30_000
"""On all pages that are kept, of 1.5 kB each: a server may be asked for more than its memory has space for."""


class RecentPages(Generic[T]):
    """Keeps what belongs to a project's page; what was put the longest ago goes first. Not locked.

    >>> recent = RecentPages[str](most_files=3)
    >>> recent.put("a", "A", files=1), recent.put("b", "B", files=1), list(recent)
    (None, None, ['b'])
    """

    def __init__(self, most_files: int | None = None) -> None:
        """Keep pages that have no more files together, or `MOST_FILES`; each page counts as one more."""
        self._most = MOST_FILES if most_files is None else most_files
        self._known: dict[str, tuple[T, int]] = {}
        self._weight = 0

    def get(self, project: str) -> T | None:
        known = self._known.get(project)
        return None if known is None else known[0]

    def put(self, project: str, value: T, *, files: int) -> None:
        """Keep it in place of what was kept of that project; the last one stays, whatever its size."""
        self.forget(project)
        self._known[project] = value, files + 1
        self._weight += files + 1
        while self._weight > self._most and len(self._known) > 1:
            self.forget(next(iter(self._known)))

    def forget(self, project: str) -> None:
        _, weight = self._known.pop(project, (None, 0))
        self._weight -= weight

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of projects as they are now, what was put last at the end."""
        return iter(tuple(self._known))
