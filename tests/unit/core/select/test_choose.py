"""Which versions a person means."""

import pytest
from packaging.version import Version

from tf_tester.core.select.choose import Choice, choose, is_yanked, nearest, remarks_on_choice, versions_of
from tf_tester.errors import UnknownVersion, UsageError
from tf_tester.model.artifact import Artifact, LeftOutFile, ProjectPage

TENSORFLOW = ("1.14.0", "1.15.0", "1.15.5", "2.4.0", "2.4.1", "2.8.0", "2.10.1", "2.16.0rc0", "2.16.1", "2.17.0.dev1")


def page(*versions: str, yanked: tuple[str, ...] = ()) -> ProjectPage:
    return ProjectPage("tensorflow", tuple(file(version, yanked=version in yanked) for version in versions))


def file(version: str, *, yanked: bool = False, tag: str = "py3-none-any") -> Artifact:
    name = f"tensorflow-{version}-{tag}.whl"
    return Artifact(name, "tensorflow", version, f"https://host/{name}", yanked="broken" if yanked else None)


def chosen(text: str, *versions: str, last: int | None = None, pre: bool = False, lts: tuple[str, ...] = ()) -> str:
    """The versions as they are shown, oldest first."""
    found = choose(page(*(versions or TENSORFLOW)), Choice(text, last, pre, lts=lts))
    return " ".join(map(str, found))


# -- lists and specifiers


def test_a_list_is_taken_oldest_first_and_each_version_once() -> None:
    assert chosen("2.8.0, 2.4.0,2.8.0,") == "2.4.0 2.8.0"


def test_a_short_version_is_the_one_that_equals_it() -> None:
    assert chosen("2.4") == "2.4.0"
    assert chosen("v2.4.0") == "2.4.0"
    assert chosen("2.4.0", "2.4") == "2.4"


def test_commas_inside_a_specifier_do_not_separate() -> None:
    assert chosen(">=2.4,<2.10") == "2.4.0 2.4.1 2.8.0"
    assert chosen(">=2.4,!=2.4.1,<2.10,1.14.0") == "1.14.0 2.4.0 2.8.0"
    assert chosen("1.14.0,>=2.4,<2.5,2.16.1") == "1.14.0 2.4.0 2.4.1 2.16.1"


def test_an_equality_narrows_a_range_as_everywhere_else() -> None:
    assert chosen(">=2.4.1,==2.4.*") == "2.4.1"
    assert chosen("==2.4.*,>=2.4.1") == "2.4.1"


def test_two_equalities_are_a_list_because_both_at_once_mean_nothing() -> None:
    assert chosen("==2.4.0,==2.8.0") == "2.4.0 2.8.0"
    assert chosen("==1.15.*,==2.4.*,!=2.4.0") == "1.15.0 1.15.5 2.4.1"


def test_a_star_is_a_series_of_a_list() -> None:
    assert chosen("2.4.*") == "2.4.0 2.4.1"
    assert chosen("1.*,2.4.*") == "1.14.0 1.15.0 1.15.5 2.4.0 2.4.1"
    assert chosen("2.4.*,>=2.10") == "2.4.0 2.4.1 2.10.1 2.16.1"


def test_exclusions_take_away_from_a_series() -> None:
    assert chosen("2.4.*,!=2.4.1") == "2.4.0"


def test_a_compatible_release_is_understood() -> None:
    assert chosen("~=1.15.0") == "1.15.0 1.15.5"


# -- words


@pytest.mark.parametrize(
    ("text", "last", "expected"),
    [
        ("latest", None, "2.16.1"),
        ("latest", 3, "2.8.0 2.10.1 2.16.1"),
        ("minors", None, "1.14.0 1.15.5 2.4.1 2.8.0 2.10.1 2.16.1"),
        ("minors", 2, "2.10.1 2.16.1"),
        ("majors", None, "1.15.5 2.16.1"),
        ("all", 2, "2.10.1 2.16.1"),
        ("all", None, "1.14.0 1.15.0 1.15.5 2.4.0 2.4.1 2.8.0 2.10.1 2.16.1"),
        (">=2.4,<2.10", 2, "2.4.1 2.8.0"),
        ("1.14.0,minors", 1, "1.14.0 2.16.1"),
        ("all", 100, "1.14.0 1.15.0 1.15.5 2.4.0 2.4.1 2.8.0 2.10.1 2.16.1"),
    ],
)
def test_words_mean_what_the_documentation_says(text: str, last: int | None, expected: str) -> None:
    assert chosen(text, last=last) == expected


