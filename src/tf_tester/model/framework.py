"""What is known of a framework, as data."""

from msgspec import Struct


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
    memory: int = 1024**3
    """Bytes a cell is expected to need before anything was measured."""


class Placeholder(Struct, frozen=True, forbid_unknown_fields=True):
    """A distribution that an index has and that brings nothing."""

    name: str
    """Canonical."""
    instead: str
    """Who is meant; canonical."""
    versions: str = ""
    """Which of its versions (PEP 440); empty: all."""
