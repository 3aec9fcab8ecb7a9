"""The list of an index's projects, all of them: for whoever mirrors in turn what is served here."""

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta

from tf_tester.core.index.links import without_credentials
from tf_tester.core.index.simple import ACCEPT, parse_list
from tf_tester.errors import IndexUnreachable, NotAPage
from tf_tester.index.http import MAX_AGE, PageAccess
from tf_tester.ports.index import CachedPage

_MOST = 256 << 20
"""Bytes: the public index had 40 MB in 2026."""


class ProjectList:
    """Asked for again when it is older than ten minutes; callable from many threads."""

    def __init__(self, url: str, access: PageAccess) -> None:
        self._address = f"{url.rstrip('/')}/"
        self._key = without_credentials(self._address)
        self._access = access
        self._lock = threading.Lock()
        self._known: Mapping[str, int | None] | None = None
        self._asked: datetime | None = None

    def serials(self) -> Mapping[str, int | None]:
        """Return the projects (canonical names) with their serials, as far as the index tells them.

        The same object as long as nothing has changed. Where the index doesn't answer, that is what it said before;
        raises `IndexUnreachable` where it never did.
        """
        with self._lock:
            now = self._access.now()
            if self._known is None or self._asked is None or not timedelta(0) <= now - self._asked < MAX_AGE:
                self._known = self._learn(now)
                self._asked = now
            return self._known

    def _learn(self, now: datetime) -> Mapping[str, int | None]:
        kept = self._access.cache.get(self._key)
        kept = None if kept is None or kept.missing else kept
        try:
            if self._access.offline:
                raise IndexUnreachable("the store has no list of the index's projects")
            answer = self._access.get.get_page(
                self._address, accept=ACCEPT, etag=kept.etag if kept else None, most=_MOST
            )
            if answer.status == 304 and kept is not None:
                return self._known if self._known is not None else parse_list(kept.body, kept.content_type)
            found = parse_list(answer.body, answer.content_type)
            self._access.cache.put(self._key, CachedPage(answer.body, answer.content_type, answer.etag, now))
        except (IndexUnreachable, NotAPage) as error:
            if self._known is not None:
                return self._known
            if kept is not None:
                return parse_list(kept.body, kept.content_type)
            raise IndexUnreachable(f"the index gives no list of its projects: {error}") from error
        return found
