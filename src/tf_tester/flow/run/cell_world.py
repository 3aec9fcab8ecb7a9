"""What a cell's programs have around them: folders to write into, folders to read, variables."""

import hashlib
import os
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from tf_tester.flow.prepare.services import Services
from tf_tester.flow.run.user_files import UserFiles
from tf_tester.flow.taken.reading import is_folder
from tf_tester.model.cell import PlannedCell
from tf_tester.model.host.world import Moved, Overlay, World
from tf_tester.model.request import Trial
from tf_tester.ports.environment import Environment

PASSED_ON = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "SYSTEMROOT", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH")
"""Variables of the caller that a test may see; everything else stays outside, credentials first of all."""
_TEMPORARY, _VARIABLE_TEMPORARY = Path("/tmp"), Path("/var/tmp")
_NO_HOMES = ("/tmp", "/var/tmp", "/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr")
SHOWN_OF_THE_SYSTEM = ("/usr", "/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin")
"""Of which tests see all, and can change nothing."""
_LINK = "tft-"
_LONGEST_TEMPORARY = 50
"""Bytes of the path: a socket's name has 107, and multiprocessing puts 32 behind the folder, others some more."""
_SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin") if os.name == "posix" else (os.defpath,)


class ScratchFolders(Struct, frozen=True):
    """The folders that one cell's programs may write into."""

    folder: Path
    in_memory: bool
    user: str = "user"
    """The user's name."""

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def home(self) -> Path:
        return self.root / "home" / self.user

    @property
    def variable_temporary(self) -> Path:
        """Of what is to outlast a restart: `/var/tmp`."""
        return self.root / "var-tmp"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    @property
    def cwd(self) -> Path:
        """Of working folders, where these can't be the user's own."""
        return self.root / "work"

    @property
    def values(self) -> Path:
        """For numbers that tests record."""
        return self.cwd / "values"

    @property
    def order(self) -> Path:
        """What the harness is to do."""
        return self.folder / "order.json"

    @property
    def caught(self) -> Path:
        """What is written into the environment."""
        return self.folder / "caught"

    @property
    def told(self) -> Path:
        """Where programs tell that they have imported the package under test: `flow.prepare.noticing`."""
        return self.folder / "told"

    @property
    def aside(self) -> Path:
        """What is laid over the environment."""
        return self.folder / "aside"

    @property
    def on_disk(self) -> tuple[Path, ...]:
        return (self.told,) if self.in_memory else (self.root, self.caught, self.told)

    def make(self) -> None:
        """Make the folders."""
        for folder in (
            self.home,
            self.temporary,
            self.variable_temporary,
            self.cwd,
            self.values,
            self.caught,
            self.told,
        ):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.temporary, self.variable_temporary):
            folder.chmod(0o1777)

    def place_of(self, seen: Path) -> Path:
        """Return where such a folder for `seen` lies, if there is one."""
        return self.cwd / hashlib.sha256(os.fsencode(seen)).hexdigest()[:8]

    def linked(self, seen: Path, hidden: Collection[Path]) -> Path:
        """Return a folder with links to everything in the folder `seen` but what is hidden; the same each time.

        A test may have put anything in its place: that is made anew. One that it has closed is opened.
        """
        place = self.place_of(seen)
        _open_folder(self.root)
        for folder in (self.cwd, place):
            _open_folder(folder)
            if not is_folder(folder):
                if os.path.lexists(folder):
                    folder.unlink()
                folder.mkdir()
                if folder == place:
                    _mirror_folder(seen, place, frozenset(hidden))
        return place


class OwnPlaces(Struct, frozen=True):
    """Where a cell's programs find their home and a folder for temporary files."""

    home: Path
    temporary: Path
    outside: Path
    """Where the user's home is."""
    moved: tuple[Moved, ...] = ()
    """What of the scratch is seen elsewhere."""


@contextmanager
def own_places(
    scratch: ScratchFolders, environ: Mapping[str, str], data: Sequence[Path], *, moves: bool
) -> Iterator[OwnPlaces]:
    """Yield the places that an ordinary machine has for these, where a sandbox can show them there (`moves`).

    Else they lie in the scratch, and the home has links to what of the `data` lies in the user's. Where the scratch
    has a long path, which leaves no room for the name of a socket, the temporary folder has a short one: a link, for
    as long as the block lasts.
    """
    home = _home(environ, scratch.user)
    if moves:
        moved = (scratch.home, home), (scratch.temporary, _TEMPORARY), (scratch.variable_temporary, _VARIABLE_TEMPORARY)
        yield OwnPlaces(home, _TEMPORARY, home, tuple(Moved(*one) for one in moved))
        return
    link = None
    if os.name == "posix" and len(os.fsencode(scratch.temporary)) > _LONGEST_TEMPORARY:
        link = _linked_shortly(scratch.temporary)
    _link_data(data, home, scratch.home)
    try:
        yield OwnPlaces(scratch.home, link or scratch.temporary, home)
    finally:
        if link is not None:
            link.unlink(missing_ok=True)


