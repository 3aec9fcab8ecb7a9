"""The user's files as tests see them: which are shown, which are hidden, and what they hold.

What is hidden is in no key, and what is in no key is hidden: history, environments, caches, the store, what the command
itself writes, sockets and devices. A folder is looked through once, by `os.scandir`, and hidden ones never: many
projects have an environment of 20,000 files beside their tests.
"""

import os
import stat
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from tf_tester.core.replay.hidden import ENVIRONMENT_MARKS, is_hidden
from tf_tester.core.replay.key import FileKind, KeyedFile, tree_digest
from tf_tester.core.select.pytest_settings import FILES, PytestSettings, settings_in
from tf_tester.core.select.pytest_wanted import READ, pytest_wanted
from tf_tester.given_files import read_given
from tf_tester.model.request import Trial
from tf_tester.ports.store import FileDigests, FileStatus

_SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/sbin", "/etc", "/dev", "/proc", "/sys")
_FEW = 3
"""Names in one remark."""
MOST_FILES, MOST_BYTES = 20_000, 512 << 20
"""For which it is worth reading them all."""
_MOST_LISTED = 200_000
"""Files and folders that are looked at; what is to be hidden beyond these isn't found."""


class SeenFile(NamedTuple):
    """One file that a test can read; equal to itself while nobody changes it."""

    path: str
    kind: FileKind
    status: FileStatus | None
    """Of a file."""
    target: str = ""
    """What a link says."""


class SeenFiles(Struct, frozen=True):
    """What was in the user's folders at one moment."""

    files: tuple[SeenFile, ...]
    """By path; of folders, the empty ones."""
    hidden: tuple[str, ...]
    """The topmost of all that isn't shown."""
    is_complete: bool
    """False: there was more, or a folder that can't be listed."""
    revealed: frozenset[str] = frozenset()
    """Names of what is shown on request alone."""


class UserFiles:
    """What the tests of one trial see of the user's own files; callable from any thread.

    `also_hidden`: places of ours that may lie among the user's files. Without a sandbox nothing is hidden.
    """

    def __init__(
        self,
        trial: Trial,
        environ: Mapping[str, str],
        digests: FileDigests,
        also_hidden: Iterable[Path],
        *,
        is_sandboxed: bool,
    ) -> None:
        self.trial = trial
        self.folders = folders_of(trial, environ)
        self._environ = environ
        self._home = environ.get("HOME") or ""
        self._is_sandboxed = is_sandboxed
        self._shown = frozenset(trial.visible)
        self._also_hidden = frozenset(
            str(path) for one in (*trial.written, *also_hidden) for path in (one, os.path.realpath(one))
        )
        self._digests = digests
        self._lock = threading.Lock()

    def with_data(self, path: Path) -> "UserFiles":
        """Return the files as a test sees them that is shown a file or folder besides."""
        trial = replace(self.trial, data=(*self.trial.data, path))
        hidden = map(Path, self._also_hidden)
        return UserFiles(trial, self._environ, self._digests, hidden, is_sandboxed=self._is_sandboxed)

    @cached_property
    def hidden(self) -> tuple[Path, ...]:
        """Return what below `folders` a test must not see."""
        return tuple(map(Path, self.first.hidden)) if self._is_sandboxed else ()

    @property
    def first(self) -> SeenFiles:
        """Return the files as they were when somebody first asked."""
        with self._lock:
            return self._first

    @cached_property
    def _first(self) -> SeenFiles:
        return self.look()

    def look(self) -> SeenFiles:
        """Return what is there now."""
        return list_files(self.folders, self._shown, self._also_hidden)

    def digest(self) -> str | None:
        """Return the digest of all that a test can read of `first`; None where it can't be told, or would take long."""
        if self.obstacle():
            return None
        try:
            files = keyed(self.first.files, self.trial.cwd, self._digests)
        except OSError:
            return None
        if self.trial.data:
            seen = zip(self.first.files, files, strict=True)
            files = [replace(file, path=self._data_name(one.path) or file.path) for one, file in seen]
        return tree_digest(files)

    def _data_name(self, name: str) -> str:
        """Return what a file of the data is called in a key, wherever the request is made: by its place in the home.

        Empty: it isn't one of these.
        """
        path = Path(name)
        if path.is_relative_to(self.trial.cwd) or not any(map(path.is_relative_to, self.trial.data)):
            return ""
        in_home = self._home and path.is_relative_to(self._home)
        return f"~/{path.relative_to(self._home).as_posix()}" if in_home else path.as_posix()

    def obstacle(self) -> str:
        """Return why nobody tells whether the files have changed, a clause; empty where somebody does."""
        listing = self.first
        if len(listing.files) > MOST_FILES:
            return f"the folders of the tests have more than {MOST_FILES:,} files"
        if not listing.is_complete:
            return "not all folders of the tests can be looked through"
        sizes = [file.status.size for file in listing.files if file.status is not None]
        if sum(sizes) > MOST_BYTES:
            return f"the files in the folders of the tests have more than {MOST_BYTES >> 20} MiB"
        return ""

    def remarks(self) -> tuple[str, ...]:
        """Return a remark for each name of `--visible` by which nothing is shown that would be hidden otherwise.

        And one on links that lead to what isn't shown.
        """
        if not self._is_sandboxed:
            return ()
        out = sorted(self._links_out())
        if not self._shown or not self.first.is_complete:
            return _about_links(out)
        in_vain = [name for name in self.trial.visible if name not in self.first.revealed]
        told = (f"--visible {name} shows nothing: nothing of that name would be hidden" for name in in_vain)
        return (*told, *_about_links(out))

    def _links_out(self) -> Iterator[str]:
        """Yield the links that lead to something outside of the folders, and of what a system has for everybody."""
        shown = [*map(os.path.realpath, (*self.folders, *self.trial.writable)), *_SYSTEM]
        for file in self.first.files:
            if file.kind is FileKind.LINK:
                real = os.path.realpath(file.path)
                if not any(Path(real).is_relative_to(folder) for folder in shown) and os.path.lexists(real):
                    yield relative(file.path, str(self.trial.cwd))


