"""Several indexes, each with projects of its own: the first that has a project speaks for it, alone.

Folders of pip's configuration come last: they add projects that the authority doesn't have. Files in them have no
dates, so that they could not be told to be of an era.

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

    def __init__(
        self, before: Sequence[tuple[str, Index]], authority: Index, after: Sequence[tuple[str, Index]]
    ) -> None:
        """`before`, `after`: addresses without credentials, and indexes, in the order in which they are asked."""
        self._before = tuple(before)
        self._authority = authority
        self._after = tuple(after)

    def page(self, project: str) -> ProjectPage:
        if (page := _first(self._before, project)) is not None:
            return page
        try:
            return self._authority.page(project)
        except UnknownProject:
            page = _first(self._after, project)
            if page is None:
                raise
            return page


def _first(indexes: Sequence[tuple[str, Index]], project: str) -> ProjectPage | None:
    for shown, index in indexes:
        try:
            page = index.page(project)
        except UnknownProject:
            continue
        return replace(page, artifacts=tuple(replace(one, promised_by=shown) for one in page.artifacts))
    return None
