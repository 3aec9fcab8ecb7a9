"""From settings to what the use cases take; shared by the commands that select versions."""

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from tf_tester.cli.common.detail import environ_with
from tf_tester.cli.common.options import settings_from
from tf_tester.core.config.settings import Settings
from tf_tester.core.text.sizes import count_text, size_text
from tf_tester.errors import UsageError
from tf_tester.model.events import (
    Delay,
    DelayKind,
    Event,
    MirrorsChosen,
    RunStarted,
    TransferFinished,
    TransferTrouble,
    WheelBuilt,
)
from tf_tester.model.request import Selection
from tf_tester.ports.tell import Tell

if TYPE_CHECKING:
    from tf_tester.flow.supply.received import ReceivedFiles
    from tf_tester.report.words import Detail

SELECTING = ("package", "versions", "last", "pre", "yanked")
"""Settings that say which versions."""
RESOLVING = ("python", "install-python", "resolve", "grace", "allow-build", "build-network")
"""Settings that say with which Python and which dependencies."""
HOLDING = ("timeout", "limit")
"""Settings that say how builds of these are held, as tests are, for commands that run none."""
_OF_SUPPLY = TransferFinished | TransferTrouble | MirrorsChosen | WheelBuilt
FETCHING = (
    "mirror",
    "trust",
    "index-url",
    "extra-index-url",
    "find-links",
    "attestations",
    "store",
    "offline",
    "refresh",
)
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


def settings_with_locks(parameters: Mapping[str, object], locks: Sequence[Path]) -> Settings:
    """Return the settings; where nobody has named a package, it is the one that the locks are of.

    Raises `ConfigError`, `UsageError`.
    """
    resolved = settings_from(parameters)
    if locks and resolved.origins["package"] == "default":
        from msgspec.structs import replace

        from tf_tester.flow.prepare.locked import package_of

        return replace(resolved.settings, package=package_of(locks) or resolved.settings.package)
    return resolved.settings


def live(color: str) -> bool:
    """Return whether a board may be shown: on a terminal whose user has not asked for plain lines."""
    return sys.stderr.isatty() and color != "never" and os.environ.get("TERM") != "dumb"


@contextmanager
def listener(settings: Settings, detail: "Detail | None" = None) -> Iterator[Tell]:
    """Yield the live board on a terminal, plain lines elsewhere; both on standard error. With `-q` it is neither."""
    from tf_tester.report.words import Detail

    if detail is Detail.QUIET:
        yield lambda _event: None
    elif live(settings.color):
        from rich.console import Console

        from tf_tester.report.live.board import Board

        with Board(Console(stderr=True), time.monotonic) as board:
            yield board.tell
    else:
        from tf_tester.report.lines import wants_colour
        from tf_tester.report.live.plain import PlainPrinter

        colour = wants_colour(sys.stderr, environ_with(settings.color))
        with PlainPrinter(sys.stderr, time.monotonic, colour=colour, tests=detail is Detail.WHOLE) as printer:
            yield printer.tell


def both(one: Tell, other: Tell) -> Tell:
    """Return what tells two."""

    def tell(event: Event) -> None:
        one(event)
        other(event)

    return tell


def brought(came: "ReceivedFiles") -> str:
    """Return what a dry run has brought all the same: what is required can't be told without."""
    if not came.files:
        return "Nothing was brought."
    size = f"{count_text(came.files, 'file')} ({size_text(came.size)})"
    return f"Brought into the store, to learn what is required: {size}."


@contextmanager
def search_listener(color: str) -> Iterator[Tell]:
    """Yield what tells of a search besides its own lines: downloads, builds, and what goes on where nothing else is
    told.
    """
    from tf_tester.report.lines import wants_colour
    from tf_tester.report.live.plain import PlainPrinter

    colour = wants_colour(sys.stderr, environ_with(color))
    with PlainPrinter(sys.stderr, time.monotonic, colour=colour) as printer:

        def tell(event: Event) -> None:
            if _is_of_supply(event):
                printer.tell(event)
            elif not isinstance(event, RunStarted):  # nobody knows yet which cells there will be
                printer.watch(event)

        yield tell


def supply_alone(color: str) -> Tell:
    """Return what is told while it runs, besides our own lines: nobody knows yet which cells there will be."""
    from tf_tester.report.lines import wants_colour
    from tf_tester.report.live.plain import PlainPrinter

    printer = PlainPrinter(sys.stderr, time.monotonic, colour=wants_colour(sys.stderr, environ_with(color)))

    def tell(event: Event) -> None:
        if _is_of_supply(event):
            printer.tell(event)

    return tell


def _is_of_supply(event: Event) -> bool:
    """Tell whether something was brought, or something is built or was."""
    return isinstance(event, _OF_SUPPLY) or (isinstance(event, Delay) and event.kind is DelayKind.BUILD)
