"""A place that bytes of files come from, and what is remembered of it."""

from msgspec import Struct

from tf_tester.model.moment import Moment

AUTHORITY = "authority"
"""Name of the source whose address the index itself gives."""


class Source(Struct, frozen=True):
    """One place to get one file from; whose word counts for what is in it is another matter."""

    name: str
    """Name of a mirror, or `AUTHORITY`: what events and reports call it."""
    url: str
    """Of the file: absolute, without credentials."""
    proven: bool = False
    """A file to which it contributed was right before."""
    reserve: bool = False
    """Not asked while another is left."""
    speed: float | None = None
    """Bytes per second, as far as it is remembered."""
    region: str = ""
    """Where it is: ISO 3166 code of the country, as far as it is known."""


class SourceUse(Struct, frozen=True):
    """How a source did with one file."""

    source: str
    """Its name."""
    right: bool | None
    """False: it gave wrong bytes, and that is proven. None: nobody knows."""
    speed: float | None
    """Bytes per second."""
    bytes: int = 0
    """That it sent."""
    requests: int = 0
    """That it got."""


class SourceHistory(Struct, frozen=True):
    """What is remembered of a source from run to run."""

    name: str
    right: int = 0
    """Files that it helped to bring since it was last wrong."""
    speed: float | None = None
    """Bytes per second, of late."""
    measured: Moment | None = None
    """When its speed was; aware, UTC."""
    cooldown_until: Moment | None = None
    """It gave wrong bytes, and isn't asked before; aware, UTC."""
    day: str = ""
    """`2026-11-01`, UTC: what the next two are of."""
    bytes_today: int = 0
    """That it sent."""
    requests_today: int = 0
    """That it got."""
