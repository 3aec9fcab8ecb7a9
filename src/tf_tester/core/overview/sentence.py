"""A run in one sentence: which versions work, which don't, for how many reasons. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from packaging.version import InvalidVersion

from tf_tester.core.outcome.failures import differences
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.text.sizes import count_text
from tf_tester.core.verdict.supports import Compatibility, SupportedVersions, support

_MOST = 4
"""Ranges of versions that are named; of more, their number."""
_VERBS = {
    Compatibility.YES: "works with",
    Compatibility.NO: "fails with",
    Compatibility.PARTLY: "works only partly with",
    Compatibility.UNKNOWN: "was not tested with",
}


class VersionRange(Struct, frozen=True):
    """Versions beside each other of which the same is known."""

    works: Compatibility
    versions: tuple[str, ...]
    """Oldest first."""

    @property
    def text(self) -> str:
        """`2.8.0 to 2.15.1`, `2.16.1`."""
        first, last = self.versions[0], self.versions[-1]
        return first if first == last else f"{first} to {last}"


def version_ranges(versions: Mapping[str, Compatibility]) -> tuple[VersionRange, ...]:
    """Return the ranges of versions that are told together; `versions`: oldest first.

    >>> [one.text for one in version_ranges({"1": Compatibility.YES, "2": Compatibility.YES, "3": Compatibility.NO})]
    ['1 to 2', '3']
    """
    found: list[VersionRange] = []
    for version, works in versions.items():
        if found and found[-1].works is works:
            found[-1] = VersionRange(works, (*found[-1].versions, version))
        else:
            found.append(VersionRange(works, (version,)))
    return tuple(found)


def sentence_of(report: RunReport) -> str:
    """Return the sentence about a run; empty where a version in it has no order (PEP 440), as in a damaged record."""
    try:
        supported = support(report)
    except InvalidVersion:
        return ""
    return sentence(supported, len(differences(report)[0]))


def sentence(supported: Sequence[SupportedVersions], reasons: int) -> str:
    """Return one sentence for each package, such as `tensorflow works with 2.8.0 to 2.15.1; fails with 2.16.1 (2
    reasons).`

    `reasons`: kinds of failure in the whole run.
    """
    if not supported:
        return "Nothing was run."
    why = f" ({count_text(reasons, 'reason')})" if reasons else ""
    return " ".join(f"{one.package} {'; '.join(_parts(one, why))}." for one in supported)


def _parts(supported: SupportedVersions, why: str) -> Iterator[str]:
    found = version_ranges(supported.versions)
    for works, verb in _VERBS.items():
        some = [one for one in found if one.works is works]
        if not some:
            continue
        count = sum(len(one.versions) for one in some)
        if count == len(supported.versions) > 1:
            every = "any of" if works is Compatibility.UNKNOWN else "all"
            told = f"{every} {count} versions, {found[0].versions[0]} to {found[-1].versions[-1]}"
        else:
            more = [count_text(len(some) - _MOST, "more range")] if len(some) > _MOST else []
            told = _listed([one.text for one in some[:_MOST]] + more)
        yield f"{verb} {told}{why if works is Compatibility.NO else ''}"


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
