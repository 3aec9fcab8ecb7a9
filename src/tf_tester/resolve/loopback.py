"""The index that uv sees: ours, on loopback, showing each question just what its answer may hold.

A view is the authority's pages (a) as of a day, (b) without source distributions but those that may be built,
which are shown as the wheels they will become, (c) with metadata, also where the authority has none. A view with
`serves_files` serves build requirements, files included, and undated: the cut-off binds what runs, not what builds.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from msgspec import Struct, field
from msgspec.structs import replace

from tf_tester.core.index.era import as_of, files_by_version, without_new_majors
from tf_tester.core.index.left_out import told_left_out, unusable
from tf_tester.core.index.simple import JSON_TYPE, render_json
from tf_tester.core.select.tags import best_wheel
from tf_tester.errors import BadWheel, BuildFailed, OurFailure, TfTesterError, UnknownProject
from tf_tester.model.artifact import Artifact, ProjectPage
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.ports.fetch import Fetcher
from tf_tester.ports.index import Index
from tf_tester.ports.resolve import LocalWheel

if TYPE_CHECKING:
    from tf_tester.resolve.loopback_server import Server


class Waits:
    """Adds up for how long at least one of many threads was within the block."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._within = 0
        self._since = self._past = 0.0

    def __enter__(self) -> None:
        with self._lock:
            if not self._within:
                self._since = time.monotonic()
            self._within += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._within -= 1
            if not self._within:
                self._past += time.monotonic() - self._since

    def seconds(self) -> float:
        with self._lock:
            return self._past + (time.monotonic() - self._since if self._within else 0.0)


class QuestionView(Struct, eq=False):
    """What one question may see, and what came up while it was answered."""

    interpreter: Interpreter
    cutoff: datetime | None
    may_build: Callable[[str], bool]
    metadata: Callable[[Artifact], bytes]
    """Of a wheel; of the wheel that it becomes, for an sdist."""
    exempt: frozenset[str] = frozenset()
    """Projects for which the cutoff doesn't count."""
    majors_until: datetime | None = None
    """New major releases that came later aren't shown; None: they are."""
    admitted: frozenset[str] = frozenset()
    """Projects of which they are shown all the same."""
    held: dict[str, frozenset[str]] = field(default_factory=dict)
    """Versions that aren't shown for that, by project."""
    passes_over_failed_builds: bool = False
    """Whether a version that can't be built is left for another one, or ends the resolution."""
    passed_over: set[str] = field(default_factory=set)
    """File names of those."""
    local: Mapping[str, LocalWheel] = {}
    """By canonical name; of these projects nothing else is shown."""
    serves_files: bool = False
    asked: bool = False
    """Whether uv reached us at all."""
    token: str = field(default_factory=lambda: os.urandom(8).hex())
    errors: list[TfTesterError] = field(default_factory=list)
    """Failures of ours that uv would report as missing files."""
    undated: set[str] = field(default_factory=set)
    """Projects whose page tells no upload times."""
    pages: dict[str, ProjectPage] = field(default_factory=dict)
    """What was asked for, as the index has it today."""
    unusable: dict[str, str] = field(default_factory=dict)
    """What is left out of pages that were asked for, and why, by project; others' pages left nothing out."""
    only_sdists: set[str] = field(default_factory=set)
    """Projects of which nothing but sources, which were not shown, would fit."""
    supposes_builds: bool = False
    """Whether these are shown all the same, as if they could be built and required nothing: to learn who is needed."""
    seen: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """METADATA that was asked for, by project and version."""
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    """By SHA-256: what the pages of this view hold, so that nothing else is ever fetched."""
    waits: Waits = field(default_factory=Waits)
    """While whoever asks waits for us."""


