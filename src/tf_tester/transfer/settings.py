"""How the network is used: how long to wait and for what, who asks, and who may be asked."""

from collections.abc import Callable, Mapping

from msgspec import Struct, field


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


class ClientSettings(Struct, frozen=True):
    """How a client uses the network."""

    environ: Mapping[str, str] = field(default_factory=dict)
    """Proxies, certificates and netrc are taken from it."""
    identities: tuple[str, ...] = ()
    """Addresses whose user name and password are for every file of just that scheme, host and port."""
    may_ask: Callable[[str], bool] | None = None
    """Whether a host may be asked at all, redirects included; None: every one."""
    offline: bool = False
    user_agent: str = "tf-tester"
    connections: int = 6
    """Files on their way at once."""
    timeouts: Timeouts = Timeouts()


MAX_REDIRECTS = 5
MIB = 1 << 20
MAX_PAGE = 64 * MIB
MAX_METADATA = 4 * MIB
