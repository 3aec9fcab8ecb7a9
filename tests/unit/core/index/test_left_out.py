"""What a page lists and nobody can use."""

from tf_tester.core.index.left_out import told_left_out, unusable, without_hash
from tf_tester.model.artifact import Artifact, LeftOutFile, ProjectPage

FOREIGN = LeftOutFile("tay-1.0.tar.gz", "it is no wheel or source distribution of toy", is_foreign=True)


def file(version: str, sha256: str | None = None, weak_hash: str = "") -> Artifact:
    name = f"toy-{version}.tar.gz"
    return Artifact(name, "toy", version, f"https://host/{name}", sha256, weak_hash=weak_hash)


def test_malformed_files_and_those_without_a_hash_cannot_be_used() -> None:
    broken = LeftOutFile("toy-1.0.tar.gz", "its SHA-256 can't be one")
    files = (file("1.1", "ab" * 32), file("1.2"), file("1.3", None, "md5"))
    assert unusable(ProjectPage("toy", files, left_out=(broken, FOREIGN))) == (
        broken,
        LeftOutFile("toy-1.2.tar.gz", "the index promises no SHA-256 for it"),
        LeftOutFile("toy-1.3.tar.gz", "the index promises MD5 alone for it, which proves nothing"),
    )
    assert without_hash(file("1.2")) == "the index promises no SHA-256 for it"


def test_each_reason_is_told_once_in_short() -> None:
    many = [LeftOutFile("x" * 300, reason * 60) for reason in ("aaa", "bbb", "ccc", "ddd") for _ in range(2)]
    told = told_left_out(many)
    assert told.count("1 more like it") == 3
    assert "ddd" not in told
    assert len(told) < 3 * 250
    assert told_left_out([LeftOutFile("", "it has none")]) == "a file without a name is left out (it has none)"
