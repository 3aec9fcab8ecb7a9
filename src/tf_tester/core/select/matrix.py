"""The cells of a run: each version with the Python that it needs, or the reason why there is none."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec.structs import replace
from packaging.version import Version

from tf_tester.core.index.era import release_date, settled_python
from tf_tester.core.select.choose import versions_of
from tf_tester.core.select.tags import accepts_python, best_wheel
from tf_tester.model.artifact import Artifact, ProjectPage
from tf_tester.model.cell import Cell, PlannedCell, Refusal
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.platform import Platform
from tf_tester.model.lock import Resolution
from tf_tester.model.outcome import Outcome

PYTHONS = tuple((3, minor) for minor in range(5, 16))
"""The Pythons that are looked for in wheel names, oldest first."""


def plan(
    page: ProjectPage,
    versions: Sequence[Version],
    interpreters: Sequence[Interpreter],
    *,
    platform: Platform,
    pythons: Sequence[str],
    resolution: Resolution,
    may_build: bool = False,
) -> tuple[PlannedCell, ...]:
    """Return a cell for each version, or for each version and each of `pythons` (labels such as `3.8`).

    `interpreters`, all of the platform, are in order of preference. Without `pythons` a version gets the newest
    Python that has a wheel of it; a wheel for any Python gets the newest that was settled when the version came
    out, or the oldest where none was. A version that can't run is a cell too, with a refusal.
    """
    by_label: dict[str, list[Interpreter]] = {}
    for interpreter in interpreters:
        by_label.setdefault(interpreter.label, []).append(interpreter)
    known = versions_of(page)
    cells: list[PlannedCell] = []
    for version in versions:
        artifacts = known[version]
        name = artifacts[0].version
        if not pythons:
            cell = Cell.of(page.project, name, "-", resolution, platform=platform.name)
            cells.append(_cell_for_any_python(cell, artifacts, interpreters, platform, may_build=may_build))
        for label in pythons:
            fitting = by_label.get(label, [])
            cell = Cell.of(page.project, name, label, resolution, platform=platform.name)
            cells.append(_cell_for_python(cell, artifacts, fitting, platform, may_build=may_build))
    return tuple(cells)


def other_pythons(python: Interpreter, interpreters: Iterable[Interpreter]) -> list[str]:
    """Return the labels of the other Pythons, the nearest to one first; of two as near, the older one."""
    others = {one.label: one.release for one in interpreters if one.label != python.label}
    return sorted(others, key=lambda label: (abs(others[label][1] - python.release[1]), others[label]))


def every_python(platform: Platform) -> list[Interpreter]:
    """Return the Pythons that could be on a platform, the newest first."""
    return [hypothetical(release, platform) for release in reversed(PYTHONS)]


def wheels_for_pythons(artifacts: Iterable[Artifact], platform: Platform) -> dict[str, Artifact]:
    """Return the best wheel by Python label, for every Python that has one on a platform, oldest first."""
    files = [artifact for artifact in artifacts if artifact.is_wheel]
    found: dict[str, Artifact] = {}
    for release in PYTHONS:
        python = hypothetical(release, platform)
        wheel = best_wheel(files, python)
        if wheel is not None:
            found[python.label] = wheel
    return found


def hypothetical(release: tuple[int, int], platform: Platform) -> Interpreter:
    """Return a CPython as it would be if it were installed on a platform.

    >>> hypothetical((3, 7), Platform()).abi, hypothetical((3, 8), Platform()).abi
    ('cp37m', 'cp38')
    """
    major, minor = release
    return Interpreter(
        path=Path(f"python{major}.{minor}"),
        version=f"{major}.{minor}.99",
        implementation="cpython",
        abi=f"cp{major}{minor}" + ("m" if release < (3, 8) else ""),
        bits=platform.bits,
        cache_tag=f"cpython-{major}{minor}",
        platform=platform,
    )


def _cell_for_any_python(
    cell: Cell,
    artifacts: Sequence[Artifact],
    interpreters: Sequence[Interpreter],
    platform: Platform,
    *,
    may_build: bool,
) -> PlannedCell:
    released = release_date(artifacts) if cell.resolution is Resolution.ERA else None
    # A wheel for an older Python before a build for the newest.
    for file_for in (_wheel_for, _sdist_for) if may_build else (_wheel_for,):
        fitting = [(interpreter, file_for(artifacts, interpreter)) for interpreter in interpreters]
        usable = [(interpreter, artifact) for interpreter, artifact in fitting if artifact is not None]
        settled = [pair for pair in usable if not _for_any_python(pair[1]) or settled_python(pair[0], released)]
        # Of those that came later the oldest is the nearest.
        oldest = min((pair[0].release for pair in usable), default=None)
        for interpreter, artifact in settled or [pair for pair in usable if pair[0].release == oldest]:
            return PlannedCell(replace(cell, python=interpreter.label), interpreter, artifact)
    return PlannedCell(cell, refusal=_no_python(cell, artifacts, platform, may_build=may_build))


def _cell_for_python(
    cell: Cell,
    artifacts: Sequence[Artifact],
    interpreters: Sequence[Interpreter],
    platform: Platform,
    *,
    may_build: bool,
) -> PlannedCell:
    for interpreter in interpreters:
        artifact = _wheel_for(artifacts, interpreter)
        if artifact is None and may_build:
            artifact = _sdist_for(artifacts, interpreter)
        if artifact is not None:
            return PlannedCell(cell, interpreter, artifact)
    pythons = wheels_for_pythons(artifacts, platform)
    label = cell.python
    if pythons and (interpreters or _would_not_help(label, pythons, artifacts, may_build=may_build)):
        refusal = Refusal(
            Outcome.NO_WHEEL,
            f"{cell.package} {cell.version} has no wheel for Python {label}.",
            f"It has wheels for {', '.join(pythons)}.",
        )
    elif interpreters:
        refusal = _no_python(cell, artifacts, platform, may_build=may_build)
    else:
        refusal = Refusal(
            Outcome.NO_PYTHON,
            f"Python {label} is not installed.",
            f"Install it with `uv python install {label}`, or repeat with --install-python.",
        )
    return PlannedCell(cell, refusal=refusal)


def _wheel_for(artifacts: Sequence[Artifact], interpreter: Interpreter) -> Artifact | None:
    # What is no wheel is left out there, too.
    return best_wheel((one for one in artifacts if one.yanked is None), interpreter) or best_wheel(
        artifacts, interpreter
    )


def _sdist_for(artifacts: Sequence[Artifact], interpreter: Interpreter) -> Artifact | None:
    return next((a for a in artifacts if a.is_sdist and accepts_python(a.requires_python, interpreter.version)), None)


def _for_any_python(artifact: Artifact) -> bool:
    """Return whether a wheel fits Pythons that were not there when it was made; an sdist does."""
    if not artifact.is_wheel:
        return True
    python, abi, _ = artifact.filename[:-4].split("-")[-3:]
    return python.startswith("py") or abi.startswith("abi3")


def _would_not_help(label: str, pythons: Iterable[str], artifacts: Sequence[Artifact], *, may_build: bool) -> bool:
    """Return whether installing that Python would only show that there is nothing for it."""
    known = {one.label for one in every_python(Platform())}
    return label in known and label not in pythons and not (may_build and any(a.is_sdist for a in artifacts))


def _no_python(cell: Cell, artifacts: Sequence[Artifact], platform: Platform, *, may_build: bool) -> Refusal:
    """Return why there is no Python: one is missing, or this platform has nothing at all."""
    name = f"{cell.package} {cell.version}"
    pythons = list(wheels_for_pythons(artifacts, platform))
    if pythons:
        newest = pythons[-1]
        return Refusal(
            Outcome.NO_PYTHON,
            f"{name} has wheels for Python {', '.join(pythons)} only, and none of these is installed.",
            f"Install one with `uv python install {newest}`, or repeat with --install-python.",
        )
    sdist = next((artifact for artifact in artifacts if artifact.is_sdist), None)
    if sdist is not None and may_build:
        return Refusal(
            Outcome.NO_PYTHON,
            f"{name} has to be built for Python {sdist.requires_python}, and none of these is installed.",
            "Install one with `uv python install`.",
        )
    hint = "" if sdist is None or platform.name else f"Allow building it with --allow-build {cell.package}."
    if any(artifact.is_wheel for artifact in artifacts):
        where = platform.name or "this platform"
        return Refusal(Outcome.NO_WHEEL, f"{name} has no wheel for {where}.", hint)
    return Refusal(Outcome.NO_WHEEL, f"{name} exists only as source.", hint)
