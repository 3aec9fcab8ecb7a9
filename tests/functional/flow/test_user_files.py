"""What of the user's folders is shown to a test and counts in its key, and what is hidden."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path

import pytest

from tf_tester.core.replay.key import FileKind, tree_digest
from tf_tester.flow.run import user_files
from tf_tester.flow.run.user_files import UserFiles, folders_of, keyed, list_files
from tf_tester.model.request import Trial
from tf_tester.ports.store import FileStatus, KnownDigests
from tf_tester.store.digests import StatusDigests, status_of

pytestmark = pytest.mark.skipif(os.name != "posix", reason="has links, modes and a pipe")
LATER = 2**62
"""Nanoseconds: no file is young any more."""


class Kept:
    """Memos in memory."""

    def __init__(self) -> None:
        self.known: dict[str, KnownDigests] = {}
        self.writes = 0

    def recall(self, key: str) -> KnownDigests | None:
        return self.known.get(key)

    def remember(self, key: str, value: KnownDigests) -> None:
        self.known[key] = value
        self.writes += 1


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def listed(*roots: Path, shown: Iterable[str] = (), also: Iterable[Path] = ()) -> tuple[list[str], list[str]]:
    """Names that are shown and names that are hidden, relative to the first root."""
    found = list_files(roots, frozenset(shown), frozenset(map(str, also)))
    assert found.is_complete
    return (
        [os.path.relpath(file.path, roots[0]) for file in found.files],
        [os.path.relpath(path, roots[0]) for path in found.hidden],
    )


def test_what_is_shown_and_what_is_hidden(tmp_path: Path) -> None:
    write(tmp_path, "b.py", "a/z.py", "a/pkg/m.py", "a/__pycache__/m.pyc", ".venv/pyvenv.cfg", ".venv/lib/m.py")
    write(tmp_path, ".git/o/1", "sub/.git", "env/conda-meta/x.json", "node_modules/x/y.js", ".gitignore", "own.json")
    (tmp_path / "empty/too").mkdir(parents=True)
    (tmp_path / "folder-link").symlink_to("a")
    (tmp_path / "file-link").symlink_to("b.py")
    (tmp_path / "broken-link").symlink_to("nowhere")
    (tmp_path / "endless-link").symlink_to("endless-link")
    (tmp_path / "venv-link").symlink_to(".venv")
    os.mkfifo(tmp_path / "pipe")
    shown, hidden = listed(tmp_path, also=[tmp_path / "own.json"])
    assert shown == [
        ".gitignore", "a/pkg/m.py", "a/z.py", "b.py", "broken-link", "empty/too", "endless-link", "file-link",
        "folder-link",
    ]  # fmt: skip
    assert hidden == [
        ".git", ".venv", "a/__pycache__", "env", "node_modules", "own.json", "pipe", "sub", "venv-link",
    ]  # fmt: skip


def test_what_the_test_needs_is_shown(tmp_path: Path) -> None:
    write(tmp_path, ".git/HEAD", ".venv/pyvenv.cfg", ".venv/__pycache__/x.pyc", "sub/.git")
    assert listed(tmp_path, shown=[".git", ".venv"]) == (
        [".git/HEAD", ".venv/pyvenv.cfg", "sub/.git"],
        [".venv/__pycache__"],
    )


def test_a_folder_of_hidden_things_alone_is_hidden_itself(tmp_path: Path) -> None:
    """It is left over from a branch or a removed package, and a fresh checkout doesn't have it."""
    write(tmp_path, "gone/__pycache__/m.pyc", "gone/deep/er/__pycache__/m.pyc", "here/m.py", "here/old/__pycache__/m")
    assert listed(tmp_path) == (["here/m.py"], ["gone", "here/old"])


def test_what_was_named_is_shown_wherever_it_is(tmp_path: Path) -> None:
    write(tmp_path, ".tox/x/test.py", ".tox/x/__pycache__/y", ".tox/y", "pyvenv.cfg", "a/in.py", "single.py")
    shown, hidden = listed(tmp_path, tmp_path / ".tox/x", tmp_path / "a", tmp_path / "single.py")
    assert shown == [".tox/x/test.py", "a/in.py", "pyvenv.cfg", "single.py"]
    assert hidden == [".tox", ".tox/x/__pycache__"]


