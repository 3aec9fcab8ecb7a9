"""Which wheels fit an interpreter, and which of them is the best.

A big project's page has some two thousand names, so names are cut at their dashes and looked up in a table of
ranks; `packaging` makes that table, and the property tests hold the short cut against its full parser.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from packaging import tags as packaging_tags
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from tf_tester.model.artifact import Artifact
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.platform import Platform

MICROS = (0, 99)
"""Of a Python of which only the minor version is known: its first and its last stand for all."""

_SHORT_NAMES = {"cpython": "cp", "pypy": "pp"}
_BUILD_TAG = re.compile(r"(\d+)(.*)", re.ASCII)
_MOST_TAGS = 2_000
"""A compressed tag set that means more tags than this is nonsense or an attack; real ones stay below 30."""


def compatible_tags(interpreter: Interpreter) -> tuple[str, ...]:
    """Return the wheel tags the interpreter takes, best first, such as `cp38-cp38-manylinux2014_x86_64`."""
    return _tags(*_kind(interpreter))


def best_wheel(artifacts: Iterable[Artifact], interpreter: Interpreter) -> Artifact | None:
    """Return the wheel pip would take among the files of one version, or None where none fits.

    The most specific tag wins, then the highest build tag, then the name: the page's order is no matter.
    Yanked files are not looked at differently: whether they count is the caller's question.
    """
    ranks = _ranks(*_kind(interpreter))
    version = interpreter.version
    best: Artifact | None = None
    best_key: tuple[int, int, str, str] | None = None
    for artifact in artifacts:
        cut = _cut(artifact.filename)
        if cut is None:
            continue
        build, tags = cut
        rank = -1
        for tag in tags:
            if tag in ranks and ranks[tag] > rank:
                rank = ranks[tag]
        if rank < 0 or not accepts_python(artifact.requires_python, version):
            continue
        key = (rank, *build, artifact.filename)
        if best_key is None or key > best_key:
            best, best_key = artifact, key
    return best


@lru_cache(maxsize=4096)
def accepts_python(requires_python: str | None, version: str) -> bool:
    """Return whether a `Requires-Python` takes that Python; one that can't be read takes every Python.

    A pre-release counts as the release it will be, as it does for pip.

    >>> accepts_python(">=3.13", "3.13.0rc1"), accepts_python("<3.9", "3.9.18"), accepts_python("3,x", "3.9")
    (True, False, True)
    """
    if not requires_python:
        return True
    try:
        accepted = SpecifierSet(requires_python)
    except InvalidSpecifier:
        return True
    return accepted.contains(Version(version).base_version, prereleases=True)


def suits(artifact: Artifact, python: tuple[int, int] | None, platform: Platform | None) -> bool:
    """Return whether some CPython of that release on that platform could use a file; None: whichever there is.

    >>> windows = Platform("win_amd64", ("win_amd64",))
    >>> wheel = Artifact("toy-1.0-cp38-abi3-macosx_11_0_arm64.whl", "toy", "1.0", "")
    >>> suits(wheel, (3, 12), None), suits(wheel, None, windows)
    (True, False)
    """
    if python is not None:
        some = [f"{python[0]}.{python[1]}.{micro}" for micro in MICROS]
        if not any(accepts_python(artifact.requires_python, one) for one in some):
            return False
    cut = _cut(artifact.filename)
    if cut is None:
        return not artifact.is_wheel
    pairs = None if python is None else _pairs(python)
    platforms = None if platform is None else _with_any(platform.tags)
    split = (tag.rpartition("-") for tag in cut[1])
    return any((pairs is None or pair in pairs) and (platforms is None or name in platforms) for pair, _, name in split)


@lru_cache(maxsize=64)
def _pairs(python: tuple[int, int]) -> frozenset[str]:
    """Return Pythons and ABIs of the wheels that a CPython takes, such as `cp38-abi3`."""
    abi = f"cp{python[0]}{python[1]}" + ("m" if python < (3, 8) else "")
    return frozenset(tag.rpartition("-")[0] for tag in _tags("cpython", python, abi, ("win_amd64",)))


@lru_cache(maxsize=64)
def _with_any(platforms: tuple[str, ...]) -> frozenset[str]:
    return frozenset((*platforms, "any"))


def _kind(interpreter: Interpreter) -> tuple[str, tuple[int, int], str, tuple[str, ...]]:
    """Return all that decides which wheels fit."""
    return (interpreter.implementation, interpreter.release, interpreter.abi, interpreter.platform.tags)


@lru_cache(maxsize=256)
def _tags(implementation: str, release: tuple[int, int], abi: str, platforms: tuple[str, ...]) -> tuple[str, ...]:
    platforms = platforms or ("no_platform",)  # of none at all `packaging` would make this machine's
    name = f"{_SHORT_NAMES.get(implementation, implementation)}{release[0]}{release[1]}"
    if implementation == "cpython":
        abis = [abi]
        if release >= (3, 8) and abi.endswith("d"):
            abis.append(abi[:-1])  # since 3.8 a debug build loads ordinary extension modules too
        own = packaging_tags.cpython_tags(release, abis, platforms)
        rest = packaging_tags.compatible_tags(release, name, platforms)
    else:
        own = packaging_tags.generic_tags(name, [abi], platforms)
        rest = packaging_tags.compatible_tags(release, "pp3" if implementation == "pypy" else None, platforms)
    return tuple(dict.fromkeys(str(tag) for tags in (own, rest) for tag in tags))


@lru_cache(maxsize=256)
def _ranks(implementation: str, release: tuple[int, int], abi: str, platforms: tuple[str, ...]) -> dict[str, int]:
    """Return each compatible tag with its rank, the best one the highest."""
    tags = _tags(implementation, release, abi, platforms)
    return {tag: len(tags) - place for place, tag in enumerate(tags)}


@lru_cache(maxsize=16_384)
def _cut(filename: str) -> tuple[tuple[int, str], tuple[str, ...]] | None:
    """Return the build tag and expanded tags of a wheel's name, or None where it isn't one."""
    if not filename.endswith(".whl"):
        return None
    parts = filename[:-4].split("-")
    if len(parts) not in (5, 6) or not all(parts):
        return None
    build = (-1, "")
    if len(parts) == 6:
        match = _BUILD_TAG.match(parts[2])
        if match is None or len(match[1]) > 30:
            return None
        build = (int(match[1]), match[2])
    tags = _expand("-".join(parts[-3:]).lower())
    return (build, tags) if tags else None


@lru_cache(maxsize=4096)
def _expand(compressed: str) -> tuple[str, ...]:
    """Return the tags that a compressed tag set means; none where it is malformed.

    >>> _expand("py2.py3-none-any")
    ('py2-none-any', 'py3-none-any')
    """
    pythons, abis, platforms = (part.split(".") for part in compressed.split("-"))
    if len(pythons) * len(abis) * len(platforms) > _MOST_TAGS:
        return ()
    if not all(python.isidentifier() for python in pythons) or not all(abis) or not all(platforms):
        return ()
    return tuple(f"{python}-{abi}-{platform}" for python in pythons for abi in abis for platform in platforms)
