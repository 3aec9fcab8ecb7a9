"""Tokens in a file that only its owner can read."""

import os
import threading
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import filelock
import msgspec

from tf_tester.core.access.tokens import Token, TokenScope, digest_of, id_of, matches_secret, token_text
from tf_tester.errors import ConfigError, OurFailure, UsageError


class TokenFile:
    """Read anew when it changes; callable from many threads and processes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._read: tuple[int, dict[str, Token]] = (-1, {})

    def all(self) -> list[Token]:
        """Return tokens in the order in which they were made. Raises `ConfigError` where the file can't be read."""
        with self._lock:
            try:
                changed = self._file.stat().st_mtime_ns
                if changed != self._read[0]:
                    tokens = msgspec.json.decode(self._file.read_bytes(), type=list[Token])
                    self._read = changed, {one.id: one for one in tokens}
            except FileNotFoundError:
                self._read = -1, {}
            except (OSError, msgspec.MsgspecError) as error:
                raise ConfigError(
                    f"The tokens in {self._file} can't be read: {error}.", hint="Move the file away, and make new ones."
                ) from error
            return list(self._read[1].values())

    def holder(self, text: str) -> Token | None:
        """Return the token whose secret that is."""
        found = next((one for one in self.all() if one.id == id_of(text)), None)
        return found if found is not None and matches_secret(text, found) else None

    def make(
        self,
        name: str,
        scopes: tuple[TokenScope, ...],
        projects: tuple[str, ...],
        lasts: timedelta | None,
        now: datetime,
    ) -> str:
        """Return a new one, told this once. Raises `OurFailure`."""
        id, secret = os.urandom(4).hex(), os.urandom(32)
        expires = None if lasts is None else now + lasts
        with self._held():
            self._write([*self.all(), Token(id, name, digest_of(secret), scopes, now, projects, expires)])
        return token_text(id, secret)

    def revoke(self, id_or_name: str) -> int:
        """Return how many are gone. Raises `UsageError` where there is none."""
        with self._held():
            before = self.all()
            after = [one for one in before if id_or_name not in (one.id, one.name)]
            if len(before) == len(after):
                raise UsageError(f"There is no token {id_or_name}.", hint="`tf-tester token list` shows them.")
            self._write(after)
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