def test_an_environment_is_not_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, ".git/objects/1/2", "py38/pyvenv.cfg", "py38/lib/site/m.py", "src/m.py")
    looked: list[str] = []
    scandir = os.scandir

    def noted(path: str) -> object:
        looked.append(os.path.relpath(path, tmp_path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", noted)
    listed(tmp_path)
    assert sorted(looked) == [".", "py38", "src"], "one look tells what py38 is"


def test_too_much_is_not_complete_and_shallow_things_are_hidden_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, ".git/HEAD", "a/b/1", "a/b/2", "a/b/3")
    monkeypatch.setattr(user_files, "_MOST_LISTED", 4)
    found = list_files([tmp_path], (), ())
    assert (found.is_complete, found.hidden) == (False, (str(tmp_path / ".git"),))


# -- the digest


@pytest.fixture
def digest(tmp_path: Path) -> Callable[..., str | None]:
    kept = Kept()

    def digest(
        folder: Path, *pythonpath: Path, targets: tuple[Path, ...] = (), written: tuple[Path, ...] = ()
    ) -> str | None:
        trial = Trial(cwd=folder, pythonpath=pythonpath, targets=targets, written=written)
        return UserFiles(
            trial, {"HOME": "/nowhere"}, StatusDigests(kept, lambda: LATER), (), is_sandboxed=True
        ).digest()

    return digest


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = tmp_path / "one" / "project"
    write(made, "test.py", "data/run.sh", "data/numbers", ".git/index", "__pycache__/x", "own.json", "../lib/mine.py")
    (made / "data/run.sh").chmod(0o755)
    (made / "data/latest").symlink_to("numbers")
    (made / "empty").mkdir()
    return made


Digest = Callable[..., str | None]
Change = Callable[[Path], object]


@pytest.mark.parametrize(
    "change",
    [
        lambda made: (made / "test.py").write_text("another"),
        lambda made: (made / "test.py").rename(made / "test_.py"),
        lambda made: (made / "test.py").chmod(0o744),
        lambda made: (made / "data/run.sh").chmod(0o644),
        lambda made: (made / "test.py").unlink(),
        lambda made: write(made, "new"),
        lambda made: (made / "new").mkdir(),
        lambda made: (made / "empty").rmdir(),
        lambda made: ((made / "data/latest").unlink(), (made / "data/latest").symlink_to("run.sh")),
        lambda made: ((made / "data/latest").unlink(), shutil.copy(made / "data/numbers", made / "data/latest")),
        lambda made: write(made, "../lib/another.py"),
        lambda made: (made / ".gitignore").write_text(""),
    ],
)
def test_every_change_of_what_a_test_can_see_counts(digest: Digest, project: Path, change: Change) -> None:
    before = digest(project, project.parent / "lib")
    assert before == digest(project, project.parent / "lib") != None  # noqa: E711
    change(project)
    assert digest(project, project.parent / "lib") != before


@pytest.mark.parametrize(
    "change",
    [
        lambda made: os.utime(made / "test.py", (1, 1)),
        lambda made: (made / "test.py").chmod(0o664),
        lambda made: (made / "data/run.sh").chmod(0o700),
        lambda made: (made / "data").chmod(0o700),
        lambda made: (made / ".git/index").write_text("another"),
        lambda made: shutil.rmtree(made / ".git"),
        lambda made: write(
            made, "__pycache__/y", "old/__pycache__/z", ".mypy_cache/1", ".venv/pyvenv.cfg", ".venv/m.py"
        ),
        lambda made: os.mkfifo(made / "pipe"),
        lambda made: (made / "own.json").write_text("another"),
        lambda made: (made / "own.json").unlink(),
        lambda made: os.chown(made / "test.py", 1234, 1234) if not os.getuid() else None,
    ],
)
def test_nothing_else_counts(digest: Digest, project: Path, change: Change) -> None:
    before = digest(project, written=(project / "own.json",))
    change(project)
    assert digest(project, written=(project / "own.json",)) == before != None  # noqa: E711


def test_a_copy_elsewhere_has_the_same_digest(digest: Digest, project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "and" / "deeper"
    shutil.copytree(project.parent, other, symlinks=True)
    assert digest(project, project.parent / "lib") == digest(other / "project", other / "lib")
    assert digest(project) != digest(project, project.parent / "lib")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not there")
def test_a_clone_has_the_same_digest(digest: Digest, project: Path, tmp_path: Path) -> None:
    (project / "empty").rmdir()
    shutil.rmtree(project / ".git")
    user = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for words in (("init", "-q"), ("add", "."), (*user, "commit", "-qm", "all")):
        subprocess.run(("git", "-C", project, *words), check=True)
    subprocess.run(("git", "clone", "-q", project, tmp_path / "clone"), check=True)
    assert (tmp_path / "clone/__pycache__/x").exists()
    assert digest(project) == digest(tmp_path / "clone")


def test_data_counts_by_its_place_in_the_home(tmp_path: Path) -> None:
    def digest(home: str, folder: str, data: str = ".keras") -> str | None:
        trial = Trial(cwd=tmp_path / folder, data=(tmp_path / home / data,))
        digests = StatusDigests(Kept(), lambda: LATER)
        return UserFiles(trial, {"HOME": str(tmp_path / home)}, digests, (), is_sandboxed=True).digest()

    write(tmp_path, "me/.keras/mnist.npz", "me/deep/er/project/test.py")
    shutil.copytree(tmp_path / "me", tmp_path / "you")
    shutil.copytree(tmp_path / "me/deep/er/project", tmp_path / "project")
    first = digest("me", "me/deep/er/project")
    assert first == digest("you", "me/deep/er/project") == digest("you", "project")
    (tmp_path / "you/.keras").rename(tmp_path / "you/.cache")
    assert digest("you", "project", ".cache") != first, "it is shown at another place"
    (tmp_path / "me/.keras/mnist.npz").write_text("another")
    assert digest("me", "me/deep/er/project") != first


def test_data_that_is_a_link_counts_with_what_it_leads_to(tmp_path: Path) -> None:
    write(tmp_path, "mine/test.py", "far/numbers")
    (tmp_path / "numbers").symlink_to("far/numbers")
    trial = Trial(cwd=tmp_path / "mine", data=(tmp_path / "numbers",))

    def digest() -> str | None:
        return UserFiles(trial, {}, StatusDigests(Kept(), lambda: LATER), (), is_sandboxed=True).digest()

    first = digest()
    (tmp_path / "far/numbers").write_text("another")
    assert digest() != first


def test_too_many_files_have_no_digest(digest: Digest, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_files, "MOST_FILES", 2)
    assert digest(project) is None
    monkeypatch.setattr(user_files, "MOST_FILES", 20)
    monkeypatch.setattr(user_files, "MOST_BYTES", 9)
    assert digest(project) is None


# -- folders


def test_the_home_is_never_shown_as_a_whole(tmp_path: Path) -> None:
    write(tmp_path, "test.py", "tests/test.py")
    home = {"HOME": str(tmp_path)}
    assert folders_of(Trial(cwd=tmp_path, targets=(tmp_path / "test.py",)), home) == (tmp_path / "test.py",)
    assert folders_of(Trial(cwd=tmp_path, targets=(tmp_path / "tests",)), home) == (tmp_path / "tests",)


def test_a_test_that_is_a_link_is_shown_with_what_it_leads_to(digest: Digest, tmp_path: Path) -> None:
    write(tmp_path, "elsewhere/real.py", "elsewhere/secret", "project/x")
    link = tmp_path / "project/test.py"
    link.symlink_to(tmp_path / "elsewhere/real.py")
    trial = Trial(cwd=link.parent, targets=(link,))
    assert folders_of(trial, {"HOME": "/nowhere"}) == (link.parent, tmp_path / "elsewhere/real.py")
    before = digest(link.parent, targets=(link,))
    (tmp_path / "elsewhere/real.py").write_text("another")
    assert digest(link.parent, targets=(link,)) != before


# -- what was read before


def status_digests(kept: Kept, folder: Path, now: int) -> str:
    files = list_files([folder], (), ()).files
    return tree_digest(keyed(files, folder, StatusDigests(kept, lambda: now)))


def test_a_file_that_has_not_changed_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a", "b", "c/d")
    kept = Kept()
    first = status_digests(kept, tmp_path, LATER)
    read: list[str] = []
    original = StatusDigests._read

    def noted(self: StatusDigests, path: str, status: FileStatus) -> tuple[str, bool]:
        read.append(path)
        return original(self, path, status)

    monkeypatch.setattr(StatusDigests, "_read", noted)
    assert status_digests(kept, tmp_path, LATER) == first
    assert (read, kept.writes) == ([], 1)
    (tmp_path / "a").write_text("other")
    os.utime(tmp_path / "b")
    assert status_digests(kept, tmp_path, LATER) != first
    assert sorted(read) == [str(tmp_path / "a"), str(tmp_path / "b")]
    (tmp_path / "c/d").unlink()
    status_digests(kept, tmp_path, LATER)
    assert sorted(kept.known[str(tmp_path)]) == [str(tmp_path / "a"), str(tmp_path / "b")]


def test_a_file_that_was_written_just_now_is_read_again(tmp_path: Path) -> None:
    """It may be written once more within the tick of the file system's clock, and be as large as before."""
    write(tmp_path, "a")
    path = str(tmp_path / "a")
    (known,) = list_files([tmp_path], (), ()).files
    assert known.status is not None
    kept = Kept()
    digests = StatusDigests(kept, lambda: known.status.changed if known.status else 0)
    before = digests.of(tmp_path, [(path, known.status)])
    (tmp_path / "a").write_text("b")
    assert digests.of(tmp_path, [(path, known.status)]) != before
    assert kept.known == {}
    settled = StatusDigests(kept, lambda: LATER)
    now = status_of((tmp_path / "a").stat())
    settled.of(tmp_path, [(path, now)])
    assert kept.known == {str(tmp_path): {path: (now, sha256(b"b").hexdigest())}}


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    write(tmp_path, "a")
    old = status_of((tmp_path / "a").stat())
    (tmp_path / "a").write_text("another")
    kept = Kept()
    StatusDigests(kept, lambda: LATER).of(tmp_path, [(str(tmp_path / "a"), old)])
    assert kept.known == {}


def test_a_program_is_told_by_its_owners_right(tmp_path: Path) -> None:
    write(tmp_path, "a", "b")
    (tmp_path / "a").chmod(0o655)
    (tmp_path / "b").chmod(0o700)
    assert [file.kind for file in list_files([tmp_path], (), ()).files] == [FileKind.FILE, FileKind.PROGRAM]


def test_a_name_that_hides_nothing_is_told(tmp_path: Path) -> None:
    write(tmp_path, "test.py", ".git/HEAD", "own.json", "env/pyvenv.cfg", ".hg/deep/nosuch")

    def remarks(*visible: str, is_sandboxed: bool = True) -> tuple[str, ...]:
        trial = Trial(cwd=tmp_path, visible=visible, written=(tmp_path / "own.json",))
        return UserFiles(trial, {}, StatusDigests(Kept(), lambda: LATER), (), is_sandboxed=is_sandboxed).remarks()

    assert remarks(".git", "own.json", "env") == ()
    for name in ("nosuch", "test.py", "node_modules"):
        assert remarks(".git", name) == (f"--visible {name} shows nothing: nothing of that name would be hidden",)
    assert remarks("nosuch", is_sandboxed=False) == ()


def test_links_that_lead_out_of_the_users_folders_are_told(tmp_path: Path) -> None:
    write(tmp_path, "mine/a", "elsewhere/b")
    for name, place in (("in", "a"), ("system", "/usr"), ("broken", "nowhere"), ("out", "../elsewhere")):
        (tmp_path / "mine" / name).symlink_to(place)

    def remarks(*data: Path, is_sandboxed: bool = True) -> tuple[str, ...]:
        trial = Trial(cwd=tmp_path / "mine", data=data)
        return UserFiles(trial, {}, StatusDigests(Kept(), lambda: LATER), (), is_sandboxed=is_sandboxed).remarks()

    [told] = remarks()
    assert told.startswith("out leads out of your folders, where tests see nothing")
    assert remarks(tmp_path / "elsewhere") == remarks(is_sandboxed=False) == ()


def test_it_is_told_why_files_are_in_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a", "b", "c")

    def obstacle() -> str:
        trial = Trial(cwd=tmp_path)
        return UserFiles(trial, {}, StatusDigests(Kept(), lambda: LATER), (), is_sandboxed=True).obstacle()

    assert obstacle() == ""
    monkeypatch.setattr(user_files, "MOST_BYTES", 2)
    assert obstacle() == "the files in the folders of the tests have more than 0 MiB"
    monkeypatch.setattr(user_files, "MOST_FILES", 2)
    assert obstacle() == "the folders of the tests have more than 2 files"
