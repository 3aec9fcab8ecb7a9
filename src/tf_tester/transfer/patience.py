"""Whether to ask the same source again: a table of what is worth it, pure."""

from dataclasses import dataclass, field

from tf_tester.transfer.settings import MAX_RESUMES, Timeouts
from tf_tester.transfer.trouble import Kind, Trouble

_ONCE = {Kind.BUSY, Kind.SERVER, Kind.RANGES, Kind.WRONG_MIXED}


@dataclass(slots=True)
class Patience:
    """What one source may still do wrong for one file."""

    timeouts: Timeouts
    resumes: int = 0
    forgiven: set[Kind] = field(default_factory=set)

    def after(self, trouble: Trouble, *, progressed: bool) -> float | None:
        """Seconds to wait before asking this source again, or None: go to the next one.

        A source that moves on may be cut off `MAX_RESUMES` times; everything else is forgiven once at most.
        """
        kind = trouble.kind
        if kind is Kind.CUT and progressed:
            self.resumes += 1
            return 0.0 if self.resumes <= MAX_RESUMES else None
        again = kind in _ONCE or kind is Kind.CUT or (kind is Kind.STALLED and progressed)
        if not again or kind in self.forgiven:
            return None
        self.forgiven.add(kind)
        match kind:
            case Kind.BUSY:
                wanted = self.timeouts.retry_delay if trouble.retry_after is None else trouble.retry_after
                return min(wanted, self.timeouts.retry_after_cap)
            case Kind.SERVER | Kind.CUT:
                return self.timeouts.retry_delay
        return 0.0