class LoopbackIndex:
    """A PEP 691 server of views, from the first `url` to `close`."""

    def __init__(self, index: Index, fetcher: Fetcher) -> None:
        self._index = index
        self._fetcher = fetcher
        self._views: dict[str, QuestionView] = {}
        self._server: Server | None = None
        self._lock = threading.Lock()

    def url(self, view: QuestionView) -> str:
        """Return the view's index URL; starts the server at the first call."""
        with self._lock:
            if self._server is None:
                from tf_tester.resolve.loopback_server import Server  # 20 ms: most runs know their locks

                self._server = Server(self.respond)
                threading.Thread(target=self._server.serve_forever, args=(0.05,), name="loopback", daemon=True).start()
            self._views[view.token] = view
            return f"http://127.0.0.1:{self._server.server_address[1]}/{view.token}/simple"

    def forget(self, view: QuestionView) -> None:
        with self._lock:
            self._views.pop(view.token, None)

    def close(self) -> None:
        with self._lock:
            if self._server is not None:
                self._server.shutdown()
                self._server.server_close()
                self._server = None

    def respond(self, path: str) -> tuple[int, str, bytes | Path]:
        """Return status, content type and body (a file where a path is given) for one request path."""
        parts = [unquote(part) for part in path.split("?")[0].strip("/").split("/")]
        view = self._views.get(parts[0])
        if view is None or len(parts) < 3:
            return 404, "text/plain", b"no such view"
        view.asked = True
        with view.waits:
            return self._answer(view, parts)

    def _answer(self, view: QuestionView, parts: Sequence[str]) -> tuple[int, str, bytes | Path]:
        try:
            if parts[1] == "simple":
                return 200, JSON_TYPE, self._page(view, parts[2])
            return self._file(view, parts[2], parts[-1])
        except UnknownProject:
            return 404, "text/plain", b"no such project"
        except BadWheel as error:
            # Invalid metadata makes uv leave that version and say so; a 500 would end the whole resolution.
            return 200, "text/plain", f"invalid: {error}".encode()
        except BuildFailed as error:
            if view.passes_over_failed_builds:
                view.passed_over.add(view.artifacts[parts[2]].filename)
                return 200, "text/plain", f"invalid: {error}".encode()
            view.errors.append(error)
        except TfTesterError as error:
            view.errors.append(error)
        except OSError as error:
            view.errors.append(OurFailure(f"{error.filename or 'the store'}: {error.strerror or error}"))
        return 503, "text/plain", str(view.errors[-1]).encode()

    def _page(self, view: QuestionView, project: str) -> bytes:
        local = view.local.get(project)
        if local is not None:
            return self._rendered(view, ProjectPage(project, (replace(local.pin.artifact, metadata_sha256=""),)))
        whole = view.pages[project] = self._index.page(project)
        if left_out := unusable(whole):
            view.unusable[project] = told_left_out(left_out)
        page, dated = as_of(whole, None if project in view.exempt else view.cutoff)
        if not dated:
            view.undated.add(project)
        if view.majors_until is not None and project not in view.exempt | view.admitted:
            page, held = without_new_majors(page, view.majors_until)
            if held:
                view.held[project] = held
        shown = shown_to_uv(page, view.interpreter, view.may_build)
        if shown.hidden and best_wheel(shown.artifacts, view.interpreter) is None:
            view.only_sdists.add(project)
            if view.supposes_builds:
                shown = shown_to_uv(page, view.interpreter, lambda _name: True)
        view.artifacts.update({a.sha256: a for a in page.artifacts if a.sha256})
        return self._rendered(view, replace(page, artifacts=tuple(a for a in shown.artifacts if a.sha256)))

    def _rendered(self, view: QuestionView, page: ProjectPage) -> bytes:
        view.artifacts.update({a.sha256: a for a in page.artifacts if a.sha256 and a.sha256 not in view.artifacts})
        return render_json(page, lambda artifact: f"/{view.token}/files/{artifact.sha256}/{artifact.filename}")

    def _file(self, view: QuestionView, sha256: str, filename: str) -> tuple[int, str, bytes | Path]:
        artifact = view.artifacts.get(sha256)
        if artifact is None:
            return 404, "text/plain", b"not shown in this view"
        if filename.endswith(".metadata"):
            metadata = _metadata(view, artifact)
            view.seen[(artifact.project, artifact.version)] = metadata
            return 200, "text/plain", metadata
        if view.serves_files:
            from tf_tester.resolve.archives import check_wheel  # few runs build

            # What it would unpack to on the disk is seen too late: uv does so in a folder that all builds share.
            wheel = self._fetcher.fetch(artifact)
            check_wheel(wheel, artifact.filename)
            return 200, "application/octet-stream", wheel
        return 404, "text/plain", b"this view has metadata only"


def _metadata(view: QuestionView, artifact: Artifact) -> bytes:
    local = view.local.get(artifact.project)
    if local is not None:
        return local.metadata
    if artifact.project in view.only_sdists and view.supposes_builds and not artifact.is_wheel:
        return f"Metadata-Version: 2.1\nName: {artifact.project}\nVersion: {artifact.version}\n".encode()
    return view.metadata(artifact)


class OfferedFiles(Struct, frozen=True):
    """The files of a page that uv is shown."""

    artifacts: tuple[Artifact, ...]
    hidden: bool
    """Some version has only source distributions that may not be built."""


def shown_to_uv(page: ProjectPage, interpreter: Interpreter, may_build: Callable[[str], bool]) -> OfferedFiles:
    """Return wheels as they are; a version without a fitting wheel as the wheel that its sdist becomes, if it may be
    built.
    """
    shown: list[Artifact] = []
    hidden = False
    for artifacts in files_by_version(page.artifacts).values():
        wheels = [artifact for artifact in artifacts if artifact.is_wheel]
        if not interpreter.is_here:
            # uv is told of the newest machine of that kind: which wheels fit the one that is meant, we know.
            wheels = [wheel for wheel in wheels if best_wheel([wheel], interpreter) is not None]
        sdists = [artifact for artifact in artifacts if artifact.is_sdist]
        shown.extend(replace(wheel, metadata_sha256="") for wheel in wheels)
        if not sdists or (wheels and best_wheel(wheels, interpreter) is not None):
            continue
        if may_build(page.project):
            sdist = sdists[0]
            name = f"{page.project.replace('-', '_')}-{sdist.version.replace('-', '_')}-py2.py3-none-any.whl"
            shown.append(replace(sdist, filename=name, metadata_sha256=""))
        else:
            hidden = hidden or not wheels
    return OfferedFiles(tuple(shown), hidden)
