"""The index over HTTP: which request is answered by what.

Promise: what is asked for is looked up, never joined into a path or an address; a file goes out as its index promised
it or the connection is cut before its end; an upstream that is gone costs nothing of what is here.
"""

import asyncio
import hashlib
import re
import time
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from aiohttp import web
from msgspec import Struct, field

from tf_tester.core.access.tokens import Token, TokenScope, token_presented
from tf_tester.core.index.negotiate import HTML, JSON, TEXT_HTML, byte_range, content_coding, content_type, matches
from tf_tester.core.index.policy import IndexPolicy
from tf_tester.core.index.simple import canonical, render_names_html, render_names_json
from tf_tester.core.index.views import IndexView, split_view
from tf_tester.core.text.printable import printable
from tf_tester.errors import BadView, BadWheel, DownloadFailed, IndexUnreachable, TfTesterError, UnknownProject
from tf_tester.model.artifact import Artifact, ProjectStatus, Promiser
from tf_tester.model.source import AUTHORITY, Source
from tf_tester.ports.fetch import Fetcher
from tf_tester.ports.index import Index
from tf_tester.ports.store import Blobs
from tf_tester.serve.clients.access import Access, Log, LogForm, certificate_holder
from tf_tester.serve.files import Files, IncomingFile, PassedFile
from tf_tester.serve.metrics import Metrics
from tf_tester.serve.pages import Body, PageRules, RenderedPage, ServedPages, body_of
from tf_tester.serve.private import PrivateFolder
from tf_tester.serve.response_cache import ResponseCache
from tf_tester.serve.responses import GONE, Response, log, send, text_response
from tf_tester.serve.status import Status, StatusFacts
from tf_tester.serve.uploads import receive

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,198}[A-Za-z0-9])?")
"""What a project may be called (PEP 508): nothing else ever gets into a header, or to an index."""
_SERVER = "tf-tester"
_FOR_EVER = "public, max-age=31536000, immutable"
_FOR_EVER_PRIVATELY = "private, max-age=31536000, immutable"
_FOR_A_MINUTE = "public, max-age=60"
_FOR_A_MINUTE_PRIVATELY = "private, max-age=60"


class ServedIndex(Struct, frozen=True):
    """What is served, and how."""

    index: Index
    """With the private folder, where there is one, before everything else."""
    fetcher: Fetcher
    blobs: Blobs
    metadata: Callable[[Artifact], bytes]
    doubt: Callable[[Artifact], None]
    """Hears of wheels whose METADATA isn't what their page promises: it is to promise it no more."""
    rules: PageRules
    stop: Callable[[], None]
    """Ends what is being fetched; what came of it is kept."""
    now: Callable[[], datetime]
    facts: Callable[[], StatusFacts]
    """Of the store and the mirrors, for the status page; takes its time."""
    metrics: Metrics
    access: Access = field(default_factory=Access)
    log: Log = field(default_factory=Log)
    private: PrivateFolder | None = None
    uploads: bool = False
    largest_upload: int = 2 << 30
    """Bytes."""
    redirect: bool = False
    """Files are asked for elsewhere."""
    region_header: str = ""
    """Of requests: in which country a client is, as whoever is in front of us tells it."""
    listed: Callable[[], Mapping[str, int | None]] = dict
    """Serials of the projects to be listed besides those that were asked for. Raises `IndexUnreachable`."""


