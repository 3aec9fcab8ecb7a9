"""What the administrator of an index lets through: which projects and versions, and from which age on. Pure.

block = ["evil-*", "torch<2.6"]
min-age = "7d"
no-min-age = ["our-sdk", "urllib3==2.6.1"]

What is private is let through, always: somebody with a token has put it there.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import lru_cache

import msgspec
from msgspec import Struct
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from tf_tester.core.index.simple import canonical
from tf_tester.core.text.parsing import parse_toml
from tf_tester.core.text.units import duration
from tf_tester.errors import ConfigError
from tf_tester.model.artifact import Artifact, Promiser

_RULE = re.compile(r"([A-Za-z0-9*][A-Za-z0-9*._-]*)\s*(.*)")


class PolicyRule(Struct, frozen=True):
    """Projects, and versions of them."""

    pattern: str
    """A canonical name, in which `*` stands for anything."""
    versions: str = ""
    """As in a requirement (PEP 440), canonical; empty: all."""

    def covers(self, project: str) -> bool:
        return fnmatchcase(project, self.pattern)

    def has(self, artifact: Artifact, *, unreadable: bool) -> bool:
        """Return whether a file is meant. `unreadable`: what of a version that PEP 440 doesn't know."""
        if not self.covers(artifact.project):
            return False
        if not self.versions:
            return True
        try:
            return SpecifierSet(self.versions).contains(Version(artifact.version), prereleases=True)
        except InvalidVersion:
            return unreadable


class IndexPolicy(Struct, frozen=True, eq=False):
    """The rules; one that was read again is another one."""

    allow: tuple[PolicyRule, ...] | None = None
    """Nothing else is shown; None: all that isn't blocked."""
    block: tuple[PolicyRule, ...] = ()
    """Isn't shown, whatever allows it."""
    min_age: timedelta | None = None
    """How long ago a file must have been uploaded."""
    no_min_age: tuple[PolicyRule, ...] = ()
    """May be younger, also than an address asks for."""

    @lru_cache(4096)  # noqa: B019 - it is asked with each request, and there are few policies
    def refuses(self, project: str) -> bool:
        """Return whether nothing of a project is ever shown, so that nobody need be asked for it."""
        if self.allow is not None and not any(rule.covers(project) for rule in self.allow):
            return True
        return any(rule.covers(project) and not rule.versions for rule in self.block)

    def lets_through(self, artifact: Artifact) -> bool:
        if artifact.promise.by is Promiser.PRIVATE:
            return True
        if any(rule.has(artifact, unreadable=True) for rule in self.block):
            return False
        return self.allow is None or any(rule.has(artifact, unreadable=False) for rule in self.allow)

    def may_be_young(self, artifact: Artifact) -> bool:
        if artifact.promise.by is Promiser.PRIVATE:
            return True
        return any(rule.has(artifact, unreadable=False) for rule in self.no_min_age)


NO_POLICY = IndexPolicy()
"""Lets everything through."""


def old_enough(
    artifacts: Iterable[Artifact], age: timedelta, now: datetime, policy: IndexPolicy
) -> tuple[tuple[Artifact, ...], datetime | None]:
    """Return the files that are as old as that, and when the next one will be; None: none will.

    Each file by its own time: what somebody adds to a version of last year is as new as any other. One without a time
    is nowhere old enough.
    """
    old: list[Artifact] = []
    later: list[datetime] = []
    for one in artifacts:
        if policy.may_be_young(one) or (one.upload_time is not None and one.upload_time <= now - age):
            old.append(one)
        elif one.upload_time is not None:
            later.append(one.upload_time + age)
    return tuple(old), min(later, default=None)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    allow: list[str] | None = None
    block: list[str] = []
    min_age: str | None = None
    no_min_age: list[str] = []


def read_policy(content: bytes, *, shown: str) -> IndexPolicy:
    """Read a policy. `shown`: the file's name in messages. Raises `ConfigError`, also for one that says nothing."""
    try:
        table = parse_toml(content)
        if not table:  # a file that was emptied, by an editor or a full disk
            raise ConfigError(
                f"The policy {shown} says nothing: everything would be let through.",
                hint="Write the rules again; where that is meant, write `block = []`, or serve without a policy.",
            )
        file = msgspec.convert(table, _File)
        return IndexPolicy(
            allow=None if file.allow is None else tuple(map(_rule, file.allow)),
            block=tuple(map(_rule, file.block)),
            min_age=None if file.min_age is None else duration(file.min_age),
            no_min_age=tuple(map(_rule, file.no_min_age)),
        )
    except (msgspec.ValidationError, ValueError) as error:  # the latter also for what is no TOML
        raise ConfigError(
            f"{shown}: {error}", hint="It has allow, block, min-age and no-min-age, as docs/how-to/serve.md shows."
        ) from error


def _rule(text: str) -> PolicyRule:
    """Read a rule such as `torch<2.6` or `evil-*`. Raises `ValueError`."""
    found = _RULE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a project, with or without versions")
    try:
        return PolicyRule(canonical(found[1]), str(SpecifierSet(found[2])))
    except InvalidSpecifier:
        raise ValueError(f"{text!r} has versions that can't be read") from None
