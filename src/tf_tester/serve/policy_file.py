"""The administrator's policy in a file."""

from pathlib import Path

from tf_tester.core.index.policy import IndexPolicy, read_policy
from tf_tester.core.text.printable import printable
from tf_tester.errors import ConfigError
from tf_tester.given_files import read_given
from tf_tester.serve.responses import log


class PolicyFile:
    """Read anew when it changes; what can't be read any more counts as it was."""

    def __init__(self, file: Path) -> None:
        """Read it. Raises `ConfigError`."""
        self._file = file
        self._seen = self._state()
        self._policy = self._read()

    def policy(self) -> IndexPolicy:
        """Return what counts now; takes some microseconds."""
        state = self._state()
        if state != self._seen:
            self._seen = state
            try:
                self._policy = self._read()
            except ConfigError as error:
                log.warning("%s", printable(f"{error} What it said before counts. {error.hint}".rstrip()))
        return self._policy

    def _state(self) -> tuple[int, int, int, int]:
        try:
            status = self._file.stat()
        except OSError:
            return 0, 0, 0, 0
        return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size

    def _read(self) -> IndexPolicy:
        try:
            return read_policy(read_given(self._file), shown=self._file.name)
        except OSError as error:
            raise ConfigError(f"The policy {self._file} can't be read: {error.strerror}.") from error
