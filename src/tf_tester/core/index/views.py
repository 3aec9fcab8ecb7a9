"""Views of an index by address: as it was on a day, only what is so old, what a lock allows, what is private. Pure.

`/as-of/2021-03-01/simple/`, `/as-of/7d/simple/`, `/only/pylock.toml/simple/`, `/private/simple/`; all but the last may
be joined, in any order. A view takes away and adds nothing.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta

from msgspec import Struct
from msgspec.structs import replace
from packaging.version import InvalidVersion, Version

from tf_tester.core.index.era import as_of
from tf_tester.core.index.policy import NO_POLICY, IndexPolicy, old_enough
from tf_tester.core.text.units import duration
from tf_tester.errors import BadView
from tf_tester.model.artifact import Artifact, ProjectPage, Promiser

_AGE = re.compile(r"(\d{1,9}[wdhms])+", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})")


class IndexView(Struct, frozen=True):
    """What is shown of an index."""

    cutoff: datetime | None = None
    """Versions that came out later aren't shown; aware, UTC."""
    age: timedelta | None = None
    """Files that were uploaded later than so long ago aren't shown."""
    only: str = ""
    """Name of a lock: files that aren't in it aren't shown."""
    private: bool = False
    """What isn't private isn't shown."""
    depth: int = 0
    """Parts of its address."""

    @property
    def is_whole(self) -> bool:
        return self.cutoff is None and self.age is None and not self.only and not self.private


class AllowedFiles(Struct, frozen=True):
    """What a lock names."""

    digests: frozenset[str] = frozenset()
    """SHA-256 of files."""
    versions: frozenset[tuple[str, Version]] = frozenset()
    """Projects (canonical names) and versions of which every file is meant: the lock has no hash for them."""

    def has(self, artifact: Artifact) -> bool:
        if artifact.sha256 in self.digests:
            return True
        try:
            return bool(self.versions) and (artifact.project, Version(artifact.version)) in self.versions
        except InvalidVersion:
            return False


def split_view(parts: Sequence[str]) -> tuple[IndexView, list[str]]:
    """Return the view that the parts of a path begin with, and what is left of them. Raises `BadView`.

    >>> view, rest = split_view(["as-of", "2021-03-01", "simple", "toy", ""])
    >>> view.cutoff.isoformat(), view.depth, rest
    ('2021-03-01T23:59:59.999999+00:00', 2, ['simple', 'toy', ''])
    """
    view, rest = IndexView(), list(parts)
    while rest:
        match rest:
            case ["as-of", age, *others] if others and view.age is None and _AGE.fullmatch(age):
                view, rest = replace(view, age=_age_of(age), depth=view.depth + 2), others
            case ["as-of", day, *others] if others and view.cutoff is None:
                view, rest = replace(view, cutoff=moment_of(day), depth=view.depth + 2), others
            case ["only", name, *others] if others and not view.only and name:
                view, rest = replace(view, only=name, depth=view.depth + 2), others
            case ["private", *others] if others and not view.private:
                view, rest = replace(view, private=True, depth=view.depth + 1), others
            case _:
                break
    return view, rest


def moment_of(text: str) -> datetime:
    """Return the end of a day (UTC), or a moment (RFC 3339). Raises `BadView`.

    As uv's `--exclude-newer`, but for the time zone: an address is to mean the same everywhere.
    """
    try:
        if _DAY.fullmatch(text):
            return datetime.combine(datetime.fromisoformat(text).date(), time.max, UTC)
        if _MOMENT.fullmatch(text):
            return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise BadView("That is no day (2021-03-01), no moment (2021-03-01T12:00:00Z) and no age (7d).")


def _age_of(text: str) -> timedelta:
    try:
        return duration(text)
    except ValueError as error:
        raise BadView(f"That is not {error}.") from error


class ViewedPage(Struct, frozen=True):
    """A page as a view has it."""

    page: ProjectPage | None
    """None: nothing of it is in the view."""
    until: datetime | None = None
    """When there will be more in it, with no change of the page; None: never."""


def shown(
    page: ProjectPage,
    view: IndexView,
    now: datetime,
    *,
    policy: IndexPolicy = NO_POLICY,
    allowed: AllowedFiles | None = None,
) -> ViewedPage:
    """Return the page as a view has it. `allowed`: with `IndexView.only`."""
    until = None
    if view.cutoff is not None:
        page, dated = as_of(page, view.cutoff)
        if not dated:
            # Without any date nobody knows how it was; all of it would be a lie.
            return ViewedPage(None)
    artifacts = tuple(filter(policy.lets_through, page.artifacts))
    age = max((one for one in (view.age, policy.min_age) if one is not None), default=None)
    if age is not None:
        artifacts, until = old_enough(artifacts, age, now, policy)
    if view.private:
        artifacts = tuple(one for one in artifacts if one.promise.by is Promiser.PRIVATE)
    if allowed is not None:
        artifacts = tuple(filter(allowed.has, artifacts))
    if len(artifacts) != len(page.artifacts):
        page = replace(page, artifacts=artifacts)
    return ViewedPage(page if page.artifacts or view.is_whole else None, until)
