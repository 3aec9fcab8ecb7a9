"""How long to wait, and for what."""

from msgspec import Struct


class Timeouts(Struct, frozen=True):
    """All in seconds but `slow_rate`; tests set them small."""

    connect: float = 15.0
    """For a connection, TLS included."""
    stall: float = 30.0
    """Without a single byte."""
    slow_rate: float = 1000.0
    """Bytes per second below which a source is given up …"""
    slow_window: float = 60.0
    """… when it stays there for so long."""
    whole: float = 6 * 3600.0
    """For one file from all its sources together."""
    page: float = 60.0
    """For a whole index page or metadata file."""
    retry_delay: float = 1.0
    """Before asking again after a server error or a connection that broke before it said anything."""
    retry_after_cap: float = 30.0
    """However long a server that is asked too often wants us to wait."""


MAX_REDIRECTS = 5
MIB = 1 << 20
MAX_PAGE = 64 * MIB
MAX_METADATA = 4 * MIB
