"""Project pages as bytes: rendered, hashed and compressed once, when they change."""

import asyncio
import hashlib
import sys
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from datetime import UTC, datetime
from urllib.parse import quote

from msgspec import Struct, field
from msgspec.structs import replace

from tf_tester.core.fetch.recent_pages import RecentPages
from tf_tester.core.index.negotiate import JSON
from tf_tester.core.index.policy import NO_POLICY, IndexPolicy
from tf_tester.core.index.simple import render_html, render_json
from tf_tester.core.index.views import AllowedFiles, IndexView, shown
from tf_tester.core.text.printable import printable
from tf_tester.core.text.sizes import count_text
from tf_tester.errors import IndexUnreachable, TfTesterError, UnknownProject
from tf_tester.model.artifact import Artifact, ProjectPage
from tf_tester.ports.index import Index
from tf_tester.serve.responses import log

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_WAIT_S = 1.0
"""Seconds that a client waits for a page to be asked for anew, where we have one of before."""
_FRESH = 30.0
"""Seconds for which a page isn't looked at again."""
_CACHE_SIZE = 32 << 20
"""Bytes of bodies that are kept; the least recently used go, and are rendered again."""


class Body(Struct):
    """One form of a page."""

    plain: bytes
    etag: str
    """Strong, quoted, of the plain bytes."""
    packed: dict[str, bytes] = field(default_factory=dict)
    """By content coding; made when first asked for."""

    def __post_init__(self) -> None:
        self.packed[""] = self.plain

    def coded(self, coding: str) -> bytes:
        found = self.packed.get(coding)
        if found is None:
            found = self.packed[coding] = _PACKERS[coding](self.plain)
        return found

    def tag(self, coding: str) -> str:
        """Return the tag of a coding: another one is another representation, and needs a tag of its own."""
        return f'{self.etag[:-1]}-{coding}"' if coding else self.etag


def _gzip(plain: bytes) -> bytes:
    compressor = zlib.compressobj(6, zlib.DEFLATED, 31)
    return compressor.compress(plain) + compressor.flush()


def _zstd(plain: bytes) -> bytes:
    return zstd.compress(plain, 9)


_PACKERS: dict[str, Callable[[bytes], bytes]] = {"gzip": _gzip, "zstd": _zstd}


def body_of(plain: bytes) -> Body:
    return Body(plain, f'"{hashlib.sha256(plain).hexdigest()[:32]}"')


_Key = tuple[str, IndexView, AllowedFiles | None, IndexPolicy]


class RenderedPage(Struct, eq=False, weakref=True):
    """One page in one view, in the forms that were asked for."""

    page: ProjectPage
    artifacts: dict[str, Artifact]
    """By file name: those that can be verified, which are all that is shown."""
    depth: int
    key: _Key
    until: datetime | None = None
    """When the view will have more of it."""
    bodies: dict[str, Body] = field(default_factory=dict)
    """By content type."""

    def body(self, kind: str, coding: str) -> Body:
        """Return a body, made where it isn't yet: takes milliseconds, not for the event loop."""
        found = self.bodies.get(kind)
        if found is None:
            page = replace(self.page, artifacts=tuple(self.artifacts.values()))
            plain = (render_json if kind == JSON else render_html)(page, self._address)
            found = self.bodies[kind] = body_of(plain)
        found.coded(coding)
        return found

    def has(self, kind: str, coding: str) -> bool:
        return kind in self.bodies and coding in self.bodies[kind].packed

    @property
    def size(self) -> int:
        """Bytes, roughly: an artifact takes about a KiB."""
        # Other threads make bodies meanwhile; copied, what there is can't change while it is counted.
        bodies = sum(sum(map(len, list(body.packed.values()))) for body in list(self.bodies.values()))
        return bodies + len(self.page.source) + 1024 * len(self.artifacts)

    def _address(self, artifact: Artifact) -> str:
        """Return an address relative to its page, so that it holds behind any prefix and any host name; the same file
        in every view.
        """
        up = "../" * (2 + self.depth)
        return f"{up}files/{artifact.project}/{artifact.sha256}/{quote(artifact.filename)}"


class _Known(Struct):
    page: ProjectPage
    checked: float
    """Loop time."""
    state: object
    """Of the private project of that name, before the page was read."""


def _tell_left_out(page: ProjectPage, artifacts: Mapping[str, Artifact]) -> None:
    """Tell of files that can't be verified. Raises `UnknownProject` where there are no others."""
    left_out = len(page.artifacts) - len(artifacts)
    if not left_out:
        return
    count = count_text(len(page.artifacts), "file")
    told = f"the upstream gives no SHA-256 for {left_out} of {count} of {page.project}"
    if not artifacts:
        raise UnknownProject(f"{told} (MD5 alone proves nothing): there is nothing to serve")
    log.warning("%s", printable(f"{told}: these are left out, as nobody could check them"))


