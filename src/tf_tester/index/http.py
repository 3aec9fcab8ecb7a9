"""An index behind an address.

Promise: a page is asked for once by one process however many threads want it, and revalidated after
`max_age`, or at once where it was of no use; what isn't a project page (a captive portal, another project's page) is
never taken for one, nor kept.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.fetch.recent_pages import RecentPages
from tf_tester.core.index.links import display_url, local_path, without_credentials
from tf_tester.core.index.simple import ACCEPT, JSON_TYPE, parse_page, parse_serials, render_json
from tf_tester.core.index.told_values import without_future
from tf_tester.errors import IndexUnreachable, NotAPage, TfTesterError, UnknownProject
from tf_tester.given_files import read_given
from tf_tester.model.artifact import ProjectPage
from tf_tester.ports.index import CachedPage, GetPage, PageCache, PageResponse, Serials

MAX_AGE = timedelta(minutes=10)
_NO_LIST = timedelta(days=1)
_DOUBTED = datetime(1970, 1, 1, tzinfo=UTC)
"""When a page that was of no use is said to have come: whoever wants it next asks again, past all caches."""


class _Known(Struct, frozen=True):
    """What this process has learnt of a project."""

    page: ProjectPage | None
    """None: the index says that there is no such project."""
    checked: datetime


class PageAccess(Struct, frozen=True):
    """How pages of any index are asked for, and where they are kept."""

    get: GetPage
    cache: PageCache
    now: Callable[[], datetime]
    offline: bool = False
    """Nothing is asked for: what was kept counts, however old."""
    refresh: bool = False
    """What earlier processes kept counts only where the index doesn't answer."""


