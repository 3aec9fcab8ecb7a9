"""Which files a replica needs so that what it holds can be installed from it: roots, and what they require in turn.

No resolver: a replica is to serve whatever its users resolve. So each requirement, for each Python and platform, gets
the newest versions that it allows there, and all requirements of a project together get the newest that satisfy them
all, where there are such. Pure: it says which pages and which METADATA it needs, and is told what is in them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace
from packaging.markers import Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from tf_tester.core.index.era import majors_until, release_date, without_new_majors
from tf_tester.core.index.simple import without_versions
from tf_tester.core.select.choose import is_yanked, versions_of
from tf_tester.core.select.markers import marker_environment
from tf_tester.core.select.platforms import platform_named
from tf_tester.core.select.tags import MICROS, suits
from tf_tester.core.wheel.requirements import requirements_of
from tf_tester.model.artifact import Artifact, ProjectPage
from tf_tester.model.host.platform import Platform

_PYTHONS = tuple((3, minor) for minor in range(6, 15))
"""Those for which a replica is that names none."""
_PLATFORMS = ("linux_x86_64", "linux_aarch64", "macosx_arm64", "macosx_x86_64", "win_amd64")
"""What markers are tried with where the replica is for all."""


class InstallTarget(Struct, frozen=True):
    """What is to be able to install from the replica."""

    python: tuple[int, int]
    platform: Platform | None = None
    """None: every one."""


class TargetRequirement(Struct, frozen=True):
    """One requirement, for one target."""

    project: str
    """Canonical name."""
    target: InstallTarget
    specifier: str = ""
    extras: frozenset[str] = frozenset()
    newest: int | None = None
    """How many of the versions that it allows; None: all."""
    cutoff: datetime | None = None
    """Versions that came out later don't count."""
    majors_until: datetime | None = None
    """Also what counts where new major releases that came later don't; None: nothing else."""
    digests: frozenset[str] = frozenset()
    """SHA-256 of the only files that are meant; none: all of the versions are."""
    root: bool = False
    """It was asked for, and isn't a consequence."""
    alone: bool = False
    """What it requires is not to be had: a lock has named that, too."""


class SdistChoice(StrEnum):
    """Which source distributions a replica has."""

    NEVER = "never"
    MISSING = "missing"
    """Where no wheel of a version fits."""
    ALWAYS = "always"


class ReplicaRules(Struct, frozen=True):
    """How a replica is filled."""

    dependencies: bool = True
    newest: int | None = 1
    """Versions that a dependency's requirement gets for each target; None: all that it allows."""
    sdists: SdistChoice = SdistChoice.MISSING
    pre: bool = False
    grace: timedelta | None = None
    """Dependencies also as they were when a root's version came out, and so much later; None: only as they are."""
    exclude: frozenset[str] = frozenset()
    """Canonical names that are never taken."""


class _Project(Struct):
    page: ProjectPage
    versions: list[tuple[Version, tuple[Artifact, ...]]]
    """Newest first."""
    suited: dict[InstallTarget, list[tuple[Version, tuple[Artifact, ...]]]] = field(default_factory=dict)
    """What may be taken for a target."""
    sources: dict[InstallTarget, list[tuple[Version, tuple[Artifact, ...]]]] = field(default_factory=dict)
    """What may be taken for it where that is nothing."""


class _Need(Struct, frozen=True):
    """A file was taken: what it requires is to be had, too."""

    artifact: Artifact
    key: str
    target: InstallTarget
    extras: frozenset[str]
    cutoff: datetime | None
    majors_until: datetime | None = None


