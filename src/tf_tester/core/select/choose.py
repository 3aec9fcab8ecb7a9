"""Which versions a person means: a list, a PEP 440 specifier, or a word."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

from msgspec import Struct
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from tf_tester.errors import UnknownVersion, UsageError
from tf_tester.model.artifact import Artifact, ProjectPage

WORDS = ("latest", "minors", "majors", "lts", "all")
_OPERATORS = "<>=!~"


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
    except InvalidVersion:
        return None


def is_yanked(artifacts: Iterable[Artifact]) -> bool:
    """Return whether a version is yanked: when all its files are."""
    return all(artifact.yanked is not None for artifact in artifacts)


def choose(page: ProjectPage, choice: Choice) -> tuple[Version, ...]:
    """Return the versions meant, oldest first, each once.

    Raises `UnknownVersion` for a version that isn't there, `UsageError` for words that mean nothing or
    that choose nothing.
    """
    known = versions_of(page)
    if not known:
        raise UsageError(
            f"The index lists no version of {page.project}.", hint="Check the name with `tf-tester versions`."
        )
    ordinary = tuple(
        version
        for version, artifacts in known.items()
        if (choice.pre or not (version.is_prerelease or version.is_devrelease))
        and (choice.yanked or not is_yanked(artifacts))
    )
    chosen: set[Version] = set()
    for part in _parts(choice.text):
        exact = _version(part)
        if exact is not None:
            if exact not in known:
                raise UnknownVersion(
                    f"{page.project} has no version {part}.", hint=f"The nearest are {nearest(exact, known)}."
                )
            # In the index's own spelling: `2.4` is shown as 2.4.0.
            chosen.update(version for version in known if version == exact)
            continue
        found = _meaning(part, ordinary, choice)
        if not found:
            raise UsageError(
                f"--versions {part!r} matches no version of {page.project}.",
                hint=f"There are {len(known)}, from {min(known)} to {max(known)}; "
                "pre-releases need --pre, yanked ones --yanked.",
            )
        chosen.update(found[-choice.last :] if choice.last else found)
    return tuple(sorted(chosen))


def nearest(version: Version, known: Iterable[Version]) -> str:
    """Return up to four versions a person may have meant, best first."""
    everything = sorted(known)
    releases = [v for v in everything if not v.is_prerelease] or everything
    similar = _similar(str(version), [str(v) for v in releases], most=4, cutoff=0.7)
    if len(similar) < 4:
        # As numbers, not as text: 2.99.0 is near the newest, though it looks like none.
        below = [str(v) for v in releases if v < version][-2:]
        above = [str(v) for v in releases if v > version][:2]
        similar += [name for name in (*reversed(below), *above) if name not in similar]
    return ", ".join(similar[:4])


def _similar(text: str, known: Sequence[str], *, most: int, cutoff: float = 0.6) -> list[str]:
    from difflib import get_close_matches  # only mistakes need it

    return get_close_matches(text, known, n=most, cutoff=cutoff)


def _meaning(part: str, ordinary: Sequence[Version], choice: Choice) -> list[Version]:
    match part:
        case "latest":
            return list(ordinary[-1:]) if choice.last is None else list(ordinary)
        case "all":
            return list(ordinary)
        case "minors":
            return _newest_of(ordinary, lambda v: (v.epoch, v.major, v.minor))
        case "majors":
            return _newest_of(ordinary, lambda v: (v.epoch, v.major))
        case "lts":
            if not choice.lts:
                raise UsageError(
                    "Nothing is known about long-supported versions of this package.", hint="Give versions."
                )
            return sorted(
                max(matching)
                for series in choice.lts
                if (matching := _matching(SpecifierSet(f"=={series}.*"), ordinary))
            )
    try:
        specifier = SpecifierSet(part)
    except InvalidSpecifier:
        similar = _similar(part, WORDS, most=1)
        raise UsageError(
            f"--versions {part!r} is neither a version, nor a specifier, nor a word.",
            hint=f"Did you mean {similar[0]!r}?"
            if similar
            else f"Examples: 2.4.0,2.8.0 · '>=2.4,<2.9' · {', '.join(WORDS)}.",
        ) from None
    return _matching(specifier, ordinary)


def _matching(specifier: SpecifierSet, ordinary: Sequence[Version]) -> list[Version]:
    """Return the versions that match; whether pre-releases and yanked ones count was decided before, for all words
    alike.
    """
    return [version for version in ordinary if specifier.contains(version, prereleases=True)]


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
    if not parts:
        raise UsageError("--versions is empty.", hint="Examples: 2.4.0,2.8.0 · '>=2.4,<2.9' · minors --last 3.")
    return parts


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _newest_of(versions: Sequence[Version], series: Callable[[Version], object]) -> list[Version]:
    newest: dict[object, Version] = {}
    for version in versions:
        newest[series(version)] = version
    return sorted(newest.values())
