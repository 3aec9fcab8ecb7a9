"""What was current on a day."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from tf_tester.core.index.era import (
    GRACE,
    as_of,
    files_by_version,
    majors_until,
    release_date,
    settled_python,
    without_new_majors,
)
from tf_tester.model.artifact import Artifact, ProjectPage
from tf_tester.model.host.interpreter import Interpreter


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def file(version: str, uploaded: str | None, tag: str = "py3-none-any") -> Artifact:
    name = f"jaxlib-{version}-{tag}.whl"
    return Artifact(name, "jaxlib", version, f"https://host/{name}", upload_time=day(uploaded) if uploaded else None)


def page(*files: Artifact) -> ProjectPage:
    return ProjectPage("jaxlib", files)


def python(release: str) -> Interpreter:
    digits = release.replace(".", "")
    return Interpreter(Path("/python"), f"{release}.1", "cpython", f"cp{digits}", 64, f"cpython-{digits}")


OLD = file("0.4.13", "2023-06-21", "cp311-cp311-manylinux2014_x86_64")
LATE_WHEEL = file("0.4.13", "2025-12-01", "cp313-cp313-manylinux2014_x86_64")
NEW = file("0.4.14", "2023-07-28")


def test_the_earliest_upload_of_a_versions_files_is_its_date() -> None:
    assert release_date([LATE_WHEEL, OLD]) == day("2023-06-21")


def test_a_version_of_which_every_file_was_uploaded_again_has_its_own_date() -> None:
    assert release_date([LATE_WHEEL]) == day("2023-06-22")
    assert as_of(page(LATE_WHEEL, NEW), day("2023-07-01"))[0].artifacts == (LATE_WHEEL,)


def test_a_project_of_which_every_file_was_uploaded_again_keeps_its_order() -> None:
    files = [
        Artifact(f"{name}.whl", "atomicwrites", version, f"https://host/{name}", upload_time=day("2022-07-09"))
        for version in ("0.1.9", "1.0.0", "1.3.0", "1.4.0")
        for name in (f"atomicwrites-{version}-py2.py3-none-any",)
    ]
    shown, _ = as_of(ProjectPage("atomicwrites", tuple(files)), day("2019-07-13"))
    assert [one.version for one in shown.artifacts] == ["1.0.0", "1.3.0"]


def test_a_version_without_times_has_no_date() -> None:
    assert release_date([file("1.0", None)]) is None
    assert release_date([file("1.0", None), OLD]) == day("2023-06-21")


def test_a_version_that_came_later_is_not_there() -> None:
    shown, dated = as_of(page(OLD, NEW), day("2023-07-01"))
    assert (shown.artifacts, dated) == ((OLD,), True)


def test_the_day_itself_counts() -> None:
    assert as_of(page(OLD), day("2023-06-21"))[0].artifacts == (OLD,)


def test_a_wheel_that_was_added_years_later_stays_with_its_version() -> None:
    shown, _ = as_of(page(LATE_WHEEL, NEW, OLD), day("2023-07-01"))
    assert set(shown.artifacts) == {OLD, LATE_WHEEL}


def test_new_major_releases_have_a_shorter_grace_unless_somebody_makes_it_longer() -> None:
    released = day("2022-05-16")
    assert majors_until(released, GRACE) == day("2022-05-18")
    assert majors_until(released, timedelta(days=1)) == day("2022-05-17")
    assert majors_until(released, timedelta(days=30)) is None


def test_a_major_release_that_has_just_come_out_is_left_out_and_minor_ones_are_not() -> None:
    old, just, minor, patch = (
        file("3.20.1", "2022-04-21"),
        file("4.21.0", "2022-05-25"),
        file("3.21.0", "2022-05-25"),
        file("4.21.1", "2022-05-27"),
    )
    shown, held = without_new_majors(page(old, just, minor, patch), day("2022-05-18"))
    assert shown.artifacts == (old, minor)
    assert held == {"4.21.0", "4.21.1"}
    whole = page(old, just, minor)
    assert without_new_majors(whole, day("2022-05-25")) == (whole, frozenset())
    assert without_new_majors(page(just), day("2022-05-18")) == (page(just), frozenset())


def test_a_pre_release_makes_no_major_version_old() -> None:
    early, rc, final = file("1.9", "2022-01-01"), file("2.0rc1", "2022-05-01"), file("2.0", "2022-05-25")
    shown, held = without_new_majors(page(early, rc, final), day("2022-05-18"))
    assert shown.artifacts == (early, rc)
    assert held == {"2.0"}
    untimed = file("1.0", None), file("2.0", None)
    assert without_new_majors(page(*untimed), day("2022-05-18"))[1] == frozenset()


def test_two_spellings_of_a_version_are_one_version() -> None:
    late = replace(file("0.4.13.0", "2025-12-01"), filename="jaxlib-0.4.13.0.tar.gz")
    assert set(as_of(page(OLD, late), day("2023-07-01"))[0].artifacts) == {OLD, late}


def test_what_pep_440_cannot_read_goes_by_its_text() -> None:
    odd = file("2004d-final", "2004-01-01"), file("2004d-final", "2024-01-01", "py2-none-any")
    assert list(files_by_version(odd).values()) == [list(odd)]


def test_versions_without_times_are_kept_and_that_is_told() -> None:
    untimed = file("1.0", None), file("2.0", None)
    shown, dated = as_of(page(*untimed), day("2023-07-01"))
    assert (shown.artifacts, dated) == (untimed, False)


def test_one_time_on_a_page_is_enough_to_call_it_dated() -> None:
    shown, dated = as_of(page(file("1.0", None), NEW), day("2023-07-01"))
    assert ([a.version for a in shown.artifacts], dated) == (["1.0"], True)


def test_an_empty_page_is_not_called_undated() -> None:
    assert as_of(page(), day("2023-07-01")) == (page(), True)


def test_without_a_cutoff_everything_is_there() -> None:
    assert as_of(page(OLD, NEW), None) == (page(OLD, NEW), True)


@pytest.mark.parametrize(
    ("release", "released", "settled"),
    [
        ("3.8", "2020-12-14", True),  # TensorFlow 2.4
        ("3.9", "2020-12-14", False),
        ("3.5", "2016-01-01", True),
        ("3.15", "2026-01-01", False),
        ("3.15", "2027-12-01", True),
        ("3.99", "2030-01-01", False),
    ],
)
def test_a_python_is_settled_half_a_year_after_its_release(release: str, released: str, settled: bool) -> None:
    assert settled_python(python(release), day(released)) is settled


def test_every_python_is_settled_for_a_version_without_a_date() -> None:
    assert settled_python(python("3.99"), None)
