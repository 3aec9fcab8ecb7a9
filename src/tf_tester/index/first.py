"""Several indexes, each with projects of its own: the first that has a project speaks for it, alone.

Not merged as pip does it: of a name that a private index has, nobody else's files are ever taken, however new they
call themselves (CVE-2018-20225); unless that index itself says that it follows the authority's project (PEP 708,
`tracks`): then both have files of one project, and where both have one, the authority's word counts. An index that
doesn't answer is an error, not a reason to ask the next one.

Folders of pip's configuration come last: they add projects that the authority doesn't have. Files in them have no
dates, so that they could not be told to be of an era.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from tf_tester.errors import UnknownProject
from tf_tester.model.artifact import ProjectPage, Promise
from tf_tester.ports.index import Index


class FirstIndex:
    """`ports.Index`."""

    def __init__(
        self,
        before: Sequence[tuple[Promise, Index]],
        authority: Index,
        after: Sequence[tuple[Promise, Index]],
        *,
        url: str = "",
    ) -> None:
        """Ask `before`, then the authority, then `after`: indexes in order, each with what its files are promised by.

        `url`: the authority's own address, without credentials.
        """
        self._url = url
        self._before = tuple(before)
        self._authority = authority
        self._after = tuple(after)

    def page(self, project: str) -> ProjectPage:
        if (page := _first(self._before, project)) is not None:
            return self._merged(page) if self._is_followed(page) else page
        try:
            return self._authority.page(project)
        except UnknownProject:
            page = _first(self._after, project)
            if page is None:
                raise
            return page

    def _is_followed(self, page: ProjectPage) -> bool:
        own = f"{self._url}/{page.project}"
        return bool(self._url) and any(address.rstrip("/") == own for address in page.tracks)

    def _merged(self, page: ProjectPage) -> ProjectPage:
        try:
            followed = self._authority.page(page.project)
        except UnknownProject:
            return page
        known = {artifact.filename for artifact in followed.artifacts}
        more = tuple(artifact for artifact in page.artifacts if artifact.filename not in known)
        return replace(followed, artifacts=(*followed.artifacts, *more)).offered()


def _first(indexes: Sequence[tuple[Promise, Index]], project: str) -> ProjectPage | None:
    for promise, index in indexes:
        try:
            page = index.page(project)
        except UnknownProject:
            continue
        return page.promised(promise)
    return None