def test_lts_is_the_newest_of_each_series_of_the_framework() -> None:
    assert chosen("lts", lts=("2.8", "1.15", "9.9")) == "1.15.5 2.8.0"
    assert chosen("lts", lts=("2.8", "1.15"), last=1) == "2.8.0"


def test_lts_needs_a_framework_that_has_any() -> None:
    with pytest.raises(UsageError, match="long-supported"):
        chosen("lts")


def test_words_mean_what_they_mean_within_the_ranges_beside_them() -> None:
    assert chosen("minors,>=1.15,<=2.8") == "1.15.5 2.4.1 2.8.0"
    assert chosen(">=1.15,<=2.8,minors", last=2) == "2.4.1 2.8.0"
    assert chosen("latest,1.*") == "1.15.5"
    assert chosen("minors,1.*,2.4.*") == "1.14.0 1.15.5 2.4.1"
    assert chosen("majors,<2.8,1.14.0") == "1.14.0 1.15.5 2.4.1"
    assert chosen("lts,>=2", lts=("1.15", "2.8")) == "2.8.0"
    with pytest.raises(UsageError, match=r"--versions 'minors,<1' matches no version"):
        chosen("minors,<1")


def test_a_bar_separates_lists() -> None:
    assert chosen("minors,>=2.8 | 1.14.0") == "1.14.0 2.8.0 2.10.1 2.16.1"
    assert chosen(">=2.4,<2.5|latest|") == "2.4.0 2.4.1 2.16.1"
    with pytest.raises(UsageError, match="empty"):
        chosen("|")


# -- local versions

TORCH = ("1.12.0+cpu", "1.13.1+cu117", "2.0.0+cpu", "2.0.0+cu118", "2.1.0", "2.1.0+cpu")


def test_a_version_names_its_local_one() -> None:
    assert chosen("1.12.0,1.13.1", *TORCH) == "1.12.0+cpu 1.13.1+cu117"
    assert chosen("==1.12.0", *TORCH) == "1.12.0+cpu"


def test_of_several_local_versions_one_is_taken_and_not_by_chance() -> None:
    assert chosen("2.0.0,2.1.0", *TORCH) == chosen("==2.0.0,==2.1.0", *TORCH) == "2.0.0+cpu 2.1.0"
    assert chosen("minors", *TORCH) == chosen("all", *TORCH) == "1.12.0+cpu 1.13.1+cu117 2.0.0+cpu 2.1.0"
    assert chosen("2.0.0+cu118", *TORCH) == chosen("==2.0.0+cu118", *TORCH) == "2.0.0+cu118"
    remarks = remarks_on_choice(page(*TORCH), "2.0.0", choose(page(*TORCH), Choice("2.0.0")))
    assert remarks == ["tensorflow 2.0.0 is there as 2.0.0+cu118, too: 2.0.0+cpu is taken"]
    assert remarks_on_choice(page(*TORCH), "2.0.0+cpu", choose(page(*TORCH), Choice("2.0.0+cpu"))) == []


def test_whoever_wants_every_variant_gets_it() -> None:
    assert choose(page(*TORCH), Choice("all", every_variant=True)) == tuple(versions_of(page(*TORCH)))
    assert [str(one) for one in choose(page(*TORCH), Choice("2.0.*", variant="cu118"))] == ["2.0.0+cu118"]


# -- pre-releases and yanked versions


def test_pre_releases_count_only_when_asked_for() -> None:
    assert chosen("latest", pre=True) == "2.17.0.dev1"
    assert chosen(">=2.10.1") == "2.10.1 2.16.1"
    assert chosen(">=2.10.1", pre=True) == "2.10.1 2.16.0rc0 2.16.1 2.17.0.dev1"
    assert chosen("lts", "2.16.0rc0", pre=True, lts=("2.16",)) == "2.16.0rc0"


def test_a_pre_release_that_is_named_needs_no_permission() -> None:
    assert chosen("2.16.0rc0") == "2.16.0rc0"


def test_yanked_versions_count_only_when_asked_for() -> None:
    project = page("1.0", "1.1", "1.2", yanked=("1.2",))
    assert [str(v) for v in choose(project, Choice("latest"))] == ["1.1"]
    assert [str(v) for v in choose(project, Choice("latest", yanked=True))] == ["1.2"]


def test_a_yanked_version_that_is_named_needs_no_permission() -> None:
    project = page("1.0", "1.2", yanked=("1.2",))
    assert [str(v) for v in choose(project, Choice("1.2"))] == ["1.2"]
    assert remarks_on_choice(project, "1.0,1.2", choose(project, Choice("1.0,1.2"))) == [
        "tensorflow 1.2 is yanked: broken"
    ]


