"""Whether to ask the same source again: a table of what is worth it, pure."""

from enum import Enum, auto

from msgspec import Struct, field
from msgspec.structs import replace


class Kind(Enum):
    """What kind of trouble it is decides whether the same source is asked again."""

    REFUSED = auto()
    """A status from 400 to 499: asking again brings the same."""
    BUSY = auto()
    """429."""
    SERVER = auto()
    """A status from 500 on."""
    CONNECT = auto()
    """No connection: refused, no such name, TLS."""
    CUT = auto()
    """The connection broke, before the first byte or later."""
    STALLED = auto()
    """Nothing came for too long."""
    SLOW = auto()
    """Something came, too little of it."""
    RANGES = auto()
    """It was asked for a part and answered with something else."""
    CONTENT = auto()
    """It has something else under this address: HTML, a file of another size, a forbidden redirect."""
    WRONG = auto()
    """It gave these bytes, and they aren't those promised."""


_ONCE = {Kind.BUSY, Kind.RANGES}
_SERVER_ERRORS = 3
"""That one source is forgiven, with a longer pause each time: a gateway may need some seconds to be well again."""


class Patience(Struct):
    """What one source may still do wrong for one file. Seconds."""

    retry_delay: float = 1.0
    """Before asking again after a server error or a connection that broke before it said anything."""
    retry_after_cap: float = 30.0
    """However long a server that is asked too often wants us to wait."""
    resumes: int = 5
    """As long as each brings something."""
    forgiven: set[Kind] = field(default_factory=set)
    server_errors: int = 0

    def fresh(self) -> "Patience":
        """The same with another source."""
        return replace(self, forgiven=set(), server_errors=0)

    def after(self, kind: Kind, *, progressed: bool, retry_after: float | None = None) -> float | None:
        """Seconds to wait before asking this source again, or None: leave it.

        A source that moves on may be cut off some times; everything else is forgiven once at most.
        """
        if kind is Kind.CUT and progressed:
            self.resumes -= 1
            return 0.0 if self.resumes >= 0 else None
        if kind is Kind.SERVER:
            self.server_errors += 1
            pause = self.retry_delay * 2 ** (self.server_errors - 1)
            return pause if self.server_errors <= _SERVER_ERRORS else None
        again = kind in _ONCE or kind is Kind.CUT or (kind is Kind.STALLED and progressed)
        if not again or kind in self.forgiven:
            return None
        self.forgiven.add(kind)
        match kind:
            case Kind.BUSY:
                return min(self.retry_delay if retry_after is None else retry_after, self.retry_after_cap)
            case Kind.CUT:
                return self.retry_delay
        return 0.0