def _about_links(names: Sequence[str]) -> tuple[str, ...]:
    if not names:
        return ()
    told = ", ".join(names[:_FEW]) + (f" and {len(names) - _FEW} more" if len(names) > _FEW else "")
    lead = "leads out of your folders" if len(names) == 1 else "lead out of your folders"
    return (f"{told} {lead}, where tests see nothing; --data PATH shows a place",)


def file_of(target: Path) -> Path:
    """Return the file or folder of a target, which may name a test in it (`test_model.py::test_save`)."""
    return Path(str(target).partition("::")[0])


def pytest_settings(file: Path) -> tuple[Path, PytestSettings] | None:
    """Return the folder at or above a file or folder that has settings for pytest, its root folder, and these.

    Looked for up to the repository's top.
    """
    for folder in (file, *file.parents) if file.is_dir() else file.parents:
        for name in FILES:
            try:
                found = settings_in(name, read_given(folder / name).decode("utf-8", "replace"))
            except OSError:
                continue
            if found is not None:
                return folder, found
        if (folder / ".git").exists():
            break
    return None


def root_of(file: Path) -> Path | None:
    """Return what pytest takes for the root folder of a file or folder, where that can be told from outside."""
    found = pytest_settings(file)
    if found is not None:
        return found[0]
    for folder in (file, *file.parents) if file.is_dir() else file.parents:
        if (folder / "setup.py").is_file():
            return folder
        if (folder / ".git").exists():
            break
    return None


def pytest_of_project(trial: Trial) -> tuple[str, ...]:
    """Return the requirements on pytest in the root folder of a trial's tests."""
    if not trial.targets:
        return ()
    root = root_of(file_of(trial.targets[0])) or trial.cwd
    texts = {}
    for name in READ:
        try:
            texts[name] = read_given(root / name).decode("utf-8", "replace")
        except OSError:
            continue
    return pytest_wanted(texts)


