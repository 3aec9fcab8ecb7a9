"""The words in which a race for a file is run: who runs, on which terms, what is to be done, who is bringing what."""

from msgspec import Struct

MIB = 1 << 20
_PACE_OVER = 1.0
"""Seconds."""


class Runner(Struct, frozen=True):
    """A source as the race gets to know it."""

    name: str
    proven: bool = False
    """A file to which it contributed was right before."""
    reserve: bool = False
    """Not asked while another source is left."""
    speed: float | None = None
    """Bytes per second, remembered."""


class Terms(Struct, frozen=True):
    """Sizes in bytes."""

    share: int = 4 * MIB
    """A file is shared out among so many sources as this fits into it."""
    steal: int = MIB
    """Less than this is not taken from another."""
    unproven: float = 1 / 3
    """Part of a file that an unproven source may bring while proven ones are at least half as fast."""
    pieces: int = 32
    """A file is brought in so many pieces at the most, but for what is taken over from others."""
    trial: int = 16
    """In a file of so many shares, sources that nobody knows are tried: a share of their first piece comes twice."""
    latencies: float = 40.0
    """A piece takes so many times as long as its source needs to begin with it, so that little time is lost between
    pieces."""


# -- instructions


class Ask(Struct, frozen=True):
    """Bring the claim's bytes, from `claim.position` to `claim.end`; both may change meanwhile."""

    claim: "Claim"


class Drop(Struct, frozen=True):
    """Bring no more of it."""

    claim: "Claim"


class Judge(Struct, frozen=True):
    """Compare the whole file with its hash, and call `judged`."""


class Wait(Struct, frozen=True):
    """Nothing can be asked before; call `tick` then."""

    until: float


class Finished(Struct, frozen=True):
    """The file is right."""

    sources: tuple[str, ...]
    """Who brought it, the largest part first."""


class GaveUp(Struct, frozen=True):
    """No source is left that could bring what is missing."""


Instruction = Ask | Drop | Judge | Wait | Finished | GaveUp


class Claim(Struct, eq=False):
    """A span that a source is bringing."""

    source: str
    start: int
    end: int | None
    """None: to the end of the file, wherever that is."""
    whole: bool = False
    """To be asked without a range: the source can't do them."""
    heals: bool = False
    """Its bytes are there, from somebody else: they are to be compared, then replaced."""
    differs: bool = False
    """They were not the same."""
    tries: str = ""
    """Whose first piece it is, brought again to see what it is worth."""
    position: int = 0
    """Where its next byte belongs; those before are on the disk."""
    reached: int = 0
    """Bytes before it have come, and are on their way to the disk: nobody else need bring them."""
    begun: float = 0.0
    """When it was asked for."""
    asked: float = 0.0
    """The same; later, from when on its pace is measured."""
    measured: int = 0
    """Where it was then."""
    pace: float | None = None
    """Bytes per second, of the last seconds."""

    @property
    def left(self) -> int:
        assert self.end is not None
        return self.end - max(self.position, self.reached)

    def measure(self, now: float) -> float | None:
        """Its pace; None where it is too early to tell."""
        passed, here = now - self.asked, max(self.position, self.reached)
        if passed >= _PACE_OVER:
            fresh = (here - self.measured) / passed
            self.pace = fresh if self.pace is None else (self.pace + fresh) / 2
            self.asked, self.measured = now, here
        elif self.pace is None and here > self.start and passed >= _PACE_OVER / 10:
            return (here - self.start) / passed
        return self.pace
