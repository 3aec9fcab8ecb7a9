"""Several indexes, each with projects of its own: the first that has a project speaks for it, alone.

Not merged as pip does it: of a name that a private index has, nobody else's files are ever taken, however new they
call themselves (CVE-2018-20225). An index that doesn't answer is an error, not a reason to ask the next one.
"""

from collections.abc import Sequence
from dataclasses import replace

from tf_tester.errors import UnknownProject
from tf_tester.model.artifact import ProjectPage
from tf_tester.ports import Index


class FirstIndex:
    """`ports.Index`."""

    def __init__(self, extra: Sequence[tuple[str, Index]], last: Index) -> None:
        """`extra`: addresses without credentials, and indexes, in the order in which they are asked; then `last`."""
        self._extra = tuple(extra)
        self._last = last

    def page(self, project: str) -> ProjectPage:
        for shown, index in self._extra:
            try:
                page = index.page(project)
            except UnknownProject:
                continue
            return replace(page, artifacts=tuple(replace(one, promised_by=shown) for one in page.artifacts))
        return self._last.page(project)
