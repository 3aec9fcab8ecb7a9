"""Which versions a person means: a list, a PEP 440 specifier, or a word."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import takewhile

from msgspec import Struct
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from tf_tester.core.index.left_out import told_left_out
from tf_tester.core.text.sizes import count_text
from tf_tester.errors import UnknownVersion, UsageError
from tf_tester.model.artifact import Artifact, LeftOutFile, ProjectPage, split_filename

WORDS = ("latest", "minors", "majors", "lts", "all")
_OPERATORS = "<>=!~"
_LONGEST = 80
"""Characters of a word that is no version which are repeated."""


class Choice(Struct, frozen=True):
    """What was asked for."""

    text: str
    last: int | None = None
    """Only the newest N of what the words and specifiers mean."""
    pre: bool = False
    """Pre- and development releases too."""
    yanked: bool = False
    lts: tuple[str, ...] = ()
    """Series of the framework's data file, such as `1.15`."""
    every_variant: bool = False
    """Whether `2.0.0+cpu` and `2.0.0+cu118` are two versions; otherwise one of them stands for 2.0.0."""
    variant: str = "cpu"
    """The local part (PEP 440) that is preferred then."""


def versions_of(page: ProjectPage) -> Mapping[Version, tuple[Artifact, ...]]:
    """Return files by version, oldest first; what isn't a PEP 440 version is left out (no installer takes it)."""
    found: dict[Version, list[Artifact]] = {}
    for artifact in page.artifacts:
        version = _known(artifact.version)
        if version is None:
            continue
        found.setdefault(version, []).append(artifact)
    return {version: tuple(found[version]) for version in sorted(found)}


@lru_cache(maxsize=16_384)
def _known(text: str) -> Version | None:
    try:
        return Version(text)
    except ValueError:  # `InvalidVersion`, or a number of thousands of digits
        return None


def is_yanked(artifacts: Iterable[Artifact]) -> bool:
    """Return whether a version is yanked: when all its files are."""
    return all(artifact.yanked is not None for artifact in artifacts)


def choose(page: ProjectPage, choice: Choice) -> tuple[Version, ...]:
    """Return the versions meant, oldest first, each once.

    Versions and ranges are a list; words mean what they mean within the ranges beside them; `|` separates lists. Raises
    `UnknownVersion` for a version that isn't there, `UsageError` for words that mean nothing or that choose nothing.
    """
    known = versions_of(page)
    if not known:
        raise _nothing_listed(page)
    ordinary = _without_variants(
        (
            version
            for version, artifacts in known.items()
            if (choice.pre or not (version.is_prerelease or version.is_devrelease))
            and (choice.yanked or not is_yanked(artifacts))
        ),
        choice,
    )
    lists = [parts for text in choice.text.split("|") if (parts := _parts(text))]
    if not lists:
        raise UsageError("--versions is empty.", hint="Examples: 2.4.0,2.8.0 · '>=2.4,<2.9' · minors --last 3.")
    meant = (_meant(parts, page, known, ordinary, choice) for parts in lists)
    return tuple(sorted(set[Version]().union(*meant)))


def _meant(
    parts: Sequence[str],
    page: ProjectPage,
    known: Mapping[Version, object],
    ordinary: Sequence[Version],
    choice: Choice,
) -> set[Version]:
    """Return what one list means."""
    chosen: set[Version] = set()
    words: list[str] = []
    ranges: list[SpecifierSet] = []
    for part in parts:
        exact = _version(part.removeprefix("=="))
        if exact is not None:
            chosen.add(_named(part, exact, page, known, choice))
        elif part in WORDS:
            words.append(part)
        else:
            ranges.append(_range(part))
    within = [version for version in ordinary if not ranges or any(_holds(one, version) for one in ranges)]
    found = (
        [(word, _meaning(word, within, choice)) for word in words]
        if words
        else [(str(one), [version for version in ordinary if _holds(one, version)]) for one in ranges]
    )
    for part, versions in found:
        if not versions:
            text = ",".join([part, *(map(str, ranges) if words else ())])
            raise UsageError(
                f"--versions {text!r} matches no version of {page.project}.",
                hint=f"There are {len(known)}, from {min(known)} to {max(known)}; "
                "pre-releases need --pre, yanked ones --yanked.",
            )
        chosen.update(versions[-choice.last :] if choice.last else versions)
    return chosen


def _nothing_listed(page: ProjectPage) -> UsageError:
    """Return the error that says what a page lists in place of versions."""
    count = len(page.artifacts) + len(page.left_out)
    if not count:
        return UsageError(
            f"The index lists no version of {page.project}: its page is empty.",
            hint="Check the name, or name another index with --index-url.",
        )
    own = [one for one in page.left_out if not one.is_foreign]
    told = told_left_out(own or page.left_out) or "none of its versions follows PEP 440"
    return UsageError(
        f"The index lists no version of {page.project} that can be used: {told}.",
        hint=f"Its page lists {count_text(count, 'file')}. Name another index with --index-url.",
    )


def _named(text: str, version: Version, page: ProjectPage, known: Iterable[Version], choice: Choice) -> Version:
    """Return the version that a person has named, in the index's own spelling: `2.4` is shown as 2.4.0."""
    same = [one for one in known if one == version or (version.local is None and one.public == version.public)]
    if not same:
        project, listed = page.project, [one for one in page.left_out if _is_of(one, page.project, version)]
        if listed:
            raise UnknownVersion(
                f"{project} has no version {text} that can be used: {told_left_out(listed)}.",
                hint="Name another index with --index-url, or ask whoever runs this one.",
            )
        raise UnknownVersion(f"{project} has no version {text}.", hint=f"The nearest are {nearest(version, known)}.")
    return next((one for one in same if one == version), None) or _preferred(same, choice)


