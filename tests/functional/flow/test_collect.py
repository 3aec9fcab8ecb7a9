"""What a test has put in the place of a folder or file is not followed when files are collected."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tf_tester.flow.run.cell_world import ScratchFolders
from tf_tester.flow.taken.collecting import WrittenFolder, collect
from tf_tester.flow.taken.reading import is_folder


@pytest.fixture
def deep() -> Iterator[Path]:
    """A place outside of pytest's, whose cleaning gives up over deep folders that an interrupted test has left."""
    place = tempfile.mkdtemp()
    yield Path(place)
    subprocess.run(["rm", "-rf", place], check=True)  # Python's own gives up at a thousand folders


def test_what_cannot_be_copied_is_left_out_and_told(tmp_path: Path) -> None:
    for name in ("one/a", "two/a/file"):
        (tmp_path / "work" / name).parent.mkdir(parents=True)
        (tmp_path / "work" / name).write_text("x")
    (tmp_path / "work/one/link").symlink_to("/etc/hostname")
    written = [WrittenFolder(tmp_path / "work/one", ""), WrittenFolder(tmp_path / "work/two", "")]
    told = collect(["*"], written, tmp_path / "evidence")
    assert told[0].startswith("1 file (1 B) collected into")
    assert "1 left out" in told[0]
    assert [path.name for path in (tmp_path / "evidence/collected").iterdir()] == ["a"]


@pytest.mark.skipif(os.name != "posix", reason="it needs `rm`")
def test_what_lies_too_deep_or_has_too_long_a_name_there_is_left_out(deep: Path) -> None:
    work = deep / "work"
    work.mkdir()
    here = os.getcwd()  # noqa: PTH109
    try:
        os.chdir(work)
        for _ in range(1_500):
            os.mkdir("d")  # noqa: PTH102
            os.chdir("d")
        Path("x.xml").touch()
    finally:
        os.chdir(here)
    (work / ("n" * 251 + ".xml")).touch()
    (work / "z.xml").touch()
    evidence = deep / "evidence" / "/".join(["e" * 200] * 19)
    told = collect(["*.xml"], [WrittenFolder(work, "")], evidence)
    assert told[0].startswith("1 file (0 B) collected into"), told


@pytest.mark.skipif(os.name != "posix", reason="it needs `rm`")
def test_folders_that_python_does_not_go_down_are_left_out(deep: Path) -> None:
    work = deep / "work"
    here = os.getcwd()  # noqa: PTH109
    work.mkdir()
    try:
        os.chdir(work)
        for _ in range(1_200):
            os.mkdir("d")  # noqa: PTH102
            os.chdir("d")
        Path("x.xml").touch()
    finally:
        os.chdir(here)
    (work / "y.xml").touch()
    told = collect(["*.xml"], [WrittenFolder(work, "")], deep / "evidence")
    assert told[0].startswith(("1 file (0 B)", "2 files (0 B)")), told


@pytest.mark.skipif(os.name != "posix", reason="links need no right here")
@pytest.mark.parametrize("is_inner", [False, True])
@pytest.mark.parametrize("dangling", [True, False])
def test_a_link_in_the_place_of_the_working_folder_is_no_way_out(
    tmp_path: Path, is_inner: bool, dangling: bool
) -> None:
    own, outside = tmp_path / "own", tmp_path / "outside"
    own.mkdir()
    (own / "file").write_text("")
    if not dangling:
        outside.mkdir()
    folders = ScratchFolders(tmp_path / "scratch", in_memory=False)
    folders.make()
    first = folders.linked(own, ())
    assert first == folders.place_of(own)
    replaced = first if is_inner else folders.cwd
    os.rename(replaced, tmp_path / "moved")  # noqa: PTH104
    replaced.symlink_to(outside)
    assert not is_folder(replaced)
    assert folders.linked(own, ()) == first
    assert [path.name for path in first.iterdir()] == ["file"]
    assert is_folder(folders.cwd)
    assert dangling or list(outside.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="folders can't be closed there")
def test_a_folder_that_a_test_has_closed_is_opened_for_the_next_program(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    folders = ScratchFolders(tmp_path / "scratch", in_memory=False)
    folders.make()
    first = folders.linked(own, ())
    for folder in (first, folders.cwd, folders.root):
        folder.chmod(0)
    assert folders.linked(own, ()) == first
    assert {folder.stat().st_mode & 0o777 for folder in (first, folders.cwd, folders.root)} == {0o700}
