"""What was uploaded: a folder that is an index of its own, and the only thing here that can't be fetched again.

Promise: a file is whole and on its page, or it isn't there; a name that was taken stays with its bytes. In the folder
each project has one, with its files, their `.metadata` and `page.json`, which says all that the index tells of them.
Files that somebody has put there by hand are taken in when the page is next asked for; those that somebody has removed
or changed are on no page, and come back with the same bytes only. What is right has its upload time as its time, so
that it is read again only where somebody has touched it.
"""

import hashlib
import io
import os
import re
import stat
import tarfile
import time
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.parser import BytesHeaderParser
from pathlib import Path

import filelock
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.index.simple import parse_page, render_json
from tf_tester.core.text.printable import printable
from tf_tester.core.wheel.wheel_rules import BROKEN_ARCHIVE, MAX_METADATA, check_members, check_metadata, find_dist_info
from tf_tester.errors import BadWheel, NotAPage, OurFailure, PrivateDamaged, UnknownProject, UploadRefused, UsageError
from tf_tester.given_files import open_at_once
from tf_tester.model.artifact import Artifact, ProjectPage, split_filename
from tf_tester.ports.store import FileStatus
from tf_tester.serve.private_names import PrivateNames
from tf_tester.serve.responses import log

_PAGE = "page.json"
_SEAL = b'{"sha256":"'
_UNSEALED = b'{"meta":'
"""How pages of earlier versions begin, and no sealed one does, whichever byte of it is wrong."""
_RESTORE = "Mount the private folder, or restore the project from a backup."
_CHECKED_IN = ".checked"
_CHECKED = msgspec.json.Decoder(dict[str, tuple[FileStatus, float]])
_ANEW = 30 * 86_400
"""Seconds after which a file is read again, whatever its status: a disk can rot without a word."""
_YOUNG = 3 * 10**9
"""Nanoseconds: what has just changed may change again without another status."""
_INCOMING = ".incoming"
_ABANDONED = 900
"""Seconds after which nobody goes on with a file: an upload that brings nothing for a minute is refused."""
_AGAIN = 60.0
"""Seconds after which it is tried again to enter a file that could not be."""
_TICK = 50_000_000
"""Nanoseconds: the clock of a file system may stand still as long."""
_GROWING = re.compile(r"\.(page\.json|.+\.metadata)\.[0-9a-f]{8}")
"""How `_write` calls what isn't whole yet."""
_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,199}")
_PROJECT = re.compile(r"[a-z0-9]([a-z0-9-]{0,98}[a-z0-9])?")


class Upload(Struct, frozen=True):
    """One file as it came, with what was said of it."""

    content: Path
    filename: str
    project: str
    """Canonical name."""
    sha256: str
    """Of what came, in lower-case hex."""
    size: int