class Closure:
    """Ask it what it wants to know until it wants nothing more; then `chosen` is complete."""

    def __init__(self, rules: ReplicaRules, roots: Iterable[TargetRequirement]) -> None:
        self._rules = rules
        self._projects: dict[str, _Project | None] = {}
        """None: there is none, or its page can't be had."""
        self._seen: set[TargetRequirement] = set()
        self._waiting: dict[str, list[TargetRequirement]] = {}
        """Demands by the project whose page is not known yet."""
        self._metadata: dict[str, tuple[Requirement, ...]] = {}
        """What is required, by key."""
        self._needs: dict[str, list[_Need]] = {}
        """By the key of the METADATA that is not known yet."""
        self._met: set[_Need] = set()
        self.chosen: dict[str, dict[str, Artifact]] = {}
        """Files by project and file name."""
        self._satisfied: set[tuple[str, str]] = set()
        self._unsatisfied: set[tuple[str, str]] = set()
        """Projects and specifiers, on some target each."""
        self.opaque: set[str] = set()
        """Versions of which there are sources alone, such as `toy 1.0`: what they require isn't known."""
        self.addresses: set[str] = set()
        """Requirements that name an address instead of an index; they can't be copied."""
        for demand in roots:
            self._add(demand)

    @property
    def unmet(self) -> dict[str, set[str]]:
        """Requirements that no version satisfies on any target, by project, as they were written."""
        found: dict[str, set[str]] = {}
        for project, specifier in self._unsatisfied - self._satisfied:
            found.setdefault(project, set()).add(specifier)
        return found

    @property
    def asked(self) -> set[str]:
        """Projects whose pages it was told."""
        return set(self._projects)

    # -- what it wants to know

    def pages_wanted(self) -> list[str]:
        """Return the projects, by canonical name, whose pages are to be asked for."""
        return sorted(self._waiting)

    def learn_page(self, project: str, page: ProjectPage | None) -> None:
        """Learn a project's page; None: there is none."""
        versions = list(versions_of(page).items())[::-1] if page is not None else []
        self._projects[project] = _Project(page, versions) if page is not None else None
        for demand in self._waiting.pop(project, []):
            self._satisfy(demand)

    def metadata_wanted(self) -> list[Artifact]:
        """Return wheels whose METADATA is to be read."""
        return [needs[0].artifact for _, needs in sorted(self._needs.items())]

    def learn_metadata(self, artifact: Artifact, metadata: bytes | None) -> None:
        """Learn a wheel's METADATA; None: it can't be had."""
        key = _key(artifact)
        self._metadata[key] = requirements_of(metadata) if metadata is not None else ()
        for need in self._needs.pop(key, []):
            self._follow(need)

    def join(self) -> bool:
        """Add the combined demands of each project, and return whether one of them is new.

        One for each target and cutoff; roots and demands for named files are left out. To be called when neither pages
        nor METADATA are wanted.
        """
        together: dict[tuple[str, InstallTarget, datetime | None, datetime | None], set[TargetRequirement]] = {}
        for demand in self._seen:
            if not demand.digests and not demand.root:
                key = (demand.project, demand.target, demand.cutoff, demand.majors_until)
                together.setdefault(key, set()).add(demand)
        before = len(self._seen)
        for (project, target, cutoff, majors), demands in together.items():
            words = sorted({word for one in demands for word in one.specifier.split(",") if word})
            if len(demands) > 1:
                newest = next(iter(demands)).newest
                extras = frozenset().union(*(one.extras for one in demands))
                text = ",".join(words)
                joined = TargetRequirement(
                    project, target, text, extras, newest=newest, cutoff=cutoff, majors_until=majors
                )
                self._add(joined, may_fail=True)
        return len(self._seen) > before

    # -- how

    def _add(self, demand: TargetRequirement, *, may_fail: bool = False) -> None:
        if demand in self._seen or demand.project in self._rules.exclude:
            return
        self._seen.add(demand)
        if demand.project in self._projects:
            self._satisfy(demand, may_fail=may_fail)
        else:
            self._waiting.setdefault(demand.project, []).append(demand)

    def _satisfy(self, demand: TargetRequirement, *, may_fail: bool = False) -> None:
        project = self._projects[demand.project]
        if project is None:
            return
        found = False
        for version, artifacts in self._allowed(project, demand):
            found = True
            taken = self.chosen.setdefault(demand.project, {})
            taken.update({one.filename: one for one in artifacts})
            if self._rules.dependencies and not demand.alone:
                self._require(demand, version, artifacts, project)
        if found:
            self._satisfied.add((demand.project, demand.specifier))
        elif not may_fail:
            self._unsatisfied.add((demand.project, demand.specifier))

    def _allowed(self, project: _Project, demand: TargetRequirement) -> list[tuple[Version, tuple[Artifact, ...]]]:
        if demand.digests:
            return _with_files(project, lambda artifacts: [one for one in artifacts if _is_meant(one, demand)])
        suited, sources = project.suited.get(demand.target), project.sources.get(demand.target, [])
        if suited is None:
            suited = _with_files(project, lambda artifacts: self._suiting(artifacts, demand.target))
            sources = _with_files(project, lambda artifacts: self._sources(artifacts, demand.target))
            project.suited[demand.target], project.sources[demand.target] = suited, sources
        return self._of(suited, project, demand) or self._of(sources, project, demand)

    def _of(
        self, suited: list[tuple[Version, tuple[Artifact, ...]]], project: _Project, demand: TargetRequirement
    ) -> list[tuple[Version, tuple[Artifact, ...]]]:
        """Return the versions that a demand allows, the newest first, as many as it wants."""
        specifiers = _specifiers(demand.specifier)
        exact = any(one.operator in ("==", "===") and not one.version.endswith(".*") for one in specifiers)
        out = [
            (version, files)
            for version, files in suited
            if specifiers.contains(version, prereleases=True)
            and (exact or not is_yanked(files))
            and _was_out(project, version, files, demand.cutoff)
        ]
        if not (self._rules.pre or specifiers.prereleases):
            # As pip: pre-releases only where there is nothing else.
            out = [one for one in out if not one[0].is_prerelease] or out
        if demand.newest is None:
            return out
        taken = out[: demand.newest]
        if demand.majors_until is not None:
            _, held = without_new_majors(project.page, demand.majors_until)
            older = [one for one in out if str(one[0]) not in held]
            taken += [one for one in older[: demand.newest] if one not in taken]
        return taken

    def _suiting(self, artifacts: Sequence[Artifact], target: InstallTarget) -> list[Artifact]:
        wheels = any(one.is_wheel for one in artifacts)
        sdists = self._rules.sdists
        with_sources = sdists is SdistChoice.ALWAYS or (sdists is SdistChoice.MISSING and not wheels)
        fit = [one for one in artifacts if _suits(one, target)]
        return [one for one in fit if one.is_wheel or (with_sources and one.is_sdist)]

    def _sources(self, artifacts: Sequence[Artifact], target: InstallTarget) -> list[Artifact]:
        """Return the source distributions of a version that has wheels, for other targets."""
        if self._rules.sdists is not SdistChoice.MISSING:
            return []
        return [one for one in artifacts if one.is_sdist and _suits(one, target)]

    def _require(
        self, demand: TargetRequirement, version: Version, artifacts: Sequence[Artifact], project: _Project
    ) -> None:
        wheels = {_key(one): one for one in artifacts if one.is_wheel}
        if not wheels:
            self.opaque.add(f"{demand.project} {version}")
        eras = [(demand.cutoff, demand.majors_until)]
        if demand.root and self._rules.grace is not None:
            released = release_date(next(files for one, files in project.versions if one == version))
            if released is not None:
                eras.append((released + self._rules.grace, majors_until(released, self._rules.grace)))
        for key, wheel in wheels.items():
            for cutoff, majors in eras:
                need = _Need(wheel, key, demand.target, demand.extras, cutoff, majors)
                if need in self._met:
                    continue
                self._met.add(need)
                if key in self._metadata:
                    self._follow(need)
                else:
                    self._needs.setdefault(key, []).append(need)

    def _follow(self, need: _Need) -> None:
        for requirement in self._metadata[need.key]:
            if not _holds(requirement, need.extras, need.target):
                continue
            if requirement.url is not None:
                self.addresses.add(str(requirement))
                continue
            name = str(canonicalize_name(requirement.name))
            own = f"=={need.artifact.version}" if name == need.artifact.project else ""
            self._add(
                TargetRequirement(
                    name,
                    need.target,
                    # An extra that is made of others names the project itself, and means this version.
                    own or _written(requirement.specifier),
                    frozenset(str(canonicalize_name(one)) for one in requirement.extras),
                    newest=self._rules.newest,
                    cutoff=need.cutoff,
                    majors_until=need.majors_until,
                )
            )