class App:
    """Answers requests; used inside one event loop."""

    def __init__(self, offer: ServedIndex, executor: Executor, asks: Executor, fetches: Executor) -> None:
        """Answer; `executor` for what is here, `asks` for what upstreams are asked, `fetches` for their files.

        An upstream that answers nothing holds a thread for half a minute: what is here must not wait behind it.
        """
        self._offer = offer
        self._executor = executor
        self._asks = asks
        state = offer.private.state if offer.private is not None else None
        self._pages = ServedPages(offer.index, offer.rules, executor, asks, *([state] if state is not None else []))
        self._files = Files(offer.blobs, offer.fetcher, fetches, over=offer.metrics.forget)
        self._status = Status(offer.metrics, offer.facts, executor)
        self._lists: dict[str, tuple[object, Mapping[str, int | None], Body]] = {}
        """The last list of each type, with what it was made of."""
        self._troubles: list[str] = []
        """Of private projects, when that was last asked for."""
        self.quick = ResponseCache(self._told_quickly)
        # A shared cache in front of us hands out what is public without asking for a token.
        everybody = offer.access.everybody_reads
        self._for_ever = _FOR_EVER if everybody else _FOR_EVER_PRIVATELY
        self._for_a_minute = _FOR_A_MINUTE if everybody else _FOR_A_MINUTE_PRIVATELY
        private = everybody and not offer.access.private_needs_token
        self._asked_each_time = "no-cache" if private else "private, no-cache"
        self._for_ever_of_private = _FOR_EVER if private else _FOR_EVER_PRIVATELY
        self._may_be_quick = offer.access.wait is None and everybody and offer.log.form is LogForm.NONE
        """Whether who asks makes no difference, and nobody wants to know."""

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        began = time.monotonic()
        metrics = self._offer.metrics
        metrics.begun()
        kind, sent, status = "other", 0, GONE
        try:
            kind, answer = await self._answer(request, began)
            status = answer.status
            answer.headers.setdefault("server", _SERVER)
            response, sent = await send(answer, request)
            return response
        except Exception:
            status = 500
            raise
        finally:
            seconds = time.monotonic() - began
            metrics.ended(kind, status, sent, seconds)
            self._offer.log.request(request, self._offer.access.client(request), status, sent, seconds)

    def _told_quickly(self, status: int, sent: int, seconds: float) -> None:
        self._offer.metrics.begun()
        self._offer.metrics.ended("simple", status, sent, seconds)

    async def _answer(self, request: web.BaseRequest, now: float) -> tuple[str, Response]:
        """Return which kind of thing was asked for, as metrics call it, and the answer."""
        kind = "other"
        try:
            view, rest = _parts(request.rel_url.raw_path)
            kind = rest[0] if rest and rest[0] in ("simple", "files", "metrics", "healthz", "status") else "other"
            if self._offer.access.wait is not None and kind != "healthz":
                wait = self._offer.access.wait(self._offer.access.client(request), now)
                if wait:
                    return kind, text_response(429, "Too many requests.", retry_after=str(int(wait) + 1))
            if request.method == "POST":
                return "upload", await self._upload(request, view, rest)
            if request.method not in ("GET", "HEAD"):
                allow = "POST" if self._takes_uploads(view, rest) else "GET, HEAD"
                return kind, text_response(405, "This method is not allowed here.", allow=allow)
            scope = TokenScope.METRICS if kind in ("metrics", "status") else TokenScope.READ
            refused = None if kind == "healthz" else self._refused(request, scope)
            return kind, refused or await self._route(request, view, rest)
        except BadView as error:
            return kind, text_response(404, str(error))
        except UnknownProject as error:
            return kind, text_response(404, str(error))
        except IndexUnreachable as error:
            return kind, text_response(502, f"{error}. {error.hint}", retry_after="30")
        except TfTesterError as error:
            log.warning("%s", printable(f"{request.path}: {error}. {error.hint}"))
            # Of what stays as it is a client is told once: after a 5xx it asks six times.
            lasting = isinstance(error, DownloadFailed) and error.lasting
            return kind, text_response(404 if lasting else 502, f"{error}. {error.hint}")

    async def _route(self, request: web.BaseRequest, view: IndexView, rest: list[str]) -> Response:
        match rest:
            case [""] if view.is_whole:
                return Response(302, {"location": "simple/"})
            case ["healthz"] if view.is_whole:
                return await self._health()
            case ["metrics"] if view.is_whole:
                told = {"content-type": self._offer.metrics.content_type, "cache-control": "no-store"}
                return Response(200, told, self._offer.metrics.text())
            case ["status"] | ["status", ""] if view.is_whole:
                return self._status.page()
            case ["status", "now.json"] if view.is_whole:
                return await self._status.now()
            case ["simple"]:
                return Response(301, {"location": "simple/"})
            case ["simple", ""]:
                return await self._names(request, view)
            case ["simple", name] | ["simple", name, ""] if _NAME.fullmatch(name):
                project = canonical(name)
                if name != project or len(rest) == 2:
                    return _moved(request, project, len(rest))
                return await self._page(project, request, view)
            case ["files", name, sha256, filename] if view.is_whole and _NAME.fullmatch(name):
                return await self._file(canonical(name), sha256, filename, request)
            case _ if self._takes_uploads(view, rest):
                return text_response(405, "Uploads come here.", allow="POST")
            case _:
                return text_response(404, "There is nothing here; the index is at /simple/.")

    async def _health(self) -> Response:
        """Return whether all that was uploaded is there. Nobody who asks has shown a token: no names are told."""
        private, troubles = self._offer.private, list[str]()
        if private is not None:
            troubles = await asyncio.get_running_loop().run_in_executor(self._executor, private.troubles)
        for one in troubles:
            if one not in self._troubles:
                log.warning("%s", printable(one))
        self._troubles = troubles
        if troubles:
            return text_response(
                503, "Private projects are gone or damaged: the log says which.", cache_control="no-store"
            )
        return text_response(200, "ok", cache_control="no-store")

    def _refused(self, request: web.BaseRequest, scope: TokenScope, project: str | None = None) -> Response | None:
        """Return the answer to somebody who may not; None: he may."""
        access = self._offer.access
        if scope is not TokenScope.UPLOAD and access.everybody_reads:
            return None
        token = self._token(request)
        if token is not None and token.allows(scope, self._offer.now(), project):
            return None
        if token is not None:
            return text_response(
                403, f"This token does not allow that ({scope}{f' of {project}' if project else ''}), or has expired."
            )
        return text_response(401, "A token is needed.", www_authenticate='Basic realm="tf-tester"')

    def _sees(self, request: web.BaseRequest, project: str) -> bool:
        """Return whether somebody may read a private project."""
        access = self._offer.access
        if access.everybody_reads and not access.private_needs_token:
            return True
        token = self._token(request)
        return token is not None and token.allows(TokenScope.READ, self._offer.now(), project)

    def _is_private(self, project: str) -> bool:
        return self._offer.private is not None and bool(self._offer.private.state(project))

    def _hidden(self, request: web.BaseRequest, project: str) -> Response | None:
        """Return the answer to somebody who may not read a project; None: he may, or it isn't private.

        Who has shown no token is told to; to others it is as if there were none: names are nobody's business, either.
        """
        if not self._is_private(project) or self._sees(request, project):
            return None
        if self._token(request) is None:
            return text_response(401, "A token is needed.", www_authenticate='Basic realm="tf-tester"')
        return text_response(404, f"There is no project named {project}, or this token doesn't read it.")

    def _token(self, request: web.BaseRequest) -> Token | None:
        text = token_presented(request.headers.get("Authorization", ""))
        return self._offer.access.holder(text) if text else certificate_holder(request)

    # -- pages

    async def _names(self, request: web.BaseRequest, view: IndexView) -> Response:
        """Return what a replica holds, or the upstream; else those that were asked for."""
        kind = _kind(request)
        if kind is None:
            return _not_acceptable()
        if view.only:
            await self._pages.allowed(view.only)
        names = self._offer.private.names if self._offer.private else []
        private = tuple(name for name in names if self._sees(request, name))
        listed, stale = await self._listed(view)
        body = await self._list_body((kind, private, tuple(names), self._offer.rules.policy()), listed, view)
        coding = content_coding(request.headers.get("Accept-Encoding", ""))
        await asyncio.get_running_loop().run_in_executor(self._executor, body.coded, coding)
        answer = self._in_form(body, kind, coding, request)
        if stale:
            answer.headers["warning"] = '110 - "the upstream does not answer: its projects are not all listed"'
        return answer

    async def _listed(self, view: IndexView) -> tuple[Mapping[str, int | None], bool]:
        """Return what is listed though nobody has asked for it, and whether that can't be had."""
        if view.private:
            return {}, False
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, self._offer.listed), False
        except IndexUnreachable as error:
            log.warning("%s", printable(f"{error}. {error.hint}"))
            return {}, True

    async def _list_body(
        self,
        of: tuple[str, tuple[str, ...], tuple[str, ...], IndexPolicy],
        listed: Mapping[str, int | None],
        view: IndexView,
    ) -> Body:
        """Return a list, rendered when it changes: the public index's has 700,000 names.

        `of`: its type, the private names that are seen, all private names, the policy.
        """
        kind, private, names, policy = of
        asked = () if view.private else tuple(self._pages.names)
        key = (*of, asked, view.age is None)
        known = self._lists.get(kind)
        if known is not None and known[0] == key and (known[1] is listed or not (known[1] or listed)):
            return known[2]

        def render() -> Body:
            public = {name for name in {*asked, *listed} if not policy.refuses(name)}
            shown = sorted((public - frozenset(names)) | frozenset(private))
            # What grows old changes a page without a new serial: who goes by serials would miss it.
            serials = listed if view.age is None and policy.min_age is None else None
            return body_of(render_names_json(shown, serials) if kind == JSON else render_names_html(shown))

        body = await asyncio.get_running_loop().run_in_executor(self._executor, render)
        self._lists[kind] = key, listed, body
        return body

    async def _page(self, project: str, request: web.BaseRequest, view: IndexView) -> Response:
        kind = _kind(request)
        if kind is None:
            return _not_acceptable()
        hidden = self._hidden(request, project)
        if hidden is not None:
            return hidden
        if view.private and project not in (self._offer.private.names if self._offer.private else ()):
            raise UnknownProject(f"there is no private project named {project}")  # and nobody else is asked
        coding = content_coding(request.headers.get("Accept-Encoding", ""))
        page = await self._pages.get(project, view)
        answer = self._in_form(await self._pages.body(page, kind, coding), kind, coding, request)
        if self._is_private(project):
            answer.headers["cache-control"] = self._asked_each_time  # an upload is to be seen at once
        if page.page.serial is not None:
            answer.headers["x-pypi-last-serial"] = str(page.page.serial)
        if page.page.stale:
            answer.headers["warning"] = '110 - "the upstream does not answer: this is of an earlier time"'
        if (
            self._may_be_quick
            and not view.only
            and not (self._offer.access.private_needs_token and self._is_private(project))
        ):
            answer.headers["server"] = _SERVER
            self.quick.keep(request, answer, self._as_shown(page, kind, coding if answer.body else None))
        return answer

    def _as_shown(self, page: RenderedPage, kind: str, coding: str | None) -> Callable[[], bytes | None]:
        """Return what gives the body of an answer while the page is current; None: it has none."""
        there = weakref.ref(page)

        def body() -> bytes | None:
            page = there()
            if page is None or not self._pages.is_current(page):
                return None
            return b"" if coding is None else page.bodies[kind].coded(coding)

        return body

    def _in_form(self, body: Body, kind: str, coding: str, request: web.BaseRequest) -> Response:
        etag = body.tag(coding)
        told = {
            "content-type": f"{kind}; charset=utf-8" if kind == TEXT_HTML else kind,
            "etag": etag,
            "vary": "Accept, Accept-Encoding",
            "cache-control": self._for_a_minute,
        }
        known = request.headers.get("If-None-Match")
        if known is not None and matches(known, etag):
            return Response(304, told)
        return Response(200, told | {"content-encoding": coding} if coding else told, body.coded(coding))

    # -- files

    async def _file(self, project: str, sha256: str, filename: str, request: web.BaseRequest) -> Response:
        hidden = self._hidden(request, project)
        if hidden is not None:
            return hidden
        page = await self._pages.get(project, IndexView())
        if filename.removesuffix(".metadata") not in page.artifacts:
            # Another worker may have told of it already.
            page = await self._pages.get(project, IndexView(), again=True)
        if page.page.status is ProjectStatus.QUARANTINED:
            return text_response(404, f"{project} is in quarantine: its index suspects it of doing harm.")
        artifact = page.artifacts.get(filename)
        if artifact is not None and artifact.sha256 == sha256:
            return await self._whole(artifact, request)
        artifact = page.artifacts.get(filename.removesuffix(".metadata"))
        if artifact is not None and artifact.sha256 == sha256 and artifact.metadata_sha256 is not None:
            return await self._metadata(artifact)
        if self._offer.private is not None and self._is_private(project):
            name = filename.removesuffix(".metadata")
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._executor, self._offer.private.find_lost, project, name, sha256)
        return text_response(404, f"{project} has no such file.")

    async def _metadata(self, artifact: Artifact) -> Response:
        loop = asyncio.get_running_loop()
        private = self._offer.private if artifact.promise.by is Promiser.PRIVATE else None
        try:
            if private is not None:
                content = await loop.run_in_executor(self._executor, private.metadata, artifact)
            else:
                content = await loop.run_in_executor(self._asks, self._offer.metadata, artifact)
        except BadWheel as error:
            return text_response(404, str(error))
        if artifact.metadata_sha256 and hashlib.sha256(content).hexdigest() != artifact.metadata_sha256:
            self._offer.doubt(artifact)
            self._pages.forget(artifact.project)
            wrong = f"the METADATA of {artifact.filename} isn't what its page promised: it is promised no more"
            log.warning("%s", printable(wrong))
            return text_response(404, f"{wrong}.")
        told = {"content-type": "application/octet-stream", "cache-control": self._lasting(artifact)}
        return Response(200, told, content)

    def _lasting(self, artifact: Artifact) -> str:
        return self._for_ever_of_private if artifact.promise.by is Promiser.PRIVATE else self._for_ever

    async def _whole(self, artifact: Artifact, request: web.BaseRequest) -> Response:
        """Return a wheel or sdist, or the part of it that is asked for."""
        etag = f'"{artifact.sha256}"'
        told = {
            "content-type": "application/octet-stream",
            "accept-ranges": "bytes",
            "etag": etag,
            "cache-control": self._lasting(artifact),
        }
        uploaded = await self._uploaded(artifact)  # whatever is asked: what nobody gets isn't confirmed, either
        known = request.headers.get("If-None-Match")
        if known is not None and matches(known, etag):
            return Response(304, told)
        if self._offer.redirect and uploaded is None:
            header = self._offer.region_header
            elsewhere = await self._elsewhere(artifact, request.headers.get(header, "") if header else "")
            if elsewhere is not None:
                return Response(302, {"location": elsewhere, "cache-control": "no-store"})
        if request.method == "HEAD" and artifact.size is not None:
            # Nobody wants the bytes, so that nothing need be fetched.
            return Response(200, told | {"content-length": str(artifact.size)})
        found = uploaded or await self._files.get(artifact)
        try:
            size = found.stat().st_size if isinstance(found, Path) else found.size
        except OSError:
            # Let go of in this moment: whoever asks again gets it.
            return text_response(503, f"{artifact.filename} has just gone.", retry_after="1")
        wanted: tuple[int, int] | None = None
        asked = request.headers.get("Range")
        if asked is not None and request.headers.get("If-Range", etag) == etag:
            try:
                wanted = byte_range(asked, size)
            except ValueError:
                return Response(416, told | {"content-range": f"bytes */{size}"})
        start, end = wanted or (0, size)
        if isinstance(found, IncomingFile):
            # What fails before the first byte is told by the status.
            found = await self._files.begun(found, artifact, (start, end))
        if isinstance(found, PassedFile):
            # All of it: a part can't be verified, and whoever asks for one takes the whole as well.
            return Response(200, told, span=(0, size), parts=found.parts())
        if wanted is not None:
            told["content-range"] = f"bytes {start}-{end - 1}/{size}"
        answer = Response(206 if wanted is not None else 200, told, span=(start, end))
        if isinstance(found, IncomingFile):
            answer.parts = found.parts(start, end)
        else:
            answer.file = found
        return answer

    async def _uploaded(self, artifact: Artifact) -> Path | None:
        """Return a private file that is as it was uploaded; None: it isn't private. Raises `PrivateDamaged`."""
        if self._offer.private is None or artifact.promise.by is not Promiser.PRIVATE:
            return None
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._offer.private.checked, artifact)

    async def _elsewhere(self, artifact: Artifact, region: str) -> str | None:
        """Return the address of a file at the best of its sources for a client; None where none is on the network."""
        loop = asyncio.get_running_loop()
        sources = await loop.run_in_executor(self._asks, self._offer.fetcher.sources, artifact)
        country = region.strip().upper()

        def rank(source: Source) -> tuple[bool, bool, bool, float]:
            """Return the authority last: clients check what they get, and whoever has lied is not among them.

            Speed is as it is from here: of somebody in another country it says less than where a mirror is.
            """
            far = bool(country) and source.region.upper() != country
            return source.name == AUTHORITY, far, not source.proven, -(source.speed or 0.0)

        for source in sorted(sources, key=rank):
            if source.url.startswith(("http://", "https://")):
                return source.url
        return None

    # -- uploads

    def _takes_uploads(self, view: IndexView, rest: list[str]) -> bool:
        places: tuple[list[str], ...] = ([], [""], ["legacy"], ["legacy", ""])
        return self._offer.private is not None and view.private and view.depth == 1 and rest in places

    async def _upload(self, request: web.BaseRequest, view: IndexView, rest: list[str]) -> Response:
        """Return what twine sends (the API of the public index, which calls it `legacy`)."""
        private = self._offer.private
        if private is None or not self._takes_uploads(view, rest):
            return text_response(405, "Nothing can be written here.", allow="GET, HEAD")
        if not self._offer.uploads:
            return text_response(403, "Uploads are off: they are let in with --uploads.")
        refused = self._refused(request, TokenScope.UPLOAD)
        if refused is not None:
            return refused
        private.check_there()
        answer, project = await receive(
            request,
            private,
            lambda project: self._refused(request, TokenScope.UPLOAD, project),
            self._offer.now,
            self._executor,
            largest=self._offer.largest_upload,
        )
        if project:
            self._pages.forget(project)
        return answer


@lru_cache(512)
def _parts(path: str) -> tuple[IndexView, list[str]]:
    """Return the view and the rest of a path. Raises `BadView`."""
    return split_view([unquote(part, errors="replace") for part in path.split("/")[1:]])


def _kind(request: web.BaseRequest) -> str | None:
    forced = request.query.get("format", "") if request.rel_url.raw_query_string else ""
    return content_type(request.headers.get("Accept", ""), forced=forced)


def _not_acceptable() -> Response:
    return text_response(406, f"There are {JSON}, {HTML} and {TEXT_HTML}.")


def _moved(request: web.BaseRequest, project: str, parts: int) -> Response:
    """Redirect to the canonical name with a slash, relative, so that it holds behind any prefix."""
    query = request.rel_url.raw_query_string
    target = f"{project}/" if parts == 2 else f"../{project}/"
    return Response(301, {"location": target + (f"?{query}" if query.isprintable() and query else "")})
