"""Pythons of this machine, and environments of one lock."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from tf_tester.model.host.interpreter import BrokenInterpreter, Interpreter
from tf_tester.model.host.layer import Layer
from tf_tester.model.host.platform import Platform
from tf_tester.model.host.world import Overlay


class Interpreters(Protocol):
    """The Pythons that tests can run in."""

    def find(self) -> tuple[Sequence[Interpreter], Sequence[BrokenInterpreter]]:
        """Return all Pythons of this machine, newest first; of several with one version and ABI, the first found."""
        ...

    def probe(self, path: Path) -> Interpreter:
        """Learn about one executable. Raises `UsageError` where it is none or does not run."""
        ...

    def install(self, python: str) -> Interpreter:
        """Let uv fetch a Python such as `3.8`. Raises `NoPython`."""
        ...

    def platform(self) -> Platform:
        """Return what Pythons run on here."""
        ...


class Environment(Struct, frozen=True):
    """A Python that sees one lock's distributions as its site-packages."""

    folder: Path
    python: Path
    scripts: Path
    overlays: tuple[Overlay, ...] = ()
    """What makes it; empty where it is a folder on disk."""
    clashes: tuple[str, ...] = ()
    """A sentence for each file that two projects bring with different contents."""


class Environments(Protocol):
    def make(
        self, interpreter: Interpreter, layers: Sequence[Layer], *, keep: str | None
    ) -> AbstractContextManager[Environment]:
        """Make an environment of just these layers, gone at the end unless it is kept under a name.

        Where two layers bring one file, the first one's is used and the clash is in `Environment.clashes`.
        Raises `InstallFailed`, `StoreError`.
        """
        ...
