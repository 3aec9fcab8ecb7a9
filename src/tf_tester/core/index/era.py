"""What was current on a day: the view of an index as it was."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace
from packaging.version import InvalidVersion, Version

from tf_tester.model.artifact import Artifact, ProjectPage
from tf_tester.model.host.interpreter import Interpreter

_PYTHON_RELEASED = {
    # PEP 494, 537, 569, 596, 619, 664, 693, 719, 745, 790
    (3, 6): datetime(2016, 12, 23, tzinfo=UTC),
    (3, 7): datetime(2018, 6, 27, tzinfo=UTC),
    (3, 8): datetime(2019, 10, 14, tzinfo=UTC),
    (3, 9): datetime(2020, 10, 5, tzinfo=UTC),
    (3, 10): datetime(2021, 10, 4, tzinfo=UTC),
    (3, 11): datetime(2022, 10, 24, tzinfo=UTC),
    (3, 12): datetime(2023, 10, 2, tzinfo=UTC),
    (3, 13): datetime(2024, 10, 7, tzinfo=UTC),
    (3, 14): datetime(2025, 10, 7, tzinfo=UTC),
    (3, 15): datetime(2026, 10, 1, tzinfo=UTC),
}
GRACE = timedelta(days=14)
"""How long after a release its dependencies may have come out, where nothing else is said."""
_MAJORS = timedelta(days=2)
"""Likewise for new major releases: protobuf 4 came within 14 days of four releases of TensorFlow that it breaks."""
_UPLOADED_AGAIN = {
    # https://docs.jax.dev/en/latest/changelog.html; the files of 2023 were deleted, and uploaded anew in 2025.
    ("jaxlib", "0.4.13"): datetime(2023, 6, 22, tzinfo=UTC),
    # The tags of https://github.com/untitaker/python-atomicwrites; all files were deleted on 8 July 2022, and uploaded
    # anew the day after. pytest 3.6 to 5.2 requires it.
    ("atomicwrites", "1.0.0"): datetime(2016, 3, 25, tzinfo=UTC),
    ("atomicwrites", "1.1.0"): datetime(2016, 7, 27, tzinfo=UTC),
    ("atomicwrites", "1.1.5"): datetime(2016, 8, 14, tzinfo=UTC),
    ("atomicwrites", "1.2.0"): datetime(2018, 8, 24, tzinfo=UTC),
    ("atomicwrites", "1.2.1"): datetime(2018, 8, 30, tzinfo=UTC),
    ("atomicwrites", "1.3.0"): datetime(2019, 2, 1, tzinfo=UTC),
    ("atomicwrites", "1.4.0"): datetime(2020, 4, 28, tzinfo=UTC),
}
"""When versions came out of which no file is as old as that."""
_SETTLING = timedelta(days=180)
"""Half a year after a Python's release most packages with extension modules have wheels for it."""


def release_date(artifacts: Iterable[Artifact]) -> datetime | None:
    """Return when a version came out: the *earliest* upload among its files; None where no file has a time.

    Publishers add wheels years later (jaxlib 0.4.13 of 2023 has files of December 2025), so a file's own time
    says nothing of its version's. Where all files were uploaded again, it is known here.
    """
    files = list(artifacts)
    known = (_UPLOADED_AGAIN.get((files[0].project, files[0].version)),) if files else ()
    return min((time for time in (*known, *(one.upload_time for one in files)) if time is not None), default=None)


def as_of(page: ProjectPage, cutoff: datetime | None) -> tuple[ProjectPage, bool]:
    """Return the page with only those versions that were out by then, and whether the page tells times at all.

    Every file of a version that was out is there, also those added later. A version without any upload time
    counts as out: leaving it away would leave everything away on an index that has no times (PEP 503).
    """
    if cutoff is None:
        return page, True
    by_version = files_by_version(page.artifacts)
    kept: list[Artifact] = []
    dated = False
    for artifacts in by_version.values():
        released = release_date(artifacts)
        dated = dated or released is not None
        if released is None or released <= cutoff:
            kept.extend(artifacts)
    return replace(page, artifacts=tuple(kept)), dated or not by_version


def majors_until(released: datetime, grace: timedelta) -> datetime | None:
    """Return until when new major releases of dependencies count; None: as long as all others.

    A grace that somebody has made longer than the usual one is for these, too.
    """
    return None if grace > GRACE else released + min(grace, _MAJORS)


def without_new_majors(page: ProjectPage, until: datetime) -> tuple[ProjectPage, frozenset[str]]:
    """Return the page without the releases of a major version that first came out after a moment, and those versions.

    A project of which nothing was out by then keeps all it has.
    """
    dated = {version: release_date(files) for version, files in files_by_version(page.artifacts).items()}
    newest = max(
        (
            (version.epoch, version.major)
            for version, released in dated.items()
            if isinstance(version, Version) and not version.is_prerelease and (released is None or released <= until)
        ),
        default=None,
    )
    if newest is None:
        return page, frozenset()
    held = {
        version
        for version, released in dated.items()
        if isinstance(version, Version)
        and (version.epoch, version.major) > newest
        and released is not None
        and released > until
    }
    if not held:
        return page, frozenset()
    kept = tuple(one for one in page.artifacts if _version(one.version) not in held)
    return replace(page, artifacts=kept), frozenset(map(str, held))


def files_by_version(artifacts: Iterable[Artifact]) -> dict[Version | str, list[Artifact]]:
    """Return the files in the page's order; `1.0` and `1.0.0` are one version, what PEP 440 can't read goes by its
    text.
    """
    spellings: dict[str, Version | str] = {}
    found: dict[Version | str, list[Artifact]] = {}
    for artifact in artifacts:
        version = spellings.get(artifact.version)
        if version is None:
            version = spellings[artifact.version] = _version(artifact.version)
        found.setdefault(version, []).append(artifact)
    return found


def settled_python(interpreter: Interpreter, released: datetime | None) -> bool:
    """Return whether that Python was old enough when a version came out for its dependencies to have wheels for it."""
    if released is None or interpreter.release < min(_PYTHON_RELEASED):
        return True
    python_released = _PYTHON_RELEASED.get(interpreter.release)
    # One that isn't in the table yet is newer than everything that it could be settled for.
    return python_released is not None and python_released + _SETTLING <= released


def _version(text: str) -> Version | str:
    try:
        return Version(text)
    except InvalidVersion:
        return text
