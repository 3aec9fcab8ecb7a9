"""Whatever a test or a build leaves goes, and nothing else."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pythons import running
from tf_tester.store.folder import StoreFolder
from tf_tester.store.removal import remove_tree

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes and folders as POSIX has them")

MAKE_DEEP = """
import os, sys
os.chdir(sys.argv[1])
for number in range({depth}):
    open("file", "w").close()
    os.mkdir("d" * {length})
    os.chdir("d" * {length})
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def make_deep(folder: Path, depth: int = 3000, length: int = 1) -> Path:
    """Make a folder with others in one another, in another process: its path may be longer than any call takes."""
    folder.mkdir()
    code = MAKE_DEEP.format(depth=depth, length=length)
    subprocess.run([str(running().path), "-c", code, str(folder)], check=True)
    return folder


def test_deleting_a_tree_follows_no_link_and_changes_nothing_outside(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("precious")
    outside.chmod(0o555)
    tree = tmp_path / "tree"
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/link").symlink_to(outside)
    (tree / "a/b/file").write_text("")
    for folder in (tree / "a/b", tree / "a"):
        folder.chmod(0)
    before = mode(tmp_path)
    remove_tree(tree)
    assert not tree.exists()
    (tmp_path / "link").symlink_to(outside)
    remove_tree(tmp_path / "link")
    remove_tree(tmp_path / "nothing")
    assert [entry.name for entry in tmp_path.iterdir()] == ["outside"]
    assert (mode(tmp_path), mode(outside), (outside / "file").read_text()) == (before, 0o555, "precious")


@pytest.mark.parametrize(("depth", "length"), [(1500, 1), (60, 200)])
def test_depth_and_long_paths_keep_nothing_alive(tmp_path: Path, depth: int, length: int) -> None:
    tree = make_deep(tmp_path / "tree", depth, length)
    (tree / "beside").mkdir()
    (tree / "beside/link").symlink_to(tmp_path)
    (tree / "d").chmod(0) if length == 1 else None
    remove_tree(tree)
    assert list(tmp_path.iterdir()) == []


def test_a_store_works_with_what_cannot_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = StoreFolder(tmp_path / "store")
    folder.open()
    left = folder.tmp / "99-0badcafe"
    left.mkdir()
    (left / "file").write_text("")

    def refused(*_: object, **__: object) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:
        for name in ("unlink", "rmdir"):
            patch.setattr(os, name, refused)
        with folder.workplace() as place:
            (place / "file").write_text("")
    assert left.exists()
    with folder.workplace():
        assert not left.exists(), "and it goes when it can"


def test_what_is_marked_immutable_goes(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "inner").mkdir(parents=True)
    (tree / "inner/file").write_text("")
    chattr = shutil.which("chattr")
    marked = chattr and subprocess.run([chattr, "+i", tree / "inner/file", tree / "inner"], check=False).returncode == 0
    if not marked:
        pytest.skip("only root can mark files, on file systems that have marks")
    remove_tree(tree)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["tree", "tree/deep/mounted"])
def test_what_is_mounted_there_is_not_ours_to_delete(tmp_path: Path, place: str) -> None:
    precious, tree = tmp_path / "precious", tmp_path / "tree"
    precious.mkdir()
    (precious / "file").write_text("")
    (tree / "deep/mounted").mkdir(parents=True)
    (tree / "deep/file").write_text("")
    inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine gives no user namespaces, so nothing can be mounted")
    remove = (
        "import sys, pathlib; from tf_tester.store.removal import remove_tree; remove_tree(pathlib.Path(sys.argv[1]))"
    )
    script = f'mount --bind "{precious}" "{tmp_path}/{place}"; "{sys.executable}" -c "{remove}" "{tree}"'
    subprocess.run([*inside, script], check=True)
    assert (precious / "file").exists()
    assert (tree / "deep/file").exists() == (place == "tree")
    remove_tree(tree)
    assert [entry.name for entry in tmp_path.iterdir()] == ["precious"]
