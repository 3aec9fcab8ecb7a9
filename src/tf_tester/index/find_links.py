"""What pip's `--find-links` names: a folder of wheels, or a page with links to files of any projects.

As an index it has the projects of these files and no dates. Promise: a file of a folder is taken as it was when it was
looked at; one behind a link only if the link has its SHA-256 (`#sha256=`).
"""

import hashlib
import threading
from pathlib import Path

from tf_tester.core.index.links import display_url, local_path, without_credentials
from tf_tester.core.index.simple import parse_page
from tf_tester.errors import IndexUnreachable, NotAPage, UnknownProject
from tf_tester.given_files import read_given
from tf_tester.index.http import PageAccess
from tf_tester.model.artifact import Artifact, ProjectPage, split_filename
from tf_tester.ports.index import CachedPage

_PAGES = (".html", ".htm")


class LinkedFiles:
    """`ports.Index`; a folder is looked at once, and a page asked for once."""

    def __init__(self, place: str, access: PageAccess) -> None:
        """Open a folder, or the file of a page, by its absolute path or `file:` address; else a page by its address."""
        self._place = place
        self._access = access
        self._lock = threading.Lock()
        self._page: tuple[bytes, str] | None = None
        """A page's content, and what its links are relative to."""
        self._digests: dict[Path, str] = {}

    def page(self, project: str) -> ProjectPage:
        with self._lock:
            if (path := local_place(self._place)) is not None and not path.name.endswith(_PAGES):
                artifacts = self._in_folder(path, project)
            else:
                artifacts = self._behind_links(project, path)
        if not artifacts:
            raise UnknownProject(f"{display_url(self._place)} has no file of {project}", hint="Check what is in it.")
        return ProjectPage(project, artifacts)

    def _in_folder(self, folder: Path, project: str) -> tuple[Artifact, ...]:
        try:
            files = sorted(file for file in folder.iterdir() if file.is_file())
        except OSError as error:
            raise self._unreachable(error.strerror or str(error)) from error
        found = [(file, version) for file in files if (version := split_filename(file.name, project)) is not None]
        return tuple(
            Artifact(file.name, project, version, file.as_uri(), self._digest(file), file.stat().st_size)
            for file, version in found
        )

    def _digest(self, file: Path) -> str:
        if file not in self._digests:
            try:
                with file.open("rb") as stream:
                    self._digests[file] = hashlib.file_digest(stream, "sha256").hexdigest()
            except OSError as error:
                raise self._unreachable(f"{file.name}: {error.strerror}") from error
        return self._digests[file]

    def _behind_links(self, project: str, path: Path | None) -> tuple[Artifact, ...]:
        if self._page is None:
            self._page = self._content() if path is None else (self._of_file(path), path.as_uri())
        body, base = self._page
        try:
            return parse_page(body, "text/html", base, project).artifacts
        except NotAPage:
            return ()

    def _of_file(self, file: Path) -> bytes:
        try:
            return read_given(file)
        except OSError as error:
            raise self._unreachable(error.strerror or str(error)) from error

    def _content(self) -> tuple[bytes, str]:
        key = without_credentials(self._place)
        known = self._access.cache.get(key)
        if self._access.offline:
            if known is None:
                raise self._unreachable("the store doesn't have it, and --offline forbids to ask")
            return known.body, key
        try:
            answer = self._access.get.get_page(self._place, accept="text/html", etag=None)
        except IndexUnreachable as error:
            raise self._unreachable(str(error)) from error
        if answer.status != 200:
            raise self._unreachable(f"status {answer.status}")
        self._access.cache.put(key, CachedPage(answer.body, answer.content_type, None, self._access.now()))
        return answer.body, answer.url_after_redirects

    def _unreachable(self, reason: str) -> IndexUnreachable:
        return IndexUnreachable(
            f"{display_url(self._place)} (--find-links) can't be read: {reason}", hint="Check that it is there."
        )


def local_place(place: str) -> Path | None:
    """Return the path that is meant; None: it is an address."""
    if place.startswith("file:"):
        return local_path(place)
    return None if "://" in place else Path(place)


def state_of(place: str) -> str:
    """Return a word that changes with what a folder holds: an answer that was found in it is no answer then."""
    path = local_place(place)
    if path is None:
        return without_credentials(place)
    told = [place]
    try:
        files = [path] if path.is_file() else sorted(path.iterdir())
        told += [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    except OSError:
        pass  # whoever asks it is told
    return f"{place}#{hashlib.sha256(chr(0).join(told).encode()).hexdigest()[:16]}"
