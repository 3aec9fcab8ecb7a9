"""Locks in a folder, as allow-lists."""

import re
import threading
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from tf_tester.core.index.views import AllowedFiles
from tf_tester.core.locks.lockfile import locked_requirements
from tf_tester.errors import ConfigError
from tf_tester.given_files import read_given

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class LockFolder:
    """Read anew when they change; callable from many threads."""

    def __init__(self, root: Path | None) -> None:
        """Take a folder of locks; None: there are none."""
        self._root = root
        self._lock = threading.Lock()
        self._known: dict[str, tuple[int, AllowedFiles]] = {}

    def allowed(self, name: str) -> AllowedFiles | None:
        """Return what a lock has; None where there is none of that name. Raises `ConfigError` for one that is none."""
        if self._root is None or not _NAME.fullmatch(name):
            return None
        file = self._root / name
        try:
            if not file.is_file():
                return None
            changed = file.stat().st_mtime_ns
        except OSError:
            return None
        with self._lock:
            known = self._known.get(name)
            if known is None or known[0] != changed:
                known = self._known[name] = changed, _read(file, name)
            return known[1]


def _read(file: Path, name: str) -> AllowedFiles:
    """Read what a lock allows. Raises `ConfigError`."""
    try:
        content = read_given(file)
    except OSError as error:
        raise ConfigError(f"The lock {name} can't be read: {error.strerror}.") from error
    digests: set[str] = set()
    versions: set[tuple[str, Version]] = set()
    for requirement, hashes in locked_requirements(content, shown=name):
        digests |= hashes
        for one in () if hashes else requirement.specifier:
            try:
                versions.add((str(canonicalize_name(requirement.name)), Version(one.version)))
            except InvalidVersion as error:
                raise ConfigError(f"{name} is not a lock: {requirement} doesn't say which version.") from error
    return AllowedFiles(frozenset(digests), frozenset(versions))