class PrivateFolder:
    """`ports.Index` of what was uploaded; callable from many threads and processes."""

    def __init__(self, root: Path, store: Path | None = None) -> None:
        """Use that folder; `store` (None: none) remembers its names, too."""
        self.root = root.absolute()
        self.known = PrivateNames(self.root, store)
        self._left_out: dict[Path, tuple[int, int]] = {}
        """Files that are none of a project's, or others than they were: sizes and times when they were looked at."""
        self._right: dict[Path, tuple[int, int]] = {}
        """Likewise of files that are as they should be, and whose time can't be set."""
        self._refused: dict[Path, tuple[str, float]] = {}
        """Files that could not be entered: why, and until when (monotonic) that isn't tried again."""
        self._found_right: dict[str, dict[str, tuple[FileStatus, float]]] = {}
        """By project and file name: what a file was when it was last found right, and when that was (since 1970)."""
        self._found_wrong: dict[Path, tuple[FileStatus, str]] = {}
        """What a file was when it was last found wrong, and what was wrong with it."""
        self._sound: dict[str, tuple[int, ...]] = {}
        """States of projects when their pages were found right."""

    def open(self, *, uploads: bool = False) -> list[str]:
        """Make it where nothing is known of it, and return sentences on what an administrator is to know.

        `uploads`: it is to be written to. Raises `UsageError`, `OurFailure`.
        """
        is_new = not self.root.exists()
        if is_new and (others := self.known.folders):
            raise UsageError(
                f"There is no folder {self.root}, and this store knows of private projects in {others[0]}.",
                hint="Mount it, restore it from a backup, or name the right one; make it yourself to begin a new one.",
            )
        if self.is_lost:
            return [f"{self._lost} {_RESTORE}"]  # maybe not mounted yet: nothing is written below it
        told = [f"The folder {self.root} was not there: a new one was made."] if is_new else []
        try:
            (self.root / _INCOMING).mkdir(parents=True, exist_ok=True)
            self.sweep()
        except OSError as error:
            if uploads or not self.root.is_dir():
                raise OurFailure(
                    f"{self.root} can't be used: {error.strerror}.", hint="Name another folder."
                ) from error
        for name in self.names:
            self._seal(name)
            _sweep(one for one in (self.root / name).glob(".*") if _GROWING.fullmatch(one.name))
        entered = self.entered
        try:
            self.known.remember(self.known.own | entered)
        except OurFailure as error:
            told.append(f"{error} {error.hint}")
        unknown = ", ".join(sorted(set(self.names) - entered))
        if unknown and not os.access(self.root, os.W_OK):
            told.append(
                f"Nothing can be written to {self.root}: what was put there by hand and never entered isn't shown, and "
                f"its names are private only as long as their folders are there: {unknown}."
            )
        return told

    def sweep(self) -> None:
        """Delete what uploads have left whose process was killed. Raises `OSError`."""
        _sweep((self.root / _INCOMING).iterdir())

    def _seal(self, project: str) -> None:
        """Give the page of an earlier version its sum, where that can be written."""
        with suppress(OSError, OurFailure):  # told when the page is asked for
            place = self.root / project / _PAGE
            if place.read_bytes().startswith(_UNSEALED):
                with self.alone(project):
                    page = self.written(project)
                    if page is not None:
                        self.write(page)

    @property
    def is_lost(self) -> bool:
        """Whether names of this folder are known, and there is none of them and no sign of it. Raises `OurFailure`."""
        own = self.known.own
        return bool(own) and not self.known.has_marker and not any((self.root / name).is_dir() for name in own)

    def check_there(self) -> None:
        """Raise `PrivateDamaged` where this is not the folder that it was: nothing is to be written to it."""
        if self.is_lost:
            raise PrivateDamaged(self._lost, hint=_RESTORE)

    @property
    def _lost(self) -> str:
        return f"{self.root} isn't the folder that it was: its projects are gone."

    def troubles(self) -> list[str]:
        """Return what is wrong with projects that were uploaded: they are gone, or their page is damaged."""
        found = []
        for name in sorted(self.known.own):
            state = self.state(name)
            if self._sound.get(name) == state:
                continue
            try:
                self.written(name)
                self._sound[name] = state
            except OurFailure as error:
                found.append(f"{error} {error.hint}")
        return found

    @property
    def incoming(self) -> Path:
        """Where a file grows that is being uploaded."""
        return self.root / _INCOMING / os.urandom(8).hex()

    @property
    def names(self) -> list[str]:
        """Projects, in order; those that are known to be of here and are gone, too."""
        return sorted(self.known.own | self.there)

    @property
    def there(self) -> set[str]:
        """Projects that have a folder."""
        with suppress(OSError):
            return {one.name for one in self.root.iterdir() if _PROJECT.fullmatch(one.name) and one.is_dir()}
        return set()

    @property
    def entered(self) -> set[str]:
        """Projects of which something was written down: their names are to be known, whatever becomes of the folder."""
        return {name for name in self.there if (self.root / name / _PAGE).exists()}

    def state(self, project: str) -> tuple[int, ...]:
        """Return what changes when a project does, whoever changes it; empty where the name isn't private.

        Every answer asks for it: it takes some microseconds.
        """
        folder, now = f"{self.root}/{project}", time.time_ns()
        found: list[int] = []
        with suppress(OSError):
            if _PROJECT.fullmatch(project):
                for place in (folder, f"{folder}/{_PAGE}"):
                    status = os.stat(place)  # noqa: PTH116 - a path's own takes longer
                    found += (status.st_ino, status.st_mtime_ns, status.st_size)
                    if abs(now - status.st_mtime_ns) < _TICK:
                        found.append(now)  # another change may get the same time
        if not found and self.known.is_known(project):
            return (0,)  # it is private all the same
        return tuple(found)

    def page(self, project: str) -> ProjectPage:
        """Return a project's page. Raises `UnknownProject`, `PrivateDamaged`, `OurFailure`."""
        if not _PROJECT.fullmatch(project):
            raise UnknownProject(f"there is no private project named {project}")
        folder = self.root / project
        page, files = self.written(project), _files_in(folder)
        known = {artifact.filename for artifact in page.artifacts} if page is not None else set()
        for filename in sorted(files.keys() - known):
            page = self._taken_in(project, filename) or page
        if page is None:
            if not folder.is_dir():
                if self.known.is_known(project):
                    raise self._gone(project)
                raise UnknownProject(f"there is no private project named {project}")
            # The name is taken, whatever is in it: nobody else's files are ever shown under it.
            return ProjectPage(project, ())
        there = tuple(one for one in page.artifacts if self._is_right(one, files.get(one.filename, (-1, 0))))
        return page if len(there) == len(page.artifacts) else replace(page, artifacts=there, source=b"")

    def _is_right(self, artifact: Artifact, seen: tuple[int, int]) -> bool:
        """Return whether a file is there with its bytes. `seen`: its size and time."""
        place = self.file(artifact)
        if artifact.size is not None and seen[0] != artifact.size:
            if seen[0] >= 0 and self._left_out.get(place) != seen:
                self._left_out[place] = seen
                log.warning("%s", printable(f"{place} is left out: it has {seen[0]} bytes, not {artifact.size}"))
            return False
        if seen[1] == _time_of(artifact) or self._right.get(place) == seen:
            return True
        if self._left_out.get(place) == seen:
            return False
        try:
            with place.open("rb") as stream:
                right = hashlib.file_digest(stream, "sha256").hexdigest() == artifact.sha256
        except OSError:
            return False
        if not right:
            self._left_out[place] = seen
            log.warning("%s", printable(f"{place} is left out: its content has changed"))
        elif not _set_time(place, artifact):
            self._right[place] = seen
        return right

    def written(self, project: str) -> ProjectPage | None:
        """Return what was written of a project, files that are gone included; None: nothing ever was.

        Raises `PrivateDamaged` where it can't be told any more: yanks would be forgotten, and names free.
        """
        folder = self.root / project
        try:
            content = _unsealed((folder / _PAGE).read_bytes())
            return parse_page(content, "application/json", f"{folder.as_uri()}/", project)
        except (FileNotFoundError, NotADirectoryError):
            if project in self.known.own:
                raise self._gone(project) from None
            return None
        except (OSError, NotAPage) as error:
            raise PrivateDamaged(f"The private page of {project} can't be read: {error}.", hint=_RESTORE) from error

    def _gone(self, project: str) -> PrivateDamaged:
        return PrivateDamaged(f"{project} is private, and {self.root / project / _PAGE} is gone.", hint=_RESTORE)

    def _taken_in(self, project: str, filename: str) -> ProjectPage | None:
        """Enter a file that somebody has put into the folder; None where it is none, or not whole yet."""
        place = self.root / project / filename
        seen = 0, 0
        if time.monotonic() < self._refused.get(place, ("", 0.0))[1]:
            return None
        try:
            with place.open("rb") as stream:
                status = os.fstat(stream.fileno())
                seen = status.st_size, status.st_mtime_ns
                if self._left_out.get(place) == seen:
                    return None
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            written = datetime.fromtimestamp(status.st_mtime, UTC)
            self.add(Upload(place, filename, project, digest, status.st_size), written)
        except UploadRefused as error:
            self._left_out[place] = seen
            log.warning("%s", printable(f"{place} is left out: {error}"))
            return None
        except (OSError, OurFailure) as error:  # a full disk, which is no fault of the file's
            if self._refused.get(place, ("", 0.0))[0] != str(error):
                log.warning("%s", printable(f"{place} is left out: {error}"))
            self._refused[place] = str(error), time.monotonic() + _AGAIN
            return None
        self._refused.pop(place, None)
        return self.written(project)

    def checked(self, artifact: Artifact) -> Path:
        """Return a file that is as it was promised. Raises `PrivateDamaged`, with a line in the log each time."""
        trouble = self.trouble(artifact)
        if trouble:
            raise PrivateDamaged(f"{self.file(artifact)} {trouble}", hint=_RESTORE)
        return self.file(artifact)

    def trouble(self, artifact: Artifact, *, anew: bool = False, note: bool = True) -> str:
        """Return why a file isn't what was uploaded; empty: it is.

        It is read where size, place and times aren't those that it had when it was last read, or it was found right
        long ago; or `anew`. `note`: let other processes know.
        """
        place = self.file(artifact)
        try:
            with open(place, "rb", opener=open_at_once) as stream:
                status = os.fstat(stream.fileno())
                if not stat.S_ISREG(status.st_mode):
                    return "is no file."
                seen = FileStatus(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
                if not anew and (found := self._known_trouble(artifact, seen)) is not None:
                    return found
                actual = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            return f"can't be read: {error.strerror}."
        trouble = "" if actual == artifact.sha256 else f"is damaged: it has SHA-256 {actual}."
        if time.time_ns() - seen.changed > _YOUNG:
            if trouble:
                self._found_wrong[place] = seen, trouble
            else:
                self._note_checked(artifact, seen, note=note)
        return trouble

    def _known_trouble(self, artifact: Artifact, seen: FileStatus) -> str | None:
        """Return what was found when a file was last read, as long as that counts; None: it doesn't."""
        known = self._checked(artifact.project).get(artifact.filename)
        if known is not None and known[0] == seen and 0 <= time.time() - known[1] < _ANEW:
            return ""
        wrong = self._found_wrong.get(self.file(artifact))
        return wrong[1] if wrong is not None and wrong[0] == seen else None

    def _checked(self, project: str) -> dict[str, tuple[FileStatus, float]]:
        """Return what files of a project were when they were last found right, and when that was."""
        known = self._found_right.get(project)
        if known is None:
            with suppress(OSError, msgspec.MsgspecError):
                known = _CHECKED.decode((self.root / _CHECKED_IN / project).read_bytes())
            known = self._found_right.setdefault(project, known or {})
        return known

    def _note_checked(self, artifact: Artifact, seen: FileStatus, *, note: bool) -> None:
        known = self._checked(artifact.project)
        self._found_right[artifact.project] = known = known | {artifact.filename: (seen, time.time())}
        if not note:
            return
        place = self.root / _CHECKED_IN / artifact.project
        with suppress(OSError):  # without it a file is read again after a restart
            place.parent.mkdir(exist_ok=True)
            _write(place, msgspec.json.encode(known))

    def find_lost(self, project: str, filename: str, sha256: str) -> None:
        """Raise `PrivateDamaged` where a file is on no page because it is damaged; not where it was taken away."""
        page = self.written(project)
        for one in page.artifacts if page is not None else ():
            if (one.filename, one.sha256) == (filename, sha256) and self.file(one).exists():
                self.checked(one)

    def file(self, artifact: Artifact) -> Path:
        return self.root / artifact.project / artifact.filename

    def metadata(self, artifact: Artifact) -> bytes:
        """Return a wheel's METADATA as it was promised. Raises `PrivateDamaged`."""
        place = self.file(artifact).with_name(f"{artifact.filename}.metadata")
        try:
            content = place.read_bytes()
        except OSError as error:
            raise PrivateDamaged(f"{place} can't be read: {error.strerror}.", hint=_RESTORE) from error
        if hashlib.sha256(content).hexdigest() != artifact.metadata_sha256:
            raise PrivateDamaged(f"{place} is damaged.", hint=_RESTORE)
        return content

    def add(self, upload: Upload, now: datetime) -> Artifact:
        """Take a file in; the same one again is as good. Raises `UploadRefused`, `PrivateDamaged`, `OurFailure`."""
        metadata = _examined(upload)
        self.written(upload.project)  # before there is a folder: what is lost isn't begun anew
        wheel = upload.filename.endswith(".whl")
        folder = self.root / upload.project
        artifact = Artifact(
            upload.filename,
            upload.project,
            split_filename(upload.filename, upload.project) or "",
            (folder / upload.filename).as_uri(),
            upload.sha256,
            upload.size,
            now,
            BytesHeaderParser().parse(io.BytesIO(metadata)).get("Requires-Python"),
            metadata_sha256=hashlib.sha256(metadata).hexdigest() if wheel else None,
        )
        is_new = not folder.exists()
        try:
            folder.mkdir(exist_ok=True)
            with self.alone(upload.project):
                return self._entered(artifact, upload, metadata if wheel else None)
        except OSError as error:
            if is_new:
                self._give_up(folder)
            raise OurFailure(
                f"{upload.filename} can't be kept: {error.strerror}.", hint="Free some space in the private folder."
            ) from error

    def _give_up(self, folder: Path) -> None:
        """Let go of the name of a project that has never had a file."""
        with suppress(OSError):
            (folder / ".lock").unlink(missing_ok=True)
            folder.rmdir()

    def _entered(self, artifact: Artifact, upload: Upload, metadata: bytes | None) -> Artifact:
        page = self.written(artifact.project) or ProjectPage(artifact.project, ())
        known = next((one for one in page.artifacts if one.filename == artifact.filename), None)
        if known is not None and known.sha256 != artifact.sha256:
            raise UploadRefused(f"{artifact.filename} already exists, with other contents.", status=409)
        target, is_here = self.file(artifact), False
        beside = target.with_name(f"{target.name}.metadata")
        upload.content.stat()  # what was put there may have gone while somebody else was at it
        try:
            if metadata is not None:
                _write(beside, metadata)
            if upload.content != target:
                with upload.content.open("rb") as stream:
                    os.fsync(stream.fileno())
                upload.content.replace(target)
                is_here = True
            _set_time(target, known or artifact)
            if known is None:
                self.write(replace(page, artifacts=(*page.artifacts, artifact)))
        except OSError:
            if known is None:
                # What stayed would be entered as put there by hand, though who uploaded it is told that it isn't kept.
                for left in (*((target,) if is_here else ()), beside):
                    with suppress(OSError):
                        left.unlink(missing_ok=True)
            raise
        try:
            self.known.remember([artifact.project])  # not before: an upload that failed takes no name
        except OurFailure as error:
            log.warning("%s", printable(f"{error} {error.hint}"))
        return known or artifact

    def write(self, page: ProjectPage) -> None:
        """Write what is told of a project; for who is `alone` with it."""
        content = render_json(replace(page, source=b""), lambda one: one.filename)
        _write(self.root / page.project / _PAGE, _sealed(content))

    def alone(self, project: str) -> filelock.BaseFileLock:
        """Return the lock of those who change a project."""
        return filelock.FileLock(self.root / project / ".lock", thread_local=False)


def _sealed(page: bytes) -> bytes:
    """Return a page that begins with the sum of the rest; it is JSON all the same."""
    return b'%s%s",%s' % (_SEAL, hashlib.sha256(page).hexdigest().encode(), page[1:])


def _unsealed(content: bytes) -> bytes:
    """Return a page as it was sealed; one of earlier versions, which had no sum, as it is. Raises `NotAPage`."""
    if content.startswith(_UNSEALED):
        return content
    start = len(_SEAL) + 64
    page = b"{" + content[start + 2 :]
    if _sealed(page) != content:
        raise NotAPage("its sum is another one")
    return page


def _time_of(artifact: Artifact) -> int:
    """Return the time that a file has as long as nobody touches it: nanoseconds since 1970."""
    if artifact.upload_time is None:
        return -1
    return (artifact.upload_time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def _set_time(place: Path, artifact: Artifact) -> bool:
    """Give a file its time, and return whether it has it: some file systems keep whole seconds."""
    time = _time_of(artifact)
    try:
        os.utime(place, ns=(time, time))
        return place.stat().st_mtime_ns == time
    except (OSError, OverflowError):
        return False


def _files_in(folder: Path) -> dict[str, tuple[int, int]]:
    """Return sizes and times of a project's files by name."""
    found = {}
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _FILENAME.fullmatch(entry.name) and entry.name.endswith((".whl", ".tar.gz")):
                with suppress(OSError):
                    if entry.is_file(follow_symlinks=False):
                        status = entry.stat(follow_symlinks=False)
                        found[entry.name] = status.st_size, status.st_mtime_ns
    return found


def _examined(upload: Upload) -> bytes:
    """Return an upload's METADATA or PKG-INFO. Raises `UploadRefused` where it isn't what it says."""
    if not _PROJECT.fullmatch(upload.project):
        raise UploadRefused(f"{upload.project!r} is not a name of a project.")
    version = split_filename(upload.filename, upload.project) if _FILENAME.fullmatch(upload.filename) else None
    if not version:
        raise UploadRefused(f"{upload.filename!r} is not a file of {upload.project}.")
    try:
        if upload.filename.endswith(".whl"):
            with zipfile.ZipFile(upload.content) as archive:
                check_members(archive.infolist(), upload.size)
                folder = find_dist_info(archive.namelist(), upload.project, version)
                metadata = archive.read(f"{folder}/METADATA")
        elif upload.filename.endswith(".tar.gz"):
            metadata = _pkg_info(upload.content)
        else:
            raise UploadRefused("Wheels and .tar.gz source distributions are taken, nothing else.")
        check_metadata(metadata, upload.project, version)
    except (BadWheel, KeyError, *BROKEN_ARCHIVE, tarfile.TarError, OSError) as error:
        raise UploadRefused(f"{upload.filename} isn't what its name says: {error}") from error
    return metadata


def _pkg_info(file: Path) -> bytes:
    with tarfile.open(file, "r:gz") as archive:
        for member in archive:
            if member.isfile() and re.fullmatch(r"[^/]+/PKG-INFO", member.name) and member.size <= MAX_METADATA:
                found = archive.extractfile(member)
                return found.read() if found else b""
    raise BadWheel("it has no PKG-INFO")


def _sweep(files: Iterable[Path]) -> None:
    """Delete those that nobody has written to for long."""
    for left in files:
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED:  # others may be at it
                left.unlink(missing_ok=True)


def _write(target: Path, content: bytes) -> None:
    temporary = target.with_name(f".{target.name}.{os.urandom(4).hex()}")
    try:
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
