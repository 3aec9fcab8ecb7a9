"""What an index keeps of the authority's page, and what it loses."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from tf_tester.core.index.conformance import Grade, of_answer, of_page
from tf_tester.core.index.simple import JSON_TYPE
from tf_tester.model.artifact import Artifact, ProjectPage

WHOLE = Artifact(
    "toy-1.0-py3-none-any.whl",
    "toy",
    "1.0",
    "https://x/toy-1.0-py3-none-any.whl",
    "a" * 64,
    size=10,
    upload_time=datetime(2024, 3, 1, tzinfo=UTC),
    metadata_sha256="b" * 64,
)
OTHER = replace(WHOLE, filename="toy-2.0-py3-none-any.whl", version="2.0")
YANKED = replace(WHOLE, yanked="broken")


def grades(mine: tuple[Artifact, ...], theirs: tuple[Artifact, ...]) -> dict[str, Grade]:
    """Return what isn't as it is at the authority."""
    found = of_page(ProjectPage("toy", mine), ProjectPage("toy", theirs))
    return {one.what: one.grade for one in found if one.grade is not Grade.OK}


def test_an_equal_page_keeps_everything() -> None:
    assert grades((WHOLE, YANKED), (WHOLE, YANKED)) == {}


@pytest.mark.parametrize(
    ("mine", "theirs", "what", "grade"),
    [
        ((WHOLE,), (WHOLE, OTHER), "files", Grade.LESS),
        ((WHOLE, OTHER), (WHOLE,), "files", Grade.WRONG),
        ((replace(WHOLE, sha256="c" * 64),), (WHOLE,), "SHA-256", Grade.WRONG),
        ((replace(WHOLE, sha256=None),), (WHOLE,), "SHA-256", Grade.LESS),
        ((replace(WHOLE, size=None),), (WHOLE,), "sizes (PEP 700)", Grade.LESS),
        ((replace(WHOLE, upload_time=None),), (WHOLE,), "upload times (PEP 700)", Grade.LESS),
        ((replace(WHOLE, metadata_sha256=None),), (WHOLE,), "metadata files (PEP 714)", Grade.LESS),
        ((WHOLE,), (YANKED,), "yanks (PEP 592)", Grade.WRONG),
        ((YANKED,), (WHOLE,), "yanks (PEP 592)", Grade.WRONG),
        ((replace(WHOLE, yanked=""),), (YANKED,), "yanks (PEP 592)", Grade.LESS),
    ],
)
def test_what_is_lost_or_contradicted_is_told(
    mine: tuple[Artifact, ...], theirs: tuple[Artifact, ...], what: str, grade: Grade
) -> None:
    assert grades(mine, theirs) == {what: grade}


@pytest.mark.parametrize(
    ("content_type", "body", "revalidated", "expected"),
    [
        (JSON_TYPE, b"{}", 304, [Grade.OK, Grade.OK]),
        ("text/html; charset=utf-8", b"<html>", 304, [Grade.LESS, Grade.OK]),
        ("text/plain", b" {}", 304, [Grade.LESS, Grade.OK]),
        (JSON_TYPE, b"{}", 200, [Grade.OK, Grade.LESS]),
        (JSON_TYPE, b"{}", None, [Grade.OK, Grade.LESS]),
    ],
)
def test_an_answer_is_judged_by_its_form_and_by_revalidation(
    content_type: str, body: bytes, revalidated: int | None, expected: list[Grade]
) -> None:
    assert [one.grade for one in of_answer(content_type, body, revalidated)] == expected