def targets_of(pythons: Sequence[tuple[int, int]], platforms: Sequence[Platform]) -> list[InstallTarget]:
    """Return each Python on each platform; where none is named, each that there is: newer ones take other versions."""
    return [InstallTarget(python, platform) for python in pythons or _PYTHONS for platform in platforms or (None,)]


def demands_of(
    requirement: Requirement,
    targets: Iterable[InstallTarget],
    *,
    newest: int | None,
    digests: frozenset[str] = frozenset(),
    alone: bool = False,
) -> list[TargetRequirement]:
    """Return the roots that a requirement means, as far as its marker holds."""
    return [
        TargetRequirement(
            str(canonicalize_name(requirement.name)),
            target,
            _written(requirement.specifier),
            frozenset(str(canonicalize_name(one)) for one in requirement.extras),
            newest=newest,
            digests=digests,
            root=True,
            alone=alone,
        )
        for target in targets
        if _holds(requirement, frozenset(), target)
    ]


def _with_files(
    project: _Project, chosen: Callable[[Sequence[Artifact]], Sequence[Artifact]]
) -> list[tuple[Version, tuple[Artifact, ...]]]:
    """Return the versions of which something is chosen, the newest first."""
    found = ((version, tuple(chosen(artifacts))) for version, artifacts in project.versions)
    return [(version, files) for version, files in found if files]


