"""Each version gets the Python that it needs, or a reason and what to do about it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tf_tester.core.select.choose import versions_of
from tf_tester.core.select.matrix import every_python, hypothetical, other_pythons, plan, wheels_for_pythons
from tf_tester.core.select.platforms import platform_named
from tf_tester.model.artifact import Artifact, ProjectPage
from tf_tester.model.cell import PlannedCell
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.platform import Platform
from tf_tester.model.lock import Resolution
from tf_tester.model.outcome import Outcome

LINUX = "manylinux_2_17_x86_64.manylinux2014_x86_64"


HERE = Platform(tags=("manylinux_2_36_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux2010_x86_64"))
"""A 64-bit Linux."""


def python(version: str, abi: str = "") -> Interpreter:
    major, minor = version.split(".")[:2]
    abi = abi or hypothetical((int(major), int(minor)), HERE).abi
    return Interpreter(Path(f"/python{version}"), version, "cpython", abi, 64, f"cpython-{major}{minor}", platform=HERE)


PYTHONS = [python(version) for version in ("3.13.0", "3.12.1", "3.11.7", "3.10.13", "3.9.18", "3.8.18", "3.7.16")]


def file(
    name: str, *, requires: str | None = None, yanked: str | None = None, uploaded: str = "2021-06-01"
) -> Artifact:
    version = name.removesuffix(".tar.gz").split("-")[1]
    moment = datetime.fromisoformat(uploaded).replace(tzinfo=UTC)
    return Artifact(name, "tensorflow", version, "", requires_python=requires, yanked=yanked, upload_time=moment)


def wheels(version: str, *releases: str, platform: str = LINUX, requires: str | None = None) -> list[Artifact]:
    abis = (hypothetical((3, int(release.removeprefix("3."))), HERE).abi for release in releases)
    return [
        file(f"tensorflow-{version}-{abi.removesuffix('m')}-{abi}-{platform}.whl", requires=requires) for abi in abis
    ]


def planned(
    artifacts: Sequence[Artifact],
    interpreters: Sequence[Interpreter] = PYTHONS,
    *,
    pythons: Sequence[str] = (),
    resolution: Resolution = Resolution.ERA,
    may_build: bool = False,
) -> PlannedCell:
    """The only cell of a page with one version."""
    page = ProjectPage("tensorflow", tuple(artifacts))
    versions = list(versions_of(page))
    [cell] = plan(
        page, versions, interpreters, platform=HERE, pythons=pythons, resolution=resolution, may_build=may_build
    )
    return cell


def refused(cell: PlannedCell) -> tuple[Outcome, str, str]:
    assert cell.refusal is not None
    assert (cell.interpreter, cell.artifact) == (None, None)
    return cell.refusal.outcome, cell.refusal.summary, cell.refusal.hint


# -- the newest Python with a wheel


def test_the_newest_python_with_a_wheel_is_taken() -> None:
    cell = planned(wheels("2.4.0", "3.6", "3.7", "3.8"))
    assert cell.cell.name == "tensorflow==2.4.0@py3.8@era"
    assert cell.artifact is not None
    assert cell.artifact.filename == f"tensorflow-2.4.0-cp38-cp38-{LINUX}.whl"


def test_each_version_gets_its_own_python() -> None:
    page = ProjectPage(
        "tensorflow",
        (*wheels("2.4.0", "3.6", "3.7", "3.8"), *wheels("2.16.1", "3.9", "3.10", "3.11", "3.12")),
    )
    cells = plan(page, list(versions_of(page)), PYTHONS, platform=HERE, pythons=(), resolution=Resolution.ERA)
    assert [cell.cell.python for cell in cells] == ["3.8", "3.12"]


def test_a_wheel_that_came_with_the_release_needs_no_settling() -> None:
    # tensorflow 2.16.1 came half a year after Python 3.12, jaxlib's cp39-none wheels two months after 3.9.
    artifacts = [file(f"tensorflow-2.0-{py}-none-{LINUX}.whl", uploaded="2020-12-01") for py in ("cp38", "cp39")]
    assert planned(artifacts).cell.python == "3.9"


def test_requires_python_is_obeyed() -> None:
    artifacts = [*wheels("2.16.1", "3.11"), *wheels("2.16.1", "3.12", requires=">=3.12.2")]
    assert planned(artifacts).cell.python == "3.11"


def test_a_wheel_that_is_not_yanked_is_preferred() -> None:
    artifacts = [
        file("tensorflow-2.0-2-py3-none-any.whl", yanked="broken"),
        file("tensorflow-2.0-1-py3-none-any.whl"),
    ]
    assert planned(artifacts).artifact == artifacts[1]
    assert planned(artifacts[:1]).artifact == artifacts[0]


# -- a wheel for any Python


PURE = [file("tensorflow-1.0-py3-none-any.whl", uploaded="2020-12-01")]
STABLE = [file(f"tensorflow-1.0-cp37-abi3-{LINUX}.whl", uploaded="2020-12-01")]
MANY = [file(f"tensorflow-1.0-py3-none-{LINUX}.whl", uploaded="2020-12-01")]


@pytest.mark.parametrize("artifacts", [PURE, STABLE, MANY])
def test_a_wheel_for_any_python_gets_the_one_that_was_settled_then(artifacts: list[Artifact]) -> None:
    assert planned(artifacts).cell.python == "3.8"


def test_where_none_was_settled_the_oldest_is_the_nearest() -> None:
    assert planned(PURE, PYTHONS[:3]).cell.python == "3.11"
    assert planned(PURE, [*PYTHONS[:3], python("3.11.2")]).interpreter == PYTHONS[2]


def test_other_pythons_are_tried_from_the_nearest_on() -> None:
    assert other_pythons(PYTHONS[4], [*PYTHONS, python("3.9.2")]) == ["3.8", "3.10", "3.7", "3.11", "3.12", "3.13"]


@pytest.mark.parametrize("resolution", [Resolution.LATEST, Resolution.LOWEST])
def test_dependencies_of_today_go_with_the_newest_python(resolution: Resolution) -> None:
    assert planned(PURE, resolution=resolution).cell.python == "3.13"


# -- Pythons that were asked for


def test_a_version_gets_a_cell_for_each_python_asked_for() -> None:
    page = ProjectPage("tensorflow", (*wheels("2.4.0", "3.7", "3.8"), *wheels("2.8.0", "3.7", "3.8", "3.9")))
    cells = plan(
        page, list(versions_of(page)), PYTHONS, platform=HERE, pythons=("3.8", "3.7"), resolution=Resolution.ERA
    )
    assert [(cell.cell.version, cell.cell.python) for cell in cells] == [
        ("2.4.0", "3.8"),
        ("2.4.0", "3.7"),
        ("2.8.0", "3.8"),
        ("2.8.0", "3.7"),
    ]
    assert all(cell.refusal is None for cell in cells)


def test_of_two_pythons_with_one_label_the_one_that_fits_is_taken() -> None:
    older, newer = python("3.12.1"), python("3.12.7")
    cell = planned(wheels("2.16.1", "3.12", requires=">=3.12.2"), [older, newer], pythons=("3.12",))
    assert cell.interpreter == newer


def test_a_python_without_a_wheel_is_told_which_have_one() -> None:
    assert refused(planned(wheels("2.4.0", "3.7", "3.8"), pythons=("3.12",))) == (
        Outcome.NO_WHEEL,
        "tensorflow 2.4.0 has no wheel for Python 3.12.",
        "It has wheels for 3.7, 3.8.",
    )


def test_a_python_that_is_missing_comes_with_the_command_that_installs_it() -> None:
    assert refused(planned(wheels("2.4.0", "3.7", "3.8"), PYTHONS[:1], pythons=("3.8",))) == (
        Outcome.NO_PYTHON,
        "Python 3.8 is not installed.",
        "Install it with `uv python install 3.8`, or repeat with --install-python.",
    )


def test_nobody_is_told_to_install_a_python_that_has_no_wheel() -> None:
    outcome, summary, hint = refused(planned(wheels("2.4.0", "3.7", "3.8"), PYTHONS[1:], pythons=("3.13",)))
    assert (outcome, hint) == (Outcome.NO_WHEEL, "It has wheels for 3.7, 3.8.")
    assert "not installed" not in summary


@pytest.mark.parametrize("label", ["3.13t", "3.12.99", "pp310"])
def test_of_pythons_that_we_know_less_of_only_the_absence_is_told(label: str) -> None:
    assert refused(planned(wheels("2.4.0", "3.8"), pythons=(label,)))[0] is Outcome.NO_PYTHON


# -- nothing fits


def test_wheels_for_pythons_that_are_all_missing() -> None:
    assert refused(planned(wheels("2.4.0", "3.6", "3.7", "3.8"), PYTHONS[:3])) == (
        Outcome.NO_PYTHON,
        "tensorflow 2.4.0 has wheels for Python 3.6, 3.7, 3.8 only, and none of these is installed.",
        "Install one with `uv python install 3.8`, or repeat with --install-python.",
    )


def test_a_cell_without_a_python_has_a_dash_for_it() -> None:
    assert planned(wheels("2.4.0", "3.6"), []).cell.name == "tensorflow==2.4.0@py-@era"


def test_wheels_for_other_platforms_only() -> None:
    artifacts = wheels("2.4.0", "3.8", platform="win_amd64")
    expected = (Outcome.NO_WHEEL, "tensorflow 2.4.0 has no wheel for this platform.", "")
    assert refused(planned(artifacts)) == expected
    assert refused(planned(artifacts, pythons=("3.8",))) == expected


def test_a_source_beside_wheels_for_other_platforms_is_offered() -> None:
    artifacts = [*wheels("2.4.0", "3.8", platform="win_amd64"), file("tensorflow-2.4.0.tar.gz")]
    assert refused(planned(artifacts))[2] == "Allow building it with --allow-build tensorflow."


def test_only_a_source() -> None:
    assert refused(planned([file("tensorflow-0.1.tar.gz")])) == (
        Outcome.NO_WHEEL,
        "tensorflow 0.1 exists only as source.",
        "Allow building it with --allow-build tensorflow.",
    )


# -- building


def test_a_source_is_built_for_the_python_that_was_settled_then() -> None:
    sdist = file("tensorflow-0.1.tar.gz", uploaded="2020-12-01")
    cell = planned([sdist], may_build=True)
    assert (cell.cell.python, cell.artifact) == ("3.8", sdist)


def test_a_wheel_for_an_older_python_comes_before_a_build_for_the_newest() -> None:
    artifacts = [file("tensorflow-2.4.0.tar.gz"), *wheels("2.4.0", "3.7")]
    assert planned(artifacts, may_build=True).cell.python == "3.7"


def test_a_python_that_was_asked_for_is_built_for() -> None:
    artifacts = [file("tensorflow-2.4.0.tar.gz"), *wheels("2.4.0", "3.7")]
    cell = planned(artifacts, may_build=True, pythons=("3.13",))
    assert (cell.cell.python, cell.artifact) == ("3.13", artifacts[0])


def test_a_python_that_is_missing_is_worth_installing_where_it_may_be_built_for() -> None:
    artifacts = [file("tensorflow-2.4.0.tar.gz"), *wheels("2.4.0", "3.7")]
    assert refused(planned(artifacts, PYTHONS[1:], may_build=True, pythons=("3.13",)))[0] is Outcome.NO_PYTHON


def test_a_source_that_no_python_here_may_build() -> None:
    sdist = file("tensorflow-0.1.tar.gz", requires="<3.7")
    assert refused(planned([sdist], may_build=True)) == (
        Outcome.NO_PYTHON,
        "tensorflow 0.1 has to be built for Python <3.7, and none of these is installed.",
        "Install one with `uv python install`.",
    )


# -- what exists at all


def test_the_wheels_of_a_version_by_python() -> None:
    artifacts = [*wheels("2.16.1", "3.9", "3.10", "3.11", "3.12"), *wheels("2.16.1", "3.12", platform="win_amd64")]
    assert list(wheels_for_pythons(artifacts, HERE)) == ["3.9", "3.10", "3.11", "3.12"]


def test_a_pure_wheel_is_there_for_every_python_that_it_allows() -> None:
    labels = list(wheels_for_pythons([file("tensorflow-1.0-py3-none-any.whl", requires=">=3.9,<3.13")], HERE))
    assert labels == ["3.9", "3.10", "3.11", "3.12"]


def test_a_cell_names_its_platform_unless_it_is_this_machine() -> None:
    elsewhere = platform_named("win_amd64")
    page = ProjectPage("tensorflow", tuple(wheels("2.16.1", "3.12", platform="win_amd64")))
    for platform, key in ((elsewhere, "tensorflow==2.16.1@py3.12@era@win_amd64"), (HERE, "tensorflow==2.16.1@py-@era")):
        [one] = plan(
            page,
            list(versions_of(page)),
            every_python(platform),
            platform=platform,
            pythons=(),
            resolution=Resolution.ERA,
        )
        assert one.cell.name == key
    assert (elsewhere.label, HERE.label) == ("win_amd64", HERE.tags[0])