class HttpIndex:
    """The pages of one index (http, https or file), cached; implements `ports.Index`."""

    def __init__(
        self,
        url: str,
        access: PageAccess,
        *,
        max_age: timedelta = MAX_AGE,
        serials: Serials | None = None,
        leads: bool = False,
    ) -> None:
        """Open an index.

        `leads`: its word is how far a project is; of others it is only checked whether they are behind.
        """
        self._url = url.rstrip("/")
        self._get = access.get
        self._cache = access.cache
        self._now = access.now
        self._offline = access.offline
        self._refresh = access.refresh
        self._max_age = max_age
        self._serials = serials
        self._leads = leads
        self._lock = threading.Lock()
        self._known = RecentPages[_Known]()
        """The cache has what isn't kept here any more."""
        self._listed: Mapping[str, int] = {}
        """Serials by project, of the list that was asked for."""
        self._announced: Mapping[str, int | None] = {}
        """Likewise, of a list that others are shown: pages are not to be older than it says."""
        self._underway: dict[str, Future[_Known]] = {}
        self._asked: set[str] = set()
        """Projects of which this process has asked the index itself."""

    def page(self, project: str) -> ProjectPage:
        """Return the page of a project (canonical name). Raises `UnknownProject`, `IndexUnreachable`."""
        known = self._known.get(project)
        if known and (self._offline or self._is_current(project, known)):
            return self._answer(project, known)
        with self._lock:
            learnt = self._known.get(project)
            if learnt is not None and learnt is not known:
                return self._answer(project, learnt)  # just now
            future = self._underway.get(project)
            leads = future is None
            if future is None:
                future = self._underway[project] = Future()
        if leads:
            self._lead(project, future)
        return self._answer(project, future.result())

    def doubt(self, project: str) -> bool:
        """Have the page of a project asked for again by whoever wants it next, past all caches on the way.

        For a page that was of no use. Return whether it was one that an earlier process kept: then asking for it again
        may help this one. What was kept still counts where the index doesn't answer.
        """
        if self._offline or self._url.startswith("file:"):
            return False
        with self._lock:
            self._known.forget(project)
            was_kept = project not in self._asked
        key = without_credentials(self._address(project))
        cached = self._cache.get(key)
        if cached is not None:
            self._cache.put(key, replace(cached, etag=None, fetched=_DOUBTED))
        return was_kept and cached is not None

    def ask_for_list(self, most: int) -> None:
        """Ask for the list of projects: pages whose serials in it are those that the store has are not asked for.

        One of more than `most` bytes, or without serials, is of no use, and for a day isn't asked for again.
        """
        if self._offline or self._url.startswith("file:"):
            return
        address = f"{self._url}/"
        key, now = without_credentials(address), self._now()
        cached = self._cache.get(key)
        if cached is not None and cached.missing and timedelta(0) <= now - cached.fetched < _NO_LIST:
            return
        known = cached if cached is not None and not cached.missing else None
        kept, self._listed = CachedPage(b"", "", None, now, missing=True), {}
        try:
            answer = self._get.get_page(address, accept=ACCEPT, etag=known.etag if known else None, most=most)
            came = CachedPage(answer.body, answer.content_type, answer.etag, now)
            came = known if answer.status == 304 and known is not None else came
            self._listed = parse_serials(came.body)
            kept = came if self._listed else kept
        except IndexUnreachable:
            kept = known or kept  # it may be down just now
        except NotAPage:
            pass
        self._cache.put(key, kept)

    def _lead(self, project: str, future: "Future[_Known]") -> None:
        """Learn it for all who wait, failures too."""
        try:
            known = self._learn(project)
        except BaseException as error:
            with self._lock:
                del self._underway[project]
            shared = isinstance(error, TfTesterError)
            future.set_exception(error if shared else self._unreachable("whoever asked for it was interrupted"))
            raise
        else:
            with self._lock:
                self._known.put(project, known, files=len(known.page.artifacts if known.page is not None else ()))
                del self._underway[project]
            future.set_result(known)

    def _learn(self, project: str) -> _Known:
        if self._url.startswith("file:"):
            return _Known(self._page_on_disk(project), self._now())
        address = self._address(project)
        key = without_credentials(address)
        cached = self._cache.get(key)
        if cached is not None and self._refresh and not self._offline and project not in self._asked:
            cached = replace(cached, etag=None, fetched=_DOUBTED)
        parsed = self._parse_cached(cached, key, project) if cached else None
        fresh = cached and self._is_fresh(cached.fetched) and not self._is_overtaken(parsed)
        still = fresh or self._is_as_listed(project, parsed)
        if cached and parsed and (self._offline or still):
            return replace(parsed, checked=cached.fetched)
        if self._offline:
            raise self._not_in_the_store(project)
        try:
            return self._ask(key, project, cached if parsed else None, parsed)
        except IndexUnreachable:
            if parsed is None or parsed.page is None:
                raise
            return _Known(replace(parsed.page, stale=True), self._now())

    def _address(self, project: str) -> str:
        return f"{self._url}/{quote(project, safe='')}/"

    def _ask(self, key: str, project: str, cached: CachedPage | None, parsed: _Known | None) -> _Known:
        """Ask the index and remember its answer."""
        address = self._address(project)
        etag = cached.etag if cached and not cached.missing else None
        doubted = cached is not None and cached.fetched == _DOUBTED
        try:
            response = self._get.get_page(address, accept=ACCEPT, etag=etag, fresh=doubted)
        except IndexUnreachable as error:
            raise self._unreachable(error.message, error.detail) from error
        now = self._now()
        with self._lock:
            self._asked.add(project)
        if response.status == 304 and cached and parsed:
            self._cache.put(key, replace(cached, fetched=now))
            return replace(parsed, checked=now)
        if response.status == 404:
            self._cache.put(key, CachedPage(b"", "", None, now, missing=True))
            return _Known(None, now)
        if response.status != 200:
            raise self._unreachable(f"{self._host} answered with status {response.status}")
        try:
            page = self._parse(response, project)
        except IndexUnreachable:
            # A cache on the way may have kept what isn't the index's at all.
            response = self._get.get_page(address, accept=ACCEPT, etag=None, fresh=True)
            page = self._parse(response, project)
        if self._is_behind(page):
            # A cache on the way may have kept yesterday's.
            again = self._get.get_page(address, accept=ACCEPT, etag=None, fresh=True)
            if again.status == 200:
                response, page = again, self._parse(again, project)
            page = replace(page, behind=self._is_behind(page))
        if self._leads and self._serials is not None and page.serial is not None and not page.behind:
            self._serials.seen(project, page.serial)
        self._cache.put(key, _to_cache(response, page, key, now))
        return _Known(page, now)

    def _parse(self, response: PageResponse, project: str) -> ProjectPage:
        try:
            page = parse_page(response.body, response.content_type, response.url_after_redirects, project)
        except NotAPage as error:
            reason = f"{self._host} answered with something that isn't an index page"
            raise self._unreachable(reason, str(error)) from error
        return self._possible(replace(page, serial=page.serial if page.serial is not None else response.serial))

    def _possible(self, page: ProjectPage) -> ProjectPage:
        artifacts = without_future(page.artifacts, self._now())
        return page if artifacts == page.artifacts else replace(page, artifacts=artifacts)

    def _is_as_listed(self, project: str, parsed: _Known | None) -> bool:
        page = parsed.page if parsed else None
        doubted = parsed is not None and parsed.checked == _DOUBTED
        known = page.serial if page is not None and not doubted else None
        return known is not None and known == self._listed.get(project)

    def announce(self, serials: Mapping[str, int | None]) -> None:
        """Take in what others are told of projects: pages of an earlier state are asked for anew."""
        self._announced = serials

    def _is_overtaken(self, known: _Known | None) -> bool:
        page = known.page if known else None
        announced = self._announced.get(page.project) if page is not None else None
        return page is not None and page.serial is not None and announced is not None and page.serial < announced

    def _is_behind(self, page: ProjectPage) -> bool:
        latest = None if self._serials is None else self._serials.latest(page.project)
        return latest is not None and page.serial is not None and page.serial < latest

    def _parse_cached(self, cached: CachedPage, key: str, project: str) -> _Known | None:
        """Return what the cache knows; None where that is of no use (an older version of us may have read more)."""
        if cached.missing:
            return _Known(None, cached.fetched)
        try:
            page = self._possible(parse_page(cached.body, cached.content_type, key, project))
            return _Known(replace(page, behind=self._is_behind(page)), cached.fetched)
        except NotAPage:
            return None

    def _page_on_disk(self, project: str) -> ProjectPage | None:
        root = local_path(self._url)
        file = root / quote(project, safe="") / "index.html"
        try:
            return parse_page(read_given(file), "text/html", f"{self._url}/{quote(project, safe='')}/", project)
        except NotAPage as error:
            raise self._unreachable(f"{file} isn't an index page", str(error)) from error
        except FileNotFoundError:
            if root.is_dir():
                return None
            raise self._unreachable(f"there is no folder {root}") from None
        except OSError as error:
            raise self._unreachable(f"{file} can't be read: {error.strerror}") from error

    def _is_current(self, project: str, known: _Known) -> bool:
        overtaken = self._is_overtaken(known) or self._is_outrun(project, known)
        return self._is_fresh(known.checked) and not overtaken

    def _is_outrun(self, project: str, known: _Known) -> bool:
        """Return whether another process has asked later: two workers of a server are to tell the same."""
        if self._url.startswith("file:"):
            return False
        fetched = self._cache.fetched(without_credentials(self._address(project)))
        return fetched is not None and fetched > known.checked

    def _is_fresh(self, fetched: datetime) -> bool:
        # A date in the future comes from a clock that was wrong: of no use.
        return timedelta(0) <= self._now() - fetched < self._max_age

    def _answer(self, project: str, known: _Known) -> ProjectPage:
        if known.page is None:
            raise UnknownProject(
                f"{self._host} has no project named {project}",
                hint="Check the spelling, or name the index that has it with --index-url.",
            )
        return known.page

    @property
    def _host(self) -> str:
        return urlsplit(self._url).hostname or display_url(self._url)

    def _unreachable(self, reason: str, detail: str = "") -> IndexUnreachable:
        return IndexUnreachable(
            f"the index gives no page: {reason}",
            hint=f"Check that {self._host} can be reached from here, name another index with --index-url, "
            "or work from the store with --offline.",
            detail=detail,
        )

    def _not_in_the_store(self, project: str) -> IndexUnreachable:
        return IndexUnreachable(
            f"the store has no index page of {project} from {self._host}",
            hint="Run the same command once without --offline.",
        )


def _to_cache(response: PageResponse, page: ProjectPage, key: str, now: datetime) -> CachedPage:
    """Return the page as it came; one that came from elsewhere as we read it.

    Its relative links would mean other files when read again under the address that was asked.
    """
    if response.url_after_redirects == key:
        return CachedPage(response.body, response.content_type, response.etag, now)
    body = render_json(page, lambda artifact: artifact.url)
    return CachedPage(body, JSON_TYPE, response.etag, now)
