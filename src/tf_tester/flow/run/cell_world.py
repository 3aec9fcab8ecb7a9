"""What a cell's programs have around them: folders to write into, folders to read, variables."""

import hashlib
import os
import stat
from collections.abc import Collection, Mapping
from pathlib import Path

from msgspec import Struct

from tf_tester.flow.prepare.services import Services
from tf_tester.flow.run.user_files import UserFiles
from tf_tester.model.cell import PlannedCell
from tf_tester.model.host.world import Overlay, World
from tf_tester.model.request import Trial
from tf_tester.ports.environment import Environment

PASSED_ON = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "SYSTEMROOT", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH")
"""Variables of the caller that a test may see; everything else stays outside, credentials first of all."""
_SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin") if os.name == "posix" else (os.defpath,)


class ScratchFolders(Struct, frozen=True):
    """The folders that one cell's programs may write into."""

    folder: Path
    in_memory: bool

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    @property
    def cwd(self) -> Path:
        """Of working folders, where these can't be the user's own."""
        return self.root / "work"

    @property
    def order(self) -> Path:
        """What the harness is to do."""
        return self.folder / "order.json"

    @property
    def caught(self) -> Path:
        """What is written into the environment."""
        return self.folder / "caught"

    @property
    def on_disk(self) -> tuple[Path, ...]:
        return () if self.in_memory else (self.root, self.caught)

    def make(self) -> None:
        """Make the folders."""
        for folder in (self.home, self.temporary, self.cwd, self.caught):
            folder.mkdir(parents=True)

    def place_of(self, seen: Path) -> Path:
        """Return where such a folder for `seen` lies, if there is one."""
        return self.cwd / hashlib.sha256(os.fsencode(seen)).hexdigest()[:8]

    def linked(self, seen: Path, hidden: Collection[Path]) -> Path:
        """Return a folder with links to everything in the folder `seen` but what is hidden; the same each time.

        A test may have put anything in its place: that is made anew.
        """
        place = self.place_of(seen)
        for folder in (self.cwd, place):
            if not is_folder(folder):
                if os.path.lexists(folder):
                    folder.unlink()
                folder.mkdir()
                if folder == place:
                    _mirror_folder(seen, place, frozenset(hidden))
        return place


def is_folder(path: Path) -> bool:
    """Tell whether something is a folder and no link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def world_of(
    files: UserFiles, planned: PlannedCell, environment: Environment, services: Services, scratch: ScratchFolders
) -> World:
    """Return what a cell's programs see: their Python, the test's folders, a scratch; nobody's home."""
    readable = [services.execution.harness.parent]
    if planned.interpreter is not None:
        readable += planned.interpreter.folders
    if not environment.overlays:
        readable.append(environment.folder)
    own = [path for path in files.folders if not any(path.is_relative_to(one) for one in files.trial.writable)]
    private = private_folders(own, files.hidden) if services.execution.sandbox.copies else ()
    readable += [path for path in files.folders if not _is_shown_with(path, private, files.hidden)]
    readable.append(scratch.order)
    overlays, writable = environment.overlays, [*files.trial.writable]
    if scratch.in_memory:
        overlays = (*overlays, Overlay(scratch.root, (scratch.root,)))
    else:
        writable.append(scratch.root)
    caught = None if scratch.in_memory else scratch.caught
    return World(
        tuple(dict.fromkeys(readable)), tuple(writable), overlays, caught, private=private, hidden=files.hidden
    )


def private_folders(folders: Collection[Path], hidden: Collection[Path]) -> tuple[Path, ...]:
    """Return the topmost of the user's folders: all that is in them, a test may change for itself.

    One that lies in a hidden folder, and isn't hidden itself, counts as one, too.
    """
    found: list[Path] = []
    for path in sorted(folders, key=lambda path: len(path.parts)):
        if path.is_dir() and not _is_shown_with(path, found, hidden):
            found.append(path)
    return tuple(found)


def _is_shown_with(path: Path, folders: Collection[Path], hidden: Collection[Path]) -> bool:
    """Tell whether a path is one of these folders, or is seen in one of them."""
    above = [folder for folder in folders if path.is_relative_to(folder)]
    nearest = max(above, key=lambda folder: len(folder.parts), default=None)
    return nearest is not None and not any(
        path.is_relative_to(one) and one.is_relative_to(nearest) and one != nearest for one in hidden
    )


def clean_environment(
    trial: Trial, environment: Environment, home: Path, temporary: Path, environ: Mapping[str, str]
) -> dict[str, str]:
    """Return all variables a test sees: an allow-list, a private home, and what the user gave with --env."""
    env = passed_on(environ)
    env |= {
        "PATH": os.pathsep.join((str(environment.scripts), *_SYSTEM_PATH)),
        "VIRTUAL_ENV": str(environment.folder),
        "HOME": str(home),
        "USERPROFILE": str(home),
        "TMPDIR": str(temporary),
        "TEMP": str(temporary),
        "TMP": str(temporary),
        # No traces in the user's folder, no surprises from his own site-packages, the same order of sets each time.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONHASHSEED": "0",
        # How far did it get? What was printed before a crash or a time-out says it.
        "PYTHONUNBUFFERED": "1",
    }
    if trial.pythonpath:
        env["PYTHONPATH"] = os.pathsep.join(map(str, trial.pythonpath))
    return env | dict(trial.env)


def passed_on(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the caller's variables that a test sees; without a locale it gets one."""
    return {"LANG": "C.UTF-8"} | {name: environ[name] for name in PASSED_ON if name in environ}


def _mirror_folder(source: Path, target: Path, hidden: Collection[Path]) -> None:
    """Link everything in the folder of the request, so that relative paths work and new files stay private."""
    try:
        entries = sorted(source.iterdir())[:10_000]
    except OSError:
        return
    for entry in entries:
        if entry in hidden:
            continue
        try:
            (target / entry.name).symlink_to(entry)
        except OSError:
            return  # Windows without the right to make links: relative paths then mean the empty folder
