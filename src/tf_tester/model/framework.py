"""What is known of a framework, as data."""

from msgspec import Struct


class Forking(Struct, frozen=True, forbid_unknown_fields=True):
    """Versions with which it was tried that a process may be forked right after the import."""

    versions: str
    """PEP 440."""
    names: tuple[str, ...]
    """Top-level modules that were imported before the fork."""


class Framework(Struct, frozen=True, forbid_unknown_fields=True):
    """One file of `frameworks/`; a package that has none gets the defaults."""

    title: str
    packages: tuple[str, ...]
    """Distributions that are this framework, the usual one first."""
    import_names: tuple[str, ...] = ()
    """Empty: the top-level names of the wheel."""
    internal: tuple[str, ...] = ()
    """Modules that aren't meant for users, although their names don't say so."""
    hands_on: tuple[str, ...] = ()
    """Distributions whose names it hands on as its own, such as `keras`."""
    lts: tuple[str, ...] = ()
    """Series on which people stay, such as `1.15`."""
    probe: str = ""
    """The file of tests that any version should pass, in `frameworks/probes/`; empty: its modules are imported."""
    memory: int = 1024**3
    """Bytes a cell is expected to need before anything was measured."""
    forks: tuple[Forking, ...] = ()
    """Of versions that are in none, each process starts anew."""


class KnownFailure(Struct, frozen=True, forbid_unknown_fields=True):
    """A failure that many have met, and what to do."""

    text: str
    """A regular expression for the words of the failure."""
    project: str
    """Who must be installed: a canonical name, or `python`."""
    versions: str
    """In which of its versions (PEP 440); empty: all."""
    says: str
    """One sentence: what has changed, and what to do."""
    source: str
    """Where that is written: a URL."""
    example: str
    """Code that fails so."""
    tried: dict[str, str]
    """The versions with which the example was run; the first is the package under test."""
    before: dict[str, str] | None = None
    """Versions with which it passes, where there are some."""


class Placeholder(Struct, frozen=True, forbid_unknown_fields=True):
    """A distribution that an index has and that brings nothing."""

    name: str
    """Canonical."""
    instead: str
    """Who is meant; canonical."""
    versions: str = ""
    """Which of its versions (PEP 440); empty: all."""
