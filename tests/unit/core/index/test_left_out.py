"""What a page lists and nobody can use is told: what counts, why, and not more than can be read."""

from tf_tester.core.index.left_out import told_left_out, unusable
from tf_tester.model.artifact import Artifact, LeftOutFile, ProjectPage

URL = "https://host/toy.whl"


def test_what_cannot_be_used_is_malformed_or_unverified_and_not_another_projects() -> None:
    malformed = LeftOutFile("toy-1.whl", "its SHA-256 can't be one")
    foreign = LeftOutFile("gear-1.whl", "it is no wheel of toy", is_foreign=True)
    listed = (
        Artifact("toy-2.whl", "toy", "2", URL, "ab" * 32),
        Artifact("toy-3.whl", "toy", "3", URL, weak_hash="md5"),
        Artifact("toy-4.whl", "toy", "4", URL),
    )
    page = ProjectPage("toy", listed, left_out=(malformed, foreign))
    assert unusable(page) == (
        malformed,
        LeftOutFile("toy-3.whl", "the index promises MD5 alone for it, which proves nothing"),
        LeftOutFile("toy-4.whl", "the index promises no SHA-256 for it"),
    )


def test_of_many_reasons_three_are_told_and_none_at_length() -> None:
    told = told_left_out([LeftOutFile(f"{number}.whl", str(number) * 1000) for number in range(9)])
    assert told.count("is left out") == 3
    assert len(told) < 500
    assert told_left_out([LeftOutFile("", "bad")]) == "a file without a name is left out (bad)"
    assert told_left_out([]) == ""
