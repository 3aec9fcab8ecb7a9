"""Project pages as bytes: rendered, hashed and compressed once, when they change."""

import asyncio
import hashlib
import zlib
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from urllib.parse import quote

from tf_tester.core.simple import render_html, render_json
from tf_tester.errors import IndexUnreachable, TfTesterError, UnknownProject
from tf_tester.model.artifact import Artifact, ProjectPage
from tf_tester.ports import Index

_PATIENCE = 1.0
"""Seconds that a client waits for a page to be asked for anew, where we have one of before."""
_FRESH = 30.0
"""Seconds for which a page isn't looked at again."""


@dataclass(frozen=True, slots=True)
class Body:
    """One form of a page."""

    plain: bytes
    gzip: bytes
    etag: str
    """Strong, quoted, of the plain bytes."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """One page in all its forms."""

    page: ProjectPage
    json: Body
    html: Body
    artifacts: dict[str, Artifact]
    """By file name: those that can be verified, which are all that is shown."""
    checked: float
    """Loop time."""


def body_of(plain: bytes) -> Body:
    compressor = zlib.compressobj(6, zlib.DEFLATED, 31)
    packed = compressor.compress(plain) + compressor.flush()
    return Body(plain, packed, f'"{hashlib.sha256(plain).hexdigest()[:32]}"')


class Pages:
    """All that were asked for; used inside the event loop."""

    def __init__(self, index: Index, executor: Executor) -> None:
        self._index = index
        self._executor = executor
        self._known: dict[str, Rendered] = {}
        self._asking: dict[str, asyncio.Task[Rendered]] = {}

    async def get(self, project: str) -> Rendered:
        """The page of a project (canonical name), as fresh as it can be had at once.

        Raises `UnknownProject`, `IndexUnreachable` where nothing is known of it.
        """
        loop = asyncio.get_running_loop()
        known = self._known.get(project)
        if known is not None and loop.time() - known.checked < _FRESH:
            return known
        task = self._asking.get(project)
        if task is None:
            task = self._asking[project] = loop.create_task(self._ask(project))
            task.add_done_callback(lambda done: self._asked(project, done))
        if known is None:
            return await asyncio.shield(task)
        try:
            # The index may be slow, or gone: what we have is served then, and the next one gets what came.
            return await asyncio.wait_for(asyncio.shield(task), _PATIENCE)
        except (TimeoutError, IndexUnreachable):
            return known

    @property
    def names(self) -> list[str]:
        """Projects that were asked for, in order."""
        return sorted(self._known)

    def _asked(self, project: str, task: "asyncio.Task[Rendered]") -> None:
        del self._asking[project]
        if not task.cancelled():
            error = task.exception()
            if isinstance(error, UnknownProject):
                self._known.pop(project, None)
            elif error is not None and not isinstance(error, TfTesterError):
                raise error

    async def _ask(self, project: str) -> Rendered:
        loop = asyncio.get_running_loop()
        page = await loop.run_in_executor(self._executor, self._index.page, project)
        known = self._known.get(project)
        if known is not None and known.page == page:
            rendered = replace(known, checked=loop.time())
        else:
            rendered = await loop.run_in_executor(self._executor, _rendered, page, loop.time())
        self._known[project] = rendered
        return rendered


def _rendered(page: ProjectPage, now: float) -> Rendered:
    shown = replace(page, artifacts=tuple(one for one in page.artifacts if one.sha256))
    rewrite: Callable[[Artifact], str] = file_url
    return Rendered(
        page,
        body_of(render_json(shown, rewrite)),
        body_of(render_html(shown, rewrite)),
        {one.filename: one for one in shown.artifacts},
        now,
    )


def file_url(artifact: Artifact) -> str:
    """Relative to its page, so that it holds behind any prefix and any host name."""
    return f"../../files/{artifact.project}/{artifact.sha256}/{quote(artifact.filename)}"
