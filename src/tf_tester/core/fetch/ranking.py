"""Which mirrors bring given files fastest, and why not the others. Pure.

What counts is the time in which a mirror would bring the bytes that are wanted: its first byte for each file, then its
rate. A file that it lacks comes from the authority, so that lacking files makes a mirror slow, not useless.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.index.feeds import FeedReport, FeedState
from tf_tester.core.text.sizes import count_text, duration_text, size_text
from tf_tester.model.artifact import Artifact, ProjectPage

MOST = 4
"""Mirrors that bring a file together: more gain little, and are more guests than a host likes."""
_WORTH = 0.2
"""A mirror slower than this part of the fastest one is not asked."""
_STALE = timedelta(days=2)
_A_DAY = timedelta(days=1)


class WantedFiles(Struct, frozen=True):
    """Files that are to be had."""

    count: int
    size: int
    """Bytes of all."""


class Observation(Struct, frozen=True):
    """What was seen of one mirror, or of the authority."""

    name: str
    root: str
    """Whose copy it is in the end: those of one root count as one."""
    trouble: str = ""
    """Why it can't be used; empty where it can."""
    has: int = 0
    """Of the files wanted."""
    wrong_sizes: int = 0
    """Of these, how many it says to be of another size."""
    newest: datetime | None = None
    """When the authority got the newest file of the project that the mirror lists, too."""
    behind: int = 0
    """Files of the project that the authority has had for more than a day and the mirror doesn't list."""
    json: bool = False
    """It speaks JSON (PEP 691)."""
    first_byte: float | None = None
    """Seconds."""
    rate: float | None = None
    """Bytes per second."""
    wrong_bytes: bool = False
    """Its sample is not the authority's."""
    cooldown_until: datetime | None = None
    budget_left: int | None = None
    """Bytes that it may still be asked for today; None: no limit."""
    right: int = 0
    """Files that it helped to bring before."""
    feed: FeedReport | None = None


class Ranked(Struct, frozen=True):
    """One place in the ranking."""

    observation: Observation
    seconds: float | None
    """In which it would bring what is wanted; None: it is not to be asked."""
    reasons: tuple[str, ...]
    chosen: bool = False


class MirrorComparison(Struct, frozen=True):
    """Mirrors ranked for given files."""

    wanted: WantedFiles
    authority: Observation
    ranked: tuple[Ranked, ...]

    @property
    def chosen(self) -> tuple[str, ...]:
        """Names, the fastest first; none where the authority is faster."""
        return tuple(one.observation.name for one in self.ranked if one.chosen)


def on_page(
    seen: Observation, page: ProjectPage, promised: ProjectPage, artifacts: Sequence[Artifact], now: datetime
) -> Observation:
    """Return what a mirror's page adds to what is known of it; `promised`: the authority's page."""
    offered = {artifact.filename: artifact for artifact in page.artifacts}
    there = [(artifact, offered[artifact.filename]) for artifact in artifacts if artifact.filename in offered]
    times = [one.upload_time for one in promised.artifacts if one.filename in offered and one.upload_time is not None]
    missing = [one for one in promised.artifacts if one.filename not in offered]
    return replace(
        seen,
        has=len(there),
        wrong_sizes=sum(its.size is not None and one.size is not None and its.size != one.size for one, its in there),
        newest=max(times, default=None),
        behind=sum(one.upload_time is not None and now - one.upload_time > _A_DAY for one in missing),
        json=any(artifact.size is not None for artifact in page.artifacts),
    )


def rank(
    observations: Sequence[Observation], wanted: WantedFiles, authority: Observation, now: datetime
) -> list[Ranked]:
    """Return the fastest first, those that can't be asked last; `chosen` are those that are to be raced.

    None is chosen where the authority itself is the fastest: asking others would only be a burden to them.
    """
    slowest = 1 / authority.rate if authority.rate else None
    usable, useless = [], []
    for one in observations:
        refusal = _refusal(one, wanted, now)
        seconds = None if refusal else _seconds(one, wanted, slowest)
        if seconds is None:
            useless.append(Ranked(one, None, (refusal or "its speed could not be measured",)))
        else:
            usable.append(Ranked(one, seconds, tuple(_reasons(one, wanted, now))))
    usable.sort(key=lambda ranked: (ranked.seconds or 0.0, not ranked.observation.json, ranked.observation.name))
    own = _seconds(authority, wanted, None)
    chosen = _chosen(usable, own)
    return [
        *(Ranked(one.observation, one.seconds, one.reasons, one.observation.name in chosen) for one in usable),
        *useless,
    ]


def _refusal(one: Observation, wanted: WantedFiles, now: datetime) -> str:
    if one.wrong_bytes:
        return "what it sent is not what the authority has"
    if one.cooldown_until is not None and one.cooldown_until > now:
        return f"cooldown until {one.cooldown_until:%Y-%m-%d}: it gave wrong bytes"
    if one.budget_left is not None and one.budget_left < min(wanted.size, 1 << 20):
        return "today's share of it is used up"
    if one.trouble:
        return one.trouble
    if not one.has:
        return "it has none of these files"
    return ""


def _seconds(one: Observation, wanted: WantedFiles, otherwise: float | None) -> float | None:
    """Return the seconds that a source would take. `otherwise`: seconds a byte of what it doesn't have."""
    if not one.rate:
        return None
    part = one.has / wanted.count if wanted.count else 1.0
    missing = wanted.size * (1 - part) * (otherwise if otherwise is not None else 10 / one.rate)
    return (one.first_byte or 0.0) * wanted.count + wanted.size * part / one.rate + missing


def _chosen(usable: Sequence[Ranked], authority: float | None) -> set[str]:
    if not usable or usable[0].seconds is None:
        return set()
    best = usable[0].seconds
    if authority is not None and authority <= best:
        return set()
    fast = [one for one in usable if one.seconds is not None and best >= one.seconds * _WORTH]
    chosen = fast[:MOST]
    roots = {one.observation.root for one in chosen}
    other = next((one for one in fast[MOST:] if one.observation.root not in roots), None)
    if len(roots) == 1 and len(chosen) > 1 and other is not None:
        chosen[-1] = other  # copies of one another fail, and lie, together
    return {one.observation.name for one in chosen}


def _reasons(one: Observation, wanted: WantedFiles, now: datetime) -> list[str]:
    words = [f"{size_text(one.rate)}/s"] if one.rate else []
    words += [f"first byte {duration_text(one.first_byte)}"] if one.first_byte is not None else []
    words.append(f"has all {wanted.count}" if one.has == wanted.count else f"has {one.has} of {wanted.count}")
    words += [f"{one.wrong_sizes} of another size"] if one.wrong_sizes else []
    words += [f"{count_text(one.behind, 'file')} behind"] if one.behind else []
    words.append("JSON" if one.json else "HTML only")
    words += [f"a copy of {one.root}"] if one.root != one.name else []
    words += [f"{count_text(one.right, 'file')} right before"] if one.right else []
    words += [f"{size_text(one.budget_left)} left today"] if one.budget_left is not None else []
    if one.feed is not None:
        words += _feed_words(one.feed, now)
    return words


def _feed_words(feed: FeedReport, now: datetime) -> list[str]:
    when = "" if feed.filled is None else f" {feed.filled:%Y-%m-%d}"
    if feed.state in (FeedState.FAILED, FeedState.PAUSED):
        return [f"its operator says: {feed.state}, last filled{when or ' long ago'}"]
    if feed.filled is not None and now - feed.filled > _STALE:
        return [f"last filled{when}"]
    return []
