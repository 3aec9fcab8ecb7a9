"""Project pages, the requests that bring them, and the copies that are kept of them."""

from datetime import datetime
from typing import Protocol

from msgspec import Struct

from tf_tester.model.artifact import ProjectPage
from tf_tester.model.mirror import Mirror


class Index(Protocol):
    """Something that serves project pages."""

    def page(self, project: str) -> ProjectPage:
        """Return the page of a project (canonical name), links absolute.

        Raises `UnknownProject` where the index says that there is none, `IndexUnreachable` where it doesn't
        answer and the store has no earlier copy (with one, the page comes back marked `stale`).
        """
        ...


class MirrorIndex(Struct, frozen=True):
    """A mirror's copy of the authority."""

    mirror: Mirror
    root: str
    """Whose copy it is in the end: those of one root count as one."""
    index: Index

    @property
    def name(self) -> str:
        return self.mirror.name


class GetPage(Protocol):
    """One conditional request for an index page."""

    def get_page(
        self, url: str, *, accept: str, etag: str | None, fresh: bool = False, most: int | None = None
    ) -> "PageResponse":
        """Return the answer with status 200, 304 (only where an `etag` was given) or 404.

        User name and password in `url` go to just that scheme, host and port. Raises `IndexUnreachable` for
        every other answer, where none comes and where it has more than `most` bytes. `fresh`: caches on the way are to
        ask the index itself.
        """
        ...


class PageResponse(Struct, frozen=True):
    """What an index answered."""

    status: int
    body: bytes
    """Decoded, complete; empty for 304 and 404."""
    content_type: str
    etag: str | None
    url_after_redirects: str
    """What relative links of the page are relative to; without credentials."""
    serial: int | None = None
    """`X-PyPI-Last-Serial`: grows with each change of the project."""


class Serials(Protocol):
    """The newest state of each project that anybody has shown us."""

    def latest(self, project: str) -> int | None: ...

    def seen(self, project: str, serial: int) -> None: ...


class PageCache(Protocol):
    """Index pages as they came, for revalidation and for working offline."""

    def get(self, url: str) -> "CachedPage | None": ...

    def fetched(self, url: str) -> datetime | None:
        """Return when a page was fetched, in a fraction of the time that `get` takes; None: there is none."""
        ...

    def put(self, url: str, page: "CachedPage") -> None: ...


class CachedPage(Struct, frozen=True):
    """The body of one index response."""

    body: bytes
    content_type: str
    etag: str | None
    fetched: datetime
    """Aware, UTC."""
    missing: bool = False
    """The index said 404."""
