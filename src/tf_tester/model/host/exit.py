"""How a process tree ended."""

from msgspec import Struct

from tf_tester.model.host.limits import Exceeded


class ProcessEnd(Struct, frozen=True):
    """How one process ended, and what it cost."""

    status: int
    """Exit status; negative: the signal that killed it."""
    cpu_s: float
    """With those of all processes that it waited for; likewise the next."""
    peak_rss_kib: int
    spawn_error: str = ""
    """As in `Exit`, and likewise the next."""
    sandbox_error: str = ""


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
    """Why the process could not be started; empty where it was."""
    sandbox_error: str = ""
    """Why its sandbox could not be made, without which it is not started; empty where it was made."""
    leftovers: int = 0
    """Processes that outlived the main one and were killed."""
    exceeded: Exceeded | None = None
    """The limit for which it was ended, or of which it saw the bottom."""
