"""From settings to what the use cases take; shared by the commands that select versions."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from packaging.utils import canonicalize_name

from tf_tester.core.config.settings import Settings
from tf_tester.errors import UsageError
from tf_tester.model.events import Event, MirrorsChosen, TransferFinished, TransferTrouble
from tf_tester.model.request import Selection
from tf_tester.ports.tell import Tell

SELECTING = ("package", "versions", "last", "pre", "yanked")
"""Settings that say which versions."""
RESOLVING = ("python", "install-python", "resolve", "grace", "allow-build")
"""Settings that say with which Python and which dependencies."""
FETCHING = ("mirror", "trust", "index-url", "extra-index-url", "attestations", "store", "offline")
"""Settings that say where bytes come from and go to."""


def selection_of(settings: Settings, *, versions: str | None = None) -> Selection:
    """Return what the settings select. `versions` overrules them; empty: the flow chooses.

    Raises `UsageError` where none are named.
    """
    chosen = settings.versions if versions is None else versions
    if chosen is None:
        raise UsageError(
            "No versions are given.",
            hint="Give --versions, such as 2.4.0,2.8.0 or '>=2.4,<2.9' or 'minors' with --last 3; "
            "`tf-tester versions` lists what exists.",
        )
    return Selection(
        package=str(canonicalize_name(settings.package)),
        versions=chosen,
        last=settings.last,
        pre=settings.pre,
        yanked=settings.yanked,
        pythons=settings.python,
        resolution=settings.resolve,
        grace=settings.grace,
        allow_build=frozenset(_name(name) for name in settings.allow_build),
        install_python=settings.install_python,
    )


def _name(name: str) -> str:
    return "all" if name == ":all:" else str(canonicalize_name(name))


def live(color: str) -> bool:
    """Return whether a board may be shown: on a terminal whose user has not asked for plain lines."""
    return sys.stderr.isatty() and color != "never" and os.environ.get("TERM") != "dumb"


@contextmanager
def listener(settings: Settings) -> Iterator[Tell]:
    """Yield the live board on a terminal, plain lines elsewhere; both on standard error."""
    if live(settings.color):
        import time

        from rich.console import Console

        from tf_tester.report.board import Board

        with Board(Console(stderr=True), time.monotonic) as board:
            yield board.tell
    else:
        from tf_tester.report.lines import wants_colour
        from tf_tester.report.plain import PlainPrinter

        wanted = settings.color != "never" and wants_colour(sys.stderr, os.environ)
        yield PlainPrinter(sys.stderr, colour=settings.color == "always" or wanted).tell


def downloads_alone(color: str) -> Tell:
    """Return what is told while it runs, besides our own lines: nobody knows yet which cells there will be."""
    from tf_tester.report.lines import wants_colour
    from tf_tester.report.plain import PlainPrinter

    colour = color == "always" or (color == "auto" and wants_colour(sys.stderr, os.environ))
    printer = PlainPrinter(sys.stderr, colour=colour)

    def tell(event: Event) -> None:
        if isinstance(event, TransferFinished | TransferTrouble | MirrorsChosen):
            printer.tell(event)

    return tell


def requirements_of(files: tuple[Path, ...], package: str) -> tuple[str, ...]:
    """Return the requirements of requirement files, those of the package under test left out. Raises `UsageError`."""
    found: list[str] = []
    for file in files:
        found += _read_requirements(file, package, ())
    return tuple(dict.fromkeys(found))


def hashes_remark(files: tuple[Path, ...]) -> tuple[str, ...]:
    """Return a word where requirement files have hashes."""
    with_hashes = [file.name for file in files if file.is_file() and "--hash" in file.read_text("utf-8", "replace")]
    if not with_hashes:
        return ()
    return (f"the hashes in {', '.join(with_hashes)} were not compared; those of the index are",)


def _read_requirements(file: Path, package: str, seen: tuple[Path, ...]) -> list[str]:
    from packaging.requirements import InvalidRequirement, Requirement

    if file in seen:
        return []
    try:
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise UsageError(f"The requirements file {file} can't be read: {error.strerror}.") from error
    found: list[str] = []
    for number, line in enumerate(text.replace("\\\n", " ").splitlines(), 1):
        line = line.split(" #")[0].strip()
        if not line or line.startswith("#"):
            continue
        option, _, value = line.replace("=", " ", 1).partition(" ") if line.startswith("--") else line.partition(" ")
        if option in ("-r", "--requirement"):
            found += _read_requirements(file.parent / value.strip(), package, (*seen, file))
            continue
        # The authority's hashes are always checked; those of the file would have to name every wheel of every cell.
        requirement = line.split(" --hash")[0].strip()
        try:
            name = canonicalize_name(Requirement(requirement).name)
        except InvalidRequirement as error:
            raise UsageError(
                f"{file}:{number}: {requirement!r} is not a requirement that can be used here.",
                hint="Names with versions, extras and markers, and -r, are understood; "
                "a project of your own is added with --project.",
            ) from error
        if name != package:
            found.append(requirement)
    return found
