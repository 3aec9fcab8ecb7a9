"""What steps of action.yml do that a shell does badly; standard library alone, on the Python that runs tf-tester.

python action_steps.py words TEXT...        # the words of shell-like texts, each ended by a NUL
python action_steps.py new RECORD           # `new=true` where the run put something into the store
python action_steps.py comment NAME FILE    # write a pull request's comment, or write it anew
"""

import json
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

PAGE = 100
"""Comments that are asked for at once, the most that GitHub gives."""
TIMEOUT = 30
"""Seconds."""


def words(texts: list[str]) -> int:
    """Print the words of texts as a shell would read them, nothing expanded; return the exit code."""
    try:
        found = [word for text in texts for word in shlex.split(text)]
    except ValueError as error:
        print(f"::error title=tf-tester::An input can't be read as words of a shell: {error}.")
        return 2
    sys.stdout.write("".join(f"{word}\0" for word in found))
    return 0


def is_new(record: Path) -> bool:
    """Return whether a run has brought a file, made a lock or seen a pass, which a later run would do again."""
    for line in record.read_text("utf-8", "replace").splitlines():
        try:
            event: dict[str, Any] = json.loads(line)
        except ValueError:
            continue  # it was cut off
        match event.get("event"):
            case "transfer-finished":
                return True
            case "cell-locked" if not event["from_store"]:
                return True
            case "cell-finished" if event["result"]["outcome"] == "pass" and not event["result"].get("replayed"):
                return True
            case _:
                pass
    return False


def comment(name: str, file: Path, environ: Mapping[str, str]) -> str:
    """Write the comment, and return the workflow command that tells what became of it.

    Nothing that goes wrong here is a failure of the tests: it is told.
    """
    event = json.loads(Path(environ["GITHUB_EVENT_PATH"]).read_text("utf-8"))
    number = event.get("pull_request", {}).get("number")
    if number is None:
        return _told("notice", "There is no pull request to comment on.")
    marker = f"<!-- tf-tester: {re.sub('--+', '-', name)} -->"
    run = f"{environ['GITHUB_SERVER_URL']}/{environ['GITHUB_REPOSITORY']}/actions/runs/{environ['GITHUB_RUN_ID']}"
    body = f"{marker}\n{file.read_text('utf-8')}\n[The run, with all reports]({run})\n"
    try:
        return _told("notice", f"{_written(int(number), marker, body, environ)} the comment of pull request {number}.")
    except HTTPError as error:
        if error.code in (401, 403, 404):
            return _told(
                "notice",
                "No comment: the token may not write one. It never may for a pull request from a fork; else give the "
                "job `pull-requests: write` among its permissions. The run's summary has the same.",
            )
        return _told("warning", f"No comment: GitHub answered {error.code}.")
    except (URLError, OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        return _told("warning", f"No comment: GitHub could not be asked ({type(error).__name__}: {error}).")


def _written(number: int, marker: str, body: str, environ: Mapping[str, str]) -> str:
    """Write the comment in the place of the one with this marker, and return in a word what was done."""
    repository = f"{environ['GITHUB_API_URL']}/repos/{environ['GITHUB_REPOSITORY']}"
    for known in _comments(f"{repository}/issues/{number}/comments", environ):
        # Anybody may write a marker; only what a program wrote is ours.
        if str(known["body"]).startswith(marker) and known["user"]["type"] == "Bot":
            _ask("PATCH", f"{repository}/issues/comments/{int(known['id'])}", environ, body)
            return "Updated"
    _ask("POST", f"{repository}/issues/{number}/comments", environ, body)
    return "Wrote"


def _comments(url: str, environ: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    page = 1
    while found := _ask("GET", f"{url}?per_page={PAGE}&page={page}", environ):
        yield from found
        if len(found) < PAGE:
            return
        page += 1


def _ask(method: str, url: str, environ: Mapping[str, str], body: str | None = None) -> Any:
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {environ['GITHUB_TOKEN']}",
        "Content-Type": "application/json",
        "User-Agent": "tf-tester",
    }
    content = None if body is None else json.dumps({"body": body}).encode()
    with urlopen(Request(url, data=content, headers=headers, method=method), timeout=TIMEOUT) as answer:
        return json.load(answer)


def _told(kind: str, text: str) -> str:
    return f"::{kind} title=tf-tester::{text}".replace("\r", " ").replace("\n", " ")


def main(command: str, *given: str) -> int:
    """Do one step, and return its exit code."""
    match command, given:
        case "words", _:
            return words(list(given))
        case "new", (record,):
            print(f"new={str(is_new(Path(record))).lower()}")
        case "comment", (name, file):
            print(comment(name, Path(file), os.environ))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