class PageRules(Struct, frozen=True):
    """What is left away of pages."""

    allowed: Callable[[str], AllowedFiles | None] = lambda _lock: None
    """What the lock of a name has; None where there is none."""
    policy: Callable[[], IndexPolicy] = lambda: NO_POLICY
    """The administrator's, as it is now."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class ServedPages:
    """All that were asked for; used inside the event loop."""

    def __init__(
        self,
        index: Index,
        rules: PageRules,
        executor: Executor,
        asks: Executor,
        state: Callable[[str], object] = lambda _project: None,
    ) -> None:
        """Serve pages; `executor` is for what is here, `asks` for what others are asked.

        `state`: gives at once what changes when a private project does, also by another process: its page is never old.
        Where it is empty or None there is no such project.
        """
        self._state = state
        self._rules = rules
        self._index = index
        self._executor = executor
        self._asks = asks
        self._known = RecentPages[_Known]()
        self._asking: dict[str, tuple[object, asyncio.Task[ProjectPage]]] = {}
        """Questions under way, each with the state of the private project of that name when it was asked."""
        self._shown: OrderedDict[_Key, RenderedPage] = OrderedDict()

    async def get(self, project: str, view: IndexView, *, again: bool = False) -> RenderedPage:
        """Return the page of a project (canonical name), as fresh as it can be had at once.

        `again`: its index is asked even if that has just been done.

        Raises `UnknownProject` also where the view has nothing of it, `IndexUnreachable` where nothing is known of it.
        """
        policy = self._rules.policy()
        if policy.refuses(project) and not self._state(project):
            raise UnknownProject(f"{project} is not served here: the policy of this index leaves it out")
        page = await self._page(project, again=again)
        allowed = await self.allowed(view.only) if view.only else None
        key, now = (project, view, allowed, policy), self._rules.now()
        known = self._shown.get(key)
        if known is None or known.page is not page or (known.until is not None and now >= known.until):
            viewed = shown(page, view, now, policy=policy, allowed=allowed)
            if viewed.page is None:
                raise UnknownProject(f"there is nothing of {project} in this view")
            artifacts = {one.filename: one for one in viewed.page.artifacts if one.sha256}
            _tell_left_out(viewed.page, artifacts)
            known = self._shown[key] = RenderedPage(page, artifacts, view.depth, key, viewed.until)
        self._shown.move_to_end(key)
        return known

    async def allowed(self, lock: str) -> AllowedFiles:
        """Return what a lock has. Raises `UnknownProject` where there is none of that name."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._executor, self._rules.allowed, lock)
        if found is None:
            raise UnknownProject(f"there is no lock named {lock}", hint="Locks lie in the folder --locks.")
        return found

    async def body(self, page: RenderedPage, kind: str, coding: str) -> Body:
        """Return one form of a page."""
        if page.has(kind, coding):
            return page.bodies[kind]
        loop = asyncio.get_running_loop()
        body = await loop.run_in_executor(self._executor, page.body, kind, coding)
        self._evict()
        return body

    def _evict(self) -> None:
        """Evict pages that were not asked for lately."""
        total = sum(one.size for one in self._shown.values())
        while total > _CACHE_SIZE and len(self._shown) > 1:
            (project, *_), gone = self._shown.popitem(last=False)
            total -= gone.size
            if all(key[0] != project for key in self._shown):
                self._known.forget(project)

    async def _page(self, project: str, *, again: bool) -> ProjectPage:
        loop = asyncio.get_running_loop()
        known, state = self._known.get(project), self._state(project)
        if known is not None and known.state != state:
            known = None  # nor is it what is better than nothing: the name may have been public a moment ago
            self.forget(project)
        if known is not None and not again and loop.time() - known.checked < _FRESH:
            return known.page
        asked, task = self._asking.get(project, (None, None))
        if task is None or asked != state:
            # What was asked before a change, maybe while the name was public, is no answer after it.
            task = loop.create_task(self._ask(project, state))
            self._asking[project] = state, task
            task.add_done_callback(lambda done: self._asked(project, done))
        if known is None:
            return await asyncio.shield(task)
        try:
            # The index may be slow, or gone: what we have is served then, and the next one gets what came.
            return await asyncio.wait_for(asyncio.shield(task), _WAIT_S)
        except (TimeoutError, IndexUnreachable):
            return known.page

    def is_current(self, page: RenderedPage) -> bool:
        """Return whether it is what somebody who asks now would get, without a look at the index."""
        known = self._known.get(page.page.project)
        if known is None or known.page is not page.page or self._shown.get(page.key) is not page:
            return False
        if known.state != self._state(page.page.project) or page.key[3] is not self._rules.policy():
            return False
        if page.until is not None and self._rules.now() >= page.until:
            return False
        self._shown.move_to_end(page.key)
        return asyncio.get_running_loop().time() - known.checked < _FRESH

    def forget(self, project: str) -> None:
        """Forget a page that has changed: whoever asks next gets it anew."""
        self._known.forget(project)
        self._asking.pop(project, None)  # what was asked before is answered by what was there before

    @property
    def names(self) -> list[str]:
        """Projects that were asked for."""
        return list(self._known)

    def _asked(self, project: str, task: "asyncio.Task[ProjectPage]") -> None:
        if self._asking.get(project, (None, None))[1] is task:
            del self._asking[project]
        if not task.cancelled():
            error = task.exception()
            if isinstance(error, UnknownProject):
                self._known.forget(project)
            elif error is not None and not isinstance(error, TfTesterError):
                raise error

    async def _ask(self, project: str, state: object) -> ProjectPage:
        loop = asyncio.get_running_loop()
        page = await loop.run_in_executor(self._executor if state else self._asks, self._index.page, project)
        known = self._known.get(project)
        if known is not None and known.page == page:
            page = known.page
        self._known.put(project, _Known(page, loop.time(), state), files=len(page.artifacts))
        return page
