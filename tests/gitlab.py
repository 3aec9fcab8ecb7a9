"""GitLab's REST API on loopback, as far as notes of a merge request and the artifacts of jobs go."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PROJECT = "team/lib"
ME, SOMEBODY = 900, 7
TOKEN = "glpat-of-the-project"


@dataclass
class KeptJob:
    """A job that is over."""

    name: str
    status: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Its artifacts."""


class GitLab:
    """The server; a context manager."""

    def __init__(self) -> None:
        self.notes: list[dict[str, Any]] = []
        self.pipelines: list[tuple[str, list[KeptJob]]] = []
        """Branches and jobs, the oldest first."""
        self.refuses: int | None = None
        """A status with which everything is answered."""
        self.requests: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"gitlab": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def variables(self) -> dict[str, str]:
        """What a job of the merge request 3 has."""
        return {
            "CI_API_V4_URL": f"{self.address}/api/v4",
            "CI_PROJECT_ID": PROJECT,
            "CI_DEFAULT_BRANCH": "main",
            "CI_JOB_NAME": "tf-tester",
            "CI_JOB_URL": "https://gitlab.invalid/team/lib/-/jobs/5",
            "CI_MERGE_REQUEST_IID": "3",
            "CI_MERGE_REQUEST_PROJECT_ID": PROJECT,
            "GITLAB_TOKEN": TOKEN,
        }

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def add(self, body: str, author: int = SOMEBODY) -> dict[str, Any]:
        """Have a note that somebody has written."""
        self.notes.append({"id": len(self.notes) + 1, "body": body, "author": {"id": author}, "system": False})
        return self.notes[-1]

    def __enter__(self) -> "GitLab":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    gitlab: GitLab

    def do_GET(self) -> None:
        place = urlsplit(self.path)
        path, words = self._known(place.path), parse_qs(place.query)
        if place.path.startswith("/cdn/"):
            # It is another machine's: a token in a request to it would be known there.
            assert self.headers["PRIVATE-TOKEN"] is None
            number, _, name = unquote(place.path).removeprefix("/cdn/").partition("/")
            self._send(200, self._jobs()[int(number)].files[name])
        elif self.gitlab.refuses is not None or self.headers["PRIVATE-TOKEN"] != TOKEN:
            self._answer(self.gitlab.refuses or 401, {"message": "no"})
        elif path == "user":
            self._answer(200, {"id": ME, "username": "project_1_bot"})
        elif path == "merge_requests/3/notes":
            self._answer(200, self._page(self.gitlab.notes, words))
        elif path == "pipelines":
            found = [
                {"id": number, "ref": ref}
                for number, (ref, _) in enumerate(self.gitlab.pipelines)
                if [ref] == words["ref"]
            ]
            self._answer(200, found[::-1][: int(words["per_page"][0])])
        elif path.startswith("pipelines/") and path.endswith("/jobs"):
            pipeline = int(path.split("/")[1])
            jobs = [self._job(number, job) for number, job in self._jobs().items() if number // 1000 == pipeline]
            self._answer(200, self._page([job for job in jobs if job["status"] in words["scope[]"]], words))
        else:
            number, _, name = path.removeprefix("jobs/").partition("/artifacts/")
            if unquote(name) not in self._jobs()[int(number)].files:
                self._answer(404, {"message": "404 Not Found"})
                return
            self.send_response(302)
            self.send_header("Location", f"{self.gitlab.address.replace('127.0.0.1', 'localhost')}/cdn/{number}/{name}")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def do_POST(self) -> None:
        assert self._known(self.path) == "merge_requests/3/notes"
        self._write(lambda body: (201, self.gitlab.add(body, ME)))

    def do_PUT(self) -> None:
        number = int(self._known(self.path).removeprefix("merge_requests/3/notes/"))
        [known] = [note for note in self.gitlab.notes if note["id"] == number]
        assert known["author"] == {"id": ME}, "nobody may change what others wrote"

        def replaced(body: str) -> tuple[int, dict[str, Any]]:
            known["body"] = body
            return 200, known

        self._write(replaced)

    def _known(self, path: str) -> str:
        """Return the path within the project, or of the API."""
        self.gitlab.requests.append(f"{self.command} {path}")
        own = path.removeprefix("/api/v4/")
        name, project = own.partition("/")[0], f"projects/{PROJECT.replace('/', '%2F')}/"
        return own if name == "user" or path.startswith("/cdn/") else own.removeprefix(project)

    def _jobs(self) -> dict[int, KeptJob]:
        return {
            pipeline * 1000 + place: job
            for pipeline, (_, jobs) in enumerate(self.gitlab.pipelines)
            for place, job in enumerate(jobs)
        }

    def _job(self, number: int, job: KeptJob) -> dict[str, Any]:
        archive = {"artifacts_file": {"filename": "artifacts.zip", "size": 1}} if job.files else {}
        return {"id": number, "name": job.name, "status": job.status, **archive}

    def _page(self, entries: list[Any], words: Mapping[str, list[str]]) -> list[Any]:
        size, page = int(words["per_page"][0]), int(words["page"][0])
        return entries[(page - 1) * size : page * size]

    def _write(self, write: Any) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]
        if self.gitlab.refuses is not None or self.headers["PRIVATE-TOKEN"] != TOKEN:
            self._answer(self.gitlab.refuses or 401, {"message": "no"})
        else:
            self._answer(*write(body))

    def _answer(self, status: int, value: Any) -> None:
        self._send(status, json.dumps(value).encode())

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