def _is_meant(artifact: Artifact, demand: TargetRequirement) -> bool:
    return artifact.sha256 in demand.digests and _suits(artifact, demand.target)


def _suits(artifact: Artifact, target: InstallTarget) -> bool:
    return suits(artifact, target.python, target.platform)


def _written(specifiers: SpecifierSet) -> str:
    """Return the specifiers in one order, whoever wrote them."""
    return ",".join(sorted(map(str, specifiers)))


def _key(artifact: Artifact) -> str:
    """Return a key: wheels with one key have one METADATA; where nothing is told of it, all of a version are
    taken to.
    """
    return artifact.metadata_sha256 or f"{artifact.project} {artifact.version}"


def _was_out(project: _Project, version: Version, files: Sequence[Artifact], cutoff: datetime | None) -> bool:
    if cutoff is None:
        return True
    released = release_date(next((artifacts for one, artifacts in project.versions if one == version), files))
    return released is None or released <= cutoff


@lru_cache(4096)
def _specifiers(text: str) -> SpecifierSet:
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:  # joined of what can't be joined
        return SpecifierSet("<0")


def _holds(requirement: Requirement, extras: frozenset[str], target: InstallTarget) -> bool:
    """Return whether it counts on any machine that the target means."""
    return requirement.marker is None or _true(str(requirement.marker), extras or frozenset({""}), target)


@lru_cache(65_536)
def _true(marker: str, extras: frozenset[str], target: InstallTarget) -> bool:
    parsed = Marker(marker)
    try:
        return any(
            parsed.evaluate({**environment, "extra": extra})
            for environment in _environments(target)
            for extra in extras
        )
    except (UndefinedComparison, UndefinedEnvironmentName, InvalidVersion):
        return True  # nobody can tell


@lru_cache(256)
def _environments(target: InstallTarget) -> tuple[Mapping[str, Any], ...]:
    major, minor = target.python
    platforms = (target.platform,) if target.platform else tuple(map(platform_named, _PLATFORMS))
    return tuple(
        marker_environment(f"{major}.{minor}.{micro}", "cpython", platform)
        for micro in MICROS
        for platform in platforms
    )


def merged(page: ProjectPage, artifacts: Iterable[Artifact]) -> ProjectPage:
    """Return the page with just these files, in its own order; what it doesn't list any more comes last.

    Of versions it has those of the files alone: PEP 700 would let it go on listing others.
    """
    wanted = {one.filename: one for one in artifacts}
    listed = [wanted.pop(one.filename) for one in page.artifacts if one.filename in wanted]
    return replace(page, artifacts=(*listed, *wanted.values()), source=without_versions(page.source))