def folders_of(trial: Trial, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return what a test may read of the user's: the folders of the request, of the tests, their root folders, and
    what --pythonpath and --data name.

    Never the home as a whole, unless it is named. Of what lies behind a link in one of them, the place that the link
    leads to.
    """
    home = Path(environ.get("HOME") or "/")
    found = [path for path in (trial.cwd, *trial.pythonpath) if not home.is_relative_to(path)]
    for target in map(file_of, trial.targets):
        folder = target if target.is_dir() else target.parent
        found.append(target if home.is_relative_to(folder) else folder)
        root = root_of(target)
        if root is not None and not home.is_relative_to(root):
            found.append(root)
    found = [_behind_links(path, found) for path in found]
    for target in map(file_of, trial.targets):
        real = Path(os.path.realpath(target))
        if target.is_symlink() and not any(real.is_relative_to(folder) for folder in found):
            found.append(real)
    found += trial.data
    found += [Path(os.path.realpath(path)) for path in trial.data if path.is_symlink() and not path.is_dir()]
    return tuple(dict.fromkeys(found))


def _behind_links(path: Path, folders: Sequence[Path]) -> Path:
    """Return where a path leads if there is a link between it and one of the folders, else the path itself."""
    real = Path(os.path.realpath(path))
    above = [folder for folder in folders if folder != path and path.is_relative_to(folder)]
    linked = any(real != Path(os.path.realpath(folder)) / path.relative_to(folder) for folder in above)
    return real if linked else path


def keyed(files: Sequence[SeenFile], folder: Path, digests: FileDigests) -> list[KeyedFile]:
    """Return files as they are in a key, with paths relative to a folder. Raises `OSError`."""
    regular = [(file.path, file.status) for file in files if file.status is not None]
    contents = dict(zip((path for path, _ in regular), digests.of(folder, regular), strict=True))
    start = str(folder)
    return [
        KeyedFile(relative(file.path, start), file.kind, file.target if file.status is None else contents[file.path])
        for file in files
    ]


def relative(path: str, start: str) -> str:
    """Return a path relative to an absolute folder, with `/`.

    >>> relative("/a/b/c", "/a/b"), relative("/a/x", "/a/b"), relative("/a", "/a")
    ('c', '../x', '.')
    """
    inside = path.removeprefix(f"{start}{os.sep}")
    return (inside if inside != path else os.path.relpath(path, start)).replace(os.sep, "/")


class _Folder(Struct):
    """One that is looked through."""

    path: str
    above: int
    """The number of the folder that it is in; itself for one that was named."""
    is_listed: bool = False
    is_hidden: bool = False
    visible: int = 0
    """Things in it that are shown."""
    hidden: list[str] = field(default_factory=list)
    """Things in it that are not."""


def list_files(roots: Iterable[Path], shown: Collection[str], also_hidden: Collection[str]) -> SeenFiles:
    """Look through folders; a file may be named, too. What was named is never hidden.

    Folders that hold nothing but what is hidden are hidden with it: a checkout on another machine doesn't have them.
    `shown`: names of what would be hidden otherwise. `also_hidden`: absolute paths.
    """
    walk = _Walk(frozenset(map(str, roots)), shown, also_hidden)
    number = 0
    while number < len(walk.folders) and not walk.is_full:
        walk.look_into(number)
        number += 1
    return walk.result()


class _Walk:
    def __init__(self, roots: frozenset[str], shown: Collection[str], also_hidden: Collection[str]) -> None:
        self._roots = roots
        self._shown = shown
        self._also_hidden = also_hidden
        self._files: list[SeenFile] = []
        self._closed = False
        self._revealed: set[str] = set()
        self.folders: list[_Folder] = []
        for root in sorted(roots):
            if os.path.isdir(root):  # noqa: PTH112
                self.folders.append(_Folder(root, len(self.folders)))
            else:
                self._add_file(root)
        self._named = len(self.folders)

    @property
    def is_full(self) -> bool:
        return len(self._files) + len(self.folders) > _MOST_LISTED

    def look_into(self, number: int) -> None:
        folder = self.folders[number]
        try:
            with os.scandir(folder.path) as found:
                entries = list(found)
        except OSError:
            self._closed = True
            return
        folder.is_listed = True
        if number >= self._named and not ENVIRONMENT_MARKS.isdisjoint(entry.name for entry in entries):
            name = os.path.basename(folder.path)  # noqa: PTH119
            folder.is_hidden = self._is_hidden(name, [entry.name for entry in entries])
        if not folder.is_hidden:
            for entry in entries:
                self._take(entry, folder, number)

    def _take(self, entry: "os.DirEntry[str]", folder: _Folder, number: int) -> None:
        path = entry.path
        if path in self._roots:
            folder.visible += 1
        elif self._hides(entry):
            folder.hidden.append(path)
        elif entry.is_dir(follow_symlinks=False):
            folder.visible += 1
            self.folders.append(_Folder(path, number))
        else:
            folder.visible += 1
            self._add_file(path)

    def _hides(self, entry: "os.DirEntry[str]") -> bool:
        if self._is_hidden(entry.name, ()):
            return True
        if entry.path in self._also_hidden:
            return not self._is_revealed(entry.name)
        if entry.is_symlink():
            # To an environment, which lies elsewhere on each machine.
            marks = [mark for mark in ENVIRONMENT_MARKS if os.path.exists(f"{entry.path}{os.sep}{mark}")]  # noqa: PTH110
            return self._is_hidden(entry.name, marks)
        # A socket, a pipe or a device: whoever is at its other end is in no key.
        return not (entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False))

    def _is_hidden(self, name: str, inside: Collection[str]) -> bool:
        return is_hidden(name, inside, ()) and not self._is_revealed(name)

    def _is_revealed(self, name: str) -> bool:
        """Return whether what would be hidden is shown on request, and note it."""
        if name in self._shown:
            self._revealed.add(name)
        return name in self._shown

    def _add_file(self, path: str) -> None:
        try:
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                self._files.append(SeenFile(path, FileKind.LINK, None, os.readlink(path)))  # noqa: PTH115
                return
        except OSError:
            self._closed = True
            return
        kind = FileKind.PROGRAM if status.st_mode & stat.S_IXUSR else FileKind.FILE
        known = FileStatus(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        self._files.append(SeenFile(path, kind, known))

    def result(self) -> SeenFiles:
        hidden: list[str] = []
        for number in reversed(range(len(self.folders))):
            folder = self.folders[number]
            above = self.folders[folder.above]
            if folder.is_listed and number >= self._named and not folder.visible and folder.hidden:
                folder.is_hidden = True
            if folder.is_hidden:
                above.hidden.append(folder.path)
                above.visible -= 1
                continue
            if folder.is_listed and not folder.visible and not folder.hidden:
                self._files.append(SeenFile(folder.path, FileKind.FOLDER, None))
            hidden += folder.hidden
        is_complete = not (self._closed or self.is_full)
        return SeenFiles(tuple(sorted(self._files)), tuple(sorted(hidden)), is_complete, frozenset(self._revealed))
