"""Whether to ask the same source again: a table of what is worth it, pure."""

from enum import Enum, auto

from msgspec import Struct
from msgspec.structs import replace


class TroubleKind(Enum):
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
    FORBIDDEN = auto()
    """It leads to a host that may not be asked."""
    WRONG = auto()
    """It gave these bytes, and they aren't those promised."""


LASTING = frozenset({TroubleKind.REFUSED, TroubleKind.FORBIDDEN})
"""Asking again soon brings the same."""
CONTRADICTING = frozenset({TroubleKind.REFUSED, TroubleKind.CONTENT, TroubleKind.WRONG})
"""What is there isn't what the index's page says."""
_ONCE = {TroubleKind.BUSY, TroubleKind.RANGES}
_RESUMES = 5
"""As long as each brings something."""
_SERVER_ERRORS = 3
"""That one source is forgiven, with a longer pause each time: a gateway may need some seconds to be well again."""


class Retries(Struct, frozen=True):
    """What one source has been forgiven for one file, and how long it is left alone before it is asked again.

    Times are in seconds.
    """

    retry_delay: float = 1.0
    """Before asking again after a server error or a connection that broke before it said anything."""
    retry_after_cap: float = 30.0
    """However long a server that is asked too often wants us to wait."""
    resumes: int = 0
    """How often it was cut off after it had brought something."""
    server_errors: int = 0
    forgiven: frozenset[TroubleKind] = frozenset()

    def after(
        self, kind: TroubleKind, *, progressed: bool, retry_after: float | None = None
    ) -> tuple["Retries", float | None]:
        """Return what is left, and the seconds to wait before asking this source again; None: leave it.

        A source that moves on may be cut off some times; everything else is forgiven once at most.
        """
        if kind is TroubleKind.CUT and progressed:
            left = replace(self, resumes=self.resumes + 1)
            return left, 0.0 if left.resumes <= _RESUMES else None
        if kind is TroubleKind.SERVER:
            left = replace(self, server_errors=self.server_errors + 1)
            pause = self.retry_delay * 2**self.server_errors
            return left, pause if left.server_errors <= _SERVER_ERRORS else None
        again = kind in _ONCE or kind is TroubleKind.CUT or (kind is TroubleKind.STALLED and progressed)
        if not again or kind in self.forgiven:
            return self, None
        left = replace(self, forgiven=self.forgiven | {kind})
        match kind:
            case TroubleKind.BUSY:
                return left, min(self.retry_delay if retry_after is None else retry_after, self.retry_after_cap)
            case TroubleKind.CUT:
                return left, self.retry_delay
        return left, 0.0
