"""What one version has otherwise than another, and how it is shown."""

from tf_tester.core.verdict.drift import DistributionChange
from tf_tester.core.verdict.version_diff import ComparedFact, VersionDiff, VersionSide
from tf_tester.report.diff import diff_lines, diff_page

ONE = VersionSide("1.0", "1.0", "3.10", "era", "2020-01-01", "toy-1.0-py3-none-any.whl", 1_000_000, 3_000_000)
OTHER = VersionSide("2.0@latest", "2.0", "3.11", "latest", "", "toy-2.0-py3-none-any.whl", None, None)
DIFFERENCE = VersionDiff(
    "toy",
    (ONE, OTHER),
    (DistributionChange("numpy", "1.22.3", "2.2.6"),),
    (("numpy<2",), ("numpy>=2",)),
    (ComparedFact("license", "MIT", "Apache-2.0"),),
    (),
    (ComparedFact("toy-run", "toy:main", ""),),
    None,
    ("<script>alert(1)</script>",),
)


def test_every_part_that_differs_is_shown_on_the_terminal() -> None:
    text = "\n".join(diff_lines(DIFFERENCE))
    for part in ("2.0@latest", "numpy 1.22.3 → 2.2.6", "numpy<2", "numpy>=2", "Apache-2.0", "toy-run"):
        assert part in text


def test_the_page_shows_the_same_and_runs_nothing() -> None:
    page = diff_page(DIFFERENCE)
    for part in ("2.0@latest", "2.2.6", "Apache-2.0", "toy-run"):
        assert part in page
    assert "<script>" not in page
