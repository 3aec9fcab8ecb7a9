"""`tf-tester gitlab`: what a job of a GitLab pipeline does besides testing."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tf_tester.cli.common.options import EPILOG, GivenPath, options, settings_from
from tf_tester.cli.common.output import say
from tf_tester.cli.common.records import record_meant
from tf_tester.errors import TfTesterError, UsageError

if TYPE_CHECKING:
    from tf_tester.export.gitlab import GitLabProject

TOKEN = "GITLAB_TOKEN"
_MOST = 60_000
"""Bytes of a comment; nobody reads more in a merge request."""
_NO_TOKEN = f"the variable {TOKEN} isn't set: it takes a token of the project, with the scope api and the role Reporter"


@click.group("gitlab", epilog=EPILOG, short_help="Comment in a merge request, and bring the default branch's record.")
def command() -> None:
    """Comment in a merge request, and bring the default branch's record.

    For jobs of GitLab's pipelines, which say where they run. It takes a token of the project in the variable
    GITLAB_TOKEN, with the scope api and the role Reporter. What GitLab refuses is told, and fails no job.

    \b
    Examples:
      tf-tester gitlab baseline -o main.jsonl
      tf-tester gitlab comment record.jsonl
    """


@command.command("comment", short_help="Write what a run came to into the merge request.")
@click.argument("run", metavar="RUN|RECORD")
@options("store")
def comment(run: str, **_: object) -> int:
    """Write what a run came to into the merge request; the comment of an earlier run of this job is written anew."""
    from tf_tester.report.formats import Rendering, renderer
    from tf_tester.report.record import report_of

    environ, settings = os.environ, settings_from(click.get_current_context().params).settings
    report = report_of(record_meant(run, settings.store / "runs"))
    job = _needed("CI_JOB_NAME", environ)
    merge_request = merge_request_of(environ)
    if merge_request is None:
        say(["There is no merge request to comment on."])
        return 0
    project, number = merge_request
    if not environ.get(TOKEN):
        say([f"No comment: {_NO_TOKEN}."])
        return 0
    text = renderer("markdown")(report, Rendering(most_bytes=_MOST))
    link = f"[The job, with all reports]({environ.get('CI_JOB_URL', '')})" if environ.get("CI_JOB_URL") else ""
    marker = f"<!-- tf-tester: {job.replace('--', '-')} -->"
    try:
        replaced = _project(project, environ).comment(number, marker, f"{text}\n{link}\n")
    except TfTesterError as error:
        _tell("No comment", error)
    else:
        say([f"{'Updated' if replaced else 'Wrote'} the comment of merge request {number}."])
    return 0


@command.command("baseline", short_help="Bring the last record of the default branch.")
@click.option(
    "-o",
    "--output",
    type=GivenPath(dir_okay=False),
    required=True,
    metavar="RECORD",
    help="Where to write it; nothing is written where there is none, or this is the default branch.",
)
@click.option(
    "--artifact",
    default="tf-tester/record.jsonl",
    show_default=True,
    metavar="PATH",
    help="What the record is called in the artifacts of this job.",
)
def baseline(output: Path, artifact: str) -> int:
    """Bring the last record of the default branch: what this job has left there, whether it failed or not."""
    from tf_tester.cli.common.reports import WantedReport, check
    from tf_tester.flow.prepare.wheel_folder import folder_errors

    environ = os.environ
    check(WantedReport("json", output))
    job, branch = _needed("CI_JOB_NAME", environ), _needed("CI_DEFAULT_BRANCH", environ)
    if environ.get("CI_COMMIT_BRANCH") == branch:
        say(["This is the default branch: it is compared with nothing."])
        return 0
    if not environ.get(TOKEN):
        say([f"No baseline: {_NO_TOKEN}. Every failure counts."])
        return 0
    project = environ.get("CI_MERGE_REQUEST_PROJECT_ID") or _needed("CI_PROJECT_ID", environ)
    try:
        with folder_errors(output):
            found = _project(project, environ).bring_artifact(branch, job, artifact, output)
    except TfTesterError as error:
        _tell("No baseline", error)
        return 0
    if found:
        say([f"Brought the record of {branch}, with which this run is compared."])
    else:
        say([f"No baseline: of {branch} there is no record yet, or none any more. Every failure counts."])
    return 0


def merge_request_of(environ: Mapping[str, str]) -> tuple[str, int] | None:
    """Return the project and the number of the merge request that a job is for; None: there is none.

    A pipeline of a branch names those that are open for it, as `group/project!7`.

    >>> merge_request_of({"CI_OPEN_MERGE_REQUESTS": "team/lib!7,team/lib!9"})
    ('team/lib', 7)
    """
    number = environ.get("CI_MERGE_REQUEST_IID", "")
    project = environ.get("CI_MERGE_REQUEST_PROJECT_ID") or environ.get("CI_PROJECT_ID", "")
    if not number:
        project, _, number = environ.get("CI_OPEN_MERGE_REQUESTS", "").partition(",")[0].rpartition("!")
    return (project, int(number)) if project and number.isascii() and number.isdigit() and len(number) < 20 else None


def _project(project: str, environ: Mapping[str, str]) -> "GitLabProject":
    from tf_tester.export.gitlab import GitLabProject

    authority = environ.get("CI_SERVER_TLS_CA_FILE", "")
    return GitLabProject(_needed("CI_API_V4_URL", environ), project, environ[TOKEN], authority=authority)


def _needed(name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name)
    if not value:
        raise UsageError(f"The variable {name} isn't set.", hint="Run this in a job of a GitLab pipeline.")
    return value


def _tell(what: str, error: TfTesterError) -> None:
    say([text for text in (f"{what}: {error}", error.hint) if text])
