"""What other tools' files were before we changed them, so that a reset gives back just that.

A file that is still as we left it, told by its SHA-256, is put back byte for byte, or removed where there was none.
In one that somebody has changed since, only the values are put back that still are ours.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from tf_tester.errors import ConfigError, OurFailure
from tf_tester.given_files import read_given


class SavedFile(msgspec.Struct, frozen=True):
    """Of one file."""

    path: str
    tool: str
    scope: str
    before: bytes | None
    """None: there was no such file."""
    after: str
    """SHA-256 of what we wrote."""
    old: dict[str, str | None]
    """Values before, by the editor's keys."""
    new: dict[str, str | None]


class UndoFolder(Struct, frozen=True):
    """One file for each file that was changed; the user's alone, for settings may hold passwords."""

    folder: Path

    def recall(self, file: Path, tool: str) -> SavedFile | None:
        """Return what was kept of a file when it was changed for a tool: several tools may have one file."""
        for place in (self._place(file, tool), self._place(file)):
            try:
                kept = msgspec.json.decode(place.read_bytes(), type=SavedFile)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except (OSError, msgspec.DecodeError) as error:
                raise OurFailure(f"What {file} was before can't be read: {error}.", hint=f"Look at {place}.") from error
            if kept.tool == tool:
                return kept
        return None

    def remember(self, kept: SavedFile) -> None:
        """Remember a file before it is written: whatever happens then, the way back is known."""
        place = self._place(Path(kept.path), kept.tool)
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise OurFailure(f"{self.folder} can't be made: {error.strerror}.") from error
        write_atomically(place, msgspec.json.encode(kept), mode=0o600)

    def forget(self, file: Path, tool: str) -> None:
        for place in (self._place(file, tool), self._place(file)):
            with suppress(FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
                if msgspec.json.decode(place.read_bytes(), type=SavedFile).tool == tool:
                    place.unlink()

    def _place(self, file: Path, tool: str = "") -> Path:
        """Return where it is kept; without a tool, where earlier versions kept it."""
        named = f"-{tool}" if tool else ""
        return self.folder / f"{hashlib.sha256(os.fsencode(file)).hexdigest()[:32]}{named}.json"


def fingerprint(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def read_settings(file: Path) -> bytes | None:
    """Return a file's bytes; None where there is no such file. Raises `ConfigError`."""
    try:
        return read_given(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}.") from error


def write_atomically(file: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write a file whole or not at all. A link is followed, modes are kept (`mode`: of a new file).

    Raises `OurFailure`.
    """
    real = Path(os.path.realpath(file))
    temporary = real.with_name(f".{real.name}.{os.getpid()}.tmp")
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            mode = real.stat().st_mode & 0o7777
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(mode)
        temporary.replace(real)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise OurFailure(
            f"{file} can't be written: {error.strerror}.",
            hint="Nothing in it was changed. Repeat with the rights for it.",
        ) from error
