"""A project on GitLab, for a job of its pipelines: comments of a merge request, artifacts of the default branch.

By https://docs.gitlab.com/api/ (notes, pipelines, jobs, job artifacts). The token of a job may do nothing of this, so
it takes one of the project's own; it goes to GitLab alone, also where that sends on to another place for a file.
"""

import json
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import msgspec
from msgspec import Struct

from tf_tester.errors import OurFailure

PAGE = 100
"""Entries that are asked for at once, the most that GitLab gives."""
_MOST_PIPELINES = 20
"""Of the default branch that are looked through, the newest first."""
_TIMEOUT = 30
"""Seconds."""
_CHUNK = 2**16
_NETWORK = (OSError, HTTPException, ValueError)
"""What asking and reading raise; an address that is none, too."""


class GitLabRefused(OurFailure):
    """GitLab doesn't give or take what it was asked for."""


class _Author(Struct, frozen=True):
    id: int


class _Note(Struct, frozen=True):
    id: int
    body: str
    author: _Author


class _Pipeline(Struct, frozen=True):
    id: int


class _Archive(Struct, frozen=True):
    filename: str


class _Job(Struct, frozen=True):
    id: int
    name: str
    artifacts_file: _Archive | None = None
    """None: it has left none, or they are gone."""


_Answer = TypeVar("_Answer")


class GitLabProject:
    """One project, as whoever has the token sees it."""

    def __init__(self, api: str, project: str, token: str, *, authority: str = "") -> None:
        """`api`: the address with its version; `project`: number or path; `authority`: a file of certificates that
        are trusted, too. Raises `GitLabRefused`.
        """
        self._api = api
        self._project = f"projects/{quote(project, safe='')}"
        self._token = token
        try:
            self._context = ssl.create_default_context()
            if authority:
                self._context.load_verify_locations(authority)
        except OSError as error:
            raise GitLabRefused(f"The certificates in {authority} can't be read: {error}.") from error

    def comment(self, merge_request: int, marker: str, text: str) -> bool:
        """Write a comment in the place of the own one that begins with a marker; return whether there was one.

        Raises `GitLabRefused`.
        """
        notes = f"{self._project}/merge_requests/{merge_request}/notes"
        own = self._get("user", _Author)
        body = {"body": f"{marker}\n{text}"}
        for note in self._pages(notes, _Note, {"sort": "asc"}):
            # Anybody may write a marker; only what the token's user wrote is ours.
            if note.body.startswith(marker) and note.author == own:
                self._ask("PUT", f"{notes}/{note.id}", body).close()
                return True
        self._ask("POST", notes, body).close()
        return False

    def bring_artifact(self, branch: str, job: str, path: str, target: Path) -> bool:
        """Write a file that a job has left, in the newest pipeline of a branch that has it; return whether one has.

        A job that failed counts, too. Raises `GitLabRefused`, `OSError`.
        """
        words = urlencode({"ref": branch, "per_page": _MOST_PIPELINES})
        for pipeline in self._get(f"{self._project}/pipelines?{words}", list[_Pipeline]):
            jobs = f"{self._project}/pipelines/{pipeline.id}/jobs"
            for known in self._pages(jobs, _Job, {"scope[]": ["success", "failed"]}):
                if known.name != job or known.artifacts_file is None:
                    continue
                if self._brought(f"{self._project}/jobs/{known.id}/artifacts/{quote(path)}", target):
                    return True
        return False

    def _brought(self, path: str, target: Path) -> bool:
        with tempfile.TemporaryDirectory(prefix=".tf-tester-", dir=target.absolute().parent) as folder:
            growing = Path(folder) / target.name
            try:
                with self._ask("GET", path) as answer, growing.open("wb") as file:
                    file.writelines(_chunks(answer))
            except GitLabRefused as error:
                if isinstance(error.__cause__, HTTPError) and error.__cause__.code == 404:
                    return False
                raise
            growing.replace(target)
        return True

    def _pages(self, path: str, kind: type[_Answer], words: Mapping[str, Any]) -> Iterator[_Answer]:
        page = 1
        while True:
            asked = urlencode({**words, "per_page": PAGE, "page": page}, doseq=True)
            found = self._get(f"{path}?{asked}", list[kind])  # type: ignore[valid-type]
            yield from found
            if len(found) < PAGE:
                return
            page += 1

    def _get(self, path: str, kind: type[_Answer]) -> _Answer:
        with self._ask("GET", path) as answer:
            content = b"".join(_chunks(answer))
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.DecodeError as error:
            raise GitLabRefused(f"GitLab's answer isn't what it should be: {error}.") from error

    def _ask(self, method: str, path: str, body: Mapping[str, str] | None = None) -> BinaryIO:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "tf-tester"}
        try:
            request = Request(f"{self._api}/{path}", data=content, headers=headers, method=method)
            request.add_unredirected_header("PRIVATE-TOKEN", self._token)
            answer: BinaryIO = urlopen(request, timeout=_TIMEOUT, context=self._context)
        except HTTPError as error:
            error.close()
            raise GitLabRefused(f"GitLab answered {error.code}.", hint=_hint(error.code)) from error
        except _NETWORK as error:
            raise GitLabRefused(f"GitLab could not be asked ({type(error).__name__}: {error}).") from error
        return answer


def _chunks(answer: BinaryIO) -> Iterator[bytes]:
    while True:
        try:
            chunk = answer.read(_CHUNK)
        except _NETWORK as error:
            raise GitLabRefused(f"GitLab's answer broke off ({type(error).__name__}: {error}).") from error
        if not chunk:
            return
        yield chunk


def _hint(status: int) -> str:
    if status in (401, 403, 404):
        return "The token must be one of this project, with the scope api and the role Reporter, and not have expired."
    return ""
