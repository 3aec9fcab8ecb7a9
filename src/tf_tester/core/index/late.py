"""What a resolver asked for in vain because it came out after the era. Pure."""

import re
from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tf_tester.core.index.era import files_by_version, release_date
from tf_tester.model.artifact import ProjectPage

_REQUIREMENT = r"(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?(?P<specifier>(?:,?(?:[<>=!~]=|[<>])[\w.*+!]+)+)"


class LateRequirement(Struct, frozen=True):
    """A requirement that only versions meet which came out later."""

    text: str
    version: str
    """The first that came out and meets it."""
    released: datetime

    @property
    def told(self) -> str:
        return f"{self.text} is there since {self.released:%Y-%m-%d}"


def late_requirements(said: str, pages: Mapping[str, ProjectPage], cutoff: datetime) -> tuple[LateRequirement, ...]:
    """Return the requirements, as a resolver's words name them, that nothing met by a day, and something met later.

    `pages`: whole, by canonical name.
    """
    found: dict[tuple[str, str], LateRequirement] = {}
    for match in re.finditer(_REQUIREMENT, said):
        name, specifier = str(canonicalize_name(match["name"])), match["specifier"].rstrip(".")
        if name in pages and (name, specifier) not in found:
            late = _late(match["name"] + specifier, pages[name], specifier, cutoff)
            if late is not None:
                found[(name, specifier)] = late
    return tuple(found.values())


def _late(text: str, page: ProjectPage, specifier: str, cutoff: datetime) -> LateRequirement | None:
    try:
        wanted = SpecifierSet(specifier)
    except InvalidSpecifier:
        return None
    dates: list[tuple[datetime, Version]] = []
    for version, files in files_by_version(page.artifacts).items():
        if not isinstance(version, Version) or not wanted.contains(version, prereleases=True):
            continue
        released = release_date(files)
        if released is None or released <= cutoff:
            return None
        if not version.is_prerelease or "==" in specifier:
            dates.append((released, version))
    if not dates:
        return None
    released, version = min(dates)
    return LateRequirement(text, str(version), released)