def test_a_version_is_yanked_only_when_all_its_files_are() -> None:
    assert is_yanked([file("1.0", yanked=True)])
    assert not is_yanked([file("1.0", yanked=True), file("1.0", tag="cp38-cp38-linux_x86_64")])


# -- what can't be meant


def test_a_version_that_is_not_there_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownVersion, match=r"tensorflow has no version 2\.4\.9\.") as caught:
        chosen("2.4.9")
    assert caught.value.hint.startswith("The nearest are 2.4.")
    assert "rc" not in caught.value.hint


def test_nearest_is_by_number_and_not_by_spelling() -> None:
    known = versions_of(page("2.1.0", "2.4.0", "2.6.0", "2.8.0", "2.16.1", "2.21.0", "3.0.0"))
    nearest_of = {wanted: nearest(Version(wanted), known) for wanted in ("9.0", "2.99.0", "2.16.0", "2.5.1")}
    assert nearest_of == {
        "9.0": "3.0.0, 2.21.0, 2.16.1, 2.8.0",
        "2.99.0": "2.21.0, 2.16.1, 2.8.0, 2.6.0",
        "2.16.0": "2.16.1, 2.8.0, 2.21.0, 2.6.0",
        "2.5.1": "2.6.0, 2.4.0, 2.8.0, 2.1.0",
    }


def test_nearest_names_pre_releases_where_nothing_else_is() -> None:
    known = versions_of(page("1.0rc1", "1.0rc2"))
    [wanted] = versions_of(page("1.0"))
    assert nearest(wanted, known) == "1.0rc2, 1.0rc1"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("lastest", "Did you mean 'latest'?"),
        ("minor", "Did you mean 'minors'?"),
        ("LTS", "Examples: "),
        ("every third", "Examples: "),
        ("=>2.4", "Examples: "),
    ],
)
def test_nonsense_is_answered_with_what_could_be_meant(text: str, hint: str) -> None:
    with pytest.raises(UsageError, match="neither a version") as caught:
        chosen(text)
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize("text", ["", " , ,"])
def test_an_empty_selection_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match="--versions is empty"):
        chosen(text)


def test_a_range_without_versions_is_an_error_that_names_what_there_is() -> None:
    with pytest.raises(UsageError, match="matches no version") as caught:
        chosen(">=3")
    assert "from 1.14.0 to 2.17.0.dev1" in caught.value.hint


def test_a_page_without_versions_is_an_error() -> None:
    with pytest.raises(UsageError, match="lists no version"):
        choose(ProjectPage("tensorflow", ()), Choice("latest"))


def test_what_is_no_pep_440_version_is_left_out() -> None:
    assert chosen("all", "1.0", "2004d-final") == "1.0"


LEFT_OUT = (
    LeftOutFile("toy-1.0-py3-none-any.whl", "its address is none that may be followed"),
    LeftOutFile("toy-1.0.tar.gz", "its address is none that may be followed"),
    LeftOutFile("toy-1.1.tar.gz", "two hashes are given for it"),
    LeftOutFile("tay-1.0.tar.gz", "it is no wheel or source distribution of toy", is_foreign=True),
)


def test_a_page_without_usable_versions_is_told_with_what_it_lists_and_why_that_does_not_count() -> None:
    with pytest.raises(UsageError) as caught:
        choose(ProjectPage("toy", (), left_out=LEFT_OUT), Choice("1.0"))
    assert str(caught.value) == (
        "The index lists no version of toy that can be used: toy-1.0-py3-none-any.whl is left out (its address is none "
        "that may be followed; 1 more like it), toy-1.1.tar.gz is left out (two hashes are given for it)."
    )
    assert caught.value.hint.startswith("Its page lists 4 files.")
    with pytest.raises(UsageError, match="its page is empty"):
        choose(ProjectPage("toy", ()), Choice("1.0"))
    with pytest.raises(UsageError, match=r"tay-1\.0\.tar\.gz is left out \(it is no wheel"):
        choose(ProjectPage("toy", (), left_out=LEFT_OUT[-1:]), Choice("1.0"))


def test_a_version_whose_files_are_left_out_is_told_as_such() -> None:
    listed = ProjectPage("toy", (Artifact("toy-2.0.tar.gz", "toy", "2.0", "https://host/x"),), left_out=LEFT_OUT)
    with pytest.raises(UnknownVersion, match=r"no version 1\.1 that can be used: toy-1\.1\.tar\.gz is left out"):
        choose(listed, Choice("1.1"))
    with pytest.raises(UnknownVersion, match=r"has no version 1\.2\."):
        choose(listed, Choice("1.2"))
