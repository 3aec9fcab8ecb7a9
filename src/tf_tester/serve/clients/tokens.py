"""Tokens in a file that only its owner can read, and beside it when each was used last.

FILE.used/ID: an empty file, its time that of the last use, to the minute.
"""

import os
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import filelock
import msgspec

from tf_tester.core.access.tokens import Token, TokenScope, digest_of, id_of, matches_secret, token_text
from tf_tester.errors import ConfigError, OurFailure, UsageError
from tf_tester.given_files import read_given

_MINUTE = 60.0
_State = tuple[int, int, int, int]


class TokenWish(msgspec.Struct, frozen=True):
    """What somebody wants a token for; see `core.access.tokens.Token`."""

    name: str
    scopes: tuple[TokenScope, ...]
    projects: tuple[str, ...] = ()
    reads: tuple[str, ...] | None = None
    lasts: timedelta | None = None


class TokenFile:
    """Read anew when it changes; callable from many threads and processes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._read: tuple[_State | None, dict[str, Token]] = (None, {})
        self._noted: dict[str, float] = {}
        """When uses were noted, by id; of a clock that only goes forward."""

    def all(self) -> list[Token]:
        """Return tokens in the order in which they were made. Raises `ConfigError` where the file can't be read."""
        with self._lock:
            try:
                status = self._file.stat()
                state = status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
                if state != self._read[0]:
                    tokens = msgspec.json.decode(read_given(self._file), type=list[Token])
                    self._read = state, {one.id: one for one in tokens}
            except FileNotFoundError:
                self._read = None, {}
            except (OSError, msgspec.MsgspecError) as error:
                raise ConfigError(
                    f"The tokens in {self._file} can't be read: {error}.", hint="Move the file away, and make new ones."
                ) from error
            return list(self._read[1].values())

    def holder(self, text: str) -> Token | None:
        """Return the token whose secret that is."""
        found = next((one for one in self.all() if one.id == id_of(text)), None)
        if found is None or not matches_secret(text, found):
            return None
        self._note_use(found.id)
        return found

    def used(self, token: Token) -> datetime | None:
        """Return when it was used last, to the minute; None: never, or nobody could note it."""
        with suppress(OSError):
            return datetime.fromtimestamp((self._uses / token.id).stat().st_mtime, UTC)
        return None

    def make(self, wanted: TokenWish, now: datetime) -> str:
        """Return a new one, told this once. Raises `UsageError` where its name is taken, `OurFailure`."""
        id, secret = os.urandom(4).hex(), os.urandom(32)
        expires = None if wanted.lasts is None else now + wanted.lasts
        made = Token(id, wanted.name, digest_of(secret), wanted.scopes, now, wanted.projects, expires, wanted.reads)
        with self._held():
            before = self.all()
            # One that has expired is in nobody's way.
            if any(one.name == wanted.name and (one.expires is None or now < one.expires) for one in before):
                raise UsageError(
                    f"There is a token named {wanted.name} already.",
                    hint="Revoke it first, or give the new one another name.",
                )
            self._write([*before, made])
        return token_text(id, secret)

    @property
    def _uses(self) -> Path:
        return self._file.with_name(f"{self._file.name}.used")

    def _note_use(self, id: str) -> None:
        now = time.monotonic()
        if now - self._noted.get(id, -_MINUTE) < _MINUTE:
            return
        self._noted[id] = now
        with suppress(OSError):  # where we may only read
            self._uses.mkdir(mode=0o700, exist_ok=True)
            (self._uses / id).touch(0o600)

    def revoke(self, id_or_name: str) -> int:
        """Return how many are gone. Raises `UsageError` where there is none."""
        with self._held():
            before = self.all()
            after = [one for one in before if id_or_name not in (one.id, one.name)]
            if len(before) == len(after):
                raise UsageError(f"There is no token {id_or_name}.", hint="`tf-tester token list` shows them.")
            self._write(after)
            for one in before:
                if one not in after:
                    with suppress(OSError):
                        (self._uses / one.id).unlink(missing_ok=True)
        return len(before) - len(after)

    def _held(self) -> filelock.FileLock:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._refused(error) from error
        return filelock.FileLock(self._file.with_name(f".{self._file.name}.lock"), thread_local=False)

    def _write(self, tokens: list[Token]) -> None:
        temporary = self._file.with_name(f".{self._file.name}.{os.urandom(4).hex()}")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as stream:  # noqa: PTH123 - it is open already
                stream.write(msgspec.json.encode(tokens))
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(self._file)
        except OSError as error:
            raise self._refused(error) from error
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _refused(self, error: OSError) -> OurFailure:
        return OurFailure(f"{self._file} can't be written: {error.strerror}.", hint="Name another file with --tokens.")
