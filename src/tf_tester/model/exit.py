"""How a process tree ended."""

from msgspec import Struct

from tf_tester.model.limits import Exceeded


class Exit(Struct, frozen=True):
    """How a process tree ended."""

    code: int | None
    """Exit status, or None when it died by a signal or never started."""
    signal: int | None
    timed_out: bool
    wall_s: float
    cpu_s: float
    peak_rss_kib: int
    spawn_error: str = ""
    """Why the process could not be started."""
    leftovers: int = 0
    """Processes that outlived the main one and were killed."""
    exceeded: Exceeded | None = None
    """The limit for which it was ended, or of which it saw the bottom."""
