"""What a run came to, for those who weren't at the terminal: a module for each format.

Each has a function `render`, a fold over the report: the same record gives the same bytes. What comes from tests,
packages and machines is escaped by the rules of the format, and shown with what is invisible in it made visible.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import PurePath

from msgspec import Struct

from tf_tester.core.outcome.report import RunReport
from tf_tester.errors import UsageError

GROUP = "tf_tester.report_formats"
"""The entry points of formats that others bring: each names a `Renderer`."""


class Rendering(Struct, frozen=True):
    """How a report is to be rendered."""

    language: str = ""
    """Of a page: `en` or `zh`; empty: its reader's."""
    most_bytes: int | None = None
    """What the place takes that it is for; the least important is left out. None: what the format's usual place takes.
    """
    checkout: str = ""
    """The folder of the repository, from which CI systems name the files that they mark; empty: the run's own."""


Renderer = Callable[[RunReport, Rendering], str]


class Format(Struct, frozen=True):
    """One that tf-tester has."""

    module: str
    """In this folder."""
    suffixes: tuple[str, ...]
    """Of files that mean it where no format is named."""
    purpose: str


FORMATS: Mapping[str, Format] = {
    "html": Format("page", (".html", ".htm"), "one page for people, without any request to elsewhere"),
    "junit": Format("junit", (".xml",), "JUnit XML, a suite for each cell: Jenkins, GitLab, most CI systems"),
    "markdown": Format("markdown", (".md",), "a step summary or a comment, shortened by importance"),
    "github": Format("github", (), "annotations of GitHub's workflow commands, at most 10, for standard output"),
    "gitlab": Format("gitlab", (), "GitLab's code quality report"),
    "sarif": Format("sarif", (".sarif",), "SARIF 2.1.0: failures and deprecations at your files and lines"),
    "ctrf": Format("ctrf", (), "the Common Test Report Format"),
    "json": Format("summary", (), "what all of these tell, for programs"),
}


def renderer(name: str) -> Renderer:
    """Return what renders a format, ours or one of an installed distribution. Raises `UsageError`."""
    if (own := FORMATS.get(name)) is not None:
        render: Renderer = import_module(f"{__name__}.{own.module}").render
        return render
    others = entry_points(group=GROUP)
    if name not in others.names:
        known = ", ".join([*FORMATS, *sorted(others.names)])
        raise UsageError(f"There is no report format {name}.", hint=f"There are {known}.")
    try:
        loaded: Renderer = others[name].load()
    except Exception as error:
        raise UsageError(
            f"The report format {name} of {others[name].value} can't be loaded: {type(error).__name__}: {error}.",
            hint="Repair or remove the distribution that brings it.",
        ) from error
    return loaded


def format_of(file: PurePath) -> str:
    """Return the format that a file's name means. Raises `UsageError` where it means none."""
    for name, one in FORMATS.items():
        if file.name.endswith(one.suffixes or ("\0",)):
            return name
    raise UsageError(f"Which report {file} is to be isn't said.", hint="Name its format: --format junit, or another.")
