"""What a source archive may make, and what not."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.wheels import make_wheel
from tf_tester.errors import BuildFailed
from tf_tester.resolve.archives import check_wheel, unpack


def tar_of(path: Path, *members: tuple[str, bytes, str]) -> Path:
    """Write an archive of names, types, and contents or targets."""
    with tarfile.open(path, "w:gz") as archive:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            data = content.encode() if kind == tarfile.REGTYPE else b""
            member.size, member.mode = len(data), 0o755 if name.endswith(".sh") else 0o644
            member.linkname = "" if kind == tarfile.REGTYPE else content
            archive.addfile(member, io.BytesIO(data))
    return path


FILE, LINK, HARD, FIFO, FOLDER = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE


@pytest.mark.skipif(os.name != "posix", reason="modes and links")
def test_files_folders_and_links_that_lead_down_are_made(tmp_path: Path) -> None:
    members = (
        (".", FOLDER, ""),
        ("./six-1.0/a.py", FILE, "x = 1"),
        ("./six-1.0/run.sh", FILE, ""),
        ("six-1.0/b.py", LINK, "a.py"),
        ("six-1.0/empty", FOLDER, ""),
    )
    top = unpack(tar_of(tmp_path / "a", *members), "six-1.0.tar.gz", tmp_path / "place")
    assert top == tmp_path / "place/six-1.0"
    assert (top / "b.py").read_text() == "x = 1"
    assert (os.access(top / "run.sh", os.X_OK), os.access(top / "a.py", os.X_OK)) == (True, False)
    assert (top / "empty").is_dir()


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_links_upwards_within_the_archive_are_made_as_pip_makes_them(tmp_path: Path) -> None:
    members = (
        ("six-1.0/README.md", FILE, "read me"),
        ("six-1.0/docs/index.md", LINK, "../README.md"),
        ("six-1.0/src/six/docs", LINK, "../../docs"),
        ("six-1.0/src/six/late", LINK, "./../later.py"),
        ("six-1.0/src/later.py", FILE, "x = 1"),
        ("six-1.0/src/copy.py", HARD, "six-1.0/src/later.py"),
    )
    top = unpack(tar_of(tmp_path / "a", *members), "six-1.0.tar.gz", tmp_path / "place")
    assert (top / "src/six/docs/index.md").read_text() == "read me"
    assert (top / "src/six/late").read_text() == (top / "src/copy.py").read_text() == "x = 1"


@pytest.mark.parametrize(
    "members",
    [
        [("../out.txt", FILE, "x")],
        [("/out.txt", FILE, "x")],
        [("a", LINK, ".."), ("a/out.txt", FILE, "x")],
        [("a", LINK, "/etc"), ("b", FILE, "x")],
        [("a", LINK, "b/../../.."), ("b", FOLDER, "")],
        [("a", FILE, "x"), ("b", HARD, "c")],
        [("b", HARD, "/etc/hostname")],
        [("b", HARD, "../../a")],
        [("a", LINK, "/etc/hostname"), ("b", HARD, "a")],
        [("six/a", LINK, "."), ("six/a/b", FILE, "x"), ("c", HARD, "six/a/b")],
        [("six/a", LINK, "../b"), ("b", FILE, "x")],
        [("six/a/b", LINK, "../../c"), ("c", FILE, "x")],
        [("six/x/up", LINK, ".."), ("six/x/out", LINK, "up/../..")],
        [("six/x/y/top", LINK, "../.."), ("six/x/y/top/out", LINK, "../../z")],
        [("six/a", LINK, "b"), ("six/b/c", FOLDER, ""), ("six/a/out", LINK, "../b")],
        [("a", FIFO, "")],
        [("a", FILE, "x"), ("a", FILE, "y")],
        [("a", LINK, "b"), ("a", FILE, "x")],
        [("a\\b", FILE, "x")],
    ],
)
def test_what_could_lead_out_or_be_read_in_two_ways_is_refused(
    tmp_path: Path, members: list[tuple[str, bytes, str]]
) -> None:
    with pytest.raises(BuildFailed, match=r"is not unpacked|can't be read|is not an archive"):
        unpack(tar_of(tmp_path / "a", *members), "six-1.0.tar.gz", tmp_path / "place")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "place"]


def test_a_zip_is_held_to_the_same(tmp_path: Path) -> None:
    good, bad, bomb = (tmp_path / name for name in ("good", "bad", "bomb"))
    for path, name, content in ((good, "six/a.py", b"x"), (bad, "../out", b"x"), (bomb, "zeros", bytes(80 << 20))):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content)
    assert (unpack(good, "six.zip", tmp_path / "one") / "a.py").read_bytes() == b"x"
    with pytest.raises(BuildFailed, match=r"'\.\.' part"):
        unpack(bad, "six.zip", tmp_path / "two")
    with pytest.raises(BuildFailed, match="more than 50 times"):
        unpack(bomb, "six.zip", tmp_path / "three")
    with pytest.raises(BuildFailed, match="not an archive"):
        unpack(tmp_path / "one/six/a.py", "six.zip", tmp_path / "four")


def test_an_archive_is_read_to_its_sum_before_it_is_believed(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a", ("six-1.0/a.py", FILE, "x = 1"))
    whole = archive.read_bytes()
    for number, content in enumerate((whole[:-8] + bytes(8), whole[:-8], whole[:-20])):
        archive.write_bytes(content)
        with pytest.raises(BuildFailed, match="is not an archive that can be read"):
            unpack(archive, "six-1.0.tar.gz", tmp_path / f"place{number}")


@pytest.mark.parametrize("told", ["what it is", "less"])
def test_a_wheel_that_unpacks_to_more_than_it_says_is_refused_before(tmp_path: Path, told: str) -> None:
    """uv learns it when all of it is on the disk."""
    name, content = make_wheel("helper", "1.0", files={"zeros": bytes(3_000_000)})
    if told == "less":
        content = content.replace((3_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    (tmp_path / name).write_bytes(content)
    if told == "less":
        with pytest.raises(BuildFailed, match="'zeros' unpacks to more than it says"):
            check_wheel(tmp_path / name, name)
    else:
        check_wheel(tmp_path / name, name)