def _is_of(file: LeftOutFile, project: str, version: Version) -> bool:
    found = split_filename(file.filename, project)
    return found is not None and _known(found) == version


def _without_variants(versions: Iterable[Version], choice: Choice) -> list[Version]:
    """Return one version for each public one."""
    if choice.every_variant:
        return list(versions)
    variants: dict[str, list[Version]] = {}
    for version in versions:
        variants.setdefault(version.public, []).append(version)
    return [_preferred(same, choice) for same in variants.values()]


def _preferred(same: Sequence[Version], choice: Choice) -> Version:
    return max(same, key=lambda one: (one.local is None, one.local == choice.variant, one))


def remarks_on_choice(page: ProjectPage, text: str, chosen: Sequence[Version]) -> list[str]:
    """Return what a person should know of versions that were chosen: which are yanked, which stand for others."""
    known = versions_of(page)
    remarks = []
    for version in chosen:
        if is_yanked(known[version]):
            reason = next((one.yanked for one in known[version] if one.yanked), "")
            remarks.append(f"{page.project} {version} is yanked{f': {reason}' if reason else ''}")
        others = [str(one) for one in known if one.public == version.public and one != version]
        if others and str(version) not in text:
            remarks.append(f"{page.project} {version.public} is there as {', '.join(others)}, too: {version} is taken")
    return remarks


def nearest(version: Version, known: Iterable[Version]) -> str:
    """Return up to four versions that a person may have meant, best first: in the order of versions, not by spelling.

    >>> nearest(Version("2.16.0"), map(Version, ("2.6.0", "2.15.1", "2.16.1", "2.16.2", "2.17.0")))
    '2.16.1, 2.16.2, 2.15.1, 2.6.0'
    """
    everything = sorted(known)
    releases = [v for v in everything if not v.is_prerelease] or everything
    place = bisect_left(releases, version)

    def distance(index: int) -> tuple[int, int]:
        shared = takewhile(lambda pair: pair[0] == pair[1], zip(releases[index].release, version.release, strict=False))
        return -len(list(shared)), index - place if index >= place else place - 1 - index

    best = sorted(range(len(releases)), key=lambda index: (*distance(index), -index))
    return ", ".join(str(releases[index]) for index in best[:4])


def _similar(text: str, known: Sequence[str], *, most: int, cutoff: float = 0.6) -> list[str]:
    from difflib import get_close_matches  # only mistakes need it

    return get_close_matches(text, known, n=most, cutoff=cutoff)


def _meaning(word: str, within: Sequence[Version], choice: Choice) -> list[Version]:
    """Return what a word means among some versions, oldest first."""
    match word:
        case "latest":
            return list(within[-1:]) if choice.last is None else list(within)
        case "minors":
            return _newest_of(within, lambda v: (v.epoch, v.major, v.minor))
        case "majors":
            return _newest_of(within, lambda v: (v.epoch, v.major))
        case "lts":
            if not choice.lts:
                raise UsageError(
                    "Nothing is known about long-supported versions of this package.", hint="Give versions."
                )
            series = (SpecifierSet(f"=={one}.*") for one in choice.lts)
            found = ([version for version in within if _holds(one, version)] for one in series)
            return sorted(max(matching) for matching in found if matching)
        case _:
            return list(within)


def _range(part: str) -> SpecifierSet:
    try:
        found = SpecifierSet(part)
        found.contains("0")  # numbers are read when they are compared
        return found
    except ValueError:  # `InvalidSpecifier` is one
        similar = _similar(part, WORDS, most=1)
        raise UsageError(
            f"--versions {part[:_LONGEST]!r} is neither a version, nor a specifier, nor a word.",
            hint=f"Did you mean {similar[0]!r}?"
            if similar
            else f"Examples: 2.4.0,2.8.0 · '>=2.4,<2.9' · {', '.join(WORDS)}.",
        ) from None


def _holds(specifier: SpecifierSet, version: Version) -> bool:
    """Tell whether a version is in a range; whether pre-releases and yanked ones count was decided before, for all
    words alike.
    """
    return specifier.contains(version, prereleases=True)


def _parts(text: str) -> list[str]:
    """Return comma-separated parts, where the commas inside one specifier set don't separate.

    `2.4.*` is one of a list, from which `!=` takes away; two `==` can't both hold, so they are a list too.

    >>> _parts("2.4.0, >=2.8,<2.11 ,latest")
    ['2.4.0', '>=2.8,<2.11', 'latest']
    >>> _parts("2.4.*,!=2.4.2,2.8.*,>=2.10.1,==2.10.*")
    ['==2.4.*,!=2.4.2', '==2.8.*', '>=2.10.1,==2.10.*']
    """
    parts: list[str] = []
    listed = True
    for piece in (piece.strip() for piece in text.split(",")):
        if not piece:
            continue
        if piece[0] not in _OPERATORS:
            listed = True
            parts.append(f"=={piece}" if piece[0].isdigit() and piece.endswith(".*") else piece)
        elif (
            parts
            and parts[-1][0] in _OPERATORS
            and (piece.startswith("!=") or not listed)
            and not (piece.startswith("==") and "==" in parts[-1])
        ):
            parts[-1] += f",{piece}"
        else:
            listed = False
            parts.append(piece)
    return parts


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except ValueError:
        return None


def _newest_of(versions: Sequence[Version], series: Callable[[Version], object]) -> list[Version]:
    newest: dict[object, Version] = {}
    for version in versions:
        newest[series(version)] = version
    return sorted(newest.values())
