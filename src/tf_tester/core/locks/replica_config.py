"""The file that says what a replica holds, read. Pure: files that it names are read by whoever asks.

projects = ["tensorflow>=2.8,<2.13", "numpy"]
pythons = ["3.9", "3.10"]
platforms = ["linux_x86_64"]
"""

import re
import tomllib
from collections.abc import Iterable
from datetime import timedelta

import msgspec
from msgspec import Struct
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from tf_tester.core.locks.closure import ReplicaRules, SdistChoice, TargetRequirement, demands_of, targets_of
from tf_tester.core.select.platforms import platform_named
from tf_tester.core.text.parsing import parse_requirement, parse_toml
from tf_tester.core.text.units import duration, store_size
from tf_tester.errors import ConfigError, UsageError
from tf_tester.model.host.platform import Platform

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_PYTHON = re.compile(r"3\.(\d{1,2})")


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    name: str = ""
    projects: list[str] = []
    requirements: list[str] = []
    locks: list[str] = []
    exclude: list[str] = []
    dependencies: bool = True
    newest: int | None = None
    newest_of_dependencies: int | None = 1
    pythons: list[str] = []
    platforms: list[str] = []
    sdists: str = SdistChoice.MISSING
    pre: bool = False
    era: bool = False
    grace: str = "14d"
    most: str | None = None
    max_deletions: int = 100
    keep_deleted: bool = False


class ReplicaConfig(Struct, frozen=True):
    """What one replica is to hold."""

    name: str
    projects: tuple[Requirement, ...]
    requirements: tuple[str, ...]
    """Files of requirements, as they were written."""
    locks: tuple[str, ...]
    """Lock files, as they were written."""
    newest: int | None
    """Of each root, for each target; None: all that it allows."""
    pythons: tuple[tuple[int, int], ...]
    platforms: tuple[Platform, ...]
    rules: ReplicaRules
    most: int | None
    """Bytes to be brought in one run."""
    max_deletions: int
    """Files that may vanish in one run because the upstream has them no more."""
    keep_deleted: bool = False
    """None vanishes for that."""


def read_config(content: bytes, *, shown: str, stem: str) -> ReplicaConfig:
    """Read a configuration. `shown`: the file's name in messages, `stem`: the replica where it names none.

    Raises `ConfigError`.
    """
    try:
        file = msgspec.convert(parse_toml(content), _File)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(
            f"{shown}: {error}", hint="The page docs/how-to/sync.md has every word that such a file may have."
        ) from error
    name = file.name or re.sub("[^a-z0-9._-]+", "-", stem.lower()).strip("-._")
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{shown}: {name!r} is not a name: lower-case letters, digits, dots and dashes.")
    if not (file.projects or file.requirements or file.locks):
        raise ConfigError(f"{shown} names nothing.", hint='Add a line such as projects = ["tensorflow>=2.8"].')
    if file.sdists not in list(SdistChoice):
        raise ConfigError(f"{shown}: sdists is {file.sdists!r}.", hint='It is "never", "missing" or "always".')
    for word, number in (("newest", file.newest), ("newest-of-dependencies", file.newest_of_dependencies)):
        if number is not None and number < 0:
            raise ConfigError(f"{shown}: {word} is {number}.", hint="It is how many versions, and 0 for all.")
    if file.max_deletions < 0:
        raise ConfigError(f"{shown}: max-deletions is {file.max_deletions}.", hint="It is a number of files.")
    try:
        return ReplicaConfig(
            name=name,
            projects=tuple(_requirement(one) for one in file.projects),
            requirements=tuple(file.requirements),
            locks=tuple(file.locks),
            newest=file.newest or None,
            pythons=tuple(dict.fromkeys(_python(one) for one in file.pythons)),
            platforms=tuple(dict.fromkeys(platform_named(one) for one in file.platforms)),
            rules=ReplicaRules(
                dependencies=file.dependencies,
                newest=file.newest_of_dependencies or None,
                sdists=SdistChoice(file.sdists),
                pre=file.pre,
                grace=_grace(file.grace) if file.era else None,
                exclude=frozenset(str(canonicalize_name(one)) for one in file.exclude),
            ),
            most=None if file.most is None else _size(file.most),
            max_deletions=file.max_deletions,
            keep_deleted=file.keep_deleted,
        )
    except (UsageError, ValueError) as error:
        raise ConfigError(f"{shown}: {error}", hint=error.hint if isinstance(error, UsageError) else "") from error


def roots_of(
    config: ReplicaConfig, requirements: Iterable[Requirement], locked: Iterable[tuple[Requirement, frozenset[str]]]
) -> tuple[TargetRequirement, ...]:
    """Return what is asked for.

    `requirements`: of the files that it names; `locked`: of its locks, with files' SHA-256.
    """
    targets = targets_of(config.pythons, config.platforms)
    found = [
        demand
        for requirement in (*config.projects, *requirements)
        for demand in demands_of(requirement, targets, newest=config.newest)
    ]
    for requirement, digests in locked:
        found += demands_of(requirement, targets, newest=None, digests=digests, alone=True)
    return tuple(dict.fromkeys(found))


def _requirement(text: str) -> Requirement:
    try:
        requirement = parse_requirement(text)
    except InvalidRequirement as error:
        raise ValueError(f"{text!r} is not a requirement, such as numpy or tensorflow>=2.8,<2.13.") from error
    if requirement.url is not None:
        raise ValueError(f"{text!r} names an address; a replica takes what an index has.")
    return requirement


def _grace(text: str) -> timedelta:
    try:
        return duration(text)
    except ValueError as error:
        raise ValueError(f"grace must be {error}, not {text!r}.") from None


def _size(text: str) -> int:
    try:
        return store_size(text)
    except ValueError as error:
        raise ValueError(f"most must be {error}, not {text!r}.") from None


def _python(text: str) -> tuple[int, int]:
    match = _PYTHON.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no Python, such as 3.10.")
    return 3, int(match[1])
