"""A run in one sentence."""

import itertools

import pytest

from tf_tester.core.overview.sentence import sentence, version_ranges
from tf_tester.core.verdict.supports import Compatibility, SupportedVersions

LETTERS = {
    "P": Compatibility.YES,
    "F": Compatibility.NO,
    "M": Compatibility.PARTLY,
    "-": Compatibility.UNKNOWN,
}


def of(letters: str, package: str = "toy") -> SupportedVersions:
    versions = {f"{number}.0": LETTERS[letter] for number, letter in enumerate(letters, 1)}
    return SupportedVersions(package, versions, {version: {} for version in versions}, "", ())


@pytest.mark.parametrize(
    ("letters", "reasons", "told"),
    [
        ("P", 0, "toy works with 1.0."),
        ("PPP", 0, "toy works with all 3 versions, 1.0 to 3.0."),
        ("FFF", 2, "toy fails with all 3 versions, 1.0 to 3.0 (2 reasons)."),
        ("PPF", 1, "toy works with 1.0 to 2.0; fails with 3.0 (1 reason)."),
        ("FPPF", 2, "toy works with 2.0 to 3.0; fails with 1.0 and 4.0 (2 reasons)."),
        ("P-M", 1, "toy works with 1.0; works only partly with 3.0; was not tested with 2.0."),
        ("PFPFPFPFPFP", 1, None),
        ("--", 0, "toy was not tested with any of 2 versions, 1.0 to 2.0."),
    ],
)
def test_what_works_comes_first_and_equal_neighbours_are_folded(letters: str, reasons: int, told: str | None) -> None:
    found = sentence([of(letters)], reasons)
    if told is not None:
        assert found == told
    else:
        assert found == (
            "toy works with 1.0, 3.0, 5.0, 7.0 and 2 more ranges; "
            "fails with 2.0, 4.0, 6.0, 8.0 and 1 more range (1 reason)."
        )


def test_several_packages_have_a_sentence_each_and_none_is_none() -> None:
    assert sentence([of("P"), of("F", "gear")], 1) == "toy works with 1.0. gear fails with 1.0 (1 reason)."
    assert sentence([], 0) == "Nothing was run."


def test_ranges_have_every_version_once_and_in_order() -> None:
    versions = of("PPFFMP-").versions
    found = version_ranges(versions)
    assert [version for one in found for version in one.versions] == list(versions)
    assert all(before.works is not after.works for before, after in itertools.pairwise(found))
