"""What is known of a framework, as data."""

from collections.abc import Mapping

from msgspec import Struct


class Forking(Struct, frozen=True, forbid_unknown_fields=True):
    """Versions with which it was tried that a process may be forked right after the import."""

    versions: str
    """PEP 440."""
    names: tuple[str, ...]
    """Top-level modules that were imported before the fork."""


class Guarantee(Struct, frozen=True, forbid_unknown_fields=True):
    """What a documentation promises for files of one kind: which versions load what which others have saved.

    Without any of `majors`, `newer_days`, `older_days` and `levels` it promises nothing across versions.
    """

    kind: str
    """What is saved, such as `SavedModel`."""
    files: tuple[str, ...]
    """Patterns (`fnmatch`) of paths in a product: it is of this kind if one of its files matches one of them."""
    told: str
    """What is promised, as a clause behind the kind: `is loaded by …`."""
    source: str
    """The page that says so."""
    seen: str
    """The day on which it did: `2026-12-01`."""
    savers: tuple[str, ...] = ()
    """Distributions that save such files; empty: those of the framework."""
    loaders: tuple[str, ...] = ()
    """Distributions that load them; empty: those of the framework."""
    majors: int | None = None
    """A version loads what earlier versions of its major version have saved, and those of so many majors before."""
    newer_days: int | None = None
    """A version that came out at most so many days later loads it."""
    older_days: int | None = None
    """A version that came out at most so many days earlier loads it, too."""
    levels: Mapping[str, Mapping[str, int]] = {}
    """The level of the format (of ONNX: the opset) by distribution and series, such as `1.16`: a version loads what
    one of the same level, or of a lower one, has saved.
    """


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
    guarantees: tuple[Guarantee, ...] = ()
    """For what it saves."""


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
