"""The words of a race for a file, all of them values: its terms, what happens in it, and what is to be done."""

from msgspec import Struct

from tf_tester.core.fetch.retries import TroubleKind

MIB = 1 << 20


class RaceTerms(Struct, frozen=True):
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


class Claim(Struct, frozen=True):
    """A span that a source is to bring, as it was asked for; a later `Take` or `Shorten` changes its end."""

    number: int
    """Of this race, each once."""
    source: str
    """Its name."""
    start: int
    end: int | None
    """None: to the end of the file, wherever that is."""
    whole: bool = False
    """To be asked without a range: the source can't do them."""
    heals: bool = False
    """Its bytes are there, from somebody else: they are to be compared, then replaced."""


# -- events


class Tick(Struct, frozen=True):
    """The race begins, or time has passed: a source may be asked again, a slow one relieved."""


class Opened(Struct, frozen=True):
    """An answer begins. Answered by `Take` or `Refuse`."""

    claim: Claim
    size: int | None
    """Of the whole file, as its sender tells."""
    ranged: bool
    """It keeps to the range that was asked for."""


class Arrived(Struct, frozen=True):
    """How far a claim has come, told just before whatever makes the race decide: nobody else need bring these bytes."""

    claim: Claim
    position: int
    """All bytes of the claim before it have come; some are still on their way to the disk."""


class Stored(Struct, frozen=True):
    """So many more bytes of a claim are on the disk, from where the last ones ended."""

    claim: Claim
    count: int
    differs: bool = False
    """Others were there before; told of a claim that heals."""


class Ended(Struct, frozen=True):
    """A claim is complete; one whose end was not known ends where its source says that the file ends."""

    claim: Claim


class Failed(Struct, frozen=True):
    """A source has failed; what it brought stays."""

    claim: Claim
    kind: TroubleKind
    retry_after: float | None = None
    """Seconds that it wants us to wait."""


class Judged(Struct, frozen=True):
    """The whole file was compared with its hash."""

    right: bool


class Disproved(Struct, frozen=True):
    """Bytes are not what they were when the file was right: they have to come again, and whoever brought them lied."""

    start: int
    end: int


RaceEvent = Tick | Opened | Arrived | Stored | Ended | Failed | Judged | Disproved


# -- instructions


class Ask(Struct, frozen=True):
    """Bring a claim's bytes."""

    claim: Claim


class Take(Struct, frozen=True):
    """Keep what an answer sends, from `start` on."""

    claim: Claim
    start: int
    end: int | None


class Refuse(Struct, frozen=True):
    """Close an answer, which is of no use here: it has `Failed` with `TroubleKind.RANGES`."""

    claim: Claim


class Shorten(Struct, frozen=True):
    """Bring no more than this of a claim; it is never less than what has `Arrived`."""

    claim: Claim
    end: int


class Drop(Struct, frozen=True):
    """Bring no more of a claim. What is told of it from now on changes nothing."""

    claim: Claim


class Judge(Struct, frozen=True):
    """Compare the whole file with its hash, and tell `Judged`."""


class Wait(Struct, frozen=True):
    """Nothing can be asked before; tell `Tick` then."""

    until: float


class Finished(Struct, frozen=True):
    """The file is right."""

    sources: tuple[str, ...]
    """Who brought it, the largest part first."""


class GaveUp(Struct, frozen=True):
    """No source is left that could bring what is missing."""


Instruction = Ask | Take | Refuse | Shorten | Drop | Judge | Wait | Finished | GaveUp