def _link_data(data: Sequence[Path], home: Path, own_home: Path) -> None:
    """Put links into a test's home at the places where the data lies in the user's."""
    linked: list[Path] = []
    for path in sorted(data, key=lambda path: len(path.parts)):
        # Below a link would be in the user's own folder.
        if home in path.parents and not any(map(path.is_relative_to, linked)):
            place = own_home / path.relative_to(home)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(path)
            linked.append(path)


def user_name(environ: Mapping[str, str]) -> str:
    """Return the name of the user that programs run as: a folder is called so."""
    name = environ.get("USER", "")
    with suppress(ImportError, KeyError):
        import pwd

        name = pwd.getpwuid(os.getuid()).pw_name
    return name if name not in ("", ".", "..") and "/" not in name else "user"


def _home(environ: Mapping[str, str], user: str) -> Path:
    """Return where the user's home is, or where it would be if it is no place for one."""
    home = Path(os.path.normpath(environ.get("HOME") or "/"))
    is_one = home.is_absolute() and len(home.parts) > 1 and not any(map(home.is_relative_to, _NO_HOMES[2:]))
    return home if is_one and str(home) not in _NO_HOMES else Path("/home", user)


def _linked_shortly(folder: Path) -> Path | None:
    """Return a new link to a folder that has a short name; None where none can be made.

    Those that runs left behind which were killed are put away: they lead nowhere.
    """
    with suppress(OSError):
        for old in _TEMPORARY.glob(f"{_LINK}*"):
            if old.is_symlink() and not old.exists() and old.lstat().st_uid == os.getuid():
                old.unlink(missing_ok=True)
        link = _TEMPORARY / f"{_LINK}{os.urandom(4).hex()}"
        link.symlink_to(folder)
        return link
    return None


def _open_folder(path: Path) -> None:
    """Give ourselves, the owner, all rights to a folder, if it is one. While none of its programs runs."""
    if is_folder(path) and path.lstat().st_mode & stat.S_IRWXU != stat.S_IRWXU:
        path.chmod(0o700)


def world_of(
    files: UserFiles,
    planned: PlannedCell,
    environment: Environment,
    services: Services,
    scratch: ScratchFolders,
    places: OwnPlaces,
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
    # Who works in one of these places, or lets tests change it, finds there what is there.
    given = (*private, *files.trial.writable)
    moved = tuple(one for one in places.moved if not any(map(one.seen_at.is_relative_to, given)))
    overlays, writable = environment.overlays, [*files.trial.writable]
    # Whoever sees the folder in which another lies may put a link in its place, which the next program's sandbox would
    # follow: what is shown elsewhere isn't seen here, too.
    own_folders = (scratch.told, *(() if scratch.in_memory else (scratch.cwd if places.moved else scratch.root,)))
    writable += own_folders
    if scratch.in_memory:
        overlays = (*overlays, Overlay(scratch.root, (scratch.root,)))
    return World(
        tuple(dict.fromkeys(readable)),
        tuple(writable),
        overlays,
        None if scratch.in_memory else scratch.caught,
        moved=() if scratch.in_memory else moved,
        fresh=moved if scratch.in_memory else (),
        private=private,
        hidden=files.hidden,
        own=own_folders,
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
    trial: Trial, environment: Environment, places: OwnPlaces, user: str, environ: Mapping[str, str]
) -> dict[str, str]:
    """Return all variables a test sees: an allow-list, a private home, and what the user gave with --env."""
    env = passed_on(environ) | {
        "PATH": os.pathsep.join((str(environment.scripts), *_SYSTEM_PATH)),
        "VIRTUAL_ENV": str(environment.folder),
        "HOME": str(places.home),
        "USERPROFILE": str(places.home),
        "USER": user,
        "LOGNAME": user,
        "TMPDIR": str(places.temporary),
        "TEMP": str(places.temporary),
        "TMP": str(places.temporary),
        # No traces in the user's folder, no surprises from his own site-packages, the same order of sets each time.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONHASHSEED": "0",
        # How far did it get? What was printed before a crash or a time-out says it.
        "PYTHONUNBUFFERED": "1",
    }
    if trial.pythonpath:
        env["PYTHONPATH"] = os.pathsep.join(map(str, trial.pythonpath))
    return env | asked_for(trial, environ)


def asked_for(trial: Trial, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the user gave with --env, and those of the caller's that are named there."""
    return {name: environ[name] for name in trial.passed if name in environ} | dict(trial.env)


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
