"""What an index keeps of the authority's page of a project, and what it loses. Pure."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from tf_tester.core.index.simple import JSON_TYPE
from tf_tester.core.text.sizes import count_text
from tf_tester.model.artifact import Artifact, ProjectPage


class Grade(StrEnum):
    """How an index does in one respect, compared with the authority."""

    OK = "ok"
    LESS = "less"
    """It does without something that others have; we get it from the authority."""
    WRONG = "wrong"
    """It says something else than the authority."""


class ConformanceFinding(Struct, frozen=True):
    """One thing that was looked at."""

    what: str
    grade: Grade
    told: str


def of_answer(content_type: str, body: bytes, revalidated: int | None) -> list[ConformanceFinding]:
    """Return what the answer itself tells: the format (PEP 691), and whether it can be revalidated.

    `revalidated`: status of the answer to the same question with its ETag; None where it had none.
    """
    kind = content_type.partition(";")[0].strip() or "nothing"
    as_json = body.lstrip()[:1] == b"{"
    if as_json and kind == JSON_TYPE:
        form = ConformanceFinding("JSON (PEP 691)", Grade.OK, kind)
    elif as_json:
        form = ConformanceFinding("JSON (PEP 691)", Grade.LESS, f"sent as {kind}")
    else:
        form = ConformanceFinding("JSON (PEP 691)", Grade.LESS, f"HTML only ({kind})")
    if revalidated is None:
        return [form, ConformanceFinding("ETag", Grade.LESS, "none: each look at a page is a download of it")]
    if revalidated != 304:
        return [form, ConformanceFinding("ETag", Grade.LESS, f"there, but asked with it the answer is {revalidated}")]
    return [form, ConformanceFinding("ETag", Grade.OK, "answers 304 where nothing has changed")]


def of_page(page: ProjectPage, authority: ProjectPage) -> list[ConformanceFinding]:
    """Return how the page differs from the authority's."""
    theirs = {artifact.filename: artifact for artifact in authority.artifacts}
    mine = {artifact.filename: artifact for artifact in page.artifacts}
    both = [(mine[name], theirs[name]) for name in mine if name in theirs]
    return [
        _files(mine, theirs),
        _hashes(both),
        _told("sizes (PEP 700)", [one.size is not None for one, _ in both]),
        _told("upload times (PEP 700)", [one.upload_time is not None for one, _ in both]),
        _told(
            "metadata files (PEP 714)", [one.metadata_sha256 is not None for one, its in both if its.metadata_sha256]
        ),
        _yanks(both),
    ]


def _files(mine: dict[str, Artifact], theirs: dict[str, Artifact]) -> ConformanceFinding:
    missing = [artifact for name, artifact in theirs.items() if name not in mine]
    more = len(mine.keys() - theirs.keys())
    besides = f"; {more} that the authority doesn't list" if more else ""
    if not missing:
        return ConformanceFinding("files", Grade.WRONG if more else Grade.OK, f"all {len(theirs)}{besides}")
    newest = _newest(missing)
    when = f", the newest of {newest:%Y-%m-%d %H:%M} UTC" if newest else ""
    return ConformanceFinding("files", Grade.LESS, f"{len(missing)} of {len(theirs)} missing{when}{besides}")


def _newest(artifacts: Sequence[Artifact]) -> datetime | None:
    return max((one.upload_time for one in artifacts if one.upload_time is not None), default=None)


def _hashes(both: Sequence[tuple[Artifact, Artifact]]) -> ConformanceFinding:
    other = [one.filename for one, its in both if one.sha256 and its.sha256 and one.sha256 != its.sha256]
    if other:
        told = f"{len(other)} of {len(both)} differ from the authority's: {other[0]}"
        return ConformanceFinding("SHA-256", Grade.WRONG, told)
    none = sum(one.sha256 is None for one, _ in both)
    if none:
        return ConformanceFinding("SHA-256", Grade.LESS, f"no hash for {none} of {count_text(len(both), 'file')}")
    return ConformanceFinding("SHA-256", Grade.OK, f"the authority's for all {len(both)}")


def _told(what: str, given: Sequence[bool]) -> ConformanceFinding:
    if not given:
        return ConformanceFinding(what, Grade.OK, "the authority has none either")
    if all(given):
        return ConformanceFinding(what, Grade.OK, "for every file")
    return ConformanceFinding(what, Grade.LESS, f"for {sum(given)} of {len(given)} files" if any(given) else "none")


def _yanks(both: Sequence[tuple[Artifact, Artifact]]) -> ConformanceFinding:
    what = "yanks (PEP 592)"
    yanked = [(one, its) for one, its in both if its.yanked is not None]
    lost = sum(one.yanked is None for one, _ in yanked)
    made_up = sum(one.yanked is not None and its.yanked is None for one, its in both)
    reasons = sum(bool(its.yanked) and not one.yanked for one, its in yanked if one.yanked is not None)
    if lost or made_up:
        return ConformanceFinding(
            what, Grade.WRONG, f"{lost} of {len(yanked)} yanked files are not marked, {made_up} others are"
        )
    if reasons:
        return ConformanceFinding(what, Grade.LESS, f"all {len(yanked)} marked, {reasons} without the reason")
    return ConformanceFinding(what, Grade.OK, f"all {len(yanked)} marked" if yanked else "there are none")
