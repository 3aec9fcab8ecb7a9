"""Which mirrors may be asked for what, and in which order sources bring a file. Pure."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from tf_tester.core.fetch.ranking import MirrorComparison, Observation
from tf_tester.core.index.feeds import FeedReport
from tf_tester.core.index.links import origin
from tf_tester.core.index.mirror_list import MirrorList
from tf_tester.model.artifact import Artifact, Promiser
from tf_tester.model.mirror import Mirror
from tf_tester.model.source import AUTHORITY, Source, SourceHistory, SourceUse

WORTH_A_COMPARISON = 8 << 20
"""Bytes of a file for which `--mirror auto` compares mirrors; smaller ones have come before it would be done."""


class MirrorFile(Struct, frozen=True):
    """One file, as a mirror has it."""

    mirror: Mirror
    history: SourceHistory
    url: str


def copies_of(authority: str, known: MirrorList, named: Sequence[Mirror], *, public: bool) -> list[Mirror]:
    """Return the mirrors that may be asked in place of an authority: those named, and all known copies of it.

    Ours copy the public index: of another one they would only learn what private projects are called. `public`: the
    authority is that index.
    """
    others = [
        mirror
        for mirror in known.mirrors.values()
        if public or mirror.name in known.own or mirror.beside(authority) not in (None, mirror.url)
    ]
    return list(dict.fromkeys([*named, *others]))


def hosts_of(urls: Iterable[str]) -> set[str]:
    """Return the hosts of addresses on the network."""
    return {origin(url).host for url in urls if not url.startswith("file:")}


def is_private(artifact: Artifact) -> bool:
    """Return whether no mirror is to hear of a file's project."""
    return artifact.promise.by in (Promiser.EXTRA_INDEX, Promiser.PRIVATE, Promiser.REQUIREMENT)


def reason_against(mirror: Mirror, history: SourceHistory) -> str:
    """Return why a mirror isn't asked now; empty where it is. `history`: as of now."""
    if history.cooldown_until is not None:
        return f"has a cooldown until {history.cooldown_until:%Y-%m-%d}: it has given wrong bytes"
    left = budget_left(mirror, history)
    spent = mirror.daily_requests is not None and history.requests_today >= mirror.daily_requests
    if spent or (left is not None and left <= 0):
        return "isn't asked until tomorrow: what it may be asked for in a day is used up"
    return ""


def budget_left(mirror: Mirror, history: SourceHistory) -> int | None:
    """Return the bytes that a mirror may still be asked for today; None: no limit."""
    if mirror.daily_gb is None:
        return None
    return max(0, int(mirror.daily_gb * 1e9) - history.bytes_today)


def sources_of(artifact: Artifact, offers: Sequence[MirrorFile], authority: SourceHistory) -> list[Source]:
    """Return the sources of a file: mirrors in the order given, then the authority itself."""
    found = [
        Source(
            one.mirror.name,
            one.url,
            proven=one.history.right > 0,
            speed=one.history.speed,
            region=one.mirror.region,
        )
        for one in offers
    ]
    if artifact.promise.by is not Promiser.AUTHORITY and any(source.url == artifact.url for source in found):
        return found  # without an authority there is no address of its own
    # Beside mirrors of which nobody knows whether they are right it runs, too: a lie costs a smaller part then.
    known_good = any(source.proven for source in found)
    return [*found, Source(AUTHORITY, artifact.url, proven=True, reserve=known_good, speed=authority.speed)]


def is_remembered(use: SourceUse) -> bool:
    """Return whether a use of a source changes its history.

    The authority gets no cooldown: what it promises and what it gives may differ for a while after an upload.
    """
    return use.right is not False or use.source != AUTHORITY


def known_of(mirror: Mirror, root: str, history: SourceHistory, feed: FeedReport | None) -> Observation:
    """Return what is known of a mirror before it is asked anything."""
    return Observation(
        mirror.name,
        root,
        cooldown_until=history.cooldown_until,
        budget_left=budget_left(mirror, history),
        right=history.right,
        feed=feed,
    )


def told_of(comparison: MirrorComparison) -> str:
    """Return in a few words why those mirrors were chosen, or none."""
    if comparison.chosen:
        first = next(one for one in comparison.ranked if one.observation.name == comparison.chosen[0])
        return f"the fastest of {len(comparison.ranked)}: {', '.join(first.reasons[:2])}"
    if all(one.seconds is None for one in comparison.ranked):
        return f"none of {len(comparison.ranked)} can be used"
    return "the authority itself is the fastest"
